"""The new content of a file, written beside it, and put in its place as a whole."""

from __future__ import annotations

import os
import stat
import tempfile
from codecs import BOM_UTF8
from contextlib import suppress
from typing import IO

from ...errors import Conflict

_PIECE = 1 << 20


class Rewriting:
    """A file's new content, which begins as a copy of its first bytes.

    Nothing is written before `begin`, so that a file in which nothing changes is only read.

    Parameters:
        path: the file; of a link, what it leads to.
        shown: its name for messages.
    """

    def __init__(self, path: str, shown: str) -> None:
        self._path = os.path.realpath(path)
        self._shown = shown
        self._copy: IO[bytes] | None = None
        self._name = ""
        self._size = 0
        self._tail = b""
        with open(self._path, "rb") as file:
            self._before = os.fstat(file.fileno())

    @property
    def has_begun(self) -> bool:
        """Whether anything is different."""
        return self._copy is not None

    @property
    def is_open_ended(self) -> bool:
        """Whether what is written so far ends in the middle of a line."""
        is_mark = self._size == len(BOM_UTF8) and self._tail == BOM_UTF8
        return bool(self._size) and not is_mark and not self._tail.endswith(b"\n")

    def begin(self, size: int) -> None:
        """Write the first ``size`` bytes of the file as they are."""
        folder, name = os.path.split(self._path)
        number, self._name = tempfile.mkstemp(prefix=f".{name[:100]}.", suffix=".edit", dir=folder)
        self._copy = os.fdopen(number, "wb", buffering=_PIECE)
        with open(self._path, "rb", buffering=0) as file:
            while size and (piece := file.read(min(size, _PIECE))):
                self.write(piece)
                size -= len(piece)

    def write(self, content: bytes) -> None:
        """Write more of it."""
        assert self._copy is not None
        self._copy.write(content)
        self._size += len(content)
        self._tail = (self._tail + content[-3:])[-3:]

    def drop_last_end(self) -> None:
        """Take away the line end that was written last, if one was."""
        assert self._copy is not None
        if not self._tail.endswith(b"\n"):
            return
        self._copy.truncate(self._size - (2 if self._tail.endswith(b"\r\n") else 1))

    def finish(self) -> None:
        """Put the new content in the file's place, with the file's mode.

        Raises:
            Conflict: somebody else has changed the file meanwhile.
        """
        assert self._copy is not None
        self._copy.close()
        now = os.stat(self._path)
        if _identity(now) != _identity(self._before):
            raise Conflict(
                f"{self._shown} was changed while it was being edited",
                hint="Make all changes of one file in one edit of it.",
                file=self._shown,
            )
        os.chmod(self._name, stat.S_IMODE(now.st_mode))
        os.replace(self._name, self._path)
        self._copy = None

    def discard(self) -> None:
        """Leave the file as it is."""
        if self._copy is not None:
            self._copy.close()
            with suppress(FileNotFoundError):
                os.unlink(self._name)
            self._copy = None


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
