"""A project that moves between Windows and this system: each goes on with what the other left."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import project as projects
from project import Project
from windows.installation import as_windows, environment, interpreter

PUBLISHING = 'event == "os.rename" and path.endswith("/.claude/agents/a.md")'
MAIN = """
import sys
sys.path.insert(0, {scripts!r})
{before}
from plugin_migrate.cli.main import main
raise SystemExit(main())
"""

pytestmark = pytest.mark.skipif(
    sys.platform == "win32" or interpreter() is None,
    reason="wants this system and Windows' Python under Wine (tests/windows/run.py installs it)",
)


@pytest.fixture
def moving(project: Project) -> Project:
    project.write("agents/a.md", "old\n")
    project.write("settings.json", "{}\n")
    project.python(
        "1.0.0",
        "(ctx.claude / 'agents/a.md').write_text('new\\n')\n"
        "(ctx.claude / 'agents/ä b.md').write_text('made\\n')\n"
        "(ctx.claude / 'settings.json').unlink()\n"
        "ctx.db.execute('CREATE TABLE t (x)')",
        "(ctx.claude / 'agents/a.md').write_text('old\\n')\n"
        "(ctx.claude / 'agents/ä b.md').unlink()\n"
        "(ctx.claude / 'settings.json').write_text('{}\\n')\n"
        "ctx.db.execute('DROP TABLE t')",
    )
    return project


def on_windows(
    project: Project, *arguments: str, killed_at: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command line under Windows' Python on a project that stands here."""
    words = interpreter()
    assert words is not None
    before = ""
    if killed_at is not None:
        before = projects.SIGNAL_AT.format(condition=killed_at, number=9, nth=1)
    program = project.root.parent / "program.py"
    scripts = as_windows(projects.SCRIPTS)
    program.write_text(MAIN.format(scripts=scripts, before=before), encoding="utf-8")
    words += ["-X", "utf8", as_windows(program), "--project", as_windows(project.root)]
    return subprocess.run(
        [*words, *arguments],
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=120,
    )


def assert_done(project: Project) -> None:
    assert project.applied() == ["1.0.0"]
    assert project.read("agents/a.md") == "new\n"
    assert project.read("agents/ä b.md") == "made\n"
    assert not (project.claude / "settings.json").exists()
    assert project.leftovers() == set()


def assert_undone(project: Project) -> None:
    assert project.applied() == []
    assert project.read("agents/a.md") == "old\n"
    assert project.read("settings.json") == "{}\n"
    assert not (project.claude / "agents/ä b.md").exists()


def test_what_was_killed_on_windows_is_finished_here_and_its_backup_restored(
    moving: Project,
) -> None:
    killed = on_windows(moving, "upgrade", killed_at=PUBLISHING)
    assert killed.returncode == 9, killed.stdout + killed.stderr
    assert moving.read("agents/a.md") == "old\n"
    assert moving.cli("repair").returncode == 0
    assert_done(moving)
    document = json.loads(moving.cli("restore", "--format=json").stdout)
    (backup,) = document["backups"]
    restored = moving.cli("restore", backup["id"])
    assert restored.returncode == 0, restored.stderr
    assert moving.read("agents/a.md") == "old\n"
    assert not (moving.claude / "agents/ä b.md").exists()


def test_what_was_killed_here_is_finished_on_windows_and_rolled_back(moving: Project) -> None:
    moving.killed_at(PUBLISHING, "upgrade")
    finished = on_windows(moving, "repair")
    assert finished.returncode == 0, finished.stderr
    assert_done(moving)
    back = on_windows(moving, "downgrade")
    assert back.returncode == 0, back.stderr
    assert_undone(moving)
    assert moving.states()["1.0.0"].value == "pending"


def test_paths_are_told_with_slashes_on_windows_too(moving: Project) -> None:
    document = json.loads(on_windows(moving, "status", "--format=json").stdout)
    (entry,) = document["migrations"]
    assert entry["path"] == ".claude/core/versioning/migrations/1.0.0-step.py"
    moving.python("1.1.0", "1 / 0")
    failed = on_windows(moving, "upgrade")
    assert failed.returncode == 1
    assert ".claude/core/versioning/migrations/1.1.0-step.py" in failed.stderr
    assert "\\" not in failed.stderr
    crlf = Path(moving.migrations / "1.0.0-step.py")
    crlf.write_bytes(crlf.read_bytes().replace(b"\n", b"\r\n"))
    assert json.loads(on_windows(moving, "status", "--format=json").stdout)["migrations"][0][
        "status"
    ] == ("applied")
