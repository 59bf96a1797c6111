"""Folders that are thrown away in the end, so that nothing in them need survive a power cut.

A shadow copy is one: what runs in it is the real thing in everything but its syncs. The question
is asked of each path, not of the whole process, so that no sync of the live state can be left out.
"""

from __future__ import annotations

import os

_folders: set[str] = set()


def declare(folder: str) -> None:
    """Say that ``folder``, a real path, will be thrown away with all it holds."""
    _folders.add(folder + os.sep)


def forget(folder: str) -> None:
    """Take :func:`declare` back: the folder is gone."""
    _folders.discard(folder + os.sep)


def is_disposable(path: str) -> bool:
    """Return whether ``path``, absolute, lies in such a folder."""
    return any(path.startswith(folder) for folder in _folders)
