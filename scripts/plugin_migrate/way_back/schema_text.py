"""What the SQL of a table, index, view or trigger means to SQLite, however it is written."""

from __future__ import annotations

import string

_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def folded(name: str) -> str:
    """Return a name so that it is equal for all that SQLite takes for one: ASCII has no case."""
    return name.translate(_LOWER)


def meaning_of(sql: str) -> tuple[tuple[str, str], ...]:
    """Return a value that is equal for texts which SQLite cannot tell apart.

    Blanks, comments, the quotes around a name and the letter case of words and names are none of
    its business; what stands in a string is. After DEFAULT it takes a name in double quotes for a
    string (https://www.sqlite.org/quirks.html, 8).
    """
    from ..lint.sql_tokens import name_of, scan  # seldom needed, and much comes with it

    meaning: list[tuple[str, str]] = []
    for token in scan(sql).tokens:
        is_default = bool(meaning) and meaning[-1] == ("name", "default")
        if token.kind == "string" or (token.kind == "quoted" and is_default):
            meaning.append(("string", token.written[1:-1]))
        elif token.kind in ("word", "quoted"):
            meaning.append(("name", name_of(token)))
        else:
            meaning.append((token.kind, token.text))
    return tuple(meaning)
