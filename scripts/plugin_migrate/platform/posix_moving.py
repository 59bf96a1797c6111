"""Moving, exchanging and removing files on Linux and macOS; for all systems see :mod:`.moving`.

Each call that one of the two, or a file system, does not know has a way for the others. Nothing
here decides what to do where there is none: see ``engine/replacing.py``.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

assert sys.platform != "win32"  # what follows is for the others, as the type checker learns by this

replace = os.replace
rename = os.rename
remove = os.unlink
remove_folder = os.rmdir

# renameat2(2) and renameatx_np(2): of Linux, and of macOS.
_LINUX_NOREPLACE, _LINUX_EXCHANGE = 1, 2
_MACOS_EXCHANGE, _MACOS_NOREPLACE = 2, 4
_AT_FDCWD = -100
# An older kernel, or a file system such as NFS or an older FUSE.
_UNSUPPORTED = frozenset({errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP})
# A sandbox may forbid calls that it does not know. Where it is the file that must not be moved, the
# plain rename that follows says so.
_UNUSABLE = _UNSUPPORTED | {errno.EPERM}


def exchange(one: str, other: str) -> bool:
    """Let two paths change places in one instant, in which neither is missing.

    Returns:
        Whether that happened; ``False`` where the system cannot do it.

    Raises:
        OSError: one of them does not exist, or may not be moved.
    """
    return _rename(one, other, _LINUX_EXCHANGE, _MACOS_EXCHANGE)


def is_mid_exchange(one: str) -> bool:
    """Return whether a kill came in the middle of an exchange of ``one``: here it cannot."""
    return False


def finish_exchange(one: str, other: str) -> None:
    """Finish or undo such an exchange."""


def place(new: str, path: str) -> bool:
    """Move ``new`` to ``path`` unless something is there.

    Returns:
        Whether that happened; ``False`` where the system cannot tell in the same instant.

    Raises:
        FileExistsError: something is there.
        OSError: it may not be moved.
    """
    if _rename(new, path, _LINUX_NOREPLACE, _MACOS_NOREPLACE):
        return True
    try:
        os.link(new, path, follow_symlinks=False)
    except FileExistsError:
        raise
    except (OSError, NotImplementedError):  # a file system without hard links
        return False
    os.unlink(new)
    return True


def _rename(source: str, target: str, on_linux: int, on_macos: int) -> bool:
    try:
        import ctypes  # only a step that publishes files needs it: 5 ms
    except ImportError:  # a Python that was built without it
        return False
    # As `os.rename` does, so that whoever watches this process's files sees these too.
    sys.audit("os.rename", source, target, -1, -1)
    libc = ctypes.CDLL(None, use_errno=True)
    paths = os.fsencode(source), os.fsencode(target)
    if sys.platform == "darwin":
        call, arguments = "renamex_np", (*paths, on_macos)
    else:
        call, arguments = "renameat2", (_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], on_linux)
    function: Callable[..., int] | None = getattr(libc, call, None)
    if function is None:  # musl
        return False
    if function(*arguments) == 0:
        return True
    number = ctypes.get_errno()
    if number in _UNUSABLE:
        return False
    # Named first is the one that people know: the other lies in a folder of ours.
    raise OSError(number, os.strerror(number), target, None, source)


# Names that nobody gives, for deep folders that are being removed.
_FLAT = ".plugin-migrate-removing-"


def discard(path: str) -> None:
    """Remove a folder of ours with all it holds.

    Also below folders without write permission, and however deep a migration nested them: what
    stands below is always reached through its open folder, never by a path of full length.

    Raises:
        OSError: something in it cannot be removed.
    """
    try:
        _remove_tree(path)
        return
    except FileNotFoundError:
        if not os.path.lexists(path):
            return
    except (OSError, RecursionError):
        pass
    _remove_stubborn(path)


def _remove_stubborn(path: str) -> None:
    """Remove a folder level by level, each from its parent: deep ones are moved up first."""
    if os.path.islink(path) or not os.path.isdir(path):
        os.unlink(path)
        return
    os.chmod(path, 0o700)
    top = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        left = os.listdir(top)
        count = 0
        taken = frozenset(left)  # a killed command may have left some of these names
        while left:
            name = left.pop()
            mode = os.lstat(name, dir_fd=top).st_mode
            if not stat.S_ISDIR(mode):
                os.unlink(name, dir_fd=top)
                continue
            os.chmod(name, 0o700, dir_fd=top)
            folder = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=top)
            try:
                for below in os.listdir(folder):
                    if not stat.S_ISDIR(os.lstat(below, dir_fd=folder).st_mode):
                        os.unlink(below, dir_fd=folder)
                        continue
                    os.chmod(below, 0o700, dir_fd=folder)
                    count += 1
                    while (flat := f"{_FLAT}{count}") in taken:
                        count += 1
                    os.rename(below, flat, src_dir_fd=folder, dst_dir_fd=top)
                    left.append(flat)
            finally:
                os.close(folder)
            os.rmdir(name, dir_fd=top)
    finally:
        os.close(top)
    os.rmdir(path)


def _remove_tree(path: str) -> None:
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
        _remove_tree(path + "/" + name)
    os.rmdir(path)


# --- attributes -----------------------------------------------------------------------------------

# Labels that the system gives every file; nobody removes one.
_LABELS = "security."
# copyfile(3)
_COPYFILE_ACL, _COPYFILE_XATTR = 1, 4


def copy_attributes(source: str, target: str) -> None:
    """Give ``target`` the access list, extended attributes and capabilities of ``source``.

    What ``target`` inherited from its folder and ``source`` lacks is removed. To be called after
    its content and owner are set, both of which drop capabilities, and before its mode, which an
    access list changes.

    Raises:
        OSError: this user may not give it one of them; names ``source``.
    """
    if sys.platform == "darwin":
        _copy_on_macos(source, target)
    elif hasattr(os, "listxattr"):
        _copy_on_linux(source, target)


def _copy_on_linux(source: str, target: str) -> None:
    # An access list is one of them here: system.posix_acl_access.
    wanted = _attributes(source)
    present = _attributes(target)
    for name in present.keys() - wanted.keys():
        if not name.startswith(_LABELS):
            with suppress(FileNotFoundError):
                os.removexattr(target, name)
    for name, value in wanted.items():
        if present.get(name) == value:
            continue
        try:
            os.setxattr(target, name, value)
        except OSError as error:
            raise OSError(error.errno, f"{name}: {error.strerror}", source) from None


def _attributes(path: str) -> dict[str, bytes]:
    try:
        return {name: os.getxattr(path, name) for name in os.listxattr(path)}
    except OSError as error:
        if error.errno in _UNSUPPORTED:
            return {}
        raise


def _copy_on_macos(source: str, target: str) -> None:
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    flags = _COPYFILE_ACL | _COPYFILE_XATTR
    if libc.copyfile(os.fsencode(source), os.fsencode(target), None, flags) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), source)
