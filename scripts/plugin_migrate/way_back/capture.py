"""Writing down what a step is about to change for good, before it commits.

Of a table of which only rows changed, the changed ones are kept as they were and as they are; of
one that was itself created, dropped or altered, all earlier rows, and what tells whether the later
ones are still the same. So what a step did not touch is never in the way of taking it back.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import chain

from ..errors import StateUnreadable
from ..storage import sqlite
from ..storage.durable import sync_file
from .images import PART, DatabaseImage, Images, ObjectImage, Parts, Structure, TableImage
from .schema_text import folded
from .tables import (
    Row,
    Schema,
    batches,
    found_rows,
    hash_of,
    insert,
    reading,
    rows_of,
    same_row,
    schema_of,
    structure_of,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO

# A row as it was and as it is, ``None`` where there was none; the key first.
_Pair = tuple[Row | None, Row | None]
_PRAGMAS = ("user_version", "application_id")


class TooLarge(Exception):
    """A way back would take more room than it may."""


class WayBackFile:
    """A way back while it is being written.

    Parameters:
        path: where; nothing stands there.
        largest: how many bytes it may have.

    Raises:
        StateUnreadable, sqlite3.Error, OSError: it cannot be written; by every method.
    """

    def __init__(self, path: str, largest: int) -> None:
        self.path = path
        self._largest = largest
        self._parts = 0
        self._tables = 0
        try:
            self.connection = sqlite.connect(path, sqlite3.Connection, 0)
        except StateUnreadable as error:
            raise OSError(None, error.message, path) from error
        # One that is not finished does not count, and nobody else sees it.
        self.connection.execute("PRAGMA journal_mode=OFF").fetchall()
        self.connection.execute("PRAGMA synchronous=OFF")
        self.connection.execute("BEGIN")
        self.connection.execute("CREATE TABLE manifest (text TEXT NOT NULL)")
        self.connection.execute("CREATE TABLE content (part INTEGER PRIMARY KEY, data BLOB)")
        self._cursor = self.connection.cursor()

    def add_content(self, file: IO[bytes]) -> Iterator[bytes]:
        """Keep the rest of an open file, and yield it; :meth:`parts_since` says where it is."""
        while data := file.read(PART):
            self._cursor.execute("INSERT INTO content VALUES (?, ?)", (self._parts, data))
            self._parts += 1
            self.check_room()
            yield data

    @property
    def next_part(self) -> int:
        """The number of the part that comes next."""
        return self._parts

    def parts_since(self, first: int) -> Parts:
        """Return where that stands which was added since ``next_part`` was ``first``."""
        return Parts(first, self._parts - first)

    def new_number(self) -> int:
        """Return a number for a table."""
        self._tables += 1
        return self._tables

    def add_rows(self, name: str, structure: Structure, rows: Iterable[Row], width: int) -> None:
        """Keep rows under ``name``: ``width`` values each, the key first."""
        columns = _columns(width)
        # One number identifies: then looking for it needs no index of its own.
        first = "v0 INTEGER PRIMARY KEY" if structure.is_rowid else "v0"
        self._cursor.execute(f"CREATE TABLE {name} ({', '.join([first, *columns[1:]])})")
        self.append(name, width, rows)
        if not structure.is_rowid:
            keys = ", ".join(columns[: len(structure.key)])
            self._cursor.execute(f"CREATE INDEX key_of_{name} ON {name} ({keys})")

    def append(self, name: str, width: int, rows: Iterable[Row]) -> None:
        """Keep more rows under a name that has some."""
        for _ in insert(self._cursor, name, _columns(width), rows):
            self.check_room()

    def check_room(self) -> None:
        """Make sure that the file is not too large yet.

        Raises:
            TooLarge: it is.
        """
        pages, size = (
            self._cursor.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "page_size")
        )
        if pages * size > self._largest:
            raise TooLarge

    def finish(self, images: Images) -> None:
        """Write the manifest, and bring the file to the disk."""
        self._cursor.execute("INSERT INTO manifest VALUES (?)", (images.to_json(),))
        self.connection.execute("COMMIT")
        self.connection.close()
        sync_file(self.path)

    def give_up(self) -> None:
        """Remove the file."""
        self.connection.close()
        for suffix in ("", "-journal"):
            if os.path.lexists(self.path + suffix):
                os.unlink(self.path + suffix)


@contextmanager
def empty_database() -> Iterator[sqlite3.Connection]:
    """Give a connection that stands for a database that is not there."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        yield connection


