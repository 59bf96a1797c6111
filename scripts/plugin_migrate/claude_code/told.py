"""What a session was told last, and what has to move before it is looked for news again.

The news at a session's start is shown in any case. Later it is looked for only when something moved
that the session's own commands do not move, such as git's HEAD or the plugins that are installed,
and shown only if it is different. So nobody hears twice of a pull, who writes a migration or rolls
one back does not hear that it is pending, and a prompt costs a few calls of ``stat``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress

from ..plain_file import read_plain
from ..settings import CONFIG_NAME
from ..sources.installed import files_about_plugins
from .private import forget_older

_SECONDS_KEPT = 30 * 24 * 3600
_LARGEST_LINK = 4096


def watched(project: str, environment: Mapping[str, str]) -> list[str]:
    """Return the files that move when news may come from outside; they need not exist.

    Few, and none of them per migration: the client runs a hook for each that changes.

    Parameters:
        project: the folder that holds ``.claude/``.
        environment: the process's environment variables.
    """
    return [
        *_git_heads(project),
        os.path.join(project, ".claude", CONFIG_NAME),
        *files_about_plugins(project, environment),
    ]


def _git_heads(project: str) -> Iterator[str]:
    """Yield what git writes with every checkout, commit, merge and pull of this working tree."""
    folder = project
    while not os.path.lexists(os.path.join(folder, ".git")):
        if folder == os.path.dirname(folder):
            return
        folder = os.path.dirname(folder)
    git = os.path.join(folder, ".git")
    with suppress(OSError):  # mostly it is a folder; of a worktree, a file that says where that is
        pointer = os.fsdecode(read_plain(git, _LARGEST_LINK))
        if pointer.startswith("gitdir:"):
            git = os.path.join(folder, pointer.removeprefix("gitdir:").strip())
    for name in ("HEAD", "logs/HEAD"):
        yield os.path.normpath(os.path.join(git, name))


class Note:
    """What a session was told last of a project, in the folder that the client keeps for us.

    Parameters:
        project: the folder that holds ``.claude/``.
        session: the client's id of the session.
        environment: the hook's environment variables.
    """

    def __init__(self, project: str, session: str, environment: Mapping[str, str]) -> None:
        self.files = watched(project, environment)
        self._moved = [_stamp(file) for file in self.files]
        self._folder = os.path.join(environment.get("CLAUDE_PLUGIN_DATA", ""), "told")
        self._path = os.path.join(self._folder, _name(session, project))

    @property
    def is_outdated(self) -> bool:
        """Whether something moved since, or nothing was noted at all."""
        try:
            with open(self._path, encoding="utf-8") as file:
                before = _parsed(file.read())
        except OSError:
            return True
        return before is None or before.get("moved") != self._moved

    def keep(self, news: str) -> bool:
        """Note the news, and return whether it is other news than was noted, and to be told.

        Parameters:
            news: as it is told; empty when there is none.
        """
        try:
            before = self._exchange({"news": news, "moved": self._moved})
        except OSError:
            return False  # without a place to note it, it would be told again and again
        return bool(news) and (before is None or before.get("news") != news)

    def _exchange(self, note: dict[str, object]) -> dict[str, object] | None:
        """Put a note in the place of the one before, which is returned."""
        import fcntl

        if not os.path.isabs(self._folder):
            raise FileNotFoundError(self._folder)
        os.makedirs(self._folder, mode=0o700, exist_ok=True)
        with open(self._path, "a+", encoding="utf-8") as file:
            # A pull moves several files, and the client runs a hook for each at once.
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            before = _parsed(file.read())
            if before is None:
                forget_older(self._folder, _SECONDS_KEPT)
            if before != note:
                file.truncate(0)
                file.write(json.dumps(note))
        return before


def _parsed(text: str) -> dict[str, object] | None:
    """Return what was noted; ``None`` when that was nothing."""
    try:
        before = json.loads(text)
    except ValueError:
        return None
    return before if isinstance(before, dict) else None


def _name(session: str, project: str) -> str:
    from hashlib import sha256

    return sha256(f"{session}\0{project}".encode(errors="surrogateescape")).hexdigest()[:32]


def _stamp(path: str) -> list[int] | None:
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return [status.st_mtime_ns, status.st_size]
