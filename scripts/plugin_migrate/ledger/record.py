"""The committed record: a small text beside the files for each migration that changed them.

Git carries the files of the state and not its databases, so the ledger cannot say what a checkout
has brought or taken back. The record can: it comes and goes with the files, in one commit (design,
"The record"). It holds nothing that differs between two people who apply the same migration to the
same files, and no line that two migrations share, so that git merges it by itself.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping

from ..errors import InvalidVersion, Place, StateUnreadable
from ..git.command import NoAnswer, Repository
from ..git.history import contents
from ..migration import Migration, checksum_of
from ..plain_file import parse_json, read_plain
from ..plan import KnownRecord
from ..platform import system
from ..storage.durable import make_folder
from ..storage.nodes import Node, PathChange, below_claude, observe
from ..values import NamedTuple
from ..version import Version
from ..workspace import ALL_OF_CLAUDE, Workspace
from .read import LARGEST_RECORD
from .write import LedgerWriter

_HEAD = "# plugin-migrate: applied to the files here. Commit it with them.\n"
_NONE = "-"
_UNMERGED = (
    "If git could not merge it, two people applied it to different files: keep the record of those"
    " files\nthat you keep. Else bring it back: git checkout -- "
)


class CommittedRecord(NamedTuple):
    """What is known of one applied migration where only the files are.

    ``version`` and ``checksum`` are those of the migration. ``before`` holds the SHA-256 of each
    file that it changed, as it was before, by its path below ``.claude/``; ``None`` where there was
    none. Only of files that git carries. ``was`` are the names of the record before the migration
    got another version.
    """

    version: Version
    checksum: str
    before: dict[str, str | None]
    was: tuple[str, ...] = ()


def is_followed(workspace: Workspace) -> bool:
    """Return whether git may carry the state's files; by what stands there, without asking git.

    Only where that is all of ``.claude/``: history is not searched for what lies elsewhere.
    """
    if workspace.roots != (ALL_OF_CLAUDE,):
        return False
    folder = workspace.claude
    while (parent := os.path.dirname(folder)) != folder:
        folder = parent
        if os.path.lexists(os.path.join(folder, ".git")):
            return True
    return False


def to_text(record: CommittedRecord) -> str:
    """Return the text of a record."""
    lines = [f"version {record.version}\n", f"checksum {record.checksum}\n"]
    lines += [f"was {name}\n" for name in record.was]
    lines += [
        f"before {digest or _NONE} {json.dumps(path)}\n"
        for path, digest in sorted(record.before.items())
    ]
    return _HEAD + "".join(lines)


def from_text(text: str) -> CommittedRecord:
    """Return the record that ``text`` holds.

    Raises:
        ValueError, InvalidVersion: it is none: damaged, or two that git could not merge.
    """
    said: dict[str, str] = {}
    before: dict[str, str | None] = {}
    was = []
    for line in text.splitlines():
        word, _, rest = line.partition(" ")
        if word in ("version", "checksum") and word not in said:
            said[word] = rest
        elif word == "before":
            digest, _, path = rest.partition(" ")
            before[below_claude(parse_json(path))] = None if digest == _NONE else digest
        elif word == "was":
            was.append(below_claude(rest))
        elif word not in ("#", ""):
            raise ValueError(f"a line that no record has: {line!r:.60}")
    if len(said) < 2:
        raise ValueError("it has no version and checksum")
    return CommittedRecord(Version.parse(said["version"]), said["checksum"], before, tuple(was))


def read_text(workspace: Workspace, name: str) -> str:
    """Return the text of the record ``name``.

    Raises:
        StateUnreadable: it cannot be read, or is none.
    """
    path = os.path.join(workspace.records, name)
    try:
        text = read_plain(path, LARGEST_RECORD).decode()
        from_text(text)
    except (OSError, ValueError, InvalidVersion) as error:
        raise StateUnreadable(
            f"A migration's record cannot be read: {system.reason_of(error)}",
            file=path,
            hint=(_UNMERGED, Place(path)),
        ) from None
    return text.replace("\r\n", "\n")


def record_step(
    workspace: Workspace,
    ledger: LedgerWriter,
    direction: str,
    migration: Migration,
    changes: Iterable[PathChange],
) -> dict[PathChange, str]:
    """Note in the ledger what becomes of a migration's record, and return it as changes of files.

    They belong to the step's own: the record comes and goes with what it tells of. Each comes with
    the absolute path of the new content.

    Parameters:
        ledger: writes in the step's transaction.
        changes: what the step does to files.

    Raises:
        StateUnreadable: something else stands where the record belongs.
        OSError: the new text cannot be staged.
    """
    if workspace.live_claude is not None:  # a shadow copy, whose records are the live ones
        return {}
    if direction == "down":
        known = ledger.recorded(migration.version)
        return _take_away(workspace, ledger, known.name, migration, changes) if known else {}
    if not is_followed(workspace):
        return {}
    record = CommittedRecord(migration.version, migration.checksum, _before(workspace, changes))
    record = _as_before(workspace, ledger, record) or record
    ledger.note_record(migration.version, known_of(migration.stem, to_text(record)))
    return _folders(workspace) | _written(workspace, migration.stem, record)


def known_of(name: str, text: str) -> KnownRecord:
    """Return how the ledger knows a record."""
    return KnownRecord(name, checksum_of(text.encode()))


def standing(workspace: Workspace, name: str) -> KnownRecord:
    """Return a record that stands with the files.

    Raises:
        StateUnreadable: it cannot be read, or is none.
    """
    return known_of(name, read_text(workspace, name))


def _as_before(
    workspace: Workspace, ledger: LedgerWriter, record: CommittedRecord
) -> CommittedRecord | None:
    """Return the record that the migration had before it was rolled back, if git knows of neither.

    Then the step finds the files as the rollback left them, and nothing was committed between: for
    everybody else nothing has happened. What the rollback made of them may be in no commit.
    """
    undone = ledger.undone(record.version)
    if undone is None:
        return None
    said = json.loads(undone)
    earlier = from_text(said["text"])
    if said["after"] != record.before or earlier.checksum != record.checksum:
        return None
    name = f"HEAD:./{_inside(workspace, said['name'])}"
    try:
        committed = contents(Repository(workspace.claude), [name])[name]
    except NoAnswer:
        return None
    is_committed = committed is not None and checksum_of(committed) == checksum_of(
        said["text"].encode()
    )
    return earlier if is_committed else None


def _take_away(
    workspace: Workspace,
    ledger: LedgerWriter,
    name: str,
    migration: Migration,
    changes: Iterable[PathChange],
) -> dict[PathChange, str]:
    gone = _gone(workspace, name)
    if gone:
        after = _carried(workspace, ((one.path, one.after) for one in changes))
        said = {"name": name, "text": read_text(workspace, name), "after": after}
        ledger.note_undone(migration.version, json.dumps(said))
    return gone


def _before(workspace: Workspace, changes: Iterable[PathChange]) -> dict[str, str | None]:
    """Return what git carries of what a step changed, as it was."""
    return _carried(
        workspace, ((one.path, one.before) for one in changes if _is_file(one.before or one.after))
    )


def _carried(
    workspace: Workspace, nodes: Iterable[tuple[str, Node | None]]
) -> dict[str, str | None]:
    """Return the digests of files by path, but for folders, links and what git ignores."""
    files = {
        path: node.sha256 if node is not None else None
        for path, node in nodes
        if node is None or _is_file(node)
    }
    try:
        ignored = Repository(workspace.claude).ignored(files)
    except NoAnswer:  # whoever has no git here has one elsewhere
        return files
    return {path: digest for path, digest in files.items() if path not in ignored}


def _is_file(node: Node | None) -> bool:
    return node is not None and node.kind == "file" and node.link is None


def _inside(workspace: Workspace, name: str) -> str:
    """Return a record's path below ``.claude/``."""
    inside = os.path.relpath(os.path.join(workspace.records, name), workspace.claude)
    return inside.replace(os.sep, "/")


