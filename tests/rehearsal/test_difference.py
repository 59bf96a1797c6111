"""Comparing two states of a file or a database."""

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plugin_migrate.rehearsal.difference import (
    DatabaseDifference,
    database_difference,
    read_text,
    text_difference,
)


def make(path: Path, script: str, rows: list[tuple[object, ...]] = []) -> str:  # noqa: B006
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(script)
        if rows:
            marks = ", ".join("?" * len(rows[0]))
            connection.executemany(f"INSERT INTO t VALUES ({marks})", rows)
    return str(path)


def compare(folder: Path, before: str, after: str) -> DatabaseDifference:
    old, new = make(folder / "old.db", before), make(folder / "new.db", after)
    return database_difference(old, new, "x.db")


def test_equal_databases_do_not_differ(tmp_path: Path) -> None:
    script = "CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 'a');"

    assert compare(tmp_path, script, script).is_empty


def test_a_missing_database_is_an_empty_one(tmp_path: Path) -> None:
    new = make(tmp_path / "new.db", "CREATE TABLE t (v); INSERT INTO t VALUES (1);")

    difference = database_difference(None, new, "x.db")

    assert "+CREATE TABLE t (v);" in difference.schema
    assert [(table.table, table.added) for table in difference.tables] == [("t", 1)]


def test_rows_are_added_removed_and_changed_by_their_key(tmp_path: Path) -> None:
    table = "CREATE TABLE t (id INTEGER PRIMARY KEY, v);"

    (found,) = compare(
        tmp_path,
        table + "INSERT INTO t VALUES (1, 'same'), (2, 'old'), (3, 'gone');",
        table + "INSERT INTO t VALUES (1, 'same'), (2, 'new'), (10, 'here');",
    ).tables

    assert (found.added, found.removed, found.changed) == (1, 1, 1)
    assert found.examples == ("~ (2, 'old') → (2, 'new')", "- (3, 'gone')", "+ (10, 'here')")


@pytest.mark.parametrize(
    ("one", "other"),
    [("1", "1.0"), ("1", "'1'"), ("'a'", "x'61'"), ("NULL", "''"), ("'a'", "'A'"), ("0", "NULL")],
)
def test_values_that_sqlite_calls_equal_but_are_not_the_same_differ(
    tmp_path: Path, one: str, other: str
) -> None:
    table = "CREATE TABLE t (id INTEGER PRIMARY KEY, v COLLATE NOCASE);"

    difference = compare(
        tmp_path,
        f"{table} INSERT INTO t VALUES (1, {one});",
        f"{table} INSERT INTO t VALUES (1, {other});",
    )

    assert [table.changed for table in difference.tables] == [1]


def test_a_row_deleted_and_put_back_is_the_same(tmp_path: Path) -> None:
    table = "CREATE TABLE t (v); INSERT INTO t VALUES ('a'), ('b');"

    assert compare(
        tmp_path, table, table + "DELETE FROM t WHERE v = 'a'; INSERT INTO t VALUES ('a');"
    ).is_empty


def test_an_added_column_is_a_change_of_the_schema_only(tmp_path: Path) -> None:
    table = "CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 'a');"

    difference = compare(tmp_path, table, table + "ALTER TABLE t ADD COLUMN w DEFAULT 5;")

    assert difference.tables == ()
    assert any(line.startswith("+") and "w DEFAULT 5" in line for line in difference.schema)


def test_tables_behind_a_virtual_one_are_left_out(tmp_path: Path) -> None:
    new = "CREATE VIRTUAL TABLE f USING fts5(x); INSERT INTO f VALUES ('word');"

    difference = compare(tmp_path, "", new)

    assert [line for line in difference.schema if line.startswith("+C")] == [
        "+CREATE VIRTUAL TABLE f USING fts5(x);"
    ]
    assert difference.tables == ()


def test_ignored_tables_and_tables_that_nobody_wrote_are_not_compared(tmp_path: Path) -> None:
    script = "CREATE TABLE a (x); CREATE TABLE b (x); CREATE TABLE c (x);"
    old = make(tmp_path / "old.db", script)
    new = make(
        tmp_path / "new.db",
        script + "INSERT INTO a VALUES (1); INSERT INTO b VALUES (1); INSERT INTO c VALUES (1);",
    )

    difference = database_difference(old, new, "x", frozenset({"a"}), frozenset({"a", "b"}))

    assert [table.table for table in difference.tables] == ["b"]


def test_only_the_first_rows_are_shown(tmp_path: Path) -> None:
    table = "CREATE TABLE t (id INTEGER PRIMARY KEY);"
    rows = ", ".join(f"({number})" for number in range(100))

    (found,) = compare(tmp_path, table, f"{table} INSERT INTO t VALUES {rows};").tables

    assert found.added == 100
    assert len(found.examples) == 5


