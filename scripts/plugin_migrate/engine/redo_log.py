"""The redo log of one step: everything its publishing needs, on the disk before the commit.

A log is a folder ``publish/<id>/`` with one ``pack`` of new contents, a copy of every further
database the step changed, and ``manifest.json``, which is written last: a log without it was never
finished. ``<id>.done`` is a log whose files have all arrived. What stood there before is known by
its hash; the content is the backup's to keep. A ``pack`` of 0.1.0 holds it too, at ``before_at``.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import tempfile
from collections.abc import Iterable, Iterator, Sequence

from ..errors import Call, NeedsRepair, StateUnreadable
from ..plain_file import parse_json, read_plain
from ..storage.durable import make_folder, sync_file, sync_folder, sync_open, write_atomically
from ..storage.nodes import Node, inside, node_from_json, nodes_as_json, text_of
from ..values import NamedTuple
from ..version import Version
from ..workspace import Workspace
from .platform_files import copy_attributes
from .staging import Change

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .prepare import Prepared
    from .side_database import SideDatabase


_CHUNK = 1 << 20
_DONE = ".done"
_MANIFEST = "manifest.json"
# Of a step that changes 100,000 files.
_LARGEST_MANIFEST = 64 * 1024 * 1024
_NAME = re.compile(r"[0-9a-f]{16}(\.done)?")


class PathChange(NamedTuple):
    """One path of a manifest; ``after_at`` is the offset of its new content in the pack."""

    path: str
    before: Node | None
    after: Node | None
    after_at: int | None = None


class DatabaseEntry(NamedTuple):
    """A further database of a manifest: ``copy`` names the file in the log that holds the result.

    ``before`` and ``after`` are digests of its pages (see ``live_database.py``).
    """

    path: str
    copy: str
    before: str
    after: str


class Manifest(NamedTuple):
    """What a step publishes. ``project`` is the real path of the project that wrote it.

    ``pack`` holds inode and time of change, in nanoseconds, of the log's pack when it was written:
    they tell a log that was written where it stands from one that came with a copy.
    """

    id: str
    version: Version
    direction: str
    project: str
    entries: tuple[PathChange, ...]
    databases: tuple[DatabaseEntry, ...] = ()
    pack: tuple[int, ...] = ()

    def to_json(self) -> str:
        """Return the manifest as the one JSON text that log and ledger both carry."""
        document = self._asdict() | {
            "format": 1,
            "version": str(self.version),
            "entries": [
                entry._asdict() | nodes_as_json(entry.before, entry.after) for entry in self.entries
            ],
            "databases": [entry._asdict() for entry in self.databases],
        }
        return json.dumps(document, sort_keys=True, ensure_ascii=True)

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        """Return the manifest that ``text`` holds.

        Raises:
            ValueError: it is damaged, or a path in it leaves ``.claude/``.
        """
        try:
            document = parse_json(text)
            return cls(
                text_of(document["id"]),
                Version.parse(document["version"]),
                text_of(document["direction"]),
                text_of(document["project"]),
                tuple(_entry(item) for item in document["entries"]),
                tuple(
                    DatabaseEntry(
                        inside(item["path"]),
                        _name(item["copy"]),
                        text_of(item["before"]),
                        text_of(item["after"]),
                    )
                    for item in document["databases"]
                ),
                tuple(map(int, document.get("pack", ()))),
            )
        except ValueError:
            raise
        except Exception as error:
            raise ValueError(f"{type(error).__name__}: {error}") from error


def _entry(item: dict[str, Any]) -> PathChange:
    at = item["after_at"]
    if at is not None and (type(at) is not int or not 0 <= at < 1 << 62):
        raise ValueError(f"not a place in the pack: {at!r:.60}")
    return PathChange(
        inside(item["path"]), node_from_json(item["before"]), node_from_json(item["after"]), at
    )


def _name(copy: object) -> str:
    """Return the name of a file that stands in the log itself."""
    name = inside(copy)
    if "/" in name:
        raise ValueError(f"not a file of the log: {copy!r}")
    return name


class Log:
    """One redo log folder; ``folder`` is its path now."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    @property
    def id(self) -> str:
        """The random name that the ledger's publish row also carries."""
        return os.path.basename(self.folder).removesuffix(_DONE)

    @property
    def is_done(self) -> bool:
        """Whether all its files have arrived, so that it must never be replayed."""
        return self.folder.endswith(_DONE)

    @property
    def is_finished(self) -> bool:
        """Whether it was written to its end; before that no commit can have happened."""
        return os.path.exists(os.path.join(self.folder, _MANIFEST))

    def manifest(self) -> Manifest:
        """Return what the log publishes.

        Raises:
            NeedsRepair: the log is damaged.
        """
        path = os.path.join(self.folder, _MANIFEST)
        try:
            return Manifest.from_json(read_plain(path, _LARGEST_MANIFEST).decode())
        except (OSError, ValueError) as error:
            raise NeedsRepair(
                f"A redo log is damaged: {getattr(error, 'strerror', None) or error}",
                file=path,
                hint=(
                    "Some files of the step it belongs to may not have arrived. Compare them with",
                    " a backup,\nthen accept what stands there: ",
                    Call("repair", "--keep-live"),
                ),
            ) from None

    def content(self, node: Node, offset: int) -> Iterator[bytes]:
        """Yield the content of ``node``, which stands at ``offset`` in the pack.

        Raises:
            NeedsRepair: the pack does not hold what the manifest says; perhaps only at the end.
        """
        digest = hashlib.sha256()
        left = node.size
        with open(self.path_of("pack"), "rb", buffering=0) as pack:
            pack.seek(offset)
            while left:
                chunk = pack.read(min(left, _CHUNK))
                if not chunk:
                    break
                left -= len(chunk)
                digest.update(chunk)
                yield chunk
        if left or digest.hexdigest() != node.sha256:
            raise NeedsRepair(
                "A redo log is damaged: its pack is not what the step wrote",
                file=self.path_of("pack"),
                hint=("Accept the live files: ", Call("repair", "--keep-live")),
            )

    def path_of(self, name: str) -> str:
        """Return the path of one of the log's files."""
        return os.path.join(self.folder, name)

    def is_native(self) -> bool:
        """Return whether the log was written where it stands, by this user.

        No clone, archive or copy keeps a file's inode and its time of change, and neither can be
        set, so a log that somebody made up or handed on is not native. Moving it within its file
        system is no copy.
        """
        try:
            status = os.lstat(self.path_of("pack"))
            if status.st_uid != os.geteuid():
                return False
            # A look before it is parsed: one that somebody made up may be as long as they like.
            content = read_plain(self.path_of(_MANIFEST), _LARGEST_MANIFEST)
            if str(status.st_ctime_ns).encode() not in content:
                return False
            return self.manifest().pack == _identity(status)
        except (NeedsRepair, OSError):
            return False

    def close(self) -> None:
        """Mark the log as done, durably: from now on it is never replayed."""
        if self.is_done:
            return
        done = self.folder + _DONE
        os.rename(self.folder, done)
        self.folder = done
        sync_folder(os.path.dirname(done))


