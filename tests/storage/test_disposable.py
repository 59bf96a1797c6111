"""What is thrown away is not synced to the disk; everything else still is."""

import os
import sqlite3
from pathlib import Path

import pytest

from plugin_migrate.plan import plan_upgrade
from plugin_migrate.rehearsal.preview import preview
from plugin_migrate.rehearsal.shadow import shadow_of
from plugin_migrate.storage import durable, sqlite
from project import Project

EXTRA, OFF = 3, 0


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[os.stat_result]:
    """The status of every file and folder that this process brings to the disk from now on."""
    seen: list[os.stat_result] = []
    fsync = os.fsync

    def watched(descriptor: int) -> None:
        seen.append(os.fstat(descriptor))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    return seen


def synchronous(path: str) -> int:
    connection = sqlite.open_for_writing(path, sqlite3.Connection)
    try:
        return int(connection.execute("PRAGMA synchronous").fetchone()[0])
    finally:
        connection.close()


def test_a_run_syncs_and_its_preview_does_not(
    project: Project, synced: list[os.stat_result]
) -> None:
    project.write("a", "old")
    project.setup("CREATE TABLE facts (x)", project.claude / "m.db")
    project.python(
        "1.0.0",
        """
        (ctx.claude / "a").write_text("new")
        ctx.database("m.db").execute("INSERT INTO facts VALUES (1)")
        """,
    )

    preview(project.workspace(), plan_upgrade, "upgrade")
    assert synced == []

    project.upgrade()
    published = os.stat(project.claude / "a").st_ino
    assert published in {status.st_ino for status in synced}


def test_the_live_database_is_durable_also_while_a_shadow_of_it_is_there(project: Project) -> None:
    project.make_ledger()
    workspace = project.workspace()

    with shadow_of(workspace) as shadow:
        assert synchronous(workspace.database) == EXTRA
        assert synchronous(shadow.database) == OFF

    assert not durable.is_disposable(shadow.database)


def test_a_folder_with_a_longer_name_is_not_disposable(folder: Path) -> None:
    durable.declare_disposable(str(folder / "a"))
    try:
        assert durable.is_disposable(str(folder / "a/b"))
        assert not durable.is_disposable(str(folder / "ab"))
    finally:
        durable.forget_disposable(str(folder / "a"))
