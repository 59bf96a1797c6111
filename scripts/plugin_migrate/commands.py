"""What each command does, from options to a result; prints nothing and never exits."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from .errors import MigrateError
from .ledger import Ledger, read_ledger, read_source
from .migration import load
from .plan import Entry, Plan, current_version, survey
from .version import Version
from .workspace import Workspace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .engine import Reporter, StepResult
    from .prepare import Prepared
    from .repair import Repair
    from .restore import Restored
    from .signals import Signals


@dataclass(frozen=True, slots=True)
class Look:
    """Everything that reading shows: the versions with their states, and the ledger."""

    workspace: Workspace
    entries: tuple[Entry, ...]
    ledger: Ledger

    @property
    def current(self) -> Version | None:
        """The highest applied version."""
        return current_version(self.entries)


@dataclass(frozen=True, slots=True)
class DryRun:
    """A plan that was made and checked, and not run."""

    look: Look
    plan: Plan
    prepared: tuple[Prepared, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """What one upgrade or downgrade did.

    ``failed`` is the step that ``error`` stopped; the ``results`` before it stay. ``current`` is
    the highest applied version afterwards. ``written`` holds the lower-case names of the tables
    that the steps wrote in the state database, or ``None`` when that is unknown.
    """

    look: Look
    plan: Plan
    results: tuple[StepResult, ...]
    duration: float
    current: Version | None
    error: MigrateError | None = None
    failed: Prepared | None = None
    written: frozenset[str] | None = frozenset()


Planner = Callable[[tuple[Entry, ...]], Plan]


def look(workspace: Workspace) -> Look:
    """Return the state of every migration; reads only, and never runs one.

    Raises:
        MigrateError: files, ledger or database cannot be read.
    """
    ledger = read_ledger(workspace)
    known = {str(version): row.checksum for version, row in ledger.applied.items()}
    migrations = load(workspace.migrations, known)

    def stored_text(version: Version) -> str | None:
        stored = read_source(workspace, version)
        return stored.text if stored else None

    entries = survey(migrations, ledger.applied, ledger.interrupted, stored_text)
    return Look(workspace, entries, ledger)


def dry_run(workspace: Workspace, planner: Planner) -> DryRun:
    """Return the plan of a run with its steps checked; executes nothing.

    Raises:
        MigrateError: what the real run would say before its first step.
    """
    from .prepare import prepare

    seen = look(workspace)
    plan = planner(seen.entries)
    return DryRun(seen, plan, prepare(workspace, plan))


def run(
    workspace: Workspace,
    planner: Planner,
    command: str,
    done_by: str,
    reporter: Reporter,
    lock_timeout: float,
    with_backup: bool = True,
) -> Run:
    """Recover, plan and execute under the run lock.

    Parameters:
        planner: from the entries to the plan, so that it sees the state after recovery.
        command: told to whoever waits for the lock.
        done_by: for the ledger.
        reporter: hears of every step.
        lock_timeout: seconds to wait for another run.
        with_backup: keep what the run changes as it was before.

    Raises:
        MigrateError: nothing was run. A failure of a step is part of the result instead.
    """
    from . import recovery
    from .backup import BackupWriter
    from .engine import Engine
    from .prepare import prepare

    with _writing(workspace, command, lock_timeout) as signals:
        recovery.refuse(recovery.recover(workspace, done_by))
        seen = look(workspace)
        plan = planner(seen.entries)
        prepared = prepare(workspace, plan)
        results: list[StepResult] = []
        error: MigrateError | None = None
        written: frozenset[str] | None = frozenset()
        started = time.perf_counter()
        if prepared:
            current = str(seen.current) if seen.current else None
            backup = BackupWriter(workspace, command, current, with_backup)
            engine = Engine(workspace, done_by, signals, reporter, backup)
            try:
                for result in engine.execute(prepared):
                    results.append(result)  # noqa: PERF402 - keeps those before a failure
            except MigrateError as caught:
                error = caught
            finally:
                written = engine.written
                if engine.has_changed:
                    backup.prune()
                else:
                    backup.discard()
        duration = time.perf_counter() - started
    return Run(
        seen,
        plan,
        tuple(results),
        duration,
        _current_after(seen, results),
        error,
        prepared[len(results)] if error is not None and len(results) < len(prepared) else None,
        written,
    )


def _current_after(seen: Look, results: list[StepResult]) -> Version | None:
    versions = {entry.version for entry in seen.entries if entry.applied}
    for result in results:
        if result.direction == "up":
            versions.add(result.version)
        else:
            versions.discard(result.version)
    return max(versions, default=None)


@contextmanager
def _writing(workspace: Workspace, command: str, lock_timeout: float) -> Iterator[Signals]:
    """Hold the run lock and catch signals, as every command that may write does."""
    from .lock import run_lock
    from .signals import Signals, Stop

    signals = Signals()
    with signals.caught():
        try:
            with run_lock(workspace, command, lock_timeout):
                yield signals
        except Stop:
            raise signals.as_error(None) from None


def baseline(
    workspace: Workspace, target: Version, done_by: str, lock_timeout: float
) -> tuple[Entry, ...]:
    """Mark every pending migration up to ``target`` as applied, without running any.

    Returns:
        What was marked.

    Raises:
        MigrateError: there is no such migration, or something must be settled first.
    """
    from . import recovery
    from .ledger import LedgerWriter
    from .plan import plan_upgrade
    from .repair import add_row, with_text
    from .transaction import in_own_transaction, make_ledger

    with _writing(workspace, "baseline", lock_timeout):
        recovery.refuse(recovery.recover(workspace, done_by))
        steps = plan_upgrade(look(workspace).entries, target).steps
        migrations = [with_text(step.entry) for step in steps]

        def write(ledger: LedgerWriter) -> None:
            for migration in migrations:
                add_row(ledger, migration)
                ledger.log("baseline", "done", migration.version)

        if steps:
            make_ledger(workspace)
            in_own_transaction(workspace, done_by, write)
    return tuple(step.entry for step in steps)


@dataclass(frozen=True, slots=True)
class Decisions:
    """What the user said about things that only a person can judge."""

    keep_live: bool = False
    take_migrated: bool = False
    as_applied: bool = False
    as_pending: bool = False
    take_database: bool = False


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
    from . import recovery
    from . import repair as repairs
    from .transaction import make_ledger

    with _writing(workspace, "repair", lock_timeout):
        done: list[Repair] = []
        if decisions.take_database:
            done += repairs.take_database(workspace, done_by)
        problems = recovery.recover(workspace, done_by)
        done += repairs.settle_files(
            workspace, done_by, problems, decisions.keep_live, decisions.take_migrated
        )
        seen = look(workspace)
        if seen.ledger.applied:
            make_ledger(workspace)
        done += repairs.settle_started(
            workspace,
            done_by,
            seen.entries,
            seen.ledger.started or {},
            decisions.as_applied,
            decisions.as_pending,
        )
        done += repairs.accept_files(workspace, done_by, look(workspace).entries, versions)
    return done


def restore(
    workspace: Workspace, backup_id: str, force: bool, done_by: str, lock_timeout: float
) -> Restored:
    """Go back to an automatic backup; see :func:`plugin_migrate.restore.restore`.

    Raises:
        MigrateError: nothing was restored.
    """
    from . import recovery
    from . import restore as restoring

    with _writing(workspace, "restore", lock_timeout) as signals, signals.held():
        if not (force and _is_broken(workspace)):
            recovery.refuse(recovery.recover(workspace, done_by))
        return restoring.restore(workspace, backup_id, done_by, force)


def _is_broken(workspace: Workspace) -> bool:
    try:
        read_ledger(workspace)
    except MigrateError:
        return True
    return False
