"""What a session was told last, and what has to move outside of it before it is told again.

The news of a session's start is told in any case. Later it is told when two things hold: there is
other news than was told last, and something moved that the session's own commands do not move, such
as git's HEAD or the plugins that are installed. So nobody hears twice of a pull, and who writes a
migration or rolls one back does not hear that it is pending.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping

from .plugins import files_about_plugins
from .workspace import CONFIG_NAME

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
    if os.path.isfile(git) and os.path.getsize(git) <= _LARGEST_LINK:  # of a worktree
        with open(git, encoding="utf-8", errors="surrogateescape") as file:
            git = os.path.join(folder, file.read().removeprefix("gitdir:").strip())
    for name in ("HEAD", "logs/HEAD"):
        yield os.path.normpath(os.path.join(git, name))


def is_to_be_told(
    news: str,
    files: list[str],
    project: str,
    session: str,
    environment: Mapping[str, str],
    at_start: bool,
) -> bool:
    """Return whether a session is to hear the news now, and note that it has.

    Parameters:
        news: as it would be told; empty when there is none.
        files: see :func:`watched`.
        project: the folder that holds ``.claude/``.
        session: the client's id of the session.
        at_start: whether the session begins.
    """
    note: dict[str, object] = {"news": news, "moved": [_stamp(file) for file in files]}
    try:
        return _exchange(note, project, session, environment, at_start)
    except (OSError, ValueError):
        # Without a place to note it, it would be told again and again.
        return at_start and bool(news)


def _exchange(
    note: dict[str, object],
    project: str,
    session: str,
    environment: Mapping[str, str],
    at_start: bool,
) -> bool:
    import fcntl

    folder = os.path.join(environment.get("CLAUDE_PLUGIN_DATA", ""), "told")
    if not os.path.isabs(folder):
        raise ValueError(folder)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    if at_start:
        _forget_old(folder)
    path = os.path.join(folder, _name(session, project))
    with open(path, "a+", encoding="utf-8") as file:
        # A pull moves several files, and the client runs a hook for each at once.
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        before = _parsed(file.read())
        if before != note:
            file.truncate(0)
            file.write(json.dumps(note))
    if not note["news"]:
        return False
    if at_start or before is None:
        return True
    return before.get("news") != note["news"] and before.get("moved") != note["moved"]


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


def _forget_old(folder: str) -> None:
    oldest = time.time() - _SECONDS_KEPT
    for entry in os.scandir(folder):
        if entry.stat(follow_symlinks=False).st_mtime < oldest:
            os.unlink(entry.path)
