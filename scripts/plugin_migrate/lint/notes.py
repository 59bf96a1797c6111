"""What stands beside a file's code, for people: its comments, and what they ask for or allow.

A comment that says ``lint: allow CODE[, CODE ...] [- reason]`` allows a finding. After code it is
about that line. On a line of its own it is about the line that follows, past further comments. One
at the top of the file also allows what concerns the whole file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .problems import CODES, FILE_WIDE, Problem, problem


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
    # After code it must not reach on: the next statement has not been looked at by its author.
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
