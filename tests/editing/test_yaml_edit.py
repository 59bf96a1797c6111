"""What an edit does to a whole YAML file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from plugin_migrate.editing import yaml_edit
from plugin_migrate.errors import StateUnreadable

CONFIG = """\
%YAML 1.2
---
# The server.
server:
    host: localhost   # not the name
    "port": 80

jobs: &jobs
- name: 'build'
  run: |
    make   # all
# About the test.
- {name: test, run: "make test"}
on: yes
...
"""


def edited(text: str, change: Callable[[Any], object]) -> str:
    value = yaml_edit.load(text)
    change(value)
    changed = yaml_edit.apply(text, value)
    assert yaml_edit.load(changed) == value
    return changed


def refusal(text: str, change: Callable[[Any], object] = lambda value: None) -> StateUnreadable:
    with pytest.raises(StateUnreadable) as caught:
        edited(text, change)
    assert caught.value.file == "the file"
    return caught.value


def test_only_what_changes_is_written() -> None:
    def change(value: Any) -> None:
        value["server"]["port"] = 8080
        value["jobs"][1]["run"] = "make check"
        value["server"]["tls"] = {"on": True}

    expected = CONFIG.replace('"port": 80', '"port": 8080\n    tls:\n      "on": true')
    assert edited(CONFIG, change) == expected.replace('"make test"', '"make check"')


def test_values_are_those_of_yaml_1_2() -> None:
    value = yaml_edit.load(CONFIG)
    assert value["on"] == "yes"
    assert value["jobs"][0]["run"] == "make   # all\n"


def test_a_list_can_be_the_whole_document() -> None:
    text = "# all\n- a  # first\n- b\n"
    assert edited(text, lambda value: value.append("c")) == text + "- c\n"
    assert edited(text, lambda value: value.clear()) == "# all\n[]\n"


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("", "a: 1\n"),
        ("# only\n", "# only\na: 1\n"),
        ("# no end", "# no end\na: 1"),
        ("\ufeff", "\ufeffa: 1\n"),
        ("---\n", "---\na: 1\n"),
        ("# c\r\n---\r\n", "# c\r\n---\r\na: 1\r\n"),
        ("---\n# c\n...\n", "---\n# c\na: 1\n...\n"),
        ("{}\n", "{a: 1}\n"),
    ],
)
def test_a_file_that_says_nothing_becomes_a_mapping_and_back(text: str, filled: str) -> None:
    assert yaml_edit.load(text) == {}
    assert edited(text, lambda value: value.update(a=1)) == filled
    assert edited(filled, lambda value: value.clear()) == text


def test_lines_that_end_in_cr_alone_stay_so() -> None:
    assert edited("a: 1\rb: 2\r", lambda value: value.update(c=3)) == "a: 1\rb: 2\rc: 3\r"


# Anchors and tags


ANCHORS = """\
base: &base
  image: a   # the old one
