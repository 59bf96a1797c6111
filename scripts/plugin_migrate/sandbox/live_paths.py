"""Paths of copies in an error, turned into those that the user knows.

A step works in a staged copy, and a rehearsal on a shadow copy; both are gone when somebody reads
what went wrong there.
"""

from __future__ import annotations

import os
import re

from ..errors import MigrateError, Place
from ..platform import system
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

    def moved(path: str) -> str:
        if staged is not None and is_inside(path, os.path.dirname(staged)):
            return os.path.relpath(path, os.path.dirname(staged))
        path = path.replace(workspace.claude, live)
        return path.replace(workspace.project + os.sep, project + os.sep)

    def named(text: str) -> str:
        if staged is not None:
            text = _replaced(text, staged, ".claude")
            text = _replaced(text, os.path.dirname(staged), "", r"[\\/]")
        if workspace.claude != live:
            text = _replaced(text, workspace.claude, live)
        return text.replace(workspace.project + os.sep, project + os.sep)

    error.message = named(error.message)
    error.args = (error.message,)
    error.advice = tuple(
        Place(moved(part.path))
        if isinstance(part, Place)
        else named(part)
        if isinstance(part, str)
        else part
        for part in error.advice
    )
    error.file = error.file and moved(error.file)
    # A message may quote an absolute path that the author wrote; a traceback says where he did.
    error.details = tuple(_shortened(named(detail), live) for detail in error.details)


def _shortened(text: str, live: str) -> str:
    return _replaced(text, live, ".claude", r"[\\/]")


def _replaced(text: str, folder: str, instead: str, before: str = "") -> str:
    """Return a text with another name for a folder, and ``/`` in what follows it.

    Parameters:
        instead: the other name; without one, what follows is named by itself.
        before: a pattern for what has to follow it.
    """
    rest = f"(?={before})" + r"((?:[\\/][^\"'\n]*)?)"

    def named(path: str) -> str:
        path = system.slashed(path)
        return instead + path if instead else path.removeprefix("/")

    text = re.sub(re.escape(folder) + rest, lambda found: named(found[1]), text)
    quoted = repr(folder)[1:-1]  # as an OSError names it: on Windows with every backslash twice
    if quoted == folder:
        return text
    return re.sub(
        re.escape(quoted) + rest, lambda found: named(found[1].replace("\\\\", "\\")), text
    )


def is_library(path: str) -> bool:
    """Return whether a source file belongs to Python itself."""
    packages = {"site-packages", "dist-packages"}
    return is_inside(path, _LIBRARY) and not packages & set(path.split(os.sep))
