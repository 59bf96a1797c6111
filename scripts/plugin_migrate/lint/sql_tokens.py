"""SQL as tokens: words, quoted names, strings and signs, each with its line and its depth.

SQLite's own rules (tokenize.c), as in ``languages/sql_text.py``. What is not closed runs to
the end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_TOKEN = re.compile(
    r"""
      (?P<space>[ \t\n\f\r\ufeff]+)
    | (?P<comment>--[^\n]*|/\*(?:.*?\*/|.+))
    | (?P<string>'[^']*(?:''[^']*)*'?)
    | (?P<quoted>"[^"]*(?:""[^"]*)*"?|`[^`]*(?:``[^`]*)*`?|\[[^\]]*\]?)
    | (?P<word>[A-Za-z0-9_$\u0080-\U0010ffff]+)
    | (?P<sign>.)
    """,
    re.DOTALL | re.VERBOSE,
)


class SqlToken(NamedTuple):
    """One token.

    Parameters:
        kind: ``word``, ``quoted`` (a name), ``string`` or ``sign``.
        text: as written; a word in upper case.
        line: 1-based line on which it begins.
        depth: how many parentheses are open around it; 0 is the statement's own level.
        written: as written, also for words.
    """

    kind: str
    text: str
    line: int
    depth: int
    written: str


class SqlScan(NamedTuple):
    """What a text holds: its tokens, its comments with their lines, and its lines of code."""

    tokens: list[SqlToken]
    comments: list[tuple[int, str]]
    code: set[int]


def scan(text: str, line: int = 1) -> SqlScan:
    """Take a text apart; ``line`` is the number of its first line."""
    found = SqlScan([], [], set())
    depth = 0
    for kind, written in _pieces(text):
        last = line + written.count("\n")
        if kind == "comment":
            found.comments.append((line, written))
        elif kind != "space":
            depth -= written == ")" and depth > 0
            token = written.upper() if kind == "word" else written
            found.tokens.append(SqlToken(kind, token, line, depth, written))
            found.code.update(range(line, last + 1))
            depth += written == "("
        line = last
    return found


def name_of(token: SqlToken) -> str:
    """Return the name that a token stands for, without quotes and in lower case.

    SQLite takes any of its quotes for a name, and does not tell ``A`` from ``a``.
    """
    text = token.written
    if token.kind in ("quoted", "string"):
        mark = "]" if text[0] == "[" else text[0]
        inner = text[1:-1] if len(text) > 1 and text[-1] == mark else text[1:]
        text = inner if mark == "]" else inner.replace(mark * 2, mark)
    return text.lower()


def _pieces(text: str) -> Iterator[tuple[str, str]]:
    for match in _TOKEN.finditer(text):
        assert match.lastgroup is not None
        yield match.lastgroup, match[0]
