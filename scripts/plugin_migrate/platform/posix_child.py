"""Children on Linux and macOS: pipes by their numbers, and a group of processes that is killed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence

assert sys.platform != "win32"

_CHUNK = 1 << 16
# The shell's own numbers for files go up to 9.
_FIRST_FREE = 10
# The watcher reads from a pipe that nobody writes to: when we end it ends, and ends the group.
_START = 'exec 3<&0; (read -r _ <&3; kill -9 0) >/dev/null 2>&1 & exec "$@" 3<&- </dev/null'


class PosixChild:
    """A process with a pipe to it, one from it, and one for what it prints.

    It stands in a session of its own, so that Ctrl-C reaches only us, and has a watcher beside it
    that ends it when we die without a word.

    Parameters:
        command: how it is started; it gets two arguments more, which name the pipe that it is to
            read and the one that it is to write: numbers of open files.
        printed: gets what it prints, while we listen.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(self, command: Sequence[str], printed: Callable[[bytes], None]) -> None:
        self._printed = printed
        self._ours: list[int] = []
        with contextlib.ExitStack() as undo, contextlib.ExitStack() as theirs:
            requests, self._requests = _pipe(undo, theirs, we_read=False)
            answers, self._answers = _pipe(undo, theirs, we_read=True)
            output, self._output = _pipe(undo, theirs, we_read=True)
            lifeline, self._lifeline = _pipe(undo, theirs, we_read=False)
            words = [*command, str(requests), str(answers)]
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _START, "plugin-migrate", *words],
                stdin=lifeline,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=(requests, answers),
                start_new_session=True,
            )
            undo.pop_all()
        os.set_blocking(self._output, False)
        self._watched = [self._answers, self._output]
        self._ours += [self._requests, self._answers, self._output, self._lifeline]

    def say(self, data: bytes) -> None:
        """Write all of ``data`` to it.

        Raises:
            BrokenPipeError: it does not read any more.
        """
        left = memoryview(data)
        while left:
            left = left[os.write(self._requests, left) :]

    def listen(self, seconds: float) -> bytes | None:
        """Return what it says, ``None`` when it says nothing for so long; empty at the end.

        What it prints is passed on.
        """
        readable, _, _ = select.select(self._watched, [], [], seconds)
        if self._output in readable:
            self.pass_on_output()
        return os.read(self._answers, _CHUNK) if self._answers in readable else None

    def is_over(self) -> bool:
        """Return whether it has ended and left no word; what it started may go on printing."""
        if self._process.poll() is None:
            return False
        return not select.select([self._answers], [], [], 0)[0]

    def pass_on_output(self) -> None:
        """Pass on what it has printed by now."""
        with contextlib.suppress(BlockingIOError):
            chunk = os.read(self._output, _CHUNK)
            if not chunk and self._output in self._watched:
                self._watched.remove(self._output)  # its end would be readable forever
            self._printed(chunk)

    def end(self) -> None:
        """End it and all that it started."""
        if not self._ours:
            return
        # The watcher is part of the group, so that its number is nobody else's.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self.pass_on_output()
        # One by one: a signal may come in between, and a number must not be closed twice.
        while self._ours:
            os.close(self._ours.pop())

    def how_it_ended(self, seconds: float) -> str | None:
        """Wait for its end and say how it came; ``None`` if it does not come."""
        try:
            code = self._process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return None
        if code >= 0:
            return f"ended with exit code {code}"
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        return f"was killed by {name}"


def _pipe(
    undo: contextlib.ExitStack, theirs: contextlib.ExitStack, *, we_read: bool
) -> tuple[int, int]:
    """Return the child's end of a new pipe, with a number above the shell's, and our end.

    ``theirs`` closes the child's end, ``undo`` ours.
    """
    reading, writing = os.pipe()
    their, our = (writing, reading) if we_read else (reading, writing)
    undo.callback(os.close, our)
    moved = fcntl.fcntl(their, fcntl.F_DUPFD_CLOEXEC, _FIRST_FREE)
    os.close(their)
    theirs.callback(os.close, moved)
    return moved, our
