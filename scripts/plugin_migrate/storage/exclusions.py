"""What a walk meets that is not part of the state: databases, bookkeeping, other tools' folders."""

from __future__ import annotations

import fnmatch
import os

from ..plain_file import open_plainly
from ..workspace import ALL_OF_CLAUDE, BOOKKEEPING_NAME, Workspace

SIDE_SUFFIXES = ("-wal", "-shm", "-journal")
_SQLITE_MAGIC = b"SQLite format 3\0"
_DATABASE_SUFFIXES = (".db", ".sqlite", ".sqlite3")
_NEVER_STAGED = frozenset({".git", "node_modules"})
_NEVER_STAGED_AT_TOP = frozenset({BOOKKEEPING_NAME, "worktrees"})


class Exclusions:
    """Tells, during one walk through the live state, what a copy of its files leaves out.

    Parameters:
        workspace: names the state database and the user's own patterns.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._patterns = workspace.config.exclude
        self._holds = workspace.holds
        self._is_narrow = workspace.roots != (ALL_OF_CLAUDE,)
        # Folders that lead to roots and are none themselves.
        self._leading = {
            root[:end]
            for root in workspace.roots
            for end in range(1, len(root))
            if root[end] == "/"
        }
        self._databases: set[str] = set()
        path = workspace.database
        self._state_database = {path, *(path + suffix for suffix in SIDE_SUFFIXES)}

    def reason(self, path: str, entry: os.DirEntry[str]) -> str | None:
        """Return why a path is left out, or ``None``; opens nothing.

        Parameters:
            path: of the state.
            entry: the same path as the walk found it.
        """
        if entry.name in _NEVER_STAGED or path in _NEVER_STAGED_AT_TOP:
            return "never part of the state"
        if self._is_narrow and not self.is_state(path):
            return "no part of the state"
        for pattern in self._patterns:
            if fnmatch.fnmatchcase(path, pattern):
                return f"excluded by the pattern {pattern}"
        is_link = entry.is_symlink()
        real = os.path.realpath(entry.path) if is_link else entry.path
        if real in self._state_database:
            return "the state database"
        if path.endswith(SIDE_SUFFIXES) and path[: path.rindex("-")] in self._databases:
            return "a database's side file"
        if entry.is_file(follow_symlinks=False):  # nearly all are
            return None
        # `entry.is_dir()` raises for a link that leads to itself.
        if os.path.isdir(real) if is_link else entry.is_dir():
            is_environment = os.path.exists(os.path.join(entry.path, "pyvenv.cfg"))
            return "a virtual environment" if is_environment else None
        if is_link:
            return None
        return "neither a file nor a folder"

    def is_state(self, path: str) -> bool:
        """Return whether a path is one of the state, or a folder that leads to what is."""
        return self._holds(path) or path in self._leading

    def is_database(self, path: str, name: str, beginning: bytes) -> bool:
        """Return whether a file with this beginning is a database, and remember it if so.

        Its side files are then left out too; the walk meets them after it, in order of names.
        """
        is_one = beginning.startswith(_SQLITE_MAGIC) or (
            not beginning and name.endswith(_DATABASE_SUFFIXES)
        )
        if is_one:
            self._databases.add(path)
        return is_one


def holds_database(path: str) -> bool:
    """Return whether the file at ``path`` is an SQLite database."""
    descriptor = open_plainly(path)
    try:
        # As in nodes.py, nothing is read of what says that it is empty.
        size = os.fstat(descriptor).st_size
        return size > 0 and os.read(descriptor, len(_SQLITE_MAGIC)) == _SQLITE_MAGIC
    finally:
        os.close(descriptor)
