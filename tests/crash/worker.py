"""Runs crash jobs one after the other: a JSON line in, a JSON line out.

``python worker.py``, started by ``crew.py``; it has everything imported, so that commands that are
not to be killed run in forked children, which saves most of the time.
"""

from __future__ import annotations

import codecs
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

TESTS = Path(__file__).resolve().parents[1]
SCRIPTS = TESTS.parent / "scripts"
sys.path[:0] = [str(TESTS), str(SCRIPTS)]

from crash import children, edits, patched, scenery, strace  # noqa: E402
from crash.children import Output, Work  # noqa: E402
from crash.state import (  # noqa: E402
    State,
    difference,
    dump,
    fingerprint,
    leftovers,
    state_of,
    ways_back_in,
)
from crash.strace import Point  # noqa: E402
from plugin_migrate.cli import main  # noqa: E402
from plugin_migrate.engine import recovery  # noqa: E402
from plugin_migrate.errors import MigrateError  # noqa: E402
from plugin_migrate.languages.javascript import child  # noqa: E402
from plugin_migrate.operations import writing  # noqa: E402
from plugin_migrate.storage.lock import run_lock  # noqa: E402
from plugin_migrate.workspace import Workspace, locate, users_workspace  # noqa: E402

# What the commands import as they go.
for _name in (
    "cli.progress editing.front_matter editing.json_edit engine.backup engine.engine engine.prepare"
    " languages.javascript.calls languages.javascript.child languages.python"
    " languages.sql languages.typescript ledger.identity render sources.shipped storage.unfinished"
).split():
    importlib.import_module(f"plugin_migrate.{_name}")


# The interpreter may lie where `_as_nobody` cannot read.
for _name in ("ascii", "utf-8-sig"):
    codecs.lookup(_name)

_NOBODY = 65534


class Wrong(Exception):
    """What a job found to be wrong."""


class Missed(Exception):
    """The run was over, or telling its result, before the point came.

    How often staging reads a file depends on the ticks of the file system's clock, so one run makes
    some calls more than another.
    """


