"""Marking migrations as applied without running them: up to a version, or as another tool says."""

from __future__ import annotations

from collections.abc import Callable

from ..engine.transaction import in_own_transaction, make_ledger
from ..errors import Conflict
from ..ledger.record import standing
from ..ledger.write import LedgerWriter
from ..plan import Entry, State, plan_upgrade
from ..survey import Survey, survey_ahead
from ..takeover.headers import said_by
from ..takeover.mapping import Known, Match, match, refuse_gaps
from ..takeover.origin import JSON, Origin, file_of_origin
from ..takeover.record import Recorded, quotable
from ..values import NamedTuple
from ..version import Version
from ..workspace import Workspace
from .repair import add_row, file_of
from .writing import recovered, writing


class Takeover(NamedTuple):
    """What another tool's ledger means here, before anything is marked.

    ``matches`` are in version order; ``entries`` are the migrations that are applied by it, those
    that ours has already among them; ``due`` those that remain to be marked. ``file`` is what it
    was read from, absolute.
    """

    origin: Origin
    file: str
    matches: tuple[Match, ...]
    entries: tuple[Entry, ...]
    due: tuple[Entry, ...]


def baseline(
    workspace: Workspace, target: Version, done_by: str, lock_timeout: float
) -> tuple[Entry, ...]:
    """Mark every pending migration up to ``target`` as applied, without running any.

    Returns:
        What was marked.

    Raises:
        MigrateError: there is no such migration, or something must be settled first.
    """
    return _marked(workspace, done_by, lock_timeout, lambda seen: _due(seen, target), {})


def due_for(workspace: Workspace, target: Version) -> tuple[Entry, ...]:
    """Return what :func:`baseline` would mark; reads only.

    Raises:
        MigrateError: there is no such migration, or something must be settled first.
    """
    return _due(survey_ahead(workspace), target)


def look(workspace: Workspace, origin: Origin) -> Takeover:
    """Return what another tool's ledger means here; reads only.

    Raises:
        UsageError, TakeoverRefused: it cannot be taken over.
        MigrateError: something must be settled first.
    """
    return _understood(survey_ahead(workspace), origin)


def take_over(
    workspace: Workspace, shown: Takeover, done_by: str, lock_timeout: float
) -> tuple[Entry, ...]:
    """Mark what another tool has applied, as :func:`look` has shown it.

    Returns:
        What was marked.

    Raises:
        Conflict: it means something else by now.
        MigrateError: as for :func:`look`.
    """

    def still_due(seen: Survey) -> tuple[Entry, ...]:
        found = _understood(seen, shown.origin)
        if _versions(found.due) != _versions(shown.due):
            raise Conflict(
                f"What is in {shown.origin.ledger}, or a migration here, changed meanwhile",
                hint="Nothing was marked. Run the command again to see how it is now.",
            )
        return found.due

    said = {
        one.version: f"{shown.origin.ledger}: {quotable(one.record.text)}" for one in shown.matches
    }
    newest = next(reversed(said.values()), "")
    notes = {entry.version: said.get(entry.version, newest) for entry in shown.due}
    return _marked(workspace, done_by, lock_timeout, still_due, notes)


def _marked(
    workspace: Workspace,
    done_by: str,
    lock_timeout: float,
    choose: Callable[[Survey], tuple[Entry, ...]],
    notes: dict[Version, str],
) -> tuple[Entry, ...]:
    """Mark what ``choose`` returns, all or nothing; ``notes`` go to the history."""
    with writing(workspace, "baseline", lock_timeout):
        due = choose(recovered(workspace, done_by))
        migrations = [file_of(entry) for entry in due]
        recorded = {
            one.version: standing(workspace, one.migration.stem)
            for one in due
            if one.state is State.FILES_ONLY and one.migration is not None
        }

        def write(ledger: LedgerWriter) -> None:
            for migration in migrations:
                add_row(ledger, migration)
                if migration.version in recorded:
                    ledger.note_record(migration.version, recorded[migration.version])
                note = notes.get(migration.version)
                ledger.log("baseline", "done", migration.version, note)

        if due:
            make_ledger(workspace)
            in_own_transaction(workspace, done_by, write)
    return due


def _due(seen: Survey, target: Version) -> tuple[Entry, ...]:
    steps = seen.plan(lambda entries: plan_upgrade(entries, target)).steps
    return tuple(step.entry for step in steps)


def _understood(seen: Survey, origin: Origin) -> Takeover:
    file = file_of_origin(seen.workspace, origin)
    recorded = _read(file, origin)
    matches = match(origin, recorded, [_known(entry) for entry in seen.entries])
    refuse_gaps(origin, recorded, matches, seen.entries)
    if not matches:
        return Takeover(origin, file, (), (), ())
    newest = matches[-1].version
    entries = tuple(entry for entry in seen.entries if entry.version <= newest)
    return Takeover(origin, file, matches, entries, _due(seen, newest))


def _read(file: str, origin: Origin) -> Recorded:
    if origin.tool == JSON:
        from ..takeover.state_file import read_state

        return read_state(file, origin.key)
    from ..takeover.ledgers import read_database

    return read_database(file, origin)


def _known(entry: Entry) -> Known:
    if entry.migration is None:
        description = entry.applied.description if entry.applied else ""
        return Known(entry.version, description=description)
    return Known(entry.version, entry.migration.slug, *said_by(file_of(entry)))


def _versions(entries: tuple[Entry, ...]) -> list[Version]:
    return [entry.version for entry in entries]
