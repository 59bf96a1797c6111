"""The process in which TypeScript migrations run: it ends with its run, however that ends."""

from __future__ import annotations

import json
import os
import select
import signal

import pytest

from plugin_migrate.errors import StateUnreadable, StepFailed
from plugin_migrate.plan import State
from project import ended

SIGNALS = pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name
)
# It says its number through the pipe, which stays open for as long as it lives.
SAY = """
const fs = await import('node:fs');
fs.writeFileSync('.claude/a', 'new');
ctx.db.exec('CREATE TABLE made (x)');
const pipe = fs.openSync(FIFO, 'w');
fs.writeSync(pipe, `${process.pid}\\n`);
"""
WAYS_TO_WAIT = {
    "for a timer": "await new Promise((done) => setTimeout(done, 1e6));",
    "in an endless loop": "for (;;);",
    "in an endless statement": (
        "ctx.db.all('WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c)"
        " SELECT count(*) FROM c');"
    ),
    "in one endless statement after the other": (
        "const endless = 'WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c)';\n"
        "for (;;) { try { ctx.db.all(`${endless} SELECT count(*) FROM c`); } catch {} }"
    ),
    "catching everything": (
        "process.on('SIGTERM', () => {}); process.on('SIGINT', () => {});\n"
        "for (;;) { try { await new Promise((done) => setTimeout(done, 1e6)); } catch {} }"
    ),
    "for a process of its own": (
        "const { spawnSync } = await import('node:child_process');\n"
        "spawnSync('/bin/sleep', ['1000'], { stdio: [0, 1, 2, pipe] });"
    ),
    "with a process in the background": (
        "const { spawn } = await import('node:child_process');\n"
        "spawn('/bin/sh', ['-c', 'cat'], { stdio: 'inherit' });\nfor (;;);"
    ),
}


@pytest.fixture
def fifo(project):
    path = project.root / "ready"
    os.mkfifo(path)
    project.write("a", "old")
    project.sql("1.0.0", "CREATE TABLE t (x);")
    return path


def waiting(project, fifo, how):
    project.typescript("1.1.0", SAY.replace("FIFO", repr(str(fifo))) + how)


def all_ended(said):
    """Wait until nobody has the pipe open any more: the process, or what it started."""
    readable, _, _ = select.select([said], [], [], 30)
    return bool(readable) and said.read() == ""


def assert_undone(project):
    """Expect the first step to stay and the second to have left nothing."""
    assert project.applied() == ["1.0.0"]
    assert project.read("a") == "old"
    assert project.query("SELECT count(*) FROM sqlite_schema WHERE name = 'made'") == [(0,)]
    assert project.states()["1.1.0"] is State.PENDING


@pytest.mark.parametrize("how", WAYS_TO_WAIT.values(), ids=WAYS_TO_WAIT)
@SIGNALS
def test_a_signal_ends_the_process_and_undoes_the_step(project, node, fifo, how, number):
    waiting(project, fifo, how)
    with project.child("upgrade", "--no-backup") as process:
        with fifo.open() as said:
            pid = int(said.readline())
            assert os.getsid(pid) == os.getpgid(pid) != os.getsid(process.pid)
            process.send_signal(number)
            assert all_ended(said)
        _, err = ended(process)
    assert process.returncode == 130, err
    assert f"Interrupted by {number.name}: the running step 1.1.0 was undone" in err
    assert "Traceback" not in err
    assert_undone(project)
    assert project.leftovers() == set()


@pytest.mark.parametrize("how", WAYS_TO_WAIT.values(), ids=WAYS_TO_WAIT)
def test_the_process_does_not_outlive_a_run_that_is_killed(project, node, fifo, how):
    waiting(project, fifo, how)
    with project.child("upgrade", "--no-backup") as process, fifo.open() as said:
        said.readline()
        process.kill()
        assert all_ended(said)
    assert_undone(project)


def test_a_killed_run_of_any_engine_leaves_no_process(project, engine, fifo):
    waiting(project, fifo, "for (;;);")
    with project.child("upgrade", "--no-backup") as process, fifo.open() as said:
        said.readline()
        process.kill()
        assert all_ended(said)
    assert_undone(project)