class Site:
    """One project of a job, and the commands on it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def claude(self) -> Path:
        """The folder with the state database and the bookkeeping."""
        users = self.root / scenery.USERS
        return users if users.exists() else self.root / ".claude"

    @property
    def database(self) -> Path:
        is_users = self.claude.name == scenery.USERS
        return self.claude / (scenery.USERS_DATABASE if is_users else scenery.STATE_DATABASE)

    def state(self, history: bool = False) -> State:
        return state_of(self.root, str(self.database.relative_to(self.root)), history)

    @property
    def files(self) -> Path:
        """The folder with the files that migrations change."""
        for folder in (self.root, self.claude):
            if (folder / scenery.BESIDE).exists():
                return folder / scenery.BESIDE
        return self.claude

    def command(self, *arguments: str) -> Work:
        """Return a command as a child can run it."""
        plugin = self.root / scenery.PLUGIN
        whose = ["--plugin-dir", str(plugin)] if plugin.exists() else []

        def work() -> int:
            os.environ["CLAUDE_CONFIG_DIR"] = str(self.root / scenery.USERS)
            return main.main(["--project", str(self.root), *whose, *arguments])

        return work

    def recovery(self) -> Work:
        """Return what every writing command does first, and no more, as a child can run it."""
        if (self.root / scenery.USERS).exists():
            return lambda: recover(users_workspace(str(self.claude)))
        return lambda: recover(locate(project=str(self.root), environment={}))

    def run(self, *arguments: str) -> Output:
        """Run a command to its end."""
        return children.run(self.command(*arguments))


def recover(workspace: Workspace) -> int:
    """Do what every writing command does first, and no more."""
    try:
        writing.settle(workspace, "recover", "crash test", 10)
    except MigrateError as error:
        print(error.message, error.details, error.hint, file=sys.stderr)
        return 1
    return 0


# --- jobs ----------------------------------------------------------------------------------------


def find_injector(work: str) -> dict:
    """Return the best way to kill that there is here."""
    return {"injector": "strace" if strace.is_usable() else "patched"}


def prepare(
    folder: str,
    journal_mode: str,
    command: str,
    injector: str,
    language: str,
    source: str,
    work: str,
) -> dict:
    """Make what the other jobs of a scenario need: the project, its legal states, its points.

    ``command`` is ``upgrade`` or ``downgrade``; the project stands where it can begin.
    ``injector`` is ``strace`` or ``patched``; ``language`` is what code migrations are written in,
    ``source`` whose they are; see ``scenery.build``.
    """
    scene = Path(folder)
    site = Site(scene / "project")
    scenery.build(site.root, journal_mode, language, source)
    targets = [(version,) for version in scenery.VERSIONS]
    if command == "downgrade":
        _succeed(site.run("upgrade"))
        targets = [(version,) for version in (*scenery.VERSIONS[-2::-1], "0.0.0")]
    begin = site.root.with_name("begin")
    shutil.copytree(site.root, begin, symlinks=True)
    states = [site.state()]
    for target in targets:
        _succeed(site.run(command, *target))
        states.append(site.state())
    shutil.rmtree(site.root)
    with _Copied(begin, work) as whole:
        work_of = whole.command(*arguments_of(command))
        points = _injector(injector).points(work_of, whole.root)
        end = whole.state(history=True)
        _expect(whole.state(), states[-1:], "one run differs from one step at a time")
        _expect_tidy(whole)
    document = {"command": command, "injector": injector, "states": states, "end": end}
    (scene / "scene.json").write_text(json.dumps(document))
    return {"points": points}


def kill(folder: str, point: Point, work: str, and_back: bool = False) -> dict:
    """Kill at ``point``; look, recover, compare, finish, compare; go back, and compare again."""
    scene = _Scene(folder)
    with _Copied(scene.begin, work) as site:
        _kill(scene, site.command(*scene.arguments), point)
        _check_status(site)
        _check_recovery(site, scene)
        _finish_run(site, scene)
        if and_back:
            _succeed(site.run("downgrade", "0.0.0"))
            _expect(site.state(), scene.states[:1], "what was kept does not bring everything back")
            _expect_tidy(site)
    return {"kills": 1}


def kill_twice(folder: str, point: Point, step: int, work: str) -> dict:
    """Kill at ``point``, then kill the recovery at every ``step``-th of its own points."""
    scene = _Scene(folder)
    kills = 0
    with _Copied(scene.begin, work) as broken:
        _kill(scene, broken.command(*scene.arguments), point)
        with _Copied(broken.root, work) as site:
            inner = scene.injector.points(site.recovery(), site.root)
            recovered = site.state(history=True)
        for second in inner[point[1] % step :: step]:
            with _Copied(broken.root, work) as site:
                _kill(scene, site.recovery(), second)
                try:
                    _check_status(site)
                    _check_recovery(site, scene)
                    _expect(site.state(history=True), [recovered], "one more crash made it differ")
                except Wrong as wrong:
                    raise Wrong(f"killed again at {second}: {wrong}") from None
            kills += 1
    return {"kills": kills}


def kill_migration(folder: str, number: int, work: str) -> dict:
    """Kill the process of a TypeScript migration instead of answering its ``number``-th message."""
    scene = _Scene(folder)
    with _Copied(scene.begin, work) as site:
        killed = children.run(_killing_child(site.command(*scene.arguments), number))
        if killed.code == 0:
            return {"ended": 1}
        if killed.code != 1 or "process was killed by SIGKILL" not in killed.err:
            raise Wrong(f"the command does not say what happened: {killed}")
        _expect(site.state(), scene.states, "it left the state between two steps")
        _check_status(site)
        _expect_tidy(site)
        _succeed(site.run(*scene.arguments))
        _expect(site.state(), scene.states[-1:], "the end differs from an undisturbed run's")
        _expect_tidy(site)
    return {"kills": 1}


def _killing_child(work: Work, number: int) -> Work:
    left = number
    receive = child.ChildProcess._receive

    def killing(child: child.ChildProcess) -> dict:
        nonlocal left
        message = receive(child)
        left -= 1
        if left == 0:
            process = child._child._process
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        return message

    def watched() -> int:
        child.ChildProcess._receive = killing
        return work()

    return watched


def fail(folder: str, point: Point, error: str, work: str) -> dict:
    """Answer the call at ``point`` with an error; the command must say so, and lose nothing."""
    scene = _Scene(folder)
    with _Copied(scene.begin, work) as site:
        output = strace.fail(site.command(*scene.arguments, "--format=json"), point, error)
        document = _failure(output)
        told = scene.states[len(document.get("steps", ()))]
        is_committed = "is committed, but" in output.out
        if not is_committed:
            _expect(site.state(), [told], "what it tells to have done and what it did differ")
        _check_status(site)
        _check_recovery(site, scene)
        if is_committed:
            later = scene.states[len(document["steps"]) + 1 :]
            _expect(site.state(), later, "it tells a step to be committed that is not")
        _succeed(site.run(*scene.arguments))
        _expect(
            site.state(), scene.states[-1:], "the next run does not end like an undisturbed one"
        )
        _expect_tidy(site)
        return {"faults": 1, "failed": output.code}


def edit(folder: str, point: Point, name: str, work: str) -> dict:
    """Kill at ``point``, let a user or another program write, and see that nothing is lost."""
    scene = _Scene(folder)
    with _Copied(scene.begin, work) as site:
        _kill(scene, site.command(*scene.arguments), point)
        if not edits.EDITS[name](site.files):
            return {"edited": 0}
        recovered = children.run(site.recovery())
        _expect_mark(site)
        if recovered.code == 0:
            finished = site.run(*scene.arguments)
            if finished.code != 0:
                raise Wrong(f"the next run failed: {finished}")
            if name not in edits.DELETED_LATER:
                _expect_mark(site)
            _expect_tidy(site)
            return {"edited": 1}
        _expect_interrupted(site, recovered)
        for decision in (False, True):
            with _Copied(site.root, work) as decided:
                _check_decision(decided, scene, decision)
        return {"edited": 1, "interrupted": 1}


def _expect_mark(site: Site) -> None:
    # Migrations change case.
    lines = (line.lower() for lines in site.state().values() for line in lines)
    if not any(edits.MARK in line for line in lines):
        raise Wrong("what somebody wrote is lost")


def _expect_interrupted(site: Site, recovered: Output) -> None:
    if recovered.code != 1 or "repair --keep-live" not in recovered.err:
        raise Wrong(f"recovery failed for another reason: {recovered}")
    said = json.loads(site.run("status", "--format=json").out)
    states = [row["status"] for row in said["migrations"]]
    if "interrupted" not in states:
        raise Wrong(f"status does not say that the step is interrupted: {states}")
    refused = site.run("upgrade")
    if refused.code != 1 or "repair --keep-live" not in refused.err:
        raise Wrong(f"upgrade did not refuse an interrupted step: {refused}")


def _check_decision(site: Site, scene: _Scene, take_migrated: bool) -> None:
    """Both ways out end the interruption; taking the migrated files ends like any run."""
    _succeed(children.run(lambda: decide(site.root, take_migrated)))
    if not take_migrated:
        _expect_mark(site)
        _succeed(children.run(site.recovery()))
        return
    _expect(site.state(), scene.states, "after taking the migrated files")
    _succeed(site.run(*scene.arguments))
    _expect(site.state(), scene.states[-1:], "the end differs from an undisturbed run's")


def decide(project: Path, take_migrated: bool) -> int:
    """Settle every interrupted step, as ``repair`` does."""
    workspace = locate(project=str(project), environment={})
    with run_lock(workspace, "repair", 10):
        for problem in recovery.recover(workspace, "crash test"):
            recovery.decide(workspace, "crash test", problem, take_migrated)
    return 0


def fill(folder: str, free: int, work: str) -> dict:
    """Run on a small disk with ``free`` bytes left; then free some space and run again."""
    scene = _Scene(folder)
    with _mounted(work, "-t", "tmpfs", "-o", "size=8m", "tmpfs") as disk:
        site = Site(Path(disk, "project"))
        shutil.copytree(scene.begin, site.root, symlinks=True)
        filler = Path(disk, "filler")
        room = os.statvfs(disk)
        filler.write_bytes(bytes(max(0, room.f_bavail * room.f_frsize - free)))
        arguments = [*scene.arguments, "--no-backup"]
        document = _failure(site.run(*arguments, "--format=json"))
        _check_status(site)
        if "is committed, but" not in str(document.get("error")):
            told = scene.states[len(document.get("steps", ()))]
            _expect(site.state(), [told], "what it tells to have done and what it did differ")
        filler.unlink()
        _check_recovery(site, scene)
        _succeed(site.run(*arguments))
        _expect(
            site.state(), scene.states[-1:], "the next run's end differs from an undisturbed one's"
        )
        return {"faults": 1, "failed": int(not document["ok"])}


def refuse_writing(folder: str, where: str, work: str) -> dict:
    """Run as a user who may not write to ``where``; then as one who may."""
    scene = _Scene(folder)
    with _Copied(scene.begin, work) as site:
        _give_away(site.root.parent)
        modes = {path: path.stat().st_mode for path in [site.claude / where, *_below(site, where)]}
        for path, mode in modes.items():
            path.chmod(mode & ~0o222)
        before = site.state()
        output = children.run(lambda: _as_nobody(site.command(*scene.arguments, "--format=json")))
        document = _failure(output)
        said = children.run(lambda: _as_nobody(site.command("status", "--format=json")))
        _succeed(said)
        if not document.get("steps") and site.state() != before:
            raise Wrong(f"it changed something:\n{difference(before, site.state())}")
        for path, mode in modes.items():
            if path.exists():
                path.chmod(mode)
        told = scene.states[len(document.get("steps", ()))]
        _expect(site.state(), [told], "what it tells to have done and what it did differ")
        _finish_as_nobody(site, scene)
        return {"faults": 1, "failed": output.code}


def refuse_mounted(folder: str, work: str) -> dict:
    """Run on a file system that is mounted read-only."""
    scene = _Scene(folder)
    with _Copied(scene.begin, work) as site, _mounted(work, "--bind", str(site.root)) as disk:
        subprocess.run(["mount", "-o", "remount,bind,ro", disk], check=True)
        mounted = Site(Path(disk))
        before = fingerprint(mounted.root)
        output = mounted.run(*scene.arguments, "--format=json")
        _failure(output)
        _succeed(mounted.run("status"))
        if output.code != 1 or fingerprint(mounted.root) != before:
            raise Wrong(f"it changed something: {output}")
        return {"faults": 1, "failed": output.code}


@contextmanager
def _mounted(work: str, *what: str) -> Iterator[str]:
    folder = tempfile.mkdtemp(dir=work)
    try:
        subprocess.run(["mount", *what, folder], check=True, capture_output=True)
        try:
            yield folder
        finally:
            subprocess.run(["umount", folder], check=True)
    finally:
        os.rmdir(folder)


def _below(site: Site, where: str) -> list[Path]:
    return [path for path in (site.claude / where).rglob("*") if not path.is_symlink()]


def _give_away(folder: Path) -> None:
    """Give a folder to the user that :func:`_as_nobody` becomes, who must get there too."""
    if os.geteuid() != 0:
        return
    folder.parent.chmod(0o755)
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, _NOBODY, _NOBODY, follow_symlinks=False)


def _as_nobody(work: Work) -> int:
    """Do ``work`` as a user whom permissions bind, which they do not root."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(_NOBODY)
        os.setuid(_NOBODY)
    return work()


