"""Upgrades and downgrades, from a planner to a result; nothing is printed, nothing exits.

What only some of them need is imported where it is needed: with nothing pending, an upgrade is
little more than a look.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import groupby

from ..errors import MigrateError, Unpublished
from ..plan import HALVES, Plan
from ..survey import Planner, Survey, survey, survey_ahead
from ..values import NamedTuple
from ..version import Version
from ..workspace import Workspace
from .writing import recovered, writing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..engine.engine import Engine
    from ..engine.prepare import Prepared
    from ..following.choices import Choices
    from ..following.follower import Follower
    from ..report import Reporter, StepResult
    from ..sandbox.signals import Signals


class DryRun(NamedTuple):
    """A plan that was made and checked, and not run."""

    survey: Survey
    plan: Plan
    prepared: tuple[Prepared, ...]


class Run(NamedTuple):
    """What one upgrade or downgrade did.

    ``failed`` is the step that ``error`` stopped; the ``results`` before it stay. ``current`` is
    the highest applied version afterwards. ``written`` holds the lower-case names of the tables
    that the steps wrote in the state database, or ``None`` when that is unknown.
    """

    survey: Survey
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
    from ..engine.prepare import prepare, refuse_unfilled

    seen = survey_ahead(workspace)
    plan = seen.plan(planner)
    prepared = prepare(workspace, plan)
    refuse_unfilled(prepared)
    return DryRun(seen, plan, prepared)


def run(
    workspace: Workspace,
    planner: Planner,
    command: str,
    done_by: str,
    reporter: Reporter,
    lock_timeout: float,
    with_backup: bool = True,
    choices: Choices | None = None,
) -> Run:
    """Recover, plan and execute under the run lock.

    Parameters:
        planner: from the entries to the plan, so that it sees the state after recovery.
        command: told to whoever waits for the lock.
        done_by: for the ledger.
        reporter: hears of every step.
        lock_timeout: seconds to wait for another run.
        with_backup: keep what the run changes as it was before.
        choices: what the user decided about steps whose files git has brought or taken.

    Raises:
        MigrateError: nothing was run. A failure of a step is part of the result instead.
    """
    with writing(workspace, command, lock_timeout) as signals:
        seen = _renumbered(recovered(workspace, done_by), done_by)
        plan = seen.plan(planner)
        if not plan.steps:
            return Run(seen, plan, (), 0.0, seen.current)
        return execute(seen, plan, command, done_by, reporter, signals, with_backup, choices)


def _renumbered(seen: Survey, done_by: str) -> Survey:
    """Follow what somebody else renumbered, and return the state after that."""
    if not {entry.state for entry in seen.entries} >= HALVES:
        return seen
    from ..following.renumbered import take_over

    return survey(seen.workspace) if take_over(seen, done_by) else seen


def execute(
    seen: Survey,
    plan: Plan,
    command: str,
    done_by: str,
    reporter: Reporter,
    signals: Signals,
    with_backup: bool,
    choices: Choices | None = None,
) -> Run:
    """Take the steps of a plan; within :func:`writing`, and :func:`recovered`.

    Raises:
        MigrateError: nothing was run. A failure of a step is part of the result instead.
    """
    from ..engine.backup import BackupWriter
    from ..engine.prepare import prepare, refuse_unfilled, require_all

    workspace = seen.workspace
    prepared = prepare(workspace, plan)
    refuse_unfilled(prepared)
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
    from ..way_back.keeper import WayBackKeeper

    ways_back = WayBackKeeper(workspace, seen.ledger.ways_back, with_backup, prepared)
    known = (workspace, done_by, signals, reporter, backup, ways_back, seen.ledger)
    engine = Engine(*known)
    follower = None
    try:
        if any(step.entry.state in HALVES for step in plan.steps):
            from ..following.choices import Choices
            from ..following.follower import Follower

            follower = Follower(*known, choices or Choices())
        backup.commit()
    except BaseException:
        backup.discard()
        raise
    try:
        for result in _carry_out(plan, prepared, engine, follower):
            results.append(result)  # noqa: PERF402 - keeps those before a failure
    except MigrateError as caught:
        error = caught
        if not isinstance(error, Unpublished):  # which is committed
            with suppress(MigrateError, OSError):
                backup.retract()
    finally:
        engine.close()
        # Before the backup is finished: of a run that was killed here, the next one does this.
        ways_back.prune()
        if follower is not None:
            follower.close()
        if engine.has_changed or (follower is not None and follower.has_changed):
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
        _failed(prepared, len(results), follower) if error is not None else None,
        None if follower is not None else engine.written,
    )


def _carry_out(
    plan: Plan, prepared: Sequence[Prepared], engine: Engine, follower: Follower | None
) -> Iterator[StepResult]:
    """Run each step where it belongs: here, or where git has its files."""
    if follower is None:
        yield from engine.execute(prepared)
        return
    pairs = zip(plan.steps, prepared, strict=True)
    for is_half, group in groupby(pairs, lambda pair: pair[0].entry.state in HALVES):
        steps = [one for _, one in group]
        yield from follower.execute(steps) if is_half else engine.execute(steps)


def _failed(prepared: Sequence[Prepared], done: int, follower: Follower | None) -> Prepared | None:
    """Return the step that failed: of several that are one unit not the first that is not done."""
    if follower is not None and follower.failed is not None:
        return follower.failed
    return prepared[done] if done < len(prepared) else None


def _current_after(seen: Survey, results: list[StepResult]) -> Version | None:
    versions = {entry.version for entry in seen.entries if entry.applied}
    for result in results:
        if result.direction == "up":
            versions.add(result.version)
        else:
            versions.discard(result.version)
    return max(versions, default=None)
