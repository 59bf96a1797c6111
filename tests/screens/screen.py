"""A real terminal, by tmux."""

import os
import shlex
import subprocess
import time
from pathlib import Path

from command_line import COMMAND


class Screen:
    """A terminal in which a shell command runs."""

    def __init__(self, folder: Path, width: int, height: int, environment: dict) -> None:
        self.socket = str(folder / f"tmux-{len(os.listdir(folder))}-{width}")
        self.size = ("-x", str(width), "-y", str(height))
        self.environment = environment | {"TERM": "screen-256color"}

    def tmux(self, *arguments: str) -> str:
        command = ["tmux", "-S", self.socket, "-f", "/dev/null", *arguments]
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, command: str, folder: Path) -> None:
        """Run a command that ends only when the test says so."""
        end = f"{command}; tmux -S {self.socket} wait-for -S over; exec cat"
        self.tmux("new-session", "-d", *self.size, "-c", str(folder), end)

    def run(self, command: str, folder: Path) -> str:
        """Return what a command leaves on the screen."""
        self.start(command, folder)
        self.tmux("wait-for", "over")
        return self.end()

    def seen(self) -> str:
        return "\n".join(line.rstrip() for line in self.tmux("capture-pane", "-p").split("\n"))

    def painted(self) -> str:
        """Return the screen with the escape sequences of its colours."""
        return self.tmux("capture-pane", "-p", "-e")

    def wait_for(self, text: str) -> str:
        """Return the screen as soon as it shows a text."""
        end = time.monotonic() + 30
        while text not in (seen := self.seen()):
            assert time.monotonic() < end, seen
        return seen

    def press(self, *keys: str) -> None:
        self.tmux("send-keys", *keys)

    def end(self) -> str:
        seen = self.seen().strip("\n")
        self.tmux("kill-server")
        return seen


def call(arguments: str) -> str:
    return f"{shlex.join(map(str, COMMAND))} {arguments}"
