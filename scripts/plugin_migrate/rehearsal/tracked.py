"""What git carries to others of the state: asked only by a verification, which runs code anyway."""

from __future__ import annotations

from collections.abc import Iterable

from ..git.command import NoAnswer, Repository
from ..git.history import contents, is_of
from ..values import NamedTuple
from ..workspace import Workspace


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
        try:
            return name not in Repository(folder).ignored([name])
        except NoAnswer:
            return False

    def is_committed(self, path: str, digest: str | None) -> bool:
        """Return whether the last commit has a file with this SHA-256."""
        folder, name = self.workspace.place(path)
        wanted = f"HEAD:./{name}"
        try:
            return is_of(contents(Repository(folder), [wanted])[wanted], digest)
        except NoAnswer:
            return False


def tracked_by_git(workspace: Workspace) -> Tracked:
    """Return what git's index holds of a workspace's state."""
    listed = (start + name for start in workspace.starts for name in _listed(workspace, start))
    return Tracked(workspace, frozenset(filter(workspace.holds, listed)))


def _listed(workspace: Workspace, start: str) -> Iterable[str]:
    try:
        return Repository(workspace.place(start)[0]).listed("--cached")
    except NoAnswer:
        return ()
