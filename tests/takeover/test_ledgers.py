"""What each tool's ledger says is applied; and that one which was made to do harm does none."""

import os
import re
import sqlite3
import time
from contextlib import closing

import pytest

from launcher_tree import ROOT
from plugin_migrate.errors import MigrateError, StateUnreadable, TakeoverRefused
from plugin_migrate.takeover.formats import FORMATS
from plugin_migrate.takeover.ledgers import read_database
from plugin_migrate.takeover.origin import TOOLS, Origin, parse_origin
from plugin_migrate.takeover.state_file import read_state
from takeover.foreign import LEDGERS, database

SAYS = {
    "dbmate": ["20230101120000", "20230202120000"],
    "goose": ["1", "2"],
    "golang-migrate": ["2"],
    "knex": ["20230101120000_create_users.js", "20230202120000_addEmail.ts"],
    "alembic": ["ae1027a6acf3"],
    "drizzle": ["aa", "bb"],
    "sqlite-utils": ["app:m001_create_users", "app:m002_add_email"],
    "original": ["1.0.0"],
    "user_version": ["2"],
}
ONLY_THE_LAST = {"golang-migrate", "alembic", "user_version"}


def read(path, tool):
    return read_database(str(path), Origin(tool))


def refusal(path, tool, kind=TakeoverRefused):
    before = {file.name: file.read_bytes() for file in path.parent.iterdir() if file.is_file()}
    started = time.process_time()
    with pytest.raises(kind) as caught:
        read(path, tool)
    assert time.process_time() - started < 10  # a bound against hanging, far from what it takes
    assert before == {
        file.name: file.read_bytes() for file in path.parent.iterdir() if file.is_file()
    }
    assert caught.value.message.count("\n") == 0
    return caught.value.message


@pytest.mark.parametrize("tool", SAYS)
def test_a_ledger_says_what_its_tool_has_applied(folder, tool):
    path = database(folder / "app.db", LEDGERS[tool])
    before = path.read_bytes()
    recorded = read(path, tool)
    assert [record.text for record in recorded.records] == SAYS[tool]
    assert recorded.is_last == (tool in ONLY_THE_LAST)
    assert path.read_bytes() == before
    assert [one.name for one in folder.iterdir()] == ["app.db"]


def test_every_tool_is_read_and_explained():
    assert set(SAYS) | {"json"} == set(TOOLS)
    page = (ROOT / "docs/taking-over.md").read_text()
    listed = re.findall(r"^\| `([a-z_-]+)(?::PATH#KEY)?` \|", page, re.MULTILINE)
    assert listed == [*TOOLS, *FORMATS]


def test_a_drizzle_that_keeps_names_is_read_by_them(folder):
    named = LEDGERS["drizzle"] + (
        "ALTER TABLE __drizzle_migrations ADD COLUMN name TEXT;"
        "UPDATE __drizzle_migrations SET name = '20230101_users' WHERE hash = 'aa';"
    )
    records = read(database(folder / "app.db", named), "drizzle").records
    assert [(one.name, one.place) for one in records] == [("20230101_users", None), ("bb", 2)]


@pytest.mark.parametrize("tool", sorted(set(SAYS) - {"user_version"}))
def test_an_empty_ledger_has_applied_nothing_and_a_missing_one_is_none(folder, tool):
    empty = LEDGERS[tool].partition("INSERT")[0]
    assert read(database(folder / "empty/a.db", empty), tool).records == ()
    said = refusal(database(folder / "none/a.db", "CREATE TABLE t (x);"), tool)
    assert "keeps no ledger in this database: there is no table" in said


def test_what_its_own_tool_would_refuse_is_refused(folder):
    def said(tool, more):
        path = folder / f"{tool}{len(list(folder.iterdir()))}/app.db"
        return refusal(database(path, LEDGERS[tool] + more), tool)

    dirty = said("golang-migrate", "UPDATE schema_migrations SET dirty = 1;")
    assert dirty == "golang-migrate's ledger is dirty: its migration 2 failed half-way"
    two = said("golang-migrate", "INSERT INTO schema_migrations VALUES (3, 0);")
    assert two == "The table 'schema_migrations' has 2 rows; golang-migrate's has one"
    locked = said("knex", "UPDATE knex_migrations_lock SET is_locked = 1;")
    assert locked == "knex is migrating, or was interrupted: its lock is set"
    heads = said("alembic", "INSERT INTO alembic_version VALUES ('b0b');")
    assert heads == "Alembic's ledger has 2 heads: ae1027a6acf3, b0b"
    negative = said("user_version", "PRAGMA user_version = -3;")
    assert negative == "PRAGMA user_version is -3, which counts no migrations"


