"""What a JavaScript migration asks about the lines of a file: a batch goes there at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from .values import decode, encode, merge

if TYPE_CHECKING:
    from ...editing.lines import Line, Lines

Fields = dict[str, Any]


class LineCalls:
    """Answers the calls of one edit of a file's lines.

    A line is known by its place in the batch that was given last. What the migration has done to
    the batch's lines comes back as a list of ``[place, what]`` when it wants the next batch.
    """

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._batch: list[Line] = []
        self._batches: Iterator[list[Line]] = iter(())
        self._answers: dict[str, Callable[[Fields], object]] = {
            "begin": self._begin,
            "next": self._next,
            "value": self._value,
            "text": self._text,
            "append": lambda call: self._lines.append(_line(call["line"])),
        }

    def answer(self, call: Fields) -> object:
        """Return the answer to a call."""
        return self._answers[call["do"]](call)

    def finish(self, call: Fields) -> None:
        """Take what was done to the last batch."""
        self._take(call["changes"])

    def _begin(self, call: Fields) -> None:
        wanted = call["containing"]
        self._batches = self._lines.batches(None if wanted is None else str(wanted))

    def _next(self, call: Fields) -> object:
        self._take(call["changes"])
        self._batch = next(self._batches, [])
        return [line.text for line in self._batch]

    def _value(self, call: Fields) -> object:
        line = self._batch[call["line"]]
        if call["text"] is not None:
            line.text = call["text"]
        return encode(line.value)

    def _text(self, call: Fields) -> str:
        line = self._batch[call["line"]]
        line.value = merge(line.value, decode(call["value"]))
        return line.text

    def _take(self, changes: list[tuple[int, Fields]]) -> None:
        for place, done in changes:
            line = self._batch[place]
            if "value" in done:
                line.value = merge(line.value, decode(done["value"]))
            elif "text" in done:
                line.text = done["text"]
            for added in done["before"]:
                line.insert_before(_line(added))
            for added in done["after"]:
                line.insert_after(_line(added))
            if done["isRemoved"]:
                line.remove()


def _line(added: Fields) -> object:
    return added["text"] if "text" in added else decode(added["value"])
