"""Previews run the real plan on a copy and leave the live state alone."""

import json
import os
from pathlib import Path

import pytest

from plugin_migrate.errors import Irreversible
from plugin_migrate.plan import plan_downgrade, plan_upgrade
from plugin_migrate.rehearsal.preview import Rehearsed, preview
from project import Project

FILES = """
with ctx.edit_json("settings.json") as settings:
    settings["theme"] = "light"
(ctx.claude / "old.md").unlink()
(ctx.claude / "new.bin").write_bytes(bytes(10))
(ctx.claude / "new.md").write_text("new")
ctx.db.execute("CREATE TABLE notes (text)")
ctx.db.execute("INSERT INTO notes VALUES ('a')")
ctx.database("m.db").execute("INSERT INTO facts VALUES (2)")
ctx.database("made.db").execute("CREATE TABLE made (x)")
"""


@pytest.fixture
def pending(project: Project) -> Project:
    """A project with a pending migration of files and three databases."""
    project.write("settings.json", '{"theme": "dark"}\n')
    project.write("old.md", "old\n")
    project.setup("CREATE TABLE facts (x)", project.claude / "m.db")
    project.python("1.0.0", FILES)
    return project


def upgrade(project: Project) -> Rehearsed:
    return preview(project.workspace(), plan_upgrade, "upgrade")


def everything(root: Path) -> dict[str, tuple[int, int, int]]:
    found = {}
    for folder, _, names in os.walk(root):
        for name in [".", *names]:
            status = os.lstat(os.path.join(folder, name))
            found[os.path.join(folder, name)] = (
                status.st_ino,
                status.st_mtime_ns,
                status.st_ctime_ns,
            )
    return found


def test_a_preview_shows_every_file_and_every_database(pending: Project) -> None:
    shown = upgrade(pending)

    assert [(file.change.path, file.change.verb) for file in shown.files] == [
        ("new.bin", "created"),
        ("new.md", "created"),
        ("old.md", "deleted"),
        ("settings.json", "changed"),
    ]
    assert {database.path for database in shown.databases} == {
        ".claude/orchestration/db/orchestration.db",
        "m.db",
        "made.db",
    }


def test_a_preview_touches_nothing_of_the_live_state(pending: Project) -> None:
    before = everything(pending.root)

    upgrade(pending)

    assert everything(pending.root) == before


def test_what_a_preview_shows_is_what_the_run_does(pending: Project) -> None:
    pending.make_ledger()
    shown = upgrade(pending)
    before = pending.files()
    pending.upgrade()
    after = pending.files()

    paths = [path for path in before.keys() | after.keys() if before.get(path) != after.get(path)]
    files = {path.removeprefix(".claude/") for path in paths if not path.endswith(".db")}
    assert {file.change.path for file in shown.files} == files


def test_a_preview_of_a_downgrade_shows_the_way_back(project: Project) -> None:
    project.sql("1.0.0", "CREATE TABLE a (x); INSERT INTO a VALUES (1);", "DROP TABLE a;")
    project.upgrade()

    shown = preview(
        project.workspace(), lambda entries: plan_downgrade(entries, count=1), "downgrade"
    )

    (database,) = shown.databases
    assert "-CREATE TABLE a (x);" in database.schema
    assert [(table.table, table.removed) for table in database.tables] == [("a", 1)]
    assert project.applied() == ["1.0.0"]


def test_a_failing_plan_gives_the_error_of_the_real_run(pending: Project) -> None:
    pending.sql("1.1.0", "SELECT * FROM missing;")

    shown = upgrade(pending)
    error = pending.try_upgrade().error

    assert shown.run.error is not None
    assert error is not None
    assert (shown.run.error.message, shown.run.error.line) == (error.message, error.line)


def test_a_plan_that_is_refused_is_refused_in_a_preview(project: Project) -> None:
    path = project.sql("1.0.0", "SELECT 1;")
    path.write_text(f"-- reversible: false\n{path.read_text()}")
    project.upgrade()

    with pytest.raises(Irreversible):
        preview(project.workspace(), lambda entries: plan_downgrade(entries, count=1), "downgrade")


def test_a_link_to_a_file_outside_is_changed_in_a_copy_only(
    project: Project, tmp_path: Path
) -> None:
    outside = tmp_path / "outside.json"
    outside.write_text("{}")
    (project.claude / "settings.json").symlink_to(outside)
    project.config("follow_links: true\n")
    project.python("1.0.0", '(ctx.claude / "settings.json").write_text("[]")')

    shown = upgrade(project)

    assert [file.change.path for file in shown.files] == ["settings.json"]
    assert outside.read_text() == "{}"


