"""Reads a command line that is as expected, from argparse's own table and without argparse.

Importing argparse, making a parser and parsing with it take 5 ms, a sixth of a status. Whatever is
not plainly right (help, abbreviations, mistakes) is left to argparse, which also explains it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Outline:
    """Takes the table of arguments in place of an :class:`argparse.ArgumentParser`."""

    # The default of an option that sets nothing unless it is given.
    SUPPRESS = "==SUPPRESS=="

    def __init__(self) -> None:
        self._defaults: dict[str, object] = {}
        self._options: dict[str, Mapping[str, Any]] = {}
        self._exclusive: set[str] = set()
        self._words: tuple[str, str | None] | None = None

    def set_defaults(self, **values: object) -> None:
        """Set the values of options that are not given."""
        self._defaults |= values

    def add_argument(self, name: str, **about: Any) -> None:
        """Know an option, or what the words of the command line are."""
        destination = name.removeprefix("--").replace("-", "_")
        nargs, action = about.get("nargs"), about.get("action")
        absent: object = False if action == "store_true" else [] if nargs == "*" else None
        default = about.get("default", absent)
        if default != self.SUPPRESS:
            self._defaults.setdefault(destination, default)
        if not name.startswith("--"):
            self._words = destination, nargs
        elif action in (None, "store_true"):
            self._options[name] = {**about, "destination": destination}

    def add_mutually_exclusive_group(self) -> _Group:
        """Return what takes options of which only one may be given."""
        return _Group(self)

    def add_exclusive(self, name: str, **about: Any) -> None:
        """Know an option that may not stand beside every other."""
        self._exclusive.add(name)
        self.add_argument(name, **about)

    def read(self, arguments: Sequence[str]) -> dict[str, object] | None:
        """Return the values as a parser would, or ``None`` if only a parser can tell."""
        values = dict(self._defaults)
        given: list[str] = []
        places: list[int] = []
        waiting = iter(enumerate(arguments))
        for place, argument in waiting:
            if not argument.startswith("-"):
                places.append(place)
                continue
            name, equals, text = argument.partition("=")
            about = self._options.get(name)
            if about is None or name in given:
                return None
            given.append(name)
            is_flag = "action" in about
            if not is_flag and not equals:
                _, text = next(waiting, (0, "-"))
            if text.startswith("-") or (is_flag and equals):
                return None
            value = True if is_flag else _value(about, text)
            if value is None:
                return None
            values[about["destination"]] = value
        if len(self._exclusive.intersection(given)) > 1:
            return None
        # Words in two places may be two arguments to argparse.
        if places and places[-1] - places[0] >= len(places):
            return None
        return self._with_words(values, [arguments[place] for place in places])

    def _with_words(self, values: dict[str, object], words: list[str]) -> dict[str, object] | None:
        if self._words is None:
            return None if words else values
        destination, nargs = self._words
        if not words:
            return values if nargs else None
        if nargs == "*":
            return {**values, destination: words}
        return {**values, destination: words[0]} if len(words) == 1 else None


class _Group:
    """A part of the table of which only one option may be given."""

    def __init__(self, outline: Outline) -> None:
        self.add_argument = outline.add_exclusive


def _value(about: Mapping[str, Any], text: str) -> object:
    """Return an option's value, or ``None`` when it is wrong."""
    try:
        value: object = about["type"](text) if "type" in about else text
    except Exception:  # argparse will meet it as well, and explain it
        return None
    return value if value in about.get("choices", (value,)) else None
