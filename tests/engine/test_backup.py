"""Automatic backups and going back to them."""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from plugin_migrate.errors import Conflict, MigrateError, StateUnreadable, UsageError
from plugin_migrate.operations import restore as restoring
from plugin_migrate.operations.restore import Restored
from plugin_migrate.plan import State
from plugin_migrate.storage.backups import list_backups
from project import Project, Thing


def backup_ids(project: Project) -> list[str]:
    return [backup.id for backup in list_backups(project.workspace())]


def restore(project: Project, number: int = 0, force: bool = False) -> Restored:
    backup_id = backup_ids(project)[number]
    return restoring.restore(project.workspace(), backup_id, force, "tester", 0)


def files_but_databases(project: Project) -> dict[str, Thing]:
    """Databases are compared by their rows: a restore may arrange the pages again."""
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


def test_a_forced_restore_over_such_a_run_leaves_its_files_as_they_are(project: Project) -> None:
    project.write("mine.json", "0")
    project.write("theirs.json", "0")
    project.python("1.0.0", "(ctx.claude / 'mine.json').write_text('1')")
    project.upgrade()
    (first,) = backup_ids(project)
    project.python("1.1.0", "(ctx.claude / 'theirs.json').write_text('2')")
    assert project.cli("upgrade", "--no-backup").returncode == 0

    done = project.cli("restore", first, "--force")

    assert done.returncode == 0, done.stderr
    assert "theirs.json" not in done.stdout
    assert (project.read("mine.json"), project.read("theirs.json")) == ("0", "2")
    assert project.applied() == []


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
        restoring.restore(project.workspace(), "20200101-000000-upgrade", False, "tester", 0)


def test_a_damaged_backup_is_not_offered(migrated: Project) -> None:
    migrated.upgrade()
    newest = list_backups(migrated.workspace())[0]
    Path(newest.folder, "manifest.json").write_text("{")

    assert newest.id not in backup_ids(migrated)


@pytest.fixture
def chained(migrated: Project) -> Project:
    """A project with the backups of four runs, the newest of which changed settings.json."""
    migrated.upgrade()
    for version, theme in (("1.2.0", "blue"), ("1.3.0", "red")):
        migrated.python(version, f"(ctx.claude / 'settings.json').write_text('{theme}')")
        migrated.upgrade()
    assert len(backup_ids(migrated)) == 4
    return migrated


