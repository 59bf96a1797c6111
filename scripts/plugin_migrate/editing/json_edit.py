"""JSON files: comments and trailing commas are accepted, and everything unchanged is kept."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from itertools import pairwise
from pathlib import Path
from typing import Any

from ..errors import StateUnreadable
from . import damage
from .files import edit_file
from .splice import Span, splice
from .tree import Child, Kind, TreeNode, fingerprint, match_end, refuse_dates

_COMMENT = re.compile(r"//[^\r\n]*|/\*.*?\*/", re.DOTALL)
_TRIVIA = re.compile(rf"(?:[ \t\r\n]+|{_COMMENT.pattern})*", re.DOTALL)
_SCALAR = json.JSONDecoder()

_INDENTED = re.compile(r"^([ \t]+)[^ \t\r\n/*]", re.MULTILINE)
_COLON = re.compile(r"[ \t]*:[ \t]*")
_COMMA = re.compile(r"[ \t]*,[ \t]*")
# An escape that `ensure_ascii` would write; control characters are escaped either way.
_ESCAPE = re.compile(r"(?<!\\)(?:\\\\)*\\u(?!00[01])[0-9a-fA-F]{4}")
_SURROGATE = re.compile("[\ud800-\udfff]")
_LINE_END = re.compile(r"\r\n?|\n")
_MEND = "Mend that line, and run the command again."
_SHORT = 80


def edit(path: Path, shown: str | None = None) -> AbstractContextManager[Any]:
    """Open a JSON file, to be changed in a ``with`` block.

    Parameters:
        path: the file; it is written back only if something changed, and keeps its mode.
        shown: its name in messages; the path itself if not given.

    Returns:
        A context manager that gives the document: an `EditableDict` (which has ``rename``) for
        a mapping, a list for a list.

    Raises:
        FileNotFoundError: there is no such file.
        StateUnreadable: it is not JSON, or a mapping has a key twice.
        TypeError: the author put something into it that JSON cannot hold.
    """
    return edit_file(path, load, apply, shown)


def load(text: str, file: str = "the file") -> Any:
    """Return the value of a JSON document.

    Parameters:
        text: the document; JSONC comments, trailing commas and a BOM are accepted, as Claude Code
            and editors accept them in settings that people write.
        file: its name for messages.

    Raises:
        StateUnreadable: it is not JSON, or a mapping has a key twice.
    """
    damage.refuse_utf_16(text, file)
    damage.refuse_empty(text, file)
    return _JsonParser(text, file).document().value()


def apply(text: str, new_value: Any, file: str = "the file") -> str:
    """Return the document with its value changed into ``new_value``, all else byte for byte.

    Parameters:
        text: the document.
        new_value: what `load` shall give for the result.
        file: its name for messages.

    Raises:
        StateUnreadable: it is not JSON, or has a form that cannot be changed safely.
        TypeError: ``new_value`` holds something that JSON cannot.
        ValueError: it holds NaN or an infinity.
    """
    if _has_cr_alone(text):
        lines = apply(text.replace("\r", "\n"), new_value, file)
        return lines.replace("\n", "\r")
    root = _JsonParser(text, file).document()
    return _spliced(text, root, new_value, _Json(text, root), file)


def apply_line(text: str, new_value: Any) -> str:
    """Do what `apply` does to a document that is one line, and has to stay one."""
    file = "the line"
    root = _JsonParser(text, file).document()
    return _spliced(text, root, new_value, _OneLine(text, root), file)


def _spliced(text: str, root: TreeNode, new_value: Any, syntax: _Json, file: str) -> str:
    refuse_dates(new_value)
    changed = splice(text, root, new_value, syntax)
    if changed != text and fingerprint(load(changed, file)) != fingerprint(new_value):
        raise StateUnreadable(
            f"{file} cannot be changed safely",
            hint="Edit the file as text, or with the json module.",
            file=file,
        )
    return changed


class _JsonParser:
    """Text to tree. Strings and numbers are left to the standard library."""

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file

    def document(self) -> TreeNode:
        try:
            root = self._node(self._skip(1 if self.text.startswith("\ufeff") else 0))
            end = self._skip(root.end)
            if end < len(self.text):
                raise self._error("Extra data", end)
        except json.JSONDecodeError as error:
            damage.refuse_conflict(self.text, self.file)
            raise self._error(error.msg, error.pos) from None
        except RecursionError:
            raise StateUnreadable(f"{self.file} is nested too deeply", file=self.file) from None
        except ValueError as error:  # an integer with thousands of digits
            raise StateUnreadable(f"{self.file}: {error}", file=self.file) from None
        return root

    def _node(self, at: int) -> TreeNode:
        if self.text.startswith(("{", "["), at):
            return self._container(at)
        value, end = _SCALAR.raw_decode(self.text, at)
        return TreeNode("scalar", at, end, value)

    def _container(self, start: int) -> TreeNode:
        is_mapping = self.text[start] == "{"
        closing = "}" if is_mapping else "]"
        children: list[Child] = []
        keys: dict[str, int] = {}
        at = self._skip(start + 1)
        while not self.text.startswith(closing, at):
            child = self._entry(at) if is_mapping else Child(at, at, None, self._node(at))
            if child.key is not None and child.key in keys:
                raise self._twice(child.key, keys[child.key], at)
            keys[child.key or ""] = at
            children.append(child)
            at = self._skip(child.end)
            if self.text.startswith(",", at):
                at = self._skip(at + 1)
            elif not self.text.startswith(closing, at):
                raise json.JSONDecodeError("Expecting ',' delimiter", self.text, at)
        kind: Kind = "mapping" if is_mapping else "list"
        return TreeNode(kind, start, at + 1, children=tuple(children), inner=(start + 1, at))

    def _entry(self, at: int) -> Child:
        if not self.text.startswith('"', at):
            message = "Expecting property name enclosed in double quotes"
            raise json.JSONDecodeError(message, self.text, at)
        key, label_end = _SCALAR.raw_decode(self.text, at)
        colon = self._skip(label_end)
        if not self.text.startswith(":", colon):
            raise json.JSONDecodeError("Expecting ':' delimiter", self.text, colon)
        return Child(at, label_end, key, self._node(self._skip(colon + 1)))

    def _skip(self, at: int) -> int:
        return match_end(_TRIVIA, self.text, at)

    def _twice(self, key: str, first: int, second: int) -> StateUnreadable:
        lines = f"in lines {self._line(first)} and {self._line(second)}"
        what = f"the key {json.dumps(key)} appears twice, {lines}"
        return self._error(what, second, damage.KEEP_ONE)

    def _error(self, what: str, at: int, hint: str = _MEND) -> StateUnreadable:
        return StateUnreadable(
            f"{self.file} cannot be read as JSON: {what}",
            hint=hint,
            file=self.file,
            line=self._line(at),
        )

    def _line(self, at: int) -> int:
        return len(_LINE_END.findall(self.text, 0, at)) + 1


def _has_cr_alone(text: str) -> bool:
    """Tell whether a file's lines end as on the first Macs; it is edited as if they ended in LF."""
    return "\r" in text and "\n" not in text


