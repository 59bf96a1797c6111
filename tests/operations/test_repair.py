"""Accepting edits, adopting rows, settling what was interrupted, and marking without running."""

import json
import os
import shutil
from collections.abc import Sequence

import pytest

from plugin_migrate.errors import (
    ForeignDatabase,
    MigrateError,
    NeedsRepair,
    PlanRefused,
    UnknownTarget,
    UsageError,
)
from plugin_migrate.operations import migrate
from plugin_migrate.operations import repair as repairing
from plugin_migrate.operations.baseline import baseline
from plugin_migrate.operations.repair import Decisions, Repair
from plugin_migrate.plan import State, plan_upgrade
from plugin_migrate.version import Version
from project import Project

_LEDGER_OF_ANOTHER_ENGINE = """
CREATE TABLE migrations (
  id INTEGER PRIMARY KEY AUTOINCREMENT, version TEXT NOT NULL UNIQUE, description TEXT NOT NULL,
  applied_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP, applied_by TEXT DEFAULT 'system',
  execution_time_ms INTEGER NOT NULL, checksum TEXT NOT NULL,
  direction TEXT NOT NULL CHECK (direction IN ('up', 'down')), extra TEXT DEFAULT 'x');
INSERT INTO migrations (version, description, execution_time_ms, checksum, direction)
VALUES ('1.0.0', 'Old one', 3, 'deadbeef', 'up');
"""


NOTHING_DECIDED = Decisions()


def repair(
    project: Project, *versions: str, decisions: Decisions = NOTHING_DECIDED
) -> Sequence[Repair]:
    parsed = [Version.parse(version) for version in versions]
    return repairing.repair(project.workspace(), parsed, decisions, "tester", 0)


def edit(project: Project, version: str) -> None:
    file = project.migrations / f"{version}-step.sql"
    file.write_text(file.read_text() + "-- a thought\n")


# --- edited files -----------------------------------------------------------------------------


@pytest.fixture
def edited(project: Project) -> Project:
    """A project with two applied migrations that were both edited since."""
    project.sql("1.0.0", "CREATE TABLE a (x);", "DROP TABLE a;")
    project.sql("1.1.0", "CREATE TABLE b (x);", "DROP TABLE b;")
    project.upgrade()
    edit(project, "1.0.0")
    edit(project, "1.1.0")
    return project


def test_an_edited_file_is_modified_and_stops_upgrade_and_downgrade(edited: Project) -> None:
    assert set(edited.states().values()) == {State.MODIFIED}
    for run in (edited.upgrade, edited.downgrade):
        with pytest.raises(PlanRefused, match=r"1\.0\.0, 1\.1\.0") as caught:
            run()
        assert "repair 1.0.0" in str(caught.value.hint)
        assert "new migration" in str(caught.value.hint)


@pytest.mark.parametrize(
    "change",
    [
        lambda content: b"\xef\xbb\xbf" + content,
        lambda content: content.replace(b"\n", b"\r\n"),
        lambda content: content.rstrip(b"\n"),
        lambda content: content + b"\n\n",
        lambda content: b"\xef\xbb\xbf" + content.rstrip(b"\n").replace(b"\n", b"\r\n"),
    ],
)
def test_line_endings_bom_and_final_newline_are_no_drift(project: Project, change) -> None:
    file = project.sql("1.0.0", "CREATE TABLE a (x);", "DROP TABLE a;")
    project.upgrade()

    file.write_bytes(change(file.read_bytes()))

    assert project.states() == {"1.0.0": State.APPLIED}
    project.downgrade()


def test_repair_accepts_edited_files_and_shows_what_changed(edited: Project) -> None:
    done = repair(edited)

    assert [str(item.version) for item in done] == ["1.0.0", "1.1.0"]
    assert "+-- a thought" in done[0].diff
    assert set(edited.states().values()) == {State.APPLIED}
    assert edited.history()[-1] == ("1.1.0", "repair", "done")


