"""Looking ahead, before the commit, for what would keep a step's files from arriving after it.

See the design, "The commit protocol", clause 4. Nobody can promise more than it looks like now: a
failure after the commit is told as such, and the next command goes on.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence

from ..errors import StateUnreadable
from ..storage.durable import make_folder
from ..storage.nodes import Node
from ..storage.platform_files import copy_attributes
from ..workspace import Workspace
from .staging import Change

_HINT = "Nothing was changed. Correct that, then run the command again."


def refuse_unpublishable(workspace: Workspace, changes: Sequence[Change]) -> None:
    """Refuse changes that could not be put in place.

    Raises:
        StateUnreadable: a folder cannot be written or lies on another file system, a mode is not
            ours to change, the disk is too full, or a new file could not be given what the old one
            has: access list, extended attributes, capabilities.
    """
    made = {change.path for change in changes if _is_folder(change.after)}
    made -= {change.path for change in changes if _is_folder(change.before)}
    device = os.stat(workspace.bookkeeping).st_dev
    for change in changes:
        if os.path.dirname(change.path) not in made:
            _refuse_folder(workspace, change, device)
    _refuse_full_disk(workspace, changes)
    _refuse_lost_attributes(workspace, changes)


def _refuse_folder(workspace: Workspace, change: Change, device: int) -> None:
    live = os.path.join(workspace.claude, change.path)
    if _only_mode_differs(change):
        if os.geteuid() not in (0, os.stat(live).st_uid):
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


def _only_mode_differs(change: Change) -> bool:
    before, after = change.before, change.after
    return (
        before is not None
        and after is not None
        and before.kind == after.kind != "link"
        and (before.sha256 == after.sha256)
    )


def _refuse_full_disk(workspace: Workspace, changes: Sequence[Change]) -> None:
    """Refuse when the backup, the redo log and the new files do not all fit."""
    before = sum(change.before.size for change in changes if change.before)
    after = sum(change.after.size for change in changes if change.after)
    disk = os.statvfs(workspace.bookkeeping)
    if before + 2 * after > disk.f_bavail * disk.f_frsize:
        raise StateUnreadable(
            f"The disk is too full for the {after >> 20} MiB that the migration writes",
            file=workspace.bookkeeping,
            hint="Nothing was changed. Free some space, then run the command again.",
        )


def _refuse_lost_attributes(workspace: Workspace, changes: Sequence[Change]) -> None:
    """Try on a file of our own whether replaced files can keep what is not content or mode."""
    replaced = [
        os.path.realpath(os.path.join(workspace.claude, change.path))
        for change in changes
        if change.before and change.after and change.before.kind == change.after.kind == "file"
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
                    f" user cannot give to its new version ({error.strerror})",
                    file=path,
                    hint="Run it as the user who may, or remove them. Nothing was changed.",
                ) from None


def _is_folder(node: Node | None) -> bool:
    return node is not None and node.kind == "dir"
