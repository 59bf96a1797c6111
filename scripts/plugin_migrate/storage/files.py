"""Copying files of which there may be many, and removing whole folders."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat

from ..plain_file import size_of
from ..platform import system
from .durable import is_disposable, start_sync

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO


# Enough for most files of a tree, and little to allocate for each.
CHUNK = 1 << 16
_PIECE = 1 << 20
# What is larger is data for a database, or a mistake: a state is copied for every step of code, and
# to hash this much takes some ten seconds.
_LARGEST_COPIED = 4 << 30
_MOST_LINKED = 10_000
_LARGEST_LINKED = 1 << 30
# From this size on the free space is looked at before a file is copied, and this much is left free.
_WORTH_A_LOOK = 1 << 20
_SPARE = 16 << 20


def copy_open(
    original: int, status: os.stat_result, first: bytes, target: str
) -> tuple[str, os.stat_result]:
    """Copy an open file to the new file ``target``, its mode and times included.

    With few system calls, for a tree has many small files.

    Parameters:
        original: the file's descriptor.
        status: what it was when opened.
        first: what was read of it already, to see what it is.

    Returns:
        The content's SHA-256 in hex, and the status of ``target``.

    Raises:
        FileExistsError: something stands at ``target``.
        OSError: the disk is full or broken.
    """
    copy = system.open_new(target, stat.S_IMODE(status.st_mode))
    try:
        digest = hashlib.sha256(first)
        # The end is where it was; a file that grew meanwhile is another by its status.
        if len(first) == status.st_size:
            _write(copy, first)
        else:
            digest = _copy_all(original, status, first, copy)
    except BaseException:
        os.close(copy)
        raise
    return digest.hexdigest(), system.close_like(copy, target, status)


def read_beginning(original: int, status: os.stat_result) -> bytes:
    """Return the first bytes of an open file, by which it is known; of an empty one none.

    So nothing is read of what only says that it is empty, as files in ``/proc`` do.
    """
    return os.read(original, CHUNK) if status.st_size else b""


def _copy_all(original: int, status: os.stat_result, first: bytes, copy: int) -> hashlib._Hash:
    """Copy a file whose beginning was read, and return its hash.

    Its holes, which take no room, stay holes.
    """
    has_holes = system.allocated(status) < status.st_size
    digest = hashlib.sha256()
    size = 0
    chunk = first
    while chunk:
        if has_holes and chunk.count(0) == len(chunk):
            os.lseek(copy, len(chunk), os.SEEK_CUR)
        else:
            _write(copy, chunk)
        digest.update(chunk)
        size += len(chunk)
        chunk = os.read(original, CHUNK)
    if has_holes:
        os.ftruncate(copy, size)
    return digest


def require_copyable(path: str, status: os.stat_result, folder: str) -> None:
    """Refuse a file that would take too long to copy, or more room than there is.

    Parameters:
        path: the file, for the error.
        status: what it is.
        folder: where the copy would stand.

    Raises:
        OSError: it is too large; ``strerror`` has the sizes.
    """
    if status.st_size > _LARGEST_COPIED:
        raise OSError(
            errno.EFBIG,
            f"a file has {size_of(status.st_size)}, over {size_of(_LARGEST_COPIED)}",
            path,
        )
    require_room("a file", path, min(status.st_size, system.allocated(status)), folder)


def require_room(what: str, path: str, needed: int, folder: str) -> None:
    """Refuse to begin a copy for which there is no room.

    Parameters:
        what: is copied, for the error.
        path: of the original, for the error.
        needed: bytes of the copy.
        folder: where the copy would stand.

    Raises:
        OSError: there is less than that and a reserve; ``strerror`` has the sizes.
    """
    if needed < _WORTH_A_LOOK:
        return
    free = system.free_space(folder)
    if free < needed + _SPARE:
        raise OSError(
            errno.ENOSPC,
            f"{what} needs {size_of(needed)}, and {size_of(free)} are free",
            path,
        )


class LinkAllowance:
    """How much one copy of a state may hold of what links bring in: a link can lead to ``/usr``."""

    def __init__(self) -> None:
        self._entries = 0
        self._bytes = 0

    def take(self, path: str, size: int = 0) -> None:
        """Count one more file or folder.

        Parameters:
            path: what is about to be copied, for the error.
            size: bytes of its content.

        Raises:
            OSError: that makes too much; ``strerror`` has the sizes.
        """
        self._entries += 1
        self._bytes += size
        if self._entries > _MOST_LINKED or self._bytes > _LARGEST_LINKED:
            raise OSError(
                errno.EFBIG,
                f"links lead to more than is copied, over {_MOST_LINKED:,} files or"
                f" {size_of(_LARGEST_LINKED)}",
                path,
            )


def _write(descriptor: int, content: bytes) -> None:
    """Write everything: on a disk that fills up the kernel takes a part before it refuses."""
    written = os.write(descriptor, content)
    while written < len(content):
        written += os.write(descriptor, memoryview(content)[written:])


def copy_content(file: IO[bytes], target: str) -> None:
    """Copy an open file's content to ``target``, sharing its blocks where the file system can.

    The system begins to write while there is more to copy.
    """
    with open(target, "wb", buffering=0) as copy:
        try:
            while size := system.copy_range(file.fileno(), copy.fileno(), _PIECE):
                if not is_disposable(target):
                    system.begin_sync(copy.fileno(), copy.tell() - size, size)
        except OSError:  # not every system has the call, and some file systems refuse it
            file.seek(0)
            copy.truncate(0)
            copy.seek(0)
            shutil.copyfileobj(file, copy, CHUNK)
            start_sync(target)