def test_repair_of_one_version_leaves_the_others(edited: Project) -> None:
    repair(edited, "1.1.0")

    assert edited.states() == {"1.0.0": State.MODIFIED, "1.1.0": State.APPLIED}


def test_a_rollback_after_a_repair_uses_the_accepted_text(edited: Project) -> None:
    file = edited.migrations / "1.1.0-step.sql"
    file.write_text(
        "-- migrate:up\nCREATE TABLE b (x);\n-- migrate:down\nDROP TABLE b;"
        "CREATE TABLE proof (x);\n"
    )
    repair(edited)
    file.unlink()

    edited.downgrade("1.0.0")

    assert edited.query("SELECT name FROM sqlite_schema WHERE name = 'proof'") == [("proof",)]


def test_repair_with_nothing_to_do_changes_nothing(project: Project) -> None:
    project.sql("1.0.0", "CREATE TABLE a (x);")
    project.upgrade()
    before = project.dump()

    assert repair(project) == []
    assert project.dump() == before


def test_repair_of_a_version_that_is_not_applied_is_refused(project: Project) -> None:
    project.sql("1.0.0", "CREATE TABLE a (x);")

    with pytest.raises(UnknownTarget, match=r"1\.0\.0 is not applied"):
        repair(project, "1.0.0")


# --- another engine's rows --------------------------------------------------------------------


def test_rows_of_another_engine_are_adopted_with_checksum_and_source(project: Project) -> None:
    project.setup(_LEDGER_OF_ANOTHER_ENGINE)
    file = project.sql("1.0.0", "CREATE TABLE a (x);", "CREATE TABLE gone (x);")
    assert project.states() == {"1.0.0": State.APPLIED}

    done = repair(project)

    assert [item.what for item in done] == [
        "adopted from another engine: recorded checksum and source"
    ]
    assert project.query("SELECT checksum LIKE 'sha256:%', extra FROM migrations") == [(1, "x")]
    file.unlink()
    project.downgrade()
    assert project.query("SELECT name FROM sqlite_schema WHERE name = 'gone'") == [("gone",)]


# --- steps outside a transaction --------------------------------------------------------------


@pytest.fixture
def stopped(project: Project) -> Project:
    """A project whose migration outside a transaction failed after its first statement."""
    project.sql(
        "1.0.0",
        "CREATE TABLE a (x);\nSELECT * FROM missing;",
        "DROP TABLE a;",
        options="transaction:false",
    )
    project.failure()
    return project


def test_a_step_that_stopped_outside_a_transaction_is_interrupted(stopped: Project) -> None:
    assert stopped.states() == {"1.0.0": State.INTERRUPTED}
    with pytest.raises(PlanRefused, match="interrupted"):
        stopped.upgrade()


def test_repair_asks_which_way_an_interrupted_step_went(stopped: Project) -> None:
    with pytest.raises(NeedsRepair) as caught:
        repair(stopped)

    assert "--applied" in str(caught.value.hint)
    assert "--pending" in str(caught.value.hint)
    assert stopped.states() == {"1.0.0": State.INTERRUPTED}


def test_an_interrupted_step_can_be_recorded_as_applied(stopped: Project) -> None:
    repair(stopped, decisions=Decisions(as_applied=True))

    assert stopped.states() == {"1.0.0": State.APPLIED}
    stopped.downgrade()
    assert stopped.query("SELECT name FROM sqlite_schema WHERE name = 'a'") == []


def test_an_interrupted_step_can_be_recorded_as_pending(stopped: Project) -> None:
    repair(stopped, decisions=Decisions(as_pending=True))

    assert stopped.states() == {"1.0.0": State.PENDING}


def test_a_step_killed_outside_a_transaction_is_interrupted(project: Project) -> None:
    project.sql("1.0.0", "VACUUM;", options="transaction:false")
    project.make_ledger()
    project.setup(
        "INSERT INTO plugin_migrate_history (version, action, outcome, done_by, tool_version)"
        " VALUES ('1.0.0', 'up', 'started', 'x', '0')"
    )

    assert project.states() == {"1.0.0": State.INTERRUPTED}


