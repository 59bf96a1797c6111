"""What holds for every JSON document and every edit."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from editing.documents import EDITS, KEYS, SCALARS, VALUES, Edit, tidy_json, wild_json
from editing.properties import Format
from plugin_migrate.editing import json_edit

JSON = Format(
    json_edit.load, json_edit.apply, lambda text: json_edit._JsonParser(text, "").document()
)
ANY_STYLE = tidy_json() | wild_json()
CONTAINERS = st.lists(VALUES, max_size=5) | st.dictionaries(KEYS, VALUES, max_size=5)
WITH_A_SCALAR = st.dictionaries(KEYS, VALUES, max_size=5).map(lambda value: {**value, "0": 0})


@given(tidy_json())
def test_loads_what_the_json_module_loads(text: str) -> None:
    JSON.loads(text, json.loads(text.removeprefix("\ufeff")))


@given(ANY_STYLE)
def test_the_same_value_gives_the_same_text(text: str) -> None:
    JSON.keeps_all_without_a_change(text)


@given(ANY_STYLE, VALUES)
def test_any_value_can_be_written(text: str, value: Any) -> None:
    JSON.can_write(text, value)


@given(tidy_json(CONTAINERS) | wild_json(CONTAINERS), EDITS)
def test_an_edited_value_is_read_back(text: str, edits: list[Edit]) -> None:
    JSON.reads_an_edited_value_back(text, edits)


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
    def change(value: Any) -> None:
        places = list(_scalar_places(value))
        container, key = places[seed % len(places)]
        container[key] = new

    JSON.takes_back(text, change)


@given(tidy_json(CONTAINERS) | wild_json(CONTAINERS), st.integers(0, 99), VALUES)
def test_adding_and_deleting_gives_the_original(text: str, seed: int, new: Any) -> None:
    JSON.takes_back(text, Edit(seed, "set", "a new key", new))


@given(wild_json(st.dictionaries(KEYS, VALUES, min_size=2, max_size=5)), st.data(), VALUES)
def test_siblings_keep_their_text(text: str, data: st.DataObject, new: Any) -> None:
    JSON.keeps_siblings(text, data, new)


@given(wild_json(st.dictionaries(KEYS, VALUES, min_size=1, max_size=5)), st.data(), KEYS)
def test_renaming_touches_only_the_key(text: str, data: st.DataObject, new: str) -> None:
    JSON.renames_only_the_key(text, data, new)


@given(wild_json(st.dictionaries(KEYS, VALUES, max_size=5)), st.randoms())
def test_reordered_entries_keep_their_text(text: str, random: Any) -> None:
    JSON.keeps_reordered_entries(text, random)


def _scalar_places(value: Any) -> Any:
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    for key, child in entries:
        if isinstance(child, dict | list):
            yield from _scalar_places(child)
        else:
            yield value, key
