"""Foreign keys at the end of a step: only violations that the step itself made count.

SQLite cannot switch enforcement inside a transaction, and a table rebuild with it on deletes the
child rows (https://www.sqlite.org/lang_altertable.html, 7); so it is off, and checked before the
commit (design, "The commit protocol", clause 6).
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable

from ..errors import StepFailed
from ..storage.sqlite import quoted_name

# A pair of child and parent table; for a broken declaration the parent is SQLite's own sentence.
_Pair = tuple[str, str]


class ForeignKeys:
    """Knows which table refers to which, for as long as one transaction lasts.

    Asking SQLite for every table after every step would make a thousand small steps quadratic.

    Parameters:
        cursor: sees the state after each step.
        before: opens a connection that still sees the state before the transaction.
    """

    def __init__(self, cursor: sqlite3.Cursor, before: Callable[[], sqlite3.Connection]) -> None:
        self._cursor = cursor
        self._open_before = before
        # Only of tables that refer to others; both lower-case. Empty before the first step.
        self._parents: dict[str, frozenset[str]] = {}
        self._children: dict[str, set[str]] = {}
        self._is_known = False

    def check(self, written: Iterable[str], altered: Iterable[str]) -> None:
        """Refuse violations that were not there before the transaction.

        Parameters:
            written: names of the tables that the step wrote, created, altered or dropped.
            altered: those of them that an ALTER TABLE named.

        Raises:
            StepFailed: names the tables and the number of rows.
        """
        # A CREATE TABLE writes SQLite's own tables as well.
        names = {name.lower() for name in written if not name.startswith("sqlite_")}
        self._update(names, {name.lower() for name in altered})
        concerned = {name for name in names if name in self._parents}
        for name in names:
            concerned |= self._children.get(name, set())
        tables = sorted(concerned)
        violated = _count(self._cursor, tables) if tables else None
        if not violated:
            return
        earlier = self._open_before()
        try:
            known = _count(earlier.cursor(), tables)
        finally:
            earlier.close()
        new = {pair: count for pair, count in violated.items() if count > known.get(pair, 0)}
        if new:
            raise StepFailed(
                "FOREIGN KEY constraint failed: the migration leaves rows that refer to nothing",
                details=tuple(
                    _sentence(pair, new[pair] - known.get(pair, 0)) for pair in sorted(new)
                ),
                hint="Delete or correct those rows in the migration, or keep the rows they refer"
                " to.\nAn old SQL migration that leaves them on purpose says so behind its marker:"
                " `-- migrate:up foreign_keys:unchecked` (or `down`).",
            )

    def _update(self, written: set[str], altered: set[str]) -> None:
        """Know every table's parents after a step."""
        # Renamed: to what, and in whose declarations, the authorizer does not say.
        if not self._is_known or any(not self._exists(name) for name in altered):
            self._parents, self._children = {}, {}
            written = self._referring_tables()
            self._is_known = True
        for name in written:
            self._learn(name)

    def _learn(self, name: str) -> None:
        for parent in self._parents.pop(name, ()):
            self._children[parent].discard(name)
        parents = self._parents_of(name)
        if parents:
            self._parents[name] = parents
        for parent in parents:
            self._children.setdefault(parent, set()).add(name)

    def _referring_tables(self) -> set[str]:
        """Return the tables that may refer to others: the word stands in their definitions."""
        rows = self._cursor.execute(
            "SELECT lower(name) FROM main.sqlite_schema"
            " WHERE type = 'table' AND sql LIKE '%references%'"
        )
        return {name for (name,) in rows}

    def _exists(self, name: str) -> bool:
        columns = self._cursor.execute(f"PRAGMA main.table_info({quoted_name(name)})")
        return bool(columns.fetchall())

    def _parents_of(self, name: str) -> frozenset[str]:
        rows = self._cursor.execute(f"PRAGMA main.foreign_key_list({quoted_name(name)})")
        return frozenset(row[2].lower() for row in rows)


def _sentence(pair: _Pair, count: int) -> str:
    child, parent = pair
    if " " in parent:
        return f"{child}: {parent}"
    return f"{child}: {count} row(s) refer to rows that {parent} does not have"


def _count(cursor: sqlite3.Cursor, tables: Iterable[str]) -> Counter[_Pair]:
    found: Counter[_Pair] = Counter()
    for table in tables:
        try:
            for child, _, parent, _ in cursor.execute(
                f"PRAGMA main.foreign_key_check({quoted_name(table)})"
            ):
                found[child, parent] += 1
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT:
                raise  # a signal
            # "foreign key mismatch": the parent's columns are not unique, or it is gone.
            if "no such table" not in str(error):
                found[table, str(error)] += 1
    return found
