"""Of which migrations a way back is kept, for how long, and which is never used."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from plugin_migrate.errors import Irreversible, MigrateError, StateUnreadable
from plugin_migrate.operations.migrate import run
from plugin_migrate.plan import plan_downgrade, plan_upgrade
from plugin_migrate.report import Reporter
from project import Project

UP = "CREATE TABLE a (x);"
DECLARED = {
    "sql": "-- reversible: false\n-- migrate:up\nCREATE TABLE a (x);\n",
    "py": "metadata = {'reversible': False}\n"
    "def up(ctx):\n    ctx.db.execute('CREATE TABLE a (x)')\n",
    "js": "module.exports = { metadata: { reversible: false },"
    " async up(ctx) { ctx.db.exec('CREATE TABLE a (x)'); } };\n",
}


def refused(project: Project) -> str:
    """Try to roll the last one back, and return why there is no way."""
    with pytest.raises(Irreversible) as caught:
        project.run(plan_downgrade)
    assert "so it cannot be rolled back" in caught.value.message
    (detail,) = caught.value.details
    head, _, why = detail.partition(": ")
    assert head == "There is no other way back"
    return why


@pytest.mark.parametrize("suffix", DECLARED)
def test_of_one_that_says_so_nothing_is_kept(project: Project, suffix: str) -> None:
    if suffix == "js" and shutil.which("node") is None:
        pytest.skip("no Node.js here")
    (project.migrations / f"1.0.0-a.{suffix}").write_text(DECLARED[suffix])
    project.upgrade()
    assert refused(project) == "it says reversible: false"
    assert not (project.bookkeeping / "ways-back").exists()
    assert project.applied() == ["1.0.0"]


@pytest.mark.parametrize("value", ["maybe", "1", "[false]"])
def test_what_is_neither_true_nor_false_is_refused(project: Project, value: str) -> None:
    path = project.migrations / "1.0.0-a.sql"
    path.write_text(f"-- reversible: {value}\n-- migrate:up\nSELECT 1;\n")
    with pytest.raises(MigrateError, match="`reversible` in the header must be true or false"):
        project.upgrade()
    path.unlink()
    text = f"metadata = {{'reversible': {value!r}}}\ndef up(ctx):\n    pass\n"
    (project.migrations / "1.0.0-a.py").write_text(text)
    with pytest.raises(MigrateError, match="`reversible` in the metadata must be true or false"):
        project.upgrade()


def test_outside_a_transaction_nothing_is_kept(project: Project) -> None:
    project.sql("1.0.0", "VACUUM;", options="transaction:false")
    project.upgrade()
    assert refused(project) == "it ran outside a transaction, where nothing is kept"


def test_a_run_that_is_to_keep_nothing_keeps_no_way_back(project: Project) -> None:
    project.sql("1.0.0", UP)
    run(project.workspace(), plan_upgrade, "test", "t", Reporter(), 0, with_backup=False)
    assert refused(project) == "its run was to keep nothing (--no-backup)"


def test_one_that_was_applied_before_there_were_any_has_none(project: Project) -> None:
    project.sql("1.0.0", UP)
    project.upgrade()
    project.setup("DELETE FROM plugin_migrate_facts")
    assert refused(project) == "nothing was kept when it was applied"


def test_the_settings_can_keep_none(project: Project) -> None:
    project.config("keep: {ways_back: 0}\n")
    project.sql("1.0.0", UP)
    project.upgrade()
    assert refused(project) == "the settings keep none (keep.ways_back: 0)"


def test_the_latest_are_kept_as_many_as_the_settings_say(project: Project) -> None:
    project.config("keep: {ways_back: 2}\n")
    for number in range(4):
        project.sql(f"1.{number}.0", f"CREATE TABLE t{number} (x);")
    project.upgrade()
    assert len(list((project.bookkeeping / "ways-back").iterdir())) == 2
    project.sql("1.4.0", "CREATE TABLE t4 (x);")
    project.upgrade()
    assert kept_files(project) == set(project.ways_back()[:2])
    project.downgrade("1.2.0")
    assert refused(project) == "what was kept is gone, or is not the file that was written here"


def kept_files(project: Project) -> set[str]:
    return {path.name for path in (project.bookkeeping / "ways-back").iterdir()}


def test_more_than_the_settings_keep_of_one_run_is_told(project: Project) -> None:
    project.config("keep: {ways_back: 1}\n")
    project.sql("1.0.0", UP)
    project.sql("1.1.0", "CREATE TABLE b (x);")
    project.upgrade()
    project.downgrade("1.0.0")
    assert refused(project).startswith("more migrations followed it in one run")


def test_they_take_no_more_room_than_the_settings_say(project: Project) -> None:
    project.config("keep: {megabytes: 1}\n")
    project.write("big", b"0" * 2_000_000)
    for number in range(4):
        project.write(f"half-{number}", b"0" * 400_000)
        project.python(f"1.{number}.0", f"(ctx.claude / 'half-{number}').unlink()")
    project.upgrade()
    assert len(kept_files(project)) == 2
    project.python("2.0.0", "(ctx.claude / 'big').unlink()")
    project.upgrade()
    assert refused(project) == "it takes more room than the settings allow (keep.megabytes)"
    assert len(kept_files(project)) == 2


def test_nobody_else_may_read_what_is_kept(project: Project) -> None:
    project.write("secret", "secret", 0o600)
    project.python("1.0.0", "(ctx.claude / 'secret').unlink()")
    project.upgrade()
    assert (project.bookkeeping / "ways-back").stat().st_mode & 0o777 == 0o700


def test_with_its_step_a_way_back_goes(project: Project) -> None:
    project.sql("1.0.0", UP)
    project.upgrade()
    assert len(kept_files(project)) == 1
    project.downgrade()
    assert kept_files(project) == set()
    assert project.query("SELECT * FROM plugin_migrate_facts") == []


def test_what_a_killed_command_left_is_removed(project: Project) -> None:
    project.sql("1.0.0", UP)
    project.killed_at("event == 'open' and '/ways-back/' in path", "upgrade")
    project.upgrade()
    assert kept_files(project) == set(project.ways_back())


def test_a_failing_step_leaves_none(project: Project) -> None:
    project.setup("CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE k (p REFERENCES p);")
    project.write("a", "a")
    project.python(
        "1.0.0", "(ctx.claude / 'a').unlink(); ctx.db.execute('INSERT INTO k VALUES (1)')"
    )
    assert project.try_upgrade().error is not None
    assert project.leftovers() == set()


def test_a_file_that_somebody_saves_while_it_is_kept_stops_the_step(project: Project) -> None:
    file = project.write("a", "before")
    project.python("1.0.0", "(ctx.claude / 'a').write_text('after')")
    saving = f"""
