"""Moving a committed step's files from its redo log into the live state.

For each path the live state is compared with the manifest: as *before*, the new content is put in
place; as *after*, it has arrived; anything else was edited by somebody since and is left alone
(design, "The commit protocol", clause 7). So publishing may stop anywhere and be run again.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress

from ..errors import Call, NeedsRepair
from ..platform import system
from ..platform.moving import copy_attributes, remove, remove_folder
from ..storage import live_database
from ..storage.durable import set_mode, sync_folder, sync_open
from ..storage.nodes import Node, PathChange, is_taken, kind_of, observe_spelled
from ..workspace import Workspace
from .redo_log import DatabaseEntry, Log, Manifest
from .replacing import Replacer


def publish(workspace: Workspace, log: Log, manifest: Manifest, force: bool = False) -> list[str]:
    """Bring everything in ``log`` into the live state and onto the disk.

    Parameters:
        workspace: whose state it is.
        log: an unfinished redo log of a committed step.
        manifest: what the log publishes.
        force: take the migrated version also where somebody edited the live one since.

    Returns:
        The paths that were left alone because somebody edited them since.

    Raises:
        OSError: the disk is full or broken; calling again goes on.
        NeedsRepair: the log is damaged, or a path leaves ``.claude/`` through a link.
    """
    publisher = _Publisher(workspace, log, manifest, force)
    publisher.bring_back()
    publisher.run()
    kept = publisher.kept
    for database in manifest.databases:
        live = workspace.live(database.path)
        if system.leads_elsewhere(live):
            raise _leads_through_link(database.path, live)
        copy = log.path_of(database.copy)
        if not live_database.publish_copy(
            live, copy, database.before, database.after, workspace.scratch, force
        ):
            kept.append(database.path)
    return sorted(set(kept))


def bring_edits_back(workspace: Workspace, log: Log, manifest: Manifest) -> None:
    """Return to their places what somebody saved and what a killed command took out.

    For a log that is given up; what cannot stand in its place is put beside it.

    Raises:
        OSError: it may not be moved there.
    """
    _Publisher(workspace, log, manifest, force=False).give_back()


def holds_edits(log: Log, manifest: Manifest) -> bool:
    """Return whether something that somebody saved lies in the log, where a kill left it."""
    replacer = Replacer(log)
    return any(
        replacer.is_mid_exchange(number)
        or next(replacer.held(number, _harmless(entry)), None) is not None
        for number, entry in enumerate(manifest.entries)
    )


def has_started(workspace: Workspace, manifest: Manifest) -> bool:
    """Return whether any path of the manifest already stands in the live state as after it."""
    for entry in manifest.entries:
        if entry.before != entry.after and _has_come(workspace, entry):
            return True
    return any(_database_arrived(workspace, database) for database in manifest.databases)


def has_arrived(workspace: Workspace, manifest: Manifest) -> bool:
    """Return whether every path of the manifest stands in the live state as after it."""
    return all(_has_come(workspace, entry) for entry in manifest.entries) and all(
        _database_arrived(workspace, database) for database in manifest.databases
    )


def _has_come(workspace: Workspace, entry: PathChange) -> bool:
    return entry.observe(workspace) == entry.after


def _database_arrived(workspace: Workspace, database: DatabaseEntry) -> bool:
    live = workspace.live(database.path)
    return live_database.digest_of_live(live, workspace.scratch) == database.after


def _itself(node: Node | None) -> Node | None:
    """Return a file as it is, also one that was reached through a link."""
    return node._replace(link=None) if node is not None and node.kind == "file" else node


def _link_of(node: Node | None) -> Node | None:
    """Return the link through which a file was reached: removing the file removes the link."""
    return Node("link", link=node.link) if node is not None and node.link is not None else None


def _harmless(entry: PathChange) -> tuple[Node | None, ...]:
    """Return what of an entry may lie in the log without being anybody's edit."""
    return _itself(entry.before), _link_of(entry.before), _itself(entry.after)


