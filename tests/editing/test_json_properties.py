"""What holds for every JSON document and every edit."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from editing.documents import EDITS, KEYS, SCALARS, VALUES, Edit, tidy_json, wild_json
from plugin_migrate.editing import json_edit
from plugin_migrate.editing.tree import fingerprint

ANY_STYLE = tidy_json() | wild_json()
CONTAINERS = st.lists(VALUES, max_size=5) | st.dictionaries(KEYS, VALUES, max_size=5)
WITH_A_SCALAR = st.dictionaries(KEYS, VALUES, max_size=5).map(lambda value: {**value, "0": 0})


@given(tidy_json())
def test_loads_what_the_json_module_loads(text: str) -> None:
    expected = json.loads(text.removeprefix("\ufeff"))

    assert fingerprint(json_edit.load(text)) == fingerprint(expected)


@given(ANY_STYLE)
def test_the_same_value_gives_the_same_text(text: str) -> None:
    assert json_edit.apply(text, json_edit.load(text)) == text


@given(ANY_STYLE, VALUES)
def test_any_value_can_be_written(text: str, value: Any) -> None:
    assert fingerprint(json_edit.load(json_edit.apply(text, value))) == fingerprint(value)


@given(tidy_json(CONTAINERS) | wild_json(CONTAINERS), EDITS)
def test_an_edited_value_is_read_back(text: str, edits: list[Edit]) -> None:
    value = json_edit.load(text)
    for edit in edits:
        edit(value)

    assert fingerprint(json_edit.load(json_edit.apply(text, value))) == fingerprint(value)


@given(CONTAINERS, st.sampled_from([None, 1, 2, 4, "\t"]), EDITS)
def test_a_document_in_one_style_stays_in_it(
    value: Any, indent: int | str | None, edits: list[Edit]
) -> None:
    """The result is what the program that wrote the document would write for the new value."""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    assume(text not in ("{}", "[]"))  # they have no style
    new = json_edit.load(text)
    for edit in edits:
        edit(new)

    assert json_edit.apply(text, new) == json.dumps(new, indent=indent, ensure_ascii=False)


# A file's last escape is all that tells that the file has escapes, so none are changed here.
@given(tidy_json(WITH_A_SCALAR, escapes=False), st.integers(0, 99), SCALARS)
def test_changing_a_scalar_and_back_gives_the_original(text: str, seed: int, new: Any) -> None:
    value, original = json_edit.load(text), json_edit.load(text)
    places = list(_scalar_places(value))
    container, key = places[seed % len(places)]
    container[key] = new

    changed = json_edit.apply(text, value)

    assert json_edit.apply(changed, original) == text


@given(tidy_json(CONTAINERS) | wild_json(CONTAINERS), st.integers(0, 99), VALUES)
def test_adding_and_deleting_gives_the_original(text: str, seed: int, new: Any) -> None:
    value, original = json_edit.load(text), json_edit.load(text)
    Edit(seed, "set", "a new key", new)(value)

    changed = json_edit.apply(text, value)

    assert json_edit.apply(changed, original) == text


@given(wild_json(st.dictionaries(KEYS, VALUES, min_size=2, max_size=5)), st.integers(0, 99), VALUES)
def test_siblings_keep_their_text(text: str, seed: int, new: Any) -> None:
    value = json_edit.load(text)
    keys = list(value)
    changed_key = keys[seed % len(keys)]
    value[changed_key] = new

    changed = json_edit.apply(text, value)

    root = json_edit._JsonParser(text, "").document()
    for child in root.children:
        if child.key != changed_key:
            assert text[child.start : child.end] in changed


@given(wild_json(st.dictionaries(KEYS, VALUES, min_size=1, max_size=5)), st.integers(0, 99), KEYS)
def test_renaming_touches_only_the_key(text: str, seed: int, new: str) -> None:
    value = json_edit.load(text)
    keys = list(value)
    assume(new not in keys)
    old = keys[seed % len(keys)]
    value.rename(old, new)

    changed = json_edit.apply(text, value)

    child = next(c for c in json_edit._JsonParser(text, "").document().children if c.key == old)
    assert changed.startswith(text[: child.start])
    assert changed.endswith(text[child.label_end :])


@given(wild_json(st.dictionaries(KEYS, VALUES, max_size=5)), st.randoms())
def test_reordered_entries_keep_their_text(text: str, random: Any) -> None:
    value = json_edit.load(text)
    entries = list(value.items())
    random.shuffle(entries)

    changed = json_edit.apply(text, dict(entries))

    assert list(json_edit.load(changed)) == [key for key, _ in entries]
    for child in json_edit._JsonParser(text, "").document().children:
        assert text[child.start : child.end] in changed


def _scalar_places(value: Any) -> Any:
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    for key, child in entries:
        if isinstance(child, dict | list):
            yield from _scalar_places(child)
        else:
            yield value, key
