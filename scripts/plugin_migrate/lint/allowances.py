"""Comments that allow a finding: ``lint: allow CODE[, CODE ...] [- reason]``.

A comment behind code is about that line. A comment on a line of its own is about the line that
follows, past further comments. One at the top of the file also allows what concerns the whole file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .notes import Notes
from .problems import CODES, FILE_WIDE, Problem, problem

_CODES = r"[\w-]+(?:[ \t]*,[ \t]*[\w-]+)*"
_ALLOW = re.compile(rf"\blint[ \t]*:[ \t]*allow\b[ \t]*({_CODES})?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Allowance:
    """One comment: what it allows, the lines it is about, and the line it stands on."""

    codes: tuple[str, ...]
    lines: range
    line: int


def allow(problems: Iterable[Problem], notes: Notes) -> Iterator[Problem]:
    """Yield the problems that no comment allows, and then those of the comments themselves."""
    allowances = list(_allowances(notes))
    places: dict[str, set[int]] = {}
    whole: set[str] = set()
    for allowance in allowances:
        for code in allowance.codes:
            places.setdefault(code, set()).update(allowance.lines)
        if allowance.line <= notes.top:
            whole.update(FILE_WIDE.intersection(allowance.codes))
    for each in problems:
        span = range(each.first, each.last + 1)
        if each.code not in whole and not any(line in span for line in places.get(each.code, ())):
            yield each
    for allowance in allowances:
        yield from _unknown(allowance)


def _allowances(notes: Notes) -> Iterator[_Allowance]:
    for line, text in notes.comments.items():
        for match in _ALLOW.finditer(text):
            codes = tuple(code.strip() for code in (match[1] or "").split(","))
            yield _Allowance(codes, range(line, _about(line, notes) + 1), line)


def _about(line: int, notes: Notes) -> int:
    """Return the line of code that a comment on ``line`` is about."""
    # Behind code it must not reach on: the next statement has not been looked at by its author.
    while line not in notes.code and (line + 1 in notes.comments or line + 1 in notes.code):
        line += 1
    return line


def _unknown(allowance: _Allowance) -> Iterator[Problem]:
    """Yield what is wrong with the comment: a slip in it would leave its author puzzled."""
    from difflib import get_close_matches

    for code in allowance.codes:
        if code in CODES:
            continue
        near = get_close_matches(code, CODES, 1)
        yield problem(
            "unknown-code",
            allowance.line,
            f"There is no finding called '{code}', so the comment allows nothing"
            if code
            else "The comment names no finding, so it allows nothing",
            advice=f"Write: lint: allow {near[0]}" if near else f"The codes are {', '.join(CODES)}",
        )