def capture_database(
    file: WayBackFile,
    before: sqlite3.Connection,
    after: sqlite3.Connection,
    written: Collection[str] | None,
    ignored: Collection[str],
    image: DatabaseImage,
) -> DatabaseImage:
    """Keep what differs between two states of a database; return ``image`` with that.

    Parameters:
        file: takes the rows.
        before, after: connections that see the one and the other.
        written: names of the tables that may have other rows; ``None`` when that is unknown.
        ignored: lower-case names of tables that do not count.

    Raises:
        Unkeepable, TooLarge: it cannot be kept.
    """
    # What a virtual table still holds in memory reaches its tables with a savepoint.
    if after.in_transaction:
        after.execute("SAVEPOINT plugin_migrate_way_back")
        after.execute("RELEASE plugin_migrate_way_back")
    with reading(before) as old, reading(after) as new:
        return _Capture(file, old, new, ignored).run(written, image)


class _Capture:
    def __init__(
        self,
        file: WayBackFile,
        old: sqlite3.Cursor,
        new: sqlite3.Cursor,
        ignored: Collection[str],
    ) -> None:
        self._file = file
        self._old, self._new = old, new
        self._old_schema = schema_of(old, ignored)
        self._new_schema = schema_of(new, ignored)

    def run(self, written: Collection[str] | None, image: DatabaseImage) -> DatabaseImage:
        old, new = self._old_schema, self._new_schema
        changed = {key for key in old.keys() | new.keys() if _sql(old, key) != _sql(new, key)}
        # What belongs to such a table comes and goes with it.
        holders = {name for kind, name in changed if kind in ("table", "view")}
        involved = changed | {
            key
            for schema in (old, new)
            for key, made in schema.items()
            if folded(made.table) in holders
        }
        ordered = sorted(involved, key=self._order)
        whole = [name for kind, name in ordered if kind == "table" and name in holders]
        tables = [self._whole(name) for name in whole if not self._is("virtual", name)]
        tables += [
            table
            for table in (self._changed_rows(name) for name in self._candidates(written, holders))
            if table is not None
        ]
        return image._replace(
            objects=tuple(map(self._object, ordered)),
            tables=tuple(tables),
            numbers=tuple(self._numbers([table.name for table in tables])),
        )

    def _order(self, key: tuple[str, str]) -> tuple[int, int]:
        """Return where something stands among what is made: earlier ones as they were made."""
        made = self._old_schema.get(key)
        return (0, made.order) if made else (1, self._new_schema[key].order)

    def _object(self, key: tuple[str, str]) -> ObjectImage:
        made = self._old_schema.get(key) or self._new_schema[key]
        old, new = _sql(self._old_schema, key), _sql(self._new_schema, key)
        return ObjectImage(made.kind, made.name, made.table, old, new)

    def _is(self, kind: str, name: str) -> bool:
        """Return whether a table is, or was, of a kind."""
        return kind in (sqlite.table_kind(self._old, name), sqlite.table_kind(self._new, name))

    def _candidates(self, written: Collection[str] | None, holders: set[str]) -> list[str]:
        """Return the tables that are the same, and may have other rows."""
        both = {
            name
            for kind, name in self._old_schema.keys() & self._new_schema.keys()
            if kind == "table" and name not in holders
        }
        if written is not None:
            names = set(map(folded, written))
            # Those of a virtual table are called after it.
            both = {
                name
                for name in both
                if name in names or any(name.startswith(f"{of}_") for of in names)
            }
        return sorted(name for name in both if not self._is("virtual", name))

    def _whole(self, name: str) -> TableImage:
        """Keep a table that was created, dropped or altered."""
        number = self._file.new_number()
        key = ("table", name)
        made = self._old_schema.get(key) or self._new_schema[key]
        before = structure_of(self._old, made.name) if key in self._old_schema else None
        after = structure_of(self._new, made.name) if key in self._new_schema else None
        if before is not None:
            rows = rows_of(self._old, made.name, before)
            width = len(before.key) + len(before.columns)
            self._file.add_rows(f"before_{number}", before, rows, width)
        if after is not None:
            width = len(after.key)
            hashes = (
                (*row[:width], hash_of(row[width:])) for row in rows_of(self._new, made.name, after)
            )
            self._file.add_rows(f"after_{number}", after, hashes, width + 1)
        return TableImage(made.name, number, before, after, True, self._is("shadow", name))

    def _changed_rows(self, name: str) -> TableImage | None:
        """Keep what differs between a table's rows, as it was and as it is."""
        made = self._old_schema["table", name]
        structure = structure_of(self._old, made.name)
        pairs = self._differences(made.name, structure)
        first = next(pairs, None)
        if first is None:
            return None
        number = self._file.new_number()
        width = len(structure.key) + len(structure.columns) + 1
        earlier, later = _paired(f"before_{number}"), _paired(f"after_{number}")
        for name_of_rows, structure_of_rows in (earlier, later):
            self._file.add_rows(name_of_rows, structure_of_rows, (), width)
        for batch in batches(enumerate(chain([first], pairs))):
            self._file.append(earlier[0], width, ((n, *old) for n, (old, _) in batch if old))
            self._file.append(later[0], width, ((n, *new) for n, (_, new) in batch if new))
        return TableImage(made.name, number, structure, structure, False, self._is("shadow", name))

    def _differences(self, table: str, structure: Structure) -> Iterator[_Pair]:
        """Yield the rows that differ."""
        if structure.is_rowid:
            old = rows_of(self._old, table, structure)
            new = rows_of(self._new, table, structure)
            return _merged(old, new)
        return self._looked_up(table, structure)

    def _looked_up(self, table: str, structure: Structure) -> Iterator[_Pair]:
        """Do so by looking for each row on the other side: an order by collation is SQLite's."""
        width = len(structure.key)
        with _another(self._old) as old, _another(self._new) as new:
            rows = ((row[:width], row) for row in rows_of(self._old, table, structure))
            for now, row in found_rows(new, table, structure, rows):
                if now is None or not same_row(row, now):
                    yield row, now
            rows = ((row[:width], row) for row in rows_of(self._new, table, structure))
            for earlier, row in found_rows(old, table, structure, rows):
                if earlier is None:
                    yield None, row

    def _numbers(self, tables: Sequence[str]) -> Iterator[tuple[str, int | None, int | None]]:
        for name in _PRAGMAS:
            old, new = (
                cursor.execute(f"PRAGMA main.{name}").fetchone()[0]
                for cursor in (self._old, self._new)
            )
            if old != new:
                yield name, old, new
        old_sequences, new_sequences = _sequences(self._old), _sequences(self._new)
        for table in map(folded, tables):
            old, new = old_sequences.get(table), new_sequences.get(table)
            if old != new:
                yield f"sequence {table}", old, new


