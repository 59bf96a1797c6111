"""Each JSON file of the corpus under each change, given to an independent reader."""

from __future__ import annotations

import copy
from typing import Any

import json5
import pytest

from editing.corpus import JSON, UNREADABLE_JSON, Change
from plugin_migrate.editing import json_edit
from plugin_migrate.errors import StateUnreadable

EDITABLE = sorted(JSON.keys() - UNREADABLE_JSON.keys())


def _lists(value: Any) -> list[list[Any]]:
    children = list(value.values()) if isinstance(value, dict) else value
    own = [value] if isinstance(value, list) else []
    below = [_lists(child) for child in children if isinstance(child, dict | list)]
    return own + [found for lists in below for found in lists]


def _move(value: Any) -> None:
    for items in _lists(value):
        items.reverse()


def _append(value: Any) -> None:
    for items in _lists(value):
        items.append({"new": ["😀", 1.5, None]})


CHANGES: dict[str, Change] = {
    "a word": lambda value: value.update(team="core"),
    "a mapping": lambda value: value.update(team={"a": [{}, []], "b": "x\n\u2028"}),
    "another value": lambda value: value.update(model={"name": "x"}),
    "none": lambda value: value.clear(),
    "moved items": _move,
    "new items": _append,
    "last first": lambda value: value and value.update({k: value.pop(k) for k in list(value)[:-1]}),
}


def read(text: str) -> Any:
    return json5.loads(text.removeprefix("\ufeff"))


@pytest.mark.parametrize("name", EDITABLE)
def test_another_reader_sees_the_change_and_nothing_else(name: str) -> None:
    for change in CHANGES.values():
        value = json_edit.load(JSON[name])
        change(value)
        expected = read(JSON[name])
        change(expected)

        after = read(json_edit.apply(JSON[name], value))

        assert after == expected
        assert list(after) == list(expected)


@pytest.mark.parametrize("name", EDITABLE)
def test_taking_back_what_was_done_gives_the_file_as_it_was(name: str) -> None:
    original = json_edit.load(JSON[name])
    for change in ("a word", "a mapping", "moved items", "new items"):
        value = copy.deepcopy(original)
        CHANGES[change](value)
        after = json_edit.apply(JSON[name], value)

        assert json_edit.apply(after, original) == JSON[name]


@pytest.mark.parametrize("name", EDITABLE)
def test_line_ends_stay_of_one_kind(name: str) -> None:
    value = json_edit.load(JSON[name])
    value["team"] = {"a": [{"b": 1}, []]}
    ends = [end for end in ("\r\n", "\r", "\n") if end in JSON[name]]
    rest = json_edit.apply(JSON[name], value).replace(ends[0] if ends else "\n", "")

    assert "\r" not in rest
    assert "\n" not in rest


@pytest.mark.parametrize("name", UNREADABLE_JSON)
def test_a_file_that_cannot_be_read_is_named_with_its_line_and_the_way_on(name: str) -> None:
    line, what = UNREADABLE_JSON[name]
    with pytest.raises(StateUnreadable, match=what) as caught:
        json_edit.load(JSON[name], f"{name}.json")

    assert (caught.value.file, caught.value.line) == (f"{name}.json", line)
    assert "run the command again" in str(caught.value.hint)
