"""What the next command does with what a killed one left behind."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from plugin_migrate.engine import recovery
from plugin_migrate.engine.recovery import Unsettled, decide, recover
from plugin_migrate.engine.redo_log import logs
from plugin_migrate.errors import LedgerLost, NeedsRepair
from plugin_migrate.ledger.read import read_ledger
from plugin_migrate.plan import State
from plugin_migrate.storage.lock import run_lock
from project import Project, things

# Where a command dies, and whether its step has happened by then.
UNFINISHED_LOG = 'event == "os.rename" and path.endswith("manifest.json")'
FINISHED_LOG = 'event == "open" and path.endswith("/publish")'
FIRST_FILE = 'event == "os.rename" and path.endswith("/.claude/a")'
SECOND_FILE = 'event == "os.rename" and path.endswith("/.claude/b")'
CLOSING = 'event == "os.rename" and path.endswith(".done")'
REMOVING = 'event == "open" and path.endswith(".done")'


@pytest.fixture
def stepping(project: Project) -> Project:
    """A project whose pending step changes two files and a table."""
    project.write("a", "old")
    project.write("b", "old")
    project.sql("1.0.0", "CREATE TABLE t (x);", "DROP TABLE t;")
    project.upgrade()
    project.python(
        "1.1.0",
        "for name in 'ab':\n    (ctx.claude / name).write_text('new')\n"
        "ctx.db.execute('INSERT INTO t VALUES (1)')",
        "for name in 'ab':\n    (ctx.claude / name).write_text('old')\n"
        "ctx.db.execute('DELETE FROM t')",
    )
    return project


def recovered(project: Project) -> tuple[Unsettled, ...]:
    """Recover, as every writing command does first."""
    workspace = project.workspace()
    with run_lock(workspace, "test", 0):
        return recover(workspace, "tester")


@pytest.mark.parametrize("when", [UNFINISHED_LOG, FINISHED_LOG])
def test_before_the_commit_nothing_has_happened(stepping: Project, when: str) -> None:
    before, rows = stepping.files(), stepping.dump()
    stepping.killed_at(when)
    assert recovered(stepping) == ()
    assert stepping.files() == before
    assert stepping.dump() == rows
    assert stepping.leftovers() == set()


@pytest.mark.parametrize("when", [FIRST_FILE, SECOND_FILE, CLOSING, REMOVING])
def test_after_the_commit_everything_has(stepping: Project, when: str) -> None:
    stepping.killed_at(when)
    assert stepping.applied() == ["1.0.0", "1.1.0"]
    assert recovered(stepping) == ()
    assert stepping.read("a") == stepping.read("b") == "new"
    assert stepping.query("SELECT x FROM t") == [(1,)]
    assert stepping.query("SELECT * FROM plugin_migrate_publishes") == []
    assert stepping.leftovers() == set()
    assert stepping.states() == {"1.0.0": State.APPLIED, "1.1.0": State.APPLIED}


@pytest.mark.parametrize("when", [UNFINISHED_LOG, FINISHED_LOG, FIRST_FILE, SECOND_FILE, REMOVING])
def test_the_next_command_recovers_by_itself_and_goes_on(stepping: Project, when: str) -> None:
    stepping.killed_at(when)
    stepping.upgrade()
    assert stepping.applied() == ["1.0.0", "1.1.0"]
    assert stepping.history().count(("1.1.0", "up", "done")) == 1
    stepping.downgrade("1.0.0")
    assert stepping.read("a") == stepping.read("b") == "old"
    assert stepping.leftovers() == set()


@pytest.mark.parametrize("when", [FIRST_FILE, SECOND_FILE, CLOSING])
def test_until_then_reading_says_interrupted_and_touches_nothing(
    stepping: Project, when: str
) -> None:
    stepping.killed_at(when)
    before = things(stepping.root)
    assert stepping.states()["1.1.0"] is State.INTERRUPTED
    assert things(stepping.root) == before


def test_a_kill_during_recovery_is_recovered_too(stepping: Project) -> None:
    stepping.killed_at(FIRST_FILE)
    stepping.killed_at(SECOND_FILE)
    stepping.killed_at(CLOSING)
    stepping.killed_at(REMOVING)
    assert recovered(stepping) == ()
    assert stepping.read("a") == stepping.read("b") == "new"
    assert stepping.leftovers() == set()


def test_a_done_log_is_never_replayed(stepping: Project) -> None:
    stepping.killed_at(REMOVING)
    stepping.write("a", "edited since")
    assert recovered(stepping) == ()
    assert stepping.read("a") == "edited since"


def test_a_done_log_with_its_row_is_never_replayed(stepping: Project) -> None:
    # The folder is synced once when the log is written, and again when it is renamed to done.
    stepping.killed_at(FINISHED_LOG, nth=2)
    assert [log.is_done for log in logs(stepping.workspace())] == [True]
    assert len(read_ledger(stepping.workspace()).publishes) == 1
    stepping.write("a", "edited since")
    assert recovered(stepping) == ()
    assert stepping.read("a") == "edited since"
    assert read_ledger(stepping.workspace()).publishes == ()


# --- somebody edited -----------------------------------------------------------------------------


@pytest.fixture
def edited(stepping: Project) -> Project:
    """A step that was killed before its files, one of which somebody edited since."""
    stepping.killed_at(FIRST_FILE)
    stepping.write("a", "edited since")
    return stepping


def test_an_edited_file_is_kept_and_the_rest_is_published(edited: Project) -> None:
    (problem,) = recovered(edited)
    assert problem.paths == ("a",)
    assert edited.read("a") == "edited since"
    assert edited.read("b") == "new"
    # A second time makes no difference.
    assert recovered(edited)[0].paths == ("a",)
    assert edited.read("a") == "edited since"


def test_writing_commands_stop_with_the_ways_out(edited: Project) -> None:
    for command in (edited.upgrade, edited.downgrade):
        with pytest.raises(NeedsRepair) as caught:
            command()
        assert caught.value.details == (".claude/a",)
        assert "--keep-live" in (caught.value.hint or "")
        assert "--take-migrated" in (caught.value.hint or "")
    assert edited.states()["1.1.0"] is State.INTERRUPTED


@pytest.mark.parametrize(("take", "content"), [(True, "new"), (False, "edited since")])
def test_the_user_decides_and_the_history_notes_it(
    edited: Project, take: bool, content: str
) -> None:
    (problem,) = recovered(edited)
    decide(edited.workspace(), "tester", problem, take_migrated=take)
    assert edited.read("a") == content
    assert recovered(edited) == ()
    assert edited.states()["1.1.0"] is State.APPLIED
    assert edited.history()[-1] == ("1.1.0", "repair", "done")
    assert edited.leftovers() == set()


@pytest.mark.parametrize(
    "edit",
    [
        lambda path: path.unlink(),
        lambda path: (path.unlink(), path.mkdir()),
        lambda path: (path.unlink(), path.symlink_to("b")),
        lambda path: path.chmod(0o600),
    ],
)
def test_whatever_somebody_did_to_a_path_stays(stepping: Project, edit) -> None:
    stepping.killed_at(FIRST_FILE)
    edit(stepping.claude / "a")
    before = things(stepping.claude).get("a")
    (problem,) = recovered(stepping)
    assert "a" in problem.paths
    assert things(stepping.claude).get("a") == before


# --- restored, copied, deleted -------------------------------------------------------------------


def test_a_database_put_back_after_the_files_arrived_needs_a_decision(stepping: Project) -> None:
    kept = stepping.database.read_bytes()
    stepping.killed_at(SECOND_FILE)
    stepping.database.write_bytes(kept)
    (problem,) = recovered(stepping)
    assert "was the database restored" in problem.why
    assert problem.row is None
    with pytest.raises(NeedsRepair):
        stepping.upgrade()
    with pytest.raises(NeedsRepair, match="never committed"):
        decide(stepping.workspace(), "tester", problem, take_migrated=True)
    decide(stepping.workspace(), "tester", problem, take_migrated=False)
    assert stepping.read("a") == "new"
    assert recovered(stepping) == ()


def test_a_database_put_back_before_any_file_arrived_is_as_if_nothing_happened(
    stepping: Project,
) -> None:
    kept = stepping.database.read_bytes()
    stepping.killed_at(FIRST_FILE)
    stepping.database.write_bytes(kept)
    assert recovered(stepping) == ()
    assert stepping.read("a") == stepping.read("b") == "old"
    assert stepping.leftovers() == set()


def test_deleted_bookkeeping_needs_a_decision_while_files_are_missing(stepping: Project) -> None:
    stepping.killed_at(SECOND_FILE)
    shutil.rmtree(stepping.bookkeeping)
    (problem,) = recovered(stepping)
    assert "its redo log is gone" in problem.why
    assert set(problem.paths) == {"a", "b"}
    with pytest.raises(NeedsRepair):
        stepping.upgrade()
    with pytest.raises(NeedsRepair, match="log is gone"):
        decide(stepping.workspace(), "tester", problem, take_migrated=True)
    decide(stepping.workspace(), "tester", problem, take_migrated=False)
    assert recovered(stepping) == ()


def test_deleted_bookkeeping_does_not_matter_once_every_file_is_there(stepping: Project) -> None:
    stepping.killed_at(CLOSING)
    shutil.rmtree(stepping.bookkeeping)
    assert recovered(stepping) == ()
    assert read_ledger(stepping.workspace()).publishes == ()


def test_a_deleted_database_is_never_taken_for_a_new_one(stepping: Project) -> None:
    stepping.killed_at(SECOND_FILE)
    stepping.database.unlink()
    with pytest.raises(LedgerLost):
        recovered(stepping)
    assert stepping.read("a") == "new"
    assert stepping.read("b") == "old"


def test_a_project_copied_in_the_middle_of_publishing_is_finished_on_both_sides(
    stepping: Project, folder: Path
) -> None:
    stepping.killed_at(SECOND_FILE)
    shutil.copytree(stepping.root, folder / "copy", symlinks=True)
    for root in (stepping.root, folder / "copy"):
        done = Project.__new__(Project)
        vars(done).update(
            {
                key: Path(str(value).replace(str(stepping.root), str(root)))
                for key, value in vars(stepping).items()
            }
        )
        assert recovered(done) == ()
        assert done.read("a") == done.read("b") == "new"
        assert done.leftovers() == set()


def test_rows_of_another_project_in_an_outside_database_are_left_alone(
    project: Project, folder: Path
) -> None:
    project.config(f"database: {folder / 'shared.db'}")
    project.sql("1.0.0", "CREATE TABLE t (x);")
    project.upgrade()
    project.setup(
        "INSERT INTO plugin_migrate_publishes VALUES ('abc', '1.0.0', '/another/project', '{}')",
        folder / "shared.db",
    )
    assert recovered(project) == ()
    assert project.states() == {"1.0.0": State.APPLIED}
    rows = project.query("SELECT id FROM plugin_migrate_publishes", database=folder / "shared.db")
    assert rows == [("abc",)]


# --- damaged and hostile logs --------------------------------------------------------------------


def manifest_of(project: Project) -> Path:
    """Return the only log's manifest."""
    (log,) = logs(project.workspace())
    return Path(log.path_of("manifest.json"))


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_text("{"),
        lambda path: path.write_text("[]"),
        lambda path: path.write_bytes(b"\xff\xfe"),
        lambda path: path.write_text(path.read_text().replace('"new', '"old')[:-40]),
        lambda path: (path.unlink(), path.mkdir()),
        lambda path: path.write_text(json.dumps({**json.loads(path.read_text()), "entries": []})),
    ],
)
def test_a_damaged_manifest_of_a_committed_step_needs_a_decision(stepping: Project, damage) -> None:
    stepping.killed_at(FIRST_FILE)
    damage(manifest_of(stepping))
    (problem,) = recovered(stepping)
    assert str(problem.version) == "1.1.0"
    assert stepping.read("a") == "old"
    with pytest.raises(NeedsRepair):
        stepping.upgrade()
    decide(stepping.workspace(), "tester", problem, take_migrated=False)
    assert recovered(stepping) == ()


