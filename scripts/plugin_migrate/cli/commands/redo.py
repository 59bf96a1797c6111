"""``redo``: roll the last migrations back and apply the same ones again."""

from __future__ import annotations

from .migrate import tell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...plan import Entry, Plan
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
    return tell(invocation, workspace, done, progress.names_steps_on_screen)
