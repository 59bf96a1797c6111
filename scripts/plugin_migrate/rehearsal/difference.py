"""What differs between two states of a file or of a database, for people and programs to read."""

from __future__ import annotations

import difflib
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass

from ..storage import sqlite
from ..storage.sqlite import quoted_name
from ..way_back.schema_text import folded, meaning_of

_LONGEST_FILE = 4 << 20
_ROWS_SHOWN = 5
_LONGEST_VALUE = 60


@dataclass(frozen=True, slots=True)
class TableDifference:
    """What happened to one table's rows.

    ``examples`` are the first few rows, each with ``+``, ``-`` or ``~`` in front; a changed one
    is there as it was and as it is.
    """

    table: str
    added: int
    removed: int
    changed: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DatabaseDifference:
    """What happened to one database: its schema as a unified diff, its rows table by table."""

    path: str
    schema: tuple[str, ...]
    tables: tuple[TableDifference, ...]

    @property
    def is_empty(self) -> bool:
        """Whether nothing differs."""
        return not self.schema and not self.tables


def text_difference(before: str | None, after: str | None, path: str) -> tuple[str, ...]:
    """Return the unified diff of two texts, ``None`` standing for no file; without line ends."""
    lines = difflib.unified_diff(
        (before or "").splitlines(),
        (after or "").splitlines(),
        f"a/{path}" if before is not None else "/dev/null",
        f"b/{path}" if after is not None else "/dev/null",
        lineterm="",
    )
    return tuple(lines)


def read_text(path: str) -> str | None:
    """Return a file's text, or ``None`` when it is binary or too large to show as text."""
    with open(path, "rb") as file:
        content = file.read(_LONGEST_FILE + 1)
    if len(content) > _LONGEST_FILE or b"\0" in content:
        return None
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return None


def database_difference(
    before: str | None,
    after: str | None,
    path: str,
    ignored: frozenset[str] = frozenset(),
    written: frozenset[str] | None = None,
) -> DatabaseDifference:
    """Compare two SQLite databases by schema and, exactly, by every row.

    Parameters:
        before, after: paths of the databases; ``None`` or a missing file is an empty one.
        path: how to call the database.
        ignored: lower-case names of tables that do not count, such as the ledger's.
        written: lower-case names of the tables that may differ; ``None`` when that is unknown.
            Tables that only one side has are compared in any case.

    Raises:
        sqlite3.Error: one of them cannot be read.
    """
    with closing(_open(before)) as old, closing(_open(after)) as new:
        old_objects, new_objects = _objects(old), _objects(new)
        old_only, new_only = old_objects - new_objects, new_objects - old_objects
        lines = difflib.unified_diff(
            *_unlike(_schema(old, old_only, ignored), _schema(new, new_only, ignored)),
            "before",
            "after",
            lineterm="",
        )
        unlike = _table_names(old_only | new_only)
        if written is None:
            candidates = unlike | _table_names(old_objects)
        else:
            candidates = unlike | set(map(folded, written))
        differences = []
        for table in sorted(candidates):
            in_old = _is_ordinary(old, table, ignored)
            in_new = _is_ordinary(new, table, ignored)
            if in_old or in_new:
                differences.append(_table_difference(old, new, table, in_old, in_new))
    return DatabaseDifference(
        path,
        tuple(lines),
        tuple(item for item in differences if item.added or item.removed or item.changed),
    )


def _open(path: str | None) -> sqlite3.Connection:
    if path is None:
        return sqlite3.connect(":memory:", isolation_level=None)
    return sqlite.open_for_reading(path, "mode=ro")


# A row of `sqlite_schema`: type, name, the table it is about, and its SQL.
_Object = tuple[str, str, str, str]


def _objects(connection: sqlite3.Connection) -> set[_Object]:
    """Return everything in a schema; of most of it nobody asks more than whether it is the same."""
    return set(
        connection.execute(
            "SELECT type, name, tbl_name, sql FROM main.sqlite_schema WHERE sql IS NOT NULL"
        )
    )


def _schema(
    connection: sqlite3.Connection, objects: Iterable[_Object], ignored: frozenset[str]
) -> dict[str, str]:
    """Return the SQL of objects by type and name, but for what SQLite or an extension made."""
    return {
        f"{kind} {folded(name)}": sql
        for kind, name, table, sql in objects
        if not name.startswith("sqlite_")
        and folded(table) not in ignored
        and sqlite.table_kind(connection, table) != "shadow"
    }


def _unlike(old: dict[str, str], new: dict[str, str]) -> tuple[list[str], list[str]]:
    """Return the lines of what differs by more than its text."""
    alike = {
        name for name in old.keys() & new.keys() if meaning_of(old[name]) == meaning_of(new[name])
    }
    return tuple(  # type: ignore[return-value]  # of two
        [line for name in sorted(schema.keys() - alike) for line in f"{schema[name]};".splitlines()]
        for schema in (old, new)
    )


