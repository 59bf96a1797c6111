"""Bringing ledger and files together again after something only a person can judge.

Accepts edited migration files, adopts rows of another engine, settles steps that stopped outside
a transaction, and carries out decisions about files that were not all published.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from dataclasses import dataclass

from ..engine import recovery
from ..engine.recovery import Unsettled
from ..engine.transaction import in_own_transaction, make_ledger
from ..errors import Call, ForeignDatabase, NeedsRepair, UnknownTarget, UsageError
from ..ledger.read import read_sources
from ..ledger.schema import recorded_project
from ..ledger.write import LedgerWriter
from ..migration import Migration, describe, is_verifiable, metadata_text, title_of, with_text
from ..plan import Entry, State
from ..storage import sqlite
from ..survey import survey
from ..values import NamedTuple
from ..version import Version
from ..workspace import Workspace
from .writing import settle_backups, writing


class Decisions(NamedTuple):
    """What the user said about things that only a person can judge."""

    keep_live: bool = False
    take_migrated: bool = False
    as_applied: bool = False
    as_pending: bool = False
    take_database: bool = False


@dataclass(frozen=True, slots=True)
class Repair:
    """One thing that a repair settled.

    ``what`` is one sentence; ``diff`` shows how an accepted file differs from the stored source.
    """

    version: Version | None
    what: str
    diff: str = ""


def repair(
    workspace: Workspace,
    versions: Sequence[Version],
    decisions: Decisions,
    done_by: str,
    lock_timeout: float,
) -> list[Repair]:
    """Settle what stops upgrades and downgrades.

    Parameters:
        versions: accept only these edited files; all when empty.

    Raises:
        MigrateError: a decision is missing, or cannot be carried out.
    """
    with writing(workspace, "repair", lock_timeout):
        done: list[Repair] = []
        if decisions.take_database:
            done += _take_database(workspace, done_by)
        problems = recovery.recover(workspace, done_by)
        done += _settle_files(
            workspace, done_by, problems, decisions.keep_live, decisions.take_migrated
        )
        settle_backups(workspace)
        seen = survey(workspace)
        if seen.ledger.applied:
            make_ledger(workspace)
        done += _settle_started(
            workspace,
            done_by,
            seen.entries,
            seen.ledger.started or {},
            decisions.as_applied,
            decisions.as_pending,
        )
        done += _accept_files(workspace, done_by, survey(workspace).entries, versions)
    return done


def _settle_files(
    workspace: Workspace,
    done_by: str,
    problems: Sequence[Unsettled],
    keep_live: bool,
    take_migrated: bool,
) -> list[Repair]:
    """Carry out the user's decision about files that recovery must not touch on its own.

    Raises:
        NeedsRepair: there is something to decide and no decision.
    """
    if problems and not (keep_live or take_migrated):
        recovery.refuse(workspace, tuple(problems))
    for problem in problems:
        recovery.decide(workspace, done_by, problem, take_migrated)
    how = "took the migrated files" if take_migrated else "kept the live files"
    return [Repair(problem.version, f"{how}: {problem.why}") for problem in problems]


def _settle_started(
    workspace: Workspace,
    done_by: str,
    entries: Sequence[Entry],
    started: dict[Version, str],
    as_applied: bool,
    as_pending: bool,
) -> list[Repair]:
    """Record which way steps outside a transaction went that never ended.

    Raises:
        NeedsRepair: there is such a step and the user did not say.
        UsageError: its file is gone, so it cannot be recorded as applied.
    """
    if started and not (as_applied or as_pending):
        version, direction = min(started.items())
        raise NeedsRepair(
            f"Migration {version} ({direction}) runs outside a transaction and did not end:"
            " part of it may have happened",
            hint=(
                "Look at the database, finish or undo it by hand, then say which it is:\n  ",
                Call("repair", "--applied"),
                "    the migration is applied\n  ",
                Call("repair", "--pending"),
                "    the migration is not applied",
            ),
        )
    return [
        _settle_one(workspace, done_by, entry, as_applied)
        for entry in entries
        if entry.version in started
    ]


def _settle_one(workspace: Workspace, done_by: str, entry: Entry, as_applied: bool) -> Repair:
    what = "recorded as applied" if as_applied else "recorded as pending"

    def write(ledger: LedgerWriter) -> None:
        if as_applied and entry.applied is None:
            add_row(ledger, file_of(entry))
        elif not as_applied:
            ledger.remove(entry.version)
        ledger.log("repair", "done", entry.version, what)

    in_own_transaction(workspace, done_by, write)
    return Repair(entry.version, what)


def _accept_files(
    workspace: Workspace, done_by: str, entries: Sequence[Entry], versions: Sequence[Version]
) -> list[Repair]:
    """Record the present text of edited files, and our checksum for rows of another engine.

    Parameters:
        versions: only these; all when empty.

    Raises:
        UnknownTarget: one of ``versions`` is not applied or has no file, and git took none back.
    """
    known = {entry.version: entry for entry in entries}
    for version in versions:
        entry = known.get(version)
        if entry is not None and entry.state is State.DATABASE_ONLY:
            continue
        if entry is None or entry.applied is None or entry.migration is None:
            raise UnknownTarget(
                f"Migration {version} is not applied, or its file is gone: nothing to accept",
                hint=("See: ", Call("status")),
            )
    repairs = []
    for entry in entries:
        if versions and entry.version not in versions:
            continue
        if versions and entry.state is State.DATABASE_ONLY:
            repairs.append(_keep_database(workspace, done_by, entry))
            continue
        what = _what_to_accept(entry)
        if what is not None:
            repairs.append(_accept(workspace, done_by, entry, what))
    return repairs


def _keep_database(workspace: Workspace, done_by: str, entry: Entry) -> Repair:
    """Leave the database as it is, though git took the migration's files back."""
    what = "kept in the database, though git took its files back"

    def write(ledger: LedgerWriter) -> None:
        ledger.forget_record(entry.version)
        ledger.log("repair", "done", entry.version, what)

    in_own_transaction(workspace, done_by, write)
    return Repair(entry.version, what)


