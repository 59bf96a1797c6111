"""The child process in which TypeScript and JavaScript migrations run, and talking to it.

One serves all steps of a run. It stands in a session of its own, so that Ctrl-C reaches only us,
and has a watcher beside it that ends it when we die without a word. What it prints comes through a
pipe that is emptied as it fills: nothing is kept, and nothing waits.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from ...errors import StateUnreadable
from .runtime import Runtime

_CHUNK = 1 << 16
_RUNNER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "runner.mjs")
# How often to look whether the child is still there: another process may hold its pipe open.
_SECONDS_PER_LOOK = 0.1
# The shell's own numbers for files go up to 9.
_FIRST_FREE = 10
# The watcher reads from a pipe that nobody writes to: when we end it ends, and ends the group.
_START = 'exec 3<&0; (read -r _ <&3; kill -9 0) >/dev/null 2>&1 & exec "$@" 3<&- </dev/null'

Answerer = Callable[[dict[str, Any]], Any]


class Died(Exception):
    """The child ended while a migration ran; ``how`` says how."""

    def __init__(self, how: str) -> None:
        super().__init__(how)
        self.how = how


class ChildProcess:
    """A running JavaScript engine that executes one migration after the other.

    Raises:
        StateUnreadable: it cannot be started.
    """

    def __init__(self, runtime: Runtime) -> None:
        self.is_usable = True
        self._unread = b""
        self._ours: list[int] = []
        self._watched: list[int] = []
        with contextlib.ExitStack() as undo, contextlib.ExitStack() as theirs:
            requests, self._requests = _pipe(undo, theirs, we_read=False)
            answers, self._answers = _pipe(undo, theirs, we_read=True)
            output, self._output = _pipe(undo, theirs, we_read=True)
            lifeline, self._lifeline = _pipe(undo, theirs, we_read=False)
            command = [*runtime.command, _RUNNER, str(requests), str(answers)]
            try:
                self._process = subprocess.Popen(
                    ["/bin/sh", "-c", _START, "plugin-migrate", *command],
                    stdin=lifeline,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    pass_fds=(requests, answers),
                    start_new_session=True,
                )
            except OSError as error:
                raise StateUnreadable(
                    f"{runtime.name} cannot be started: {error.strerror}",
                    hint="Check the machine's memory and its limit of processes.",
                ) from error
            undo.pop_all()
        os.set_blocking(self._output, False)
        self._watched += [self._answers, self._output]
        self._ours += [self._requests, self._answers, self._output, self._lifeline]

    def run(self, request: dict[str, Any], answer: Answerer) -> dict[str, Any]:
        """Let it run one migration, whose calls ``answer`` answers; return its last message.

        Whatever ends this but its return ends the child too.

        Raises:
            Died: the child ended, or was ended by somebody.
        """
        try:
            self._send(request)
            while True:
                message = self._receive()
                if "call" in message:
                    reply = answer(message)
                    if reply is not None:
                        self._send(reply)
                elif "failed" in message or "done" in message:
                    break
            if "failed" in message or not message["done"]["isIdle"]:
                self.close()
            return message
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the process and all that it started."""
        self.is_usable = False
        if not self._ours:
            return
        # The watcher is part of the group, so that its number is nobody else's.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._pass_on_output()
        # One by one: a signal may come in between, and a number must not be closed twice.
        while self._ours:
            os.close(self._ours.pop())

    def _send(self, message: dict[str, Any]) -> None:
        data = memoryview(json.dumps(message).encode() + b"\n")
        while data:
            try:
                data = data[os.write(self._requests, data) :]
            except BrokenPipeError:
                raise Died(self._end()) from None

    def _receive(self) -> dict[str, Any]:
        """Return the next message, passing on what is printed before it."""
        parts = [self._unread]
        while b"\n" not in parts[-1]:
            readable, _, _ = select.select(self._watched, [], [], _SECONDS_PER_LOOK)
            if self._output in readable:
                self._pass_on_output()
            if self._answers in readable:
                parts.append(os.read(self._answers, _CHUNK))
            if self._is_over(self._answers in readable, parts[-1]):
                raise Died(self._end())
        line, _, self._unread = b"".join(parts).partition(b"\n")
        self._pass_on_output()
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):  # a migration can write to any number
            raise Died("wrote into the pipe through which it talks to the engine")
        return message

    def _is_over(self, has_read: bool, read: bytes) -> bool:
        """Return whether no message will come; what it started may go on printing forever."""
        if has_read:
            return not read
        if self._process.poll() is None:
            return False
        return not select.select([self._answers], [], [], 0)[0]  # its last words

    def _pass_on_output(self) -> None:
        """Write what the migration has printed to where a Python migration prints."""
        with contextlib.suppress(BlockingIOError):
            chunk = os.read(self._output, _CHUNK)
            if not chunk and self._output in self._watched:
                self._watched.remove(self._output)  # its end would be readable forever
            _print(chunk)

    def _end(self) -> str:
        """Wait for the end of the process and say how it came."""
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return "closed its connection"
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


def _print(chunk: bytes) -> None:
    data = memoryview(chunk)
    try:
        sys.stdout.flush()
        while data:
            data = data[os.write(1, data) :]
    except OSError:
        pass  # nobody reads it, which is no reason to fail
