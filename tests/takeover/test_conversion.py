"""`create --from`: another tool's folder becomes migrations of ours that do the same, both ways."""

import os
import sqlite3
import sys
from contextlib import closing

import pytest

from command_line import FOLDER, unprivileged
from plugin_migrate.errors import MigrateError
from plugin_migrate.operations.create import convert
from project import Project as Plain

DBMATE = {
    "20230101120000_create_users.sql": (
        "-- Copyright: nobody\n\n"
        "-- migrate:up\nCREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT);\n\n"
        "-- migrate:down\nDROP TABLE users;\n"
    ),
    "20230202120000_addEmail.sql": (
        "-- migrate:up\nALTER TABLE users ADD COLUMN email TEXT;\n"
        "-- migrate:down\nALTER TABLE users DROP COLUMN email"
    ),
    "20230303120000_write_ahead.sql": (
        "-- migrate:up transaction:false\nPRAGMA journal_mode = WAL;\n"
        "-- migrate:down transaction:false\nPRAGMA journal_mode = DELETE;\n"
    ),
}
GOOSE = {
    "00001_create_users.sql": (
        "-- +goose Up\nCREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT);\n"
        "CREATE TABLE names (name TEXT);\n\n"
        "-- +goose Down\nDROP TABLE names;\nDROP TABLE users;\n"
    ),
    "00002_keep_names.sql": (
        "-- +goose Up\n-- +goose StatementBegin\n"
        "CREATE TRIGGER keep AFTER INSERT ON users BEGIN\n"
        "  INSERT INTO names VALUES (new.name);\n  SELECT 1;\nEND\n"
        "-- +goose StatementEnd\n"
        "CREATE INDEX by_name ON users (name);\n"
        "-- +goose Down\nDROP INDEX by_name;\nDROP TRIGGER keep;\n"
    ),
    "3_vacuum.sql": "-- +goose NO TRANSACTION\n-- +goose Up\nVACUUM;\n-- +goose Down\n",
}
GOLANG = {
    "1_create_users.up.sql": "BEGIN;\nCREATE TABLE users (name TEXT);\nCOMMIT;\n",
    "1_create_users.down.sql": "begin transaction; DROP TABLE users; end;",
    "10_add_email.up.sql": "ALTER TABLE users ADD COLUMN email TEXT",
    "2_add_age.up.sql": "ALTER TABLE users ADD COLUMN age INTEGER;\n",
    "2_add_age.down.sql": "ALTER TABLE users DROP COLUMN age;\n",
}
PLAIN = {
    "001_create_users.sql": "CREATE TABLE users (name TEXT);\n",
    "002-add-email.sql": "ALTER TABLE users ADD COLUMN email TEXT;\r\n",
    "V10__Add_Age.sql": "ALTER TABLE users ADD COLUMN age INTEGER;",
    "11.sql": "CREATE INDEX by_name ON users (name);",
}


def fill(project, files, folder="db/migrations"):
    """Write files into a folder of the project."""
    path = project.root / folder
    path.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def names(project):
    return sorted(path.name for path in project.migrations.iterdir())


def read(project, name):
    return (project.migrations / name).read_bytes().decode()


def schema(project):
    with closing(sqlite3.connect(project.database)) as connection:
        query = (
            "SELECT sql FROM sqlite_schema WHERE name NOT LIKE 'plugin_migrate%'"
            " AND name NOT LIKE '%migrations%' AND name != 'sqlite_sequence' AND sql IS NOT NULL"
        )
        return {row[0] for row in connection.execute(query)}