def _finish_as_nobody(site: Site, scene: _Scene) -> None:
    _succeed(children.run(lambda: _as_nobody(site.command(*scene.arguments))))
    _expect(site.state(), scene.states[-1:], "the end differs from an undisturbed run's")
    _expect_tidy(site)


_JOBS = {
    job.__name__: job
    for job in (
        *(find_injector, prepare, kill, kill_twice, kill_migration, fail, edit),
        *(fill, refuse_writing, refuse_mounted),
    )
}


class _Scene:
    def __init__(self, folder: str) -> None:
        document = json.loads(Path(folder, "scene.json").read_text())
        self.begin = Path(folder, "begin")
        self.states: list[State] = document["states"]
        self.end: State = document["end"]
        self.arguments = arguments_of(document["command"])
        self.injector = _injector(document["injector"])


def arguments_of(command: str) -> list[str]:
    """Return the command line that runs all the steps there are."""
    return [command, "0.0.0"] if command == "downgrade" else [command]


class _Copied:
    def __init__(self, source: Path, work: str) -> None:
        self._source = source
        self._folder = tempfile.mkdtemp(dir=work)

    def __enter__(self) -> Site:
        root = Path(self._folder, "project")
        shutil.copytree(self._source, root, symlinks=True)
        site = Site(root)
        # What a killed run left is only looked at, and a journal there must stay.
        if self._source.name == "begin":
            scenery.own_ways_back(site.database, site.claude / ".plugin-migrate/ways-back")
        return site

    def __exit__(self, *error: object) -> None:
        shutil.rmtree(self._folder)


