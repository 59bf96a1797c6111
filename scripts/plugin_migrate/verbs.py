"""One function per command: from its options to a result that is shown, and an exit code.

What only some commands need is imported where it is needed, because every start pays for the rest.
"""

from __future__ import annotations

import sys

from .errors import MigrateError, UsageError
from .output import print_cause
from .version import Version

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .commands import Planner
    from .plan import Entry, Plan
    from .session import Session
    from .workspace import Workspace

_PENDING = 3


# --- reading ------------------------------------------------------------------------------------


def _status(session: Session) -> int:
    return _show(session, _show_status)


def _check(session: Session) -> int:
    return _show(session, _show_check)


def _history(session: Session) -> int:
    if session.options.version is not None:
        Version.parse(session.options.version)  # wrong for one source is wrong for all
    return _show(session, _show_history)


def _show(session: Session, show: Callable[[Session, Workspace], int]) -> int:
    if session.options.all:
        from .several import each

        return each(session, show)
    return show(session, session.workspace())


def _show_status(session: Session, workspace: Workspace) -> int:
    from .ledger import read_headers
    from .look import look
    from .plan import UNAPPLIED
    from .render import status

    seen = look(workspace)
    options = session.options
    shown = [
        entry
        for entry in seen.entries
        if not (options.pending_only and entry.state not in UNAPPLIED)
        and not (options.applied_only and entry.applied is None)
    ]
    as_list = options.format == "list"
    news = session.news_of_plugins(workspace)
    session.output.result(
        lambda style: status.status_text(seen, shown, news, style, as_list, session.most_rows),
        lambda: status.status_json(seen, shown, news, read_headers(workspace)),
    )
    return 0


def _show_check(session: Session, workspace: Workspace) -> int:
    from .look import look
    from .plan import UNAPPLIED, State
    from .render import status

    seen = look(workspace)
    session.output.result(lambda style: status.check_text(seen), lambda: status.check_json(seen))
    states = {entry.state for entry in seen.entries}
    if states & {State.MODIFIED, State.INTERRUPTED}:
        return MigrateError.exit_code
    return _PENDING if states & UNAPPLIED else 0


def _show_history(session: Session, workspace: Workspace) -> int:
    from .history import read_history
    from .render import care

    options = session.options
    version = Version.parse(options.version) if options.version is not None else None
    events = read_history(workspace, options.limit, version)
    session.output.result(
        lambda style: care.history_text(events, style, options.format == "list"),
        lambda: care.history_json(events),
    )
    return 0


# --- migrating ----------------------------------------------------------------------------------


def _upgrade(session: Session) -> int:
    from .plan import plan_upgrade

    options = session.options
    strict = options.strict
    if options.all:
        return _upgrade_all(session)
    target = Version.parse(options.target) if options.target is not None else None
    return _migrate_one(session, lambda entries: plan_upgrade(entries, target, strict))


def _upgrade_all(session: Session) -> int:
    from . import several
    from .look import look_ahead
    from .plan import plan_upgrade

    options = session.options
    if options.target is not None:
        raise UsageError(
            "--all takes no version: every source has its own",
            hint="Say which source: plugin-migrate upgrade X.Y.Z --plugin NAME",
        )
    strict = options.strict
    sources = several.all_sources(session)
    turns = several.upgrade_turns(sources, lambda entries: plan_upgrade(entries, None, strict))
    if options.dry_run or options.preview:
        turns = tuple(dict(turns).items())  # each source once and by itself, as far as it goes

    def upgrade(workspace: Workspace, last: Version | None) -> int:
        if options.preview:
            several.refuse_unrehearsable(session, workspace, look_ahead(workspace).entries)
        return _migrate(session, workspace, lambda entries: plan_upgrade(entries, last, strict))

    session.output.several()
    return several.in_turn(session, (*several.idle(sources, turns), *turns), upgrade)


def _downgrade(session: Session) -> int:
    from .plan import plan_downgrade

    given = session.options.target
    target, count = None, None
    if given is not None and "." in given:
        target = Version.parse(given)
    elif given is not None:
        count = _step_count(given)
    if session.options.all:
        return _downgrade_all(session, target, count)
    return _migrate_one(session, lambda entries: plan_downgrade(entries, target, count))


