"""Front matter has keys that Claude Code knows, with values of a kind that it understands."""

import pytest
import yaml

from claude_code.known_keys import COMMAND_KEYS, SKILL_KEYS
from launcher_tree import ROOT

COMMANDS = sorted(ROOT.glob("commands/**/*.md"))
SKILLS = sorted(ROOT.glob("skills/*/SKILL.md"))
# Of the original's front matter; the client reads neither, and its strict validation lets them be.
INHERITED = {
    "category": "plugin-management",
    "keywords": ["migration", "version", "upgrade", "downgrade", "database"],
}
_FLAGS = {"disable-model-invocation", "user-invocable", "background"}


def fields(path):
    start, front_matter, _ = path.read_text().split("---\n", 2)
    assert start == ""
    return yaml.safe_load(front_matter)


@pytest.mark.parametrize("path", [*COMMANDS, *SKILLS], ids=lambda path: str(path.relative_to(ROOT)))
def test_every_key_is_known_and_has_a_value_of_its_kind(path):
    found = fields(path)
    assert set(found) <= (SKILL_KEYS if path in SKILLS else COMMAND_KEYS | set(INHERITED))
    for key, value in found.items():
        if key in _FLAGS:
            assert isinstance(value, bool), key
        elif key not in ("hooks", "metadata"):
            assert value, key
            assert isinstance(value, str | list), key


def test_the_command_keeps_category_and_keywords_of_the_original():
    found = fields(ROOT / "commands/plugin-migrate.md")
    assert {key: found[key] for key in INHERITED} == INHERITED


def test_the_command_has_the_name_without_which_it_needs_its_plugins_before_it():
    assert fields(ROOT / "commands/plugin-migrate.md")["name"] == "plugin-migrate"


def test_a_skill_is_named_like_its_folder():
    assert all(fields(path).get("name", path.parent.name) == path.parent.name for path in SKILLS)
