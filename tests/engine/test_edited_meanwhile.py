"""What is saved between publishing's comparison and its rename survives, and the step says so."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from plugin_migrate.engine.redo_log import LogWriter
from plugin_migrate.engine.replacing import Replacer
from plugin_migrate.storage.nodes import observe
from project import SCRIPTS, Project

# Somebody acts at the very call that would put the migrated file in place, or take the old one out.
MEANWHILE = """
import os, sys
seen = []
def somebody(event, arguments):
    if event != "os.rename" or seen:
        return
    source, target = (os.fsdecode(path) for path in arguments[:2])
    path = {claude!r} + "/a"
    if path in (source, target):
        seen.append(path)
        {action}
sys.addaudithook(somebody)
"""
ACTIONS = {
    "written in place": "open(path, 'w').write('edited')",
    "renamed into place": "open(path + '~', 'w').write('edited'); os.rename(path + '~', path)",
}
DELETED = "os.unlink(path)"
MODE = "os.chmod(path, 0o600)"
# A system without an exchange, or without ctypes: the calls are seen and do nothing.
WITHOUT_EXCHANGE = """
import sys
sys.path.insert(0, {scripts!r})
from plugin_migrate.platform import posix_moving
def refuse(source, target, *flags):
    sys.audit("os.rename", source, target, -1, -1)
    return False
