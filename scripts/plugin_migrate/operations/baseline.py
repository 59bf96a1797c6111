"""Marking migrations as applied without running them."""

from __future__ import annotations

from ..engine.transaction import in_own_transaction, make_ledger
from ..ledger.record import standing
from ..ledger.write import LedgerWriter
from ..plan import Entry, State, plan_upgrade
from ..version import Version
from ..workspace import Workspace
from .repair import add_row, file_of
from .writing import recovered, writing


def baseline(
    workspace: Workspace, target: Version, done_by: str, lock_timeout: float
) -> tuple[Entry, ...]:
    """Mark every pending migration up to ``target`` as applied, without running any.

    Returns:
        What was marked.

    Raises:
        MigrateError: there is no such migration, or something must be settled first.
    """
    with writing(workspace, "baseline", lock_timeout):
        seen = recovered(workspace, done_by)
        steps = seen.plan(lambda entries: plan_upgrade(entries, target)).steps
        migrations = [file_of(step.entry) for step in steps]
        recorded = {
            one.version: standing(workspace, one.migration.stem)
            for one in (step.entry for step in steps)
            if one.state is State.FILES_ONLY and one.migration is not None
        }

        def write(ledger: LedgerWriter) -> None:
            for migration in migrations:
                add_row(ledger, migration)
                if migration.version in recorded:
                    ledger.note_record(migration.version, recorded[migration.version])
                ledger.log("baseline", "done", migration.version)

        if steps:
            make_ledger(workspace)
            in_own_transaction(workspace, done_by, write)
    return tuple(step.entry for step in steps)
