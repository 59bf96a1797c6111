"""The tree of a document: which part of the text says which value."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, time
from typing import Any, Literal

Kind = Literal["scalar", "mapping", "list"]


class EditableDict(dict[str, Any]):
    """A mapping of a document: a plain ``dict`` that can also rename a key at its place."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.original_keys: dict[str, str] = {}

    def rename(self, old: str, new: str) -> None:
        """Give the entry ``old`` the key ``new``; its value and its position stay.

        Raises:
            KeyError: there is no entry ``old``.
            ValueError: there is an entry ``new`` already.
        """
        if old not in self:
            raise KeyError(old)
        if old == new:
            return
        if new in self:
            raise ValueError(f"cannot rename {old!r}: there is a {new!r} already")
        entries = [(new if key == old else key, value) for key, value in self.items()]
        self.clear()
        self.update(entries)
        self.original_keys[new] = self.original_keys.pop(old, old)


@dataclass(frozen=True, slots=True)
class Child:
    """One entry of a mapping or one item of a list.

    Parameters:
        start: where its label begins: the key's text, the ``-`` of a YAML item, or nothing at all.
        label_end: where the label ends; what stands up to ``node.start`` is a colon and space.
        key: the key that the label spells; ``None`` in a list.
        node: the value, whose end is the child's end.
    """

    start: int
    label_end: int
    key: str | None
    node: TreeNode

    @property
    def end(self) -> int:
        """Where the value, and with it the child, ends."""
        return self.node.end


@dataclass(frozen=True, slots=True)
class TreeNode:
    """A value and the text ``[start, end)`` that spells it.

    Parameters:
        scalar: the value, when the kind is ``scalar``.
        children: the entries or items, when it is not.
        inner: the span inside the brackets; without brackets, the whole span.
        block: YAML's block style: no brackets, no commas, one child per line.
        whole: its text cannot be changed in parts, only replaced.
        alias: the text is a YAML alias, so it stands for a value written elsewhere.
    """

    kind: Kind
    start: int
    end: int
    scalar: object = None
    children: tuple[Child, ...] = ()
    inner: tuple[int, int] = (0, 0)
    block: bool = False
    whole: bool = False
    alias: bool = False

    def value(self) -> Any:
        """Return the value as fresh objects that the author may change."""
        if self.kind == "mapping":
            return EditableDict((child.key, child.node.value()) for child in self.children)
        if self.kind == "list":
            return [child.node.value() for child in self.children]
        return self.scalar

    def walk(self) -> Iterator[TreeNode]:
        """Yield this node and all below it, in the order of the text.

        What an alias stands for is met where it is written, and only there.
        """
        yield self
        for child in () if self.alias else self.children:
            yield from child.node.walk()


def kind_of(value: object) -> Kind:
    """Return what kind of node spells ``value``."""
    if isinstance(value, dict):
        return "mapping"
    return "list" if isinstance(value, list | tuple) else "scalar"


def fingerprint(value: object, where: str = "the document") -> object:
    """Return a hashable stand-in, equal only for values that would be written alike.

    Python's own equality is too generous: ``1 == True == 1.0``, dicts forget their order, and
    NaN is not itself.

    Raises:
        TypeError: the author put something into the document that no file can hold.
    """
    if isinstance(value, dict):
        for key in value:
            if type(key) is not str:
                raise TypeError(f"a key of {where} is {key!r}, but keys must be str")
        return "mapping", tuple((k, fingerprint(v, f"{where}[{k!r}]")) for k, v in value.items())
    if isinstance(value, list | tuple):
        return "list", tuple(fingerprint(v, f"{where}[{i}]") for i, v in enumerate(value))
    if value is None or type(value) in (str, int, bool):
        return type(value), value
    if type(value) is float:
        return float, repr(value)
    if isinstance(value, date | time):
        return type(value), value.isoformat()
    raise _unwritable(value, where)


def match_end(pattern: re.Pattern[str], text: str, at: int = 0) -> int:
    """Return where the match of ``pattern`` at ``at`` ends; ``at`` where there is none."""
    match = pattern.match(text, at)
    return at if match is None else match.end()


def refuse_dates(value: object, where: str = "the document") -> None:
    """Refuse dates and times, for the formats that have none.

    Raises:
        TypeError: there is one in ``value``.
    """
    if isinstance(value, dict | list | tuple):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            refuse_dates(item, f"{where}[{key!r}]")
    elif isinstance(value, date | time):
        raise _unwritable(value, where)


def _unwritable(value: object, where: str) -> TypeError:
    return TypeError(
        f"{where} is of type {type(value).__name__}, but only dict, list, str, int, float, bool "
        "and None can be written"
    )