def logs(workspace: Workspace) -> list[Log]:
    """Return every redo log there is."""
    try:
        names = os.listdir(workspace.publish)
    except FileNotFoundError:
        return []
    ours = sorted(name for name in names if _NAME.fullmatch(name))
    return [Log(os.path.join(workspace.publish, name)) for name in ours]


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_ino, status.st_ctime_ns


class LogWriter:
    """Writes one redo log; nothing counts before :meth:`finish`."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        make_folder(workspace.publish)
        self.log = Log(os.path.join(workspace.publish, secrets.token_hex(8)))
        os.mkdir(self.log.folder, 0o700)

    def finish(
        self,
        version: Version,
        direction: str,
        changes: Iterable[Change],
        databases: tuple[DatabaseEntry, ...] = (),
    ) -> Manifest:
        """Write contents and manifest to the disk, and return the manifest.

        Copies of further databases must already stand in the log's folder.

        Raises:
            OSError: the disk is full or broken; the unfinished log may be removed.
        """
        entries = self._pack(changes)
        manifest = Manifest(
            self.log.id,
            version,
            direction,
            self._workspace.project,
            entries,
            databases,
            _identity(os.lstat(self.log.path_of("pack"))),
        )
        for database in databases:
            sync_file(self.log.path_of(database.copy))
        write_atomically(self.log.path_of(_MANIFEST), manifest.to_json())
        sync_folder(os.path.dirname(self.log.folder))
        return manifest

    def _pack(self, changes: Iterable[Change]) -> tuple[PathChange, ...]:
        entries = []
        with open(self.log.path_of("pack"), "xb") as pack:
            for change in changes:
                after_at = None
                if change.after is not None and change.after.kind == "file":
                    after_at = pack.tell()
                    with open(change.staged, "rb") as file:
                        while chunk := file.read(_CHUNK):
                            pack.write(chunk)
                entries.append(PathChange(change.path, change.before, change.after, after_at))
            sync_open(pack, self.log.path_of("pack"))
        return tuple(entries)


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
    live = workspace.live(change.path)
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
        os.path.realpath(workspace.live(change.path))
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


def write_log(
    workspace: Workspace,
    prepared: Prepared,
    changes: Sequence[Change],
    sides: Sequence[SideDatabase],
) -> tuple[Log, Manifest]:
    """Bring the redo log of a step to the disk (design, "The commit protocol", clause 5).

    Raises:
        StateUnreadable: it could not be written, or not be published later.
    """
    try:
        refuse_unpublishable(workspace, changes)
        writer = LogWriter(workspace)
        databases = tuple(
            side.move_into(writer.log.folder, f"database-{number}.sqlite")
            for number, side in enumerate(sides)
        )
        manifest = writer.finish(prepared.version, prepared.direction, changes, databases)
    except OSError as error:
        raise StateUnreadable(
            f"The step's files cannot be written: {error.strerror}",
            file=error.filename,
            hint="Free some space or correct the permissions, then run the command again.",
        ) from error
    return writer.log, manifest
