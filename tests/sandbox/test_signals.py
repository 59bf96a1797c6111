"""Ctrl-C and SIGTERM undo the running step and exit 130, except between commit and files."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from plugin_migrate.plan import State
from project import Project, ended

SIGNALS = pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name
)
ENDLESS = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c"


@pytest.fixture
def ready(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipe through which a step says that it has come far enough; its steps come second.

    It lies outside the project, below whose root a step may write in `.claude/` alone.
    """
    pipe = tmp_path_factory.mktemp("outside") / "ready"
    os.mkfifo(pipe)
    project.write("a", "old")
    project.sql("1.0.0", "CREATE TABLE t (x);")
    return pipe


def interrupted(
    project: Project, ready: Path, number: signal.Signals
) -> subprocess.CompletedProcess[str]:
    """Run an upgrade and send it a signal when the step is ready for it."""
    with project.child("upgrade", "--no-backup") as process:
        ready.read_text()
        process.send_signal(number)
        out, err = ended(process)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def assert_undone(project: Project, done: subprocess.CompletedProcess[str]) -> None:
    """Expect the first step to stay and the second to have left nothing."""
    assert done.returncode == 130, done.stderr
    assert "Traceback" not in done.stderr
    assert project.applied() == ["1.0.0"]
    assert project.read("a") == "old"
    assert project.query("SELECT count(*) FROM sqlite_schema WHERE name = 'made'") == [(0,)]
    assert project.leftovers() == set()
    assert project.states()["1.1.0"] is State.PENDING


STEPS = {
    "waiting": "say(); wait()",
    "waiting for a subprocess": (
        "child = subprocess.Popen(['cat', 'FIFO'])\n"
        "try:\n    say()\n    child.wait()\nfinally:\n    child.kill()\n    child.wait()"
    ),
    "catching every exception": "say()\ntry:\n    wait()\nexcept Exception:\n    pass",
    "with a bare except": "say()\ntry:\n    wait()\nexcept:\n    pass",
    "with a bare except, and going on": (
        "say()\ntry:\n    wait()\nexcept:\n    pass\n(ctx.claude / 'a').write_text('newer')"
    ),
    "raising something else": (
        "say()\ntry:\n    wait()\nexcept BaseException:\n    raise ValueError('oops')"
    ),
    "in an endless statement": (
        f"ctx.db.create_function('say', 0, say)\nctx.db.execute('SELECT say()').fetchall()\n"
        f"ctx.db.execute({ENDLESS!r})"
    ),
    "in an endless statement, again and again": (
        "say()\nwhile True:\n    try:\n"
        f"        ctx.db.execute({ENDLESS!r})\n    except Exception:\n        pass"
    ),
    "in a statement that has begun": (
        "ctx.db.create_function('say', 0, say)\n"
        "ctx.db.execute('WITH RECURSIVE c(n) AS (SELECT say() UNION ALL SELECT 1 FROM c)"
        " SELECT count(*) FROM c').fetchall()"
    ),
    "asleep in asyncio": (
        "import asyncio\nasync def sleep():\n    say()\n    await asyncio.sleep(100)\n"
        "asyncio.run(sleep())"
    ),
}


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        *((kind, signal.SIGTERM) for kind in STEPS),
        *((kind, signal.SIGINT) for kind in ("waiting", "asleep in asyncio")),
        ("waiting", signal.SIGHUP),
    ],
)
def test_a_signal_undoes_a_running_python_step(
    project: Project, ready: Path, number: signal.Signals, kind: str
) -> None:
    os.mkfifo(project.root / "never")
    project.python(
        "1.1.0",
        "ctx.db.execute('CREATE TABLE made (x)')\n(ctx.claude / 'a').write_text('new')\n"
        + STEPS[kind].replace("FIFO", str(project.root / "never")),
        top=f"""
        import subprocess

        # Not signal.pause(): a signal just before it would be lost on it.
        def wait():
            while True:
                pass

        def say():
            with open({str(ready)!r}, "w"):
                pass
        """,
    )
    assert_undone(project, interrupted(project, ready, number))
    assert project.history()[-1] == ("1.1.0", "up", "failed")


