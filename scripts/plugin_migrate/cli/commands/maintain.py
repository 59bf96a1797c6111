"""Commands for when something has to be put right: baseline, renumber, repair, restore."""

from __future__ import annotations

from ...errors import Call, UsageError
from ...version import Version

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...operations.baseline import Takeover
    from ...workspace import Workspace
    from ..invocation import Invocation


def run_baseline(invocation: Invocation) -> int:
    """Mark migrations as applied without running them."""
    from ...operations.baseline import baseline, due_for
    from ...render import maintenance

    options = invocation.options
    if (options.target is None) == (options.origin is None):
        raise UsageError(
            "baseline wants a version, or --from and a source, and not both",
            hint="For example: plugin-migrate baseline 1.2.0, or plugin-migrate baseline --from"
            " dbmate",
        )
    if options.origin is not None:
        return _run_takeover(invocation)
    if options.yes:
        raise UsageError("--yes goes with --from: nothing else is asked", hint="Leave it out.")
    workspace = invocation.workspace()
    target = Version.parse(options.target)
    if options.dry_run:
        marked = due_for(workspace, target)
    else:
        timeout = invocation.lock_timeout(workspace)
        marked = baseline(workspace, target, invocation.done_by, timeout)
    invocation.output.result(
        lambda style: maintenance.baseline_text(marked, target, style, options.dry_run),
        lambda: maintenance.baseline_json(marked),
    )
    return 0


def _run_takeover(invocation: Invocation) -> int:
    """Mark what another tool has applied, once the user has seen what that means here."""
    from ...operations.baseline import look, take_over
    from ...render import maintenance
    from ...takeover.origin import parse_origin

    options, output = invocation.options, invocation.output
    origin = parse_origin(options.origin)
    workspace = invocation.workspace()
    shown = look(workspace, origin)
    if options.dry_run or not shown.due:
        output.result(
            lambda style: maintenance.takeover_text(
                shown, workspace, style, is_dry=options.dry_run
            ),
            lambda: maintenance.takeover_json(shown, ()),
        )
        return 0
    if not options.yes:
        # What is asked about has to be on the screen, whatever the result may be like.
        answer = output.confirmed(
            lambda style: maintenance.takeover_text(shown, workspace, style),
            f"Mark {len(shown.due)} migration(s) as applied, without running them?",
        )
        if answer is None:
            return _refuse_unasked(invocation, workspace, shown)
        if not answer:
            output.result(lambda style: "Nothing was marked.", dict, ok=False)
            return 1
    timeout = invocation.lock_timeout(workspace)
    marked = take_over(workspace, shown, invocation.done_by, timeout)
    output.result(
        lambda style: maintenance.taken_over_text(shown, workspace, style, is_new=options.yes),
        lambda: maintenance.takeover_json(shown, marked),
    )
    return 0


def _refuse_unasked(invocation: Invocation, workspace: Workspace, shown: Takeover) -> int:
    """Show what would be marked, and that nothing was: there is nobody to be asked."""
    import shlex

    from ...render import maintenance
    from ...render.errors import error_text

    error = UsageError(
        "Nothing was marked: this has to be seen first, and nobody can be asked here",
        hint=(
            "To mark it: ",
            Call("baseline", f"--from {shlex.quote(invocation.options.origin)} --yes"),
        ),
    )
    invocation.output.failure(
        error,
        lambda style: (
            maintenance.takeover_text(shown, workspace, style)
            + "\n\n"
            + error_text(error, workspace.shown, style)
        ),
        lambda: maintenance.takeover_json(shown, ()),
        workspace.shown,
    )
    return error.exit_code


def run_renumber(invocation: Invocation) -> int:
    """Give a migration another version."""
    from ...operations.renumber import renumber
    from ...render import created

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
    from ...operations.repair import Decisions, repair
    from ...render import maintenance

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
    if options.dry_run:
        from ...rehearsal.preview import preview_repair

        would = preview_repair(workspace, versions, decisions)
        invocation.output.result(
            lambda style: maintenance.repair_text(would, style, is_dry=True),
            lambda: maintenance.repair_json(would),
        )
        return 0
    timeout = invocation.lock_timeout(workspace)
    done = repair(workspace, versions, decisions, invocation.done_by, timeout)
    invocation.output.result(
        lambda style: maintenance.repair_text(done, style), lambda: maintenance.repair_json(done)
    )
    return 0


def run_restore(invocation: Invocation) -> int:
    """List the automatic backups, or go back to one."""
    from ...operations.restore import restore
    from ...render import maintenance
    from ...storage.backups import read_shelf

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
        from ..all_sources import refuse_leaving

        before = chosen.current_version
        refuse_leaving(invocation, workspace, Version.parse(before) if before else None)
    if options.dry_run:
        from ...operations.restore import dry_run

        would = dry_run(workspace, options.backup, options.force)
        invocation.output.result(
            lambda style: maintenance.restore_dry_run_text(would, workspace.named),
            lambda: maintenance.restored_json(would),
        )
        return 0
    timeout = invocation.lock_timeout(workspace)
    restored = restore(workspace, options.backup, options.force, invocation.done_by, timeout)
    invocation.output.result(
        lambda style: maintenance.restored_text(restored, workspace.named, style),
        lambda: maintenance.restored_json(restored),
    )
    return 0
