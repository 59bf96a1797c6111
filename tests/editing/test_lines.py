"""What an edit does to the lines of a file."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from plugin_migrate.editing import lines
from plugin_migrate.editing.lines import Lines
from plugin_migrate.editing.lines import lines as module
from plugin_migrate.errors import Conflict, StateUnreadable


@pytest.fixture(params=[1, 1 << 20], ids=["small blocks", "one block"])
def edited(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., bytes]:
    """Return a function that edits a file of some bytes, and gives the bytes after."""
    monkeypatch.setattr(module, "_BLOCK", request.param)

    def edit(before: bytes, change: Callable[[Lines], object]) -> bytes:
        path = tmp_path / "lines"
        path.write_bytes(before)
        with lines.edit(path, ".claude/lines") as value:
            change(value)
        assert [file.name for file in tmp_path.iterdir()] == ["lines"]
        return path.read_bytes()

    return edit


ENV = b"# Of the team.\r\nOLD=1\r\n\r\nKEY=\xff'\xfe'\r\nOLD_TOO=2"


def test_a_line_is_changed_and_the_others_keep_every_byte(edited: Any) -> None:
    def change(value: Lines) -> None:
        for line in value:
            if line.text.startswith("OLD="):
                line.text = "NEW=" + line.text.removeprefix("OLD=")

    assert edited(ENV, change) == ENV.replace(b"OLD=", b"NEW=")


def test_lines_are_removed_and_inserted_with_the_line_ends_of_the_file(edited: Any) -> None:
    def change(value: Lines) -> None:
        for line in value:
            if line.text == "OLD=1":
                line.remove()
                line.insert_before("# new")
            if line.text == "OLD_TOO=2":
                line.insert_after("LAST=1")
                line.insert_after("LAST=2")

    assert edited(ENV, change) == (
        b"# Of the team.\r\n# new\r\n\r\nKEY=\xff'\xfe'\r\nOLD_TOO=2\r\nLAST=1\r\nLAST=2"
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"", b"new\n"),
        (b"\xef\xbb\xbf", b"\xef\xbb\xbfnew\n"),
        (b"a\n", b"a\nnew\n"),
        (b"a", b"a\nnew"),
        (b"\xef\xbb\xbfa", b"\xef\xbb\xbfa\nnew"),
        (b"a\r\nb", b"a\r\nb\r\nnew"),
        ("\u6eff".encode(), "\u6eff\nnew".encode()),  # it ends with two bytes of a BOM
    ],
)
def test_a_line_is_added_at_the_end_and_removed_again(
    edited: Any, before: bytes, after: bytes
) -> None:
    def remove(value: Lines) -> None:
        for line in value:
            if line.text == "new":
                line.remove()

    assert edited(before, lambda value: value.append("new")) == after
    assert edited(after, remove) == before


def test_a_line_is_added_unless_it_is_there(edited: Any) -> None:
    def ignore(value: Lines) -> None:
        if not any(line.text == "cache/" for line in value):
            value.append("cache/")

    assert edited(b"a\ncache/\nb\n", ignore) == b"a\ncache/\nb\n"
    assert edited(b"a\n", ignore) == b"a\ncache/\n"


def test_the_first_line_may_stand_behind_a_byte_order_mark(edited: Any) -> None:
    def change(value: Lines) -> None:
        for line in value:
            line.text += "!"
            break

    assert edited(b"\xef\xbb\xbfa\nb\n", change) == b"\xef\xbb\xbfa!\nb\n"


def test_only_lines_that_hold_a_text_are_looked_at(edited: Any) -> None:
    seen = []

    def change(value: Lines) -> None:
        for line in value.containing("é"):
            seen.append(line.text)
            line.text = line.text.replace("é", "e")

    text = "a\nxéé\n\nb\né\nc"
    assert edited(text.encode(), change) == text.replace("é", "e").encode()
    assert seen == ["xéé", "é"]


def test_what_comes_after_a_break_stays(edited: Any) -> None:
    def change(value: Lines) -> None:
        for line in value:
            line.text = "x"
            break

    assert edited(b"a\na\na", change) == b"x\na\na"


# JSON


ISSUES = (
    b'{"id":1,"title":"caf\xc3\xa9","n":1.0}\n'
    b'{ "id": 2, "n" : 1e2 }\r\n'
    b'{"id": 3, "title": "caf\\u00e9", "n": 12345678901234567890}\n'
    b"\n"
    b'{"id":4}'
)


def test_the_value_of_a_line_changes_only_there(edited: Any) -> None:
    def change(value: Lines) -> None:
        for line in value:
            if line.text:
                line.value["id"] += 1
                line.value.rename("id", "number")
                line.value["by"] = "ü"

    assert edited(ISSUES, change) == (
        b'{"number":2,"title":"caf\xc3\xa9","n":1.0,"by":"\xc3\xbc"}\n'
        b'{ "number": 3, "n" : 1e2, "by": "\xc3\xbc" }\r\n'
        b'{"number": 4, "title": "caf\\u00e9", "n": 12345678901234567890, "by": "\\u00fc"}\n'
        b"\n"
        b'{"number":5,"by":"\xc3\xbc"}'
    )


def test_a_value_that_is_only_looked_at_changes_nothing(edited: Any) -> None:
    odd = ISSUES + b'\n {"a": NaN, "b": [1e999, "\\ud800"]} \n'

    def change(value: Lines) -> None:
        for line in value:
            if line.text:
                assert line.value is line.value

    assert edited(odd, change) == odd


def test_a_value_can_be_assigned_and_its_text_be_read(edited: Any) -> None:
    def change(value: Lines) -> None:
        for line in value:
            line.value = {**line.value, "b": 1}
            assert line.text == '{"a": 1.0, "b": 1}'
            line.text += " "
            assert line.value == {"a": 1, "b": 1}

    assert edited(b'{"a": 1.0}', change) == b'{"a": 1.0, "b": 1} '


def test_values_are_added_in_the_style_of_the_file(edited: Any) -> None:
    def change(value: Lines) -> None:
        value.append({"a": [1, "é\ud800"]})

    assert edited(b'{"x":1}\n', change) == b'{"x":1}\n{"a":[1,"\xc3\xa9\\ud800"]}\n'
    assert edited(b'{"x": "\\u00e9"}\n', change) == (
        b'{"x": "\\u00e9"}\n{"a": [1, "\\u00e9\\ud800"]}\n'
    )
    assert edited(b"", change) == b'{"a": [1, "\xc3\xa9\\ud800"]}\n'


# Refusals


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            b'{"a": 1}\n{"a": }\n',
            "cannot be read as JSON in line 2: Expecting value at character 7",
        ),
        (b'{"a": 1}\n{"a": 1, "a": 2}\n', 'in line 2: the key "a" appears twice'),
        (b'{"a": 1}\n' + b"[" * 100_000, "in line 2: it is nested too deeply"),
        (b'{"a": 1}\n' + b"1" * 5000, "in line 2: Exceeds the limit"),
        (b'{"a": 1}\n<<<<<<< HEAD\n', "it holds the conflict markers of a merge, line 2"),
    ],
)
def test_a_line_that_is_not_json_is_named(edited: Any, text: bytes, said: str) -> None:
    with pytest.raises(StateUnreadable) as caught:
        edited(text, lambda value: [line.value for line in value])
    assert said in caught.value.message
    assert caught.value.file == ".claude/lines"
    assert caught.value.line == 2
    assert caught.value.hint


def test_a_file_in_utf_16_is_refused(edited: Any) -> None:
    with pytest.raises(StateUnreadable, match="it is UTF-16 text"):
        edited("a\n".encode("utf-16"), lambda value: None)


@pytest.mark.parametrize("text", ["a\nb", "a\r", "\n"])
def test_a_line_cannot_hold_a_line_end(edited: Any, text: str) -> None:
    def assign(value: Lines) -> None:
        for line in value:
            line.text = text

    for change in (assign, lambda value: value.append(text), lambda value: value.containing(text)):
        with pytest.raises(ValueError, match="a line cannot hold a line end"):
            edited(b"x\n", lambda value, change=change: list(change(value) or ()))


def test_a_text_to_look_for_is_not_empty(edited: Any) -> None:
    with pytest.raises(ValueError, match="the text to look for is empty"):
        edited(b"x\n", lambda value: list(value.containing("")))


@pytest.mark.parametrize(
    ("new", "kind", "said"),
    [
        ({1: 2}, TypeError, "a key of the line is 1, but keys must be str"),
        ({"x": {1}}, TypeError, r"the line\['x'\] is of type set"),
        ([date(2026, 1, 1)], TypeError, r"the line\[0\] is of type date"),
        ({"x": float("nan")}, ValueError, "Out of range float values"),
    ],
)
def test_what_json_cannot_hold_is_refused(
    edited: Any, new: Any, kind: type[Exception], said: str
) -> None:
    def assign(value: Lines) -> None:
        for line in value:
            line.value = new

    for change in (assign, lambda value: value.append(new)):
        with pytest.raises(kind, match=said):
            edited(b'{"x": 1}\n', change)


def test_lines_are_read_once(edited: Any) -> None:
    def change(value: Lines) -> None:
        list(value)
        list(value)

    with pytest.raises(RuntimeError, match="the lines of a file are read once"):
        edited(b"a\n", change)


def test_a_line_that_was_passed_cannot_be_changed(edited: Any) -> None:
    def change(value: Lines) -> None:
        first, _ = value
        first.remove()

    with pytest.raises(RuntimeError, match="this line has been passed"):
        edited(b"a\nb\n", change)


# The file


def test_a_file_without_a_change_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b'{"a":1}\nb\n')
    before = path.stat()
    with lines.edit(path) as value:
        for line in value:
            if line.text == "b":
                line.text = "c"
                line.text = "b"
            else:
                line.value["a"] = 1
    assert path.stat() == before


def test_the_mode_stays_and_a_link_leads_to_the_new_content(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"a\n")
    path.chmod(0o640)
    (tmp_path / "link").symlink_to("a")
    with lines.edit(tmp_path / "link") as value:
        value.append("b")
    assert path.read_bytes() == b"a\nb\n"
    assert path.stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "link").is_symlink()


def test_an_error_in_the_block_leaves_the_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"a\nb\n")

    def fails() -> None:
        with lines.edit(path) as value:
            for line in value:
                line.text += "!"
                if line.text == "b!":
                    raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert path.read_bytes() == b"a\nb\n"
    assert list(tmp_path.iterdir()) == [path]


def test_an_edit_inside_an_edit_does_not_lose_its_change(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"a\n")

    def nested() -> None:
        with lines.edit(path) as outer:
            outer.append("c")
            with lines.edit(path) as inner:
                inner.append("b")

    with pytest.raises(Conflict, match="was changed while it was being edited"):
        nested()
    assert path.read_bytes() == b"a\nb\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_long_line_needs_no_more_than_itself(edited: Any) -> None:
    text = json.dumps({"a": "x" * 3_000_000}).encode() + b"\nshort\n"

    def change(value: Lines) -> None:
        for line in value.containing("short"):
            line.text = "long"

    assert edited(text, change) == text.replace(b"short", b"long")
