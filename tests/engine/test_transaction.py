"""Steps and their transactions: alone, several in one, and without one."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from plugin_migrate.engine import backup
from plugin_migrate.engine.engine import Reporter, StepResult
from plugin_migrate.engine.prepare import Prepared
from plugin_migrate.errors import Busy, Conflict, PlanRefused, StateUnreadable, StepFailed
from plugin_migrate.plan import State
from project import Project, fails_unchanged, meanwhile, overwrite_in_place, unchanged


def test_a_step_and_its_ledger_row_are_one(project: Project) -> None:
    project.sql("1.0.0", "CREATE TABLE t (x);", "DROP TABLE t;")
    project.upgrade()
    assert project.applied() == ["1.0.0"]
    assert project.history() == [("1.0.0", "up", "done")]
    project.downgrade()
    assert project.applied() == []
    assert project.query("SELECT count(*) FROM sqlite_schema WHERE name = 't'") == [(0,)]
    assert project.history() == [("1.0.0", "up", "done"), ("1.0.0", "down", "done")]


@pytest.mark.parametrize("failing", [1, 2, 3, 4, 5])
def test_a_failing_step_keeps_the_ones_before_it_and_stops(project: Project, failing: int) -> None:
    for number in range(1, 6):
        broken = "INSERT INTO nowhere VALUES (1);" if number == failing else ""
        project.sql(f"1.{number}.0", f"CREATE TABLE t{number} (x); {broken}")
    run = project.try_upgrade()
    done = [f"1.{number}.0" for number in range(1, failing)]
    assert [str(result.version) for result in run.results] == done
    assert project.applied() == done
    tables = project.query("SELECT name FROM sqlite_schema WHERE name GLOB 't[0-9]' ORDER BY 1")
    assert tables == [(f"t{number}",) for number in range(1, failing)]
    assert project.history() == [
        *((version, "up", "done") for version in done),
        (f"1.{failing}.0", "up", "failed"),
    ]


@pytest.mark.parametrize("statement", ["INSERT OR ROLLBACK INTO u VALUES (1)", "SELECT * FROM no"])
def test_a_group_that_loses_its_transaction_is_run_again_one_by_one(
    project: Project, statement: str
) -> None:
    project.sql("1.0.0", "CREATE TABLE u (x UNIQUE); INSERT INTO u VALUES (1);")
    project.sql("1.1.0", "CREATE TABLE second (x);")
    project.sql("1.2.0", f"CREATE TABLE third (x); {statement};")
    project.sql("1.3.0", "CREATE TABLE fourth (x);")
    run = project.try_upgrade()
    assert [str(result.version) for result in run.results] == ["1.0.0", "1.1.0"]
    assert run.failed is not None
    assert str(run.failed.version) == "1.2.0"
    assert project.applied() == ["1.0.0", "1.1.0"]
    assert project.query("SELECT name FROM sqlite_schema WHERE name IN ('third', 'fourth')") == []


def test_a_step_is_told_as_finished_only_when_another_connection_sees_it(
    project: Project,
) -> None:
    for number in range(6):
        project.sql(f"1.{number}.0", f"CREATE TABLE t{number} (x);")
    told = []

    class Looks(Reporter):
        def finished(self, result: StepResult) -> None:
            assert str(result.version) in project.applied()
            told.append(str(result.version))

    project.upgrade(reporter=Looks())
    assert told == [f"1.{number}.0" for number in range(6)]


@pytest.fixture(params=[2, 500])
def batch(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """How many steps may share a transaction; the connection also outlives it."""
    monkeypatch.setattr("plugin_migrate.engine.engine._SHARED_STEPS", request.param)


@pytest.mark.usefixtures("batch")
@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TEMP TABLE scratch (x)",
        "CREATE TEMP VIEW scratch AS SELECT 1",
        "CREATE TABLE temp.scratch (x)",
        "CREATE TABLE IF NOT EXISTS temp.scratch (x)",
        "CREATE TABLE temp.scratch AS SELECT 1 x",
        "CREATE VIEW temp.scratch AS SELECT 1",
        "CREATE TRIGGER temp.scratch AFTER INSERT ON t BEGIN INSERT INTO t VALUES (2); END",
    ],
)
def test_what_a_step_makes_temporary_is_gone_for_the_next(project: Project, statement: str) -> None:
    project.sql("0.9.0", "CREATE TABLE t (x);")
    project.sql("1.0.0", f"{statement};")
    project.sql("1.1.0", f"{statement};")
    project.sql("1.2.0", "INSERT INTO t SELECT count(*) FROM sqlite_temp_schema;")
    project.upgrade()
    assert project.query("SELECT x FROM t") == [(0,)]


@pytest.mark.usefixtures("batch")
def test_a_setting_of_one_step_does_not_reach_the_next(project: Project) -> None:
    project.sql("0.9.0", "CREATE TABLE t (x);")
    project.sql("1.0.0", "PRAGMA case_sensitive_like=ON;")
    project.sql("1.1.0", "INSERT INTO t SELECT 'A' LIKE 'a';")
    project.upgrade()
    assert project.query("SELECT x FROM t") == [(1,)]


@pytest.mark.usefixtures("batch")
def test_between_transactions_others_may_read_and_write(project: Project) -> None:
    for number in range(6):
        project.sql(f"1.{number}.0", f"CREATE TABLE t{number} (x); SELECT 1 UNION SELECT 2;")

    class Writes(Reporter):
        def finished(self, result: StepResult) -> None:
            with project.connect() as other:
                other.execute(f"CREATE TABLE others_{result.version.minor} (x)")

    project.upgrade(reporter=Writes())
    names = project.query("SELECT count(*) FROM sqlite_schema WHERE name GLOB '[to]*[0-9]'")
    assert names == [(12,)]


def replace_database(project: Project) -> None:
    """Put an equal file in the database's place, as a restored backup is or a synced folder."""
    copy = project.database.with_name("copy.db")
    with project.connect() as original, closing(sqlite3.connect(copy)) as other:
        original.backup(other)
        other.execute(
            f"PRAGMA journal_mode={original.execute('PRAGMA journal_mode').fetchone()[0]}"
        )
    for suffix in ("-wal", "-shm"):
        Path(f"{project.database}{suffix}").unlink(missing_ok=True)
    copy.replace(project.database)


