"""Further SQLite databases of the state: staged as a copy, published by the backup API.

A plain file copy would miss what still stands in a write-ahead log, so contents always travel
through ``sqlite3_backup``. It retries a busy database for ever; every use here has a deadline.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress

from . import database
from .errors import Busy, Conflict, ForbiddenStatement
from .guard import RESERVED_SAVEPOINT, Guard, StepConnection
from .redo import DatabaseEntry
from .staging import Change
from .tree import Node, digest_of

_PATIENCE = 5.0
_CHUNK = 1 << 20
# Header bytes that say how the file was written rather than what it holds: journal kind, change
# counter, schema cookie, version-valid-for and library version
# (https://www.sqlite.org/fileformat.html, 1.3).
_HEADER_NOISE = ((18, 20), (24, 28), (40, 44), (92, 100))
_HEADER_SIZE = 100
_COUNTER = slice(24, 28)


class SideDatabase:
    """One further database that a step asked for.

    Parameters:
        path: relative to ``.claude/``.
        live: the database's real path.
        copy: where the private copy goes, on the same device.

    ``connection`` is what the author works with, inside a transaction on the copy.

    Raises:
        StateUnreadable: the file is not a database.
        Busy: another program holds it for too long.
    """

    def __init__(self, path: str, live: str, copy: str) -> None:
        self.path = path
        self._live = live
        self._copy = copy
        self._is_moved = False
        self._is_new = not os.path.exists(live) or os.path.getsize(live) == 0
        self._before: str | None = None
        self._watched: sqlite3.Connection | None = None
        self._descriptor: int | None = None
        if not self._is_new:
            self._take_copy()
        self.connection = database.open_for_writing(copy, StepConnection)
        self.connection.execute("PRAGMA journal_mode=DELETE").fetchall()
        self.connection.execute("PRAGMA synchronous=OFF")
        if not self._is_new:
            self._before = _digest(copy)
        self.connection.execute("BEGIN IMMEDIATE")
        self.connection.execute(f"SAVEPOINT {RESERVED_SAVEPOINT}")
        self.guard = Guard(self.connection)
        self.connection.guard = self.guard

    def _take_copy(self) -> None:
        # Opened before any connection and closed after the last one: closing it in between would
        # drop SQLite's locks (https://www.sqlite.org/howtocorrupt.html, 2.2).
        self._descriptor = os.open(self._live, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._watched = sqlite3.connect(self._live, timeout=_PATIENCE, isolation_level=None)
            self._watched.execute("BEGIN")
            self._watched.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()
            self._version = self._live_version(self._watched)
            _copy(self._watched, self._copy)
            self._watched.execute("COMMIT")
        except sqlite3.Error as error:
            self._stop_watching()
            raise database.unreadable(self._live, error) from error

    def finish(self) -> None:
        """Commit the author's work to the copy.

        Raises:
            ForbiddenStatement: the author's statements ended the transaction.
        """
        try:
            self.connection.execute(f"RELEASE {RESERVED_SAVEPOINT}")
            self.connection.execute("COMMIT")
        except sqlite3.Error:
            raise ForbiddenStatement(
                f"A statement ended the transaction on {self.path} (OR ROLLBACK does that)",
                hint="Use OR ABORT, or RAISE(ABORT, ...): the engine undoes the whole step.",
            ) from None
        if self.connection.execute("PRAGMA page_count").fetchone()[0] == 1:
            # A one-page backup would be complete before its lock could be seen (`publish_around`).
            self.connection.execute("CREATE TABLE plugin_migrate_filler (x)")
            self.connection.execute("DROP TABLE plugin_migrate_filler")
        self.connection.end()
        self._after = _digest(self._copy) if os.path.getsize(self._copy) else None

    def as_change(self) -> Change | None:
        """Return the change that a database made by this step is: simply a new file."""
        if not self._is_new or self._after is None:
            return None
        before = (
            Node("file", 0o644, digest_of(self._live), 0) if os.path.exists(self._live) else None
        )
        after = Node("file", 0o644, digest_of(self._copy), os.path.getsize(self._copy))
        return Change(self.path, before, after, self._copy)

    @property
    def has_changed(self) -> bool:
        """Whether the step changed a database that was there before."""
        return not self._is_new and self._after != self._before

    def move_into(self, folder: str, name: str) -> DatabaseEntry:
        """Move the changed copy into the redo log and return its entry in the manifest."""
        moved = os.path.join(folder, name)
        os.rename(self._copy, moved)
        self._copy = moved
        self._is_moved = True
        return DatabaseEntry(self.path, name, self._before or "", self._after or "")

    def publish_around(self, commit: Callable[[], None]) -> None:
        """Lock the live database, call ``commit``, then finish publishing.

        With one page done the write lock is held, so nobody can change the database between the
        check and the step's commit (design, "Further SQLite databases").

        Raises:
            Conflict: another program changed it since the copy; nothing was committed.
            Busy: another program held it for too long; nothing was committed.
        """
        is_locked = False
        deadline = time.monotonic() + _PATIENCE

        def on_progress(status: int, _remaining: int, _total: int) -> None:
            nonlocal is_locked
            if is_locked:
                return
            if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                _check_deadline(deadline, self._live)
                return
            is_locked = True
            self._refuse_changed()
            commit()

        source = sqlite3.connect(self._copy, isolation_level=None)
        target = sqlite3.connect(self._live, timeout=0.1, isolation_level=None)
        try:
            target.execute("PRAGMA synchronous=EXTRA")
            source.backup(target, pages=1, progress=on_progress, sleep=0.05)
        finally:
            target.close()
            source.close()

    def close(self) -> None:
        """Close everything and remove the copy, unless it moved into the redo log."""
        # The author's connection is open only when the step failed.
        with suppress(sqlite3.Error):
            self.connection.end()
        self._stop_watching()
        if not self._is_moved:
            with suppress(FileNotFoundError):
                os.unlink(self._copy)

    def _stop_watching(self) -> None:
        if self._watched is not None:
            self._watched.close()
            self._watched = None
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _refuse_changed(self) -> None:
        assert self._watched is not None
        if self._live_version(self._watched) != self._version:
            raise Conflict(
                f"{self.path} was changed by another program while the migration ran",
                hint="Nothing was changed. Run the command again.",
            )

    def _live_version(self, watched: sqlite3.Connection) -> tuple[object, ...]:
        """Return what changes with every commit to the live database.

        While another connection holds the exclusive lock of a rollback journal, SQLite answers
        nothing, but the header's change counter can still be read; under WAL that counter stands
        still, and ``PRAGMA data_version`` answers.
        """
        assert self._descriptor is not None
        header = os.pread(self._descriptor, _HEADER_SIZE, 0)
        if header[18] == 2:
            return ("wal", watched.execute("PRAGMA data_version").fetchone()[0])
        status = os.stat(self._live)
        return ("journal", header[_COUNTER], status.st_ino)


def bring(live: str, copy: str, before: str, after: str, scratch: str, force: bool) -> bool:
    """Publish ``copy`` into ``live`` after the fact, unless somebody changed it since.

    Parameters:
        live, copy: paths of the two databases.
        before, after: digests of the live database before and after the step.
        scratch: a folder of ours for a temporary copy.
        force: publish over somebody's change.

    Returns:
        Whether the live database now stands as after the step.
    """
    now = digest_of_live(live, scratch)
    if now == after:
        return True
    if now != before and not force:
        return False
    source = sqlite3.connect(copy, isolation_level=None)
    target = sqlite3.connect(live, timeout=_PATIENCE, isolation_level=None)
    try:
        target.execute("PRAGMA synchronous=EXTRA")
        source.backup(target, progress=_deadline_for(live))
    except sqlite3.Error as error:
        raise database.unreadable(live, error) from error
    finally:
        target.close()
        source.close()
    return True


def digest_of_live(live: str, scratch: str) -> str | None:
    """Return the digest of a live database's pages, or ``None`` when there is no such database.

    Parameters:
        live: the database's path.
        scratch: a folder of ours for a temporary copy; created when missing.

    Raises:
        StateUnreadable, Busy: it cannot be read.
    """
    if not os.path.exists(live):
        return None
    os.makedirs(scratch, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        copy = os.path.join(folder, "copy.db")
        source = sqlite3.connect(live, timeout=_PATIENCE, isolation_level=None)
        try:
            _copy(source, copy)
        except sqlite3.Error as error:
            raise database.unreadable(live, error) from error
        finally:
            source.close()
        return _digest(copy)


def _copy(source: sqlite3.Connection, path: str) -> None:
    target = sqlite3.connect(path, isolation_level=None)
    try:
        target.execute("PRAGMA synchronous=OFF")
        source.backup(target, progress=_deadline_for(path))
    finally:
        target.close()


def _deadline_for(path: str) -> Callable[[int, int, int], None]:
    deadline = time.monotonic() + _PATIENCE

    def on_progress(status: int, _remaining: int, _total: int) -> None:
        if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            _check_deadline(deadline, path)

    return on_progress


def _check_deadline(deadline: float, path: str) -> None:
    if time.monotonic() > deadline:
        raise Busy(
            f"The database is held by another program: {path}",
            hint="Close it, or let it finish, and run the command again.",
        )


def _digest(path: str) -> str:
    """Return the SHA-256 of a closed database file's pages without the header's noise."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        header = bytearray(file.read(_HEADER_SIZE))
        for start, end in _HEADER_NOISE:
            header[start:end] = bytes(len(header[start:end]))
        digest.update(header)
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
