"""Our own folder may come with a cloned repository, and must not lead anything anywhere."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from plugin_migrate.errors import (
    ForbiddenStatement,
    ForeignDatabase,
    LedgerLost,
    MigrateError,
    NotALedger,
    StateUnreadable,
)
from plugin_migrate.operations.repair import Decisions, repair
from plugin_migrate.operations.restore import restore
from plugin_migrate.plan import plan_upgrade
from plugin_migrate.rehearsal.preview import preview
from plugin_migrate.storage.backups import list_backups
from project import Project, things


@pytest.fixture
def victim(folder: Path) -> Path:
    """A folder that belongs to somebody else."""
    place = folder / "victim"
    (place / "precious").mkdir(parents=True)
    (place / "precious/file").write_text("precious")
    (place / "plain").write_text("plain")
    return place


@pytest.fixture
def pending(project: Project) -> Project:
    """A project with something to do."""
    project.sql("1.0.0", "CREATE TABLE a (x);", "DROP TABLE a;")
    project.bookkeeping.mkdir()
    return project


@pytest.mark.parametrize("name", ["publish", "backups", "staging", "backups/20200101-000000-x"])
def test_a_linked_folder_is_refused_and_what_it_leads_to_stays(
    pending: Project, victim: Path, name: str
) -> None:
    link = pending.bookkeeping / name
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(victim)
    before = things(victim)

    with pytest.raises(StateUnreadable, match="A link or special file"):
        pending.upgrade()

    assert things(victim) == before


@pytest.mark.parametrize("name", ["lock.txt.part", "lock.txt", "lock.db", ".gitignore"])
def test_a_linked_file_is_refused_and_what_it_leads_to_stays(
    pending: Project, victim: Path, name: str
) -> None:
    (pending.bookkeeping / name).symlink_to(victim / "plain")

    with pytest.raises(StateUnreadable, match="A link or special file"):
        pending.upgrade()

    assert (victim / "plain").read_text() == "plain"


@pytest.mark.parametrize("name", ["lock.txt.part", "publish/pipe", "backups/pipe"])
def test_a_pipe_is_refused_without_waiting_at_it(pending: Project, name: str) -> None:
    pipe = pending.bookkeeping / name
    pipe.parent.mkdir(exist_ok=True)
    os.mkfifo(pipe)

    with pytest.raises(StateUnreadable, match="A link or special file"):
        pending.upgrade()
    with pytest.raises(StateUnreadable, match="A link or special file"):
        preview(pending.workspace(), plan_upgrade, "upgrade")


def test_a_pipe_for_a_backups_manifest_is_not_waited_at(pending: Project) -> None:
    folder = pending.bookkeeping / "backups/20200101-000000-upgrade"
    folder.mkdir(parents=True)
    os.mkfifo(folder / "manifest.json")

    assert list_backups(pending.workspace()) == []


def test_folders_that_are_not_ours_are_left_alone(pending: Project) -> None:
    for name in ("publish/notes", "backups/notes"):
        (pending.bookkeeping / name).mkdir(parents=True)
        (pending.bookkeeping / name / "file").write_text("mine")

    pending.upgrade()

    assert (pending.bookkeeping / "publish/notes/file").read_text() == "mine"
    assert (pending.bookkeeping / "backups/notes/file").read_text() == "mine"


@pytest.mark.parametrize(
    "manifest", ['{"sequence": 1e400}', '{"sequence": [], "created_at": 5}', "[]", "null", "{"]
)
def test_a_backup_with_an_impossible_manifest_is_no_backup(pending: Project, manifest: str) -> None:
    folder = pending.bookkeeping / "backups/20200101-000000-upgrade"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(manifest)

    assert list_backups(pending.workspace()) == []
    pending.upgrade()


# --- a database that is not what it seems -----------------------------------------------------


@pytest.mark.parametrize("loss", [Path.unlink, lambda path: path.write_bytes(b"")])
def test_a_lost_database_is_not_taken_for_a_new_one(project: Project, loss) -> None:
    project.sql("1.0.0", "CREATE TABLE a (x);", "DROP TABLE a;")
    project.upgrade()
    loss(project.database)

    for run in (project.look, project.upgrade, project.downgrade):
        with pytest.raises(LedgerLost, match="gone or empty"):
            run()


@pytest.mark.parametrize("loss", [Path.unlink, lambda path: path.write_bytes(b"")])
def test_a_lost_database_can_be_restored(project: Project, loss) -> None:
    project.sql("1.0.0", "CREATE TABLE a (x);", "DROP TABLE a;")
    project.upgrade()
    project.sql("1.1.0", "CREATE TABLE b (x);", "DROP TABLE b;")
    project.upgrade()
    loss(project.database)

    backup_id = list_backups(project.workspace())[0].id
    restore(project.workspace(), backup_id, False, "tester", 0)

    assert project.applied() == ["1.0.0"]


@pytest.mark.parametrize("name", ["migrations", "plugin_migrate_publishes"])
def test_a_view_in_place_of_a_ledger_table_is_refused_not_read(project: Project, name: str) -> None:
    if name != "migrations":
        project.make_ledger()
        project.setup(f"DROP TABLE {name}")
    endless = "WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n) SELECT * FROM n"
    project.setup(f"CREATE VIEW {name} AS {endless}")

    with pytest.raises(NotALedger, match="is a view"):
        project.look()


def test_a_trigger_that_undoes_ledger_rows_fails_the_step(project: Project) -> None:
    project.make_ledger()
    project.setup(
        "CREATE TRIGGER boom AFTER INSERT ON migrations"
        " BEGIN DELETE FROM migrations WHERE version = NEW.version; END"
    )
    project.sql("1.0.0", "CREATE TABLE a (x);")

    error = project.failure()

    assert isinstance(error, ForbiddenStatement)
    assert project.query("SELECT name FROM sqlite_schema WHERE name = 'a'") == []


def test_a_copy_does_not_take_the_database_of_a_living_project(
    project: Project, folder: Path
) -> None:
    outside = folder / "state.db"
    project.config(f"database: {outside}\n")
    project.sql("1.0.0", "CREATE TABLE a (x);")
    project.upgrade()
    copy = Project(folder / "copy")
    copy.config(f"database: {outside}\n")

    decisions = Decisions(take_database=True)
    with pytest.raises(ForeignDatabase, match="in use by the project"):
        repair(copy.workspace(), [], decisions, "tester", 0)
    with pytest.raises(ForeignDatabase):
        preview(copy.workspace(), plan_upgrade, "upgrade")


def test_a_damaged_backup_is_refused_before_anything_changes(project: Project) -> None:
    project.write("settings.json", "before")
    project.python("1.0.0", '(ctx.claude / "settings.json").write_text("after")')
    project.upgrade()
    (backup,) = list_backups(project.workspace())
    Path(backup.content("file-0")).write_text("broken")

    with pytest.raises(StateUnreadable, match="damaged"):
        restore(project.workspace(), backup.id, False, "tester", 0)

    assert project.read("settings.json") == "after"
    assert project.applied() == ["1.0.0"]


def test_a_damaged_copy_of_the_database_is_refused_before_anything_changes(
    project: Project,
) -> None:
    project.setup("CREATE TABLE t (x)")
    project.sql("1.0.0", "CREATE TABLE a (x);")
    project.upgrade()
    (backup,) = list_backups(project.workspace())
    Path(backup.state).write_bytes(b"no database at all")

    with pytest.raises(StateUnreadable, match="damaged"):
        restore(project.workspace(), backup.id, False, "tester", 0)

    assert project.applied() == ["1.0.0"]


def test_a_file_name_that_is_not_utf_8_is_refused_before_anything_runs(project: Project) -> None:
    project.sql("1.0.0", "CREATE TABLE a (x);")
    (Path(os.fsdecode(os.fsencode(project.migrations) + b"/2.0.0-\xff.sql"))).write_text(
        "SELECT 1;"
    )

    with pytest.raises(MigrateError, match="not UTF-8"):
        project.upgrade()

    assert not project.database.exists()


def test_check_fails_when_an_upgrade_would_refuse(project: Project) -> None:
    file = project.sql("1.0.0", "CREATE TABLE a (x);")
    project.upgrade()
    file.write_text("-- migrate:up\nCREATE TABLE b (x);\n")

    done = project.cli("check")

    assert (done.returncode, done.stdout) == (
        1,
        "No pending migrations (current version: 1.0.0); 1 modified\n",
    )
    with closing(sqlite3.connect(project.database)) as connection:
        assert connection.execute("SELECT count(*) FROM migrations").fetchone() == (1,)