@pytest.mark.usefixtures("batch")
@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_a_step_after_the_database_was_replaced_goes_into_the_new_one(
    project: Project, journal: str
) -> None:
    project.sql("0.9.0", "CREATE TABLE first (x);")
    project.upgrade()
    project.setup(f"PRAGMA journal_mode={journal}")
    for number in range(6):
        project.sql(f"1.{number}.0", f"CREATE TABLE t{number} (x);")

    class Replaces(Reporter):
        def finished(self, result: StepResult) -> None:
            replace_database(project)

    run = project.upgrade(reporter=Replaces())
    assert len(run.results) == 6
    assert project.applied() == ["0.9.0", *(f"1.{number}.0" for number in range(6))]


def test_between_transactions_others_may_choose_another_journal(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plugin_migrate.engine.engine._SHARED_STEPS", 2)
    project.setup("PRAGMA journal_mode=WAL; CREATE TABLE mine (x)")
    for number in range(4):
        project.sql(f"1.{number}.0", f"CREATE TABLE t{number} (x);")
    modes = []

    class Chooses(Reporter):
        def finished(self, result: StepResult) -> None:
            modes.extend(project.query("PRAGMA journal_mode=DELETE"))

    project.upgrade(reporter=Chooses())
    assert modes == [("delete",)] * 4
    assert len(project.applied()) == 4


def test_a_step_sees_what_somebody_wrote_over_the_database_in_place(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plugin_migrate.engine.engine._SHARED_STEPS", 2)
    project.sql("0.9.0", "CREATE TABLE t (x); INSERT INTO t VALUES ('ours');")
    project.upgrade()
    for number in range(4):
        project.sql(f"1.{number}.0", f"INSERT INTO t SELECT max(x) || {number} FROM t;")

    class Overwrites(Reporter):
        def finished(self, result: StepResult) -> None:
            if result.version.minor != 1:
                return
            copy = tmp_path / "copy.db"
            copy.write_bytes(project.database.read_bytes())
            with closing(sqlite3.connect(copy)) as other, other:
                other.execute("UPDATE t SET x = 'foreign' || rowid")
            overwrite_in_place(project.database, copy.read_bytes())

    project.upgrade(reporter=Overwrites())
    assert project.query("SELECT count(*) FROM t WHERE x LIKE 'ours%'") == [(0,)]


def behind_the_backup(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    """Let ``act`` happen once the copy of the state database is on the disk."""
    sync = backup.sync_file

    def acting(path: str) -> None:
        sync(path)
        if path.endswith("state.db"):
            act()

    monkeypatch.setattr(backup, "sync_file", acting)


@pytest.mark.parametrize("journal", ["delete", "wal"])
@pytest.mark.parametrize("count", [1, 3])
def test_steps_after_the_database_was_replaced_behind_the_backup_go_into_the_new_one(
    project: Project, monkeypatch: pytest.MonkeyPatch, journal: str, count: int
) -> None:
    project.sql("0.9.0", "CREATE TABLE first (x);")
    project.upgrade()
    project.setup(f"PRAGMA journal_mode={journal}")
    for number in range(count):
        project.sql(f"1.{number}.0", f"CREATE TABLE t{number} (x);")
    behind_the_backup(monkeypatch, lambda: replace_database(project))
    project.upgrade()
    assert len(project.applied()) == 1 + count


@pytest.mark.parametrize("count", [1, 3])
def test_a_database_that_is_locked_after_the_backup_fails_the_step_and_no_other(
    project: Project, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    project.sql("0.9.0", "CREATE TABLE first (x);")
    project.upgrade()
    for number in range(count):
        project.sql(f"1.{number}.0", f"CREATE TABLE t{number} (x);")
    monkeypatch.setattr("plugin_migrate.storage.sqlite.WRITE_PATIENCE", 0.01)
    with project.connect() as other:
        copy = backup.copy_live

        def locking(*paths: str) -> None:
            copy(*paths)
            other.execute("BEGIN EXCLUSIVE")

        monkeypatch.setattr(backup, "copy_live", locking)
        run = project.try_upgrade()
    assert isinstance(run.error, Busy)
    assert run.failed is not None
    assert str(run.failed.version) == "1.0.0"
    assert project.applied() == ["0.9.0"]


def test_a_ledger_that_is_broken_while_a_run_begins_leaves_no_lock_behind(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.sql("0.9.0", "CREATE TABLE first (x);")
    project.upgrade()
    project.sql("1.0.0", "CREATE TABLE t (x);")
    rename = "ALTER TABLE migrations RENAME TO elsewhere"
    behind_the_backup(monkeypatch, lambda: project.setup(rename))
    run = project.try_upgrade()
    assert run.error is not None  # which holds on to what it passed through
    with project.connect() as other:
        other.execute("BEGIN IMMEDIATE")


@pytest.mark.usefixtures("batch")
def test_a_step_of_another_kind_gets_a_connection_of_its_own(project: Project) -> None:
    for number in range(3):
        project.sql(f"1.{number}.0", f"CREATE TABLE t{number} (x);")
    project.sql("1.3.0", "VACUUM;\nPRAGMA journal_mode=WAL;", options="transaction:false")
    for number in range(4, 7):
        project.sql(f"1.{number}.0", f"CREATE TABLE t{number} (x);")
    project.sql("1.7.0", "PRAGMA journal_mode=DELETE;", options="transaction:false")
    project.upgrade()
    assert project.query("PRAGMA journal_mode") == [("delete",)]


@pytest.mark.usefixtures("batch")
def test_a_code_migration_sees_nothing_of_what_its_connection_did_before(project: Project) -> None:
    for number in range(3):
        project.sql(f"1.{number}.0", f"CREATE TABLE t{number} AS SELECT 1 AS x;")
    project.python("1.3.0", "ctx.db.execute(f'CREATE TABLE seen{ctx.db.total_changes} (x)')")
    project.upgrade()
    assert project.query("SELECT name FROM sqlite_schema WHERE name LIKE 'seen%'") == [("seen0",)]


def is_open(project: Project) -> bool:
    descriptors = Path("/proc/self/fd")
    links = [os.readlink(one) for one in descriptors.iterdir() if one.is_symlink()]
    return str(project.database) in links


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="Linux only")
def test_a_run_that_has_nothing_to_do_or_may_not_leaves_no_connection_open(
    project: Project,
) -> None:
    first = project.sql("1.0.0", "CREATE TABLE t (x);")
    project.upgrade()
    run = project.try_upgrade()
    assert not run.results
    assert not is_open(project)
    first.write_text("-- migrate:up\nCREATE TABLE another (x);\n")
    with pytest.raises(PlanRefused) as refused:
        project.upgrade()
    assert not is_open(project)
    assert refused.traceback  # which holds on to all that was in use


def test_last_insert_rowid_and_changes_are_not_needed_between_steps(project: Project) -> None:
    project.sql("1.0.0", "CREATE TABLE t (x); INSERT INTO t VALUES (1);")
    project.sql("1.1.0", "SAVEPOINT s; INSERT INTO t VALUES (2);")
    project.sql("1.2.0", "INSERT INTO t VALUES (3);")
    project.upgrade()
    assert project.query("SELECT x FROM t") == [(1,), (2,), (3,)]


def test_user_version_is_part_of_the_step(project: Project) -> None:
    project.sql("1.0.0", "PRAGMA user_version=5;")
    project.upgrade()
    project.sql("1.1.0", "PRAGMA user_version=6; SELECT * FROM nowhere;")
    fails_unchanged(project)
    assert project.query("PRAGMA user_version") == [(5,)]


def test_a_wal_database_stays_a_wal_database(project: Project) -> None:
    project.setup("PRAGMA journal_mode=WAL; CREATE TABLE mine (x)")
    project.sql("1.0.0", "CREATE TABLE t (x);")
    project.upgrade()
    assert project.query("PRAGMA journal_mode") == [("wal",)]


def test_others_may_read_and_write_while_a_step_prepares(project: Project) -> None:
    project.setup("CREATE TABLE others (x)")
    project.python(
        "1.0.0", "ctx.db.executemany('INSERT INTO big VALUES (?)', [('x' * 9000,)] * 2000)"
    )
    project.sql("0.9.0", "CREATE TABLE big (x);")

    class Writes(Reporter):
        def started(self, prepared: Prepared) -> None:
            with project.connect() as other:
                other.execute("INSERT INTO others VALUES (1)")

    project.upgrade(reporter=Writes())
    assert project.query("SELECT count(*) FROM others")[0][0] >= 1


def test_a_large_step_does_not_lock_readers_out_before_its_commit(project: Project) -> None:
    project.sql("0.9.0", "CREATE TABLE big (x);")
    project.upgrade()
    project.python(
        "1.0.0",
        "ctx.db.executemany('INSERT INTO big VALUES (?)', [('x' * 9000,)] * 2000)\n"
        + meanwhile(
            project,
            "import sys, sqlite3\n"
            "db = sqlite3.connect(sys.argv[1] + '/orchestration/db/orchestration.db', timeout=0)\n"
            "assert db.execute('SELECT count(*) FROM big').fetchone() == (0,)",
        ),
    )
    project.upgrade()
    assert project.query("SELECT count(*) FROM big") == [(2000,)]


def test_another_program_s_open_transaction_makes_the_step_wait_and_then_fail_cleanly(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    from plugin_migrate.storage import sqlite

    monkeypatch.setattr(sqlite, "WRITE_PATIENCE", 0.05)
    project.sql("1.0.0", "CREATE TABLE t (x);")
    project.make_ledger()
    with project.connect() as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Busy):
            project.upgrade()
        other.execute("ROLLBACK")
    assert project.applied() == []


def test_a_step_that_somebody_else_applied_meanwhile_is_a_conflict(project: Project) -> None:
    project.python("1.0.0", "pass")
    project.python("1.1.0", "pass")

    class Applies(Reporter):
        def finished(self, result: StepResult) -> None:
            project.setup(
                "INSERT INTO migrations (version, description, execution_time_ms, checksum,"
                " direction) VALUES ('1.1.0', 'theirs', 0, 'x', 'up')"
            )

    run = project.try_upgrade(reporter=Applies())
    assert isinstance(run.error, Conflict)
    assert project.query("SELECT description FROM migrations WHERE version = '1.1.0'") == [
        ("theirs",)
    ]


@pytest.mark.parametrize("kind", ["sql", "python"])
def test_a_ledger_that_somebody_else_removed_meanwhile_is_told(project: Project, kind: str) -> None:
    project.python("1.0.0", "pass")
    for version in ("1.1.0", "1.2.0"):
        if kind == "sql":
            project.sql(version, f"CREATE TABLE t{version[2]} (x);")
        else:
            project.python(version, "pass")

    class Removes(Reporter):
        def finished(self, result: StepResult) -> None:
            project.setup("DROP TABLE migrations")

    run = project.try_upgrade(reporter=Removes())
    assert isinstance(run.error, StateUnreadable)
    assert "no such table: main.migrations" in run.error.message
    assert [str(result.version) for result in run.results] == ["1.0.0"]


# --- transaction:false -------------------------------------------------------------------------


def test_vacuum_and_journal_mode_work_without_a_transaction(project: Project) -> None:
    project.sql(
        "1.0.0",
        "PRAGMA journal_mode=WAL; VACUUM; CREATE TABLE t (x); BEGIN; INSERT INTO t VALUES (1);"
        " COMMIT;",
        "DROP TABLE t; PRAGMA journal_mode=DELETE; VACUUM;",
        options="transaction:false",
    )
    project.upgrade()
    assert project.query("PRAGMA journal_mode") == [("wal",)]
    assert project.query("SELECT x FROM t") == [(1,)]
    assert project.history() == [("1.0.0", "up", "started"), ("1.0.0", "up", "done")]
    assert project.states() == {"1.0.0": State.APPLIED}
    project.downgrade()
    assert project.query("PRAGMA journal_mode") == [("delete",)]
    assert project.states() == {"1.0.0": State.PENDING}


def test_a_partial_failure_without_a_transaction_is_interrupted_until_the_user_decides(
    project: Project,
) -> None:
    project.sql("1.0.0", "CREATE TABLE t (x); SELECT * FROM no;", options="transaction:false")
    error = project.failure()
    assert isinstance(error, StepFailed)
    assert project.query("SELECT count(*) FROM t") == [(0,)]
    assert project.states() == {"1.0.0": State.INTERRUPTED}
    with pytest.raises(PlanRefused, match="interrupted"):
        project.upgrade()


def test_a_clean_failure_without_a_transaction_is_pending_again(project: Project) -> None:
    project.sql("1.0.0", "SELECT * FROM nowhere;", options="transaction:false")
    with unchanged(project):
        project.failure()
    assert project.states() == {"1.0.0": State.PENDING}
    project.sql("1.0.0", "CREATE TABLE t (x);", options="transaction:false")
    project.upgrade()
    assert project.states() == {"1.0.0": State.APPLIED}


def test_a_transaction_left_open_fails_the_step(project: Project) -> None:
    project.sql("1.0.0", "BEGIN; CREATE TABLE t (x);", options="transaction:false")
    error = project.failure()
    assert "leaves a transaction open" in error.message
    assert project.query("SELECT count(*) FROM sqlite_schema WHERE name = 't'") == [(0,)]


def test_a_step_killed_without_a_transaction_is_interrupted(project: Project) -> None:
    project.sql("1.0.0", "CREATE TABLE t (x);", options="transaction:false")
    project.make_ledger()
    # The last connection is the one for the ledger's row, when the statements are through.
    project.killed_at(_CONNECTS, nth=_connections_of_a_run(project))
    assert project.states() == {"1.0.0": State.INTERRUPTED}
    assert project.query("SELECT count(*) FROM t") == [(0,)]


_CONNECTS = "event == 'sqlite3.connect' and 'orchestration.db' in path"


def _connections_of_a_run(project: Project) -> int:
    """Return how many connections such a run makes, counted on another project."""
    twin = Project(project.root.parent / "twin")
    twin.sql("1.0.0", "CREATE TABLE t (x);", options="transaction:false")
    twin.make_ledger()
    counter = f"""
import atexit, os
count = [0]
def hook(event, arguments):
    path = os.fsdecode(arguments[0]) if event == "sqlite3.connect" else ""
    count[0] += {_CONNECTS}
sys.addaudithook(hook)
atexit.register(lambda: print("connections", count[0], file=sys.stderr))
"""
    done = twin.cli("upgrade", "--no-backup", before=counter)
    return int(done.stderr.rpartition("connections")[2])


def test_steps_with_and_without_a_transaction_alternate(project: Project) -> None:
    project.sql("1.0.0", "CREATE TABLE a (x);")
    project.sql("1.1.0", "VACUUM;", options="transaction:false")
    project.sql("1.2.0", "CREATE TABLE b (x);")
    project.python("1.3.0", "ctx.db.execute('CREATE TABLE c (x)')")
    project.sql("1.4.0", "CREATE TABLE d (x);")
    project.upgrade()
    assert project.applied() == ["1.0.0", "1.1.0", "1.2.0", "1.3.0", "1.4.0"]


def test_an_async_migration_is_awaited(project: Project) -> None:
    project._migration(
        "1.0.0-step.py",
        "import asyncio\n"
        "async def up(ctx):\n"
        "    await asyncio.sleep(0)\n"
        "    ctx.db.execute('CREATE TABLE t (x)')\n",
    )
    project.upgrade()
    assert project.query("SELECT count(*) FROM t") == [(0,)]


def test_a_cursor_left_open_does_not_hold_the_commit_up(project: Project) -> None:
    project.python(
        "1.0.0",
        """
        global keep
        ctx.db.execute("CREATE TABLE t (x)")
        ctx.db.executemany("INSERT INTO t VALUES (?)", [(1,), (2,), (3,)])
        keep = ctx.db.execute("SELECT x FROM t")
        keep.fetchone()
        """,
    )
    project.upgrade()
    assert project.query("SELECT count(*) FROM t") == [(3,)]


def test_a_connection_kept_from_a_step_is_of_no_use_afterwards(project: Project) -> None:
    project.python("1.0.0", "import builtins; builtins.kept_connection = ctx.db")
    project.upgrade()
    import builtins

    kept = vars(builtins).pop("kept_connection")
    with pytest.raises(sqlite3.ProgrammingError):
        kept.execute("CREATE TABLE late (x)")
