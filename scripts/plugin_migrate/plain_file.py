"""The one way to read a small file that somebody else may have put there.

A cloned repository can hold a named pipe, a link to a device or to ``/proc``, or a file without
end, where a text of ours or of the user's belongs: none of them may make a command wait, or take
what is not its own.
"""

from __future__ import annotations

import errno
import os
import stat

from .platform import system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def read_plain(path: str, largest: int) -> bytes:
    """Return the bytes of a plain file.

    What says of itself that it is empty is not read: so do files in ``/proc``, which can wait for
    ever (``kmsg``) or lose what was read.

    Parameters:
        path: a link to a plain file will do.
        largest: how many bytes it may have.

    Raises:
        OSError: it cannot be read, is not a plain file, or is larger; ``strerror`` says which.
    """
    descriptor = system.open_to_read(path)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is not a plain file", path)
        if status.st_size > largest:
            raise OSError(
                errno.EFBIG, f"it has {size_of(status.st_size)}, over {size_of(largest)}", path
            )
        return os.read(descriptor, status.st_size + 1) if status.st_size else b""
    finally:
        os.close(descriptor)


def read_json(path: str, largest: int) -> Any:
    """Return the JSON value in a plain file.

    Raises:
        OSError: as for :func:`read_plain`.
        ValueError: it is not JSON in UTF-8, or nested too deep for anything of ours.
    """
    return parse_json(read_plain(path, largest).decode("utf-8-sig"))


def parse_json(text: str) -> Any:
    """Return the JSON value that ``text`` is.

    Raises:
        ValueError: it is not JSON, or nested too deep for anything of ours.
    """
    import json  # 2 ms, and most commands read none

    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def size_of(number: int) -> str:
    """Return a number of bytes as people read it: ``400.0 GiB``."""
    if number < 1024:
        return f"{number} bytes"
    size = float(number)
    units = ["KiB", "MiB", "GiB", "TiB"]
    unit = ""
    while units and size >= 1024:
        size /= 1024
        unit = units.pop(0)
    return f"{size:.1f} {unit}"