def _what_to_accept(entry: Entry) -> str | None:
    if entry.applied is None or entry.migration is None:
        return None
    if entry.state is State.MODIFIED:
        return "accepted the edited file"
    if not is_verifiable(entry.applied.checksum):
        return "adopted from another engine: recorded checksum and source"
    return None


def _accept(workspace: Workspace, done_by: str, entry: Entry, what: str) -> Repair:
    migration = file_of(entry)
    stored = read_sources(workspace, [entry.version]).get(entry.version)
    script = describe(migration)
    description = script.description or title_of(migration.slug)

    def write(ledger: LedgerWriter) -> None:
        ledger.accept(migration, description, metadata_text(script))
        ledger.log("repair", "done", entry.version, what)

    in_own_transaction(workspace, done_by, write)
    diff = _diff(stored.text, migration) if stored else ""
    return Repair(entry.version, what, diff)


def _diff(stored: str, migration: Migration) -> str:
    lines = difflib.unified_diff(
        stored.splitlines(),
        (migration.text or "").splitlines(),
        f"{migration.version} as applied",
        os.path.basename(migration.path),
        lineterm="",
    )
    return "\n".join(lines)


def file_of(entry: Entry) -> Migration:
    """Return an entry's migration with its text.

    Raises:
        UsageError: the file is gone.
    """
    if entry.migration is None:
        raise UsageError(
            f"The file of migration {entry.version} is gone, so it cannot be recorded as applied",
            hint="Bring the file back, or use --pending.",
        )
    return with_text(entry.migration)


def _take_database(workspace: Workspace, done_by: str) -> list[Repair]:
    """Make a state database outside ``.claude/`` this project's: it was moved, or renamed.

    Raises:
        ForeignDatabase: the project it belongs to is still where it was.
    """
    what = database_to_take(workspace)
    if what is None:
        return []

    def write(ledger: LedgerWriter) -> None:
        ledger.set_project(workspace.project)
        ledger.log("repair", "done", None, what)

    in_own_transaction(workspace, done_by, write)
    return [Repair(None, what)]


def database_to_take(workspace: Workspace) -> str | None:
    """Return the sentence about a state database that can be made this project's.

    Raises:
        ForeignDatabase: the project it belongs to is still where it was.
    """
    if workspace.owns_database or not os.path.exists(workspace.database):
        return None
    owner = sqlite.read_to_write(workspace.database, recorded_project)
    if owner is not None and owner != workspace.project and os.path.isdir(f"{owner}/.claude"):
        raise ForeignDatabase(
            f"The database {workspace.database} is in use by the project {owner}",
            hint="One project at a time can use what is in a plugin's data folder."
            if workspace.source
            else "Give this copy its own: --database, or the database setting.",
        )
    return f"the database {workspace.database} belongs to this project now"


def add_row(ledger: LedgerWriter, migration: Migration) -> None:
    """Record a migration as applied without having run it."""
    script = describe(migration)
    description = script.description or title_of(migration.slug)
    ledger.forget(migration.version)  # another engine's, of a rollback
    ledger.add(migration, description, metadata_text(script), 0)
