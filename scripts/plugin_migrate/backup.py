"""Automatic backups: what a run is about to change, kept as it was before.

``backups/<time>-<command>/`` holds ``state.db`` (the state database before the run, by the backup
API), the earlier content of every file and further database the run touched, and a manifest that
grows before each step commits. A run that changed nothing leaves no backup behind.

A copy has to be on the disk only when the backup is committed. So the system is told to begin
writing at once, and other things are done meanwhile: what is left to wait for then is less.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from . import __version__, database
from .errors import InvalidVersion, StateUnreadable
from .live_database import copy_live
from .tree import (
    Node,
    discard,
    make_folder,
    nodes_as_json,
    observe,
    start_sync,
    sync_file,
    sync_folder,
    sync_open,
)
from .values import NamedTuple
from .version import Version
from .workspace import Workspace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .staging import Change

_MANIFEST = "manifest.json"
_STATE = "state.db"
_FINISHED = "finished"
_NAME = re.compile(r"\d{8}-\d{6}-[a-z]+(-\d+)?")
# What a run needs beside the copy of its database: redo logs, journals, the ledger's growth.
_SPARE_BYTES = 4 << 20


class Saved(NamedTuple):
    """A path that the run changed.

    ``before`` is what stood there first, ``after`` what the run's last step put there; ``content``
    names the file in the backup that holds the earlier content, if there was any.
    """

    path: str
    before: Node | None
    after: Node | None
    content: str | None


class SavedDatabase(NamedTuple):
    """A further database that the run changed; ``after`` is its digest behind the last step."""

    path: str
    content: str
    after: str


class Backup(NamedTuple):
    """One backup; a later one has a higher ``sequence``.

    ``is_complete`` is false for a run with ``--no-backup``, which only left a note;
    ``has_state`` tells whether there was a state database before the run, ``is_finished`` that the
    run came to its end and changed something, ``database`` is the database's path as users see it.
    """

    sequence: int
    id: str
    folder: str
    created_at: str
    command: str
    current_version: str | None
    is_complete: bool
    has_state: bool
    is_finished: bool
    database: str | None
    files: tuple[Saved, ...]
    databases: tuple[SavedDatabase, ...]

    @property
    def state(self) -> str:
        """The path of the copy of the state database."""
        return os.path.join(self.folder, _STATE)

    def content(self, name: str) -> str:
        """Return the path of a saved content."""
        return os.path.join(self.folder, name)


def backups_folder(workspace: Workspace) -> str:
    """Return the folder that holds the backups."""
    return os.path.join(workspace.home, "backups")


def list_backups(workspace: Workspace) -> list[Backup]:
    """Return every readable backup, the newest first; unfinished and damaged ones are left out."""
    try:
        names = os.listdir(backups_folder(workspace))
    except FileNotFoundError:
        return []
    found = (_read(os.path.join(backups_folder(workspace), name)) for name in names)
    readable = [backup for backup in found if backup is not None]
    return sorted(readable, key=lambda backup: backup.sequence, reverse=True)


def _read(folder: str) -> Backup | None:
    import json

    path = os.path.join(folder, _MANIFEST)
    if not os.path.isfile(path):  # opening a named pipe would wait for ever
        return None
    try:
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
        version = document["current_version"]
        return Backup(
            int(document["sequence"]),
            os.path.basename(folder),
            folder,
            str(document["created_at"]),
            str(document["command"]),
            None if version is None else str(Version.parse(version)),
            bool(document["is_complete"]),
            bool(document["has_state"]),
            os.path.exists(os.path.join(folder, _FINISHED)),
            document.get("database"),
            tuple(_saved(item) for item in document["files"]),
            tuple(
                SavedDatabase(**{**item, "path": _inside(item["path"])})
                for item in document["databases"]
            ),
        )
    except (OSError, ValueError, KeyError, TypeError, OverflowError, InvalidVersion):
        return None


def _saved(item: dict[str, object]) -> Saved:
    before, after = item["before"], item["after"]
    return Saved(
        _inside(item["path"]),
        Node(**before) if isinstance(before, dict) else None,
        Node(**after) if isinstance(after, dict) else None,
        _inside(item["content"]) if item["content"] else None,
    )


def _as_document(saved: Saved) -> dict[str, object]:
    return saved._asdict() | nodes_as_json(saved.before, saved.after)


def _inside(path: object) -> str:
    from .redo import inside

    return inside(path)


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StateUnreadable(
            f"The backup cannot be written: {error.strerror}",
            file=error.filename,
            hint="Free some space or correct the permissions, or run without one: --no-backup",
        ) from error


class BackupWriter:
    """Keeps what one run changes, step by step.

    Parameters:
        workspace: whose state.
        command: ``upgrade``, ``downgrade`` or ``restore``.
        current_version: the version before the run.
        is_complete: ``False`` for a run that the user wants no backup of.

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
    ) -> None:
        self._workspace = workspace
        self._is_complete = is_complete
        has_state = is_complete and os.path.exists(workspace.database)
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
        }
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
                self._copy_database(workspace.database, _STATE)

    @_writing()
    def add_files(self, changes: Sequence[Change]) -> None:
        """Keep the earlier content of files before the step that changes them commits."""
        for change in changes:
            known = self._files.get(change.path)
            if known is None:
                content = self._save_file(change) if self._is_complete else None
                known = Saved(change.path, change.before, None, content)
            self._files[change.path] = Saved(change.path, known.before, change.after, known.content)

    @_writing()
    def add_database(self, path: str, after: str) -> None:
        """Keep a further database as it was before the step; ``after`` is the step's result."""
        known = self._databases.get(path)
        content = known.content if known else f"database-{len(self._databases)}.db"
        if known is None and self._is_complete:
            self._copy_database(os.path.join(self._workspace.claude, path), content)
        self._databases[path] = SavedDatabase(path, content, after)

    @_writing()
    def commit(self) -> None:
        """Bring all that is kept to the disk; what it was kept for may happen now."""
        import json

        if self._earlier is None:
            self._earlier = list_backups(self._workspace)
        document = self._document | {
            # Names sort by second and command only, and several runs can fit into one second.
            "sequence": 1 + max((backup.sequence for backup in self._earlier), default=0),
            "files": [_as_document(saved) for saved in self._files.values()],
            "databases": [saved._asdict() for saved in self._databases.values()],
        }
        path = os.path.join(self.folder, _MANIFEST)
        part = path + ".part"
        with open(part, "w", encoding="utf-8") as file:
            json.dump(document, file)
            for kept in self._unsynced:
                sync_file(kept)
            sync_open(file, part)
        os.replace(part, path)
        sync_folder(self.folder)
        self._unsynced.clear()

    def finish(self) -> None:
        """Note that the run is over, and remove all but as many backups as the settings keep."""
        # What cannot be written or removed now can be by the next run; this one's work is done.
        with suppress(OSError):
            with open(os.path.join(self.folder, _FINISHED), "xb"):
                pass  # that it is there says it all, and no kill can leave half of it
            folders = [self.folder, *(backup.folder for backup in self._earlier or ())]
            for folder in folders[self._workspace.config.backups_keep :]:
                discard(folder)
            parent = backups_folder(self._workspace)
            for name in os.listdir(parent):
                if _NAME.fullmatch(name):
                    _remove_unfinished(os.path.join(parent, name))

    def discard(self) -> None:
        """Remove this backup: the run changed nothing."""
        with suppress(OSError):
            discard(self.folder)

    def _copy_database(self, path: str, name: str) -> None:
        database.require_writable(path)
        copy = os.path.join(self.folder, name)
        copy_live(path, copy)
        self._unsynced.append(copy)

    def _save_file(self, change: Change) -> str | None:
        if change.before is None or change.before.kind != "file":
            return None
        name = f"file-{len(self._files)}"
        copy = os.path.join(self.folder, name)
        live = os.path.join(self._workspace.claude, change.path)
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
    manifest = os.path.join(folder, _MANIFEST)
    if not os.path.exists(manifest):
        discard(folder)
    elif os.path.exists(manifest + ".part"):
        os.unlink(manifest + ".part")


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
    volume = os.statvfs(workspace.bookkeeping)
    free = volume.f_bavail * volume.f_frsize
    if free < needed:
        raise StateUnreadable(
            f"There is not enough free space for a backup: {_megabytes(needed)} needed,"
            f" {_megabytes(free)} free",
            file=workspace.bookkeeping,
            hint="Free some space, or run without one: --no-backup",
        )


def _megabytes(size: int) -> str:
    return f"{size / (1 << 20):.1f} MiB"
