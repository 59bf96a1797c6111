"""`--dry-run` shows the plan, checks what the real run checks, and leaves no trace."""

import os
import subprocess

import pytest

from command_line import COMMAND, snapshot


def test_the_plan_is_shown(project):
    project.sql("1.0.0", description="Initial schema")
    project.sql("1.1.0", description="Add user preferences")
    assert project.ok("upgrade", "--dry-run") == (
        "Dry run: would apply 2 migration(s)\n"
        "  • 1.0.0 - Initial schema\n"
        "  • 1.1.0 - Add user preferences\n"
        "\n"
        "Nothing was changed.\n"
    )
    assert "would apply 1 migration(s)" in project.ok("upgrade", "1.0.0", "--dry-run")


def test_a_rollback_is_shown_the_last_applied_first(project):
    project.tables("1.0.0", "1.1.0")
    project.ok("upgrade")
    assert project.ok("downgrade", "2", "--dry-run") == (
        "Dry run: would roll back 2 migration(s)\n"
        "  • 1.1.0 - Step\n"
        "  • 1.0.0 - Step\n"
        "\n"
        "Nothing was changed.\n"
    )


def test_verbose_shows_what_would_run(project):
    project.sql("1.0.0", "CREATE TABLE a (\r\n  x\r\n);", "DROP TABLE a;")
    project.python("1.1.0", "ctx.log('hello')")
    out = project.ok("upgrade", "--dry-run", "--verbose")
    assert "  • 1.0.0 - Step\n\n    CREATE TABLE a (\n      x\n    );\n\n  • 1.1.0" in out
    assert "\n        ctx.log('hello')\n" in out
    assert "DROP TABLE" not in out
    assert project.call("upgrade").code == 0
    assert "    DROP TABLE a;\n" in project.ok("downgrade", "2", "--dry-run", "--verbose")


def test_nothing_to_do_has_the_words_of_the_real_run(project):
    for command in (["upgrade"], ["downgrade"]):
        dry = project.ok(*command, "--dry-run")
        assert dry == project.ok(*command)
        assert dry.startswith("✓ No")
    project.tables("1.0.0", "1.1.0")
    project.ok("upgrade", "1.0.0")
    assert project.ok("upgrade", "1.0.0", "--dry-run") == project.ok("upgrade", "1.0.0")


def test_the_document_is_that_of_the_real_run_and_says_that_it_is_none(project):
    project.tables("1.0.0", "1.1.0")
    dry = project.json("upgrade", "--dry-run", "--verbose")
    assert dry["dry_run"] is True
    assert [step.pop("source").strip() for step in dry["steps"]] == [
        "CREATE TABLE t1_0_0 (x);",
        "CREATE TABLE t1_1_0 (x);",
    ]
    assert "source" not in project.json("upgrade", "--dry-run")["steps"][0]
    real = project.json("upgrade")
    assert [step["duration_ms"] for step in dry["steps"]] == [None, None]
    for step in dry["steps"] + real["steps"]:
        step.pop("duration_ms")
    assert dry["steps"] == real["steps"]
    assert set(real) < set(dry)


def test_late_migrations_are_pointed_out(project):
    project.tables("1.0.0", "1.2.0")
    project.ok("upgrade")
    project.tables("1.1.0")
    assert "Out of order, below the current version: 1.1.0\n" in project.ok("upgrade", "--dry-run")
    assert "out of order: 1.1.0" in project.fails("upgrade", "--dry-run", "--strict")


@pytest.mark.parametrize("is_new", [True, False])
def test_nothing_runs_and_no_trace_is_left(project, tmp_path, is_new):
    project.tables("0.1.0")
    if not is_new:
        project.ok("upgrade")
    proof = tmp_path / "executed"
    evil = f"open({str(proof)!r}, 'w')"
    project.python("1.0.0", evil, evil, top=evil + "\nimport _helper\n")
    project.migration("_helper.py", evil)
    before = snapshot(tmp_path)
    for form in ([], ["--verbose"], ["--format=json"], ["--verbose", "--format=json"]):
        project.ok("upgrade", "--dry-run", *form)
        project.ok("downgrade", "--dry-run", *form)
    assert not proof.exists()
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("1.0.0-x.py", "def up(ctx):\n    return (\n"),
        ("1.0.0-x.py", "def up(ctx): await x\n"),
        ("1.0.0-x.py", "def down(ctx): pass\n"),
        ("1.0.0-x.sql", "-- migrate:up\nSELECT 1;\nCOMMIT;\n"),
        ("1.0.0-x.sql", "-- migrate:upp\n"),
        ("1.0.0-x.sql", "-- version: 2.0.0\n-- migrate:up\n"),
        ("1.0-x.sql", ""),
    ],
)
def test_what_the_real_run_refuses_the_dry_run_refuses(project, name, text):
    project.migration(name, text)
    dry = project.fails("upgrade", "--dry-run")
    assert dry == project.fails("upgrade")


def test_what_the_real_rollback_refuses_the_dry_run_refuses(project):
    project.tables("1.0.0")
    project.sql("1.1.0", "CREATE TABLE a (x);", None)
    project.sql("1.2.0", "SELECT 1;", "COMMIT;")
    project.ok("upgrade")
    for arguments, reason in (["1"], "COMMIT is not allowed"), (["2"], "COMMIT"), (["9"], "only 3"):
        found, out, dry = project.call("downgrade", *arguments, "--dry-run")
        assert (found, out, dry) == tuple(project.call("downgrade", *arguments))
        assert reason in dry
    (project.migrations / "1.2.0-step.sql").unlink()
    assert "COMMIT is not allowed" in project.fails("downgrade", "--dry-run")


def test_a_dry_run_and_status_work_while_another_run_holds_the_lock(project, tmp_path_factory):
    project.tables("1.0.0")
    project.ok("upgrade")
    hold = tmp_path_factory.mktemp("outside") / "hold"
    os.mkfifo(hold)
    project.python("1.1.0", f"ctx.log('running')\nopen({str(hold)!r}).close()")
    command = [*COMMAND, "upgrade"]
    with subprocess.Popen(
        command,
        cwd=project.root,
        env=project.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stderr.readline() == "  1.1.0: running\n"
        assert "1.1.0" in project.ok("upgrade", "--dry-run")
        assert project.statuses() == {"1.0.0": "applied", "1.1.0": "pending"}
        err = project.fails("upgrade", "--lock-timeout=0")
        assert "running" in err
        assert str(running.pid) in err
        hold.write_text("")
    assert running.returncode == 0
    assert project.applied() == ["1.0.0", "1.1.0"]
