"""The ledger: what stands in it, what is adopted, what is refused, and its own upgrades."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from plugin_migrate import __version__
from plugin_migrate.errors import ForeignDatabase, LedgerTooNew, MigrateError, NotALedger
from plugin_migrate.ledger.read import Header, read_headers
from plugin_migrate.plan import State
from project import PACKAGES, SCRIPTS, Project

# The design's table, exactly: other tools rely on it.
CONTRACT = """
CREATE TABLE migrations (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  version TEXT NOT NULL UNIQUE,
  description TEXT NOT NULL,
  applied_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
  applied_by TEXT DEFAULT 'system',
  execution_time_ms INTEGER NOT NULL,
  checksum TEXT NOT NULL,
  direction TEXT NOT NULL CHECK (direction IN ('up', 'down'))
);
CREATE INDEX idx_migrations_version ON migrations(version);
CREATE INDEX idx_migrations_applied_at ON migrations(applied_at);
"""
FOREIGN_ROWS = """
INSERT INTO migrations (version, description, execution_time_ms, checksum, direction) VALUES
  ('1.0.0', 'Theirs', 12, 'd41d8cd98f00b204e9800998ecf8427e', 'up'),
  ('1.1.0', 'Taken back', 3, 'abc', 'down');
"""


def schema(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """Return what readers may rely on, without the liberties of layout."""
    rows = connection.execute(
        "SELECT name, sql FROM sqlite_schema WHERE tbl_name = 'migrations' AND sql NOT NULL"
    ).fetchall()
    return sorted((name, re.sub(r"\s+|IF NOT EXISTS", " ", sql).strip()) for name, sql in rows)


def test_the_table_is_the_one_every_reader_may_rely_on(project: Project) -> None:
    project.make_ledger()
    expected = sqlite3.connect(":memory:")
    expected.executescript(CONTRACT)
    with project.connect() as connection:
        assert schema(connection) == schema(expected)
    expected.close()


def test_rows_say_what_is_applied_now_and_the_history_what_happened(project: Project) -> None:
    file = project.sql("1.0.0", "CREATE TABLE t (x);", "DROP TABLE t;")
    project.upgrade()
    (row,) = project.query(
        "SELECT version, description, applied_by, direction, checksum FROM migrations"
    )
    assert row[:4] == ("1.0.0", "Step", "tester", "up")
    assert row[4].startswith("sha256:")
    assert project.query("SELECT text, file_name, language FROM plugin_migrate_sources") == [
        (file.read_text(), "1.0.0-step.sql", "sql")
    ]
    assert project.query(
        "SELECT action, outcome, done_by, tool_version, error FROM plugin_migrate_history"
    ) == [("up", "done", "tester", __version__, None)]
    project.downgrade()
    assert project.query("SELECT * FROM migrations") == []
    assert project.query("SELECT * FROM plugin_migrate_sources") == []


def test_a_failure_is_in_the_history_with_its_error(project: Project) -> None:
    project.sql("1.0.0", "SELECT * FROM nowhere;")
    project.failure()
    assert project.query("SELECT outcome, error FROM plugin_migrate_history") == [
        ("failed", "no such table: nowhere")
    ]


def test_a_rollback_needs_no_file(project: Project) -> None:
    file = project.sql("1.0.0", "CREATE TABLE t (x);", "DROP TABLE t;")
    code = project.python("1.1.0", "(ctx.claude/'a').touch()", "(ctx.claude/'a').unlink()")
    before = project.files()
    project.upgrade()
    file.unlink()
    code.unlink()
    project.downgrade()
    assert project.applied() == []
    assert not (project.claude / "a").exists()
    assert before.keys() - project.files().keys() == {
        f".claude/core/versioning/migrations/{path.name}" for path in (file, code)
    }


# --- adopting what is there ----------------------------------------------------------------------


@pytest.mark.parametrize("rows", ["", FOREIGN_ROWS])
@pytest.mark.parametrize(
    "more",
    [
        "",
        "ALTER TABLE migrations ADD COLUMN batch INTEGER;",
        "ALTER TABLE migrations ADD COLUMN tags TEXT NOT NULL DEFAULT '';",
        (
            "CREATE TABLE audit (v); CREATE TRIGGER watch AFTER INSERT ON migrations"
            " BEGIN INSERT INTO audit VALUES (NEW.version); END;"
        ),
        "CREATE VIEW latest AS SELECT max(version) FROM migrations;",
        "DROP INDEX idx_migrations_version;",
    ],
)
def test_a_ledger_of_another_engine_is_adopted_as_it_is(
    project: Project, rows: str, more: str
) -> None:
    project.setup(CONTRACT + more + rows)
    with project.connect() as connection:
        before = schema(connection)
    theirs = project.query("SELECT * FROM migrations ORDER BY id")
    project.sql("2.0.0", "CREATE TABLE t (x);", "DROP TABLE t;")
    project.upgrade()
    with project.connect() as connection:
        after = schema(connection)
    assert [item for item in after if item in before] == before
    assert project.query("SELECT * FROM migrations WHERE version < '2' ORDER BY id") == theirs
    assert "2.0.0" in project.applied()
    if "audit" in more:
        assert ("2.0.0",) in project.query("SELECT v FROM audit")
    project.downgrade("1.0.0" if rows else "0.0.0")
    assert project.query("SELECT * FROM migrations ORDER BY id") == theirs


def test_foreign_checksums_are_applied_and_never_modified(project: Project) -> None:
    project.setup(CONTRACT + FOREIGN_ROWS)
    project.sql("1.0.0", "CREATE TABLE never_run (x);")
    assert project.states() == {"1.0.0": State.APPLIED}
    project.sql("1.2.0", "CREATE TABLE t (x);")
    project.upgrade()
    assert project.query("SELECT name FROM sqlite_schema WHERE name = 'never_run'") == []


def test_a_foreign_row_of_direction_down_is_pending_and_can_be_applied(project: Project) -> None:
    project.setup(CONTRACT + FOREIGN_ROWS)
    project.sql("1.0.0", "SELECT 1;")
    project.sql("1.1.0", "CREATE TABLE t (x);")
    assert project.states()["1.1.0"] is State.PENDING
    project.upgrade()
    assert project.query("SELECT direction FROM migrations WHERE version = '1.1.0'") == [("up",)]


def test_a_version_with_rows_of_both_directions_is_applied_and_can_be_rolled_back(
    project: Project,
) -> None:
    project.setup(CONTRACT.replace(" UNIQUE", "") + FOREIGN_ROWS)
    project.setup(
        "INSERT INTO migrations (version, description, execution_time_ms, checksum, direction)"
        " VALUES ('1.0.0', 'Taken back', 3, 'abc', 'down')"
    )
    project.sql("1.0.0", "SELECT 1;", "CREATE TABLE rolled_back (x);")
    assert project.states()["1.0.0"] is State.APPLIED
    project.downgrade()
    assert project.query("SELECT count(*) FROM rolled_back") == [(0,)]
    assert project.query("SELECT direction FROM migrations WHERE version = '1.0.0'") == []


def test_reading_a_foreign_ledger_writes_nothing(project: Project) -> None:
    project.setup(CONTRACT + FOREIGN_ROWS)
    before = project.database.read_bytes(), os.stat(project.database).st_mtime_ns
    assert project.states()["1.0.0"] is State.MISSING
    assert (project.database.read_bytes(), os.stat(project.database).st_mtime_ns) == before


# --- what cannot be a ledger ---------------------------------------------------------------------

DEMANDING = CONTRACT.replace("  checksum", "  batch INTEGER NOT NULL,\n  checksum")
SPRING = (
    "INSERT INTO migrations (version, description, execution_time_ms, checksum, direction)"
    " VALUES ('spring', 'x', 0, 'x', 'up')"
)
NO_LEDGERS = {
    "CREATE TABLE migrations (bird TEXT, went_to TEXT)": "is not a migration ledger",
    DEMANDING: "batch",
    CONTRACT + SPRING: "spring",
}


@pytest.mark.parametrize("script", NO_LEDGERS)
def test_a_migrations_table_that_is_no_ledger_stops_the_run_and_names_the_way_out(
    project: Project, script: str
) -> None:
    project.setup(script)
    before = project.dump()
    project.sql("1.0.0", "CREATE TABLE t (x);")
    with pytest.raises(NotALedger) as caught:
        project.upgrade()
    assert NO_LEDGERS[script] in caught.value.message
    assert "ledger_table" in (caught.value.hint or "")
    assert project.dump() == before


def test_the_way_out_works(project: Project) -> None:
    project.setup("CREATE TABLE migrations (bird TEXT); INSERT INTO migrations VALUES ('stork')")
    project.config("ledger_table: plugin_state_migrations")
    project.sql("1.0.0", "CREATE TABLE t (x);", "DROP TABLE t;")
    project.upgrade()
    assert project.query("SELECT version FROM plugin_state_migrations") == [("1.0.0",)]
    assert project.states() == {"1.0.0": State.APPLIED}
    project.downgrade()
    assert project.query("SELECT bird FROM migrations") == [("stork",)]


def test_a_lost_ledger_table_is_not_read_as_an_empty_one(project: Project) -> None:
    project.sql("1.0.0", "CREATE TABLE t (x);")
    project.upgrade()
    project.setup("DROP TABLE migrations")
    for command in (project.look, project.upgrade):
        with pytest.raises(NotALedger, match="is gone"):
            command()


def test_a_ledger_without_its_sources_is_broken_and_nothing_is_run(project: Project) -> None:
    project.sql("1.0.0", "CREATE TABLE t (x);")
    project.upgrade()
    project.sql("1.1.0", "INSERT INTO t VALUES (1); VACUUM;", options="transaction:false")
    project.setup("DROP TABLE plugin_migrate_sources")
    for command in (project.look, project.upgrade, project.downgrade):
        with pytest.raises(NotALedger, match="'plugin_migrate_sources' is gone"):
            command()
    assert project.query("SELECT x FROM t") == []


def test_headers_are_those_of_what_is_applied_and_whatever_else_stands_there_is_left_out(
    project: Project,
) -> None:
    for number in range(3):
        project.sql(f"1.{number}.0", f"CREATE TABLE t{number} (x);")
    project.upgrade()
    project.setup(
        "UPDATE plugin_migrate_sources SET metadata = 5 WHERE version = '1.1.0';"
        "DELETE FROM migrations WHERE version = '1.2.0'"
    )
    # SQLite makes a text of the 5, for a column of that kind; but not of bytes.
    project.setup("UPDATE plugin_migrate_sources SET language = x'ff' WHERE version = '1.1.0'")
    assert read_headers(project.workspace()) == {"1.0.0": Header("sql", "{}")}


def test_a_ledger_whose_own_table_is_gone_has_no_headers(project: Project) -> None:
    project.sql("1.0.0", "CREATE TABLE t (x);", "DROP TABLE t;")
    project.upgrade()
    project.downgrade()
    project.setup("DROP TABLE migrations")
    assert read_headers(project.workspace()) == {}
    assert project.cli("status", "--format=json").returncode == 0


def test_a_foreign_ledger_has_no_headers(project: Project) -> None:
    assert read_headers(project.workspace()) == {}
    project.setup("CREATE TABLE plugin_migrate_sources (version, language, metadata)")
    assert read_headers(project.workspace()) == {}


def test_a_renamed_setting_without_a_renamed_table_is_not_read_as_an_empty_ledger(
    project: Project,
) -> None:
    project.sql("1.0.0", "CREATE TABLE t (x);")
    project.upgrade()
    project.config("ledger_table: another")
    with pytest.raises(NotALedger):
        project.upgrade()
    assert project.query("SELECT count(*) FROM sqlite_schema WHERE name = 'another'") == [(0,)]


# --- other versions of this tool -----------------------------------------------------------------


def test_a_newer_ledger_is_refused_by_every_command_and_left_alone(project: Project) -> None:
    project.sql("1.0.0", "CREATE TABLE t (x);")
    project.upgrade()
    project.setup("INSERT INTO plugin_migrate_schema (version) VALUES ('99.0.0')")
    project.sql("1.1.0", "CREATE TABLE u (x);")
    before = project.dump()
    for command in (project.look, project.upgrade, project.downgrade):
        with pytest.raises(LedgerTooNew, match="newer plugin-migrate"):
            command()
    assert project.dump() == before


def test_a_later_tool_brings_an_older_ledger_up_to_date(project: Project, folder: Path) -> None:
    project.sql("1.0.0", "CREATE TABLE t (x);", "DROP TABLE t;")
    project.upgrade()
    later = folder / "later"
    shutil.copytree(SCRIPTS / "plugin_migrate", later / "scripts/plugin_migrate")
    shutil.copytree(SCRIPTS.parent / "migrations", later / "migrations")
    (later / "migrations/1.1.0-more.sql").write_text(
        "-- migrate:up\nALTER TABLE plugin_migrate_history ADD COLUMN more TEXT DEFAULT 'new';\n"
        "CREATE INDEX later_index ON migrations(checksum);\n"
    )
    project.sql("1.1.0", "CREATE TABLE u (x);")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        paths = [str(later / "scripts"), str(PACKAGES)]
        code = (
            f"import sys; sys.path[:0] = {paths!r};"
            "from plugin_migrate.cli.main import main; raise SystemExit(main())"
        )
        return subprocess.run(
            [sys.executable, "-IB", "-c", code, "--project", project.root, *arguments],
            capture_output=True,
            text=True,
        )

    before = project.dump()
    assert run("status").returncode == 0
    assert project.dump() == before
    assert run("upgrade").returncode == 0
    assert project.query("SELECT version FROM plugin_migrate_schema ORDER BY 1") == [
        ("1.0.0",), ("1.1.0",),
    ]  # fmt: skip
    assert project.query("SELECT DISTINCT more FROM plugin_migrate_history") == [("new",)]
    assert project.applied() == ["1.0.0", "1.1.0"]
    # And this tool, the older one, now keeps its hands off.
    with pytest.raises(LedgerTooNew):
        project.downgrade()


# --- whose database ------------------------------------------------------------------------------


def test_another_project_s_outside_database_is_refused_and_never_touched(
    project: Project, folder: Path
) -> None:
    shared = folder / "shared.db"
    project.config(f"database: {shared}")
    project.sql("1.0.0", "CREATE TABLE t (x);", "DROP TABLE t;")
    project.upgrade()
    other = Project(folder / "other")
    other.config(f"database: {shared}")
    other.sql("1.0.0", "CREATE TABLE t (x);", "DROP TABLE t;")
    other.sql("1.1.0", "CREATE TABLE u (x);")
    before = project.dump(shared)
    for command in (other.look, other.upgrade, other.downgrade):
        with pytest.raises(ForeignDatabase, match="belongs to another project"):
            command()
    assert project.dump(shared) == before
    project.downgrade()


def test_a_database_in_another_project_s_claude_folder_is_refused(
    project: Project, folder: Path
) -> None:
    project.sql("1.0.0", "CREATE TABLE t (x);", "DROP TABLE t;")
    project.upgrade()
    worktree = Project(project.claude / "worktrees/feature")
    stranger = Project(folder / "stranger")
    for other in (worktree, stranger):
        other.config(f"database: {project.database}")
        other.sql("1.1.0", "CREATE TABLE u (x);")
        before = project.dump()
        for command in (other.look, other.upgrade):
            named = re.escape(str(project.root))
            with pytest.raises(ForeignDatabase, match=f"another project: {named}$"):
                command()
        assert project.dump() == before
    assert project.states() == {"1.0.0": State.APPLIED}


def test_a_new_ledger_is_not_made_in_another_project_s_claude_folder(
    project: Project, folder: Path
) -> None:
    other = Project(folder / "other")
    other.config(f"database: {project.claude / 'mine.db'}")
    other.sql("1.0.0", "CREATE TABLE t (x);")
    with pytest.raises(ForeignDatabase, match="another project"):
        other.upgrade()


def test_an_outside_database_follows_its_own_project(project: Project, folder: Path) -> None:
    project.config(f"database: {folder / 'own.db'}")
    project.sql("1.0.0", "CREATE TABLE t (x);")
    project.upgrade()
    assert project.states() == {"1.0.0": State.APPLIED}
    assert not project.database.exists()


def test_a_moved_or_copied_project_keeps_its_inside_database(
    project: Project, folder: Path
) -> None:
    project.python("1.0.0", "(ctx.claude/'a').touch()", "(ctx.claude/'a').unlink()")
    project.upgrade()
    shutil.copytree(project.root, folder / "copied")
    project.root.rename(folder / "moved")
    for name in ("copied", "moved"):
        elsewhere = Project.__new__(Project)
        elsewhere.__dict__.update(
            {
                key: Path(str(value).replace(str(project.root), str(folder / name)))
                for key, value in vars(project).items()
            }
        )
        assert elsewhere.states() == {"1.0.0": State.APPLIED}
        elsewhere.downgrade()
        assert elsewhere.applied() == []


@pytest.mark.parametrize("content", [b"not a database at all, but text" * 40, b"\0" * 4096])
def test_a_file_that_is_no_database_is_named_and_left_alone(
    project: Project, content: bytes
) -> None:
    project.write("orchestration/db/orchestration.db", content)
    project.sql("1.0.0", "CREATE TABLE t (x);")
    for command in (project.look, project.upgrade):
        with pytest.raises(MigrateError) as caught:
            command()
        assert "orchestration.db" in f"{caught.value.message} {caught.value.file}"
    assert project.database.read_bytes() == content


def test_an_empty_database_file_is_an_empty_database(project: Project) -> None:
    project.write("orchestration/db/orchestration.db", b"")
    project.sql("1.0.0", "CREATE TABLE t (x);")
    assert project.states() == {"1.0.0": State.PENDING}
    project.upgrade()
    assert project.applied() == ["1.0.0"]
