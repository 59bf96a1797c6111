"""Whether something is pending or unsound, in a line for a hook or a log, and as JSON."""

from __future__ import annotations

from collections import Counter

from ..plan import UNAPPLIED, State, ahead

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..survey import Survey


def check_text(survey: Survey) -> str:
    """Return one line for a hook or a log."""
    pending = sum(entry.state in UNAPPLIED for entry in survey.entries)
    current = f"current version: {survey.current or 'none'}"
    troubled = _listed_states(survey)
    trouble = f"; {troubled}" if troubled else ""
    if pending:
        return f"{pending} pending migration(s) ({current}){trouble}"
    return f"No pending migrations ({current}){trouble}"


def _listed_states(survey: Survey) -> str:
    counts = Counter(entry.state for entry in survey.entries)
    states = (State.MODIFIED, State.MISSING, State.INTERRUPTED, State.DATABASE_ONLY)
    told = [f"{counts[state]} {state.value}" for state in states if counts[state]]
    newer = len(ahead(survey.entries))
    told += [f"{newer} newer than every file"] if newer else []
    told += [f"{len(survey.refused)} refused: see status"] if survey.refused else []
    return ", ".join(told)


def check_json(survey: Survey) -> dict[str, object]:
    """Return the keys of the ``check`` document."""
    from .status import refused_json

    counts = Counter(entry.state.value for entry in survey.entries)
    return {
        "current_version": str(survey.current) if survey.current else None,
        "pending": [str(entry.version) for entry in survey.entries if entry.state in UNAPPLIED],
        "ahead": [str(version) for version in ahead(survey.entries)],
        "refused": refused_json(survey.refused),
        "counts": dict(counts),
    }
