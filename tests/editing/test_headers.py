"""Each header of the corpus under each change, given to the two that read it."""

from __future__ import annotations

from typing import Any

import pytest

from editing.corpus import (
    HEADER_CHANGES,
    HEADERS,
    UNCHANGEABLE_HEADERS,
    UNREADABLE_HEADERS,
    Change,
)
from editing.readers import assert_seen, client, pyyaml
from plugin_migrate.editing import client_reading
from plugin_migrate.editing import front_matter as fm
from plugin_migrate.errors import StateUnreadable

EDITABLE = sorted(HEADERS.keys() - UNREADABLE_HEADERS.keys() - UNCHANGEABLE_HEADERS.keys())


def changed(text: str, change: Change) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Return the document after a change, and the fields before and after it."""
    fields = fm.load(text)
    change(fields)
    return fm.apply(text, fields), fm.load(text), fields


@pytest.mark.parametrize("name", EDITABLE)
def test_both_readers_see_the_change_and_nothing_else(name: str) -> None:
    before = HEADERS[name]
    for change in HEADER_CHANGES:
        after, old, new = changed(before, HEADER_CHANGES[change])
        for reader in (client, pyyaml):
            assert_seen(reader(before), reader(after), old, new, f"{change}, {reader.__name__}")


@pytest.mark.parametrize("name", EDITABLE)
def test_the_body_stays_to_the_byte(name: str) -> None:
    before = HEADERS[name]
    end = client_reading.closing(before)
    for change in HEADER_CHANGES.values():
        after, _, _ = changed(before, change)

        assert after.endswith(before[end:] if end is not None else before.removeprefix("\ufeff"))


@pytest.mark.parametrize("name", sorted(set(EDITABLE) - {"empty-header"}))
def test_taking_back_what_was_added_gives_the_file_as_it_was(name: str) -> None:
    for change in ("a word", "lines", "a list", "an empty mapping"):
        after, _, _ = changed(HEADERS[name], HEADER_CHANGES[change])

        assert changed(after, lambda fields: fields.pop("team"))[0] == HEADERS[name]


@pytest.mark.parametrize("name", UNREADABLE_HEADERS)
def test_a_header_that_cannot_be_read_is_named_with_its_line(name: str) -> None:
    line, what = UNREADABLE_HEADERS[name]
    with pytest.raises(StateUnreadable, match=what) as caught:
        fm.load(HEADERS[name], f"{name}.md")

    assert (caught.value.file, caught.value.line) == (f"{name}.md", line)
    assert caught.value.hint is not None


@pytest.mark.parametrize("name", UNCHANGEABLE_HEADERS)
def test_a_header_to_which_nothing_can_be_added_is_named_with_its_line(name: str) -> None:
    line, what = UNCHANGEABLE_HEADERS[name]
    fields = fm.load(HEADERS[name], f"{name}.md")
    assert fm.apply(HEADERS[name], fields) == HEADERS[name]  # nobody wants to change it

    with pytest.raises(StateUnreadable, match=what) as caught:
        fm.apply(HEADERS[name], {**fields, "team": "core"}, f"{name}.md")

    assert (caught.value.file, caught.value.line) == (f"{name}.md", line)
    assert caught.value.hint is not None


def test_what_stands_above_dashes_in_a_value_can_be_changed() -> None:
    after, _, _ = changed(HEADERS["dashes-in-a-value"], lambda fields: fields.update(name="x"))

    assert after == HEADERS["dashes-in-a-value"].replace("dashes-in-a-value", "x")


def test_a_list_below_tabs_is_a_list() -> None:
    for name in ("tab-list", "tab-list-and-colon", "tabs-and-blanks"):
        assert fm.load(HEADERS[name])["tools"] == ["Read", "Grep"]
        after, _, _ = changed(HEADERS[name], lambda fields: fields["tools"].append("Write"))
        assert client(after)["tools"] == ["Read", "Grep", "Write"]


def test_a_list_or_mapping_that_no_reader_reads_is_never_given_as_a_text() -> None:
    for value in ("\n  - Read\n \t- Grep", " [Read,\n  Grep: [x", "\n  a: b: c"):
        with pytest.raises(StateUnreadable, match="the value of 'tools' is none either") as caught:
            fm.load(f"---\nname: x\ntools:{value}\n---\n", "x.md")

        assert (caught.value.file, caught.value.line) == ("x.md", 3)


def test_values_beside_an_unquoted_colon_are_those_of_the_client() -> None:
    assert fm.load(HEADERS["colon-and-a-comment"])["model"] == "opus # the best"
    assert fm.load(HEADERS["colon-and-an-anchor"])["limits"] == {"a": 5, "b": 5}
    assert fm.load(HEADERS["colon-and-a-quoted-key"])["the key"] == "the: value"
    assert fm.load(HEADERS["at-sign"])["description"] == "@reviewer of code"
    # The client gives this as one text, and itself takes it apart.
    assert fm.load(HEADERS["colon-and-brackets"])["tools"] == ["Read", "Grep"]


def test_a_raw_value_keeps_its_meaning_when_the_header_becomes_yaml() -> None:
    after, _, _ = changed(HEADERS["colon-and-a-comment"], lambda f: f.update(description="Plain"))

    assert client(after)["model"] == "opus # the best"


def test_new_values_beside_an_unquoted_colon_are_written_as_both_read_them() -> None:
    """A text on the line of its key, brackets not there: the repair would quote them."""
    values = {"a": "x\ny: z", "b": "---", "c": [], "d": {}, "e": ["x: y"], "f": {"g": []}}
    after, _, _ = changed(HEADERS["colon"], lambda fields: fields.update(values))

    assert after.endswith(
        'a: "x\\ny: z"\nb: "\\x2d\\x2d\\x2d"\nc:\n  []\nd:\n  {}\n'
        'e:\n  - "x: y"\nf:\n  g:\n    []\n---\n# Body\n\nSome text: with `---` in it.\n'
    )
