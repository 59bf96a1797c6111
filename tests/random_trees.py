"""Random folders and random edits of them, for the property tests of staging."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from plugin_migrate.engine.compare import refuse_conflicts
from plugin_migrate.engine.publish import has_arrived, has_started, publish
from plugin_migrate.engine.redo_log import LogWriter
from plugin_migrate.sandbox.staging import Staging
from plugin_migrate.storage.nodes import PathChange
from plugin_migrate.version import Version
from plugin_migrate.workspace import Workspace, locate

FILE_MODES = st.sampled_from([0o644, 0o600, 0o755, 0o444, 0o400, 0o640, 0o000, 0o4755])
# Also modes that forbid what has to happen inside.
FOLDER_MODES = st.sampled_from([0o755, 0o700, 0o750, 0o775, 0o2755, 0o500, 0o555, 0o1777])
CONTENTS = st.sampled_from([b"", b"a", b"b\r\n", b"\xff\x00", b"x" * 70_000])
NAMES = st.sampled_from(["a", "b", "é", " c", "-d.json", "e-wal"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)


@dataclass(frozen=True)
class Edit:
    """One thing that a migration does; what cannot be done is not."""

    what: str
    path: str
    content: bytes = b""
    mode: int = 0
    other: str = ""

    def apply(self, root: str) -> None:
        """Carry it out below ``root``, with ordinary file operations."""
        path, other = os.path.join(root, self.path), os.path.join(root, self.other)
        try:
            getattr(self, f"_{self.what}")(path, other)
        except (OSError, shutil.Error):
            return

    def _write(self, path: str, _: str) -> None:
        if os.path.isdir(path):
            return
        with open(path, "wb") as file:
            file.write(self.content)

    def _touch(self, path: str, _: str) -> None:
        with open(path, "ab"):
            os.utime(path)

    def _append(self, path: str, _: str) -> None:
        with open(path, "ab") as file:
            file.write(self.content)

    def _remove(self, path: str, _: str) -> None:
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)

    def _make_folder(self, path: str, _: str) -> None:
        os.makedirs(path)

    def _chmod(self, path: str, _: str) -> None:
        os.chmod(path, self.mode)

    def _chmod_folder(self, path: str, _: str) -> None:
        if os.path.isdir(path):
            os.chmod(path, self.mode)

    def _rename(self, path: str, other: str) -> None:
        os.rename(path, other)

    def _exchange(self, path: str, other: str) -> None:
        if self.path.startswith(self.other + "/") or self.other.startswith(self.path + "/"):
            return
        if os.path.lexists(path) and os.path.lexists(other) and path != other:
            os.rename(path, path + ".swap")
            os.rename(other, path)
            os.rename(path + ".swap", other)

    def _replace_by_folder(self, path: str, _: str) -> None:
        if os.path.lexists(path):
            self._remove(path, "")
            os.mkdir(path)
            with open(os.path.join(path, "inside"), "wb") as file:
                file.write(self.content)

    def _replace_by_file(self, path: str, _: str) -> None:
        if os.path.lexists(path):
            self._remove(path, "")
            with open(path, "wb") as file:
                file.write(self.content)

    def _replace_atomically(self, path: str, _: str) -> None:
        with open(path + ".new", "wb") as file:
            file.write(self.content)
        os.replace(path + ".new", path)

    def _link(self, path: str, other: str) -> None:
        if not os.path.lexists(path):
            os.symlink(os.path.relpath(other, os.path.dirname(path)), path)


def edits(links: bool = True) -> st.SearchStrategy[list[Edit]]:
    """Return lists of edits; ``links``: also such that make links."""
    kinds = (
        "write touch append remove make_folder rename exchange replace_by_folder replace_by_file"
        " replace_atomically"
    ).split()
    plain = st.builds(
        Edit,
        st.sampled_from([*kinds, "link"] if links else kinds),
        PATHS,
        CONTENTS,
        other=PATHS,
    )
    return st.lists(
        plain
        | st.builds(Edit, st.just("chmod_folder"), PATHS, mode=FOLDER_MODES)
        | st.builds(Edit, st.just("chmod"), PATHS, mode=FILE_MODES),
        max_size=8,
    )


@dataclass(frozen=True)
class Tree:
    """A folder to begin with: paths of files and folders, the links in it, its modes."""

    nodes: dict[str, tuple[bytes | None, int]]
    links: dict[str, str]

    def build(self, root: str) -> None:
        """Create it below ``root``; what collides with something before is left out."""
        made = []
        for path, (content, mode) in self.nodes.items():
            whole = os.path.join(root, path)
            try:
                os.makedirs(os.path.dirname(whole), exist_ok=True)
                if content is None:
                    os.mkdir(whole)
                else:
                    with open(whole, "xb") as file:
                        file.write(content)
            except OSError:
                continue
            made.append((whole, mode))
        for whole, mode in reversed(made):
            os.chmod(whole, mode)
        for path, target in self.links.items():
            whole = os.path.join(root, path)
            if os.path.isdir(os.path.dirname(whole)) and not os.path.lexists(whole):
                os.symlink(
                    os.path.relpath(os.path.join(root, target), os.path.dirname(whole)), whole
                )


def trees(with_links: bool = False) -> st.SearchStrategy[Tree]:
    """Return trees of files and folders, with links to any of them or to nothing."""
    files = st.tuples(CONTENTS, FILE_MODES)
    folders = st.tuples(st.none(), FOLDER_MODES)
    return st.builds(
        Tree,
        st.dictionaries(PATHS, files | folders, max_size=8),
        st.dictionaries(PATHS, PATHS, max_size=3) if with_links else st.just({}),
    )


FAST = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


class Stage:
    """A live state, its staged copy, and the model: what plain edits make of the same tree."""

    def __init__(self, root: str, tree: Tree) -> None:
        self.workspace = _workspace(root)
        self.live = os.path.join(self.workspace.claude, "state")
        self.model = os.path.join(root, "model")
        for folder in (self.live, self.model):
            os.mkdir(folder)
            tree.build(folder)
        self.staging = Staging(self.workspace, os.path.join(self.workspace.scratch, "1"))
        self.staging.refresh()
        self.staged = os.path.join(self.staging.claude, "state")

    def edit(self, edits: list[Edit]) -> None:
        for edit in edits:
            edit.apply(self.staged)
            edit.apply(self.model)

    def changes(self) -> dict[PathChange, str]:
        """Return the changes, which nobody else's stand in the way of."""
        changes = self.staging.changes()
        refuse_conflicts(self.workspace, self.staging, changes)
        return changes

    def publish(self) -> None:
        writer = LogWriter(self.workspace)
        manifest = writer.finish(Version(1, 0, 0), "up", self.changes())
        assert not has_started(self.workspace, manifest)
        assert publish(self.workspace, writer.log, manifest) == []
        assert has_arrived(self.workspace, manifest)
        # A second time there is nothing left to do.
        assert publish(self.workspace, writer.log, manifest) == []
        writer.log.close()
        shutil.rmtree(writer.log.folder)


def temporary() -> tempfile.TemporaryDirectory[str]:
    """Return a folder in memory where there is one: nothing here is about syncing."""
    return tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None)


def _workspace(root: str) -> Workspace:
    os.makedirs(os.path.join(root, "project/.claude"))
    return locate(project=os.path.join(root, "project"), environment={})
