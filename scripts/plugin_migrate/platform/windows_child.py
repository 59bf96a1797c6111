"""Children on Windows: named pipes, which are opened by name, and a job that ends with us."""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

assert sys.platform == "win32"

import _winapi
import msvcrt

_CHUNK = 1 << 16
_SECONDS_TO_START = 60.0
# CreateNamedPipe's, which _winapi lacks: nobody else may have made it, nor come over the network.
_FIRST_INSTANCE, _REJECT_REMOTE = 0x00080000, 0x00000008
# https://learn.microsoft.com/windows/win32/procthread/job-objects: what is in the job dies with the
# last handle to it, which is ours, however we end.
_EXTENDED_LIMITS, _KILL_ON_CLOSE = 9, 0x2000


class WindowsChild:
    """A process with a pipe to and from it, and one for what it prints.

    It stands in a group of its own, so that Ctrl-C reaches only us, and in a job, which ends with
    us.

    Parameters:
        command: how it is started; it gets two arguments more, which name the pipe that it is to
            read and the one that it is to write: both are the path of the same one.
        printed: gets what it prints, while we listen.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(self, command: Sequence[str], printed: Callable[[bytes], None]) -> None:
        self._printed = printed
        self._is_ended = False
        with contextlib.ExitStack() as undo:
            self._talk, name = _Pipe.made(undo, _winapi.PIPE_ACCESS_DUPLEX)
            self._output, output = _Pipe.made(undo, _winapi.PIPE_ACCESS_INBOUND)
            self._job = _new_job()
            undo.callback(_winapi.CloseHandle, self._job)
            # Not by `os.open`, which takes another look at it: there is only one.
            handle = _winapi.CreateFile(
                output, _winapi.GENERIC_WRITE, 0, _winapi.NULL, _winapi.OPEN_EXISTING, 0, 0
            )
            theirs = msvcrt.open_osfhandle(handle, 0)
            try:
                self._output.connect(0)
                self._process = subprocess.Popen(
                    [*command, name, name],
                    stdin=subprocess.DEVNULL,
                    stdout=theirs,
                    stderr=subprocess.STDOUT,
                    creationflags=subprocess.CREATE_NEW_PROCESS_GROUP,
                )
            finally:
                os.close(theirs)
            # It starts nothing before it is told what to run.
            process = int(self._process._handle)  # type: ignore[attr-defined]
            _kernel().AssignProcessToJobObject(ctypes.c_void_p(self._job), ctypes.c_void_p(process))
            self._closing = undo.pop_all()
        self._wait_until_connected()

    def _wait_until_connected(self) -> None:
        """Wait until it has opened its pipe, or ended."""
        until = time.monotonic() + _SECONDS_TO_START
        while not self._talk.connect(100) and self._process.poll() is None:
            if time.monotonic() > until:
                self.end()
                raise TimeoutError(0, "it does not answer")

    def say(self, data: bytes) -> None:
        """Write all of ``data`` to it.

        Raises:
            BrokenPipeError: it does not read any more.
        """
        self._talk.write(data, self._process)

    def listen(self, seconds: float) -> bytes | None:
        """Return what it says, ``None`` when it says nothing for so long; empty at the end.

        What it prints is passed on.
        """
        waited = [pipe.begin_to_read() for pipe in (self._talk, self._output)]
        events = [event for event in waited if event is not None]
        if len(events) == len(waited):
            _winapi.WaitForMultipleObjects(events, False, int(seconds * 1000))
        self.pass_on_output()
        return self._talk.take()

    def is_over(self) -> bool:
        """Return whether it has ended and left no word; what it started may go on printing."""
        return self._process.poll() is not None and not self._talk.has_more()

    def pass_on_output(self) -> None:
        """Pass on what it has printed by now."""
        while True:
            self._output.begin_to_read()
            chunk = self._output.take()
            if not chunk:
                return
            self._printed(chunk)

    def end(self) -> None:
        """End it and all that it started."""
        if self._is_ended:
            return
        self._is_ended = True
        _kernel().TerminateJobObject(ctypes.c_void_p(self._job), 1)
        self._process.kill()  # also where it could not be put into the job
        self._process.wait()
        self.pass_on_output()
        self._closing.close()

    def how_it_ended(self, seconds: float) -> str | None:
        """Wait for its end and say how it came; ``None`` if it does not come."""
        try:
            return f"ended with exit code {self._process.wait(timeout=seconds)}"
        except subprocess.TimeoutExpired:
            return None


class _Pipe:
    """Our end of a named pipe, on which nothing waits unless it is said how long."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self._connecting: _winapi.Overlapped | None = None
        self._reading: _winapi.Overlapped | None = None
        self._has_ended = False

    @classmethod
    def made(cls, undo: contextlib.ExitStack, access: int) -> tuple[_Pipe, str]:
        """Return a new pipe, which ``undo`` closes, and its path."""
        path = rf"\\.\pipe\plugin-migrate-{secrets.token_hex(16)}"
        access |= _winapi.FILE_FLAG_OVERLAPPED | _FIRST_INSTANCE
        handle = _winapi.CreateNamedPipe(
            path, access, _REJECT_REMOTE, 1, _CHUNK, _CHUNK, 0, _winapi.NULL
        )
        pipe = cls(handle)
        undo.callback(pipe._close)
        return pipe, path

    def connect(self, milliseconds: int) -> bool:
        """Wait until the other end is open; return whether it is."""
        if self._connecting is None:
            self._connecting = _winapi.ConnectNamedPipe(self._handle, overlapped=True)
        return _is_done(self._connecting, milliseconds)

    def begin_to_read(self) -> int | None:
        """Return the event that comes with the next word; ``None`` at the end."""
        if self._reading is None and not self._has_ended:
            try:
                self._reading, _ = _winapi.ReadFile(self._handle, _CHUNK, overlapped=True)
            except OSError:  # the other end is closed, or was never opened
                self._has_ended = True
        return None if self._reading is None else self._reading.event

    def take(self) -> bytes | None:
        """Return what has come; ``None`` when nothing has, and nothing at the end."""
        if self._reading is None:
            return b"" if self._has_ended else None
        if not _is_done(self._reading, 0):
            return None
        reading, self._reading = self._reading, None
        try:
            reading.GetOverlappedResult(True)
        except OSError:
            self._has_ended = True
            return b""
        return bytes(reading.getbuffer() or b"") or None

    def has_more(self) -> bool:
        """Return whether something has come that was not taken."""
        self.begin_to_read()
        return self._reading is not None and _is_done(self._reading, 0)

    def write(self, data: bytes, reader: subprocess.Popen[bytes]) -> None:
        """Write all of ``data``.

        Raises:
            BrokenPipeError: its reader is gone.
        """
        left = memoryview(data)
        while left:
            try:
                writing, _ = _winapi.WriteFile(self._handle, bytes(left[:_CHUNK]), overlapped=True)
                while not _is_done(writing, 100):
                    if reader.poll() is not None:
                        writing.cancel()
                size, error = writing.GetOverlappedResult(True)
            except OSError:
                raise BrokenPipeError from None
            if error:
                raise BrokenPipeError
            left = left[size:]

    def _close(self) -> None:
        for one in (self._connecting, self._reading):
            if one is not None:
                one.cancel()
        _winapi.CloseHandle(self._handle)


