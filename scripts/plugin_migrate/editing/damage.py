"""What is wrong with a file that a parser only stumbles over: said by name, with the way on."""

from __future__ import annotations

import re

from ..errors import StateUnreadable

KEEP_ONE = "Claude Code takes the last one: keep the one that is meant, and run the command again."
BY_HAND = "Edit this file as text instead, for example with `Path.read_text` and `str.replace`."

_UTF_16 = re.compile("\udcff\udcfe|\udcfe\udcff|\ufeff?[^\0]\0|\0[^\0]")
_BEGIN = re.compile(r"^<{7}(?: .*)?\r?$", re.MULTILINE)
_MIDDLE = re.compile(r"^={7}\r?$", re.MULTILINE)
_MARKER = re.compile(r"<{7}(?: |$)|={7}$|>{7}(?: |$)")
_FINISH = re.compile(r"^>{7}(?: .*)?\r?$", re.MULTILINE)


def line_of(text: str, at: int) -> int:
    """Return the number of the line in which ``at`` stands."""
    return text.count("\n", 0, at) + 1


def refuse_utf_16(text: str, file: str) -> None:
    """Refuse what was read as UTF-8 and is UTF-16.

    Parameters:
        text: the file's text, in which bytes that are no UTF-8 are lone surrogates.
        file: its name for messages.

    Raises:
        StateUnreadable: with the file and its first line.
    """
    if _UTF_16.match(text):
        raise StateUnreadable(
            f"{file} cannot be edited: it is UTF-16 text, not UTF-8",
            hint="Save it as UTF-8, and run the command again.",
            file=file,
            line=1,
        )


def refuse_conflict(text: str, file: str, start: int = 0, end: int | None = None) -> None:
    """Refuse a part of a text that holds the conflict markers of a merge.

    Parameters:
        text: the file's text.
        file: its name for messages.
        start, end: the part of it.

    Raises:
        StateUnreadable: with the file and the first marker's line.
    """
    end = len(text) if end is None else end
    begin = _BEGIN.search(text, start, end)
    middle = _MIDDLE.search(text, begin.end(), end) if begin else None
    finish = _FINISH.search(text, middle.end(), end) if middle else None
    if begin is None or finish is None:
        return
    first, last = (line_of(text, marker.start()) for marker in (begin, finish))
    raise _conflict(file, f"lines {first} to {last}", first)


def refuse_marker(text: str, file: str, line: int) -> None:
    """Refuse a line that is one of a merge's conflict markers.

    Parameters:
        text: the line.
        file: the file's name for messages.
        line: the line's number.

    Raises:
        StateUnreadable: with the file and the line.
    """
    if _MARKER.match(text):
        raise _conflict(file, f"line {line}", line)


def _conflict(file: str, where: str, line: int) -> StateUnreadable:
    return StateUnreadable(
        f"{file} cannot be edited: it holds the conflict markers of a merge, {where}",
        hint="Resolve the merge in this file, and run the command again.",
        file=file,
        line=line,
    )


def refuse_empty(text: str, file: str) -> None:
    """Refuse a file that should hold a document and holds nothing.

    Raises:
        StateUnreadable: with the file.
    """
    if text.strip("\ufeff\0 \t\r\n"):
        return
    raise StateUnreadable(
        f"{file} is empty",
        hint="Claude Code empties a file for a moment while it writes it: run the command again."
        " If it stays empty, write {} into it.",
        file=file,
        line=1,
    )
