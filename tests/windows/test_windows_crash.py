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
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from crash.state import leftovers
from plugin_migrate.cli.main import main
from plugin_migrate.operations.writing import settle
from plugin_migrate.workspace import locate

VICTIMS = Path(__file__).with_name("victims.py")
DATABASE = ".claude/orchestration/db/orchestration.db"
LEDGER = ("migrations", "plugin_migrate_", "sqlite_")
AT_ONCE = 24
# All 540 points take too long under Wine for every day, so a part is tried; with this variable as 1
# it is all of them. Elsewhere `tests/crash` does the same, at system calls.
USUALLY = "6" if sys.platform == "win32" else "40"
EVERY = int(os.environ.get("PLUGIN_MIGRATE_EVERY_POINT", USUALLY))
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


def state(root: Path) -> dict[str, object]:
    """Return all below ``.claude/`` but the bookkeeping, and of the ledger what is applied."""
    found: dict[str, object] = {}
    for folder, folders, names in os.walk(root / ".claude"):
        if ".plugin-migrate" in folders:
            folders.remove(".plugin-migrate")
        # What is left of a journal that was rolled back does not matter.
        for name in (name for name in names if not name.endswith("-journal")):
            path = Path(folder, name)
            shown = path.relative_to(root).as_posix()
            found[shown] = rows(path) if name.endswith(".db") else path.read_bytes()
        found |= {Path(folder, name).relative_to(root).as_posix(): None for name in folders}
    # The first run makes it, before any step.
    if not found.get(DATABASE):
        found = {name: what for name, what in found.items() if not DATABASE.startswith(name)}
    return found


def rows(database: Path) -> list[str]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        query = "SELECT name FROM sqlite_schema WHERE type = 'table'"
        names = {name for (name,) in connection.execute(query) if not name.startswith(LEDGER)}
        lines = [
            str(row)
            for name in sorted(names)
            for row in connection.execute(f"SELECT * FROM {name}")
        ]
        if database.as_posix().endswith(DATABASE):
            with suppress(sqlite3.OperationalError):
                lines += map(str, connection.execute("SELECT version, checksum FROM migrations"))
        return lines


def differences(now: dict[str, object], states: list[dict[str, object]]) -> list[str]:
    """Return what makes a state another than each of those that it may be."""
    return [
        f"{number}: {name}: {now.get(name)!r}, not {one.get(name)!r}"
        for number, one in enumerate(states)
        for name in sorted(now.keys() | one.keys())
        if now.get(name) != one.get(name) or (name in now) != (name in one)
    ]


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
    states: list[dict[str, object]]
    points: int

    def copies(self, name: str, of: Path, count: int) -> list[Path]:
        roots = [self.work / f"{name}-{number}" / "project" for number in range(count)]
        for root in roots:
            copy(of, root)
        return roots

    def check(self, root: Path) -> None:
        """Do what every writing command does first, which leaves a state between two steps."""
        settle(locate(project=str(root), environment={}), "recover", "crash test", 10)
        now = state(root)
        if now not in self.states:
            pytest.fail("\n".join(differences(now, self.states))[:4000])
        assert leftovers(root / ".claude", with_backups=False, ways_back=set()) == []

    def finish(self, root: Path) -> None:
        """Run the command to its end, which is that of an undisturbed run."""
        command(root, *self.kind.split())
        assert state(root) == self.states[-1]
        assert leftovers(root / ".claude", with_backups=True, ways_back=set()) == []


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


def kill_runs(scene: Scene, points: range) -> Iterator[tuple[Path, int]]:
    """Kill a run at each point; yield the projects where that came in time, to be looked at."""
    for batch in batches(points):
        roots = scene.copies("run", scene.begin, len(batch))
        jobs = [(scene.kind, str(root), point) for root, point in zip(roots, batch, strict=True)]
        results = kill(scene.work, jobs)
        # How often staging reads a file depends on the clock: not every run has as many points.
        assert sum(result["code"] is None for result in results) > len(batch) - 3
        for root, point in zip(roots, batch, strict=True):
            yield root, point
            shutil.rmtree(root.parent)


def test_a_run_killed_anywhere_is_finished_or_undone_by_the_next(scene: Scene) -> None:
    for root, point in kill_runs(scene, range(1, scene.points + 1, EVERY)):
        scene.check(root)
        if point % 8 == 1:
            scene.finish(root)


def test_a_recovery_killed_anywhere_is_finished_by_the_next(scene: Scene) -> None:
    recoveries = 0
    for broken, _ in kill_runs(scene, range(1 + 5 * EVERY, scene.points + 1, 24 * EVERY)):
        (whole,) = scene.copies("whole", broken, 1)
        (counted,) = kill(scene.work, [("recover", str(whole), 0)])
        shutil.rmtree(whole.parent)
        points = range(1, len(counted["points"]) + 1, 3)
        roots = scene.copies("again", broken, len(points))
        kill(
            scene.work, [("recover", str(root), at) for root, at in zip(roots, points, strict=True)]
        )
        for root in roots:
            scene.check(root)
            shutil.rmtree(root.parent)
        recoveries += len(points)
    assert recoveries
