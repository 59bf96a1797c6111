"""Several processes on one project: upgrades, readers, writers, and people with editors."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

import in_process
from gate import Gate
from plugin_migrate.plan import State
from plugin_migrate.survey import survey
from project import Project, ended

CROWD = 4 if in_process.IS_WANTED else 16
VERSIONS = [f"1.{minor}.0" for minor in range(6)]
JOURNAL_MODES = pytest.mark.parametrize("journal_mode", ["delete", "wal"])

# Another program of the state database; it ends when `stop` exists and prints what it did.
WRITER = """
import os, sqlite3, sys, time
database, name, stop = sys.argv[1:]
connection = sqlite3.connect(database, timeout=30, isolation_level=None)
number = 0
while not os.path.exists(stop):
    number += 1
    connection.execute("INSERT INTO other VALUES (?, ?)", (name, number))
    if number == 1:
        print("started", flush=True)
    time.sleep(0.001)
print(number)
"""
READER = """
import os, sqlite3, sys, time
database, name, stop = sys.argv[1:]
connection = sqlite3.connect(database, timeout=30, isolation_level=None)
number = seen = 0
while not os.path.exists(stop):
    number += 1
    rows = connection.execute("SELECT count(*) FROM other").fetchone()[0]
    assert rows >= seen, "rows went away"
    seen = rows
    if number == 1:
        print("started", flush=True)
    time.sleep(0.001)
