"""What Python's library lacks about files: exchanging two, placing one where none is, attributes.

Each call has a way for systems, or file systems, that do not know it. Nothing here decides what to
do then: see ``replacing.py``.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from contextlib import suppress

# renameat2(2) and renameatx_np(2): of Linux, and of macOS.
_LINUX_NOREPLACE, _LINUX_EXCHANGE = 1, 2


_MACOS_EXCHANGE, _MACOS_NOREPLACE = 2, 4


_AT_FDCWD = -100


# copyfile(3)
_COPYFILE_ACL, _COPYFILE_XATTR = 1, 4


# An older kernel, or a file system such as NFS or an older FUSE.
_UNSUPPORTED = frozenset({errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP})
# A sandbox may forbid calls that it does not know. Where it is the file that must not be moved, the
# plain rename that follows says so.
_UNUSABLE = _UNSUPPORTED | {errno.EPERM}
# Labels that the system gives every file; nobody removes one.
_LABELS = "security."


def exchange(one: str, other: str) -> bool:
    """Let two paths change places in one instant, in which neither is missing.

    Returns:
        Whether that happened; ``False`` where the system cannot do it.

    Raises:
        OSError: one of them does not exist, or may not be moved.
    """
    return _rename(one, other, _LINUX_EXCHANGE, _MACOS_EXCHANGE)


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
