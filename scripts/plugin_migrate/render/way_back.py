"""By what migrations without a down go back, as ``status`` shows it."""

from __future__ import annotations

from collections.abc import Sequence

from ..way_back.marks import why_none

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..plan import Entry
    from ..survey import Survey

_KEPT, _NONE = "kept", "none"
_MOST_NAMED = 5


def kept_or_none(survey: Survey, entry: Entry) -> str:
    """Return whether an applied migration without a down goes back by what was kept."""
    return _KEPT if _why_none(survey, entry) is None else _NONE


def way_back_lines(survey: Survey, shown: Sequence[Entry]) -> list[str]:
    """Return what the words in the column about the way back mean."""
    from .status import DOWN, way_back

    lines = []
    reasons: dict[str, list[str]] = {}
    is_kept = False
    for entry in shown:
        if way_back(survey, entry) not in (None, DOWN):
            why = _why_none(survey, entry)
            is_kept = is_kept or why is None
            if why is not None:
                reasons.setdefault(why, []).append(str(entry.version))
    if is_kept:
        lines.append("Way back: kept = it has no down; what was kept is taken back instead.")
    for why, versions in reasons.items():
        more = " and others" if len(versions) > _MOST_NAMED else ""
        names = ", ".join(versions[:_MOST_NAMED]) + more
        lines.append(f"Way back: none = {names} has no down, and {why}.")
    return lines


def _why_none(survey: Survey, entry: Entry) -> str | None:
    assert entry.applied is not None
    mark = (survey.ledger.ways_back or {}).get(str(entry.version))
    return why_none(survey.workspace, entry.applied, mark)
