"""The run lock: one writing command at a time, told who, and never stale."""

from __future__ import annotations

import os
import signal
import sqlite3
from pathlib import Path

import pytest

from plugin_migrate.errors import Busy, StateUnreadable
from plugin_migrate.platform import system
from plugin_migrate.storage.lock import run_lock
from project import Project, ended

HOLD = """
open({ready!r}, "w").close()
open({hold!r}).close()
"""


@pytest.fixture
def hold(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipe outside the project, at which a step waits."""
    pipe = tmp_path_factory.mktemp("outside") / "hold"
    os.mkfifo(pipe)
    return pipe


@pytest.fixture
def running(project: Project, hold: Path):
    """A child process in the middle of a step; it ends when `hold` is opened for writing."""
    ready = hold.with_name("ready")
    os.mkfifo(ready)
    project.python("1.0.0", HOLD.format(ready=str(ready), hold=str(hold)))
    with project.child("upgrade") as process:
        ready.read_text()
        yield process
        if process.poll() is None:
            hold.write_text("")
            ended(process)


def test_a_second_run_is_told_who_is_at_it(project: Project, running) -> None:
    with pytest.raises(Busy) as caught:
        project.upgrade()
    assert f"pid {running.pid}" in caught.value.message
    assert "upgrade" in caught.value.message
    assert "since" in caught.value.message


def test_a_second_run_waits_and_then_finds_nothing_left_to_do(
    project: Project, hold: Path, running
) -> None:
    second = project.child("upgrade", "--lock-timeout=30")
    hold.write_text("")
    _, err = ended(second)
    ended(running)
    assert second.returncode == 0, err
    assert project.history() == [("1.0.0", "up", "done")]


def test_the_lock_of_a_killed_run_is_free_at_once(project: Project, running) -> None:
    running.send_signal(signal.SIGKILL)
    ended(running)
    (project.migrations / "1.0.0-step.py").unlink()
    project.sql("1.0.0", "CREATE TABLE t (x);")
    project.upgrade()
    assert project.applied() == ["1.0.0"]
    assert project.leftovers() == set()


def test_reading_needs_no_lock(project: Project, running) -> None:
    assert project.cli("status").returncode == 0


def test_the_holder_is_written_down_and_removed(project: Project) -> None:
    holder = project.bookkeeping / "lock.txt"
    with run_lock(project.workspace(), "upgrade", 0):
        told = holder.read_text()
        assert told.startswith(f"upgrade (pid {os.getpid()} on {system.host_name()}, since 2")
        assert told.endswith(" UTC)")
    assert not holder.exists()


@pytest.mark.parametrize("content", ["", "a\n" * 9000, "\0", "\x1b[2J"])
def test_a_damaged_note_about_the_holder_does_not_hide_that_there_is_one(
    project: Project, content: str
) -> None:
    workspace = project.workspace()
    with run_lock(workspace, "upgrade", 0):
        (project.bookkeeping / "lock.txt").write_text(content)
        with pytest.raises(Busy, match="already running"), run_lock(workspace, "upgrade", 0):
            pass


def test_the_bookkeeping_folder_keeps_itself_out_of_git(project: Project) -> None:
    with run_lock(project.workspace(), "upgrade", 0):
        assert (project.bookkeeping / ".gitignore").read_text() == "*\n"


def test_a_bookkeeping_folder_that_is_a_link_is_refused(project: Project) -> None:
    elsewhere = project.root.parent / "elsewhere"
    elsewhere.mkdir()
    project.bookkeeping.symlink_to(elsewhere)
    project.sql("1.0.0", "CREATE TABLE t (x);")
    with pytest.raises(StateUnreadable, match="A link or special file"):
        project.upgrade()
    assert list(elsewhere.iterdir()) == []


def test_a_lock_file_that_is_no_database_is_named(project: Project) -> None:
    project.write(".plugin-migrate/lock.db", "text that is long enough " * 50)
    with pytest.raises(StateUnreadable) as caught:
        project.upgrade()
    assert caught.value.file == str(project.bookkeeping / "lock.db")


def test_the_lock_holds_against_plain_sqlite(project: Project) -> None:
    with run_lock(project.workspace(), "upgrade", 0):
        other = sqlite3.connect(project.bookkeeping / "lock.db", timeout=0)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN EXCLUSIVE")
        other.close()
