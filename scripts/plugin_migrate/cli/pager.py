"""Long output through the user's pager, as git does it."""

from __future__ import annotations

import os
import sys

from ..render.style import columns_of

_STRIPPED = r"\x1b\[[0-9;]*m"


def page(text: str) -> bool:
    """Show a text that is longer than the screen in ``$PAGER``, or ``less``.

    Returns:
        False when nobody sits at the terminal, the text fits, or there is no pager: then it is to
        be printed.
    """
    # With no keyboard at stdin nobody could leave the pager.
    if not (sys.stdin.isatty() and sys.stdout.isatty()) or not _is_long(text):
        return False
    import shlex
    import signal
    import subprocess

    command = shlex.split(os.environ.get("PAGER", "less"))
    program = _find(command[0]) if command and command != ["cat"] else None
    if program is None:
        return False
    # What git gives less: leave if all fits, show colours, leave the text on the screen.
    environment = {"LESS": "FRX", **os.environ}
    sys.stdout.flush()
    with subprocess.Popen(
        [program, *command[1:]],
        stdin=subprocess.PIPE,
        env=environment,
        encoding="utf-8",
        errors="replace",
    ) as pager:
        # Ctrl-C is for the pager, which gets it as well.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            pager.communicate(text + "\n")
        finally:
            signal.signal(signal.SIGINT, before)
    return True


def _find(name: str) -> str | None:
    """Return the path of a program that the user names by a path of its own, or by its name."""
    if os.path.dirname(name):
        import shutil

        return shutil.which(name)
    from ..platform.programs import find_programs

    return next(find_programs(name), None)


def _is_long(text: str) -> bool:
    lines = text.split("\n")
    try:
        size = os.get_terminal_size(sys.stdout.fileno())
    except OSError:
        return False
    if not size.lines or os.environ.get("TERM", "dumb") == "dumb":
        return False
    if len(lines) >= size.lines:
        return True
    import re

    shown = (columns_of(re.sub(_STRIPPED, "", line)) for line in lines)
    return sum(max(0, wide - 1) // (size.columns or 80) + 1 for wide in shown) >= size.lines