class _Publisher:
    def __init__(self, workspace: Workspace, log: Log, manifest: Manifest, force: bool) -> None:
        self._workspace = workspace
        self._log = log
        self._force = force
        self._touched: set[str] = set()
        self._replacer = Replacer(log)
        self._entries = manifest.entries
        self._offsets = manifest.offsets
        self._numbers = {entry.path: number for number, entry in enumerate(manifest.entries)}
        self.kept: list[str] = []

    def bring_back(self) -> None:
        """Put back what a killed command took out though somebody had just saved it."""
        for number, entry in enumerate(self._entries):
            self._finish_exchange(number, entry)
            edited = self._replacer.bring_back(number, _harmless(entry))
            if edited is not None:
                target = self._target(self._path(entry), entry)
                self._touched.add(os.path.dirname(target))
                if not self._replacer.put_back(edited, target, _itself(entry.after)):
                    self.kept.append(entry.path)

    def give_back(self) -> None:
        """Put every edit that lies in the log into its place, or beside it.

        Into its place only from a log that was written where it stands: what another one holds
        nobody saved here.
        """
        is_native = self._log.is_native()
        for number, entry in enumerate(self._entries):
            self._finish_exchange(number, entry)
            for held in self._replacer.held(number, _harmless(entry)):
                try:
                    target = self._target(self._path(entry), entry)
                except NeedsRepair:  # by now it would leave .claude/
                    target = os.path.join(self._workspace.claude, os.path.basename(entry.path))
                    is_native = False
                if is_native:
                    self._replacer.put_back(held, target, _itself(entry.after))
                else:
                    self._replacer.put_beside(held, target)
                self._touched.add(os.path.dirname(target))
        for folder in self._touched:
            if os.path.isdir(folder):
                sync_folder(folder)

    def _finish_exchange(self, number: int, entry: PathChange) -> None:
        if self._replacer.is_mid_exchange(number):
            self._replacer.finish_exchange(number, self._target(self._path(entry), entry))

    def run(self) -> None:
        """Deletions first, so that a folder can take a file's place; then folders, then files."""
        by_depth = sorted(self._entries, key=lambda entry: entry.path.count("/"))
        for entry in reversed(by_depth):
            if entry.before and kind_of(entry.before) != kind_of(entry.after):
                self._remove(entry)
        for entry in by_depth:
            if kind_of(entry.after) == "dir":
                self._make_folder(entry)
        for entry in by_depth:
            if kind_of(entry.after) in ("file", "link"):
                self._put(entry)
        for entry in reversed(by_depth):
            if entry.after is not None and entry.after.kind == "dir":
                self._set_folder_mode(entry, entry.after)
        for folder in self._touched:
            if os.path.isdir(folder):
                sync_folder(folder)
        edited = self._replacer.settle()
        self.kept += [entry.path for entry in self._entries if self._numbers[entry.path] in edited]

    def _path(self, entry: PathChange) -> str:
        """Return the live path, which must not leave the state through a linked folder."""
        live = self._workspace.live(entry.path)
        parent = os.path.dirname(live)
        if system.leads_elsewhere(parent):
            raise _leads_through_link(entry.path, live)
        self._touched.add(parent)
        return live

    def _remove(self, entry: PathChange) -> None:
        live = self._workspace.live(entry.path)
        now = entry.observe(self._workspace)
        if now is None or now == entry.after or kind_of(now) == kind_of(entry.after):
            return
        self._touched.add(os.path.dirname(live))
        if kind_of(entry.before) == "dir":
            if now.kind == "dir":
                self._remove_folder(live)
        elif now == entry.before or (self._force and now.kind != "dir"):
            compared = _link_of(now) or now
            if not self._replacer.take_out(self._numbers[entry.path], live, compared):
                self.kept.append(entry.path)
        else:
            self.kept.append(entry.path)

    def _remove_folder(self, live: str) -> None:
        try:
            remove_folder(live)
        except OSError as error:
            # Somebody put a file there since, which keeps its folder.
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise

    def _make_folder(self, entry: PathChange) -> None:
        live = self._path(entry)
        now = entry.observe(self._workspace)
        if now is None and self._is_free(entry) and self._has_folder(live):
            try:
                # Its own mode comes last: it may forbid what still has to be put inside.
                os.mkdir(live, 0o700)
            except FileExistsError:  # somebody made something there in this instant
                self.kept.append(entry.path)
        elif kind_of(now) != "dir" and entry.path not in self.kept:
            self.kept.append(entry.path)

    def _is_free(self, entry: PathChange) -> bool:
        """Return whether nothing of another name stands in the way, which somebody put there."""
        if not is_taken(*self._workspace.place(entry.path)):
            return True
        live = self._workspace.live(entry.path)
        if self._force and not os.path.isdir(live):
            remove(live)
            return True
        return False

    def _has_folder(self, live: str) -> bool:
        """Return whether there is a folder to put something into; somebody may have removed it."""
        parent = os.path.dirname(live)
        if self._force and not os.path.lexists(parent):
            os.makedirs(parent)
        return os.path.isdir(parent)

    def _set_folder_mode(self, entry: PathChange, after: Node) -> None:
        live = self._path(entry)
        now = observe_spelled(*self._workspace.place(entry.path), through_links=False)
        if now is None or now.kind != "dir" or now.mode == after.mode:
            return
        before = entry.before
        if self._force or before is None or before.kind != "dir" or now.mode == before.mode:
            set_mode(live, after.mode)
        else:
            self.kept.append(entry.path)

    def _put(self, entry: PathChange) -> None:
        live = self._path(entry)
        after = entry.after
        now = entry.observe(self._workspace)
        if now == after or after is None or entry.path in self.kept:
            return
        # A path whose old kind was removed above is free now.
        is_before = now == entry.before or (now is None and kind_of(entry.before) != after.kind)
        is_wanted = is_before or self._force
        if (
            not is_wanted
            or kind_of(now) == "dir"
            or not self._is_free(entry)
            or not self._has_folder(live)
        ):
            self.kept.append(entry.path)
            return
        if after.kind == "link":
            self._put_link(live, entry, now, after)
        else:
            self._put_file(live, entry, now, after)

    def _put_link(self, live: str, entry: PathChange, now: Node | None, after: Node) -> None:
        new = self._new()
        os.symlink(after.link or "", new)
        self._replace(entry, new, live, now)

    def _put_file(self, live: str, entry: PathChange, now: Node | None, after: Node) -> None:
        target = self._target(live, entry)
        if now is not None and now.sha256 == after.sha256 and now.kind == "file":
            set_mode(target, after.mode)
            return
        new = self._new()
        offset = self._offsets[self._numbers[entry.path]]
        with open(new, "xb") as file:
            for chunk in self._log.content(after, offset or 0):
                file.write(chunk)
            file.flush()
            system.keep_owner(file.fileno(), target)
            if now is not None and now.kind == "file":
                copy_attributes(target, new)
            system.set_open_mode(file.fileno(), after.mode)
            sync_open(file, target)
        # Where a link leads to no file, there is none to be replaced.
        self._replace(entry, new, target, None if kind_of(now) == "link" else _itself(now))

    def _replace(self, entry: PathChange, new: str, target: str, compared: Node | None) -> None:
        after = _itself(entry.after)
        assert after is not None
        self._touched.add(os.path.dirname(target))
        number = self._numbers[entry.path]
        if not self._replacer.put(number, new, target, compared, after):
            self.kept.append(entry.path)

    def _new(self) -> str:
        """Return where to make what is to be put in place."""
        new = self._log.path_of("put")
        # Never written through: a killed command may have left a link there.
        with suppress(FileNotFoundError):
            remove(new)
        return new

    def _target(self, live: str, entry: PathChange) -> str:
        """Return the file to replace: a link stays, and what it leads to is replaced."""
        if not os.path.islink(live):
            return live
        target = os.path.realpath(live)
        config = self._workspace.config
        if self._workspace.path_of(target) is None and not config.follow_links:
            raise NeedsRepair(
                f"{entry.path} is a link that leaves .claude/ (to {target})",
                file=live,
                hint=(
                    "Set follow_links: true in .claude/plugin-migrate.yaml,",
                    " or accept the live files: ",
                    Call("repair", "--keep-live"),
                ),
            )
        return target


def _leads_through_link(path: str, live: str) -> NeedsRepair:
    return NeedsRepair(
        f"{path} leads through a link, which publishing never follows",
        file=live,
        hint=("Accept the live files: ", Call("repair", "--keep-live")),
    )
