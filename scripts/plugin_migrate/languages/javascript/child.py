"""Talking to the child process in which TypeScript and JavaScript migrations run.

One serves all steps of a run. What it prints comes through a pipe that is emptied as it fills:
nothing is kept, and nothing waits.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any

from ...errors import StateUnreadable
from ...platform import system
from ...platform.children import Child
from .runtime import Runtime

_RUNNER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "runner.mjs")
# How often to look whether the child is still there: another process may hold its pipe open.
_SECONDS_PER_LOOK = 0.1
_SECONDS_TO_END = 5

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
        try:
            self._child = Child((*runtime.command, _RUNNER), _print)
        except OSError as error:
            raise StateUnreadable(
                f"{runtime.name} cannot be started: {system.reason_of(error)}",
                hint="Check the machine's memory and its limit of processes.",
            ) from error

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
        self._child.end()

    def _send(self, message: dict[str, Any]) -> None:
        try:
            self._child.say(json.dumps(message).encode() + b"\n")
        except BrokenPipeError:
            raise Died(self._end()) from None

    def _receive(self) -> dict[str, Any]:
        """Return the next message, passing on what is printed before it."""
        parts = [self._unread]
        while b"\n" not in parts[-1]:
            said = self._child.listen(_SECONDS_PER_LOOK)
            if said:
                parts.append(said)
            elif said is not None or self._child.is_over():
                raise Died(self._end())
        line, _, self._unread = b"".join(parts).partition(b"\n")
        self._child.pass_on_output()
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):  # a migration can write to any number
            raise Died("wrote into the pipe through which it talks to the engine")
        return message

    def _end(self) -> str:
        """Wait for the end of the process and say how it came."""
        return self._child.how_it_ended(_SECONDS_TO_END) or "closed its connection"


def _print(chunk: bytes) -> None:
    data = memoryview(chunk)
    try:
        sys.stdout.flush()
        while data:
            data = data[os.write(1, data) :]
    except OSError:
        pass  # nobody reads it, which is no reason to fail
