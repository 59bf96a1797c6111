"""What ended a step: as an error that says what happened, and as a row of the history."""

from __future__ import annotations

import sqlite3
from contextlib import suppress

from ..errors import MigrateError, StateUnreadable, StepFailed
from ..platform import system
from ..sandbox.signals import Signals, Stop
from ..storage import sqlite
from ..storage.translation import file_of
from ..workspace import Workspace
from .prepare import Prepared
from .transaction import in_own_transaction


def failure_of(
    error: BaseException, prepared: Prepared, workspace: Workspace, signals: Signals
) -> MigrateError:
    """Return the typed error for whatever ended a step; what is a fault of ours is raised as it is.

    Parameters:
        workspace: where the step ran.
        signals: one that arrived is what ended it, whatever it made of that.
    """
    if signals.received is not None and isinstance(
        # The last two: a statement that the progress handler ended.
        error,
        (Stop, StepFailed, sqlite3.Error),
    ):
        return signals.as_error(str(prepared.version))
    if isinstance(error, MigrateError):
        if error.file is None:
            error.file = prepared.migration.path
        return error
    if isinstance(error, sqlite3.Error):
        return sqlite.unreadable(workspace.database, error)
    if isinstance(error, OSError):
        return not_carried_out(error)
    raise error


def not_carried_out(error: OSError) -> StateUnreadable:
    """Return the error for a step that the system did not let happen."""
    return StateUnreadable(
        f"The step could not be carried out: {system.reason_of(error)}",
        file=file_of(error),
        hint="Check permissions and free space, then run the command again.",
    )


def note_failure(
    workspace: Workspace,
    done_by: str,
    prepared: Prepared,
    failure: MigrateError,
    duration_ms: int,
) -> None:
    """Keep in the history that a step failed, if that can be written: the failure matters more."""
    outcome = "failed"
    if not prepared.action.atomic:
        completed = getattr(failure, "completed", None)
        # Some statements took effect: only the user knows whether that is all of the step.
        outcome = "failed" if completed == 0 else "started"
    fields = (prepared.version, prepared.description, duration_ms, failure.message)
    with suppress(MigrateError, OSError):
        in_own_transaction(
            workspace, done_by, lambda ledger: ledger.log(prepared.direction, outcome, *fields)
        )
