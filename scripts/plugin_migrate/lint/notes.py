"""What stands beside a file's code, for people: its comments, and where they are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Notes:
    """The comments of a file.

    Parameters:
        comments: the text of each line that holds a comment, by its 1-based number.
        code: the lines that hold code.
        top: the last line before the file's code begins; header and licence stand there.
    """

    comments: dict[int, str]
    code: frozenset[int]
    top: int


def spread(comments: Iterable[tuple[int, str]]) -> dict[int, str]:
    """Return comments by line: a block comment is cut at its line ends, neighbours are joined.

    Parameters:
        comments: line on which one begins, and its text.
    """
    found: dict[int, str] = {}
    for first, comment in comments:
        for line, text in enumerate(comment.split("\n"), first):
            found[line] = f"{found[line]} {text}" if line in found else text
    return found
