"""`status`: every state, every format, and that reading is only reading."""

import os
import re
import sqlite3
from contextlib import closing

import pytest

from command_line import FOLDER, snapshot


@pytest.fixture
def mixed(project):
    """A project with 1.0.0 applied, 1.1.0 modified, 1.2.0 missing, 1.1.5 late and 2.0.0 pending."""
    project.tables("1.0.0", "1.1.0", "1.2.0")
    project.ok("upgrade")
    project.sql("1.1.0", "SELECT 'edited';")
    (project.migrations / "1.2.0-step.sql").unlink()
    project.tables("1.1.5", "2.0.0")
    return project


def test_the_table_is_the_contracts_with_a_checksum_column(project):
    project.sql("1.0.0", description="Initial schema", author="ada", tags="[schema]")
    project.ok("upgrade")
    project.sql("1.2.0", description="Add OAuth support")
    out = project.ok("status")
    for old, new in {r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d": "2025-12-12 10:00:00",
                     r"[0-9a-f]{12}": "0123456789ab"}.items():  # fmt: skip
        out = re.sub(old, new, out)
    assert out == (
        "Migration Status:\n"
        "┌───────────┬───────────────────┬──────────┬─────────────────────┬──────────────┐\n"
        "│ Version   │ Description       │ Status   │ Applied At          │ Checksum     │\n"
        "├───────────┼───────────────────┼──────────┼─────────────────────┼──────────────┤\n"
        "│ 1.0.0     │ Initial schema    │ Applied  │ 2025-12-12 10:00:00 │ 0123456789ab │\n"
        "│ 1.2.0     │ Add OAuth support │ Pending  │ -                   │ 0123456789ab │\n"
        "└───────────┴───────────────────┴──────────┴─────────────────────┴──────────────┘\n"
        "\n"
        "Summary: 1 applied, 1 pending\n"
    )


def test_every_state_has_its_word(mixed):
    out = mixed.ok("status")
    words = dict(re.findall(r"^│ (\S+) +│ [^│]*│ ([A-Z][a-z ]*?) *│", out, re.MULTILINE))
    assert words == {
        "Version": "Status",
        "1.0.0": "Applied",
        "1.1.0": "Modified",
        "1.1.5": "Out of order",
        "1.2.0": "Missing",
        "2.0.0": "Pending",
    }
    assert "\nSummary: 1 applied, 1 pending, 1 modified, 1 missing, 1 out of order\n" in out
    assert (
        "\nModified: the file was edited since it was applied. Take the edit back (git restore)\n"
        "  and write a new migration, or accept it: plugin-migrate repair 1.1.0\n"
    ) in out
    assert "Missing: the file is gone" in out


def test_a_state_ahead_of_the_files_says_what_shows_the_way_back(project):
    project.tables("1.0.0", "1.1.0")
    project.ok("upgrade")
    (project.migrations / "1.1.0-step.sql").unlink()
    assert "ahead of the files. If git took them back, go to the branch" in project.ok("status")
    assert "plugin-migrate downgrade 1.0.0 --preview" in project.ok("status")


def test_a_step_outside_a_transaction_that_never_ended_is_interrupted(project):
    project.sql("1.0.0", "CREATE TABLE a (x);\nSELECT absent;", options="transaction:false")
    assert project.call("upgrade").code == 1
    assert project.statuses() == {"1.0.0": "interrupted"}
    out = project.ok("status")
    assert "│ Interrupted │" in out
    assert "Interrupted outside a transaction: 1.0.0" in out
    assert "were interrupted: 1.0.0" in project.fails("upgrade")


