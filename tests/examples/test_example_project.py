"""The project that the README starts with: its story, and that each of its steps is reversible."""

import json
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from plugin_migrate.cli.main import main
from state_snapshot import STATE_DATABASE, snapshot

EXAMPLE = Path(__file__).parents[2] / "examples/agent-team"
FILES = sorted((EXAMPLE / ".claude/core/versioning/migrations").glob("[0-9]*"))
VERSIONS = [file.name.partition("-")[0] for file in FILES]


def ignored_paths():
    lines = (EXAMPLE / ".gitignore").read_text().splitlines()
    return {EXAMPLE / line.strip("/") for line in lines if line.startswith("/")}


def copy_as_cloned(target):
    """Copy what is tracked of the example, though somebody may have tried it out in place."""
    ignored = ignored_paths() | {EXAMPLE / ".claude/.plugin-migrate"}
    shutil.copytree(
        EXAMPLE,
        target,
        ignore=lambda folder, names: [n for n in names if Path(folder, n) in ignored],
    )
    return target


@pytest.fixture
def project(tmp_path):
    return copy_as_cloned(tmp_path / "my projects" / "agent team")


@pytest.fixture
def run(project, capsys):
    """A function that runs one command on the project and returns its JSON document."""

    def run(*arguments):
        code = main(["--project", str(project), *arguments, "--format=json"])
        document = json.loads(capsys.readouterr().out)
        assert (code, document["ok"]) == (0, True), document
        return document

    return run


def rows(database, query):
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(query).fetchall()


def front_matter(file):
    return yaml.safe_load(file.read_text(encoding="utf-8").split("---\n")[1])


def test_upgrade_tells_the_whole_story_in_files_and_databases(project, run):
    claude = project / ".claude"
    assert [step["version"] for step in run("upgrade")["steps"]] == VERSIONS
    database = claude / STATE_DATABASE

    assert list(json.loads((claude / "settings.json").read_text())) == ["permissions", "env"]
    assert dict(rows(database, "SELECT * FROM preferences")) == {
        "language": '"en"',
        "maxParallelAgents": "3",
        "standupHour": "9.5",
        "askBeforeCommit": "true",
    }

    agents = {file.stem: front_matter(file) for file in claude.glob("agents/*.md")}
    assert {name: agent.get("tools") for name, agent in agents.items()} == {
        "planner": "Read, Grep, Glob",
        "developer": "Read, Edit, Write, Bash",
        "reviewer": ["Read", "Grep", "Bash"],
        "tester": None,
    }
    assert not any("allowed-tools" in agent for agent in agents.values())

    statuses = rows(database, "SELECT status, minutes FROM tasks ORDER BY id")
    assert statuses == [("done", 120), ("open", 90), ("open", 45), ("open", 480), ("waiting", None)]
    assert len(rows(database, "SELECT * FROM comments")) == 3
    assert rows(database, "PRAGMA foreign_key_check") == []
    assert rows(database, "SELECT rowid FROM task_search WHERE task_search MATCH 'login'") == [
        (2,),
        (3,),
    ]
    assert len(rows(database, "SELECT * FROM open_tasks")) == 4

    assert len(rows(claude / "memory.db", "SELECT * FROM notes")) == 3
    assert not (claude / "memory.json").exists()

    assert not (claude / "commands").exists()
    for name in ("plan", "standup"):
        assert front_matter(claude / "skills" / name / "SKILL.md")["name"] == name


def test_status_shows_every_migration_with_author_and_tags(run):
    run("upgrade")
    status = run("status")
    assert status["current_version"] == VERSIONS[-1]
    for entry in status["migrations"]:
        assert (entry["status"], entry["author"]) == ("applied", "agent-team")
        assert entry["tags"]


def test_each_downgrade_restores_every_byte_and_mode(project, run):
    untouched = snapshot(project)
    before = []
    for version in VERSIONS:
        before.append(snapshot(project))
        run("upgrade", version)
    assert len({str(state) for state in before}) == len(VERSIONS)
    for version in reversed(VERSIONS):
        assert [step["version"] for step in run("downgrade")["steps"]] == [version]
        assert snapshot(project) == before.pop()
    assert snapshot(project) == untouched


def test_downgrade_to_nothing_restores_every_byte_and_mode(project, run):
    untouched = snapshot(project)
    run("upgrade")
    run("downgrade", "0.0.0")
    assert snapshot(project) == untouched


def test_each_migration_applies_again_after_its_rollback(project, run):
    for version in VERSIONS:
        run("upgrade", version)
        once = snapshot(project)
        run("downgrade")
        run("upgrade", version)
        assert snapshot(project) == once


def test_what_people_changed_survives_the_way_back_to_nothing(project, run):
    run("upgrade")
    planner = project / ".claude/agents/planner.md"
    planner.write_text(planner.read_text() + "Answer in French.\n")
    own = project / ".claude/agents/mine/translator.md"
    own.parent.mkdir()
    own.write_text("---\nname: translator\n---\nTranslate.\n")
    run("downgrade", "0.0.0")
    left = {file.name for file in project.glob(".claude/agents/**/*.md")}
    assert left == {"planner.md", "translator.md"}
    assert planner.read_text().endswith("Answer in French.\n")


def test_files_that_are_there_already_are_not_replaced(project, run):
    settings = project / ".claude/settings.json"
    settings.write_text('{"model": "opus"}')
    run("upgrade")
    assert settings.read_text() == '{"model": "opus"}'
    run("downgrade", "0.0.0")
    assert settings.read_text() == '{"model": "opus"}'


@pytest.mark.skipif(not shutil.which("git"), reason="needs git")
def test_upgrade_and_downgrade_leave_the_tracked_files_of_a_clone_clean(tmp_path, capsys):
    origin, clone = tmp_path / "origin", tmp_path / "clone"
    copy_as_cloned(origin / "examples/agent-team")
    shutil.copy(EXAMPLE.parents[1] / ".gitignore", origin)

    def git(*arguments, folder=origin):
        identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
        return subprocess.run(
            ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
        ).stdout

    git("init", "--quiet")
    git("add", "--all")
    git("commit", "--quiet", "--message=All")
    git("clone", "--quiet", str(origin), str(clone), folder=tmp_path)

    project = clone / "examples/agent-team"
    tracked = {Path(line).name for line in git("ls-files", folder=project).splitlines()}
    assert tracked >= {file.name for file in FILES}
    new = "?? examples/agent-team/.claude/plugin-migrate.applied/"
    for command, is_applied in ((["upgrade"], True), (["downgrade", "0.0.0"], False)):
        assert main(["--project", str(project), *command]) == 0
        changed = git("status", "--porcelain", "--untracked-files=all", folder=clone).splitlines()
        # Only what is to be committed: a record of each applied migration that may change files.
        assert bool(changed) is is_applied
        assert [line for line in changed if not line.startswith(new)] == []
