"""Moving, exchanging and removing files on Windows; what each promises is in :mod:`.posix_moving`.

Windows refuses to move, replace or remove what another program has open, unless that program allows
it. A virus scanner or an indexer has many a new file open for some tenths of a second. So each call
here waits a bounded time for that, and ends with EBUSY after it.
"""

from __future__ import annotations

import os
import stat
import sys

assert sys.platform == "win32"  # what follows is for Windows, as the type checker learns by this

from .windows import is_link, patiently

# https://learn.microsoft.com/windows/win32/api/winbase/nf-winbase-movefileexw
_REPLACE_EXISTING, _WRITE_THROUGH = 1, 8
_IGNORE_MERGE_ERRORS, _IGNORE_ACL_ERRORS = 2, 4
# Beside the first of two that change places, until both have.
_OLD = ".old"


def replace(source: str, target: str) -> None:
    """Move ``source`` to ``target``, in whose place it comes in one instant."""
    _move(source, target, _REPLACE_EXISTING | _WRITE_THROUGH)


def rename(source: str, target: str) -> None:
    """Move ``source`` to ``target``, where nothing stands."""
    _move(source, target, _WRITE_THROUGH)


def place(new: str, path: str) -> bool:
    """See :mod:`.posix_moving`; every rename is one here."""
    rename(new, path)
    return True


def _move(source: str, target: str, flags: int) -> None:
    # Not `os.replace`: MOVEFILE_WRITE_THROUGH returns when the rename is on the disk.
    _call("MoveFileExW", source, target, source, target, flags)


def exchange(one: str, other: str) -> bool:
    """See :mod:`.posix_moving`; here it takes two renames, and a third.

    ReplaceFileW gives the new file what the old one had: access list, owner, streams, time of
    making. It moves the old one aside first, so for an instant, and after a kill in it until the
    next command, there is none at ``other``: :func:`finish_exchange` puts it back.
    """
    if _is_reparse_point(one) or _is_reparse_point(other):
        return False  # it would replace what the link leads to
    flags = _IGNORE_MERGE_ERRORS | _IGNORE_ACL_ERRORS
    _make_writable(other)
    try:
        _call("ReplaceFileW", one, other, other, one, one + _OLD, flags, None, None)
    except OSError:
        if is_mid_exchange(one):  # ERROR_UNABLE_TO_MOVE_REPLACEMENT_2
            finish_exchange(one, other)
        raise
    finish_exchange(one, other)
    return True


def is_mid_exchange(one: str) -> bool:
    """See :mod:`.posix_moving`."""
    return os.path.lexists(one + _OLD)


def finish_exchange(one: str, other: str) -> None:
    """See :mod:`.posix_moving`."""
    old = one + _OLD
    if os.path.lexists(one) and not os.path.lexists(other):
        rename(old, other)  # it had only begun
    else:
        replace(old, one)


def _is_reparse_point(path: str) -> bool:
    return bool(os.lstat(path).st_file_attributes & stat.FILE_ATTRIBUTE_REPARSE_POINT)


def remove(path: str) -> None:
    """Remove a file, or a link to a file or folder."""

    def act() -> None:
        try:
            os.unlink(path)
        except PermissionError:
            if not _make_writable(path):
                raise
            os.unlink(path)

    patiently(act, path)


def remove_folder(path: str) -> None:
    """Remove an empty folder."""
    patiently(lambda: os.rmdir(path), path)


def _make_writable(path: str) -> bool:
    """Take the attribute away that forbids even to remove a file; return whether it had it."""
    is_read_only = bool(os.lstat(path).st_file_attributes & stat.FILE_ATTRIBUTE_READONLY)
    if is_read_only:
        os.chmod(path, stat.S_IWRITE)
    return is_read_only


def discard(path: str) -> None:
    """See :mod:`.posix_moving`."""
    if not os.path.lexists(path):
        return
    folders = [_of_any_length(path)]
    for folder in folders:
        with os.scandir(folder) as listing:
            for entry in listing:
                if entry.is_dir(follow_symlinks=False) and not is_link(entry):
                    folders.append(entry.path)
                else:
                    remove(entry.path)
    for folder in reversed(folders):
        _make_writable(folder)
        remove_folder(folder)


def _of_any_length(path: str) -> str:
    """Return a path as Windows takes it also if it is longer than 260 characters."""
    path = os.path.abspath(path)
    return path if path.startswith("\\\\") else "\\\\?\\" + path


def copy_attributes(source: str, target: str) -> None:
    """Return: see :func:`exchange`."""


def _call(function: str, source: str, target: str, *arguments: object) -> None:
    """Call a function of Windows that moves ``source`` to ``target``, as `os.rename` would."""
    import ctypes

    sys.audit("os.rename", source, target, -1, -1)
    kernel = ctypes.WinDLL("kernel32", use_last_error=True)

    def act() -> None:
        if getattr(kernel, function)(*arguments):
            return
        number = ctypes.get_last_error()
        # Named first is the one that people know: the other lies in a folder of ours.
        raise OSError(None, ctypes.FormatError(number).strip(), target, number, source)

    def act_on_read_only() -> None:
        try:
            act()
        except PermissionError:
            if not (os.path.lexists(target) and _make_writable(target)):
                raise
            act()

    held = target if os.path.lexists(target) else source
    patiently(act_on_read_only, held)
