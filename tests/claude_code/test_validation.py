"""What the client's own strict validation says of the plugins here, and of one that is begun."""

import json

import pytest

from launcher_tree import ROOT


def passes(client, folder) -> bool:
    done = client.run("plugin", "validate", "--strict", str(folder), cwd=client.home)
    assert "✔ Validation passed" in done.stdout, done.stdout + done.stderr
    return done.returncode == 0


EXAMPLES = [f"examples/plugins/{path.name}" for path in ROOT.glob("examples/plugins/[a-z]*-*")]


@pytest.mark.parametrize("place", ["", "examples/plugins", *EXAMPLES])
def test_every_plugin_here_passes_strict_validation(client, place):
    assert passes(client, ROOT / place)


def test_a_plugin_that_was_begun_passes_strict_validation(client, project):
    project.ok("init-plugin", project.root / "note-keeper")
    assert passes(client, project.root / "note-keeper")


def test_without_this_plugin_s_marketplace_the_client_says_what_is_missing(client, project):
    """What docs/plugin-authors.md says of users who have not added the marketplace."""
    shelf = project.root / "shelf"
    project.ok("init-plugin", shelf / "note-keeper")
    catalogue = {
        "name": "shelf",
        "owner": {"name": "a"},
        "allowCrossMarketplaceDependenciesOn": ["plugin-migrate"],
        "plugins": [{"name": "note-keeper", "source": "./note-keeper"}],
    }
    (shelf / ".claude-plugin").mkdir()
    (shelf / ".claude-plugin/marketplace.json").write_text(json.dumps(catalogue))
    client.plugin("marketplace", "add", str(shelf))
    said = client.plugin("install", "note-keeper@shelf")
    assert '"note-keeper" will not load without it' in said
    client.plugin("marketplace", "add", str(ROOT))
    assert "plugin-migrate" in client.plugin("install", "note-keeper@shelf")
    assert "plugin-migrate@plugin-migrate" in client.plugin("list")