def _folders(workspace: Workspace) -> dict[PathChange, str]:
    parts = _inside(workspace, "").rstrip("/").split("/")
    paths = ["/".join(parts[: count + 1]) for count in range(len(parts))]
    missing: dict[PathChange, str] = {}
    for path in paths:
        node = observe(os.path.join(workspace.claude, path), through_links=False)
        if node is None:
            missing[PathChange(path, None, Node("dir", 0o755))] = ""
        elif node.kind != "dir":
            raise _in_the_way(workspace, path)
    return missing


def _in_the_way(workspace: Workspace, path: str) -> StateUnreadable:
    return StateUnreadable(
        f"{path} is where the records of applied migrations belong, and it is something else",
        file=os.path.join(workspace.claude, path),
        hint="Nothing was changed. Move it away, then run the command again.",
    )


def _written(workspace: Workspace, name: str, record: CommittedRecord) -> dict[PathChange, str]:
    path = _inside(workspace, name)
    make_folder(workspace.scratch)
    staged = os.path.join(workspace.scratch, "record")
    with open(staged, "w", encoding="utf-8", newline="") as file:
        file.write(to_text(record))
    after = observe(staged)
    assert after is not None
    before = observe(os.path.join(workspace.claude, path), through_links=False)
    if before is not None and before.kind != "file":
        raise _in_the_way(workspace, path)
    return {PathChange(path, before, after._replace(mode=0o644)): staged}


def _gone(workspace: Workspace, name: str) -> dict[PathChange, str]:
    path = _inside(workspace, name)
    before = observe(os.path.join(workspace.claude, path), through_links=False)
    return {} if before is None else {PathChange(path, before, None): ""}


def renamed(workspace: Workspace, old: str, migration: Migration) -> dict[PathChange, str]:
    """Return what becomes of a record, if there is one, when its migration gets another version.

    Parameters:
        old: the record's name.
        migration: as it is called now.

    Raises:
        StateUnreadable: it cannot be read.
        OSError: the new one cannot be staged.
    """
    if not os.path.lexists(os.path.join(workspace.records, old)):
        return {}
    record = from_text(read_text(workspace, old))
    new = record._replace(
        version=migration.version, checksum=migration.checksum, was=(*record.was, old)
    )
    return _gone(workspace, old) | _written(workspace, migration.stem, new)


def known_in(changes: Mapping[PathChange, str]) -> KnownRecord | None:
    """Return how the ledger knows the record that changes bring, if they bring one."""
    for change, staged in changes.items():
        if change.after is not None and change.after.kind == "file":
            with open(staged, encoding="utf-8") as file:
                return known_of(os.path.basename(change.path), file.read())
    return None
