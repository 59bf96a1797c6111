"""Automatic backups and going back to them."""

import errno
import json
import os
from pathlib import Path

import pytest

from plugin_migrate import commands
from plugin_migrate.backup import list_backups
from plugin_migrate.errors import Conflict, MigrateError, StateUnreadable, UsageError
from plugin_migrate.plan import State
from project import Project, Thing


def backup_ids(project: Project) -> list[str]:
    return [backup.id for backup in list_backups(project.workspace())]


def restore(project: Project, number: int = 0, force: bool = False) -> commands.Run:
    backup_id = backup_ids(project)[number]
    return commands.restore(project.workspace(), backup_id, force, "tester", 0)


def files_but_databases(project: Project) -> dict[str, Thing]:
    """Databases are compared by their rows: a restore may arrange the pages anew."""
    return {path: thing for path, thing in project.files().items() if not path.endswith(".db")}


@pytest.fixture
def migrated(project: Project) -> Project:
    """A project whose second migration changed files and two databases."""
    project.write("settings.json", '{"theme": "dark"}\n', 0o600)
    project.write("old.md", "old\n")
    project.setup("CREATE TABLE facts (x); INSERT INTO facts VALUES (1)", project.claude / "m.db")
    project.sql("1.0.0", "CREATE TABLE notes (text); INSERT INTO notes VALUES ('first');")
    project.upgrade()
    project.python(
        "1.1.0",
        """
        with ctx.edit_json("settings.json") as settings:
            settings["theme"] = "light"
        (ctx.claude / "old.md").unlink()
        (ctx.claude / "new").mkdir()
        (ctx.claude / "new/file.md").write_text("new")
        ctx.db.execute("INSERT INTO notes VALUES ('second')")
        ctx.database("m.db").execute("INSERT INTO facts VALUES (2)")
        """,
    )
    return project


def test_every_run_that_changes_something_keeps_what_it_changed(migrated: Project) -> None:
    migrated.upgrade()

    newest = list_backups(migrated.workspace())[0]

    assert newest.command == "test"
    assert newest.current_version == "1.0.0"
    assert newest.has_state
    assert {saved.path for saved in newest.files} == {
        "settings.json",
        "old.md",
        "new",
        "new/file.md",
    }
    assert [saved.path for saved in newest.databases] == ["m.db"]


def test_a_run_that_changes_nothing_keeps_no_backup(project: Project) -> None:
    project.upgrade()
    project.sql("1.0.0", "SELECT * FROM missing;")
    project.failure()

    assert backup_ids(project) == []


def test_restore_brings_back_files_modes_databases_and_ledger(migrated: Project) -> None:
    files = files_but_databases(migrated)
    side = migrated.dump(migrated.claude / "m.db")
    migrated.upgrade()

    restored = restore(migrated)

    assert files_but_databases(migrated) == files
    assert migrated.dump(migrated.claude / "m.db") == side
    assert migrated.applied() == ["1.0.0"]
    assert migrated.query("SELECT text FROM notes") == [("first",)]
    assert str(restored.current) == "1.0.0"
    assert migrated.leftovers() == set()


def test_restore_keeps_the_history_and_adds_to_it(migrated: Project) -> None:
    migrated.upgrade()

    restore(migrated)

    assert migrated.history() == [
        ("1.0.0", "up", "done"),
        ("1.1.0", "up", "done"),
        (None, "restore", "done"),
    ]


def test_restore_to_an_older_backup_undoes_the_later_runs_too(migrated: Project) -> None:
    before = migrated.files()
    migrated.upgrade()
    migrated.python("1.2.0", '(ctx.claude / "settings.json").write_text("{}")')
    migrated.upgrade()

    restore(migrated, number=-1)

    assert migrated.applied() == []
    assert migrated.read("settings.json") == '{"theme": "dark"}\n'
    assert migrated.files()[".claude/settings.json"] == before[".claude/settings.json"]
    assert not (migrated.claude / "new").exists()


def test_a_restore_can_itself_be_restored(migrated: Project) -> None:
    migrated.upgrade()
    files = files_but_databases(migrated)
    restore(migrated)

    restore(migrated)

    assert files_but_databases(migrated) == files
    assert migrated.applied() == ["1.0.0", "1.1.0"]
    assert migrated.query("SELECT x FROM facts", database=migrated.claude / "m.db") == [(1,), (2,)]


def test_upgrading_again_after_a_restore_gives_the_same_result(migrated: Project) -> None:
    migrated.upgrade()
    files = files_but_databases(migrated)
    restore(migrated)

    migrated.upgrade()

    assert files_but_databases(migrated) == files