_VALUES = st.one_of(
    st.none(),
    st.integers(-3, 3),
    st.sampled_from([0.0, 1.0, -2.5]),
    st.text("ab'\u00e9", max_size=3),
    st.binary(max_size=2),
)
_TABLES = st.sampled_from(
    [
        "CREATE TABLE t (k INTEGER PRIMARY KEY, v)",
        "CREATE TABLE t (k TEXT PRIMARY KEY, v) WITHOUT ROWID",
        "CREATE TABLE t (k, v COLLATE NOCASE, PRIMARY KEY (k, v))",
        "CREATE TABLE t (k, v)",
    ]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(table=_TABLES, data=st.data())
def test_two_tables_differ_exactly_when_their_rows_do(
    tmp_path: Path, table: str, data: st.DataObject
) -> None:
    rows = st.lists(st.tuples(st.integers(0, 4), _VALUES), max_size=6)
    sides = []
    for name in ("old.db", "new.db"):
        path = make(tmp_path / name, table)
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            for row in data.draw(rows):
                connection.execute("INSERT OR IGNORE INTO t VALUES (?, ?)", row)
            found = connection.execute("SELECT quote(k), quote(v) FROM t").fetchall()
        sides.append((path, Counter(found)))
    (old, old_rows), (new, new_rows) = sides

    difference = database_difference(old, new, "x")

    assert difference.is_empty == (old_rows == new_rows)
    counted = sum(item.added + item.changed for item in difference.tables)
    assert counted == (new_rows - old_rows).total()


def test_texts_differ_by_lines_and_a_missing_file_is_named() -> None:
    lines = text_difference(None, "a\nb\n", "x.md")

    assert lines == ("--- /dev/null", "+++ b/x.md", "@@ -0,0 +1,2 @@", "+a", "+b")


@pytest.mark.parametrize("content", [b"\0", b"\xff\xfe", b"a\0b"])
def test_what_is_no_text_is_not_shown_as_text(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)

    assert read_text(str(tmp_path / "x")) is None


# --- schemas as SQLite understands them ---------------------------------------------------------

TABLE = "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT DEFAULT 'A' CHECK (v <> 'x'));"
ROW = "INSERT INTO t VALUES (1, 'a');"


@pytest.mark.parametrize(
    "spelled",
    [
        "create table t(id integer primary key,v text default 'A' check(v<>'x'));",
        "CREATE TABLE \"T\" ([ID] INTEGER PRIMARY KEY, `V` TEXT DEFAULT 'A' CHECK (\"v\" <> 'x'));",
        (
            "CREATE TABLE t (\n  id INTEGER PRIMARY KEY, -- the key\n  v TEXT DEFAULT 'A' CHECK"
            " (v <> 'x')\n);"
        ),
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT DEFAULT \"A\" CHECK (v <> 'x'));",
        (
            "CREATE TABLE u (id INTEGER PRIMARY KEY, v TEXT DEFAULT 'A' CHECK (v <> 'x'));"
            " ALTER TABLE u RENAME TO T;"
        ),
    ],
)
def test_a_table_spelled_otherwise_is_the_same(tmp_path: Path, spelled: str) -> None:
    assert compare(tmp_path, TABLE + ROW, spelled + ROW).is_empty


@pytest.mark.parametrize(
    "other",
    [
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT DEFAULT 'a' CHECK (v <> 'x'));",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT DEFAULT \"a\" CHECK (v <> 'x'));",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT DEFAULT 'A' CHECK (v <> 'X'));",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT DEFAULT 'A' CHECK (v <> ' x'));",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT DEFAULT 'A' CHECK (v = 'x'));",
        "CREATE TABLE t (id INT PRIMARY KEY, v TEXT DEFAULT 'A' CHECK (v <> 'x'));",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT COLLATE NOCASE DEFAULT 'A');",
    ],
)
def test_a_table_that_means_something_else_differs(tmp_path: Path, other: str) -> None:
    assert compare(tmp_path, TABLE, other).schema


def test_a_name_beyond_ascii_keeps_its_case(tmp_path: Path) -> None:
    table = 'CREATE TABLE t (id INTEGER PRIMARY KEY, "Größe", "Ä");'
    row = "INSERT INTO t VALUES (1, 2, {});"

    found = compare(tmp_path, table + row.format(3), table + row.format(4)).tables

    assert [one.examples for one in found] == [("~ (1, 2, 3) → (1, 2, 4)",)]


def test_the_case_of_a_tables_name_does_not_hide_its_rows(tmp_path: Path) -> None:
    found = compare(
        tmp_path,
        "CREATE TABLE Facts (Id INTEGER PRIMARY KEY, V); INSERT INTO Facts VALUES (1, 'a');",
        "CREATE TABLE facts (id INTEGER PRIMARY KEY, v); INSERT INTO facts VALUES (1, 'b');",
    )

    assert found.schema == ()
    assert [(one.added, one.removed, one.changed) for one in found.tables] == [(0, 0, 1)]
