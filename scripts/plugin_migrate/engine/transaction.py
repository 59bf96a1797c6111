"""One transaction on the state database: steps, their ledger rows, and the instant of commit."""

from __future__ import annotations

import os
import re
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from ..errors import (
    Conflict,
    DatabaseReplaced,
    ForbiddenStatement,
    MigrateError,
    Place,
    StateUnreadable,
    Unpublished,
)
from ..languages.foreign_key_mode import ForeignKeyMode
from ..ledger.schema import ensure_ledger, ledger_tables
from ..ledger.write import LedgerWriter
from ..platform import system
from ..platform.moving import remove
from ..sandbox.authorizer import RESERVED_SAVEPOINT, Authorizer, StepConnection
from ..sandbox.signals import Signals
from ..storage import sqlite
from ..storage.durable import make_folder
from ..version import Version
from ..workspace import Workspace, is_inside
from .foreign_keys import ForeignKeys
from .prepare import Prepared

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..sandbox.context import Context
    from ..sandbox.staging import Staging
    from ..storage.nodes import PathChange

# Virtual machine instructions between two looks at a waiting signal: about a millisecond.
_INSTRUCTIONS_PER_LOOK = 50_000
# Compiled when it is needed, which is seldom.
_NOT_NAMES = r"'(?:[^']|'')*'|--[^\n]*|(?s:/\*.*?\*/)"