posix_moving._rename = refuse
"""
SYSTEMS = pytest.mark.parametrize("system", ["exchange", "no exchange"])


def during(project: Project, action: str, system: str = "exchange") -> str:
    """Return code that lets somebody act in the instant between comparison and rename."""
    before = "" if system == "exchange" else WITHOUT_EXCHANGE.format(scripts=str(SCRIPTS))
    return before + MEANWHILE.format(claude=str(project.claude), action=action)


def interrupted(project: Project, before: str, *command: str) -> None:
    """Run a command that must say that it left the file alone."""
    done = project.cli(*(command or ("upgrade",)), before=before)
    assert done.returncode == 1, done.stdout
    assert "somebody edited 1 of its file(s)" in done.stderr
    assert "repair --keep-live" in done.stderr


@pytest.fixture
def changing(project: Project) -> Project:
    """A project whose migration changes a file, and can be taken back."""
    project.write("a", "old")
    project.python(
        "1.0.0", "(ctx.claude / 'a').write_text('new')", "(ctx.claude / 'a').write_text('old')"
    )
    return project


@SYSTEMS
@pytest.mark.parametrize("how", ACTIONS)
def test_an_edit_stays_in_place_and_the_step_is_interrupted(
    changing: Project, how: str, system: str
) -> None:
    interrupted(changing, during(changing, ACTIONS[how], system))
    assert changing.read("a") == "edited"
    assert changing.cli("repair", "--keep-live").returncode == 0
    assert changing.read("a") == "edited"
    assert changing.applied() == ["1.0.0"]
    assert changing.leftovers() == set()


def test_the_migrated_version_is_kept_for_whoever_wants_it(changing: Project) -> None:
    interrupted(changing, during(changing, ACTIONS["written in place"]))
    assert changing.cli("repair", "--take-migrated").returncode == 0
    assert changing.read("a") == "new"


def test_an_edit_during_a_decision_survives_as_well(changing: Project) -> None:
    interrupted(changing, during(changing, ACTIONS["written in place"]))
    again = during(changing, "open(path, 'w').write('edited again')")
    done = changing.cli("repair", "--take-migrated", before=again)
    assert done.returncode == 1
    assert "cannot be put in place" in done.stderr
    assert changing.read("a") == "edited again"


@SYSTEMS
@pytest.mark.parametrize("how", ACTIONS)
def test_a_file_that_is_deleted_by_the_step_and_edited_meanwhile_stays(
    project: Project, how: str, system: str
) -> None:
    project.write("a", "old")
    project.python("1.0.0", "(ctx.claude / 'a').unlink()")
    interrupted(project, during(project, ACTIONS[how], system))
    assert project.read("a") == "edited"


@SYSTEMS
def test_a_file_that_somebody_makes_meanwhile_is_not_replaced(
    project: Project, system: str
) -> None:
    project.python("1.0.0", "(ctx.claude / 'a').write_text('new')")
    interrupted(project, during(project, ACTIONS["written in place"], system))
    assert project.read("a") == "edited"


@SYSTEMS
def test_a_file_that_somebody_deletes_meanwhile_stays_deleted(
    changing: Project, system: str
) -> None:
    interrupted(changing, during(changing, DELETED, system))
    assert not (changing.claude / "a").exists()


@SYSTEMS
def test_a_mode_that_somebody_changes_meanwhile_is_an_edit(changing: Project, system: str) -> None:
    interrupted(changing, during(changing, MODE, system))
    assert changing.read("a") == "old"
    assert (changing.claude / "a").stat().st_mode & 0o777 == 0o600


def test_a_link_that_is_edited_meanwhile_stays(project: Project) -> None:
    project.write("b", "b")
    project.write("c", "c")
    (project.claude / "a").symlink_to("b")
    project.python("1.0.0", "(ctx.claude / 'a').unlink(); (ctx.claude / 'a').symlink_to('c')")
    interrupted(project, during(project, "os.unlink(path); os.symlink('elsewhere', path)"))
    assert os.readlink(project.claude / "a") == "elsewhere"


def test_a_rollback_overwrites_no_edit_either(changing: Project) -> None:
    changing.upgrade()
    interrupted(changing, during(changing, ACTIONS["renamed into place"]), "downgrade")
    assert changing.read("a") == "edited"


def test_a_restore_overwrites_no_edit_either(changing: Project) -> None:
    changing.upgrade()
    (backup,) = (changing.bookkeeping / "backups").iterdir()
    before = during(changing, ACTIONS["renamed into place"])
    interrupted(changing, before, "restore", backup.name)
    assert changing.read("a") == "edited"


def test_a_recovery_overwrites_no_edit_either(changing: Project) -> None:
    changing.killed_at('event == "os.rename" and path.endswith("/.claude/a")')
    interrupted(changing, during(changing, ACTIONS["written in place"]))
    assert changing.read("a") == "edited"


@pytest.mark.parametrize("step", ["changes", "deletes"])
def test_an_edit_that_a_killed_command_had_taken_out_is_put_back_by_the_next(
    project: Project, step: str
) -> None:
    project.write("a", "old")
    code = {"changes": ".write_text('new')", "deletes": ".unlink()"}[step]
    project.python("1.0.0", f"(ctx.claude / 'a'){code}")
    looking = 'event == "open" and path.endswith(("/swap-0", "/out-0"))'
    before = during(project, ACTIONS["written in place"])
    project.killed_at(looking, "upgrade", before=before)
    assert not (project.claude / "a").exists() or project.read("a") == "new"
    interrupted(project, "")
    assert project.read("a") == "edited"


def test_an_edit_that_was_taken_out_and_one_that_came_later_both_survive(
    changing: Project,
) -> None:
    looking = 'event == "open" and path.endswith("/swap-0")'
    before = during(changing, ACTIONS["written in place"])
    changing.killed_at(looking, "upgrade", before=before)
    changing.write("a", "edited later")
    interrupted(changing, "")
    assert changing.read("a") == "edited later"
    (beside,) = changing.claude.glob("a.edited-*")
    assert beside.read_text() == "edited"
    assert changing.cli("repair", "--keep-live").returncode == 0
    assert beside.read_text() == "edited"


@pytest.fixture
def orphaned(changing: Project) -> Project:
    """A project whose log still holds an edit when its database is put back to before the step."""
    changing.sql("0.1.0", "SELECT 1;")
    changing.upgrade("0.1.0")
    earlier = changing.database.read_bytes()
    looking = 'event == "open" and path.endswith("/swap-0")'
    before = during(changing, ACTIONS["written in place"])
    changing.killed_at(looking, "upgrade", before=before)
    assert changing.read("a") == "new"
    changing.database.write_bytes(earlier)
    return changing


def test_an_edit_in_a_log_without_its_row_is_in_place_after_the_live_files_were_kept(
    orphaned: Project,
) -> None:
    done = orphaned.cli("upgrade")
    assert "the database knows nothing of it" in done.stderr
    assert orphaned.cli("repair", "--keep-live").returncode == 0
    assert orphaned.read("a") == "edited"
    assert orphaned.leftovers() == set()


@pytest.mark.parametrize("later", ["old", "edited later"])
def test_an_edit_in_a_log_that_is_given_up_replaces_no_later_one(
    orphaned: Project, later: str
) -> None:
    orphaned.write("a", later)
    assert "repair --keep-live" in orphaned.cli("upgrade").stderr
    assert orphaned.cli("repair", "--keep-live").returncode == 0
    assert orphaned.read("a") == later
    (beside,) = orphaned.claude.glob("a.edited-*")
    assert beside.read_text() == "edited"


def test_an_edit_whose_folder_is_a_link_by_now_is_put_beside_the_link(project: Project) -> None:
    project.write("folder/a", "old")
    project.python("1.0.0", "(ctx.claude / 'folder/a').write_text('new')")
    looking = 'event == "open" and path.endswith("/swap-0")'
    before = during(project, ACTIONS["written in place"]).replace("/a", "/folder/a")
    project.killed_at(looking, "upgrade", before=before)
    elsewhere = project.root / "elsewhere"
    (project.claude / "folder").rename(elsewhere)
    (project.claude / "folder").symlink_to(elsewhere)
    assert "leads through a link" in project.cli("upgrade").stderr
    assert project.cli("repair", "--keep-live").returncode == 0
    assert [path.name for path in elsewhere.iterdir()] == ["a"]
    (beside,) = project.claude.glob("a.edited-*")
    assert beside.read_text() == "edited"


def test_what_a_copied_log_holds_takes_nobodys_place(orphaned: Project) -> None:
    (log,) = (orphaned.bookkeeping / "publish").iterdir()
    pack = (log / "pack").read_bytes()
    (log / "pack").unlink()
    (log / "pack").write_bytes(pack)  # as a clone does: another file
    (orphaned.claude / "a").unlink()
    assert orphaned.cli("repair", "--keep-live").returncode == 0
    assert not (orphaned.claude / "a").exists()
    assert len(list(orphaned.claude.glob("a.edited-*"))) == 1


def test_a_kill_at_the_exchange_of_an_unedited_file_is_finished_by_the_next(
    changing: Project,
) -> None:
    changing.killed_at('event == "open" and path.endswith("/swap-0")', "upgrade")
    assert changing.cli("upgrade").returncode == 0
    assert changing.read("a") == "new"
    assert changing.leftovers() == set()


@pytest.mark.parametrize("step", ["changes", "deletes", "deletes its folder"])
def test_what_is_written_to_the_old_file_after_it_was_taken_out_survives(
    project: Project, step: str
) -> None:
    project.write("folder/a", "old")
    code = {
        "changes": "(ctx.claude / 'folder/a').write_text('new')",
        "deletes": "(ctx.claude / 'folder/a').unlink()",
        "deletes its folder": "import shutil; shutil.rmtree(ctx.claude / 'folder')",
    }[step]
    project.python("1.0.0", code)
    # A program that had the file open all the time writes to it while its folder is synced.
    file = str(project.claude / "folder/a")
    before = f"""
