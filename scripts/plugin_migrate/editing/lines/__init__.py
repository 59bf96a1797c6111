"""Files of which each line stands for itself, such as ``.gitignore``, ``.env`` and JSONL.

They are read once from the front and may have any size: `lines` is what an author is handed,
`rewriting` writes the changed file beside the old one, `json_line` reads and writes the value of a
line.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from .lines import Line, Lines, editing

__all__ = ["Line", "Lines", "edit"]


def edit(path: Path, shown: str | None = None) -> AbstractContextManager[Lines]:
    """Open a file of lines, to be changed in a ``with`` block.

    Parameters:
        path: the file; it is replaced only if something changed, and keeps its mode.
        shown: its name in messages; the path itself if not given.

    Returns:
        A context manager that gives the `Lines`.

    Raises:
        FileNotFoundError: there is no such file.
        StateUnreadable: it is UTF-16.
        Conflict: the file was changed meanwhile, for example by another edit inside this one.
    """
    return editing(str(path), shown or str(path))
