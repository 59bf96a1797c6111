"""How Claude Code reads the header of a Markdown file: the one model of it, which edits keep to.

It is documented nowhere, and was found out by giving files to the real client (2.1.330 and
2.1.332) and looking at the agents that it then offers to Claude. ``tests/claude_code`` gives the
files of ``tests/editing/headers`` to the client again and compares.

- After a byte order mark, a header begins with ``---`` and nothing more on that line. It ends at
  the next ``---``, wherever that stands: in the middle of a line, in quotes, in a comment.
- What is between is read as YAML 1.2.
- If that fails, there is a second attempt, on a text that is repaired line by line. Where a line
  is a plain key without indentation, a colon, white space and a value that holds a colon and a
  blank or one of ``! # % & * > @ [ ] ` { | }``, the value is put into double quotes, unless it
  begins and ends with quotes of one kind. A line that ends with CRLF is never such a line. Each
  tab that begins a line becomes two blanks.
- If that fails too, the file has no fields, and an agent without a name is not listed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import yaml

from .tree import Child, TreeNode, fingerprint
from .yaml_tree import DuplicateKey, parse

# JavaScript's `\s`, which is not Python's.
_SPACE = "[\t-\r \xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]"
_OPENING = re.compile(rf"\ufeff?---{_SPACE}*\n")
_CLOSING = re.compile(rf"---{_SPACE}*")

# JavaScript's `.` matches no line end, and to it these are line ends.
_ENTRY = re.compile(rf"([A-Za-z_-]+:){_SPACE}+([^\r\n\u2028\u2029]+)")
_ODD = re.compile(r"[]!#%&*>@[`{|}]|: ")
_IN_QUOTES = re.compile(r"\"(.*\")?|'(.*')?")
_TABS = re.compile(r"(?:\A|(?<=[\r\u2028\u2029]))\t+")


@dataclass(frozen=True, slots=True)
class ClientReading:
    """What the client makes of a document.

    Parameters:
        fields: the header's tree; ``None`` if it has none, or it says nothing.
        readable: false if both attempts failed.
        repaired: the second attempt was needed.
        body: what stands below the header, without white space around it.
    """

    fields: TreeNode | None
    readable: bool
    repaired: bool
    body: str


def opening(text: str) -> int:
    """Return where the text of a header begins; 0 if the document does not open one."""
    match = _OPENING.match(text)
    return match.end() if match else 0


def closing(text: str) -> int | None:
    """Return where the ``---`` stands that ends the header; ``None`` if there is no header."""
    start = opening(text)
    at = text.find("---", start) if start else -1
    return None if at < 0 else at


def read(text: str) -> ClientReading:
    """Read a document as the client does."""
    end = closing(text)
    if end is None:
        return ClientReading(None, readable=True, repaired=False, body=text.strip("\ufeff").strip())
    start = opening(text)
    match = _CLOSING.match(text, end)
    body = text[match.end() if match else end :].strip()
    for repaired, attempt in enumerate((parse, second_attempt)):
        try:
            fields = attempt(text, start, end)
        except (yaml.YAMLError, DuplicateKey, RecursionError):
            continue
        if fields is None or fields.kind == "mapping":
            return ClientReading(fields, readable=True, repaired=bool(repaired), body=body)
    return ClientReading(None, readable=False, repaired=True, body=body)


def misread(
    text: str, changed: str, old_value: dict[str, object], new_value: dict[str, object]
) -> str | None:
    """Return what an edit would change for the client beside what was asked for.

    The one rule: what it made of header and body before, it makes of them after, but for what was
    asked. Where it could make nothing of the header before, it may get the whole of it.

    Parameters:
        text: the document before.
        changed: the document after.
        old_value: the fields that the author was given.
        new_value: the fields that the author wants.

    Returns:
        "the file", "the body" or "the key 'x'"; ``None`` if all is well.
    """
    before, after = read(text), read(changed)
    if before.readable > after.readable or before.repaired < after.repaired:
        return "the file"
    if before.body != after.body:
        return "the body"
    if not after.readable:
        return None
    seen_before, seen_after = _values(before), _values(after)
    for key in {**old_value, **new_value, **seen_before, **seen_after}:
        is_asked = _print(old_value, key) != _print(new_value, key)
        expected = new_value if is_asked or not before.readable else seen_before
        if _print(seen_after, key) != _print(expected, key):
            return f"the key {key!r}"
    return None


def _values(reading: ClientReading) -> dict[str, object]:
    return {} if reading.fields is None else reading.fields.value()


def _print(fields: dict[str, object], key: str) -> object:
    return fingerprint(fields[key]) if key in fields else None


def second_attempt(text: str, start: int, end: int) -> TreeNode | None:
    """Return the tree of a header ``text[start:end]`` that is not YAML as it stands.

    A value in brackets that the repair put into quotes, so that the client sees one text, is given
    as the list or mapping that it spells: the client itself takes ``tools: [Read, Grep]`` apart.

    Raises:
        yaml.YAMLError: it is not YAML after the repair either.
        DuplicateKey: a mapping has a key twice.
        RecursionError: it is nested too deeply.
    """
    repair = _Repair(text, start, end)
    try:
        root = parse(repair.text)
    except DuplicateKey as error:
        raise DuplicateKey(
            error.key, repair.origins[error.first], repair.origins[error.at]
        ) from None
    return None if root is None else repair.relocated(root)


class _Repair:
    """A repaired header. ``origins`` has, for each of its characters, the place it comes from."""

    def __init__(self, text: str, start: int, end: int) -> None:
        self.source = text
        self.quoted: set[int] = set()  # where a value begins that was put into quotes
        self.origins: list[int] = []
        lines: list[str] = []
        at = start
        for line in text[start:end].split("\n"):
            lines.append(self._line(line, at))
            at += len(line) + 1
            self.origins.append(at - 1)
        self.text = "\n".join(lines)

    def relocated(self, node: TreeNode) -> TreeNode:
        """Return a node of the repaired text with the places of the original one."""
        start, end = self.origins[node.start], self.origins[node.end]
        if node.start in self.quoted:
            return self._in_brackets(start, end) or TreeNode(
                "scalar", start, end, self.source[start:end], whole=True
            )
        inner = (self.origins[node.inner[0]], self.origins[node.inner[1]])
        children = tuple(
            Child(
                self.origins[child.start],
                self.origins[child.label_end],
                child.key,
                self.relocated(child.node),
            )
            for child in node.children
        )
        return replace(node, start=start, end=end, inner=inner, children=children)

    def _in_brackets(self, start: int, end: int) -> TreeNode | None:
        if self.source[start] not in "[{":
            return None
        try:
            node = parse(self.source, start, end)
        except (yaml.YAMLError, DuplicateKey, RecursionError):
            return None
        is_all = node is not None and node.kind != "scalar" and not node.block and node.end == end
        return node if is_all else None

    def _line(self, line: str, at: int) -> str:
        entry = _ENTRY.fullmatch(line)
        if entry is None or _IN_QUOTES.fullmatch(entry[2]) or not _ODD.search(entry[2]):
            return self._untabbed(line, at)
        label, value = entry[1], entry[2]
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        self.origins += range(at, at + len(label) + 1)
        self.quoted.add(len(self.origins))
        self.origins += [at + entry.start(2)] * (len(escaped) + 2)
        return f'{label} "{escaped}"'

    def _untabbed(self, line: str, at: int) -> str:
        origins = dict.fromkeys(_tabs(line), 2)
        for index in range(len(line)):
            self.origins += [at + index] * origins.get(index, 1)
        return _TABS.sub(lambda tabs: "  " * len(tabs[0]), line)


def _tabs(line: str) -> Iterator[int]:
    for tabs in _TABS.finditer(line):
        yield from range(tabs.start(), tabs.end())