@pytest.mark.parametrize("excluded", ["first/b", "second/b"])
def test_what_is_excluded_of_one_link_is_there_by_another(
    project: Project, tmp_path: Path, excluded: str
) -> None:
    (tmp_path / "outside").mkdir()
    for name in ("a", "b"):
        (tmp_path / "outside" / name).touch()
    for name in ("first", "second"):
        (project.claude / name).symlink_to(tmp_path / "outside")
    project.config(f"exclude: [{excluded}]\n")
    project.python(
        "1.0.0",
        "found = [f'{at.parent.name}/{at.name}' for at in ctx.claude.glob('*/[ab]')]\n"
        "(ctx.claude / 'found.txt').write_text(' '.join(sorted(found)))",
    )
    every = {"first/a", "first/b", "second/a", "second/b"}

    (shown,) = upgrade(project).files
    project.upgrade()

    found = project.read("found.txt")
    assert set(found.split()) == every - {excluded}
    assert f"+{found}" in shown.lines


def test_a_migration_cannot_reach_the_live_state_during_a_preview(project: Project) -> None:
    target = project.write("settings.json", "{}")
    project.python("1.0.0", f"open({str(target)!r}, 'w').write('overwritten')")

    error = upgrade(project).run.error

    assert error is not None
    assert "live state" in error.message
    assert target.read_text() == "{}"


def test_a_database_outside_the_project_is_copied_too(project: Project, tmp_path: Path) -> None:
    outside = tmp_path / "state.db"
    project.config(f"database: {outside}\n")
    project.sql("1.0.0", "CREATE TABLE a (x);", "DROP TABLE a;")
    project.upgrade()
    project.sql("1.1.0", "CREATE TABLE b (x);")
    before = outside.read_bytes()

    shown = upgrade(project)

    assert shown.run.error is None
    assert outside.read_bytes() == before


def test_a_long_difference_is_cut_with_a_count(project: Project) -> None:
    project.python("1.0.0", '(ctx.claude / "long.md").write_text("line\\n" * 1000)')

    (file,) = upgrade(project).files

    assert len(file.lines) == 200
    assert file.cut == 1003 - 200


def test_the_command_shows_text_and_json_with_the_same_content(pending: Project) -> None:
    text = pending.cli("upgrade", "--preview")
    document = json.loads(pending.cli("upgrade", "--preview", "--format=json").stdout)

    assert text.returncode == 0
    assert text.stdout.startswith("Preview: would apply 1 migration(s)\n  • 1.0.0 - Step\n")
    for line in ('-{"theme": "dark"}', '+{"theme": "light"}', "created file .claude/new.bin"):
        assert line in text.stdout.split("\n")
    assert "  nothing → 10 bytes (sha256 01d448afd928)" in text.stdout
    assert text.stdout.endswith("Nothing was changed: this ran on a copy.\n")
    assert document["ok"] is True
    assert [file["path"] for file in document["files"]] == [
        "new.bin",
        "new.md",
        "old.md",
        "settings.json",
    ]
    assert {database["path"] for database in document["databases"]} >= {"m.db", "made.db"}
    assert [step["version"] for step in document["steps"]] == ["1.0.0"]


def test_the_command_exits_1_with_the_error_of_a_real_run(pending: Project) -> None:
    pending.sql("1.1.0", "SELECT * FROM missing;")

    text = pending.cli("upgrade", "--preview")
    document = json.loads(pending.cli("upgrade", "--preview", "--format=json").stdout)

    assert text.returncode == 1
    assert "Could not apply 1.1.0 - Step" in text.stderr
    assert "no such table: missing" in text.stderr
    assert document["ok"] is False
    assert document["error"]["code"] == "migration_failed"
    assert document["failed"]["version"] == "1.1.0"


def test_preview_and_dry_run_exclude_each_other(project: Project) -> None:
    assert project.cli("upgrade", "--preview", "--dry-run").returncode == 2


def test_a_value_that_is_written_in_pieces_is_shown_too(project: Project) -> None:
    project.sql("1.0.0", "CREATE TABLE t (b BLOB); INSERT INTO t VALUES (zeroblob(4));")
    project.upgrade()
    project.python("1.1.0", "ctx.db.blobopen('t', 'b', 1).write(b'abcd')")
    (database,) = upgrade(project).databases
    assert [table.table for table in database.tables] == ["t"]
