"""Telling a person at a terminal what a run is doing while it does it."""

from __future__ import annotations

import time

from .render.style import Style, cut_text, one_line, printable
from .report import Reporter, StepResult

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

    from .prepare import Prepared

_SECONDS_BETWEEN_UPDATES = 0.1


class Narrator(Reporter):
    """Writes a line per finished step, a progress line that replaces itself, and the logs.

    As a context manager it erases the progress line that a failure leaves.

    Parameters:
        stream: where to write; steps and progress are shown only if it is a terminal.
        style: how.
        verbose: show the steps also when it is no terminal.
    """

    def __init__(self, stream: TextIO, style: Style, verbose: bool) -> None:
        self._stream = stream
        self._style = style
        self._is_terminal = stream.isatty()
        self._shows_steps = self._is_terminal or verbose
        self._has_progress = False
        self._updated = 0.0

    def __enter__(self) -> Narrator:
        return self

    def __exit__(self, *_: object) -> None:
        self._clear_progress()

    def started(self, prepared: Prepared) -> None:
        """Show what runs now, until something else is to be shown."""
        self._show_progress(f"{prepared.version} - {one_line(prepared.description)} …")

    def log(self, prepared: Prepared, text: str) -> None:
        """Pass on what the migration says."""
        self._clear_progress()
        for line in printable(text).split("\n"):
            print(f"  {prepared.version}: {line}", file=self._stream, flush=True)

    def progress(self, prepared: Prepared, done: int, total: int | None) -> None:
        """Show how far a loop has come, at most ten times a second."""
        now = time.monotonic()
        if now - self._updated >= _SECONDS_BETWEEN_UPDATES:
            self._updated = now
            of = f" of {total}" if total is not None else ""
            self._show_progress(f"{prepared.version}: {done}{of}")

    def advanced(self, what: str, done: int, total: int) -> None:
        """Show how far the command has come, at most ten times a second."""
        now = time.monotonic()
        if now - self._updated >= _SECONDS_BETWEEN_UPDATES:
            self._updated = now
            self._show_progress(f"{done} of {total}: {one_line(what)}")

    def finished(self, result: StepResult) -> None:
        """Write the step's line."""
        self._clear_progress()
        if self._shows_steps:
            tick = self._style.paint("green", "✓")
            verb = "applied" if result.direction == "up" else "rolled back"
            print(
                f"  {tick} {verb} {result.version} - {one_line(result.description)}"
                f" ({result.duration_ms} ms)",
                file=self._stream,
                flush=True,
            )

    def _show_progress(self, text: str) -> None:
        if self._is_terminal:
            shown = cut_text(text, (self._style.width or 80) - 3)
            self._stream.write(f"\r\x1b[K  {shown}")
            self._stream.flush()
            self._has_progress = True

    def _clear_progress(self) -> None:
        if self._has_progress:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._has_progress = False
