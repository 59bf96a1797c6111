"""A shadow copy of the whole state, on which a plan is really run while the live one rests.

Files are copied, databases go through the backup API, and links that would lead back to live files
lead to copies instead. Unlike staging this is a complete project of its own, so that the same
commands run on it that would run on the original.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager

from ..errors import MigrateError, StateUnreadable
from ..ledger.read import read_ledger
from ..operations.writing import recovered, writing
from ..plain_file import open_plainly
from ..sandbox.live_paths import name_live
from ..storage import durable, sqlite
from ..storage.bookkeeping import refuse_links_and_special_files
from ..storage.exclusions import Exclusions
from ..storage.files import LinkAllowance, copy_open, discard, read_beginning, require_copyable
from ..storage.live_database import copy_live
from ..storage.unfinished import left_behind
from ..survey import Survey
from ..workspace import BESIDE, Workspace, is_inside

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..engine.backup import StepKeeper
    from ..engine.engine import Engine


@contextmanager
def shadow_of(workspace: Workspace) -> Iterator[Workspace]:
    """Give a complete copy of the workspace in the system's temporary folder.

    Raises:
        StateUnreadable: something cannot be read, or there is not enough space.
    """
    refuse_links_and_special_files(workspace)
    read_ledger(workspace)  # what the original refuses, its copy must not allow
    folder = os.path.realpath(tempfile.mkdtemp(prefix="plugin-migrate-"))
    durable.declare_disposable(folder)
    copier = _Copier(workspace, folder)
    try:
        yield copier.copy()
    except MigrateError as error:
        name_live(error, copier.as_workspace())
        raise
    except OSError as error:
        raise StateUnreadable(
            f"The state cannot be copied: {error.strerror}",
            file=error.filename,
            hint="Make it readable, or add it to `exclude` in .claude/plugin-migrate.yaml; for more"
            " room set TMPDIR to a folder on a larger disk.",
        ) from error
    except RecursionError as error:
        raise StateUnreadable(
            "The state cannot be copied: folders are nested too deep",
            file=".claude",
            hint="Move them away, or add them to `exclude` in .claude/plugin-migrate.yaml.",
        ) from error
    finally:
        discard(folder)
        durable.forget_disposable(folder)


class _Copier:
    def __init__(self, workspace: Workspace, folder: str) -> None:
        self._live = workspace
        self._folder = folder
        self._project = os.path.join(folder, "project")
        self._claude = os.path.join(self._project, ".claude")
        # What a killed command left is recovered in the copy as it would be in the original; but
        # not where that would write to a live database, which only the source's own copy replaces.
        self._siblings = [other for other in left_behind(workspace) if other.owns_database]
        roots = {root for source in (workspace, *self._siblings) for root in source.roots}
        self._whole = workspace._replace(roots=tuple(sorted(roots)))
        self._exclusions = Exclusions(self._whole)
        self._outside: dict[str, str] = {}
        self._allowance = LinkAllowance()
        self._is_outside = False

    def copy(self) -> Workspace:
        """Copy everything and return the copy as a workspace."""
        os.makedirs(self._claude)
        for start in self._whole.starts:
            folder = self._live.place(start)[0]
            target = self._project if start == BESIDE else self._claude
            self._copy_folder(folder, target, start, (folder,))
        for source in (self._live, *self._siblings):
            self._copy_home(source)
        copied = self.as_workspace()
        self._copy_state(copied)
        return copied

    def _copy_home(self, source: Workspace) -> None:
        """Copy what a source needs to be recovered: its redo logs, and where its ledger is."""
        if not os.path.isdir(source.home):
            return
        home = os.path.join(self._claude, os.path.relpath(source.home, self._live.claude))
        os.makedirs(home, exist_ok=True)
        for entry in os.scandir(source.home):
            if entry.path == source.publish:
                shutil.copytree(entry.path, os.path.join(home, entry.name), symlinks=True)
            elif source.source is not None and entry.is_file(follow_symlinks=False):
                shutil.copy2(entry.path, home)

    def as_workspace(self) -> Workspace:
        """Return the copied project's workspace."""
        live = self._live
        copied = self._moved(live, "state.db")
        if live.own is not None:
            copied = copied._replace(own=self._moved(live.own, "own.db"))
        return copied

    def _copy_state(self, copied: Workspace) -> None:
        live = self._live
        if os.path.exists(live.database):
            os.makedirs(os.path.dirname(copied.database), exist_ok=True)
            _copy_database(live.database, copied.database)
            if not live.owns_database:
                _take_over(copied)

    def _moved(self, live: Workspace, outside_name: str) -> Workspace:
        """Return a workspace of the copied project; a database from outside gets a new place."""
        return live._replace(
            project=self._project,
            claude=self._claude,
            migrations=self._mapped(live.migrations) or live.migrations,
            database=self._mapped(live.database) or os.path.join(self._folder, outside_name),
            live_claude=live.claude,
            live_project=live.project,
        )

    def _mapped(self, path: str) -> str | None:
        """Return where a path of the live state stands in the copy."""
        inside = self._whole.path_of(os.path.realpath(path))
        return os.path.normpath(os.path.join(self._claude, inside)) if inside is not None else None

    def _copy_folder(self, source: str, target: str, prefix: str, trail: tuple[str, ...]) -> None:
        with os.scandir(source) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
        for entry in entries:
            path = prefix + entry.name
            copied = os.path.join(target, entry.name)
            if self._exclusions.reason(path, entry):
                continue
            if self._is_outside:
                size = entry.stat().st_size if entry.is_file() else 0
                self._allowance.take(entry.path, size)
            if entry.is_symlink():
                self._copy_link(entry, copied, trail)
            elif entry.is_dir():
                os.mkdir(copied, 0o700)
                self._copy_folder(entry.path, copied, path + "/", (*trail, entry.path))
                shutil.copystat(entry.path, copied)
            else:
                self._copy_file(entry, path, copied)

    def _copy_file(self, entry: os.DirEntry[str], path: str, copied: str) -> None:
        original = open_plainly(entry.path)
        try:
            status = os.fstat(original)
            first = read_beginning(original, status)
            is_database = first and self._exclusions.is_database(path, entry.name, first)
            if not is_database:
                require_copyable(entry.path, status, self._folder)
                copy_open(original, status, first, copied)
        finally:
            os.close(original)
        if is_database:
            _copy_database(entry.path, copied)

    def _copy_link(self, entry: os.DirEntry[str], copied: str, trail: tuple[str, ...]) -> None:
        real = os.path.realpath(entry.path)
        inside = self._mapped(real)
        if inside is not None:
            os.symlink(os.path.relpath(inside, os.path.dirname(copied)), copied)
        elif os.path.isfile(real):
            os.symlink(self._copy_outside_file(real), copied)
        elif os.path.isdir(real) and not any(is_inside(folder, real) for folder in trail):
            os.symlink(self._copy_outside_folder(real, trail), copied)
        else:
            os.symlink(os.readlink(entry.path), copied)

    def _copy_outside_file(self, real: str) -> str:
        copied = self._outside.get(real)
        if copied is None:
            copied = self._outside[real] = self._new_place(real)
            original = open_plainly(real)
            try:
                status = os.fstat(original)
                require_copyable(real, status, self._folder)
                copy_open(original, status, read_beginning(original, status), copied)
            finally:
                os.close(original)
        return copied

    def _copy_outside_folder(self, real: str, trail: tuple[str, ...]) -> str:
        copied = self._outside.get(real)
        if copied is None:
            copied = self._outside[real] = self._new_place(real)
            os.mkdir(copied)
            was_outside, self._is_outside = self._is_outside, True
            self._copy_folder(real, copied, "", (*trail, real))
            self._is_outside = was_outside
            shutil.copystat(real, copied)
        return copied

    def _new_place(self, real: str) -> str:
        folder = os.path.join(self._folder, "outside", str(len(self._outside)))
        os.makedirs(folder)
        return os.path.join(folder, os.path.basename(real))


