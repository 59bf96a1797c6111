"""The folder of backups, as reading it shows it.

``backups/<time>-<command>/`` holds ``state.db`` (the state database before the run, by the backup
API), the earlier content of every file and further database the run touched, and a manifest that
grows before each step commits. A run that changed nothing leaves no backup behind.
"""

from __future__ import annotations

import os
import re

from ..errors import InvalidVersion
from ..plain_file import read_json
from ..platform import system
from ..values import NamedTuple
from ..version import Version
from ..workspace import Workspace
from .nodes import Node, PathChange, inside, node_from_json, text_of
from .translation import permission_hint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


MANIFEST = "manifest.json"
# Of a run that changes 100,000 files.
LARGEST_MANIFEST = 64 * 1024 * 1024
STATE_COPY = "state.db"
FINISHED = "finished"
FOLDER_NAME = re.compile(r"\d{8}-\d{6}-[a-z]+(-\d+)?")


class Saved(NamedTuple):
    """A path that the run changed: from what stood there first to what its last step put there.

    ``content`` names the file in the backup that holds the earlier content, if there was any;
    ``between`` is what the last step found.
    """

    change: PathChange
    content: str | None
    between: Node | None = None

    @property
    def path(self) -> str:
        """The path, relative to ``.claude/``."""
        return self.change.path

    def ending(self, after: Node | None, between: Node | None) -> Saved:
        """Return the same path after another last step, which found ``between``."""
        return self._replace(change=self.change._replace(after=after), between=between)


class SavedDatabase(NamedTuple):
    """A further database that the run changed.

    ``after`` is its digest after the last step that changed it, ``between`` the one before that.
    """

    path: str
    content: str
    after: str
    between: str | None = None


class Backup(NamedTuple):
    """One backup; a later one has a higher ``sequence``.

    ``is_complete`` is false for a run with ``--no-backup``, which only left a note;
    ``has_state`` tells whether there was a state database before the run, ``is_finished`` that the
    run came to its end and changed something, ``database`` is the database's path as users see it,
    ``last_event`` the number of the last row that the history had before the run, if known.
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
    last_event: int | None = None

    @property
    def state(self) -> str:
        """The path of the copy of the state database."""
        return os.path.join(self.folder, STATE_COPY)

    def content(self, name: str) -> str:
        """Return the path of a saved content."""
        return os.path.join(self.folder, name)


def backups_folder(workspace: Workspace) -> str:
    """Return the folder that holds the backups."""
    return os.path.join(workspace.home, "backups")


class Damaged(NamedTuple):
    """A backup that cannot be used, and why."""

    id: str
    why: str


class Shelf(NamedTuple):
    """Everything in the folder of backups, the newest first."""

    backups: tuple[Backup, ...]
    damaged: tuple[Damaged, ...]


def list_backups(workspace: Workspace) -> list[Backup]:
    """Return every readable backup, the newest first; unfinished and damaged ones are left out.

    Raises:
        OSError: their folder cannot be read.
    """
    return list(read_shelf(workspace).backups)


def read_shelf(workspace: Workspace) -> Shelf:
    """Return every backup, and those that are damaged.

    A folder without a manifest was left by a command that was killed while it made its backup.

    Raises:
        OSError: their folder cannot be read.
    """
    try:
        names = os.listdir(backups_folder(workspace))
    except FileNotFoundError:
        return Shelf((), ())
    backups, damaged = [], []
    for name in names:
        folder = os.path.join(backups_folder(workspace), name)
        try:
            backups.append(_read(folder))
        except (OSError, ValueError) as error:
            is_unfinished = isinstance(error, FileNotFoundError) and not is_finished_at(folder)
            if FOLDER_NAME.fullmatch(name) and not is_unfinished:
                damaged.append(Damaged(name, _why_unusable(error, folder)))
    backups.sort(key=lambda backup: backup.sequence, reverse=True)
    damaged.sort(reverse=True)
    return Shelf(tuple(backups), tuple(damaged))


def _why_unusable(error: OSError | ValueError, folder: str) -> str:
    reason = system.reason_of(error)
    return f"{reason}. {permission_hint(folder)}" if isinstance(error, PermissionError) else reason


def made_at(backup_id: str) -> tuple[str, int]:
    """Return when a backup was made, by its name: the second, and which one of that second."""
    number = backup_id.rpartition("-")[2]
    is_first = not number.isdigit() or backup_id.count("-") < 3
    return backup_id[: len("20261122-170000")], 1 if is_first else int(number)


def is_finished_at(folder: str) -> bool:
    """Return whether the run that made the backup in ``folder`` came to its end."""
    return os.path.exists(os.path.join(folder, FINISHED))


def _read(folder: str) -> Backup:
    """Return the backup in a folder.

    Raises:
        OSError: its manifest cannot be read.
        ValueError: it is damaged.
    """
    document = read_json(os.path.join(folder, MANIFEST), LARGEST_MANIFEST)
    try:
        version, event = document["current_version"], document.get("last_event")
        database = document.get("database")
        return Backup(
            _number(document["sequence"]),
            os.path.basename(folder),
            folder,
            text_of(document["created_at"]),
            text_of(document["command"]),
            None if version is None else str(Version.parse(version)),
            bool(document["is_complete"]),
            bool(document["has_state"]),
            is_finished_at(folder),
            None if database is None else text_of(database),
            tuple(map(_saved, document["files"])),
            tuple(map(_saved_database, document["databases"])),
            None if event is None else _number(event),
        )
    except (KeyError, TypeError, AttributeError, InvalidVersion) as error:
        raise ValueError(f"its manifest is not one: {error!r:.100}") from None


def _number(value: object) -> int:
    if type(value) is not int or not 0 <= value < 1 << 62:
        raise ValueError(f"not a number: {value!r:.60}")
    return value


def _saved(item: dict[str, Any]) -> Saved:
    content = item["content"]
    return Saved(
        PathChange.from_json(item),
        inside(content) if content is not None else None,
        node_from_json(item.get("between")),
    )


def _saved_database(item: dict[str, Any]) -> SavedDatabase:
    between = item.get("between")
    return SavedDatabase(
        inside(item["path"]),
        inside(item["content"]),
        text_of(item["after"]),
        None if between is None else text_of(between),
    )
