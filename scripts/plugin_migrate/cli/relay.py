"""One terminal for a progress line of ours and for whatever migrations print meanwhile.

``print`` of a migration, of a library of its and of child processes goes to the standard streams
without asking us. So these are a pipe during a run, and a thread passes on what comes: it takes the
progress line away before, and puts it back after.
"""

from __future__ import annotations

import os
import select
import sys
import threading

_ERASE = b"\r\x1b[K"


class Relay:
    """Takes standard output and standard error over, until it is closed."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._line = b""
        self._is_mid_line = False
        _flush()
        self._kept = [(number, os.dup(number)) for number in (1, 2)]
        self._terminal = os.dup(2)
        self._reader, writer = os.pipe()
        self._stopped, self._stop = os.pipe()
        for number, _ in self._kept:
            os.dup2(writer, number)
        os.close(writer)
        self._thread = threading.Thread(target=self._pass_on, daemon=True)
        self._thread.start()

    def show(self, line: str) -> None:
        """Show a progress line in the place of the one before; it is to fit the terminal."""
        with self._lock:
            self._line = line.encode(errors="backslashreplace")
            self._put(self._drawn())

    def write(self, line: str) -> None:
        """Write a line that stays, in the place of the progress line."""
        _flush()
        self._drain()
        with self._lock:
            start = b"\n" if self._is_mid_line else _ERASE if self._line else b""
            self._line, self._is_mid_line = b"", False
            self._put(start + line.encode(errors="backslashreplace") + b"\n")

    def close(self) -> None:
        """Give the streams back, when all that was printed is passed on."""
        _flush()
        for number, kept in self._kept:
            os.dup2(kept, number)
            os.close(kept)
        # A child process that lives on may keep the pipe open: its end is not waited for.
        os.write(self._stop, b".")
        self._thread.join()
        with self._lock:
            if self._is_mid_line:
                self._put(b"\n")
            elif self._line:
                self._put(_ERASE)
        for descriptor in (self._terminal, self._reader, self._stopped, self._stop):
            os.close(descriptor)

    def _pass_on(self) -> None:
        while True:
            ready, _, _ = select.select([self._reader, self._stopped], [], [])
            if self._reader in ready:
                if not self._pass_on_part():
                    return
            else:
                return  # only when nothing is left to be passed on

    def _drain(self) -> None:
        """Pass on what was printed before; the thread may be doing that at the same moment."""
        with self._lock:
            while select.select([self._reader], [], [], 0)[0] and self._pass_on_part():
                pass

    def _pass_on_part(self) -> bool:
        with self._lock:
            if not select.select([self._reader], [], [], 0)[0]:
                return True  # the other thread was faster
            part = os.read(self._reader, 65536)
            if part:
                start = _ERASE if self._line and not self._is_mid_line else b""
                self._is_mid_line = not part.endswith(b"\n")
                self._put(start + part + (b"" if self._is_mid_line else self._drawn()))
            return bool(part)

    def _drawn(self) -> bytes:
        start = b"\n" if self._is_mid_line else _ERASE
        self._is_mid_line = False
        return start + self._line if self._line else b""

    def _put(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._terminal, data) :]


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
