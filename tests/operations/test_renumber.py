"""Renumbering: file, what names it and the ledger row, all or nothing."""

import itertools
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from plugin_migrate.errors import (
    BrokenMigration,
    PlanRefused,
    StateUnreadable,
    UnknownTarget,
    UsageError,
    VersionExists,
)
from plugin_migrate.operations.renumber import Renumbered, renumber
from plugin_migrate.plan import State
from plugin_migrate.version import Version
from project import Project

Git = Callable[..., str]

SQL = "-- version: 1.1.0\n-- migrate:up\nCREATE TABLE {0} (x);\n-- migrate:down\nDROP TABLE {0};\n"


def give(project: Project, which: str, to: str | None = None, **options: str) -> Renumbered:
    version = Version.parse(to) if to else None
    return renumber(project.workspace(**options), which, version, "tester", 0)


def names(project: Project) -> list[str]:
    return sorted(os.listdir(project.migrations))


def write(project: Project, name: str, text: str) -> Path:
    file = project.migrations / name
    file.write_text(text)
    return file


@pytest.fixture
def doubled(project: Project) -> Project:
    """A project with 1.1.0-a applied, and another 1.1.0 that a merge has brought."""
    project.sql("1.0.0", "CREATE TABLE first (x);", "DROP TABLE first;")
    write(project, "1.1.0-a.sql", SQL.format("a"))
    project.upgrade()
    write(project, "1.1.0-b.sql", SQL.format("b"))
    return project


@pytest.mark.parametrize("which", ["1.1.0", "1.1.0-b.sql"])
def test_a_pending_one_gets_the_next_free_version(doubled: Project, which: str) -> None:
    done = give(doubled, which)

    assert (str(done.version), done.is_applied) == ("1.1.1", False)
    assert names(doubled) == ["1.0.0-step.sql", "1.1.0-a.sql", "1.1.1-b.sql"]
    assert doubled.migrations.joinpath("1.1.1-b.sql").read_text() == SQL.format("b").replace(
        "1.1.0", "1.1.1"
    )
    assert doubled.states() == {
        "1.0.0": State.APPLIED,
        "1.1.0": State.APPLIED,
        "1.1.1": State.PENDING,
    }
    assert doubled.look().refused == ()
    doubled.upgrade()
    doubled.downgrade()


def test_an_applied_one_goes_with_its_row_source_and_a_line_in_the_history(
    doubled: Project,
) -> None:
    before = doubled.look().ledger.applied[Version(1, 1, 0)]

    done = give(doubled, "1.1.0-a.sql", "2.0.0")

    row = doubled.look().ledger.applied[Version(2, 0, 0)]
    assert done.is_applied
    assert doubled.states() == {
        "1.0.0": State.APPLIED,
        "1.1.0": State.OUT_OF_ORDER,
        "2.0.0": State.APPLIED,
    }
    assert (row.order, row.applied_at, row.applied_by) == (
        before.order,
        before.applied_at,
        before.applied_by,
    )
    assert doubled.query("SELECT version, file_name FROM plugin_migrate_sources") == [
        ("1.0.0", "1.0.0-step.sql"),
        ("2.0.0", "2.0.0-a.sql"),
    ]
    history = "SELECT action, version, description FROM plugin_migrate_history ORDER BY id DESC"
    assert doubled.query(f"{history} LIMIT 1") == [
        ("renumber", "2.0.0", "1.1.0-a.sql is 2.0.0-a.sql now")
    ]
    (doubled.migrations / "2.0.0-a.sql").unlink()
    doubled.downgrade("1.1.0")  # from the stored source
    assert doubled.query("SELECT name FROM sqlite_schema WHERE name = 'a'") == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("1.1.0-x.py", 'version: str = "1.1.0"  # 1.1.0\n\ndef up(ctx):\n    pass\n'),
        ("1.1.0-x.py", "def up(ctx):\n    pass  # in 1.1.0-x.py\n"),
        ("1.1.0-x.ts", "export const migration = { version: '1.1.0', async up() {} };\n"),
        ("1.1.0-x.sql", '-- version: "1.1.0"\r\n-- migrate:up\r\nSELECT 1;\r\n'),
        ("1.1.0-x.sql", "\ufeff-- migrate:up\nSELECT '1.1.0';\n"),
    ],
)
def test_a_version_that_is_repeated_inside_follows(project: Project, name: str, text: str) -> None:
    write(project, name, "").write_bytes(text.encode())
    os.chmod(project.migrations / name, 0o640)

    give(project, name, "1.2.0")

    new = project.migrations / name.replace("1.1.0", "1.2.0")
    changed = new.read_bytes().decode()
    assert changed.count("\r\n") == text.count("\r\n")
    assert changed.startswith("\ufeff") == text.startswith("\ufeff")
    assert changed.replace("1.2.0", "1.1.0") == text
    assert sys.platform == "win32" or new.stat().st_mode & 0o777 == 0o640
    assert project.cli("verify", "--lint-only").returncode in (0, 1)
    assert project.cli("upgrade", "--dry-run").returncode == 0