def test_a_signal_ends_a_long_sql_statement(project: Project) -> None:
    project.write("a", "old")
    project.sql("1.0.0", "CREATE TABLE t (x);")
    project.upgrade()
    project.sql("1.1.0", f"CREATE TABLE made (x); {ENDLESS};")
    with project.child("upgrade", "--no-backup") as process:
        while not _is_locked(project):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, err = ended(process)
    assert_undone(project, subprocess.CompletedProcess([], process.returncode, out, err))


def test_a_signal_in_a_group_keeps_what_was_committed_before(project: Project) -> None:
    project.write("a", "old")
    project.sql("1.0.0", "CREATE TABLE t (x);")
    project.upgrade()
    project.sql("1.1.0", "CREATE TABLE made (x);")
    project.sql("1.2.0", f"{ENDLESS};")
    with project.child("upgrade", "--no-backup") as process:
        while not _is_locked(project):
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        out, err = ended(process)
    assert process.returncode == 130, err
    # Told as applied exactly when it is.
    assert project.applied() == ["1.0.0", "1.1.0"] or project.applied() == ["1.0.0"]
    assert ("1.1.0" in out) == ("1.1.0" in project.applied())


def _is_locked(project: Project) -> bool:
    """Return whether the step has begun: it holds the database's write lock."""
    with project.connect() as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except Exception:
            return True
        connection.execute("ROLLBACK")
        return False


PUBLISHING = {
    "before the first file": 'event == "os.rename" and path.endswith("/.claude/a")',
    "between two files": 'event == "os.rename" and path.endswith("/.claude/b")',
    "closing the log": 'event == "os.rename" and path.endswith(".done")',
    "removing the log": 'event == "open" and path.endswith(".done")',
}


@SIGNALS
@pytest.mark.parametrize("when", PUBLISHING)
def test_from_the_commit_to_the_last_file_a_signal_waits(
    project: Project, number: signal.Signals, when: str
) -> None:
    project.write("a", "old")
    project.write("b", "old")
    project.python(
        "1.0.0", "(ctx.claude / 'a').write_text('new'); (ctx.claude / 'b').write_text('new')"
    )
    project.python("1.1.0", "(ctx.claude / 'a').write_text('newer')")
    done = project.signalled_at(PUBLISHING[when], number, "upgrade", "--no-backup")
    assert done.returncode == 130, done.stderr
    assert project.read("a") == project.read("b") == "new"
    assert project.applied() == ["1.0.0"]
    assert project.leftovers() == set()
    assert "1.0.0" in done.stdout
    assert "no step was running" in done.stderr


@pytest.mark.parametrize(
    "when",
    [
        'event == "os.rename" and path.endswith("manifest.json")',
        'event == "open" and path.endswith("/pack")',
        'event == "open" and path.endswith("/publish")',
    ],
)
def test_a_signal_before_the_commit_leaves_nothing(project: Project, when: str) -> None:
    project.write("a", "old")
    project.sql("1.0.0", "CREATE TABLE t (x);")
    project.upgrade()
    project.python(
        "1.1.0", "(ctx.claude / 'a').write_text('new'); ctx.db.execute('CREATE TABLE made (x)')"
    )
    assert_undone(project, project.signalled_at(when, signal.SIGTERM, "upgrade", "--no-backup"))


def test_the_next_command_after_an_interruption_goes_on(project: Project, ready: Path) -> None:
    file = project.python(
        "1.1.0",
        f"""
        (ctx.claude / 'a').write_text('new')
        open({str(ready)!r}, 'w').close()
        while True:
            pass
        """,
    )
    interrupted(project, ready, signal.SIGINT)
    file.write_text("def up(ctx):\n    (ctx.claude / 'a').write_text('new')\n")
    project.upgrade()
    assert project.read("a") == "new"
