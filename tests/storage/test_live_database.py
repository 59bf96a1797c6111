"""A copy of a live database is its content at one moment, whoever uses it meanwhile."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from plugin_migrate.errors import Busy, StateUnreadable
from plugin_migrate.storage import durable, live_database


def connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None, timeout=0)


@pytest.fixture
def path(folder: Path) -> Path:
    path = folder / "live.db"
    with closing(connect(path)) as connection:
        connection.execute("CREATE TABLE t (x)")
        connection.execute("INSERT INTO t VALUES ('before')")
    return path


def copied(path: Path) -> list[tuple]:
    copy = path.with_name("copy.db")
    live_database.copy_live(str(path), str(copy))
    with closing(connect(copy)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return connection.execute("SELECT x FROM t").fetchall()


def test_what_is_not_committed_is_not_copied(path: Path) -> None:
    with closing(connect(path)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE t SET x = 'after'")
        assert copied(path) == [("before",)]
        writer.execute("COMMIT")
    assert copied(path) == [("after",)]


def test_what_stands_in_a_write_ahead_log_only_is_copied(path: Path) -> None:
    with closing(connect(path)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("UPDATE t SET x = 'in the log'")
        assert copied(path) == [("in the log",)]


def test_nobody_writes_to_the_file_while_it_is_copied(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_content = live_database.copy_content

    def with_a_writer(*arguments: object) -> None:
        with closing(connect(path)) as writer:
            writer.execute("BEGIN IMMEDIATE")
            writer.execute("UPDATE t SET x = 'after'")
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                writer.execute("COMMIT")
        copy_content(*arguments)

    monkeypatch.setattr(live_database, "copy_content", with_a_writer)
    assert copied(path) == [("before",)]


def test_a_database_that_another_program_holds_is_busy(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plugin_migrate.storage.sqlite.READ_PATIENCE", 0)
    with closing(connect(path)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(Busy):
            copied(path)


def test_what_is_no_database_is_said_to_be_none(path: Path) -> None:
    path.write_bytes(b"no database at all, but long enough to be taken for one" * 20)
    with pytest.raises(StateUnreadable):
        copied(path)


def test_a_file_system_that_cannot_copy_by_itself_makes_no_difference(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError("not here")

    monkeypatch.setattr("os.copy_file_range", refuse)
    assert copied(path) == [("before",)]


@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="Linux only")
def test_the_system_begins_to_write_a_copy_while_there_is_more_unless_it_is_thrown_away(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(connect(path)) as connection:
        connection.execute("CREATE TABLE big AS SELECT zeroblob(2500000) AS x")
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "posix_fadvise", lambda _, start, size, __: told.append((start, size)))
    live_database.copy_live(str(path), str(path.with_name("copy.db")))
    ends = [start + size for start, size in told]
    assert [start for start, _ in told] == [0, *ends[:-1]]
    assert len(ends) == 3
    assert ends[-1] == path.stat().st_size

    told.clear()
    durable.declare_disposable(str(path.parent))
    try:
        live_database.copy_live(str(path), str(path.with_name("another.db")))
    finally:
        durable.forget_disposable(str(path.parent))
    assert told == []
