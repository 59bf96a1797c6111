"""Copying files of which there may be many."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from ..plain_file import size_of
from ..platform import system
from ..values import NamedTuple
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
# From this size on the free space is looked at before a file is copied, and this much is left free.
_WORTH_A_LOOK = 1 << 20
_SPARE = 16 << 20


class Original(NamedTuple):
    """A file that is open to be copied; ``first`` is its beginning, by which it is known.

    Of an empty one nothing is read, nor of what only says that it is, as files in ``/proc`` do.
    """

    path: str
    descriptor: int
    status: os.stat_result
    first: bytes


@contextmanager
def original(path: str) -> Iterator[Original]:
    """Open a file to look at it, and perhaps to copy it.

    Raises:
        OSError: it cannot be read.
    """
    descriptor = system.open_to_read(path)
    try:
        status = os.fstat(descriptor)
        is_empty = not status.st_size or not stat.S_ISREG(status.st_mode)
        yield Original(path, descriptor, status, b"" if is_empty else os.read(descriptor, CHUNK))
    finally:
        os.close(descriptor)


def copy_open(file: Original, target: str) -> tuple[str, os.stat_result]:
    """Copy an open file to the new file ``target``, its mode and times included.

    With few system calls, for a tree has many small files.

    Returns:
        The content's SHA-256 in hex, and the status of ``target``.

    Raises:
        FileExistsError: something stands at ``target``.
        OSError: it is too large, or the disk is full or broken; ``strerror`` says which.
    """
    status = file.status
    _require_copyable(file, os.path.dirname(target))
    copy = system.open_new(target, stat.S_IMODE(status.st_mode))
    try:
        digest = hashlib.sha256(file.first)
        # The end is where it was; a file that grew meanwhile is another by its status.
        if len(file.first) == status.st_size:
            _write(copy, file.first)
        else:
            digest = _copy_all(file, copy)
    except BaseException:
        os.close(copy)
        raise
    return digest.hexdigest(), system.close_like(copy, target, status)


def _copy_all(file: Original, copy: int) -> hashlib._Hash:
    """Copy a file whose beginning was read, and return its hash.

    Its holes, which take no room, stay holes.
    """
    has_holes = system.allocated(file.status) < file.status.st_size
    digest = hashlib.sha256()
    size = 0
    chunk = file.first
    while chunk:
        if has_holes and chunk.count(0) == len(chunk):
            os.lseek(copy, len(chunk), os.SEEK_CUR)
        else:
            _write(copy, chunk)
        digest.update(chunk)
        size += len(chunk)
        chunk = os.read(file.descriptor, CHUNK)
    if has_holes:
        os.ftruncate(copy, size)
    return digest


def _require_copyable(file: Original, folder: str) -> None:
    """Refuse what is no file any more, takes too long to copy, or more room than ``folder`` has."""
    if not stat.S_ISREG(file.status.st_mode):
        raise OSError(errno.EBUSY, "it was replaced while it was being copied", file.path)
    size = file.status.st_size
    if size > _LARGEST_COPIED:
        raise OSError(
            errno.EFBIG, f"a file has {size_of(size)}, over {size_of(_LARGEST_COPIED)}", file.path
        )
    require_room("a file", file.path, min(size, system.allocated(file.status)), folder)


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
