"""What an edit of a JSON file does to its text."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from plugin_migrate.editing import json_edit
from plugin_migrate.editing.tree import EditableDict
from plugin_migrate.errors import StateUnreadable

SETTINGS = """\
// People write comments here.
{
    // the model
    "model": "opus", // for now
    "permissions": {
        "allow": ["Bash(ls)", "Read"], /* inline */
        "deny": []
    },
    "limit": 1.50,
    "env": {"A": "1"},
    // "unused": true
}
"""


def edited(text: str, change: Callable[[Any], object]) -> str:
    value = json_edit.load(text)
    change(value)
    return json_edit.apply(text, value)


def lines_changed(before: str, after: str) -> tuple[list[str], list[str]]:
    """The lines that only one of both has."""
    old, new = before.splitlines(), after.splitlines()
    gone = [line.strip() for line in old if line not in new]
    return gone, [line.strip() for line in new if line not in old]


def test_reads_comments_and_trailing_commas() -> None:
    assert json_edit.load(SETTINGS) == {
        "model": "opus",
        "permissions": {"allow": ["Bash(ls)", "Read"], "deny": []},
        "limit": 1.5,
        "env": {"A": "1"},
    }


def test_a_changed_scalar_is_the_only_change() -> None:
    changed = edited(SETTINGS, lambda settings: settings.update(model="sonnet"))

    assert changed == SETTINGS.replace('"opus"', '"sonnet"')


def test_equal_values_of_another_type_are_a_change() -> None:
    assert edited('{"a": 1}', lambda value: value.update(a=True)) == '{"a": true}'
    assert edited('{"a": 1}', lambda value: value.update(a=1.0)) == '{"a": 1.0}'
    assert edited('{"a": 0.0}', lambda value: value.update(a=-0.0)) == '{"a": -0.0}'


@pytest.mark.parametrize("spelling", ["1.50", "1E5", "-0", "1e999", "12345678901234567890", "NaN"])
def test_an_unchanged_number_keeps_its_spelling(spelling: str) -> None:
    text = f'{{"n": {spelling}, "a": 1}}'

    assert edited(text, lambda value: value.update(a=2)) == text.replace("1}", "2}")


def test_a_deleted_entry_takes_its_line_and_its_own_comment() -> None:
    changed = edited(SETTINGS, lambda settings: settings.pop("model"))

    assert lines_changed(SETTINGS, changed) == (['"model": "opus", // for now'], [])


def test_a_deleted_middle_entry_leaves_no_gap() -> None:
    assert edited('{"a": 1, "b": 2, "c": 3}', lambda v: v.pop("b")) == '{"a": 1, "c": 3}'
    assert edited('{"a": 1, "b": 2, "c": 3}', lambda v: v.pop("a")) == '{"b": 2, "c": 3}'
    assert edited('{\n  "a": 1,\n  "b": 2,\n  "c": 3\n}', lambda v: v.pop("b")) == (
        '{\n  "a": 1,\n  "c": 3\n}'
    )


def test_a_deleted_last_entry_takes_the_comma_before_it() -> None:
    assert edited('{\n\t"a": 1,\n\t"b": 2\n}', lambda v: v.pop("b")) == '{\n\t"a": 1\n}'
    assert edited('{"a": 1, "b": 2,}', lambda v: v.pop("b")) == '{"a": 1,}'
    assert edited('{"a": 1, // x\n "b": 2}', lambda v: v.pop("b")) == '{"a": 1 // x\n}'


def test_deleting_the_only_entry_leaves_empty_brackets() -> None:
    assert edited('{"a": {\n  "b": 1\n}}', lambda v: v["a"].clear()) == '{"a": {}}'
    assert edited("[\n  1,\n]\n", lambda v: v.clear()) == "[]\n"
    assert edited("[\n  // why\n  1\n]", lambda v: v.clear()) == "[\n  // why\n]"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("{}", '{\n  "k": 1\n}'),
        ("{ }", '{ "k": 1 }'),
        ("{\n}\n", '{\n  "k": 1\n\n}\n'),
        ('{"a": 1}', '{"a": 1, "k": 1}'),
        ('{"a":1}', '{"a":1,"k":1}'),
        ('{ "a": 1 }', '{ "a": 1, "k": 1 }'),
        ('{"a" : 1}', '{"a" : 1, "k" : 1}'),
        ('{\r\n\t"a": 1\r\n}\r\n', '{\r\n\t"a": 1,\r\n\t"k": 1\r\n}\r\n'),
        ('{\n  "a": 1, // x\n}', '{\n  "a": 1, // x\n  "k": 1,\n}'),
        ('{\n  "a": 1 // x\n}', '{\n  "a": 1, // x\n  "k": 1\n}'),
        ('{"a": 1 // x\n}', '{"a": 1, // x\n "k": 1\n}'),
        ("{ // none yet\n}", '{ // none yet\n  "k": 1\n}'),
        ('{\n  "a": 1 \n}', '{\n  "a": 1,\n  "k": 1 \n}'),
        ("{/* none */}", '{/* none */ "k": 1}'),
        ('\ufeff{"a": 1}', '\ufeff{"a": 1, "k": 1}'),
    ],
)
def test_an_added_entry_is_written_in_the_style_of_its_mapping(before: str, after: str) -> None:
    assert edited(before, lambda value: value.update(k=1)) == after


@pytest.mark.parametrize("indent", [1, 2, 4, "\t"])
def test_a_new_nested_value_has_the_indentation_of_the_file(indent: int | str) -> None:
    before = json.dumps({"a": {"b": []}}, indent=indent)

    changed = edited(before, lambda value: value["a"].update(hooks=[{"x": [1]}, {}]))

    assert changed == json.dumps({"a": {"b": [], "hooks": [{"x": [1]}, {}]}}, indent=indent)


def test_a_new_item_is_written_on_one_line_where_its_neighbours_are() -> None:
    before = '[\n  {"a": 1},\n  {"a": 2}\n]'

    assert (
        edited(before, lambda v: v.append({"a": 3})) == '[\n  {"a": 1},\n  {"a": 2},\n  {"a": 3}\n]'
    )
    long = {"a": "x" * 100}
    assert "\n    " in edited(before, lambda v: v.append(long))


def test_deep_changes_leave_the_rest_alone() -> None:
    changed = edited(SETTINGS, lambda v: v["permissions"]["allow"].append("Write"))

    assert changed == SETTINGS.replace('"Read"]', '"Read", "Write"]')


def test_list_items_that_stay_keep_their_text() -> None:
    before = '[ 1.0,2, /* three */ 3,\n  "\\u0061", 5 ] '

    assert edited(before, lambda v: v.insert(2, "new")) == (
        '[ 1.0,2, "new", /* three */ 3,\n  "\\u0061", 5 ] '
    )
    assert edited(before, lambda v: v.remove(2)) == '[ 1.0, /* three */ 3,\n  "\\u0061", 5 ] '
    assert edited(before, lambda v: (v.remove(2), v.remove(5))) == (
        '[ 1.0, /* three */ 3,\n  "\\u0061" ] '
    )


def test_a_changed_item_is_entered() -> None:
    before = '[{"a": 1, "b": 1.0}, {"a": 2, "b": 2.0}, {"a": 3}]'

    changed = edited(before, lambda v: (v[1].update(a=9), v.append(4)))

    assert changed == '[{"a": 1, "b": 1.0}, {"a": 9, "b": 2.0}, {"a": 3}, 4]'


def test_a_comment_left_behind_swallows_nothing() -> None:
    line_then_block = '{ // one\n"a": 1, /* two\n */ "b": 2, // three\n/* four\n*/ "c": 3 }'

    assert edited(line_then_block, lambda v: v.clear()) == ("{ // one\n /* two\n */\n/* four\n*/ }")
    assert edited(line_then_block, lambda v: v.pop("c")) == (
        '{ // one\n"a": 1, /* two\n */ "b": 2 // three\n/* four\n*/ }'
    )
    two_orphans = "[1, // one\n// two\n2,/* three\n */ 3, 4]"
    assert json_edit.load(edited(two_orphans, lambda v: (v.remove(2), v.remove(3)))) == [1, 4]
    assert edited('{\n// a\n"a": 1, "b": 2}', lambda v: v.pop("a")) == '{\n// a\n"b": 2}'


def test_rename_keeps_the_place_and_touches_only_the_key() -> None:
    changed = edited(SETTINGS, lambda v: v["permissions"].rename("allow", "allowed"))

    assert changed == SETTINGS.replace('"allow"', '"allowed"')


def test_a_renamed_entry_can_change_move_and_be_renamed_again() -> None:
    def change(value: Any) -> None:
        value.rename("a", "x")
        value.rename("x", "z")
        value["z"].append(3)
        value["b"] = value.pop("b")
        value["a"] = "new"

    before = '{"b": 1.0, "a" : [1.0, 2], "c": 0}'

    assert edited(before, change) == '{"z" : [1.0, 2, 3], "c": 0, "b": 1.0, "a": "new"}'


def test_two_keys_can_be_swapped() -> None:
    def change(value: Any) -> None:
        value.rename("a", "tmp")
        value.rename("b", "a")
        value.rename("tmp", "b")

    assert edited('{"a": 1.0, "b": 2.0}', change) == '{"b": 1.0, "a": 2.0}'


def test_reordered_entries_keep_their_text_and_comments() -> None:
    before = '{\n  "a": 1.0, // one\n  // about b\n  "b": 2.0\n}'

    changed = edited(before, lambda v: v.update(a=v.pop("a")))

    assert changed == '{\n  // about b\n  "b": 2.0,\n  "a": 1.0 // one\n}'


def test_escapes_are_written_only_where_the_file_has_them() -> None:
    assert edited('["\\u00e9"]', lambda v: v.append("ü")) == '["\\u00e9", "\\u00fc"]'
    assert edited('["é", "\\u00e9"]', lambda v: v.append("ü")) == '["é", "\\u00e9", "ü"]'
    assert edited('["C:\\\\users", "\\u001b"]', lambda v: v.append("ü")).endswith('"ü"]')


def test_a_lone_surrogate_is_always_escaped() -> None:
    assert edited("[1]", lambda v: v.append("\ud800")) == '[1, "\\ud800"]'


def test_a_text_that_json_cannot_spell_is_refused() -> None:
    """Two lone surrogates in a row would be read back as one character."""
    with pytest.raises(StateUnreadable, match="cannot be changed safely"):
        edited("[1]", lambda v: v.append("\ud83d\ude00"))


def test_mappings_are_dicts() -> None:
    value = json_edit.load('{"a": {"b": [1]}}')

    assert value == {"a": {"b": [1]}}
    assert json.dumps(value) == '{"a": {"b": [1]}}'
    assert isinstance(value["a"], dict)
    assert value.pop("a") == {"b": [1]}
    assert not value


def test_rename_refuses_what_it_cannot_do() -> None:
    value = EditableDict(a=1, b=2)

    with pytest.raises(KeyError):
        value.rename("x", "y")
    with pytest.raises(ValueError, match="'b' already"):
        value.rename("a", "b")
    value.rename("a", "a")
    assert list(value.items()) == [("a", 1), ("b", 2)]


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("{\n  'a': 1\n}", 2, "property name"),
        ('{\n  "a": 1\n  "b": 2\n}', 3, "',' delimiter"),
        ('{\n"a" 1}', 2, "':' delimiter"),
        ('{"a": 1', 1, "',' delimiter"),
        ('{"a": \n', 2, "Expecting value"),
        ("[1,,2]", 1, "Expecting value"),
        ("[,]", 1, "Expecting value"),
        ("{,}", 1, "property name"),
        ("[01]", 1, "',' delimiter"),
        ("{}\n\n{}", 3, "Extra data"),
        ("[1] /* open", 1, "Extra data"),
        ('["a\nb"]', 1, "control character"),
    ],
)
def test_a_broken_file_is_named_with_its_line(text: str, line: int, what: str) -> None:
    with pytest.raises(StateUnreadable, match=what) as caught:
        json_edit.load(text, "settings.json")

    assert (caught.value.file, caught.value.line) == ("settings.json", line)
    assert "settings.json" in caught.value.message


def test_a_key_that_is_there_twice_is_named_with_both_lines() -> None:
    twice = '{\n  "b": {\n    "a": 1,\n    "\\u0061": 2\n  }\n}'
    for text in (twice, twice.replace("\n", "\r\n"), twice.replace("\n", "\r")):
        with pytest.raises(StateUnreadable, match='"a" appears twice, in lines 3 and 4') as caught:
            json_edit.load(text, "settings.json")

        assert (caught.value.file, caught.value.line) == ("settings.json", 4)
        assert "keep the one that is meant" in str(caught.value.hint)


@pytest.mark.parametrize("text", ["", "\n", " \r\n\t", "\ufeff", "\0\0\0"])
def test_an_empty_file_may_be_one_that_is_being_written(text: str) -> None:
    with pytest.raises(StateUnreadable, match=r"^settings\.json is empty$") as caught:
        json_edit.load(text, "settings.json")

    assert (caught.value.file, caught.value.line) == ("settings.json", 1)
    assert "while it writes it: run the command again" in str(caught.value.hint)


CONFLICT = """\
{
  "a": 1,
<<<<<<< HEAD
  "model": "opus"
=======
  "model": "sonnet"
>>>>>>> main
}
"""


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_the_markers_of_a_merge_are_named_with_both_lines(newline: str) -> None:
    with pytest.raises(StateUnreadable, match="markers of a merge, lines 3 to 7") as caught:
        json_edit.load(CONFLICT.replace("\n", newline), "settings.json")

    assert (caught.value.file, caught.value.line) == ("settings.json", 3)
    assert "Resolve the merge" in str(caught.value.hint)


def test_markers_in_a_comment_or_a_text_are_no_conflict() -> None:
    text = '{\n/*\n<<<<<<<\n=======\n>>>>>>>\n*/\n"a": 1}'

    assert json_edit.load(text) == {"a": 1}


def test_lines_that_end_in_cr_alone_stay_so() -> None:
    def change(value: Any) -> None:
        value.update(new=[{"a": 1}], text="a\n\rb")
        del value["permissions"]["allow"][0]

    changed = edited(SETTINGS.replace("\n", "\r"), change)

    assert changed == edited(SETTINGS, change).replace("\n", "\r")
    assert json_edit.load(changed)["text"] == "a\n\rb"


@pytest.mark.parametrize(
    "before",
    ["{\n}", "{\r\n}\r\n", "{}", "{ }", "{\n\n}", "{  \n}", "{\r}", '{"a": {\n  },\n  "b": 1}'],
)
def test_brackets_are_as_before_when_what_was_added_is_taken_away(before: str) -> None:
    def inner(value: Any) -> Any:
        return value.get("a", value)

    filled = edited(before, lambda v: inner(v).update(k=1))

    assert edited(filled, lambda v: inner(v).pop("k")) == before


COMMENTED = """\
[
  // about a
  "a",
  // about b
  "b", // b too
  /* c */ "c"
]
"""


def test_a_moved_item_takes_its_comments_along() -> None:
    assert edited(COMMENTED, lambda v: v.append(v.pop(0))) == (
        '[\n  // about b\n  "b", // b too\n  /* c */ "c",\n  // about a\n  "a"\n]\n'
    )
    assert edited(COMMENTED, lambda v: v.insert(0, v.pop())) == (
        '[\n  /* c */ "c",\n  // about a\n  "a",\n  // about b\n  "b" // b too\n]\n'
    )
    assert edited(edited(COMMENTED, lambda v: v.reverse()), lambda v: v.reverse()) == COMMENTED
    assert edited("[1.0, 2.0, 3.0]", lambda v: v.append(v.pop(0))) == "[2.0, 3.0, 1.0]"


def test_a_moved_item_leaves_the_others_to_their_places() -> None:
    before = '[{"a": 1.0}, {"b": 1.0}, {"c": 1.0}, {"d": 1.0}]'

    def change(value: Any) -> None:
        value.insert(0, value.pop(2))
        value[1]["a"] = 2
        value[3]["d"] = 2

    assert edited(before, change) == '[{"c": 1.0}, {"a": 2}, {"b": 1.0}, {"d": 2}]'


def test_a_comment_about_a_whole_list_stays_at_its_top() -> None:
    before = "[\n  // Names only.\n  1,\n  2\n]"

    assert edited(before, lambda v: v.append(v.pop(0))) == "[\n  // Names only.\n  2,\n  1\n]"


def test_a_deleted_first_item_leaves_the_comment_above_it() -> None:
    assert edited(COMMENTED, lambda v: v.pop(0)) == COMMENTED.replace('  "a",\n', "")


def test_a_bottomless_file_is_an_error_and_not_a_crash() -> None:
    with pytest.raises(StateUnreadable, match="nested too deeply"):
        json_edit.load("[" * 100_000)
    with pytest.raises(StateUnreadable, match="digits"):
        json_edit.load("9" * 5000)


@pytest.mark.parametrize("value", [date(2024, 1, 1), {1}, b"x", Path("x")])
def test_a_value_that_json_cannot_hold_is_named_with_its_place(value: object) -> None:
    with pytest.raises(TypeError, match=r"the document\['a'\]\[1\] is of type"):
        json_edit.apply("{}", {"a": [1, value]})


def test_keys_must_be_strings() -> None:
    with pytest.raises(TypeError, match="a key of the document is 1"):
        json_edit.apply("{}", {1: 2})


def test_nan_is_never_written() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        json_edit.apply("{}", {"a": float("nan")})


def test_a_large_file_takes_time_in_proportion() -> None:
    """Every step was quadratic once; then this takes minutes."""
    document = {"items": [{"id": i, "globs": ["a/*"]} for i in range(5000)]}
    text = json.dumps(document, indent=2)
    value = json_edit.load(text)
    del value["items"][7]
    value["items"][4000]["globs"].append("b/*")
    value["items"].append({"id": 5000})

    assert json_edit.apply(text, value) == json.dumps(value, indent=2)
