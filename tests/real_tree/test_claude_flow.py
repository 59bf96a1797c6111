"""Migrations on the real `.claude/` tree of claude-flow: settings, agents, helpers, 370 files."""

import json
import re
import shutil
import sys
from pathlib import Path

import pytest
import yaml

from plugin_migrate.errors import StepFailed
from project import Project
from state_snapshot import snapshot

MIGRATIONS = sorted(Path(__file__).with_name("migrations").iterdir())


@pytest.fixture
def project(claude_flow, tmp_path):
    root = tmp_path / "a project"
    shutil.copytree(claude_flow, root / ".claude", symlinks=True)
    return Project(root)


@pytest.fixture
def migrations(project):
    for file in MIGRATIONS:
        if file.is_file():
            shutil.copy(file, project.migrations)


def agents(project):
    return sorted(project.claude.glob("agents/**/*.md"))


def head(file):
    """Return the lines of the front matter."""
    found = re.match(r"---\n(.*?\n)---\n", file.read_text(encoding="utf-8"), re.DOTALL)
    return found[1] if found else ""


def is_yaml(text):
    try:
        yaml.safe_load(text)
    except yaml.YAMLError:
        return False
    return True


def test_tree_has_what_makes_it_a_test(project):
    heads = [head(file) for file in agents(project)]
    assert sum("\ndescription:" in text for text in heads) > 100
    assert any(not is_yaml(text) for text in heads)
    modes = {file.stat().st_mode & 0o7777 for file in project.claude.rglob("*") if file.is_file()}
    assert modes == {0o644, 0o755}


@pytest.mark.usefixtures("migrations")
def test_upgrade_changes_what_the_migrations_say_and_nothing_else(project):
    before = snapshot(project.root)
    settings = json.loads(project.read("settings.json"))
    heads = {file: head(file) for file in agents(project)}
    run = project.upgrade()
    assert len(run.results) == len(MIGRATIONS)

    for file, text in heads.items():
        assert head(file) == re.sub(r"(?m)^description:", "summary:", text, count=1)
    after = snapshot(project.root)
    touched = ("agents/", "commands/sparc", "helpers/", "workflows", "automation", "checkpoints")
    databases = {"memory.db", "orchestration/db/orchestration.db"}
    for path in (before.keys() | after.keys()) - databases:
        if not path.startswith((*touched, "settings.json")):
            assert before[path] == after[path]

    section = settings.pop("claudeFlow")
    rows = {name: json.loads(value) for name, value in project.query("SELECT * FROM settings")}
    section["daemon"]["schedules"]["audit"]["interval"] = "2h"
    section["swarm"]["strategy"] = "balanced"
    assert rows == section
    now = json.loads(project.read("settings.json"))
    assert now["permissions"]["allow"].pop() == "Bash(npx vitest:*)"
    assert {hook["timeout"] for hook in timed_hooks(now)} < set(range(1, 16))
    for hook in timed_hooks(now):
        hook["timeout"] *= 1000
    assert now == settings

    assert not (project.claude / "checkpoints").exists()
    assert not list(project.claude.glob("helpers/*.sh"))
    status = (project.claude / "automation/bin/nested/status").stat()
    assert sys.platform == "win32" or status.st_mode & 0o7777 == 0o750
    assert len(project.query("SELECT * FROM agent_search")) == len(heads)
    memory = project.claude / "memory.db"
    assert len(project.query("SELECT * FROM agents", database=memory)) == len(heads)


def timed_hooks(settings):
    for entries in settings["hooks"].values():
        for entry in entries:
            yield from (hook for hook in entry["hooks"] if "timeout" in hook)


@pytest.mark.usefixtures("migrations")
def test_downgrade_to_nothing_restores_every_byte_and_mode(project):
    before = snapshot(project.root)
    project.upgrade()
    assert snapshot(project.root) != before
    project.downgrade("0.0.0")
    assert snapshot(project.root) == before


@pytest.mark.usefixtures("migrations")
def test_migration_failing_halfway_leaves_everything_as_it_was(project):
    project.upgrade()
    project.python(
        "2.0.0",
        """
        shutil.rmtree(ctx.claude / "skills")
        (ctx.claude / "helpers").rename(ctx.claude / "tools")
        with ctx.edit_json("settings.json") as settings:
            settings.clear()
        ctx.db.execute("DROP TABLE settings")
        ctx.database("memory.db").execute("DELETE FROM agents")
        ctx.database("new.db").execute("CREATE TABLE t (x)")
        for number, file in enumerate(sorted(ctx.claude.glob("agents/**/*.md"))):
            file.write_text("gone")
            file.chmod(0o600)
            if number == 50:
                raise ValueError("halfway")
        """,
        top="import shutil",
    )
    before = snapshot(project.root)
    failure = project.failure()
    assert isinstance(failure, StepFailed)
    assert "halfway" in failure.message
    assert snapshot(project.root) == before
    assert not [*project.bookkeeping.glob("publish/*"), *project.bookkeeping.glob("staging/*")]
    assert project.history()[-1] == ("2.0.0", "up", "failed")
