"""The connection that a run keeps: read over without a trace, and never one to another file."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from plugin_migrate import database
from plugin_migrate.errors import Busy, NotALedger, StateUnreadable
from plugin_migrate.guard import StepConnection
from plugin_migrate.standby import Standby
from project import overwrite_in_place


@pytest.fixture
def path(folder: Path) -> Path:
    """A database with one table."""
    path = folder / "state.db"
    change(path, "CREATE TABLE t (x); INSERT INTO t VALUES (1)")
    return path


@pytest.fixture
def standby(path: Path) -> Iterator[Standby]:
    with closing(Standby(str(path))) as standby:
        yield standby


def change(path: Path, script: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(script)


def values(connection: sqlite3.Connection) -> list[int]:
    return [value for (value,) in connection.execute("SELECT x FROM t ORDER BY x")]


@contextmanager
def taken_from(standby: Standby, foreign_keys: bool = False) -> Iterator[StepConnection]:
    connection = standby.take(foreign_keys)
    try:
        yield connection
    finally:
        connection.end()


def seen(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {file.name: (file.stat().st_mtime_ns, file.read_bytes()) for file in folder.iterdir()}


@pytest.mark.parametrize("journal", ["DELETE", "WAL", "PERSIST", "TRUNCATE"])
def test_reading_and_closing_leave_no_trace(standby: Standby, path: Path, journal: str) -> None:
    change(path, f"PRAGMA journal_mode={journal}; INSERT INTO t VALUES (2)")
    before = seen(path.parent)
    assert standby.read(values) == [1, 2]
    assert seen(path.parent) == before
    standby.close()
    assert seen(path.parent) == before


def test_what_was_read_over_is_taken_as_if_it_were_new(standby: Standby) -> None:
    asked = "trusted_schema busy_timeout foreign_keys cache_spill synchronous".split()

    def settings(connection: sqlite3.Connection) -> list[object]:
        return [connection.execute(f"PRAGMA {name}").fetchone() for name in asked]

    readers: list[sqlite3.Connection] = []
    with taken_from(standby) as new:
        expected = settings(new)
    standby.read(readers.append)
    with taken_from(standby) as taken:
        assert [taken] == readers
        assert settings(taken) == expected
        assert not taken.in_transaction


def test_a_schema_is_not_trusted_while_it_is_read(standby: Standby) -> None:
    def trusts(connection: sqlite3.Connection) -> tuple[int]:
        answer: tuple[int] = connection.execute("PRAGMA trusted_schema").fetchone()
        return answer

    assert standby.read(trusts) == (0,)


def test_a_database_that_was_replaced_meanwhile_is_opened_anew(
    standby: Standby, path: Path
) -> None:
    standby.read(values)
    other = path.with_name("other.db")
    change(other, "CREATE TABLE t (x); INSERT INTO t VALUES (7)")
    os.replace(other, path)
    with taken_from(standby) as taken:
        assert values(taken) == [7]


def test_a_database_that_was_overwritten_meanwhile_is_opened_anew(
    standby: Standby, path: Path
) -> None:
    standby.read(values)
    other = path.with_name("other.db")
    change(other, "CREATE TABLE t (x); INSERT INTO t VALUES (7)")
    overwrite_in_place(path, other.read_bytes())
    with taken_from(standby) as taken:
        assert values(taken) == [7]


def test_foreign_keys_are_on_only_where_they_are_asked_for(standby: Standby) -> None:
    standby.read(values)
    for wanted in (True, False):
        with taken_from(standby, wanted) as taken:
            assert taken.execute("PRAGMA foreign_keys").fetchone() == (int(wanted),)


def test_a_connection_under_wal_is_not_kept(standby: Standby, path: Path) -> None:
    change(path, "PRAGMA journal_mode=WAL")
    taken = standby.take()
    standby.keep(taken)
    with pytest.raises(sqlite3.ProgrammingError):
        taken.execute("SELECT 1")


def test_a_database_that_may_only_be_read_can_be_read(
    standby: Standby, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.chmod(0o400)
    monkeypatch.setattr(os, "access", lambda *_: False)  # also where the tests run as root
    assert standby.read(values) == [1]


def test_a_stray_log_beside_the_database_stays_and_is_not_taken_in(
    standby: Standby, path: Path
) -> None:
    log = path.with_name("state.db-wal")
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("INSERT INTO t VALUES (2)")
        written = log.read_bytes()
    change(path, "PRAGMA journal_mode=DELETE")
    log.write_bytes(written)
    content = path.read_bytes()
    standby.read(values)
    standby.close()
    assert (path.read_bytes(), log.read_bytes()) == (content, written)


def test_a_database_that_is_gone_meanwhile_is_not_made_anew(
    path: Path, standby: Standby, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.unlink()
    with pytest.raises(StateUnreadable):
        standby.take()
    monkeypatch.setattr(database, "leaves_no_trace", lambda _: True)
    with pytest.raises(StateUnreadable):
        standby.read(values)
    assert list(path.parent.iterdir()) == []


def test_a_database_that_is_replaced_while_it_is_opened_is_opened_anew(
    standby: Standby, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = path.with_name("other.db")
    change(other, "CREATE TABLE t (x); INSERT INTO t VALUES (7)")
    really_open = database.open_for_writing

    def replacing(*arguments: Any, **options: Any) -> StepConnection:
        connection: StepConnection = really_open(*arguments, **options)
        os.replace(other, path)
        return connection

    with monkeypatch.context() as patched:
        patched.setattr(database, "open_for_writing", replacing)
        assert standby.read(values) == [1]
    with taken_from(standby) as taken:
        assert values(taken) == [7]


def test_one_that_is_locked_is_busy_after_a_moment_and_leaves_no_lock(
    standby: Standby, path: Path
) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        other.execute("DELETE FROM t")
        with pytest.raises(Busy):
            standby.read(values)
        other.execute("ROLLBACK")
    assert standby.read(values) == [1]


def test_one_that_is_locked_but_not_written_is_read_all_the_same(
    standby: Standby, path: Path
) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode=MEMORY")  # nothing beside the file tells
        other.execute("BEGIN EXCLUSIVE")
        assert standby.read(values) == [1]


def test_what_a_query_refuses_is_raised_and_nothing_stays_open(standby: Standby) -> None:
    readers: list[sqlite3.Connection] = []

    def refuse(connection: sqlite3.Connection) -> None:
        readers.append(connection)
        raise NotALedger("no")

    with pytest.raises(NotALedger):
        standby.read(refuse)
    with pytest.raises(sqlite3.ProgrammingError):
        readers[0].execute("SELECT 1")


def test_a_broken_query_is_told_as_by_any_reading(standby: Standby) -> None:
    with pytest.raises(StateUnreadable, match="no such table"):
        standby.read(lambda connection: connection.execute("SELECT * FROM nowhere").fetchall())


def test_what_is_no_file_or_no_database_is_refused(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    (folder / "text").write_text("no database " * 20)
    for name in ("pipe", "text"):
        with pytest.raises(StateUnreadable):
            Standby(str(folder / name)).read(values)
