"""The connection on which a run reads the ledger, kept for its steps while nobody else writes.

Opening one parses the whole schema: 3 ms with 1,000 tables, 90 with 10,000.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import suppress

from . import database
from .errors import Busy, StateUnreadable
from .guard import StepConnection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    T = TypeVar("T")


class Standby:
    """Holds at most one connection to a state database, in no transaction and without a lock.

    Parameters:
        path: the database's path; it need not exist.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._connection: StepConnection | None = None
        # The file as it was before the connection was opened, or behind its last commit.
        self._file: object = None

    def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Do what :func:`plugin_migrate.database.read` does, and keep the connection if it may be.

        Others cannot commit meanwhile, as during any reading with SQLite's shared lock.

        Raises:
            StateUnreadable, Busy: see there.
        """
        if not database.leaves_no_trace(self._path):
            return database.read(self._path, query)
        try:
            connection = self._open(patience=0)
        except (StateUnreadable, Busy):  # such as one that may only be read
            return database.read(self._path, query)
        try:
            answer = database.ask(connection, query)
        except sqlite3.Error:
            connection.end()
            return database.read(self._path, query)
        except BaseException:
            connection.end()
            raise
        database.be_patient(connection)
        # The schema stays; the pages it was read from take as much room as half of it.
        connection.execute("PRAGMA shrink_memory")
        self._connection = connection
        return answer

    def take(self, foreign_keys: bool = False) -> StepConnection:
        """Return a connection in no transaction, whose caller closes it or gives it back.

        Raises:
            StateUnreadable: the database cannot be opened or written.
        """
        if foreign_keys or self._file != database.fingerprint(self._path):
            self.close()  # somebody has changed the file, or put another one in its place
        connection, self._connection = self._connection, None
        return connection or self._open(foreign_keys=foreign_keys)

    def keep(self, connection: StepConnection) -> None:
        """Take back, behind a commit, a connection that shows the next step nothing of the last.

        It is closed under WAL, where it would not notice that somebody removed or replaced the
        files it has open, and nobody else could choose another journal.
        """
        self._file = database.fingerprint(self._path)
        with suppress(sqlite3.Error):
            if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
                self._connection = connection
                return
        connection.end()

    def close(self) -> None:
        """Close what is open; may be called again."""
        if self._connection is not None:
            self._connection.end()
            self._connection = None

    def _open(self, foreign_keys: bool = False, patience: float | None = None) -> StepConnection:
        self._file = database.fingerprint(self._path)
        # Never made anew: one that is gone now was there when the ledger was read or made.
        return database.open_for_writing(
            self._path, StepConnection, patience, foreign_keys, options="mode=rw"
        )