def _injector(name: str) -> ModuleType:
    return {"strace": strace, "patched": patched}[name]


def _kill(scene: _Scene, work: Work, point: Point) -> None:
    killed = scene.injector.kill(work, point)
    if killed.code == 0:
        raise Missed
    if killed.code != -signal.SIGKILL:
        raise Wrong(f"the process did not die of SIGKILL: {killed}")


def _check_status(site: Site) -> None:
    """``status`` works and changes nothing, but for the shared memory to read a log by.

    Where a journal has to be rolled back first it says that.
    """
    journal, log = Path(f"{site.database}-journal"), f"{site.database}-wal"
    # Its times: for root, SQLite gives what it opens to the database's owner.
    names = [str(journal)]
    if os.path.exists(log):
        names += [log, f"{site.database}-shm", str(site.database.parent)]
    left_out = tuple(os.path.relpath(name, site.root) for name in names)
    before = fingerprint(site.root, left_out), site.state(history=True)
    held = journal.read_bytes() if journal.exists() else None
    said = site.run("status", "--format=json")
    if (journal.read_bytes() if journal.exists() else None) != held:
        raise Wrong("status changed the journal")
    is_hot = held is not None and "was interrupted while writing" in said.out
    if not is_hot and (said.code != 0 or not json.loads(said.out)["ok"]):
        raise Wrong(f"status failed with {said.code}: {said.out}{said.err}")
    after = fingerprint(site.root, left_out), site.state(history=True)
    if before != after:
        changed = {name for name, _ in set(before[0].items()) ^ set(after[0].items())}
        raise Wrong(f"status changed {changed}\n{difference(before[1], after[1])}")
    if site.database.exists() and not is_hot:
        _expect_told(json.loads(said.out)["migrations"], dump(site.database))


