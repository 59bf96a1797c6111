"""The run lock: one writing command per project at a time.

An SQLite file held with ``BEGIN EXCLUSIVE``: the kernel frees it when the process dies, however it
dies, so it can never be stale. Who holds it stands in a plain file beside it.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ..errors import Busy, StateUnreadable
from ..plain_file import read_plain
from ..workspace import Workspace
from . import bookkeeping, sqlite

_POLL_SECONDS = 0.05
# Bytes that what stands in the file beside the lock may have.
_LONGEST_HOLDER = 400


@contextmanager
def run_lock(workspace: Workspace, command: str, timeout: float) -> Iterator[None]:
    """Hold the project's run lock within this block.

    Parameters:
        workspace: whose lock.
        command: what is running, told to whoever waits.
        timeout: seconds to wait for another holder.

    Raises:
        Busy: another process held it all that time; names pid, command and start.
        StateUnreadable: our folder cannot be written, or the lock's journal is not SQLite's own.
    """
    bookkeeping.prepare(workspace)
    path = os.path.join(workspace.bookkeeping, "lock.db")
    connection = _acquire(path, timeout)
    try:
        _write_holder(path, command)
        yield
    finally:
        for left in (_holder_path(path), _holder_path(path) + ".part"):
            with suppress(OSError):
                os.unlink(left)
        connection.close()


def _acquire(path: str, timeout: float) -> sqlite3.Connection:
    connection = sqlite.connect(path, sqlite3.Connection, timeout=0)
    deadline = time.monotonic() + timeout
    try:
        while True:
            try:
                connection.execute("BEGIN EXCLUSIVE")
                return connection
            except sqlite3.Error as error:
                if not sqlite.is_busy(error):
                    if not sqlite.is_damage(error):
                        raise sqlite.unreadable(path, error) from error
                    raise unusable(path, error) from error
                if time.monotonic() >= deadline:
                    raise _already_running(path) from None
            # Short naps rather than SQLite's own wait, which would not notice Ctrl-C.
            time.sleep(_POLL_SECONDS)
    except BaseException:
        connection.close()
        raise


def _holder_path(path: str) -> str:
    return os.path.splitext(path)[0] + ".txt"


def _write_holder(path: str, command: str) -> None:
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
    # A sentence rather than JSON, whose module costs 2 ms: only people read it.
    holder = f"{command} (pid {os.getpid()} on {os.uname().nodename}, since {since} UTC)"
    # Only the lock's holder writes here, so one name will do, and a killed one leaves no second.
    part = _holder_path(path) + ".part"
    try:
        with open(part, "w", encoding="utf-8", errors="replace") as file:
            file.write(holder)
        os.replace(part, _holder_path(path))
    except OSError as error:
        raise bookkeeping.unwritable(part, error) from None


def unusable(path: str, error: sqlite3.Error) -> StateUnreadable:
    """Return the error for a run lock that is no database any more."""
    return StateUnreadable(
        f"The run lock cannot be used: {error}",
        file=path,
        hint="If no plugin-migrate is running, delete this file: it holds nothing.",
    )


def holder(path: str) -> str:
    """Return who holds the lock at ``path``, as it is noted beside it; empty when nobody is."""
    try:
        return " ".join(read_plain(_holder_path(path), _LONGEST_HOLDER).decode().split())
    except (OSError, ValueError):
        return ""


def _already_running(path: str) -> Busy:
    who = holder(path) or "it has only just started"
    return Busy(
        f"plugin-migrate is already running in this project: {who}",
        hint="Wait for it to end, then try again; a process that died frees the lock by itself.",
    )
