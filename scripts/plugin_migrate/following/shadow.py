"""Where steps run for their database half: files from git, and everything else from here.

Git's half of the state is what it carries; ours are the databases and the files that it ignores.
Only ours is copied from here, and only what steps make of ours comes back.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import closing, contextmanager

from ..errors import StateUnreadable
from ..git.command import NoAnswer, Repository
from ..platform.moving import discard, remove
from ..sandbox.staging import Staging
from ..storage import durable, sqlite
from ..storage.live_database import LiveDatabase, copy_live, digest_of_closed
from ..storage.nodes import PathChange
from ..storage.state_tree import SIDE_SUFFIXES, WalkedFolder, entries, holds_database, walk
from ..workspace import BOOKKEEPING_NAME, Workspace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..storage.state_tree import Found


class Shadow:
    """A copy of a project in a folder of ours.

    Parameters:
        live: what it is a copy of.
        repository: carries files of it.
        folder: an empty folder, thrown away in the end.

    ``workspace`` is the copied project. ``digests`` are those of the further databases, by path,
    as they were copied from here.
    """

    def __init__(self, live: Workspace, repository: Repository, folder: str) -> None:
        self.live = live
        self.digests: dict[str, str] = {}
        self._repository = repository
        self._staging = Staging(live, os.path.join(folder, "local"))
        self._claude = os.path.join(folder, "project", ".claude")
        self._carried: frozenset[str] = frozenset()
        os.makedirs(self._claude)
        inside = os.path.relpath(live.database, live.claude) if live.owns_database else None
        self.workspace = live._replace(
            project=os.path.join(folder, "project"),
            claude=self._claude,
            database=os.path.join(self._claude, inside) if inside else f"{folder}/state.db",
            live_claude=live.live_claude or live.claude,
            live_project=live.live_project or live.project,
        )

    # --- taking ----------------------------------------------------------------------------------

    def take_ours(self, state: LiveDatabase) -> None:
        """Copy our half as it is here now.

        Parameters:
            state: the live state database.

        Raises:
            StateUnreadable, Busy: something cannot be read, or git cannot be asked.
        """
        self._carried = self._listed()
        self._remove_ours()
        self.digests = {}
        self._staging.refresh()
        local = self._staging.claude
        for path in self._ignored(_files(local)):
            _put(os.path.join(local, path), os.path.join(self._claude, path))
        for path in self._staging.databases():
            if path not in self._carried:
                copy = self._new(path)
                copy_live(os.path.join(self.live.claude, path), copy)
                self.digests[path] = digest_of_closed(copy)
        os.makedirs(os.path.dirname(self.workspace.database), exist_ok=True)
        state.copy_to(self.workspace.database)
        self._take_over(self.workspace.project)

    def take_ours_of(self, other: Shadow) -> None:
        """Copy the half that another shadow of the same state has."""
        self._carried, self.digests = other._carried, other.digests
        self._remove_ours()
        for path in other.ours(_files(other._claude)):
            _put(os.path.join(other._claude, path), os.path.join(self._claude, path))
        _put(other.workspace.database, self.workspace.database)
        self._take_over(self.workspace.project)

    def take_files(self, write: Callable[[str], None] | None) -> None:
        """Take other files for git's half.

        Parameters:
            write: writes them into the folder it is given; without it they are as they are here.
        """
        files = _files(self._claude)
        ours = self.ours(files)
        for path in files:
            if path not in ours:
                remove(os.path.join(self._claude, path))
        _remove_empty(self._claude)
        if write is not None:
            write(self._claude)
            return
        local = self._staging.claude
        for path in _files(local):
            if not os.path.lexists(os.path.join(self._claude, path)):
                _put(os.path.join(local, path), os.path.join(self._claude, path))
        for path in self._staging.databases():
            if path in self._carried:
                copy_live(os.path.join(self.live.claude, path), self._new(path))

    def _remove_ours(self) -> None:
        for path in self.ours(_files(self._claude)):
            remove(os.path.join(self._claude, path))
        for suffix in ("", *SIDE_SUFFIXES):
            if os.path.lexists(self.workspace.database + suffix):
                remove(self.workspace.database + suffix)

    def _new(self, path: str) -> str:
        """Return where to make the copy of a database."""
        copy = os.path.join(self._claude, path)
        os.makedirs(os.path.dirname(copy), exist_ok=True)
        return copy

    def give_back(self) -> None:
        """Make the copy of a state database outside ``.claude/`` the project's own once more."""
        self._take_over(self.live.project)

    def _take_over(self, project: str) -> None:
        if self.live.owns_database:
            return
        with closing(sqlite.open_for_writing(self.workspace.database, sqlite3.Connection)) as own:
            own.execute(
                "UPDATE plugin_migrate_facts SET value = ? WHERE name = 'project'", (project,)
            )

    # --- whose a file is -------------------------------------------------------------------------

    def ours(self, paths: Collection[str]) -> frozenset[str]:
        """Return those of ``paths`` that git does not carry, which are for us to publish.

        Raises:
            StateUnreadable: git cannot be asked.
        """
        ignored = self._ignored(paths)
        return frozenset(
            path
            for path in paths
            if path in ignored or path in self.digests or self._is_own_database(path)
        )

    def _is_own_database(self, path: str) -> bool:
        place = os.path.join(self._claude, path)
        return path not in self._carried and os.path.isfile(place) and holds_database(place)

    def _ignored(self, paths: Collection[str]) -> frozenset[str]:
        try:
            return self._repository.ignored(paths)
        except NoAnswer as error:
            raise _silent(self._repository, error) from None

    def _listed(self) -> frozenset[str]:
        try:
            return self._repository.listed("--cached")
        except NoAnswer as error:
            raise _silent(self._repository, error) from None


