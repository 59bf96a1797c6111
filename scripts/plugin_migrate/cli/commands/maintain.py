"""Commands for when something has to be put right: baseline, renumber, repair, restore."""

from __future__ import annotations

from ...version import Version

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..invocation import Invocation


def run_baseline(invocation: Invocation) -> int:
    """Mark migrations as applied without running them."""
    from ...operations.baseline import baseline
    from ...render import maintenance

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
