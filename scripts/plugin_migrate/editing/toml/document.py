"""TOML text to statements, each with its place, by tomlkit's parser.

The parser itself keeps no places; so the methods that read a key, a value and a header are extended
to note where they begin and end. ``scripts/requirements.txt`` pins the version this is made for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tomlkit.exceptions import ParseError, TOMLKitError
from tomlkit.items import AoT, Array, InlineTable, Item, Key, Table
from tomlkit.parser import Parser

from ...errors import StateUnreadable
from .. import damage
from ..tree import Child, EditableDict, TreeNode, match_end

Path = tuple[str | int, ...]

_BLANKS = re.compile(r"[ \t]*")
_EQUALS = re.compile(r"[ \t]*=[ \t]*")
_MEND = "Mend that line, and run the command again."


@dataclass(frozen=True, slots=True)
class KeyPart:
    """One part of a dotted key, and where it stands."""

    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Definition:
    """A header, or a key with its value; with the whole of the lines it stands on.

    Parameters:
        path: what it says something about; a number is the place in an array of tables.
        section: the path of the header that it stands below, or its own if it is one.
        words: its key.
        node: its value; ``None`` for a header.
    """

    start: int
    end: int
    path: Path
    section: Path
    words: tuple[KeyPart, ...]
    node: TreeNode | None


@dataclass(frozen=True, slots=True)
class Document:
    """A file: ``text`` ends with a line end, unless it is empty."""

    text: str
    statements: tuple[Definition, ...]

    def below(self, path: Path) -> list[int]:
        """Return which statements are about ``path``, or something in it."""
        size = len(path)
        return [at for at, one in enumerate(self.statements) if one.path[:size] == path]

    def header(self, path: Path) -> Definition | None:
        """Return the header of a table, if it has one."""
        found = (one for one in self.statements if one.node is None and one.path == path)
        return next(found, None)

    def value(self) -> EditableDict:
        """Return what the file says, as fresh objects."""
        root = EditableDict()
        for statement in self.statements:
            *above, last = statement.path
            inside: Any = root
            for part, following in zip(above, statement.path[1:], strict=True):
                inside = _entered(inside, part, [] if isinstance(following, int) else None)
            if statement.node is None:
                _entered(inside, last, None)
            else:
                inside[last] = statement.node.value()
        return root


def load(text: str, file: str = "the file") -> EditableDict:
    """Return the value of a TOML document.

    Parameters:
        text: the document.
        file: its name for messages.

    Raises:
        StateUnreadable: it is not TOML.
    """
    return read(text, file).value()


def read(text: str, file: str) -> Document:
    """Return the statements of a TOML document.

    Raises:
        StateUnreadable: it is not TOML.
    """
    damage.refuse_utf_16(text, file)
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    newline = "\r\n" if "\r\n" in text else "\n"
    if text.removeprefix(mark) and not text.endswith("\n"):
        text += newline
    # As long as the mark, so that all places are right.
    parser = _PlacedParser(" " * len(mark) + text.removeprefix(mark))
    try:
        parser.parse()
    except (TOMLKitError, RecursionError) as error:
        damage.refuse_conflict(text, file)
        line = error.line if isinstance(error, ParseError) else 1
        raise StateUnreadable(
            f"{file} cannot be read as TOML: {_said(error)}", hint=_MEND, file=file, line=line
        ) from None
    return Document(text, tuple(_statements(text, parser)))


def _said(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    said = str(error)
    return said.partition(" at line ")[0]


def _entered(inside: Any, part: str | int, empty: list[Any] | None) -> Any:
    """Return what is at ``part`` of a mapping or list, which is made when it is missing."""
    made = EditableDict() if empty is None else empty
    if isinstance(inside, dict):
        return inside.setdefault(part, made)
    if part == len(inside):
        inside.append(made)
    return inside[part]


def _statements(text: str, parser: _PlacedParser) -> Iterator[Definition]:
    """Yield the statements in the order of the text."""
    section: Path = ()
    lengths: dict[Path, int] = {}  # of arrays of tables
    for start, words, node in sorted(parser.found, key=lambda found: found[0]):
        line = text.rfind("\n", 0, start) + 1 or int(text.startswith("\ufeff"))
        names = [word.name for word in words]
        if node is None:
            section = _section(names, lengths, is_array=text.startswith("[[", start))
            end = text.index("\n", words[-1].end) + 1
            yield Definition(line, end, section, section, words, None)
        else:
            end = text.index("\n", node.end) + 1
            yield Definition(line, end, (*section, *names), section, words, node)


def _section(names: list[str], lengths: dict[Path, int], *, is_array: bool) -> Path:
    path: Path = ()
    for name in names[:-1]:
        path = (*path, name)
        if path in lengths:
            path = (*path, lengths[path] - 1)
    path = (*path, names[-1])
    if is_array:
        lengths[path] = lengths.get(path, 0) + 1
        path = (*path, lengths[path] - 1)
    return path


class _PlacedParser(Parser):
    """tomlkit's parser, which also notes in ``found`` where statements, keys and values stand."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.found: list[tuple[int, tuple[KeyPart, ...], TreeNode | None]] = []
        self._text = text
        self._words: list[KeyPart] = []
        self._keys: dict[int, tuple[KeyPart, ...]] = {}
        self._nodes: dict[int, TreeNode] = {}
        # Of the array or inline table that is being read; ``None`` outside.
        self._inside: list[tuple[tuple[KeyPart, ...], TreeNode]] | None = None

    def _parse_simple_key(self) -> Key:
        start = self._idx
        key = super()._parse_simple_key()
        written = self._text[start : self._idx]
        begin = start + len(written) - len(written.lstrip(" \t"))
        self._words.append(KeyPart(key.key, begin, start + len(written.rstrip(" \t"))))
        return key

    def _parse_key(self) -> Key:
        start = self._idx
        self._words = []
        key = super()._parse_key()
        self._keys[start] = tuple(self._words)
        return key

    def _parse_value(self) -> Item:
        start = self._idx
        outer, self._inside = self._inside, []
        item = super()._parse_value()
        inside, self._inside = self._inside, outer
        # A date may take the blanks after it.
        end = start + len(self._text[start : self._idx].rstrip(" \t"))
        node = self._nodes[start] = _node(item, start, end, inside)
        if outer is not None:
            outer.append(((), node))
        return item

    def _parse_key_value(self, parse_comment: bool = False) -> tuple[Key, Item]:
        start = match_end(_BLANKS, self._text, self._idx)
        pair = super()._parse_key_value(parse_comment)
        words = self._keys[start]
        node = self._nodes[match_end(_EQUALS, self._text, words[-1].end)]
        if self._inside is None:
            self.found.append((start, words, node))
        else:
            self._inside[-1] = (words, node)
        return pair

    def _parse_table(
        self, parent_name: Key | None = None, parent: Table | None = None
    ) -> tuple[Key, Table | AoT]:
        start = self._idx
        at = start + (2 if self._text.startswith("[[", start) else 1)
        result = super()._parse_table(parent_name, parent)
        self.found.append((start, self._keys[at], None))
        return result