def test_what_names_it_follows_but_for_what_is_applied(project: Project) -> None:
    applied = write(project, "1.0.0-old.sql", "-- see 1.1.0-b.sql\n-- migrate:up\nSELECT 1;\n")
    project.upgrade()
    write(project, "1.1.0-b.sql", "-- migrate:up\nSELECT 1;\n")
    helper = write(project, "_shared.py", "AFTER = '1.1.0-b'  # not 1.1.0-back, nor 11.1.0-b\n")

    done = give(project, "1.1.0")

    assert helper.read_text() == "AFTER = '1.1.1-b'  # not 1.1.0-back, nor 11.1.0-b\n"
    assert done.rewritten == (str(helper),)
    assert done.still_naming == (str(applied),)
    assert project.states()["1.0.0"] is State.APPLIED


def test_a_misnamed_file_gets_a_version_too(project: Project) -> None:
    write(project, "1.2-x.sql", "-- migrate:up\nSELECT 1;\n")

    give(project, "1.2-x.sql")

    assert names(project) == ["1.0.0-x.sql"]


def test_what_cannot_be_is_refused_and_changes_nothing(doubled: Project, folder: Path) -> None:
    write(doubled, "1.1.0-c.sql", SQL.format("c"))
    (doubled.migrations / "1.4.0-link.sql").symlink_to("1.0.0-step.sql")
    before = names(doubled)
    for which, to, error in (
        ("1.1.0", None, UsageError),  # two that are not applied
        ("9.0.0", None, UnknownTarget),
        ("9.0.0-x.sql", None, UnknownTarget),
        ("1.1.0-b.sql", "1.0.0", VersionExists),
        ("1.1.0-b.sql", "0.0.0", VersionExists),
        ("1.4.0", "1.6.0", UsageError),
    ):
        with pytest.raises(error):
            give(doubled, which, to)
    (folder / "3.0.0-x.sql").write_text("SELECT 1;")
    with pytest.raises(StateUnreadable, match=r"outside \.claude/"):
        give(doubled, "3.0.0", migrations=str(folder))
    write(doubled, "1.0.0-step.sql", "-- migrate:up\nSELECT 2;\n")
    with pytest.raises(PlanRefused, match="is modified"):
        give(doubled, "1.0.0")
    assert names(doubled) == before


def test_one_that_would_say_another_version_is_refused(project: Project) -> None:
    write(project, "1.1.0-x.py", 'metadata = {}; version = "1.1.0"\n\ndef up(ctx):\n    pass\n')

    with pytest.raises(BrokenMigration, match=r"The file says version 1\.1\.0"):
        give(project, "1.1.0")

    assert names(project) == ["1.1.0-x.py"]


