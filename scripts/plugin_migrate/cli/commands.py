"""What each command of the table in ``arguments.py`` does: from its options to an exit code.

What only some commands need is imported where it is needed, because every start pays for the rest.
"""

from __future__ import annotations

import sys

from ..errors import Call, MigrateError, UsageError
from ..version import Version
from .output import print_cause

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ..plan import Entry, Plan
    from ..survey import Planner
    from ..workspace import Workspace
    from .invocation import Invocation

_PENDING = 3


# --- reading ------------------------------------------------------------------------------------


def run_status(invocation: Invocation) -> int:
    """Show every migration and its state."""
    return _show(invocation, _show_status)


def run_check(invocation: Invocation) -> int:
    """Show what is pending; 3 when something is."""
    return _show(invocation, _show_check)


def run_history(invocation: Invocation) -> int:
    """Show what happened."""
    if invocation.options.version is not None:
        Version.parse(invocation.options.version)  # wrong for one source is wrong for all
    return _show(invocation, _show_history)


def _show(invocation: Invocation, show: Callable[[Invocation, Workspace], int]) -> int:
    if invocation.options.all:
        from .all_sources import each

        return each(invocation, show)
    return show(invocation, invocation.workspace())


def _show_status(invocation: Invocation, workspace: Workspace) -> int:
    from ..ledger.ledger import read_headers
    from ..plan import UNAPPLIED
    from ..render import status
    from ..survey import look

    seen = look(workspace)
    options = invocation.options
    shown = [
        entry
        for entry in seen.entries
        if not (options.pending_only and entry.state not in UNAPPLIED)
        and not (options.applied_only and entry.applied is None)
    ]
    as_list = options.format == "list"
    refused = () if options.applied_only else seen.refused
    news = invocation.news_of_plugins(workspace)
    invocation.output.result(
        lambda style: status.status_text(
            seen, shown, news, style, as_list, invocation.most_rows, refused
        ),
        lambda: status.status_json(seen, shown, news, read_headers(workspace)),
    )
    return 0


def _show_check(invocation: Invocation, workspace: Workspace) -> int:
    from ..plan import UNAPPLIED, State, ahead
    from ..render import status
    from ..survey import look

    seen = look(workspace)
    states = {entry.state for entry in seen.entries}
    # Code that is older than the state must not read it, as little as code that is newer.
    is_unsound = bool(
        states & {State.MODIFIED, State.INTERRUPTED} or ahead(seen.entries) or seen.refused
    )
    invocation.output.result(
        lambda style: status.check_text(seen), lambda: status.check_json(seen), not is_unsound
    )
    if is_unsound:
        return MigrateError.exit_code
    return _PENDING if states & UNAPPLIED else 0


def _show_history(invocation: Invocation, workspace: Workspace) -> int:
    from ..ledger.history import read_history
    from ..render import maintenance

    options = invocation.options
    version = Version.parse(options.version) if options.version is not None else None
    events = read_history(workspace, options.limit, version)
    invocation.output.result(
        lambda style: maintenance.history_text(events, style, options.format == "list"),
        lambda: maintenance.history_json(events),
    )
    return 0


# --- migrating ----------------------------------------------------------------------------------


def run_upgrade(invocation: Invocation) -> int:
    """Apply pending migrations."""
    from ..plan import plan_upgrade

    options = invocation.options
    strict = options.strict
    if options.all:
        return _upgrade_all(invocation)
    target = Version.parse(options.target) if options.target is not None else None
    return _migrate_one(invocation, lambda entries: plan_upgrade(entries, target, strict))


def _upgrade_all(invocation: Invocation) -> int:
    from ..plan import plan_upgrade
    from ..survey import look_ahead
    from . import all_sources

    options = invocation.options
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
            all_sources.refuse_unrehearsable(invocation, workspace, look_ahead(workspace).entries)
        return _migrate(invocation, workspace, lambda entries: plan_upgrade(entries, last, strict))

    invocation.output.several()
    return all_sources.in_turn(invocation, (*all_sources.idle(sources, turns), *turns), upgrade)


