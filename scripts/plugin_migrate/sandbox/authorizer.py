"""What a migration may ask of a database connection, and the sentence it reads when it may not.

A step's transaction belongs to the engine: a COMMIT inside would tear the step from its ledger
row. SQLite's authorizer sees every statement when it is prepared and refuses it by number; this
module finds the words (design, "The commit protocol", clause 3).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from ..storage.sqlite import quoted_name
from .signals import Stop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

RESERVED_SAVEPOINT = "plugin_migrate_step"

_READING_PRAGMAS = frozenset(
    "application_id collation_list compile_options data_version database_list encoding"
    " foreign_key_check foreign_key_list freelist_count function_list index_info index_list"
    " index_xinfo integrity_check journal_mode module_list page_count page_size pragma_list"
    " quick_check schema_version table_info table_list table_xinfo user_version".split()
)
# Those of the above whose argument names what to look at rather than a new value.
_LOOKUP_PRAGMAS = frozenset(
    "foreign_key_check foreign_key_list index_info index_list index_xinfo integrity_check"
    " quick_check table_info table_list table_xinfo".split()
)
# SQLite ignores it inside a transaction (https://www.sqlite.org/pragma.html#pragma_foreign_keys):
# around a table rebuild, as everybody writes it, neither setting does harm.
_IDLE_PRAGMAS = frozenset({"foreign_keys"})
# They are transactional, or end the connection with the step's transaction.
_WRITABLE_PRAGMAS = frozenset({"application_id", "user_version", "optimize"})
_CONNECTION_PRAGMAS = frozenset(
    "case_sensitive_like defer_foreign_keys ignore_check_constraints legacy_alter_table"
    " recursive_triggers".split()
)

_NAMES_TABLE_FIRST = frozenset(
    {
        sqlite3.SQLITE_INSERT,
        sqlite3.SQLITE_UPDATE,
        sqlite3.SQLITE_DELETE,
        sqlite3.SQLITE_CREATE_TABLE,
        sqlite3.SQLITE_DROP_TABLE,
        sqlite3.SQLITE_CREATE_VTABLE,
        sqlite3.SQLITE_DROP_VTABLE,
        sqlite3.SQLITE_CREATE_VIEW,
        sqlite3.SQLITE_DROP_VIEW,
        sqlite3.SQLITE_CREATE_TEMP_TABLE,
        sqlite3.SQLITE_DROP_TEMP_TABLE,
        sqlite3.SQLITE_CREATE_TEMP_VIEW,
        sqlite3.SQLITE_DROP_TEMP_VIEW,
    }
)
_NAMES_TABLE_SECOND = frozenset(
    {
        sqlite3.SQLITE_ALTER_TABLE,
        sqlite3.SQLITE_CREATE_INDEX,
        sqlite3.SQLITE_DROP_INDEX,
        sqlite3.SQLITE_CREATE_TRIGGER,
        sqlite3.SQLITE_DROP_TRIGGER,
        sqlite3.SQLITE_CREATE_TEMP_INDEX,
        sqlite3.SQLITE_DROP_TEMP_INDEX,
        sqlite3.SQLITE_CREATE_TEMP_TRIGGER,
        sqlite3.SQLITE_DROP_TEMP_TRIGGER,
    }
)
_READS = frozenset({sqlite3.SQLITE_READ, sqlite3.SQLITE_SELECT, sqlite3.SQLITE_FUNCTION})
_CHANGES_ROWS = frozenset({sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE})
_TRIGGERS = frozenset({sqlite3.SQLITE_CREATE_TRIGGER, sqlite3.SQLITE_CREATE_TEMP_TRIGGER})


class Refused(sqlite3.DatabaseError):
    """A statement that a step may not run; the message says why and what to do instead."""


class Authorizer:
    """Watches one connection while a migration's own statements run.

    Parameters:
        connection: whose authorizer this becomes.
        reserved: lower-case names of tables that only the engine may write.

    ``written``, ``altered`` and ``made_triggers`` collect the tables that the guarded statements
    wrote, those that ALTER TABLE named, and the triggers they made; ``leaves_traces`` tells that
    no other step may share the connection; ``is_armed`` that statements count as the migration's
    rather than the engine's.
    """

    def __init__(
        self, connection: sqlite3.Connection, reserved: frozenset[str] = frozenset()
    ) -> None:
        self.written: set[str] = set()
        self.altered: set[str] = set()
        self.made_triggers: set[str] = set()
        self.leaves_traces = False
        self.refusal: str | None = None
        self._connection = connection
        self._reserved = reserved
        self.is_armed = False
        connection.set_authorizer(self._authorize)

    @contextmanager
    def armed(self) -> Iterator[None]:
        """Within this block statements count as the migration's, outside it as the engine's."""
        self.is_armed = True
        self.refusal = None
        try:
            yield
        finally:
            self.is_armed = False

    def refuse(self, sentence: str) -> Refused:
        """Return the error for a habit that the connection's methods catch themselves."""
        self.refusal = sentence
        return Refused(sentence)

    def explained(self, error: sqlite3.Error) -> sqlite3.Error:
        """Return ``error``, or the sentence that explains SQLite's "not authorized"."""
        # Not by its code: a CREATE TABLE that is refused within has the general one.
        if str(error) == "not authorized" and self.refusal:
            return Refused(self.refusal)
        if "VACUUM" in str(error):
            return Refused(f"{error}: put it in a migration of its own, with transaction:false")
        return error

    def _authorize(
        self,
        action: int,
        first: str | None,
        second: str | None,
        database: str | None,
        trigger: str | None,
    ) -> int:
        if not self.is_armed:
            return sqlite3.SQLITE_OK
        # For `CREATE TABLE temp.x` SQLite names the place only, not the kind of action. Its own
        # UPDATE there belongs to every RENAME, whether anything temporary exists or not.
        if database == "temp" and action not in _READS and action != sqlite3.SQLITE_UPDATE:
            self.leaves_traces = True
        sentence = self._objection(action, first or "", second or "")
        if sentence is None:
            return sqlite3.SQLITE_OK
        self.refusal = sentence
        return sqlite3.SQLITE_DENY

    def _objection(self, action: int, first: str, second: str) -> str | None:
        """Return why the action is refused, or ``None``; first what happens most often."""
        if not self._connection.in_transaction:
            return (
                "The step's transaction has ended (OR ROLLBACK or RAISE(ROLLBACK) does that);"
                " nothing more can run in it"
            )
        # SQLite asks fifteen times for a small table, most of it about its own sqlite_master.
        if action in _READS or (action in _CHANGES_ROWS and first in self.written):
            return None
        if action in _NAMES_TABLE_FIRST:
            return self._about_table(action, first)
        if action in _NAMES_TABLE_SECOND:
            if action in _TRIGGERS:
                self.made_triggers.add(first)
            return self._about_table(action, second)
        if action == sqlite3.SQLITE_PRAGMA:
            return self._about_pragma(first.lower(), second)
        if action == sqlite3.SQLITE_TRANSACTION:
            return (
                f"{first} is not for a migration: the step is one transaction, which the engine"
                " commits together with the ledger; leave it out"
            )
        if action == sqlite3.SQLITE_SAVEPOINT and second.lower() == RESERVED_SAVEPOINT:
            return f"The savepoint {second} belongs to the engine; use another name"
        if action in (sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH):
            return (
                "ATTACH and DETACH are not for a migration: several databases would not commit as"
                ' one; use ctx.database("other.db") in Python or TypeScript'
            )
        return None

    def _about_table(self, action: int, table: str) -> str | None:
        if table.lower() in self._reserved:
            return (
                f"The table '{table}' belongs to the ledger, and a migration may only read it; use"
                " another name, or rename the ledger with ledger_table in plugin-migrate.yaml"
            )
        self.written.add(table)
        if action == sqlite3.SQLITE_ALTER_TABLE:
            self.altered.add(table)
        return None

    def _about_pragma(self, name: str, value: str) -> str | None:
        if name in _IDLE_PRAGMAS or name in _WRITABLE_PRAGMAS or name in _LOOKUP_PRAGMAS:
            return None
        if name in _CONNECTION_PRAGMAS:
            self.leaves_traces = True
            return None
        if name in _READING_PRAGMAS and not value:
            return None
        return (
            f"PRAGMA {name} could damage or detach the step; put it in a migration of its own,"
            " with transaction:false"
        )


