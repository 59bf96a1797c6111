"""Telling a person at a terminal what a run is doing while it does it."""

from __future__ import annotations

import sys
import time

from ..platform import system
from ..render.style import Style, clip, one_line, printable
from ..report import Reporter, StepResult

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

    from ..engine.prepare import Prepared
    from .relay import Relay

_SECONDS_BETWEEN_UPDATES = 0.1
_BAR_LENGTH = 20


class Progress(Reporter):
    """Shows a progress line that replaces itself, if the stream is a terminal.

    As a context manager it keeps apart what a migration or its child processes print meanwhile,
    and erases the line at the end.

    Parameters:
        stream: where to write; a stream of this process's standard error.
        style: how.
    """

    def __init__(self, stream: TextIO, style: Style) -> None:
        self._stream = stream
        self._style = style
        self._is_terminal = stream.isatty()
        self._relay: Relay | None = None
        self._began = time.monotonic()
        self._updated = 0.0
        self._steps = 0
        self._finished = 0

    def __enter__(self) -> Progress:
        if self._is_terminal and system.RELAYS:
            from .relay import Relay

            self._relay = Relay()
        return self

    def __exit__(self, *_: object) -> None:
        if self._relay is not None:
            self._relay.close()
            self._relay = None

    def planned(self, steps: int) -> None:
        """Learn how many steps there are, for the bar."""
        self._steps = steps

    def started(self, prepared: Prepared) -> None:
        """Show what runs now, until something else is to be shown."""
        self._show(f"{self._bar_of_run()}{_what(prepared)} …")

    def finished(self, result: StepResult) -> None:
        """Move the bar on."""
        self._finished += 1
        if self._finished < self._steps:
            self._show(self._bar_of_run())

    def progress(self, prepared: Prepared, done: int, total: int | None) -> None:
        """Show how far a loop has come, at most ten times a second."""
        now = time.monotonic()
        if now - self._updated >= _SECONDS_BETWEEN_UPDATES:
            self._updated = now
            of = f", step {self._finished + 1} of {self._steps}" if self._steps > 1 else ""
            self._show(f"{self._bar(done, total)}{_what(prepared)}{of}")

    def advanced(self, what: str, done: int, total: int) -> None:
        """Show how far the command has come, at most ten times a second."""
        now = time.monotonic()
        if now - self._updated >= _SECONDS_BETWEEN_UPDATES:
            self._updated = now
            self._show(f"{self._bar(done, total)}{one_line(what)}")

    def _bar_of_run(self) -> str:
        return self._bar(self._finished, self._steps) if self._steps > 1 else ""

    def _bar(self, done: int, total: int | None) -> str:
        seconds = int(time.monotonic() - self._began)
        took = f"{seconds // 60}:{seconds % 60:02}"
        if not total:
            return f"{done}  {took}  "
        full = _BAR_LENGTH * min(done, total) // total
        return f"{'█' * full}{'░' * (_BAR_LENGTH - full)}  {done}/{total}  {took}  "

    def _show(self, text: str) -> None:
        if self._relay is not None:
            self._relay.show("  " + clip(text, (self._style.width or 80) - 3))


class RunProgress(Progress):
    """Writes a line per finished step as well, and what migrations log.

    Parameters:
        stream: where to write; steps and progress are shown only if it is a terminal.
        style: how.
        verbose: show the steps also when it is no terminal.
    """

    def __init__(self, stream: TextIO, style: Style, verbose: bool) -> None:
        super().__init__(stream, style)
        self._shows_steps = self._is_terminal or verbose

    @property
    def names_steps_on_screen(self) -> bool:
        """Whether whoever reads standard output has seen a line for each step already."""
        return self._is_terminal and sys.stdout.isatty()

    def log(self, prepared: Prepared, text: str) -> None:
        """Pass on what the migration says."""
        for line in printable(text).split("\n"):
            self._write(f"  {prepared.version}: {line}")

    def finished(self, result: StepResult) -> None:
        """Write the step's line."""
        if self._shows_steps:
            tick = self._style.paint("green", "✓")
            verb = "applied" if result.direction == "up" else "rolled back"
            source = ", from the stored source: its file is gone" if result.from_ledger else ""
            self._write(
                f"  {tick} {verb} {result.version} - {one_line(result.description)}"
                f" ({result.duration_ms} ms{source})"
            )
        super().finished(result)

    def _write(self, line: str) -> None:
        if self._relay is not None:
            self._relay.write(line)
        else:
            print(line, file=self._stream, flush=True)


def _what(prepared: Prepared) -> str:
    return f"{prepared.version} - {one_line(prepared.description)}"
