"""Further SQLite databases commit with the step or not at all, never over somebody's change."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from plugin_migrate.errors import Busy, Conflict, ForbiddenStatement, StateUnreadable, StepFailed
from plugin_migrate.storage import live_database
from project import Project, fails_unchanged, meanwhile, things

JOURNALS = pytest.mark.parametrize("journal", ["DELETE", "WAL", "TRUNCATE"])
SQL = (
    "import sys, sqlite3; db = sqlite3.connect(sys.argv[1] + '/memory.db', isolation_level=None)\n"
)


def memory(project: Project, journal: str = "DELETE", rows: int = 3) -> Path:
    """Make ``memory.db`` with a table ``t`` of numbers."""
    numbers = ", ".join(f"({number})" for number in range(rows))
    return project.setup(
        f"PRAGMA journal_mode={journal}; CREATE TABLE t (x); INSERT INTO t VALUES {numbers};",
        project.claude / "memory.db",
    )


@JOURNALS
def test_a_step_changes_both_databases_and_files_together(project: Project, journal: str) -> None:
    path = memory(project, journal)
    project.python(
        "1.0.0",
        """
        other = ctx.database("memory.db")
        rows = other.execute("SELECT x FROM t").fetchall()
        ctx.db.execute("CREATE TABLE moved (x)")
        ctx.db.executemany("INSERT INTO moved VALUES (?)", rows)
        other.execute("DELETE FROM t WHERE x > 0")
        (ctx.claude / "note").write_text("moved")
        """,
        """
        rows = ctx.db.execute("SELECT x FROM moved WHERE x > 0").fetchall()
        ctx.database("memory.db").executemany("INSERT INTO t VALUES (?)", rows)
        ctx.db.execute("DROP TABLE moved")
        (ctx.claude / "note").unlink()
        """,
    )
    before = project.dump(path)
    project.upgrade()
    assert project.query("SELECT x FROM t", database=path) == [(0,)]
    assert project.query("SELECT count(*) FROM moved") == [(3,)]
    assert project.query("PRAGMA journal_mode", database=path) == [(journal.lower(),)] or (
        journal == "TRUNCATE"  # not kept in the file
    )
    assert project.leftovers() == set()
    project.downgrade()
    assert project.dump(path) == before


@JOURNALS
def test_a_failing_step_leaves_the_other_database_as_it_was(project: Project, journal: str) -> None:
    path = memory(project, journal)
    before = project.dump(path)
    project.python(
        "1.0.0",
        """
        ctx.database("memory.db").execute("DROP TABLE t")
        ctx.database("new.db").execute("CREATE TABLE u (x)")
        1 / 0
        """,
    )
    fails_unchanged(project)
    assert project.dump(path) == before


def test_a_read_of_another_database_is_no_change(project: Project) -> None:
    path = memory(project)
    content, status = path.read_bytes(), path.stat()
    project.python("1.0.0", "ctx.database('memory.db').execute('SELECT * FROM t').fetchall()")
    project.upgrade()
    assert path.read_bytes() == content
    assert path.stat().st_mtime_ns == status.st_mtime_ns


def test_rows_that_still_stand_in_a_write_ahead_log_are_seen(project: Project) -> None:
    path = memory(project, "WAL")
    with project.connect(path) as other:
        other.execute("INSERT INTO t VALUES (99)")
        assert os.path.getsize(f"{path}-wal") > 0
        project.python(
            "1.0.0",
            "other = ctx.database('memory.db')\n"
            "assert other.execute('SELECT max(x) FROM t').fetchone() == (99,)\n"
            "other.execute('INSERT INTO t VALUES (100)')",
        )
        project.upgrade()
        assert other.execute("SELECT max(x) FROM t").fetchone() == (100,)


@pytest.mark.parametrize("path", ["new.db", "existing/new.db", "fresh/deep/new.db"])
def test_a_new_database_is_created_with_the_step(project: Project, path: str) -> None:
    (project.claude / "existing").mkdir()
    project.python(
        "1.0.0",
        f"other = ctx.database({path!r}); other.execute('CREATE TABLE t (x)');"
        "other.execute('INSERT INTO t VALUES (1)')",
    )
    project.upgrade()
    assert project.query("SELECT x FROM t", database=project.claude / path) == [(1,)]


def test_a_new_database_that_stays_empty_is_not_created(project: Project) -> None:
    project.python("1.0.0", "ctx.database('new.db').execute('SELECT 1')")
    project.upgrade()
    assert not (project.claude / "new.db").exists()


def test_an_empty_file_becomes_a_database(project: Project) -> None:
    path = project.write("memory.db", "")
    project.python("1.0.0", "ctx.database('memory.db').execute('CREATE TABLE t (x)')")
    project.upgrade()
    assert project.query("SELECT count(*) FROM t", database=path) == [(0,)]


@pytest.mark.parametrize("mode", [0o600, 0o664])
def test_an_empty_file_that_becomes_a_database_keeps_its_mode(project: Project, mode: int) -> None:
    project.write("memory.db", "", mode)
    project.python("1.0.0", "ctx.database('memory.db').execute('CREATE TABLE t (x)')")
    project.upgrade()
    assert things(project.claude)["memory.db"].mode == mode


def test_a_database_that_another_program_makes_meanwhile_is_a_conflict(project: Project) -> None:
    project.python(
        "1.0.0",
        "ctx.database('memory.db').execute('CREATE TABLE ours (x)')\n"
        + meanwhile(project, SQL + "db.execute('CREATE TABLE theirs (x)')"),
    )
    assert isinstance(project.failure(), Conflict)
    path = project.claude / "memory.db"
    assert project.query("SELECT name FROM sqlite_schema", database=path) == [("theirs",)]
    assert project.applied() == []


def test_a_new_database_behind_a_link_is_made_where_the_link_leads(project: Project) -> None:
    (project.claude / "link.db").symlink_to("memory.db")
    project.python("1.0.0", "ctx.database('link.db').execute('CREATE TABLE t (x)')")
    project.upgrade()
    assert os.readlink(project.claude / "link.db") == "memory.db"
    assert (project.claude / "memory.db").is_file()


def test_two_further_databases_change_in_one_step_and_fail_in_one(project: Project) -> None:
    first = memory(project)
    second = project.setup("CREATE TABLE u (x)", project.claude / "second.db")
    project.python(
        "1.0.0",
        "ctx.database('memory.db').execute('DELETE FROM t');"
        "ctx.database('second.db').execute('INSERT INTO u VALUES (1)')",
    )
    project.upgrade()
    assert project.query("SELECT count(*) FROM t", database=first) == [(0,)]
    assert project.query("SELECT count(*) FROM u", database=second) == [(1,)]
    before = project.dump(first), project.dump(second)
    project.python(
        "1.1.0",
        "ctx.database('memory.db').execute('INSERT INTO t VALUES (1)');"
        "ctx.database('second.db').execute('DELETE FROM nothing')",
    )
    fails_unchanged(project)
    assert (project.dump(first), project.dump(second)) == before


def test_the_same_database_twice_is_one_connection_however_it_is_written(project: Project) -> None:
    memory(project)
    project.python(
        "1.0.0",
        "assert ctx.database('memory.db') is ctx.database('./memory.db');"
        "assert ctx.database('memory.db') is ctx.database(ctx.claude / 'memory.db')",
    )
    project.upgrade()


@JOURNALS
@pytest.mark.parametrize("statement", ["INSERT INTO t VALUES (7)", "CREATE TABLE theirs (x)"])
def test_a_change_by_another_program_during_the_step_is_a_conflict(
    project: Project, journal: str, statement: str
) -> None:
    path = memory(project, journal)
    project.python(
        "1.0.0",
        "ctx.database('memory.db').execute('DELETE FROM t')\n"
        "(ctx.claude / 'file').write_text('x')\n"
        f"{meanwhile(project, SQL + f'db.execute({statement!r})')}",
    )
    error = project.failure()
    assert isinstance(error, Conflict)
    assert "memory.db was changed by another program" in error.message
    assert project.applied() == []
    assert not (project.claude / "file").exists()
    # What the other program did is all that happened.
    if statement.startswith("INSERT"):
        assert project.query("SELECT count(*) FROM t", database=path) == [(4,)]
    else:
        assert project.query("SELECT count(*) FROM theirs", database=path) == [(0,)]
    assert project.leftovers() == set()


@JOURNALS
def test_a_database_held_by_another_program_is_busy_and_nothing_happens(
    project: Project, journal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_database, "_PATIENCE", 0.1)
    path = memory(project, journal)
    project.python("1.0.0", "ctx.database('memory.db').execute('DELETE FROM t')")
    with project.connect(path) as other:
        other.execute("BEGIN EXCLUSIVE")
        other.execute("INSERT INTO t VALUES (9)")
        error = project.failure()
        other.execute("ROLLBACK")
    assert isinstance(error, Busy)
    assert project.applied() == []
    assert project.query("SELECT count(*) FROM t", database=path) == [(3,)]


def test_a_long_reader_of_a_wal_database_does_not_stop_a_step(project: Project) -> None:
    path = memory(project, "WAL")
    project.python("1.0.0", "ctx.database('memory.db').execute('DELETE FROM t')")
    with project.connect(path) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM t").fetchone() == (3,)
        project.upgrade()
        assert reader.execute("SELECT count(*) FROM t").fetchone() == (3,)
        reader.execute("COMMIT")
        assert reader.execute("SELECT count(*) FROM t").fetchone() == (0,)


@pytest.mark.parametrize("size", [512, 1024, 8192])
def test_a_database_with_another_page_size_is_published(project: Project, size: int) -> None:
    path = project.setup(
        f"PRAGMA page_size={size}; CREATE TABLE t (x); INSERT INTO t VALUES (1)",
        project.claude / "memory.db",
    )
    project.python(
        "1.0.0",
        "ctx.database('memory.db').execute(\"INSERT INTO t VALUES (zeroblob(100000))\")",
    )
    project.upgrade()
    assert project.query("PRAGMA page_size", database=path) == [(size,)]
    assert project.query("SELECT count(*) FROM t", database=path) == [(2,)]


def test_a_large_database_shrinks_and_grows_in_one_step(project: Project) -> None:
    path = memory(project)
    project.setup("INSERT INTO t VALUES (zeroblob(3000000))", path)
    project.python("1.0.0", "ctx.database('memory.db').execute('DELETE FROM t WHERE x > 0')")
    project.python(
        "1.1.0", "ctx.database('memory.db').execute('INSERT INTO t VALUES (zeroblob(5000000))')"
    )
    project.upgrade()
    assert project.query("PRAGMA integrity_check", database=path) == [("ok",)]
    assert project.query("SELECT max(length(x)) FROM t", database=path) == [(5_000_000,)]


def test_a_database_reached_through_a_link_is_published_where_it_is(project: Project) -> None:
    memory(project)
    (project.claude / "link.db").symlink_to("memory.db")
    project.python("1.0.0", "ctx.database('link.db').execute('DELETE FROM t')")
    project.upgrade()
    assert os.readlink(project.claude / "link.db") == "memory.db"
    assert project.query("SELECT count(*) FROM t", database=project.claude / "memory.db") == [(0,)]


def test_a_database_s_mode_is_kept(project: Project) -> None:
    path = memory(project)
    path.chmod(0o600)
    project.python("1.0.0", "ctx.database('memory.db').execute('DELETE FROM t')")
    project.upgrade()
    assert things(project.claude)["memory.db"].mode == 0o600


REFUSED = {
    "orchestration/db/orchestration.db": "Use ctx.db.",
    "../outside.db": "",
    "/tmp/outside.db": "",
    ".plugin-migrate/lock.db": "",
    "link.db": "",
}


@pytest.mark.parametrize("path", REFUSED)
def test_paths_that_are_no_further_database_of_the_state_are_refused(
    project: Project, folder: Path, path: str
) -> None:
    (project.claude / "link.db").symlink_to(folder / "outside.db")
    project.python("1.0.0", f"ctx.database({path!r})")
    error = fails_unchanged(project)
    assert isinstance(error, ForbiddenStatement)
    assert REFUSED[path] in (error.hint or "")
    assert not (folder / "outside.db").exists()


def test_a_file_that_is_no_database_is_named(project: Project) -> None:
    project.write("memory.db", "this is text, and long enough to have a header" * 10)
    project.python("1.0.0", "ctx.database('memory.db')")
    error = fails_unchanged(project)
    assert isinstance(error, StateUnreadable | StepFailed)
    assert "memory.db" in f"{error.message} {error.file}"


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("other.commit()", "not needed"),
        ("other.execute('COMMIT')", "is not for a migration"),
        ("other.execute('PRAGMA journal_mode=WAL')", "transaction:false"),
        ("other.close()", "the engine closes it"),
        ("other.executescript('SELECT 1')", "execute() for each statement"),
        ("other.execute(\"ATTACH ':memory:' AS x\")", "ctx.database"),
    ],
)
def test_a_further_database_is_guarded_as_the_first(
    project: Project, code: str, sentence: str
) -> None:
    path = memory(project)
    before = project.dump(path)
    project.python(
        "1.0.0", f"other = ctx.database('memory.db'); other.execute('DELETE FROM t'); {code}"
    )
    assert sentence in fails_unchanged(project).message
    assert project.dump(path) == before


def test_a_further_database_may_have_tables_named_like_the_ledger(project: Project) -> None:
    path = memory(project)
    project.python("1.0.0", "ctx.database('memory.db').execute('CREATE TABLE migrations (x)')")
    project.upgrade()
    assert project.query("SELECT count(*) FROM migrations", database=path) == [(0,)]


def test_a_lost_transaction_on_a_further_database_fails_the_step(project: Project) -> None:
    path = project.setup(
        "CREATE TABLE t (x UNIQUE); INSERT INTO t VALUES (1)", project.claude / "memory.db"
    )
    before = project.dump(path)
    project.python(
        "1.0.0",
        """
        import sqlite3
        other = ctx.database("memory.db")
        other.execute("INSERT INTO t VALUES (2)")
        try:
            other.execute("INSERT OR ROLLBACK INTO t VALUES (1)")
        except sqlite3.IntegrityError:
            pass
        """,
    )
    error = fails_unchanged(project)
    assert "memory.db" in error.message
    assert project.dump(path) == before


KILLS = {
    "before the commit": 'event == "os.rename" and path.endswith("manifest.json")',
    "publishing a new database": 'event == "os.rename" and path.endswith("new.db")',
}


@pytest.mark.parametrize("when", KILLS)
@JOURNALS
def test_a_killed_step_with_further_databases_is_all_or_nothing(
    project: Project, when: str, journal: str
) -> None:
    path = memory(project, journal)
    project.make_ledger()
    project.python(
        "1.0.0",
        "ctx.database('memory.db').execute('DELETE FROM t');"
        "ctx.database('new.db').execute('CREATE TABLE u (x)')",
    )
    project.killed_at(KILLS[when])
    rows = project.query("SELECT count(*) FROM t", database=path)[0][0]
    assert (rows == 0) == (project.applied() == ["1.0.0"])
    project.upgrade()
    assert project.query("SELECT count(*) FROM t", database=path) == [(0,)]
    assert project.query("SELECT count(*) FROM u", database=project.claude / "new.db") == [(0,)]
    assert project.history().count(("1.0.0", "up", "done")) == 1
    assert project.leftovers() == set()
