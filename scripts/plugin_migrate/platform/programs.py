"""Finding a program by ``PATH``, in no folder of a project's.

Windows looks into the current folder before it looks into those of ``PATH``, so that a repository's
``git.exe`` would be run in git's place (CVE-2023-40590 of GitPython).
"""

from __future__ import annotations

import os

from . import system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def find_programs(name: str, path: str | None = None) -> Iterator[str]:
    """Yield the absolute paths of the programs of a name, the first in ``PATH`` first.

    Only folders that it names absolutely are looked into: a relative one is one of the project's.

    Parameters:
        name: without a folder, and without the ending of Windows' programs.
        path: what to look into; the variable ``PATH`` when ``None``.
    """
    folders = os.environ.get("PATH", os.defpath) if path is None else path
    for folder in filter(os.path.isabs, folders.split(os.pathsep)):
        for file in system.program_names(name):
            found = os.path.join(folder, file)
            if os.path.isfile(found) and os.access(found, os.X_OK):
                yield found
