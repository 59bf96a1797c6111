"""What verify says of a project that commits its files and not its databases, and that it is so."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from plugin_migrate.errors import HistoryLacksTree
from plugin_migrate.render.rehearsal import verified_text
from plugin_migrate.render.style import Style
from project import Project
from rehearsed import verified

Git = Callable[..., str]

# The README's own example.
MOVE = """
    ctx.db.execute("CREATE TABLE todo (id INTEGER PRIMARY KEY, title TEXT NOT NULL)")
    with ctx.edit_json("settings.json") as settings:
        titles = settings.pop("todo", [])
    ctx.db.executemany("INSERT INTO todo (title) VALUES (?)", [(title,) for title in titles])
    """
MOVE_BACK = """
    titles = [title for (title,) in ctx.db.execute("SELECT title FROM todo ORDER BY id")]
    with ctx.edit_json("settings.json") as settings:
        settings["todo"] = titles
    ctx.db.execute("DROP TABLE todo")
    """
SETTINGS = '{"model": "opus", "todo": ["write tests", "cut a release"]}\n'
IGNORED = "/.claude/orchestration/\n*.db\n"
LOST = "for others: .claude/settings.json is not committed as it is"


def committed(project: Project, git: Git, ignored: str = IGNORED) -> None:
    """Make the project a repository with everything committed but what it ignores."""
    (project.root / ".gitignore").write_text(ignored)
    git("init", "-q", "-b", "main", cwd=project.root)
    commit(project, git)


def commit(project: Project, git: Git) -> None:
    git("add", "-A", cwd=project.root)
    git("commit", "-q", "-m", "x", cwd=project.root)


def cloned(project: Project, git: Git) -> Project:
    """Return a new clone of the project."""
    target = project.root.parent / "bob"
    git("clone", "-q", project.root, target, cwd=project.root)
    return Project(target)


def titles(project: Project, database: Path | None = None) -> list[str]:
    with closing(sqlite3.connect(database or project.database)) as connection:
        return [title for (title,) in connection.execute("SELECT title FROM todo ORDER BY id")]


@pytest.fixture
def moving(project: Project) -> Project:
    """A project with the README's settings and its migration."""
    project.write("settings.json", SETTINGS)
    project.python("1.0.0", MOVE, MOVE_BACK)
    return project


def test_whoever_clones_gets_the_rows_and_verify_says_so(moving: Project, git: Git) -> None:
    committed(moving, git)

    document = json.loads(moving.cli("verify", "--format=json").stdout)["migrations"][0]

    assert (document["idempotent"], document["keeps_rows"]) == (True, True)
    moving.upgrade()
    commit(moving, git)
    clone = cloned(moving, git)
    clone.upgrade()
    assert titles(moving) == titles(clone) == ["write tests", "cut a release"]


def test_values_that_are_not_committed_are_shown_and_a_clone_is_refused(
    moving: Project, git: Git
) -> None:
    committed(moving, git)
    moving.write("settings.json", SETTINGS.replace("a release", "it"))

    done = moving.cli("verify")
    document = json.loads(moving.cli("verify", "--format=json").stdout)["migrations"][0]

    assert done.returncode == 0
    assert "│ files only   │" in done.stdout
    assert f"  {LOST}\n    Git carries the files, and not the databases" in done.stdout
    assert "Commit the files as they are now, then upgrade" in done.stdout
    assert done.stdout.endswith(
        "✓ 1 migration(s) verified, but whoever pulls gets no rows of 1.0.0\n"
    )
    assert (document["idempotent"], document["keeps_rows"]) == (True, False)
    moving.upgrade()
    commit(moving, git)
    assert isinstance(cloned(moving, git).failure(), HistoryLacksTree)


def test_where_git_carries_the_database_too_nothing_is_said_and_nothing_is_lost(
    moving: Project, git: Git
) -> None:
    committed(moving, git, ignored="")

    found = verified(moving)["1.0.0"]

    assert (found.idempotent, found.keeps_rows, found.differences) == (True, None, ())
    moving.upgrade()
    commit(moving, git)
    clone = cloned(moving, git)
    assert clone.upgrade().results == ()
    assert titles(clone) == ["write tests", "cut a release"]


@pytest.mark.parametrize("is_repository", [False, True])
def test_who_commits_nothing_is_not_bothered(
    moving: Project, git: Git, is_repository: bool
) -> None:
    if is_repository:
        committed(moving, git, ignored="/.claude/\n")

    found = verified(moving)["1.0.0"]

    assert (found.idempotent, found.keeps_rows, found.differences) == (True, None, ())
    assert "yes" in verified_text([found], str, Style(), lint_only=False)


def test_rows_of_a_further_database_count_as_well(project: Project, git: Git) -> None:
    project.write("settings.json", SETTINGS)
    project.python("1.0.0", MOVE.replace("ctx.db.", 'ctx.database("notes.db").'))
    committed(project, git)
    project.write("settings.json", '{"todo": []}')

    found = verified(project)["1.0.0"]

    assert found.keeps_rows is False
    assert [one.what for one in found.differences] == [LOST]


def test_a_migration_that_takes_nothing_out_of_files_is_not_asked(
    project: Project, git: Git
) -> None:
    project.write("settings.json", SETTINGS)
    project.sql("1.0.0", "CREATE TABLE todo (title);", "DROP TABLE todo;")
    project.python("1.1.0", '(ctx.claude / "new").touch()', '(ctx.claude / "new").unlink()')
    committed(project, git)

    assert [one.keeps_rows for one in verified(project).values()] == [None, None]


def test_what_follows_is_proved_on_the_true_files_and_rows(moving: Project, git: Git) -> None:
    moving.write("log", "")
    moving.python(
        "1.1.0",
        """
        ctx.db.execute("CREATE TABLE more (x)")
        log = ctx.claude / "log"
        log.write_text(log.read_text() + "entry\\n")
        """,
        'ctx.db.execute("DROP TABLE more"); (ctx.claude / "log").write_text("")',
    )
    moving.python(
        "1.2.0",
        """
        assert len(ctx.db.execute("SELECT * FROM todo").fetchall()) == 2
        assert (ctx.claude / "log").read_text() == "entry\\n"
        ctx.db.execute("CREATE TABLE c (x)")
        """,
        'ctx.db.execute("DROP TABLE c")',
    )
    committed(moving, git)

    found = verified(moving)

    assert [one.reversible for one in found.values()] == [True, True, True]
    assert [one.repeatable for one in found.values()] == [True, True, True]
    assert [one.keeps_rows for one in found.values()] == [True, True, None]
    assert [one.error for one in found.values()] == [None, None, None]


def test_a_repository_cannot_have_a_program_run_by_being_asked(moving: Project, git: Git) -> None:
    committed(moving, git)
    git("config", "core.fsmonitor", f"touch {moving.root.parent}/executed; false", cwd=moving.root)

    assert verified(moving)["1.0.0"].keeps_rows is True
    assert not (moving.root.parent / "executed").exists()