def test_a_folder_of_dbmates_keeps_order_descriptions_and_both_ways(project):
    source = fill(project, DBMATE)
    before = {path.name: path.read_bytes() for path in source.iterdir()}
    assert project.ok("create", "--from", "dbmate", "db/migrations") == (
        "✓ Converted 3 migration(s) of dbmate\n"
        "  • 1.0.0-create-users.sql ← 20230101120000\n"
        "  • 1.0.1-add-email.sql ← 20230202120000\n"
        "  • 1.0.2-write-ahead.sql ← 20230303120000\n"
        f"  Path: {FOLDER}/\n"
        "\n"
        "Next steps:\n"
        "  1. Mark what is applied already: plugin-migrate baseline --from dbmate\n"
        "  2. Prove them: plugin-migrate verify --all\n"
        "  3. Run: plugin-migrate upgrade\n"
    )
    assert read(project, "1.0.0-create-users.sql") == (
        "-- description: Create users\n"
        "-- created_at: 2023-01-01T12:00:00Z\n"
        "-- from: dbmate 20230101120000\n\n"
        "-- migrate:up\n-- Copyright: nobody\n"
        "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT);\n\n"
        "-- migrate:down\nDROP TABLE users;\n"
    )
    assert "-- migrate:up transaction:false\n" in read(project, "1.0.2-write-ahead.sql")
    assert {path.name: path.read_bytes() for path in source.iterdir()} == before


@pytest.mark.parametrize(
    ("tool", "files", "made"),
    [
        ("goose", GOOSE, ["create-users", "keep-names", "vacuum"]),
        ("golang-migrate", GOLANG, ["create-users", "add-age", "add-email"]),
        ("sql", PLAIN, ["create-users", "add-email", "add-age", "sql-11"]),
        ("drizzle", {"0000_odd_hulk.sql": "CREATE TABLE a (x);--> statement-breakpoint\n"
                     "CREATE TABLE b (x);"}, ["odd-hulk"]),
    ],
)  # fmt: skip
def test_every_tools_files_are_converted_in_its_order(project, tool, files, made):
    fill(project, files)
    project.ok("create", "--from", tool, "db/migrations", "--bump=minor", "--version=2.0.0")
    assert names(project) == [f"2.{number}.0-{name}.sql" for number, name in enumerate(made)]


@pytest.mark.parametrize(
    ("tool", "files", "irreversible"),
    [("dbmate", DBMATE, 0), ("goose", GOOSE, 1), ("golang-migrate", GOLANG, 0), ("sql", PLAIN, 0)],
)
def test_verify_proves_what_was_converted(project, tool, files, irreversible):
    fill(project, files)
    project.ok("create", "--from", tool, "db/migrations")
    verified = project.json("verify")["migrations"]
    assert [one["error"] for one in verified if one["error"]] == []
    ways_back = [one["reversible"] for one in verified]
    # Without a down by what is kept, but for what runs outside a transaction.
    assert ways_back.count(True) == len(ways_back) - irreversible
    codes = {finding["code"] for one in verified for finding in one["findings"]}
    assert codes <= ({"missing-down"} if irreversible else set())
    project.ok("upgrade")


def test_a_statement_without_its_semicolon_ends_where_goose_ends_it(project):
    fill(project, GOOSE)
    project.ok("create", "--from", "goose", "db/migrations")
    project.ok("upgrade")
    assert any(sql.startswith("CREATE TRIGGER keep") for sql in schema(project))
    assert "CREATE INDEX by_name ON users (name)" in schema(project)


def test_drizzles_breakpoints_end_statements(project):
    text = "CREATE TABLE a (x) -- one\n--> statement-breakpoint\nCREATE TABLE b (x);"
    fill(project, {"0000_odd_hulk.sql": f"{text}--> statement-breakpoint\nCREATE TABLE c (x)"})
    convert(project.look(), "drizzle", str(project.root / "db/migrations"))
    project.upgrade()
    assert schema(project) == {f"CREATE TABLE {name} (x)" for name in "abc"}


def test_what_drizzles_ledger_calls_a_file_is_the_digest_of_its_content(project):
    fill(project, {"0000_odd_hulk.sql": "CREATE TABLE a (x);"})
    (made,) = project.json("create", "--from=drizzle", "db/migrations")["converted"]
    # printf 'CREATE TABLE a (x);' | sha256sum
    assert made["record"] == "5d4dfde3b9ddf0a46b24120bb95e8ec12aaf6782f4c94912c492152df44fac27"