class Transaction:
    """Holds the database's write lock from construction to :meth:`commit` or :meth:`abandon`.

    Parameters:
        workspace: whose state database; it must exist.
        done_by: who runs this, for the ledger.
        signals: end a long statement when a signal arrives.
        steps: those that may run in it, at most a few hundred.
        foreign_keys: let SQLite enforce them.

    ``workspace`` is the one it was given.

    Raises:
        Busy, StateUnreadable: the database cannot be locked or written.
    """

    def __init__(
        self,
        workspace: Workspace,
        done_by: str,
        signals: Signals,
        steps: Sequence[Prepared],
        foreign_keys: bool = False,
    ) -> None:
        self.workspace = workspace
        self._reserved = ledger_tables(workspace.config.ledger_table)
        # Known before it is opened, so that one put in its place later is sure to differ.
        self._file = sqlite.identity_of(workspace.database)
        # Never made again: one that is gone now was there when the ledger was read or made.
        self.connection = sqlite.open_for_writing(
            workspace.database, StepConnection, foreign_keys=foreign_keys, options="mode=rw"
        )
        self._cursor = sqlite3.Cursor(self.connection)
        self.ledger = LedgerWriter(self.connection, workspace.config.ledger_table, done_by)
        try:
            sqlite.begin_immediate(self.connection, workspace.database)
            # Of all steps at once: from here on nobody else can write the ledger.
            self._rows = self.ledger.directions([step.version for step in steps])
        except sqlite3.Error as error:
            self.abandon()
            raise sqlite.unreadable(workspace.database, error) from error
        except BaseException:
            self.abandon()
            raise
        self._log = sqlite.identity_of(workspace.database + "-wal")
        self._recorded: dict[Version, bool] = {}
        self.connection.set_progress_handler(signals.interrupts_sqlite, _INSTRUCTIONS_PER_LOOK)
        self.authorizer = Authorizer(self.connection, self._reserved)
        self.connection.authorizer = self.authorizer
        self.written: set[str] = set()
        # Of the step that was checked last.
        self.latest_written: set[str] = set()
        self._foreign_keys = ForeignKeys(self._cursor, self.open_earlier)

    def run(self, prepared: Prepared, context: Context) -> int:
        """Run one step's action and return its duration in milliseconds; records nothing.

        Raises:
            StepFailed: the author's code or SQL failed.
            ForbiddenStatement: it ended the transaction, or touched the ledger.
            Conflict: the ledger changed since the plan was made.
        """
        is_applied = self._rows.get(str(prepared.version)) == "up"
        if is_applied != (prepared.direction == "down"):
            raise Conflict(
                f"Somebody else changed the ledger: {prepared.version} is no longer due",
                hint="Run the command again.",
            )
        started = time.perf_counter()
        self._cursor.execute(f"SAVEPOINT {RESERVED_SAVEPOINT}")
        with self.authorizer.armed():
            prepared.action.run(context)
        self._release()
        self._refuse_triggers()
        return round((time.perf_counter() - started) * 1000)

    def record(self, prepared: Prepared, duration_ms: int) -> None:
        """Write the step's ledger and history rows."""
        if prepared.direction == "down":
            self.ledger.remove(prepared.version)
        else:
            if str(prepared.version) in self._rows:  # another engine's, of a rollback
                self.ledger.forget(prepared.version)
            self.ledger.add(
                prepared.migration, prepared.description, prepared.metadata, duration_ms
            )
        self._recorded[prepared.version] = prepared.direction == "up"
        self.ledger.log(
            prepared.direction, "done", prepared.version, prepared.description, duration_ms
        )

    def record_beside_files(
        self, prepared: Prepared, staging: Staging, changes: Mapping[PathChange, str]
    ) -> dict[PathChange, str]:
        """Return what becomes of the step's committed record (design, "The record").

        Before the rows are written, because those of a rollback take the record's name with them.
        """
        from ..ledger.record import record_step

        # Databases that come or go are what git does not carry.
        files = [change for change, staged in changes.items() if is_inside(staged, staging.claude)]
        direction, migration = prepared.direction, prepared.migration
        return record_step(self.workspace, self.ledger, direction, migration, files)

    def require_recorded(self) -> None:
        """Make sure that the rows of all steps are as they were written.

        Raises:
            ForbiddenStatement: something undid one.
        """
        rows = self.ledger.directions(self._recorded)
        found = {version: rows.get(str(version)) == "up" for version in self._recorded}
        if found != self._recorded:
            raise ForbiddenStatement(
                "Something undoes the ledger's rows as they are written: a trigger on its table?",
                file=self.workspace.database,
                hint="Remove the trigger, or set ledger_table to another name.",
            )

    def check_foreign_keys(self, mode: ForeignKeyMode) -> None:
        """Refuse rows that the step left without their parent, unless it says that it may.

        Raises:
            StepFailed: names the tables.
        """
        written, self.authorizer.written = self.authorizer.written, set()
        altered, self.authorizer.altered = self.authorizer.altered, set()
        self.written |= written
        self.latest_written = written
        if mode is not ForeignKeyMode.UNCHECKED:
            self._foreign_keys.check(written, altered)

    def commit(self) -> None:
        """Make everything durable: this is the instant the steps happen.

        Raises:
            DatabaseReplaced: another file has taken the database's place, and is left as it is.
            Busy, StateUnreadable: SQLite could not commit; nothing has happened.
            Unpublished: it did commit, and then met an error.
        """
        self._refuse_replaced()
        try:
            self.connection.execute("COMMIT")
        except sqlite3.Error as error:
            self.abandon()
            failure = sqlite.unreadable(self.workspace.database, error)
            if self._has_committed():
                raise Unpublished(
                    f"The step is committed, but perhaps not durably: {failure.message}",
                    file=failure.file,
                    hint="Check the disk; the next command finishes the step.",
                ) from error
            raise failure from error
        try:
            # What was committed to a file without a name has not happened either.
            self._refuse_replaced()
        except DatabaseReplaced:
            self._remove_log()
            raise

    def _refuse_replaced(self) -> None:
        """Refuse to go on when the path leads to another file than the open one.

        SQLite would commit to a file without a name, or leave a log of it beside the newcomer.
        """
        if sqlite.identity_of(self.workspace.database) == self._file:
            return
        raise DatabaseReplaced(
            f"The database {self.workspace.database} was replaced by another file while the"
            " migration ran",
            hint="Nothing was changed, and the new file is as it was put there. Run the command"
            " again.",
        )

    def _remove_log(self) -> None:
        """Keep a newcomer from being read with the write-ahead log of the file it replaced."""
        path = self.workspace.database + "-wal"
        if self._log is not None and sqlite.identity_of(path) == self._log:
            remove(path)

    def close(self) -> None:
        """Close the connection after a commit."""
        self.connection.end()

    def abandon(self) -> None:
        """Undo everything since the transaction began."""
        # INSERT OR ROLLBACK can have ended it already, and a broken disk can refuse.
        with suppress(sqlite3.Error):
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
        with suppress(sqlite3.Error):
            self.connection.end()

    def _has_committed(self) -> bool:
        """Return whether a failed COMMIT took effect: SQLite syncs the folder after it."""
        row = (self.ledger.last_logged,)
        query = "SELECT 1 FROM main.plugin_migrate_history WHERE id = ?"
        try:
            return sqlite.read(
                self.workspace.database, lambda now: now.execute(query, row).fetchone() is not None
            )
        except MigrateError:
            return False

    def _release(self) -> None:
        try:
            self._cursor.execute(f"RELEASE {RESERVED_SAVEPOINT}")
        except sqlite3.Error:
            raise ForbiddenStatement(
                "A statement ended the step's transaction (OR ROLLBACK or RAISE(ROLLBACK) does)",
                hint="Use OR ABORT, or RAISE(ABORT, ...): the engine undoes the whole step.",
            ) from None

    def _refuse_triggers(self) -> None:
        """Refuse a trigger whose body names a ledger table.

        The authorizer sees the body only when the trigger fires, which may be years later.
        """
        made, self.authorizer.made_triggers = self.authorizer.made_triggers, set()
        for name in made:
            rows = self.connection.execute(
                "SELECT sql FROM main.sqlite_schema WHERE type = 'trigger' AND name = ?1 UNION ALL"
                " SELECT sql FROM temp.sqlite_schema WHERE type = 'trigger' AND name = ?1",
                (name,),
            ).fetchall()
            for (sql,) in rows:
                words = {word.lower() for word in re.findall(r"\w+", re.sub(_NOT_NAMES, " ", sql))}
                if words & self._reserved:
                    raise ForbiddenStatement(
                        f"The trigger {name} names the ledger table"
                        f" {sorted(words & self._reserved)[0]}, which only plugin-migrate writes",
                        hint=(
                            "Use another table, or rename the ledger with ledger_table in ",
                            Place(self.workspace.settings_file),
                        ),
                    )

    def open_earlier(self) -> sqlite3.Connection:
        """Return a connection that sees the database as it was before the transaction."""
        # Our changes are not committed and, with cache_spill=0, not even in the file.
        return sqlite.open_for_reading(self.workspace.database)


