"""Taking back what a step changed in one database, as far as nobody has changed it since."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing

from ..storage.sqlite import quoted_name
from ..values import NamedTuple
from .capture import sequences_query
from .images import DatabaseImage, ObjectImage, Structure, TableImage
from .schema_text import folded, meaning_of
from .tables import (
    Row,
    Schema,
    Unkeepable,
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

_MADE_FIRST = ("table", "index", "view", "trigger")


class ChangedPart(NamedTuple):
    """Something of a database that was changed since the step.

    ``table`` is the table or view that it belongs to, empty for the database as a whole, and
    ``kind`` which of the two; ``what`` is half a sentence without the name, such as ``2 row(s)
    changed``. ``is_lost`` tells that it cannot be taken back whatever is wanted.
    """

    table: str
    what: str
    is_lost: bool = False
    kind: str = "table"


class DatabaseUndo:
    """One database on its way back.

    Parameters:
        kept: leads to the way back.
        live: leads to the database, within the step's transaction.
        image: what the step changed in it.
    """

    def __init__(
        self, kept: sqlite3.Connection, live: sqlite3.Connection, image: DatabaseImage
    ) -> None:
        self._kept = kept
        self._live = live
        self._image = image
        # Tables and views that the step made, dropped or altered; what belongs to one goes with it.
        self._holders = {
            folded(one.name): one.kind for one in image.objects if one.kind in ("table", "view")
        }
        # A virtual table and its parts are one thing, by the names of the parts.
        self._whole_of = _families(image)
        self._blocked: set[str] = set()
        self._blocked_pairs: dict[int, set[int]] = {}

    def changes_since(self) -> list[ChangedPart]:
        """Return what was changed since the step, and remember it for :meth:`take_back`.

        Raises:
            sqlite3.Error: it cannot be read.
        """
        with reading(self._live) as now, reading(self._kept) as kept:
            try:
                schema = schema_of(now, ())
            except Unkeepable as error:
                return [ChangedPart("", str(error), is_lost=True)]
            found = [*self._changed_definitions(schema)]
            for table in self._image.tables:
                found += self._changed_table(table, schema, now, kept)
            found += self._changed_numbers(now)
        return found

    def take_back(self, everything: bool) -> None:
        """Bring back what was there before the step.

        Parameters:
            everything: also over what was changed since.

        Raises:
            sqlite3.Error: what was written since stands in the way.
        """
        if everything:
            self._blocked.clear()
            self._blocked_pairs.clear()
        with reading(self._live), reading(self._kept) as kept:
            write = self._live.cursor()
            write.execute("PRAGMA ignore_check_constraints=ON")
            suspended = self._drop(write)
            self._make(write, "table")
            how = "INSERT OR REPLACE" if everything else "INSERT"
            for table in self._image.tables:
                if self._group_of_table(table.name) in self._blocked:
                    continue
                if table.is_whole:
                    self._fill(write, kept, table)
                else:
                    self._put_rows_back(write, kept, table, everything, how)
            for kind in _MADE_FIRST[1:]:
                self._make(write, kind)
            for sql in suspended:
                write.execute(sql)
            self._set_numbers(write)
            write.execute("PRAGMA ignore_check_constraints=OFF")

    # --- what was changed since ------------------------------------------------------------------

    def _changed_definitions(self, schema: Schema) -> Iterator[ChangedPart]:
        known = {(one.kind, folded(one.name)) for one in self._image.objects}
        for one in self._image.objects:
            made = schema.get((one.kind, folded(one.name)))
            now = made.sql if made else None
            if _mean_the_same(now, one.after) or (now is None and one.before is None):
                continue
            self._blocked.add(self._group(one))
            what = "dropped" if now is None else "made" if one.after is None else "altered"
            yield self._of(one.kind, one.name, one.table, what)
        for (kind, name), made in schema.items():
            # It would go with the table that it was made for since.
            if (kind, name) not in known and folded(made.table) in self._holders:
                self._blocked.add(self._group_of_table(made.table))
                yield self._of(kind, made.name, made.table, "made")

    def _of(self, kind: str, name: str, table: str, what: str) -> ChangedPart:
        holder = "view" if self._holders.get(folded(table)) == "view" else "table"
        if folded(name) != folded(table):
            what = f"{kind} {name} {what}"
        return ChangedPart(table, what, kind=holder)

    def _group(self, one: ObjectImage) -> str:
        """Return by which name an object is left or taken back: that of what it belongs to."""
        name = folded(one.table) if folded(one.table) in self._holders else folded(one.name)
        return self._whole_of.get(name, name)

    def _group_of_table(self, name: str) -> str:
        return self._whole_of.get(folded(name), folded(name))

    def _changed_table(
        self, table: TableImage, schema: Schema, now: sqlite3.Cursor, kept: sqlite3.Cursor
    ) -> Iterator[ChangedPart]:
        name = folded(table.name)
        if table.after is None or (table.is_whole and ("table", name) not in schema):
            return  # what is to be said of it is said of its definition
        if ("table", name) not in schema:
            self._blocked.add(self._group_of_table(name))
            yield ChangedPart(table.name, "dropped", is_lost=True)
            return
        try:
            structure = structure_of(now, table.name)
        except Unkeepable:
            structure = Structure((), (), False)
        if structure != table.after:
            if not table.is_whole:
                self._blocked.add(self._group_of_table(name))
                yield ChangedPart(table.name, "altered", is_lost=True)
            return
        count = (
            self._count_unlike(table, structure, now, kept)
            if table.is_whole
            else self._count_changed_pairs(table, structure, now, kept)
        )
        if count:
            # Of a part of a virtual table single rows mean nothing.
            if table.is_whole or table.is_shadow:
                self._blocked.add(self._group_of_table(name))
            is_lost = table.is_shadow and not table.is_whole
            yield ChangedPart(table.name, f"{count} row(s) changed", is_lost)

    def _count_unlike(
        self, table: TableImage, structure: Structure, now: sqlite3.Cursor, kept: sqlite3.Cursor
    ) -> int:
        """Return how many rows of a table are not as the step left them."""
        width = len(structure.key)
        rows = f"after_{table.number}"
        wanted = " AND ".join(f"v{number} IS ?" for number in range(width))
        left: int = kept.execute(f"SELECT count(*) FROM {rows}").fetchone()[0]
        count = 0
        for row in rows_of(now, table.name, structure):
            known = kept.execute(
                f"SELECT v{width} FROM {rows} WHERE {wanted}", row[:width]
            ).fetchone()
            left -= known is not None
            count += known is None or known[0] != hash_of(row[width:])
        return count + max(left, 0)

    def _count_changed_pairs(
        self, table: TableImage, structure: Structure, now: sqlite3.Cursor, kept: sqlite3.Cursor
    ) -> int:
        width = len(structure.key)
        blocked = self._blocked_pairs[table.number] = set()
        is_named = not structure.is_rowid or _names_rowid(now, table.name)
        pairs = (
            ((after or before or ())[:width], (pair, before, after))
            for pair, before, after in _pairs(kept, table, structure)
        )
        for found, (pair, before, after) in found_rows(now, table.name, structure, pairs):
            is_back = found is not None and before is not None and same_row(found, before)
            if after is None:
                # A rowid that nothing shows may have gone to another row.
                is_same = found is None or not is_named
            else:
                is_same = found is not None and same_row(found, after)
            if not (is_same or is_back):
                blocked.add(pair)
        return len(blocked)

    def _changed_numbers(self, now: sqlite3.Cursor) -> Iterator[ChangedPart]:
        for name, before, after in self._image.numbers:
            if name.startswith("sequence "):
                continue
            (number,) = now.execute(f"PRAGMA main.{_pragma(name)}").fetchone()
            if number not in (before, after):
                self._blocked.add(f"PRAGMA {name}")
                yield ChangedPart("", f"PRAGMA {name} is {number}, was {after}")

    # --- taking it back --------------------------------------------------------------------------

    def _drop(self, write: sqlite3.Cursor) -> list[str]:
        """Drop what the step made or altered; return the SQL of triggers to be made again.

        A trigger must not fire while rows are put back.
        """
        schema = schema_of(write, ())
        parts = {folded(table.name) for table in self._image.tables if table.is_shadow}
        for kind in reversed(_MADE_FIRST):
            for one in self._image.objects:
                name = folded(one.name)
                is_meant = one.kind == kind and self._group(one) not in self._blocked
                if is_meant and name not in parts:
                    # Dropping a table drops what belongs to it, and a virtual one its parts.
                    write.execute(f"DROP {kind.upper()} IF EXISTS main.{quoted_name(one.name)}")
        touched = {folded(table.name) for table in self._image.tables if not table.is_whole}
        known = {(one.kind, folded(one.name)) for one in self._image.objects}
        suspended = []
        for (kind, name), made in schema.items():
            if kind == "trigger" and folded(made.table) in touched:
                write.execute(f"DROP TRIGGER IF EXISTS main.{quoted_name(made.name)}")
                if (kind, name) not in known or name in self._blocked:
                    suspended.append(made.sql)
        return suspended

    def _make(self, write: sqlite3.Cursor, kind: str) -> None:
        """Make what the step dropped or altered, as it was."""
        parts = {folded(table.name) for table in self._image.tables if table.is_shadow}
        for one in self._image.objects:
            is_meant = one.kind == kind and self._group(one) not in self._blocked
            if is_meant and one.before is not None and folded(one.name) not in parts:
                write.execute(one.before)

    def _fill(self, write: sqlite3.Cursor, kept: sqlite3.Cursor, table: TableImage) -> None:
        """Give a table that was just made again its rows."""
        if table.before is None:
            return
        place = f"main.{quoted_name(table.name)}"
        if table.is_shadow:
            write.execute(f"DELETE FROM {place}")
        columns, start = _written(table.before)
        rows = (row[start:] for row in kept.execute(f"SELECT * FROM before_{table.number}"))
        for _ in insert(write, place, columns, rows):
            pass

    def _put_rows_back(
        self,
        write: sqlite3.Cursor,
        kept: sqlite3.Cursor,
        table: TableImage,
        everything: bool,
        how: str,
    ) -> None:
        structure = table.before
        assert structure is not None
        width = len(structure.key)
        blocked = self._blocked_pairs.get(table.number, set())
        place = f"main.{quoted_name(table.name)}"
        wanted = " AND ".join(f"{_key_name(name, structure)} IS ?" for name in structure.key)
        delete = f"DELETE FROM {place} WHERE {wanted}"
        # All out first: two rows may have exchanged what must be unique.
        for batch in batches(_pairs(kept, table, structure)):
            meant = [(before, after) for pair, before, after in batch if pair not in blocked]
            write.executemany(delete, [after[:width] for _, after in meant if after])
            if everything:
                write.executemany(delete, [before[:width] for before, _ in meant if before])
        columns, start = _written(structure)
        rows = (
            (before[:width], before)
            for pair, before, _ in _pairs(kept, table, structure)
            if before is not None and pair not in blocked
        )
        for put in batches(found_rows(write, table.name, structure, rows)):
            free = [row[start:] for found, row in put if found is None or everything]
            for _ in insert(write, place, columns, free, how):
                pass
            # Another row has got the rowid, which means nothing, or else it would be blocked.
            taken = [
                row[width:]
                for found, row in put
                if found is not None and not everything and not same_row(found, row)
            ]
            for _ in insert(write, place, structure.columns, taken, how):
                pass

    def _set_numbers(self, write: sqlite3.Cursor) -> None:
        for name, before, after in self._image.numbers:
            if f"PRAGMA {name}" in self._blocked:
                continue
            if not name.startswith("sequence "):
                write.execute(f"PRAGMA main.{_pragma(name)} = {int(before or 0)}")
                continue
            table = name.removeprefix("sequence ")
            if self._group_of_table(table) not in self._blocked:
                self._set_sequence(write, table, before, after)

    def _set_sequence(
        self, write: sqlite3.Cursor, table: str, before: int | None, after: int | None
    ) -> None:
        """Let a table count on from where it stood, unless it has counted on since."""
        counts = {folded(str(name)): (name, seq) for name, seq in write.execute(sequences_query())}
        name, now = counts.get(table, (None, None))
        is_whole = any(one.is_whole and folded(one.name) == table for one in self._image.tables)
        if name is None or not (is_whole or now == after):
            return
        if before is None:
            write.execute("DELETE FROM main.sqlite_sequence WHERE name = ?", (name,))
        else:
            write.execute("UPDATE main.sqlite_sequence SET seq = ? WHERE name = ?", (before, name))


def _families(image: DatabaseImage) -> dict[str, str]:
    """Return by each part's name the virtual table that it belongs to, or its siblings do."""
    virtual = [
        folded(one.name)
        for one in image.objects
        if (one.before or one.after or "").upper().startswith("CREATE VIRTUAL")
    ]
    families = {}
    for table in image.tables:
        name = folded(table.name)
        if table.is_shadow:
            of = [one for one in virtual if name.startswith(f"{one}_")]
            families[name] = max(of, key=len, default=name.rpartition("_")[0])
    return families


