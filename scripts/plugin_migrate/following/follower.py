"""Running the steps whose files git has brought or taken, for their database half alone."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress

from ..engine import recovery
from ..engine.failure import not_carried_out, note_failure
from ..engine.transaction import make_ledger
from ..errors import (
    HistoryLacksTree,
    MigrateError,
    Unpublished,
    WouldDropRows,
)
from ..ledger.record import standing
from ..report import Reporter, StepResult
from ..sandbox.live_paths import name_live
from ..storage.live_database import LiveDatabase
from ..workspace import Workspace
from .choices import Choices
from .files import Chooser
from .loss import refuse_loss
from .shadow import Shadow, shadow_for
from .unit import publish
from .walk import Walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..engine.backup import StepKeeper
    from ..engine.prepare import Prepared
    from ..ledger.read import Ledger
    from ..plan import KnownRecord
    from ..sandbox.signals import Signals
    from ..way_back.keeper import WayBackKeeper


class Follower:
    """Runs steps on files from git's history, and keeps what they make of the databases.

    Parameters:
        workspace: whose run lock the caller holds.
        done_by: who runs this, for the ledger.
        signals: requests to stop.
        reporter: hears of every step.
        backup: keeps what the steps are about to change.
        ways_back: keeps what takes back those steps that no down takes back.
        ledger: what the state's ledger says.
        choices: what the user has decided.

    ``has_changed`` tells whether anything durable has happened; ``failed`` is the step that failed.
    """

    def __init__(
        self,
        workspace: Workspace,
        done_by: str,
        signals: Signals,
        reporter: Reporter,
        backup: StepKeeper,
        ways_back: WayBackKeeper,
        ledger: Ledger,
        choices: Choices,
    ) -> None:
        self.has_changed = False
        self.failed: Prepared | None = None
        self._workspace = workspace
        self._done_by = done_by
        self._signals = signals
        self._reporter = reporter
        self._backup = backup
        self._ways_back = ways_back
        self._recorded = ledger.recorded
        self._may_drop = choices.may_drop
        self._chooser = Chooser(workspace, choices.files_from, ledger.recorded.values())
        self._open = ExitStack()
        self._walk: Walk | None = None

    def execute(self, steps: Sequence[Prepared]) -> Iterator[StepResult]:
        """Run ``steps`` in order as one unit, and yield the results once they are durable.

        Raises:
            HistoryLacksTree: the files that a step needs cannot be found.
            WouldDropRows: a rollback would drop what no commit has.
            StepFailed and other MigrateErrors: as for the engine. None of the steps has happened.
        """
        started = time.perf_counter()
        self.failed = steps[0]
        try:
            results = self._run(steps)
        except Unpublished:
            self.has_changed = True  # its backup is needed
            raise
        except MigrateError as error:
            duration = round((time.perf_counter() - started) * 1000)
            self._explain(error)
            self._note_failure(self.failed, error, duration)
            raise
        except OSError as error:
            raise not_carried_out(error) from error
        self.has_changed, self.failed = True, None
        for result in results:
            self._reporter.finished(result)
            yield result

    def close(self) -> None:
        """Remove the shadow."""
        with suppress(OSError):
            self._open.close()

    def _run(self, steps: Sequence[Prepared]) -> list[StepResult]:
        make_ledger(self._workspace)
        if self._walk is None:
            made = shadow_for(self._workspace, self._chooser.repository)
            self._walk = self._new_walk(self._open.enter_context(made))
        walk = self._walk
        known = [(prepared, self._record_of(prepared)) for prepared in steps]
        state = LiveDatabase(self._workspace.database)
        try:
            walk.begin(state)
            results = [self._step(walk, prepared, record) for prepared, record in known]
            if steps[0].direction == "down" and not self._may_drop:
                refuse_loss(walk, known, self._chooser, self._new_walk)
            notes = (
                {}
                if steps[0].direction == "down"
                else {one.version: record for one, record in known}
            )
            publish(walk, state, steps[-1], notes, self._done_by, self._backup, self._signals)
        finally:
            state.close()
        return [result._replace(is_half=True) for result in results]

    def _step(self, walk: Walk, prepared: Prepared, record: KnownRecord) -> StepResult:
        self._signals.release()
        if self._signals.received is not None:
            raise self._signals.as_error(None)
        self.failed = prepared
        return walk.run(prepared, record, _Waiting(self._reporter))

    def _new_walk(self, shadow: Shadow) -> Walk:
        return Walk(shadow, self._chooser, self._done_by, self._signals, self._ways_back)

    def _record_of(self, prepared: Prepared) -> KnownRecord:
        if prepared.direction == "up":
            return standing(self._workspace, prepared.migration.stem)
        return self._recorded[prepared.version]

    def _explain(self, error: MigrateError) -> None:
        """Let an error speak of the state that the user knows."""
        if self._walk is not None:
            name_live(error, self._walk.shadow.workspace)
            self._walk.lose_its_way()
        if (
            error.file is None
            and self.failed is not None
            and not isinstance(error, HistoryLacksTree | WouldDropRows)
        ):
            error.file = self.failed.migration.path

    def _note_failure(self, prepared: Prepared, error: MigrateError, duration_ms: int) -> None:
        with self._signals.held():
            note_failure(self._workspace, self._done_by, prepared, error, duration_ms)
            with suppress(MigrateError, OSError):
                recovery.recover(self._workspace, self._done_by)


class _Waiting(Reporter):
    """Passes on what a step tells, but for its end, which is not durable yet."""

    def __init__(self, reporter: Reporter) -> None:
        self.started = reporter.started  # type: ignore[method-assign]
        self.log = reporter.log  # type: ignore[method-assign]
        self.progress = reporter.progress  # type: ignore[method-assign]
