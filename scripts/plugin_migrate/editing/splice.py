"""Change a value in a text and keep every byte that does not have to change.

A container's text is cut into pieces, one per child, each with the whitespace and the comments
that belong to it. The pieces are put together again in the new order, with the changed ones
rewritten. Where nothing changed, cutting and joining gives back the same text, so there is no
list of edits and no offset to keep right.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

from .pairing import pair
from .tree import Child, TreeNode, fingerprint, kind_of, match_end

_BLANKS = re.compile(r"[ \t]*")
_LINE_END = re.compile(r"\r?\n")
_NO_TAB = re.compile(r"[^\t]")


@dataclass(frozen=True, slots=True)
class Span:
    """Where a child is written.

    Parameters:
        indent: indentation of the line it begins; ``None`` when it shares a line with others.
        block: it belongs to a container in YAML's block style.
        compact: its siblings of the same kind are each written on one line.
        comment_follows: a comment stands after it on the line where it ends.
    """

    indent: str | None
    block: bool = False
    compact: bool = False
    comment_follows: bool = False


class Syntax(Protocol):
    """What the splicing has to know about a format and about one file's habits.

    Attributes:
        comment: matches one comment.
        line_comment: what begins a comment that ends with its line.
        newline: the file's line ending.
        inline_lead: what stands between a comma and the next child on the same line.
        indent_unit: one step of indentation inside brackets; ``None`` when an empty pair of
            brackets is filled without breaking the line.
    """

    comment: re.Pattern[str]
    line_comment: str
    newline: str
    inline_lead: str
    indent_unit: str | None

    def label(self, key: str, old: str = "") -> str:
        """Return the text of a key that replaces the text ``old``, if there was one."""

    def child(self, label: str, gap: str | None, value: Any, place: Span, old: str) -> str:
        """Return the text of a child.

        Parameters:
            label: the text of its key, ``-`` or nothing.
            gap: what stood between label and value; ``None`` for a new child.
            old: the text of the value before, if that was a scalar, or else empty.
        """


@dataclass(frozen=True, slots=True)
class _Piece:
    """A child's share of its container's text.

    Parameters:
        lead: whitespace and comments before it; ``None`` for the first child, because what
            stands before that one belongs to the container and stays at the top, if it is not
            clearly about the child.
        before, after: what stands on its line before and after its comma.
    """

    lead: str | None
    text: str
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class _Cut:
    head: str
    pieces: tuple[_Piece, ...]
    trailing_comma: bool
    tail: str


def splice(text: str, root: TreeNode, new: Any, syntax: Syntax) -> str:
    """Return ``text`` with the value of ``root`` turned into ``new``.

    Parameters:
        text: the document.
        root: its tree.
        new: the value wanted; renames are read from its `EditableDict` mappings.
        syntax: how the format, and this file, writes things.

    Raises:
        TypeError: ``new`` holds something that no file can hold.
    """
    if fingerprint(root.value()) == fingerprint(new):
        return text
    splicer = _Splicer(text, syntax)
    if can_enter(root, new):
        changed = splicer.container(root, new, "")
    else:
        changed = syntax.child("", "", new, Span("", root.block), "")
    return text[: root.start] + changed + text[root.end :]


class _Splicer:
    def __init__(self, text: str, syntax: Syntax) -> None:
        self.text = text
        self.syntax = syntax

    def container(self, node: TreeNode, new: Any, indent: str | None) -> str:
        """Return the text of a mapping or list, changed into ``new`` of the same kind."""
        cut = self._cut(node)
        pairs = list(pair_children(node, new))
        leads, orphans = self._leads(cut, {index for _, _, index in pairs})
        head, tail = cut.head, self._join([orphans, cut.tail])
        if not pairs:
            head, tail = "", self._emptied(node, head, tail)
        elif not cut.pieces:
            head, tail = self._opened(tail, indent)
        usual_lead = self._usual_lead(node, head, cut.pieces)
        compact = self._compact_kinds(node)

        chunks = [self.text[node.start : node.inner[0]], head]
        for position, (key, value, index) in enumerate(pairs):
            lead = None if index is None else leads[index]
            if position == 0:
                lead = (lead or "").lstrip()
            elif lead is None:
                lead = usual_lead
            old = _Piece(None, "") if index is None else cut.pieces[index]
            own_indent = self._indent(node, head + lead if position == 0 else lead)
            place = Span(own_indent, node.block, kind_of(value) in compact, bool(old.after))
            child = None if index is None else node.children[index]
            chunks += [lead, self._child(child, key, value, place, node), old.before]
            if not node.block and (position < len(pairs) - 1 or cut.trailing_comma):
                chunks.append(",")
            chunks.append(old.after)
        chunks += [tail, self.text[node.inner[1] : node.end]]
        return self._join(chunks)

    def _child(
        self, child: Child | None, key: str | None, value: Any, place: Span, parent: TreeNode
    ) -> str:
        if child is None:
            label = "-" if parent.block else ""
            if key is not None:
                label = self.syntax.label(key)
            return self.syntax.child(label, None, value, place, "")
        label = self.text[child.start : child.label_end]
        if key is not None and key != child.key:
            label = self.syntax.label(key, label)
        node = child.node
        gap = self.text[child.label_end : node.start]
        if fingerprint(node.value()) == fingerprint(value):
            return label + gap + self.text[node.start : node.end]
        if can_enter(node, value) and (value or not node.block):
            return label + gap + self.container(node, value, place.indent)
        old = self.text[node.start : node.end] if node.kind == "scalar" else ""
        return self.syntax.child(label, gap, value, place, old)

    def _cut(self, node: TreeNode) -> _Cut:
        start, end = node.inner
        if not node.children:
            return _Cut("", (), False, self.text[start:end])
        pieces: list[_Piece] = []
        lead: str | None = None
        stops = [child.start for child in node.children[1:]] + [end]
        for child, stop in zip(node.children, stops, strict=True):
            before, comma, rest = "", "", self.text[child.end : stop]
            if not node.block:
                before, comma, rest = self._at_comma(rest)
            after = self._same_line(rest, last=stop == end)
            pieces.append(_Piece(lead, self.text[child.start : child.end], before, after))
            lead = rest[len(after) :]
        head, lead_of_first = self._head(self.text[start : node.children[0].start], pieces)
        pieces[0] = replace(pieces[0], lead=lead_of_first)
        return _Cut(head, tuple(pieces), comma == ",", lead or "")

    def _head(self, gap: str, pieces: list[_Piece]) -> tuple[str, str | None]:
        """Split what stands before the first child at the comments that are about that child.

        Comments on the lines above it are, if another child has such comments too; else they may
        as well be about the whole container.
        """
        if not any(self.syntax.comment.search(piece.lead or "") for piece in pieces[1:]):
            return gap, None
        line_end = gap.find("\n") + 1
        own = line_end + match_end(_BLANKS, gap[line_end:])
        if not line_end or not self.syntax.comment.match(gap, own):
            return gap, None
        return gap[:own], self.syntax.newline + gap[line_end:]

    def _at_comma(self, gap: str) -> tuple[str, str, str]:
        """Split at the comma; without one, everything comes after it."""
        blanked = self.syntax.comment.sub(lambda match: " " * len(match[0]), gap)
        at = blanked.find(",")
        return ("", "", gap) if at < 0 else (gap[:at], ",", gap[at + 1 :])

    def _same_line(self, gap: str, *, last: bool) -> str:
        """Return the comments at the beginning of ``gap`` that belong to the child before it.

        A comment in the middle of a line may as well be about the next child, so it counts only
        when the line, or the container, ends after it.
        """
        at = end = 0
        while True:
            at = match_end(_BLANKS, gap, at)
            comment = self.syntax.comment.match(gap, at)
            if comment is None or "\n" in comment[0]:
                break
            at = end = comment.end()
        line_ends = _LINE_END.match(gap, at) or (last and at == len(gap))
        return gap[:end] if line_ends else ""

    def _leads(self, cut: _Cut, kept: set[int | None]) -> tuple[dict[int, str | None], str]:
        """Return what stands before each kept child, and comments that no child is left for.

        A removed child leaves the comments above it behind: they may be about more than it, and
        a comment too many is easier to see than one that is gone.
        """
        leads: dict[int, str | None] = {}
        orphans = ""
        for index, piece in enumerate(cut.pieces):
            if index not in kept:
                orphans = self._join([orphans, self._comments(piece.lead or "")])
            elif piece.lead is None:
                leads[index] = None
            else:
                leads[index] = self._join([orphans, piece.lead])
                orphans = ""
        return leads, orphans

    def _comments(self, trivia: str) -> str:
        """Return ``trivia`` up to the end of its last comment."""
        end = 0
        for comment in self.syntax.comment.finditer(trivia):
            end = comment.end()
        return trivia[:end]

    def _emptied(self, node: TreeNode, head: str, tail: str) -> str:
        if node.block:
            return tail.lstrip()
        inner = self._join([self._comments(head), tail])
        if "\n" not in inner or self._comments(inner):
            return inner
        # One line end came with the first child, see `_opened`; only more were there before.
        rest = inner[inner.index("\n") + 1 :]
        return rest if "\n" in rest else ""

    def _opened(self, inner: str, indent: str | None) -> tuple[str, str]:
        """Return head and tail for the first child of a container that held only ``inner``."""
        unit, newline = self.syntax.indent_unit, self.syntax.newline
        comments = self._comments(inner)
        rest = inner[len(comments) :]
        if "\n" in rest or (unit and indent is not None and not inner):
            outer = indent or ""
            if not comments:  # `_emptied` tells by the line ends what to give back
                rest = newline + (rest or outer)
            return f"{comments}{newline}{outer}{unit or '  '}", rest
        return comments + (rest or (" " if comments else "")), rest

    def _usual_lead(self, node: TreeNode, head: str, pieces: tuple[_Piece, ...]) -> str:
        if node.block:
            return self.syntax.newline + (self._indent(node, "") or "")
        last = pieces[-1].lead if pieces else None
        lead = head if last is None else last
        indent = self._indent(node, lead)
        if indent is not None:
            return self.syntax.newline + indent
        return self.syntax.inline_lead if last is None or last.strip() else last

    def _indent(self, node: TreeNode, lead: str) -> str | None:
        """Return the indentation of a child after ``lead``, if it is the first of its line."""
        if node.block:
            first = node.children[0].start
            line = self.text[self.text.rfind("\n", 0, first) + 1 : first]
            return _NO_TAB.sub(" ", line)  # what stands there may be the dash of a list
        _, newline, line = lead.rpartition("\n")
        return line[: match_end(_BLANKS, line)] if newline else None

    def _compact_kinds(self, node: TreeNode) -> set[str]:
        """Return the kinds of children that are all written on one line each."""
        kinds: dict[str, bool] = {}
        for child in node.children:
            if child.node.children:
                one_line = "\n" not in self.text[child.start : child.end]
                kinds[child.node.kind] = kinds.get(child.node.kind, True) and one_line
        return {kind for kind, one_line in kinds.items() if one_line}

    def _join(self, chunks: list[str]) -> str:
        """Join, but never let a comment swallow what used to stand on the next line."""
        joined: list[str] = []
        for chunk in filter(None, chunks):
            if joined and self._open_comment(joined[-1]) and not _LINE_END.match(chunk):
                joined.append(self.syntax.newline)
            joined.append(chunk)
        return "".join(joined)

    def _open_comment(self, chunk: str) -> bool:
        """Tell whether ``chunk`` is trivia that ends inside a comment."""
        if not self.syntax.comment.match(chunk.lstrip()):
            return False  # a value, or whitespace only
        *_, last = self.syntax.comment.finditer(chunk)
        return last[0].startswith(self.syntax.line_comment) and "\n" not in chunk[last.end() :]


def can_enter(node: TreeNode, new: Any) -> bool:
    """Tell whether a value becomes ``new`` by changes inside it, instead of as a whole."""
    return node.kind == kind_of(new) != "scalar" and not node.whole


def pair_children(node: TreeNode, new: Any) -> Iterator[tuple[str | None, Any, int | None]]:
    """Yield key, value and the index of the old child to keep, for each child wanted."""
    if node.kind == "mapping":
        yield from _pair_entries(node, new)
    else:
        for value, index in _pair_items(node, new):
            yield None, value, index


def _pair_entries(
    node: TreeNode, new: dict[str, Any]
) -> Iterator[tuple[str | None, Any, int | None]]:
    old = {child.key: index for index, child in enumerate(node.children)}
    originals = {k: v for k, v in getattr(new, "original_keys", {}).items() if k in new}
    renamed = set(originals.values())
    for key, value in new.items():
        original = originals.get(key, None if key in renamed else key)
        yield key, value, None if original is None else old.get(original)


def _pair_items(node: TreeNode, new: list[Any]) -> Iterator[tuple[Any, int | None]]:
    before = [fingerprint(child.node.value()) for child in node.children]
    yield from zip(new, pair(before, [fingerprint(value) for value in new]), strict=True)
