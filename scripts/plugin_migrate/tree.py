"""What stands at a path: the value that staging, redo log, publish and recovery compare."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Node:
    """A file, folder or link as far as a migration can change it.

    ``kind`` is ``file``, ``dir``, ``link`` or ``other`` (a pipe, a socket, a device). ``mode``
    holds the permission bits; ``sha256`` and ``size`` describe a file's content. ``link`` is the
    link's text: for ``link`` the thing itself, for ``file`` the link through which it is reached.
    """

    kind: str
    mode: int = 0
    sha256: str | None = None
    size: int = 0
    link: str | None = None


def observe(path: str, through_links: bool = True) -> Node | None:
    """Return what stands at ``path`` now, or ``None``.

    Parameters:
        path: absolute.
        through_links: describe the file a link leads to, rather than the link.

    Raises:
        OSError: something stands there but cannot be read.
    """
    try:
        status = os.lstat(path)
        link = os.readlink(path) if stat.S_ISLNK(status.st_mode) else None
        if link is not None:
            if not through_links or not os.path.isfile(path):
                return Node("link", link=link)
            status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:  # below a link that leads to itself
            return None
        raise
    mode = stat.S_IMODE(status.st_mode)
    if stat.S_ISDIR(status.st_mode):
        return Node("dir", mode)
    if stat.S_ISREG(status.st_mode):
        return Node("file", mode, digest_of(path), status.st_size, link)
    return Node("other", mode)


def digest_of(path: str) -> str:
    """Return the SHA-256 of a file's content in hex, reading it in pieces."""
    with open(path, "rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_file(path: str) -> None:
    """Bring a file's content to the disk."""
    _sync(path, os.O_RDONLY)


def sync_folder(path: str) -> None:
    """Bring a folder's entries to the disk: without it a rename can be lost with the power."""
    _sync(path, os.O_RDONLY | os.O_DIRECTORY)


def _sync(path: str, flags: int) -> None:
    descriptor = os.open(path, flags | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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


def discard(path: str) -> None:
    """Remove a folder of ours with all it holds, also below folders without write permission."""

    def unlock(_function: object, failed: str, _error: object) -> None:
        os.chmod(os.path.dirname(failed), 0o700)
        if os.path.isdir(failed) and not os.path.islink(failed):
            os.chmod(failed, 0o700)
            shutil.rmtree(failed, onerror=unlock)
        elif os.path.lexists(failed):
            os.unlink(failed)

    if os.path.lexists(path):
        shutil.rmtree(path, onerror=unlock)
