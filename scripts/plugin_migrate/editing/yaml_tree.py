"""YAML text to tree, with PyYAML's marks for the spans.

Scalars are read by the core schema of YAML 1.2, as JavaScript's parsers do, hence Claude Code:
``yes``, ``12:30`` and ``2024-01-01`` are strings. Keys are always strings, as in JavaScript.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import yaml
from yaml.composer import Composer
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.resolver import BaseResolver
from yaml.scanner import Scanner

from .tree import Child, Kind, TreeNode, match_end

COMMENT = re.compile(r"#[^\r\n]*+")

# Possessive, because a gap that does not match must not be tried in every other way.
_TRIVIA = re.compile(rf"(?:\s|{COMMENT.pattern})*+")
_PROPERTIES = re.compile(rf"(?:[&!]\S*+|\s|{COMMENT.pattern})*+")
_COMMA = re.compile(rf"{_TRIVIA.pattern},?{_TRIVIA.pattern}")
_LINE_COMMENT = re.compile(rf"[ \t]+{COMMENT.pattern}")
_COLON = re.compile(r"\s*:")
_BLANK_LINES = re.compile(r"(?:\r?\n[ \t]*)*\Z")
_ENTRY = re.compile(r"^([A-Za-z_][\w-]*):(?=[ \t\r\n]|\Z)[ \t]*", re.MULTILINE)

# Characters that PyYAML takes for the end of the text (NUL) or of a line (those of YAML 1.1), and
# YAML 1.2 for letters like others. While it reads, private ones stand in for them.
_LETTERS = "\0\x85\u2028\u2029"
_PRIVATE = range(0xF0000, 0xFFFFE)

_BLANKS_TO_LINE_END = re.compile(r"[ \t]*(?=[\r\n]|\Z)")
_SPACES = re.compile(r"(?:[ \t]*[\r\n]+)*( *)[ \t]*")
_LINE_END = re.compile(r"\r\n?|\n")
_NO_TOKEN = re.compile(r"[ \t]*[#\r\n\0]")
_DOCUMENT_END = re.compile(r"(?:---|\.\.\.)[ \t\r\n\0]")
_BRACKETS = frozenset("[{")

_SURROGATES = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_TAG = "tag:yaml.org,2002:"


class _CoreSchema(BaseResolver):
    """The implicit types of YAML 1.2, section 10.3.2."""


for _name, _pattern, _first in (
    ("null", r"null|Null|NULL|~|", ["n", "N", "~", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    (
        "float",
        r"[-+]?(?:(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|\.(?:inf|Inf|INF))|\.(?:nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
):
    _CoreSchema.add_implicit_resolver(_TAG + _name, re.compile(rf"(?:{_pattern})\Z"), _first)


def _int(text: str) -> int:
    base = {"0o": 8, "0x": 16}.get(text[:2], 10)
    return int(text if base == 10 else text[2:], base)


def _float(text: str) -> float:
    return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))


_READ: dict[str, Callable[[str], object]] = {
    _TAG + "null": lambda text: None,
    _TAG + "bool": lambda text: text.lower() == "true",
    _TAG + "int": _int,
    _TAG + "float": _float,
}


class _Alias(yaml.Node):
    """An alias at its own place; PyYAML gives the anchored node, with the marks of that one."""

    def __init__(self, target: Any, event: Any) -> None:
        super().__init__(target.tag, target, event.start_mark, event.end_mark)


def _stand_ins(text: str) -> dict[int, str]:
    """Return what stands in for letters of a text: nothing that it holds, or spells in hex."""
    letters = [letter for letter in _LETTERS if letter in text]
    if not letters:  # as nearly always
        return {}
    spelled = text.lower()
    free = (chr(n) for n in _PRIVATE if chr(n) not in text and f"{n:x}" not in spelled)
    return {ord(letter): next(free) for letter in letters}


class _Loader(Reader, Scanner, Parser, Composer, _CoreSchema):
    def __init__(self, text: str) -> None:
        stand_ins = _stand_ins(text)
        self._letters = {ord(private): letter for letter, private in stand_ins.items()}
        Reader.__init__(self, text.translate(stand_ins))
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        _CoreSchema.__init__(self)

    def compose_scalar_node(self, anchor: Any) -> yaml.ScalarNode:
        """Give the letters of a text back that others stood in for."""
        node = super().compose_scalar_node(anchor)
        node.value = node.value.translate(self._letters)
        return node

    def check_printable(self, data: str) -> None:
        """Take any character, as JavaScript's parsers do."""

    def scan_to_next_token(self) -> None:
        """Skip tabs too where they only separate; as indentation YAML forbids them."""
        super().scan_to_next_token()
        while self.peek() == "\t" and self._separates():
            self.forward()
            super().scan_to_next_token()

    def _separates(self) -> bool:
        line = self.buffer[: self.pointer].rpartition("\n")[2]
        return bool(
            line.strip(" \t") or self.flow_level or _NO_TOKEN.match(self.buffer, self.pointer)
        )

    def scan_plain_spaces(self, indent: int, start_mark: object) -> list[str]:
        """Take what stands between two words of a plain text, tabs included."""
        match = _SPACES.match(self.buffer, self.pointer)
        assert match is not None
        spaces, indentation = match[0], match[1]
        lines = len(_LINE_END.findall(spaces))
        if not lines:
            self.forward(len(spaces))
            return [spaces] if spaces else []
        is_indented = self.flow_level or len(indentation) >= indent
        self.forward(len(spaces) if is_indented else match.end(1) - match.start())
        self.allow_simple_key = True
        if self.column == 0 and _DOCUMENT_END.match(self.buffer, self.pointer):
            return []
        return ["\n" * (lines - 1) or " "]

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        node = super().compose_node(parent, index)
        return _Alias(node, event) if isinstance(event, yaml.AliasEvent) else node


