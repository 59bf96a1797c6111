"""SQL migrations run statement by statement; what the text says is tested in test_sql_text."""

import pytest

from plugin_migrate.errors import ForbiddenStatement, Irreversible, StepFailed
from plugin_migrate.languages.foreign_key_mode import ForeignKeyMode
from plugin_migrate.languages.sql import LANGUAGE

FILE = "/project/.claude/core/versioning/migrations/1.0.0-x.sql"


def test_a_direction_is_its_section():
    text = "-- migrate:up foreign_keys:on\nSELECT 1;\n-- migrate:down transaction:false\nVACUUM;\n"
    up, down = (LANGUAGE.prepare(text, FILE, direction) for direction in ("up", "down"))
    assert (up.source, up.atomic, up.foreign_keys) == ("SELECT 1;\n", True, ForeignKeyMode.ENFORCED)
    assert (down.source, down.atomic, down.foreign_keys) == (
        "VACUUM;\n",
        False,
        ForeignKeyMode.CHECKED,
    )
    assert not up.touches_files


def test_without_a_down_section_it_cannot_be_rolled_back():
    with pytest.raises(Irreversible):
        LANGUAGE.prepare("SELECT 1;", FILE, "down")


def test_an_empty_down_section_is_a_down():
    assert LANGUAGE.prepare("-- migrate:up\n-- migrate:down\n", FILE, "down").source == ""


@pytest.mark.parametrize("direction", ["up", "down"])
def test_transaction_control_is_refused_in_the_direction_that_runs(direction):
    text = "-- migrate:up\n-- migrate:down\n".replace(
        f"migrate:{direction}\n", f"migrate:{direction}\nCOMMIT;\n"
    )
    with pytest.raises(ForbiddenStatement):
        LANGUAGE.prepare(text, FILE, direction)
    LANGUAGE.prepare(text, FILE, "down" if direction == "up" else "up")


def test_a_failing_statement_is_shown_with_its_line(project):
    project.sql("1.0.0", "CREATE TABLE a (x);\n\n  -- remark\n  INSERT INTO b\n    VALUES (1);")
    error = project.failure()
    assert isinstance(error, StepFailed)
    assert (error.message, error.line, error.completed) == ("no such table: b", 5, 1)
    assert error.details == ("INSERT INTO b\n    VALUES (1);",)


def test_a_long_statement_is_shown_shortened(project):
    project.sql("1.0.0", f"INSERT INTO b VALUES ('{'x' * 5000}');")
    (shown,) = project.failure().details
    assert len(shown) < 500
    assert shown.endswith("more characters)")


def test_a_select_is_run_to_its_end(project):
    # Only the third row of the answer fails.
    rows = "WITH n(i) AS (VALUES (1), (0), (-1)) SELECT abs(-9223372036854775807 + i) FROM n;"
    project.sql("1.0.0", "CREATE TABLE a (x);\n" + rows)
    assert project.failure().message == "integer overflow"


def test_definitions_keep_their_text_byte_for_byte(project):
    sql = "CREATE TABLE a (\r\n  x -- remark; é\r\n)"
    (project.migrations / "1.0.0-x.sql").write_bytes(f"-- migrate:up\r\n{sql};\r\n".encode())
    project.upgrade()
    assert project.query("SELECT sql FROM sqlite_schema WHERE name = 'a'") == [(sql,)]


def test_triggers_views_and_virtual_tables_can_be_made(project):
    project.sql(
        "1.0.0",
        """
        CREATE TABLE a (x); CREATE TABLE log (x);
        CREATE TRIGGER t AFTER INSERT ON a BEGIN
          INSERT INTO log VALUES (CASE new.x WHEN 1 THEN 'one;' ELSE '--' END);
        END;
        CREATE VIEW v AS SELECT x FROM a;
        CREATE VIRTUAL TABLE f USING fts5(x);
        INSERT INTO a VALUES (1), (2);
        INSERT INTO f VALUES ('hello; world');
        """,
        "DROP TABLE f; DROP VIEW v; DROP TABLE a; DROP TABLE log;",
    )
    project.upgrade()
    assert project.query("SELECT x FROM log") == [("one;",), ("--",)]
    assert project.query("SELECT x FROM f WHERE f MATCH 'world'") == [("hello; world",)]
    project.downgrade()
    assert project.query("SELECT name FROM sqlite_schema WHERE name IN ('a', 'v', 'f')") == []


def test_a_rebuilt_table_keeps_the_rows_that_refer_to_it(project):
    project.setup(
        "CREATE TABLE a (id INTEGER PRIMARY KEY); INSERT INTO a VALUES (1);"
        "CREATE TABLE b (a REFERENCES a(id) ON DELETE CASCADE); INSERT INTO b VALUES (1);"
    )
    project.sql(
        "1.0.0",
        "CREATE TABLE a_new (id INTEGER PRIMARY KEY, more);\n"
        "INSERT INTO a_new (id) SELECT id FROM a;\nDROP TABLE a;\nALTER TABLE a_new RENAME TO a;",
    )
    project.upgrade()
    assert project.query("SELECT * FROM b") == [(1,)]
