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
from collections.abc import Iterator, Mapping, Sequence

from ..errors import Call, NeedsRepair
from ..plain_file import parse_json, read_plain
from ..platform import system
from ..platform.moving import rename
from ..storage.durable import make_folder, sync_file, sync_folder, sync_open, write_atomically
from ..storage.nodes import Node, PathChange, inside, kind_of, text_of
from ..storage.translation import explaining
from ..values import NamedTuple
from ..version import Version
from ..workspace import Workspace
from .compare import refuse_unpublishable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .prepare import Prepared
    from .side_database import SideDatabase


_CHUNK = 1 << 20
_DONE = ".done"
_MANIFEST = "manifest.json"
# Of a step that changes 100,000 files.
_LARGEST_MANIFEST = 64 * 1024 * 1024
_NAME = re.compile(r"[0-9a-f]{16}(\.done)?")


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

    ``offsets`` tell of each of ``entries`` where in the pack its new content begins, if it has one;
    ``pack`` holds inode and time of change, in nanoseconds, of the log's pack when it was written:
    they tell a log that was written where it stands from one that came with a copy.
    """

    id: str
    version: Version
    direction: str
    project: str
    entries: tuple[PathChange, ...]
    offsets: tuple[int | None, ...]
    databases: tuple[DatabaseEntry, ...] = ()
    pack: tuple[int, ...] = ()

    def to_json(self) -> str:
        """Return the manifest as the one JSON text that log and ledger both carry."""
        document = {
            "format": 1,
            "id": self.id,
            "version": str(self.version),
            "direction": self.direction,
            "project": self.project,
            "entries": [
                entry.as_json() | {"after_at": offset}
                for entry, offset in zip(self.entries, self.offsets, strict=True)
            ],
            "databases": [entry._asdict() for entry in self.databases],
            "pack": self.pack,
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
                tuple(map(PathChange.from_json, document["entries"])),
                tuple(_offset(item["after_at"]) for item in document["entries"]),
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


def _offset(value: object) -> int | None:
    if value is None or (type(value) is int and 0 <= value < 1 << 62):
        return value
    raise ValueError(f"not a place in the pack: {value!r:.60}")


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
                f"A redo log is damaged: {system.reason_of(error)}",
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
            if not system.is_own(status):
                return False
            # A look before it is parsed: one that somebody made up may be as long as they like.
            content = read_plain(self.path_of(_MANIFEST), _LARGEST_MANIFEST)
            identity = system.identity(self.path_of("pack"))
            if str(identity[1]).encode() not in content:
                return False
            return self.manifest().pack == identity
        except (NeedsRepair, OSError):
            return False

    def close(self) -> None:
        """Mark the log as done, durably: from now on it is never replayed."""
        if self.is_done:
            return
        done = self.folder + _DONE
        rename(self.folder, done)
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
        changes: Mapping[PathChange, str],
        databases: tuple[DatabaseEntry, ...] = (),
    ) -> Manifest:
        """Write contents and manifest to the disk, and return the manifest.

        Copies of further databases must already stand in the log's folder.

        Parameters:
            changes: each with the absolute path of the file that holds its new content.

        Raises:
            OSError: the disk is full or broken; the unfinished log may be removed.
        """
        offsets = self._pack(changes)
        manifest = Manifest(
            self.log.id,
            version,
            direction,
            self._workspace.project,
            tuple(changes),
            offsets,
            databases,
            system.identity(self.log.path_of("pack")),
        )
        for database in databases:
            sync_file(self.log.path_of(database.copy))
        write_atomically(self.log.path_of(_MANIFEST), manifest.to_json())
        sync_folder(os.path.dirname(self.log.folder))
        return manifest

    def _pack(self, changes: Mapping[PathChange, str]) -> tuple[int | None, ...]:
        """Write the new contents one after the other, and return where each begins."""
        offsets: list[int | None] = []
        with open(self.log.path_of("pack"), "xb") as pack:
            for change, content in changes.items():
                if kind_of(change.after) != "file":
                    offsets.append(None)
                    continue
                offsets.append(pack.tell())
                with open(content, "rb") as file:
                    while chunk := file.read(_CHUNK):
                        pack.write(chunk)
            sync_open(pack, self.log.path_of("pack"))
        return tuple(offsets)


def write_log(
    workspace: Workspace,
    prepared: Prepared,
    changes: Mapping[PathChange, str],
    sides: Sequence[SideDatabase],
) -> tuple[Log, Manifest]:
    """Bring the redo log of a step to the disk (design, "The commit protocol", clause 5).

    Parameters:
        changes: each with the absolute path of the file that holds its new content.

    Raises:
        StateUnreadable: it could not be written, or not be published later.
    """
    with explaining("The step's files cannot be written"):
        refuse_unpublishable(workspace, changes)
        writer = LogWriter(workspace)
        databases = tuple(
            side.move_into(writer.log.folder, f"database-{number}.sqlite")
            for number, side in enumerate(sides)
        )
        manifest = writer.finish(prepared.version, prepared.direction, changes, databases)
    return writer.log, manifest