def test_a_pack_that_is_too_short_needs_a_decision(stepping: Project) -> None:
    stepping.killed_at(FIRST_FILE)
    manifest_of(stepping).with_name("pack").write_bytes(b"ol")
    (problem,) = recovered(stepping)
    assert stepping.read("a") == "old"
    assert "damaged" in problem.why


def test_a_pack_with_other_content_is_not_published(stepping: Project) -> None:
    stepping.killed_at(FIRST_FILE)
    pack = manifest_of(stepping).with_name("pack")
    pack.write_bytes(pack.read_bytes().replace(b"new", b"bad"))
    (problem,) = recovered(stepping)
    assert stepping.read("a") == stepping.read("b") == "old"
    assert "damaged" in problem.why


def rewritten(project: Project, old: str, new: str) -> None:
    """Change the manifest and its row alike, as whoever hands out a project could."""
    path = manifest_of(project)
    text = path.read_text().replace(json.dumps(old), json.dumps(new))
    assert text != path.read_text()
    path.write_text(text)
    with project.connect() as connection:
        connection.execute("UPDATE plugin_migrate_publishes SET manifest = ?", (text,))


@pytest.mark.parametrize(
    "path",
    [
        "../../outside",
        "../.git/outside",
        "x/../../outside",
        "/etc/outside",
        "",
        ".",
        "a//b",
        "./a",
        "a\0b",
    ],
)
def test_a_manifest_whose_paths_leave_claude_is_refused(stepping: Project, path: str) -> None:
    stepping.killed_at(FIRST_FILE)
    rewritten(stepping, "a", path)
    (problem,) = recovered(stepping)
    assert "not a path below" in problem.why
    assert not (stepping.root / "outside").exists()
    assert stepping.read("b") == "old"
    with pytest.raises(NeedsRepair):
        decide(stepping.workspace(), "tester", problem, take_migrated=True)


