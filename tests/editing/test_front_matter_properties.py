"""What holds for all front matter and every edit."""

from __future__ import annotations

from typing import Any

import yaml
from hypothesis import assume, given
from hypothesis import strategies as st

from editing.documents import CANONICAL_YAML, EDITS, KEYS, MAPPINGS, VALUES, Edit, front_matter
from editing.properties import Format
from plugin_migrate.editing import client_reading, yaml_tree
from plugin_migrate.editing import front_matter as fm
from plugin_migrate.editing.tree import TreeNode, fingerprint

FILLED = st.dictionaries(KEYS, VALUES, min_size=1, max_size=5)


def _root(text: str) -> TreeNode:
    block = fm._find(text)
    root = yaml_tree.parse(text, block.start, block.end)
    assert root is not None
    return root


HEADER = Format(fm.load, fm.apply, _root)


@given(st.data(), MAPPINGS)
def test_loads_what_was_written(data: st.DataObject, value: Any) -> None:
    HEADER.loads(data.draw(front_matter(st.just(value))), value)


@given(front_matter())
def test_the_same_value_gives_the_same_text(text: str) -> None:
    HEADER.keeps_all_without_a_change(text)


@given(front_matter(), MAPPINGS)
def test_any_mapping_can_be_written(text: str, value: Any) -> None:
    HEADER.can_write(text, value)


@given(front_matter(), EDITS)
def test_an_edited_mapping_is_read_back(text: str, edits: list[Edit]) -> None:
    HEADER.reads_an_edited_value_back(text, edits)


@given(front_matter(), EDITS)
def test_the_body_is_never_touched(text: str, edits: list[Edit]) -> None:
    value = fm.load(text)
    for edit in edits:
        edit(value)

    changed = fm.apply(text, value)

    block, old_block = fm._find(changed), fm._find(text)
    # A header that looks like one an edit made goes away with its last key, fences included.
    is_gone = old_block.exists and not block.exists
    fence = f"---{old_block.newline}" if is_gone else ""
    assert fence + changed[block.end :] == text[old_block.end :]


@given(st.text(max_size=30), FILLED)
def test_front_matter_is_made_before_any_body(body: str, value: Any) -> None:
    assume(not fm._OPENED.match(body))
    assume("\0" not in body)  # as UTF-16 has it, which is refused

    changed = fm.apply(body, value)

    assert fingerprint(fm.load(changed)) == fingerprint(value)
    assert changed.endswith(body.removeprefix("\ufeff"))
    assert changed.startswith("\ufeff") == body.startswith("\ufeff")


@given(VALUES)
def test_new_values_mean_the_same_to_a_yaml_1_1_reader(value: Any) -> None:
    """PyYAML's own loader stands for readers that see numbers, bools and dates in more texts."""
    block = fm.apply("", {"key": value}).removesuffix("---\n")

    assert fingerprint(yaml.safe_load(block)) == fingerprint({"key": value})


@given(front_matter(st.dictionaries(KEYS, CANONICAL_YAML, min_size=1)), st.data())
def test_changing_a_scalar_and_back_gives_the_original(text: str, data: st.DataObject) -> None:
    HEADER.takes_back_a_scalar(text, data, data.draw(CANONICAL_YAML))


@given(front_matter(), st.integers(0, 99), VALUES)
def test_adding_and_deleting_gives_the_original(text: str, seed: int, new: Any) -> None:
    # A header that holds nothing goes with the last key, for nothing tells whose it is.
    assume(fm.load(text) or "---" not in text)
    HEADER.takes_back(text, Edit(seed, "set", "a new key", new))


@given(front_matter(FILLED), st.data(), VALUES)
def test_siblings_keep_their_text(text: str, data: st.DataObject, new: Any) -> None:
    HEADER.keeps_siblings(text, data, new)


@given(front_matter(FILLED), st.data(), KEYS)
def test_renaming_touches_only_the_key(text: str, data: st.DataObject, new: str) -> None:
    HEADER.renames_only_the_key(text, data, new)


@given(front_matter(), st.randoms())
def test_reordered_entries_keep_their_text(text: str, random: Any) -> None:
    HEADER.keeps_reordered_entries(text, random)


BROKEN = "broken: Use it: now. <example>a: 'b</example>"
LETTERS = st.dictionaries(st.sampled_from("abcdefg"), VALUES, min_size=1, max_size=4)


@given(front_matter(LETTERS), EDITS)
def test_all_this_holds_beside_an_entry_that_is_no_yaml(text: str, edits: list[Edit]) -> None:
    block = fm._find(text)
    lenient = text[: block.start] + BROKEN + block.newline + text[block.start :]
    assume(client_reading.read(lenient).readable)  # else an edit may be refused
    value = fm.load(lenient)
    assert value.pop("broken") == BROKEN.removeprefix("broken: ")
    for edit in edits:
        edit(value)
    for key in [key for key in value if key not in set("abcdefg")]:
        del value[key]  # a key in quotes begins no entry here
    new = {"broken": BROKEN.removeprefix("broken: "), **value}

    changed = fm.apply(lenient, new)

    assert fingerprint(fm.load(changed)) == fingerprint(new)
    assert BROKEN + block.newline in changed
    assert fm.apply(lenient, fm.load(lenient)) == lenient
