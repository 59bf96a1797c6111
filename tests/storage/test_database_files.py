"""What stands beside a database can come from anybody; SQLite stays within its four names."""

from __future__ import annotations

import os
import shutil
import sqlite3
import struct
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from plugin_migrate.errors import StateUnreadable
from plugin_migrate.storage import database_files, live_database, sqlite
from project import SCRIPTS, Project

MAGIC = bytes.fromhex("d9d505f920a163d7")
PAGE = 4096
READING = ["status", "check", "history", "upgrade --dry-run", "upgrade --preview", "verify"]
WRITING = ["upgrade", "downgrade", "repair", "baseline 1.0.0"]


def hostile_journal(named: Path, pages: int = 2) -> bytes:
    """Return a journal that makes SQLite delete ``named``: nothing to roll back, and its name."""
    name = os.fsencode(named)
    header = MAGIC + struct.pack(">5I", 0, 1, pages, 512, PAGE)
    page = struct.pack(">I", 0x40000000 // PAGE + 1)
    return header.ljust(512, b"\0") + page + name + struct.pack(">II", len(name), sum(name)) + MAGIC


@pytest.fixture
def victim(folder: Path) -> Path:
    """A file of the user's, outside the project."""
    file = folder / "settings.local.json"
    file.write_text("mine")
    return file


@pytest.fixture
def state(project: Project) -> Project:
    """A project with a database and a pending migration, as a clone brings it."""
    project.sql("1.0.0", "CREATE TABLE u (x);", "DROP TABLE u;")
    project.setup("CREATE TABLE t (x); INSERT INTO t VALUES (1)")
    return project


def journal_of(path: Path) -> Path:
    return path.with_name(path.name + "-journal")


def hook(project: Project) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "CLAUDE_PROJECT_DIR": str(project.root),
        "CLAUDE_PLUGIN_ROOT": str(SCRIPTS.parent),
    }
    return subprocess.run(
        [str(SCRIPTS.parent / "hooks/session-start")],
        env=environment,
        cwd=project.root,
        input='{"hook_event_name": "SessionStart", "session_id": "1"}',
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )


def test_the_hostile_journal_of_these_tests_does_delete_what_it_names(
    state: Project, victim: Path
) -> None:
    journal_of(state.database).write_bytes(hostile_journal(victim))
    assert state.query("SELECT x FROM t") == [(1,)]
    assert not victim.exists()


def test_looking_at_a_clone_deletes_nothing_that_its_journal_names(
    state: Project, victim: Path
) -> None:
    journal_of(state.database).write_bytes(hostile_journal(victim))
    before = state.files()
    for command in READING:
        done = state.cli(*command.split())
        assert done.returncode == 1
        assert "was interrupted while writing" in done.stderr
    assert "was interrupted while writing" in hook(state).stdout
    assert victim.read_text() == "mine"
    assert state.files() == before


def test_writing_beside_a_journal_that_names_another_file_is_refused(
    state: Project, victim: Path
) -> None:
    journal = journal_of(state.database)
    journal.write_bytes(hostile_journal(victim))
    for command in WRITING:
        done = state.cli(*command.split())
        assert done.returncode == 1
        assert victim.as_posix() in done.stderr
        assert journal.relative_to(state.root).as_posix() in done.stderr
        assert "remove the journal" in done.stderr
    assert victim.read_text() == "mine"
    assert journal.exists()
    journal.unlink()
    state.upgrade()


def test_a_relative_name_is_refused_as_well(state: Project) -> None:
    journal_of(state.database).write_bytes(hostile_journal(Path("settings.json")))
    done = state.cli("upgrade")
    assert done.returncode == 1
    assert "'settings.json'" in done.stderr


def test_the_run_lock_s_journal_deletes_nothing(state: Project, victim: Path) -> None:
    state.bookkeeping.mkdir()
    shutil.copy(state.database, state.bookkeeping / "lock.db")
    journal_of(state.bookkeeping / "lock.db").write_bytes(hostile_journal(victim))
    for command in WRITING:
        done = state.cli(*command.split())
        assert done.returncode == 1
        assert "lock.db-journal" in done.stderr
    assert victim.read_text() == "mine"


