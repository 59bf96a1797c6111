"""Databases that a step moves or removes: within the unit, and with a way back."""

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from plugin_migrate.errors import Conflict, ForbiddenStatement, StepFailed
from project import Project, unchanged
from rehearsed import verified

FACTS = "CREATE TABLE facts (x); INSERT INTO facts VALUES (1), (2)"


def facts(database: Path) -> list[int]:
    with closing(sqlite3.connect(database)) as connection:
        return [x for (x,) in connection.execute("SELECT x FROM facts ORDER BY x")]


@pytest.fixture
def database(project: Project) -> Path:
    """A further database of the state."""
    return project.setup(FACTS, project.claude / "data/x.db")


def test_a_moved_database_is_where_it_should_be_and_the_down_brings_it_back(
    project: Project, database: Path
) -> None:
    database.chmod(0o600)
    project.python(
        "1.0.0",
        'ctx.move_database("data/x.db", "memory/y.db")',
        'ctx.move_database("memory/y.db", "data/x.db")',
    )
    moved = project.claude / "memory/y.db"

    project.upgrade()

    assert not database.exists()
    assert facts(moved) == [1, 2]
    assert stat.S_IMODE(moved.stat().st_mode) == 0o600

    project.downgrade()

    assert not moved.exists()
    assert facts(database) == [1, 2]
    assert stat.S_IMODE(database.stat().st_mode) == 0o600


def test_a_removed_database_is_gone_and_the_down_of_one_that_was_made_leaves_nothing(
    project: Project,
) -> None:
    project.python(
        "1.0.0",
        'ctx.database("x.db").execute("CREATE TABLE facts (x)")',
        'ctx.remove_database("x.db")',
    )
    project.upgrade()
    assert (project.claude / "x.db").exists()

    project.downgrade()

    assert not (project.claude / "x.db").exists()


def test_verify_calls_moving_and_removing_with_a_way_back_reversible(
    project: Project, database: Path
) -> None:
    project.python(
        "1.0.0",
        'ctx.move_database("data/x.db", "y.db"); (ctx.claude / "data").rmdir()',
        '(ctx.claude / "data").mkdir(); ctx.move_database("y.db", "data/x.db")',
    )
    project.python(
        "1.1.0",
        'ctx.database("z.db").execute("CREATE TABLE a (x)")',
        'ctx.remove_database("z.db")',
    )
    project.python("1.2.0", 'ctx.remove_database("y.db")', "pass")

    found = verified(project)

    assert [(one.reversible, one.repeatable) for one in found.values()][:2] == [(True, True)] * 2
    assert found["1.2.0"].reversible is False
    assert "after down: .claude/y.db has another schema" in [
        one.what for one in found["1.2.0"].differences
    ]
    assert facts(database) == [1, 2]


def test_what_the_step_writes_goes_with_the_database(project: Project, database: Path) -> None:
    project.python(
        "1.0.0",
        """
        before = ctx.database("data/x.db")
        before.execute("INSERT INTO facts VALUES (3)")
        ctx.move_database("data/x.db", "y.db")
        before.execute("INSERT INTO facts VALUES (4)")
        ctx.database("y.db").execute("INSERT INTO facts VALUES (5)")
        ctx.move_database("y.db", "z.db")
        """,
        "pass",
    )

    project.upgrade()

    assert facts(project.claude / "z.db") == [1, 2, 3, 4, 5]
    assert not (project.claude / "y.db").exists()
    assert not database.exists()


def test_a_database_with_a_write_ahead_log_keeps_it(project: Project, database: Path) -> None:
    project.setup("PRAGMA journal_mode=WAL", database)
    project.python("1.0.0", 'ctx.move_database("data/x.db", "y.db")', "pass")

    project.upgrade()

    assert project.query("PRAGMA journal_mode", database=project.claude / "y.db") == [("wal",)]
    assert {path.name for path in database.parent.iterdir()} == set()


