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


def test_check_fails_where_the_state_is_ahead_of_the_branch(on_main: Project) -> None:
    done = on_main.cli("check")

    assert done.returncode == 1
    assert "1 newer than every file" in done.stdout


def test_no_command_that_status_proposes_changes_or_breaks_anything(
    on_main: Project, git: Git
) -> None:
    assert on_main.cli("downgrade", "1.0.0").returncode == 1  # git took the files back already

    text = on_main.cli("status").stdout
    proposed = re.findall(r"plugin-migrate (.*)", text)

    assert [shlex.split(call) for call in proposed] == [["downgrade", "1.0.0", "--preview"]]
    before = on_main.look().entries
    shown = on_main.cli(*shlex.split(proposed[0]))
    assert "KeyError: 'new'" in shown.stderr  # which is the answer to what a rollback would do
    assert on_main.look().entries == before
    assert git("status", "--porcelain", cwd=on_main.root) == ""


def test_going_back_to_the_branch_settles_it(on_main: Project, git: Git) -> None:
    assert "go to the branch that has them" in on_main.cli("status").stdout

    git("checkout", "-q", "feature", cwd=on_main.root)

    assert on_main.cli("check").returncode == 0
    assert on_main.cli("downgrade").returncode == 0
    git("checkout", "-q", "--", ".claude/settings.json", cwd=on_main.root)
    git("checkout", "-q", "main", cwd=on_main.root)
    assert on_main.cli("check").returncode == 0