class StepCursor(sqlite3.Cursor):
    """A cursor whose refusals are sentences."""

    connection: StepConnection

    def execute(self, *arguments: Any) -> StepCursor:
        """Execute one statement; see :class:`sqlite3.Cursor`."""
        try:
            super().execute(*arguments)
        except sqlite3.DatabaseError as error:
            self.connection.explain(error)
            raise
        return self

    def executemany(self, *arguments: Any) -> StepCursor:
        """Execute one statement for many rows; see :class:`sqlite3.Cursor`."""
        try:
            super().executemany(*arguments)
        except sqlite3.DatabaseError as error:
            self.connection.explain(error)
            raise
        return self

    def executescript(self, script: str) -> sqlite3.Cursor:
        """Refuse: it commits before it starts."""
        raise self.connection.refuse_script()


class StepConnection(sqlite3.Connection):
    """The connection a migration author gets: ordinary, but for the end of its transaction.

    The habits that would end it (``commit()``, ``with db:``, ``executescript``) are refused with
    the reason before they do anything.
    """

    authorizer: Authorizer | None = None

    def explain(self, error: sqlite3.DatabaseError) -> None:
        """Raise the guard's sentence in place of SQLite's "not authorized".

        A signal that comes during a statement is told to SQLite, and by SQLite as an error that a
        migration could catch: so it becomes a signal's again.
        """
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT:
            raise Stop from None
        explained = self.authorizer.explained(error) if self.authorizer else error
        if explained is not error:
            raise explained from None

    def cursor(self, factory: Any = StepCursor) -> Any:
        """Return a cursor whose refusals are sentences."""
        return super().cursor(factory)

    # sqlite3's own two make a plain cursor, whatever `cursor` returns.

    def execute(self, *arguments: Any) -> StepCursor:
        """Execute one statement; see :class:`sqlite3.Connection`."""
        cursor: StepCursor = self.cursor()
        return cursor.execute(*arguments)

    def executemany(self, *arguments: Any) -> StepCursor:
        """Execute one statement for many rows; see :class:`sqlite3.Connection`."""
        cursor: StepCursor = self.cursor()
        return cursor.executemany(*arguments)

    def blobopen(self, table: str, column: str, row: int, /, **options: Any) -> sqlite3.Blob:
        """Open a value for piecewise access; see :class:`sqlite3.Connection`.

        SQLite shows the authorizer nothing of it, so it is shown the UPDATE that writing equals.
        """
        if not options.get("readonly", False):
            place = ".".join(map(quoted_name, (options.get("name", "main"), table)))
            column_name = quoted_name(column)
            self.execute(f"EXPLAIN UPDATE {place} SET {column_name} = {column_name}").close()
        return super().blobopen(table, column, row, **options)

    def commit(self) -> None:
        """Refuse: the engine commits."""
        raise self._refuse(
            "ctx.db.commit() is not needed: the engine commits the step when it returns, together"
            " with its files and its ledger row"
        )

    def rollback(self) -> None:
        """Refuse: an exception undoes the step."""
        raise self._refuse(
            "ctx.db.rollback() is not for a migration: raise an exception, and the engine undoes"
            " the whole step"
        )

    def __enter__(self) -> StepConnection:
        raise self._refuse(
            "`with ctx.db:` would commit at its end: leave it out, the engine commits the step"
        )

    def executescript(self, script: str) -> sqlite3.Cursor:
        """Refuse: it commits before it starts."""
        raise self.refuse_script()

    def refuse_script(self) -> Refused:
        """Return the error for ``executescript``, which commits before it starts."""
        return self._refuse(
            "executescript() commits first: call execute() for each statement, or write the"
            " migration in SQL"
        )

    def set_authorizer(self, callback: Any) -> None:
        """Install the engine's guard; refuse any other."""
        if self.authorizer is not None:
            raise self._refuse("The authorizer of ctx.db belongs to the engine")
        super().set_authorizer(callback)

    def close(self) -> None:
        """Refuse: the engine closes the connection."""
        raise self._refuse("ctx.db stays open: the engine closes it after the step")

    def end(self) -> None:
        """Close the connection; for the engine."""
        super().close()

    def _refuse(self, sentence: str) -> Refused:
        return self.authorizer.refuse(sentence) if self.authorizer else Refused(sentence)
