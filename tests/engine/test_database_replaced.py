"""A file that somebody puts in a database's place during a step stays what it is."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from plugin_migrate.engine.transaction import Transaction
from plugin_migrate.errors import DatabaseReplaced, NeedsRepair
from plugin_migrate.storage import live_database
from project import Project, meanwhile

JOURNALS = pytest.mark.parametrize("journal", ["DELETE", "WAL"])


def newcomer_for(project: Project, path: Path, journal: str) -> Path:
    """Return a copy of a database that has one row more, ready to be put in its place."""
    copy = path.with_name("newcomer")
    with project.connect(path) as original, closing(sqlite3.connect(copy)) as other:
        original.backup(other)
    project.setup(f"PRAGMA journal_mode={journal}; INSERT INTO mine VALUES ('new')", copy)
    return copy


def sound(path: Path) -> bool:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.fixture
def applied(project: Project) -> Project:
    """A project with one applied migration, a table of the user's, and a file."""
    project.sql("0.1.0", "CREATE TABLE mine (x);")
    project.upgrade()
    project.write("note", "old")
    return project


@JOURNALS
def test_a_state_database_that_is_replaced_during_a_step_is_a_conflict_and_stays(
    applied: Project, journal: str
) -> None:
    applied.setup(f"PRAGMA journal_mode={journal}")
    newcomer = newcomer_for(applied, applied.database, journal)
    content = newcomer.read_bytes()
    swap = f"import os; os.replace({str(newcomer)!r}, {str(applied.database)!r})"
    step = applied.python(
        "1.0.0",
        "ctx.db.execute('CREATE TABLE ours (x)'); (ctx.claude / 'note').write_text('new')\n"
        + meanwhile(applied, swap),
    )
    error = applied.failure()
    assert isinstance(error, DatabaseReplaced)
    assert "replaced by another file" in error.message
    assert applied.database.read_bytes() == content
    assert applied.read("note") == "old"
    assert applied.leftovers() == set()
    step.unlink()
    assert sound(applied.database)
    applied.sql("1.0.0", "CREATE TABLE ours (x);")
    applied.upgrade()
    assert applied.query("SELECT x FROM mine") == [("new",)]
    assert applied.applied() == ["0.1.0", "1.0.0"]