def _downgrade_all(session: Session, target: Version | None, count: int | None) -> int:
    from . import several
    from .plan import NOTHING, plan_downgrade

    if target not in (None, NOTHING):
        raise UsageError(
            "--all takes a number of steps or 0.0.0: every source has its own versions",
            hint="Say which source: plugin-migrate downgrade X.Y.Z --plugin NAME",
        )

    def plan(entries: tuple[Entry, ...]) -> Plan:
        applied = sum(entry.applied is not None for entry in entries)
        steps = None if count is None else min(count, applied)
        return plan_downgrade(entries, target, steps or None)

    sources = several.all_sources(session)
    turns = several.downgrade_turns(session, sources, plan)
    session.output.several()
    return several.in_turn(
        session,
        (*several.idle(sources, turns), *turns),
        lambda workspace, _: _migrate(session, workspace, plan),
    )


def _step_count(given: str) -> int:
    if given.isascii() and given.isdigit() and 0 < len(given) <= 9 and int(given) > 0:
        return int(given)
    raise UsageError(
        f"'{given}' is neither a version nor a number of steps",
        hint="For example: plugin-migrate downgrade 2, or plugin-migrate downgrade 1.1.0",
    )


def _sync(session: Session) -> int:
    from . import several
    from .commands import settle
    from .plan import after_rollback, plan_back_to_files, plan_upgrade
    from .render.runs import in_step_json, in_step_text

    sources = several.chosen_plugins(session)

    def forward(entries: tuple[Entry, ...]) -> Plan:
        # In the real run the rollback has happened by then, and this changes nothing.
        return plan_upgrade(after_rollback(entries, plan_back_to_files(entries)))

    def in_step(workspace: Workspace, _last: Version | None) -> int:
        if not session.options.dry_run:
            settle(workspace, "sync", session.done_by, session.lock_timeout(workspace))
        session.output.result(in_step_text, in_step_json)
        return 0

    session.output.several()
    back = several.downgrade_turns(session, sources, plan_back_to_files)
    code = several.in_turn(
        session, back, lambda workspace, _: _migrate(session, workspace, plan_back_to_files)
    )
    if code:
        return code
    turns = several.upgrade_turns(sources, forward)
    return several.in_turn(
        session, turns, lambda workspace, _: _migrate(session, workspace, forward)
    ) or several.in_turn(session, several.idle(sources, (*back, *turns)), in_step)


def _migrate_one(session: Session, planner: Planner) -> int:
    """Migrate the one source that was chosen, if what its migrations require is there."""
    workspace = session.workspace()

    def plan(entries: tuple[Entry, ...]) -> Plan:
        made = planner(entries)
        if _concerns_others(workspace, made):
            from .several import refuse_unmet

            refuse_unmet(session, workspace, entries, made)
        return made

    return _migrate(session, workspace, plan)


def _concerns_others(workspace: Workspace, plan: Plan) -> bool:
    """Return whether other sources have to be read before a plan may run."""
    if plan.direction == "down":
        return workspace.source is not None and bool(plan.steps)
    migrations = [step.entry.migration for step in plan.steps]
    return any(migration and "requires" in (migration.text or "") for migration in migrations)


def _migrate(session: Session, workspace: Workspace, planner: Planner) -> int:
    from .commands import dry_run, run
    from .narrator import Narrator
    from .output import style_of
    from .render import runs
    from .stdout import stdout_kept_clean

    options = session.options
    if options.dry_run:
        planned = dry_run(workspace, planner)
        session.output.result(
            lambda style: runs.dry_run_text(planned, style, options.verbose),
            lambda: runs.dry_run_json(planned, options.verbose),
        )
        return 0
    if options.preview:
        return _preview(session, workspace, planner)
    narrator = Narrator(sys.stderr, style_of(sys.stderr), options.verbose)
    with stdout_kept_clean(), narrator:
        done = run(
            workspace,
            planner,
            options.command,
            session.done_by,
            narrator,
            session.lock_timeout(workspace),
            with_backup=not options.no_backup,
        )
    if done.error is None:
        session.output.result(lambda style: runs.run_text(done, style), lambda: runs.run_json(done))
        return 0
    if done.results and not session.output.is_json:
        session.output.result(lambda style: runs.run_text(done, style), dict)
    session.output.failure(
        done.error,
        lambda style: runs.failure_text(done, workspace.shown, style),
        lambda: runs.run_json(done),
        workspace.shown,
    )
    return _failed(session, done.error)


def _preview(session: Session, workspace: Workspace, planner: Planner) -> int:
    from .preview import preview
    from .render import rehearsal, runs
    from .stdout import stdout_kept_clean

    with stdout_kept_clean():
        rehearsed = preview(workspace, planner, session.options.command)
    error = rehearsed.run.error
    if error is None or not session.output.is_json:
        session.output.result(
            lambda style: rehearsal.preview_text(rehearsed, style),
            lambda: rehearsal.preview_json(rehearsed),
        )
    if error is None:
        return 0
    session.output.failure(
        error,
        lambda style: "\n" + runs.run_error_text(rehearsed.run, workspace.shown, style),
        lambda: rehearsal.preview_json(rehearsed),
        workspace.shown,
    )
    return _failed(session, error)


