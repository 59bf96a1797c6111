"""What holds for the lines of every file and every edit."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from editing.documents import EDITS, KEYS, VALUES, Edit
from plugin_migrate.editing import json_edit, lines
from plugin_migrate.editing.lines import Lines
from plugin_migrate.editing.lines import lines as module
from plugin_migrate.editing.tree import fingerprint

BLOCKS = st.sampled_from([1, 7, 1 << 20])
TEXTS = st.text(st.sampled_from("ab満é \t\r\udcff"), max_size=5).filter(
    lambda text: not text.endswith("\r")
)
ENDINGS = st.sampled_from(["\n", "\r\n"])


@dataclass(frozen=True)
class Done:
    """What is done to one line."""

    before: list[str]
    own: str | None
    after: list[str]


DONE = st.none() | st.builds(
    Done, st.lists(TEXTS, max_size=2), st.none() | TEXTS, st.lists(TEXTS, max_size=2)
)


@dataclass(frozen=True)
class File:
    """A file of lines: of each its text and its end."""

    mark: str
    rows: list[tuple[str, str]]

    def content(self) -> bytes:
        text = self.mark + "".join(text + end for text, end in self.rows)
        return text.encode("utf-8", "surrogateescape")


@st.composite
def files(draw: st.DrawFn) -> File:
    rows = draw(st.lists(st.tuples(TEXTS, ENDINGS), max_size=6))
    if rows and rows[-1][0] and draw(st.booleans()):
        rows[-1] = (rows[-1][0], "")
    return File(draw(st.sampled_from(["", "", "\ufeff"])), rows)


def edited(content: bytes, block: int, change: Callable[[Lines], object]) -> bytes:
    with tempfile.TemporaryDirectory() as folder, patch.object(module, "_BLOCK", block):
        path = Path(folder, "file")
        path.write_bytes(content)
        with lines.edit(path) as value:
            change(value)
        return path.read_bytes()


def expected(file: File, done: list[Done | None], added: list[str]) -> bytes:
    """Say it the simple way: a list of rows, of which all but the last have an end."""
    usual = file.rows[0][1] or "\n" if file.rows else "\n"
    rows = []
    for (text, end), one in zip(file.rows, done, strict=True):
        if one is None:
            rows.append((text, end))
            continue
        own = [] if one.own is None else [one.own]
        new = [*one.before, *own, *one.after]
        rows += [(row, end or usual) for row in new]
    rows = [(text, end or usual) for text, end in rows] + [(text, usual) for text in added]
    if rows and file.rows and not file.rows[-1][1]:
        rows[-1] = (rows[-1][0], "")
    return File(file.mark, rows).content()


@given(files(), BLOCKS, st.data())
def test_what_was_done_is_there_and_every_other_byte_as_before(
    file: File, block: int, data: st.DataObject
) -> None:
    done = data.draw(st.lists(DONE, min_size=len(file.rows), max_size=len(file.rows)))
    added = data.draw(st.lists(TEXTS, max_size=2))

    def change(value: Lines) -> None:
        for line, (text, _), one in zip(value, file.rows, done, strict=True):
            assert line.text == text
            for row in one.before if one else ():
                line.insert_before(row)
            for row in one.after if one else ():
                line.insert_after(row)
            if one and one.own is None:
                line.remove()
            elif one:
                line.text = one.own
        for row in added:
            value.append(row)

    assert edited(file.content(), block, change) == expected(file, done, added)


@given(files(), BLOCKS, TEXTS.filter(bool))
def test_looking_for_a_text_is_looking_at_every_line(file: File, block: int, text: str) -> None:
    def mark(line: Any) -> None:
        line.text = f"<{line.text}>"

    def all_lines(value: Lines) -> None:
        for line in value:
            if text.encode("utf-8", "surrogateescape") in line.text.encode(
                "utf-8", "surrogateescape"
            ):
                mark(line)

    def found_lines(value: Lines) -> None:
        for line in value.containing(text):
            mark(line)

    content = file.content()
    assert edited(content, block, found_lines) == edited(content, block, all_lines)


@given(files(), BLOCKS, st.lists(TEXTS.filter(bool), min_size=1, max_size=3))
def test_adding_and_removing_gives_the_original(file: File, block: int, added: list[str]) -> None:
    changed = edited(file.content(), block, lambda value: [value.append(row) for row in added])

    def remove(value: Lines) -> None:
        for number, line in enumerate(value):
            if number >= len(file.rows):
                line.remove()

    assert edited(changed, block, remove) == file.content()


STYLES = st.fixed_dictionaries(
    {
        "ensure_ascii": st.booleans(),
        "separators": st.sampled_from([(", ", ": "), (",", ":"), (" , ", " : ")]),
    }
)


@given(st.lists(st.tuples(VALUES, STYLES, EDITS), max_size=4), BLOCKS)
def test_values_are_read_back_and_other_lines_keep_their_text(
    rows: list[tuple[Any, dict[str, Any], list[Edit]]], block: int
) -> None:
    texts = [json.dumps(value, **style) for value, style, _ in rows]
    wanted: list[Any] = []

    def change(value: Lines) -> None:
        for line, (_, _, edits) in zip(value, rows, strict=True):
            if isinstance(line.value, dict | list):
                for edit in edits:
                    edit(line.value)
            wanted.append(fingerprint(line.value))

    content = "".join(text + "\n" for text in texts).encode()
    changed = edited(content, block, change).decode().split("\n")[:-1]

    assert [fingerprint(json_edit.load(text)) for text in changed] == wanted
    for text, new, one in zip(texts, changed, wanted, strict=True):
        assert text == new or fingerprint(json_edit.load(text)) != one


@given(
    st.dictionaries(KEYS, VALUES, min_size=1, max_size=4),
    st.booleans(),
    st.sampled_from([(", ", ": "), (",", ":")]),
    EDITS,
)
def test_a_line_stays_in_the_style_of_the_program_that_wrote_it(
    value: dict[str, Any], escapes: bool, separators: tuple[str, str], edits: list[Edit]
) -> None:
    text = json.dumps({**value, "é": 0}, ensure_ascii=escapes, separators=separators)
    wanted: list[str] = []

    def change(lines: Lines) -> None:
        for line in lines:
            for edit in edits:
                edit(line.value)
            wanted.append(json.dumps(line.value, ensure_ascii=escapes, separators=separators))

    assert edited(text.encode(), 1 << 20, change).decode() == wanted[0]
