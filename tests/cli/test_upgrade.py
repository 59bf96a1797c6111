"""`upgrade`: its plan, its texts, its document and its exit codes."""

import json
import re

import pytest

from command_line import FOLDER

DESCRIBED = {
    "1.0.0": "Initial schema",
    "1.1.0": "Add user preferences",
    "1.2.0": "Add OAuth support",
}


@pytest.fixture
def three(project):
    """A project with the three migrations of the design's examples."""
    for version, description in DESCRIBED.items():
        name = "t" + version.replace(".", "_")
        up, down = f"CREATE TABLE {name} (x);", f"DROP TABLE {name};"
        project.sql(version, up, down, description=description)
    return project


def test_pending_migrations_are_applied_in_the_contracts_words(three):
    out = three.ok("upgrade")
    assert re.sub(r"in \d+\.\ds", "in 1.2s", out) == (
        "✓ Applied 3 migration(s) in 1.2s\n"
        "  • 1.0.0 - Initial schema\n"
        "  • 1.1.0 - Add user preferences\n"
        "  • 1.2.0 - Add OAuth support\n"
    )
    assert three.applied() == ["1.0.0", "1.1.0", "1.2.0"]


def test_one_migration_has_the_same_words(project):
    project.tables("1.0.0")
    assert re.fullmatch(
        r"✓ Applied 1 migration\(s\) in \d\.\ds\n  • 1\.0\.0 - Step\n", project.ok("upgrade")
    )


def test_nothing_pending_has_the_contracts_words(three):
    three.ok("upgrade")
    before = three.applied()
    assert three.ok("upgrade") == (
        "✓ No pending migrations\n  Current version: 1.2.0\n  All migrations up to date\n"
    )
    assert three.applied() == before


def test_an_empty_project_says_how_to_start(project):
    out = project.ok("upgrade")
    assert out.startswith("✓ No pending migrations\n  Current version: none\n")
    assert "plugin-migrate create NAME" in out
    assert "up to date" not in out


def test_versions_are_applied_in_numeric_order(project):
    project.tables("1.10.0", "1.9.0", "1.2.0", "0.10.10")
    project.ok("upgrade")
    assert project.applied() == ["0.10.10", "1.2.0", "1.9.0", "1.10.0"]


def test_a_target_is_the_last_version_applied(three):
    assert "Applied 2 migration(s)" in three.ok("upgrade", "1.1.0")
    assert three.applied() == ["1.0.0", "1.1.0"]
    assert three.ok("upgrade", "1.1.0") == (
        "✓ No pending migrations up to 1.1.0\n  Current version: 1.1.0\n  1 pending above 1.1.0\n"
    )


def test_a_target_below_the_current_version_rolls_nothing_back(three):
    three.ok("upgrade")
    assert three.ok("upgrade", "1.0.0").startswith("✓ No pending migrations\n")
    assert three.applied() == ["1.0.0", "1.1.0", "1.2.0"]


@pytest.mark.parametrize("options", [[], ["--strict"], ["--verbose"], ["--dry-run"]])
def test_an_unknown_target_changes_nothing(three, options):
    before = three.files()
    assert three.fails("upgrade", "1.3.0", *options, code=2) == (
        "✗ Error: There is no migration with version 1.3.0\n"
        "  The newest is 1.2.0; see: plugin-migrate status\n"
    )
    assert three.files() == before
    assert not three.database.exists()


def test_a_late_migration_is_applied_and_pointed_out(project):
    project.tables("1.0.0", "1.2.0")
    project.ok("upgrade")
    project.tables("1.1.0", "1.3.0")
    out = project.ok("upgrade")
    assert "  • 1.1.0 - Step\n  • 1.3.0 - Step\n" in out
    assert out.endswith("\nApplied out of order, below the version before: 1.1.0\n")
    assert project.applied() == ["1.0.0", "1.2.0", "1.1.0", "1.3.0"]


def test_strict_refuses_a_late_migration(project):
    project.tables("1.0.0", "1.2.0")
    project.ok("upgrade")
    project.tables("1.1.0", "1.3.0")
    err = project.fails("upgrade", "--strict")
    assert "out of order: 1.1.0" in err
    assert "without --strict" in err
    assert project.applied() == ["1.0.0", "1.2.0"]


def test_strict_applies_what_is_in_order(three):
    assert "Applied 3" in three.ok("upgrade", "--strict")


def test_strict_looks_only_at_what_the_target_includes(project):
    project.tables("1.0.0", "1.3.0")
    project.ok("upgrade")
    project.tables("1.2.0")
    assert project.ok("upgrade", "--strict", "1.0.0").startswith("✓ No pending migrations")