def _table_names(objects: Iterable[_Object]) -> set[str]:
    return {folded(name) for kind, name, _, _ in objects if kind == "table"}


def _is_ordinary(connection: sqlite3.Connection, table: str, ignored: frozenset[str]) -> bool:
    """Return whether a table's rows count: what a virtual one shows is its own affair."""
    return (
        table not in ignored
        and not table.startswith("sqlite_")
        and sqlite.table_kind(connection, table) == "table"
    )


def _table_difference(
    old: sqlite3.Connection, new: sqlite3.Connection, table: str, in_old: bool, in_new: bool
) -> TableDifference:
    """Walk both tables in order of their keys, as one merges two sorted lists.

    Nothing is held but the two rows at hand, however large the tables are.
    """
    old_columns = _columns(old, table) if in_old else []
    new_columns = _columns(new, table) if in_new else []
    columns = [
        column
        for column in new_columns or old_columns
        if not (in_old and in_new) or (column in old_columns and column in new_columns)
    ]
    keys = {
        _key(connection, table) for connection, is_in in ((old, in_old), (new, in_new)) if is_in
    }
    key = keys.pop() if len(keys) == 1 else _Key(tuple(columns), False)
    old_rows = _rows(old, table, key, columns) if in_old else iter(())
    new_rows = _rows(new, table, key, columns) if in_new else iter(())
    return _merge(table, old_rows, new_rows, len(key.columns))


@dataclass(frozen=True, slots=True)
class _Key:
    """The columns that tell rows apart; ``is_rowid`` when they are the table's own order."""

    columns: tuple[str, ...]
    is_rowid: bool


def _columns(connection: sqlite3.Connection, table: str) -> list[str]:
    rows = connection.execute("SELECT name FROM pragma_table_info(?) ORDER BY cid", (table,))
    return [folded(name) for (name,) in rows]


def _key(connection: sqlite3.Connection, table: str) -> _Key:
    """Return the declared primary key, or all columns.

    A rowid that no column shows is no content: a row that was deleted and put back is the same.
    """
    rows = connection.execute(
        "SELECT name, type FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk", (table,)
    ).fetchall()
    if not rows:
        return _Key(tuple(_columns(connection, table)), False)
    (without_rowid,) = connection.execute(
        "SELECT wr FROM pragma_table_list(?) WHERE schema = 'main'", (table,)
    ).fetchone()
    is_rowid = len(rows) == 1 and rows[0][1].upper() == "INTEGER" and not without_rowid
    return _Key(tuple(folded(name) for name, _ in rows), is_rowid)


_Row = tuple[object, ...]


def _rows(
    connection: sqlite3.Connection, table: str, key: _Key, columns: Sequence[str]
) -> Iterable[_Row]:
    """Yield each row's key and then its values, in one total order.

    Values are SQL literals: ``quote`` tells 1, 1.0 and '1' apart, and its text sorts alike on
    both sides, whatever the columns' collations are. A rowid is a number and needs no sorting.
    """
    names = [quoted_name(column) for column in key.columns]
    keys = names if key.is_rowid else [f"quote({name}) COLLATE BINARY" for name in names]
    values = [f"quote({quoted_name(column)})" for column in columns]
    selected, order = ", ".join(keys + values), ", ".join(keys)
    return connection.execute(f"SELECT {selected} FROM main.{quoted_name(table)} ORDER BY {order}")


def _merge(
    table: str, old_rows: Iterable[_Row], new_rows: Iterable[_Row], width: int
) -> TableDifference:
    counts = {"+": 0, "-": 0, "~": 0}
    examples: list[str] = []

    def note(sign: str, *rows: _Row) -> None:
        counts[sign] += 1
        if counts[sign] <= _ROWS_SHOWN:
            texts = (f"({', '.join(map(_short, row[width:]))})" for row in rows)
            examples.append(f"{sign} {' → '.join(texts)}")

    old_iterator, new_iterator = iter(old_rows), iter(new_rows)
    old, new = next(old_iterator, None), next(new_iterator, None)
    while old is not None or new is not None:
        if new is None or (old is not None and old[:width] < new[:width]):
            assert old is not None
            note("-", old)
            old = next(old_iterator, None)
        elif old is None or new[:width] < old[:width]:
            note("+", new)
            new = next(new_iterator, None)
        else:
            if old != new:
                note("~", old, new)
            old, new = next(old_iterator, None), next(new_iterator, None)
    return TableDifference(table, counts["+"], counts["-"], counts["~"], tuple(examples))


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"