import sys
def save(event, arguments):
    if event == "sqlite3.connect" and "ways-back" in str(arguments[0]):
        with open({str(file)!r}, "w") as file:
            file.write("mine")
sys.addaudithook(save)
"""
    done = project.cli("upgrade", before=saving)
    assert "a was changed by somebody else while it was kept" in done.stderr
    assert file.read_text() == "mine"
    assert project.leftovers() == set()


# --- what is not used ----------------------------------------------------------------------------


def test_one_that_came_with_a_clone_is_not_used(project: Project, folder: Path) -> None:
    project.sql("1.0.0", UP)
    project.upgrade()
    shutil.copytree(project.root, folder / "clone", symlinks=True)
    clone = Project(folder / "clone")
    assert refused(clone) == "what was kept is gone, or is not the file that was written here"
    assert clone.applied() == ["1.0.0"]


def test_one_that_moved_with_its_project_is_used(project: Project, folder: Path) -> None:
    project.sql("1.0.0", UP)
    project.upgrade()
    project.root.rename(folder / "moved")
    moved = Project(folder / "moved")
    moved.downgrade()
    assert moved.query("SELECT name FROM sqlite_schema WHERE name = 'a'") == []


def test_one_in_whose_place_something_else_stands_is_not_used(project: Project) -> None:
    project.sql("1.0.0", UP)
    project.sql("1.1.0", "CREATE TABLE b (x);")
    project.upgrade()
    latest, first = (project.bookkeeping / "ways-back" / name for name in project.ways_back())
    shutil.copyfile(first, latest.with_suffix(".new"))
    latest.with_suffix(".new").replace(latest)
    assert "not the file that was written here" in refused(project)


def test_one_that_the_ledger_does_not_know_is_not_used(project: Project) -> None:
    project.sql("1.0.0", UP)
    project.upgrade()
    project.setup(
        "UPDATE plugin_migrate_facts SET value = replace(value, ' ' || id, ' 99') FROM"
        " (SELECT id FROM migrations)"
    )
    assert refused(project) == "nothing was kept when it was applied"


def test_one_that_is_damaged_is_not_used(project: Project) -> None:
    project.sql("1.0.0", UP)
    project.upgrade()
    digest = "0" * 64
    ((mark,),) = project.query("SELECT value FROM plugin_migrate_facts")
    words = mark.split(" ")
    words[3] = digest
    project.query("UPDATE plugin_migrate_facts SET value = ?", " ".join(words))
    with pytest.raises(StateUnreadable, match=r"What was kept of 1\.0\.0 is damaged"):
        project.run(plan_downgrade)


@pytest.mark.parametrize(
    "mark",
    [
        "",
        "kept",
        "kept 1 ../../../etc/passwd 0 0 0",
        f"kept 1 {'0' * 16} {'0' * 64} 1 1",
        f"kept {'9' * 40}",
        "none 1 " + "x" * 100_000,
        "none 1 nobody-knows",
        b"kept 1",
        7,
    ],
    ids=lambda mark: str(mark)[:20],
)
def test_a_forged_mark_is_no_way_back(project: Project, mark: object) -> None:
    project.sql("1.0.0", UP)
    project.upgrade()
    project.query("UPDATE plugin_migrate_facts SET value = ?", mark)
    project.setup("UPDATE migrations SET id = 1")
    done = project.cli("status", "--format=json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["migrations"][0]["way_back"] == "none"
    refused(project)


def test_a_renumbered_migration_keeps_its_way_back(project: Project) -> None:
    project.sql("1.0.0", UP)
    project.upgrade()
    done = project.cli("renumber", "1.0.0", "1.2.0")
    assert done.returncode == 0, done.stderr
    project.downgrade()
    assert project.query("SELECT name FROM sqlite_schema WHERE name = 'a'") == []
    assert project.query("SELECT * FROM plugin_migrate_facts") == []
