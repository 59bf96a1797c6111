"""Notes that one of our processes leaves for another of the session, in the user's own folder.

Outside of every project: what a repository carries must not look like something that we wrote.
"""

from __future__ import annotations

import json
import os
import re
import stat
import time
from collections.abc import Mapping

from ..plain_file import read_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_FOLDER = "claude-code"
_SECONDS_KEPT = 24 * 60 * 60
_LARGEST = 4 * 1024 * 1024
_NAME = re.compile(r"[A-Za-z0-9._-]{1,200}")


def write(environment: Mapping[str, str], name: str, note: dict[str, Any]) -> None:
    """Keep a note under a name, instead of the one before.

    Raises:
        OSError: it cannot be written, or the folder is not the user's own.
        ValueError: the name is not one that a file can have.
    """
    folder = _folder(environment)
    path = _path(folder, name)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    _require_own(folder)
    forget_older(folder, _SECONDS_KEPT)
    new = f"{path}.{os.getpid()}.new"
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        json.dump(note, file)
    os.replace(new, path)


def read(environment: Mapping[str, str], name: str) -> dict[str, Any] | None:
    """Return the note of a name; ``None`` when there is none that can be trusted."""
    folder = _folder(environment)
    try:
        _require_own(folder)
        note = read_json(_path(folder, name), _LARGEST)
    except (OSError, ValueError):
        return None
    return note if isinstance(note, dict) else None


def exists(environment: Mapping[str, str], name: str) -> bool:
    """Return whether there is a note of a name, whatever is in it."""
    return _NAME.fullmatch(name) is not None and os.path.isfile(_path(_folder(environment), name))


def take(environment: Mapping[str, str], name: str) -> dict[str, Any] | None:
    """Return the note of a name once: two that ask for it at the same time do not both get it."""
    note = read(environment, name)
    try:
        os.unlink(_path(_folder(environment), name))
    except (OSError, ValueError):
        return None
    return note


def _folder(environment: Mapping[str, str]) -> str:
    """Return the folder; the launcher names the cache when it uses another than the usual one."""
    cache = environment.get("PLUGIN_MIGRATE_CACHE")
    if cache:
        return os.path.join(os.path.abspath(cache), _FOLDER)
    shared = environment.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(shared):
        shared = os.path.join(environment.get("HOME") or os.path.expanduser("~"), ".cache")
    return os.path.join(shared, "plugin-migrate", _FOLDER)


def _path(folder: str, name: str) -> str:
    if not _NAME.fullmatch(name) or name.startswith("."):
        raise ValueError(f"not a name for a note: {name!r}")
    return os.path.join(folder, name)


def _require_own(folder: str) -> None:
    status = os.lstat(folder)
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise PermissionError(f"{folder} is not a private folder of yours")


def forget_older(folder: str, seconds: int) -> None:
    """Remove the notes of a folder that are older."""
    oldest = time.time() - seconds
    with os.scandir(folder) as listing:
        for entry in listing:
            try:
                if entry.stat(follow_symlinks=False).st_mtime < oldest:
                    os.unlink(entry.path)
            except OSError:
                continue  # another session was faster
