"""The private copy of the state that a code migration works on, and what it changed there.

Nothing here writes to the live state. See the design, "The commit protocol", clauses 2 and 4.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, replace

from .errors import Conflict, ForbiddenStatement, StateUnreadable
from .exclusions import SIDE_SUFFIXES, Exclusions, holds_database
from .tree import (
    CHUNK,
    RACY_NS,
    Node,
    Signature,
    copy_open,
    digest_of,
    discard,
    observe,
    open_plainly,
    signature_of,
)
from .values import NamedTuple
from .workspace import Workspace, is_inside

_COPY_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Change:
    """One path that a step created, changed or deleted.

    ``path`` is relative to ``.claude/``; ``staged`` is the absolute path of the new content.
    """

    path: str
    before: Node | None
    after: Node | None
    staged: str


class _Baseline(NamedTuple):
    """A staged path as it was when the step began: a tuple, for there is one for every file.

    ``live`` and ``staged`` are the signatures of both sides; a folder's staged one holds its mode
    only. ``live`` is ``None`` where only a closer look tells whether something changed: folders,
    and files that may change once more without a sign. ``fixed`` says why the path must not be
    changed, if so.
    """

    node: Node
    live: Signature | None
    staged: Signature
    fixed: str | None


class Staging:
    """A copy of ``.claude/`` without databases, bookkeeping and what is excluded.

    Parameters:
        workspace: whose state is copied.
        folder: a folder of ours, on the state's own device, that this object creates and owns.
    """

    def __init__(self, workspace: Workspace, folder: str) -> None:
        self._workspace = workspace
        self._live = workspace.claude
        self.project = os.path.join(folder, "project")
        self.claude = os.path.join(self.project, ".claude")
        self._baseline: dict[str, _Baseline] = {}
        # What the copy held before this refresh, and how many names in each of its folders.
        self._earlier: dict[str, _Baseline] = {}
        self._sizes: dict[str, int] = {}
        self._excluded: dict[str, str] = {}
        self._begun_ns = 0
        self._ready_ns = 0
        self._exclusions = Exclusions(workspace)

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
            self._earlier, self._baseline = self._baseline, {}
            self._begun_ns = self._now_ns()
            self._copy_folder(self._live, "", None, (self._live,))
            self._ready_ns = self._now_ns()
        except OSError as error:
            raise StateUnreadable(
                f"The state cannot be copied: {error.strerror}",
                file=error.filename,
                hint="Make it readable, or add it to `exclude` in .claude/plugin-migrate.yaml.",
            ) from error

    def changes(self) -> tuple[Change, ...]:
        """Return what differs from the state at the time of :meth:`refresh`, in path order.

        Raises:
            Conflict: somebody changed one of these paths in the live state meanwhile, or the
                path cannot be published.
            ForbiddenStatement: something stands in the copy that must not be published.
        """
        self._refuse_strays()
        changes = []
        touched, gone = self._scan()
        for path, status in touched:
            base = self._baseline.get(path)
            after = self._describe(path, status, base)
            before = _node_before(base, after)
            if after != before:
                changes.append(Change(path, before, after, os.path.join(self.claude, path)))
        for path in gone:
            before = _node_before(self._baseline[path], None)
            changes.append(Change(path, before, None, os.path.join(self.claude, path)))
        changes.sort(key=lambda change: change.path)
        self._refuse_conflicts(changes)
        return tuple(changes)

    # --- copying -------------------------------------------------------------------------------

    def _copy_folder(
        self, folder: str, prefix: str, fixed: str | None, trail: tuple[str, ...]
    ) -> None:
        """Copy what stands in ``folder``.

        ``prefix`` is the folder's own path with a slash; ``trail`` the real folders on the way,
        so that links cannot lead in circles.
        """
        earlier, baseline = self._earlier, self._baseline
        others = []
        current = 0
        with os.scandir(folder) as listing:
            for entry in listing:
                path = prefix + entry.name
                base = earlier.get(path)
                # Answers for nearly every file of a run's later steps.
                if (
                    base is not None
                    and base.live == signature_of(entry.stat(follow_symlinks=False))
                    and base.node.link is None
                ):
                    baseline[path] = base
                    current += 1
                else:
                    others.append(entry)
        # By name, so that a database comes before its side files.
        for entry in sorted(others, key=lambda entry: entry.name):
            self._copy_entry(entry, prefix + entry.name, fixed, trail)
        if others or current != self._sizes.get(prefix):
            self._prune(prefix)

    def _prune(self, prefix: str) -> None:
        """Remove from the copy what is gone, also what an earlier step made and others deleted."""
        self._sizes.pop(prefix, None)
        for name in os.listdir(self.claude + "/" + prefix):
            if prefix + name not in self._baseline:
                self._forget(prefix + name)

    def _copy_entry(
        self, entry: os.DirEntry[str], path: str, fixed: str | None, trail: tuple[str, ...]
    ) -> None:
        reason = self._exclusions.reason(path, entry)
        if reason:
            self._excluded[path] = reason
        elif entry.is_symlink():
            self._copy_link(entry, path, fixed, trail)
        elif entry.is_dir():
            self._copy_whole(entry.path, path, fixed, None, trail)
        else:
            self._copy_file(entry.path, path, fixed, None)

    def _copy_link(
        self, entry: os.DirEntry[str], path: str, fixed: str | None, trail: tuple[str, ...]
    ) -> None:
        real = os.path.realpath(entry.path)
        text = os.readlink(entry.path)
        outside = not is_inside(real, self._live) and not self._workspace.config.follow_links
        if outside and fixed is None:
            fixed = (
                f"{path} is a link that leaves .claude/ (to {real}); set follow_links: true in"
                " .claude/plugin-migrate.yaml if migrations may change it"
            )
        if os.path.isfile(real):
            base = self._earlier.get(path)
            if (
                base is not None
                and base.live == signature_of(os.stat(real))
                and base.node.link == text
            ):
                self._baseline[path] = base
                return
            self._copy_file(real, path, fixed, text)
        elif os.path.isdir(real) and not any(is_inside(folder, real) for folder in trail):
            fixed = fixed or f"{path} is a linked folder; change what it links to instead"
            self._copy_whole(real, path, fixed, text, trail)
        else:
            self._excluded[path] = "a link that leads nowhere, or back to a folder above it"

    def _copy_whole(
        self, folder: str, path: str, fixed: str | None, link: str | None, trail: tuple[str, ...]
    ) -> None:
        """Copy a folder and what it holds; its own mode comes last, for it may forbid that."""
        status = os.stat(folder)
        mode = stat.S_IMODE(status.st_mode)
        staged = os.path.join(self.claude, path)
        if not os.path.isdir(staged) or os.path.islink(staged):
            self._forget(path)
            os.mkdir(staged)
        _set_mode(staged, mode | 0o700)
        self._copy_folder(folder, path + "/", fixed, (*trail, folder))
        _set_mode(staged, mode)
        only_mode = (0, 0, 0, 0, os.lstat(staged).st_mode)
        self._baseline[path] = _Baseline(Node("dir", mode, link=link), None, only_mode, fixed)

    def _copy_file(self, source: str, path: str, fixed: str | None, link: str | None) -> None:
        """Copy a file unless it is a database."""
        for _ in range(_COPY_ATTEMPTS):
            copied = self._try_copy(source, path, fixed, link)
            if isinstance(copied, str):
                self._excluded[path] = copied
                return
            if copied is not None:
                self._baseline[path] = copied
                return
        raise Conflict(
            f"{path} is being rewritten without a pause",
            hint="Close the program that writes it, or exclude it, and try again.",
        )

    def _try_copy(
        self, source: str, path: str, fixed: str | None, link: str | None
    ) -> _Baseline | str | None:
        """Return what was copied, why it is excluded, or ``None`` when it changed meanwhile."""
        staged = self.claude + "/" + path
        original = open_plainly(source)
        try:
            status = os.fstat(original)
            if not stat.S_ISREG(status.st_mode):
                return "neither a file nor a folder"
            first = os.read(original, CHUNK)
            if self._exclusions.is_database(path, source, first):
                return "a database; use ctx.database(path)"
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
        is_telling = status.st_ctime_ns < self._begun_ns - RACY_NS
        # A side file is asked about again: what it stands beside may have become a database.
        if not is_telling or path.endswith(SIDE_SUFFIXES):
            return _Baseline(node, None, signature_of(copied), fixed)
        return _Baseline(node, live, signature_of(copied), fixed)

    def _now_ns(self) -> int:
        """Return the time by the clock of the copy's own file system.

        Whatever is written there from now on gets this time or a later one.
        """
        os.utime(self.project)
        return os.stat(self.project).st_ctime_ns

    def _forget(self, path: str) -> None:
        staged = os.path.join(self.claude, path)
        if os.path.isdir(staged) and not os.path.islink(staged):
            discard(staged)
        elif os.path.lexists(staged):
            os.unlink(staged)

    # --- comparing -----------------------------------------------------------------------------

    def _scan(self) -> tuple[list[tuple[str, os.stat_result]], set[str]]:
        """Return what the copy holds besides files as they were staged, and what it lost."""
        baseline, ready_ns = self._baseline, self._ready_ns
        touched = []
        seen = set()
        folders = [""]
        for prefix in folders:
            size = 0
            with os.scandir(self.claude + "/" + prefix) as listing:
                for entry in listing:
                    size += 1
                    path = prefix + entry.name
                    seen.add(path)
                    base = baseline.get(path)
                    status = entry.stat(follow_symlinks=False)
                    signature = signature_of(status)
                    if base is not None and base.staged == signature and signature[3] < ready_ns:
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(path + "/")
                        if base is not None and base.staged == (0, 0, 0, 0, status.st_mode):
                            continue
                    touched.append((path, status))
            self._sizes[prefix] = size
        return touched, baseline.keys() - seen

    def _describe(self, path: str, status: os.stat_result, base: _Baseline | None) -> Node:
        """Return what stands in the copy at ``path``, as it will stand in the live state."""
        if path in self._excluded:
            raise ForbiddenStatement(
                f"The migration made {path}, which is not part of its copy of the state:"
                f" {self._excluded[path]}",
                hint="For a database use ctx.db, or ctx.database(path).",
            )
        staged = os.path.join(self.claude, path)
        if stat.S_ISLNK(status.st_mode):
            return self._describe_link(path, staged)
        node = observe(staged)
        if node is None or node.kind == "other":
            raise ForbiddenStatement(f"The migration made {path}, which is no file or folder")
        if node.kind == "file" and holds_database(staged):
            raise ForbiddenStatement(
                f"The migration made the database {path} as a plain file",
                hint="Use ctx.database(path): it is created, staged and committed with the step.",
            )
        if base is None or base.node.kind != node.kind:
            return node
        return replace(node, link=base.node.link)

    def _describe_link(self, path: str, staged: str) -> Node:
        text = os.readlink(staged)
        if os.path.isabs(text) or not is_inside(
            os.path.realpath(staged), os.path.realpath(self.claude)
        ):
            raise ForbiddenStatement(
                f"The migration made the link {path}, which leaves .claude/ (to {text})",
                hint="Make it relative, to something inside .claude/.",
            )
        return Node("link", link=text)

    def _refuse_strays(self) -> None:
        strays = sorted(set(os.listdir(self.project)) - {".claude"})
        if strays:
            raise ForbiddenStatement(
                f"The migration wrote outside .claude/: {', '.join(strays)}",
                hint="Migrations change only what is below .claude/; use ctx.claude.",
            )

    def _refuse_conflicts(self, changes: list[Change]) -> None:
        """Compare the live side of every change with the baseline (clause 4)."""
        deleted = {change.path for change in changes if change.before and not change.after}
        targets: dict[str, str] = {}
        for change in changes:
            base = self._baseline.get(change.path)
            self._refuse_fixed(change, base)
            live = os.path.join(self._live, change.path)
            if not self._is_as_before(live, change, base):
                raise Conflict(
                    f"{change.path} was changed by somebody else while the migration ran",
                    file=os.path.join(".claude", change.path),
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

    def _refuse_fixed(self, change: Change, base: _Baseline | None) -> None:
        folder = change.path
        while base is None and folder:
            folder = os.path.dirname(folder)
            base = self._baseline.get(folder)
            if base is not None and base.node.kind != "dir":
                base = None
        if base is not None and base.fixed is not None:
            raise Conflict(
                f"The migration changed {change.path}, which it may only read: {base.fixed}",
                hint="Nothing was changed.",
            )

    def _is_as_before(self, live: str, change: Change, base: _Baseline | None) -> bool:
        if base is None:
            return observe(live) is None
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


def _node_before(base: _Baseline | None, after: Node | None) -> Node | None:
    """Return what stood at a path that a step changed into ``after``.

    A link that is deleted, or replaced by something that is no file, changes itself; what it led
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
