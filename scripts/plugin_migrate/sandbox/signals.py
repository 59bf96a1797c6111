"""SIGINT and SIGTERM: undo the running step, but never between its commit and its files.

From the commit to the end of publishing they wait (design, "The commit protocol", clause 6).
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from ..errors import Interrupted
from ..platform import system

_ECHO_SECONDS = 0.5


class Stop(BaseException):
    """Raised in the main thread when a signal asks to stop.

    Not an ``Exception``, so that a migration that catches every exception cannot swallow it.
    """


class Signals:
    """Remembers a request to stop and raises it when it may be raised."""

    def __init__(self) -> None:
        self.received: int | None = None
        self._received_at = float("-inf")
        self._is_held = False

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Within this block what asks to stop raises :class:`Stop` instead of killing."""
        numbers = [getattr(signal, name) for name in system.STOPPING]
        before = {number: signal.signal(number, self._on_signal) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Within this block a signal waits; it is raised at the block's end by :meth:`check`."""
        before = self._is_held
        self.hold()
        try:
            yield
        finally:
            self._is_held = before

    def hold(self) -> None:
        """Let signals wait until :meth:`release`."""
        self._is_held = True

    def release(self) -> None:
        """Let signals raise again; one that waited is raised by :meth:`check`."""
        self._is_held = False

    def check(self) -> None:
        """Raise :class:`Stop` if a signal arrived."""
        if self.received is not None:
            raise Stop

    def interrupts_sqlite(self) -> int:
        """Answer SQLite's progress handler: a long statement ends when a signal waits."""
        return 1 if self.received is not None and not self._is_held else 0

    def as_error(self, undone: str | None) -> Interrupted:
        """Return the error that tells the user what the signal stopped."""
        name = signal.Signals(self.received or signal.SIGINT).name
        what = f"the running step {undone} was undone" if undone else "no step was running"
        return Interrupted(
            f"Interrupted by {name}: {what}",
            hint="Steps finished before it stay. Run the command again to go on.",
        )

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        # One request often comes twice, to the process group and passed on by the launcher; the
        # second must not disturb the undoing that the first began.
        now = time.monotonic()
        is_echo = now - self._received_at < _ECHO_SECONDS
        self.received, self._received_at = number, now
        if not self._is_held and not is_echo:
            raise Stop