def test_a_manifest_that_leads_through_a_linked_folder_is_refused(
    stepping: Project, folder: Path
) -> None:
    outside = folder / "outside"
    outside.mkdir()
    (outside / "a").write_text("old")
    (stepping.claude / "way").symlink_to(outside)
    stepping.killed_at(FIRST_FILE)
    rewritten(stepping, "a", "way/a")
    (problem,) = recovered(stepping)
    assert "through a link" in problem.why
    assert (outside / "a").read_text() == "old"


def test_a_manifest_for_a_link_that_leaves_claude_is_refused(
    stepping: Project, folder: Path
) -> None:
    outside = folder / "outside"
    outside.write_text("old")
    stepping.killed_at(FIRST_FILE)
    (stepping.claude / "a").unlink()
    (stepping.claude / "a").symlink_to(outside)
    (problem,) = recovered(stepping)
    assert outside.read_text() == "old"
    assert stepping.read("b") in ("old", "new")
    with pytest.raises(NeedsRepair):
        decide(stepping.workspace(), "tester", problem, take_migrated=True)
    assert outside.read_text() == "old"


@pytest.fixture
def with_memory(project: Project) -> Project:
    """A killed step whose further database and file both still have to arrive."""
    memory = project.setup("CREATE TABLE t (x)", project.claude / "memory.db")
    before = memory.read_bytes()
    project.write("a", "old")
    project.make_ledger()
    project.python(
        "1.0.0",
        "ctx.database('memory.db').execute('INSERT INTO t VALUES (1)')\n"
        "(ctx.claude / 'a').write_text('new')",
    )
    project.killed_at(FIRST_FILE)
    memory.write_bytes(before)
    return project


