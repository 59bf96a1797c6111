"""Migrations that somebody else gave another version: here too only their ledger row changes."""

from __future__ import annotations

from ..engine.transaction import in_own_transaction
from ..ledger.record import from_text, known_of, read_text, to_text
from ..ledger.write import LedgerWriter
from ..migration import Migration, describe, metadata_text, with_text
from ..plan import KnownRecord, State
from ..survey import Survey
from ..version import Version


def take_over(seen: Survey, done_by: str) -> bool:
    """Give applied migrations the versions that the records with the files say, and no more.

    Otherwise each would be rolled back under its old number and applied under its new one, and
    rows that were added meanwhile would go. The run lock must be held.

    Returns:
        Whether there was any.

    Raises:
        StateUnreadable, Busy: a record cannot be read, or the ledger not be written.
    """
    gone = {
        seen.ledger.recorded[entry.version].name: entry.version
        for entry in seen.entries
        if entry.state is State.DATABASE_ONLY
    }
    found = False
    for entry in seen.entries:
        if entry.state is not State.FILES_ONLY or entry.migration is None:
            continue
        record = from_text(read_text(seen.workspace, entry.migration.stem))
        old = next((gone.pop(name) for name in record.was if name in gone), None)
        if old is not None and record.checksum == entry.migration.checksum:
            known = known_of(entry.migration.stem, to_text(record))
            _renumber(seen, old, with_text(entry.migration), known, done_by)
            found = True
    return found


def _renumber(
    seen: Survey, old: Version, migration: Migration, known: KnownRecord, done_by: str
) -> None:
    def write(ledger: LedgerWriter) -> None:
        ledger.renumber(old, migration, metadata_text(describe(migration)))
        ledger.note_record(migration.version, known)
        ledger.log("renumber", "done", migration.version, f"{old} is {migration.stem} now")

    in_own_transaction(seen.workspace, done_by, write)
