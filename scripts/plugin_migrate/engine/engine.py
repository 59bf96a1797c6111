"""Executes prepared steps, each as one all-or-nothing unit over database, files and ledger.

The order of events is the design's commit protocol: stage, begin, run, compare, write the redo
log, commit, publish. Before the commit nothing has happened; after it everything will.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial

from ..errors import DatabaseReplaced, EditedMeanwhile, MigrateError, StepFailed, Unpublished
from ..languages.foreign_key_mode import ForeignKeyMode
from ..ledger.read import Ledger
from ..ledger.write import LedgerWriter
from ..platform.moving import discard
from ..report import Reporter, StepResult
from ..sandbox.context import Context
from ..sandbox.file_watch import confined
from ..sandbox.kept_processes import KeptProcesses
from ..sandbox.live_paths import name_live
from ..sandbox.signals import Signals, Stop
from ..storage import sqlite
from ..workspace import Workspace
from .failure import failure_of, note_failure
from .prepare import Prepared, count_shareable, result_of
from .transaction import Transaction, in_own_transaction, make_ledger

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..sandbox.staging import Staging
    from ..storage.nodes import PathChange
    from ..way_back.keeper import WayBackKeeper
    from .backup import StepKeeper
    from .redo_log import Log, Manifest
    from .side_database import SideDatabase


# How long several database-only steps may share one transaction, in seconds. Long enough to save
# most of the syncs, short enough that little is undone with the last one.
_SHARED_SECONDS = 0.1
# And how many: each transaction asks the ledger for all that may run in it.
_SHARED_STEPS = 500
# How often a step on the user's folder is run again.
_MORE_TRIES = 4


class Engine:
    """Runs steps on one workspace, whose run lock the caller holds.

    Parameters:
        workspace: the state to change.
        done_by: who runs this, for the ledger.
        signals: requests to stop.
        reporter: hears of every step.
        backup: keeps what each step is about to change, as a run's backup does.
        ways_back: keeps what takes back those steps that no down takes back.
        ledger: what has been read of the ledger since the lock is held, if anything.

    ``has_changed`` tells whether anything durable has happened; ``written`` holds the lower-case
    names of the state database's tables that steps wrote, or ``None`` once that is unknown. One
    staged copy serves every :meth:`execute`, until :meth:`close`.
    """

    def __init__(
        self,
        workspace: Workspace,
        done_by: str,
        signals: Signals,
        reporter: Reporter,
        backup: StepKeeper,
        ways_back: WayBackKeeper,
        ledger: Ledger | None = None,
    ) -> None:
        self.has_changed = False
        self.written: frozenset[str] | None = frozenset()
        self._backup = backup
        self._ways_back = ways_back
        self._workspace = workspace
        self._done_by = done_by
        self._signals = signals
        self._reporter = reporter
        self._has_ledger = ledger is not None and ledger.is_ready
        self._staging: Staging | None = None
        self._kept_processes = KeptProcesses()

    def execute(self, steps: Sequence[Prepared]) -> Iterator[StepResult]:
        """Run ``steps`` in order and yield each result once it is durable.

        Raises:
            StepFailed and other MigrateErrors: the step was undone and the failure is in the
                history; the steps yielded before stay.
            Interrupted: a signal arrived; the running step was undone.
        """
        left = list(steps)
        self._ways_back.begin(left)
        try:
            if left and not self._has_ledger:
                make_ledger(self._workspace)
                self._has_ledger = True
            while left:
                # Held from each commit to here, so that no signal comes between a step that has
                # happened and its being told.
                self._signals.release()
                self._stop_if_asked()
                results = self._run_next(left)
                del left[: len(results)]
                for result in results:
                    self._reporter.finished(result)
                    yield result
        except Unpublished:
            # Committed all the same: its backup is needed.
            self.has_changed, self.written = True, None
            raise

    def take_written(self) -> frozenset[str] | None:
        """Return ``written`` and begin it again."""
        written, self.written = self.written, frozenset()
        return written

    def close(self) -> None:
        """End what served several steps, and remove the staged copy."""
        self._kept_processes.close()
        with suppress(OSError):
            discard(self._workspace.scratch)

    def _run_next(self, left: list[Prepared]) -> list[StepResult]:
        shareable = count_shareable(left[:_SHARED_STEPS], self._ways_back.keeps)
        if shareable > 1:
            results = self._run_shared(left[:shareable])
            if results:
                return results
        return [self._run_one(left[0])]

    # --- several database-only steps in one transaction ------------------------------------------

    def _run_shared(self, steps: Sequence[Prepared]) -> list[StepResult]:
        """Run as many steps as fit one short transaction.

        Returns:
            Their results, or nothing when any of them failed: then they run one at a time, which
            keeps the earlier ones and finds the error again (design, "Several database-only
            steps").
        """
        started = time.perf_counter()
        transaction = self._begin(steps)
        begun = time.perf_counter()
        # Beginning on a new connection parses the whole schema: with thousands of tables a fixed
        # time would leave room for fewer and fewer steps, and many migrations take quadratic time.
        deadline = begun + max(_SHARED_SECONDS, 4 * (begun - started))
        results = []
        try:
            for prepared in steps:
                duration = transaction.run(prepared, self._context(transaction, prepared))
                # After each, so that the verdict on a step does not depend on its company.
                transaction.check_foreign_keys(prepared.action.foreign_keys)
                transaction.record(prepared, duration)
                self._ways_back.settle(prepared, transaction)
                results.append(result_of(prepared, duration))
                if time.perf_counter() > deadline or transaction.authorizer.leaves_traces:
                    break
            transaction.require_recorded()
            self._signals.hold()
            transaction.commit()
            self._note_written(transaction)
        except (Unpublished, DatabaseReplaced):
            # They have happened, or the database is another one: nothing is to be run again.
            transaction.abandon()
            raise
        except (MigrateError, sqlite3.Error):
            transaction.abandon()
            self._signals.release()
            self._stop_if_asked()
            return []
        except BaseException as error:
            transaction.abandon()
            if isinstance(error, Stop):
                raise self._signals.as_error(str(steps[0].version)) from None
            raise
        transaction.close()
        return results

    # --- one step as a unit of its own -----------------------------------------------------------

    def _run_one(self, prepared: Prepared) -> StepResult:
        self._reporter.started(prepared)
        started = time.perf_counter()
        try:
            if prepared.action.atomic:
                return self._run_at_rest(prepared)
            return self._run_unprotected(prepared)
        except Unpublished:
            raise
        except BaseException as error:
            from . import recovery

            with self._signals.held():
                duration = round((time.perf_counter() - started) * 1000)
                failure = failure_of(error, prepared, self._workspace, self._signals)
                staged = self._staging.claude if self._staging is not None else None
                name_live(failure, self._workspace, staged)
                if not isinstance(failure, DatabaseReplaced):  # the newcomer is left as it is
                    note_failure(self._workspace, self._done_by, prepared, failure, duration)
                # A handler deletes no redo log: it cannot know how far the commit came.
                with suppress(MigrateError, OSError):
                    recovery.recover(self._workspace, self._done_by)
                self._staging = None  # recovery has removed it
            if failure is error:
                raise  # with the cause that it has
            raise failure from error

    def _run_at_rest(self, prepared: Prepared) -> StepResult:
        """Run a step; of the user's folder again when the client, which runs, wrote there."""
        for _ in range(_MORE_TRIES if self._workspace.is_users else 0):
            with suppress(EditedMeanwhile):
                return self._run_unit(prepared)
            self._staging = None  # what the step did is in it
        return self._run_unit(prepared)

    def _run_unit(self, prepared: Prepared) -> StepResult:
        """Take one step through the commit protocol; the numbers are the design's clauses.

        The first, the run lock, is the caller's.
        """
        # 2. Stage, before any database lock.
        staging = self._stage() if prepared.action.touches_files else None
        # 3. Begin, and run.
        transaction = self._begin([prepared])
        context = self._context(transaction, prepared, staging)
        try:
            with confined(self._workspace, staging.project if staging else None):
                duration = transaction.run(prepared, context)
            # A migration that catches everything has caught the signal as well.
            self._signals.check()
            # 4. Compare.
            changes = _changes(staging, context)
            if staging is not None:
                changes |= transaction.record_beside_files(prepared, staging, changes)
            # What of 6 can refuse the step, before anything is written for it.
            transaction.record(prepared, duration)
            transaction.require_recorded()
            transaction.check_foreign_keys(prepared.action.foreign_keys)
            self._ways_back.settle(prepared, transaction, changes, context.side_databases.values())
            # 5. Redo log, and what the run's backup keeps of the same paths.
            written = self._write_log(prepared, changes, context)
            # 6. Commit: the instant at which the step happens.
            self._signals.hold()
            arrived = self._commit(transaction, context, written)
            # Publishing may open what is not in place yet, and closing that again would drop the
            # locks of a connection to it (https://www.sqlite.org/howtocorrupt.html, 2.2).
            context.close_databases()
            # 7. Publish.
            self._publish(written, arrived)
        except BaseException:
            transaction.abandon()
            raise
        finally:
            context.close_databases()
        return result_of(prepared, duration)

    def _commit(
        self,
        transaction: Transaction,
        context: Context,
        written: tuple[Log, Manifest] | None,
    ) -> frozenset[str]:
        """Commit; return the further databases that have been published with it."""
        is_committed = False
        changed: frozenset[str] = frozenset()
        if written is not None:
            from .recovery import publish_row

            changed = frozenset(entry.path for entry in written[1].databases)
            transaction.ledger.add_publish(publish_row(self._workspace, written[1]))

        def commit() -> None:
            nonlocal is_committed
            transaction.commit()
            is_committed = True
            self._note_written(transaction)

        commit_all: Callable[[], None] = commit
        for side in reversed(context.side_databases.values()):
            if side.path in changed:  # it is locked, then the next one, and all of them finish
                commit_all = partial(side.publish_around, commit_all)
        try:
            commit_all()
        except Exception:
            if not is_committed:
                raise
            # Publishing goes on below, where a failure is reported for what it is.
            return frozenset()
        finally:
            if is_committed:
                transaction.close()
        return changed

    def _publish(self, written: tuple[Log, Manifest] | None, arrived: frozenset[str]) -> None:
        if written is not None:
            from .recovery import publish_committed

            publish_committed(self._workspace, self._done_by, *written, arrived)

    def _write_log(
        self, prepared: Prepared, changes: Mapping[PathChange, str], context: Context
    ) -> tuple[Log, Manifest] | None:
        """Bring redo log and backup to the disk; ``None`` if only the database has changed."""
        sides = [side for side in context.side_databases.values() if side.has_changed]
        if not changes and not sides:
            return None
        from .redo_log import write_log

        log, manifest = write_log(self._workspace, prepared, changes, sides)
        self._backup.add_files(changes)
        for entry in manifest.databases:
            self._backup.add_database(entry.path, entry.after)
        self._backup.commit()
        return log, manifest

    def _run_unprotected(self, prepared: Prepared) -> StepResult:
        """Run a ``transaction:false`` step: what its statements did stays, whatever happens.

        History gets a ``started`` row first; while no other row follows it, the step is
        interrupted until the user says which way it went.
        """
        self.has_changed, self.written = True, None
        fields = (prepared.version, prepared.description)
        self._note(lambda ledger: ledger.log(prepared.direction, "started", *fields))
        started = time.perf_counter()
        path = self._workspace.database
        patience = sqlite.WRITE_PATIENCE
        connection = sqlite.connect(path, sqlite3.Connection, patience, options="mode=rw")
        connection.set_progress_handler(self._signals.interrupts_sqlite, 50_000)
        try:
            prepared.action.run(Context(connection))
            if connection.in_transaction:
                raise StepFailed("The migration leaves a transaction open; end it with COMMIT")
        finally:
            connection.close()
        duration = round((time.perf_counter() - started) * 1000)
        self._signals.hold()
        transaction = self._begin([prepared])
        try:
            transaction.record(prepared, duration)
            self._ways_back.mark_unprotected(prepared, transaction)
            transaction.require_recorded()
            transaction.commit()
        except BaseException:
            transaction.abandon()
            raise
        transaction.close()
        return result_of(prepared, duration)

    # --- parts -----------------------------------------------------------------------------------

    def _begin(self, steps: Sequence[Prepared]) -> Transaction:
        enforced = steps[0].action.foreign_keys is ForeignKeyMode.ENFORCED
        return Transaction(self._workspace, self._done_by, self._signals, steps, enforced)

    def _stage(self) -> Staging:
        """Return the staged copy, equal to the live state."""
        from ..sandbox.staging import Staging

        if self._staging is None:
            folder = os.path.join(self._workspace.scratch, secrets.token_hex(8))
            self._staging = Staging(self._workspace, folder)
        self._staging.refresh()
        return self._staging

    def _context(
        self, transaction: Transaction, prepared: Prepared, staging: Staging | None = None
    ) -> Context:
        return Context(
            transaction.connection,
            self._workspace,
            staging,
            self._workspace.scratch,
            lambda text: self._reporter.log(prepared, text),
            lambda done, total: self._reporter.progress(prepared, done, total),
            self._kept_processes,
            _open_database,
        )

    # --- what is noted on the way --------------------------------------------------------------

    def _note(self, write: Callable[[LedgerWriter], None]) -> None:
        in_own_transaction(self._workspace, self._done_by, write)

    def _note_written(self, transaction: Transaction) -> None:
        self.has_changed = True
        if self.written is not None:
            self.written |= {table.lower() for table in transaction.written}

    def _stop_if_asked(self) -> None:
        if self._signals.received is not None:
            raise self._signals.as_error(None)


def _changes(staging: Staging | None, context: Context) -> dict[PathChange, str]:
    if staging is None and not context.side_databases:
        return {}
    from .compare import changes_of

    return changes_of(staging, context)


def _open_database(path: str, live: str, copy: str) -> SideDatabase:
    from .side_database import SideDatabase

    return SideDatabase(path, live, copy)
