"""What a template of ``create`` asks its reader to fill in, and was left as it is.

The templates ask in comments that begin with "Fill in"; ``FILL IN`` in capitals counts wherever it
stands, for templates that people make for themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from .notes import Notes
from .problems import Problem, problem

_REQUEST = re.compile(r"[\s#*/-]*fill in\b", re.IGNORECASE)
_CAPITALS = re.compile(r"\bFILL IN\b")


def inspect(text: str, notes: Notes) -> Iterator[Problem]:
    """Yield the lines that still wait to be filled in."""
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