def test_a_further_database_s_journal_deletes_nothing(state: Project, victim: Path) -> None:
    path = state.claude / "memory.db"
    shutil.copy(state.database, path)
    journal_of(path).write_bytes(hostile_journal(victim))
    state.python("2.0.0", "ctx.database('memory.db').execute('UPDATE t SET x = 2')")
    for command in ("upgrade --preview", "verify", "upgrade"):
        done = state.cli(*command.split())
        assert done.returncode == 1
        assert "memory.db" in done.stderr
    assert victim.read_text() == "mine"
    assert state.applied() == ["1.0.0"]


def test_the_copy_of_a_database_in_a_redo_log_brings_no_journal_along(
    state: Project, folder: Path, victim: Path
) -> None:
    live = shutil.copy(state.database, state.claude / "memory.db")
    copy = folder / "database-0.sqlite"
    shutil.copy(live, copy)
    state.setup("UPDATE t SET x = 2", copy)
    journal_of(copy).write_bytes(hostile_journal(victim))
    before, after = (live_database.digest_of_closed(str(path)) for path in (live, copy))
    assert live_database.publish_copy(
        str(live), str(copy), before, after, str(folder / "scratch"), False
    )
    assert state.query("SELECT x FROM t", database=live) == [(2,)]
    assert victim.read_text() == "mine"


@pytest.mark.parametrize("suffix", database_files.SIDE_SUFFIXES)
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink("/etc/hosts", path)])
def test_what_is_no_plain_file_beside_a_database_is_refused_and_waited_for_by_nobody(
    state: Project, suffix: str, make: Callable[[str], None]
) -> None:
    odd = f"{state.database}{suffix}"
    make(odd)
    with pytest.raises(StateUnreadable, match="not a plain file") as caught:
        sqlite.open_for_reading(str(state.database))
    assert caught.value.file == odd
    with pytest.raises(StateUnreadable, match="not a plain file"):
        sqlite.connect(str(state.database), sqlite3.Connection, 0)


@pytest.mark.parametrize("suffix", database_files.SIDE_SUFFIXES)
def test_no_command_hangs_at_a_named_pipe_beside_the_database(state: Project, suffix: str) -> None:
    os.mkfifo(f"{state.database}{suffix}")
    for command in ("status", "upgrade --preview", "verify", "upgrade"):
        done = state.cli(*command.split())
        assert done.returncode == 1
        assert f"orchestration.db{suffix}" in done.stderr
    hook(state)


def committed(repository: Path) -> None:
    for arguments in (
        ["init", "-q"],
        ["add", "-f", "."],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "all"],
    ):
        subprocess.run(["git", "-C", str(repository), *arguments], check=True)


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not here")
@pytest.mark.parametrize("suffix", ["-journal", "-wal"])
def test_a_journal_or_log_that_git_brought_is_refused_until_somebody_writes_it(
    state: Project, folder: Path, suffix: str
) -> None:
    Path(f"{state.database}{suffix}").write_bytes(b"x" * 600)
    committed(state.root)
    clone = folder / "clone"
    subprocess.run(["git", "clone", "-q", str(state.root), str(clone)], check=True)
    path = clone / state.database.relative_to(state.root)
    with pytest.raises(StateUnreadable, match="came with the git repository"):
        database_files.refuse_unsafe(str(path))
    Path(f"{path}{suffix}").write_bytes(b"y" * 600)
    database_files.refuse_unsafe(str(path))


def test_a_killed_writer_s_journal_is_rolled_back_by_the_next_run(state: Project) -> None:
    with closing(sqlite3.connect(state.database, isolation_level=None)) as writer:
        writer.execute("PRAGMA cache_size=1")
        writer.execute("BEGIN")
        writer.execute("CREATE TABLE big AS SELECT randomblob(100000) AS x")
        writer.execute("UPDATE t SET x = 2")
        torn = state.database.read_bytes()
        journal = journal_of(state.database).read_bytes()
        writer.execute("ROLLBACK")
    state.database.write_bytes(torn)
    journal_of(state.database).write_bytes(journal)
    state.upgrade()
    assert state.query("SELECT x FROM t") == [(1,)]


def test_an_ended_journal_that_once_named_another_file_stands_in_nobody_s_way(
    state: Project, victim: Path
) -> None:
    journal_of(state.database).write_bytes(bytes(512) + hostile_journal(victim)[512:])
    state.upgrade()
    assert state.states()
    assert victim.exists()
