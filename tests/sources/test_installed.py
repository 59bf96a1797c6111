"""Plugins are found as the client finds them; what cannot be read is left out."""

import json
import os
from itertools import pairwise
from pathlib import Path

import pytest

import plugin_migrate.sources.installed
from plugin_migrate.sources.installed import Plugin, enabled_plugins, ships_migrations


class Machine:
    """A user's configuration folder, a project, and folders of plugins."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = root / "home"
        self.configuration = self.home / ".claude"
        self.plugins = self.configuration / "plugins"
        self.project = root / "project"
        self.managed = root / "managed"
        for folder in (self.plugins, self.project / ".claude", self.managed):
            folder.mkdir(parents=True)
        self.environment = {"HOME": str(self.home)}
        self.marketplaces: dict[str, object] = {}
        self.records: dict[str, list[dict[str, str]]] = {}

    def enable(self, switches: object, file: str = "home/.claude/settings.json") -> None:
        write(self.root / file, {"enabledPlugins": switches})

    def plugin(self, path: str, **manifest: object) -> Path:
        """Make a plugin's folder."""
        folder = self.root / path
        write(folder / ".claude-plugin/plugin.json", manifest)
        return folder

    def marketplace(
        self, name: str, entries: list[dict[str, object]], kind: str = "directory", **more: object
    ) -> Path:
        """Make a marketplace and let the user know it."""
        location = self.root / "marketplaces" / name
        write(
            location / ".claude-plugin/marketplace.json", {"name": name, "plugins": entries, **more}
        )
        self.marketplaces[name] = {"source": {"source": kind}, "installLocation": str(location)}
        write(self.plugins / "known_marketplaces.json", self.marketplaces)
        return location

    def record(self, plugin_id: str, root: Path, scope: str = "user", **more: str) -> None:
        """Add an install record."""
        self.records.setdefault(plugin_id, []).append(
            {"scope": scope, "installPath": str(root), **more}
        )
        write(self.plugins / "installed_plugins.json", {"version": 2, "plugins": self.records})

    def found(self, *folders: str) -> dict[str, Plugin]:
        """Return the enabled plugins by name."""
        return {
            plugin.name: plugin
            for plugin in enabled_plugins(str(self.project), self.environment, folders)
        }

    def names(self, *folders: str) -> list[str]:
        return list(self.found(*folders))


def write(path: Path, document: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))


