"""Linux and macOS; the same for Windows is in :mod:`.windows`."""

from __future__ import annotations

import errno
import os
import stat
import sys
from contextlib import suppress
from operator import attrgetter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO

assert sys.platform != "win32"  # what follows is for the others, as the type checker learns by this

Signature = tuple[int, int, int, int, int]

STOPPING = ("SIGINT", "SIGTERM", "SIGHUP")
"""The signals that ask a program to end."""

MANAGED_SETTINGS = (
    "/Library/Application Support/ClaudeCode" if sys.platform == "darwin" else "/etc/claude-code"
)
"""Where an organization puts settings of the client that nobody on the machine can override."""

SYNCS_ONLY_TO_DRIVE = sys.platform == "darwin"
"""Whether ``fsync`` leaves what it wrote in the drive's own memory (fsync(2) of macOS)."""

ESCAPE = "\\"
"""What stands before a blank or a quote that is meant; nothing where it separates folders."""
RELAYS = True
"""Whether what is printed to a terminal can go through a pipe of ours first."""

# --- paths ---------------------------------------------------------------------------------------


def is_inside(path: str, folder: str) -> bool:
    """Return whether ``path`` is ``folder`` or lies below it; both absolute and resolved."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def leads_elsewhere(path: str) -> bool:
    """Return whether an absolute path goes through a link, or is one."""
    return os.path.realpath(path) != path


def slashed(path: str) -> str:
    """Return a path as it is shown and kept: with ``/``, whatever the system writes."""
    return path


def native(path: str) -> str:
    """Return a path that was written with ``/`` as the system writes it."""
    return path


def unusable_part(path: str) -> str | None:
    """Return the part of a path that no file of this system has as its name, if there is one."""
    return None


def from_shell(path: str) -> str:
    """Return a path that a shell may have written in a way of its own, as the system has it."""
    return path


def mirror(source: str, target: str) -> None:
    """Let ``target`` be another way to the file or folder ``source``, for who only reads."""
    os.symlink(source, target)


def reason_of(error: Exception) -> str:
    """Return what is wrong; what the system refused, in C's words, which every system shares."""
    return getattr(error, "strerror", None) or str(error)


def is_link(entry: os.DirEntry[str]) -> bool:
    """Return whether what a listing holds only leads to something."""
    return entry.is_symlink()


# --- opening and looking -------------------------------------------------------------------------


def open_to_read(path: str) -> int:
    """Return a descriptor to read ``path``, where somebody may put a pipe in the file's place."""
    # O_NONBLOCK: opening a named pipe must not hang a session; plain files ignore it.
    return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)


def open_unfollowed(path: str) -> int:
    """Do the same, but refuse a link.

    Raises:
        OSError: it is one, or cannot be opened.
    """
    return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)


def open_new(path: str, mode: int) -> int:
    """Return a descriptor to write the new file ``path``.

    Raises:
        FileExistsError: something stands there.
    """
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)


def open_private(path: str) -> int:
    """Return a descriptor to write ``path``, emptied, which only this user may read."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)


def read_at(descriptor: int, size: int, offset: int) -> bytes:
    """Return at most ``size`` bytes of an open file from ``offset`` on."""
    return os.pread(descriptor, size, offset)


def permissions(status: os.stat_result) -> int:
    """Return the bits of a mode that a migration can set, and that are compared."""
    return stat.S_IMODE(status.st_mode)


def changed_ns(status: os.stat_result) -> int:
    """Return when something was changed last, in nanoseconds; nobody can set that time."""
    return status.st_ctime_ns


def allocated(status: os.stat_result) -> int:
    """Return how many bytes a file takes; less than its size if it has holes."""
    return status.st_blocks * 512


# Tells, without reading it, that a file or folder is another than it was. In C, because a scan
# of a large state asks it of every file.
signature_of: Callable[[os.stat_result], Signature] = attrgetter(
    "st_ino", "st_size", "st_mtime_ns", "st_ctime_ns", "st_mode"
)


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


def identity(path: str) -> tuple[int, int]:
    """Return what no copy of a file has in common with it, and nobody can set."""
    status = os.lstat(path)
    return status.st_ino, status.st_ctime_ns


def noted_by_git(status: os.stat_result) -> tuple[int, int]:
    """Return device and inode as git's index has them (https://git-scm.com/docs/index-format)."""
    return status.st_dev & 0xFFFFFFFF, status.st_ino & 0xFFFFFFFF


def copy_range(source: int, target: int, size: int) -> int:
    """Copy at most ``size`` bytes between open files, sharing blocks where the file system can.

    Returns:
        How many were copied; 0 at the end.

    Raises:
        OSError: that is not possible here.
    """
    if not hasattr(os, "copy_file_range"):  # macOS
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    return os.copy_file_range(source, target, size)


