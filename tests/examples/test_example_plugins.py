"""The two example plugins: that they are found, follow each other, and are each reversible."""

import json
import shutil
from contextlib import closing
from pathlib import Path
from sqlite3 import connect

import pytest

from command_line import Project

EXAMPLES = Path(__file__).parents[2] / "examples/plugins"
SETTINGS = "---\n# how much to keep\nmax: 50\n---\nBe brief.\n"


@pytest.fixture
def shelf(folder):
    """A copy of the example marketplace, which a test may change."""
    return shutil.copytree(EXAMPLES, folder / "plugins")


@pytest.fixture
def project(folder, shelf):
    """A project of a user who has added the marketplace and enabled both plugins."""
    project = Project(folder / "my project", folder / "home")
    project.write("memory-keeper.local.md", SETTINGS)
    configuration = project.home / ".claude"
    (configuration / "plugins").mkdir(parents=True)
    place = {"source": {"source": "directory", "path": str(shelf)}, "installLocation": str(shelf)}
    marketplaces = {"plugin-migrate-examples": place}
    (configuration / "plugins/known_marketplaces.json").write_text(json.dumps(marketplaces))
    names = ("memory-keeper", "memory-search")
    enabled = {f"{name}@plugin-migrate-examples": True for name in names}
    (configuration / "settings.json").write_text(json.dumps({"enabledPlugins": enabled}))
    return project


def test_the_plugins_are_upgraded_in_the_order_that_they_require(project):
    project.ok("upgrade", "1.0.0", "--plugin=memory-keeper")
    with closing(connect(project.claude / "memory-keeper/state.db")) as keeper, keeper:
        keeper.execute("INSERT INTO notes (text) VALUES ('Ship it'), ('ship more')")
    sources = [one["source"] for one in project.json("upgrade", "--all")["sources"]]
    assert [name for name in sources if name] == ["memory-keeper", "memory-search"]
    assert project.read("memory-keeper.local.md") == SETTINGS.replace("max:", "max_notes:")
    with closing(connect(project.claude / "memory-search/state.db")) as search:
        words = search.execute("SELECT word, note FROM words ORDER BY note, word").fetchall()
    assert words == [("it", 1), ("ship", 1), ("more", 2), ("ship", 2)]


def test_every_migration_of_the_plugins_is_verified(project):
    project.ok("upgrade", "--plugin=memory-keeper")
    documents = {one["source"]: one for one in project.json("verify", "--all")["sources"]}
    assert [one["ok"] for one in documents.values()] == [True, True, True], documents


def test_a_plugin_that_went_back_takes_its_state_along(project, shelf):
    project.ok("upgrade", "--plugin=memory-keeper")
    (shelf / "memory-keeper/migrations/1.1.0-limit-per-project.py").unlink()
    project.ok("sync", "--plugin=memory-keeper")
    assert project.read("memory-keeper.local.md") == SETTINGS
