"""What each command does, from options to a result; prints nothing and never exits."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
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
    from .recovery import Unsettled


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
class Preview:
    """A plan that was made and checked, and not run."""

    look: Look
    plan: Plan
    prepared: tuple[Prepared, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """What one upgrade or downgrade did.

    ``failed`` is the step that ``error`` stopped; the ``results`` before it stay. ``current`` is
    the highest applied version afterwards.
    """

    look: Look
    plan: Plan
    results: tuple[StepResult, ...]
    duration: float
    current: Version | None
    error: MigrateError | None = None
    failed: Prepared | None = None


@dataclass(frozen=True, slots=True)
class Repaired:
    """What a repair settled, or, with nothing decided, what there is to decide."""

    problems: tuple[Unsettled, ...]
    started: Mapping[Version, str]
    settled: bool


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


def dry_run(workspace: Workspace, planner: Planner) -> Preview:
    """Return the plan of a run with its steps checked; executes nothing.

    Raises:
        MigrateError: what the real run would say before its first step.
    """
    from .prepare import prepare

    seen = look(workspace)
    plan = planner(seen.entries)
    return Preview(seen, plan, prepare(workspace, plan))


def run(
    workspace: Workspace,
    planner: Planner,
    command: str,
    done_by: str,
    reporter: Reporter,
    lock_timeout: float,
) -> Run:
    """Recover, plan and execute under the run lock.

    Parameters:
        planner: from the entries to the plan, so that it sees the state after recovery.
        command: told to whoever waits for the lock.
        done_by: for the ledger.
        reporter: hears of every step.
        lock_timeout: seconds to wait for another run.

    Raises:
        MigrateError: nothing was run. A failure of a step is part of the result instead.
    """
    from . import recovery
    from .engine import Engine
    from .lock import run_lock
    from .prepare import prepare
    from .signals import Signals

    signals = Signals()
    with signals.caught(), run_lock(workspace, command, lock_timeout):
        recovery.refuse(recovery.recover(workspace, done_by))
        seen = look(workspace)
        plan = planner(seen.entries)
        prepared = prepare(workspace, plan)
        results: list[StepResult] = []
        error: MigrateError | None = None
        started = time.perf_counter()
        try:
            results.extend(Engine(workspace, done_by, signals, reporter).execute(prepared))
        except MigrateError as caught:
            error = caught
        duration = time.perf_counter() - started
    return Run(
        seen,
        plan,
        tuple(results),
        duration,
        _current_after(seen, results),
        error,
        prepared[len(results)] if error is not None and len(results) < len(prepared) else None,
    )


def _current_after(seen: Look, results: list[StepResult]) -> Version | None:
    versions = {entry.version for entry in seen.entries if entry.applied}
    for result in results:
        if result.direction == "up":
            versions.add(result.version)
        else:
            versions.discard(result.version)
    return max(versions, default=None)