def test_the_document_has_the_contracts_keys(project):
    project.sql("1.0.0", description="One", author="ada", tags="[schema, plugin]")
    project.ok("upgrade")
    project.python("1.1.0", top='"""Two."""\nmetadata = {"author": "bob", "tags": ["data"]}')
    document = project.json("status")
    migrations = document.pop("migrations")
    head = {"schema": 1, "command": "status", "ok": True, "current_version": "1.0.0"}
    assert document == head | {"plugins": [], "misnamed": [], "refused": []}
    applied, pending = migrations
    assert list(applied) == list(pending)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", applied.pop("applied_at"))
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", applied.pop("checksum"))
    assert applied.pop("applied_by")
    assert isinstance(applied.pop("execution_time_ms"), int)
    assert applied == {
        "version": "1.0.0",
        "description": "One",
        "status": "applied",
        "path": f"{FOLDER}/1.0.0-step.sql",
        "language": "sql",
        "author": "ada",
        "tags": ["schema", "plugin"],
        "way_back": "down",
    }
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", pending.pop("checksum"))
    assert pending == {
        "version": "1.1.0",
        "description": "Two",
        "status": "pending",
        "applied_at": None,
        "applied_by": None,
        "execution_time_ms": None,
        "path": f"{FOLDER}/1.1.0-step.py",
        "language": "python",
        "author": "bob",
        "tags": ["data"],
        "way_back": None,
    }


def test_the_document_knows_every_state(mixed):
    assert mixed.statuses() == {
        "1.0.0": "applied",
        "1.1.0": "modified",
        "1.1.5": "out of order",
        "1.2.0": "missing",
        "2.0.0": "pending",
    }
    missing = mixed.json("status")["migrations"][3]
    assert (missing["path"], missing["language"]) == (None, "sql")


def test_the_list_is_a_line_each(mixed):
    assert mixed.ok("status", "--format=list") == (
        "1.0.0  applied  Step\n"
        "1.1.0  modified  Step\n"
        "1.1.5  out of order  Step\n"
        "1.2.0  missing  Step\n"
        "2.0.0  pending  Step\n"
    )


@pytest.mark.parametrize(
    ("option", "versions"),
    [("--pending-only", ["1.1.5", "2.0.0"]), ("--applied-only", ["1.0.0", "1.1.0", "1.2.0"])],
)
def test_a_selection_shows_the_one_kind_and_counts_all(mixed, option, versions):
    document = mixed.json("status", option)
    assert [one["version"] for one in document["migrations"]] == versions
    assert document["current_version"] == "1.2.0"
    listed = mixed.ok("status", option, "--format=list").splitlines()
    assert [line.split()[0] for line in listed] == versions
    table = mixed.ok("status", option)
    assert re.findall(r"^│ (\d\S+)", table, re.MULTILINE) == versions
    assert "Summary: 1 applied, 1 pending, 1 modified" in table


def test_both_selections_exclude_each_other(mixed):
    assert "not allowed with" in mixed.fails("status", "--pending-only", "--applied-only", code=2)


def test_an_empty_project_says_how_to_start(project):
    assert project.ok("status") == (
        f"No migrations found in {FOLDER}\n  Start one with: plugin-migrate create NAME\n"
    )
    assert project.json("status")["migrations"] == []
    project.migrations.rmdir()
    assert "No migrations found" in project.ok("status")


def test_the_description_comes_from_header_docstring_or_name(project):
    project.sql("1.0.0", description="From the header")
    project.migration("1.1.0-from-the-name.sql", "SELECT 1;")
    project.python("1.2.0", top='"""From the docstring.\n\nMore.\n"""')
    project.python("1.3.0", top='description = "From the literal"')
    document = project.json("status")
    assert [one["description"] for one in document["migrations"]] == [
        "From the header",
        "From the name",
        "From the docstring",
        "From the literal",
    ]


def test_what_is_no_migration_is_not_listed(project):
    for name in ("_helpers.py", ".1.0.0-x.sql", "README.md", "notes.sql", "1.0.0-x.txt", "x.py"):
        project.migration(name, "not a migration")
    (project.migrations / "1.0.0-folder").mkdir()
    assert "No migrations found" in project.ok("status")


