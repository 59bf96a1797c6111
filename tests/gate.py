"""A place where processes wait for a test: a socket, which every system has."""

from __future__ import annotations

import socket
from pathlib import Path

_SECONDS_TO_COME = 60  # Wine starts few processes a second

_HOLD = """
import os, socket
if not os.path.exists({is_open!r}):
    with socket.create_connection({address!r}, {seconds}) as gate:
        gate.sendall(b".")
        gate.recv(1)
"""


class Gate:
    """Processes say that they have come, and wait until they may go on.

    Parameters:
        folder: where a file may tell that nobody is to wait any more.
    """

    def __init__(self, folder: Path) -> None:
        self._is_open = folder / "gate-is-open"
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._listener.settimeout(_SECONDS_TO_COME)
        self._waiting: list[socket.socket] = []

    @property
    def code(self) -> str:
        """Python code that waits here."""
        return _HOLD.format(
            is_open=str(self._is_open),
            address=self._listener.getsockname(),
            seconds=_SECONDS_TO_COME,
        )

    def wait_for(self, count: int = 1) -> None:
        """Return when ``count`` more processes wait here."""
        for _ in range(count):
            process, _ = self._listener.accept()
            self._waiting.append(process)
            process.settimeout(_SECONDS_TO_COME)
            assert process.recv(1) == b"."

    def open(self) -> None:
        """Let all go on that wait here."""
        for process in self._waiting:
            process.close()
        self._waiting.clear()

    def leave_open(self) -> None:
        """Let nobody wait here from now on."""
        self._is_open.touch()

    def close(self) -> None:
        """Close everything, and with it let all go on."""
        self.open()
        self._listener.close()