print(number)
"""


@pytest.fixture
def gate(folder: Path) -> Iterator[Gate]:
    with closing(Gate(folder)) as gate:
        yield gate


@contextmanager
def held(project: Project, gate: Gate) -> Iterator[subprocess.Popen[str]]:
    """An upgrade that waits at the gate, which the block must open."""
    with project.child("upgrade") as process:
        try:
            gate.wait_for()
            yield process
        except BaseException:
            process.kill()
            raise


@pytest.fixture
def counted(project: Project) -> Project:
    """A project whose every migration leaves one row and one line."""
    project.write("lines.txt", "")
    project.write("settings.json", '{"applied": []}\n')
    project.sql(VERSIONS[0], "CREATE TABLE counted (version); INSERT INTO counted VALUES ('1.0.0')")
    for version in VERSIONS[1::2]:
        project.python(
            version,
            f"""
            ctx.db.execute("INSERT INTO counted VALUES ('{version}')")
            with (ctx.claude / "lines.txt").open("a") as file:
                file.write("{version}\\n")
            with ctx.edit_json("settings.json") as settings:
                settings["applied"].append("{version}")
            """,
        )
    for version in VERSIONS[2::2]:
        project.sql(version, f"INSERT INTO counted VALUES ('{version}')")
    return project


def expect_each_once(project: Project, was_taken_back: bool = False) -> None:
    assert project.applied() == VERSIONS
    assert [row[0] for row in project.query("SELECT version FROM counted")] == VERSIONS
    assert project.read("lines.txt").split() == VERSIONS[1::2]
    assert json.loads(project.read("settings.json"))["applied"] == VERSIONS[1::2]
    ups = [(version, "up", "done") for version in VERSIONS]
    downs = [(version, "down", "done") for version in reversed(VERSIONS)]
    assert project.history() == ups + (downs + ups if was_taken_back else [])
    assert project.leftovers() == set()


@pytest.fixture
def crowd(counted: Project, gate: Gate) -> Iterator[list[subprocess.Popen[str]]]:
    """Many upgrades, held at the same place and released at once."""
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                counted.child("upgrade", "--lock-timeout=25", "--format=json", before=gate.code)
            )
            for _ in range(CROWD)
        ]
        gate.wait_for(CROWD)
        gate.open()
        yield processes
        for process in processes:
            process.kill()


@JOURNAL_MODES
def test_many_upgrades_at_once_apply_each_migration_once(request, counted, journal_mode):
    counted.setup(f"PRAGMA journal_mode={journal_mode}; CREATE TABLE other (name, number)")
    crowd = request.getfixturevalue("crowd")
    done = [json.loads(ended(process)[0]) for process in crowd]
    assert not [document["error"] for document in done if not document["ok"]]
    assert [process.returncode for process in crowd] == [0] * CROWD
    steps = [step["version"] for document in done for step in document["steps"]]
    assert sorted(steps) == VERSIONS
    expect_each_once(counted)


@JOURNAL_MODES
def test_status_meanwhile_never_fails_and_shows_no_half_state(request, counted, journal_mode):
    counted.setup(f"PRAGMA journal_mode={journal_mode}; CREATE TABLE other (name, number)")
    crowd = request.getfixturevalue("crowd")
    looks = 0
    while any(process.poll() is None for process in crowd):
        seen = survey(counted.workspace())
        applied = [str(entry.version) for entry in seen.entries if entry.applied]
        assert applied == VERSIONS[: len(applied)]
        looks += 1
    assert looks > 10
    for process in crowd:
        ended(process)
    expect_each_once(counted)


def test_who_waits_in_vain_is_told_who_runs_and_hangs_no_longer_than_asked(counted, gate):
    counted.python("0.1.0", gate.code)
    with held(counted, gate) as first:
        started = time.monotonic()
        with ExitStack() as stack:
            others = [
                stack.enter_context(counted.child("upgrade", "--lock-timeout=0.3"))
                for _ in range(CROWD - 1)
            ]
            said = [ended(process)[1] for process in others]
        # As many interpreters start meanwhile; one that waited for its turn would never end.
        assert time.monotonic() - started < 25
        gate.open()
        ended(first)
    told = rf"already running in this project: upgrade \(pid {first.pid} on .+, since .+ UTC\)"
    assert [process.returncode for process in others] == [1] * (CROWD - 1)
    assert all(re.search(told, text) for text in said)
    assert first.returncode == 0
    assert counted.applied() == ["0.1.0", *VERSIONS]


def test_without_being_told_otherwise_a_second_run_waits_ten_seconds(project):
    assert project.workspace().config.lock_timeout == 10


@contextmanager
def other_program(code: str, project: Project, name: str, stop: Path):
    with subprocess.Popen(
        [sys.executable, "-I", "-c", code, str(project.database), name, str(stop)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        try:
            yield process
        finally:
            stop.touch()


@JOURNAL_MODES
def test_readers_and_writers_of_the_state_database_go_on_working(
    counted, folder, gate, journal_mode
):
    counted.setup(f"PRAGMA journal_mode={journal_mode}; CREATE TABLE other (name, number)")
    # While code runs, before its step takes the write lock, others write; and after it, again.
    stop = folder / "stop"
    with (
        other_program(WRITER, counted, "one", stop) as one,
        other_program(WRITER, counted, "two", stop) as two,
        other_program(READER, counted, "reader", stop) as reader,
    ):
        runs = [
            counted.cli(*arguments)
            for arguments in (("upgrade",), ("downgrade", "0.0.0"), ("upgrade",))
        ]
        stop.touch()
        written = {}
        for name, process in (("one", one), ("two", two), ("reader", reader)):
            out, err = ended(process)
            assert process.returncode == 0, err
            written[name] = int(out)
    assert [(run.returncode, run.stderr) for run in runs] == [(0, "")] * 3
    del written["reader"]
    rows = counted.query("SELECT name, count(*), max(number) FROM other GROUP BY name")
    assert {name: (count, last) for name, count, last in rows} == {
        name: (number, number) for name, number in written.items()
    }
    assert counted.query("PRAGMA journal_mode") == [(journal_mode,)]
    assert counted.query("PRAGMA integrity_check") == [("ok",)]
    expect_each_once(counted, was_taken_back=True)


@JOURNAL_MODES
def test_a_reader_sees_the_state_before_the_step_while_it_runs(project, gate, journal_mode):
    project.setup(f"PRAGMA journal_mode={journal_mode}; CREATE TABLE other (name)")
    project.python("1.0.0", 'ctx.db.execute("INSERT INTO other VALUES (1)")\n' + gate.code)
    with held(project, gate) as process:
        assert project.query("SELECT count(*) FROM other") == [(0,)]
        assert project.states() == {"1.0.0": State.PENDING}
        gate.open()
        ended(process)
    assert project.query("SELECT count(*) FROM other") == [(1,)]


def test_settings_rewritten_during_a_step_are_a_conflict_that_loses_nothing(project, gate):
    project.write("settings.json", '{"mine": 1}\n')
    project.setup("CREATE TABLE other (name)")
    project.python(
        "1.0.0",
        f"""
