"""Windows; the same for Linux and macOS is in :mod:`.posix`, where the functions are described.

Nothing here needs ``ctypes`` to be imported but what says so: reading shall start fast.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO, TypeVar

    T = TypeVar("T")

assert sys.platform == "win32"  # what follows is for Windows, as the type checker learns by this

import _winapi
import msvcrt

from . import windows_names

Signature = tuple[int, int, int, int, int]

# Ctrl-C and Ctrl-Break; SIGTERM comes from this process alone, such as from a test of an author's.
STOPPING = ("SIGINT", "SIGBREAK", "SIGTERM")
MANAGED_SETTINGS = os.path.join(os.environ.get("PROGRAMFILES", r"C:\Program Files"), "ClaudeCode")
SYNCS_ONLY_TO_DRIVE = False
ESCAPE = ""
# What Python writes to a console is no text for a pipe, and no `select` waits for one.
RELAYS = False

# --- waiting for whoever has a file open ---------------------------------------------------------

# https://learn.microsoft.com/windows/win32/debug/system-error-codes
_ACCESS_DENIED, _SHARING_VIOLATION, _LOCK_VIOLATION = 5, 32, 33
_IN_USE = (_SHARING_VIOLATION, _LOCK_VIOLATION)
_HELD = "another program has it open"
_NAP = 0.02
# A virus scanner looks at a new file for some tenths of a second, an editor reads for less.
_SECONDS_TO_READ = 0.25
SECONDS_TO_MOVE = 3.0


def patiently(act: Callable[[], T], path: str, seconds: float | None = None) -> T:
    """Return ``act()``, trying again for some time while another program has a file open.

    Parameters:
        path: that file, for the error.
        seconds: how long; as for moving files when ``None``.

    Raises:
        OSError: EBUSY after that time, or what else is wrong, at once.
    """
    deadline = time.monotonic() + (SECONDS_TO_MOVE if seconds is None else seconds)
    while True:
        try:
            return act()
        except OSError as error:
            if not _is_held(error, path):
                raise
            if time.monotonic() > deadline:
                raise OSError(errno.EBUSY, _HELD, path) from error
        time.sleep(_NAP)


def _is_held(error: OSError, path: str) -> bool:
    """Return whether the system refused a call because another program has ``path`` open."""
    number = getattr(error, "winerror", None)
    if number in _IN_USE:
        return True
    # The same answer as for a lack of permission, which does not go away: so the file is asked. Of
    # a folder nobody tells whether something in it is open.
    return number == _ACCESS_DENIED and (os.path.isdir(path) or not _can_be_had_alone(path))


def _can_be_had_alone(path: str) -> bool:
    try:
        _winapi.CloseHandle(_open(path, _winapi.GENERIC_READ, 0, 0))
    except OSError as error:
        return error.winerror != _SHARING_VIOLATION
    return True


# --- paths ---------------------------------------------------------------------------------------


def is_inside(path: str, folder: str) -> bool:
    """See :mod:`.posix`; here the same folder can be written in many ways."""
    path, folder = os.path.normcase(path), os.path.normcase(folder)
    return path == folder or path.startswith(folder.rstrip("\\") + "\\")


def leads_elsewhere(path: str) -> bool:
    """See :mod:`.posix`; a name whose letters differ in case only leads to the same."""
    return os.path.normcase(os.path.realpath(path)) != os.path.normcase(os.path.normpath(path))


def slashed(path: str) -> str:
    """See :mod:`.posix`."""
    return path.replace("\\", "/")


def native(path: str) -> str:
    """See :mod:`.posix`."""
    return path.replace("/", "\\")


def unusable_part(path: str) -> str | None:
    """See :mod:`.posix`."""
    if path == os.devnull:
        return None
    return windows_names.unusable_part(slashed(os.path.splitdrive(path)[1]))


def from_shell(path: str) -> str:
    """See :mod:`.posix`; Git Bash has ``/c/Users``, and Cygwin ``/cygdrive/c/Users``."""
    return re.sub(r"^(?:/cygdrive)?/([A-Za-z])(?:/|$)", r"\1:/", path)


def mirror(source: str, target: str) -> None:
    """See :mod:`.posix`; a link takes a privilege, unlike a junction and a second name."""
    import shutil

    is_folder = os.path.isdir(source)
    try:
        if is_folder:
            _winapi.CreateJunction(source, target)
        else:
            os.link(source, target)
    except OSError:  # on another disk, or one that is not NTFS
        if is_folder:
            shutil.copytree(source, target, dirs_exist_ok=True)
        else:
            shutil.copyfile(source, target)


def reason_of(error: Exception) -> str:
    """See :mod:`.posix`; Windows has words of its own, in the user's language."""
    number = getattr(error, "winerror", None)
    if number in _IN_USE:
        return _HELD
    if number is not None and isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno)
    return getattr(error, "strerror", None) or str(error)


