"""Files that no upgrade applies, for their names: shown, and in nobody else's way."""

import json
from collections.abc import Callable

import pytest

from plugin_migrate.errors import DuplicateVersion
from project import Project

Git = Callable[..., str]
BOTH = "Two migrations have version 1.1.0: 1.1.0-a.sql and 1.1.0-b.sql"
COMMANDS = [["history"], ["downgrade", "--dry-run"], ["restore"], ["repair"], ["create", "other"]]


def table(name: str) -> str:
    return f"-- migrate:up\nCREATE TABLE {name} (x);\n-- migrate:down\nDROP TABLE {name};\n"


def write(project: Project, name: str) -> None:
    (project.migrations / name).write_text(table(name[6:7]))


@pytest.fixture
def doubled(project: Project) -> Project:
    """A project with 1.0.0 applied, two files of 1.1.0, and 1.2.0."""
    project.sql("1.0.0", "CREATE TABLE first (x);", "DROP TABLE first;")
    project.upgrade()
    for name in ("1.1.0-a.sql", "1.1.0-b.sql", "1.2.0-c.sql"):
        write(project, name)
    return project


def test_two_files_with_one_version_are_rows_of_the_status(doubled: Project) -> None:
    done = doubled.cli("status")
    rows = json.loads(doubled.cli("status", "--format=json").stdout)
    listed = doubled.cli("status", "--format=list").stdout.splitlines()

    assert done.returncode == 0
    assert "│ 1.1.0     │ 1.1.0-a.sql   │ Refused  │" in done.stdout
    assert "│ 1.1.0     │ 1.1.0-b.sql   │ Refused  │" in done.stdout
    assert "\nSummary: 1 applied, 1 pending, 2 refused\n" in done.stdout
    assert done.stdout.count(f"✗ Error: {BOTH}\n") == 1
    assert listed[1:3] == ["1.1.0  refused  1.1.0-a.sql", "1.1.0  refused  1.1.0-b.sql"]
    assert [one["version"] for one in rows["migrations"]] == ["1.0.0", "1.2.0"]
    assert [(one["file"], one["version"], one["code"]) for one in rows["refused"]] == [
        ("1.1.0-a.sql", "1.1.0", "duplicate_version"),
        ("1.1.0-b.sql", "1.1.0", "duplicate_version"),
    ]
    assert "refused" not in doubled.cli("status", "--applied-only", "--format=list").stdout


@pytest.mark.parametrize("arguments", COMMANDS, ids=str)
def test_what_is_not_their_upgrade_goes_on(doubled: Project, arguments: list[str]) -> None:
    assert doubled.cli(*arguments).returncode == 0


def test_the_next_version_is_above_them(doubled: Project) -> None:
    (doubled.migrations / "1.2.0-c.sql").unlink()

    assert "1.1.1-other.py" in doubled.cli("create", "other").stdout
    assert "exists already" in doubled.cli("create", "x", "--version=1.1.0").stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["upgrade"],
        ["upgrade", "--dry-run"],
        ["upgrade", "--preview"],
        ["upgrade", "--all"],
        ["upgrade", "1.2.0"],
        ["baseline", "1.2.0"],
        ["verify"],
    ],
    ids=str,
)
def test_an_upgrade_that_comes_to_them_is_refused_whole(
    doubled: Project, arguments: list[str]
) -> None:
    done = doubled.cli(*arguments)

    assert done.returncode == 1
    assert BOTH in done.stderr
    assert str(doubled.look().current) == "1.0.0"


def test_an_upgrade_that_ends_before_them_is_not(doubled: Project) -> None:
    doubled.sql("1.0.5", "CREATE TABLE early (x);", "DROP TABLE early;")

    assert doubled.cli("verify", "1.0.5").returncode == 0
    assert doubled.cli("verify", "1.1.0").returncode == 1
    assert doubled.cli("upgrade", "1.0.5").returncode == 0
    assert doubled.cli("downgrade", "2").returncode == 0


def test_check_tells_them_and_fails(doubled: Project) -> None:
    done = doubled.cli("check")
    document = json.loads(doubled.cli("check", "--format=json").stdout)

    assert done.returncode == 1
    assert "; 2 refused: see status" in done.stdout
    assert (document["ok"], len(document["refused"])) == (False, 2)


def test_the_one_that_is_applied_is_the_migration(project: Project) -> None:
    write(project, "1.1.0-b.sql")
    project.upgrade()
    write(project, "1.1.0-a.sql")

    assert {version: state.value for version, state in project.states().items()} == {
        "1.1.0": "applied"
    }
    assert [one.name for one in project.look().refused] == ["1.1.0-a.sql"]
    with pytest.raises(DuplicateVersion):
        project.upgrade()
    project.downgrade()
    assert project.states() == {}


@pytest.mark.parametrize("name", ["1.2-x.sql", "1.2.0.sql", "1.2.0-rc1-x.py", "2.a.0-x.ts"])
def test_a_misnamed_file_is_a_row_and_stops_only_an_upgrade_to_the_end(
    project: Project, name: str
) -> None:
    write(project, "1.1.0-a.sql")
    write(project, "1.2.0-b.sql")
    (project.migrations / name).write_text("SELECT 1;")

    shown = project.cli("status")

    assert shown.returncode == 0
    assert f"│ -         │ {name}" in shown.stdout
    assert f".claude/core/versioning/migrations/{name}\n" in shown.stdout
    assert project.cli("upgrade").returncode == 1
    assert project.look().current is None
    assert project.cli("upgrade", "1.1.0").returncode == 0
    assert project.cli("downgrade").returncode == 0


def test_a_folder_with_nothing_else_shows_them(project: Project) -> None:
    (project.migrations / "1.2-x.sql").write_text("SELECT 1;")

    assert "1.2-x.sql" in project.cli("status").stdout


def test_two_branches_with_one_number_stop_nothing_but_the_second(
    project: Project, git: Git
) -> None:
    (project.root / ".gitignore").write_text("/.claude/orchestration/\n")
    write(project, "1.0.0-z.sql")
    run = lambda *arguments: git(*arguments, cwd=project.root)  # noqa: E731
    run("init", "-q", "-b", "main")
    run("add", "-A")
    run("commit", "-qm", "base")
    run("checkout", "-qb", "bob")
    write(project, "1.1.0-b.sql")
    run("add", "-A")
    run("commit", "-qm", "b")
    run("checkout", "-q", "main")
    write(project, "1.1.0-a.sql")
    run("add", "-A")
    run("commit", "-qm", "a")
    project.upgrade()

    run("merge", "-q", "-m", "merge", "bob")

    assert project.cli("status").returncode == 0
    assert project.cli("check").returncode == 1
    assert [one.name for one in project.look().refused] == ["1.1.0-b.sql"]
    assert project.cli("downgrade").returncode == 0
    assert run("status", "--porcelain") == ""
