"""Plugins are found as the client finds them: asked about the same files, both name the same."""

import json
import shutil

import pytest

from claude_code.client import Client
from launcher_tree import ROOT
from plugin_migrate.sources.installed import enabled_plugins

MARKETPLACE = "plugin-migrate-examples"
KEEPER, SEARCH = f"memory-keeper@{MARKETPLACE}", f"memory-search@{MARKETPLACE}"


class Setup:
    """A user with the example marketplace, and a project; each set-up is a method."""

    def __init__(self, client: Client, project, shelf) -> None:
        self.client = client
        self.project = project
        self.shelf = shelf
        self.variables: dict[str, str] = {}
        client.plugin("marketplace", "add", str(shelf))

    def install(self, *arguments: str) -> None:
        self.client.plugin("install", *arguments, cwd=self.project.root)

    def settings(self, name: str, **enabled: bool) -> None:
        ids = {f"memory-{key}@{MARKETPLACE}": value for key, value in enabled.items()}
        self.project.write(name, json.dumps({"enabledPlugins": ids}))

    # --- set-ups ---------------------------------------------------------------------------------

    def installed_for_the_user(self) -> None:
        self.install(KEEPER)

    def installed_for_the_project_and_disabled_locally(self) -> None:
        self.install(KEEPER, "--scope=project")
        self.install(SEARCH, "--scope=project")
        self.settings("settings.local.json", keeper=False)

    def enabled_by_the_project_alone(self) -> None:
        self.settings("settings.json", keeper=True, search=False)

    def disabled_by_the_user_and_enabled_by_the_project(self) -> None:
        self.install(KEEPER)
        self.client.plugin("disable", KEEPER)
        self.settings("settings.json", keeper=True)

    def gone_from_the_marketplace(self) -> None:
        self.install(KEEPER)
        shutil.rmtree(self.shelf / "memory-keeper")

    def bare_names_below_a_plugin_root(self) -> None:
        self.install(KEEPER)
        catalogue = self.shelf / ".claude-plugin/marketplace.json"
        document = json.loads(catalogue.read_text())
        document["metadata"] = {"pluginRoot": "./below"}
        for entry in document["plugins"]:
            entry["source"] = entry["name"]
        catalogue.write_text(json.dumps(document))
        (self.shelf / "below").mkdir()
        (self.shelf / "memory-keeper").rename(self.shelf / "below/memory-keeper")

    def among_the_skills(self) -> None:
        skills = self.client.home / ".claude/skills"
        shutil.copytree(self.shelf / "memory-search", skills / "memory-search")

    def among_the_skills_and_switched_off(self) -> None:
        self.among_the_skills()
        off = json.dumps({"enabledPlugins": {"memory-search@skills-dir": False}})
        (self.client.home / ".claude/settings.json").write_text(off)

    def enabled_in_a_range_of_versions(self) -> None:
        self.install(KEEPER)
        versions = json.dumps({"enabledPlugins": {KEEPER: ["^1.0.0"]}})
        self.project.write("settings.json", versions)

    def in_a_folder_that_a_variable_names(self) -> None:
        self.variables["CLAUDE_CODE_PLUGIN_DIRS"] = str(self.shelf / "memory-search")

    def with_another_configuration_folder(self) -> None:
        self.install(KEEPER)
        moved = self.client.home / "elsewhere"
        (self.client.home / ".claude").rename(moved)
        self.variables["CLAUDE_CONFIG_DIR"] = str(moved)


SETUPS = [name for name in vars(Setup) if not name.startswith("_")]
SETUPS = SETUPS[SETUPS.index("installed_for_the_user") :]


@pytest.mark.parametrize("name", SETUPS)
def test_the_client_and_we_find_the_same_plugins(client, project, folder, name):
    shelf = shutil.copytree(ROOT / "examples/plugins", folder / "shelf")
    for file in shelf.glob("*/.claude-plugin/plugin.json"):
        # The client does not load what lacks a dependency; whether it does is not looked at here.
        manifest = json.loads(file.read_text())
        del manifest["dependencies"]
        file.write_text(json.dumps(manifest))
    setup = Setup(client, project, shelf)
    getattr(setup, name)()

    talk = client.ask("Hello", project.root, plugins=[], environment=setup.variables)
    (start,) = [event for event in talk.events if event.get("subtype") == "init"]
    found = {(plugin["name"], plugin["path"]) for plugin in start["plugins"]}
    loaded = {(name, path) for name, path in found if path != "builtin"}

    environment = client.environment | setup.variables
    ours = enabled_plugins(str(project.root), environment)
    assert {(plugin.name, plugin.root) for plugin in ours} == loaded
