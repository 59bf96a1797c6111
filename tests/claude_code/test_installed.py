"""Installed from this repository as a marketplace, the plugin works as it does from a folder."""

import json
import re
import shutil

import pytest

import plugin_migrate
from claude_code.client import Client, launcher_call
from launcher_tree import ROOT

PLUGIN = "plugin-migrate@plugin-migrate"
ADDRESS = "https://git.example.org/"
NEWER = "99.1.0"
_LEFT_OUT = shutil.ignore_patterns(".*_cache", ".git", ".hypothesis", ".venv", "__pycache__")


@pytest.fixture
def checkout(folder):
    """A copy of this repository as it is now."""
    return shutil.copytree(ROOT, folder / "checkout", ignore=_LEFT_OUT)


@pytest.fixture
def repository(checkout, git):
    """The same as a git repository."""
    git("init", "--quiet", "--initial-branch=main", cwd=checkout)
    commit(git, checkout)
    return checkout


def commit(git, repository):
    git("add", "--all", "--force", cwd=repository)
    git("commit", "--quiet", "--message=A version", cwd=repository)


def set_version(checkout, version):
    """Write another version to every place that has one."""
    own = re.escape(plugin_migrate.__version__)
    for path in (
        ".claude-plugin/plugin.json",
        ".claude-plugin/marketplace.json",
        "plugin.json",
        "scripts/plugin_migrate/__init__.py",
    ):
        file = checkout / path
        text, count = re.subn(f'"{own}"', f'"{version}"', file.read_text())
        assert count == 1, path
        file.write_text(text)


def works(client: Client, project, version: str) -> str:
    """Check that the command does its work in this version; return where it is loaded from."""
    before = project.statuses()
    talk = client.ask("/plugin-migrate --version", project.root, plugins=[])
    assert talk.printed == f"plugin-migrate {version}"
    talk = client.ask("/plugin-migrate:plugin-migrate status", project.root, plugins=[])
    table = project.ok("status").strip("\n")
    assert talk.printed == table
    talk = client.ask("/plugin-migrate upgrade --dry-run", project.root, plugins=[])
    root = re.search(r'"(/.*)/scripts/plugin-migrate" status', talk.shown)[1]
    calls = [launcher_call("upgrade", root=root), launcher_call("status", root=root)]
    talk = client.ask("/plugin-migrate upgrade --dry-run", project.root, *calls, plugins=[])
    assert talk.denied == [calls[0].input]
    assert talk.results[1] == table
    assert project.statuses() == before
    return root


def listed(client: Client) -> list[dict]:
    """Return what the client knows of this plugin; it lists others as well."""
    known = json.loads(client.plugin("list", "--json"))
    return [plugin for plugin in known if plugin["id"] == PLUGIN]


def test_from_a_local_path_it_is_loaded_in_place(client, project, checkout):
    project.tables("1.0.0")
    client.plugin("marketplace", "add", str(checkout))
    client.plugin("install", PLUGIN)
    assert works(client, project, plugin_migrate.__version__) == str(checkout)
    set_version(checkout, NEWER)
    assert works(client, project, NEWER) == str(checkout)


def test_from_git_it_is_updated_to_a_newer_version_in_the_cache(client, project, repository, git):
    project.tables("1.0.0")
    (client.home / ".gitconfig").write_text(
        f'[url "file://{repository.parent}/"]\n  insteadOf = {ADDRESS}\n'
    )
    client.plugin("marketplace", "add", f"{ADDRESS}checkout/.git")
    client.plugin("install", PLUGIN)
    cache = client.home / ".claude/plugins/cache/plugin-migrate/plugin-migrate"
    own = plugin_migrate.__version__
    assert works(client, project, own) == str(cache / own)

    set_version(repository, NEWER)
    commit(git, repository)
    assert works(client, project, own) == str(cache / own)  # nothing is updated by itself
    client.plugin("marketplace", "update", "plugin-migrate")
    client.plugin("update", PLUGIN)
    assert works(client, project, NEWER) == str(cache / NEWER)
    client.ask("/plugin-migrate upgrade", project.root, plugins=[])
    assert project.statuses() == {"1.0.0": "applied"}
    (own,) = listed(client)
    assert (own["version"], own["enabled"]) == (NEWER, True)


def test_the_plugin_directory_has_no_finding(client, checkout):
    for _ in range(2):
        said = client.plugin("validate", str(checkout), "--strict", "--profile=directory", "--json")
        report = json.loads(said)
        assert report["success"]
        assert findings(report) == []
        # Once as a marketplace, once as the plugin that it holds.
        (checkout / ".claude-plugin/marketplace.json").unlink(missing_ok=True)


def findings(value) -> list:
    """Return everything that a validation report finds fault with."""
    if isinstance(value, list):
        return [found for item in value for found in findings(item)]
    if not isinstance(value, dict):
        return []
    faults = ("errors", "warnings", "findings", "undecided", "advice")
    own = [fault for key in faults for fault in value.get(key, ())]
    return own + [found for item in value.values() for found in findings(item)]