def damage_by(kind: str, folder: Path) -> None:
    manifest = folder / "manifest.json"
    if kind == "truncated":
        os.truncate(manifest, manifest.stat().st_size // 2)
    elif kind == "garbage":
        manifest.write_bytes(b"\xff\x00")
    elif kind == "deep":
        manifest.write_bytes(b"[" * 200_000)
    elif kind == "without a manifest":
        manifest.unlink()
    elif kind == "missing":
        shutil.rmtree(folder)
    else:
        text = manifest.read_text().replace('"settings.json"', '"../../settings.json"')
        manifest.write_text(text)


DAMAGES = ["truncated", "garbage", "deep", "without a manifest", "missing", "a bad path"]


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_gap_in_the_chain_is_told_with_what_can_be_restored(chained: Project, kind: str) -> None:
    newest, middle, older, _ = list_backups(chained.workspace())
    damage_by(kind, Path(middle.folder))
    before = chained.files()

    with pytest.raises(Conflict, match="damaged or gone") as caught:
        restoring.restore(chained.workspace(), older.id, False, "tester", 0)

    assert middle.id in caught.value.details[0] or newest.id in caught.value.details[0]
    assert f"What can be restored whole: plugin-migrate restore {newest.id}" in caught.value.hint
    assert chained.files() == before
    restoring.restore(chained.workspace(), newest.id, False, "tester", 0)
    assert chained.read("settings.json") == "blue"


@pytest.mark.parametrize("kind", DAMAGES[:4])
def test_a_damaged_backup_is_listed_as_such(chained: Project, kind: str) -> None:
    damaged = list_backups(chained.workspace())[0]
    damage_by(kind, Path(damaged.folder))

    document = json.loads(chained.cli("restore", "--format=json").stdout)

    assert [one["id"] for one in document["damaged"]] == [damaged.id]
    assert f"These cannot be used:\n  {damaged.id}: " in chained.cli("restore").stdout
    refused = chained.cli("restore", damaged.id)
    assert refused.returncode == 1
    assert f"✗ Error: The backup {damaged.id} is damaged: " in refused.stderr


@pytest.mark.parametrize(
    ("suffix", "is_there"), [("-wal", True), ("-wal", False), ("-journal", False)]
)
def test_a_restored_database_stands_beside_no_log_of_the_lost_one(
    migrated: Project, suffix: str, is_there: bool
) -> None:
    migrated.upgrade()
    stale = migrated.database.with_name(migrated.database.name + suffix)
    make_log(migrated, suffix)
    log = stale.read_bytes()
    if is_there:
        migrated.database.write_bytes(b"not a database" * 400)
    else:
        migrated.database.unlink()

    restoring.restore(migrated.workspace(), backup_ids(migrated)[0], True, "tester", 0)

    assert migrated.applied() == ["1.0.0"]
    assert migrated.query("PRAGMA integrity_check") == [("ok",)]
    (aside,) = [path for path in migrated.database.parent.iterdir() if path.name.endswith(suffix)]
    assert ".broken-" in aside.name
    assert aside.read_bytes() == log


def make_log(project: Project, suffix: str) -> None:
    """Leave the log of a transaction that a killed program had begun."""
    statements = {
        "-journal": ("PRAGMA cache_size=1", "CREATE TABLE x (y)", "BEGIN", MANY_ROWS),
        # No schema in it, so that what stands in the file still counts.
        "-wal": (
            "PRAGMA journal_mode=WAL",
            "CREATE TABLE x (y)",
            "INSERT INTO x VALUES (1)",
            "PRAGMA wal_checkpoint(TRUNCATE)",
            "UPDATE x SET y = 2",
        ),
    }
    code = (
        "import os, sqlite3, sys\n"
        "connection = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "for statement in sys.argv[2:]:\n    connection.execute(statement).fetchall()\n"
        "os.kill(os.getpid(), 9)"
    )
    command = [sys.executable, "-c", code, project.database, *statements[suffix]]
    assert subprocess.run(command, check=False).returncode in (-9, 9)


MANY_ROWS = (
    "INSERT INTO x WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 9999)"
    " SELECT i FROM n"
)


def test_a_kill_while_a_broken_database_is_set_aside_loses_and_mixes_up_nothing(
    migrated: Project,
) -> None:
    migrated.upgrade()
    make_log(migrated, "-wal")
    names = {migrated.database.name + suffix for suffix in ("", "-wal")}
    contents = {name: (migrated.database.parent / name).read_bytes() for name in names}
    migrated.database.write_bytes(b"broken" * 1000)
    contents[migrated.database.name] = b"broken" * 1000
    backup_id = backup_ids(migrated)[0]

    condition = "event == 'os.rename' and '.broken-' in path and path.endswith('-wal')"
    migrated.killed_at(condition, "restore", backup_id, "--force")
    assert not migrated.database.exists()
    assert migrated.database.with_name(migrated.database.name + "-wal").exists()
    restoring.restore(migrated.workspace(), backup_id, True, "tester", 0)

    assert migrated.applied() == ["1.0.0"]
    aside = [path for path in migrated.database.parent.iterdir() if ".broken-" in path.name]
    (main,) = [path for path in aside if path.name.count("-") == 2]
    for name, content in contents.items():
        suffix = name.removeprefix(migrated.database.name)
        assert main.with_name(main.name + suffix).read_bytes() == content


def test_nothing_was_changed_is_said_only_when_it_is_true(migrated: Project) -> None:
    migrated.upgrade()
    newest = list_backups(migrated.workspace())[0]
    Path(newest.state).write_bytes(b"x" * 100)
    migrated.database.write_bytes(b"broken" * 1000)

    with pytest.raises(StateUnreadable, match="The backup is damaged") as caught:
        restoring.restore(migrated.workspace(), newest.id, True, "tester", 0)

    assert "Nothing was changed" in caught.value.hint
    assert migrated.database.read_bytes() == b"broken" * 1000
    assert {path.name for path in migrated.database.parent.iterdir()} == {migrated.database.name}


def test_a_broken_database_outside_the_state_is_not_moved(migrated: Project, folder: Path) -> None:
    migrated.upgrade()
    precious = folder / "precious"
    precious.write_bytes(b"precious" * 1000)
    migrated.database.unlink()
    migrated.database.symlink_to(precious)

    with pytest.raises(StateUnreadable, match=r"it lies outside \.claude/"):
        restoring.restore(migrated.workspace(), backup_ids(migrated)[0], True, "tester", 0)

    assert precious.read_bytes() == b"precious" * 1000


@pytest.mark.parametrize("system", ["exchange", "no exchange"])
def test_a_database_that_somebody_makes_while_one_is_restored_stays(
    migrated: Project, system: str
) -> None:
    migrated.upgrade()
    (backup,) = backup_ids(migrated)[-1:]
    migrated.database.unlink()
    before = f"""
import os, sys
from plugin_migrate.platform import posix_moving
def somebody(event, arguments):
    if event == "os.rename" and arguments[1] == {str(migrated.database)!r}:
        open(arguments[1], "w").write("made meanwhile")
sys.addaudithook(somebody)
def refuse(source, target, *flags):
    sys.audit("os.rename", source, target, -1, -1)
    return False
if {system!r} == "no exchange":
    posix_moving._rename = refuse
"""
    done = migrated.cli("restore", backup, "--force", before=before)
    assert done.returncode == 1
    assert "Another program made a database where the restored one belongs" in done.stderr
    assert migrated.database.read_text() == "made meanwhile"

    migrated.database.unlink()
    assert migrated.cli("restore", backup, "--force").returncode == 0


def test_a_step_whose_files_cannot_all_be_kept_is_told_and_undone(project: Project) -> None:
    for name in ("a", "b", "c"):
        project.write(name, name)
    project.python("1.0.0", "for name in 'abc': (ctx.claude / name).write_text('new')")
    before = f"""
import sys
def somebody(event, arguments):
    if event == "shutil.copyfile" and arguments[0] == {str(project.claude / "b")!r}:
        open(arguments[0], "w").write("edited")
sys.addaudithook(somebody)
"""
    done = project.cli("upgrade", before=before)
    assert done.returncode == 1
    assert "b was changed by somebody else while it was backed up" in done.stderr
    assert (project.read("a"), project.read("b"), project.applied()) == ("a", "edited", [])
    assert backup_ids(project) == []


COMMITTED = "event == 'os.rename' and path.endswith('/.claude/settings.json')"


def killed_before_its_commit(project: Project) -> None:
    """Kill an upgrade after its step's backup is on the disk and before its COMMIT."""
    before = (
        "import os, plugin_migrate.engine.transaction as t\n"
        "t.Transaction.commit = lambda self: os.kill(os.getpid(), 9)\n"
    )
    assert project.cli("upgrade", before=before).returncode in (-9, 9)


def test_the_backup_of_what_never_happened_is_discarded_by_recovery(migrated: Project) -> None:
    before = backup_ids(migrated)
    killed_before_its_commit(migrated)
    assert len(backup_ids(migrated)) == len(before) + 1

    migrated.write("settings.json", '{"theme": "mine"}')
    assert migrated.cli("upgrade", "1.0.0").returncode == 0

    assert backup_ids(migrated) == before
    restoring.restore(migrated.workspace(), before[0], False, "tester", 0)
    assert migrated.read("settings.json") == '{"theme": "mine"}'


def test_a_killed_run_keeps_the_backup_of_the_steps_that_happened(migrated: Project) -> None:
    original = migrated.read("settings.json")
    migrated.python("1.2.0", "(ctx.claude / 'settings.json').write_text('blue')")
    before = (
        "import os, plugin_migrate.engine.transaction as t\n"
        "commit, count = t.Transaction.commit, []\n"
        "def second(self):\n"
        "    count.append(1)\n"
        "    os.kill(os.getpid(), 9) if len(count) > 1 else commit(self)\n"
        "t.Transaction.commit = second\n"
    )
    assert migrated.cli("upgrade", before=before).returncode in (-9, 9)
    assert migrated.applied() == ["1.0.0", "1.1.0"]
    assert json.loads(migrated.read("settings.json")) == {"theme": "light"}

    restoring.restore(migrated.workspace(), backup_ids(migrated)[0], False, "tester", 0)

    assert migrated.applied() == ["1.0.0"]
    assert migrated.read("settings.json") == original


def test_a_failed_step_leaves_a_backup_that_restores_what_came_before(migrated: Project) -> None:
    original = migrated.read("settings.json")
    migrated.python("1.2.0", "(ctx.claude / 'settings.json').write_text('blue')")
    before = (
        "import plugin_migrate.engine.transaction as t\n"
        "from plugin_migrate.errors import Busy\n"
        "commit, count = t.Transaction.commit, []\n"
        "def second(self):\n"
        "    count.append(1)\n"
        "    if len(count) > 1:\n"
        "        raise Busy('held')\n"
        "    commit(self)\n"
        "t.Transaction.commit = second\n"
    )
    assert migrated.cli("upgrade", before=before).returncode == 1
    assert json.loads(migrated.read("settings.json")) == {"theme": "light"}

    restoring.restore(migrated.workspace(), backup_ids(migrated)[0], False, "tester", 0)

    assert migrated.read("settings.json") == original


def test_a_lost_database_and_half_published_files_are_restored_together(
    migrated: Project,
) -> None:
    original = migrated.read("settings.json")
    migrated.killed_at(COMMITTED.replace("settings.json", "new/file.md"), "upgrade")
    migrated.database.unlink()
    first = backup_ids(migrated)[0]

    restoring.restore(migrated.workspace(), first, True, "tester", 0)

    assert migrated.read("settings.json") == original
    assert migrated.applied() == ["1.0.0"]
    assert migrated.cli("upgrade").returncode == 0


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

    monkeypatch.setattr("plugin_migrate.engine.backup.sync_file", sync)
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

    monkeypatch.setattr("plugin_migrate.engine.backup.sync_file", sync)
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
        died = migrated.signalled_at(condition, 9, "restore", newest).returncode in (-9, 9)
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
