"""Reading what other tools' ledgers in SQLite say; each table as its tool makes it.

The database may come with a cloned repository. It is opened to read only, a view, a virtual table
and a computed column are refused because SQLite would run what they say, and what is read is
bounded in rows, in the length of a value and in SQLite's steps.
"""

from __future__ import annotations

import sqlite3
from types import MappingProxyType

from ..errors import InterruptedWriter, TakeoverRefused
from ..storage import sqlite
from .origin import Origin
from .record import LONGEST_TEXT, MOST_RECORDS, Record, Recorded, plain_record, quotable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_LONGEST_VALUE = 1_000_000  # bytes; also of a table's definition
_STEPS = 100_000
_MOST_STEPS = 500  # of _STEPS each: some seconds


def read_database(path: str, origin: Origin) -> Recorded:
    """Return what a tool has applied, by its ledger in the database at ``path``.

    Raises:
        TakeoverRefused: there is no such ledger, it is in a state that the tool itself would
            refuse, or it holds what the tool does not write.
        StateUnreadable, Busy: see :func:`plugin_migrate.storage.sqlite.read`.
    """
    try:
        return sqlite.read(path, lambda connection: _ask(connection, path, origin))
    except InterruptedWriter:
        raise TakeoverRefused(
            "A program was interrupted while writing the database, and reading it must not undo"
            " what that left",
            file=path,
            hint="Open the database with the program that it belongs to, then try again.",
        ) from None


def _ask(connection: sqlite3.Connection, path: str, origin: Origin) -> Recorded:
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_VALUE)
    asked = iter(range(_MOST_STEPS))
    connection.set_progress_handler(lambda: next(asked, None) is None, _STEPS)
    try:
        return _READERS[origin.tool](_Source(connection, path, origin.tool))
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorname", "") in ("SQLITE_TOOBIG", "SQLITE_INTERRUPT"):
            raise TakeoverRefused(
                f"{origin.ledger} is too large to be read: {error}",
                file=path,
                hint="No migration tool writes that.",
            ) from None
        raise


class _Source:
    """A tool's tables in a database that is open to read."""

    def __init__(self, connection: sqlite3.Connection, path: str, tool: str) -> None:
        self.connection = connection
        self.path = path
        self.tool = tool

    def refused(self, message: str, hint: str | None = None) -> TakeoverRefused:
        """Return the error to raise about this database."""
        return TakeoverRefused(message, file=self.path, hint=hint)

    def columns(self, table: str, needed: tuple[str, ...]) -> frozenset[str]:
        """Return the columns of a table that has those ``needed``.

        Raises:
            TakeoverRefused: it is not there, or not what the tool makes.
        """
        found = self.connection.execute(
            "SELECT type, sql FROM main.sqlite_schema WHERE type IN ('table', 'view')"
            " AND lower(name) = ?",
            (table,),
        ).fetchone()
        if found is None:
            raise self.refused(
                f"{self.tool} keeps no ledger in this database: there is no table {table}",
                "Name the database that it works on: --from TOOL:PATH",
            )
        kind, definition = found
        if kind == "view" or str(definition).upper().startswith("CREATE VIRTUAL"):
            raise self.refused(
                f"'{table}' is a view or virtual table, where {self.tool} has a plain table"
            )
        # Column 6 says that a value is computed, or hidden.
        described = self.connection.execute(f'PRAGMA main.table_xinfo("{table}")').fetchall()
        plain = frozenset(str(row[1]).lower() for row in described if not row[6])
        missing = [column for column in needed if column not in plain]
        if missing:
            raise self.refused(
                f"The table '{table}' is not {self.tool}'s: it lacks the column"
                f" {', '.join(missing)}",
                "It may be another tool's; `plugin-migrate baseline --help` lists them.",
            )
        return plain

    def rows(
        self, table: str, columns: tuple[str, ...], order: str | None = None
    ) -> list[tuple[Any, ...]]:
        """Return the rows of a table, which must have those columns, ordered by one of them.

        Raises:
            TakeoverRefused: it is not what the tool makes, or holds more rows than one would.
        """
        self.columns(table, columns)
        rows = self.connection.execute(
            f"SELECT {', '.join(columns)} FROM main.{table}"
            f"{f' ORDER BY {order}' if order else ''} LIMIT {MOST_RECORDS + 1}"
        ).fetchall()
        if len(rows) > MOST_RECORDS:
            raise self.refused(
                f"The table '{table}' has more than {MOST_RECORDS:,} rows, which is no ledger of"
                " migrations"
            )
        return rows

    def text(self, value: object, table: str) -> str:
        """Return a name or number that a ledger holds, as text.

        Raises:
            TakeoverRefused: SQLite takes anything in any column, and this is something else.
        """
        is_known = type(value) is int or (type(value) is str and 0 < len(value) <= LONGEST_TEXT)
        if not is_known:
            raise self.refused(
                f"The table '{table}' holds something else where {self.tool} writes the name or"
                " number of a migration"
            )
        return str(value)