def rows_of_memory(project: Project) -> list[tuple]:
    """Return what stands in the further database."""
    return project.query("SELECT x FROM t", database=project.claude / "memory.db")


def test_a_further_database_that_has_not_arrived_is_published(with_memory: Project) -> None:
    assert recovered(with_memory) == ()
    assert rows_of_memory(with_memory) == [(1,)]
    assert with_memory.read("a") == "new"


def test_a_further_database_that_somebody_changed_since_is_kept(with_memory: Project) -> None:
    with_memory.setup("INSERT INTO t VALUES (99)", with_memory.claude / "memory.db")
    (problem,) = recovered(with_memory)
    assert problem.paths == ("memory.db",)
    assert rows_of_memory(with_memory) == [(99,)]
    assert with_memory.read("a") == "new"
    decide(with_memory.workspace(), "tester", problem, take_migrated=True)
    assert rows_of_memory(with_memory) == [(1,)]


def test_a_further_database_that_is_gone_is_not_made_again_unasked(with_memory: Project) -> None:
    (with_memory.claude / "memory.db").unlink()
    (problem,) = recovered(with_memory)
    assert problem.paths == ("memory.db",)
    assert not (with_memory.claude / "memory.db").exists()


@pytest.mark.parametrize("how", ["../../../../../secret.db", "absolute"])
def test_a_further_database_s_copy_cannot_be_taken_from_elsewhere(
    with_memory: Project, folder: Path, how: str
) -> None:
    secret = with_memory.setup("CREATE TABLE secret (x)", folder / "secret.db")
    rewritten(with_memory, "database-0.sqlite", str(secret) if how == "absolute" else how)
    (problem,) = recovered(with_memory)
    assert "damaged" in problem.why
    assert rows_of_memory(with_memory) == []


