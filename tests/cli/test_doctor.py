"""`doctor`: each line is well, or says what to do; it writes nothing."""

import os
import re
import subprocess
import sys

import pytest

from command_line import unprivileged

NAMES = [
    "Python", "SQLite", "Claude Code", "Cache", "Project", "Permissions", "Lock", "Journals",
    "Backups", "Migrations", "TypeScript",
]  # fmt: skip


def checks(project, code=0, **options):
    done = project.call("doctor", "--format=json", **options)
    assert (done.code, done.err) == (code, "")
    return {check["name"]: check for check in done.document["checks"]}


def problem(project, name, **options):
    """Return the one thing that is not well, as text."""
    bad = {key for key, check in checks(project, 1, **options).items() if not check["ok"]}
    assert bad == {name}
    code, out, _ = project.call("doctor", **options)
    assert code == 1
    assert out.endswith("\n1 thing(s) to do\n")
    return re.search(r"^✗ .*\n(?:  .*\n)*", out, re.MULTILINE)[0]


def test_all_is_well_and_nothing_is_written(project):
    project.tables("1.0.0", "1.1.0")
    project.ok("upgrade", "1.0.0")
    before = project.snapshot()
    out = project.ok("doctor")
    assert re.findall(r"^✓ (\S+(?: \S+)?) {2,}", out, re.MULTILINE) == NAMES
    assert out.endswith("\nAll is well\n")
    assert "1 applied, 1 pending" in out
    assert [*checks(project)] == NAMES
    assert project.snapshot() == before


def test_without_a_project_the_machine_is_looked_at_all_the_same(project, tmp_path):
    found = checks(project, 1, cwd=tmp_path)
    assert [*found] == NAMES[:5]
    assert "No project found" in found["Project"]["problem"]["message"]
    assert "create initial-schema" in found["Project"]["problem"]["hint"]


def test_settings_that_cannot_be_used_are_told(project):
    project.config("databse: x\n")
    assert "Unknown setting 'databse'" in checks(project, 1)["Project"]["what"]


def test_a_modified_migration_is_told(project):
    project.tables("1.0.0")
    project.ok("upgrade")
    path = project.migrations / "1.0.0-step.sql"
    path.write_text(path.read_text() + "-- edited\n")
    assert problem(project, "Migrations") == (
        "✗ Migrations   1 modified or interrupted: 1.0.0\n"
        "               See: plugin-migrate status, and what would settle it:"
        " plugin-migrate repair -n\n"
    )


def test_a_damaged_backup_is_told(project):
    project.tables("1.0.0")
    project.ok("upgrade")
    (backup,) = (project.bookkeeping / "backups").iterdir()
    (backup / "manifest.json").write_text("damaged")
    told = problem(project, "Backups")
    assert "1 of 1 are damaged" in told
    assert "may be deleted" in told


def test_what_a_killed_command_left_is_told(project):
    (project.bookkeeping / "publish/0123").mkdir(parents=True)
    told = problem(project, "Journals")
    assert "A killed command has left files to be put in place (this project)" in told
    assert "plugin-migrate repair" in told


def test_a_folder_that_cannot_be_written_is_told(project):
    prefix = unprivileged()
    project.tables("1.0.0")
    project.ok("upgrade")
    project.database.chmod(0o444)
    told = problem(project, "Permissions", prefix=prefix)
    assert "There is no permission to read and write\n" in told
    assert "orchestration.db" in told
    assert "chown, chmod" in told


def test_who_holds_the_lock_is_told(project):
    project.tables("1.0.0")
    project.ok("upgrade")
    (project.bookkeeping / "lock.txt").write_text("upgrade (pid 1 on here)")
    assert checks(project)["Lock"]["what"] == "free"
    holder = (
        "import sqlite3, sys\n"
        "c = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "c.execute('BEGIN EXCLUSIVE')\nprint(flush=True)\nsys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holder, str(project.bookkeeping / "lock.db")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        process.stdout.readline()
        held = checks(project)["Lock"]["what"]
        process.stdin.close()
    assert held == "held, so a command is running: upgrade (pid 1 on here)"


def test_a_migration_that_nothing_here_can_run_is_told(project, tmp_path):
    (tmp_path / "bin").mkdir()
    only = {"PATH": str(tmp_path / "bin")}
    assert "no migration needs it" in checks(project, environment=only)["TypeScript"]["what"]
    project.migration("1.0.0-a.ts", "export const migration = { async up(ctx) {} };\n")
    told = problem(project, "TypeScript", environment=only)
    assert "Nothing here can run TypeScript migrations" in told
    assert "Install Node.js" in told


@pytest.mark.parametrize(
    ("says", "told"),
    [
        ("echo '2.1.332 (Claude Code)'", None),
        ("echo '2.0.14 (Claude Code)'", "2.0.14 is too old: /plugin-migrate needs 2.1.330"),
    ],
)
def test_the_client_is_asked_for_its_version(project, tmp_path, says, told):
    path = with_client(tmp_path, says)
    if told is None:
        client = tmp_path / "bin/claude"
        assert checks(project, environment=path)["Claude Code"]["what"] == f"2.1.332 ({client})"
    else:
        assert told in problem(project, "Claude Code", environment=path)


@pytest.mark.parametrize(
    "says", ["echo 'broken'", "echo '2.1.332 (Claude Code)'; exit 1", "exit 1"]
)
def test_a_client_that_does_not_tell_its_version_is_a_warning(project, tmp_path, says):
    path = with_client(tmp_path, says)
    check = checks(project, environment=path)["Claude Code"]
    assert (check["ok"], check["problem"]) == (True, None)
    assert check["what"] == check["warning"]["message"]
    out = project.ok("doctor", environment=path)
    assert f"! Claude Code  {tmp_path}/bin/claude does not tell its version\n" in out
    assert "/plugin-migrate needs 2.1.330. See what it says: claude --version, claude doctor" in out
    assert out.endswith("\n1 thing(s) to look at\n")


def test_a_warning_is_counted_beside_a_problem(project, tmp_path):
    (project.bookkeeping / "publish/0123").mkdir(parents=True)
    code, out, _ = project.call("doctor", environment=with_client(tmp_path, "exit 1"))
    assert code == 1
    assert out.endswith("\n1 thing(s) to do, 1 thing(s) to look at\n")


def with_client(tmp_path, says):
    """Return an environment with a client that says something when it is asked."""
    client = tmp_path / "bin/claude"
    client.parent.mkdir()
    client.write_text(f"#!/bin/sh\n{says}\n")
    client.chmod(0o755)
    return {"PATH": f"{client.parent}{os.pathsep}{os.environ['PATH']}"}


def test_a_cache_that_cannot_be_written_is_told(project, tmp_path):
    prefix = unprivileged()
    cache = tmp_path / "cache"
    cache.mkdir(mode=0o555)
    told = problem(
        project, "Cache", prefix=prefix, environment={"PLUGIN_MIGRATE_CACHE": str(cache)}
    )
    assert str(cache) in told
