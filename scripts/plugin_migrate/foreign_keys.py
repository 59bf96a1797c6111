"""Foreign keys at the end of a step: only violations that the step itself made count.

SQLite cannot switch enforcement inside a transaction, and a table rebuild with it on deletes the
child rows (https://www.sqlite.org/lang_altertable.html, 7); so it is off, and checked before the
commit (design, "The commit protocol", clause 6).
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable

from .errors import StepFailed

# A pair of child and parent table; for a broken declaration the parent is SQLite's own sentence.
_Pair = tuple[str, str]


def check(
    connection: sqlite3.Connection,
    written: Iterable[str],
    before: Callable[[], sqlite3.Connection],
) -> None:
    """Refuse violations that were not there before the transaction.

    Parameters:
        connection: sees the state after the step.
        written: the tables that the step wrote.
        before: opens a connection that still sees the state before; asked only when something
            is violated.

    Raises:
        StepFailed: names the tables and the number of rows.
    """
    tables = _with_children(connection, written)
    violated = _count(connection, tables)
    if not violated:
        return
    earlier = before()
    try:
        known = _count(earlier, tables)
    finally:
        earlier.close()
    new = {pair: count for pair, count in violated.items() if count > known.get(pair, 0)}
    if new:
        raise StepFailed(
            "The migration leaves rows that refer to nothing",
            details=tuple(_sentence(pair, new[pair] - known.get(pair, 0)) for pair in sorted(new)),
            hint="Delete or correct those rows in the migration, or keep the rows they refer to.",
        )


def _sentence(pair: _Pair, count: int) -> str:
    child, parent = pair
    if " " in parent:
        return f"{child}: {parent}"
    return f"{child}: {count} row(s) refer to rows that {parent} does not have"


def _with_children(connection: sqlite3.Connection, written: Iterable[str]) -> list[str]:
    """Return the existing tables among ``written`` and all that refer to one of them."""
    names = json.dumps(sorted({name.lower() for name in written}))
    rows = connection.execute(
        "WITH touched AS (SELECT value AS name FROM json_each(?))"
        " SELECT m.name FROM main.sqlite_schema m JOIN main.pragma_foreign_key_list(m.name) f"
        " WHERE m.type = 'table' AND (lower(m.name) IN touched OR lower(f.\"table\") IN touched)"
        " GROUP BY m.name",
        (names,),
    )
    return [name for (name,) in rows]


def _count(connection: sqlite3.Connection, tables: Iterable[str]) -> Counter[_Pair]:
    found: Counter[_Pair] = Counter()
    for table in tables:
        quoted = table.replace('"', '""')
        try:
            for child, _, parent, _ in connection.execute(
                f'PRAGMA main.foreign_key_check("{quoted}")'
            ):
                found[child, parent] += 1
        except sqlite3.OperationalError as error:
            # "foreign key mismatch": the parent's columns are not unique, or it is gone.
            if "no such table" not in str(error):
                found[table, str(error)] += 1
    return found
