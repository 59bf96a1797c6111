"""What a step changed, and what stands in the way of it: the commit protocol's clause 4.

That is what somebody else changed meanwhile, and what could make publishing fail after the commit.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Collection

from ..errors import Conflict, EditedMeanwhile, StateUnreadable
from ..platform import system
from ..platform.moving import copy_attributes
from ..storage.durable import make_folder
from ..storage.nodes import (
    PathChange,
    digest_of,
    finds_one_of,
    is_spelled,
    is_taken,
    kind_of,
    observe,
)
from ..workspace import Workspace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..sandbox.context import Context
    from ..sandbox.staging import Baseline, Staging

_HINT = "Nothing was changed. Correct that, then run the command again."


def changes_of(staging: Staging | None, context: Context) -> dict[PathChange, str]:
    """Return what a step changed in files, each with the file that holds its new content.

    Databases that it made, moved or removed are such.

    Raises:
        Conflict: somebody else changed one of them.
        ForbiddenStatement: the step made something that must not be published.
    """
    sides: dict[PathChange, str] = {}
    for side in context.side_databases.values():
        side.finish()
    for side in context.side_databases.values():
        sides |= side.as_changes()
    if staging is None:
        return sides
    changes = staging.changes()
    gone = {change.path for change in sides if change.after is None}
    refuse_conflicts(context.workspace, staging, changes, gone)
    return changes | sides


def refuse_conflicts(
    workspace: Workspace,
    staging: Staging,
    changes: Collection[PathChange],
    gone_beside: Collection[str] = (),
) -> None:
    """Refuse to change what somebody else changed since it was staged.

    Parameters:
        changes: what the step did to the copy.
        gone_beside: paths of databases that go with the step, so that their folder may too.

    Raises:
        Conflict: somebody did, or the path must not be changed.
    """
    deleted = {change.path for change in changes if change.before and not change.after}
    deleted.update(gone_beside)
    places = [workspace.live(path) for path in deleted]
    targets: dict[str, str] = {}
    for change in changes:
        base = staging.baseline(change.path)
        _refuse_read_only(staging, change, base)
        live = workspace.live(change.path)
        if not _is_as_before(workspace, change, base, places):
            raise EditedMeanwhile(
                f"{change.path} was changed by somebody else while the migration ran",
                file=live,
                hint="Nothing was changed. Run the command again.",
            )
        stays = change.after is not None and change.after.kind == "dir"
        if change.before and change.before.kind == "dir" and not stays:
            _refuse_leftovers(live, change.path, deleted)
        real = os.path.realpath(live)
        is_file = change.after is not None and change.after.kind == "file"
        if is_file and targets.setdefault(real, change.path) != change.path:
            raise Conflict(
                f"The migration changed {change.path} and {targets[real]}, which are one file",
                hint="Change only one of them: one is a link to the other.",
            )


def _refuse_read_only(staging: Staging, change: PathChange, base: Baseline | None) -> None:
    folder = change.path
    while base is None and folder:
        folder = os.path.dirname(folder)
        base = staging.baseline(folder)
        if base is not None and base.node.kind != "dir":
            base = None
    if base is not None and base.read_only_reason is not None:
        raise Conflict(
            f"The migration changed {change.path}, which it may only read: {base.read_only_reason}",
            hint="Nothing was changed.",
        )


def _is_as_before(
    workspace: Workspace, change: PathChange, base: Baseline | None, deleted: Collection[str]
) -> bool:
    live, place = workspace.live(change.path), workspace.place(change.path)
    if base is None:
        # A rename that changes the case only finds what it takes away.
        return observe(live) is None or (is_taken(*place) and finds_one_of(live, deleted))
    if not is_spelled(*place):
        return False
    try:
        status = os.stat(live)
    except FileNotFoundError:
        return False
    if base.node.link is not None:
        if not os.path.islink(live) or os.readlink(live) != base.node.link:
            return False
    elif os.path.islink(live):
        return False
    if base.node.kind == "dir":
        return stat.S_ISDIR(status.st_mode) and system.permissions(status) == base.node.mode
    if system.signature_of(status) == base.live:
        return True
    return (
        stat.S_ISREG(status.st_mode)
        and system.permissions(status) == base.node.mode
        and digest_of(live) == base.node.sha256
    )


def _refuse_leftovers(live: str, path: str, deleted: set[str]) -> None:
    left = [name for name in os.listdir(live) if f"{path}/{name}" not in deleted]
    if left:
        raise Conflict(
            f"The migration deleted the folder {path}, which holds what it never saw:"
            f" {', '.join(sorted(left)[:5])}",
            hint="Delete only the files the migration knows. Nothing was changed.",
        )


def refuse_unpublishable(workspace: Workspace, changes: Collection[PathChange]) -> None:
    """Refuse changes that could not be put in place.

    Raises:
        StateUnreadable: a folder cannot be written or lies on another file system, a mode is not
            ours to change, the disk is too full, or a new file could not be given what the old one
            has: access list, extended attributes, capabilities.
    """
    made = {change.path for change in changes if kind_of(change.after) == "dir"}
    made -= {change.path for change in changes if kind_of(change.before) == "dir"}
    device = os.stat(workspace.bookkeeping).st_dev
    for change in changes:
        if os.path.dirname(change.path) not in made:
            _refuse_folder(workspace, change, device)
    _refuse_full_disk(workspace, changes)
    _refuse_lost_attributes(workspace, changes)


def _refuse_folder(workspace: Workspace, change: PathChange, device: int) -> None:
    live = workspace.live(change.path)
    if _only_mode_differs(change):
        if not system.may_set_mode(live):
            raise StateUnreadable(
                f"The mode of {change.path} can be changed by its owner only",
                file=live,
                hint=_HINT,
            )
        return
    is_link = change.after is None or change.after.kind == "link"
    folder = os.path.dirname(live if is_link else os.path.realpath(live))
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StateUnreadable(
            f"The migration changes {change.path}, whose folder is read-only",
            file=folder,
            hint=_HINT,
        )
    if change.after is not None and os.stat(folder).st_dev != device:
        raise StateUnreadable(
            f"The migration changes {change.path}, which lies on another file system than .claude/",
            file=folder,
            hint="Files there cannot be replaced at once. Exclude the folder in"
            " .claude/plugin-migrate.yaml.",
        )


def _only_mode_differs(change: PathChange) -> bool:
    before, after = change.before, change.after
    return (
        before is not None
        and after is not None
        and before.kind == after.kind != "link"
        and (before.sha256 == after.sha256)
    )


def _refuse_full_disk(workspace: Workspace, changes: Collection[PathChange]) -> None:
    """Refuse when the backup, the redo log and the new files do not all fit."""
    before = sum(change.before.size for change in changes if change.before)
    after = sum(change.after.size for change in changes if change.after)
    if before + 2 * after > system.free_space(workspace.bookkeeping):
        raise StateUnreadable(
            f"The disk is too full for the {after >> 20} MiB that the migration writes",
            file=workspace.bookkeeping,
            hint="Nothing was changed. Free some space, then run the command again.",
        )


def _refuse_lost_attributes(workspace: Workspace, changes: Collection[PathChange]) -> None:
    """Try on a file of our own whether replaced files can keep what is not content or mode."""
    replaced = [
        os.path.realpath(workspace.live(change.path))
        for change in changes
        if kind_of(change.before) == kind_of(change.after) == "file"
    ]
    if not replaced:
        return
    make_folder(workspace.scratch)
    with tempfile.NamedTemporaryFile(dir=workspace.scratch) as probe:
        for path in replaced:
            try:
                copy_attributes(path, probe.name)
            except OSError as error:
                raise StateUnreadable(
                    "The migration changes a file whose access list or extended attributes this"
                    f" user cannot give to its new version ({system.reason_of(error)})",
                    file=path,
                    hint="Run it as the user who may, or remove them. Nothing was changed.",
                ) from None
