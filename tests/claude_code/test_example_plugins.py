"""A plugin's state follows the plugin through the real client: installed, updated, rolled back."""

import json
import shutil
import sqlite3
from contextlib import closing

import pytest

from claude_code.client import Conversation
from launcher_tree import ROOT

MARKETPLACE = "plugin-migrate-examples"
PLUGIN = f"memory-keeper@{MARKETPLACE}"
ADDRESS = "https://git.example.org/"
SETTINGS = "---\nmax: 50\n---\nBe brief.\n"


@pytest.fixture
def repository(folder, git):
    """The example plugins as a git repository, in which memory-keeper has its first version."""
    repository = shutil.copytree(ROOT / "examples/plugins", folder / "checkout")
    git("init", "--quiet", "--initial-branch=main", cwd=repository)
    release(repository, git, "1.0.0")
    return repository


def release(repository, git, version):
    """Commit memory-keeper as it is in a version, with the migrations up to it."""
    keeper = repository / "memory-keeper"
    shipped = ROOT / "examples/plugins/memory-keeper/migrations"
    for file in shipped.glob("[0-9]*"):
        (keeper / "migrations" / file.name).unlink(missing_ok=True)
        if file.name.partition("-")[0] <= version:
            shutil.copy(file, keeper / "migrations")
    manifest = keeper / ".claude-plugin/plugin.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"version": version}))
    git("add", "--all", cwd=repository)
    git("commit", "--quiet", f"--message={version}", cwd=repository)


def told(talk: Conversation) -> str:
    """Return what the start of the session told the user."""
    return "\n".join(document.get("systemMessage", "") for document in talk.hooks)


def versions(project):
    with closing(sqlite3.connect(project.claude / "memory-keeper/state.db")) as connection:
        return [version for (version,) in connection.execute("SELECT version FROM migrations")]


def test_a_plugin_takes_its_state_along_from_version_to_version_and_back(
    client, project, repository, git
):
    project.write("memory-keeper.local.md", SETTINGS)
    (client.home / ".gitconfig").write_text(
        f'[url "file://{repository.parent}/"]\n  insteadOf = {ADDRESS}\n'
    )
    client.plugin("marketplace", "add", str(ROOT))
    client.plugin("marketplace", "add", f"{ADDRESS}checkout/.git")
    assert "(+ 1 dependency: plugin-migrate)" in client.plugin("install", PLUGIN)

    talk = client.ask("Hello", project.root, plugins=[])
    assert told(talk) == (
        "plugin-migrate: memory-keeper: 1 pending migration (current version none)."
        " Run /plugin-migrate upgrade --plugin memory-keeper"
    )
    assert "memory-keeper has 1 pending migration" in talk.everything
    client.ask("/plugin-migrate upgrade --plugin memory-keeper", project.root, plugins=[])
    assert versions(project) == ["1.0.0"]
    assert told(client.ask("Hello", project.root, plugins=[])) == ""

    release(repository, git, "1.1.0")
    client.plugin("marketplace", "update", MARKETPLACE)
    client.plugin("update", PLUGIN)
    assert "1 pending migration (current version 1.0.0)" in told(
        client.ask("Hi", project.root, plugins=[])
    )
    assert versions(project) == ["1.0.0"], "nothing runs by itself"
    client.ask("/plugin-migrate upgrade --plugin memory-keeper", project.root, plugins=[])
    assert versions(project) == ["1.0.0", "1.1.0"]
    assert project.read("memory-keeper.local.md") == SETTINGS.replace("max:", "max_notes:")

    release(repository, git, "1.0.0")
    client.plugin("marketplace", "update", MARKETPLACE)
    client.plugin("update", PLUGIN)
    assert "Run /plugin-migrate sync --plugin memory-keeper" in told(
        client.ask("Hi", project.root, plugins=[])
    )
    talk = client.ask("/plugin-migrate sync", project.root, plugins=[])
    assert "✓ Rolled back 1 migration(s)\n  • 1.1.0" in talk.printed
    assert versions(project) == ["1.0.0"]
    assert project.read("memory-keeper.local.md") == SETTINGS
