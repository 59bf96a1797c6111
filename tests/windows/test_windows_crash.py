"""Killed at any audit event, sync or SQL statement, a command is finished or undone by the next.

With Windows' means: `tests/crash` kills at system calls, which only strace of Linux sees. Here a
process is ended by TerminateProcess, with everything open that it has open at that point. Elsewhere
a part of the points is tried, by SIGKILL.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from crash.state import State, difference, leftovers, state_of
from plugin_migrate.cli.main import main

VICTIMS = Path(__file__).with_name("victims.py")
DATABASE = os.path.join("orchestration", "db", "orchestration.db")
AT_ONCE = 24
# Elsewhere `tests/crash` does the same, at system calls.
EVERY = 1 if sys.platform == "win32" else 8
MIGRATIONS = {
    "1.0.0-table.sql": """-- migrate:up
CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT);
INSERT INTO notes (text) VALUES ('one'), ('two');
-- migrate:down
DROP TABLE notes;
""",
    "1.1.0-files.py": '''"""Change, make, replace and delete files, and a further database."""
def up(ctx):
    with ctx.edit_json("settings.json") as settings:
        settings["model"] = "sonnet"
    (ctx.claude / "new").mkdir()
    (ctx.claude / "new/a.md").write_text("new\\n")
    (ctx.claude / "old.md").unlink()
    (ctx.claude / "thing").unlink()
    (ctx.claude / "thing").mkdir()
    (ctx.claude / "thing/b.md").write_text("in a folder now\\n")
    ctx.database("memory.db").execute("UPDATE memories SET text = upper(text)")
    ctx.db.execute("UPDATE notes SET text = text || '!'")
def down(ctx):
    with ctx.edit_json("settings.json") as settings:
        settings["model"] = "opus"
    (ctx.claude / "new/a.md").unlink()
    (ctx.claude / "new").rmdir()
    (ctx.claude / "old.md").write_text("old\\n")
    (ctx.claude / "thing/b.md").unlink()
    (ctx.claude / "thing").rmdir()
    (ctx.claude / "thing").write_text("a file\\n")
    ctx.database("memory.db").execute("UPDATE memories SET text = lower(text)")
    ctx.db.execute("UPDATE notes SET text = rtrim(text, '!')")
''',
    "1.2.0-more.py": '''"""Change a file once more."""
def up(ctx):
    with ctx.edit_json("settings.json") as settings:
        settings["theme"] = "dark"
def down(ctx):
    with ctx.edit_json("settings.json") as settings:
        del settings["theme"]
''',
}


def build(root: Path) -> None:
    claude = root / ".claude"
    migrations = claude / "core/versioning/migrations"
    migrations.mkdir(parents=True)
    for name, text in MIGRATIONS.items():
        (migrations / name).write_bytes(text.encode())
    for name, text in {
        "settings.json": '{\n  "model": "opus"\n}\n',
        "old.md": "old\n",
        "thing": "a file\n",
    }.items():
        (claude / name).write_bytes(text.encode())
    with closing(sqlite3.connect(claude / "memory.db", isolation_level=None)) as connection:
        connection.execute("CREATE TABLE memories (id INTEGER PRIMARY KEY, text TEXT)")
        connection.execute("INSERT INTO memories (text) VALUES ('one'), ('two')")


def copy(source: Path, target: Path) -> None:
    # Not by `shutil.copy2`, which calls what Wine lacks.
    shutil.copytree(source, target, copy_function=shutil.copy)


def state(root: Path, history: bool = False) -> State:
    return state_of(root / ".claude", DATABASE, history)


def command(root: Path, *arguments: str) -> None:
    assert main(["--project", str(root), *arguments]) == 0


Job = tuple[str, str, int]


class Killed(Exception):
    """The process that was to be killed could not do its jobs."""


def kill(work: Path, jobs: list[Job]) -> list[dict]:
    """Run commands in one process, each to its point, and kill that; return what each came to."""
    tasks, results = work / "jobs.json", work / "results.json"
    tasks.write_text(json.dumps(jobs), encoding="utf-8")
    results.unlink(missing_ok=True)
    done = subprocess.run(
        [sys.executable, "-X", "utf8", str(VICTIMS), str(tasks), str(results)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=600,
    )
    assert done.returncode in (9, -9), done
    if not results.exists():
        raise Killed(done.stderr.decode("utf-8", "replace"))
    return json.loads(results.read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Scene:
    """A project about to be upgraded or downgraded, and the states that it may be in."""

    work: Path
    begin: Path
    kind: str
    states: list[State]
    points: int

    def copies(self, name: str, of: Path, count: int) -> list[Path]:
        roots = [self.work / f"{name}-{number}" / "project" for number in range(count)]
        for root in roots:
            copy(of, root)
        return roots

    def check(self, root: Path, finish: bool = True) -> None:
        """Recover what a kill left, and run the command to its end."""
        command(root, "repair")
        now = state(root)
        assert now in self.states, difference(now, self.states[0])
        assert leftovers(root / ".claude", with_backups=False) == []
        if finish:
            command(root, *self.kind.split())
            assert difference(state(root), self.states[-1]) == ""
            assert leftovers(root / ".claude", with_backups=True) == []


def prepare(work: Path, kind: str) -> Scene:
    root = work / "prepared" / "project"
    build(root)
    targets = ["1.0.0", "1.1.0", "1.2.0"]
    if kind.startswith("downgrade"):
        command(root, "upgrade")
        targets = ["1.1.0", "1.0.0", "0.0.0"]
    begin = work / "begin"
    copy(root, begin)
    states = [state(root)]
    for target in targets:
        command(root, kind.partition(" ")[0], target)
        states.append(state(root))
    copy(begin, work / "counted")
    (counted,) = kill(work, [(kind, str(work / "counted"), 0)])
    assert counted["code"] == 0
    return Scene(work, begin, kind, states, len(counted["points"]))


@pytest.fixture(scope="module", params=["upgrade", "downgrade 0.0.0"])
def scene(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return prepare(tmp_path_factory.mktemp("crash"), request.param)


def batches(points: range) -> Iterator[range]:
    for start in range(0, len(points), AT_ONCE):
        yield points[start : start + AT_ONCE]


def test_a_run_killed_anywhere_is_finished_or_undone_by_the_next(scene: Scene) -> None:
    points = range(1, scene.points + 1, EVERY)
    killed = 0
    for batch in batches(points):
        roots = scene.copies("run", scene.begin, len(batch))
        jobs = [(scene.kind, str(root), point) for root, point in zip(roots, batch, strict=True)]
        for root, result in zip(roots, kill(scene.work, jobs), strict=True):
            killed += result["code"] is None
            scene.check(root)
            shutil.rmtree(root.parent)
    assert killed > len(points) * 0.9