def test_two_tools_with_one_name_for_their_table_are_told_apart(folder):
    theirs = database(folder / "a/a.db", LEDGERS["golang-migrate"])
    assert "has a column dirty, so it is golang-migrate's" in refusal(theirs, "dbmate")
    other = database(folder / "b/b.db", LEDGERS["dbmate"])
    assert refusal(other, "golang-migrate") == (
        "The table 'schema_migrations' is not golang-migrate's: it lacks the column dirty"
    )


HOSTILE = {
    "another table": "CREATE TABLE schema_migrations (id, name);",
    "a view": "CREATE VIEW schema_migrations AS SELECT 1 AS version;",
    "an endless view": (
        "CREATE VIEW schema_migrations AS WITH RECURSIVE n(version) AS"
        " (SELECT 1 UNION ALL SELECT version + 1 FROM n) SELECT version FROM n;"
    ),
    "a virtual table": "CREATE VIRTUAL TABLE schema_migrations USING fts5(version);",
    "a computed column": (
        "CREATE TABLE schema_migrations (x, version AS (hex(zeroblob(3000000))));"
        "INSERT INTO schema_migrations VALUES (1);"
    ),
    "too many rows": (
        "CREATE TABLE schema_migrations (version TEXT);"
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 150000)"
        " INSERT INTO schema_migrations SELECT i FROM n;"
    ),
    "a harmless computed column": (
        "CREATE TABLE schema_migrations (x, version AS ('1'));"
        "INSERT INTO schema_migrations VALUES (1);"
    ),
    "a huge value": (
        "CREATE TABLE schema_migrations (version TEXT);"
        "INSERT INTO schema_migrations VALUES (printf('%.*c', 2000000, 'x'));"
    ),
    "a long name": (
        "CREATE TABLE schema_migrations (version TEXT);"
        "INSERT INTO schema_migrations VALUES (printf('%.*c', 2000, 'x'));"
    ),
    **{
        f"the value {value}": (
            "CREATE TABLE schema_migrations (version);"
            f"INSERT INTO schema_migrations VALUES ({value});"
        )
        for value in ("NULL", "x'00ff'", "1.5", "''", "1e999")
    },
}


LACKS = "The table 'schema_migrations' is not dbmate's: it lacks the column version"
SAID = {
    "another table": LACKS,
    "a computed column": LACKS,
    "a harmless computed column": LACKS,
    "too many rows": "The table 'schema_migrations' has more than 100,000 rows",
    "a huge value": "dbmate's ledger is too large to be read",
    **dict.fromkeys(
        ("a view", "an endless view", "a virtual table"),
        "'schema_migrations' is a view or virtual table, where dbmate has a plain table",
    ),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_ledger_that_no_tool_wrote_is_refused_in_a_sentence(folder, kind):
    said = refusal(database(folder / "app.db", HOSTILE[kind]), "dbmate")
    assert said.startswith(SAID.get(kind, "The table 'schema_migrations' holds something else"))


def test_text_that_is_not_utf8_is_refused(folder):
    script = (
        "CREATE TABLE schema_migrations (version TEXT);"
        "INSERT INTO schema_migrations VALUES (CAST(x'41ff42' AS TEXT));"
    )
    refusal(database(folder / "app.db", script), "dbmate", MigrateError)


@pytest.mark.parametrize(
    "content", [b"no database at all, but long enough for one" * 9, b"\0" * 4096]
)
def test_a_file_that_is_no_database_is_refused(folder, content):
    path = folder / "app.db"
    path.write_bytes(content)
    refusal(path, "dbmate", MigrateError)


def test_a_journal_beside_the_database_is_left_to_its_program(folder):
    path = database(folder / "app.db", LEDGERS["dbmate"])
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA cache_size=1")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("CREATE TABLE big (x)")
        connection.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 5000)"
            " INSERT INTO big SELECT randomblob(200) FROM n"
        )
        # As a killed writer leaves them: the database half written, the journal hot.
        copy = folder / "killed/app.db"
        copy.parent.mkdir()
        copy.write_bytes(path.read_bytes())
        journal = copy.with_name("app.db-journal")
        journal.write_bytes((folder / "app.db-journal").read_bytes())
    assert "A program was interrupted while writing the database" in refusal(copy, "dbmate")