def _node(
    item: Item, start: int, end: int, inside: list[tuple[tuple[KeyPart, ...], TreeNode]]
) -> TreeNode:
    inner = (start + 1, end - 1)
    if isinstance(item, Array):
        items = tuple(Child(node.start, node.start, None, node) for _, node in inside)
        return TreeNode("list", start, end, children=items, inner=inner)
    if not isinstance(item, InlineTable):
        return TreeNode("scalar", start, end, item.unwrap())
    if all(len(words) == 1 for words, _ in inside):
        entries = [
            Child(words[0].start, words[0].end, words[0].name, node) for words, node in inside
        ]
        return TreeNode("mapping", start, end, children=tuple(entries), inner=inner)
    nested = EditableDict()
    for words, node in inside:
        mapping = nested
        for word in words[:-1]:
            mapping = mapping.setdefault(word.name, EditableDict())
        mapping[words[-1].name] = node.value()
    return _without_places(nested, start, end)


def _without_places(value: Any, start: int, end: int) -> TreeNode:
    """Return a value of which only the whole has a place, as of ``{a.b = 1}``."""
    if isinstance(value, dict):
        entries = tuple(
            Child(start, start, key, _without_places(item, start, end))
            for key, item in value.items()
        )
        return TreeNode("mapping", start, end, children=entries, whole=True)
    if isinstance(value, list):
        items = tuple(
            Child(start, start, None, _without_places(item, start, end)) for item in value
        )
        return TreeNode("list", start, end, children=items, whole=True)
    return TreeNode("scalar", start, end, value)
