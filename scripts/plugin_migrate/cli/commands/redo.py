"""``redo``: roll the last migrations back and apply the same ones again."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...operations.migrate import Run
    from ...plan import Entry, Plan
    from ...workspace import Workspace
    from ..invocation import Invocation


def run_redo(invocation: Invocation) -> int:
    """Roll migrations back and apply them again."""
    from ...operations.redo import dry_run, redo
    from ...render import runs
    from ..options import step_count
    from ..output import stdout_kept_clean
    from ..progress import RunProgress

    options = invocation.options
    count = 1 if options.target is None else step_count(options.target, "redo")
    workspace = invocation.workspace()

    def check(entries: tuple[Entry, ...], plan: Plan) -> None:
        if workspace.source is not None:
            from ..all_sources import refuse_unmet

            refuse_unmet(invocation, workspace, entries, plan)

    if options.dry_run:
        planned = dry_run(workspace, count, check)
        invocation.output.result(
            lambda style: runs.redo_dry_run_text(planned, style, options.verbose),
            lambda: runs.redo_dry_run_json(planned, options.verbose),
        )
        return 0
    progress = RunProgress(invocation.aside, invocation.style_aside, options.verbose)
    with stdout_kept_clean(), progress:
        done = redo(
            workspace,
            count,
            invocation.done_by,
            progress,
            invocation.lock_timeout(workspace),
            check,
            with_backup=not options.no_backup,
        )
    return _tell(invocation, workspace, done, progress.names_steps_on_screen)


def _tell(
    invocation: Invocation, workspace: Workspace, done: tuple[Run, ...], is_named: bool
) -> int:
    from ...render import runs
    from ..output import print_cause

    last = done[-1]
    if last.error is None:
        invocation.output.result(
            lambda style: runs.redo_text(done, style, is_named), lambda: runs.redo_json(done)
        )
        return 0
    told = done if last.results else done[:-1]
    if told and not invocation.output.is_json:
        invocation.output.result(lambda style: runs.redo_text(told, style, is_named), dict)
    invocation.output.failure(
        last.error,
        lambda style: runs.failure_text(last, workspace.shown, style),
        lambda: runs.redo_json(done),
        workspace.shown,
    )
    if invocation.options.verbose:
        print_cause(last.error)
    return last.error.exit_code
