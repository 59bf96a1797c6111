"""What a person at a terminal is told while a command runs."""

import os
import pty
import subprocess
import sys
from contextlib import suppress

from project import SCRIPTS

_CODE = """
import sys
sys.path.insert(0, sys.argv[1])
from plugin_migrate.cli.progress import RunProgress
from plugin_migrate.render.style import Style
with RunProgress(sys.stderr, Style(width=40), verbose=False) as progress:
    for call in eval(sys.argv[2]):
        progress.advanced(*call)
"""


def on_a_terminal(*calls: tuple[str, int, int]) -> str:
    """Return what a terminal of 40 columns gets when a command tells how far it has come."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", _CODE, str(SCRIPTS), repr(calls)]
    child = subprocess.Popen(command, stdout=theirs, stderr=theirs)
    os.close(theirs)
    written = b""
    with suppress(OSError):  # how a terminal ends on Linux
        while part := os.read(ours, 10_000):
            written += part
    os.close(ours)
    assert child.wait() == 0, written
    return written.decode()


def test_how_far_a_command_has_come_is_one_line_that_goes_in_the_end() -> None:
    said = on_a_terminal(("verifying 1.0.0 - Add OAuth", 3, 300))

    erase, shown, end = said.split("\r")
    assert (erase, end) == ("", "\x1b[K")
    assert "3/300" in shown
    assert len(shown.removeprefix("\x1b[K")) < 40


def test_the_line_fits_the_terminal_and_cannot_steer_it() -> None:
    said = on_a_terminal(("verifying \x1b[2J" + "x" * 100, 0, 1))

    shown = said.removeprefix("\r\x1b[K").removesuffix("\r\x1b[K")
    assert len(shown) < 40
    assert "\x1b" not in shown


def test_a_line_is_not_written_for_each_of_many_steps() -> None:
    said = on_a_terminal(*((f"step {number}", number, 1000) for number in range(1000)))

    assert said.count("\r\x1b[K") < 100
