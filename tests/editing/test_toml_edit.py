"""What an edit does to a TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import pytest

from plugin_migrate.editing import toml
from plugin_migrate.errors import StateUnreadable

CONFIG = """\
#:schema ./config.json
title = 'a'  # the name
ports = [
  80, # plain
  443,
]

[server]
host = "x"
tls = { on = true, since = 1979-05-27T07:32:00Z }

# About the paths.
[server.paths]
"a.b" = 1

[[job]]
name = "one"

# About the second.
[[job]]
name = "two"
"""


def edited(text: str, change: Callable[[Any], object]) -> str:
    value = toml.load(text)
    change(value)
    changed = toml.apply(text, value)
    assert tomllib.loads(changed.removeprefix("\ufeff")) == value
    return changed


def refusal(text: str, change: Callable[[Any], object] = lambda value: None) -> StateUnreadable:
    with pytest.raises(StateUnreadable) as caught:
        edited(text, change)
    assert caught.value.file == "the file"
    return caught.value


def test_only_what_changes_is_written() -> None:
    def change(value: Any) -> None:
        value["title"] = "b"
        value["ports"][1] = 8443
        value["ports"].append(9000)
        value["server"]["tls"]["on"] = False
        value["server"].rename("host", "name")
        value["server"]["paths"]["c"] = [1, {"d": "e"}]

    expected = CONFIG.replace("'a'", "'b'").replace("  443,\n", "  8443,\n  9000,\n")
    expected = expected.replace("on = true", "on = false").replace("host =", "name =")
    assert edited(CONFIG, change) == expected.replace(
        '"a.b" = 1\n', '"a.b" = 1\nc = [1, {d = "e"}]\n'
    )


def test_values_are_those_of_python() -> None:
    text = "a = 1979-05-27T07:32:00Z\nb = 1979-05-27 07:32:00.5\nc = 1979-05-27 # d\nd = 07:32:00\n"
    assert toml.load(text) == {
        "a": datetime(1979, 5, 27, 7, 32, tzinfo=UTC),
        "b": datetime.fromisoformat("1979-05-27T07:32:00.5"),
        "c": date(1979, 5, 27),
        "d": time(7, 32),
    }
    assert edited(text, lambda value: value.update(c=date(2026, 1, 1))) == text.replace(
        "1979-05-27 # d", "2026-01-01 # d"
    )


# Where new things stand


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "new = 1\n"),
        ("\ufeff", "\ufeffnew = 1\n"),
        ("# only", "# only\nnew = 1"),
        ("a = 1\n\n[t]\n", "a = 1\nnew = 1\n\n[t]\n"),
        ("a.b = 1\r\n", "a.b = 1\r\nnew = 1\r\n"),
        ("[t]\n", "new = 1\n\n[t]\n"),
        ("#:schema x\n[t]\n", "#:schema x\nnew = 1\n\n[t]\n"),
        ("# head\n\n# about t\n[t]\n", "# head\n\nnew = 1\n\n# about t\n[t]\n"),
    ],
)
def test_a_new_key_stands_above_all_tables_and_goes_without_a_trace(
    text: str, expected: str
) -> None:
    assert edited(text, lambda value: value.update(new=1)) == expected
    assert edited(expected, lambda value: value.pop("new")) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[t]\n# c\n\n[u]\n", "[t]\nnew = 1\n# c\n\n[u]\n"),
        ("  [t]\n    a = 1 # c\n\n# u\n[u]\n", "  [t]\n    a = 1 # c\n    new = 1\n\n# u\n[u]\n"),
        ("t.a = 1\nb = 2\n", "t.a = 1\nt.new = 1\nb = 2\n"),
        ("[t.u]\na = 1\n", "t.new = 1\n\n[t.u]\na = 1\n"),
        ("t = {a = 1} # c\n", "t = {a = 1, new = 1} # c\n"),
        ("t = {}\n", "t = {new = 1}\n"),
    ],
)
def test_a_new_key_of_a_table_stands_with_its_others(text: str, expected: str) -> None:
    assert edited(text, lambda value: value["t"].update(new=1)) == expected
    assert edited(expected, lambda value: value["t"].pop("new")) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "[new]\na = 1\n\n[new.b]\nc = 2\n"),
        ("a = 1", "a = 1\n\n[new]\na = 1\n\n[new.b]\nc = 2"),
        ("[t]\n[u]\n", "[t]\n[u]\n[new]\na = 1\n[new.b]\nc = 2\n"),
        ("[t]\n\n", "[t]\n\n\n[new]\na = 1\n\n[new.b]\nc = 2\n"),
    ],
)
def test_a_new_table_stands_at_the_end_spaced_like_the_others(text: str, expected: str) -> None:
    assert edited(text, lambda value: value.update(new={"a": 1, "b": {"c": 2}})) == expected
    assert edited(expected, lambda value: value.pop("new")) == text


def test_a_table_inside_another_needs_no_header_above_it() -> None:
    assert edited("", lambda value: value.update(a={"b": {"c": 1}})) == "[a.b]\nc = 1\n"
    changed = edited(CONFIG, lambda value: value["server"].update(log={"to": "x"}))
    assert changed == CONFIG.replace('"a.b" = 1\n', '"a.b" = 1\n\n[server.log]\nto = "x"\n')


def test_tables_of_an_array_are_added_changed_and_removed_in_their_places() -> None:
    def change(value: Any) -> None:
        value["job"].insert(0, {"name": "zero"})
        value["job"][1]["name"] = "1"
        value["job"].append({"name": "three"})

    expected = CONFIG.replace(
        '[[job]]\nname = "one"', '[[job]]\nname = "zero"\n\n[[job]]\nname = "1"'
    )
    expected += '\n[[job]]\nname = "three"\n'
    assert edited(CONFIG, change) == expected
    assert edited(CONFIG, lambda value: value["job"].pop(1)) == CONFIG.replace(
        '[[job]]\nname = "two"\n', ""
    )


def test_tables_of_an_array_move_with_the_comments_above_them() -> None:
    expected = CONFIG[: CONFIG.index("[[job]]")] + (
        '# About the second.\n[[job]]\nname = "two"\n\n[[job]]\nname = "one"\n'
    )
    assert edited(CONFIG, lambda value: value["job"].reverse()) == expected


def test_a_table_goes_with_its_tables_and_the_comment_of_the_next_stays() -> None:
    text = "a = 1\n\n# s\n[s]\nb = 1\n# in it\n\n[s.t]\nc = 1\n\n# About u.\n[u]\n"
    assert edited(text, lambda value: value.pop("s")) == "a = 1\n\n# s\n\n# About u.\n[u]\n"


def test_what_is_no_table_any_more_is_a_key() -> None:
    def change(value: Any) -> None:
        value["server"] = "none"
        value["job"] = []

    changed = edited(CONFIG, change)
    assert changed == CONFIG[: CONFIG.index("\n[server]")] + ('server = "none"\njob = []\n')


def test_a_table_that_dotted_keys_made_stays_when_it_is_empty() -> None:
    assert edited("t.a = 1\nb = 2\n", lambda value: value["t"].clear()) == "b = 2\nt = {}\n"


def test_a_long_list_gets_a_line_for_each_item() -> None:
    items = ["x" * 30] * 3
    rows = "".join(f'    "{item}",\n' for item in items)
    assert edited("", lambda value: value.update(a=items)) == f"a = [\n{rows}]\n"


def test_strings_keep_their_quotes_if_they_can() -> None:
    text = 'a = \'x\'\nb = """\nx\n"""\n\'c d\' = 1\n'

    def change(value: Any) -> None:
        value.update(a="C:\\y", b="y\nz\n")
        value.rename("c d", "c e")

    assert edited(text, change) == ('a = \'C:\\y\'\nb = """y\nz\n"""\n\'c e\' = 1\n')
    assert edited(text, lambda value: value.update(a="it's")).startswith('a = "it\'s"\n')


# Refusals


@pytest.mark.parametrize(
    ("text", "said", "line"),
    [
        ("a = 1\nb = \n", "the file cannot be read as TOML: ", 2),
        ("a = 1\na = 2\n", 'Key "a" already exists', 2),
        ("a = 1\n[a]\n", "", 2),
        ("[a]\n[a]\n", "", 2),
        ("a = " + "[" * 5000, "nested", 1),
        ("\udcff\udcfea\0", "it is UTF-16 text, not UTF-8", 1),
        ("a = 1\n<<<<<<< a\nb = 1\n=======\nb = 2\n>>>>>>> b\n",
         "conflict markers of a merge, lines 2 to 6", 2),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_with_its_line(text: str, said: str, line: int) -> None:
    error = refusal(text)
    assert said in error.message
    assert error.line == line
    assert error.hint


def test_scattered_tables_of_an_array_are_not_moved() -> None:
    text = "[[a]]\nx = 1\n[b]\n[a.c]\n[[a]]\nx = 2\n"
    try:
        toml.load(text)
    except StateUnreadable:
        pytest.skip("this tomlkit does not read it")
    error = refusal(text, lambda value: value["a"].reverse())
    assert "the file cannot be changed safely" in error.message
    assert error.line == 1


@pytest.mark.parametrize(
    ("value", "kind", "said"),
    [
        ({"a": [None]}, TypeError, r"the document\['a'\]\[0\] is None, which TOML cannot hold"),
        ({"a": {1: 2}}, TypeError, r"a key of the document\['a'\] is 1, but keys must be str"),
        ({"a": b""}, TypeError, r"the document\['a'\] is of type bytes"),
        ({"a": "\ud800"}, ValueError, "half of a surrogate pair, which TOML cannot hold"),
    ],
)
def test_what_toml_cannot_hold_is_refused(value: Any, kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said):
        toml.apply("", value)


def test_a_file_on_disk_changes_only_there(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(b"\xef\xbb\xbfa = 1 # \xfe\r\nb = '\xff'\r\n")
    with toml.edit(path) as value:
        value["a"] = 2
    assert path.read_bytes() == b"\xef\xbb\xbfa = 2 # \xfe\r\nb = '\xff'\r\n"
