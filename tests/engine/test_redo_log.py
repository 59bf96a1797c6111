"""The redo log: complete before the commit, and readable as exactly what was written."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugin_migrate.engine.redo_log import DatabaseEntry, Log, LogWriter, Manifest, logs
from plugin_migrate.errors import NeedsRepair
from plugin_migrate.storage.nodes import Node, PathChange, observe
from plugin_migrate.version import Version
from project import Project

NAMES = st.text(min_size=1, max_size=8).filter(
    lambda name: "/" not in name and "\0" not in name and name not in (".", "..")
)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
MODES = st.integers(0, 0o7777)
SIZES = st.integers(0, 1 << 40)
HASHES = st.text("0123456789abcdef", min_size=64, max_size=64)
NODES = (
    st.builds(Node, st.just("file"), MODES, HASHES, SIZES, st.none() | NAMES)
    | st.builds(Node, st.just("dir"), MODES, st.none(), st.just(0), st.none() | NAMES)
    | st.builds(Node, st.just("link"), st.just(0), st.none(), st.just(0), NAMES)
)
OFFSETS = st.none() | SIZES
ENTRIES = st.builds(PathChange, PATHS, st.none() | NODES, st.none() | NODES)
DATABASES = st.builds(DatabaseEntry, PATHS, NAMES, st.text(max_size=8), st.text(max_size=8))


@given(
    st.builds(
        Manifest,
        st.text(max_size=16),
        st.builds(Version, st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)),
        st.sampled_from(["up", "down"]),
        st.text(max_size=20),
        st.just(()),
        st.just(()),
        st.lists(DATABASES, max_size=2).map(tuple),
        st.just(()) | st.tuples(st.integers(0), st.integers(0)),
    ),
    st.lists(st.tuples(ENTRIES, OFFSETS), max_size=4),
)
def test_a_manifest_survives_its_journey_through_json(
    empty: Manifest, entries: list[tuple[PathChange, int | None]]
) -> None:
    manifest = empty._replace(
        entries=tuple(entry for entry, _ in entries), offsets=tuple(at for _, at in entries)
    )
    text = manifest.to_json()
    assert Manifest.from_json(text) == manifest
    assert Manifest.from_json(text).to_json() == text
    assert text.isascii()


KEYS = st.sampled_from(["id", "version", "entries", "path", "databases", "before", "x"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
)


@given(JSON)
def test_any_other_json_is_refused_as_damaged(document: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  (whatever it says, it is this kind)
        Manifest.from_json(json.dumps(document))


@given(st.text(max_size=30))
def test_any_other_text_is_refused_as_damaged(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        Manifest.from_json(text)


def written(project: Project, folder: Path, content: bytes) -> tuple[LogWriter, Manifest]:
    """Write a log that changes one file to ``content``."""
    live = project.write("a", "before", 0o640)
    staged = folder / "staged"
    staged.write_bytes(content)
    change = PathChange("a", observe(str(live)), observe(str(staged)))
    writer = LogWriter(project.workspace())
    return writer, writer.finish(Version(1, 2, 3), "up", {change: str(staged)})


@pytest.mark.parametrize("content", [b"", b"after", b"\0" * 3_000_000, b"\r\n\xff"])
def test_the_new_content_is_in_the_pack_and_the_old_one_is_not(
    project: Project, folder: Path, content: bytes
) -> None:
    writer, manifest = written(project, folder, content)
    (entry,), (offset,) = manifest.entries, manifest.offsets
    assert entry.after is not None
    assert offset is not None
    log = Log(writer.log.folder)
    assert os.path.getsize(log.path_of("pack")) == len(content)
    assert b"".join(log.content(entry.after, offset)) == content
    assert log.manifest() == manifest
    assert manifest.project == str(project.root)


def test_a_log_without_its_manifest_was_never_finished(project: Project) -> None:
    writer = LogWriter(project.workspace())
    assert not writer.log.is_finished
    assert not writer.log.is_done
    with pytest.raises(NeedsRepair):
        writer.log.manifest()


def test_a_closed_log_is_done_under_the_same_id(project: Project, folder: Path) -> None:
    writer, manifest = written(project, folder, b"after")
    log = writer.log
    log.close()
    log.close()
    assert log.is_done
    assert log.id == manifest.id
    assert [(found.id, found.is_done) for found in logs(project.workspace())] == [(log.id, True)]


def test_everything_is_synced_before_the_commit_may_happen(project: Project) -> None:
    # The events show the order: every file and folder of the log is opened for its fsync, the
    # manifest is renamed into place after it was written, and all that comes before the commit,
    # which is the only thing that makes the new rows seen.
    project.write("a", "old")
    project.sql("0.1.0", "CREATE TABLE t (x);")
    project.upgrade()
    project.python("1.0.0", "(ctx.claude / 'a').write_text('new')")
    project.killed_at('event == "open" and path.endswith("/publish")')
    (log,) = logs(project.workspace())
    assert log.is_finished
    assert sorted(os.listdir(log.folder)) == ["manifest.json", "pack"]
    assert project.applied() == ["0.1.0"]


def test_the_ledger_s_row_carries_the_same_manifest(project: Project) -> None:
    project.write("a", "old")
    project.python("1.0.0", "(ctx.claude / 'a').write_text('new')")
    project.killed_at('event == "os.rename" and path.endswith("/.claude/a")')
    (log,) = logs(project.workspace())
    (row,) = project.query("SELECT id, version, project, manifest FROM plugin_migrate_publishes")
    assert row == (log.id, "1.0.0", str(project.root), log.manifest().to_json())


def test_a_log_is_native_only_where_it_was_written(project: Project, folder: Path) -> None:
    log = LogWriter(project.workspace())
    log.finish(Version(1, 0, 0), "up", {})
    assert log.log.is_native()
    moved = project.root.rename(folder / "moved")
    name = f".claude/.plugin-migrate/publish/{log.log.id}"
    assert Log(str(moved / name)).is_native()
    shutil.copytree(moved, folder / "copy")
    assert not Log(str(folder / "copy" / name)).is_native()


def test_a_log_without_a_manifest_or_a_pack_is_not_native(project: Project) -> None:
    log = LogWriter(project.workspace())
    assert not log.log.is_native()
    log.finish(Version(1, 0, 0), "up", {})
    os.unlink(log.log.path_of("pack"))
    assert not log.log.is_native()


@pytest.mark.skipif(getattr(os, "geteuid", int)() != 0, reason="only root can give files away")
def test_a_log_of_another_user_is_not_native(project: Project) -> None:
    log = LogWriter(project.workspace())
    log.finish(Version(1, 0, 0), "up", {})
    os.chown(log.log.path_of("pack"), 1, 1)
    status = os.stat(log.log.path_of("pack"))
    manifest = log.log.manifest()._replace(pack=(status.st_ino, status.st_ctime_ns))
    Path(log.log.path_of("manifest.json")).write_text(manifest.to_json())
    assert not log.log.is_native()
    os.chown(log.log.path_of("pack"), 0, 0)
    status = os.stat(log.log.path_of("pack"))
    manifest = manifest._replace(pack=(status.st_ino, status.st_ctime_ns))
    Path(log.log.path_of("manifest.json")).write_text(manifest.to_json())
    assert log.log.is_native()


def test_a_log_of_0_1_0_is_read_without_the_before_images_in_its_pack(
    project: Project,
) -> None:
    project.write("a", "old")
    project.python("1.0.0", "(ctx.claude / 'a').write_text('new')")
    project.killed_at('event == "os.rename" and path.endswith("/.claude/a")')
    (log,) = logs(project.workspace())
    document = json.loads(Path(log.path_of("manifest.json")).read_text())
    (entry,) = document["entries"]
    entry |= {"before_at": 0, "after_at": 3}
    del document["pack"]  # which 0.1.0 did not know either
    text = json.dumps(document, sort_keys=True)
    Path(log.path_of("pack")).write_bytes(b"oldnew")
    Path(log.path_of("manifest.json")).write_text(text)
    with project.connect() as connection:
        connection.execute("UPDATE plugin_migrate_publishes SET manifest = ?", (text,))
    done = project.cli("upgrade")
    assert done.returncode == 0, done.stderr
    assert project.read("a") == "new"
    assert project.leftovers() == set()
