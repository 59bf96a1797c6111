"""Publishing: it may stop anywhere and be run again, and overwrites nothing that a person wrote."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugin_migrate.engine.publish import has_arrived, has_started, publish
from plugin_migrate.engine.redo_log import LogWriter, Manifest
from plugin_migrate.errors import NeedsRepair
from plugin_migrate.sandbox.staging import Staging
from plugin_migrate.storage.nodes import observe
from plugin_migrate.version import Version
from project import Project, things
from random_trees import FAST, Edit, Stage, Tree, edits, temporary, trees


@settings(FAST, max_examples=60)
@given(trees(), edits(), st.integers(0, 12))
def test_publishing_that_stops_anywhere_is_finished_by_the_next(
    tree: Tree, edits: list[Edit], steps: int
) -> None:
    with temporary() as root:
        stage = Stage(root, tree)
        stage.edit(edits)
        writer = LogWriter(stage.workspace)
        manifest = writer.finish(Version(1, 0, 0), "up", stage.changes())
        # As a crash leaves it: only some of the paths have arrived, in the order of publishing.
        first = _first(manifest, steps)
        some = manifest._replace(entries=first, offsets=(None,) * len(first))
        publish(stage.workspace, writer.log, some)
        assert publish(stage.workspace, writer.log, manifest) == []
        assert has_arrived(stage.workspace, manifest)
        assert things(Path(stage.live)) == things(Path(stage.model))


def _first(manifest: Manifest, steps: int) -> tuple:
    """Return some entries that can arrive without the others: deletions from below first."""
    gone = [entry for entry in manifest.entries if entry.after is None]
    gone.sort(key=lambda entry: -entry.path.count("/"))
    return tuple(gone[:steps])


@settings(FAST, max_examples=100)
@given(trees(), edits(), edits(links=False))
def test_what_somebody_wrote_between_commit_and_publishing_survives(
    tree: Tree, migrated: list[Edit], foreign: list[Edit]
) -> None:
    with temporary() as root:
        stage = Stage(root, tree)
        stage.edit(migrated)
        writer = LogWriter(stage.workspace)
        manifest = writer.finish(Version(1, 0, 0), "up", stage.changes())
        before = things(Path(stage.live))
        for edit in foreign:
            edit.apply(stage.live)
        theirs = {
            path: thing
            for path, thing in things(Path(stage.live)).items()
            if thing.kind != "dir" and before.get(path) != thing
        }
        publish(stage.workspace, writer.log, manifest)
        now, model = things(Path(stage.live)), things(Path(stage.model))
        for path, thing in theirs.items():
            # It is still there, unless it is what the migration was going to replace.
            assert now.get(path) in (thing, model.get(path))
            if model.get(path) != thing and before.get(path) != thing:
                assert now.get(path) == thing


def published(project: Project, action) -> tuple[LogWriter, Manifest]:
    """Stage, act on the copy, and write the log of what changed."""
    staging = Staging(project.workspace(), str(project.bookkeeping / "staging/1"))
    staging.refresh()
    action(Path(staging.claude))
    writer = LogWriter(project.workspace())
    return writer, writer.finish(Version(1, 0, 0), "up", staging.changes())


def test_has_started_tells_whether_any_path_arrived(project: Project) -> None:
    project.write("a", "old")
    project.write("b", "old")

    def change(claude: Path) -> None:
        (claude / "a").write_text("new")
        (claude / "b").write_text("new")

    _, manifest = published(project, change)
    workspace = project.workspace()
    assert not has_started(workspace, manifest)
    project.write("a", "new")
    assert has_started(workspace, manifest)
    assert not has_arrived(workspace, manifest)
    project.write("b", "new")
    assert has_arrived(workspace, manifest)


def test_a_new_folder_gets_its_mode_last_and_in_full(project: Project) -> None:
    def change(claude: Path) -> None:
        (claude / "deep/er").mkdir(parents=True)
        (claude / "deep/er/a").write_text("x")
        (claude / "deep/er").chmod(0o500)
        (claude / "deep").chmod(0o555)

    writer, manifest = published(project, change)
    assert publish(project.workspace(), writer.log, manifest) == []
    now = things(project.claude)
    assert (now["deep"].mode, now["deep/er"].mode) == (0o555, 0o500)


def test_a_folder_that_somebody_used_meanwhile_stays(project: Project) -> None:
    project.write("folder/a", "old")

    def change(claude: Path) -> None:
        (claude / "folder/a").unlink()
        (claude / "folder").rmdir()

    writer, manifest = published(project, change)
    project.write("folder/theirs", "theirs")
    publish(project.workspace(), writer.log, manifest)
    assert project.read("folder/theirs") == "theirs"
    assert not (project.claude / "folder/a").exists()


def test_a_folder_replaced_by_a_link_is_published_again_after_a_crash(project: Project) -> None:
    project.write("folder/a", "old")
    project.write("other/a", "kept")

    def change(claude: Path) -> None:
        (claude / "folder/a").unlink()
        (claude / "folder").rmdir()
        (claude / "folder").symlink_to("other")

    writer, manifest = published(project, change)
    for _ in range(2):
        assert publish(project.workspace(), writer.log, manifest) == []
        assert has_arrived(project.workspace(), manifest)
    assert os.readlink(project.claude / "folder") == "other"
    assert project.read("other/a") == "kept"


def test_a_file_for_a_folder_that_somebody_used_meanwhile_is_kept_back(project: Project) -> None:
    project.write("folder/a", "old")

    def change(claude: Path) -> None:
        (claude / "folder/a").unlink()
        (claude / "folder").rmdir()
        (claude / "folder").write_text("a file now")

    writer, manifest = published(project, change)
    project.write("folder/theirs", "theirs")
    assert publish(project.workspace(), writer.log, manifest) == ["folder"]
    assert project.read("folder/theirs") == "theirs"


def test_what_goes_into_a_folder_that_is_gone_is_kept_back_until_it_is_forced(
    project: Project,
) -> None:
    project.write("folder/a", "old")

    def change(claude: Path) -> None:
        (claude / "folder/new").write_text("new")
        (claude / "folder/deep").mkdir()

    writer, manifest = published(project, change)
    (project.claude / "folder/a").unlink()
    (project.claude / "folder").rmdir()
    assert publish(project.workspace(), writer.log, manifest) == ["folder/deep", "folder/new"]
    assert not (project.claude / "folder").exists()
    assert publish(project.workspace(), writer.log, manifest, force=True) == []
    assert project.read("folder/new") == "new"


def test_force_takes_the_migrated_version(project: Project) -> None:
    project.write("a", "old")
    writer, manifest = published(project, lambda claude: (claude / "a").write_text("new"))
    project.write("a", "theirs")
    assert publish(project.workspace(), writer.log, manifest) == ["a"]
    assert project.read("a") == "theirs"
    assert publish(project.workspace(), writer.log, manifest, force=True) == []
    assert project.read("a") == "new"


def test_a_folder_that_became_a_link_is_not_followed(project: Project, folder: Path) -> None:
    project.write("folder/a", "old")
    writer, manifest = published(project, lambda claude: (claude / "folder/a").write_text("new"))
    (project.claude / "folder").rename(folder / "elsewhere")
    (project.claude / "folder").symlink_to(folder / "elsewhere")
    with pytest.raises(NeedsRepair, match="through a link"):
        publish(project.workspace(), writer.log, manifest)
    assert (folder / "elsewhere/a").read_text() == "old"


def test_a_pipe_in_a_file_s_place_does_not_stop_publishing_for_ever(project: Project) -> None:
    project.write("a", "old")
    writer, manifest = published(project, lambda claude: (claude / "a").write_text("new"))
    (project.claude / "a").unlink()
    os.mkfifo(project.claude / "a")
    assert publish(project.workspace(), writer.log, manifest) == ["a"]
    seen = observe(str(project.claude / "a"))
    assert seen is not None
    assert seen.kind == "other"


def test_the_owner_of_a_replaced_file_is_kept(project: Project) -> None:
    if os.getuid() != 0:
        pytest.skip("only root may give files away")
    file = project.write("a", "old")
    os.chown(file, 1234, 4321)
    writer, manifest = published(project, lambda claude: (claude / "a").write_text("new"))
    publish(project.workspace(), writer.log, manifest)
    assert (file.stat().st_uid, file.stat().st_gid) == (1234, 4321)


def test_a_hard_link_s_other_name_keeps_the_old_content(project: Project, folder: Path) -> None:
    file = project.write("a", "old")
    os.link(file, folder / "other-name")
    writer, manifest = published(project, lambda claude: (claude / "a").write_text("new"))
    publish(project.workspace(), writer.log, manifest)
    assert project.read("a") == "new"
    assert (folder / "other-name").read_text() == "old"
