"""What git carries to others of the state: asked only by a verification, which runs code anyway."""

from __future__ import annotations

from ..git.command import NoAnswer, Repository
from ..git.history import contents, is_of
from ..values import NamedTuple
from ..workspace import Workspace


class Tracked(NamedTuple):
    """What git carries of the state in ``folder``, a ``.claude/``.

    ``paths``, relative to it, are those in git's index: none where there is no git, no repository,
    or one that git itself refuses to read.
    """

    folder: str
    paths: frozenset[str]

    def carries(self, path: str) -> bool:
        """Return whether others get what stands at ``path``, relative to the folder.

        A database that is not there yet can be in no index: one that git does not ignore counts
        as carried, because adding the folder adds it.
        """
        if path in self.paths:
            return True
        try:
            return path not in Repository(self.folder).ignored([path])
        except NoAnswer:
            return False

    def is_committed(self, path: str, digest: str | None) -> bool:
        """Return whether the last commit has a file with this SHA-256."""
        name = f"HEAD:./{path}"
        try:
            return is_of(contents(Repository(self.folder), [name])[name], digest)
        except NoAnswer:
            return False


def tracked_by_git(workspace: Workspace) -> Tracked:
    """Return what git's index holds of a workspace's ``.claude/``."""
    try:
        return Tracked(workspace.claude, Repository(workspace.claude).listed("--cached"))
    except NoAnswer:
        return Tracked(workspace.claude, frozenset())
