"""Reading the state database: never a write, never a wait, whatever others do meanwhile."""

from __future__ import annotations

import os
import sqlite3
import time

import pytest

from plugin_migrate.errors import Busy, StateUnreadable
from plugin_migrate.plan import State
from plugin_migrate.storage import sqlite
from project import Project, ended

BESIDE = ("-wal", "-shm", "-journal")


def beside(project: Project) -> set[str]:
    """Return which of SQLite's own files stand beside the state database."""
    return {suffix for suffix in BESIDE if os.path.exists(f"{project.database}{suffix}")}


@pytest.fixture
def applied(project: Project) -> Project:
    """A project with one applied migration."""
    project.sql("1.0.0", "CREATE TABLE t (x);")
    project.upgrade()
    return project


@pytest.mark.parametrize("journal", ["DELETE", "WAL", "PERSIST"])
def test_reading_leaves_no_trace(applied: Project, journal: str) -> None:
    applied.setup(f"PRAGMA journal_mode={journal}; INSERT INTO t VALUES (1)")
    beside_before = beside(applied)
    content, status = applied.database.read_bytes(), applied.database.stat()
    folder = applied.database.parent.stat().st_mtime_ns
    assert applied.states() == {"1.0.0": State.APPLIED}
    assert beside(applied) == beside_before
    assert applied.database.read_bytes() == content
    assert applied.database.stat().st_mtime_ns == status.st_mtime_ns
    assert applied.database.parent.stat().st_mtime_ns == folder


def test_status_of_a_wal_database_leaves_no_wal_and_no_shm(applied: Project) -> None:
    applied.setup("PRAGMA journal_mode=WAL")
    assert applied.cli("status").returncode == 0
    assert beside(applied) == set()


def test_reading_a_project_without_a_database_creates_nothing(project: Project) -> None:
    project.sql("1.0.0", "CREATE TABLE t (x);")
    before = project.files()
    assert project.states() == {"1.0.0": State.PENDING}
    assert project.files() == before
    assert not project.bookkeeping.exists()


@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
def test_reading_works_while_a_writer_holds_a_transaction(applied: Project, journal: str) -> None:
    applied.setup(f"PRAGMA journal_mode={journal}")
    with applied.connect() as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM migrations")
        assert applied.states() == {"1.0.0": State.APPLIED}
        writer.execute("ROLLBACK")


def test_reading_sees_what_still_stands_in_a_write_ahead_log(applied: Project) -> None:
    applied.setup("PRAGMA journal_mode=WAL")
    with applied.connect() as writer:
        writer.execute("DELETE FROM migrations")
        writer.execute("DELETE FROM plugin_migrate_sources")
        assert "-wal" in beside(applied)
        assert applied.states() == {"1.0.0": State.PENDING}


def test_reading_does_not_wait_longer_than_a_moment_for_an_exclusive_lock(
    applied: Project,
) -> None:
    with applied.connect() as writer:
        # A journal beside the file: somebody is writing, and the bare file cannot be trusted.
        writer.execute("BEGIN EXCLUSIVE")
        writer.execute("INSERT INTO t VALUES (1)")
        started = time.monotonic()
        with pytest.raises(Busy):
            applied.look()
        assert time.monotonic() - started < 2
        writer.execute("ROLLBACK")


def hot_journal(project: Project) -> None:
    """Leave the journal of a writer that died in the middle of its commit."""
    project.setup("CREATE TABLE u (x); INSERT INTO u VALUES (zeroblob(200000))")
    with project.connect() as writer:
        writer.execute("PRAGMA cache_size=1")
        writer.execute("BEGIN")
        writer.execute("UPDATE u SET x = randomblob(200000)")
        writer.execute("DELETE FROM migrations")
        torn = project.database.read_bytes()
        journal = (project.database.parent / "orchestration.db-journal").read_bytes()
        writer.execute("ROLLBACK")
    project.database.write_bytes(torn)
    (project.database.parent / "orchestration.db-journal").write_bytes(journal)


def test_a_hot_journal_of_a_killed_writer_is_reported_and_left_by_reading(applied: Project) -> None:
    hot_journal(applied)
    before = {path: path.read_bytes() for path in applied.database.parent.iterdir()}
    for command in ("status", "check", "history", "verify", "upgrade --dry-run"):
        done = applied.cli(*command.split())
        assert done.returncode == 1
        assert "was interrupted while writing the database" in done.stderr
        assert "plugin-migrate upgrade" in done.stderr
    assert {path: path.read_bytes() for path in applied.database.parent.iterdir()} == before


def test_a_run_recovers_a_hot_journal_too(applied: Project) -> None:
    hot_journal(applied)
    applied.sql("1.1.0", "CREATE TABLE v (x);")
    applied.upgrade()
    assert applied.applied() == ["1.0.0", "1.1.0"]
    assert applied.query("SELECT x = zeroblob(200000) FROM u") == [(1,)]


def test_reading_works_while_another_process_migrates(
    applied: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    fifo, ready = outside / "hold", outside / "ready"
    os.mkfifo(fifo)
    os.mkfifo(ready)
    applied.python(
        "1.1.0",
        f"ctx.db.execute('CREATE TABLE v (x)')\n"
        f"pathlib.Path({str(ready)!r}).write_text('x')\n"
        f"pathlib.Path({str(fifo)!r}).read_text()",
        top="import pathlib",
    )
    with applied.child("upgrade") as running:
        ready.read_text()
        try:
            assert applied.states() == {"1.0.0": State.APPLIED, "1.1.0": State.PENDING}
        finally:
            fifo.write_text("go on")
        out, err = ended(running)
    assert running.returncode == 0, err
    assert "1.1.0" in out
    assert applied.states()["1.1.0"] is State.APPLIED


def test_a_query_runs_again_when_the_file_changed_under_it(applied: Project) -> None:
    answers = []

    def query(connection: sqlite3.Connection) -> list[tuple[int]]:
        rows = connection.execute("SELECT count(*) FROM t").fetchall()
        answers.append(rows)
        if len(answers) == 1:
            applied.setup("INSERT INTO t VALUES (1)")
        return rows

    assert sqlite.read(str(applied.database), query) == [(1,)]
    assert answers == [[(0,)], [(1,)]]


@pytest.mark.parametrize("name", ["with space", "per%20cent", "what?", "ha#sh", "ü", "a'b", 'a"b'])
def test_any_file_name_can_be_a_database(project: Project, name: str) -> None:
    project.config(f"database: {str(project.root / name)!r}" if "'" not in name else "")
    path = str(project.root / name)
    options = {"database": path}
    project.sql("1.0.0", "CREATE TABLE t (x);")
    from plugin_migrate.plan import plan_upgrade

    run = project.run(plan_upgrade, **options)
    assert run.error is None
    assert sqlite.read(path, lambda c: c.execute("SELECT count(*) FROM t").fetchone()) == (0,)


def test_a_reader_cannot_write(applied: Project) -> None:
    with pytest.raises(StateUnreadable):
        sqlite.read(str(applied.database), lambda c: c.execute("DELETE FROM migrations"))
    assert applied.applied() == ["1.0.0"]


def test_a_damaged_database_is_named(applied: Project) -> None:
    content = bytearray(applied.database.read_bytes())
    content[100:2000] = b"\xff" * 1900
    applied.database.write_bytes(content)
    with pytest.raises(StateUnreadable) as caught:
        applied.look()
    assert caught.value.file == str(applied.database)
