"""Paths of copies in an error, turned into those that the user knows.

A step works in a staged copy, and a rehearsal on a shadow copy; both are gone when somebody reads
what went wrong there.
"""

from __future__ import annotations

import os

from ..errors import MigrateError, Place
from ..workspace import Workspace, is_inside

_LIBRARY = os.path.dirname(os.__file__)


def name_live(error: MigrateError, workspace: Workspace, staged: str | None = None) -> None:
    """Let an error speak of the live state wherever it speaks of a copy.

    Parameters:
        workspace: where it happened, the live one or a shadow copy.
        staged: the staged copy of ``.claude/`` that the step worked in.
    """
    live = workspace.live_claude or workspace.claude
    project = workspace.live_project or workspace.project

    def named(text: str) -> str:
        if staged is not None:
            text = text.replace(staged, ".claude")
            text = text.replace(os.path.dirname(staged) + os.sep, "")
        text = text.replace(workspace.claude, live)
        return text.replace(workspace.project + os.sep, project + os.sep)

    error.message = named(error.message)
    error.args = (error.message,)
    error.advice = tuple(
        Place(named(part.path))
        if isinstance(part, Place)
        else named(part)
        if isinstance(part, str)
        else part
        for part in error.advice
    )
    error.file = error.file and named(error.file)
    # A message may quote an absolute path that the author wrote; a traceback says where he did.
    error.details = tuple(_shortened(named(detail), live) for detail in error.details)


def _shortened(text: str, live: str) -> str:
    return text.replace(live + os.sep, ".claude" + os.sep)


def is_library(path: str) -> bool:
    """Return whether a source file belongs to Python itself."""
    packages = {"site-packages", "dist-packages"}
    return is_inside(path, _LIBRARY) and not packages & set(path.split(os.sep))
