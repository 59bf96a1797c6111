"""Watching what a migration's Python code does outside its staged copy.

Python's audit events (PEP 578) show every file that is opened and every fork. A migration that
writes to the live state would be torn from its step; one that opens a database file would, when
it closes it, drop the locks SQLite holds on it (https://www.sqlite.org/howtocorrupt.html, 2.2).
An audit hook cannot be removed, so it is installed once and looks only while a step is watched.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from ..platform import system
from ..workspace import BESIDE, Workspace, is_inside

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_ONE_PATH = frozenset(
    "os.chmod os.chown os.mkdir os.remove os.rmdir os.truncate os.utime shutil.rmtree".split()
)
_TWO_PATHS = frozenset({"os.link", "os.rename", "os.symlink"})
_FORKS = frozenset({"os.fork", "os.forkpty"})
_TERMINAL = "/dev/tty"
NAME_IT = "Name what else below the project is state in the settings: state: [CLAUDE.md, .beads/]"
NOBODY_ANSWERS = (
    "A migration cannot ask: in a session or in CI nobody answers, and it has to do the same"
    " everywhere; read the value from a file below .claude/, or from os.environ"
)


class Outside(PermissionError):
    """A migration reached for something that its step does not cover."""


@dataclass(frozen=True, slots=True)
class Watch:
    """What is off limits: the live state and its project but for the staged copy, database files.

    ``live`` holds the real paths of the state's parts, and of what they are a shadow copy of;
    ``projects`` those of the folders around them; ``databases`` those of databases (and their side
    files) that this process has open.
    """

    live: tuple[str, ...]
    projects: tuple[str, ...]
    staged: str
    databases: frozenset[str]


class _Hook:
    """The process's one hook, and what it watches now."""

    watch: Watch | None = None
    is_installed = False


@contextmanager
def watching(watch: Watch | None) -> Iterator[None]:
    """Within this block, refuse what ``watch`` puts off limits; ``None`` refuses nothing."""
    if not _Hook.is_installed:
        sys.addaudithook(_hook)
        _Hook.is_installed = True
    before, _Hook.watch = _Hook.watch, watch
    try:
        yield
    finally:
        _Hook.watch = before


@contextmanager
def confined(workspace: Workspace, project: str | None) -> Iterator[None]:
    """Run code in the staged ``project``, and refuse it the live one; without it do nothing."""
    if project is None:
        yield
        return
    from .questions import unanswered

    path = workspace.database
    live = (workspace.claude, workspace.live_claude)
    projects = (workspace.project, workspace.live_project)
    beside = tuple(
        os.path.join(around, root.removeprefix(BESIDE))
        for around in projects
        for root in workspace.roots
        if around is not None and root.startswith(BESIDE)
    )
    watch = Watch(
        (*(folder for folder in live if folder is not None), *beside),
        # Around everything else on the machine there is nothing to guard.
        tuple(folder for folder in projects if folder not in (None, "/")),
        project,
        frozenset({path, path + "-wal", path + "-shm", path + "-journal"}),
    )
    with _working_in(project), watching(watch), unanswered():
        yield


@contextmanager
def _working_in(folder: str) -> Iterator[None]:
    try:
        before = os.getcwd()
    except FileNotFoundError:  # somebody deleted it
        before = os.sep
    os.chdir(folder)
    # What the migration starts must find the staged project too.
    variable = os.environ.get("CLAUDE_PROJECT_DIR")
    if variable is not None:
        os.environ["CLAUDE_PROJECT_DIR"] = folder
    try:
        yield
    finally:
        os.chdir(before)
        if variable is not None:
            os.environ["CLAUDE_PROJECT_DIR"] = variable


def looking_away() -> AbstractContextManager[None]:
    """Within this block the engine itself acts on behalf of the migration."""
    return watching(None)


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    watch = _Hook.watch
    if watch is None:
        return
    if event == "open":
        _check_open(watch, arguments[0], arguments[2])
    elif event in _ONE_PATH:
        _check_write(watch, arguments[0])
    elif event in _TWO_PATHS:
        _check_write(watch, arguments[1])
        if event == "os.rename":
            _check_write(watch, arguments[0])
    elif event == "sqlite3.connect":
        _check_connect(watch, arguments[0])
    elif event == "builtins.input":
        raise Outside(NOBODY_ANSWERS)
    elif event in _FORKS:
        raise Outside(
            "A migration may not fork: the copy of the process would drop the database's locks;"
            " use subprocess instead"
        )


def _check_open(watch: Watch, path: object, flags: object) -> None:
    if not isinstance(path, (str, bytes)):
        return
    real = os.path.realpath(os.fsdecode(path))
    if real == _TERMINAL:
        raise Outside(NOBODY_ANSWERS)
    if real in watch.databases:
        raise Outside(
            f"{path!r} is a database in use, and opening it as a file would drop its locks; use"
            " ctx.db or ctx.database(path)"
        )
    if isinstance(flags, int) and flags & _WRITING:
        _check_write(watch, path)


def _check_write(watch: Watch, path: object) -> None:
    if not isinstance(path, (str, bytes, os.PathLike)):
        return
    name = os.fsdecode(path)
    part = system.unusable_part(name)
    if part is not None:
        raise Outside(f"{name} cannot be written: no file here can be called {part!r}")
    # The link itself is written, not its target; so only the folder is resolved.
    folder, last = os.path.split(os.path.abspath(name))
    for real in (os.path.join(os.path.realpath(folder), last), os.path.realpath(name)):
        if is_inside(real, watch.staged):
            continue
        if _is_live(watch, real):
            raise Outside(
                f"{name} is the live state: a migration writes to its staged copy; use ctx.claude,"
                " ctx.project or a path relative to the working directory"
            )
        if any(is_inside(real, project) for project in watch.projects):
            raise Outside(
                f"{name} is outside .claude/: what is written there would not be undone with the"
                " step, and no rollback would find it; keep it below ctx.claude, or name it under"
                " `state:` in the settings and use ctx.project"
            )


def _is_live(watch: Watch, real: str) -> bool:
    return any(is_inside(real, folder) for folder in watch.live)


def _check_connect(watch: Watch, database: object) -> None:
    if not isinstance(database, (str, bytes, os.PathLike)):
        return
    name = os.fsdecode(database)
    if name.startswith("file:"):
        name = name[len("file:") :].partition("?")[0]
    elif name in ("", ":memory:"):
        return
    real = os.path.realpath(name)
    if _is_live(watch, real) or is_inside(real, watch.staged) or real in watch.databases:
        raise Outside(
            f"sqlite3.connect({name!r}) would be outside the step: use ctx.db for the state"
            " database and ctx.database(path) for another one in .claude/"
        )
