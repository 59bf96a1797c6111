"""Runs commands, each to a point of its own, and kills them all at once.

``python victims.py JOBS RESULTS``: two files of JSON.

A start of Windows' Python under Wine takes seconds, and there is no fork. So one process runs many
commands, each on a project of its own in a thread of its own, one after the other. At its point a
thread stops for ever, in the middle of the call; when all have come to theirs, the process is
ended by TerminateProcess (elsewhere by SIGKILL). What they hold open, and SQLite's locks, are
what a single command would leave.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
sys.path.insert(0, str(SCRIPTS))

from plugin_migrate.cli.main import main as command_line  # noqa: E402
from plugin_migrate.operations import writing  # noqa: E402
from plugin_migrate.sandbox import file_watch  # noqa: E402
from plugin_migrate.sandbox.signals import Signals  # noqa: E402
from plugin_migrate.workspace import locate  # noqa: E402

_EVENTS = frozenset("os.link os.mkdir os.remove os.rename os.rmdir os.symlink os.utime".split())
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


@dataclass
class _Job:
    """A command; it stops at its ``left``-th point from now, or never."""

    left: int
    points: list[str] = field(default_factory=list)
    code: int | None = None
    done: threading.Event = field(default_factory=threading.Event)

    def tick(self, what: str) -> None:
        self.points.append(what)
        self.left -= 1
        if self.left == 0:
            self.done.set()
            threading.Event().wait()


class _Running(threading.local):
    job: _Job | None = None


_running = _Running()


def _tick(what: str) -> None:
    if _running.job is not None:
        _running.job.tick(what)


def _look(event: str, arguments: tuple[object, ...]) -> None:
    is_opened = event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITING
    if event in _EVENTS or is_opened:
        _tick(f"{event} {arguments[0]!r}")


def _watch() -> None:
    """Have every change that Python sees count, every statement, and every sync."""
    sys.addaudithook(_look)
    connect, fsync = sqlite3.connect, os.fsync

    def watched_connect(*arguments, **options):
        connection = connect(*arguments, **options)
        connection.set_trace_callback(_tick)
        return connection

    def watched_fsync(descriptor: int) -> None:
        _tick("fsync")
        fsync(descriptor)

    sqlite3.connect, os.fsync = watched_connect, watched_fsync
    # Signals are the main thread's; no job gets one.
    Signals.caught = lambda self: contextlib.nullcontext()


def _work(kind: str, root: str) -> int:
    if kind == "recover":
        writing.settle(locate(project=root, environment={}), "recover", "crash test", 10)
        return 0
    return command_line(["--project", root, *kind.split()])


def _run(job: _Job, kind: str, root: str) -> None:
    _running.job = job
    try:
        job.code = _work(kind, root)
    finally:
        _running.job = None
        job.done.set()


def run(kind: str, root: str, point: int) -> dict[str, object]:
    """Run a command in a thread until its end or its ``point``-th point; 0 is none."""
    job = _Job(point)
    threading.Thread(target=_run, args=(job, kind, root), daemon=True).start()
    if not job.done.wait(60):
        raise TimeoutError(f"{kind} in {root} waits for something; last {job.points[-1:]}")
    # What the thread would have put back.
    file_watch._Hook.watch = None
    os.chdir(SCRIPTS)
    sys.stdin = sys.__stdin__
    return {"points": job.points, "code": job.code}


def _main(jobs: str, results: str) -> None:
    _watch()
    end: Callable[[], None] = lambda: os.kill(os.getpid(), 9)  # noqa: E731
    try:
        found = [run(*job) for job in json.loads(Path(jobs).read_text(encoding="utf-8"))]
        Path(results).write_text(json.dumps(found), encoding="utf-8")
    except BaseException:
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
    end()


if __name__ == "__main__":
    _main(*sys.argv[1:])