def is_link(entry: os.DirEntry[str]) -> bool:
    """See :mod:`.posix`; a junction is for Python a folder like any other."""
    if entry.is_symlink():
        return True
    return entry.is_dir(follow_symlinks=False) and _is_junction(entry.stat(follow_symlinks=False))


def _is_junction(status: os.stat_result) -> bool:
    return status.st_reparse_tag == stat.IO_REPARSE_TAG_MOUNT_POINT


# --- opening and looking -------------------------------------------------------------------------

_SHARE_ALL = 1 | 2 | 4  # reading, writing, and deleting, which includes renaming
_OPEN_EXISTING = 3
_BACKUP_SEMANTICS = 0x02000000  # opens folders too
_OPEN_REPARSE_POINT = 0x00200000


def _open(path: str, access: int, share: int, flags: int) -> int:
    try:
        return _winapi.CreateFile(
            path, access, share, _winapi.NULL, _OPEN_EXISTING, flags | _BACKUP_SEMANTICS, 0
        )
    except OSError as error:  # it comes without the name
        raise OSError(error.errno, error.strerror, path, error.winerror) from None


def open_to_read(path: str) -> int:
    """See :mod:`.posix`; meanwhile others may rename and delete what is open here."""
    handle = patiently(
        lambda: _open(path, _winapi.GENERIC_READ, _SHARE_ALL, 0), path, _SECONDS_TO_READ
    )
    return msvcrt.open_osfhandle(handle, os.O_RDONLY | os.O_NOINHERIT)


def open_unfollowed(path: str) -> int:
    """See :mod:`.posix`."""
    status = os.lstat(path)
    if stat.S_ISLNK(status.st_mode) or _is_junction(status):
        raise OSError(errno.ELOOP, "it is a link", path)
    return open_to_read(path)


def open_new(path: str, mode: int) -> int:
    """See :mod:`.posix`; the mode would only make the file read-only."""
    # O_BINARY: without it every line feed is written as two characters.
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_BINARY | os.O_NOINHERIT)


def open_private(path: str) -> int:
    """See :mod:`.posix`; in a user's own folder nobody else reads."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_BINARY | os.O_NOINHERIT
    return os.open(path, flags)


def read_at(descriptor: int, size: int, offset: int) -> bytes:
    """See :mod:`.posix`."""
    os.lseek(descriptor, offset, os.SEEK_SET)
    return os.read(descriptor, size)


def permissions(status: os.stat_result) -> int:
    """See :mod:`.posix`; here it tells nothing, and so is the same for all files and folders."""
    return 0o755 if stat.S_ISDIR(status.st_mode) else 0o644


def changed_ns(status: os.stat_result) -> int:
    """See :mod:`.posix`; a copy keeps `st_mtime`, but has a time of its own when it was made."""
    # Python calls that `st_ctime` too, but of a file that is open (python/cpython#157671).
    made: int = getattr(status, "st_birthtime_ns", status.st_ctime_ns)
    return max(status.st_mtime_ns, made)


def allocated(status: os.stat_result) -> int:
    """See :mod:`.posix`; holes are rare here."""
    return status.st_size


def signature_of(status: os.stat_result) -> Signature:
    """See :mod:`.posix`; a listing knows no inodes."""
    mode = stat.S_IFMT(status.st_mode) | permissions(status)
    return (0, status.st_size, status.st_mtime_ns, changed_ns(status), mode)


def signatures_in(folder: str) -> dict[str, Signature]:
    """See :mod:`.posix`."""
    with os.scandir(folder) as listing:
        # Not what the listing says, which lags behind for files with several names.
        return {entry.name: signature_of(os.lstat(entry.path)) for entry in listing}


def identity(path: str) -> tuple[int, int]:
    """See :mod:`.posix`; the time of a change, which is not in `os.stat`."""
    import ctypes
    from ctypes import wintypes

    handle = _open(path, 0x80, _SHARE_ALL, _OPEN_REPARSE_POINT)  # FILE_READ_ATTRIBUTES
    try:
        times = (ctypes.c_longlong * 5)()  # FILE_BASIC_INFO; its last 8 bytes are attributes
        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        if not kernel.GetFileInformationByHandleEx(
            wintypes.HANDLE(handle), 0, times, ctypes.sizeof(times)
        ):
            raise ctypes.WinError(ctypes.get_last_error())
        return os.lstat(path).st_ino, times[3] * 100
    finally:
        _winapi.CloseHandle(handle)


def noted_by_git(status: os.stat_result) -> tuple[int, int]:
    """See :mod:`.posix`; git for Windows knows neither."""
    return 0, 0


def copy_range(source: int, target: int, size: int) -> int:
    """See :mod:`.posix`; there is no such call here."""
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))


def free_space(folder: str) -> int:
    """See :mod:`.posix`."""
    import shutil

    return shutil.disk_usage(folder).free


# --- bringing to the disk ------------------------------------------------------------------------


def sync_file(path: str) -> None:
    """See :mod:`.posix`; FlushFileBuffers wants a handle that may write, and a folder has none."""
    if os.path.isdir(path):
        return sync_folder(path)
    descriptor = os.open(path, os.O_RDWR | os.O_BINARY | os.O_NOINHERIT)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: str) -> None:
    """Return: NTFS writes names by its own log, in order, and every later flush brings it along."""


def begin_sync(descriptor: int, start: int = 0, size: int = 0) -> None:
    """Return: the system begins when it likes."""


# --- modes and owners ----------------------------------------------------------------------------


def close_like(copy: int, target: str, original: os.stat_result) -> os.stat_result:
    """See :mod:`.posix`; closing comes first, because it may set the time."""
    os.close(copy)
    os.utime(target, ns=(original.st_atime_ns, original.st_mtime_ns))
    return os.lstat(target)


def set_open_mode(descriptor: int, mode: int) -> None:
    """Return: see :func:`permissions`."""


def set_mode(path: str, mode: int, is_synced: bool) -> None:
    """Return: see :func:`permissions`."""


def may_set_mode(path: str) -> bool:
    """See :mod:`.posix`; there is nothing to set."""
    return True


def keep_owner(descriptor: int, target: str) -> None:
    """Return: replacing a file keeps its owner and its access list; see :mod:`.windows_moving`."""


def is_own(status: os.stat_result) -> bool:
    """See :mod:`.posix`; access lists tell it, and `os.stat` does not."""
    return True


def is_private(status: os.stat_result) -> bool:
    """See :mod:`.posix`; what lies in a user's profile nobody else may write to."""
    return stat.S_ISDIR(status.st_mode) and not _is_junction(status)


