"""What stands at a path: the value that staging, redo log, publish and recovery compare."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
from contextlib import suppress
from operator import attrgetter

from .disposable import is_disposable
from .values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO

# Enough for most files of a tree, and little to allocate for each.
CHUNK = 1 << 16
_PIECE = 1 << 20
# Some file systems count time in ticks of up to 10 ms: within one, a changed file can look
# unchanged. git calls such an entry "racily clean" and reads it; so do we.
RACY_NS = 50_000_000

Signature = tuple[int, int, int, int, int]
# Tells, without reading it, that a file or folder is another than it was. In C, because a scan
# of a large state asks it of every file.
signature_of: Callable[[os.stat_result], Signature] = attrgetter(
    "st_ino", "st_size", "st_mtime_ns", "st_ctime_ns", "st_mode"
)


class Node(NamedTuple):
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


def nodes_as_json(before: Node | None, after: Node | None) -> dict[str, object]:
    """Return what stood somewhere before and after, as the keys of a JSON document."""
    return {"before": before and before._asdict(), "after": after and after._asdict()}


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
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def signatures_in(folder: str) -> dict[str, Signature]:
    """Return the signature of everything in a folder by name; of links, not what they lead to."""
    # Through a descriptor, which spares the kernel the way to every single file.
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with os.scandir(descriptor) as listing:
            return {
                entry.name: signature_of(entry.stat(follow_symlinks=False)) for entry in listing
            }
    finally:
        os.close(descriptor)


def open_plainly(path: str) -> int:
    """Return a descriptor to read ``path``, where somebody may put a pipe in the file's place."""
    return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)


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
    mode = stat.S_IMODE(status.st_mode)
    copy = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        _write(copy, first)
        digest = hashlib.sha256(first)
        # The end is where it was; a file that grew meanwhile is another by its status.
        if len(first) != status.st_size:
            while chunk := os.read(original, CHUNK):
                _write(copy, chunk)
                digest.update(chunk)
        os.utime(copy, ns=(status.st_atime_ns, status.st_mtime_ns))
        copied = os.fstat(copy)
        if stat.S_IMODE(copied.st_mode) != mode:  # the umask
            os.fchmod(copy, mode)
            copied = os.fstat(copy)
    finally:
        os.close(copy)
    return digest.hexdigest(), copied


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
            while size := os.copy_file_range(file.fileno(), copy.fileno(), _PIECE):
                if not is_disposable(target):
                    _start_sync(copy.fileno(), copy.tell() - size, size)
        except (AttributeError, OSError):  # macOS lacks the call, and some file systems refuse it
            file.seek(0)
            copy.truncate(0)
            copy.seek(0)
            shutil.copyfileobj(file, copy, CHUNK)
            start_sync(target)


def sync_file(path: str) -> None:
    """Bring a file's content to the disk."""
    _with_descriptor(path, os.O_RDONLY, os.fsync)


def start_sync(path: str) -> None:
    """Let the system begin to write a file, so that :func:`sync_file` waits for less."""
    _with_descriptor(path, os.O_RDONLY, _start_sync)


def _start_sync(descriptor: int, start: int = 0, size: int = 0) -> None:
    # Linux writes what is dirty of a file before it can forget the rest. Elsewhere nothing is lost.
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(descriptor, start, size, os.POSIX_FADV_DONTNEED)


def sync_folder(path: str) -> None:
    """Bring a folder's entries to the disk: without it a rename can be lost with the power."""
    _with_descriptor(path, os.O_RDONLY | os.O_DIRECTORY, os.fsync)


def sync_open(file: IO[bytes] | IO[str], path: str) -> None:
    """Bring to the disk what was written to ``file``, which is open at ``path``."""
    file.flush()
    if not is_disposable(path):
        os.fsync(file.fileno())


def _with_descriptor(path: str, flags: int, act: Callable[[int], None]) -> None:
    """Open a file or folder and act on it, unless it is thrown away anyway."""
    if is_disposable(path):
        return
    descriptor = os.open(path, flags | os.O_CLOEXEC)
    try:
        act(descriptor)
    finally:
        os.close(descriptor)


def set_mode(path: str, mode: int) -> None:
    """Give a file or folder its permission bits, and bring them to the disk.

    Raises:
        OSError: it is gone, a link, or not this user's.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags)
    except PermissionError:  # its present mode forbids even its owner to open it
        os.chmod(path, mode | stat.S_IRUSR)
        descriptor = os.open(path, flags)
    try:
        os.fchmod(descriptor, mode)
        if not is_disposable(path):
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

    with suppress(OSError):
        _remove_folder(path)
    if os.path.lexists(path):
        shutil.rmtree(path, onerror=unlock)


def _remove_folder(path: str) -> None:
    """Remove a folder that poses no difficulties, in two thirds of the time `shutil` takes."""
    folders = []
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        with os.scandir(descriptor) as listing:
            entries = list(listing)
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.name)
            else:
                os.unlink(entry.name, dir_fd=descriptor)
    finally:
        os.close(descriptor)
    for name in folders:
        _remove_folder(path + "/" + name)
    os.rmdir(path)
