"""How many columns of a terminal a text takes, and as much of it as fits.

Where graphemes end and how wide they are is a table of Unicode's that changes every year: `wcwidth`
keeps it, and tabulate measures with the same functions. Plain ASCII does without.
"""

from __future__ import annotations

from collections.abc import Iterator

ELLIPSIS = "…"


def columns_of(text: str) -> int:
    """Return how many columns of the terminal a line takes."""
    if text.isascii():
        return len(text)
    from wcwidth import wcswidth

    return max(wcswidth(text), 0)


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
    if text.isascii():
        return iter(text)
    from wcwidth import iter_graphemes

    return iter_graphemes(text)
