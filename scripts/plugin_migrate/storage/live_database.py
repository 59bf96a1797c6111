"""A live SQLite database as this process found it: copied, compared, and replaced if unchanged.

A plain file copy would miss what still stands in a write-ahead log, so contents always travel
through ``sqlite3_backup``. It retries a busy database forever; every use here has a deadline.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import tempfile
import time
from collections.abc import Callable

from ..errors import Busy, Call, Conflict, DatabaseReplaced, NeedsRepair
from ..platform import system
from . import sqlite
from .database_files import refuse_special
from .durable import start_sync
from .files import copy_content, require_room

_PATIENCE = 5.0
_CHUNK = 1 << 20
# Header bytes that say how the file was written rather than what it holds: journal kind, change
# counter, schema cookie, version-valid-for and library version
# (https://www.sqlite.org/fileformat.html, 1.3).
_HEADER_NOISE = ((18, 20), (24, 28), (40, 44), (92, 100))
_COUNTER = slice(24, 28)


class LiveDatabase:
    """Watches one existing database from its copying to its replacing.

    Parameters:
        path: the database's real path.

    ``digest`` is that of its pages when it was copied (see :func:`digest_of_closed`).

    Raises:
        StateUnreadable: the file is not a database, or read-only.
    """

    def __init__(self, path: str) -> None:
        sqlite.require_writable(path)
        refuse_special(path)  # opening a named pipe would never end
        self._path = path
        # Opened before any connection and closed after the last one: closing it in between would
        # drop SQLite's locks (https://www.sqlite.org/howtocorrupt.html, 2.2).
        self._descriptor: int | None = system.open_to_read(path)
        try:
            self._connection = sqlite.connect(
                path, sqlite3.Connection, _PATIENCE, options="mode=rw"
            )
        except BaseException:
            os.close(self._descriptor)
            raise
        self._version: tuple[object, ...] = ()
        self._copy = ""
        self.digest = ""

    def copy_to(self, copy: str) -> None:
        """Copy the database to the file ``copy`` and remember which state that is.

        Raises:
            StateUnreadable, Busy: it cannot be read.
        """
        self._copy = copy
        try:
            self._connection.execute("BEGIN")
            self._connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()
            self._version = self._current_version()
            copy_database(self._connection, self._path, copy)
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise sqlite.unreadable(self._path, error) from error
        self.digest = digest_of_closed(copy)

    def replace_by(self, copy: str, meanwhile: Callable[[], None]) -> None:
        """Lock the database, call ``meanwhile``, then give it the content of ``copy``.

        With one page done the write lock is held, so nobody can change the database between the
        check and ``meanwhile`` (design, "Further SQLite databases"). What ``meanwhile`` raises
        leaves the database as it was, if ``copy`` has at least two pages: the backup of a single
        one is complete before its lock can be seen. See :func:`pad_to_two_pages`.

        Raises:
            Conflict: another program changed it since the copy was made.
            DatabaseReplaced: another file has taken its place, before or during ``meanwhile``.
            Busy: another program held it for too long.
            StateUnreadable: it cannot be written.
        """
        is_locked = False
        deadline = time.monotonic() + _PATIENCE

        def on_progress(status: int, _remaining: int, _total: int) -> None:
            nonlocal is_locked
            if is_locked:
                return
            if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                _check_deadline(deadline, self._path)
            # Anything else, such as READONLY, ends the backup with an error: no lock was taken.
            if status not in (sqlite3.SQLITE_OK, sqlite3.SQLITE_DONE):
                return
            is_locked = True
            if status == sqlite3.SQLITE_OK:
                self._refuse_changed()
            meanwhile()
            self._refuse_replaced()

        source = sqlite.open_closed(copy)
        target = sqlite.connect(self._path, sqlite3.Connection, timeout=0.1, options="mode=rw")
        try:
            sqlite.make_durable(target, self._path)
            self._refuse_changed()
            source.backup(target, pages=1, progress=on_progress, sleep=0.05)
        except sqlite3.Error as error:
            raise sqlite.unreadable(self._path, error) from error
        finally:
            target.close()
            source.close()

    def close(self) -> None:
        """Stop watching; may be called again."""
        self._connection.close()
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _refuse_changed(self) -> None:
        self._refuse_replaced()
        if self._current_version() != self._version and not self._holds_the_same():
            raise Conflict(
                f"The database {self._path} was changed by another program meanwhile",
                hint="Nothing was changed. Run the command again.",
            )

    def _refuse_replaced(self) -> None:
        """Refuse to go on when the path leads to another file than the one that was copied."""
        assert self._descriptor is not None
        if sqlite.identity_of(self._path) != sqlite.identity_of(self._descriptor):
            raise DatabaseReplaced(
                f"The database {self._path} was replaced by another file meanwhile",
                hint="The new file is as it was put there. Run the command again.",
            )

    def _holds_the_same(self) -> bool:
        """Return whether nothing changed but the version: under WAL a checkpoint changes that."""
        with tempfile.TemporaryDirectory(dir=os.path.dirname(self._copy)) as folder:
            now = os.path.join(folder, "now.db")
            copy_database(self._connection, self._path, now)
            return digest_of_closed(now) == self.digest

    def _current_version(self) -> tuple[object, ...]:
        """Return what changes with every commit.

        While another connection holds the exclusive lock of a rollback journal, SQLite answers
        nothing, but the header's change counter can still be read; under WAL that counter stands
        still, and ``PRAGMA data_version`` answers.
        """
        assert self._descriptor is not None
        header = system.read_at(self._descriptor, sqlite.HEADER_SIZE, 0)
        if sqlite.is_under_wal(header):
            return ("wal", self._connection.execute("PRAGMA data_version").fetchone()[0])
        return ("journal", header[_COUNTER])


def pad_to_two_pages(connection: sqlite3.Connection) -> None:
    """Give a one-page database a second page.

    Its backup would be complete before its lock could be seen (:meth:`LiveDatabase.replace_by`).
    """
    if connection.execute("PRAGMA page_count").fetchone()[0] == 1:
        connection.execute("CREATE TABLE plugin_migrate_filler (x)")
        connection.execute("DROP TABLE plugin_migrate_filler")


def publish_copy(live: str, copy: str, before: str, after: str, scratch: str, force: bool) -> bool:
    """Publish ``copy`` into ``live`` after the fact, unless somebody changed it since.

    Parameters:
        live, copy: paths of the two databases.
        before, after: digests of the live database before and after the step.
        scratch: a folder of ours for a temporary copy.
        force: publish over somebody's change.

    Returns:
        Whether the live database now stands as after the step.

    Raises:
        NeedsRepair: the copy is damaged.
        StateUnreadable, Busy: the live database cannot be read or written.
    """
    if not os.path.exists(live):
        return False
    os.makedirs(scratch, exist_ok=True)
    watched = LiveDatabase(live)
    try:
        with tempfile.TemporaryDirectory(dir=scratch) as folder:
            watched.copy_to(os.path.join(folder, "copy.db"))
            if watched.digest == after:
                return True
            if watched.digest != before and not force:
                return False
            _refuse_damaged(copy, after)
            watched.replace_by(copy, lambda: None)
    except Conflict:  # somebody changed or replaced it in this instant
        return False
    finally:
        watched.close()
    return True


def _refuse_damaged(copy: str, after: str) -> None:
    if not os.path.exists(copy) or digest_of_closed(copy) != after:
        raise NeedsRepair(
            "A redo log is damaged: its copy of a database is not what the step wrote",
            file=copy,
            hint=("Accept the live database: ", Call("repair", "--keep-live")),
        )


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
        source = sqlite.connect(live, sqlite3.Connection, _PATIENCE, options="mode=rw")
        try:
            copy_database(source, live, copy)
        except sqlite3.Error as error:
            raise sqlite.unreadable(live, error) from error
        finally:
            source.close()
        return digest_of_closed(copy)


def copy_database(source: sqlite3.Connection, original: str, path: str) -> None:
    """Copy the database ``original``, to which ``source`` is connected, to the file ``path``.

    Nothing is synced.

    Raises:
        sqlite3.Error: it cannot be read or written.
        Busy: another program held it for too long.
        OSError: there is no room for the copy.
    """
    _require_room(original, path)
    target = sqlite.connect(path, sqlite3.Connection, _PATIENCE)
    try:
        target.execute("PRAGMA synchronous=OFF")
        source.backup(target, progress=_deadline_for(path))
    finally:
        target.close()


def _require_room(original: str, copy: str) -> None:
    """Refuse to fill the disk: a file with a hole can be a database of any size.

    A copy of it has no hole, whichever way it is made.
    """
    # By stat: opening it would cost this process its locks, and asking SQLite parses the schema.
    size = os.path.getsize(original)
    require_room("a copy of the database", original, size, os.path.dirname(copy))


def _connect(path: str) -> sqlite3.Connection:
    return sqlite.connect(path, sqlite3.Connection, sqlite.READ_PATIENCE, options="mode=rw")


def copy_live(
    path: str, copy: str, connect: Callable[[str], sqlite3.Connection] = _connect
) -> None:
    """Copy the database at ``path``, which other programs may use, as it is at one moment.

    Nothing is synced, but the system begins to write. While SQLite's shared lock is held nobody
    writes to the file of a database with a rollback journal, so its bytes are its content, and
    copying them costs a fifth of what the backup API takes. What stands in a write-ahead log only
    that API knows.

    Parameters:
        connect: opens it; one that can write leaves no files of SQLite's beside it.

    Raises:
        StateUnreadable, Busy: it cannot be read.
        OSError: the copy cannot be written.
    """
    # Opened first and closed last: closing any descriptor of a database drops this process's locks
    # on it (https://www.sqlite.org/howtocorrupt.html, 2.2).
    refuse_special(path)
    with open(path, "rb", buffering=0) as file:
        source = connect(path)
        try:
            source.execute("BEGIN")
            source.execute("PRAGMA schema_version").fetchall()  # takes the lock, parses no schema
            header = system.read_at(file.fileno(), sqlite.HEADER_SIZE, 0)
            if sqlite.is_under_wal(header) or not header:
                copy_database(source, path, copy)
                start_sync(copy)
            else:
                _require_room(path, copy)
                copy_content(file, copy)
        except sqlite3.Error as error:
            raise sqlite.unreadable(path, error) from error
        finally:
            source.close()


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


def digest_of_closed(path: str) -> str:
    """Return the SHA-256 of a closed database file's pages without the header's noise.

    Two copies of one state have one digest, however often the original was written.
    """
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        header = bytearray(file.read(sqlite.HEADER_SIZE))
        for start, end in _HEADER_NOISE:
            header[start:end] = bytes(len(header[start:end]))
        digest.update(header)
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
