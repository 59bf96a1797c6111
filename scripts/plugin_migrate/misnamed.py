"""Files in a migrations folder that look like migrations and, by their names, are none."""

from __future__ import annotations

import os

from .languages import language_of
from .values import NamedTuple


class Misnamed(NamedTuple):
    """A file that is passed over, and the reason in half a sentence."""

    name: str
    reason: str


def misnamed_in(folder: str) -> tuple[Misnamed, ...]:
    """Return what somebody may have meant as a migration; opens nothing.

    Names with ``_`` or ``.`` in front are helpers and hidden files (design, "Migration files"). A
    folder that cannot be read holds none: whoever needs it says so.
    """
    try:
        names = os.listdir(folder)
    except OSError:
        return ()
    found = []
    for name in names:
        language = language_of(name)
        # Nearly all are migrations, or are no matter.
        if (language is None and language_of(name.lower()) is None) or name[0] in "_.":
            continue
        if language is None or not name[0].isdigit():
            reason = _reason(name)
            if reason is not None:
                found.append(Misnamed(name, reason))
    return tuple(sorted(found))


def _reason(name: str) -> str | None:
    stem, _, ending = name.rpartition(".")
    if name[0].isdigit():
        return f"its ending must be lower case: {stem}.{ending.lower()}"
    if name.lower().endswith(".d.ts"):
        return None  # declarations for an editor
    if name[0] in "vV" and stem[1:2].isdigit():
        return f"its name must begin with the version itself: {stem[1:]}.{ending.lower()}"
    return f"its name has no version: <X.Y.Z>-{name}, or _{name} for a helper"
