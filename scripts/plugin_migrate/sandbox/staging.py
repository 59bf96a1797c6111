"""The private copy of the state that a code migration works on, and what it changed there.

Nothing here writes to the live state. See the design, "The commit protocol", clause 2.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable

from ..errors import EditedMeanwhile, ForbiddenStatement
from ..platform import system
from ..platform.moving import discard, remove
from ..storage.files import copy_open, original
from ..storage.nodes import (
    RACY_NS,
    Node,
    PathChange,
    is_spelled,
    observe,
)
from ..storage.state_tree import (
    SIDE_SUFFIXES,
    Found,
    StateTree,
    WalkedFolder,
    followed,
    holds_database,
)
from ..storage.translation import explaining
from ..values import NamedTuple
from ..workspace import BESIDE, Workspace, named, path_from
from .file_watch import NAME_IT

_COPY_ATTEMPTS = 5
_A_DATABASE = "a database; use ctx.database(path)"


class Baseline(NamedTuple):
    """A staged path as it was when the step began: a tuple, for there is one for every file.

    ``live`` is the live side's signature, or ``None`` where only a closer look tells whether
    something changed: folders, and files that may change once more without a sign.
    ``read_only_reason`` says why the path must not be changed, if so.
    """

    node: Node
    live: system.Signature | None
    read_only_reason: str | None


class _Folder(NamedTuple):
    """What the copy holds of one folder, by name.

    ``live`` and ``staged`` are the signatures to be found there as long as nobody changes anything,
    so that one comparison answers for a whole folder. Where a signature is not enough stands none
    that could be found: ``None``, and for a folder in ``staged`` one that holds its mode only.
    """

    live: dict[str, system.Signature | None]
    staged: dict[str, system.Signature | None]
    baseline: dict[str, Baseline]

    def keep(self, known: _Folder, found: dict[str, system.Signature]) -> None:
        """Take over from an earlier copy, ``known``, what is ``found`` as it was then."""
        for name, signature in known.live.items():
            if signature is not None and signature == found.get(name):
                self.live[name] = signature
                self.staged[name] = known.staged[name]
                self.baseline[name] = known.baseline[name]


class Staging:
    """A copy of the state without databases, bookkeeping and what is excluded.

    Parameters:
        workspace: whose state is copied.
        folder: a folder of ours, on the state's own device, that this object creates and owns.
    """

    def __init__(self, workspace: Workspace, folder: str) -> None:
        self._workspace = workspace
        self.project = os.path.join(folder, "project")
        self.claude = os.path.join(self.project, ".claude")
        # By path with a slash; and what there was before this refresh.
        self._folders: dict[str, _Folder] = {}
        self._earlier: dict[str, _Folder] = {}
        self._copied: list[tuple[_Folder, str]] = []
        self._excluded: dict[str, str] = {}
        self._begun_ns = 0
        self._tree = StateTree(workspace)

    def refresh(self) -> None:
        """Make the copy equal to the live state; copies only what changed since the last time.

        Raises:
            StateUnreadable: something cannot be read, or the disk is full.
            Conflict: a file is being rewritten without a pause.
        """
        hint = (
            "Make it readable, move it away, or add it to `exclude` in .claude/plugin-migrate.yaml."
        )
        with explaining("The state cannot be copied", hint):
            os.makedirs(self.claude, mode=0o700, exist_ok=True)
            self._excluded = {}
            self._tree = StateTree(self._workspace)
            self._earlier, self._folders, self._copied = self._folders, {}, []
            self._begun_ns = self._now_ns()
            # Always, so that what a step makes beside `.claude/` is seen.
            self._folders[BESIDE] = _Folder({}, {}, {})
            for start in self._tree.starts:
                self._copy_folder(start, None)
            self._distrust_latest()

    def changes(self) -> dict[PathChange, str]:
        """Return what differs from the state at the time of :meth:`refresh`, in path order.

        Each comes with the absolute path of the new content.

        Raises:
            ForbiddenStatement: something stands in the copy that must not be published.
        """
        changes = []
        now_ns = self._now_ns()
        touched, gone = self._scan()
        self._refuse_outside([*(path for path, _ in touched), *gone])
        for path, signature in touched:
            base = self.baseline(path)
            after = self._describe(path, signature[4], base)
            before = _node_before(base, after)
            if after != before:
                changes.append(PathChange(path, before, after))
            elif after.kind == "file" and signature[3] < now_ns:
                self._trust(path, signature)
        changes += [
            PathChange(path, _node_before(self.baseline(path), None), None) for path in gone
        ]
        changes.sort(key=lambda change: change.path)
        for change in changes:
            self._look_again(change.path)
        return {change: self._staged(change.path) for change in changes}

    def baseline(self, path: str) -> Baseline | None:
        """Return how a path was staged, if it was."""
        prefix, name = _split(path)
        folder = self._folders.get(prefix)
        return folder.baseline.get(name) if folder is not None else None

    def databases(self) -> list[str]:
        """Return the databases of the live state, which the copy lacks."""
        return sorted(path for path, why in self._excluded.items() if why == _A_DATABASE)

    # --- copying -------------------------------------------------------------------------------

    def _copy_folder(self, place: WalkedFolder, read_only_reason: str | None) -> None:
        known = self._earlier.get(place.prefix)
        found = system.signatures_in(place.folder) if known is not None else {}
        if known is not None and found == known.live:
            self._folders[place.prefix] = known
            return
        copied = self._folders[place.prefix] = _Folder({}, {}, {})
        if known is not None:
            copied.keep(known, found)
        for entry in self._tree.entries(place, but=frozenset(copied.live)):
            copied.live[entry.name] = None
            self._copy_entry(place, entry, read_only_reason)
        # Also what an earlier step made and somebody deleted since.
        for name in self._names_in(place.prefix):
            if name not in copied.staged:
                self._forget(place.prefix + name)

    def _copy_entry(self, place: WalkedFolder, entry: Found, read_only_reason: str | None) -> None:
        if entry.left_out is not None:
            self._excluded[entry.path] = entry.left_out
        elif entry.kind == "link":
            self._copy_link(place, entry, read_only_reason)
        elif entry.kind == "dir":
            self._copy_whole(place.below(entry), entry, read_only_reason, None)
        else:
            self._copy_file(entry, read_only_reason, None)

    def _copy_link(self, place: WalkedFolder, link: Found, read_only_reason: str | None) -> None:
        target = followed(place, link)
        path, real = target.path, target.source
        text = os.readlink(link.source)
        if target.kind == "file":
            read_only_reason = read_only_reason or self._why_read_only(path, real)
            if self._keep_linked(path, system.signature_of(os.stat(real)), text):
                return
            self._copy_file(target, read_only_reason, text)
        elif target.kind == "dir":
            read_only_reason = read_only_reason or self._why_read_only_folder(path, real)
            self._copy_whole(place.below(target, is_linked=True), target, read_only_reason, text)
        else:
            self._excluded[path] = "a link that leads nowhere, or back to a folder above it"

    def _why_read_only(self, path: str, real: str) -> str | None:
        """Return why the file that a link leads to must not be changed, if so."""
        is_state = self._workspace.path_of(real) is not None
        if is_state or self._workspace.config.follow_links:
            return None
        return (
            f"{path} is a link that leaves .claude/ (to {real}); set follow_links: true in"
            " .claude/plugin-migrate.yaml if migrations may change it"
        )

    def _why_read_only_folder(self, path: str, real: str) -> str:
        """Return why what is in a linked folder must not be changed, whatever the settings say."""
        never = f"{path} is a linked folder, which no setting lets migrations change"
        target = self._workspace.shown(real)
        if self._workspace.path_of(real) is not None:
            return f"{never}; let them change what it links to, {target}"
        return f"{never}; put a folder in the link's place (it links to {target})"

    def _keep_linked(self, path: str, live: system.Signature, text: str) -> bool:
        """Keep a link's copied file if it is still as it was; return whether it is."""
        prefix, name = _split(path)
        known = self._earlier.get(prefix)
        base = known.baseline.get(name) if known is not None else None
        if known is None or base is None or base.live != live or base.node.link != text:
            return False
        folder = self._folders[prefix]
        folder.staged[name] = known.staged[name]
        folder.baseline[name] = base
        return True

    def _copy_whole(
        self, place: WalkedFolder, entry: Found, read_only_reason: str | None, link: str | None
    ) -> None:
        """Copy a folder and what it holds; its own mode comes last, for it may forbid that."""
        path = entry.path
        mode = system.permissions(os.stat(place.folder))
        staged = self._staged(path)
        is_folder = os.path.isdir(staged) and is_spelled(*self._place(path))
        if not is_folder or os.path.islink(staged):
            self._forget(path)
            os.mkdir(staged)
            self._earlier.pop(place.prefix, None)
        _set_mode(staged, mode | 0o700)
        self._copy_folder(place, read_only_reason)
        _set_mode(staged, mode)
        parent, name = _split(path)
        self._folders[parent].staged[name] = _folder_signature(os.lstat(staged).st_mode)
        self._folders[parent].baseline[name] = Baseline(
            Node("dir", mode, link=link), None, read_only_reason
        )

    def _copy_file(self, entry: Found, read_only_reason: str | None, link: str | None) -> None:
        """Copy a file unless it is a database."""
        prefix, name = _split(entry.path)
        folder = self._folders[prefix]
        for _ in range(_COPY_ATTEMPTS):
            copied = self._try_copy(entry, link)
            if isinstance(copied, str):
                self._excluded[entry.path] = copied
                return
            if copied is not None:
                node, live, folder.staged[name] = copied
                folder.baseline[name] = Baseline(node, live, read_only_reason)
                # A side file is asked about again: what it stands beside may become a database.
                if link is None and not name.endswith(SIDE_SUFFIXES):
                    folder.live[name] = live
                self._copied.append((folder, name))
                return
        raise EditedMeanwhile(
            f"{entry.path} is being rewritten without a pause",
            hint="Close the program that writes it, or exclude it, and try again.",
        )

    def _try_copy(
        self, entry: Found, link: str | None
    ) -> tuple[Node, system.Signature | None, system.Signature] | str | None:
        """Return what was copied, why it is excluded, or ``None`` when it changed meanwhile."""
        staged = self._staged(entry.path)
        with original(entry.source) as file:
            status = file.status
            if not stat.S_ISREG(status.st_mode):
                return "neither a file nor a folder"
            if self._tree.is_database(entry, file.first):
                return _A_DATABASE
            try:
                digest, copied = copy_open(file, staged)
            except FileExistsError:
                self._forget(entry.path)
                digest, copied = copy_open(file, staged)
            live = system.signature_of(status)
            if system.signature_of(os.fstat(file.descriptor)) != live:
                remove(staged)
                return None
        node = Node("file", system.permissions(status), digest, copied.st_size, link)
        # A later change within one tick of the clock would leave no sign.
        is_telling = system.changed_ns(status) < self._begun_ns - RACY_NS
        return node, live if is_telling else None, system.signature_of(copied)

    def _distrust_latest(self) -> None:
        """Have those copies read again that the step may change within one tick of the clock."""
        now_ns = self._now_ns()
        for folder, name in reversed(self._copied):
            signature = folder.staged[name]
            if signature is not None and signature[3] < now_ns:
                return
            folder.staged[name] = None

    def _now_ns(self) -> int:
        """Return the time by the clock of the copy's own file system.

        Whatever is written there from now on gets this time or a later one.
        """
        os.utime(self.project)
        return system.changed_ns(os.stat(self.project))

    def _place(self, path: str) -> tuple[str, str]:
        """Return the folder of the copy that a path begins in, and how it goes on there."""
        if path.startswith(BESIDE):
            return self.project, path.removeprefix(BESIDE)
        return self.claude, path

    def _staged(self, path: str) -> str:
        return "/".join(self._place(path))

    def _names_in(self, prefix: str) -> list[str]:
        """Return what the copy of a folder holds, but for ``.claude``, where a walk begins."""
        names = os.listdir(self._staged(prefix))
        return [name for name in names if prefix != BESIDE or name != ".claude"]

    def _forget(self, path: str) -> None:
        staged = self._staged(path)
        if os.path.isdir(staged) and not os.path.islink(staged):
            discard(staged)
        elif os.path.lexists(staged):
            remove(staged)

    # --- comparing -----------------------------------------------------------------------------

    def _look_again(self, path: str) -> None:
        """Have the next refresh look at what the step changed, also if nothing is there then."""
        prefix, name = _split(path)
        folder = self._folders.get(prefix)
        if folder is not None:
            folder.live[name] = None

    def _trust(self, path: str, staged: system.Signature) -> None:
        """Have a file that was read and is unchanged not read again after the next step."""
        prefix, name = _split(path)
        self._folders[prefix].staged[name] = staged

    def _scan(self) -> tuple[list[tuple[str, system.Signature]], list[str]]:
        """Return what may be new or changed in the copy, and what is gone."""
        touched = []
        gone = []
        left = dict(self._folders)
        folders = ["", BESIDE]
        for prefix in folders:
            known = left.pop(prefix, _Folder({}, {}, {})).staged
            found = system.signatures_in(self._staged(prefix))
            if prefix == BESIDE:
                found.pop(".claude", None)
            if found == known:
                continue
            for name, signature in found.items():
                expected = signature
                if stat.S_ISDIR(signature[4]):
                    folders.append(prefix + name + "/")
                    expected = _folder_signature(signature[4])
                if known.get(name) != expected:
                    touched.append((prefix + name, signature))
            gone += [prefix + name for name in known if name not in found]
        for prefix, folder in left.items():
            gone += [prefix + name for name in folder.staged]
        return touched, gone

    def _describe(self, path: str, mode: int, base: Baseline | None) -> Node:
        """Return what stands in the copy at ``path``, as it will stand in the live state."""
        if path in self._excluded:
            raise ForbiddenStatement(
                f"The migration made {path}, which is not part of its copy of the state:"
                f" {self._excluded[path]}",
                hint="For a database use ctx.db, or ctx.database(path).",
            )
        staged = self._staged(path)
        if stat.S_ISLNK(mode):
            return self._describe_link(path, staged)
        node = observe(staged)
        if node is None or node.kind == "other":
            raise ForbiddenStatement(
                f"The migration made {path}, which is neither a file nor a folder"
            )
        if node.kind == "file" and holds_database(staged):
            raise ForbiddenStatement(
                f"The migration made the database {path} as a plain file",
                hint="Use ctx.database(path): it is created, staged and committed with the step.",
            )
        if base is None or base.node.kind != node.kind:
            return node
        return node._replace(link=base.node.link)

    def _describe_link(self, path: str, staged: str) -> Node:
        text = os.readlink(staged)
        target = path_from(os.path.realpath(staged), os.path.realpath(self.claude))
        if os.path.isabs(text) or not self._workspace.holds(target):
            raise ForbiddenStatement(
                f"The migration made the link {path}, which leaves .claude/ (to {text})",
                hint="Make it relative, to something inside .claude/.",
            )
        return Node("link", link=text)

    def _refuse_outside(self, paths: Iterable[str]) -> None:
        """Refuse what a step did beside ``.claude/`` and what ``state:`` names there."""
        outside = sorted(named(path) for path in paths if not self._tree.is_state(path))
        if outside:
            raise ForbiddenStatement(
                f"The migration wrote outside .claude/: {', '.join(outside[:5])}",
                hint=f"Use ctx.claude. {NAME_IT}",
            )


def _split(path: str) -> tuple[str, str]:
    """Return the path of the folder with a slash, and the name."""
    folder, slash, name = path.rpartition("/")
    return folder + slash, name


def _folder_signature(mode: int) -> system.Signature:
    return (0, 0, 0, 0, mode)


def _node_before(base: Baseline | None, after: Node | None) -> Node | None:
    """Return what stood at a path that a step changed into ``after``.

    A link that is deleted, or replaced by something that is not a file, changes itself; what it led
    to does not, and may go in the same step.
    """
    if base is None:
        return None
    node = base.node
    if node.kind == "file" and node.link is not None and (after is None or after.kind != "file"):
        return Node("link", link=node.link)
    return node


def _set_mode(path: str, mode: int) -> None:
    if system.permissions(os.lstat(path)) != mode:
        os.chmod(path, mode)
