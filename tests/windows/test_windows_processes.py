"""Several processes on one project, where Windows differs: who holds a file, a lock or a name.

`tests/engine/test_concurrency.py` says more of crowds, and takes too long for every run under Wine.
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import pytest

from gate import Gate
from plugin_migrate.survey import survey
from project import Project, ended

VERSIONS = ["1.0.0", "1.1.0", "1.2.0"]
SETTINGS = '{{\n  "version": "{}"\n}}\n'

# Waits where a step's own files are about to be published.
WAIT_IN_A_STEP = """
import sys
def hook(event, arguments, seen=[]):
    if event == "os.rename" and str(arguments[1]).endswith("settings.json") and not seen:
        seen.append(event)
{wait}
sys.addaudithook(hook)
"""


@pytest.fixture
def gate(folder: Path) -> Iterator[Gate]:
    with closing(Gate(folder)) as gate:
        yield gate


@pytest.fixture
def counted(project: Project) -> Project:
    """A project whose every migration leaves one row, and a version in a file."""
    project.write("settings.json", SETTINGS.format("none"))
    project.setup("CREATE TABLE counted (version)")
    for version in VERSIONS:
        project.python(
            version,
            f"""
            ctx.db.execute("INSERT INTO counted VALUES ('{version}')")
            with ctx.edit_json("settings.json") as settings:
                settings["version"] = "{version}"
            """,
        )
    return project


def expect_each_once(project: Project) -> None:
    assert project.applied() == VERSIONS
    assert [version for (version,) in project.query("SELECT version FROM counted")] == VERSIONS
    assert project.history() == [(version, "up", "done") for version in VERSIONS]
    assert project.read("settings.json") == SETTINGS.format(VERSIONS[-1])
    assert project.leftovers() == set()


@contextmanager
def publishing(project: Project, gate: Gate) -> Iterator[subprocess.Popen[str]]:
    """An upgrade that waits at the gate while it publishes its first step."""
    wait = gate.code.replace("\n", "\n        ")
    with project.child("upgrade", before=WAIT_IN_A_STEP.format(wait=wait)) as process:
        try:
            gate.wait_for()
            yield process
        finally:
            process.kill()


def test_upgrades_at_once_apply_each_migration_once(counted: Project, gate: Gate) -> None:
    with ExitStack() as stack:
        crowd = [
            stack.enter_context(counted.child("upgrade", "--lock-timeout=25", before=gate.code))
            for _ in range(3)
        ]
        for process in crowd:
            stack.callback(process.kill)
        gate.wait_for(len(crowd))
        gate.open()
        said = [ended(process) for process in crowd]
    assert [process.returncode for process in crowd] == [0, 0, 0], said
    expect_each_once(counted)


def test_a_second_upgrade_is_told_who_runs_and_reading_waits_for_nobody(
    counted: Project, gate: Gate
) -> None:
    with publishing(counted, gate) as first:
        second = counted.cli("upgrade", "--lock-timeout=0")
        assert second.returncode == 1
        assert f"upgrade (pid {first.pid} on " in second.stderr
        for command in ("status", "history", "check", "doctor"):
            done = counted.cli(command)
            assert done.returncode in (0, 1, 3), done.stderr
            assert "Internal error" not in done.stderr
        gate.open()
        out, err = ended(first)
    assert first.returncode == 0, out + err
    expect_each_once(counted)


def test_what_a_process_held_that_was_killed_is_free_at_once(counted: Project, gate: Gate) -> None:
    with publishing(counted, gate) as first:
        first.kill()
        ended(first)
    done = counted.cli("upgrade", "--lock-timeout=0")
    assert done.returncode == 0, done.stderr
    expect_each_once(counted)


def test_a_file_and_the_ledger_are_never_seen_half_done_meanwhile(
    counted: Project, gate: Gate
) -> None:
    path = counted.claude / "settings.json"
    is_over = threading.Event()
    texts: set[str] = set()
    states: set[tuple[str, ...]] = set()

    def look() -> None:
        while not is_over.is_set():
            entries = survey(counted.workspace()).entries
            states.add(tuple(str(entry.version) for entry in entries if entry.applied))
            # As any program opens it, which on Windows keeps others from replacing it; and there
            # it is not to be had while it is being replaced.
            with suppress(FileNotFoundError, PermissionError), path.open(newline="") as file:
                texts.add(file.read())

    with counted.child("upgrade", before=gate.code) as process, ThreadPoolExecutor() as pool:
        gate.wait_for()
        looking = pool.submit(look)
        gate.open()
        try:
            out, err = ended(process)
        finally:
            is_over.set()
        looking.result()
    assert process.returncode == 0, out + err
    assert texts <= {SETTINGS.format(version) for version in ("none", *VERSIONS)}
    assert states <= {tuple(VERSIONS[:count]) for count in range(len(VERSIONS) + 1)}
    assert texts
    expect_each_once(counted)