def _is_done(overlapped: _winapi.Overlapped, milliseconds: int) -> bool:
    # Of several, because Ctrl-C ends that wait and not the one for a single event.
    done: int = _winapi.WaitForMultipleObjects([overlapped.event], False, milliseconds)
    return done == _winapi.WAIT_OBJECT_0


class _Limits(ctypes.Structure):
    """JOBOBJECT_EXTENDED_LIMIT_INFORMATION, of which only the flags are of interest."""

    _fields_ = (
        ("times", ctypes.c_int64 * 2),
        ("flags", ctypes.c_uint32),
        ("sizes", ctypes.c_size_t * 2),
        ("processes", ctypes.c_uint32),
        ("affinity", ctypes.c_size_t),
        ("classes", ctypes.c_uint32 * 2),
        ("counters", ctypes.c_uint64 * 6),
        ("memory", ctypes.c_size_t * 4),
    )


def _new_job() -> int:
    """Return a job whose processes die with us."""
    kernel = _kernel()
    kernel.CreateJobObjectW.restype = ctypes.c_void_p
    job = kernel.CreateJobObjectW(None, None)
    if not job:
        raise ctypes.WinError(ctypes.get_last_error())
    limits = _Limits(flags=_KILL_ON_CLOSE)
    kernel.SetInformationJobObject(
        ctypes.c_void_p(job), _EXTENDED_LIMITS, ctypes.byref(limits), ctypes.sizeof(limits)
    )
    return int(job)


def _kernel() -> ctypes.WinDLL:
    return ctypes.WinDLL("kernel32", use_last_error=True)
