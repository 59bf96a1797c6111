"""By what applied migrations without a down go back."""

from __future__ import annotations

from collections.abc import Sequence

from ..way_back.marks import why_none

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..plan import Entry
    from ..survey import Survey

_KEPT, _NONE = "kept", "none"
_IS_KEPT = "it has no down; what was kept is taken back instead"
_MOST_NAMED = 5


def kept_or_none(survey: Survey, entry: Entry) -> str:
    """Return whether an applied migration without a down goes back by what was kept."""
    return _KEPT if _why_none(survey, entry) is None else _NONE


def way_back_line(survey: Survey, entry: Entry) -> str:
    """Return the same of one migration, and why."""
    why = _why_none(survey, entry)
    return f"{_KEPT}: {_IS_KEPT}" if why is None else f"{_NONE}: it has no down, and {why}"


def way_back_lines(survey: Survey, without_down: Sequence[Entry]) -> list[str]:
    """Return what the words in the column about the way back mean."""
    lines = []
    reasons: dict[str, list[str]] = {}
    for entry in without_down:
        why = _why_none(survey, entry)
        if why is not None:
            reasons.setdefault(why, []).append(str(entry.version))
    if sum(map(len, reasons.values())) < len(without_down):
        lines.append(f"Way back: kept = {_IS_KEPT}.")
    for why, versions in reasons.items():
        more = " and others" if len(versions) > _MOST_NAMED else ""
        names = ", ".join(versions[:_MOST_NAMED]) + more
        lines.append(f"Way back: none = {names} has no down, and {why}.")
    return lines


def _why_none(survey: Survey, entry: Entry) -> str | None:
    assert entry.applied is not None
    mark = (survey.ledger.ways_back or {}).get(str(entry.version))
    return why_none(survey.workspace, entry.applied, mark)
