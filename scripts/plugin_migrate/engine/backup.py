"""Automatic backups: what a run is about to change, kept as it was before.

What they consist of is in :mod:`plugin_migrate.storage.backups`.

A copy has to be on the disk only when the backup is committed. So the system is told to begin
writing at once, and other things are done meanwhile: what is left to wait for then is less.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable
from contextlib import suppress
from functools import partial

from .. import __version__
from ..errors import StateUnreadable
from ..ledger.read import has_run_since
from ..plain_file import read_json
from ..platform import system
from ..platform.moving import discard, remove
from ..storage import sqlite
from ..storage.backups import (
    FINISHED,
    FOLDER_NAME,
    LARGEST_MANIFEST,
    MANIFEST,
    STATE_COPY,
    Backup,
    Saved,
    SavedDatabase,
    backups_folder,
    list_backups,
)
from ..storage.durable import (
    make_folder,
    start_sync,
    sync_file,
    write_atomically,
)
from ..storage.live_database import copy_live
from ..storage.nodes import PathChange, observe
from ..storage.translation import explaining
from ..workspace import Workspace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    class StepKeeper(Protocol):
        """Keeps what each step is about to change, as it was before."""

        def add_files(self, changes: Iterable[PathChange]) -> None:
            """Keep the earlier content of files."""

        def add_database(self, path: str, after: str) -> None:
            """Keep a further database; ``after`` is the digest of the step's result."""

        def commit(self) -> None:
            """Make sure that what was kept outlasts the step's commit."""


# What a run needs beside the copy of its database: redo logs, journals, the ledger's growth.
_SPARE_BYTES = 4 << 20


def _as_document(saved: Saved) -> dict[str, object]:
    between = saved.between and saved.between._asdict()
    return saved.change.as_json() | {"content": saved.content, "between": between}


def settle_killed(workspace: Workspace) -> None:
    """Bring the backups of killed runs in line with what those runs came to do.

    A backup is on the disk before its step commits. Of a run that was killed before its first
    commit there is nothing to go back from, and its backup would stand in the way of a restore:
    what it says was changed never was. Of a later step that did not commit the same is true for
    what the backup says of that step. The run lock must be held and recovery done.

    Raises:
        OSError: the folder of backups cannot be read or written.
        StateUnreadable, Busy: a database cannot be read.
    """
    for backup in list_backups(workspace):
        if backup.is_finished or backup.last_event is None:
            continue
        if not _has_happened(workspace, backup):
            discard(backup.folder)
            continue
        _rewrite(workspace, backup)
        _mark_finished(backup.folder)


def _has_happened(workspace: Workspace, backup: Backup) -> bool:
    """Return whether a step of the backup's run took effect: by the history, or by what stands."""
    if os.path.exists(workspace.database) and has_run_since(workspace, backup.last_event or 0):
        return True
    # A history that somebody put back knows nothing; the files may.
    changes = [saved.change for saved in backup.files]
    return any(
        change.after != change.before and change.observe(workspace) == change.after
        for change in changes
    )


def _rewrite(workspace: Workspace, backup: Backup) -> None:
    """Correct what the manifest says of a last step that never was."""
    from ..storage.live_database import digest_of_live

    files = tuple(_as_it_came(workspace, saved) for saved in backup.files)
    databases = tuple(
        saved._replace(after=saved.between)
        if saved.between is not None
        and digest_of_live(workspace.live(saved.path), workspace.scratch) == saved.between
        else saved
        for saved in backup.databases
    )
    if (files, databases) == (backup.files, backup.databases):
        return
    document = read_json(os.path.join(backup.folder, MANIFEST), LARGEST_MANIFEST)
    _write_manifest(backup.folder, document | _changes_as_json(files, databases))


def _as_it_came(workspace: Workspace, saved: Saved) -> Saved:
    """Return what a run did to a path; what stands there tells whether its last step ever was."""
    now = saved.change.observe(workspace)
    if now == saved.change.after or now != saved.between:
        return saved
    return saved.ending(saved.between, saved.between)


def _changes_as_json(
    files: Iterable[Saved], databases: Iterable[SavedDatabase]
) -> dict[str, object]:
    return {
        "files": [_as_document(saved) for saved in files],
        "databases": [saved._asdict() for saved in databases],
    }


def _write_manifest(folder: str, document: dict[str, Any], unsynced: Iterable[str] = ()) -> None:
    import json

    for kept in unsynced:
        sync_file(kept)
    write_atomically(os.path.join(folder, MANIFEST), json.dumps(document))


def _mark_finished(folder: str) -> None:
    # That it is there says it all, and no kill can leave half of it.
    with open(os.path.join(folder, FINISHED), "xb"):
        pass


_writing = partial(
    explaining,
    "The backup cannot be written",
    "Free some space or correct the permissions, or run without one: --no-backup",
)


