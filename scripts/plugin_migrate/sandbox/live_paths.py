"""Paths of copies in an error, turned into those that the user knows.

A step works in a staged copy, and a rehearsal on a shadow copy; both are gone when somebody reads
what went wrong there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from ..errors import MigrateError, Place
from ..platform import system
from ..workspace import Workspace, is_inside

_LIBRARY = os.path.dirname(os.__file__)
_SLASH = r"[\\/]"


def name_live(error: MigrateError, workspace: Workspace, staged: str | None = None) -> None:
    """Let an error speak of the live state wherever it speaks of a copy.

    Parameters:
        workspace: where it happened, the live one or a shadow copy.
        staged: the staged copy of ``.claude/`` that the step worked in.
    """
    live = workspace.live_claude or workspace.claude
    copies = list(_copies(workspace, staged))

    def moved(path: str) -> str:
        for folder, name in copies:
            if is_inside(path, folder):
                return os.path.normpath(os.path.join(name, os.path.relpath(path, folder)))
        return path

    def named(text: str) -> str:
        for folder, name in copies:
            text = _replaced(text, folder, name, "" if name else _SLASH)
        return text

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


def _copies(workspace: Workspace, staged: str | None) -> Iterator[tuple[str, str]]:
    """Yield folders of copies with what they are called; of two nested ones the inner one first."""
    if staged is not None:
        yield staged, ".claude"
        yield os.path.dirname(staged), ""
    if workspace.live_claude is not None and workspace.live_project is not None:
        yield workspace.claude, workspace.live_claude
        yield workspace.project, workspace.live_project


def _shortened(text: str, live: str) -> str:
    return _replaced(text, live, ".claude", _SLASH)


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
