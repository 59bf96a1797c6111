"""A plugin that is to ship migrations: what is written, what is kept, and that it works at once."""

import json
import subprocess

import pytest

from command_line import COMMAND, Project
from launcher_tree import ROOT

FILES = {
    ".claude-plugin/plugin.json",
    "migrations/plugin-migrate.yaml",
    "migrations/1.0.0-initial.sql",
    "tests/check-migrations.sh",
    "tests/project/.claude/.gitkeep",
}


@pytest.fixture
def project(folder):
    (folder / "home").mkdir()
    return Project(folder / "anywhere", folder / "home")


def files(root):
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def check(project, root):
    """Run the lines for CI, with the launcher's name for the command; return the exit code."""
    call = project.home / "plugin-migrate"
    call.write_text("#!/bin/sh\nexec " + " ".join(f"'{word}'" for word in COMMAND) + ' "$@"\n')
    call.chmod(0o755)
    environment = project.environment | {"PATH": f"{project.home}:{project.environment['PATH']}"}
    done = subprocess.run(
        ["sh", root / "tests/check-migrations.sh"], env=environment, capture_output=True, text=True
    )
    return done.returncode


def test_an_empty_folder_becomes_a_plugin_whose_migrations_are_proved(project):
    root = project.root / "Note Keeper ü"
    out = project.ok("init-plugin", root)
    assert out.startswith(
        "✓ note-keeper can ship migrations\n  • created .claude-plugin/plugin.json\n"
    )
    assert files(root) == FILES
    manifest = json.loads((root / ".claude-plugin/plugin.json").read_text())
    assert manifest.pop("author")["name"]
    assert manifest == {
        "name": "note-keeper",
        "version": "0.1.0",
        "description": "Note keeper",
        "dependencies": ["plugin-migrate@plugin-migrate"],
    }
    assert check(project, root) == 3, "not tried on the test project yet"
    options = ("--project", root / "tests/project", "--plugin-dir", root)
    project.ok(*options, "upgrade")
    assert check(project, root) == 0
    file = root / "migrations/1.0.0-initial.sql"
    file.write_text(file.read_text() + "-- edited\n")
    assert check(project, root) == 1


def test_what_is_there_is_kept_and_what_is_missing_said(project):
    root = project.root
    (root / ".claude-plugin").mkdir()
    manifest = root / ".claude-plugin/plugin.json"
    manifest.write_text('{"name": "keeper"}')
    (root / "migrations").mkdir()
    (root / "migrations/2.0.0-mine.sql").write_text("-- migrate:up\nSELECT 1;\n")
    document = project.json("init-plugin")
    assert document["plugin"] == "keeper"
    assert document["depends"] is False
    assert document["kept"] == [".claude-plugin/plugin.json"]
    assert set(document["created"]) == {
        one for one in FILES if one.startswith(("tests", "migrations/p"))
    }
    assert manifest.read_text() == '{"name": "keeper"}'
    assert not (root / "migrations/1.0.0-initial.sql").exists()
    out = project.ok("init-plugin", ".")
    assert '"dependencies": ["plugin-migrate@plugin-migrate"]' in out
    assert project.json("init-plugin")["created"] == []


@pytest.mark.parametrize(
    ("declared", "depends"),
    [
        (["plugin-migrate"], True),
        ([{"name": "plugin-migrate", "version": "^1.0"}], True),
        (["other"], False),
        ("plugin-migrate", False),
    ],
)
def test_a_dependency_that_is_declared_is_seen(project, declared, depends):
    (project.root / ".claude-plugin").mkdir()
    manifest = {"name": "keeper", "dependencies": declared}
    (project.root / ".claude-plugin/plugin.json").write_text(json.dumps(manifest))
    assert project.json("init-plugin")["depends"] is depends


@pytest.mark.parametrize("name", ["漢字", "..."])
def test_a_folder_whose_name_is_none_for_a_plugin_is_refused(project, name):
    err = project.fails("init-plugin", project.root / name, code=2)
    assert err.startswith("✗ Error: That is not a name for a plugin: ''\n")
    assert files(project.root) == set()


@pytest.mark.parametrize("text", ["[]", "{", "\xff"])
def test_a_manifest_that_is_none_is_told(project, text):
    (project.root / ".claude-plugin").mkdir()
    (project.root / ".claude-plugin/plugin.json").write_text(text, encoding="latin-1")
    err = project.fails("init-plugin", ".")
    assert "The plugin's manifest is no JSON object" in err
    assert files(project.root) == {".claude-plugin/plugin.json"}


def test_a_manifest_that_cannot_be_read_is_told(project):
    (project.root / ".claude-plugin/plugin.json").mkdir(parents=True)
    assert "cannot be read: Is a directory" in project.fails("init-plugin", ".")


def test_options_that_choose_something_else_are_refused(project):
    err = project.fails("--project", ".", "init-plugin", code=2)
    assert "init-plugin takes the plugin's folder and no other" in err


def test_the_example_plugins_are_what_it_would_make():
    for name in ("memory-keeper", "memory-search"):
        manifest = json.loads(
            (ROOT / f"examples/plugins/{name}/.claude-plugin/plugin.json").read_text()
        )
        assert "plugin-migrate@plugin-migrate" in manifest["dependencies"]
