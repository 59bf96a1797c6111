"""How text looks: in colour or not, how wide, and with nothing that could steer the terminal.

How wide a character is stands in a table of Unicode's that changes every year: `wcwidth` keeps it,
and tabulate measures with the same functions. Plain ASCII does without.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..errors import Call

_CONTROL = r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]"

_JOINER = "\N{ZERO WIDTH JOINER}"
_FLAG_LETTERS = frozenset(map(chr, range(0x1F1E6, 0x1F200)))

_COLORS = {
    "green": "32",
    "red": "31",
    "yellow": "33",
    "dim": "2",
    "bold": "1",
}


class Style:
    """How text is shown: with colour or without, how wide it may be, and for which source.

    Parameters:
        color: whether the reader's terminal shows colour.
        width: columns that the reader has; ``None`` when any number will do.
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


def indented(text: str) -> list[str]:
    """Return the lines of a longer text, set in below its heading."""
    return [f"    {line}".rstrip() for line in text.replace("\r\n", "\n").strip("\n").split("\n")]


def columns_of(text: str) -> int:
    """Return how many columns of the terminal a line takes."""
    if text.isascii():
        return len(text)
    from wcwidth import wcswidth

    columns: int = wcswidth(text)
    return max(columns, 0)


def clip(text: str, width: int) -> str:
    """Return a line, or as many of its graphemes as fit ``width`` columns with an ellipsis."""
    if columns_of(text) <= width:
        return text
    kept, room = [], width - 1
    for grapheme in _graphemes(text):
        room -= columns_of(grapheme)
        if room < 0:
            break
        kept.append(grapheme)
    return "".join(kept).rstrip() + "…"


def _graphemes(text: str) -> Iterator[str]:
    """Yield what readers take for one character: what takes no column belongs to what is before it.

    Also what is joined to it, and the second letter of a flag (Unicode's annex 29). wcwidth itself
    tells graphemes apart only in versions that take 7 ms to import, and tabulate imports it always.
    """
    if text.isascii():
        yield from text
        return
    from wcwidth import wcwidth

    grapheme = ""
    for character in text:
        is_flag = grapheme in _FLAG_LETTERS and character in _FLAG_LETTERS
        if grapheme and wcwidth(character) != 0 and not grapheme.endswith(_JOINER) and not is_flag:
            yield grapheme
            grapheme = ""
        grapheme += character
    yield grapheme
