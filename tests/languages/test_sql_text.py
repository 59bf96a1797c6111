"""How a SQL migration's text is cut into header, sections and statements."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugin_migrate.errors import BrokenMigration, ForbiddenStatement
from plugin_migrate.languages import sql_text
from plugin_migrate.languages.foreign_key_mode import ForeignKeyMode
from plugin_migrate.languages.sql_text import (
    Section,
    Statement,
    parse,
    refuse_transaction_control,
    statements,
)

FILE = ".claude/core/versioning/migrations/1.0.0-x.sql"

TRIGGER = """CREATE TRIGGER audit AFTER UPDATE ON a WHEN new.x <> ';' BEGIN
  UPDATE a SET y = CASE WHEN new.x = 'END;' THEN 1 ELSE CASE new.x WHEN 2 THEN 3 END END;
  INSERT INTO log VALUES ('one; two', "end"); -- ; END;
  /* ; END; */ DELETE FROM b WHERE [x;y] = `;`;
  SELECT CASE 1 WHEN 1 THEN 2 END;
END;"""


def split(text: str, line: int = 1) -> list[str]:
    return [statement.text for statement in statements(Section(text, line))]


def lines(text: str, line: int = 1) -> list[int]:
    return [statement.line for statement in statements(Section(text, line))]


def broken(text: str) -> BrokenMigration:
    with pytest.raises(BrokenMigration) as caught:
        parse(text, FILE)
    assert caught.value.file == FILE
    assert caught.value.hint
    return caught.value


# Statements


def test_each_statement_ends_at_its_own_semicolon():
    assert split("CREATE TABLE a(x); INSERT INTO a VALUES (1);") == [
        "CREATE TABLE a(x);",
        "INSERT INTO a VALUES (1);",
    ]


def test_a_trigger_keeps_its_inner_statements_and_case_expressions():
    assert split(f"SELECT 1;\n{TRIGGER}\nSELECT 2;") == ["SELECT 1;", TRIGGER, "SELECT 2;"]


@pytest.mark.parametrize(
    "opening",
    [
        "CREATE TRIGGER",
        "create temp trigger",
        "Create Temporary Trigger IF NOT EXISTS",
        "CREATE /* ; */ TEMP -- ;\n TRIGGER",
        "EXPLAIN CREATE TRIGGER",
        "explain query plan create trigger",
        "\ufeffCREATE TRIGGER",
    ],
)
def test_every_spelling_of_a_trigger_is_known(opening):
    trigger = f"{opening} t AFTER INSERT ON a BEGIN SELECT 1; SELECT 2; END;"
    assert split(f"{trigger} SELECT 3;") == [trigger.removeprefix("\ufeff"), "SELECT 3;"]


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE trigger_log(x);",
        "CREATE TABLE [trigger](x);",
        "CREATE TEMP VIEW v AS SELECT 1;",
        "CREATE TEMP TABLE begin(x);",
        "CREATED TRIGGER x;",
        "EXPLAIN SELECT 1;",
        "EXPLAIN QUERY PLAN SELECT 1;",
        "EXPLAIN QUERY;",
        "SELECT 'CREATE TRIGGER';",
    ],
)
def test_what_only_looks_like_a_trigger_ends_at_once(statement):
    assert split(f"{statement} SELECT 2;") == [statement, "SELECT 2;"]


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO a VALUES ('; -- /* \" [ ` ');",
        "INSERT INTO a VALUES ('it''s; two''');",
        "INSERT INTO a VALUES ('', ';', '');",
        'CREATE TABLE "a;""--b"(x);',
        "CREATE TABLE [a;'b](x);",
        "CREATE TABLE `a;``'b`(x);",
        "SELECT 1 -- it's ; here\n;",
        "SELECT /* it's ; /* here */ 1;",
        "SELECT 1 /**/, 2 /***/, 3 /*/ ; */;",
        "SELECT 4 - -1 / 2 -> '$.a;b';",
        "INSERT INTO a VALUES ('line one;\n-- line two;\nline three');",
        "INSERT INTO a VALUES (x'3b', 'ünï;cödé ☃');",
    ],
)
def test_semicolons_in_literals_names_and_comments_do_not_split(statement):
    assert split(f"{statement}\nSELECT 2;") == [statement, "SELECT 2;"]


def test_a_comment_opened_inside_a_comment_does_not_nest():
    assert split("/* one /* two */ SELECT 1; /* three */") == ["SELECT 1;"]


def test_views_and_virtual_tables_are_ordinary_statements():
    script = [
        "CREATE VIEW v AS SELECT ';' AS x UNION SELECT CASE WHEN 1 THEN 2 END;",
        "CREATE VIRTUAL TABLE notes USING fts5(title, body, tokenize = 'porter; ascii');",
        "INSERT INTO notes(notes) VALUES ('rebuild');",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT i FROM n LIMIT 2;",
    ]
    assert split("\n\n".join(script)) == script


def test_the_last_statement_may_lack_its_semicolon():
    assert split("SELECT 1;\nSELECT 2") == ["SELECT 1;", "SELECT 2"]
    assert split(f"SELECT 1;{TRIGGER[:-1]}") == ["SELECT 1;", TRIGGER[:-1]]


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \r\n\t\f",
        "-- only; this",
        "/* only; this */",
        ";",
        ";;\n ;-- x\n;/* y */",
        "/* open ;",
    ],
)
def test_without_a_token_there_is_no_statement(text):
    assert split(text) == []


def test_empty_statements_and_trailing_comments_are_skipped():
    assert split(";SELECT 1;; ;\n-- done;\n/* really; */\n") == ["SELECT 1;"]


@pytest.mark.parametrize(
    "rest", ["SELECT 'open; SELECT 2;", 'SELECT "a;', "SELECT [a;", "SELECT `a;", "SELECT 1 /* ;"]
)
def test_what_is_never_closed_runs_to_the_end(rest):
    assert split(f"SELECT 1;{rest}") == ["SELECT 1;", rest]


def test_a_comment_opened_by_the_last_two_characters_is_left_for_sqlite_to_report():
    assert split("SELECT 1; /*") == ["SELECT 1;", "/*"]
    with closing(sqlite3.connect(":memory:")) as database, pytest.raises(sqlite3.Error):
        database.execute("/*")


def test_carriage_returns_reach_sqlite_byte_for_byte():
    table = "CREATE TABLE a (\r\n  x TEXT, -- one\r\n  y TEXT\r\n);"
    trigger = TRIGGER.replace("\n", "\r\n")
    assert split(f"\r\n{table}\r\n\r\n{trigger}\r\n") == [table, trigger]


def test_a_byte_order_mark_inside_the_text_is_white_space():
    assert split("SELECT 1;\ufeffCREATE TABLE a(x);") == ["SELECT 1;", "CREATE TABLE a(x);"]


def test_a_statement_knows_the_line_of_its_first_token():
    text = f"-- one\n\n  SELECT\n 1; /* four\nfive */ SELECT 2;\r\n\r\n{TRIGGER}\n;\nSELECT 3"
    assert lines(text) == [3, 5, 7, 14]
    assert lines(text, line=101) == [103, 105, 107, 114]


def test_statements_are_values():
    (one,) = statements(Section("SELECT 1;", 7))
    assert one == Statement("SELECT 1;", 7)


def test_statements_are_found_only_when_asked_for():
    found = statements(Section("SELECT 1; SELECT 2;", 1))
    assert next(found).text == "SELECT 1;"


# Work: counted, not timed


def test_a_large_literal_or_many_small_ones_are_one_statement():
    large = "INSERT INTO a VALUES ('" + "; -- /* CREATE TRIGGER\n" * 100_000 + "');"
    many = "INSERT INTO a VALUES " + "('a;b''c', ';'), " * 100_000 + "(1, 2);"
    assert len(large) > 2_000_000
    assert split(f"{large}\n{many}") == [large, many]
    assert lines(f"{large}\n{many}") == [1, 100_002]


def asked(text: str) -> list[str]:
    """Return what `complete_statement` was asked while the statement ``text`` was read."""
    questions: list[str] = []

    def complete(question: str) -> bool:
        questions.append(question)
        return sqlite3.complete_statement(question)

    is_trigger = sql_text._is_trigger(text, 0)
    assert sql_text._end_of_statement(text, 0, is_trigger, complete) == len(text)
    return questions


def test_sqlite_is_asked_about_triggers_only():
    assert asked("INSERT INTO a VALUES (';', ';');") == []
    assert len(asked("CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT ';'; SELECT 2; END;")) == 3


def test_each_character_of_a_trigger_is_shown_to_sqlite_once():
    body = "  UPDATE a SET x = CASE WHEN x = ';' THEN 1 ELSE 2 END;\n" * 5_000
    trigger = f"CREATE TRIGGER t AFTER INSERT ON a BEGIN\n{body}END;"
    questions = asked(trigger)
    assert len(questions) == 5_001
    assert sum(map(len, questions)) < len(trigger) + 20 * len(questions)


def test_a_marker_line_full_of_blanks_is_read_in_one_go():
    blanks = " \t" * 100_000
    assert parse(f"--{blanks}migrate{blanks}:{blanks}up{blanks}\nSELECT 1;", FILE).up.line == 2
    assert broken(f"-- migrate:up{blanks}x").line == 1


# Markers and sections


def test_a_file_is_cut_at_its_markers():
    script = parse("-- migrate:up\nSELECT 1;\n\n-- migrate:down\nSELECT 2;\n", FILE)
    assert script.up == Section("SELECT 1;\n\n", 2)
    assert script.down == Section("SELECT 2;\n", 5)


def test_without_a_marker_the_whole_file_is_the_up():
    text = "-- description: Plain\nCREATE TABLE a(x);\n"
    script = parse(text, FILE)
    assert script.up == Section(text, 1)
    assert script.down is None
    assert lines(script.up.text, script.up.line) == [2]


def test_an_up_alone_has_no_down_but_an_empty_down_is_one():
    assert parse("-- migrate:up\nSELECT 1;", FILE).down is None
    assert parse("-- migrate:up\n-- migrate:down", FILE).down == Section("", 3)


@pytest.mark.parametrize("body", ["", "\n", "\r\n-- nothing to do\r\n", "/* nothing */;\n"])
def test_a_section_may_hold_no_statement(body):
    script = parse(f"-- migrate:up\n{body}\n-- migrate:down\n{body}", FILE)
    assert list(statements(script.up)) == []
    assert script.down is not None
    assert list(statements(script.down)) == []


@pytest.mark.parametrize(
    "marker",
    [
        "-- migrate:up",
        "--migrate:up",
        "  --\tMIGRATE : Up  ",
        "-- migrate:up\r",
        "--- migrate:up",
        "\u00a0--\u00a0migrate:up",
    ],
)
def test_a_marker_is_known_in_any_case_and_spacing(marker):
    script = parse(f"{marker}\nSELECT 1;\r\n{marker.lower().replace('up', 'down')}\nDROP", FILE)
    assert split(script.up.text) == ["SELECT 1;"]
    assert script.down == Section("DROP", 4)


def test_crlf_survives_in_the_sections():
    script = parse("-- migrate:up\r\nSELECT\r\n1;\r\n-- migrate:down\r\nSELECT 2;\r\n", FILE)
    assert script.up == Section("SELECT\r\n1;\r\n", 2)
    assert script.down == Section("SELECT 2;\r\n", 5)


def test_a_leading_byte_order_mark_is_dropped():
    assert parse("\ufeffSELECT 1;", FILE).up == Section("SELECT 1;", 1)
    assert parse("\ufeff-- description: A\n-- migrate:up\n", FILE).description == "A"


@pytest.mark.parametrize(
    ("options", "transaction", "foreign_keys"),
    [
        ("", True, ForeignKeyMode.CHECKED),
        ("transaction:false", False, ForeignKeyMode.CHECKED),
        ("transaction:true foreign_keys:off", True, ForeignKeyMode.CHECKED),
        ("Transaction : FALSE   foreign_keys: on\r", False, ForeignKeyMode.ENFORCED),
        ("foreign_keys:unchecked", True, ForeignKeyMode.UNCHECKED),
    ],
)
def test_options_stand_behind_a_marker(options, transaction, foreign_keys):
    script = parse(f"-- migrate:up {options}\nVACUUM;\n-- migrate:down {options}\nVACUUM;", FILE)
    assert script.down is not None
    for section in (script.up, script.down):
        assert (section.transaction, section.foreign_keys) == (transaction, foreign_keys)


def test_a_comment_that_mentions_a_marker_is_no_marker():
    text = "SELECT 1; -- migrate:down\n-- see migrate:up\n-- migrated: yes\n-- migrate this\n"
    assert parse(text, FILE).up == Section(text, 1)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("-- migrate:up\nSELECT 1;\n-- migrate:dwon\n", 3, "migrate:dwon"),
        ("\n-- migrate:\n", 2, "Unknown marker"),
        ("-- migrate:up;\n", 1, "migrate:up;"),
        ("-- migrate:up\n\n-- migrate up \n", 3, "-- migrate up"),
        ("\n-- +goose Down\n", 2, "+goose Down"),
        ("-- +migrate Up\n", 1, "+migrate Up"),
        ("-- migrate:up\n-- +goose Up\n\n-- +goose Down\n", 4, "+goose Down"),
        ("-- migrate:up foreign_keys:off foreign_keys:unchecked\n", 1, "twice"),
        ("-- migrate:up transacton:false\n", 1, "transacton:false"),
        ("-- migrate:up\n-- migrate:down transaction:maybe\n", 2, "transaction:maybe"),
        ("-- migrate:up transaction\n", 1, "transaction"),
        ("-- migrate:up transaction:true transaction:false\n", 1, "twice"),
        ("-- migrate:up\n\n-- MIGRATE:UP\n", 3, "line 1"),
        ("-- migrate:up\n-- migrate:down\n-- migrate:down\n", 3, "line 2"),
        ("\n\n-- migrate:down\nSELECT 1;", 3, "no `-- migrate:up` above"),
        ("-- migrate:down\n-- migrate:up\n", 1, "no `-- migrate:up` above"),
        ("-- x\n/* y\n*/ SELECT 1;\n-- migrate:up\n", 3, "before the first marker"),
        ("SELECT 1;\nx\0", 2, "NUL"),
    ],
)
def test_a_wrong_marker_is_reported_with_its_line(text, line, words):
    error = broken(text)
    assert error.line == line
    assert words in error.message


def test_with_our_markers_those_of_other_tools_are_comments():
    text = (
        "-- description: A\n-- +migrate Up\n-- migrate:up\n-- +goose Up\n-- +goose StatementBegin\n"
        "SELECT 1;\n-- +goose Down\n-- migrate:down\n-- +goose Down\nSELECT 2;\n"
    )
    script = parse(text, FILE)
    assert script.description == "A"
    assert [each.text for each in statements(script.up)] == ["SELECT 1;"]
    assert script.down is not None
    assert [each.text for each in statements(script.down)] == ["SELECT 2;"]
    assert parse("-- migrate:up\n-- +goose Up\nSELECT 1;\n", FILE).down is None


# The header


def test_the_header_is_yaml_behind_comments():
    script = parse(
        "-- description: Add user preferences\n"
        "--author: system\n"
        "\n"
        "  -- created_at: 2025-12-12T20:00:00Z\r\n"
        "-- tags: [schema, plugin]\n"
        "-- version: 1.2.0\n"
        "-- requires:\n"
        "--   - 1.0.0\n"
        "-- name: x\n"
        "-- ticket: 42\n"
        "\n"
        "-- migrate:up\n",
        FILE,
    )
    assert script.description == "Add user preferences"
    assert script.version == "1.2.0"
    assert script.metadata == {
        "author": "system",
        "created_at": "2025-12-12T20:00:00Z",
        "tags": ["schema", "plugin"],
        "requires": ["1.0.0"],
        "name": "x",
        "ticket": 42,
    }


def test_without_markers_the_header_ends_at_the_first_statement():
    script = parse("-- description: One\n/* x: y */\nSELECT 1;\n-- author: two\n", FILE)
    assert script.description == "One"
    assert script.metadata == {}


def test_comments_below_the_marker_are_no_header():
    assert parse("-- migrate:up\n-- description: No\nSELECT 1;", FILE).description is None


def test_a_block_comment_above_the_header_is_skipped():
    text = "/* Licence: none\n-- version: 9.9.9 */\n-- description: Yes we do\n-- migrate:up\n"
    assert parse(text, FILE).description == "Yes we do"
    assert parse(text, FILE).metadata == {}


@pytest.mark.parametrize("written", ["2025-12-12", "2025-12-12 20:00:00", "20251212", "20:00:00"])
def test_dates_stay_as_the_author_wrote_them(written):
    script = parse(f"-- created_at: {written}\n-- when: 2025-01-02\n-- migrate:up\n", FILE)
    assert script.metadata == {"created_at": written, "when": "2025-01-02"}


@pytest.mark.parametrize(
    ("written", "tags"),
    [
        ("schema", ["schema"]),
        ("schema, plugin ,", ["schema", "plugin"]),
        ("[schema, 2025, 1.10, yes]", ["schema", "2025", "1.10", "yes"]),
        ("\n--  - schema\n--  - plugin", ["schema", "plugin"]),
        ("[]", []),
        ("2025", ["2025"]),
    ],
)
def test_tags_become_a_list_of_strings(written, tags):
    assert parse(f"-- tags: {written}\n-- migrate:up\n", FILE).metadata == {"tags": tags}


def test_a_version_is_the_text_that_stands_there():
    assert parse("-- version: 1.10\n-- migrate:up\n", FILE).version == "1.10"


def test_what_is_left_empty_counts_as_not_written():
    keys = ("description", "version", "author", "created_at", "tags", "ticket")
    script = parse("".join(f"-- {key}:\n" for key in keys), FILE)
    assert (script.description, script.version) == (None, None)
    assert script.metadata == {"ticket": None}


@pytest.mark.parametrize(
    "prose",
    [
        "-- Copyright 2025 A. Author\n-- All rights reserved.\n",
        "-- Careful: this: is: no: YAML\n",
        "-- See https://example.org/description:x\n-- 'unclosed\n",
        "-- - a list\n-- - of: things\n",
        "-- The description: it is further down\n-- Author: nobody\n-- and so on\n",
        "-- @#$%\x07 : `\n",
        "--------------------------------\n",
    ],
)
def test_prose_at_the_top_is_no_header(prose):
    script = parse(f"{prose}\n-- migrate:up\nSELECT 1;", FILE)
    assert (script.description, script.version, script.metadata) == (None, None, {})


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("-- description: Add: two\n", 1),
        ("\n\n-- description: A\n\n-- tags: [a, b\n-- author: c\n", 6),
        ("-- author: A\r\n-- description: 'it''s\r\n-- tags: x\r\n", 2),
        ("-- description: A\n-- And a remark\n-- tags: [a]\n", 2),
        ("-- A remark\n-- description:no blank\n", 2),
        ("-- description: A\n-- \ttags: x: y\n", 2),
        ("-- author: A\n-- ---\n-- description: B\n", 2),
        ("/* one\ntwo */\n-- author: *nobody\n", 3),
        ("-- author: \x07\n-- tags: x\n", 1),
        ("-- author: A\n-- tags: !!python/name:os.system\n", 2),
        ("-- tags: [a\n--\n--\n", 1),
        ("-- tags: " + "[" * 5_000 + "\n", 1),
        ("-- author: A\n-- size: 0x_\n", 1),
        ("-- author: A\n-- size: !!bool x\n-- count: !!int ''\n", 1),
        ("-- tags: &a [*a]\n", 1),
        ("-- author: A\n-- {b: c}: d\n", 2),
    ],
)
def test_a_broken_header_is_reported_with_its_line(text, line):
    error = broken(f"{text}-- migrate:up\nSELECT 1;")
    assert error.line == line
    assert "header" in error.message


@pytest.mark.parametrize("sign", ["[", "[{a: ", "- ", "? "])
def test_a_header_is_refused_that_would_overflow_the_stack(sign):
    deep = (sign * 60_000)[:60_000]
    error = broken(f"-- author: A\n-- x:\n--   {deep}\n-- migrate:up\n")
    assert error.message == "The header is not valid YAML: it is nested too deeply"


def test_a_header_may_have_any_number_of_shallow_values():
    values = ", ".join(["{a: [b]}"] * 2_000)
    script = parse(f"-- author: A\n-- x: [{values}]\n-- migrate:up\n", FILE)
    assert script.metadata["x"] == [{"a": ["b"]}] * 2_000


def test_a_broken_header_is_reported_without_markers_too():
    assert broken("-- author: A\n-- description: B: C\nSELECT 1;").line == 2


@pytest.mark.parametrize(
    "wrong",
    [
        "description: [a]",
        "description: 42",
        "description: yes",
        "author: {name: x}",
        "created_at: [2025-01-01]",
        "version: [1, 2, 3]",
        "tags: {a: b}",
        "tags: [[a]]",
        "tags: [a, ~]",
    ],
)
def test_a_value_of_the_wrong_type_is_reported_with_its_line(wrong):
    error = broken(f"-- ticket: 1\n\n-- {wrong}\n-- migrate:up\n")
    assert error.line == 3
    assert wrong.partition(":")[0] in error.message


def test_a_repeated_key_is_reported_with_its_line():
    error = broken("-- description: A\n-- tags: x\n-- description: B\n")
    assert error.line == 3
    assert "description" in error.message


def test_prose_may_repeat_what_looks_like_a_key():
    assert parse("-- Note: one\n-- Note: two\n-- migrate:up\n", FILE).description is None


def test_aliases_that_multiply_are_not_spelled_out():
    rows = "".join(f"-- k{i}: &k{i} [{', '.join([f'*k{i - 1}'] * 9)}]\n" for i in range(1, 30))
    script = parse(f"-- k0: &k0 [x]\n{rows}-- description: A\n-- migrate:up\n", FILE)
    assert script.description == "A"


def test_yaml_is_imported_only_for_a_header():
    code = (
        "import json, sys; from plugin_migrate.languages.sql_text import parse;"
        "loaded = lambda text: [parse(text, 'x'), 'yaml' in sys.modules][1];"
        "print(json.dumps([loaded('SELECT 1;'), loaded('-- A remark\\nSELECT 1;'),"
        " loaded('-- tags: x\\nSELECT 1;')]))"
    )
    scripts = Path(sql_text.__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=scripts, capture_output=True, check=True
    )
    assert json.loads(done.stdout) == [False, False, True]


# Transaction control


@pytest.mark.parametrize(
    ("statement", "keyword"),
    [
        ("BEGIN;", "BEGIN"),
        ("begin immediate", "BEGIN"),
        ("/* a */ Commit -- b\n;", "COMMIT"),
        ("END TRANSACTION;", "END"),
        ("ROLLBACK;", "ROLLBACK"),
        ("ROLLBACK TRANSACTION;", "ROLLBACK"),
        ("\ufeffCOMMIT", "COMMIT"),
    ],
)
def test_transaction_control_is_refused_with_advice(statement, keyword):
    section = Section(f"SELECT 'COMMIT';\n\n{statement}", 10)
    with pytest.raises(ForbiddenStatement) as caught:
        refuse_transaction_control(section, FILE)
    error = caught.value
    assert (error.file, error.line) == (FILE, 12)
    assert keyword in error.message
    assert error.hint is not None
    assert "one transaction already" in error.hint
    assert "-- migrate:up transaction:false" in error.hint


@pytest.mark.parametrize(
    "statement",
    [
        "ROLLBACK TO here;",
        "rollback to savepoint here;",
        "ROLLBACK TRANSACTION TO here;",
        "ROLLBACK /* ; */ TRANSACTION mine TO SAVEPOINT here;",
        "SAVEPOINT here;",
        "RELEASE here;",
        "EXPLAIN COMMIT;",
        "COMMITS;",
        "COMMIT$;",
        "COMMITé;",
        "-- COMMIT;",
        '"COMMIT";',
        TRIGGER,
    ],
)
def test_what_stays_inside_the_transaction_is_allowed(statement):
    refuse_transaction_control(Section(statement, 1), FILE)


def test_rollback_of_everything_is_not_mistaken_for_a_later_to():
    with pytest.raises(ForbiddenStatement):
        refuse_transaction_control(Section("ROLLBACK; UPDATE a SET x = 1;", 1), FILE)


def test_without_a_transaction_a_section_may_control_its_own():
    refuse_transaction_control(Section("BEGIN; COMMIT;", 1, transaction=False), FILE)


# Properties

ODD = st.text(alphabet="a;'\"`[]-/*\n\r\t ENDé☃", max_size=12)


def quoted(text: str, mark: str) -> str:
    return mark + text.replace(mark, mark * 2) + mark


line_comments = ODD.map(lambda text: "--" + text.replace("\n", " ") + "\n")
block_comments = ODD.map(lambda text: "/*" + text.replace("*/", "* ").rstrip("*") + " */")
gaps = st.lists(st.sampled_from([" ", "\n", "\r\n", "\t"]) | line_comments | block_comments).map(
    "".join
)
spaces = gaps.map(lambda gap: f" {gap} ")
literals = ODD.map(lambda text: quoted(text, "'")) | st.integers(0, 99).map(str)
names = (
    ODD.map(lambda text: quoted(text + "n", '"'))
    | ODD.map(lambda text: quoted(text + "n", "`"))
    | ODD.map(lambda text: "[" + text.replace("]", "") + "n]")
)


@st.composite
def whole_statements(draw: st.DrawFn) -> str:
    """Draw a statement that SQLite accepts when table ``a(x, y)`` exists, ending in ``;``."""
    space = draw(spaces)
    one, two, name = draw(literals), draw(literals), draw(names)
    pick = st.sampled_from(
        [
            f"INSERT INTO a{space}VALUES ({one},{two}{space});",
            f"INSERT INTO a SELECT {one} AS {name},{space}CASE WHEN 1 THEN {two} END;",
            f"UPDATE a SET x ={space}{one} WHERE y <> {two};",
            f"CREATE TABLE IF NOT EXISTS {name} (id{space}INTEGER, {name} TEXT DEFAULT {one});",
            f"CREATE VIEW{space}IF NOT EXISTS v AS SELECT {one} AS {name};",
            f"SELECT {one}{space}, {two};",
            "ANALYZE;",
        ]
    )
    statement = draw(pick)
    if not draw(st.booleans()):
        return statement
    inner = draw(st.lists(pick.filter(lambda text: text[0] in "IU"), min_size=1, max_size=3))
    temp = draw(st.sampled_from(["", "TEMP ", f"TEMPORARY{space}"]))
    return (
        f"CREATE {temp}TRIGGER{space}IF NOT EXISTS t AFTER DELETE ON a "
        f"BEGIN{space}{space.join(inner)}{space}END{space};"
    )


@given(st.lists(st.tuples(gaps, st.lists(st.just(";")), gaps, whole_statements())), gaps)
def test_joined_statements_split_into_themselves(parts, tail):
    text, expected = "", []
    for gap, lone, more, statement in parts:
        text += gap + "".join(lone) + more
        expected.append(Statement(statement, 1 + text.count("\n")))
        text += statement
    assert list(statements(Section(text + tail, 1))) == expected


def contents(database: sqlite3.Connection) -> list[object]:
    master = database.execute("SELECT type, name, sql FROM sqlite_master ORDER BY rowid").fetchall()
    temp = database.execute("SELECT type, name, sql FROM sqlite_temp_master").fetchall()
    return [master, temp, database.execute("SELECT * FROM a").fetchall()]


@given(st.lists(whole_statements() | gaps).map("".join), gaps, st.booleans())
def test_statements_one_by_one_do_what_the_whole_text_does(text, tail, unfinished):
    text = (text.removesuffix(";") if unfinished else text) + tail
    with (
        closing(sqlite3.connect(":memory:", isolation_level=None)) as whole,
        closing(sqlite3.connect(":memory:", isolation_level=None)) as single,
    ):
        for database in (whole, single):
            database.execute("CREATE TABLE a(x, y)")
        whole.executescript(text)
        for statement in statements(Section(text, 1)):
            single.execute(statement.text)
        assert contents(single) == contents(whole)


tokens = st.sampled_from(
    [
        *"'\"`[];-/*\n\r\t a",
        *";;;;  ",
        *("--", "/*", "*/", "\ufeff", "é"),
        *(" CREATE ", "TRIGGER ", " BEGIN ", " END", ";END;", " EXPLAIN ", "TEMP ", "ENDED"),
    ]
)
texts = st.lists(tokens).map("".join) | st.text(st.characters(exclude_categories=["Cs"]))


def behind_gap(text: str, at: int) -> int:
    """Skip white space, comments and ``;``, one character after the other as tokenize.c does."""
    while at < len(text):
        if text[at] in " \t\n\f\r;\ufeff":
            at += 1
        elif text.startswith("--", at):
            end = text.find("\n", at)
            at = len(text) if end < 0 else end
        elif text.startswith("/*", at) and at + 2 < len(text):
            end = text.find("*/", at + 2)
            at = len(text) if end < 0 else end + 2
        else:
            break
    return at


@given(texts)
def test_nothing_but_space_comments_and_semicolons_is_left_out(text):
    text = text.replace("\0", "")
    at = 0
    for statement in statements(Section(text, 1)):
        at = behind_gap(text, at)
        assert statement.text
        assert text.startswith(statement.text, at)
        assert statement.line == 1 + text.count("\n", 0, at)
        at += len(statement.text)
    assert behind_gap(text, at) == len(text)


# complete_statement's automaton is laxer than the grammar about words around EXPLAIN and TEMP,
# and takes a BOM for a letter; no valid statement is concerned.
@given(st.lists(tokens.filter(lambda token: token.strip() not in ("EXPLAIN", "TEMP", "\ufeff"))))
def test_the_split_is_the_one_that_asking_at_every_semicolon_finds(parts):
    text = "".join(parts)
    slow, start = [], 0
    for at, character in enumerate(text):
        if character == ";" and sqlite3.complete_statement(text[start : at + 1]):
            slow.append(text[start : at + 1])
            start = at + 1
    slow.append(text[start:])
    expected = [part[begin:] for part in slow if (begin := behind_gap(part, 0)) < len(part)]
    assert split(text) == expected


@given(texts)
def test_any_text_is_a_migration_or_a_broken_one(text):
    for candidate in (text, f"-- {text}\n-- migrate:up\n", f"-- tags: {text}\n"):
        script, line = None, 1
        try:
            script = parse(candidate, FILE)
        except BrokenMigration as error:
            line = error.line or 0
        assert 1 <= line <= 1 + candidate.count("\n")
        if script is not None:
            assert all(isinstance(key, str) for key in script.metadata)
            list(statements(script.up))
