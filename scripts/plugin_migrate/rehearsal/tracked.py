"""What git carries to others of the state: asked only by a verification, which runs code anyway."""

from __future__ import annotations

import os
import subprocess

from ..values import NamedTuple
from ..workspace import Workspace

_PATIENCE = 30.0  # seconds
# Nothing in a repository's settings may run a program.
_GIT = ("git", "--no-optional-locks", "-c", "core.fsmonitor=false")
_NOT_IGNORED = 1  # exit code (https://git-scm.com/docs/git-check-ignore)


class Tracked(NamedTuple):
    """What git carries of a workspace's state.

    ``paths`` are those in git's index: none where there is no git, no repository, or one that git
    itself refuses to read.
    """

    workspace: Workspace
    paths: frozenset[str]

    def carries(self, path: str) -> bool:
        """Return whether others get what stands at ``path``.

        A database that is not there yet can be in no index: one that git does not ignore counts
        as carried, because adding the folder adds it.
        """
        if path in self.paths:
            return True
        folder, name = self.workspace.place(path)
        done = _git(folder, "check-ignore", "--quiet", "--", name)
        return done is not None and done.returncode == _NOT_IGNORED


def tracked_by_git(workspace: Workspace) -> Tracked:
    """Return what git's index holds of a workspace's state."""
    paths = frozenset(
        path
        for start in workspace.starts
        for path in (start + name for name in _tracked_in(workspace.live(start)))
        if workspace.holds(path)
    )
    return Tracked(workspace, paths)


def _tracked_in(folder: str) -> list[str]:
    done = _git(folder, "ls-files", "-z", "--", ".")
    listed = done.stdout if done is not None and done.returncode == 0 else b""
    return list(map(os.fsdecode, filter(None, listed.split(b"\0"))))


def _git(folder: str, *arguments: str) -> subprocess.CompletedProcess[bytes] | None:
    try:
        return subprocess.run(
            [*_GIT, *arguments],
            cwd=folder,
            stdin=subprocess.DEVNULL,  # it must not wait for an answer
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
