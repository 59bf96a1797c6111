"""`baseline --from`: what another tool has applied is shown, asked about, and only then marked."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress

import pytest

from command_line import COMMAND
from plugin_migrate.errors import Conflict, MigrateError
from plugin_migrate.operations.baseline import look, take_over
from plugin_migrate.takeover.formats import FORMATS
from plugin_migrate.takeover.origin import TOOLS, parse_origin
from plugins import Shelf, table
from takeover.foreign import LEDGERS, database

USERS = "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT);"
EMAIL = "ALTER TABLE users ADD COLUMN email TEXT;"
SHOWN = (
    "Applied, by dbmate's ledger in .claude/app.db:\n"
    "┌───────────┬───────────────┬────────────────┬──────────────┬─────────┐\n"
    "│ Version   │ Description   │ Recorded as    │ Matched by   │ Here    │\n"
    "├───────────┼───────────────┼────────────────┼──────────────┼─────────┤\n"
    "│ 1.0.0     │ Create users  │ 20230101120000 │ its header   │ to mark │\n"
    "│ 1.1.0     │ Add email     │ 20230202120000 │ its header   │ to mark │\n"
    "└───────────┴───────────────┴────────────────┴──────────────┴─────────┘\n"
)
NEXT = (
    "✓ Marked 2 migration(s) as applied, without running them\n"
    "\n"
    "Next steps:\n"
    "  1. Prove them, and see what is pending: plugin-migrate verify --all\n"
    "  2. Let the other tool apply nothing more here; what it keeps stays as it is\n"
    "  3. Run: plugin-migrate upgrade\n"
)
UNASKED = (
    "✗ Error: Nothing was marked: this has to be seen first, and nobody can be asked here\n"
    "  To mark it: plugin-migrate baseline --from dbmate:.claude/app.db --yes\n"
)
INTERRUPT = b""
# Windows says it in words of its own, and in its user's language.
NO_FILE, NO_FOLDER = ("", "") if sys.platform == "win32" else ("No such file", "Not a dir")
SOURCE = ("baseline", "--from", "dbmate:.claude/app.db")


def three(project, **claims):
    """Write three migrations, and say in the headers of some what they are elsewhere."""
    steps = {"create-users": USERS, "add-email": EMAIL, "add-age": "SELECT 1;"}
    for number, (slug, up) in enumerate(steps.items()):
        header = f"-- from: {claims[slug.replace('-', '_')]}\n" if claims else ""
        project.migration(f"1.{number}.0-{slug}.sql", f"{header}\n-- migrate:up\n{up}\n")


@pytest.fixture
def users(project):
    """A project of which dbmate has applied two of three, in `.claude/app.db`."""
    three(
        project,
        create_users="dbmate 20230101120000",
        add_email="dbmate 20230202120000",
        add_age="dbmate 20230303120000",
    )
    database(project.claude / "app.db", LEDGERS["dbmate"] + USERS + EMAIL)
    return project


def on_a_terminal(project, answer, *arguments):
    """Return the exit code, and what a terminal shows, when a person types an answer."""
    import pty

    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=project.root,
        env=project.environment | {"TERM": "dumb", "COLUMNS": "100"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    seen = b""
    with suppress(OSError):  # how a terminal ends on Linux
        while part := os.read(ours, 10_000):
            seen += part
            if seen.endswith(b"[y/N] ") and answer is INTERRUPT:
                child.send_signal(signal.SIGINT)
            elif seen.endswith(b"[y/N] "):
                os.write(ours, answer)
    os.close(ours)
    return child.wait(timeout=30), seen.decode().replace("\r\n", "\n")


def test_the_mapping_is_shown_and_nothing_marked_where_nobody_can_be_asked(users):
    before = users.snapshot()
    assert users.fails(*SOURCE, code=2) == f"{SHOWN}\n{UNASKED}"
    assert users.snapshot() == before


def test_a_dry_run_only_shows_it(users):
    before = users.snapshot()
    said = "Dry run: would mark 2 migration(s) as applied, without running them\n"
    assert users.ok(*SOURCE, "-n") == f"{SHOWN}\n{said}\nNothing was changed.\n"
    assert users.ok(*SOURCE, "-n", "--yes") == f"{SHOWN}\n{said}\nNothing was changed.\n"
    assert users.snapshot() == before


def test_yes_marks_it_and_the_other_ledger_stays_as_it_is(users):
    theirs = (users.claude / "app.db").read_bytes()
    assert users.ok(*SOURCE, "--yes") == f"{SHOWN}\n{NEXT}"
    assert users.statuses() == {"1.0.0": "applied", "1.1.0": "applied", "1.2.0": "pending"}
    assert (users.claude / "app.db").read_bytes() == theirs
    told = [one["description"] for one in users.json("history")["history"]]
    assert told == ["dbmate's ledger: 20230202120000", "dbmate's ledger: 20230101120000"]
    again = users.ok(*SOURCE)
    table, _, end = again.rpartition("\n\n")
    assert (table.count("│ applied │"), end) == (
        2,
        "✓ Nothing to mark: all of it is applied here\n",
    )


@pytest.mark.parametrize("answer", [b"y\n", b"YES\n"])
def test_a_person_at_a_terminal_is_asked_and_says_yes(users, answer):
    code, seen = on_a_terminal(users, answer, *SOURCE)
    assert code == 0
    question = "Mark 2 migration(s) as applied, without running them? [y/N] "
    assert seen == f"{SHOWN}\n{question}{answer.decode()}{NEXT}"
    assert users.statuses()["1.1.0"] == "applied"


@pytest.mark.parametrize("answer", [b"n\n", b"\n", b"yesterday\n", b"\x04"])
def test_anything_else_is_a_no(users, answer):
    before = users.snapshot()
    code, seen = on_a_terminal(users, answer, *SOURCE)
    assert (code, seen.endswith("Nothing was marked.\n")) == (1, True)
    assert users.snapshot() == before


def test_the_question_can_be_left_by_an_interrupt(users):
    code, seen = on_a_terminal(users, INTERRUPT, *SOURCE)
    assert code == 130
    assert seen.endswith("✗ Error: Interrupted before anything was done\n")


def test_a_terminal_is_not_asked_what_yes_answers(users):
    code, seen = on_a_terminal(users, b"", *SOURCE, "--yes")
    assert (code, "[y/N]" in seen) == (0, False)


def test_typed_in_claude_code_it_is_shown_first_and_marked_with_yes(users):
    command = "baseline --from dbmate:.claude/app.db"
    shown = users.typed(command)["systemMessage"]
    assert "1.1.0" in shown
    assert "Nothing was marked: this has to be seen first" in shown
    assert users.statuses()["1.0.0"] == "pending"
    assert "Marked 2 migration(s)" in users.typed(f"{command} --yes")["systemMessage"]
    assert users.statuses()["1.0.0"] == "applied"


def test_the_document_carries_the_mapping(users):
    document = users.json(*SOURCE)
    assert document["error"]["code"] == "usage"
    assert (document["ok"], document["marked"]) == (False, [])
    assert document["mapping"][0] == {
        "version": "1.0.0",
        "description": "Create users",
        "record": "20230101120000",
        "rule": "header",
        "applied": False,
    }
    done = users.json(*SOURCE, "--yes")
    assert [one["version"] for one in done["marked"]] == ["1.0.0", "1.1.0"]
    assert users.json(*SOURCE)["ok"]


# Each tool


@pytest.mark.parametrize(
    ("tool", "applied"),
    [
        ("user_version", 2),
        ("goose", 2),
        ("golang-migrate", 2),
        ("knex", 2),
        ("drizzle", 2),
        ("sqlite-utils", 2),
        ("original", 1),
    ],
)
def test_without_a_word_in_their_headers_migrations_are_found_by_place_name_or_version(
    project, tool, applied
):
    three(project)
    database(project.claude / "app.db", LEDGERS[tool])
    project.ok("baseline", "--from", f"{tool}:.claude/app.db", "--yes")
    assert list(project.statuses().values()) == ["applied"] * applied + ["pending"] * (3 - applied)


def test_alembics_one_row_stands_for_all_before_it(project):
    three(project)
    project.migration(
        "1.0.5-add-posts.py",
        'metadata = {"from": "alembic ae1027a6acf3"}\n\ndef up(ctx):\n    pass\n',
    )
    database(project.claude / "app.db", LEDGERS["alembic"])
    said = project.ok("baseline", "--from=alembic:.claude/app.db", "--yes")
    assert "│ -             │ comes before │ to mark │" in said
    assert project.statuses() == {
        "1.0.0": "applied",
        "1.0.5": "applied",
        "1.1.0": "pending",
        "1.2.0": "pending",
    }


def test_typescript_says_where_it_came_from_without_being_run(project):
    project.migration(
        "1.0.0-step.ts",
        "export const migration = { async up(ctx) { throw 1; },\n"
        "metadata: { from: ['knex 9_z.js', 'json x'] } };\n",
    )
    (project.root / "state.json").write_text('["x"]')
    project.ok("baseline", "--from", "json:state.json", "--yes")
    assert project.statuses() == {"1.0.0": "applied"}


@pytest.mark.parametrize(
    ("text", "source", "applied"),
    [
        ('{"applied": ["create_users", "add_email"]}', "state.json#applied", 2),
        ('{"a": {"version": 1}}', "state.json#/a/version", 1),
        ('{"version": "1.1.0"}', "state.json#version", 2),
        ("[1, 2, 3]", "state.json", 3),
    ],
)
def test_a_json_file_of_a_folder_beside_claude_is_taken_over(project, text, source, applied):
    three(project)
    folder = project.root / ".claude-mpm"
    folder.mkdir()
    (folder / "state.json").write_text(text)
    project.ok("baseline", "--from", f"json:.claude-mpm/{source}", "--yes")
    assert list(project.statuses().values()).count("applied") == applied
    assert (folder / "state.json").read_text() == text


def test_without_a_path_the_state_database_is_read(project):
    three(project)
    database(project.database, LEDGERS["goose"])
    project.ok("baseline", "--from", "goose", "--yes")
    assert project.applied() == ["1.0.0", "1.1.0"]


def test_an_original_ledger_beside_one_of_another_name_is_taken_over(project):
    three(project)
    project.config("ledger_table: plugin_state\n")
    database(project.database, LEDGERS["original"])
    assert project.statuses()["1.0.0"] == "pending"
    project.ok("baseline", "--from", "original", "--yes")
    assert project.statuses()["1.0.0"] == "applied"


def test_a_plugins_migrations_are_marked_by_what_lies_in_the_project(project, folder):
    shelf = Shelf(project.home, folder / "shelf")
    keeper = shelf.plugin("keeper")
    for version in ("1.0.0", "1.1.0"):
        table(keeper, version)
    database(project.claude / "app.db", LEDGERS["golang-migrate"])
    source = ("--from", "golang-migrate:.claude/app.db", "--plugin", "keeper")
    assert "baseline --plugin keeper --from golang-migrate:.claude/app.db --yes" in project.fails(
        "baseline", *source, code=2
    )
    project.ok("baseline", *source, "--yes")
    states = project.json("status", "--plugin", "keeper")["migrations"]
    assert [one["status"] for one in states] == ["applied", "applied"]


def test_a_ledger_that_is_empty_marks_nothing(project):
    three(project)
    database(project.claude / "app.db", "PRAGMA application_id = 1;")
    assert project.ok("baseline", "--from", "user_version:.claude/app.db") == (
        "✓ Nothing to mark: by PRAGMA user_version in .claude/app.db, nothing is applied\n"
    )


# Both together


def test_a_dbmate_project_with_data_is_taken_over_and_upgraded(project):
    project.config("database: .claude/app.db\n")
    source = project.root / "db/migrations"
    source.mkdir(parents=True)
    (source / "20230101120000_create_users.sql").write_text(
        f"-- migrate:up\n{USERS}\n-- migrate:down\nDROP TABLE users;\n"
    )
    (source / "20230202120000_add_email.sql").write_text(
        f"-- migrate:up\n{EMAIL}\n-- migrate:down\nALTER TABLE users DROP COLUMN email;\n"
    )
    rows = "INSERT INTO users VALUES (1, 'Ada', 'ada@x'), (2, 'Bob', NULL);"
    path = database(project.claude / "app.db", LEDGERS["dbmate"] + USERS + EMAIL + rows)

    project.ok("create", "--from", "dbmate", "db/migrations")
    project.ok("baseline", "--from", "dbmate", "--yes")
    assert project.json("verify", "--all")["ok"]
    project.migration(
        "1.1.0-add-age.sql",
        "-- migrate:up\nALTER TABLE users ADD COLUMN age INTEGER;\n"
        "UPDATE users SET age = 7 WHERE id = 1;\n"
        "-- migrate:down\nALTER TABLE users DROP COLUMN age;\n",
    )
    project.ok("upgrade")

    def read(query):
        with closing(sqlite3.connect(path)) as connection:
            return connection.execute(query).fetchall()

    assert read("SELECT * FROM users") == [(1, "Ada", "ada@x", 7), (2, "Bob", None, None)]
    assert len(read("SELECT * FROM schema_migrations")) == 2
    project.ok("downgrade", "1.0.0")
    assert read("SELECT * FROM users") == [(1, "Ada"), (2, "Bob")]


# What is refused


REFUSED = {
    "outside": ("dbmate:../x.db", 2, "--from reads only below the project, and ../x.db is not"),
    "absolute": ("dbmate:/etc/passwd", 2, "--from reads only below the project"),
    "the project itself": ("dbmate:.", 2, "--from reads only below the project"),
    "not there": ("dbmate:.claude/no.db", 1, f"There is nothing to take over from: {NO_FILE}"),
    "below a file": (
        "dbmate:.claude/app.db/x",
        1,
        f"There is nothing to take over from: {NO_FOLDER}",
    ),
    "a folder": ("dbmate:.claude/core", 1, "The database is not a plain file"),
    "no database": ("dbmate:.claude/text", 1, "The file is not an SQLite database"),
    "no state database": ("dbmate", 1, "There is no state database to read dbmate's ledger"),
    "another tool": ("flyway", 2, "plugin-migrate cannot take over from 'flyway'"),
    "another ledger": ("knex:.claude/app.db", 1, "knex keeps no ledger in this database: there is"),
    "a link": ("dbmate:.claude/link.db", 1, "What is taken over from must not be a link, nor lie"),
    "below a link": (
        "json:linked/s.json",
        1,
        "What is taken over from must not be a link, nor lie",
    ),
    "more than there is": (
        "user_version:.claude/nine.db",
        1,
        "1 of 1 record(s) in PRAGMA user_version",
    ),
    "a gap": ("json:gap.json", 1, "By gap.json, 1.2.0 is applied, but not 1.1.0 below it"),
    "no fit": ("json:odd.json", 1, "2 of 3 record(s) in odd.json cannot be matched to a migr"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_map_is_refused_and_nothing_changes(users, case, folder):
    source, code, told = REFUSED[case]
    outside = folder / "outside"
    outside.mkdir()
    (outside / "s.json").write_text("[1]")
    if "link" in case:
        (users.claude / "link.db").symlink_to(users.claude / "app.db")
        (users.root / "linked").symlink_to(outside)
    (users.claude / "text").write_text("no database, and longer than a header of one" * 9)
    database(users.claude / "nine.db", "PRAGMA user_version = 9;")
    (users.root / "gap.json").write_text('["1.0.0", "1.2.0"]')
    (users.root / "odd.json").write_text(json.dumps(["1.0.0", "x\0\x1b[2J", "y"]))
    before = users.snapshot()
    with pytest.raises(MigrateError) as caught:
        look(users.workspace(), parse_origin(source))
    assert caught.value.message.startswith(told)
    assert caught.value.exit_code == code
    assert users.snapshot() == before


def test_a_refusal_names_every_record_and_steers_no_terminal(users):
    (users.root / "odd.json").write_text(json.dumps(["1.0.0", "x\0\x1b[2J", "y"]))
    before = users.snapshot()
    err = users.fails("baseline", "--from", "json:odd.json", "--yes")
    assert err == (
        "✗ Error: 2 of 3 record(s) in odd.json cannot be matched to a migration here\n"
        "  • 'x\ufffd\ufffd[2J' fits no migration here\n"
        "  • 'y' fits no migration here\n"
        "  In the header of the migration that a record means, say so: from: json RECORD\n"
        "  Nothing was marked.\n"
    )
    assert users.snapshot() == before


def test_a_path_that_is_none_is_refused(users):
    shown = users.typed("baseline --from json:a\0b --yes")["systemMessage"]
    assert shown.startswith("✗ Error")
    assert "Internal error" not in shown


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "baseline wants a version, or --from and a source, and not both"),
        (["1.0.0", "--from", "dbmate"], "baseline wants a version, or --from and a source, and no"),
        (["1.0.0", "--yes"], "--yes goes with --from: nothing else is asked"),
    ],
)
def test_a_version_and_a_source_are_two_ways(users, arguments, told):
    assert users.fails("baseline", *arguments, code=2).startswith(f"✗ Error: {told}")


def test_what_has_to_be_settled_first_comes_first(users):
    users.ok("upgrade", "1.0.0")
    path = users.migrations / "1.0.0-create-users.sql"
    path.write_text(path.read_text() + "SELECT 2;\n")
    assert "1.0.0" in users.fails(*SOURCE, "--yes")
    assert users.statuses()["1.1.0"] == "pending"


def test_a_ledger_that_changes_after_it_was_shown_marks_nothing(users):
    more = "INSERT INTO schema_migrations VALUES ('20230303120000');"
    workspace = users.workspace()
    shown = look(workspace, parse_origin(SOURCE[2]))
    database(users.claude / "app.db", more)
    with pytest.raises(Conflict, match="changed meanwhile"):
        take_over(workspace, shown, "tester", 0)
    assert "applied" not in users.statuses().values()


def test_a_baseline_up_to_a_version_has_a_dry_run_too(users):
    before = users.snapshot()
    assert users.ok("baseline", "1.1.0", "-n") == (
        "Dry run: would mark 2 migration(s) as applied\n"
        "  • 1.0.0 - Create users\n  • 1.1.0 - Add email\n\nNothing was changed.\n"
    )
    assert users.snapshot() == before


def test_a_shell_completes_the_tools(project):
    if not shutil.which("bash"):
        pytest.skip("no bash here")
    for line, tools in (
        ("plugin-migrate baseline --from ", set(TOOLS) - {"json"} | {"json:"}),
        ("plugin-migrate create --from ", set(FORMATS)),
        ("plugin-migrate create --from g", {"goose", "golang-migrate"}),
    ):
        done = subprocess.run(
            COMMAND,
            env=project.environment
            | {
                "_ARGCOMPLETE": "1",
                "_ARGCOMPLETE_STDOUT_FILENAME": "/dev/stdout",
                "COMP_LINE": line,
                "COMP_POINT": str(len(line)),
                "_ARGCOMPLETE_IFS": "\n",
            },
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert {word.strip() for word in done.stdout.splitlines()} == tools