@contextmanager
def shadow_for(live: Workspace, repository: Repository) -> Iterator[Shadow]:
    """Give a shadow in the system's temporary folder.

    Raises:
        OSError: it cannot be written.
    """
    folder = os.path.realpath(tempfile.mkdtemp(prefix="plugin-migrate-"))
    durable.declare_disposable(folder)
    try:
        yield Shadow(live, repository, folder)
    finally:
        discard(folder)
        durable.forget_disposable(folder)


class Noted:
    """Notes what steps on a shadow change, where a run's backup keeps it.

    ``files`` are the last changes by path, and ``first`` the first ones.
    """

    def __init__(self) -> None:
        self.files: dict[str, PathChange] = {}
        self.first: dict[str, PathChange] = {}
        self.databases: list[str] = []

    def add_files(self, changes: Iterable[PathChange]) -> None:
        """Note files, and databases that come or go."""
        for change in changes:
            self.first.setdefault(change.path, change)
            self.files[change.path] = change

    def add_database(self, path: str, after: str) -> None:
        """Note a further database."""
        self.databases.append(path)

    def commit(self) -> None:
        """Return: the shadow is thrown away in the end."""


def _files(claude: str) -> list[str]:
    """Return the paths of files and links below a folder, but for our own folder's."""

    def list_folder(place: WalkedFolder) -> Iterable[Found]:
        return entries(place, () if place.prefix else (BOOKKEEPING_NAME,))

    found = walk(WalkedFolder.root(claude), list_folder)
    return [one.path for one in found if one.kind in ("file", "link")]


def _put(source: str, target: str) -> None:
    os.makedirs(os.path.dirname(target), exist_ok=True)
    shutil.copy2(source, target, follow_symlinks=False)


def _remove_empty(claude: str) -> None:
    for folder, _, _ in os.walk(claude, topdown=False):
        if folder != claude and not os.listdir(folder):
            os.rmdir(folder)


def _silent(repository: Repository, error: NoAnswer) -> StateUnreadable:
    return StateUnreadable(
        f"Git does not say which files it carries: {error}",
        file=repository.folder,
        hint="Let git answer here (git status), then run the command again.",
    )
