"""The one walker: every kind of thing is seen once, nothing is followed or entered unasked."""

import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from plugin_migrate.storage.state_tree import (
    Found,
    StateTree,
    WalkedFolder,
    entries,
    followed,
    walk,
)
from project import Project


def found_by(tree: StateTree) -> dict[str, str]:
    """Return the kind of everything on a walk that asks of files whether they are databases."""
    kinds = {}
    for entry in tree.walk():
        is_database = entry.kind == "file" and tree.is_database(entry, beginning(entry))
        kinds[entry.path] = "database" if is_database else entry.kind
    return kinds


def beginning(entry: Found) -> bytes:
    return Path(entry.source).read_bytes()[:100]


def test_a_walk_yields_the_state_and_leaves_out_what_copies_lack(project: Project) -> None:
    project.config("exclude: ['cache/*.tmp']\n")
    for path in (
        "agents/a.md",
        "agents/node_modules/x",
        "cache/a.tmp",
        "cache/a.md",
        "env/pyvenv.cfg",
        "worktrees/one/a.md",
        "agents/worktrees/a.md",
        ".plugin-migrate/lock.db",
    ):
        project.write(path, "x")
    with closing(sqlite3.connect(project.claude / "memory")) as connection:
        connection.execute("CREATE TABLE a (x)")
    project.write("memory-wal", "x")
    project.write("agents/notes-wal", "x")
    odd = {}
    if sys.platform != "win32":
        os.mkfifo(project.claude / "pipe")
        (project.claude / "link").symlink_to("agents")
        odd = {"link": "link"}
    kinds = found_by(StateTree(project.workspace()))
    folder = project.migrations.relative_to(project.claude).as_posix()
    assert {path: kind for path, kind in kinds.items() if not f"{folder}/".startswith(path)} == {
        "agents": "dir",
        "agents/a.md": "file",
        "agents/notes-wal": "file",
        "agents/worktrees": "dir",
        "agents/worktrees/a.md": "file",
        "cache": "dir",
        "cache/a.md": "file",
        "memory": "database",
        "plugin-migrate.yaml": "file",
        **odd,
    }


def test_a_walk_comes_to_what_the_settings_name_and_to_nothing_beside_it(project: Project) -> None:
    project.config("state: [.beads, docs/notes.md]\n")
    for path in (".beads/issues/a.md", "docs/notes.md", "docs/other.md", "src/x.py", "README.md"):
        (project.root / path).parent.mkdir(parents=True, exist_ok=True)
        (project.root / path).write_text("x")
    found = found_by(StateTree(project.workspace()))
    assert {path: kind for path, kind in found.items() if path.startswith("../")} == {
        "../.beads": "dir",
        "../.beads/issues": "dir",
        "../.beads/issues/a.md": "file",
        "../docs": "dir",
        "../docs/notes.md": "file",
    }
    assert "plugin-migrate.yaml" in found


def test_a_link_back_to_a_folder_above_it_leads_nowhere(folder: Path) -> None:
    (folder / "a/b").mkdir(parents=True)
    (folder / "a/b/up").symlink_to("..")
    (folder / "a/gone").symlink_to("nothing")
    (folder / "a/self").symlink_to("self")
    (folder / "a/file").write_text("x")
    (folder / "a/to-file").symlink_to("file")
    (folder / "a/to-folder").symlink_to("b")

    def kinds(place: WalkedFolder) -> dict[str, str]:
        links = [entry for entry in entries(place) if entry.kind == "link"]
        return {entry.name: followed(place, entry).kind for entry in links}

    root = WalkedFolder.root(str(folder / "a"))
    below = next(root.below(entry) for entry in entries(root) if entry.name == "b")
    assert kinds(root) == {
        "gone": "link",
        "self": "link",
        "to-file": "file",
        "to-folder": "dir",
    }
    assert kinds(below) == {"up": "link"}


def test_folders_without_end_are_refused_by_their_first(folder: Path) -> None:
    (folder / Path(*["d"] * 200)).mkdir(parents=True)
    assert len(list(walk(WalkedFolder.root(str(folder))))) == 200
    (folder / Path(*["d"] * 201)).mkdir()
    with pytest.raises(OSError, match="nested too deep") as caught:
        list(walk(WalkedFolder.root(str(folder))))
    assert caught.value.filename == str(folder / "d")


def test_what_is_removed_during_a_walk_is_passed_over(folder: Path) -> None:
    for name in ("a", "b", "c"):
        (folder / name / "below").mkdir(parents=True)
    names = []
    for entry in walk(WalkedFolder.root(str(folder))):
        names.append(entry.path)
        if entry.path == "c":
            (folder / "b/below").rmdir()
            (folder / "b").rmdir()
    assert sorted(names) == ["a", "a/below", "b", "c", "c/below"]