def test_line_ends_and_bytes_of_statements_stay(project):
    fill(project, {"1_a.sql": "\ufeffCREATE TABLE a (\r\n  x\r\n);\r\nCREATE TABLE b (x)"})
    project.ok("create", "--from", "sql", "db/migrations")
    project.ok("upgrade")
    assert schema(project) == {"CREATE TABLE a (\r\n  x\r\n)", "CREATE TABLE b (x)"}


def test_given_again_it_converts_only_what_is_new(project):
    fill(project, {name: DBMATE[name] for name in list(DBMATE)[:2]})
    project.ok("create", "--from", "dbmate", "db/migrations")
    again = project.ok("create", "--from", "dbmate", "db/migrations")
    assert again == "✓ Nothing to convert: all 2 of dbmate are here already\n"
    fill(project, DBMATE)
    told = project.ok("create", "--from", "dbmate", "db/migrations")
    assert "✓ Converted 1 migration(s) of dbmate\n  • 1.0.2-write-ahead.sql" in told
    assert "  Converted before, and left as they are: 2\n" in told


def test_our_own_files_in_the_same_folder_are_not_taken_for_the_tools(project):
    fill(project, DBMATE, FOLDER)
    project.ok("create", "--from", "dbmate", FOLDER)
    again = project.ok("create", "--from", "dbmate", FOLDER)
    assert again == "✓ Nothing to convert: all 3 of dbmate are here already\n"


def test_claude_converts_a_folder_elsewhere_only_after_the_user_was_asked(project, folder):
    outside = folder / "outside"
    outside.mkdir()
    (outside / "1_a.sql").write_text("SELECT 1;")
    claude = {"CLAUDECODE": "1", "CLAUDE_CODE_SESSION_ID": "5e55-10"}
    err = project.fails("create", "--from", "sql", outside, environment=claude)
    assert "create with --from works outside of this project, and the user was not asked" in err
    assert names(project) == []
    fill(project, PLAIN)
    project.ok("create", "--from", "sql", "db/migrations", environment=claude)


def test_what_the_tool_passes_over_is_named(project):
    fill(project, {**DBMATE, "schema.sql": "CREATE TABLE x (y);", "README.md": "hello"})
    told = project.ok("create", "--from", "dbmate", "db/migrations")
    assert "  Left out, as dbmate does: schema.sql\n" in told
    assert "README" not in told


def test_versions_go_on_after_those_that_are_there(project):
    project.tables("1.4.0")
    fill(project, PLAIN)
    project.ok("create", "--from", "sql", "db/migrations")
    assert names(project)[1:] == [
        "1.4.1-create-users.sql",
        "1.4.2-add-email.sql",
        "1.4.3-add-age.sql",
        "1.4.4-sql-11.sql",
    ]


def test_a_version_that_is_taken_stops_it_before_anything_is_written(project):
    project.tables("1.0.2")
    fill(project, DBMATE)
    err = project.fails("create", "--from=dbmate", "db/migrations", "--version=1.0.0", code=2)
    assert err.startswith("✗ Error: Version 1.0.2 exists already\n")
    assert len(names(project)) == 1


def converting(project, before):
    """Return how a conversion ended before whose second file a child runs some code."""
    hook = (
        "import os, sys\n"
        "def hook(event, arguments):\n"
        "    if event == 'os.rename' and '1.0.1' in os.fsdecode(arguments[1]):\n"
        f"        {before}\n"
        "sys.addaudithook(hook)\n"
    )
    folder = str(project.root / "db/migrations")
    child = Plain(project.root).child("create", "--from", "dbmate", folder, before=hook)
    _, err = child.communicate(timeout=30)
    return child.returncode, err


def test_a_file_that_somebody_makes_meanwhile_stays_and_none_of_ours_does(project):
    fill(project, DBMATE)
    code, err = converting(project, "open(arguments[1], 'w').write('mine')")
    assert (code, "✗ Error: The file exists already" in err) == (2, True)
    assert names(project) == ["1.0.1-add-email.sql"]
    assert read(project, "1.0.1-add-email.sql") == "mine"


