"""Where another program has a file open, publishing waits, then says so; the next run ends it."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import pytest

from plugin_migrate.cli.main import main

if sys.platform != "win32":
    pytest.skip("only Windows keeps others from an open file", allow_module_level=True)

from plugin_migrate.engine.redo_log import logs
from plugin_migrate.platform import windows, windows_moving
from plugin_migrate.workspace import locate

UP = '''"""Change a file."""
def up(ctx):
    with ctx.edit_json("settings.json") as settings:
        settings["model"] = "sonnet"
    (ctx.claude / "old.md").unlink()
def down(ctx):
    with ctx.edit_json("settings.json") as settings:
        settings["model"] = "opus"
    (ctx.claude / "old.md").write_text("old")
'''
CHANGED = '{\n  "model": "sonnet"\n}\n'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    migrations = tmp_path / ".claude/core/versioning/migrations"
    migrations.mkdir(parents=True)
    (migrations / "1.0.0-change.py").write_text(UP)
    (tmp_path / ".claude/settings.json").write_bytes(b'{\n  "model": "opus"\n}\n')
    (tmp_path / ".claude/old.md").write_text("old")
    return tmp_path


def settings(root: Path) -> str:
    return (root / ".claude/settings.json").read_bytes().decode()


@pytest.mark.parametrize("name", ["settings.json", "old.md"])
def test_a_file_that_stays_open_interrupts_the_step_and_the_next_command_finishes_it(
    root: Path, name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "SECONDS_TO_MOVE", 0.3)
    with open(root / ".claude" / name, "rb"):
        assert main(["--project", str(root), "upgrade"]) == 1
    said = capsys.readouterr().err
    assert "The step is committed, but its files are not all in place yet: another program" in said
    assert name in said
    assert "Close that program; the next command finishes it." in said
    assert main(["--project", str(root), "status"]) == 0
    assert "Interrupted" in capsys.readouterr().out

    assert main(["--project", str(root), "upgrade"]) == 0
    assert settings(root) == CHANGED
    assert not (root / ".claude/old.md").exists()
    assert logs(locate(project=str(root), environment={})) == []


def test_a_file_that_is_open_for_a_moment_is_waited_for(root: Path) -> None:
    held = open(root / ".claude/settings.json", "rb")  # noqa: SIM115
    closing = threading.Timer(0.5, held.close)
    closing.start()
    assert main(["--project", str(root), "upgrade"]) == 0
    closing.join()
    assert settings(root) == CHANGED


def test_what_a_reader_of_ours_has_open_others_may_replace(root: Path) -> None:
    path = root / ".claude/settings.json"
    descriptor = windows.open_to_read(str(path))
    try:
        assert os.read(descriptor, 100) == b'{\n  "model": "opus"\n}\n'
        path.rename(path.with_name("renamed"))
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("held", ["ctx.edit_lines('old.md')", "open(ctx.claude / 'old.md')"])
def test_a_file_that_the_migration_itself_holds_open_keeps_its_lines(
    root: Path, held: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "SECONDS_TO_MOVE", 0.3)
    step = f"with {held}, ctx.edit_lines('old.md') as lines:\n        lines.append('new')\n"
    (root / ".claude/core/versioning/migrations/1.0.0-change.py").write_text(
        f"def up(ctx):\n    {step}"
    )
    assert main(["--project", str(root), "upgrade"]) == 1
    said = capsys.readouterr().err
    assert "old.md is still open, and so cannot be replaced by what was edited" in said
    assert "Make all changes of one file in one edit of it" in said
    assert (root / ".claude/old.md").read_text() == "old"


def interrupted(root: Path, at: str) -> None:
    """Leave a committed step as a kill in the middle of replacing settings.json would."""
    exchange = windows_moving.exchange

    def killed(one: str, other: str) -> bool:
        # ReplaceFileW moves the old file aside first, and then the new one to its place.
        os.rename(other, one + ".old")
        if at == "both moved":
            os.rename(one, other)
        raise KeyboardInterrupt

    from plugin_migrate.engine import replacing

    replacing.exchange = killed
    try:
        with pytest.raises(KeyboardInterrupt):
            main(["--project", str(root), "upgrade"])
    finally:
        replacing.exchange = exchange


@pytest.mark.parametrize("at", ["one moved", "both moved"])
def test_a_kill_in_the_middle_of_an_exchange_is_finished_by_the_next_command(
    root: Path, at: str
) -> None:
    interrupted(root, at)
    assert main(["--project", str(root), "upgrade"]) == 0
    assert settings(root) == CHANGED
    assert logs(locate(project=str(root), environment={})) == []


@pytest.mark.parametrize("at", ["one moved", "both moved"])
def test_what_somebody_saved_before_such_a_kill_is_kept(
    root: Path, at: str, capsys: pytest.CaptureFixture[str]
) -> None:
    interrupted(root, at)
    ((old,),) = (list(root.glob(".claude/.plugin-migrate/publish/*/*.old")),)
    old.write_text("saved meanwhile")
    assert main(["--project", str(root), "upgrade"]) == 1
    assert "somebody edited" in capsys.readouterr().err
    assert settings(root) == "saved meanwhile"


def test_a_read_only_file_is_replaced_and_removed(root: Path) -> None:
    for name in ("settings.json", "old.md"):
        os.chmod(root / ".claude" / name, 0o444)
    assert main(["--project", str(root), "upgrade"]) == 0
    assert settings(root) == CHANGED
    assert not (root / ".claude/old.md").exists()