def test_a_failing_step_moves_and_removes_nothing(project: Project, database: Path) -> None:
    project.setup(FACTS, project.claude / "other.db")
    project.python(
        "1.0.0",
        'ctx.move_database("data/x.db", "y.db"); ctx.remove_database("other.db"); 1 / 0',
    )
    with unchanged(project):
        assert project.failure().message == "ZeroDivisionError: division by zero"


def test_a_database_that_another_program_uses_is_neither_moved_nor_removed(
    project: Project, database: Path
) -> None:
    project.setup("PRAGMA journal_mode=WAL", database)
    project.python("1.0.0", 'ctx.remove_database("data/x.db")')
    with closing(sqlite3.connect(database)) as other:
        other.execute("SELECT * FROM facts").fetchall()

        error = project.failure()

    assert isinstance(error, Conflict)
    assert "is in use by another program" in error.message
    assert facts(database) == [1, 2]


def test_a_database_that_another_program_changed_meanwhile_stays(
    project: Project, database: Path
) -> None:
    change = f"sqlite3.connect({str(database)!r}).executescript('DELETE FROM facts')"
    project.python(
        "1.0.0",
        f"""
        import subprocess, sys
        ctx.remove_database("data/x.db")
        subprocess.run([sys.executable, "-c", {"import sqlite3; " + change!r}], check=True)
        """,
    )

    assert isinstance(project.failure(), Conflict)
    assert facts(database) == []


def test_the_backup_brings_a_removed_database_back(project: Project, database: Path) -> None:
    project.python("1.0.0", 'ctx.remove_database("data/x.db")')
    project.upgrade()
    (folder,) = (project.bookkeeping / "backups").iterdir()

    done = project.cli("restore", folder.name)

    assert done.returncode == 0, done.stderr
    assert facts(database) == [1, 2]


@pytest.mark.parametrize(
    ("up", "kind", "message"),
    [
        ('ctx.remove_database("n.db")', StepFailed, "There is no database .claude/n.db"),
        ('ctx.move_database("n.db", "y.db")', StepFailed, "There is no database .claude/n.db"),
        (
            'ctx.move_database("data/x.db", "a")',
            StepFailed,
            "There is something at .claude/a already",
        ),
        (
            'ctx.remove_database("data/x.db"); ctx.database("data/x.db")',
            StepFailed,
            "The database data/x.db was removed by this migration",
        ),
        (
            'ctx.move_database("data/x.db", "y.db"); ctx.move_database("data/x.db", "z.db")',
            StepFailed,
            "The database data/x.db was moved to y.db by this migration",
        ),
        (
            'ctx.remove_database("orchestration/db/orchestration.db")',
            ForbiddenStatement,
            "orchestration/db/orchestration.db is the state database",
        ),
        ('ctx.move_database("data/x.db", "../y.db")', ForbiddenStatement, "../y.db is not below"),
    ],
)
def test_what_cannot_be_moved_or_removed_is_refused(
    project: Project, database: Path, up: str, kind: type[Exception], message: str
) -> None:
    project.write("a", "a file")
    project.python("1.0.0", up)
    with unchanged(project):
        error = project.failure()
    assert isinstance(error, kind)
    assert message in error.message


@pytest.mark.parametrize(
    "up",
    [
        '(ctx.claude / "data/x.db").rename(ctx.claude / "y.db")',
        '(ctx.claude / "data/x.db").unlink()',
        'import shutil; shutil.copy(ctx.claude / "data/x.db", ctx.claude / "y.db")',
    ],
)
def test_handling_a_database_as_a_file_says_what_to_do_instead(
    project: Project, database: Path, up: str
) -> None:
    project.python("1.0.0", up)

    error = project.failure()

    assert "'.claude/data/x.db'" in error.message
    assert error.hint is not None
    assert "ctx.move_database(old, new)" in error.hint


def test_an_interrupted_move_is_finished_by_the_next_command(
    project: Project, database: Path
) -> None:
    project.python("1.0.0", 'ctx.move_database("data/x.db", "y.db")')

    project.killed_at("event == 'os.rename' and '/out-' in path")
    project.upgrade()

    assert not database.exists()
    assert facts(project.claude / "y.db") == [1, 2]