def test_nothing_is_written_where_the_folder_may_not_be(project):
    fill(project, DBMATE)
    project.migrations.chmod(0o500)
    prefix = unprivileged()
    err = project.fails("create", "--from", "dbmate", "db/migrations", prefix=prefix)
    assert "The file cannot be written: Permission denied" in err
    assert names(project) == []


def test_killed_in_the_middle_it_goes_on_when_it_is_given_again(project):
    fill(project, DBMATE)
    code, _ = converting(project, "os.kill(os.getpid(), 9)")
    assert code in (-9, 9)  # Windows ends it with the number as its code
    assert [name for name in names(project) if name[0] != "."] == ["1.0.0-create-users.sql"]
    told = project.ok("create", "--from", "dbmate", "db/migrations")
    assert "Converted 2 migration(s)" in told
    assert project.json("verify")["ok"]


# Windows says it in words of its own, and in its user's language.
NO_FILE = "" if sys.platform == "win32" else "No such file or directory"
REFUSED = {
    "no such folder": ("dbmate", None, f"The folder cannot be read: {NO_FILE}"),
    "nothing in it": ("dbmate", {"a.sql": ""}, "The folder holds no migration of dbmate's"),
    "no marker of dbmate's": (
        "dbmate", {"1_a.sql": "SELECT 1;"},
        "The file has no `-- migrate:up`, which dbmate requires",
    ),
    "a statement before it": (
        "dbmate", {"1_a.sql": "SELECT 1;\n-- migrate:up\n-- migrate:down\n"},
        "A statement stands before `-- migrate:up`, which dbmate refuses",
    ),
    "an unknown option": (
        "dbmate", {"1_a.sql": "-- migrate:up env:prod\n-- migrate:down\n"},
        "Unknown option 'env:prod' after the marker",
    ),
    "no marker of goose's": (
        "goose", {"1_a.sql": "SELECT 1;"},
        "The file has no `-- +goose Up`, which goose requires",
    ),
    "a statement before goose's": (
        "goose", {"1_a.sql": "SELECT 1;\n-- +goose Up\n"},
        "A statement stands before `-- +goose Up`, which goose refuses",
    ),
    "an open block": (
        "goose", {"1_a.sql": "-- +goose Up\n-- +goose StatementBegin\nSELECT 1;\n"},
        "`-- +goose StatementBegin` has no StatementEnd",
    ),
    "a block in a block": (
        "goose", {"1_a.sql": "-- +goose Up\n" + "-- +goose StatementBegin\n" * 2},
        "`-- +goose StatementBegin` stands where no statement can begin",
    ),
    "a lone end": (
        "goose", {"1_a.sql": "-- +goose Up\n-- +goose StatementEnd\n"},
        "`-- +goose StatementEnd` has no StatementBegin",
    ),
    "the ways reversed": (
        "goose", {"1_a.sql": "-- +goose Down\n-- +goose Up\n"},
        "`-- +goose Down` stands out of order",
    ),
    "variables": (
        "goose", {"1_a.sql": "-- +goose ENVSUB ON\n-- +goose Up\nSELECT '${HOME}';\n"},
        "The file lets goose put environment variables into the SQL (ENVSUB), so it is another on ",
    ),
    "an unknown annotation": (
        "goose", {"1_a.sql": "-- +goose Up\n-- +goose Sideways\n"},
        "goose has no annotation `+goose SIDEWAYS`",
    ),
    "a program among them": (
        "goose", {"1_a.sql": "-- +goose Up\n", "2_b.go": "package x"},
        "2_b.go is a program, which cannot be converted",
    ),
    "one version twice": (
        "goose", {"1_a.sql": "-- +goose Up\n", "01_b.sql": "-- +goose Up\n"},
        "01_b.sql and 1_a.sql have one version, 1",
    ),
    "a down without its up": (
        "golang-migrate", {"1_a.down.sql": "SELECT 1;"},
        "1_a.down.sql takes back what no file beside it applies",
    ),
    "a commit in the middle": (
        "golang-migrate", {"1_a.up.sql": "SELECT 1;\nCOMMIT;\nSELECT 2;"},
        "COMMIT is not allowed in a migration",
    ),
    "markers in plain files": (
        "sql", {"1_a.sql": "-- migrate:up\nSELECT 1;"},
        "The file has markers of its own: -- migrate:",
    ),
    "goose's in plain files": (
        "sql", {"1_a.sql": "-- +goose Up\nSELECT 1;"},
        "The file has markers of its own: -- +goose",
    ),
    "a marker of ours in goose's": (
        "goose", {"1_a.sql": "-- +goose Up\n-- migrate:sideways\nSELECT 1;"},
        "Unknown marker `-- migrate:sideways`",
    ),
    "a name with control characters": (
        "sql", {"1_a\x7f\x1b.sql": "SELECT 1;"}, "'1_a\\x7f\\x1b' is no name that a header",
    ),
    "a name that is no UTF-8": (
        "sql", {"1_a\udcff.sql": "SELECT 1;"}, "'1_a\\udcff' is no name that a header can carry",
    ),
    "a NUL": ("sql", {"1_a.sql": b"SELECT 1;\0"}, "The file contains a NUL character"),
    "no UTF-8": ("sql", {"1_a.sql": b"SELECT '\xff';"}, "The file is not UTF-8"),
    "too large": ("sql", {"1_a.sql": b" " * (65 << 20)}, "The file cannot be read: it has 65"),
    "knex": ("knex", {}, "The migrations of knex are programs, which cannot be converted"),
    "alembic": ("alembic", {}, "The migrations of alembic are programs, which cannot be converted"),
    "another tool": ("liquibase", {}, "plugin-migrate cannot convert migrations of 'liquibase'"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_converted_is_refused_and_nothing_is_written(project, case):
    tool, files, told = REFUSED[case]
    if files is not None:
        fill(project, files)
    with pytest.raises(MigrateError) as caught:
        convert(project.look(), tool, str(project.root / "db/migrations"))
    assert caught.value.message.startswith(told)
    assert names(project) == []


def test_links_are_not_followed(project, folder):
    secret = folder / "secret.sql"
    secret.write_text("SELECT 'secret';")
    source = fill(project, {"1_a.sql": "SELECT 1;"})
    (source / "2_b.sql").symlink_to(secret)
    assert "2_b.sql is a link, which is not followed" in project.fails(
        "create", "--from", "sql", "db/migrations"
    )
    (source / "2_b.sql").unlink()
    (project.root / "elsewhere").symlink_to(source)
    assert "The folder is a link" in project.fails("create", "--from", "sql", "elsewhere")
    os.mkfifo(source / "3_c.sql")
    assert "it is not a plain file" in project.fails("create", "--from", "sql", "db/migrations")
    assert names(project) == []


@pytest.mark.parametrize("option", ["--description=x", "--template=empty", "--language=sql"])
def test_what_the_files_say_is_not_to_be_said_again(project, option):
    fill(project, DBMATE)
    err = project.fails("create", "--from", "dbmate", "db/migrations", option, code=2)
    assert f"{option.partition('=')[0]} is for a new migration" in err


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("20230101120000.sql", "1.0.0-dbmate-20230101120000.sql"),
        ("1_rc1_fix.sql", "1.0.0-dbmate-1-rc1-fix.sql"),
        ("1_Größe & Ümlaut!.sql", "1.0.0-grosse-umlaut.sql"),
        ("1-初期化.sql", "1.0.0-dbmate-1.sql"),
        (f"1_{'long_' * 40}x.sql", f"1.0.0-{'long-' * 19}long.sql"),
    ],
)
def test_any_name_becomes_a_slug(project, name, made):
    source = fill(project, {name: DBMATE["20230101120000_create_users.sql"]})
    convert(project.look(), "dbmate", str(source))
    assert names(project) == [made]
    project.upgrade()
