"""Switching branches, with real git: what the state is called, and that no proposal fails."""

import re
import shlex
from collections.abc import Callable

import pytest

from project import Project

Git = Callable[..., str]


@pytest.fixture
def on_main(project: Project, git: Git) -> Project:
    """A project whose branch `feature` has a migration applied, seen from `main` without it."""
    (project.root / ".gitignore").write_text("/.claude/orchestration/\n")
    project.write("settings.json", '{"old": 1}\n')
    project.sql("1.0.0", "CREATE TABLE a (x);", "DROP TABLE a;")
    for arguments in ("init -q -b main", "add -A", "commit -qm base", "checkout -qb feature"):
        git(*arguments.split(), cwd=project.root)
    project.python(
        "1.1.0",
        """
        with ctx.edit_json("settings.json") as settings:
            settings["new"] = settings.pop("old")
        """,
        """
        with ctx.edit_json("settings.json") as settings:
            settings["old"] = settings.pop("new")
        """,
    )
    project.upgrade()
    for arguments in ("add -A", "commit -qm feature", "checkout -q main"):
        git(*arguments.split(), cwd=project.root)
    return project


def test_check_fails_where_git_took_the_files_back(on_main: Project) -> None:
    done = on_main.cli("check")

    assert done.returncode == 1
    assert "1 database only" in done.stdout
    assert "Git took back the files of 1: 1.1.0" in on_main.cli("doctor").stdout


def test_no_command_that_status_proposes_changes_files_or_fails(on_main: Project, git: Git) -> None:
    text = on_main.cli("status").stdout
    proposed = re.findall(r"plugin-migrate (.*)", text)

    assert [shlex.split(call) for call in proposed] == [["sync"]]
    done = on_main.cli("sync")
    assert done.returncode == 0, done.stderr
    assert "1.1.0 - Step (the database only: git took back its files" in done.stdout
    assert git("status", "--porcelain", cwd=on_main.root) == ""
    assert on_main.cli("check").returncode == 0


def test_what_was_applied_before_there_were_records_is_left_to_its_user(
    on_main: Project, git: Git
) -> None:
    with on_main.connect() as connection:
        connection.execute("DELETE FROM plugin_migrate_facts")
        connection.commit()
    text = on_main.cli("status").stdout
    proposed = re.findall(r"plugin-migrate (.*)", text)

    assert [shlex.split(call) for call in proposed] == [["downgrade", "1.0.0", "--preview"]]
    before = on_main.look().entries
    shown = on_main.cli(*shlex.split(proposed[0]))
    assert "KeyError: 'new'" in shown.stderr  # which is the answer to what a rollback would do
    assert "nothing to do" in on_main.cli("sync").stdout
    assert on_main.look().entries == before
    assert git("status", "--porcelain", cwd=on_main.root) == ""


def test_going_back_to_the_branch_settles_it(on_main: Project, git: Git) -> None:
    assert "Go to the branch that has them" in on_main.cli("status").stdout

    git("checkout", "-q", "feature", cwd=on_main.root)

    assert on_main.cli("check").returncode == 0
    assert on_main.cli("downgrade").returncode == 0
    git("checkout", "-q", "--", ".claude", cwd=on_main.root)
    assert "Files only" in on_main.cli("status").stdout
    git("checkout", "-q", "main", cwd=on_main.root)
    assert on_main.cli("check").returncode == 0