def test_restore_refuses_when_files_were_edited_since_and_lists_them(migrated: Project) -> None:
    migrated.upgrade()
    migrated.write("settings.json", "mine")

    with pytest.raises(Conflict) as caught:
        restore(migrated)

    assert caught.value.details == (".claude/settings.json",)
    assert migrated.read("settings.json") == "mine"
    assert migrated.applied() == ["1.0.0", "1.1.0"]


def test_restore_refuses_when_a_further_database_was_written_since(migrated: Project) -> None:
    migrated.upgrade()
    with migrated.connect(migrated.claude / "m.db") as connection:
        connection.execute("INSERT INTO facts VALUES (3)")

    with pytest.raises(Conflict) as caught:
        restore(migrated)

    assert caught.value.details == (".claude/m.db",)


def test_a_forced_restore_overwrites_edits_and_keeps_them_in_a_backup(migrated: Project) -> None:
    migrated.upgrade()
    migrated.write("settings.json", "mine")

    restore(migrated, force=True)

    newest = list_backups(migrated.workspace())[0]
    saved = next(item for item in newest.files if item.path == "settings.json")
    assert migrated.read("settings.json") == '{"theme": "dark"}\n'
    assert saved.content is not None
    assert Path(newest.content(saved.content)).read_text() == "mine"


def test_restore_refuses_to_jump_over_a_run_without_a_backup(migrated: Project) -> None:
    first = backup_ids(migrated)[0]
    assert migrated.cli("upgrade", "--no-backup").returncode == 0

    refused = migrated.cli("restore", first)

    assert refused.returncode == 1
    assert "--no-backup" in refused.stderr
    assert migrated.applied() == ["1.0.0", "1.1.0"]


def test_without_a_backup_nothing_is_copied(migrated: Project) -> None:
    assert migrated.cli("upgrade", "--no-backup").returncode == 0

    newest = list_backups(migrated.workspace())[0]
    assert sorted(os.listdir(newest.folder)) == ["finished", "manifest.json"]


def test_the_last_five_backups_are_kept_or_as_many_as_the_settings_say(project: Project) -> None:
    project.sql("1.0.0", "CREATE TABLE a (x);", "DROP TABLE a;")
    for _ in range(4):
        project.upgrade()
        project.downgrade()
    assert len(backup_ids(project)) == 5
    newest = backup_ids(project)[0]

    project.config("backups:\n  keep: 2\n")
    project.upgrade()

    assert len(backup_ids(project)) == 2
    assert backup_ids(project)[1] == newest


def test_backups_of_one_second_never_overwrite_each_other(project: Project) -> None:
    project.sql("1.0.0", "CREATE TABLE a (x);", "DROP TABLE a;")
    project.upgrade()
    project.downgrade()
    project.upgrade()

    backups = list_backups(project.workspace())

    assert len({backup.id for backup in backups}) == 3
    assert [backup.sequence for backup in backups] == [3, 2, 1]


def test_restoring_to_before_the_first_run_empties_the_ledger(project: Project) -> None:
    project.sql("1.0.0", "CREATE TABLE a (x);")
    project.upgrade()

    restored = restore(project)

    assert restored.current is None
    assert project.applied() == []
    assert project.query("SELECT name FROM sqlite_schema WHERE name = 'a'") == []


def test_a_removed_link_is_restored_as_a_link(project: Project) -> None:
    project.write("real.json", "{}")
    (project.claude / "settings.json").symlink_to("real.json")
    project.python("1.0.0", '(ctx.claude / "settings.json").unlink()')
    project.upgrade()

    restore(project)

    assert os.readlink(project.claude / "settings.json") == "real.json"
    assert project.read("real.json") == "{}"


def test_a_broken_state_database_is_set_aside_and_replaced_by_force(migrated: Project) -> None:
    migrated.upgrade()
    migrated.database.write_bytes(b"no database at all, and long enough to tell")

    with pytest.raises(StateUnreadable):
        restore(migrated)
    restore(migrated, force=True)

    assert migrated.applied() == ["1.0.0"]
    assert migrated.read("settings.json") == '{"theme": "dark"}\n'
    aside = list(migrated.database.parent.glob("*.broken-*"))
    assert [path.read_bytes()[:11] for path in aside] == [b"no database"]


def test_a_deleted_state_database_comes_back(migrated: Project) -> None:
    migrated.upgrade()
    migrated.database.unlink()

    restore(migrated)

    assert migrated.applied() == ["1.0.0"]
    assert migrated.query("SELECT text FROM notes") == [("first",)]


