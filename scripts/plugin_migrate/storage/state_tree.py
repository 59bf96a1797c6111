"""The one walker of the state: what stands in its folders, and what of it no copy holds.

Whoever looks through the state, in ``.claude/`` and beside it, does it by this module, so that all
agree on what belongs to it. A walk reads no file, follows no link unless it is asked to,
and is bounded: a repository may hold links to ``/usr`` and folders without end.
"""

from __future__ import annotations

import errno
import fnmatch
import os
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import suppress

from ..plain_file import size_of
from ..platform import system
from ..values import NamedTuple
from ..workspace import (
    ALL_OF_CLAUDE,
    BESIDE,
    BOOKKEEPING_NAME,
    RECORDS_NAME,
    Workspace,
    is_inside,
)

SIDE_SUFFIXES = ("-wal", "-shm", "-journal")
_SQLITE_MAGIC = b"SQLite format 3\0"
_DATABASE_SUFFIXES = (".db", ".sqlite", ".sqlite3")
_NEVER_STAGED = frozenset({".git", "node_modules"})
_NEVER_STAGED_AT_TOP = frozenset({BOOKKEEPING_NAME, RECORDS_NAME, "worktrees"})
# Copying calls itself for each level, and Python allows a thousand calls.
_DEEPEST = 200
_MOST_LINKED = 10_000
_LARGEST_LINKED = 1 << 30


class Found(NamedTuple):
    """What stands at one path of a walk.

    ``path`` begins as the walk's root says, ``source`` is absolute. ``kind`` is ``file``, ``dir``,
    ``link`` or ``other`` (a pipe, a socket, a device). ``left_out`` says why copies of the state
    lack it, if so.
    """

    name: str
    path: str
    source: str
    kind: str
    left_out: str | None = None


class WalkedFolder(NamedTuple):
    """A folder on a walk.

    ``prefix`` is its path with a slash after it, empty where the walk begins in ``.claude/``.
    ``visited`` holds the real folders on the way to it and itself; ``is_linked`` tells whether a
    link is among them.
    """

    folder: str
    prefix: str
    visited: tuple[str, ...]
    is_linked: bool = False

    @classmethod
    def root(cls, folder: str, prefix: str = "") -> WalkedFolder:
        """Return where a walk through ``folder``, a real path, begins."""
        return cls(folder, prefix, (folder,))

    def below(self, entry: Found, is_linked: bool = False) -> WalkedFolder:
        """Return the folder that ``entry`` is.

        Parameters:
            is_linked: whether it was reached through a link; see :func:`followed`.
        """
        visited = (*self.visited, entry.source)
        return WalkedFolder(entry.source, entry.path + "/", visited, self.is_linked or is_linked)


def entries(place: WalkedFolder, but: Container[str] = ()) -> Iterator[Found]:
    """Yield what stands in a folder, by name; of a link, not what it leads to.

    Parameters:
        but: names that are of no interest.

    Raises:
        OSError: the folder cannot be read, or is nested too deep.
    """
    if len(place.visited) > _DEEPEST + 1:  # the root is at no depth
        top = place.prefix.removeprefix(BESIDE).partition("/")[0]
        deep = os.path.join(place.visited[0], top)
        raise OSError(errno.ENAMETOOLONG, "folders are nested too deep", deep)
    with os.scandir(place.folder) as listing:
        found = sorted(listing, key=lambda entry: entry.name)
    for entry in found:
        if entry.name not in but:
            yield Found(entry.name, place.prefix + entry.name, entry.path, _kind_of(entry))


def walk(
    root: WalkedFolder, list_folder: Callable[[WalkedFolder], Iterable[Found]] = entries
) -> Iterator[Found]:
    """Yield all that stands below a folder and is not left out; no link is followed.

    What somebody is just removing may be gone at any moment, and is then passed over.

    Parameters:
        list_folder: yields what stands in one folder.

    Raises:
        OSError: as for :func:`entries`.
    """
    places = [root]
    while places:
        place = places.pop()
        with suppress(FileNotFoundError):
            for entry in list_folder(place):
                if entry.left_out is None:
                    yield entry
                    if entry.kind == "dir":
                        places.append(place.below(entry))


def followed(place: WalkedFolder, link: Found) -> Found:
    """Return what a link of ``place`` leads to, under the link's own path.

    It stays of kind ``link`` where it leads nowhere, or back to a folder above it.
    """
    real = os.path.realpath(link.source)
    kind = "link"
    if os.path.isfile(real):
        kind = "file"
    elif os.path.isdir(real) and not any(is_inside(folder, real) for folder in place.visited):
        kind = "dir"
    return link._replace(source=real, kind=kind)


