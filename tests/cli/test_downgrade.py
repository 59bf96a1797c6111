"""`downgrade`: by steps, by version, and what it refuses."""

import pytest

from command_line import FOLDER


@pytest.fixture
def three(project):
    """A project with three applied migrations."""
    for version, description in {
        "1.0.0": "Initial schema",
        "1.1.0": "Add user preferences",
        "1.2.0": "Add OAuth support",
    }.items():
        name = "t" + version.replace(".", "_")
        up, down = f"CREATE TABLE {name} (x);", f"DROP TABLE {name};"
        project.sql(version, up, down, description=description)
    project.ok("upgrade")
    return project


def test_steps_are_rolled_back_in_the_contracts_words(three):
    assert three.ok("downgrade", "2") == (
        "✓ Rolled back 2 migration(s)\n"
        "  • 1.2.0 - Add OAuth support\n"
        "  • 1.1.0 - Add user preferences\n"
        "\n"
        "Downgraded 2 steps. Current version: 1.0.0\n"
    )
    assert three.applied() == ["1.0.0"]


def test_without_a_number_it_is_one_step(three):
    assert three.ok("downgrade") == (
        "✓ Rolled back 1 migration(s)\n"
        "  • 1.2.0 - Add OAuth support\n"
        "\n"
        "Downgraded 1 step. Current version: 1.1.0\n"
    )


def test_a_version_is_what_stays(three):
    out = three.ok("downgrade", "1.0.0")
    assert out.endswith("\nDowngraded to version 1.0.0. Current version: 1.0.0\n")
    assert three.applied() == ["1.0.0"]


def test_0_0_0_rolls_everything_back(three):
    out = three.ok("downgrade", "0.0.0")
    assert "Rolled back 3 migration(s)" in out
    assert out.endswith("\nDowngraded to version 0.0.0. Current version: none\n")
    assert three.applied() == []
    tables = three.query("SELECT name FROM sqlite_schema WHERE name GLOB 't1_*'")
    assert tables == []


def test_nothing_above_the_version_is_told(three):
    assert three.ok("downgrade", "1.2.0") == (
        "✓ Nothing to roll back above 1.2.0\n  Current version: 1.2.0\n"
    )


@pytest.mark.parametrize("arguments", [[], ["1"], ["7"], ["0.0.0"]])
def test_nothing_applied_is_told(project, arguments):
    project.tables("1.0.0")
    assert project.ok("downgrade", *arguments) == (
        "✓ Nothing to roll back\n  Current version: none\n"
    )


def test_more_steps_than_applied_roll_nothing_back(three):
    assert three.fails("downgrade", "4", code=2) == (
        "✗ Error: Cannot roll back 4 steps: only 3 applied\n"
        "  To roll back everything: plugin-migrate downgrade 3\n"
    )
    assert three.applied() == ["1.0.0", "1.1.0", "1.2.0"]


@pytest.mark.parametrize("given", ["0", "-1", "", "x", "1e3", "²", "1.", "9" * 50, "+1"])
def test_what_is_no_number_of_steps_is_wrong_usage(three, given):
    err = three.fails("downgrade", given, code=2)
    assert given in err
    assert three.applied() == ["1.0.0", "1.1.0", "1.2.0"]


def test_an_unknown_version_is_wrong_usage(three):
    assert "no migration with version 1.0.5" in three.fails("downgrade", "1.0.5", code=2)


def test_a_short_version_is_explained(three):
    assert three.fails("downgrade", "1.1", code=2) == (
        "✗ Error: Invalid version format: '1.1'\n"
        "  Expected semantic version: X.Y.Z\n"
        "  Did you mean 1.1.0?\n"
    )


def test_the_last_applied_goes_first_whatever_its_version(project):
    project.tables("1.0.0", "1.2.0")
    project.ok("upgrade")
    project.tables("1.1.0")
    project.ok("upgrade")
    assert "  • 1.1.0 - Step\n" in project.ok("downgrade")
    assert project.applied() == ["1.0.0", "1.2.0"]


