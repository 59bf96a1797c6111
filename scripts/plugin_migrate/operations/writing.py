"""What every command that may write does first: take the lock, catch signals, clean up."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import Busy, MigrateError, NeedsRepair, Place
from ..ledger.read import Ledger, read_ledger
from ..storage import sqlite
from ..survey import Survey, survey, survey_by
from ..workspace import Workspace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..sandbox.signals import Signals


@contextmanager
def writing(workspace: Workspace, command: str, lock_timeout: float) -> Iterator[Signals]:
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


def recovered(workspace: Workspace, done_by: str) -> Survey:
    """Finish what a killed command left, and return the state after that.

    Raises:
        NeedsRepair: something is left that only the user can decide.
    """
    settle_others(workspace, done_by)
    # By the ledger alone: a broken migration file must not stand in the way of recovery.
    ledger = read_ledger(workspace, sqlite.read_to_write)
    if not _left_behind(workspace, ledger):
        return survey_by(workspace, ledger)
    from ..engine import recovery

    recovery.refuse(workspace, recovery.recover(workspace, done_by))
    settle_backups(workspace)
    return survey(workspace)


def settle(workspace: Workspace, command: str, done_by: str, lock_timeout: float) -> None:
    """Finish what a killed command left, of whichever source, and do nothing else.

    Raises:
        NeedsRepair: something is left that only the user can decide.
    """
    with writing(workspace, command, lock_timeout):
        recovered(workspace, done_by)


def settle_others(workspace: Workspace, done_by: str) -> None:
    """Finish what killed commands left of other sources, which share the files.

    Raises:
        NeedsRepair: something is left that only the user can decide.
    """
    if workspace.source is None and not os.path.isdir(workspace.sources):
        return  # as in most projects, which then need not import what follows
    from ..storage.translation import state_errors
    from ..storage.unfinished import left_behind

    for sibling in left_behind(workspace):
        from ..engine import recovery

        try:
            with state_errors():
                recovery.refuse(sibling, recovery.recover(sibling, done_by))
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


def settle_backups(workspace: Workspace) -> None:
    """Bring what killed runs kept in line with what came of them; recovery must be done."""
    if _has_unfinished_backups(workspace):
        from ..engine.backup import settle_killed
        from ..way_back.keeper import WayBackKeeper

        # The other way round, a kill in between would leave nothing that asks for the second.
        WayBackKeeper(workspace, None).prune()
        settle_killed(workspace)