@JOURNALS
def test_steps_that_share_a_transaction_do_not_go_on_in_another_database(
    applied: Project, journal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    applied.setup(f"PRAGMA journal_mode={journal}")
    newcomer = newcomer_for(applied, applied.database, journal)
    content = newcomer.read_bytes()
    for number in range(3):
        applied.sql(f"1.{number}.0", f"CREATE TABLE t{number} (x);")
    recorded = Transaction.require_recorded

    def replacing(transaction: Transaction) -> None:
        recorded(transaction)
        os.replace(newcomer, applied.database)

    monkeypatch.setattr(Transaction, "require_recorded", replacing)
    run = applied.try_upgrade()
    assert isinstance(run.error, DatabaseReplaced)
    assert run.results == ()
    assert applied.database.read_bytes() == content
    assert sound(applied.database)


@JOURNALS
def test_what_was_committed_to_a_file_without_a_name_has_not_happened(
    applied: Project, journal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    applied.setup(f"PRAGMA journal_mode={journal}")
    newcomer = newcomer_for(applied, applied.database, journal)
    content = newcomer.read_bytes()
    applied.python(
        "1.0.0",
        "ctx.db.execute('CREATE TABLE ours AS SELECT randomblob(9000) AS x')\n"
        "(ctx.claude / 'note').write_text('new')",
    )
    refuse = Transaction._refuse_replaced

    def replacing(transaction: Transaction) -> None:
        refuse(transaction)
        if newcomer.exists():  # in the instant between the look and the COMMIT
            os.replace(newcomer, applied.database)

    monkeypatch.setattr(Transaction, "_refuse_replaced", replacing)
    assert isinstance(applied.failure(), DatabaseReplaced)
    assert applied.read("note") == "old"
    assert applied.database.read_bytes() == content
    assert sound(applied.database)
    assert applied.query("SELECT x FROM mine") == [("new",)]
    assert applied.leftovers() == set()


@JOURNALS
def test_a_further_database_that_is_replaced_during_a_step_is_a_conflict_and_stays(
    applied: Project, journal: str
) -> None:
    path = applied.setup(
        f"PRAGMA journal_mode={journal}; CREATE TABLE mine (x)", applied.claude / "memory.db"
    )
    newcomer = newcomer_for(applied, path, journal)
    content = newcomer.read_bytes()
    swap = f"import os; os.replace({str(newcomer)!r}, {str(path)!r})"
    applied.python(
        "1.0.0",
        "ctx.database('memory.db').execute('INSERT INTO mine VALUES (1)')\n"
        "(ctx.claude / 'note').write_text('new')\n" + meanwhile(applied, swap),
    )
    assert isinstance(applied.failure(), DatabaseReplaced)
    assert path.read_bytes() == content
    assert sound(path)
    assert (applied.read("note"), applied.applied()) == ("old", ["0.1.0"])


@JOURNALS
def test_a_further_database_that_is_replaced_after_the_commit_interrupts_the_step(
    applied: Project, journal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = applied.setup(
        f"PRAGMA journal_mode={journal}; CREATE TABLE mine (x)", applied.claude / "memory.db"
    )
    newcomer = newcomer_for(applied, path, journal)
    content = newcomer.read_bytes()
    applied.python("1.0.0", "ctx.database('memory.db').execute('INSERT INTO mine VALUES (1)')")
    commit = Transaction.commit

    def replacing(transaction: Transaction) -> None:
        commit(transaction)
        os.replace(newcomer, path)

    with monkeypatch.context() as patched:
        patched.setattr(Transaction, "commit", replacing)
        assert isinstance(applied.failure(), NeedsRepair)
    assert path.read_bytes() == content
    assert sound(path)
    assert applied.cli("repair", "--keep-live").returncode == 0
    assert applied.query("SELECT x FROM mine", database=path) == [("new",)]


@pytest.mark.parametrize("kind", ["PASSIVE", "FULL", "RESTART", "TRUNCATE"])
def test_a_mere_checkpoint_during_a_step_is_no_conflict(applied: Project, kind: str) -> None:
    path = applied.claude / "memory.db"
    with applied.connect(path) as other:
        other.execute("PRAGMA journal_mode=WAL")
        other.execute("CREATE TABLE mine (x)")
        checkpoint = (
            f"import sqlite3; sqlite3.connect({str(path)!r})"
            f".execute('PRAGMA wal_checkpoint({kind})').fetchall()"
        )
        applied.python(
            "1.0.0",
            "ctx.database('memory.db').execute('INSERT INTO mine VALUES (1)')\n"
            + meanwhile(applied, checkpoint),
        )
        # In a process of its own: what it closes would drop the locks of `other` in this one.
        done = applied.cli("upgrade")
        assert done.returncode == 0, done.stderr
        assert other.execute("SELECT x FROM mine").fetchall() == [(1,)]


def test_a_one_page_database_is_published_after_the_fact(project: Project, folder: Path) -> None:
    live = project.setup("PRAGMA user_version=1", project.claude / "memory.db")
    copy = folder / "copy.db"
    shutil.copy(live, copy)
    project.setup("PRAGMA user_version=2", copy)
    digest = live_database.digest_of_closed
    before, after = digest(str(live)), digest(str(copy))
    scratch = str(folder / "scratch")
    assert live_database.publish_copy(str(live), str(copy), before, after, scratch, False)
    assert live_database.publish_copy(str(live), str(copy), before, after, scratch, False)
    assert project.query("PRAGMA user_version", database=live) == [(2,)]
    project.setup("PRAGMA user_version=3", live)
    assert not live_database.publish_copy(str(live), str(copy), before, after, scratch, False)
    assert project.query("PRAGMA user_version", database=live) == [(3,)]
    live.unlink()
    assert not live_database.publish_copy(str(live), str(copy), before, after, scratch, False)
    assert not live.exists()