@pytest.fixture
def machine(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(folder)
    # The one place that no variable moves.
    monkeypatch.setattr(plugin_migrate.sources.installed, "MANAGED", str(made.managed))
    return made


@pytest.fixture
def installed(machine: Machine) -> Machine:
    """A machine with `keeper@shop` installed from a git marketplace, for the user."""
    machine.marketplace("shop", [{"name": "keeper", "source": "./keeper"}], kind="github")
    root = machine.plugin("home/.claude/plugins/cache/shop/keeper/1.2.0", version="1.2.0")
    machine.record("keeper@shop", root, version="1.2.0")
    return machine


def test_a_machine_without_anything_has_no_plugins(machine: Machine) -> None:
    assert machine.found() == {}


def test_an_enabled_and_installed_plugin_is_found(installed: Machine) -> None:
    installed.enable({"keeper@shop": True})
    root = installed.plugins / "cache/shop/keeper/1.2.0"
    data = installed.plugins / "data/keeper-shop"
    assert installed.found() == {
        "keeper": Plugin(
            "keeper", "keeper@shop", str(root), "1.2.0", str(data), str(installed.configuration)
        )
    }


def test_odd_characters_of_an_id_become_dashes_in_its_data_folder(machine: Machine) -> None:
    machine.record("a.b_c@my.shop", machine.plugin("cache/a"))
    machine.enable({"a.b_c@my.shop": True})
    assert machine.found()["a.b_c"].data == str(machine.plugins / "data/a-b_c-my-shop")


@pytest.mark.parametrize("value", [False, None, "true", 1, {}])
def test_a_plugin_that_is_not_switched_on_is_left_out(installed: Machine, value: object) -> None:
    installed.enable({"keeper@shop": value})
    assert installed.names() == []


def test_a_plugin_that_is_installed_and_never_mentioned_is_left_out(installed: Machine) -> None:
    assert installed.names() == []


def test_a_list_of_versions_switches_nothing_on(installed: Machine) -> None:
    installed.enable({"keeper@shop": ["^1.0.0"]})
    assert installed.names() == []


FILES = [
    "home/.claude/settings.json",
    "project/.claude/settings.json",
    "project/.claude/settings.local.json",
    "managed/managed-settings.json",
    "managed/managed-settings.d/10-more.json",
]


@pytest.mark.parametrize("file", FILES)
def test_every_settings_file_can_switch_an_installed_plugin_on(
    installed: Machine, file: str
) -> None:
    installed.enable({"keeper@shop": True}, file)
    assert installed.names() == ["keeper"]


@pytest.mark.parametrize(("earlier", "later"), [*pairwise(FILES)])
def test_the_later_settings_win(installed: Machine, earlier: str, later: str) -> None:
    installed.enable({"keeper@shop": True}, earlier)
    installed.enable({"keeper@shop": False}, later)
    assert installed.names() == []
    installed.enable({"keeper@shop": False}, earlier)
    installed.enable({"keeper@shop": True}, later)
    assert installed.names() == ["keeper"]


def test_settings_are_merged_key_by_key(installed: Machine) -> None:
    installed.record("other@shop", installed.plugin("cache/other"))
    installed.enable({"keeper@shop": True})
    installed.enable({"other@shop": True}, FILES[1])
    assert installed.names() == ["keeper", "other"]


def test_the_configuration_folder_can_be_elsewhere(installed: Machine) -> None:
    installed.enable({"keeper@shop": True})
    elsewhere = installed.configuration.rename(installed.root / "elsewhere")
    installed.environment["CLAUDE_CONFIG_DIR"] = str(elsewhere)
    installed.records.clear()
    installed.plugins = elsewhere / "plugins"
    installed.record("keeper@shop", elsewhere / "plugins/cache/shop/keeper/1.2.0")
    assert installed.names() == ["keeper"]


@pytest.mark.parametrize("value", ["{root}/apart", "~/../apart"])
def test_the_plugin_folder_can_be_elsewhere(installed: Machine, value: str) -> None:
    installed.enable({"keeper@shop": True})
    installed.plugins.rename(installed.root / "apart")
    assert installed.names() == []
    root = installed.root / "apart/cache/shop/keeper/1.2.0"
    installed.plugins = installed.root / "apart"
    installed.records.clear()
    installed.record("keeper@shop", root)
    installed.environment["CLAUDE_CODE_PLUGIN_CACHE_DIR"] = value.format(root=installed.root)
    found = installed.found()["keeper"]
    assert found.data == str(installed.root / "apart/data/keeper-shop")


def test_a_local_marketplace_loads_in_place_without_a_record(machine: Machine) -> None:
    location = machine.marketplace("local", [{"name": "keeper", "source": "./plugins/keeper"}])
    machine.plugin("marketplaces/local/plugins/keeper", version="2.0.0")
    machine.enable({"keeper@local": True})
    found = machine.found()["keeper"]
    assert found.root == str(location / "plugins/keeper")
    assert found.version == "2.0.0"


def test_a_local_marketplace_wins_over_a_record(machine: Machine) -> None:
    location = machine.marketplace("local", [{"name": "keeper", "source": "./"}])
    machine.record("keeper@local", machine.plugin("cache/old"))
    machine.enable({"keeper@local": True})
    assert machine.found()["keeper"].root == str(location)


def test_a_marketplace_that_is_a_file_loads_in_place_too(machine: Machine) -> None:
    location = machine.marketplace("local", [{"name": "keeper", "source": "./k"}], kind="file")
    machine.plugin("marketplaces/local/k")
    machine.enable({"keeper@local": True})
    assert machine.found()["keeper"].root == str(location / "k")


def test_the_plugin_root_of_a_catalogue_stands_before_bare_names(machine: Machine) -> None:
    location = machine.marketplace(
        "local",
        [{"name": "keeper", "source": "keeper"}, {"name": "other", "source": "./other"}],
        metadata={"pluginRoot": "./plugins"},
    )
    machine.plugin("marketplaces/local/plugins/keeper")
    machine.plugin("marketplaces/local/other")
    machine.enable({"keeper@local": True, "other@local": True})
    roots = {name: plugin.root for name, plugin in machine.found().items()}
    assert roots == {"keeper": str(location / "plugins/keeper"), "other": str(location / "other")}


def test_a_bare_name_without_a_plugin_root_is_not_loaded(machine: Machine) -> None:
    machine.marketplace("local", [{"name": "keeper", "source": "keeper"}])
    machine.plugin("marketplaces/local/keeper")
    machine.enable({"keeper@local": True})
    assert machine.names() == []


@pytest.mark.parametrize("source", ["../../outside", "/tmp", "./a/../../../outside", "./a\0b"])
def test_a_source_never_leaves_its_marketplace(machine: Machine, source: str) -> None:
    machine.plugin("outside")
    machine.marketplace("local", [{"name": "keeper", "source": source}])
    machine.enable({"keeper@local": True})
    assert machine.names() == []


def test_an_entry_with_a_source_elsewhere_is_taken_from_its_record(machine: Machine) -> None:
    entry = {"name": "keeper", "source": {"source": "github", "repo": "a/b"}, "version": "3.0.0"}
    machine.marketplace("local", [entry])
    root = machine.plugin("cache/keeper")
    machine.record("keeper@local", root, version="1.0.0")
    machine.enable({"keeper@local": True})
    found = machine.found()["keeper"]
    assert (found.root, found.version) == (str(root), "3.0.0")


def test_the_version_is_the_manifests_then_the_catalogues_then_the_records(
    machine: Machine,
) -> None:
    machine.marketplace(
        "shop", [{"name": "a", "version": "2"}, {"name": "b", "version": "2"}], kind="git"
    )
    for name, manifest in {"a": {"version": "1"}, "b": {}, "c": {"version": ["1"]}}.items():
        root = machine.plugin(f"cache/{name}", **manifest)
        machine.record(f"{name}@shop", root, version="3")
    machine.record("d@shop", machine.plugin("cache/d", version="a\x1b[31m"))
    machine.enable({f"{name}@shop": True for name in "abcd"})
    versions = {name: plugin.version for name, plugin in machine.found().items()}
    assert versions == {"a": "1", "b": "2", "c": "3", "d": None}


def test_a_record_of_another_project_does_not_count(machine: Machine) -> None:
    other = machine.plugin("cache/other", version="1")
    mine = machine.plugin("cache/mine", version="2")
    machine.record("keeper@shop", other, scope="project", projectPath=str(machine.root / "x"))
    machine.enable({"keeper@shop": True})
    assert machine.names() == []
    machine.record("keeper@shop", mine, scope="local", projectPath=str(machine.project))
    assert machine.found()["keeper"].root == str(mine)


def test_a_record_may_name_the_project_by_a_link(machine: Machine) -> None:
    link = machine.root / "link"
    link.symlink_to(machine.project)
    machine.record("k@shop", machine.plugin("cache/k"), scope="project", projectPath=str(link))
    machine.enable({"k@shop": True})
    assert machine.names() == ["k"]


def test_of_several_records_the_first_that_counts_is_taken(machine: Machine) -> None:
    first, second = machine.plugin("cache/1"), machine.plugin("cache/2")
    machine.record("k@shop", machine.plugin("cache/0"), scope="project", projectPath="/elsewhere")
    machine.record("k@shop", first, scope="managed")
    machine.record("k@shop", second)
    machine.enable({"k@shop": True})
    assert machine.found()["k"].root == str(first)


def test_a_root_that_is_gone_is_not_loaded_and_the_cache_not_scanned(installed: Machine) -> None:
    installed.enable({"keeper@shop": True})
    cache = installed.plugins / "cache/shop/keeper"
    (cache / "1.2.0").rename(cache / "1.3.0")
    assert installed.names() == []


def test_an_older_registry_is_not_understood(installed: Machine) -> None:
    installed.enable({"keeper@shop": True})
    registry = {"version": 1, "plugins": installed.records}
    write(installed.plugins / "installed_plugins.json", registry)
    assert installed.names() == []


def test_a_project_cannot_bring_a_plugin_of_its_own(machine: Machine) -> None:
    """What a cloned repository says about marketplaces and records counts for nothing."""
    evil = machine.plugin("project/evil")
    settings = {
        "enabledPlugins": {"evil@evil": True},
        "extraKnownMarketplaces": {"evil": {"source": {"source": "directory", "path": str(evil)}}},
    }
    write(machine.project / ".claude/settings.json", settings)
    own = machine.project / ".claude/plugins"
    write(
        own / "installed_plugins.json",
        {
            "version": 2,
            "plugins": {"evil@evil": [{"scope": "user", "installPath": str(evil)}]},
        },
    )
    machine.plugin("project/.claude/skills/evil", name="evil")
    assert machine.names() == []


def test_a_plugin_among_the_users_skills_is_found(machine: Machine) -> None:
    folder = machine.plugin("home/.claude/skills/notes", name="keeper", version="1.0.0")
    machine.plugin("home/.claude/skills/unnamed")
    (machine.configuration / "skills/plain").mkdir()
    data = str(machine.plugins / "data/keeper-skills-dir")
    found = machine.found()
    assert found["keeper"] == Plugin(
        "keeper", "keeper", str(folder), "1.0.0", data, str(machine.configuration)
    )
    assert list(found) == ["keeper", "unnamed"]


def test_a_plugin_among_the_skills_can_be_switched_off(machine: Machine) -> None:
    machine.plugin("home/.claude/skills/keeper", name="keeper")
    machine.enable({"keeper@skills-dir": False})
    assert machine.names() == []


def test_folders_of_the_session_are_found(machine: Machine) -> None:
    one = machine.plugin("dev/one", name="one")
    machine.plugin("home/two", name="two")
    machine.plugin("project/three", name="three")
    parts = [f" {one} ", "~/two", "three", "", str(machine.root / "missing")]
    machine.environment["CLAUDE_CODE_PLUGIN_DIRS"] = os.pathsep.join(parts)
    found = machine.found()
    assert list(found) == ["one", "two"]
    assert found["one"].data == str(machine.plugins / "data/one-inline")


def test_a_named_folder_wins_over_the_installed_plugin(installed: Machine) -> None:
    installed.enable({"keeper@shop": True})
    named = installed.plugin("dev/keeper", name="keeper", version="9.0.0")
    session = installed.plugin("dev2/keeper", name="keeper")
    assert installed.found(str(named))["keeper"].root == str(named)
    installed.environment["CLAUDE_CODE_PLUGIN_DIRS"] = str(session)
    assert installed.found()["keeper"].root == str(session)
    assert installed.found(str(named))["keeper"].root == str(named)


def test_a_named_folder_may_be_relative(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = machine.plugin("dev/keeper")
    monkeypatch.chdir(machine.root)
    assert machine.found("dev/keeper")["keeper"].root == str(folder)


@pytest.mark.parametrize("name", ["..", ".hidden", "a/b", "", "x" * 200, "a b", "é", "-a", "a\n"])
def test_a_name_that_cannot_be_a_folders_name_is_left_out(machine: Machine, name: str) -> None:
    machine.record(f"{name}@shop", machine.plugin("cache/k"))
    machine.enable({f"{name}@shop": True})
    assert machine.names(str(machine.plugin("dev/x", name=name))) == []


BROKEN = ["{", "[]", "null", "12", "\ufeff{}", "\udc80", '{"enabledPlugins": []}', "[" * 100_000]


@pytest.mark.parametrize("text", BROKEN)
@pytest.mark.parametrize(
    "file",
    [
        "project/.claude/settings.json",
        "project/.claude/settings.local.json",
        "managed/managed-settings.json",
        "home/.claude/plugins/known_marketplaces.json",
        "marketplaces/shop/.claude-plugin/marketplace.json",
    ],
)
def test_a_broken_file_is_ignored(installed: Machine, file: str, text: str) -> None:
    installed.enable({"keeper@shop": True})
    (installed.root / file).write_bytes(text.encode("utf-8", "surrogateescape"))
    assert installed.names() == ["keeper"]


@pytest.mark.parametrize("file", ["settings.json", "plugins/installed_plugins.json"])
@pytest.mark.parametrize("text", BROKEN)
def test_with_a_broken_file_of_the_user_nothing_is_found(
    installed: Machine, file: str, text: str
) -> None:
    installed.enable({"keeper@shop": True})
    (installed.configuration / file).write_bytes(text.encode("utf-8", "surrogateescape"))
    assert installed.names() == []


def test_pipes_folders_and_huge_files_are_ignored(installed: Machine) -> None:
    installed.enable({"keeper@shop": True})
    os.mkfifo(installed.project / ".claude/settings.json")
    (installed.project / ".claude/settings.local.json").mkdir()
    with open(installed.managed / "managed-settings.json", "wb") as file:
        file.truncate(1 << 40)
    assert installed.names() == ["keeper"]


@pytest.mark.parametrize(
    "record",
    [
        [],
        {"scope": "user"},
        {"scope": "user", "installPath": 5},
        {"scope": "user", "installPath": "/\0"},
        {"scope": "user", "installPath": "/\ud800"},
        {"scope": "user", "installPath": "relative"},
        {"scope": [], "projectPath": "/\0", "installPath": "/"},
        {"scope": {}, "projectPath": "/\ud800", "installPath": "/"},
    ],
)
def test_an_odd_record_is_ignored(machine: Machine, record: object) -> None:
    write(
        machine.plugins / "installed_plugins.json",
        {"version": 2, "plugins": {"keeper@shop": [record], "b@shop": {}, "c@shop": None}},
    )
    machine.enable({"keeper@shop": True, "b@shop": True, "c@shop": True})
    assert machine.names() == []


@pytest.mark.parametrize("known", [None, [], {"source": "directory"}, {"installLocation": 3}])
def test_an_odd_marketplace_is_ignored(installed: Machine, known: object) -> None:
    installed.enable({"keeper@shop": True})
    write(installed.plugins / "known_marketplaces.json", {"shop": known})
    assert installed.names() == ["keeper"]


def test_a_plugin_opts_in_with_a_plain_file(machine: Machine) -> None:
    root = machine.plugin("dev/keeper")
    plugin = machine.found(str(root))["keeper"]
    (root / "migrations").mkdir()
    assert not ships_migrations(plugin)
    (root / "migrations/plugin-migrate.yaml").mkdir()
    assert not ships_migrations(plugin)
    (root / "migrations/plugin-migrate.yaml").rmdir()
    (root / "migrations/plugin-migrate.yaml").touch()
    assert ships_migrations(plugin)
