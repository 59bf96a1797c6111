"""Values that pass between Python and JavaScript; ``javascript_runner.mjs`` is the other side.

They travel as JSON. What JSON or JavaScript's numbers cannot hold is wrapped: ``{"$i": "digits"}``
an integer beyond 2^53, ``{"$f": "NaN"}`` a float, ``{"$b": "base64"}`` bytes, and ``{"$o": {...}}``
a mapping with a key that could be taken for one of these. The dates and times of TOML, of which
JavaScript has only one kind, go there as text.
"""

from __future__ import annotations

import base64
import math
from datetime import date, time
from typing import Any

from ...editing.pairing import pair
from ...editing.tree import EditableDict

_SAFE = 2**53 - 1


def encode(value: Any) -> Any:
    """Return a value as JSON can carry it."""
    if isinstance(value, dict):
        encoded = {key: encode(item) for key, item in value.items()}
        return {"$o": encoded} if any(key.startswith("$") for key in encoded) else encoded
    if isinstance(value, (list, tuple)):
        return [encode(item) for item in value]
    if isinstance(value, bytes):
        return {"$b": base64.b64encode(value).decode()}
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, int) and not -_SAFE <= value <= _SAFE:
        return {"$i": str(value)}
    if isinstance(value, float) and not math.isfinite(value):
        return {"$f": "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"}
    return value


def decode(value: Any) -> Any:
    """Return what a value stood for before it was encoded."""
    if isinstance(value, list):
        return [decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "$i" in value:
        return int(value["$i"])
    if "$f" in value:
        return float(value["$f"])
    if "$b" in value:
        return base64.b64decode(value["$b"])
    return {key: decode(item) for key, item in value.get("$o", value).items()}


def merge(old: Any, new: Any) -> Any:
    """Return ``new``, as it came back from JavaScript, in terms of ``old``, which went there.

    JavaScript has one kind of number, and moves keys like ``"10"`` to the front; neither is a
    change that its author made. What has not been changed is ``old`` itself. A mapping is changed
    in place, and a key that another one took the place of counts as renamed.
    """
    if _likeness(old) == _likeness(new):
        return old
    if isinstance(old, EditableDict) and isinstance(new, dict):
        return _merge_mapping(old, new)
    if isinstance(old, list) and isinstance(new, list):
        old[:] = _merged_items(old, new)
        return old
    if isinstance(old, date | time) and isinstance(new, str):
        return _moment(type(old), new)
    return new


def _moment(kind: type[date | time], text: str) -> date | time | str:
    """Return what takes the place of a date or time: another of its kind, if the text is one."""
    try:
        return kind.fromisoformat(text)
    except ValueError:
        return text


def _merge_mapping(old: EditableDict, new: dict[str, Any]) -> EditableDict:
    if len(old) == len(new):
        for before, after in list(zip(old, new, strict=True)):
            is_renamed = before not in new and after not in old
            if is_renamed and _likeness(old[before]) == _likeness(new[after]):
                old.rename(before, after)
    merged = {key: merge(old[key], value) if key in old else value for key, value in new.items()}
    keys = _in_order(list(old), list(new))
    old.clear()
    old.update((key, merged[key]) for key in keys)
    return old


def _in_order(old: list[str], new: list[str]) -> list[str]:
    """Return the keys of ``new`` in its author's order, as far as JavaScript tells it."""
    if not any(map(_is_moved, new)):
        return new
    kept = [key for key in old if key in set(new)]
    return kept + [key for key in new if key not in set(old)]


def _is_moved(key: str) -> bool:
    """Return whether JavaScript takes a key for an array's index, and puts it first."""
    return key.isascii() and key.isdigit() and str(int(key)) == key and int(key) < 2**32 - 1


def _merged_items(old: list[Any], new: list[Any]) -> list[Any]:
    places = pair(list(map(_likeness, old)), list(map(_likeness, new)))
    return [
        value if place is None else merge(old[place], value)
        for place, value in zip(places, new, strict=True)
    ]


def _likeness(value: Any) -> Any:
    """Return a hashable stand-in, equal for values that JavaScript cannot tell apart."""
    if isinstance(value, dict):
        moved = sorted(key for key in value if _is_moved(key))
        keys = moved + [key for key in value if not _is_moved(key)]
        return "mapping", tuple((key, _likeness(value[key])) for key in keys)
    if isinstance(value, (list, tuple)):
        return "list", tuple(map(_likeness, value))
    if isinstance(value, date | time):
        return "str", value.isoformat()
    if isinstance(value, float):
        return "number", int(value) if value.is_integer() else repr(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return "number", value
    return type(value).__name__, value