def _kind_of(entry: os.DirEntry[str]) -> str:
    if entry.is_file(follow_symlinks=False):  # nearly all are
        return "file"
    if system.is_link(entry):
        return "link"
    return "dir" if entry.is_dir(follow_symlinks=False) else "other"


class StateTree:
    """The live state as its copies hold it, during one walk.

    Left out are databases' side files, the state database, our bookkeeping, other tools' folders,
    what the user excludes, and what is in none of the state's roots.

    Parameters:
        workspace: names the roots, the state database and the user's own patterns.

    ``starts`` are the folders in which a walk begins that comes to every root.
    """

    def __init__(self, workspace: Workspace) -> None:
        self.starts = tuple(
            WalkedFolder.root(workspace.place(start)[0], start) for start in workspace.starts
        )
        self._holds = workspace.holds
        self._is_narrow = workspace.roots != (ALL_OF_CLAUDE,)
        # Folders that lead to roots and are none themselves.
        self._leading = {
            root[:end]
            for root in workspace.roots
            for end in range(1, len(root))
            if root[end] == "/"
        }
        self._patterns = workspace.config.exclude
        self._databases: set[str] = set()
        path = workspace.database
        self._state_database = {path, *(path + suffix for suffix in SIDE_SUFFIXES)}
        self._allowance = _LinkAllowance()

    def entries(self, place: WalkedFolder, but: Container[str] = ()) -> Iterator[Found]:
        """Yield what stands in a folder, by name: so a database comes before its side files.

        Parameters:
            but: names that are of no interest.

        Raises:
            OSError: as for :func:`entries`; or links bring in more than is copied.
        """
        for entry in entries(place, but):
            left_out = self._left_out(entry)
            if left_out is not None:
                yield entry._replace(left_out=left_out)
                continue
            if place.is_linked:
                is_file = os.path.isfile(entry.source)
                self._allowance.take(entry.source, os.path.getsize(entry.source) if is_file else 0)
            yield entry

    def walk(self) -> Iterator[Found]:
        """Yield all of the state; see :func:`walk`."""
        for start in self.starts:
            yield from walk(start, self.entries)

    def is_state(self, path: str) -> bool:
        """Return whether a path is one of the state, or a folder that leads to what is."""
        return self._holds(path) or path in self._leading

    def is_database(self, file: Found, beginning: bytes) -> bool:
        """Return whether a file with this beginning is a database, and remember it if so.

        Its side files are then left out too; the walk meets them after it.
        """
        is_one = beginning.startswith(_SQLITE_MAGIC) or (
            not beginning and file.source.endswith(_DATABASE_SUFFIXES)
        )
        if is_one:
            self._databases.add(file.path)
        return is_one

    def _left_out(self, entry: Found) -> str | None:
        path, kind = entry.path, entry.kind
        if entry.name in _NEVER_STAGED or path in _NEVER_STAGED_AT_TOP:
            return "never part of the state"
        if self._is_narrow and not self.is_state(path):
            return "no part of the state"
        for pattern in self._patterns:
            if fnmatch.fnmatchcase(path, pattern):
                return f"excluded by the pattern {pattern}"
        real = os.path.realpath(entry.source) if kind == "link" else entry.source
        if real in self._state_database:
            return "the state database"
        if path.endswith(SIDE_SUFFIXES) and path[: path.rindex("-")] in self._databases:
            return "a database's side file"
        if kind in ("dir", "link") and os.path.exists(f"{entry.source}/pyvenv.cfg"):
            return "a virtual environment"
        return "neither a file nor a folder" if kind == "other" else None


class _LinkAllowance:
    """How much one copy of a state may hold of what links bring in: a link can lead to ``/usr``."""

    def __init__(self) -> None:
        self._entries = 0
        self._bytes = 0

    def take(self, path: str, size: int = 0) -> None:
        """Count one more file or folder.

        Parameters:
            path: what is about to be copied, for the error.
            size: bytes of its content.

        Raises:
            OSError: that makes too much; ``strerror`` has the sizes.
        """
        self._entries += 1
        self._bytes += size
        if self._entries > _MOST_LINKED or self._bytes > _LARGEST_LINKED:
            raise OSError(
                errno.EFBIG,
                f"links lead to more than is copied, over {_MOST_LINKED:,} files or"
                f" {size_of(_LARGEST_LINKED)}",
                path,
            )


def holds_database(path: str) -> bool:
    """Return whether what stands at ``path`` is a file, and an SQLite database."""
    if not os.path.isfile(path):
        return False
    descriptor = system.open_to_read(path)
    try:
        # As in nodes.py, nothing is read of what says that it is empty.
        size = os.fstat(descriptor).st_size
        return size > 0 and os.read(descriptor, len(_SQLITE_MAGIC)) == _SQLITE_MAGIC
    finally:
        os.close(descriptor)
