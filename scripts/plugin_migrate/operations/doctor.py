"""Whether everything is here and well that commands need: each finding says what to do about it.

Reads only, and runs no migration; it asks `node`, `bun`, `deno` and `claude` for their versions.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing

from ..errors import Call, MigrateError, NeedsRepair, StateUnreadable
from ..languages.javascript.runtime import find_runtime, version_of
from ..plan import UNAPPLIED, Entry, State
from ..platform import system
from ..storage import sqlite
from ..storage.backups import read_shelf
from ..storage.bookkeeping import refuse_links_and_special_files
from ..storage.lock import holder, unusable
from ..storage.translation import state_errors
from ..storage.unfinished import left_behind
from ..survey import survey
from ..values import NamedTuple
from ..workspace import Workspace

_OLDEST_CLIENT = (2, 1, 330)
_OLDEST_SQLITE = (3, 35, 0)  # RETURNING, and ALTER TABLE DROP COLUMN, which migrations use


class Check(NamedTuple):
    """One thing that was looked at.

    ``problem`` says what to do if it is not well, ``warning`` if nobody can tell whether it is.
    """

    name: str
    what: str
    problem: MigrateError | None = None
    warning: MigrateError | None = None


class _CannotTell(MigrateError):
    """It may be well or not."""


def examine(find: Callable[[], Workspace], environment: Mapping[str, str]) -> tuple[Check, ...]:
    """Return what was found: first of this machine, then of the project.

    Parameters:
        find: returns the workspace, or raises why there is none.
        environment: the process's environment variables.
    """
    machine = [
        Check("Python", f"{_dotted(sys.version_info[:3])} ({system.slashed(sys.executable)})"),
        _of(_sqlite, "SQLite"),
        _of(lambda: _client(environment), "Claude Code"),
        _of(lambda: _cache(environment), "Cache"),
    ]
    try:
        workspace = find()
    except MigrateError as error:
        return (*machine, Check("Project", "", error))
    return (*machine, *_of_project(workspace))


def _of_project(workspace: Workspace) -> Iterator[Check]:
    yield Check("Project", system.slashed(workspace.project))
    yield _of(lambda: _permissions(workspace), "Permissions")
    yield _of(lambda: _lock(workspace), "Lock")
    yield _of(lambda: _journals(workspace), "Journals")
    yield _of(lambda: _backups(workspace), "Backups")
    entries: tuple[Entry, ...] = ()

    def state() -> str:
        nonlocal entries
        entries = survey(workspace).entries
        return _state(entries)

    yield _of(state, "Migrations")
    yield _of(lambda: _runtimes(workspace, entries), "TypeScript")


def _of(look_at: Callable[[], str], name: str) -> Check:
    try:
        with state_errors():
            return Check(name, look_at())
    except _CannotTell as error:
        return Check(name, "", warning=error)
    except MigrateError as error:
        return Check(name, "", error)


def _sqlite() -> str:
    version = sqlite3.sqlite_version
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        raise MigrateError(
            f"SQLite {version} is older than {_dotted(_OLDEST_SQLITE)}",
            hint="Use a Python that comes with a newer one.",
        )
    return version


def _client(environment: Mapping[str, str]) -> str:
    path = shutil.which("claude", path=environment.get("PATH", ""))
    if path is None or not os.path.isabs(path):
        return "not found in PATH; only /plugin-migrate needs it"
    version = version_of(path)
    if version is None:
        # Perhaps it only must not answer here; whether it is too old, it says when it is used.
        raise _CannotTell(
            f"{path} does not tell its version",
            hint=f"/plugin-migrate needs {_dotted(_OLDEST_CLIENT)}. See what it says:"
            " claude --version, claude doctor",
        )
    if version < _OLDEST_CLIENT:
        raise MigrateError(
            f"{_dotted(version)} is too old: /plugin-migrate needs {_dotted(_OLDEST_CLIENT)}",
            hint="Update it: claude update",
        )
    return f"{_dotted(version)} ({system.slashed(path)})"


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _cache(environment: Mapping[str, str]) -> str:
    folder = environment.get("PLUGIN_MIGRATE_CACHE")
    if not folder:
        return "none: this is an installed package"
    _require_writable(folder, "The next update could not make its Python environment there.")
    return system.slashed(folder)


def _permissions(workspace: Workspace) -> str:
    folders = [workspace.claude, workspace.bookkeeping, os.path.dirname(workspace.database)]
    for path in (*folders, workspace.database):
        _require_writable(path, "Upgrades need to write there.")
    refuse_links_and_special_files(workspace)
    return "what upgrades write can be written"


def _require_writable(path: str, why: str) -> None:
    wanted = os.R_OK | os.W_OK | (os.X_OK if os.path.isdir(path) else 0)
    if os.path.lexists(path) and not os.access(path, wanted):
        raise StateUnreadable(
            "There is no permission to read and write",
            file=path,
            hint=f"{why} Correct its owner or mode (chown, chmod u+rw).",
        )


def _lock(workspace: Workspace) -> str:
    path = os.path.join(workspace.bookkeeping, "lock.db")
    if not os.path.exists(path):
        return "free"
    try:
        with closing(sqlite.open_for_reading(path)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.Error as error:
        if not sqlite.is_busy(error):
            raise unusable(path, error) from error
        return f"held, so a command is running: {holder(path) or 'it has only just started'}"
    return "free"


def _journals(workspace: Workspace) -> str:
    left = [*([workspace] if workspace.has_logs else []), *left_behind(workspace)]
    if left:
        whose = ", ".join(one.source or "this project" for one in left)
        raise NeedsRepair(
            f"A killed command has left files to be put in place ({whose}), or one is running",
            hint=("The next upgrade or downgrade does it; so does: ", Call("repair")),
        )
    return "nothing is left of a killed command"


def _backups(workspace: Workspace) -> str:
    shelf = read_shelf(workspace)
    if shelf.damaged:
        first = shelf.damaged[0]
        raise StateUnreadable(
            f"{len(shelf.damaged)} of {len(shelf.damaged) + len(shelf.backups)} are damaged:"
            f" {first.id}: {first.why}",
            file=os.path.join(workspace.home, "backups", first.id),
            hint=("It is of no use and may be deleted. See the others: ", Call("restore")),
        )
    return (
        f"{len(shelf.backups)}, the newest {shelf.backups[0].id}" if shelf.backups else "none yet"
    )


def _state(entries: tuple[Entry, ...]) -> str:
    taken = [entry.version for entry in entries if entry.state is State.DATABASE_ONLY]
    if taken:
        raise NeedsRepair(
            f"Git took back the files of {len(taken)}: {', '.join(map(str, taken[:10]))}",
            hint=("Go to the branch that has them, or roll the database back too: ", Call("sync")),
        )
    bad = {State.MODIFIED, State.INTERRUPTED}
    found = [entry.version for entry in entries if entry.state in bad]
    if found:
        raise NeedsRepair(
            f"{len(found)} modified or interrupted: {', '.join(map(str, found[:10]))}",
            hint=("See: ", Call("status"), ", and what would settle it: ", Call("repair", "-n")),
        )
    applied = sum(entry.applied is not None for entry in entries)
    pending = sum(entry.state in UNAPPLIED for entry in entries)
    return f"{applied} applied, {pending} pending"


def _runtimes(workspace: Workspace, entries: tuple[Entry, ...]) -> str:
    files = [entry.migration for entry in entries if entry.migration]
    typed = [one for one in files if one.language == "typescript"]
    plain = [one for one in files if one.language == "javascript"]
    needed = [*typed, *plain]
    try:
        file = needed[0].path if needed else ""
        return find_runtime(bool(typed or not plain), workspace.project, file).name
    except MigrateError:
        if needed:
            raise
    return "nothing here runs it, and no migration needs it"
