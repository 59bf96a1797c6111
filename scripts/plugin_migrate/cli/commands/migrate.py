"""Commands that apply migrations and roll them back, of one source or of several."""

from __future__ import annotations

from functools import partial

from ...errors import Call, MigrateError, UsageError
from ...version import Version
from ..output import print_cause

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterable, Sequence

    from ...following.choices import Choices
    from ...operations.migrate import Run
    from ...plan import Entry, Plan, TakeBack
    from ...survey import Planner
    from ...workspace import Workspace
    from ..all_sources import Source, Turn
    from ..invocation import Invocation


def run_upgrade(invocation: Invocation) -> int:
    """Apply pending migrations."""
    from ...plan import plan_upgrade
    from ..options import upgrade_target

    options = invocation.options
    strict = options.strict
    if options.all:
        return _upgrade_all(invocation)
    target, count = upgrade_target(options.target)
    return _migrate_one(invocation, lambda entries: plan_upgrade(entries, target, strict, count))


def _upgrade_all(invocation: Invocation) -> int:
    from ...plan import plan_upgrade
    from ...survey import survey_ahead
    from .. import all_sources

    options = invocation.options
    _refuse_for_all(invocation)
    if options.target is not None:
        raise UsageError(
            "--all takes no version: every source has its own",
            hint="Say which source: plugin-migrate upgrade X.Y.Z --plugin NAME",
        )
    strict = options.strict
    sources = all_sources.all_sources(invocation)
    turns = all_sources.upgrade_turns(sources, lambda entries: plan_upgrade(entries, None, strict))
    if options.dry_run or options.preview:
        turns = tuple(dict(turns).items())  # each source once and by itself, as far as it goes

    def upgrade(workspace: Workspace, last: Version | None) -> int:
        if options.preview:
            all_sources.refuse_unrehearsable(invocation, workspace, survey_ahead(workspace).entries)
        return _migrate(invocation, workspace, lambda entries: plan_upgrade(entries, last, strict))

    invocation.output.share_document()
    return all_sources.in_turn(invocation, (*all_sources.idle(sources, turns), *turns), upgrade)


def run_downgrade(invocation: Invocation) -> int:
    """Roll migrations back."""
    from ...plan import TakeBack, plan_downgrade
    from ..options import step_count

    given = invocation.options.target
    chosen = invocation.options.changed_since
    if chosen == "all" and invocation.options.no_backup:
        raise UsageError("--changed-since=all makes a backup first: leave --no-backup out")
    take_back = TakeBack(chosen or "leave")
    target, count = None, None
    if given is not None and "." in given:
        target = Version.parse(given)
    elif given is not None:
        count = step_count(given, "downgrade")
    if invocation.options.all:
        return _downgrade_all(invocation, target, count, take_back)
    return _migrate_one(
        invocation, lambda entries: plan_downgrade(entries, target, count, take_back)
    )


def _downgrade_all(
    invocation: Invocation, target: Version | None, count: int | None, take_back: TakeBack
) -> int:
    from ...plan import NOTHING, plan_downgrade
    from .. import all_sources

    _refuse_for_all(invocation)
    if target not in (None, NOTHING):
        raise UsageError(
            "--all takes a number of steps or 0.0.0: every source has its own versions",
            hint="Say which source: plugin-migrate downgrade X.Y.Z --plugin NAME",
        )

    def plan(entries: tuple[Entry, ...]) -> Plan:
        applied = sum(entry.applied is not None for entry in entries)
        steps = None if count is None else min(count, applied)
        return plan_downgrade(entries, target, steps or None, take_back)

    sources = all_sources.all_sources(invocation)
    turns = all_sources.downgrade_turns(invocation, sources, plan)
    invocation.output.share_document()
    return all_sources.in_turn(
        invocation,
        (*all_sources.idle(sources, turns), *turns),
        lambda workspace, _: _migrate(invocation, workspace, plan),
    )


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