class DuplicateKey(Exception):
    """A mapping has a key twice: ``first`` and ``at`` are where the two stand."""

    def __init__(self, key: str, first: int, at: int) -> None:
        super().__init__(key)
        self.key = key
        self.first = first
        self.at = at


class Unsupported(yaml.YAMLError):
    """YAML of a kind whose text this module cannot take apart.

    ``at`` is where it stands, if that is known.
    """

    def __init__(self, what: str, at: int | None = None) -> None:
        super().__init__(what)
        self.at = at


def parse(text: str, start: int = 0, end: int | None = None) -> TreeNode | None:
    """Return the tree of the YAML document ``text[start:end]``; ``None`` if it says nothing.

    Raises:
        yaml.YAMLError: it is not YAML.
        DuplicateKey: a mapping has a key twice.
        RecursionError: it is nested too deeply, or an alias stands inside what it stands for.
    """
    node = _Loader(text[start:end]).get_single_node()
    return None if node is None else _Builder(text, start).node(node)


def parse_by_lines(text: str, start: int, end: int) -> TreeNode:
    """Return the tree of a mapping that is not YAML as a whole, one entry at a time.

    An entry begins at a line that starts with a plain key and a colon. An entry that is not YAML
    by itself either has its raw text as its value, if that begins on the line of the key: such a
    text is an unquoted ``description: Use this. Example: ...`` of several lines. What begins below
    is a list or a mapping, and no text.

    Raises:
        Unsupported: there is something that belongs to no entry, or a list or mapping is not YAML.
        DuplicateKey: a key appears twice.
    """
    starts = [match.start() for match in _ENTRY.finditer(text, start, end)]
    if not starts or match_end(_TRIVIA, text, start) < starts[0]:
        raise Unsupported("it does not consist of lines of the form `key: value`")
    children: list[Child] = []
    for at, stop in zip(starts, [*starts[1:], end], strict=True):
        children += _entry(text, at, stop)
    return _block("mapping", text, children[0].start, children)


def _entry(text: str, start: int, end: int) -> tuple[Child, ...]:
    try:
        root = parse(text, start, end)
        if root is not None and root.kind == "mapping" and root.block and not root.whole:
            return root.children
    except yaml.YAMLError:
        pass
    label = _ENTRY.match(text, start)
    assert label is not None
    lines = text[label.end() : end].splitlines(keepends=True)
    while lines and (not lines[-1].strip() or lines[-1].startswith("#")):
        lines.pop()
    raw = "".join(lines)
    value = raw.strip()
    at = label.end() + raw.index(value)
    if "\n" in text[label.end() : at] or ("\n" in value and value[0] in _BRACKETS):
        raise Unsupported(f"the value of '{label[1]}' is none either", start)
    node = TreeNode("scalar", at, at + len(value), value, whole=True)
    return (Child(start, label.end(1), label[1], node),)


