"""Values to YAML text, in one file's habits.

A string is written without quotes only if every reader takes it for that string: PyYAML has to
read it back, and neither YAML 1.1 nor 1.2 may see a number, a bool, a null or a date in it. Three
dashes are never written: Claude Code would take them for the header's end, also in quotes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import yaml
from yaml.resolver import Resolver

from .splice import Span
from .tree import TreeNode
from .yaml_tree import COMMENT, DuplicateKey, parse

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_ONE_LETTER_BOOL = frozenset("yYnN")  # in the YAML 1.1 specification, though not in PyYAML
_ESCAPED = re.compile(
    "[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]|-{3,}"
)
_STRING = "tag:yaml.org,2002:str"
_YAML_1_1 = Resolver()
_SHORT = 80


class Yaml:
    """How one file writes YAML.

    Parameters:
        newline: the file's line ending.
        text: the file.
        root: its tree, to see whether lists are indented below their key; ``None`` if it is empty.
        one_line: write only what the repair by `client_reading.second_attempt` leaves alone: no
            text of several lines, and no brackets on the line of a key.
    """

    comment = COMMENT
    line_comment = "#"
    inline_lead = " "
    indent_unit: str | None = None

    def __init__(
        self, newline: str, text: str, root: TreeNode | None, *, one_line: bool = False
    ) -> None:
        self.newline = newline
        self.one_line = one_line
        self.list_indent = "" if root is not None and _lists_at_key(text, root) else "  "

    def label(self, key: str, old: str = "") -> str:
        """Return the text of a key, quoted if it has to be or the ``old`` one was by choice."""
        return _string(key, old, _is_plain_key)

    def child(self, label: str, gap: str | None, value: Any, place: Span, old: str) -> str:
        """Return the text of an entry or item; see `splice.Syntax`."""
        colon = ":" if label not in ("", "-") else ""
        space = " " if label else ""
        if gap is None or not re.fullmatch(r"[ \t]*:?[ \t]+", gap):
            gap = colon + space
        line = label + gap + self.flow(value, old, inside=not place.block)
        if not place.block or place.comment_follows:
            return line
        indent = place.indent or ""
        if self.one_line and isinstance(value, dict | list | tuple):
            return label + colon + self._below(value, indent, dash=label == "-")
        if place.compact and len(line) <= _SHORT:
            return line
        if isinstance(value, dict | list | tuple) and value:
            return label + colon + self._below(value, indent, dash=label == "-")
        if isinstance(value, str) and "\n" in value:
            return label + gap + self._text(value, indent)
        return line

    def block(self, value: Any, indent: str) -> str:
        """Return a container that is not empty in block style, its first line not indented."""
        if isinstance(value, dict):
            parts = [
                self.label(key) + ":" + self._below(item, indent, dash=False)
                for key, item in value.items()
            ]
        else:
            parts = ["-" + self._below(item, indent, dash=True) for item in value]
        return (self.newline + indent).join(parts)

    def flow(self, value: Any, old: str = "", *, inside: bool = True) -> str:
        """Return any value on one line; ``inside`` brackets a plain string may hold no comma."""
        if isinstance(value, dict):
            entries = (f"{self.label(key)}: {self.flow(item)}" for key, item in value.items())
            return "{" + ", ".join(entries) + "}"
        if isinstance(value, list | tuple):
            return "[" + ", ".join(map(self.flow, value)) + "]"
        if isinstance(value, str):
            return _string(value, old, _is_plain_inside if inside else _is_plain)
        if isinstance(value, float):
            return _float(value)
        return json.dumps(value)

    def _below(self, value: Any, indent: str, *, dash: bool) -> str:
        if isinstance(value, dict | list | tuple) and value:
            if dash:
                return " " + self.block(value, indent + "  ")
            inner = indent + ("  " if isinstance(value, dict) else self.list_indent)
            return self.newline + inner + self.block(value, inner)
        if isinstance(value, str) and "\n" in value:
            return " " + self._text(value, indent)
        if self.one_line and isinstance(value, dict | list | tuple) and not dash:
            return self.newline + indent + "  " + self.flow(value)
        return " " + self.flow(value, inside=False)

    def _text(self, value: str, indent: str) -> str:
        """Return text of several lines as a literal block if that keeps it."""
        chomping = "" if value.endswith("\n") else "-"
        lines = value.removesuffix("\n").split("\n")
        literal = f"|{chomping}" + "".join(
            f"\n{indent}  {line}" if line else "\n" for line in lines
        )
        is_kept = not _ESCAPED.search(value) and _reads_as(f"{indent}k: {literal}\n", value)
        if is_kept and not self.one_line:
            return literal.replace("\n", self.newline)
        return _double_quoted(value)


def _lists_at_key(text: str, root: TreeNode) -> bool:
    """Tell whether the first list below a key has its dashes right below that key."""
    for node in root.walk():
        for child in node.children:
            if child.key is not None and child.node.kind == "list" and child.node.block:
                dash = child.node.children[0].start
                return _column(text, dash) == _column(text, child.start)
    return False


def _column(text: str, at: int) -> int:
    return at - text.rfind("\n", 0, at) - 1


def _string(value: str, old: str, is_plain: Callable[[str], bool]) -> str:
    """Return a string on one line, in the quotes of the ``old`` text if those were a choice.

    Quotes are a choice if the old string did not need them. So the quotes a person likes are
    kept, and those that only one value needed go away with it.
    """
    if old.startswith("'") and value.isprintable() and "---" not in value:
        return "'" + value.replace("'", "''") + "'"
    by_choice = old.startswith('"') and is_plain(_read(old))
    return value if is_plain(value) and not by_choice else _double_quoted(value)


def _double_quoted(value: str) -> str:
    quoted = json.dumps(value, ensure_ascii=False)  # what JSON escapes, YAML escapes alike
    return _ESCAPED.sub(lambda match: "".join(map(_escape, match[0])), quoted)


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}"


def _float(value: float) -> str:
    text = repr(value).replace("inf", ".inf").replace("nan", ".nan")
    # YAML 1.1 wants a point before the exponent.
    return text.replace("e", ".0e") if "e" in text and "." not in text else text


def _is_plain_key(key: str) -> bool:
    return bool(_PLAIN_KEY.fullmatch(key)) and _is_unambiguous(key)


def _is_plain(value: str) -> bool:
    return _reads_as(f"k: {value}", value) and _is_unambiguous(value)


def _is_plain_inside(value: str) -> bool:
    return (
        _reads_as(f"k: [{value}]", [value])
        and _reads_as(f"k: {{k: {value}}}", {"k": value})
        and _is_unambiguous(value)
    )


def _is_unambiguous(value: str) -> bool:
    # PyYAML itself takes no tab within a plain text.
    return not (_looks_typed(value) or _ESCAPED.search(value) or "\t" in value)


def _looks_typed(value: str) -> bool:
    """Tell whether YAML 1.1 takes the plain text for something else than a string."""
    tag = _YAML_1_1.resolve(yaml.ScalarNode, value, (True, False))  # type: ignore[no-untyped-call]
    return tag != _STRING or value in _ONE_LETTER_BOOL


def _reads_as(text: str, value: object) -> bool:
    """Tell whether ``text`` is one entry with exactly this value."""
    try:
        root = parse(text)
    except (yaml.YAMLError, DuplicateKey, RecursionError):
        return False
    return root is not None and list(root.value().values()) == [value]


def _read(text: str) -> str:
    """Return the string that ``text`` spells; the text itself if that is not YAML."""
    try:
        root = parse(text)
    except yaml.YAMLError:
        return text
    return str(root.scalar) if root else ""