def test_a_database_in_use_is_read_with_what_its_log_holds(folder):
    path = database(folder / "app.db", "PRAGMA journal_mode=WAL;" + LEDGERS["dbmate"])
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO schema_migrations VALUES ('20230303120000')")
        connection.commit()
        assert len(read(path, "dbmate").records) == 3


# JSON


@pytest.mark.parametrize(
    ("text", "key", "says", "is_last"),
    [
        ('["a", 2, "1.0.0"]', None, ["a", "2", "1.0.0"], False),
        ("3", None, ["3"], True),
        ("0", None, [], True),
        ("[]", None, [], False),
        ('"1.2.0"', None, ["1.2.0"], True),
        ('{"applied": ["a"]}', "applied", ["a"], False),
        ('{"state": {"applied": [1]}}', "state.applied", ["1"], False),
        ('{"state": [{"applied": 4}]}', "state.0.applied", ["4"], True),
        ('{"a.b": {"c/d": ["x"]}}', "/a.b/c~1d", ["x"], False),
        ('\ufeff{"applied": ["a"]}', "applied", ["a"], False),
    ],
)
def test_a_document_says_it_in_a_list_or_by_the_last_one(folder, text, key, says, is_last):
    path = folder / "state.json"
    path.write_text(text)
    recorded = read_state(str(path), key)
    assert [record.text for record in recorded.records] == says
    assert recorded.is_last == is_last


@pytest.mark.parametrize(
    ("content", "key", "told"),
    [
        (b"{", None, "The file is not JSON"),
        (b"", None, "The file is not JSON"),
        (b"\xff\xfe", None, "The file is not JSON"),
        (b"[" * 100_000, None, "The file is not JSON: it is nested too deep"),
        (b"9" * 5000, None, "The file is not JSON"),
        (b'["' + b"a" * 5_000_000 + b'"]', None, "The file cannot be read: it has 4.8 MiB"),
        (b"{}", "applied", "The document has no 'applied': 'applied' is not there"),
        (b'{"a": [1]}', "a.7", "The document has no 'a.7': '7' is not there"),
        (b"{}", None, "The document is an object"),
        (b'{"a": {"b": 1}}', "a", "'a' is an object"),
        (b"null", None, "The document is null"),
        (b"true", None, "The document is true or false"),
        (b"-1", None, "The document is no name or number of a migration"),
        (b"1.5", None, "The document is no name or number of a migration"),
        (b"NaN", None, "The document is no name or number of a migration"),
        (b'["a", {"name": "b"}]', None, "Item 2 of the document is an object"),
        (b'[""]', None, "Item 1 of the document is no name or number of a migration"),
        (b"[" + b"1," * 100_000 + b"1]", None, "the document lists more than 100,000 migrations"),
    ],
)
def test_a_document_that_says_something_else_is_refused(folder, content, key, told):
    path = folder / "state.json"
    path.write_bytes(content)
    with pytest.raises(TakeoverRefused) as caught:
        read_state(str(path), key)
    assert caught.value.message.lower().startswith(told.lower())
    assert path.read_bytes() == content


# The source


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("dbmate", Origin("dbmate")),
        ("goose:.claude/a#b.db", Origin("goose", ".claude/a#b.db")),
        ("json:s.json", Origin("json", "s.json")),
        ("json:a/s.json#x.y", Origin("json", "a/s.json", "x.y")),
        ("json:s.json#/x/y#z", Origin("json", "s.json", "/x/y#z")),
    ],
)
def test_a_source_is_a_tool_a_path_and_a_key(text, origin):
    assert parse_origin(text) == origin


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "cannot take over from ''"),
        ("dbmat", "cannot take over from 'dbmat'"),
        ("dbmate:", "names no file"),
        ("json", "names no file"),
        ("json:#x", "names no file"),
    ],
)
def test_a_source_that_cannot_be_meant_is_refused(text, told):
    with pytest.raises(MigrateError) as caught:
        parse_origin(text)
    assert told in caught.value.message
    assert (caught.value.exit_code, caught.value.code) == (2, "usage")
    if text == "dbmat":
        assert caught.value.hint.startswith("Did you mean `dbmate`?")


def test_a_named_pipe_hangs_nothing(folder):
    os.mkfifo(folder / "app.db")
    with pytest.raises(StateUnreadable, match="not a plain file"):
        read(folder / "app.db", "dbmate")
    with pytest.raises(TakeoverRefused, match="not a plain file"):
        read_state(str(folder / "app.db"), None)
