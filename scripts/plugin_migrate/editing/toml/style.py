"""Keys and values as TOML text, in one file's habits."""

from __future__ import annotations

import re
from typing import Any

import tomlkit

from ..splice import Span

_BARE = re.compile(r"[A-Za-z0-9_-]+")
# Bytes that are no UTF-8 are U+DC80 to U+DCFF here, and become bytes again.
_HALF = re.compile("[\ud800-\udc7f\udd00-\udfff]")
_LITERAL = re.compile(r"[^'\0-\x08\n-\x1f\x7f]*")
_WIDE = 80


class Toml:
    """How one file writes TOML."""

    comment = re.compile(r"#[^\r\n]*+")
    line_comment = "#"
    inline_lead = " "
    indent_unit: str | None = None

    def __init__(self, text: str) -> None:
        self.newline = "\r\n" if "\r\n" in text else "\n"

    def label(self, key: str, old: str = "") -> str:
        """Return the text of a key, quoted if it has to be or the ``old`` one was."""
        if old.startswith("'") and _LITERAL.fullmatch(key):
            return f"'{key}'"
        return key if _BARE.fullmatch(key) and not old.startswith('"') else _string(key)

    def child(self, label: str, gap: str | None, value: Any, place: Span, old: str) -> str:
        """Return the text of an entry or item; see `splice.Syntax`."""
        return label + ((" = " if label else "") if gap is None else gap) + self.value(value, old)

    def value(self, value: Any, old: str = "") -> str:
        """Return a value on one line, a string with the quotes of the ``old`` one if it can be."""
        if isinstance(value, dict):
            entries = (f"{self.label(key)} = {self.value(item)}" for key, item in value.items())
            return "{" + ", ".join(entries) + "}"
        if isinstance(value, list | tuple):
            return "[" + ", ".join(map(self.value, value)) + "]"
        if not isinstance(value, str):
            return str(tomlkit.item(value).as_string())
        if old.startswith('"""') and "\n" in value[1:] and "\r" not in value:
            return tomlkit.string(value, multiline=True).as_string().replace("\n", self.newline)
        is_literal = old.startswith("'") and not old.startswith("'''")
        return f"'{value}'" if is_literal and _LITERAL.fullmatch(value) else _string(value)

    def lines(self, value: Any, indent: str, old: str = "") -> str:
        """Return a value that has lines of its own: one for each item if a list is long."""
        line = self.value(value, old)
        if len(line) <= _WIDE or not isinstance(value, list | tuple):
            return line
        items = (f"{self.newline}{indent}    {self.value(item)}," for item in value)
        return "[" + "".join(items) + f"{self.newline}{indent}]"


def _string(value: str) -> str:
    if _HALF.search(value):
        raise ValueError(f"{value!r} holds half of a surrogate pair, which TOML cannot hold")
    return tomlkit.string(value).as_string()