def run_sync(invocation: Invocation) -> int:
    """Bring the state in step with the files: git's, and those of the installed plugins."""
    from ...following.plans import after_rollback, plan_back_to_files, plan_catching_up
    from ...operations.writing import settle
    from ...plan import plan_upgrade
    from ...render.runs import in_step_json, in_step_text
    from ...survey import survey_ahead
    from .. import all_sources

    plugins = all_sources.chosen_plugins(invocation)
    own = all_sources.followed(invocation.own()) if invocation.chooses_none else ()
    kept = _code_of(own)
    if invocation.options.files_from or invocation.options.drop_rows:
        seen = [survey_ahead(source.workspace) for source in (*own, *plugins)]
        _refuse_needless(invocation, [entry for one in seen for entry in one.entries])

    def own_back(entries: tuple[Entry, ...]) -> Plan:
        return plan_back_to_files(entries, kept)

    # In the real run the rollback has happened by then, and this changes nothing.
    def own_forward(entries: tuple[Entry, ...]) -> Plan:
        return plan_catching_up(after_rollback(entries, own_back(entries)))

    def forward(entries: tuple[Entry, ...]) -> Plan:
        return plan_upgrade(after_rollback(entries, plan_back_to_files(entries)))

    def in_step(workspace: Workspace, _last: Version | None) -> int:
        if not invocation.options.dry_run:
            settle(workspace, "sync", invocation.done_by, invocation.lock_timeout(workspace))
        invocation.output.result(in_step_text, in_step_json)
        return 0

    invocation.output.share_document()
    busy: list[Turn] = []
    for sources, planner, turns_of in (
        (own, own_back, _turns_back),
        (plugins, plan_back_to_files, _turns_back),
        (own, own_forward, _turns_forth),
        (plugins, forward, _turns_forth),
    ):
        turns = turns_of(invocation, sources, planner)
        busy += turns
        code = all_sources.in_turn(invocation, turns, partial(_migrate_turn, invocation, planner))
        if code:
            return code
    idle = all_sources.idle((*own, *plugins), busy)
    return all_sources.in_turn(invocation, idle, in_step)


def _turns_back(
    invocation: Invocation, sources: Sequence[Source], planner: Planner
) -> tuple[Turn, ...]:
    from .. import all_sources

    return all_sources.downgrade_turns(invocation, sources, planner)


def _turns_forth(
    _invocation: Invocation, sources: Sequence[Source], planner: Planner
) -> tuple[Turn, ...]:
    from .. import all_sources

    return all_sources.upgrade_turns(sources, planner)


def _migrate_turn(
    invocation: Invocation, planner: Planner, workspace: Workspace, _last: Version | None
) -> int:
    return _migrate(invocation, workspace, planner)


def _code_of(own: Sequence[Source]) -> frozenset[Version]:
    """Return the applied migrations that git may have taken files of without a record of it.

    They were applied before there were records: only who applied them knows.
    """
    from ...ledger.read import read_headers

    return frozenset(
        Version.parse(version)
        for source in own
        for version, header in read_headers(source.workspace).items()
        if header.language != "sql"
    )


def _migrate_one(invocation: Invocation, planner: Planner) -> int:
    """Migrate the one source that was chosen, if what its migrations require is there."""
    workspace = invocation.workspace()

    def plan(entries: tuple[Entry, ...]) -> Plan:
        made = planner(entries)
        _refuse_needless(invocation, [step.entry for step in made.steps])
        if _concerns_others(workspace, made):
            from ..all_sources import refuse_unmet

            refuse_unmet(invocation, workspace, entries, made)
        return made

    return _migrate(invocation, workspace, plan)


def _choices(options: Namespace) -> Choices:
    from ...following.choices import Choices

    return Choices(options.files_from, options.drop_rows)


def _refuse_needless(invocation: Invocation, entries: Iterable[Entry]) -> None:
    """Refuse decisions that nothing asks for.

    Raises:
        UsageError: git has brought or taken nothing of ``entries``.
    """
    from ...plan import HALVES

    options = invocation.options
    given = "--files-from" if options.files_from else "--drop-rows" if options.drop_rows else ""
    if given and not any(entry.state in HALVES for entry in entries):
        raise UsageError(
            f"{given} is for what git has brought or taken, and none of that is due",
            hint=("See: ", Call("status")),
        )