def run_downgrade(invocation: Invocation) -> int:
    """Roll migrations back."""
    from ..plan import plan_downgrade

    given = invocation.options.target
    target, count = None, None
    if given is not None and "." in given:
        target = Version.parse(given)
    elif given is not None:
        count = _step_count(given)
    if invocation.options.all:
        return _downgrade_all(invocation, target, count)
    return _migrate_one(invocation, lambda entries: plan_downgrade(entries, target, count))


def _downgrade_all(invocation: Invocation, target: Version | None, count: int | None) -> int:
    from ..plan import NOTHING, plan_downgrade
    from . import all_sources

    if target not in (None, NOTHING):
        raise UsageError(
            "--all takes a number of steps or 0.0.0: every source has its own versions",
            hint="Say which source: plugin-migrate downgrade X.Y.Z --plugin NAME",
        )

    def plan(entries: tuple[Entry, ...]) -> Plan:
        applied = sum(entry.applied is not None for entry in entries)
        steps = None if count is None else min(count, applied)
        return plan_downgrade(entries, target, steps or None)

    sources = all_sources.all_sources(invocation)
    turns = all_sources.downgrade_turns(invocation, sources, plan)
    invocation.output.several()
    return all_sources.in_turn(
        invocation,
        (*all_sources.idle(sources, turns), *turns),
        lambda workspace, _: _migrate(invocation, workspace, plan),
    )


def _step_count(given: str) -> int:
    if given.isascii() and given.isdigit() and 0 < len(given) <= 9 and int(given) > 0:
        return int(given)
    raise UsageError(
        f"'{given}' is neither a version nor a number of steps",
        hint=("For example: ", Call("downgrade", "2"), ", or ", Call("downgrade", "1.1.0")),
    )


def run_sync(invocation: Invocation) -> int:
    """Roll back what plugins no longer ship, then apply what they newly do."""
    from ..operations.migrate import settle
    from ..plan import after_rollback, plan_back_to_files, plan_upgrade
    from ..render.runs import in_step_json, in_step_text
    from . import all_sources

    sources = all_sources.chosen_plugins(invocation)

    def forward(entries: tuple[Entry, ...]) -> Plan:
        # In the real run the rollback has happened by then, and this changes nothing.
        return plan_upgrade(after_rollback(entries, plan_back_to_files(entries)))

    def in_step(workspace: Workspace, _last: Version | None) -> int:
        if not invocation.options.dry_run:
            settle(workspace, "sync", invocation.done_by, invocation.lock_timeout(workspace))
        invocation.output.result(in_step_text, in_step_json)
        return 0

    invocation.output.several()
    back = all_sources.downgrade_turns(invocation, sources, plan_back_to_files)
    code = all_sources.in_turn(
        invocation, back, lambda workspace, _: _migrate(invocation, workspace, plan_back_to_files)
    )
    if code:
        return code
    turns = all_sources.upgrade_turns(sources, forward)
    return all_sources.in_turn(
        invocation, turns, lambda workspace, _: _migrate(invocation, workspace, forward)
    ) or all_sources.in_turn(invocation, all_sources.idle(sources, (*back, *turns)), in_step)


def _migrate_one(invocation: Invocation, planner: Planner) -> int:
    """Migrate the one source that was chosen, if what its migrations require is there."""
    workspace = invocation.workspace()

    def plan(entries: tuple[Entry, ...]) -> Plan:
        made = planner(entries)
        if _concerns_others(workspace, made):
            from .all_sources import refuse_unmet

            refuse_unmet(invocation, workspace, entries, made)
        return made

    return _migrate(invocation, workspace, plan)


def _concerns_others(workspace: Workspace, plan: Plan) -> bool:
    """Return whether other sources have to be read before a plan may run."""
    if plan.direction == "down":
        return workspace.source is not None and bool(plan.steps)
    migrations = [step.entry.migration for step in plan.steps]
    return any(migration and "requires" in (migration.text or "") for migration in migrations)