def test_an_unknown_backup_is_wrong_usage(project: Project) -> None:
    with pytest.raises(UsageError, match="no backup 20200101-000000-upgrade"):
        commands.restore(project.workspace(), "20200101-000000-upgrade", False, "tester", 0)


def test_a_damaged_backup_is_not_offered(migrated: Project) -> None:
    migrated.upgrade()
    newest = list_backups(migrated.workspace())[0]
    Path(newest.folder, "manifest.json").write_text("{")

    assert newest.id not in backup_ids(migrated)


def test_a_backup_cannot_reach_outside_the_state(migrated: Project) -> None:
    migrated.upgrade()
    newest = list_backups(migrated.workspace())[0]
    manifest = Path(newest.folder, "manifest.json")
    document = json.loads(manifest.read_text())
    document["files"][0]["path"] = "../../outside"
    manifest.write_text(json.dumps(document))

    assert newest.id not in backup_ids(migrated)


def test_a_run_stops_before_anything_when_the_disk_has_no_room_for_the_backup(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.setup("CREATE TABLE a (x)")
    project.sql("1.0.0", "CREATE TABLE b (x);")
    full = type("Volume", (), {"f_bavail": 100, "f_frsize": 1})()
    monkeypatch.setattr("os.statvfs", lambda path: full)

    with pytest.raises(MigrateError, match="not enough free space"):
        project.upgrade()

    assert project.query("SELECT name FROM sqlite_schema") == [("a",)]


@pytest.mark.parametrize("options", ["", "transaction:false"])
def test_a_run_stops_before_anything_when_its_backup_does_not_reach_the_disk(
    project: Project, monkeypatch: pytest.MonkeyPatch, options: str
) -> None:
    project.setup("CREATE TABLE a (x)")
    before = project.dump()
    project.sql("1.0.0", "CREATE TABLE b (x);", options=options)
    project.sql("1.1.0", "CREATE TABLE c (x);")
    failing = ["broken"]  # once: the system forgets what it could not write

    def sync(path: str) -> None:
        if failing:
            raise OSError(errno.EIO, failing.pop(), path)

    monkeypatch.setattr("plugin_migrate.backup.sync_file", sync)
    with pytest.raises(StateUnreadable, match="backup cannot be written"):
        project.upgrade()

    assert project.dump() == before
    assert backup_ids(project) == []
    assert project.states() == {"1.0.0": State.PENDING, "1.1.0": State.PENDING}


def test_other_programs_may_write_while_the_backup_reaches_the_disk(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.sql("1.0.0", "CREATE TABLE a (x);")
    project.upgrade()
    project.sql("1.1.0", "CREATE TABLE b (x);")
    written = []

    def sync(path: str) -> None:
        project.query("INSERT INTO a VALUES (?)", path)
        written.append((path,))

    monkeypatch.setattr("plugin_migrate.backup.sync_file", sync)
    project.upgrade()
    assert written
    assert project.query("SELECT x FROM a") == written


def test_the_command_lists_and_restores(migrated: Project) -> None:
    migrated.upgrade()

    listed = json.loads(migrated.cli("restore", "--format=json").stdout)
    newest = listed["backups"][0]
    done = migrated.cli("restore", newest["id"])

    assert newest["created_at"]
    assert newest["id"] in migrated.cli("restore").stdout
    assert done.stdout.startswith(f"✓ Restored {newest['id']}\n")
    assert "  • .claude/settings.json\n" in done.stdout
    assert done.stdout.endswith("Current version: 1.0.0\n")


@pytest.mark.parametrize("moment", ["os.replace", "os.rename", "os.unlink"])
def test_a_killed_restore_is_finished_or_undone_by_the_next_command(
    migrated: Project, moment: str
) -> None:
    before = migrated.read("settings.json")
    migrated.upgrade()
    newest = backup_ids(migrated)[0]
    event = {"os.replace": "os.rename", "os.unlink": "os.remove"}.get(moment, moment)
    for _ in range(40):
        condition = f"event == '{event}' and (state.update(n=state.get('n', 0) + 1) or True)"
        condition += f" and state['n'] > {_}"
        died = migrated.signalled_at(condition, 9, "restore", newest).returncode == -9
        project = migrated
        project.upgrade("1.0.0")
        if project.applied() == ["1.0.0"]:
            assert project.read("settings.json") == before
            project.upgrade()
        else:
            assert json.loads(project.read("settings.json")) == {"theme": "light"}
        newest = backup_ids(project)[0]
        if not died:
            break
    else:
        pytest.fail("the restore never ended")