def _columns(width: int) -> list[str]:
    return [f"v{number}" for number in range(width)]


def _paired(name: str) -> tuple[str, Structure]:
    """Return what rows are kept under that are numbered by what became of them."""
    return name, Structure((), ("pair",), True)


def _sql(schema: Schema, key: tuple[str, str]) -> str | None:
    made = schema.get(key)
    return made.sql if made else None


@contextmanager
def _another(cursor: sqlite3.Cursor) -> Iterator[sqlite3.Cursor]:
    """Give a second cursor of the same connection."""
    with closing(sqlite3.Cursor(cursor.connection)) as other:
        yield other


def _merged(old_rows: Iterator[Row], new_rows: Iterator[Row]) -> Iterator[_Pair]:
    """Yield what differs between rows in the order of their rowids."""
    old, new = next(old_rows, None), next(new_rows, None)
    while old is not None or new is not None:
        if new is None or (old is not None and old[0] < new[0]):  # type: ignore[operator]
            yield old, None
            old = next(old_rows, None)
        elif old is None or new[0] < old[0]:  # type: ignore[operator]
            yield None, new
            new = next(new_rows, None)
        else:
            if not same_row(old, new):
                yield old, new
            old, new = next(old_rows, None), next(new_rows, None)


def sequences_query() -> str:
    """Return the query of what AUTOINCREMENT has counted to, by table."""
    return "SELECT name, seq FROM main.sqlite_sequence"


def _sequences(cursor: sqlite3.Cursor) -> dict[str, int]:
    there = cursor.execute(
        "SELECT 1 FROM main.sqlite_schema WHERE name = 'sqlite_sequence'"
    ).fetchone()
    if there is None:
        return {}
    rows = cursor.execute(sequences_query()).fetchall()
    return {
        folded(name): number for name, number in rows if type(name) is str and type(number) is int
    }