class BackupWriter:
    """Keeps what one run changes, step by step.

    Parameters:
        workspace: whose state.
        command: ``upgrade``, ``downgrade`` or ``restore``.
        current_version: the version before the run.
        is_complete: ``False`` for a run that the user wants no backup of.
        last_event: the number of the last row in the history, ``None`` when that is unknown.
        state: the database to keep a copy of; ``None`` when there is none that can be read.

    Raises:
        StateUnreadable: there is not enough free space, the state cannot be read, or (by every
            method) the backup cannot be written.
    """

    def __init__(
        self,
        workspace: Workspace,
        command: str,
        current_version: str | None,
        is_complete: bool = True,
        last_event: int | None = None,
        state: str | None = None,
    ) -> None:
        self._workspace = workspace
        self._is_complete = is_complete
        has_state = is_complete and state is not None and os.path.exists(state)
        if has_state:
            _require_space(workspace)
        self._document: dict[str, object] = {
            "format": 1,
            "created_at": time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime()),
            "command": command,
            "current_version": current_version,
            "tool_version": __version__,
            "is_complete": is_complete,
            "has_state": has_state,
            "database": workspace.shown(workspace.database),
            "last_event": last_event,
        }
        # What the step that is about to commit changes.
        self._latest: set[str] = set()
        self._files: dict[str, Saved] = {}
        self._databases: dict[str, SavedDatabase] = {}
        # The newest first; read while the system writes the copy of the database.
        self._earlier: list[Backup] | None = None
        # Folders and copies that are not on the disk yet.
        self._unsynced: list[str] = []
        with _writing():
            self.folder = _new_folder(workspace, command)
            self._unsynced.append(os.path.dirname(self.folder))
            if has_state:
                self._copy_database(workspace.database, STATE_COPY)

    @_writing()
    def add_files(self, changes: Iterable[PathChange]) -> None:
        """Keep the earlier content of files before the step that changes them commits."""
        self._latest = set()
        for change in changes:
            known = self._files.get(change.path)
            if known is None:
                content = self._save_file(change) if self._is_complete else None
                known = Saved(change, content)
            self._files[change.path] = known.ending(change.after, change.before)
            # One by one: what follows may not be kept any more, for lack of room.
            self._latest.add(change.path)

    @_writing()
    def add_database(self, path: str, after: str) -> None:
        """Keep a further database as it was before the step; ``after`` is the step's result."""
        known = self._databases.get(path)
        content = known.content if known else f"database-{len(self._databases)}.db"
        if known is None and self._is_complete:
            self._copy_database(self._workspace.live(path), content)
        self._databases[path] = SavedDatabase(path, content, after, known and known.after)

    @_writing()
    def commit(self) -> None:
        """Bring all that is kept to the disk; what it was kept for may happen now."""
        if self._earlier is None:
            self._earlier = list_backups(self._workspace)
        document = self._document | {
            # Names sort by second and command only, and several runs can fit into one second.
            "sequence": 1 + max((backup.sequence for backup in self._earlier), default=0),
        }
        changes = _changes_as_json(self._files.values(), self._databases.values())
        _write_manifest(self.folder, document | changes, self._unsynced)
        self._unsynced.clear()

    @_writing()
    def retract(self) -> None:
        """Note that the step which the last :meth:`commit` was made for did not come to pass."""
        latest = {path: self._files[path] for path in self._latest}
        came = {path: _as_it_came(self._workspace, saved) for path, saved in latest.items()}
        if came != latest:
            self._files |= came
            self.commit()

    def finish(self) -> None:
        """Note that the run is over, and remove all but as many backups as the settings keep."""
        # What cannot be written or removed now can be by the next run; this one's work is done.
        with suppress(OSError):
            _mark_finished(self.folder)
            folders = [self.folder, *(backup.folder for backup in self._earlier or ())]
            for folder in folders[self._workspace.config.backups_keep :]:
                discard(folder)
            parent = backups_folder(self._workspace)
            for name in os.listdir(parent):
                if FOLDER_NAME.fullmatch(name):
                    _remove_unfinished(os.path.join(parent, name))

    def discard(self) -> None:
        """Remove this backup: the run changed nothing."""
        with suppress(OSError):
            discard(self.folder)

    def _copy_database(self, path: str, name: str) -> None:
        sqlite.require_writable(path)
        copy = os.path.join(self.folder, name)
        copy_live(path, copy)
        self._unsynced.append(copy)

    def _save_file(self, change: PathChange) -> str | None:
        if change.before is None or change.before.kind != "file":
            return None
        name = f"file-{len(self._files)}"
        copy = os.path.join(self.folder, name)
        live = self._workspace.live(change.path)
        shutil.copyfile(live, copy)
        saved = observe(copy)
        start_sync(copy)
        self._unsynced.append(copy)
        if saved is None or saved.sha256 != change.before.sha256:
            raise StateUnreadable(
                f"{change.path} was changed by somebody else while it was backed up",
                file=live,
                hint="Nothing was changed. Run the command again.",
            )
        return name


def _remove_unfinished(folder: str) -> None:
    """Remove what a killed command left: a backup without its manifest, or a half manifest."""
    manifest = os.path.join(folder, MANIFEST)
    if not os.path.exists(manifest):
        discard(folder)
    elif os.path.exists(manifest + ".part"):
        remove(manifest + ".part")


def _new_folder(workspace: Workspace, command: str) -> str:
    """Create a folder that no earlier backup has, however many start in one second."""
    parent = backups_folder(workspace)
    make_folder(parent)
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    number = 1
    while True:
        suffix = f"-{number}" if number > 1 else ""
        folder = os.path.join(parent, f"{stamp}-{command}{suffix}")
        try:
            os.mkdir(folder, 0o700)
        except FileExistsError:
            number += 1
        else:
            return folder


def _require_space(workspace: Workspace) -> None:
    needed = os.path.getsize(workspace.database) + _SPARE_BYTES
    free = system.free_space(workspace.bookkeeping)
    if free < needed:
        raise StateUnreadable(
            f"There is not enough free space for a backup: {_megabytes(needed)} needed,"
            f" {_megabytes(free)} free",
            file=workspace.bookkeeping,
            hint="Free some space, or run without one: --no-backup",
        )


def _megabytes(size: int) -> str:
    return f"{size / (1 << 20):.1f} MiB"