def _user_version(source: _Source) -> Recorded:
    (number,) = source.connection.execute("PRAGMA main.user_version").fetchone()
    if number < 0:
        raise source.refused(f"PRAGMA user_version is {number}, which counts no migrations")
    return Recorded((plain_record(str(number)),) if number else (), is_last=True)


def _dbmate(source: _Source) -> Recorded:
    """Table as of dbmate 2.28, pkg/driver/sqlite: ``version varchar(128) primary key``."""
    if "dirty" in source.columns("schema_migrations", ("version",)):
        raise source.refused(
            "The table 'schema_migrations' has a column dirty, so it is golang-migrate's",
            "Say --from golang-migrate",
        )
    rows = source.rows("schema_migrations", ("version",), "version")
    return Recorded(tuple(plain_record(source.text(one, "schema_migrations")) for (one,) in rows))


def _goose(source: _Source) -> Recorded:
    """Table as of goose 3.26, internal/dialect: a row for each time; 0 is the table's own."""
    table = "goose_db_version"
    now: dict[str, bool] = {}
    for _, version, is_applied in source.rows(table, ("id", "version_id", "is_applied"), "id"):
        now[source.text(version, table)] = bool(is_applied)
    applied = (version for version, is_applied in now.items() if is_applied and version != "0")
    return Recorded(tuple(plain_record(version) for version in applied))


def _golang_migrate(source: _Source) -> Recorded:
    """Table as of golang-migrate 4.19, database/sqlite3: one row, ``version`` and ``dirty``."""
    table = "schema_migrations"
    rows = source.rows(table, ("version", "dirty"))
    if len(rows) > 1:
        raise source.refused(f"The table '{table}' has {len(rows)} rows; golang-migrate's has one")
    if not rows:
        return Recorded(is_last=True)
    version, is_dirty = rows[0]
    number = source.text(version, table)
    if is_dirty:
        raise source.refused(
            f"golang-migrate's ledger is dirty: its migration {quotable(number)} failed half-way",
            "Settle it with golang-migrate first (migrate force).",
        )
    return Recorded((plain_record(number),), is_last=True)


def _knex(source: _Source) -> Recorded:
    """Tables as of knex 3.3, lib/migrations/migrate/table-creator.js."""
    table, lock = "knex_migrations", "knex_migrations_lock"
    rows = source.rows(table, ("id", "name"), "id")
    has_lock = source.connection.execute(
        "SELECT 1 FROM main.sqlite_schema WHERE lower(name) = ?", (lock,)
    ).fetchone()
    if has_lock and any(is_locked for (is_locked,) in source.rows(lock, ("is_locked",))):
        raise source.refused(
            "knex is migrating, or was interrupted: its lock is set",
            "Let it finish, or settle it with knex first (knex migrate:unlock).",
        )
    return Recorded(tuple(plain_record(source.text(name, table)) for _, name in rows))


def _alembic(source: _Source) -> Recorded:
    """Table as of Alembic 1.20: a row for each head, nearly always one."""
    table = "alembic_version"
    heads = [source.text(one, table) for (one,) in source.rows(table, ("version_num",))]
    if len(heads) > 1:
        raise source.refused(
            f"Alembic's ledger has {len(heads)} heads: {quotable(', '.join(sorted(heads)))}",
            "Merge them with Alembic first (alembic merge heads).",
        )
    return Recorded(tuple(map(plain_record, heads)), is_last=True)


def _drizzle(source: _Source) -> Recorded:
    """Table as of drizzle-orm 0.45 (``hash``, ``created_at``); 1.0 also has ``name``.

    Drizzle applies in the order of its journal, so where a row has no name its place counts.
    """
    table = "__drizzle_migrations"
    known = source.columns(table, ("hash", "created_at"))
    columns = ("hash", "name") if "name" in known else ("hash",)
    records = []
    for place, (digest, *name) in enumerate(source.rows(table, columns, "created_at"), 1):
        text = source.text(digest, table)
        if name and name[0] is not None:
            records.append(Record(text, source.text(name[0], table)))
        else:
            records.append(Record(text, text, place))
    return Recorded(tuple(records))


def _sqlite_utils(source: _Source) -> Recorded:
    """Table as of sqlite-utils 4.2, sqlite_utils/migrations.py; sqlite-migrate's too."""
    table = "_sqlite_migrations"
    rows = source.rows(table, ("migration_set", "name"))
    pairs = [(source.text(group, table), source.text(name, table)) for group, name in rows]
    return Recorded(tuple(Record(f"{group}:{name}", name) for group, name in pairs))


def _original(source: _Source) -> Recorded:
    """Return what the ledger of the original TypeScript engine says (design, "The ledger")."""
    rows = source.rows("migrations", ("version", "direction"))
    versions = [source.text(version, "migrations") for version, way in rows if way == "up"]
    return Recorded(tuple(map(plain_record, versions)))


_READERS: MappingProxyType[str, Callable[[_Source], Recorded]] = MappingProxyType(
    {
        "user_version": _user_version,
        "dbmate": _dbmate,
        "goose": _goose,
        "golang-migrate": _golang_migrate,
        "knex": _knex,
        "alembic": _alembic,
        "drizzle": _drizzle,
        "sqlite-utils": _sqlite_utils,
        "original": _original,
    }
)