def in_own_transaction(
    workspace: Workspace, done_by: str, write: Callable[[LedgerWriter], None]
) -> None:
    """Write to the ledger outside of any step: failures, repairs, finished publishes.

    Raises:
        Busy, StateUnreadable: the database cannot be locked or written.
    """
    connection = sqlite.open_for_writing(workspace.database, sqlite3.Connection)
    try:
        sqlite.begin_immediate(connection, workspace.database)
        write(LedgerWriter(connection, workspace.config.ledger_table, done_by))
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise sqlite.unreadable(workspace.database, error) from error
    finally:
        connection.close()


def make_ledger(workspace: Workspace) -> None:
    """Create the state database and its ledger, or bring an older ledger up to date.

    Raises:
        StateUnreadable, Busy: the database cannot be created or written.
        NotALedger: its table of that name is something else.
    """
    path = workspace.database
    try:
        make_folder(os.path.dirname(path))
    except OSError as error:
        raise StateUnreadable(
            f"The database cannot be created: {system.reason_of(error)}",
            file=path,
            hint="Check the folder's permissions, and that the disk is writable and not full.",
        ) from None
    connection = sqlite.open_for_writing(path, sqlite3.Connection)
    try:
        ensure_ledger(connection, workspace)
    except sqlite3.Error as error:
        raise sqlite.unreadable(path, error) from error
    finally:
        connection.close()