def test_a_lost_file_cannot_be_recorded_as_applied(stopped: Project) -> None:
    os.unlink(stopped.migrations / "1.0.0-step.sql")

    assert stopped.states() == {}
    repair(stopped, decisions=Decisions(as_applied=True))


# --- files on their way -----------------------------------------------------------------------


@pytest.fixture
def overtaken(project: Project) -> Project:
    """A project killed between commit and publishing, with a file edited before the recovery."""
    project.write("settings.json", "before")
    project.write("other.json", "before")
    project.python(
        "1.0.0",
        """
        (ctx.claude / "settings.json").write_text("after")
        (ctx.claude / "other.json").write_text("after")
        """,
        """
        (ctx.claude / "settings.json").write_text("before")
        (ctx.claude / "other.json").write_text("before")
        """,
    )
    project.killed_at("event == 'os.rename' and path.endswith('other.json')")
    project.write("settings.json", "mine")
    return project


def test_an_edited_file_on_its_way_is_kept_and_told(overtaken: Project) -> None:
    with pytest.raises(NeedsRepair) as caught:
        overtaken.upgrade()

    assert caught.value.details == (".claude/settings.json",)
    assert overtaken.read("settings.json") == "mine"
    assert overtaken.read("other.json") == "after"
    assert overtaken.states() == {"1.0.0": State.INTERRUPTED}


def test_repair_without_a_decision_names_both(overtaken: Project) -> None:
    with pytest.raises(NeedsRepair) as caught:
        repair(overtaken)

    assert "--keep-live" in str(caught.value.hint)
    assert "--take-migrated" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("decisions", "content"),
    [(Decisions(keep_live=True), "mine"), (Decisions(take_migrated=True), "after")],
)
def test_the_user_decides_between_the_live_and_the_migrated_file(
    overtaken: Project, decisions: Decisions, content: str
) -> None:
    repair(overtaken, decisions=decisions)

    assert overtaken.read("settings.json") == content
    assert overtaken.read("other.json") == "after"
    assert overtaken.states() == {"1.0.0": State.APPLIED}
    assert overtaken.leftovers() == set()


def test_a_dry_run_after_a_kill_plans_what_the_real_run_does(project: Project) -> None:
    project.write("settings.json", "before")
    project.python("1.0.0", '(ctx.claude / "settings.json").write_text("after")')
    project.killed_at("event == 'os.rename' and path.endswith('settings.json')")
    project.sql("1.1.0", "CREATE TABLE a (x);")

    planned = migrate.dry_run(project.workspace(), plan_upgrade)
    done = project.upgrade()

    assert [str(step.version) for step in planned.prepared] == ["1.1.0"]
    assert [str(result.version) for result in done.results] == ["1.1.0"]
    assert project.read("settings.json") == "after"


# --- a database of another place --------------------------------------------------------------


