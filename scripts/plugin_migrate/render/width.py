"""How many columns of a terminal a text takes, and as much of it as fits.

How wide a character is stands in a table of Unicode's that changes every year: `wcwidth` keeps it,
and tabulate measures with the same functions. Plain ASCII does without.
"""

from __future__ import annotations

from collections.abc import Iterator

ELLIPSIS = "…"
_JOINER = "\N{ZERO WIDTH JOINER}"
_FLAG_LETTERS = frozenset(map(chr, range(0x1F1E6, 0x1F200)))


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
    return "".join(kept).rstrip() + ELLIPSIS


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
