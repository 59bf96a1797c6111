"""What stands beside a file's code, for people: its comments, and where they are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .problems import Problem, problem


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


_REQUEST = re.compile(r"[\s#*/-]*fill in\b", re.IGNORECASE)
_CAPITALS = re.compile(r"\bFILL IN\b")


def unfilled(text: str, notes: Notes) -> Iterator[Problem]:
    """Yield the lines that a template asks to fill in, and that were left as they are.

    The templates ask in comments that begin with "Fill in"; ``FILL IN`` in capitals counts wherever
    it stands, for templates that people make for themselves.
    """
    lines = {line for line, comment in notes.comments.items() if _REQUEST.match(comment)}
    if "FILL IN" in text:
        lines |= {
            number for number, line in enumerate(text.split("\n"), 1) if _CAPITALS.search(line)
        }
    for line in sorted(lines):
        yield problem(
            "placeholder",
            line,
            "A template's placeholder is still there, so the migration is not what was meant",
        )
