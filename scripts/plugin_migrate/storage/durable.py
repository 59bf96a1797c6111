"""Writing that outlasts a power cut, except in folders that are thrown away in the end.

A shadow copy is one: what runs in it is the real thing in everything but its syncs. The question
is asked of each path, not of the whole process, so that no sync of the live state can be left out.
"""

from __future__ import annotations

import os

from ..platform import system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO


def sync_file(path: str) -> None:
    """Bring a file's content to the disk."""
    if not is_disposable(path):
        system.sync_file(path)


def start_sync(path: str) -> None:
    """Let the system begin to write a file, so that :func:`sync_file` waits for less."""
    if is_disposable(path):
        return
    descriptor = system.open_to_read(path)
    try:
        system.begin_sync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: str) -> None:
    """Bring a folder's entries to the disk: without it a rename can be lost with the power."""
    if not is_disposable(path):
        system.sync_folder(path)


def sync_open(file: IO[bytes] | IO[str], path: str) -> None:
    """Bring to the disk what was written to ``file``, which is open at ``path``."""
    file.flush()
    if not is_disposable(path):
        os.fsync(file.fileno())


def write_atomically(path: str, text: str) -> None:
    """Write a file that stands there whole or not at all, whenever the power goes.

    A killed command leaves at most ``path`` with ``.part`` after it.

    Raises:
        OSError: it cannot be written.
    """
    from ..platform.moving import replace

    part = path + ".part"
    with open(part, "w", encoding="utf-8") as file:
        file.write(text)
        sync_open(file, part)
    replace(part, path)
    sync_folder(os.path.dirname(path))


def set_mode(path: str, mode: int) -> None:
    """Give a file or folder its permission bits, and bring them to the disk.

    Raises:
        OSError: it is gone, a link, or not this user's.
    """
    system.set_mode(path, mode, is_synced=not is_disposable(path))


def make_folder(path: str) -> None:
    """Create a folder and its parents, and bring every new one to the disk.

    Raises:
        OSError: it cannot be created.
    """
    if os.path.isdir(path):
        return
    parent = os.path.dirname(path)
    make_folder(parent)
    try:
        os.mkdir(path)
    except FileExistsError:
        return
    sync_folder(parent)


_folders: set[str] = set()


def declare_disposable(folder: str) -> None:
    """Say that ``folder``, a real path, will be thrown away with all it holds."""
    _folders.add(folder + os.sep)


def forget_disposable(folder: str) -> None:
    """Take :func:`declare_disposable` back: the folder is gone."""
    _folders.discard(folder + os.sep)


def is_disposable(path: str) -> bool:
    """Return whether ``path``, absolute, lies in such a folder."""
    return any(path.startswith(folder) for folder in _folders)
