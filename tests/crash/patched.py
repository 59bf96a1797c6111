"""Killing without strace: at Python's audit events and at each SQL statement.

Coarser than system calls: it cannot stop inside SQLite's commit, nor make a call fail.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from crash.children import Output, Work, run
from crash.strace import Point

_EVENTS = frozenset(
    "os.chmod os.chown os.link os.mkdir os.remove os.rename os.rmdir os.symlink os.truncate"
    " os.utime".split()
)
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


def points(work: Work, root: Path) -> list[Point]:
    """Do ``work`` undisturbed; return everything it could be killed at, in order."""
    with tempfile.NamedTemporaryFile("r") as log:
        descriptor = os.open(log.name, os.O_WRONLY | os.O_APPEND)

        def note(what: str) -> None:
            os.write(descriptor, what.replace("\n", " ").replace(str(root), "").encode() + b"\n")

        done = run(_watched(work, note))
        os.close(descriptor)
        assert done.code == 0, done.err
        return [("event", number, what) for number, what in enumerate(log.read().splitlines(), 1)]


def kill(work: Work, point: Point) -> Output:
    """Do ``work`` until ``point``, where it dies of SIGKILL."""
    left = point[1]

    def count(what: str) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return run(_watched(work, count))


def _watched(work: Work, tick: Callable[[str], None]) -> Work:
    def watched() -> int:
        sys.addaudithook(lambda event, arguments: _look(event, arguments, tick))
        _watch_statements(tick)
        _watch_syncs(tick)
        return work()

    return watched


def _look(event: str, arguments: tuple[object, ...], tick: Callable[[str], None]) -> None:
    is_opened = event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITING
    if event in _EVENTS or is_opened:
        tick(f"{event} {arguments[0]!r}")


def _watch_statements(tick: Callable[[str], None]) -> None:
    connect = sqlite3.connect

    def watched(*arguments, **options):
        connection = connect(*arguments, **options)
        connection.set_trace_callback(tick)
        return connection

    sqlite3.connect = watched


def _watch_syncs(tick: Callable[[str], None]) -> None:
    fsync = os.fsync

    def watched(descriptor):
        tick("fsync")
        fsync(descriptor)

    os.fsync = watched
