"""TOML files: tomlkit says where everything stands, and only what changes is written.

`document` has the statements of a file with their places, `style` writes keys and values as the
file does, `changes` finds what to replace, remove and add. tomlkit's own editing is not used,
because it moves comments, puts new keys below the comment of the next table, and mixes line ends.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from ..files import edit_file
from ..tree import EditableDict
from .changes import apply
from .document import load

__all__ = ["apply", "edit", "load"]


def edit(path: Path, shown: str | None = None) -> AbstractContextManager[EditableDict]:
    """Open a TOML file, to be changed in a ``with`` block.

    Parameters:
        path: the file; it is written back only if something changed, and keeps its mode.
        shown: its name in messages; the path itself if not given.

    Returns:
        A context manager that gives the document, a mapping which has ``rename``. Dates and times
        are those of the module `datetime`.

    Raises:
        FileNotFoundError: there is no such file.
        StateUnreadable: it is not TOML, or has a form that cannot be changed safely.
        TypeError: the author put something into it that TOML cannot hold, such as None.
        ValueError: the same about half of a surrogate pair.
    """
    return edit_file(path, load, apply, shown)
