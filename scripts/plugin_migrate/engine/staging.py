"""The private copy of the state that a code migration works on, and what it changed there.

Nothing here writes to the live state. See the design, "The commit protocol", clauses 2 and 4.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from ..errors import Conflict, EditedMeanwhile, ForbiddenStatement, StateUnreadable
from ..plain_file import open_plainly
from ..sandbox.file_watch import NAME_IT
from ..storage.exclusions import SIDE_SUFFIXES, Exclusions, holds_database
from ..storage.files import LinkAllowance, copy_open, discard, read_beginning, require_copyable
from ..storage.nodes import (
    RACY_NS,
    Node,
    Signature,
    digest_of,
    finds_one_of,
    is_spelled,
    is_taken,
    observe,
    signature_of,
    signatures_in,
)
from ..values import NamedTuple
from ..workspace import BESIDE, Workspace, is_inside, named

_COPY_ATTEMPTS = 5
_A_DATABASE = "a database; use ctx.database(path)"


@dataclass(frozen=True, slots=True)
class Change:
    """One path that a step created, changed or deleted.

    ``path`` is one of the state (:class:`Workspace`); ``staged`` is the absolute path of the new
    content.
    """

    path: str
    before: Node | None
    after: Node | None
    staged: str


class _Baseline(NamedTuple):
    """A staged path as it was when the step began: a tuple, for there is one for every file.

    ``live`` is the live side's signature, or ``None`` where only a closer look tells whether
    something changed: folders, and files that may change once more without a sign.
    ``read_only_reason`` says why the path must not be changed, if so.
    """

    node: Node
    live: Signature | None
    read_only_reason: str | None


class _Folder(NamedTuple):
    """What the copy holds of one folder, by name.

    ``live`` and ``staged`` are the signatures to be found there as long as nobody changes anything,
    so that one comparison answers for a whole folder. Where a signature is not enough stands none
    that could be found: ``None``, and for a folder in ``staged`` one that holds its mode only.
    """

    live: dict[str, Signature | None]
    staged: dict[str, Signature | None]
    baseline: dict[str, _Baseline]


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
        self._exclusions = Exclusions(workspace)
        self._allowance = LinkAllowance()

    def refresh(self) -> None:
        """Make the copy equal to the live state; copies only what changed since the last time.

        Raises:
            StateUnreadable: something cannot be read, or the disk is full.
            Conflict: a file is being rewritten without a pause.
        """
        try:
            os.makedirs(self.claude, mode=0o700, exist_ok=True)
            self._excluded = {}
            self._exclusions = Exclusions(self._workspace)
            self._allowance = LinkAllowance()
            self._earlier, self._folders, self._copied = self._folders, {}, []
            self._begun_ns = self._now_ns()
            # Always, so that what a step makes beside `.claude/` is seen.
            self._folders[BESIDE] = _Folder({}, {}, {})
            for start in self._workspace.starts:
                folder = self._workspace.place(start)[0]
                self._copy_folder(folder, start, None, (folder,))
            self._distrust_latest()
        except OSError as error:
            raise StateUnreadable(
                f"The state cannot be copied: {error.strerror}",
                file=error.filename,
                hint="Make it readable, or add it to `exclude` in .claude/plugin-migrate.yaml.",
            ) from error
        except RecursionError as error:
            deepest = max(self._folders, key=lambda path: path.count("/"))
            raise StateUnreadable(
                "The state cannot be copied: folders are nested too deep",
                file=named("/".join(deepest.split("/")[: 2 if deepest.startswith(BESIDE) else 1])),
                hint="Move it away, or add it to `exclude` in .claude/plugin-migrate.yaml.",
            ) from error

    def changes(self, gone_beside: Collection[str] = ()) -> tuple[Change, ...]:
        """Return what differs from the state at the time of :meth:`refresh`, in path order.

        Parameters:
            gone_beside: paths of databases that go with the step, so that their folder may too.

        Raises:
            Conflict: somebody changed one of these paths in the live state meanwhile, or the
                path cannot be published.
            ForbiddenStatement: something stands in the copy that must not be published.
        """
        changes = []
        now_ns = self._now_ns()
        touched, gone = self._scan()
        self._refuse_outside([*(path for path, _ in touched), *gone])
        for path, signature in touched:
            base = self._base(path)
            after = self._describe(path, signature[4], base)
            before = _node_before(base, after)
            if after != before:
                changes.append(Change(path, before, after, self._staged(path)))
            elif after.kind == "file" and signature[3] < now_ns:
                self._trust(path, signature)
        for path in gone:
            before = _node_before(self._base(path), None)
            changes.append(Change(path, before, None, self._staged(path)))
        changes.sort(key=lambda change: change.path)
        self._refuse_conflicts(changes, gone_beside)
        for change in changes:
            self._look_again(change.path)
        return tuple(changes)

    def databases(self) -> list[str]:
        """Return the databases of the live state, which the copy lacks."""
        return sorted(path for path, why in self._excluded.items() if why == _A_DATABASE)

    # --- copying -------------------------------------------------------------------------------

    def _copy_folder(
        self,
        folder: str,
        prefix: str,
        read_only_reason: str | None,
        visited_folders: tuple[str, ...],
    ) -> None:
        """Copy what stands in ``folder``.

        ``prefix`` is the folder's own path with a slash; ``visited_folders`` the real folders on
        the way, so that links cannot lead in circles.
        """
        known = self._earlier.get(prefix)
        found = signatures_in(folder) if known is not None else {}
        if known is not None and found == known.live:
            self._folders[prefix] = known
            return
        copied = self._folders[prefix] = _Folder({}, {}, {})
        with os.scandir(folder) as listing:
            # By name, so that a database comes before its side files.
            entries = sorted(listing, key=lambda entry: entry.name)
        for entry in entries:
            name = entry.name
            signature = known.live.get(name) if known is not None else None
            if known is not None and signature is not None and signature == found.get(name):
                copied.live[name] = signature
                copied.staged[name] = known.staged[name]
                copied.baseline[name] = known.baseline[name]
            else:
                copied.live[name] = None
                self._copy_entry(entry, prefix + name, read_only_reason, visited_folders)
        # Also what an earlier step made and somebody deleted since.
        for name in self._names_in(prefix):
            if name not in copied.staged:
                self._forget(prefix + name)

    def _copy_entry(
        self,
        entry: os.DirEntry[str],
        path: str,
        read_only_reason: str | None,
        visited_folders: tuple[str, ...],
    ) -> None:
        reason = self._exclusions.reason(path, entry)
        if reason:
            self._excluded[path] = reason
            return
        if read_only_reason is not None:  # reached through a link
            size = entry.stat().st_size if entry.is_file() else 0
            self._allowance.take(entry.path, size)
        if entry.is_symlink():
            self._copy_link(entry, path, read_only_reason, visited_folders)
        elif entry.is_dir():
            self._copy_whole(entry.path, path, read_only_reason, None, visited_folders)
        else:
            self._copy_file(entry.path, path, read_only_reason, None)

    def _copy_link(
        self,
        entry: os.DirEntry[str],
        path: str,
        read_only_reason: str | None,
        visited_folders: tuple[str, ...],
    ) -> None:
        real = os.path.realpath(entry.path)
        text = os.readlink(entry.path)
        if os.path.isfile(real):
            read_only_reason = read_only_reason or self._why_read_only(path, real)
            if self._keep_linked(path, signature_of(os.stat(real)), text):
                return
            self._copy_file(real, path, read_only_reason, text)
        elif os.path.isdir(real) and not any(is_inside(folder, real) for folder in visited_folders):
            read_only_reason = read_only_reason or self._why_read_only_folder(path, real)
            self._copy_whole(real, path, read_only_reason, text, visited_folders)
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

    def _keep_linked(self, path: str, live: Signature, text: str) -> bool:
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
        self,
        folder: str,
        path: str,
        read_only_reason: str | None,
        link: str | None,
        visited_folders: tuple[str, ...],
    ) -> None:
        """Copy a folder and what it holds; its own mode comes last, for it may forbid that."""
        status = os.stat(folder)
        mode = stat.S_IMODE(status.st_mode)
        staged = self._staged(path)
        is_folder = os.path.isdir(staged) and is_spelled(*self._place(path))
        if not is_folder or os.path.islink(staged):
            self._forget(path)
            os.mkdir(staged)
            self._earlier.pop(path + "/", None)
        _set_mode(staged, mode | 0o700)
        self._copy_folder(folder, path + "/", read_only_reason, (*visited_folders, folder))
        _set_mode(staged, mode)
        parent, name = _split(path)
        self._folders[parent].staged[name] = _folder_signature(os.lstat(staged).st_mode)
        self._folders[parent].baseline[name] = _Baseline(
            Node("dir", mode, link=link), None, read_only_reason
        )

    def _copy_file(
        self, source: str, path: str, read_only_reason: str | None, link: str | None
    ) -> None:
        """Copy a file unless it is a database."""
        prefix, name = _split(path)
        folder = self._folders[prefix]
        for _ in range(_COPY_ATTEMPTS):
            copied = self._try_copy(source, path, link)
            if isinstance(copied, str):
                self._excluded[path] = copied
                return
            if copied is not None:
                node, live, folder.staged[name] = copied
                folder.baseline[name] = _Baseline(node, live, read_only_reason)
                # A side file is asked about again: what it stands beside may become a database.
                if link is None and not name.endswith(SIDE_SUFFIXES):
                    folder.live[name] = live
                self._copied.append((folder, name))
                return
        raise EditedMeanwhile(
            f"{path} is being rewritten without a pause",
            hint="Close the program that writes it, or exclude it, and try again.",
        )

    def _try_copy(
        self, source: str, path: str, link: str | None
    ) -> tuple[Node, Signature | None, Signature] | str | None:
        """Return what was copied, why it is excluded, or ``None`` when it changed meanwhile."""
        staged = self._staged(path)
        original = open_plainly(source)
        try:
            status = os.fstat(original)
            if not stat.S_ISREG(status.st_mode):
                return "neither a file nor a folder"
            first = read_beginning(original, status)
            if self._exclusions.is_database(path, source, first):
                return _A_DATABASE
            require_copyable(source, status, self.project)
            try:
                digest, copied = copy_open(original, status, first, staged)
            except FileExistsError:
                self._forget(path)
                digest, copied = copy_open(original, status, first, staged)
            live = signature_of(status)
            if signature_of(os.fstat(original)) != live:
                os.unlink(staged)
                return None
        finally:
            os.close(original)
        node = Node("file", stat.S_IMODE(status.st_mode), digest, copied.st_size, link)
        # A later change within one tick of the clock would leave no sign.
        is_telling = status.st_ctime_ns < self._begun_ns - RACY_NS
        return node, live if is_telling else None, signature_of(copied)

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
        return os.stat(self.project).st_ctime_ns

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
            os.unlink(staged)

    # --- comparing -----------------------------------------------------------------------------

    def _base(self, path: str) -> _Baseline | None:
        prefix, name = _split(path)
        folder = self._folders.get(prefix)
        return folder.baseline.get(name) if folder is not None else None

    def _look_again(self, path: str) -> None:
        """Have the next refresh look at what the step changed, also if nothing is there then."""
        prefix, name = _split(path)
        folder = self._folders.get(prefix)
        if folder is not None:
            folder.live[name] = None

    def _trust(self, path: str, staged: Signature) -> None:
        """Have a file that was read and is unchanged not read again after the next step."""
        prefix, name = _split(path)
        self._folders[prefix].staged[name] = staged

    def _scan(self) -> tuple[list[tuple[str, Signature]], list[str]]:
        """Return what may be new or changed in the copy, and what is gone."""
        touched = []
        gone = []
        left = dict(self._folders)
        folders = ["", BESIDE]
        for prefix in folders:
            known = left.pop(prefix, _Folder({}, {}, {})).staged
            found = signatures_in(self._staged(prefix))
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

    def _describe(self, path: str, mode: int, base: _Baseline | None) -> Node:
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
        target = os.path.relpath(os.path.realpath(staged), os.path.realpath(self.claude))
        if os.path.isabs(text) or not self._workspace.holds(target):
            raise ForbiddenStatement(
                f"The migration made the link {path}, which leaves .claude/ (to {text})",
                hint="Make it relative, to something inside .claude/.",
            )
        return Node("link", link=text)

    def _refuse_outside(self, paths: Iterable[str]) -> None:
        """Refuse what a step did beside ``.claude/`` and what ``state:`` names there."""
        outside = sorted(named(path) for path in paths if not self._exclusions.is_state(path))
        if outside:
            raise ForbiddenStatement(
                f"The migration wrote outside .claude/: {', '.join(outside[:5])}",
                hint=f"Use ctx.claude. {NAME_IT}",
            )

    def _refuse_conflicts(self, changes: list[Change], gone_beside: Collection[str]) -> None:
        """Compare the live side of every change with the baseline (clause 4)."""
        deleted = {change.path for change in changes if change.before and not change.after}
        deleted.update(gone_beside)
        places = [self._workspace.live(path) for path in deleted]
        targets: dict[str, str] = {}
        for change in changes:
            base = self._base(change.path)
            self._refuse_read_only(change, base)
            live = self._workspace.live(change.path)
            if not self._is_as_before(live, change, base, places):
                raise EditedMeanwhile(
                    f"{change.path} was changed by somebody else while the migration ran",
                    file=live,
                    hint="Nothing was changed. Run the command again.",
                )
            stays = change.after is not None and change.after.kind == "dir"
            if change.before and change.before.kind == "dir" and not stays:
                self._refuse_leftovers(live, change.path, deleted)
            real = os.path.realpath(live)
            is_file = change.after is not None and change.after.kind == "file"
            if is_file and targets.setdefault(real, change.path) != change.path:
                raise Conflict(
                    f"The migration changed {change.path} and {targets[real]}, which are one file",
                    hint="Change only one of them: one is a link to the other.",
                )

    def _refuse_read_only(self, change: Change, base: _Baseline | None) -> None:
        folder = change.path
        while base is None and folder:
            folder = os.path.dirname(folder)
            base = self._base(folder)
            if base is not None and base.node.kind != "dir":
                base = None
        if base is not None and base.read_only_reason is not None:
            raise Conflict(
                f"The migration changed {change.path}, which it may only read:"
                f" {base.read_only_reason}",
                hint="Nothing was changed.",
            )

    def _is_as_before(
        self, live: str, change: Change, base: _Baseline | None, deleted: Collection[str]
    ) -> bool:
        place = self._workspace.place(change.path)
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
            return stat.S_ISDIR(status.st_mode) and stat.S_IMODE(status.st_mode) == base.node.mode
        if signature_of(status) == base.live:
            return True
        return (
            stat.S_ISREG(status.st_mode)
            and stat.S_IMODE(status.st_mode) == base.node.mode
            and digest_of(live) == base.node.sha256
        )

    def _refuse_leftovers(self, live: str, path: str, deleted: set[str]) -> None:
        left = [name for name in os.listdir(live) if f"{path}/{name}" not in deleted]
        if left:
            raise Conflict(
                f"The migration deleted the folder {path}, which holds what it never saw:"
                f" {', '.join(sorted(left)[:5])}",
                hint="Delete only the files the migration knows. Nothing was changed.",
            )


def _split(path: str) -> tuple[str, str]:
    """Return the path of the folder with a slash, and the name."""
    folder, slash, name = path.rpartition("/")
    return folder + slash, name


def _folder_signature(mode: int) -> Signature:
    return (0, 0, 0, 0, mode)


def _node_before(base: _Baseline | None, after: Node | None) -> Node | None:
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
    if stat.S_IMODE(os.lstat(path).st_mode) != mode:
        os.chmod(path, mode)
