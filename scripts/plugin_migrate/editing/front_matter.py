"""Markdown with YAML front matter: the mapping is edited, the body is never touched.

Two read a header: YAML, and Claude Code, which ends it elsewhere and repairs what is not YAML
(`client_reading`). What both made of it before an edit they make of it after, but for what was
asked; each result is checked for that, and refused otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import yaml

from ..errors import StateUnreadable
from . import client_reading, damage
from .damage import BY_HAND, line_of
from .files import edit_file
from .splice import splice
from .tree import EditableDict, TreeNode, fingerprint, refuse_dates
from .yaml_text import Yaml
from .yaml_tree import DuplicateKey, Unsupported, parse, parse_by_lines

_CLOSING = re.compile(r"^[ \t]*---", re.MULTILINE)
_LINE_END = re.compile(r"\A[ \t]*\r?\n")
_MADE_AND_EMPTIED = re.compile(r"\A(\ufeff?)---(\r?\n)---\2")
_OPENED = re.compile(r"\ufeff?---[ \t]*[\r\n]")


def edit(path: Path, shown: str | None = None) -> AbstractContextManager[EditableDict]:
    """Open a Markdown file's front matter, to be changed in a ``with`` block.

    Parameters:
        path: the Markdown file; it is written back only if something changed, and keeps its mode.
        shown: its name in messages; the path itself if not given.

    Returns:
        A context manager that gives the mapping, empty if the file has no front matter; keys
        added to it then make some.

    Raises:
        FileNotFoundError: there is no such file.
        StateUnreadable: the front matter is no mapping, or has a key twice.
        TypeError: the author put something into it that YAML cannot hold.
    """
    return edit_file(path, load, apply, shown)


def load(text: str, file: str = "the file") -> EditableDict:
    """Return the front matter of a Markdown document.

    Values are str, int, float, bool, None, list and dict, by YAML 1.2, as Claude Code sees them:
    ``2024-01-01`` and ``yes`` are strings. Where the block is YAML only after the repair that the
    client tries, values are those of the repaired text. Where it is none then either, each line
    that begins with a key begins an entry, and one that is not YAML alone has its text as value.

    Parameters:
        text: the document.
        file: its name for messages.

    Raises:
        StateUnreadable: the front matter is no mapping, or has a key twice.
    """
    root = _front_matter(text, file).root
    return EditableDict() if root is None else root.value()


def apply(text: str, new_value: dict[str, object], file: str = "the file") -> str:
    """Return the document with its front matter changed, all else byte for byte.

    Parameters:
        text: the document.
        new_value: what `load` shall give for the result.
        file: its name for messages.

    Raises:
        StateUnreadable: the front matter has a form that cannot be changed safely, or Claude Code
            would not read the result as it is meant.
        TypeError: ``new_value`` holds something that YAML cannot.
    """
    refuse_dates(new_value, "the front matter")
    wanted = fingerprint(new_value, "the front matter")
    old_value = load(text, file)
    if fingerprint(old_value) == wanted:
        return text
    _refuse_open(text, file)
    for changed in _candidates(text, new_value, file):
        if _reads_as(changed, wanted):
            _refuse_misreading(text, changed, old_value, new_value, file)
            return changed
    raise _unsafe(file, line_of(text, _find(text).start))


def _candidates(text: str, new_value: dict[str, object], file: str) -> Iterator[str]:
    """Yield the document with its new front matter, in the form wished for and in safer ones."""
    for one_line in (False, True):
        yield _changed(text, new_value, file, one_line=one_line)
    # Changing what an anchor stands for would change its aliases too, and when the last entry that
    # had to be repaired is gone, a `# c` that was part of another one's value becomes a comment.
    if client_reading.read(text).readable:
        yield _changed(_spelled_out(text, file), new_value, file, one_line=False)


@dataclass(frozen=True, slots=True)
class _Block:
    """The lines between the two ``---``; ``exists`` is false where they would have to be made."""

    start: int
    end: int
    newline: str
    exists: bool = True


@dataclass(frozen=True, slots=True)
class _FrontMatter:
    """A block and what is in it.

    Parameters:
        block: where it is.
        root: its tree; ``None`` if there is nothing in it, or no block.
        repaired: it is not YAML as it stands.
    """

    block: _Block
    root: TreeNode | None
    repaired: bool = False


def _find(text: str) -> _Block:
    start = client_reading.opening(text)
    end = _end(text, start)
    if end is not None:
        return _Block(start, end, "\r\n" if text.startswith("\r\n", start - 2) else "\n")
    start = 1 if text.startswith("\ufeff") else 0
    newline = "\r\n" if "\r\n" in text else "\n"
    return _Block(start, start, newline, exists=False)


def _end(text: str, start: int) -> int | None:
    """Return where the block ends that the client sees; ``None`` if it sees none.

    Where that is in the middle of a line, people and other programs see the end further down; if
    there is none, it may as well be a table in a document without any header.
    """
    fence = client_reading.closing(text)
    if fence is None:
        return None
    line = text.rfind("\n", start, fence) + 1 or start
    if not text[line:fence].strip(" \t"):
        return line
    meant = _CLOSING.search(text, fence)
    if meant:
        return meant.start()
    return fence if client_reading.read(text).readable else None


def _front_matter(text: str, file: str) -> _FrontMatter:
    damage.refuse_utf_16(text, file)
    block = _find(text)
    if not block.exists:
        return _FrontMatter(block, None)
    damage.refuse_conflict(text, file, block.start, block.end)

    def unreadable(what: str, at: int, hint: str = BY_HAND) -> StateUnreadable:
        message = f"The front matter of {file} cannot be edited: {what}"
        return StateUnreadable(message, hint=hint, file=file, line=line_of(text, at))

    try:
        found = _parse(text, block)
    except DuplicateKey as error:
        first, second = line_of(text, error.first), line_of(text, error.at)
        what = f"the key '{error.key}' appears twice, in lines {first} and {second}"
        raise unreadable(what, error.at, damage.KEEP_ONE) from None
    except Unsupported as error:
        raise unreadable(f"it is not YAML, and {error}", error.at or block.start) from None
    except yaml.YAMLError as error:
        raise unreadable(f"it is not YAML, and {error}", block.start) from None
    except RecursionError:
        raise unreadable("it is nested too deeply", block.start) from None
    if found.root is not None and found.root.kind != "mapping":
        raise unreadable("it does not consist of keys and values", found.root.start)
    return found


def _parse(text: str, block: _Block) -> _FrontMatter:
    try:
        return _FrontMatter(block, parse(text, block.start, block.end))
    except yaml.YAMLError:
        pass
    try:
        root = client_reading.second_attempt(text, block.start, block.end)
    except yaml.YAMLError:
        root = parse_by_lines(text, block.start, block.end)
    return _FrontMatter(block, root, repaired=True)


def _changed(text: str, new_value: dict[str, object], file: str, *, one_line: bool) -> str:
    found = _front_matter(text, file)
    block, root = found.block, found.root
    style = Yaml(block.newline, text, root, one_line=one_line or found.repaired)
    if root is None:
        added = style.block(new_value, "") + block.newline
        if not block.exists:
            fence = "---" + block.newline
            added = fence + added + fence
        return text[: block.end] + added + text[block.end :]
    if root.whole:  # a `? key`, or a key without a colon in braces
        raise _unsafe(file, line_of(text, root.start))
    changed = splice(text, root, new_value, style)
    if new_value or not root.block:
        return changed
    # The mapping's text ends before its last line ending, which is left over when all is gone.
    rest = _LINE_END.sub("", changed[root.start :], count=1)
    return _without_empty_block(changed[: root.start].rstrip(" \t") + rest)


def _without_empty_block(text: str) -> str:
    """Return the document without an empty block of the form that an edit makes.

    What an edit gave to a file that had none goes away when another edit takes back its keys.
    """
    rest = _MADE_AND_EMPTIED.sub(r"\1", text, count=1)
    return text if client_reading.opening(rest) else rest


def _spelled_out(text: str, file: str) -> str:
    """Return the document with every alias replaced by what it stands for, and raw text quoted."""
    found = _front_matter(text, file)
    root = found.root
    style = Yaml(found.block.newline, text, root)
    nodes = [] if root is None else list(root.walk())
    for node in reversed(nodes):
        if node.alias or (node.kind == "scalar" and node.whole):
            text = text[: node.start] + style.flow(node.value()) + text[node.end :]
    return text


def _reads_as(text: str, wanted: object) -> bool:
    try:
        return fingerprint(load(text)) == wanted
    except StateUnreadable:
        return False


# --- what the client makes of it -----------------------------------------------------------------


def _refuse_open(text: str, file: str) -> None:
    """Refuse a block that is opened and not closed: one more on top would hide it."""
    if not _OPENED.match(text) or _find(text).exists:
        return
    what = "line 1 opens it, and no line closes it"
    hint = "Write a line of three dashes below its last key; if it is none, a blank line above it."
    if "\n" not in text:
        what = "its lines end in CR alone, and Claude Code finds none in it"
        hint = "Save the file with lines that end in LF, and run the command again."
    message = f"The front matter of {file} cannot be edited: {what}"
    raise StateUnreadable(message, hint=hint, file=file, line=1)


def _refuse_misreading(
    text: str,
    changed: str,
    old_value: dict[str, object],
    new_value: dict[str, object],
    file: str,
) -> None:
    what = client_reading.misread(text, changed, old_value, new_value)
    if what is None:
        return
    block = _find(text)
    fence = client_reading.closing(text)
    if not block.exists or fence is None or fence >= block.end:
        raise _unsafe(
            file, line_of(text, block.start), f": Claude Code would read {what} differently"
        )
    raise StateUnreadable(
        f"The front matter of {file} cannot be edited: for Claude Code it ends in line"
        f" {line_of(text, fence)}, at the `---` in the middle of it",
        hint="Take the three dashes out of that line,"
        r" or write them as \x2d\x2d\x2d in double quotes.",
        file=file,
        line=line_of(text, fence),
    )


def _unsafe(file: str, line: int, why: str = "") -> StateUnreadable:
    message = f"The front matter of {file} cannot be changed safely{why}"
    return StateUnreadable(message, hint=BY_HAND, file=file, line=line)
