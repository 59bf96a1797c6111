"""What holds for all TOML files and every edit; the standard library reads the results."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from editing.documents import KEYS, Edit
from editing.toml_documents import CANONICAL, EDITS, MAPPINGS, VALUES, toml_document
from plugin_migrate.editing import toml
from plugin_migrate.editing.toml.changes import _unordered
from plugin_migrate.editing.toml.document import read

FILLED = st.dictionaries(KEYS, VALUES, min_size=1, max_size=5)


def other_reader(text: str) -> object:
    return _unordered(tomllib.loads(text.removeprefix("\ufeff")))


@given(st.data(), MAPPINGS)
def test_loads_what_was_written(data: st.DataObject, value: Any) -> None:
    text = data.draw(toml_document(st.just(value)))

    assert _unordered(toml.load(text)) == _unordered(value) == other_reader(text)


@given(toml_document(), MAPPINGS)
def test_any_mapping_can_be_written(text: str, value: Any) -> None:
    assert other_reader(toml.apply(text, value)) == _unordered(value)


@given(toml_document(), EDITS)
def test_an_edited_mapping_is_read_back(text: str, edits: list[Edit]) -> None:
    value = toml.load(text)
    assert toml.apply(text, value) == text
    for edit in edits:
        edit(value)

    changed = toml.apply(text, value)

    assert _unordered(toml.load(changed)) == _unordered(value) == other_reader(changed)
    if "\r" in text:
        assert changed.count("\n") == changed.count("\r\n")


@given(toml_document(st.dictionaries(KEYS, CANONICAL, min_size=1)), st.data())
def test_changing_a_scalar_and_back_gives_the_original(text: str, data: st.DataObject) -> None:
    value, original = toml.load(text), toml.load(text)
    key = data.draw(st.sampled_from(list(value)))
    node = next(one.node for one in read(text, "").statements if one.path == (key,))
    assert node is not None
    assume(text[node.start : node.end][:3] != '"""')  # a choice that is known only while it lasts
    new = data.draw(CANONICAL)
    assume(isinstance(original[key], str) <= isinstance(new, str))
    value[key] = new

    changed = toml.apply(text, value)

    assert toml.apply(changed, original) == text


@given(toml_document(), st.integers(0, 99), VALUES)
def test_adding_and_deleting_gives_the_original(text: str, seed: int, new: Any) -> None:
    value, original = toml.load(text), toml.load(text)
    mappings = list(_mappings(value))
    mappings[seed % len(mappings)]["a new key"] = new

    changed = toml.apply(text, value)

    assert toml.apply(changed, original) == text


@given(toml_document(FILLED), st.data(), VALUES)
def test_everything_else_keeps_its_text(text: str, data: st.DataObject, new: Any) -> None:
    value = toml.load(text)
    changed_key = data.draw(st.sampled_from(list(value)))
    value[changed_key] = new

    changed = toml.apply(text, value)

    at = 0
    for statement in read(text, "").statements:
        if statement.path[0] != changed_key:
            line = text[statement.start : statement.end].rstrip()
            at = changed.index(line, at) + len(line)


@given(toml_document(FILLED), st.data(), KEYS)
def test_renaming_touches_only_the_key(text: str, data: st.DataObject, new: str) -> None:
    value = toml.load(text)
    assume(new not in value)
    old = data.draw(st.sampled_from(list(value)))
    value.rename(old, new)

    changed = toml.apply(text, value)

    assert other_reader(changed) == _unordered(value)
    before, after = _without_first_words(text, old), _without_first_words(changed, new)
    assert after == before


@given(toml_document(FILLED), st.randoms())
def test_the_order_of_keys_means_nothing(text: str, random: Any) -> None:
    entries = list(toml.load(text).items())
    random.shuffle(entries)

    assert toml.apply(text, dict(entries)) == text


def _mappings(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield value
    children = value.values() if isinstance(value, dict) else value
    for child in children if isinstance(value, dict | list) else ():
        yield from _mappings(child)


def _without_first_words(text: str, name: str) -> str:
    """Return the text without the first part of every key that begins with ``name``."""
    for statement in reversed(read(text, "").statements):
        if statement.path[0] == name and (statement.node is None or statement.section == ()):
            word = statement.words[0]
            text = text[: word.start] + text[word.end :]
    return text
