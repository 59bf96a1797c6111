"""The commands that may write, from options to a result; they print nothing and never exit.

What only some of them need is imported where it is needed: with nothing pending, an upgrade is
little more than a look.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress

from ..errors import Busy, LedgerLost, MigrateError, NeedsRepair, Place, Unpublished
from ..ledger.ledger import Ledger, read_ledger
from ..plan import Entry, Plan
from ..storage import sqlite
from ..survey import Look, Planner, look, look_ahead, look_by
from ..values import NamedTuple
from ..version import Version
from ..workspace import Workspace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..engine.engine import Engine, Keeper
    from ..engine.prepare import Prepared
    from ..report import Reporter, StepResult
    from ..sandbox.signals import Signals
    from .renumber import Renumbered
    from .repair import Repair
    from .restore import Restored


class DryRun(NamedTuple):
    """A plan that was made and checked, and not run."""

    look: Look
    plan: Plan
    prepared: tuple[Prepared, ...]


class Run(NamedTuple):
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


def dry_run(workspace: Workspace, planner: Planner) -> DryRun:
    """Return the plan of a run with its steps checked; executes nothing.

    Raises:
        MigrateError: what the real run would say before its first step.
    """
    from ..engine.prepare import prepare

    seen = look_ahead(workspace)
    plan = seen.plan(planner)
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
    with _writing(workspace, command, lock_timeout) as signals:
        seen = _recovered(workspace, done_by)
        plan = seen.plan(planner)
        if not plan.steps:
            return Run(seen, plan, (), 0.0, seen.current)
        return _execute(seen, plan, command, done_by, reporter, signals, with_backup)


def _recovered(workspace: Workspace, done_by: str) -> Look:
    """Finish what a killed command left, and return the state after that.

    Raises:
        NeedsRepair: something is left that only the user can decide.
    """
    _settle_siblings(workspace, done_by)
    # By the ledger alone: a broken migration file must not stand in the way of recovery.
    ledger = read_ledger(workspace, sqlite.read_to_write)
    if not _left_behind(workspace, ledger):
        return look_by(workspace, ledger)
    from ..engine import recovery

    recovery.refuse(recovery.recover(workspace, done_by))
    _settle_backups(workspace)
    return look(workspace)


def settle(workspace: Workspace, command: str, done_by: str, lock_timeout: float) -> None:
    """Finish what a killed command left, of whichever source, and do nothing else.

    Raises:
        NeedsRepair: something is left that only the user can decide.
    """
    with _writing(workspace, command, lock_timeout):
        _recovered(workspace, done_by)


def _settle_siblings(workspace: Workspace, done_by: str) -> None:
    """Finish what killed commands left of other sources, which share the files.

    Raises:
        NeedsRepair: something is left that only the user can decide.
    """
    if workspace.source is None and not os.path.isdir(workspace.sources):
        return  # as in most projects, which then need not import what follows
    from ..storage.unfinished import left_behind
    from ..translation import state_errors

    for sibling in left_behind(workspace):
        from ..engine import recovery

        try:
            with state_errors():
                recovery.refuse(recovery.recover(sibling, done_by))
        except (Busy, NeedsRepair) as error:
            error.source = sibling.source
            raise
        except MigrateError as error:
            raise _unfinishable(sibling, error) from error


def _unfinishable(source: Workspace, error: MigrateError) -> NeedsRepair:
    whose = f"the plugin {source.source}" if source.source else "the project's own migrations"
    unfinished = NeedsRepair(
        f"What a killed command left of {whose} cannot be finished: {error.message}",
        file=error.file,
        hint=(
            *error.advice,
            "\n" if error.advice else "",
            "To give up what it left, remove ",
            Place(source.publish),
            "/",
        ),
    )
    unfinished.source = source.source
    return unfinished


def _left_behind(workspace: Workspace, ledger: Ledger) -> bool:
    """Return whether a killed command left publishes, redo logs, staged copies or backups."""
    scratch = workspace.scratch
    has_scratch = os.path.isdir(scratch) and bool(os.listdir(scratch))
    has_files = bool(ledger.publishes) or workspace.has_logs or has_scratch
    return has_files or _has_unfinished_backups(workspace)


def _has_unfinished_backups(workspace: Workspace) -> bool:
    folder = os.path.join(workspace.home, "backups")
    names = os.listdir(folder) if os.path.isdir(folder) else []
    return any(not os.path.exists(os.path.join(folder, name, "finished")) for name in names)


def _settle_backups(workspace: Workspace) -> None:
    """Bring the backups of killed runs in line with what came of them; recovery must be done."""
    if _has_unfinished_backups(workspace):
        from ..engine.backup import settle_killed

        settle_killed(workspace)


def _execute(
    seen: Look,
    plan: Plan,
    command: str,
    done_by: str,
    reporter: Reporter,
    signals: Signals,
    with_backup: bool,
) -> Run:
    from ..engine.backup import BackupWriter
    from ..engine.prepare import prepare, require_all

    workspace = seen.workspace
    prepared = prepare(workspace, plan)
    require_all(workspace, prepared)
    reporter.planned(len(prepared))
    results: list[StepResult] = []
    error: MigrateError | None = None
    started = time.perf_counter()
    current = str(seen.current) if seen.current else None
    backup = BackupWriter(
        workspace, command, current, with_backup, seen.ledger.last_event, workspace.database
    )
    from ..engine.engine import Engine  # meanwhile the system writes what was copied

    engine = Engine(workspace, done_by, signals, reporter, backup, seen.ledger)
    try:
        backup.commit()
    except BaseException:
        backup.discard()
        raise
    try:
        for result in engine.execute(prepared):
            results.append(result)  # noqa: PERF402 - keeps those before a failure
    except MigrateError as caught:
        error = caught
        if not isinstance(error, Unpublished):  # which is committed
            with suppress(MigrateError, OSError):
                backup.retract()
    finally:
        engine.close()
        if engine.has_changed:
            backup.finish()
        else:
            backup.discard()
    return Run(
        seen,
        plan,
        tuple(results),
        time.perf_counter() - started,
        _current_after(seen, results),
        error,
        prepared[len(results)] if error is not None and len(results) < len(prepared) else None,
        engine.written,
    )


@contextmanager
def rehearsing(
    workspace: Workspace, command: str, done_by: str, keeper: Keeper
) -> Iterator[tuple[Look, Engine]]:
    """Recover a shadow copy and give what is there, with an engine to run single steps on it.

    Parameters:
        keeper: stands where a run's backup stands.

    Raises:
        MigrateError: the copy is in a state that upgrades and downgrades refuse.
    """
    from ..engine.engine import Engine
    from ..report import Reporter

    with _writing(workspace, command, 0) as signals:
        seen = _recovered(workspace, done_by)
        engine = Engine(workspace, done_by, signals, Reporter(), keeper, seen.ledger)
        with closing(engine):
            yield seen, engine


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
    from ..sandbox.signals import Signals, Stop
    from ..storage.lock import run_lock

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
    from ..engine.transaction import in_own_transaction, make_ledger
    from ..ledger.ledger import LedgerWriter
    from ..plan import plan_upgrade
    from .repair import add_row, file_of

    with _writing(workspace, "baseline", lock_timeout):
        seen = _recovered(workspace, done_by)
        steps = seen.plan(lambda entries: plan_upgrade(entries, target)).steps
        migrations = [file_of(step.entry) for step in steps]

        def write(ledger: LedgerWriter) -> None:
            for migration in migrations:
                add_row(ledger, migration)
                ledger.log("baseline", "done", migration.version)

        if steps:
            make_ledger(workspace)
            in_own_transaction(workspace, done_by, write)
    return tuple(step.entry for step in steps)


def renumber(
    workspace: Workspace, which: str, to: Version | None, done_by: str, lock_timeout: float
) -> Renumbered:
    """Give a migration another version; see :mod:`plugin_migrate.operations.renumber`.

    Raises:
        MigrateError: nothing was changed, unless it is a NeedsRepair.
    """
    from . import renumber as renumbering

    with _writing(workspace, "renumber", lock_timeout) as signals:
        seen = _recovered(workspace, done_by)
        return renumbering.renumber(seen, which, to, done_by, signals)


class Decisions(NamedTuple):
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
    from ..engine import recovery
    from ..engine.transaction import make_ledger
    from . import repair as repairs

    with _writing(workspace, "repair", lock_timeout):
        done: list[Repair] = []
        if decisions.take_database:
            done += repairs.take_database(workspace, done_by)
        problems = recovery.recover(workspace, done_by)
        done += repairs.settle_files(
            workspace, done_by, problems, decisions.keep_live, decisions.take_migrated
        )
        _settle_backups(workspace)
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
    """Go back to an automatic backup; see :func:`plugin_migrate.operations.restore.restore`.

    Raises:
        MigrateError: nothing was restored.
    """
    from ..engine import recovery
    from . import restore as restoring

    with _writing(workspace, "restore", lock_timeout) as signals, signals.held():
        _settle_siblings(workspace, done_by)
        if not _may_skip_recovery(workspace, force):
            recovery.refuse(recovery.recover(workspace, done_by))
            _settle_backups(workspace)
        return restoring.restore(workspace, backup_id, done_by, force)


def _may_skip_recovery(workspace: Workspace, force: bool) -> bool:
    """Return whether there is no ledger to recover by: it is lost, or broken and given up."""
    try:
        read_ledger(workspace, sqlite.read_to_write)
    except LedgerLost:
        return True
    except MigrateError:
        return force
    return False
