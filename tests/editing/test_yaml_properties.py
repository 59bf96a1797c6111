"""What holds for all YAML files and every edit."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import assume, example, given
from hypothesis import strategies as st

from editing.documents import CANONICAL_YAML, EDITS, KEYS, MAPPINGS, VALUES, Edit, yaml_document
from editing.properties import Format
from plugin_migrate.editing import yaml_edit, yaml_tree
from plugin_migrate.editing.tree import TreeNode, fingerprint

FILLED = st.dictionaries(KEYS, VALUES, min_size=1, max_size=5)


def _root(text: str) -> TreeNode:
    root = yaml_tree.parse(text)
    assert root is not None
    return root


YAML = Format(yaml_edit.load, yaml_edit.apply, _root)


@given(st.data(), MAPPINGS)
def test_loads_what_was_written(data: st.DataObject, value: Any) -> None:
    YAML.loads(data.draw(yaml_document(st.just(value))), value)


@given(yaml_document(), VALUES.filter(lambda value: value is not None))
@example("a: null", "0\n")
def test_any_value_can_be_written(text: str, value: Any) -> None:
    YAML.can_write(text, value)


@given(yaml_document(), EDITS)
def test_an_edited_value_is_read_back(text: str, edits: list[Edit]) -> None:
    YAML.keeps_all_without_a_change(text)
    YAML.reads_an_edited_value_back(text, edits)


@given(yaml_document(), EDITS)
def test_readers_of_yaml_1_1_see_the_same_edit(text: str, edits: list[Edit]) -> None:
    """PyYAML's own loader stands for readers that see numbers, bools and dates in more texts."""
    value = yaml_edit.load(text)
    assume(value and _as_yaml_1_1(text) == fingerprint(value))
    for edit in edits:
        edit(value)
    assume(value)

    assert _as_yaml_1_1(yaml_edit.apply(text, value)) == fingerprint(value)


@given(yaml_document(st.dictionaries(KEYS, CANONICAL_YAML, min_size=1)), st.data())
def test_changing_a_scalar_and_back_gives_the_original(text: str, data: st.DataObject) -> None:
    YAML.takes_back_a_scalar(text, data, data.draw(CANONICAL_YAML))


@given(yaml_document(), st.integers(0, 99), VALUES)
def test_adding_and_deleting_gives_the_original(text: str, seed: int, new: Any) -> None:
    YAML.takes_back(text, Edit(seed, "set", "a new key", new))


@pytest.mark.parametrize("text", ["a: 1", "b: 1\na: 1", "# nothing"])
@pytest.mark.parametrize("new", ["x", "x\n", "x\n\n", "x\ny\n", "x\ny"])
def test_texts_of_lines_fit_a_file_without_a_last_line_end(text: str, new: str) -> None:
    value = yaml_edit.load(text)
    value["a"] = new

    changed = yaml_edit.apply(text, value)

    assert yaml_edit.load(changed) == value
    assert not changed.endswith("\n")


@given(yaml_document(FILLED), st.data(), VALUES)
def test_siblings_keep_their_text(text: str, data: st.DataObject, new: Any) -> None:
    YAML.keeps_siblings(text, data, new)


@given(yaml_document(FILLED), st.data(), KEYS)
def test_renaming_touches_only_the_key(text: str, data: st.DataObject, new: str) -> None:
    YAML.renames_only_the_key(text, data, new)


@given(st.dictionaries(st.sampled_from("abc"), VALUES, min_size=1), st.data(), VALUES)
def test_aliases_keep_their_value_when_their_anchor_gets_another(
    value: dict[str, Any], data: st.DataObject, new: Any
) -> None:
    anchors = "".join(f"of {key}: &{key} {json.dumps(item)}\n" for key, item in value.items())
    text = anchors + "".join(f"{key}: *{key}\n" for key in value)
    loaded = yaml_edit.load(text)
    changed_key = data.draw(st.sampled_from(sorted(value)))
    loaded[f"of {changed_key}"] = new

    changed = yaml_edit.apply(text, loaded)

    assert fingerprint(yaml_edit.load(changed)) == fingerprint(loaded)
    for key in value:
        if key != changed_key:
            assert f"\n{key}: *{key}\n" in changed


def _as_yaml_1_1(text: str) -> object:
    try:
        return fingerprint(yaml.safe_load(text.removeprefix("\ufeff")))
    except (yaml.YAMLError, TypeError, ValueError):
        return None