def _copy_database(source: str, target: str) -> None:
    copy_live(source, target, sqlite.open_for_reading)
    shutil.copystat(source, target)


def _take_over(copied: Workspace) -> None:
    """Make the copy of a database outside ``.claude/`` belong to the copied project."""
    connection = sqlite.connect(
        copied.database, sqlite3.Connection, sqlite.WRITE_PATIENCE, options="mode=rw"
    )
    try:
        for statement in (
            "UPDATE plugin_migrate_facts SET value = ? WHERE name = 'project'",
            "UPDATE plugin_migrate_publishes SET project = ?",
        ):
            connection.execute(statement, (copied.project,))
    except sqlite3.OperationalError:
        # The first run has not made the ledger's tables yet.
        pass
    finally:
        connection.close()


@contextmanager
def rehearsing(
    workspace: Workspace, command: str, done_by: str, keeper: StepKeeper
) -> Iterator[tuple[Survey, Engine]]:
    """Recover a shadow copy and give what is there, with an engine to run single steps on it.

    Parameters:
        keeper: stands where a run's backup stands.

    Raises:
        MigrateError: the copy is in a state that upgrades and downgrades refuse.
    """
    from ..engine.engine import Engine
    from ..report import Reporter

    with writing(workspace, command, 0) as signals:
        seen = recovered(workspace, done_by)
        engine = Engine(workspace, done_by, signals, Reporter(), keeper, seen.ledger)
        with closing(engine):
            yield seen, engine