def test_a_modified_migration_stops_the_upgrade_with_the_ways_out(three):
    three.ok("upgrade", "1.1.0")
    three.sql("1.0.0", "CREATE TABLE other (x);", "DROP TABLE other;")
    err = three.fails("upgrade")
    assert "1 applied migration(s) were edited since: 1.0.0" in err
    assert "plugin-migrate repair 1.0.0" in err
    assert three.applied() == ["1.0.0", "1.1.0"]


def test_a_missing_file_does_not_stop_an_upgrade(three):
    three.ok("upgrade", "1.1.0")
    (three.migrations / "1.0.0-step.sql").unlink()
    assert "1.2.0" in three.ok("upgrade")


def test_the_document_lists_the_steps(three):
    document = three.json("upgrade", "1.1.0")
    steps = document.pop("steps")
    assert document == {
        "schema": 1,
        "command": "upgrade",
        "ok": True,
        "current_version": "1.1.0",
        "target": "1.1.0",
        "count": None,
        "out_of_order": [],
        "misnamed": [],
    }
    assert [(step["version"], step["description"], step["direction"]) for step in steps] == [
        ("1.0.0", "Initial schema", "up"),
        ("1.1.0", "Add user preferences", "up"),
    ]
    assert all(isinstance(step["duration_ms"], int) for step in steps)


def test_nothing_to_do_is_a_document_without_steps(project):
    document = project.json("upgrade")
    assert (document["ok"], document["steps"], document["current_version"]) == (True, [], None)


def test_a_failure_keeps_the_earlier_steps_and_says_how_to_go_on(three):
    three.sql("1.1.0", "CREATE TABLE a (x);\n\nINSERT INTO nowhere\n  VALUES (1);", "DROP TABLE a;")
    code, out, err = three.call("upgrade")
    assert code == 1
    assert (
        re.sub(r"in \d\.\ds", "", out) == "✓ Applied 1 migration(s) \n  • 1.0.0 - Initial schema\n"
    )
    assert err == (
        "✗ Error: Could not apply 1.1.0 - Step\n"
        "  no such table: nowhere\n"
        f"  {FOLDER}/1.1.0-step.sql:4\n"
        "  INSERT INTO nowhere\n"
        "    VALUES (1);\n"
        "\n"
        "The failed migration was undone completely.\n"
        "1 migration(s) applied before it stay; to undo them: plugin-migrate downgrade 1\n"
        "Fix it, then run: plugin-migrate upgrade\n"
    )
    assert three.applied() == ["1.0.0"]
    assert three.query("SELECT name FROM sqlite_schema WHERE name = 'a'") == []


def test_a_failure_of_the_first_step_mentions_no_earlier_ones(project):
    project.sql("1.0.0", "SELECT absent FROM sqlite_schema;")
    err = project.fails("upgrade")
    assert "downgrade" not in err
    assert "undone completely" in err


def test_a_failure_is_one_document_with_what_was_done_and_what_failed(three):
    three.sql("1.1.0", "SELECT absent FROM sqlite_schema;", description="Break")
    code, out, err = three.call("upgrade", "--format=json")
    document = json.loads(out)
    assert (code, err) == (1, "")
    assert document["ok"] is False
    assert [step["version"] for step in document["steps"]] == ["1.0.0"]
    assert document["failed"] == {"version": "1.1.0", "description": "Break", "direction": "up"}
    assert document["current_version"] == "1.0.0"
    error = document["error"]
    assert (error["code"], error["message"]) == ("migration_failed", "no such column: absent")
    assert (error["file"], error["line"]) == (f"{FOLDER}/1.1.0-step.sql", 3)
    assert error["details"] == ["SELECT absent FROM sqlite_schema;"]


def test_a_failed_upgrade_goes_on_after_the_fix(three):
    three.sql("1.1.0", "SELECT absent FROM sqlite_schema;")
    three.call("upgrade")
    three.sql("1.1.0", "CREATE TABLE fixed (x);")
    assert "Applied 2 migration(s)" in three.ok("upgrade")
    assert three.applied() == ["1.0.0", "1.1.0", "1.2.0"]


def test_everything_is_checked_before_anything_runs(three):
    three.python("1.3.0", "def broken(:")
    assert "1.3.0-step.py:3" in three.fails("upgrade")
    assert not three.database.exists()


def test_verbose_tells_each_step_on_stderr(three):
    code, out, err = three.call("upgrade", "--verbose")
    assert code == 0
    assert out.startswith("✓ Applied 3 migration(s)")
    steps = re.findall(r"^  ✓ applied (\S+) - (.*) \(\d+ ms\)$", err, re.MULTILINE)
    assert dict(steps) == DESCRIBED


def test_what_a_migration_logs_goes_to_stderr(project):
    project.python("1.0.0", "ctx.log('moved 3 files')")
    code, out, err = project.call("upgrade")
    assert (code, err) == (0, "  1.0.0: moved 3 files\n")
    assert "moved" not in out
