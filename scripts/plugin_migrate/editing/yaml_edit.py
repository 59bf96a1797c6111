"""Whole YAML files of one document: what is not changed keeps every byte.

The tree, the splicing and the writing are those of front matter, without the client's repairs: a
file that is not YAML as it stands is refused. So is a change that would take a tag from a value.
An alias keeps pointing at its anchor until one of the two gets another value than the other; only
the aliases of that anchor are then written out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import yaml

from ..errors import StateUnreadable
from . import damage
from .damage import BY_HAND, line_of
from .files import edit_file
from .splice import can_enter, pair_children, splice
from .tree import EditableDict, TreeNode, fingerprint, kind_of, refuse_dates
from .yaml_text import Yaml
from .yaml_tree import DuplicateKey, Unsupported, parse

_MEND = "Mend that line, and run the command again."
_KEEP_ONE = "Keep the one that is meant, and run the command again."
_LINE_END = re.compile(r"\A[ \t]*\r?\n")
_DOCUMENT_END = re.compile(r"^\.\.\.(?=[ \t\r\n]|\Z)", re.MULTILINE)
# Tags that say what the text says anyway, so that a new value needs none.
_TAG = re.compile(r"(?:&\S+\s+)?!(?!\s|!(?:str|int|float|bool|null|map|seq)\b)\S*")


def edit(path: Path, shown: str | None = None) -> AbstractContextManager[Any]:
    """Open a YAML file, to be changed in a ``with`` block.

    Parameters:
        path: the file; it is written back only if something changed, and keeps its mode.
        shown: its name in messages; the path itself if not given.

    Returns:
        A context manager that gives the document: an `EditableDict` (which has ``rename``) for
        a mapping, also for a file that says nothing; a list for a list.

    Raises:
        FileNotFoundError: there is no such file.
        StateUnreadable: it is not YAML, holds several documents, or a mapping has a key twice.
        TypeError: the author put something into it that YAML cannot hold.
    """
    return edit_file(path, load, apply, shown)


def load(text: str, file: str = "the file") -> Any:
    """Return the value of a YAML document, by the core schema of YAML 1.2.

    ``2024-01-01`` and ``yes`` are strings, a merge key ``<<`` is a key like others, and a value
    with a tag of its own is what it would be without.

    Parameters:
        text: the document.
        file: its name for messages.

    Raises:
        StateUnreadable: it is not YAML, holds several documents, or a mapping has a key twice.
    """
    root = _document(text, file)
    return EditableDict() if root is None else root.value()


def apply(text: str, new_value: Any, file: str = "the file") -> str:
    """Return the document with its value changed into ``new_value``, all else byte for byte.

    Parameters:
        text: the document.
        new_value: what `load` shall give for the result.
        file: its name for messages.

    Raises:
        StateUnreadable: it is not YAML, or has a form that cannot be changed safely.
        TypeError: ``new_value`` holds something that YAML cannot.
    """
    refuse_dates(new_value)
    wanted = fingerprint(new_value)
    if fingerprint(load(text, file)) == wanted:
        return text
    if text.startswith("\ufeff"):  # which would count as a column
        return "\ufeff" + apply(text[1:], new_value, file)
    if "\r" in text and "\n" not in text:  # as on the first Macs
        return apply(text.replace("\r", "\n"), new_value, file).replace("\n", "\r")
    root = _document(text, file)
    if root is not None:
        _refuse_unsafe(text, root, new_value, file)
    for changed in _candidates(text, root, new_value, file):
        if _reads_as(changed, wanted):
            return changed
    raise _unsafe(text, root.start if root else 0, "", file)


def _candidates(text: str, root: TreeNode | None, new_value: Any, file: str) -> Iterator[str]:
    """Yield the document with its new value, in the form wished for and in safer ones."""
    aliases = {text[node.start : node.end] for node in root.walk() if node.alias} if root else set()
    spelled, written_out = text, set[str]()
    while True:
        yield (changed := _changed(spelled, root, new_value, one_line=False))
        # Where the file's last line has no end, a block of text would not have its own.
        yield _changed(spelled, root, new_value, one_line=True)
        names = _stale_aliases(changed, new_value, aliases) - written_out or aliases - written_out
        if not names:
            return
        written_out |= names
        spelled = _spelled_out(text, written_out, file)
        root = _document(spelled, file)


def _document(text: str, file: str) -> TreeNode | None:
    """Return the tree; ``None`` if the file says nothing, and so may become a mapping."""
    damage.refuse_utf_16(text, file)
    try:
        root = parse(text)
    except DuplicateKey as error:
        first, second = line_of(text, error.first), line_of(text, error.at)
        what = f"the key '{error.key}' appears twice, in lines {first} and {second}"
        raise _unreadable(file, what, second, _KEEP_ONE) from None
    except RecursionError:
        raise _unreadable(file, "it is nested too deeply", 1, BY_HAND) from None
    except Unsupported as error:
        raise _unreadable(file, str(error), line_of(text, error.at or 0), BY_HAND) from None
    except yaml.MarkedYAMLError as error:
        damage.refuse_conflict(text, file)
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        if error.problem == "but found another document":
            hint = "Put its documents into files of their own, or edit it as text."
            raise _unreadable(file, "it holds more than one document", line, hint) from None
        raise _unreadable(file, str(error.problem), line, _MEND) from None
    if root is not None and root.start == root.end and root.kind == "scalar":
        return None  # nothing below a `---`
    return root


def _changed(text: str, root: TreeNode | None, new_value: Any, *, one_line: bool) -> str:
    newline = "\r\n" if "\r\n" in text else "\n"
    style = Yaml(newline, text, root, one_line=one_line)
    if root is None:
        return _begun(text, new_value, style)
    changed = splice(text, root, new_value, style)
    if new_value or not root.block or root.kind != kind_of(new_value):
        return changed
    before, rest = changed[: root.start], changed[root.start :]
    # A file that only ends a document is none to PyYAML.
    if isinstance(new_value, list) or (_DOCUMENT_END.search(rest) and "---" not in before):
        nothing = "[]" if isinstance(new_value, list) else "{}"
        return before + nothing + (rest if not rest or _LINE_END.match(rest) else newline + rest)
    # Only comments are left, as there were before the first key.
    if _LINE_END.match(rest):
        return before.rstrip(" \t") + _LINE_END.sub("", rest, count=1)
    return before.rstrip(" \t").removesuffix("\n").removesuffix("\r") if not rest else changed


def _begun(text: str, value: Any, style: Yaml) -> str:
    """Return a file that said nothing with its first value, in the lines below its comments."""
    filled = isinstance(value, dict | list) and value
    added = style.block(value, "") if filled else style.flow(value, inside=False)
    end = _DOCUMENT_END.search(text)
    at = end.start() if end else len(text)
    before = text[:at]
    if before and not before.endswith("\n"):
        return before + style.newline + added + text[at:]
    return before + added + style.newline + text[at:]


# --- what cannot be changed ----------------------------------------------------------------------


def _refuse_unsafe(text: str, node: TreeNode, new: Any, file: str) -> None:
    """Refuse to replace a value whose tag, or form, would be lost with it."""
    if fingerprint(node.value()) == fingerprint(new):
        return
    if can_enter(node, new):
        for _, value, index in pair_children(node, new):
            if index is not None:
                _refuse_unsafe(text, node.children[index].node, value, file)
        return
    tag = _TAG.match(text, node.start)
    if tag:
        what = f": the value in line {line_of(text, node.start)} has the tag {tag[0].split()[-1]}"
        raise _unsafe(text, node.start, what, file)
    if node.kind == kind_of(new) != "scalar" and not node.alias:
        what = f": the {node.kind} in line {line_of(text, node.start)} is written with `?` or tags"
        raise _unsafe(text, node.start, what, file)


def _unsafe(text: str, at: int, why: str, file: str) -> StateUnreadable:
    message = f"{file} cannot be changed safely{why}"
    return StateUnreadable(message, hint=BY_HAND, file=file, line=line_of(text, at))


def _unreadable(file: str, what: str, line: int, hint: str) -> StateUnreadable:
    message = f"{file} cannot be edited as YAML: {what}"
    return StateUnreadable(message, hint=hint, file=file, line=line)


# --- aliases -------------------------------------------------------------------------------------


def _stale_aliases(text: str, wanted: Any, aliases: set[str]) -> set[str]:
    """Return the aliases in a changed text whose value is not the one wanted for their place.

    Parameters:
        text: what may be no YAML any more, because an anchor is gone.
        wanted: the value that it should have.
        aliases: all that there were.
    """
    try:
        root = parse(text)
    except (yaml.YAMLError, DuplicateKey, RecursionError):
        return {alias for alias in aliases if f"&{alias[1:]}" not in text}
    return set() if root is None else set(_stale(text, root, wanted))


def _stale(text: str, node: TreeNode, wanted: Any) -> Iterator[str]:
    if node.alias:
        if fingerprint(node.value()) != fingerprint(wanted):
            yield text[node.start : node.end]
    elif node.kind == "mapping" and isinstance(wanted, dict):
        for child in node.children:
            if child.key in wanted:
                yield from _stale(text, child.node, wanted[child.key])
    elif node.kind == "list" and isinstance(wanted, list | tuple):
        for child, value in zip(node.children, wanted, strict=False):
            yield from _stale(text, child.node, value)


def _spelled_out(text: str, names: set[str], file: str) -> str:
    """Return the document with these aliases replaced by what they stand for."""
    root = _document(text, file)
    style = Yaml("\n", text, root)
    for node in reversed(list(root.walk()) if root else []):
        if node.alias and text[node.start : node.end] in names:
            text = text[: node.start] + style.flow(node.value()) + text[node.end :]
    return text


def _reads_as(text: str, wanted: object) -> bool:
    try:
        return fingerprint(load(text)) == wanted
    except StateUnreadable:
        return False
