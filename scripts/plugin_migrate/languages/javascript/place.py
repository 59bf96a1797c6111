"""Where the text of a migration lies while a JavaScript engine loads it.

Not in the migrations folder, where nothing but the state may be written, and where its file may be
another by now, or gone: in the staged copy of that folder, or in a folder of ours that mirrors it.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator

from ...platform import system
from ...sandbox import file_watch
from ...workspace import Workspace, is_inside

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...sandbox.context import Context
    from ..typescript import ScriptAction


@contextlib.contextmanager
def placed(action: ScriptAction, context: Context) -> Iterator[str]:
    """Give the path of a copy of the text from where its relative imports lead to its helpers.

    The child removes it as soon as it is loaded: it is no part of the state. Its name says what
    kind of module it is, which else a ``package.json`` above would decide.
    """
    stem, suffix = os.path.splitext(os.path.basename(action.file))
    kind = ("m" if action.is_module else "c") + suffix[-2:]
    with file_watch.looking_away():
        folder = _folder(os.path.dirname(action.file), context)
        file = os.path.join(folder, f".{stem}.{kind}")
        with open(file, "x", encoding="utf-8", newline="") as copy:
            copy.write(action.source)
    try:
        yield file
    finally:
        with file_watch.looking_away(), contextlib.suppress(FileNotFoundError):
            os.unlink(file)


def _folder(folder: str, context: Context) -> str:
    """Return the staged copy of the migrations folder, or what stands in for it."""
    workspace = context.workspace
    _share_packages(workspace)
    real = os.path.realpath(folder)
    if is_inside(real, workspace.claude):
        staged = os.path.join(context.claude, os.path.relpath(real, workspace.claude))
        if os.path.isdir(staged) and os.access(staged, os.W_OK):
            return staged
    return context.kept_processes.get(
        (_Mirror, real), lambda: _Mirror(real, workspace.scratch)
    ).folder


class _Mirror:
    """A folder of ours from which everything around another folder can be reached by links."""

    is_usable = True

    def __init__(self, folder: str, scratch: str) -> None:
        above = tempfile.mkdtemp(prefix="mirror-", dir=scratch)
        self.folder = os.path.join(above, os.path.basename(folder))
        os.makedirs(self.folder)
        _link_all(os.path.dirname(folder), above)
        _link_all(folder, self.folder)

    def close(self) -> None:
        """Return: the run's end removes all that lies in its scratch folder."""


def _link_all(source: str, target: str) -> None:
    for name in os.listdir(source) if os.path.isdir(source) else ():
        if not os.path.lexists(os.path.join(target, name)):
            system.mirror(os.path.join(source, name), os.path.join(target, name))


def _share_packages(workspace: Workspace) -> None:
    """Let a migration on a shadow copy import the packages that it finds above the original."""
    link = os.path.join(workspace.scratch, "node_modules")
    packages = os.path.join(project_of(workspace), "node_modules")
    if workspace.live_claude and os.path.isdir(packages) and not os.path.lexists(link):
        system.mirror(packages, link)


def project_of(workspace: Workspace) -> str:
    """Return the project itself, also for its shadow copy."""
    if workspace.live_claude:
        return os.path.dirname(workspace.live_claude)
    return workspace.project