class _Builder:
    """PyYAML's nodes to ours. Its marks count from ``offset``."""

    def __init__(self, text: str, offset: int) -> None:
        self.text = text
        self.offset = offset

    def node(self, source: Any) -> TreeNode:
        start, end = self._span(source)
        if isinstance(source, _Alias):
            target = self.node(source.value)
            return replace(target, start=start, end=end, whole=True, alias=True)
        if isinstance(source, yaml.ScalarNode):
            return self._scalar(source, start, end)
        if isinstance(source, yaml.MappingNode):
            entries = [self._entry(key, value) for key, value in source.value]
            if source.flow_style:
                return _flow("mapping", self.text, start, end, entries)
            return _block("mapping", self.text, start, entries)
        if source.flow_style:
            nodes = [self.node(item) for item in source.value]
            items = [Child(node.start, node.start, None, node) for node in nodes]
            return _flow("list", self.text, start, end, items)
        return _block("list", self.text, start, list(self._dashed(start, source.value)))

    def _span(self, source: yaml.Node) -> tuple[int, int]:
        return self.offset + source.start_mark.index, self.offset + source.end_mark.index

    def _scalar(self, source: yaml.ScalarNode, start: int, end: int) -> TreeNode:
        if start == end:  # nothing, which comes after the blanks that end its line
            start = end = match_end(_BLANKS_TO_LINE_END, self.text, end)
        elif source.style in ("|", ">"):
            end = start + _block_scalar_length(self.text[start:end])
        return TreeNode("scalar", start, end, _value(source))

    def _entry(self, key: Any, value: Any) -> Child:
        spelled = key.value if isinstance(key, _Alias) else key
        if not isinstance(spelled, yaml.ScalarNode):
            raise Unsupported("a key is a mapping or a list")
        start, label_end = self._span(key)
        return Child(start, label_end, _text(spelled), self.node(value))

    def _dashed(self, at: int, items: list[Any]) -> Iterator[Child]:
        at = match_end(_PROPERTIES, self.text, at)
        for item in items:
            dash = match_end(_TRIVIA, self.text, at)
            node = self.node(item)
            yield Child(dash, dash + 1, None, node)
            at = node.end


def _value(source: yaml.ScalarNode) -> object:
    text = _text(source)
    try:
        return _READ.get(source.tag, str)(text)
    except ValueError:  # an explicit tag that does not fit, or thousands of digits
        return text


def _text(source: yaml.ScalarNode) -> str:
    """Return the text of a scalar; two escapes may spell one character, as in JSON."""
    text: str = source.value
    if not _SURROGATES.search(text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def _block(kind: Kind, text: str, start: int, children: list[Child]) -> TreeNode:
    """Return a block mapping or list; the comment on its last line belongs to it."""
    end = match_end(_LINE_COMMENT, text, children[-1].end)
    gaps = [text[left.end : right.start] for left, right in pairwise(children)]
    regular = _PROPERTIES.fullmatch(text, start, children[0].start) and all(
        _TRIVIA.fullmatch(gap) for gap in gaps
    )
    whole = not (regular and _labels_are_regular(kind, text, children))
    return TreeNode(
        kind, start, end, children=tuple(children), inner=(start, end), block=True, whole=whole
    )


def _flow(kind: Kind, text: str, start: int, end: int, children: list[Child]) -> TreeNode:
    """Return a mapping or list in brackets, or the single pair of ``[key: value]``."""
    opening = match_end(_PROPERTIES, text, start)
    stops = [opening + 1, *(child.end for child in children)]
    starts = [*(child.start for child in children), end - 1]
    gaps = [text[left:right] for left, right in zip(stops, starts, strict=True)]
    regular = text[opening] in "[{" and all(_COMMA.fullmatch(gap) for gap in gaps)
    whole = not (regular and _labels_are_regular(kind, text, children))
    return TreeNode(
        kind, start, end, children=tuple(children), inner=(opening + 1, end - 1), whole=whole
    )


def _labels_are_regular(kind: Kind, text: str, children: list[Child]) -> bool:
    """Tell keys that a colon follows from ``? key``; raise if a key appears twice."""
    if kind == "list":
        return all(text[child.start : child.label_end] in ("-", "") for child in children)
    seen: dict[str | None, int] = {}
    for child in children:
        if child.key in seen:
            raise DuplicateKey(str(child.key), seen[child.key], child.start)
        seen[child.key] = child.start
    return all(_COLON.match(text, child.label_end, child.node.start) for child in children)


def _block_scalar_length(text: str) -> int:
    """Return the length without the final newline and the blank lines that do not count."""
    header = text.partition("\n")[0]
    if "+" in header:
        return len(text.removesuffix("\n").removesuffix("\r"))
    blank = _BLANK_LINES.search(text)
    return len(text) if blank is None else blank.start()
