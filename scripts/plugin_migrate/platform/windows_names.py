"""Which names no file can have on Windows, asked there before one is made, and by the linter.

https://learn.microsoft.com/windows/win32/fileio/naming-a-file
"""

from __future__ import annotations

import re

# What they name is a device, whatever follows the dot: text that is written there is gone.
_DEVICE = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³]) *(\..*)?", re.IGNORECASE
)
# After a colon stands the name of another stream of the same file, which no copy keeps.
_FORBIDDEN = re.compile(r'[<>:"|?*\x00-\x1f]')
# As git's own `core.protectNTFS`: the short name, and what is dropped at the end.
_GIT = re.compile(r"(\.git|git~[0-9])[. ]*(:.*)?", re.IGNORECASE | re.DOTALL)


def opens_git(name: str) -> bool:
    """Return whether this is the name of a repository's own folder, or one of those on Windows."""
    return _GIT.fullmatch(name) is not None


def unusable_part(path: str) -> str | None:
    """Return the part of a path that Windows cannot have as a name; ``None`` if it can have all.

    Parameters:
        path: relative, with ``/`` between its parts.
    """
    for part in path.split("/"):
        if part in ("", ".", ".."):
            continue
        # A dot or blank at the end is dropped without a word, so that another file is meant.
        if part[-1] in ". " or _DEVICE.fullmatch(part) or _FORBIDDEN.search(part):
            return part
    return None
