"""What is said about the plugin in several files is the same in all of them."""

import json
import re
import struct
import tomllib

import pytest

import plugin_migrate
from launcher_tree import ROOT, pins

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]


def read(path):
    return json.loads((ROOT / path).read_text())


def test_both_plugin_manifests_agree_and_the_root_one_names_its_schema():
    manifest = read("plugin.json")
    schema = manifest.pop("$schema")
    assert schema == "https://agent-plugins.org/schemas/1.0.0/plugin.schema.json"
    assert manifest == read(".claude-plugin/plugin.json")


def test_manifest_has_only_fields_of_the_specification():
    known = (
        "$schema name version description author homepage repository license keywords extensions"
    )
    assert set(read("plugin.json")) <= set(known.split())


def test_marketplace_offers_this_very_plugin():
    marketplace = read(".claude-plugin/marketplace.json")
    (entry,) = marketplace["plugins"]
    assert entry == {"source": "./", **read(".claude-plugin/plugin.json")}
    assert marketplace["owner"] == entry["author"]


@pytest.mark.parametrize("field", ["name", "description", "keywords", "license"])
def test_python_package_says_the_same(field):
    assert PROJECT[field] == read("plugin.json")[field]


def test_authors_and_license_are_the_same_everywhere():
    author = read("plugin.json")["author"]
    assert PROJECT["authors"] == [author]
    assert author["name"] in (ROOT / "LICENSE").read_text()


def test_version_is_the_package_version_everywhere():
    own = plugin_migrate.__version__
    for path in ("plugin.json", ".claude-plugin/plugin.json"):
        assert read(path)["version"] == own
    assert [entry["version"] for entry in read(".claude-plugin/marketplace.json")["plugins"]] == [
        own
    ]
    # pyproject.toml has none of its own.
    assert "version" in PROJECT["dynamic"]
    source = PYPROJECT["tool"]["hatch"]["version"]["path"]
    assert re.findall(r'^__version__ = "(.*)"', (ROOT / source).read_text(), re.MULTILINE) == [own]
    released = re.findall(r"^## \[(\d.*?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert released[0] == plugin_migrate.__version__


def test_icon_is_one_that_the_plugin_directory_takes():
    icon = (ROOT / ".claude-plugin/icon.png").read_bytes()
    assert icon.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", icon[16:24])
    assert 512 <= width == height <= 2048
    assert len(icon) < 2_000_000


def test_every_dependency_is_pinned_for_the_managed_environment():
    from packaging.requirements import Requirement

    pinned = dict(pin.split("==") for pin in pins("requirements.txt"))
    wanted = [Requirement(text) for text in PROJECT["dependencies"]]
    assert sorted(pinned) == sorted(requirement.name for requirement in wanted)
    for requirement in wanted:
        assert requirement.specifier.contains(pinned[requirement.name])


def test_pins_make_a_folder_name():
    both = pins("requirements.txt", "requirements-dev.txt")
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.-]+", pin) for pin in both)
    assert len("+".join(both)) < 255