def free_space(folder: str) -> int:
    """Return how many bytes this user may still write where ``folder`` is."""
    volume = os.statvfs(folder)
    return volume.f_bavail * volume.f_frsize


# --- bringing to the disk ------------------------------------------------------------------------


def sync_file(path: str) -> None:
    """Bring a file's content to the disk; for a folder see :func:`sync_folder`."""
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


def begin_sync(descriptor: int, start: int = 0, size: int = 0) -> None:
    """Let the system begin to write a part of an open file; all of it without ``size``."""
    # Linux writes what is dirty of a file before it can forget the rest. Elsewhere nothing is lost.
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(descriptor, start, size, os.POSIX_FADV_DONTNEED)


# --- modes, owners and attributes ----------------------------------------------------------------


def close_like(copy: int, target: str, original: os.stat_result) -> os.stat_result:
    """Give an open copy the times and the mode of its original, and close it.

    Parameters:
        copy: its descriptor, open for writing.
        target: where it stands.

    Returns:
        Its status after that.
    """
    try:
        os.utime(copy, ns=(original.st_atime_ns, original.st_mtime_ns))
        copied = os.fstat(copy)
        if stat.S_IMODE(copied.st_mode) != stat.S_IMODE(original.st_mode):  # the umask
            os.fchmod(copy, stat.S_IMODE(original.st_mode))
            copied = os.fstat(copy)
        return copied
    finally:
        os.close(copy)


def set_open_mode(descriptor: int, mode: int) -> None:
    """Give an open file its permission bits."""
    os.fchmod(descriptor, mode)


def set_mode(path: str, mode: int, is_synced: bool) -> None:
    """Give a file or folder its permission bits, and bring them to the disk if wanted.

    Raises:
        OSError: it is gone, a link, or not this user's.
    """
    try:
        descriptor = open_unfollowed(path)
    except PermissionError:  # its present mode forbids even its owner to open it
        os.chmod(path, mode | stat.S_IRUSR)
        descriptor = open_unfollowed(path)
    try:
        os.fchmod(descriptor, mode)
        if is_synced:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def may_set_mode(path: str) -> bool:
    """Return whether this user may change the mode of what stands at ``path``."""
    return os.geteuid() in (0, os.stat(path).st_uid)


def keep_owner(descriptor: int, target: str) -> None:
    """Give the open new file the owner of the one that it replaces, as far as this user may."""
    with suppress(OSError):
        status = os.stat(target)
        own = os.fstat(descriptor)
        if (status.st_uid, status.st_gid) != (own.st_uid, own.st_gid):
            os.fchown(descriptor, status.st_uid, status.st_gid)


def is_own(status: os.stat_result) -> bool:
    """Return whether something belongs to the user who runs this."""
    return status.st_uid == os.geteuid()


def is_private(status: os.stat_result) -> bool:
    """Return whether a folder is this user's, and nobody else may write to it."""
    return stat.S_ISDIR(status.st_mode) and is_own(status) and not status.st_mode & 0o022


def owner_of(status: os.stat_result) -> str:
    """Return the name of the user to whom something belongs."""
    try:
        import pwd

        return pwd.getpwuid(status.st_uid).pw_name
    except (ImportError, KeyError):
        return f"the user {status.st_uid}"


def user_name() -> str:
    """Return the name of the user who runs this."""
    try:
        import pwd

        return pwd.getpwuid(os.getuid()).pw_name
    except (ImportError, KeyError):
        # A container often runs as a number without a name.
        return str(os.getuid())


def host_name() -> str:
    """Return the name of this machine."""
    return os.uname().nodename


# --- consoles ------------------------------------------------------------------------------------


def shows_colors(terminal: IO[str]) -> bool:
    """Return whether a terminal knows the escape sequences that colour text."""
    return True


# --- processes -----------------------------------------------------------------------------------


def lock(descriptor: int, waits: bool = True) -> None:
    """Hold an open file alone until it is closed.

    Raises:
        BlockingIOError: another process holds it, and ``waits`` is false.
        OSError: the file system has no locks.
    """
    import fcntl

    fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if waits else fcntl.LOCK_NB))


def start_again(launcher: str, arguments: list[str]) -> None:
    """Replace this process by a new start; does not return.

    Parameters:
        launcher: the path of ``scripts/plugin-migrate``.
    """
    os.execv(launcher, [launcher, *arguments])  # noqa: S606 - which is a shell script


def program_names(name: str) -> tuple[str, ...]:
    """Return the names of the files that a program may be, in the order in which they count."""
    return (name,)


def interpreter_of(environment: str) -> str:
    """Return the Python of a virtual environment."""
    return f"{environment}/bin/python"


def packages_of(environment: str) -> str:
    """Return where a virtual environment keeps its packages."""
    version = "{}.{}".format(*sys.version_info)
    return f"{environment}/lib/python{version}/site-packages"
