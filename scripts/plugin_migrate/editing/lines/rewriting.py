"""The new content of a file, written beside it, and put in its place as a whole."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from codecs import BOM_UTF8
from contextlib import suppress
from io import FileIO

from ...errors import Conflict
from ...platform import system
from ...platform.moving import replace
from ..files import changed_meanwhile

_PIECE = 1 << 18


class Rewriting:
    """A file's new content: parts of the old one, and what is written.

    Nothing stands on the disk before the first of them, so that a file in which nothing changes is
    only read.

    Parameters:
        file: the file as it is, unbuffered.
        path: where it is; a link leads to what is replaced.
        shown: its name for messages.
    """

    def __init__(self, file: FileIO, path: str, shown: str) -> None:
        self._old = file
        self._buffer = memoryview(bytearray(_PIECE))
        self._path = os.path.realpath(path)
        self._shown = shown
        self._before = os.fstat(file.fileno())
        self._copy: FileIO | None = None
        self._name = ""
        self._waiting: list[bytes] = []
        self._waiting_size = 0
        self._size = 0
        self._tail = b""

    @property
    def has_begun(self) -> bool:
        """Whether anything is different."""
        return self._copy is not None

    @property
    def is_open_ended(self) -> bool:
        """Whether what is written so far ends in the middle of a line."""
        is_mark = self._size == len(BOM_UTF8) and self._tail == BOM_UTF8
        return bool(self._size) and not is_mark and not self._tail.endswith(b"\n")

    def begin(self) -> None:
        """Make the new file, which is empty."""
        folder, name = os.path.split(self._path)
        number, self._name = tempfile.mkstemp(prefix=f".{name[:100]}.", suffix=".edit", dir=folder)
        self._copy = FileIO(number, "wb")

    def copy(self, start: int, end: int) -> None:
        """Copy a part of the old content, through one small buffer, as ``cp`` does."""
        copy = self._flushed()
        at = self._old.tell()
        self._old.seek(start)
        left = end - start
        while left and (size := self._old.readinto(self._buffer[: min(left, _PIECE)])):
            _write(copy, self._buffer[:size])
            left -= size
            # Its last bytes are all that the next part has to know.
            self._add(size, bytes(self._buffer[max(0, size - len(BOM_UTF8)) : size]))
        self._old.seek(at)

    def write(self, content: bytes) -> None:
        """Write something new."""
        self._waiting.append(content)
        self._waiting_size += len(content)
        self._add(len(content), content[-len(BOM_UTF8) :])
        if self._waiting_size > _PIECE:
            self._flushed()

    def _add(self, size: int, tail: bytes) -> None:
        self._size += size
        self._tail = (self._tail + tail)[-len(BOM_UTF8) :]

    def _flushed(self) -> FileIO:
        assert self._copy is not None
        _write(self._copy, b"".join(self._waiting))
        self._waiting, self._waiting_size = [], 0
        return self._copy

    def drop_last_end(self) -> None:
        """Take away the line end that was written last, if one was."""
        copy = self._flushed()
        if not self._tail.endswith(b"\n"):
            return
        copy.truncate(self._size - (2 if self._tail.endswith(b"\r\n") else 1))

    def finish(self) -> None:
        """Put the new content in the file's place, with the file's mode.

        Raises:
            Conflict: somebody else has changed the file meanwhile, or on Windows has it open.
        """
        self._flushed().close()
        now = _status(self._path)
        if _identity(now) != _identity(self._before):
            raise changed_meanwhile(self._shown)
        os.chmod(self._name, stat.S_IMODE(now.st_mode))
        self._old.close()  # Windows replaces no file that is open
        try:
            replace(self._name, self._path)
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            raise Conflict(
                f"{self._shown} is still open, and so cannot be replaced by what was edited",
                hint="Make all changes of one file in one edit of it, and close it before that"
                " ends.",
                file=self._shown,
            ) from error
        self._copy = None

    def discard(self) -> None:
        """Leave the file as it is."""
        if self._copy is not None:
            self._copy.close()
            with suppress(FileNotFoundError):
                os.unlink(self._name)
            self._copy = None


def _status(path: str) -> os.stat_result:
    # Of an open file, like the one it is compared with: of a path Wine tells another time.
    descriptor = system.open_to_read(path)
    try:
        return os.fstat(descriptor)
    finally:
        os.close(descriptor)


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _write(file: FileIO, content: bytes | memoryview) -> None:
    """Write everything: on a disk that fills up the kernel takes a part before it refuses."""
    left = memoryview(content)
    while left:
        left = left[file.write(left) or 0 :]