def _migrate(invocation: Invocation, workspace: Workspace, planner: Planner) -> int:
    from ..operations.migrate import dry_run, run
    from ..render import runs
    from .output import style_of
    from .progress import Narrator
    from .stdout import stdout_kept_clean

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
    narrator = Narrator(sys.stderr, style_of(sys.stderr, invocation.environment), options.verbose)
    with stdout_kept_clean(), narrator:
        done = run(
            workspace,
            planner,
            options.command,
            invocation.done_by,
            narrator,
            invocation.lock_timeout(workspace),
            with_backup=not options.no_backup,
        )
    is_named = narrator.names_steps_on_screen
    if done.error is None:
        invocation.output.result(
            lambda style: runs.run_text(done, style, is_named), lambda: runs.run_json(done)
        )
        return 0
    if done.failed is not None and done.failed.from_ledger:
        invocation.add_way_back(workspace, done.error)
    if done.results and not invocation.output.is_json:
        invocation.output.result(lambda style: runs.run_text(done, style, is_named), dict)
    invocation.output.failure(
        done.error,
        lambda style: runs.failure_text(done, workspace.shown, style),
        lambda: runs.run_json(done),
        workspace.shown,
    )
    return _failed(invocation, done.error)


def _preview(invocation: Invocation, workspace: Workspace, planner: Planner) -> int:
    from ..rehearsal.preview import preview
    from ..render import rehearsal, runs
    from .output import style_of
    from .progress import Progress
    from .stdout import stdout_kept_clean

    progress = Progress(sys.stderr, style_of(sys.stderr, invocation.environment))
    with stdout_kept_clean(), progress:
        rehearsed = preview(workspace, planner, invocation.options.command, progress)
    error = rehearsed.run.error
    if error is None or not invocation.output.is_json:
        invocation.output.result(
            lambda style: rehearsal.preview_text(rehearsed, style),
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


# --- writing and proving migrations -------------------------------------------------------------


def run_verify(invocation: Invocation) -> int:
    """Rehearse migrations on a copy, and lint them."""
    options = invocation.options
    if options.all and options.versions:
        raise UsageError(
            "--all means every migration, a version one of them", hint="Leave one of the two out."
        )
    if options.all and invocation.chooses_none:
        from .all_sources import each

        return each(invocation, _show_verified)
    return _show_verified(invocation, invocation.workspace())


def _show_verified(invocation: Invocation, workspace: Workspace) -> int:
    from ..rehearsal.verify import verify
    from ..render import rehearsal
    from ..survey import look_ahead
    from .all_sources import refuse_unrehearsable
    from .output import style_of
    from .progress import Narrator
    from .stdout import stdout_kept_clean

    options = invocation.options
    versions = [Version.parse(text) for text in options.versions]
    if not options.lint_only:
        entries = look_ahead(workspace).entries
        chosen = [one for one in entries if not versions or one.version in versions]
        refuse_unrehearsable(invocation, workspace, chosen)
    style = style_of(sys.stderr, invocation.environment)
    narrator = Narrator(sys.stderr, style, options.verbose)
    with stdout_kept_clean(), narrator:
        verified = verify(workspace, versions, options.all, options.lint_only, narrator)
    if options.verbose:
        for item in verified:
            if item.error is not None:
                print_cause(item.error)
    ok = not any(item.has_failed for item in verified)
    invocation.output.result(
        lambda style: rehearsal.verified_text(verified, workspace.shown, style, options.lint_only),
        lambda: rehearsal.verified_json(verified, workspace.shown),
        ok,
    )
    return 0 if ok else 1


def run_create(invocation: Invocation) -> int:
    """Write a new migration file."""
    from ..operations import create
    from ..render.created import created_json, created_text
    from ..survey import look

    options = invocation.options
    create.require_slug(options.name)
    version = Version.parse(options.version) if options.version is not None else None
    workspace = invocation.workspace(create=True)
    seen = look(workspace)
    created = create.create(
        workspace,
        seen.entries,
        options.name,
        author=invocation.done_by,
        description=options.description,
        template=options.template,
        language=options.language,
        version=version,
        bump=options.bump,
        refused=seen.refused,
    )
    invocation.output.result(
        lambda style: created_text(created, workspace, style),
        lambda: created_json(created, workspace),
    )
    return 0


def run_init_plugin(invocation: Invocation) -> int:
    """Prepare a plugin that is to ship migrations."""
    import os

    from ..ledger.identity import user
    from ..operations.init_plugin import init_plugin
    from ..render.created import plugin_json, plugin_text

    options = invocation.options
    chosen = ("project", "database", "migrations", "plugin", "plugin_dir")
    if any(getattr(options, name) for name in chosen):
        raise UsageError(
            "init-plugin takes the plugin's folder and no other",
            hint="For example: plugin-migrate init-plugin note-keeper",
        )
    prepared = init_plugin(options.folder, user())
    shown = os.path.relpath(prepared.root)
    invocation.output.result(
        lambda style: plugin_text(prepared, shown, style), lambda: plugin_json(prepared)
    )
    return 0


# --- care ---------------------------------------------------------------------------------------


def run_baseline(invocation: Invocation) -> int:
    """Mark migrations as applied without running them."""
    from ..operations.migrate import baseline
    from ..render import maintenance

    workspace = invocation.workspace()
    target = Version.parse(invocation.options.target)
    marked = baseline(workspace, target, invocation.done_by, invocation.lock_timeout(workspace))
    invocation.output.result(
        lambda style: maintenance.baseline_text(marked, target, style),
        lambda: maintenance.baseline_json(marked),
    )
    return 0


def run_renumber(invocation: Invocation) -> int:
    """Give a migration another version."""
    from ..operations.migrate import renumber
    from ..render import created

    options = invocation.options
    workspace = invocation.workspace()
    to = Version.parse(options.to) if options.to is not None else None
    timeout = invocation.lock_timeout(workspace)
    done = renumber(workspace, options.which, to, invocation.done_by, timeout)
    invocation.output.result(
        lambda style: created.renumbered_text(done, workspace, style),
        lambda: created.renumbered_json(done, workspace),
    )
    return 0


def run_repair(invocation: Invocation) -> int:
    """Accept edited files and settle what was interrupted."""
    from ..operations.migrate import Decisions, repair
    from ..render import maintenance

    options = invocation.options
    workspace = invocation.workspace_to_repair()
    decisions = Decisions(
        keep_live=options.keep_live,
        take_migrated=options.take_migrated,
        as_applied=options.applied,
        as_pending=options.pending,
        take_database=options.take_database,
    )
    versions = [Version.parse(text) for text in options.versions]
    timeout = invocation.lock_timeout(workspace)
    done = repair(workspace, versions, decisions, invocation.done_by, timeout)
    invocation.output.result(
        lambda style: maintenance.repair_text(done, style), lambda: maintenance.repair_json(done)
    )
    return 0


def run_restore(invocation: Invocation) -> int:
    """List the automatic backups, or go back to one."""
    from ..engine.backup import read_shelf
    from ..operations.migrate import restore
    from ..render import maintenance

    options = invocation.options
    workspace = invocation.workspace()
    shelf = read_shelf(workspace)
    if options.backup is None:
        invocation.output.result(
            lambda style: maintenance.backups_text(shelf, style),
            lambda: maintenance.backups_json(shelf),
        )
        return 0
    chosen = next((backup for backup in shelf.backups if backup.id == options.backup), None)
    if chosen is not None and not options.force:
        from .all_sources import refuse_leaving

        before = chosen.current_version
        refuse_leaving(invocation, workspace, Version.parse(before) if before else None)
    timeout = invocation.lock_timeout(workspace)
    restored = restore(workspace, options.backup, options.force, invocation.done_by, timeout)
    invocation.output.result(
        lambda style: maintenance.restored_text(restored, style),
        lambda: maintenance.restored_json(restored),
    )
    return 0