def test_a_process_that_somebody_kills_fails_its_step(project, node, fifo):
    waiting(project, fifo, "for (;;);")
    with project.child("upgrade", "--no-backup") as process:
        with fifo.open() as said:
            os.kill(int(said.readline()), signal.SIGKILL)
        _, err = ended(process)
    assert process.returncode == 1
    assert "The migration's process was killed by SIGKILL" in err
    assert_undone(project)
    assert project.history()[-1] == ("1.1.0", "up", "failed")


@pytest.mark.parametrize("text", ["garbage", "[]", "5"])
def test_one_that_disturbs_the_talk_with_the_engine_fails(project, engine, text):
    project.typescript(
        "1.0.0",
        "const fs = await import('node:fs');\nfor (let fd = 3; fd < 30; fd++) {\n"
        f"try {{ if (fs.fstatSync(fd).isFIFO()) fs.writeSync(fd, '{text}\\n'); }} catch {{}}\n}}",
    )
    error = project.failure()
    assert isinstance(error, StepFailed)
    assert error.message.startswith("The migration's process ")
    assert project.applied() == []


def test_what_it_prints_goes_to_stderr_and_a_flood_is_passed_on(project, engine):
    project.typescript(
        "1.0.0",
        "console.log('first');\nfor (let i = 0; i < 40000; i++) console.log('x'.repeat(99));\n"
        "ctx.log('logged');\nconsole.error('last');\n",
    )
    done = project.cli("upgrade", "--format=json")
    assert done.returncode == 0, done.stderr[-1000:]
    assert json.loads(done.stdout)["ok"]
    lines = done.stderr.splitlines()
    assert lines[0] == "first"
    assert len(lines) == 40003
    assert lines.count("x" * 99) == 40000
    assert lines[-2:] == ["  1.0.0: logged", "last"]


def test_a_flood_that_nobody_reads_does_not_hang(project, node):
    project.typescript("1.0.0", "for (let i = 0; i < 4e4; i++) console.log('x'.repeat(99));")
    done = project.cli(
        "upgrade", before="import os; os.close(2); os.open('/dev/full', os.O_WRONLY)"
    )
    assert done.returncode == 0
    assert project.applied() == ["1.0.0"]


def test_one_that_closes_its_output_goes_on(project, engine):
    project.typescript(
        "1.0.0",
        "const fs = await import('node:fs');\nfs.closeSync(1);\nfs.closeSync(2);\n"
        "await new Promise((done) => setTimeout(done, 50));\nctx.db.exec('CREATE TABLE a (x)');",
    )
    project.upgrade()
    assert project.query("SELECT * FROM a") == []


def test_one_that_dies_beside_a_flood_is_noticed(project, node):
    project.typescript(
        "1.0.0",
        "const { spawn } = await import('node:child_process');\n"
        "spawn('/bin/sh', ['-c', 'while :; do echo flood; done'], { stdio: 'inherit' });\n"
        "process.kill(process.pid, 'SIGKILL');\nfor (;;);",
    )
    done = project.cli("upgrade", "--no-backup")
    assert "The migration's process was killed by SIGKILL" in done.stderr


def test_standard_input_is_empty(project, engine):
    project.typescript(
        "1.0.0",
        "const fs = await import('node:fs');\n"
        "ctx.db.exec(`CREATE TABLE a AS SELECT '${fs.readFileSync(0)}' AS x`);",
    )
    project.upgrade()
    assert project.query("SELECT * FROM a") == [("",)]


def test_an_engine_that_cannot_start_is_told(project, folder, monkeypatch):
    program = folder / "bin/node"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n[ $# = 1 ] && echo v24.0.0 || exit 9\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    project.typescript("1.0.0", "")
    error = project.failure()
    assert error.message == "The migration's process ended with exit code 9"


def test_an_engine_that_the_system_refuses_to_start_is_told(project, node, monkeypatch):
    project.typescript("1.0.0", "")
    project.upgrade()  # asks for its version, which is remembered
    project.typescript("1.1.0", "")
    monkeypatch.setenv("MORE_THAN_A_PROCESS_MAY_HAVE", "x" * 200_000)
    error = project.failure()
    assert isinstance(error, StateUnreadable)
    assert error.message == "Node.js 24.19.0 cannot be started: Argument list too long"
