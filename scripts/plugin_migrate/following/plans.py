"""What brings the state in step with the files that are here: back first, then forward. No I/O."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ..plan import (
    NOTHING,
    Entry,
    Plan,
    State,
    current_version,
    plan_downgrade,
    plan_upgrade,
)
from ..version import Version


def plan_back_to_files(entries: Sequence[Entry], kept: Collection[Version] = ()) -> Plan:
    """Return the rollback of everything above the newest migration that has a file.

    What a plugin's user needs after the plugin went back to an older version, and anybody after git
    took files back: what it took of is rolled back too, wherever it stands.

    Parameters:
        kept: these stay, though they are above every file.

    Raises:
        PlanRefused: something is modified or interrupted.
    """
    newest = max((entry.version for entry in entries if entry.migration), default=NOTHING)
    plan = plan_downgrade(entries, NOTHING)
    steps = tuple(
        step
        for step in plan.steps
        if step.entry.state is State.DATABASE_ONLY
        or (step.version > newest and step.version not in kept)
    )
    if all(step.version > newest for step in steps):
        return plan._replace(steps=steps, target=newest)
    return plan._replace(steps=steps, target=None, limit=len(steps))


def plan_catching_up(entries: Sequence[Entry]) -> Plan:
    """Return the steps that bring the databases to what git brought of the files, and no further.

    What works on the database only, below the last of them, they may need.

    Raises:
        PlanRefused: something is modified or interrupted.
    """
    last = max((one.version for one in entries if one.state is State.FILES_ONLY), default=NOTHING)
    plan = plan_upgrade(entries)
    steps = tuple(
        step
        for step in plan.steps
        if step.entry.state is State.FILES_ONLY
        or (step.version < last and _is_database_only(step.entry))
    )
    return plan._replace(steps=steps, out_of_order=())


def _is_database_only(entry: Entry) -> bool:
    return entry.migration is not None and entry.migration.language == "sql"


def after_rollback(entries: Sequence[Entry], plan: Plan) -> tuple[Entry, ...]:
    """Return the entries as they will be once ``plan`` has rolled back what it says."""
    gone = {step.version for step in plan.steps}
    stay = [
        entry._replace(state=State.PENDING, applied=None) if entry.version in gone else entry
        for entry in entries
        if entry.version not in gone or entry.migration is not None
    ]
    current = current_version(stay)
    return tuple(
        entry._replace(state=State.PENDING)
        if entry.state is State.OUT_OF_ORDER and (current is None or entry.version > current)
        else entry
        for entry in stay
    )
