"""Paths of copies in an error, turned into those that the user knows.

A step works in a staged copy, and a rehearsal on a shadow copy; both are gone when somebody reads
what went wrong there.
"""

from __future__ import annotations

import os

from .errors import MigrateError
from .workspace import Workspace, is_inside


def name_live(error: MigrateError, workspace: Workspace, staged: str | None = None) -> None:
    """Let an error speak of the live state wherever it speaks of a copy.

    Parameters:
        workspace: where it happened, the live one or a shadow copy.
        staged: the staged copy of ``.claude/`` that the step worked in.
    """
    live = workspace.live_claude or workspace.claude

    def named(text: str) -> str:
        if staged is not None:
            text = text.replace(staged, ".claude")
            text = text.replace(os.path.dirname(staged) + os.sep, "")
        return text.replace(workspace.claude, live)

    error.message = named(error.message)
    error.args = (error.message,)
    error.hint = error.hint and named(error.hint)
    error.file = error.file and named(error.file)
    # What is no sentence of the author's is never about an absolute path that he wrote.
    error.details = tuple(_shortened(named(detail), live) for detail in error.details)


def _shortened(text: str, live: str) -> str:
    return text.replace(live + os.sep, ".claude" + os.sep)


def is_library(path: str) -> bool:
    """Return whether a source file belongs to Python itself."""
    import sysconfig

    folders = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
    packages = ("site-packages", "dist-packages")
    return any(
        folder and is_inside(path, folder) and not set(path.split(os.sep)) & set(packages)
        for folder in folders
    )
