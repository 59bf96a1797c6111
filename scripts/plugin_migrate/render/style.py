"""How text looks: colour, width, tables, and nothing that could steer the terminal."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ..errors import Call

_CONTROL = r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]"


_COLORS = {
    "green": "32",
    "red": "31",
    "yellow": "33",
    "dim": "2",
    "bold": "1",
}


_FILLER = "\0"  # `printable` leaves none in a text


class Style:
    """How text is shown: with colour or without, how wide it may be, and for which source.

    Parameters:
        color: whether the reader's terminal shows colour.
        width: columns of the terminal; ``None`` when there is none to fit.
        option: names the source that proposed calls concern; empty for the project's own.
    """

    def __init__(self, color: bool = False, width: int | None = None, option: str = "") -> None:
        self.color = color
        self.width = width
        self.option = option

    def call(self, command: str, arguments: str = "") -> str:
        """Return a call of ours that a text proposes, as the user types it."""
        return Call(command, arguments).shown(self.option)

    def paint(self, color: str, text: str) -> str:
        """Return ``text`` in ``color`` where colour is shown."""
        return f"\x1b[{_COLORS[color]}m{text}\x1b[0m" if self.color else text


def printable(text: str) -> str:
    """Return ``text`` without control characters.

    A description may come with a cloned repository, and must not steer the reader's terminal.
    """
    # Almost every text is, and the pattern takes five times as long to find it out.
    return text if text.isprintable() else re.sub(_CONTROL, "\ufffd", text)


def one_line(text: str) -> str:
    """Return ``text`` as one printable line."""
    return printable(" ".join(text.split()))


def table_text(headers: list[str], rows: Iterable[Sequence[str]], width: int | None) -> str:
    """Return a box-drawn table that fits ``width`` columns; ``None`` is as wide as it gets.

    Cells become one printable line each.
    """
    from tabulate import tabulate

    columns = _columns(headers, rows, width)
    if len(columns[0]) == 1:
        shown = [header.rstrip() for (header,) in columns]
        return tabulate([], headers=shown, tablefmt="simple_outline")
    # Of each row tabulate takes 23 us, and they all look like the first.
    frame = tabulate(
        [[column[0] for column in columns], [column[1] for column in columns]],
        tablefmt="simple_grid",
        disable_numparse=True,
        stralign=None,
    )
    top, _, rule, _, bottom = frame.split("\n")
    header, *lines = (f"│ {' │ '.join(row)} │" for row in zip(*columns, strict=True))
    return "\n".join([top, header, rule, *lines, bottom]).replace(_FILLER, "")


def _columns(
    headers: list[str], rows: Iterable[Sequence[str]], width: int | None
) -> list[list[str]]:
    """Return the columns that fit, each with its header first and all its texts in one length."""
    shown, cells = _fitted(headers, [[_cell(text) for text in row] for row in rows], width)
    return [_padded(column) for column in zip(shown, *cells, strict=True)]


def _padded(column: Sequence[str]) -> list[str]:
    length = max(len(column[0]) + 2, *map(len, column))
    return [text.ljust(length) for text in column]


def _cell(text: str) -> str:
    """Return ``text`` as one line with a character per column of the terminal."""
    return _as_columns(text if text.isprintable() else one_line(text)).strip()


def cut_text(text: str, width: int) -> str:
    """Return as much of ``text`` as fits ``width`` columns of the terminal."""
    return _cut(_as_columns(text), width).replace(_FILLER, "")


def _as_columns(text: str) -> str:
    """Return ``text`` with one character per column of the terminal: wide ones get a filler."""
    if text.isascii():
        return text
    from unicodedata import east_asian_width, normalize

    composed = normalize("NFC", text)
    return "".join(char + _FILLER if east_asian_width(char) in "WF" else char for char in composed)


def _fitted(
    headers: list[str], rows: list[list[str]], width: int | None
) -> tuple[list[str], list[list[str]]]:
    """Return columns that fit ``width``: descriptions are cut first, then columns from the right.

    A table that the terminal wraps cannot be read.
    """
    if width is None:
        return headers, rows
    # A header is padded by two, and every cell by a border and two spaces.
    needed = [
        max([len(header) + 2, *(len(row[column]) for row in rows)]) + 3
        for column, header in enumerate(headers)
    ]
    excess = sum(needed) + 1 - width
    if excess <= 0:
        return headers, rows
    room = max(needed[1] - 3 - excess, len(headers[1]) + 2)
    rows = [[row[0], _cut(row[1], room), *row[2:]] for row in rows]
    excess -= needed[1] - 3 - room
    while excess > 0 and len(headers) > 3:
        excess -= needed[len(headers) - 1]
        headers, rows = headers[:-1], [row[:-1] for row in rows]
    return headers, rows


def _cut(text: str, length: int) -> str:
    if len(text) <= length:
        return text
    # A filler goes with its character.
    end = length - 2 if text[length - 1] == _FILLER else length - 1
    return text[:end] + "…"


def indented(text: str) -> list[str]:
    """Return the lines of a longer text, set in below its heading."""
    return [f"    {line}".rstrip() for line in text.replace("\r\n", "\n").strip("\n").split("\n")]
