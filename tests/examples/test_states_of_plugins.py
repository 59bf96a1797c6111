"""Example plugins that change what plugins leave behind: from the old state to the new and back."""

import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from command_line import Project

EXAMPLES = Path(__file__).parents[2] / "examples/plugins"


@pytest.fixture
def project(folder):
    project = Project(folder / "project", folder / "home")
    (project.home / ".claude").mkdir(parents=True)
    return project


def goes_there_and_back(project, name, files):
    """Upgrade and roll back a plugin; return what the files hold in between."""
    plugin = shutil.copytree(EXAMPLES / name, project.root.parent / name)
    before = [file.read_bytes() for file in files]
    verified = project.call("verify", "--plugin-dir", plugin)
    assert verified.code == 0, verified.out
    project.ok("upgrade", "--plugin-dir", plugin)
    between = [file.read_text() for file in files]
    project.ok("downgrade", "--plugin-dir", plugin)
    assert [file.read_bytes() for file in files] == before
    project.ok("upgrade", "--plugin-dir", plugin)
    assert [file.read_text() for file in files] == between
    return between


def write(file, text):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def test_hooks_in_the_users_settings_outlast_an_update(project):
    users = project.home / ".claude"
    cached = "/home/me/.claude/plugins/cache/examples/hook-runner/0.9.1/bin/run"
    hooks = [
        {"type": "command", "command": f"{cached} --quick"},
        {"type": "command", "command": "my-own"},
        {"type": "command", "command": cached.replace("0.9.1", "0.8.0"), "timeout": 5},
    ]
    settings = {"model": "opus", "hooks": {"Stop": [{"hooks": hooks}]}}
    file = write(users / "settings.json", json.dumps(settings, indent=4))
    write(users / "projects/p/session.jsonl", "secret")
    (text,) = goes_there_and_back(project, "hook-runner", [file])
    (matcher,) = json.loads(text)["hooks"]["Stop"]
    stable = "~/.claude/hook-runner/run"
    assert [one["command"] for one in matcher["hooks"]] == [f"{stable} --quick", "my-own", stable]
    launcher = users / "hook-runner/run"
    cache = users / "plugins/cache/examples/hook-runner"
    write(cache / "0.9.9/bin/run", "")
    write(cache / "0.10.0/bin/run", "#!/bin/sh\necho $1\n").chmod(0o755)
    if sys.platform != "win32":  # Git Bash runs it there
        ran = subprocess.run([launcher, "--quick"], env=project.environment, capture_output=True)
        assert ran.stdout == b"--quick\n"


def test_hooks_get_matchers_and_those_that_have_one_stay(project):
    settings = {
        "hooks": {
            "PreToolUse": [
                "check",
                {"matcher": "Bash", "command": "audit", "timeout": 3},
                {"matcher": "Edit", "hooks": [{"type": "command", "command": "format"}]},
            ]
        }
    }
    file = write(project.claude / "settings.json", json.dumps(settings, indent=2) + "\n")
    (text,) = goes_there_and_back(project, "hook-matchers", [file])
    assert json.loads(text)["hooks"]["PreToolUse"] == [
        {"matcher": "*", "hooks": [{"type": "command", "command": "check"}]},
        {"matcher": "Bash", "hooks": [{"type": "command", "command": "audit", "timeout": 3}]},
        {"matcher": "Edit", "hooks": [{"type": "command", "command": "format"}]},
    ]


def test_agents_gain_only_the_fields_that_they_lack(project):
    files = [
        write(project.claude / "agents/a.md", "---\nname: a # mine\nmodel: opus\n---\n\nReview.\n"),
        write(project.claude / "agents/team/b.md", "---\nname: b\ncolor: red\nmodel: haiku\n---\n"),
        write(project.claude / "agents/c.md", "No header.\n"),
    ]
    between = goes_there_and_back(project, "agent-fields", files)
    assert between == [
        "---\nname: a # mine\nmodel: opus\ncolor: blue\n---\n\nReview.\n",
        "---\nname: b\ncolor: red\nmodel: haiku\n---\n",
        "---\nmodel: inherit\ncolor: blue\n---\nNo header.\n",
    ]


def test_issues_change_in_their_lines_and_in_their_database_alike(project):
    lines = write(
        project.root / ".issues/issues.jsonl",
        '{"id": 1, "priority": "high", "title": "\\"priority\\": \\"high\\""}\n'
        '{"priority":"low","id":2}\r\n\n{"id": 3}\n',
    )
    database = project.root / ".issues/issues.db"
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("CREATE TABLE issues (id INTEGER PRIMARY KEY, priority)")
        connection.execute("INSERT INTO issues VALUES (1, 'high'), (2, 'low'), (3, NULL)")
    (text,) = goes_there_and_back(project, "issue-box", [lines])
    issues = [json.loads(line) for line in text.split("\n") if line.strip()]
    assert [one.get("priority") for one in issues] == [1, 3, None]
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT priority FROM issues").fetchall() == [(1,), (3,), (None,)]


@pytest.mark.parametrize("name", ["hook-runner", "hook-matchers", "agent-fields", "issue-box"])
def test_where_there_is_nothing_yet_nothing_is_made(project, name):
    project.ok("upgrade", "--plugin-dir", EXAMPLES / name)
    assert not (project.root / ".issues").exists()
    assert not (project.claude / "settings.json").exists()