def owner_of(status: os.stat_result) -> str:
    """See :mod:`.posix`; nobody asks, as :func:`is_own` is always true."""
    return "another user"


def user_name() -> str:
    """See :mod:`.posix`."""
    return os.environ.get("USERNAME") or "unknown"


def host_name() -> str:
    """See :mod:`.posix`."""
    return os.environ.get("COMPUTERNAME") or "this computer"


# --- consoles ------------------------------------------------------------------------------------

_VIRTUAL_TERMINAL_PROCESSING = 4


def shows_colors(terminal: IO[str]) -> bool:
    """See :mod:`.posix`; a console does when it is asked to, from Windows 10 on."""
    import ctypes

    kernel = ctypes.WinDLL("kernel32")
    handle = ctypes.c_void_p(msvcrt.get_osfhandle(terminal.fileno()))
    mode = ctypes.c_ulong()
    if not kernel.GetConsoleMode(handle, ctypes.byref(mode)):
        return False
    return bool(kernel.SetConsoleMode(handle, mode.value | _VIRTUAL_TERMINAL_PROCESSING))


# --- processes -----------------------------------------------------------------------------------

# A locked byte cannot be read by others, so it is one after the end of any file of ours.
_LOCKED_BYTE = 1 << 30


def lock(descriptor: int, waits: bool = True) -> None:
    """See :mod:`.posix`."""
    before = os.lseek(descriptor, 0, os.SEEK_CUR)
    os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
    try:
        while True:
            try:
                msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            except PermissionError:
                if not waits:
                    raise BlockingIOError(errno.EAGAIN, "another process holds it") from None
            else:
                return
            time.sleep(_NAP)
    finally:
        os.lseek(descriptor, before, os.SEEK_SET)


def start_again(launcher: str, arguments: list[str]) -> None:
    """See :mod:`.posix`; replacing a process here ends it, and whoever waits for it goes on."""
    import subprocess

    os._exit(subprocess.call([launcher + ".cmd", *arguments]))


def program_names(name: str) -> tuple[str, ...]:
    """See :mod:`.posix`; of PATHEXT without what a shell runs, which splits arguments again."""
    given = os.environ.get("PATHEXT", ".COM;.EXE").upper().split(os.pathsep)
    return tuple(name + ending.lower() for ending in given if ending in (".COM", ".EXE"))


def interpreter_of(environment: str) -> str:
    """See :mod:`.posix`."""
    return os.path.join(environment, "Scripts", "python.exe")


def packages_of(environment: str) -> str:
    """See :mod:`.posix`."""
    return os.path.join(environment, "Lib", "site-packages")