def _mean_the_same(now: str | None, then: str | None) -> bool:
    """Return whether a definition is as it was, if perhaps in other words."""
    if now is None or then is None or now == then:
        return now == then
    return meaning_of(now) == meaning_of(then)


def _pragma(name: str) -> str:
    if name not in ("user_version", "application_id"):
        raise sqlite3.DatabaseError(f"not a pragma that a step changes: {name}")
    return name


def _key_name(name: str, structure: Structure) -> str:
    return name if structure.is_rowid else quoted_name(name)


def _written(structure: Structure) -> tuple[Sequence[str], int]:
    """Return which columns a row is inserted with, and from which of its values on."""
    if structure.is_rowid:
        return (*structure.key, *structure.columns), 0
    return structure.columns, len(structure.key)


def _names_rowid(cursor: sqlite3.Cursor, table: str) -> bool:
    """Return whether a column shows the rowid, so that it means something."""
    keys = cursor.execute(
        "SELECT upper(type) FROM pragma_table_info(?) WHERE pk > 0", (table,)
    ).fetchall()
    return keys == [("INTEGER",)]


def _pairs(
    kept: sqlite3.Cursor, table: TableImage, structure: Structure
) -> Iterator[tuple[int, Row | None, Row | None]]:
    """Yield each kept pair: its number, the row before and the row after, each key first."""
    width = len(structure.key) + len(structure.columns) + 1
    number = table.number

    def listed(rows: str) -> str:
        return ", ".join(f"{rows}.v{column}" for column in range(width))

    # Each side without a partner once: SQLite has a full join only since 3.39.
    query = (
        f"SELECT {listed('b')}, {listed('a')} FROM before_{number} b"
        f" LEFT JOIN after_{number} a ON a.v0 = b.v0 UNION ALL"
        f" SELECT {listed('b')}, {listed('a')} FROM after_{number} a"
        f" LEFT JOIN before_{number} b ON a.v0 = b.v0 WHERE b.v0 IS NULL"
    )
    with closing(sqlite3.Cursor(kept.connection)) as cursor:
        for row in cursor.execute(query):
            before, after = row[:width], row[width:]
            pair = before[0] if before[0] is not None else after[0]
            yield (
                pair,
                before[1:] if before[0] is not None else None,
                after[1:] if after[0] is not None else None,
            )
