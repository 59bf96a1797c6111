"""Markdown with YAML front matter: the mapping is edited, the body is never touched."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import yaml

from ..errors import StateUnreadable
from .files import edit_file
from .splice import splice
from .tree import EditableDict, Node, fingerprint
from .yaml_text import Yaml
from .yaml_tree import DuplicateKey, parse, parse_by_lines

_OPENING = re.compile(r"\ufeff?---[ \t]*(\r?\n)")
_CLOSING = re.compile(r"^---[ \t]*\r?$", re.MULTILINE)
_LINE_END = re.compile(r"\A[ \t]*\r?\n")
_BY_HAND = "Edit this file as text instead, for example with `Path.read_text` and `str.replace`."


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
    name = shown or str(path)
    return edit_file(path, partial(load, file=name), partial(apply, file=name), name)


def load(text: str, file: str = "the file") -> EditableDict:
    """Return the front matter of a Markdown document.

    Values are str, int, float, bool, None, list and dict, by YAML 1.2, as Claude Code sees them:
    ``2024-01-01`` and ``yes`` are strings. Where the block is no YAML as a whole, each line that
    begins with a key begins an entry, and one that is no YAML alone has its raw text as value.

    Parameters:
        text: the document.
        file: its name for messages.

    Raises:
        StateUnreadable: the front matter is no mapping, or has a key twice.
    """
    root = _tree(text, _find(text), file)
    return EditableDict() if root is None else root.value()


def apply(text: str, new_value: dict[str, object], file: str = "the file") -> str:
    """Return the document with its front matter changed, all else byte for byte.

    Parameters:
        text: the document.
        new_value: what `load` shall give for the result.
        file: its name for messages.

    Raises:
        StateUnreadable: the front matter has a form that cannot be changed safely.
        TypeError: ``new_value`` holds something that YAML cannot.
    """
    wanted = fingerprint(new_value, "the front matter")
    if fingerprint(load(text, file)) == wanted:
        return text
    # Changing what an anchor stands for would change its aliases too.
    for prepare in (str, partial(_without_aliases, file=file)):
        changed = _changed(prepare(text), new_value, file)
        if _reads_as(changed, wanted):
            return changed
    raise StateUnreadable(f"{file} cannot be changed safely", hint=_BY_HAND, file=file)


@dataclass(frozen=True, slots=True)
class _Block:
    """The lines between the two ``---``; ``exists`` is false where they would have to be made."""

    start: int
    end: int
    newline: str
    exists: bool = True


def _find(text: str) -> _Block:
    opening = _OPENING.match(text)
    closing = _CLOSING.search(text, opening.end()) if opening else None
    if opening and closing:
        return _Block(opening.end(), closing.start(), opening[1])
    start = 1 if text.startswith("\ufeff") else 0
    newline = "\r\n" if "\r\n" in text else "\n"
    return _Block(start, start, newline, exists=False)


def _tree(text: str, block: _Block, file: str) -> Node | None:
    """Return the tree of the block; ``None`` if there is nothing in it, or no block."""
    if not block.exists:
        return None

    def unreadable(what: str, at: int) -> StateUnreadable:
        line = text.count("\n", 0, at) + 1
        message = f"The front matter of {file} cannot be edited: {what}"
        return StateUnreadable(message, hint=_BY_HAND, file=file, line=line)

    try:
        root = _parse(text, block)
    except DuplicateKey as error:
        raise unreadable(f"the key '{error.key}' appears twice", error.at) from None
    except yaml.YAMLError as error:
        raise unreadable(f"it is no YAML, and {error}", block.start) from None
    except RecursionError:
        raise unreadable("it is nested too deeply", block.start) from None
    if root is not None and root.kind != "mapping":
        raise unreadable("it does not consist of keys and values", root.start)
    return root


def _parse(text: str, block: _Block) -> Node | None:
    try:
        return parse(text, block.start, block.end)
    except yaml.YAMLError:
        return parse_by_lines(text, block.start, block.end)


def _changed(text: str, new_value: dict[str, object], file: str) -> str:
    block = _find(text)
    root = _tree(text, block, file)
    style = Yaml(block.newline, text, root)
    if root is None:
        added = style.block(new_value, "") + block.newline
        if not block.exists:
            fence = "---" + block.newline
            added = fence + added + fence
        return text[: block.end] + added + text[block.end :]
    if root.whole:  # a `? key`, or a key without a colon in braces
        raise StateUnreadable(f"{file} cannot be changed safely", hint=_BY_HAND, file=file)
    changed = splice(text, root, new_value, style)
    if new_value or not root.block:
        return changed
    # The mapping's text ends before its last line ending, which is left over when all is gone.
    return changed[: root.start].rstrip(" ") + _LINE_END.sub("", changed[root.start :], count=1)


def _without_aliases(text: str, file: str) -> str:
    """Return the document with every alias replaced by what it stands for."""
    block = _find(text)
    root = _tree(text, block, file)
    style = Yaml(block.newline, text, root)
    for node in reversed([node for node in root.walk() if node.alias] if root else []):
        text = text[: node.start] + style.flow(node.value()) + text[node.end :]
    return text


def _reads_as(text: str, wanted: object) -> bool:
    try:
        return fingerprint(load(text)) == wanted
    except StateUnreadable:
        return False