def _refuse_for_all(invocation: Invocation) -> None:
    if invocation.options.files_from or invocation.options.drop_rows:
        raise UsageError(
            "--files-from and --drop-rows decide for one source, and --all means every source",
            hint="Say which source: --plugin NAME; without it, the project's own.",
        )


def _concerns_others(workspace: Workspace, plan: Plan) -> bool:
    """Return whether other sources have to be read before a plan may run."""
    if plan.direction == "down":
        return workspace.source is not None and bool(plan.steps)
    if any(workspace.roots) and plan.steps:
        return True  # what `state:` names may be another's
    migrations = [step.entry.migration for step in plan.steps]
    return any(migration and "requires" in (migration.text or "") for migration in migrations)


def _migrate(
    invocation: Invocation, workspace: Workspace, planner: Planner, with_backup: bool = False
) -> int:
    """Migrate one source; ``with_backup`` also where the options say otherwise."""
    from ...operations.migrate import dry_run, run
    from ...render import runs
    from ..output import stdout_kept_clean
    from ..progress import RunProgress

    options = invocation.options
    if options.dry_run:
        planned = dry_run(workspace, planner)
        invocation.output.result(
            lambda style: runs.dry_run_text(planned, style, options.verbose),
            lambda: runs.dry_run_json(planned, options.verbose),
        )
        return 0
    if options.preview:
        return _preview(invocation, workspace, planner)
    progress = RunProgress(invocation.aside, invocation.style_aside, options.verbose)
    with stdout_kept_clean(), progress:
        done = run(
            workspace,
            planner,
            options.command,
            invocation.done_by,
            progress,
            invocation.lock_timeout(workspace),
            with_backup=with_backup or not options.no_backup,
            choices=_choices(options),
        )
    return _tell(invocation, workspace, (done,), progress.names_steps_on_screen)


def _tell(invocation: Invocation, workspace: Workspace, done: Sequence[Run], is_named: bool) -> int:
    """Tell what the runs of one command did, of which the last may have failed.

    Parameters:
        is_named: whether the steps' names are on the screen already.

    Returns:
        The exit code.
    """
    from ...render import runs
    from .taking_back import planner_of_the_rest

    last = done[-1]
    if last.error is None:
        invocation.output.result(
            lambda style: runs.runs_text(done, style, is_named), lambda: runs.runs_json(done)
        )
        return 0
    if last.failed is not None and last.failed.from_ledger:
        invocation.add_way_back(workspace, last.error)
    took_steps = [run for run in done if run.results]
    if took_steps and not invocation.output.is_json:
        invocation.output.result(lambda style: runs.runs_text(took_steps, style, is_named), dict)
    invocation.output.failure(
        last.error,
        lambda style: runs.failure_text(last, workspace.shown, style),
        lambda: runs.runs_json(done),
        workspace.shown,
    )
    rest = planner_of_the_rest(invocation, last)
    if rest is not None:
        return _migrate(invocation, workspace, rest, with_backup=True)
    return _failed(invocation, last.error)


def _preview(invocation: Invocation, workspace: Workspace, planner: Planner) -> int:
    from ...rehearsal.preview import preview
    from ...render import rehearsal, runs
    from ..output import stdout_kept_clean
    from ..progress import Progress

    progress = Progress(invocation.aside, invocation.style_aside)
    with stdout_kept_clean(), progress:
        options = invocation.options
        rehearsed = preview(workspace, planner, options.command, progress, _choices(options))
    error = rehearsed.run.error
    if error is None or not invocation.output.is_json:
        invocation.output.result(
            lambda style: rehearsal.preview_text(rehearsed, workspace.named, style),
            lambda: rehearsal.preview_json(rehearsed),
        )
    if error is None:
        return 0
    invocation.output.failure(
        error,
        lambda style: "\n" + runs.run_error_text(rehearsed.run, workspace.shown, style),
        lambda: rehearsal.preview_json(rehearsed),
        workspace.shown,
    )
    return _failed(invocation, error)


def _failed(invocation: Invocation, error: MigrateError) -> int:
    if invocation.options.verbose:
        print_cause(error)
    return error.exit_code
