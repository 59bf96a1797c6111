"""Rolling the last migrations back and applying the same ones again, as one command."""

from __future__ import annotations

from collections.abc import Callable

from ..engine.prepare import prepare, refuse_unfilled
from ..plan import Entry, Plan, plan_redo
from ..report import Reporter
from ..survey import survey, survey_ahead
from ..workspace import Workspace
from .migrate import DryRun, Run, execute
from .writing import recovered, writing

# Is given the entries and a plan, and raises what forbids it.
Check = Callable[[tuple[Entry, ...], Plan], None]


def dry_run(workspace: Workspace, count: int, check: Check) -> tuple[DryRun, DryRun]:
    """Return the plans of a redo, the way back and the way forth, checked; executes nothing.

    Raises:
        MigrateError: what the real run would say before its first step.
    """
    seen = survey_ahead(workspace)
    back, forth = plan_redo(seen.entries, count)
    for plan in (back, forth):
        check(seen.entries, plan)
    rolled_back, applied = prepare(workspace, back), prepare(workspace, forth)
    refuse_unfilled(applied)
    return DryRun(seen, back, rolled_back), DryRun(seen, forth, applied)


def redo(
    workspace: Workspace,
    count: int,
    done_by: str,
    reporter: Reporter,
    lock_timeout: float,
    check: Check,
    with_backup: bool = True,
) -> tuple[Run, ...]:
    """Roll the last ``count`` migrations back and apply them again, under one run lock.

    Returns:
        The rollback, and the upgrade if there was one: a rollback that fails is the last.

    Raises:
        MigrateError: nothing was run.
    """
    with writing(workspace, "redo", lock_timeout) as signals:
        seen = recovered(workspace, done_by)
        back, forth = plan_redo(seen.entries, count)
        for plan in (back, forth):
            check(seen.entries, plan)
        # What cannot be applied again must not be rolled back first.
        refuse_unfilled(prepare(workspace, forth))
        if not back.steps:
            return (Run(seen, back, (), 0.0, seen.current),)
        rest = (done_by, reporter, signals, with_backup)
        undone = execute(seen, back, "redo", *rest)
        if undone.error is not None:
            return (undone,)
        return undone, execute(survey(workspace), forth, "redo", *rest)
