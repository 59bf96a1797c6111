"""Connections to SQLite: reading that leaves no trace, and writing that survives a crash."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable

from ..errors import Busy, Call, InterruptedWriter, StateUnreadable
from ..platform import system
from .database_files import refuse_special, refuse_unsafe
from .durable import is_disposable

TYPE_CHECKING = False  # `typing` costs 4 ms at run time
if TYPE_CHECKING:
    from typing import TypeVar

    T = TypeVar("T")
    C = TypeVar("C", bound=sqlite3.Connection)

# How long reading waits for a writer's commit (design, "Reading").
READ_PATIENCE = 0.25
# How long a step waits for another program's transaction to end.
WRITE_PATIENCE = 5.0

# How many bytes tell how a database file is written.
HEADER_SIZE = 100
_ATTEMPTS = 20
_RECOVER = ("Put a backup back (see: ", Call("restore"), "), or try sqlite3's .recover.")
_ENVIRONMENTAL = tuple(
    f"SQLITE_{name}" for name in "READONLY CANTOPEN PERM IOERR FULL CORRUPT NOTADB".split()
)


def read(path: str, query: Callable[[sqlite3.Connection], T]) -> T:
    """Return ``query(connection)`` from a connection that cannot write and leaves no file behind.

    Without a ``-wal`` and a ``-journal`` nobody is writing, and ``immutable=1`` reads the bare
    file: a plain ``mode=ro`` would leave ``-shm`` and ``-wal`` beside a WAL database. Somebody may
    start writing meanwhile, so a look at the file afterwards decides whether the answer counts.
    ``query`` may therefore run several times and must only read.

    Raises:
        Busy: a writer's commit lasted longer than 250 ms.
        InterruptedWriter: another program's journal has to be rolled back first.
        StateUnreadable: the file is not a database, or cannot be read.
    """
    for _ in range(_ATTEMPTS):
        before = fingerprint(path)
        options = "mode=ro" if before[1] else "mode=ro&immutable=1"
        try:
            answer = _ask(path, options, query)
        except sqlite3.Error as error:
            if fingerprint(path) != before:
                continue
            raise unreadable(path, error) from error
        if before[1] or fingerprint(path) == before:
            return answer
    raise Busy(
        f"The database is being written without a pause: {path}", hint="Try again in a moment."
    )


def read_to_write(path: str, query: Callable[[sqlite3.Connection], T]) -> T:
    """Do what :func:`read` does, after SQLite has rolled back what a killed writer left.

    For commands that may write, which hold the run lock.

    Raises:
        StateUnreadable, Busy: see :func:`read` and :func:`connect`.
    """
    try:
        return read(path, query)
    except InterruptedWriter:
        # Beginning to read is what makes SQLite do it.
        sqlite3.Connection.close(open_for_writing(path, sqlite3.Connection, options="mode=rw"))
        return read(path, query)


def open_for_reading(path: str, options: str = "mode=ro") -> sqlite3.Connection:
    """Return a connection that cannot write; ``options`` are URI parameters of SQLite's.

    It rolls no journal back, and so deletes nothing either (design, "Reading").

    Raises:
        StateUnreadable: something that is not a plain file stands at the database, or beside it.
        sqlite3.Error: it cannot be opened.
    """
    refuse_special(path)
    return sqlite3.connect(
        _uri(path, options), uri=True, timeout=READ_PATIENCE, isolation_level=None
    )


def open_closed(path: str) -> sqlite3.Connection:
    """Return a connection to read a database that nobody writes, such as a copy of ours.

    SQLite looks at no file beside it then, whatever a cloned repository put there.

    Raises:
        StateUnreadable, sqlite3.Error: it cannot be opened.
    """
    return open_for_reading(path, "mode=ro&immutable=1")


def connect(path: str, factory: type[C], timeout: float, options: str = "mode=rwc") -> C:
    """Return a connection that can write: the only way to get one.

    Parameters:
        timeout: seconds to wait for other programs.
        options: URI parameters of SQLite's.

    Raises:
        StateUnreadable: the file cannot be opened, or SQLite would reach beyond it: see
            :func:`plugin_migrate.storage.database_files.refuse_unsafe`.
    """
    refuse_unsafe(path)
    try:
        return sqlite3.connect(
            _uri(path, options),
            uri=True,
            timeout=timeout,
            isolation_level=None,
            cached_statements=0,
            factory=factory,
        )
    except sqlite3.Error as error:
        raise unreadable(path, error) from error


def _ask(path: str, options: str, query: Callable[[sqlite3.Connection], T]) -> T:
    connection = open_for_reading(path, options)
    try:
        return ask(connection, query)
    finally:
        connection.close()


def ask(connection: sqlite3.Connection, query: Callable[[sqlite3.Connection], T]) -> T:
    """Return ``query(connection)``, leaving the connection as it was before.

    Raises:
        sqlite3.Error: the query failed; the connection is to be closed.
    """
    # A cloned repository's schema must not get at functions with side effects
    # (https://www.sqlite.org/security.html).
    (trusted,) = connection.execute("PRAGMA trusted_schema").fetchone()
    connection.execute("PRAGMA trusted_schema=OFF")
    # One transaction, so that several questions see one state.
    try:
        connection.execute("BEGIN")
        answer = query(connection)
        connection.execute("COMMIT")
    except UnicodeError as error:
        raise _not_utf8() from error
    connection.execute(f"PRAGMA trusted_schema={trusted}")
    return answer


def _not_utf8() -> sqlite3.DatabaseError:
    """Return SQLite's error for a schema that is not UTF-8, of which its own message is not either.

    Python then raises UnicodeDecodeError in its place.
    """
    error = sqlite3.DatabaseError("it names something by what is not UTF-8")
    error.sqlite_errorname = "SQLITE_CORRUPT"
    return error


def quoted_name(name: str) -> str:
    """Return the name of a table or column as it stands in a statement."""
    return '"' + name.replace('"', '""') + '"'


def table_kind(database: sqlite3.Connection | sqlite3.Cursor, table: str) -> str | None:
    """Return ``table``, ``virtual``, ``shadow`` or ``view``; ``None`` where there is none."""
    query = "SELECT type FROM pragma_table_list(?) WHERE schema = 'main'"
    row = database.execute(query, (table,)).fetchone()
    return row[0] if row else None


def is_environmental(error: sqlite3.Error) -> bool:
    """Return whether an error is about the file, the disk or permissions and not about the SQL."""
    return getattr(error, "sqlite_errorname", "").startswith(_ENVIRONMENTAL)


def _uri(path: str, options: str) -> str:
    """Return the URI file name of ``path`` (https://www.sqlite.org/uri.html)."""
    escaped = path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    return f"file:{escaped}?{options}"


def fingerprint(path: str) -> tuple[tuple[int, ...] | None, bool]:
    """Return what tells whether the file changed, and whether a writer left files beside it."""
    try:
        status = os.stat(path)
    except OSError:
        return None, False
    beside = os.path.lexists(path + "-wal") or os.path.lexists(path + "-journal")
    return (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns), beside


def identity_of(file: str | int) -> tuple[int, int] | None:
    """Return device and inode of a path, or of an open file's descriptor; ``None`` without one."""
    try:
        status = os.stat(file)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def is_under_wal(header: bytes) -> bool:
    """Return whether a database's first bytes say that it has a write-ahead log.

    They say so for readers and for writers (https://www.sqlite.org/fileformat.html, 1.3).
    """
    return b"\x02" in header[18:20]


def open_for_writing(
    path: str,
    factory: type[C],
    foreign_keys: bool = False,
    options: str = "mode=rwc",
) -> C:
    """Return a connection with the settings the commit protocol needs.

    It waits for other programs as long as a step does; ``options`` are URI parameters of SQLite's.

    No transaction is open and none is opened implicitly. ``cache_spill=0``: a large transaction
    must not lock readers out before it commits. Statements are not cached, because a cached one
    is not shown to the authorizer again.

    Raises:
        StateUnreadable: the file cannot be opened or is not a database.
    """
    require_writable(path)
    connection = connect(path, factory, WRITE_PATIENCE, options)
    try:
        connection.execute("PRAGMA cache_spill=0")
        make_durable(connection, path)
        connection.execute(f"PRAGMA foreign_keys={'ON' if foreign_keys else 'OFF'}")
        connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()
    except (sqlite3.Error, UnicodeError) as error:
        # Not `connection.close()`, which a factory may have refused to migrations' code.
        sqlite3.Connection.close(connection)
        told = error if isinstance(error, sqlite3.Error) else _not_utf8()
        raise unreadable(path, told) from error
    return connection


def make_durable(connection: sqlite3.Connection, path: str) -> None:
    """Let what is committed to the database at ``path`` survive a power cut.

    ``synchronous=EXTRA``: FULL does not sync the directory after the journal's unlink, so a
    committed step could come undone. A database that is thrown away anyway is not synced.
    """
    if is_disposable(path):
        connection.execute("PRAGMA synchronous=OFF")
        return
    connection.execute("PRAGMA synchronous=EXTRA")
    if system.SYNCS_ONLY_TO_DRIVE:
        connection.execute("PRAGMA fullfsync=ON")


def require_writable(path: str) -> None:
    """Refuse an existing database that may only be read.

    Connecting to it would leave ``-wal`` and ``-shm`` files of the same mode under WAL, and those
    would stand in the way even after the database's own mode has been corrected.

    Raises:
        StateUnreadable: it is read-only.
    """
    if os.path.exists(path) and not os.access(path, os.W_OK):
        raise StateUnreadable(
            "The database is read-only",
            file=path,
            hint="Correct its permissions, then run the command again.",
        )


def begin_immediate(connection: sqlite3.Connection, path: str) -> None:
    """Take the write lock now: a deferred read-then-write would get BUSY without waiting.

    Raises:
        Busy: another program kept its transaction open for too long.
        StateUnreadable: the database cannot be written.
    """
    started = time.monotonic()
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.Error as error:
        if is_busy(error):
            raise Busy(
                f"Another program has been writing the database for"
                f" {time.monotonic() - started:.0f} seconds: {path}",
                hint="Close it or let it finish, then try again.",
            ) from error
        raise unreadable(path, error) from error


def is_busy(error: sqlite3.Error) -> bool:
    """Return whether an error only says that somebody else has the lock."""
    return getattr(error, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether an error says that the file is not, or no longer, a database."""
    return getattr(error, "sqlite_errorname", "").startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB"))


def unreadable(path: str, error: sqlite3.Error) -> Busy | StateUnreadable:
    """Return the error to raise for a database that SQLite could not work with."""
    name = getattr(error, "sqlite_errorname", "")
    if is_busy(error):
        return Busy(f"The database is locked by another program: {path}", hint="Try again soon.")
    if name == "SQLITE_READONLY_ROLLBACK":
        return InterruptedWriter(
            "A program was interrupted while writing the database",
            file=path,
            hint=(
                "What it left half done is undone by the next command that writes: ",
                Call("upgrade"),
                "\nOr open the database with the program that it belongs to.",
            ),
        )
    if name == "SQLITE_NOTADB":
        return StateUnreadable(
            "The file is not an SQLite database",
            file=path,
            hint="Point to the right one, with --database or in the settings, or restore it.",
        )
    if name.startswith("SQLITE_CORRUPT"):
        return StateUnreadable(
            f"The database is damaged: {error}",
            file=path,
            hint=_RECOVER,
        )
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH")):
        return StateUnreadable(
            f"The database cannot be opened for this: {error}",
            file=path,
            hint="Check the permissions of the file and its folder, and that the disk is writable.",
        )
    if name == "SQLITE_FULL":
        return StateUnreadable("The disk is full", file=path, hint="Free some space, then go on.")
    return StateUnreadable(f"The database cannot be used: {error}", file=path, hint=_RECOVER)