def test_going_back_to_an_earlier_backup_takes_the_number_back_too(doubled: Project) -> None:
    backup = json.loads(doubled.cli("restore", "--format=json").stdout)["backups"][0]["id"]
    give(doubled, "1.1.0-a.sql", "2.0.0")
    (doubled.migrations / "1.1.0-b.sql").unlink()

    assert doubled.cli("restore", backup).returncode == 0

    assert names(doubled) == ["1.0.0-step.sql", "1.1.0-a.sql"]
    assert set(doubled.states().values()) == {State.PENDING}


CHANGES = "event in ('os.rename', 'os.link', 'os.remove', 'os.mkdir', 'os.rmdir')"


def test_a_kill_at_any_change_leaves_the_old_number_or_the_new_one_whole(
    doubled: Project, folder: Path
) -> None:
    outcomes = []
    for nth in itertools.count(1):
        copy = folder / str(nth)
        shutil.copytree(doubled.root, copy, symlinks=True)
        killed = Project(copy)
        arguments = ("renumber", "1.1.0-a.sql", "2.0.0")
        done = killed.signalled_at(CHANGES, 9, *arguments, nth=nth)
        if done.returncode == 0:
            break
        assert done.returncode in (-9, 9), done.stderr

        assert killed.cli("repair").returncode == 0

        versions = {version: state.value for version, state in killed.states().items()}
        outcomes.append("2.0.0" in versions)
        if outcomes[-1]:
            assert versions == {"1.0.0": "applied", "1.1.0": "out of order", "2.0.0": "applied"}
            assert names(killed) == ["1.0.0-step.sql", "1.1.0-b.sql", "2.0.0-a.sql"]
        else:
            assert versions == {"1.0.0": "applied", "1.1.0": "applied"}
            assert names(killed) == ["1.0.0-step.sql", "1.1.0-a.sql", "1.1.0-b.sql"]
        assert killed.query("SELECT count(*) FROM plugin_migrate_publishes") == [(0,)]
    assert outcomes == sorted(outcomes)
    assert outcomes.count(False) > 2
    assert outcomes.count(True) > 2


def test_two_branches_with_one_number_go_on_after_the_hint_is_followed(
    project: Project, git: Git
) -> None:
    def run(arguments: str) -> str:
        return git(*arguments.split(), cwd=project.root)

    (project.root / ".gitignore").write_text("/.claude/orchestration/\n")
    project.sql("1.0.0", "CREATE TABLE first (x);", "DROP TABLE first;")
    for call in ("init -q -b main", "add -A", "commit -qm base", "checkout -qb bob"):
        run(call)
    write(project, "1.1.0-b.sql", SQL.format("b"))
    for call in ("add -A", "commit -qm b", "checkout -q main"):
        run(call)
    write(project, "1.1.0-a.sql", SQL.format("a"))
    for call in ("add -A", "commit -qm a"):
        run(call)
    project.upgrade()
    run("merge -q -m merge bob")

    refused = project.cli("upgrade")
    hint = refused.stderr.rpartition("plugin-migrate ")[2].split()
    done = project.cli(*hint)

    assert hint == ["renumber", "1.1.0-b.sql"]
    assert done.stdout.startswith("✓ Renumbered: 1.1.0-b.sql → 1.1.1-b.sql\n")
    assert project.cli("upgrade").returncode == 0
    assert project.cli("check").returncode == 0
    assert project.query("SELECT name FROM sqlite_schema WHERE name IN ('a', 'b')") == [
        ("a",),
        ("b",),
    ]
    assert sorted(run("status --porcelain").split("\n")[:-1]) == [
        " D .claude/core/versioning/migrations/1.1.0-b.sql",
        "?? .claude/core/versioning/migrations/1.1.1-b.sql",
    ]


def test_the_document_says_what_was_done(doubled: Project) -> None:
    document = json.loads(doubled.cli("renumber", "1.1.0", "--format=json").stdout)

    folder = ".claude/core/versioning/migrations"
    assert document == {
        "schema": 1,
        "command": "renumber",
        "ok": True,
        "version": "1.1.1",
        "path": f"{folder}/1.1.1-b.sql",
        "old_path": f"{folder}/1.1.0-b.sql",
        "applied": False,
        "rewritten": [],
        "still_naming": [],
    }
