"""What Python and SQLite raise over the state of others, as one of our own errors.

Whoever reads what others wrote raises typed errors there, with the file. What comes through all the
same (a disk that fails, a file of another user's in the middle of a recovery) becomes a sentence
here; what is left over is a bug, and called one.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import MigrateError, StateUnreadable
from ..platform import system

_PERMISSIONS = (errno.EACCES, errno.EPERM)
_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def state_errors() -> Iterator[None]:
    """Turn what state, disk and permissions can cause within this block into typed errors.

    Raises:
        MigrateError: in the place of such an error; anything else passes.
    """
    try:
        yield
    except MigrateError:
        raise
    except BrokenPipeError:  # about our own output
        raise
    except Exception as error:
        typed = as_typed(error)
        if typed is None:
            raise
        raise typed from error


@contextmanager
def explaining(
    what: str, hint: str = "Free some space or correct the permissions, then run the command again."
) -> Iterator[None]:
    """Say what could not be done when the system refuses something within this block.

    Parameters:
        what: the beginning of the message, before the system's reason.

    Raises:
        StateUnreadable: in the place of an `OSError`.
    """
    try:
        yield
    except OSError as error:
        why = system.reason_of(error)
        raise StateUnreadable(f"{what}: {why}", file=file_of(error), hint=hint) from error


def as_typed(error: Exception) -> MigrateError | None:
    """Return the typed error for what state, disk or permissions caused; ``None`` for a bug."""
    if isinstance(error, OSError):
        return of_system(error)
    if isinstance(error, RecursionError):
        return StateUnreadable(
            "Something in the state is nested too deep to be worked on",
            hint=_SHOW_WHERE + "\nIf it is a folder, name it under `exclude` in"
            " .claude/plugin-migrate.yaml.",
        )
    if isinstance(error, UnicodeError):
        return StateUnreadable(
            f"Something in the state is not the text it should be: {error.reason}"
            if isinstance(error, UnicodeDecodeError | UnicodeEncodeError)
            else "Something in the state is not the text it should be",
            hint=_SHOW_WHERE,
        )
    if isinstance(error, MemoryError):
        return StateUnreadable(
            "Something in the state needs more memory than there is", hint=_SHOW_WHERE
        )
    return _of_sqlite(error)


_SHOW_WHERE = "--verbose shows what was being read. Correct it, or put a backup in its place."


def of_system(error: OSError) -> StateUnreadable:
    """Return the error for a call that the system refused."""
    file = file_of(error)
    return StateUnreadable(
        f"The state cannot be read or written: {system.reason_of(error)}",
        file=file,
        hint=way_out(error, file),
    )


def file_of(error: OSError) -> str | None:
    """Return the path that the system refused something for; of a descriptor's nobody knows it."""
    if isinstance(error.filename, bytes):
        return os.fsdecode(error.filename)
    return error.filename if isinstance(error.filename, str) else None


def is_for_room(error: MigrateError) -> bool:
    """Return whether the disk that something was written to is full."""
    return isinstance(error.__cause__, OSError) and error.__cause__.errno in _ROOM


def way_out(error: OSError, file: str | None) -> str:
    """Return what to do about a call that the system refused."""
    if error.errno in _PERMISSIONS:
        return permission_hint(file)
    if error.errno in _ROOM:
        return "Free some space, then run the command again."
    if error.errno == errno.EBUSY:
        return "Close the program that has it open, then run the command again."
    if error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
        return "Move it away, or name its folder under `exclude` in .claude/plugin-migrate.yaml."
    return "Check the file and the disk, then run the command again."


def permission_hint(path: str | None) -> str:
    """Return the way out where this user may not do something; names the owner if another's."""
    owner = _owner(path) if path else None
    again = "then run the command again."
    if owner is None:
        return (
            "Correct its permissions and those of its folder (and attributes such as immutable, see"
            f" lsattr), {again}"
        )
    return (
        f"It belongs to {owner}, perhaps after a run with sudo: give it to the user who runs"
        f" this (chown), {again}"
    )


def _owner(path: str) -> str | None:
    """Return who owns what stands at ``path``, or the nearest folder above it, if not this user."""
    while True:
        try:
            status = os.lstat(path)
            break
        except OSError:
            above = os.path.dirname(path)
            if above == path:
                return None
            path = above
    return None if system.is_own(status) else system.owner_of(status)


def _of_sqlite(error: Exception) -> MigrateError | None:
    import sqlite3

    from ..storage import sqlite

    if not isinstance(error, sqlite3.DatabaseError) or not sqlite.is_environmental(error):
        return None
    return StateUnreadable(
        f"A database cannot be read or written: {error}",
        hint="Check the disk, permissions and free space, then run the command again.",
    )
