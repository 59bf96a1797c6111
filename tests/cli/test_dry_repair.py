"""`repair --dry-run` and `restore --dry-run`: what the real ones would do, and nothing done."""

import pytest


@pytest.fixture
def edited(project):
    project.tables("1.0.0", "1.1.0")
    project.ok("upgrade")
    path = project.migrations / "1.0.0-step.sql"
    path.write_text(path.read_text() + "-- edited\n")
    return project


def test_a_repair_is_shown_with_the_diff_and_not_made(edited):
    before = edited.snapshot()
    out = edited.ok("repair", "--dry-run")
    assert out.startswith("Dry run: would repair 1 thing(s)\n  • 1.0.0: accepted the edited file\n")
    assert "\n    +-- edited\n" in out
    assert out.endswith("\nNothing was changed.\n")
    document = edited.json("repair", "-n")
    assert edited.snapshot() == before
    assert edited.json("repair")["repaired"] == document["repaired"]
    assert edited.ok("repair", "-n") == "✓ Nothing to repair\n"


def test_what_the_repair_would_refuse_its_dry_run_refuses(edited):
    before = edited.snapshot()
    err = edited.fails("repair", "9.9.9", "-n", code=2)
    assert err == edited.fails("repair", "9.9.9", code=2)
    assert "nothing to accept" in err
    edited.snapshot()
    assert {**edited.snapshot(), ".claude/.plugin-migrate": None}.keys() == before.keys()


def test_a_step_outside_a_transaction_asks_for_the_decision_in_both(project):
    project.sql("1.0.0", "CREATE TABLE a (x);", options="transaction:false")
    project.python("0.1.0", "pass")
    project.ok("upgrade", "0.1.0")
    project.setup(
        "INSERT INTO plugin_migrate_history (version, action, outcome, at, duration_ms, done_by,"
        " tool_version) VALUES ('1.0.0', 'up', 'started', '2026-01-01 00:00:00', 0, 'me', '0')"
    )
    assert "did not end: part of it may have happened" in project.fails("repair", "-n")
    out = project.ok("repair", "-n", "--pending")
    assert "• 1.0.0: recorded as pending" in out
    assert project.statuses()["1.0.0"] == "interrupted"


@pytest.fixture
def backed_up(project):
    project.write("note.txt", "before")
    project.python(
        "1.0.0",
        "(ctx.claude / 'note.txt').write_text('after')\n"
        "ctx.database('memory.db').execute('CREATE TABLE m (x)')",
    )
    project.ok("upgrade")
    (backup,) = project.json("restore")["backups"]
    return project, backup["id"]


def test_a_restore_is_shown_and_not_made(backed_up):
    project, backup = backed_up
    before = project.snapshot()
    out = project.ok("restore", backup, "--dry-run")
    assert out.startswith(f"Dry run: would restore {backup}\n")
    assert "\n  • .claude/note.txt\n" in out
    assert out.endswith("\nThe version would be: none\nNothing was changed.\n")
    document = project.json("restore", backup, "-n")
    assert project.snapshot() == before
    assert project.json("restore", backup) == document
    assert project.read("note.txt") == "before"


def test_what_the_restore_would_refuse_its_dry_run_refuses(backed_up):
    project, backup = backed_up
    project.write("note.txt", "edited since")
    err = project.fails("restore", backup, "-n")
    assert "1 file(s) were edited since\n" in err
    assert err == project.fails("restore", backup)
    assert project.ok("restore", backup, "-n", "--force").startswith("Dry run: would restore ")
    assert "There is no backup x" in project.fails("restore", "x", "-n", code=2)
    assert project.read("note.txt") == "edited since"


def test_what_a_killed_command_left_comes_before_a_look_at_a_restore(backed_up):
    project, backup = backed_up
    (project.bookkeeping / "publish/0123").mkdir(parents=True)
    err = project.fails("restore", backup, "-n")
    assert "must be finished before a restore can be looked at" in err
    assert "plugin-migrate repair" in err