import os, sys
log = open({file!r}, "a")
def writing(event, arguments):
    if event == "open" and arguments[0] == {str(project.claude)!r} + (
        "" if {step!r} == "deletes its folder" else "/folder"
    ) and arguments[2] & os.O_DIRECTORY and not log.closed and moved:
        log.write(" and more")
        log.close()
    if event == "os.rename" and {file!r} in arguments[:2]:
        moved.append(True)
moved = []
sys.addaudithook(writing)
"""
    done = project.cli("upgrade", before=before)
    assert done.returncode == 1
    assert "somebody edited 1 of its file(s)" in done.stderr
    here = [path for path in project.claude.rglob("a*") if path.is_file()]
    (found,) = [path for path in here if project.bookkeeping not in path.parents]
    assert found.read_text() == "old and more"
    assert ("edited-" in found.name) == (step == "deletes its folder")
    project.cli("repair", "--keep-live")
    assert found.read_text() == "old and more"
    assert project.leftovers() == set()


def test_nothing_is_interrupted_when_nobody_edits_anything_without_an_exchange(
    changing: Project,
) -> None:
    changing.write("gone", "old")
    changing.python(
        "1.1.0",
        "(ctx.claude / 'gone').unlink(); (ctx.claude / 'made').write_text('made')\n"
        "(ctx.claude / 'link').symlink_to('made')",
    )
    done = changing.cli("upgrade", before=WITHOUT_EXCHANGE.format(scripts=str(SCRIPTS)))
    assert done.returncode == 0, done.stderr
    assert (changing.read("a"), changing.read("link")) == ("new", "made")
    assert not (changing.claude / "gone").exists()


def test_a_file_below_a_mount_point_is_removed_only_as_it_was_compared(
    project: Project, tmp_path: Path
) -> None:
    if os.stat(tmp_path).st_dev == os.stat(project.root).st_dev:
        pytest.skip("there is only one file system here")
    replacer = Replacer(LogWriter(project.workspace()).log)
    file = tmp_path / "a"
    file.write_text("old")
    compared = observe(str(file))
    assert compared is not None
    file.write_text("edited")
    assert not replacer.take_out(0, str(file), compared)
    assert file.read_text() == "edited"
    file.write_text("old")
    assert replacer.take_out(0, str(file), compared)
    assert not file.exists()


def test_edits_beside_a_file_do_not_replace_each_other(project: Project) -> None:
    log = LogWriter(project.workspace()).log
    replacer = Replacer(log)
    live = project.write("a", "live")
    for edit in ("first", "second"):
        held = Path(log.path_of("swap-0"))
        held.write_text(edit)
        assert not replacer.put_back(str(held), str(live), None)
    beside = sorted(project.claude.glob("a.edited-*"))
    assert [path.read_text() for path in beside] == ["first", "second"]
    assert project.read("a") == "live"
