"""`redo`: the last migrations back and forth, as one command."""

import pytest


@pytest.fixture
def three(project):
    project.tables("1.0.0", "1.1.0")
    project.python(
        "1.2.0",
        "(ctx.claude / 'note.txt').write_text('x')",
        "(ctx.claude / 'note.txt').unlink()",
    )
    project.ok("upgrade")
    return project


def test_the_last_one_is_rolled_back_and_applied_again(three):
    three.write("note.txt", "edited since")
    out = three.ok("redo")
    assert "✓ Rolled back 1 migration(s)\n  • 1.2.0 - Step\n" in out
    assert "✓ Applied 1 migration(s) in " in out
    assert three.read("note.txt") == "x"
    assert three.applied() == ["1.0.0", "1.1.0", "1.2.0"]
    actions = [(one["version"], one["action"]) for one in three.json("history")["history"]]
    assert actions[:2] == [("1.2.0", "up"), ("1.2.0", "down")]


def test_several_go_back_in_one_order_and_forth_in_the_other(three):
    document = three.json("redo", "2")
    assert [(step["version"], step["direction"]) for step in document["steps"]] == [
        ("1.2.0", "down"), ("1.1.0", "down"), ("1.1.0", "up"), ("1.2.0", "up"),
    ]  # fmt: skip
    assert (document["command"], document["count"]) == ("redo", 2)
    assert document["current_version"] == "1.2.0"


def test_only_what_went_back_comes_again(three):
    three.tables("1.0.5", "2.0.0")
    three.ok("redo", "2")
    assert three.applied() == ["1.0.0", "1.1.0", "1.2.0"]


def test_a_dry_run_shows_both_ways_and_changes_nothing(three):
    before = three.snapshot()
    assert three.ok("redo", "-n") == (
        "Dry run: would roll back 1 migration(s)\n"
        "  • 1.2.0 - Step\n"
        "Dry run: would apply 1 migration(s)\n"
        "  • 1.2.0 - Step\n"
        "\n"
        "Nothing was changed.\n"
    )
    steps = three.json("redo", "-n")["steps"]
    assert [step["direction"] for step in steps] == ["down", "up"]
    assert three.snapshot() == before


def test_what_could_not_be_applied_again_is_not_rolled_back(three):
    (three.migrations / "1.2.0-step.py").unlink()
    err = three.fails("redo")
    assert "1 migration(s) could not be applied again: the file of 1.2.0 is gone" in err
    assert "or only roll back: plugin-migrate downgrade" in err
    assert three.applied() == ["1.0.0", "1.1.0", "1.2.0"]


def test_an_edited_one_is_refused_as_downgrade_refuses_it(three):
    path = three.migrations / "1.2.0-step.py"
    path.write_text(path.read_text() + "# edited\n")
    assert "were edited since: 1.2.0" in three.fails("redo")
    assert three.applied() == ["1.0.0", "1.1.0", "1.2.0"]


def test_a_way_forth_that_fails_leaves_it_rolled_back_and_says_so(three):
    three.python("1.3.0", "(ctx.claude / 'once').mkdir()", "pass")
    three.ok("upgrade")
    code, out, err = three.call("redo")
    assert code == 1
    assert out.startswith("✓ Rolled back 1 migration(s)\n  • 1.3.0 - Step\n")
    assert err.startswith("✗ Error: Could not apply 1.3.0 - Step\n  FileExistsError")
    assert three.applied() == ["1.0.0", "1.1.0", "1.2.0"]
    three.ok("downgrade")
    failed = three.call("redo", "9", "--format=json")
    assert failed.document["error"]["message"] == "Cannot roll back 9 steps: only 2 applied"


def test_a_way_back_that_fails_is_where_it_stops(three):
    three.sql("1.3.0", "SELECT 1;", "DROP TABLE nowhere;")
    three.ok("upgrade")
    err = three.fails("redo", "2")
    assert err.startswith("✗ Error: Could not roll back 1.3.0 - Step\n  no such table: nowhere\n")
    document = three.json("redo")
    assert (document["ok"], document["steps"]) == (False, [])
    assert document["failed"]["direction"] == "down"


def test_with_nothing_applied_there_is_nothing_to_do(project):
    project.tables("1.0.0")
    assert project.ok("redo") == "✓ Nothing to roll back\n  Current version: none\n"
    assert project.ok("redo", "-n") == "✓ Nothing to roll back\n  Current version: none\n"
    assert "'x' is not a number of steps" in project.fails("redo", "x", code=2)
