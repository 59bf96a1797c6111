"""Reading a database's schema and rows so that both can be written back exactly.

Python's values are almost SQLite's: what makes the difference (text that is not UTF-8, a 1 that is
no 1.0) is looked after here.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice

from ..storage.sqlite import quoted_name
from ..values import NamedTuple
from .images import Structure
from .schema_text import folded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    T = TypeVar("T")

_BATCH = 256
# Whatever a column is called, SQLite keeps one of these for the rowid
# (https://www.sqlite.org/lang_createtable.html#rowid), unless all three are columns.
_ROWID_NAMES = ("rowid", "_rowid_", "oid")
_COMPUTED = (2, 3)

Row = tuple[object, ...]


class Unkeepable(Exception):
    """Something in a database that could not be written back as it is."""


class NotUtf8(bytes):
    """A text of SQLite's that is not UTF-8, which SQLite itself allows."""

    def __repr__(self) -> str:
        return f"CAST({bytes(self)!r} AS TEXT)"


def _as_text(content: bytes) -> str | NotUtf8:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return NotUtf8(content)


class SchemaEntry(NamedTuple):
    """A row of ``sqlite_schema`` that has an SQL; ``order`` grows as they were made."""

    kind: str
    name: str
    table: str
    sql: str
    order: int


# By kind and lower-case name: SQLite folds the letters of ASCII only, and so does `folded`.
Schema = dict[tuple[str, str], SchemaEntry]


@contextmanager
def reading(connection: sqlite3.Connection) -> Iterator[sqlite3.Cursor]:
    """Give a cursor whose texts are as they stand in the database, also where that is no UTF-8."""
    factory = connection.text_factory
    connection.text_factory = _as_text
    try:
        # Not the connection's own, which a migration's is guarded by.
        yield sqlite3.Cursor(connection)
    finally:
        connection.text_factory = factory


def schema_of(cursor: sqlite3.Cursor, ignored: Collection[str]) -> Schema:
    """Return everything in a database's schema that somebody made.

    Parameters:
        ignored: lower-case names of tables that do not count, with what belongs to them.

    Raises:
        Unkeepable: it names something by what is not UTF-8.
    """
    schema: Schema = {}
    for row in cursor.execute(
        "SELECT type, name, tbl_name, sql, rowid FROM main.sqlite_schema WHERE sql IS NOT NULL"
    ).fetchall():
        if any(type(value) is NotUtf8 for value in row):
            raise Unkeepable("a part of its schema is not UTF-8")
        made = SchemaEntry(*row)
        if not made.name.startswith("sqlite_") and folded(made.table) not in ignored:
            schema[made.kind, folded(made.name)] = made
    return schema


def structure_of(cursor: sqlite3.Cursor, table: str) -> Structure:
    """Return how the rows of a table are told apart and held.

    Raises:
        Unkeepable: nothing tells them apart.
    """
    rows = cursor.execute(
        "SELECT name, pk, hidden FROM pragma_table_xinfo(?) ORDER BY cid", (table,)
    ).fetchall()
    (is_without_rowid,) = cursor.execute(
        "SELECT wr FROM pragma_table_list(?) WHERE schema = 'main'", (table,)
    ).fetchone()
    columns = tuple(name for name, _, hidden in rows if hidden not in _COMPUTED)
    if is_without_rowid:
        keys = sorted((position, name) for name, position, _ in rows if position)
        return Structure(columns, tuple(name for _, name in keys), False)
    taken = {folded(name) for name, _, _ in rows}
    free = next((name for name in _ROWID_NAMES if name not in taken), None)
    if free is None:
        raise Unkeepable(f"the table {table} hides its rowid")
    return Structure(columns, (free,), True)


def names_of(names: Iterable[str]) -> str:
    """Return column names as SQL lists them."""
    return ", ".join(_quoted(names))


def _quoted(names: Iterable[str]) -> list[str]:
    # A rowid in quotes would be a text where a table has none; none of its names needs them.
    return [name if name in _ROWID_NAMES else quoted_name(name) for name in names]


def rows_of(cursor: sqlite3.Cursor, table: str, structure: Structure) -> Iterator[Row]:
    """Yield each row, its key first; by rowid where there is one."""
    selected = names_of((*structure.key, *structure.columns))
    order = f" ORDER BY {structure.key[0]}" if structure.is_rowid else ""
    yield from cursor.execute(f"SELECT {selected} FROM main.{quoted_name(table)}{order}")


def found_rows(
    cursor: sqlite3.Cursor,
    table: str,
    structure: Structure,
    wanted: Iterable[tuple[Sequence[object], T]],
) -> Iterator[tuple[Row | None, T]]:
    """Yield the row for each key, the key first, with what came with that key.

    Many at once: a guarded connection prepares every statement again.

    Parameters:
        wanted: keys, each with anything.
    """
    names = [f"k{number}" for number in range(len(structure.key))]
    selected = ", ".join(f"t.{name}" for name in _quoted((*structure.key, *structure.columns)))
    # The table's column first: its collation counts.
    equal = " AND ".join(
        f"t.{column} = k.{name}" for column, name in zip(_quoted(structure.key), names, strict=True)
    )
    for batch in batches(wanted):
        one = f"(?{', ?' * len(names)})"
        query = (
            f"WITH k (n, {', '.join(names)}) AS (VALUES {', '.join([one] * len(batch))})"
            f" SELECT k.n, {selected} FROM k CROSS JOIN main.{quoted_name(table)} t WHERE {equal}"
        )
        values = [value for n, (key, _) in enumerate(batch) for value in (n, *key)]
        rows = {row[0]: row[1:] for row in cursor.execute(query, values)}
        for number, (_, what) in enumerate(batch):
            yield rows.get(number), what


def same_row(one: Row, other: Row) -> bool:
    """Return whether two rows hold the same values; to Python, 1 and 1.0 are equal."""
    return one == other and [*map(type, one)] == [*map(type, other)]


def hash_of(row: Row) -> bytes:
    """Return what tells that a row has changed: the same in every version of Python."""
    return hashlib.blake2b(ascii(row).encode(), digest_size=16).digest()


def insert(
    cursor: sqlite3.Cursor,
    table: str,
    columns: Sequence[str],
    rows: Iterable[Row],
    how: str = "INSERT",
) -> Iterator[int]:
    """Insert rows, and yield how many were after each batch.

    Parameters:
        table: its name as SQL writes it.
        columns: what each row gives.
        how: ``INSERT`` or ``INSERT OR REPLACE``.
    """
    head = f"{how} INTO {table} ({names_of(columns)}) VALUES "
    plain = f"{head}({', '.join('?' * len(columns))})"
    done = 0
    for batch in batches(rows):
        if any(type(value) is NotUtf8 for row in batch for value in row):
            for row in batch:
                marks = ", ".join("CAST(? AS TEXT)" if type(v) is NotUtf8 else "?" for v in row)
                cursor.execute(f"{head}({marks})", row)
        else:
            cursor.executemany(plain, batch)
        done += len(batch)
        yield done


def batches(things: Iterable[T]) -> Iterator[list[T]]:
    """Yield lists of so many things that a statement for each list costs little."""
    iterator = iter(things)
    while batch := list(islice(iterator, _BATCH)):
        yield batch