def test_a_damaged_copy_of_a_further_database_is_not_published(with_memory: Project) -> None:
    copy = manifest_of(with_memory).with_name("database-0.sqlite")
    copy.write_bytes(copy.read_bytes()[:-100])
    (problem,) = recovered(with_memory)
    assert "damaged" in problem.why
    assert rows_of_memory(with_memory) == []


def test_a_further_database_behind_a_link_since_is_not_followed(
    with_memory: Project, folder: Path
) -> None:
    (with_memory.claude / "memory.db").rename(folder / "outside.db")
    (with_memory.claude / "memory.db").symlink_to(folder / "outside.db")
    (problem,) = recovered(with_memory)
    assert "through a link" in problem.why
    assert rows_of_memory(with_memory) == []


def test_an_unknown_thing_among_the_logs_is_not_run_into(project: Project) -> None:
    project.write(".plugin-migrate/publish/stray.txt", "x")
    (project.bookkeeping / "publish/empty").mkdir(parents=True)
    project.sql("1.0.0", "CREATE TABLE t (x);")
    project.upgrade()
    assert project.applied() == ["1.0.0"]


def test_leftover_staging_is_removed(project: Project) -> None:
    project.write(".plugin-migrate/staging/old/project/.claude/a", "x", 0o000)
    (project.bookkeeping / "staging/old").chmod(0o555)
    assert recovered(project) == ()
    assert not os.path.exists(project.bookkeeping / "staging")


def test_refusing_nothing_is_silent(project: Project) -> None:
    recovery.refuse(project.workspace(), ())


@pytest.fixture
def unreplaceable(stepping: Project) -> Iterator[Project]:
    """A committed step, killed before a file whose folder nobody may change is in place."""
    stepping.killed_at(FIRST_FILE)
    if subprocess.run(["chattr", "+i", stepping.claude / "b"], check=False).returncode:
        pytest.skip("no file can be made immutable here")
    yield stepping
    subprocess.run(["chattr", "-i", stepping.claude / "b"], check=True)


def test_a_file_that_cannot_be_replaced_is_told_with_the_ways_out(unreplaceable: Project) -> None:
    for command in ("upgrade", "downgrade", "repair"):
        failed = unreplaceable.cli(command)
        assert failed.returncode == 1
        assert "is committed, but cannot be finished: Operation not permitted" in failed.stderr
        assert "\n  .claude/b\n" in failed.stderr
        assert "lsattr" in failed.stderr
        assert "repair --keep-live" in failed.stderr
        assert "Internal error" not in failed.stderr
    taken = unreplaceable.cli("repair", "--take-migrated")
    assert taken.returncode == 1
    assert "✗ Error: The state cannot be read or written: Operation not permitted" in taken.stderr
    assert f"\n  {unreplaceable.claude / 'b'}\n" in taken.stderr


def test_a_file_that_cannot_be_replaced_can_be_kept(unreplaceable: Project) -> None:
    assert unreplaceable.cli("repair", "--keep-live").returncode == 0
    assert unreplaceable.read("b") == "old"
    assert unreplaceable.cli("upgrade").returncode == 0


def test_a_file_that_can_be_replaced_again_is(unreplaceable: Project) -> None:
    assert unreplaceable.cli("upgrade").returncode == 1
    subprocess.run(["chattr", "-i", unreplaceable.claude / "b"], check=True)
    assert unreplaceable.cli("upgrade").returncode == 0
    assert unreplaceable.read("b") == "new"