one: *base
name: &name x
two: [*name, y]
"""


def test_an_edit_beside_aliases_leaves_them() -> None:
    assert edited(ANCHORS, lambda value: value["two"].append("z")) == ANCHORS.replace("y]", "y, z]")


def test_only_the_aliases_of_a_changed_anchor_are_written_out() -> None:
    changed = edited(ANCHORS, lambda value: value["base"].update(image="b"))
    assert changed == ANCHORS.replace("image: a ", "image: b ").replace("*base", "{image: a}")


def test_an_alias_that_gets_a_value_of_its_own_is_no_alias_any_more() -> None:
    changed = edited(ANCHORS, lambda value: value["one"].update(image="b"))
    assert changed == ANCHORS.replace("*base", "\n  image: b").replace("one: \n", "one:\n")


def test_an_anchor_can_go_when_its_aliases_are_written_out() -> None:
    changed = edited(ANCHORS, lambda value: value.pop("name"))
    assert "two: [x, y]" in changed
    assert "one: *base" in changed or "one: {image: a}" in changed


def test_a_tagged_value_stays_and_can_be_removed() -> None:
    text = "key: !secret x\nmap: !point {x: 1}\nn: 1\n"
    assert edited(text, lambda value: value.update(n=2)) == text.replace("n: 1", "n: 2")
    assert edited(text, lambda value: value["map"].update(x=2)) == text.replace("x: 1", "x: 2")
    assert edited(text, lambda value: value.pop("key")) == text.removeprefix("key: !secret x\n")


def test_a_tag_that_says_nothing_new_goes_with_its_value() -> None:
    assert edited("a: !!int 5\n", lambda value: value.update(a=6)) == "a: 6\n"


# Refusals


@pytest.mark.parametrize(
    ("text", "change", "said", "line"),
    [
        ("a: 1\n---\nb: 2\n", None, "as YAML: it holds more than one document", 2),
        ("a: 1\nb: [\n", None, "as YAML: expected the node content", 3),
        ("a: 1\nb: 2\na: 3\n", None, "the key 'a' appears twice, in lines 1 and 3", 3),
        ("a: 1\n? [x, y]\n: 2\n", None, "a key is a mapping or a list", 1),
        ("a: " + "[" * 5000, None, "it is nested too deeply", 1),
        ("a: &a [*a]\n", None, "it is nested too deeply", 1),
        ("\udcff\udcfea\0", None, "it is UTF-16 text, not UTF-8", 1),
        ("a: 1\n<<<<<<< a\nb: [\n=======\nb: {\n>>>>>>> b\n", None,
         "conflict markers of a merge, lines 2 to 6", 2),
        ("n: 1\nkey: !secret x\n", lambda value: value.update(key="y"),
         "changed safely: the value in line 2 has the tag !secret", 2),
        ("n: 1\nkey: &a !secret x\n", lambda value: value.update(key=[]),
         "the value in line 2 has the tag !secret", 2),
        ("n: 1\nm:\n  ? a\n  : 1\n", lambda value: value["m"].update(a=2),
         "the mapping in line 3 is written with `?` or tags", 3),
    ],
)  # fmt: skip
def test_what_cannot_be_edited_is_refused_with_its_line(
    text: str, change: Callable[[Any], object] | None, said: str, line: int
) -> None:
    error = refusal(text, change or (lambda value: None))
    assert said in error.message
    assert error.line == line
    assert error.hint


def test_what_no_file_can_hold_is_refused_with_its_place() -> None:
    with pytest.raises(TypeError, match=r"the document\['a'\] is of type set"):
        edited("a: 1\n", lambda value: value.update(a=set()))


def test_a_file_on_disk_changes_only_there(tmp_path: Path) -> None:
    path = tmp_path / "a.yml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\nold: \xff # \xfe\r\n")
    with yaml_edit.edit(path) as value:
        value["a"] = 2
    assert path.read_bytes() == b"\xef\xbb\xbfa: 2\r\nold: \xff # \xfe\r\n"


def test_no_letter_is_taken_for_another() -> None:
    every = "\0\x85\u2028\u2029\U000f0000\U000f0001\U000f2028\U000f2029"
    assert yaml_edit.load(f"a: x{every}x\nb: x\U000f2028x\n") == {
        "a": f"x{every}x",
        "b": "x\U000f2028x",
    }
    assert yaml_edit.load('a: "\\U000F0000\x85\\U000f0001\u2028"\n') == {
        "a": "\U000f0000\x85\U000f0001\u2028"
    }
    assert yaml_edit.load(yaml_edit.apply("", {"a": "\U000f2028"})) == {"a": "\U000f2028"}


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("a: 1\nb: 2", {"a": 1, "b": "x\ny\n"}, 'a: 1\nb: "x\\ny\\n"'),
        ("- 1", ["x\n"], '- "x\\n"'),
        ("a: 1", "x\n", '"x\\n"'),
        ("a: &n 1\nb: *n", {"a": 2, "b": "x\n"}, 'a: 2\nb: "x\\n"'),
        ("a: 1\nb: 2", {"a": "x\ny\n", "b": 2}, "a: |\n  x\n  y\nb: 2"),
    ],
)
def test_text_that_ends_with_a_line_end_can_end_a_file_without_one(
    text: str, value: Any, expected: str
) -> None:
    assert yaml_edit.apply(text, value) == expected
    assert yaml_edit.load(expected) == value