def test_a_moved_project_can_take_its_outside_database_along(
    project: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside") / "state.db"
    project.config(f"database: {outside}\n")
    project.sql("1.0.0", "CREATE TABLE a (x);", "DROP TABLE a;")
    project.upgrade()
    moved = project.root.with_name("moved")
    project.root.rename(moved)
    project.root.mkdir()
    other = Project(project.root)
    moved_claude = moved / ".claude"
    assert moved_claude.is_dir()
    other.config(f"database: {outside}\n")
    other.root.joinpath(".claude").rename(other.root / "unused")
    moved.joinpath(".claude").rename(other.root / ".claude")
    other.root.rename(other.root.with_name("elsewhere"))
    elsewhere = Project.__new__(Project)
    elsewhere.__dict__.update(project.__dict__)
    elsewhere.root = other.root.with_name("elsewhere")

    with pytest.raises(ForeignDatabase, match="another project"):
        elsewhere.look()
    repair(elsewhere, decisions=Decisions(take_database=True))

    assert elsewhere.states() == {"1.0.0": State.APPLIED}


def test_what_a_killed_run_left_comes_along_with_an_outside_database(
    project: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside") / "state.db"
    project.config(f"database: {outside}\n")
    project.python("1.0.0", '(ctx.claude / "note.txt").write_text("new")')
    project.killed_at("event == 'os.rename' and path.endswith('/note.txt')")
    assert not (project.claude / "note.txt").exists()
    elsewhere = Project(project.root.with_name("elsewhere"))
    shutil.rmtree(elsewhere.claude)
    project.claude.rename(elsewhere.claude)

    repair(elsewhere, decisions=Decisions(take_database=True))

    assert elsewhere.read("note.txt") == "new"
    assert elsewhere.states() == {"1.0.0": State.APPLIED}


# --- baseline ---------------------------------------------------------------------------------


def test_baseline_marks_without_running(project: Project) -> None:
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        project.sql(version, "SELECT * FROM missing;", "SELECT 1;")

    marked = baseline(project.workspace(), Version(1, 1, 0), "tester", 0)

    assert [str(entry.version) for entry in marked] == ["1.0.0", "1.1.0"]
    assert project.states() == {
        "1.0.0": State.APPLIED,
        "1.1.0": State.APPLIED,
        "1.2.0": State.PENDING,
    }
    assert project.history() == [("1.0.0", "baseline", "done"), ("1.1.0", "baseline", "done")]
    project.downgrade("1.0.0")


def test_baseline_of_an_unknown_version_is_refused(project: Project) -> None:
    project.sql("1.0.0", "SELECT 1;")

    with pytest.raises(UnknownTarget):
        baseline(project.workspace(), Version(2, 0, 0), "tester", 0)


def test_baseline_again_marks_nothing(project: Project) -> None:
    project.sql("1.0.0", "SELECT 1;")
    baseline(project.workspace(), Version(1, 0, 0), "tester", 0)

    assert baseline(project.workspace(), Version(1, 0, 0), "tester", 0) == ()


# --- as commands ------------------------------------------------------------------------------


def test_the_commands_tell_what_they_did(edited: Project) -> None:
    told = edited.cli("repair")
    again = edited.cli("repair")

    assert told.stdout.startswith("✓ Repaired 2 thing(s)\n  • 1.0.0: accepted the edited file\n")
    assert "    +-- a thought\n" in told.stdout
    assert again.stdout == "✓ Nothing to repair\n"


def test_repair_as_json(edited: Project) -> None:
    document = json.loads(edited.cli("repair", "1.1.0", "--format=json").stdout)

    assert document["ok"] is True
    assert [item["version"] for item in document["repaired"]] == ["1.1.0"]


def test_baseline_tells_what_it_marked(project: Project) -> None:
    project.sql("1.0.0", "SELECT 1;")

    first = project.cli("baseline", "1.0.0")
    second = project.cli("baseline", "1.0.0")

    assert first.stdout == (
        "✓ Marked 1 migration(s) as applied, without running them\n  • 1.0.0 - Step\n"
    )
    assert second.stdout == "✓ Nothing to mark: everything up to 1.0.0 is applied\n"


@pytest.mark.parametrize(
    ("applied", "code", "text"),
    [
        ([], 3, "1 pending migration(s) (current version: none)\n"),
        (["1.0.0"], 0, "No pending migrations (current version: 1.0.0)\n"),
    ],
)
def test_check_exits_3_when_something_is_pending(
    project: Project, applied: list[str], code: int, text: str
) -> None:
    project.sql("1.0.0", "SELECT 1;")
    if applied:
        project.upgrade()

    done = project.cli("check")

    assert (done.returncode, done.stdout) == (code, text)
    assert json.loads(project.cli("check", "--format=json").stdout)["pending"] == (
        [] if applied else ["1.0.0"]
    )


def test_contradicting_decisions_are_wrong_usage(project: Project) -> None:
    assert project.cli("repair", "--applied", "--pending").returncode == 2
    assert project.cli("repair", "--keep-live", "--take-migrated").returncode == 2
    assert issubclass(UsageError, MigrateError)