with ctx.edit_json("settings.json") as settings:
    settings["theirs"] = 2
ctx.db.execute("INSERT INTO other VALUES ('step')")
{gate.code}
""",
    )
    with held(project, gate) as process:
        # As editors do it: a new file in the old one's place.
        project.write("settings.new", '{"mine": 1, "edited": true}\n').replace(
            project.claude / "settings.json"
        )
        gate.open()
        _, err = ended(process)
    assert process.returncode == 1
    assert "settings.json was changed by somebody else" in err
    assert project.read("settings.json") == '{"mine": 1, "edited": true}\n'
    assert project.query("SELECT * FROM other") == []
    assert project.applied() == []
    assert project.leftovers() == set()

    gate.leave_open()
    assert project.cli("upgrade").returncode == 0
    assert json.loads(project.read("settings.json")) == {"mine": 1, "edited": True, "theirs": 2}
    assert project.query("SELECT * FROM other") == [("step",)]


def test_a_file_that_the_step_does_not_change_may_be_rewritten_meanwhile(project, gate):
    project.write("settings.json", "{}\n")
    project.write("notes.md", "before\n")
    project.python("1.0.0", '(ctx.claude / "notes.md").write_text("after\\n")\n' + gate.code)
    with held(project, gate) as process:
        project.write("settings.json", '{"edited": true}\n')
        gate.open()
        _, err = ended(process)
    assert process.returncode == 0, err
    assert project.read("settings.json") == '{"edited": true}\n'
    assert project.read("notes.md") == "after\n"


@JOURNAL_MODES
def test_a_row_written_to_a_further_database_during_a_step_is_a_conflict(
    project, gate, journal_mode
):
    memory = project.claude / "memory.db"
    project.setup(
        f"PRAGMA journal_mode={journal_mode}; CREATE TABLE notes (text);"
        " INSERT INTO notes VALUES ('before')",
        memory,
    )
    project.python(
        "1.0.0", 'ctx.database("memory.db").execute("UPDATE notes SET text = 1")\n' + gate.code
    )
    with held(project, gate) as process:
        with project.connect(memory) as connection:
            connection.execute("INSERT INTO notes VALUES ('meanwhile')")
        gate.open()
        _, err = ended(process)
    assert process.returncode == 1
    assert "changed by another program" in err
    assert project.query("SELECT text FROM notes", database=memory) == [("before",), ("meanwhile",)]
    assert project.applied() == []


def test_a_program_that_keeps_the_database_locked_is_named_after_a_while(project):
    project.setup("CREATE TABLE other (name)")
    project.sql("1.0.0", "CREATE TABLE t (x);")
    with project.connect() as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO other VALUES ('kept')")
        done = project.cli("upgrade")
        connection.execute("COMMIT")
    assert done.returncode == 1
    assert "Another program has been writing the database" in done.stderr
    assert project.query("SELECT * FROM other") == [("kept",)]
    assert project.cli("upgrade").returncode == 0


def test_reading_waits_a_quarter_of_a_second_for_the_database_and_no_longer(project):
    project.setup("CREATE TABLE other (name)")
    project.upgrade()
    with project.connect() as connection:
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("INSERT INTO other VALUES (1)")
        started = time.monotonic()
        done = project.cli("status")
        assert time.monotonic() - started < 10
        connection.execute("ROLLBACK")
    assert done.returncode == 1
    assert "locked by another program" in done.stderr