class _Json:
    """How this file writes JSON."""

    comment = _COMMENT
    line_comment = "//"

    def __init__(self, text: str, root: TreeNode) -> None:
        self.newline = "\r\n" if "\r\n" in text else "\n"
        indented = _INDENTED.search(text)
        self.indent_unit: str | None = indented[1] if indented else "  "
        self.ascii = text.removeprefix("\ufeff").isascii() and bool(_ESCAPE.search(text))
        self.colon = next(filter(_COLON.fullmatch, _between(text, root)), ": ")
        usual = ", " if self.colon.endswith(" ") else ","
        self.comma = next(filter(_COMMA.fullmatch, _between(text, root)), usual)
        self.inline_lead = self.comma.partition(",")[2]

    def label(self, key: str, old: str = "") -> str:
        return self._dumps(key)

    def child(self, label: str, gap: str | None, value: Any, place: Span, old: str) -> str:
        colon = self.colon if label else ""
        before = label + (colon if gap is None else gap)
        line = self._dumps(value)
        if place.indent is None or (place.compact and len(line) <= _SHORT):
            return before + line
        lines = self._dumps(value, self.indent_unit)
        return before + lines.replace("\n", self.newline + place.indent)

    def _dumps(self, value: Any, indent: str | None = None) -> str:
        text = json.dumps(
            value,
            indent=indent,
            ensure_ascii=self.ascii,
            allow_nan=False,
            separators=("," if indent else self.comma, self.colon),
        )
        return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


class _OneLine(_Json):
    """The same where an empty pair of brackets is not opened over several lines."""

    def __init__(self, text: str, root: TreeNode) -> None:
        super().__init__(text, root)
        self.indent_unit = None


def _between(text: str, root: TreeNode) -> Iterator[str]:
    """Yield what stands between keys and values, and between neighbours."""
    for node in root.walk():
        for child in node.children:
            yield text[child.label_end : child.node.start]
        for left, right in pairwise(node.children):
            yield text[left.end : right.start]