def test_where_there_is_no_way_back_nothing_is_rolled_back(three):
    three.sql("1.3.0", "CREATE TABLE a (x);", None, reversible="false")
    three.tables("1.4.0")
    three.ok("upgrade")
    err = three.fails("downgrade", "1.0.0")
    assert err == (
        "✗ Error: The migration has no down section, so it cannot be rolled back\n"
        f"  {FOLDER}/1.3.0-step.sql\n"
        "  There is no other way back: it says reversible: false\n"
        "  Write a new migration that undoes it, or restore a backup.\n"
    )
    assert three.applied()[-1] == "1.4.0"


def test_where_there_is_no_way_back_from_a_function_nothing_is_rolled_back(project):
    project.python("1.0.0", "pass", None, "metadata = {'reversible': False}")
    project.ok("upgrade")
    assert "has no down function" in project.fails("downgrade")
    assert project.applied() == ["1.0.0"]


def test_a_failure_says_which_steps_are_back(three):
    three.sql("1.3.0", "SELECT 1;", "DROP TABLE nowhere;", description="Break")
    three.tables("1.4.0")
    three.ok("upgrade")
    code, out, err = three.call("downgrade", "1.0.0")
    assert (code, out) == (1, "✓ Rolled back 1 migration(s)\n  • 1.4.0 - Step\n")
    assert err == (
        "✗ Error: Could not roll back 1.3.0 - Break\n"
        "  no such table: nowhere\n"
        f"  {FOLDER}/1.3.0-step.sql:5\n"
        "  DROP TABLE nowhere;\n"
        "\n"
        "Rolled back before it: 1 migration(s), which stay rolled back.\n"
        "The state is as before the failed step; its down may need a fix by hand.\n"
    )
    assert three.applied()[-1] == "1.3.0"


def test_a_failure_of_the_first_step_claims_no_other(project):
    project.sql("1.0.0", "SELECT 1;", "DROP TABLE nowhere;")
    project.ok("upgrade")
    err = project.fails("downgrade")
    assert "Rolled back before it" not in err
    assert "The state is as before the failed step" in err


def test_a_missing_file_is_rolled_back_from_the_stored_source(three):
    (three.migrations / "1.2.0-step.sql").unlink()
    assert "  • 1.2.0 - Add OAuth support (from the stored source: its file is gone)\n" in three.ok(
        "downgrade"
    )
    assert three.query("SELECT name FROM sqlite_schema WHERE name = 't1_2_0'") == []


def test_a_modified_migration_stops_the_downgrade(three):
    three.sql("1.0.0", "SELECT 2;")
    err = three.fails("downgrade")
    assert "were edited since: 1.0.0" in err
    assert three.applied() == ["1.0.0", "1.1.0", "1.2.0"]


def test_the_document_lists_the_steps(three):
    document = three.json("downgrade", "2")
    steps = [(step["version"], step["direction"]) for step in document["steps"]]
    assert steps == [("1.2.0", "down"), ("1.1.0", "down")]
    assert (document["schema"], document["command"], document["ok"]) == (1, "downgrade", True)
    assert (document["current_version"], document["count"], document["target"]) == (
        "1.0.0",
        2,
        None,
    )
    assert all(isinstance(step["duration_ms"], int) for step in document["steps"])


def test_a_failure_is_one_document(three):
    three.sql("1.3.0", "SELECT 1;", "DROP TABLE nowhere;", description="Break")
    three.ok("upgrade")
    document = three.json("downgrade", "2")
    assert (document["ok"], document["steps"]) == (False, [])
    assert document["failed"] == {"version": "1.3.0", "description": "Break", "direction": "down"}
    assert document["current_version"] == "1.3.0"
    assert document["error"]["message"] == "no such table: nowhere"


def test_up_down_up_gives_the_same_ledger_again(three):
    three.ok("downgrade", "0.0.0")
    three.ok("upgrade")
    assert three.applied() == ["1.0.0", "1.1.0", "1.2.0"]
