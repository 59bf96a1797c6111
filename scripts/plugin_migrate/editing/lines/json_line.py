"""The JSON value of one line: read and written by the standard library wherever that is exact.

A program wrote these lines, nearly always: written again in the program's style, an unchanged
value gives the very text that was read. So a changed one is written as the program would write it,
at the speed of the standard library. Other lines are changed in place, as a JSON file is.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from .. import json_edit
from ..tree import EditableDict, fingerprint, refuse_dates

_SURROGATE = re.compile("[\ud800-\udfff]")


class NotJson(ValueError):
    """A line is not one JSON value; the text says why."""


def _mapping(pairs: list[tuple[str, Any]]) -> EditableDict:
    mapping = EditableDict(pairs)
    if len(mapping) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise NotJson(f"the key {json.dumps(twice)} appears twice")
    return mapping


_READER = json.JSONDecoder(object_pairs_hook=_mapping)
# The styles of programs: with and without spaces, and with everything but ASCII escaped or not.
_STYLES = tuple(
    json.JSONEncoder(ensure_ascii=escapes, separators=separators)
    for escapes in (False, True)
    for separators in ((", ", ": "), (",", ":"))
)


@dataclass(slots=True)
class JsonLine:
    """A line's value, which the author changes.

    Parameters:
        text: the line as it was read.
        value: what it says.
        style: writes the value as the line does, if ``exact``.
        before: what ``style`` wrote for the value as it was read.
    """

    text: str
    value: Any
    style: json.JSONEncoder
    before: str

    def written(self) -> str:
        """Return the line's text for the value as it is now.

        Raises:
            TypeError: the value holds something that JSON cannot.
            ValueError: it holds NaN or an infinity.
        """
        try:
            now = self.style.encode(self.value)
        except TypeError:
            now = ""
        if now == self.before:
            return self.text
        _require_writable(self.value)
        if self.before == self.text:
            is_plain = self.style.ensure_ascii or not _SURROGATE.search(now)
            if is_plain and "NaN" not in now and "Infinity" not in now:
                return now
        return json_edit.apply_line(self.text, self.value)


class JsonStyle:
    """How one file writes JSON, learned from the lines that are read."""

    def __init__(self) -> None:
        self._styles = list(_STYLES)

    def read(self, text: str) -> JsonLine:
        """Return the value of a line.

        Raises:
            NotJson: it is not one JSON value, or has a key twice.
        """
        try:
            value = _READER.decode(text)
        except json.JSONDecodeError as error:
            raise NotJson(f"{error.msg} at character {error.colno}") from None
        except RecursionError:
            raise NotJson("it is nested too deeply") from None
        except NotJson:
            raise
        except ValueError as error:  # an integer with thousands of digits
            raise NotJson(str(error)) from None
        for place, style in enumerate(self._styles):
            written = style.encode(value)
            if written == text:
                # Texts that fit several styles are in that of the line before.
                self._styles.insert(0, self._styles.pop(place))
                return JsonLine(text, value, style, written)
        return JsonLine(text, value, style, written)

    def write(self, value: Any) -> str:
        """Return the text of a line for a new value.

        Raises:
            TypeError: it holds something that JSON cannot.
            ValueError: it holds NaN or an infinity.
        """
        _require_writable(value)
        style = self._styles[0]
        json.dumps(value, allow_nan=False)
        return _SURROGATE.sub(lambda half: f"\\u{ord(half[0]):04x}", style.encode(value))


def _require_writable(value: Any) -> None:
    refuse_dates(value, "the line")
    fingerprint(value, "the line")