@pytest.mark.parametrize("command", [["status"], ["upgrade", "--dry-run", "--verbose"]])
def test_reading_leaves_no_trace(mixed, command):
    mixed.sql("1.1.0", "CREATE TABLE t1_1_0 (x);", "DROP TABLE t1_1_0;")
    before = mixed.snapshot()
    mixed.ok(*command)
    mixed.ok(*command, "--format=json")
    assert mixed.snapshot() == before


def test_reading_creates_no_database(project):
    project.tables("1.0.0")
    before = project.snapshot()
    project.ok("status")
    assert project.snapshot() == before


def test_reading_leaves_no_trace_beside_a_wal_database(project):
    project.setup("PRAGMA journal_mode=WAL; CREATE TABLE a (x);")
    project.tables("1.0.0")
    project.ok("upgrade")
    before = project.snapshot()
    assert project.statuses() == {"1.0.0": "applied"}
    assert project.snapshot() == before


def test_rows_still_in_the_wal_are_seen(project):
    project.setup("PRAGMA journal_mode=WAL; CREATE TABLE a (x);")
    project.tables("1.0.0")
    with closing(sqlite3.connect(project.database)) as other:
        other.execute("SELECT * FROM a").fetchall()
        project.ok("upgrade")
        assert project.statuses() == {"1.0.0": "applied"}