def _failed(session: Session, error: MigrateError) -> int:
    if session.options.verbose:
        print_cause(error)
    return error.exit_code


# --- writing and proving migrations -------------------------------------------------------------


def _verify(session: Session) -> int:
    options = session.options
    if options.all and options.versions:
        raise UsageError(
            "--all means every migration, a version one of them", hint="Leave one of the two out."
        )
    if options.all and session.chooses_none:
        from .several import each

        return each(session, _show_verified)
    return _show_verified(session, session.workspace())


def _show_verified(session: Session, workspace: Workspace) -> int:
    from .look import look_ahead
    from .narrator import Narrator
    from .output import style_of
    from .render import rehearsal
    from .several import refuse_unrehearsable
    from .stdout import stdout_kept_clean
    from .verify import verify

    options = session.options
    versions = [Version.parse(text) for text in options.versions]
    if not options.lint_only:
        entries = look_ahead(workspace).entries
        chosen = [one for one in entries if not versions or one.version in versions]
        refuse_unrehearsable(session, workspace, chosen)
    narrator = Narrator(sys.stderr, style_of(sys.stderr), options.verbose)
    with stdout_kept_clean(), narrator:
        verified = verify(workspace, versions, options.all, options.lint_only, narrator)
    if options.verbose:
        for item in verified:
            if item.error is not None:
                print_cause(item.error)
    ok = not any(item.has_failed for item in verified)
    session.output.result(
        lambda style: rehearsal.verified_text(verified, workspace.shown, style, options.lint_only),
        lambda: rehearsal.verified_json(verified, workspace.shown),
        ok,
    )
    return 0 if ok else 1


def _create(session: Session) -> int:
    from . import create
    from .look import look
    from .render.created import created_json, created_text

    options = session.options
    create.require_slug(options.name)
    version = Version.parse(options.version) if options.version is not None else None
    workspace = session.workspace(create=True)
    created = create.create(
        workspace,
        look(workspace).entries,
        options.name,
        author=session.done_by,
        description=options.description,
        template=options.template,
        language=options.language,
        version=version,
        bump=options.bump,
    )
    session.output.result(
        lambda style: created_text(created, workspace, style),
        lambda: created_json(created, workspace),
    )
    return 0


# --- care ---------------------------------------------------------------------------------------


def _baseline(session: Session) -> int:
    from .commands import baseline
    from .render import care

    workspace = session.workspace()
    target = Version.parse(session.options.target)
    marked = baseline(workspace, target, session.done_by, session.lock_timeout(workspace))
    session.output.result(
        lambda style: care.baseline_text(marked, target, style),
        lambda: care.baseline_json(marked),
    )
    return 0


def _repair(session: Session) -> int:
    from .commands import Decisions, repair
    from .render import care

    options = session.options
    workspace = session.workspace_to_repair()
    decisions = Decisions(
        keep_live=options.keep_live,
        take_migrated=options.take_migrated,
        as_applied=options.applied,
        as_pending=options.pending,
        take_database=options.take_database,
    )
    versions = [Version.parse(text) for text in options.versions]
    timeout = session.lock_timeout(workspace)
    done = repair(workspace, versions, decisions, session.done_by, timeout)
    session.output.result(
        lambda style: care.repair_text(done, style), lambda: care.repair_json(done)
    )
    return 0


def _restore(session: Session) -> int:
    from .backup import list_backups
    from .commands import restore
    from .render import care

    options = session.options
    workspace = session.workspace()
    backups = list_backups(workspace)
    if options.backup is None:
        session.output.result(
            lambda style: care.backups_text(backups, style),
            lambda: care.backups_json(backups),
        )
        return 0
    chosen = next((backup for backup in backups if backup.id == options.backup), None)
    if chosen is not None and not options.force:
        from .several import refuse_leaving

        before = chosen.current_version
        refuse_leaving(session, workspace, Version.parse(before) if before else None)
    timeout = session.lock_timeout(workspace)
    restored = restore(workspace, options.backup, options.force, session.done_by, timeout)
    session.output.result(
        lambda style: care.restored_text(restored, style),
        lambda: care.restored_json(restored),
    )
    return 0


VERBS = {
    "upgrade": _upgrade,
    "downgrade": _downgrade,
    "status": _status,
    "create": _create,
    "verify": _verify,
    "sync": _sync,
    "history": _history,
    "repair": _repair,
    "baseline": _baseline,
    "restore": _restore,
    "check": _check,
}
