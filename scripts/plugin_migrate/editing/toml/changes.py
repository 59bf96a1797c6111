"""What to replace, remove and add in a TOML text for another value of it.

Order means nothing in TOML: a key that moves within its table stays where it is, and a new one
comes below the last of its table. What an edit adds another takes away: a header with the blank
line above it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from ...errors import StateUnreadable
from ..damage import BY_HAND, line_of
from ..pairing import pair
from ..splice import splice
from ..tree import fingerprint, kind_of
from .document import Definition, Document, Path, load, read
from .style import Toml

_BLANK_LINE_ABOVE = re.compile(r"(?:^|(?<=\n))[ \t]*\r?\n\Z")
_BLANK_LINE = re.compile(r"[ \t]*\r?\n")
_COMMENT_LINE = re.compile(r"[ \t]*#")
_INDENT = re.compile(r"[ \t]*")
# Moving the tables of an array takes a pass, and what else changes in them another.
_MOST_PASSES = 3


def apply(text: str, new_value: dict[str, Any], file: str = "the file") -> str:
    """Return the document with its value changed into ``new_value``, all else byte for byte.

    Parameters:
        text: the document.
        new_value: what `load` shall give for the result, but for the order of keys.
        file: its name for messages.

    Raises:
        StateUnreadable: it is not TOML, or has a form that cannot be changed safely.
        TypeError: ``new_value`` holds something that TOML cannot.
        ValueError: the same about half of a surrogate pair.
    """
    fingerprint(new_value)
    _refuse_none(new_value, "the document")
    wanted = _unordered(new_value)
    changed = text
    for _ in range(_MOST_PASSES):
        if _unordered(load(changed, file)) == wanted:
            return changed
        try:
            changed = _Changes(read(changed, file)).made(new_value, changed)
        except _Unsafe as error:
            raise _refusal(file, text, error.at) from None
    if not _reads_as(changed, wanted):
        raise _refusal(file, text, 0)
    return changed


def _reads_as(text: str, wanted: object) -> bool:
    try:
        return _unordered(load(text)) == wanted
    except StateUnreadable:
        return False


def _refusal(file: str, text: str, at: int) -> StateUnreadable:
    message = f"{file} cannot be changed safely"
    return StateUnreadable(message, hint=BY_HAND, file=file, line=line_of(text, at))


def _unordered(value: Any) -> object:
    """Return a hashable stand-in, equal for values that differ in the order of keys only."""
    if isinstance(value, dict):
        return "mapping", frozenset((key, _unordered(item)) for key, item in value.items())
    if isinstance(value, list | tuple):
        return "list", tuple(map(_unordered, value))
    return fingerprint(value)


def _refuse_none(value: Any, where: str) -> None:
    if value is None:
        raise TypeError(f"{where} is None, which TOML cannot hold: remove the key instead")
    if isinstance(value, dict | list | tuple):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            _refuse_none(item, f"{where}[{key!r}]")


class _Unsafe(Exception):
    """The text has a form that this module does not change; ``at`` is where."""

    def __init__(self, at: int) -> None:
        super().__init__(at)
        self.at = at


@dataclass(order=True, slots=True)
class _Edit:
    """A replacement of ``text[start:end]``.

    At one place, what is inserted comes before what is replaced, and keys before tables.
    """

    start: int
    end: int
    is_table: bool = field(default=False, kw_only=True)
    text: str = field(compare=False)


class _Changes:
    def __init__(self, document: Document) -> None:
        self.document = document
        self.text = document.text
        self.statements = document.statements
        self.style = Toml(document.text)
        self.edits: list[_Edit] = []
        self.removed: list[range] = []  # runs of statements
        self.names: dict[Path, str] = {}  # of what is renamed
        self.first: int | None = None  # where the first key above all tables is added
        self.adds_to_root = False

    def made(self, new: dict[str, Any], text: str) -> str:
        """Return the text changed into ``new``; ``text`` is it as it stands in the file."""
        self._mapping((), self.document.value(), new)
        if self.first is not None and self.statements:
            self.edits.append(_Edit(self.first, self.first, self.style.newline))
        gone = self._removals()
        edits = [edit for edit in self.edits if not any(_is_within(edit, run) for run in gone)]
        chunks = []
        at = 0
        for edit in sorted([*gone, *edits]):
            start = max(at, edit.start)  # a blank line may go with two
            chunks += [self.text[at:start], edit.text]
            at = max(start, edit.end)
        changed = "".join(chunks) + self.text[at:]
        if text.removeprefix("\ufeff") and not text.endswith("\n"):
            return changed.removesuffix(self.style.newline)
        return changed

    # --- what differs ----------------------------------------------------------------------------

    def _mapping(self, path: Path, old: dict[str, Any], new: dict[str, Any]) -> None:
        originals = {k: v for k, v in getattr(new, "original_keys", {}).items() if v in old}
        kept = set()
        for key, value in new.items():
            original = originals.get(key, key)
            if original not in old or (original == key and key in originals.values()):
                self._add(path, key, value)
                continue
            kept.add(original)
            if original != key:
                self._rename((*path, original), key)
            if _unordered(old[original]) != _unordered(value):
                self._change((*path, original), old[original], value)
        for key in old:
            if key not in kept:
                self._remove((*path, key))

    def _change(self, path: Path, old: Any, new: Any) -> None:
        node = next((one.node for one in self.statements if one.path == path and one.node), None)
        if node is not None:
            if node.kind == kind_of(new) != "scalar" and not node.whole:
                changed = splice(self.text, node, new, self.style)
                end = len(changed) - (len(self.text) - node.end)
                self.edits.append(_Edit(node.start, node.end, changed[node.start : end]))
            else:
                before = self.text[node.start : node.end]
                indent = self._indent(node.start)
                text = self.style.lines(new, indent, before)
                self.edits.append(_Edit(node.start, node.end, text))
        elif isinstance(old, dict) and isinstance(new, dict):
            if new or self.document.header(path):
                self._mapping(path, old, new)
            else:  # it was there only as a part of longer keys
                self._remove(path)
                self._entry(path[:-1], self._name(path), new)
        elif isinstance(old, list) and _are_tables(new):
            self._tables(path, old, new)
        else:
            self._remove(path)
            self._add(path[:-1], self._name(path), new)

    def _tables(self, path: Path, old: list[Any], new: list[Any]) -> None:
        places = pair(list(map(_unordered, old)), list(map(_unordered, new)))
        kept = [place for place in places if place is not None]
        if kept != sorted(kept):
            self._move(path, kept)
            return
        for gone in set(range(len(old))) - set(kept):
            self._remove((*path, gone))
        before: int | None = None
        for value, place in zip(new, places, strict=True):
            if place is not None:
                if _unordered(old[place]) != _unordered(value):
                    self._mapping((*path, place), old[place], value)
                before = place
            elif before is not None:
                self._insert(self._run((*path, before))[1], self._table(path, value, is_array=True))
            else:
                self._insert_before(self._run((*path, 0))[0], path, value)

    def _move(self, path: Path, kept: list[int]) -> None:
        """Put tables of an array into another order, with the comments right above them."""
        runs = {place: self._run((*path, place)) for place in kept}
        spans = {place: (self._above(start), end) for place, (start, end) in runs.items()}
        for slot, place in zip(sorted(kept), kept, strict=True):
            start, end = spans[slot]
            text = self.text[slice(*spans[place])]
            self.edits.append(_Edit(start, end, text))

    def _rename(self, path: Path, name: str) -> None:
        self.names[path] = name
        for at in self.document.below(path):
            statement = self.statements[at]
            words = statement.words
            below = statement.section if statement.node else ()
            index = _count_names(path) - _count_names(below) - 1
            if index >= 0:
                word = words[index]
                text = self.style.label(name, self.text[word.start : word.end])
                self.edits.append(_Edit(word.start, word.end, text))

    # --- removing --------------------------------------------------------------------------------

    def _remove(self, path: Path) -> None:
        start = previous = -2
        for at in [*self.document.below(path), len(self.statements) + 1]:
            if at != previous + 1:
                if start >= 0:
                    self.removed.append(range(start, previous + 1))
                start = at
            previous = at

    def _removals(self) -> list[_Edit]:
        """Return the removals, with the blank lines that came with what is removed."""
        gone = {at for run in self.removed for at in run}
        root = [at for at, one in enumerate(self.statements) if one.section == ()]
        is_root_gone = bool(root) and not self.adds_to_root and set(root) <= gone
        edits = []
        for run in self.removed:
            first, last = self.statements[run[0]], self.statements[run[-1]]
            start, end = first.start, last.end
            above = _BLANK_LINE_ABOVE.search(self.text, 0, start)
            if first.node is None and above:
                start = above.start()
            elif self._is_top(start) or (is_root_gone and run[-1] == root[-1]):
                below = _BLANK_LINE.match(self.text, end)
                if below and run[-1] + 1 < len(self.statements):
                    end = below.end()
            edits.append(_Edit(start, end, ""))
        return edits

    # --- adding ----------------------------------------------------------------------------------

    def _add(self, path: Path, key: str, value: Any) -> None:
        """Add a key to the table at ``path``: as a table of its own if it is one and can be."""
        is_dotted = any(
            self.statements[at].node and len(self.statements[at].section) < len(path)
            for at in self.document.below(path)
        )
        if not value or is_dotted or not (isinstance(value, dict) or _are_tables(value)):
            self._entry(path, key, value)
            return
        mine = self.document.below(path)
        end = self.statements[mine[-1]].end if path and mine else len(self.text)
        for table in [value] if isinstance(value, dict) else value:
            is_array = not isinstance(value, dict)
            self._insert(end, self._table((*path, key), table, is_array=is_array))

    def _entry(self, path: Path, key: str, value: Any) -> None:
        """Add a line ``key = value`` to the table at ``path``."""
        depth = len(path)
        dotted = [
            one
            for one in self.statements
            if one.node and one.path[:depth] == path and len(one.section) < depth
        ]
        above = path
        if dotted:
            above = dotted[-1].section
        else:
            while above and self.document.header(above) is None:
                above = above[:-1]
        names = self._spelled(path)[_count_names(above) :]
        prefix = "".join(f"{name}." for name in names)
        siblings = [one for one in self.statements if one.node and one.section == above]
        own = [one for one in self.statements if one.node is None and one.path == above]
        anchor = next(reversed(dotted or siblings or own), None)
        indent = self._indent(anchor.start) if anchor else ""
        text = self.style.lines(value, indent)
        line = f"{indent}{prefix}{self.style.label(key)} = {text}{self.style.newline}"
        self.adds_to_root |= above == ()
        if anchor is not None:
            self.edits.append(_Edit(anchor.end, anchor.end, line))
        else:
            self._first(line)

    def _first(self, line: str) -> None:
        """Add the first line above all tables, below the comments that the file begins with."""
        at = len(self.text)
        if self.statements:
            at = self._above(self.statements[0].start)
            if self._is_top(at):
                at = self.statements[0].start
        self.first = at
        self.edits.append(_Edit(at, at, line))

    def _insert(self, at: int, table: str) -> None:
        """Add a table at the end of a line, with a blank line above as the others have it."""
        before = self.text[:at]
        is_blank = bool(_BLANK_LINE_ABOVE.search(before))
        space = self.style.newline if is_blank or self._is_spaced() else ""
        if not before.removeprefix("\ufeff"):
            space = ""
        self.edits.append(_Edit(at, at, space + table, is_table=True))

    def _insert_before(self, at: int, path: Path, value: dict[str, Any]) -> None:
        """Add a table above the first one of an array, and above the comments of that."""
        at = self._above(at)
        table = self._table(path, value, is_array=True)
        if self._is_top(at) or _BLANK_LINE_ABOVE.search(self.text[:at]):
            self.edits.append(_Edit(at, at, table + self.style.newline, is_table=True))
        else:
            self._insert(at, table)

    def _table(self, path: Path, value: dict[str, Any], *, is_array: bool) -> str:
        """Return a table with its header, and those inside it."""
        newline = self.style.newline
        opening, closing = ("[[", "]]") if is_array else ("[", "]")
        parts = [f"{opening}{'.'.join(self._spelled(path))}{closing}{newline}"]
        inside = {k: v for k, v in value.items() if v and (isinstance(v, dict) or _are_tables(v))}
        for key, item in value.items():
            if key not in inside:
                parts[0] += f"{self.style.label(key)} = {self.style.lines(item, '')}{newline}"
        if inside.keys() == value.keys() and inside and not is_array:
            parts = []  # the headers below imply this one
        for key, item in inside.items():
            is_list = not isinstance(item, dict)
            for one in item if is_list else [item]:
                parts.append(self._table((*path, key), one, is_array=is_list))
        return (newline if self._is_spaced() else "").join(parts)

    # --- places ----------------------------------------------------------------------------------

    def _name(self, path: Path) -> str:
        return self.names.get(path, str(path[-1]))

    def _spelled(self, path: Path) -> list[str]:
        parts = [path[: end + 1] for end in range(len(path))]
        return [self.style.label(self._name(part)) for part in parts if isinstance(part[-1], str)]

    def _run(self, path: Path) -> tuple[int, int]:
        """Return where the statements below ``path`` begin and end, if nothing is between them."""
        mine = self.document.below(path)
        if mine != list(range(mine[0], mine[-1] + 1)):
            raise _Unsafe(self.statements[mine[0]].start)
        return self.statements[mine[0]].start, self.statements[mine[-1]].end

    def _above(self, at: int) -> int:
        """Return where the comments begin that stand right above a line."""
        least = max((one.end for one in self.statements if one.end <= at), default=0)
        least = max(least, int(self.text.startswith("\ufeff")))
        while at > least:
            line = max(least, self.text.rfind("\n", 0, at - 1) + 1)
            if not _COMMENT_LINE.match(self.text, line):
                break
            at = line
        return at

    def _indent(self, at: int) -> str:
        line = self.text.rfind("\n", 0, at) + 1 or int(self.text.startswith("\ufeff"))
        match = _INDENT.match(self.text, line)
        return match[0] if match else ""

    def _is_top(self, at: int) -> bool:
        return not self.text[:at].removeprefix("\ufeff")

    def _is_spaced(self) -> bool:
        """Tell whether the last table has a blank line above it, if something stands above it."""
        headers: list[Definition] = [one for one in self.statements if one.node is None]
        starts = [self._above(one.start) for one in headers]
        below = [start for start in starts if not self._is_top(start)]
        return not below or bool(_BLANK_LINE_ABOVE.search(self.text[: below[-1]]))


def _are_tables(value: Any) -> bool:
    """Tell whether a value is a list that can be an array of tables."""
    is_list = isinstance(value, list | tuple) and bool(value)
    return is_list and all(isinstance(item, dict) for item in value)


def _count_names(path: Path) -> int:
    return sum(isinstance(part, str) for part in path)


def _is_within(edit: _Edit, run: _Edit) -> bool:
    return run.start <= edit.start and edit.end <= run.end and edit.start < edit.end