def _expect_told(shown: list[dict], rows: list[str]) -> None:
    """``status`` shows what the ledger holds, and which files are still on their way."""
    told = (
        [row["version"] for row in shown if row["applied_at"]],
        [row["version"] for row in shown if row["status"] == "interrupted"],
    )
    held = _versions(rows, "migrations"), _versions(rows, "plugin_migrate_publishes")
    if told != held:
        raise Wrong(f"status shows applied and interrupted {told}, the ledger has {held}")


def _versions(rows: list[str], table: str) -> list[str]:
    prefix = f"{table}: ['"
    return [row.removeprefix(prefix).partition("'")[0] for row in rows if row.startswith(prefix)]


def _check_recovery(site: Site, scene: _Scene) -> None:
    _succeed(children.run(site.recovery()))
    _expect(site.state(), scene.states, "after recovery the state is between two steps")
    _expect_tidy(site, with_backups=False)


def _finish_run(site: Site, scene: _Scene) -> None:
    _succeed(site.run(*scene.arguments))
    _expect(site.state(history=True), [scene.end], "the end differs from an undisturbed run's")
    _expect_tidy(site)


def _failure(output: Output) -> dict:
    """Return what a command that met an error says, which must be one explanation."""
    said = output.out + output.err
    if output.code not in (0, 1) or "Traceback" in said or "Internal error" in said:
        raise Wrong(f"it ended with {output.code}: {said}")
    if not output.out and "The output cannot be written" in output.err:
        raise Missed
    document = json.loads(output.out)
    if output.code == 1 and not document["error"]["message"]:
        raise Wrong(f"it failed without an explanation: {said}")
    return document


def _succeed(output: Output) -> None:
    if output.code != 0:
        raise Wrong(f"a command failed with {output.code}: {output.out}{output.err}")


def _expect(state: State, legal: list[State], otherwise: str) -> None:
    if state not in legal:
        nearest = min((difference(one, state) for one in legal), key=len)
        raise Wrong(f"{otherwise}:\n{nearest}")


def _expect_tidy(site: Site, with_backups: bool = True) -> None:
    left = leftovers(site.claude, with_backups, ways_back_in(site.database))
    if left:
        raise Wrong(f"left behind in the bookkeeping folder: {left}")


def _do(job: dict) -> dict:
    kind = job.pop("kind")
    try:
        return _JOBS[kind](**job)
    except Missed:
        return {"missed": 1}
    except Wrong as wrong:
        return {"wrong": str(wrong)}
    except Exception:
        return {"wrong": traceback.format_exc()}


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(_do(json.loads(line))), flush=True)