def test_status_works_while_another_program_writes(project):
    project.tables("1.0.0")
    project.ok("upgrade")
    with closing(sqlite3.connect(project.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("CREATE TABLE theirs (x)")
        assert project.statuses() == {"1.0.0": "applied"}


def test_a_hostile_repository_runs_nothing(project, tmp_path):
    proof = tmp_path / "executed"
    evil = f"open({str(proof)!r}, 'w')\n"
    project.python("1.0.0", evil, top=evil)
    for name in ("yaml.py", "sqlite3.py", "tabulate.py", "json.py", "plugin_migrate.py", "ast.py"):
        (project.root / name).write_text(evil)
        project.migration(name, evil)
        project.write(name, evil)
    project.write("sitecustomize.py", evil)
    project.config('exclude: ["*.tmp"]\n')
    os.mkfifo(project.claude / "pipe")
    os.symlink("/dev/zero", project.claude / "endless")
    os.symlink("loop", project.claude / "loop")
    os.symlink("nowhere", project.migrations / "dangling.sql")
    project.write("settings.json", "{broken")
    project.write("orchestration/db/orchestration.db-notes", b"\xff\0")
    environment = {"PYTHONPATH": str(project.root), "PYTHONSTARTUP": str(project.root / "yaml.py")}
    before = snapshot(tmp_path)
    for command in (["status"], ["status", "--format=json"], ["upgrade", "--dry-run", "--verbose"]):
        project.ok(*command, environment=environment)
    assert not proof.exists()
    assert snapshot(tmp_path) == before


def test_a_hostile_settings_file_runs_nothing(project, tmp_path):
    project.config(f"!!python/object/apply:os.system ['touch {tmp_path}/executed']\n")
    assert "not valid YAML" in project.fails("status")
    assert not (tmp_path / "executed").exists()


def test_a_database_with_code_in_its_schema_runs_nothing(project, tmp_path):
    project.setup(
        "CREATE TABLE real (id, version, description, applied_at, applied_by,"
        " execution_time_ms, checksum, direction);"
        "CREATE VIEW migrations AS SELECT * FROM real;"
    )
    project.tables("1.0.0")
    assert "'migrations' is a view" in project.fails("status")


def test_escape_sequences_in_texts_are_neutralised(project):
    escape = "\x1b]0;owned\x07\x1b[2J\r\u202edrawkcab"
    project.migration("1.0.0-a.sql", '-- description: "\\e]0;owned\\a\\e[2J"\n-- migrate:up\n')
    project.python("1.1.0", top=f"description = {escape!r}")
    for command in (["status"], ["status", "--format=list"], ["upgrade", "--dry-run", "--verbose"]):
        out = project.ok(*command)
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e]", out)
        assert "owned" in out
    assert project.json("status")["migrations"][1]["description"] == escape


def test_a_ledger_of_another_engine_is_read_as_it_is(project):
    project.setup(
        """
        CREATE TABLE migrations (
          id INTEGER PRIMARY KEY AUTOINCREMENT, version TEXT NOT NULL UNIQUE,
          description TEXT NOT NULL, applied_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
          applied_by TEXT DEFAULT 'system', execution_time_ms INTEGER NOT NULL,
          checksum TEXT NOT NULL, direction TEXT NOT NULL, extra TEXT);
        INSERT INTO migrations (version, description, applied_at, execution_time_ms, checksum,
          direction) VALUES ('1.0.0', 'Theirs', '2025-01-02T03:04:05.678Z', 5, 'abc', 'up');
        """
    )
    project.tables("1.0.0")
    out = project.ok("status")
    assert "│ 1.0.0     │ Theirs        │ Applied  │ 2025-01-02 03:04:05 │" in out


@pytest.mark.parametrize(
    "columns",
    [
        "x'ff', 'd', 'now', 1, 'c'",
        "'one', 'd', 'now', 1, 'c'",
        "'1.0.0', x'ff', 'now', 1, 'c'",
        "'1.0.0', 'd', x'00ff', 1, 'c'",
        "'1.0.0', 'd', 'now', 'soon', 'c'",
        "'1.0.0', 'd', 'now', 1, x'ff'",
    ],
)
def test_a_ledger_with_impossible_rows_is_an_error_and_no_bug(project, columns):
    project.setup(
        "CREATE TABLE migrations (id INTEGER PRIMARY KEY, version, description, applied_at,"
        " applied_by, execution_time_ms, checksum, direction);"
        "INSERT INTO migrations (version, description, applied_at, execution_time_ms, checksum,"
        f" direction) VALUES ({columns}, 'up');"
    )
    for options in ([], ["--format=list"]):
        assert "cannot be right" in project.fails("status", *options)
    assert project.json("status")["error"]["code"] == "not_a_ledger"


def test_a_table_of_that_name_that_is_no_ledger_is_told(project):
    project.setup("CREATE TABLE migrations (bird TEXT)")
    err = project.fails("status")
    assert "is not a migration ledger" in err
    assert "ledger_table" in err


def test_reading_loads_nothing_that_only_running_needs(project):
    project.python("1.0.0")
    project.tables("1.1.0")
    prefix = ["sh", "-c", 'python=$1; shift; exec "$python" -X importtime "$@"', "sh"]
    code, _, err = project.call("status", prefix=prefix)
    loaded = set(re.findall(r"\| +(\S+)$", err, re.MULTILINE))
    assert code == 0
    assert "ast" in loaded
    assert not loaded & {
        "asyncio",
        "yaml",
        "plugin_migrate.engine.engine",
        "plugin_migrate.sandbox.context",
    }


@pytest.mark.parametrize(
    ("kept", "shown"),
    [
        ("2025-12-12T10:00:00+02:00", "2025-12-12 08:00:00"),
        ("2025-12-12 23:30:00.5-0130", "2025-12-13 01:00:00"),
        ("2025-12-12T10:00:00Z", "2025-12-12 10:00:00"),
        ("2025-12-12T10:00:00.123", "2025-12-12 10:00:00"),
        ("0001-01-01T00:00:00+09:00", "0001-01-01T00:00:00+09:00"),
    ],
)
def test_a_time_of_another_engine_is_shown_in_utc(project, kept, shown):
    project.tables("1.0.0")
    project.ok("upgrade")
    with closing(sqlite3.connect(project.database)) as connection, connection:
        connection.execute("UPDATE migrations SET applied_at = ?", (kept,))
    assert f"│ {shown} │" in project.ok("status")
