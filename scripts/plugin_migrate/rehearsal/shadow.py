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

from ..errors import MigrateError
from ..ledger.read import read_ledger
from ..operations.writing import recovered, writing
from ..platform.moving import discard
from ..sandbox.live_paths import name_live
from ..storage import durable, sqlite
from ..storage.bookkeeping import refuse_links_and_special_files
from ..storage.files import copy_open, original
from ..storage.live_database import copy_live
from ..storage.state_tree import Found, StateTree, WalkedFolder, entries, followed
from ..storage.translation import explaining, is_for_room
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
    hint = (
        "Make it readable, move it away, or add it to `exclude` in .claude/plugin-migrate.yaml; for"
        " more room set TMPDIR to a folder on a larger disk."
    )
    try:
        with explaining("The state cannot be copied", hint):
            yield copier.copy()
    except MigrateError as error:
        if not is_for_room(error):  # the disk that is full is the copy's
            name_live(error, copier.as_workspace())
        raise
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
        self._tree = StateTree(self._whole)
        self._outside: dict[tuple[str, str], str] = {}

    def copy(self) -> Workspace:
        """Copy everything and return the copy as a workspace."""
        os.makedirs(self._claude)
        for start in self._tree.starts:
            self._copy_folder(start, self._project if start.prefix == BESIDE else self._claude)
        for source in (self._live, *self._siblings):
            self._copy_home(source)
        copied = self.as_workspace()
        self._copy_state(copied)
        for sibling in self._siblings:
            database = self._placed(sibling.database)
            if database and os.path.exists(sibling.database) and not os.path.exists(database):
                os.makedirs(os.path.dirname(database), exist_ok=True)
                _copy_database(sibling.database, database)
        return copied

    def _copy_home(self, source: Workspace) -> None:
        """Copy what a source needs to be recovered: its redo logs, and where its ledger is."""
        if not os.path.isdir(source.home):
            return
        home = os.path.join(self._claude, os.path.relpath(source.home, self._live.claude))
        os.makedirs(home, exist_ok=True)
        for entry in entries(WalkedFolder.root(source.home)):
            if entry.source == source.publish:
                shutil.copytree(entry.source, os.path.join(home, entry.name), symlinks=True)
            elif source.source is not None and entry.kind == "file":
                shutil.copy2(entry.source, home)

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
            database=self._placed(live.database) or os.path.join(self._folder, outside_name),
            live_claude=live.claude,
            live_project=live.project,
            is_users=False,  # it is a project like others, wherever it was copied from
        )

    def _placed(self, database: str) -> str | None:
        """Return where a ledger's database stands in the copy, whether it is state or not."""
        if not is_inside(database, self._live.claude):
            return self._mapped(database)
        return os.path.join(self._claude, os.path.relpath(database, self._live.claude))

    def _mapped(self, path: str) -> str | None:
        """Return where a path of the live state stands in the copy."""
        inside = self._whole.path_of(os.path.realpath(path))
        return os.path.normpath(os.path.join(self._claude, inside)) if inside is not None else None

    def _copy_folder(self, place: WalkedFolder, target: str) -> None:
        for entry in self._tree.entries(place):
            copied = os.path.join(target, entry.name)
            if entry.left_out is not None:
                continue
            if entry.kind == "link":
                self._copy_link(place, entry, copied)
            elif entry.kind == "dir":
                os.mkdir(copied, 0o700)
                self._copy_folder(place.below(entry), copied)
                shutil.copystat(entry.source, copied)
            else:
                self._copy_file(entry, copied)

    def _copy_file(self, entry: Found, copied: str) -> None:
        with original(entry.source) as file:
            is_database = file.first and self._tree.is_database(entry, file.first)
            if not is_database:
                copy_open(file, copied)
        if is_database:
            _copy_database(entry.source, copied)

    def _copy_link(self, place: WalkedFolder, link: Found, copied: str) -> None:
        target = followed(place, link)
        inside = self._mapped(target.source)
        if inside is not None:
            os.symlink(os.path.relpath(inside, os.path.dirname(copied)), copied)
        elif target.kind == "link":
            os.symlink(os.readlink(link.source), copied)
        else:
            os.symlink(self._copy_outside(place, target), copied)

    def _copy_outside(self, place: WalkedFolder, target: Found) -> str:
        """Copy what a link leads to, once for all links that do; return where it is now.

        What is excluded of a folder differs between them: patterns know it by the link's own path.
        """
        differs = target.kind == "dir" and self._live.config.exclude
        key = target.source, target.path if differs else ""
        copied = self._outside.get(key)
        if copied is None:
            copied = self._outside[key] = self._new_place(target.source)
            if target.kind == "dir":
                os.mkdir(copied)
                self._copy_folder(place.below(target, is_linked=True), copied)
                shutil.copystat(target.source, copied)
            else:
                with original(target.source) as file:
                    copy_open(file, copied)
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
def rehearsing(workspace: Workspace, keeper: StepKeeper) -> Iterator[tuple[Survey, Engine]]:
    """Recover a shadow copy and give what is there, with an engine to run single steps on it.

    Parameters:
        keeper: stands where a run's backup stands.

    Raises:
        MigrateError: the copy is in a state that upgrades and downgrades refuse.
    """
    from ..engine.engine import Engine
    from ..report import Reporter
    from ..way_back.keeper import WayBackKeeper

    with writing(workspace, "verify", 0) as signals:
        seen = recovered(workspace, "rehearsal")
        ways_back = WayBackKeeper(workspace, seen.ledger.ways_back)
        engine = Engine(workspace, "rehearsal", signals, Reporter(), keeper, ways_back, seen.ledger)
        with closing(engine):
            yield seen, engine
