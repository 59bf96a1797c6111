"""What the ledger says of the way back of a migration without a down, and where that is kept.

The mark commits with the step. It names a file in our own folder by its digest, inode and time of
change, so that no other file is ever taken for it: not one that was changed, and not one that came
with a clone or a copy, of which nobody knows what it fits.
"""

from __future__ import annotations

import os
import re
import stat

from ..platform import system
from ..values import NamedTuple
from ..workspace import Workspace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..plan import Applied

_KEPT = re.compile(
    r"kept ([0-9]{1,18})(?: ([0-9a-f]{16}) ([0-9a-f]{64}) ([0-9]{1,39}) (-?[0-9]+))?"
)
_NONE = re.compile(r"none ([0-9]{1,18}) ([a-z-]{1,20})")
_SUFFIX = ".db"

DECLARED = "declared"
UNPROTECTED = "unprotected"
SWITCHED_OFF = "off"
NO_BACKUP = "no-backup"
TOO_MANY = "many"
TOO_LARGE = "large"
UNREADABLE = "unreadable"
_REASONS = {
    DECLARED: "it says reversible: false",
    UNPROTECTED: "it ran outside a transaction, where nothing is kept",
    SWITCHED_OFF: "the settings keep none (keep.ways_back: 0)",
    NO_BACKUP: "its run was to keep nothing (--no-backup)",
    TOO_MANY: "more migrations followed it in one run than the settings keep (keep.ways_back)",
    TOO_LARGE: "it takes more room than the settings allow (keep.megabytes)",
    UNREADABLE: "it changed something that cannot be kept",
}
_UNKNOWN = "nothing was kept when it was applied"
_GONE = "what was kept is gone, or is not the file that was written here"


class Mark(NamedTuple):
    """What was kept of one step.

    ``row`` is the number of the ledger's row that the step made. ``id`` names the file that holds
    the way back, with its ``digest``, ``inode`` and time of change in nanoseconds; it is ``None``
    where the step changed nothing, and where nothing was kept: then ``why`` says why.
    """

    row: int
    id: str | None = None
    digest: str = ""
    inode: int = 0
    changed_ns: int = 0
    why: str | None = None

    def to_text(self) -> str:
        """Return the mark as the ledger holds it."""
        if self.why is not None:
            return f"none {self.row} {self.why}"
        if self.id is None:
            return f"kept {self.row}"
        return f"kept {self.row} {self.id} {self.digest} {self.inode} {self.changed_ns}"

    @classmethod
    def from_text(cls, text: object) -> Mark | None:
        """Return the mark that ``text`` is; ``None`` where it is none."""
        if not isinstance(text, str):
            return None
        kept = _KEPT.fullmatch(text)
        if kept is not None:
            row, name, digest, inode, changed = kept.groups()
            if name is None:
                return cls(int(row))
            return cls(int(row), name, digest, int(inode), int(changed))
        none = _NONE.fullmatch(text)
        return cls(int(none[1]), why=none[2]) if none is not None else None


def ways_folder(workspace: Workspace) -> str:
    """Return the folder that holds a source's ways back."""
    return os.path.join(workspace.home, "ways-back")


def path_of(folder: str, name: str) -> str:
    """Return the path of the way back called ``name``."""
    return os.path.join(folder, name + _SUFFIX)


def ids_in(folder: str) -> list[str]:
    """Return the names of the ways back in a folder, whole ones and halves."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    return [name[:16] for name in names if re.fullmatch(r"[0-9a-f]{16}\.db(-journal)?", name)]


def find(workspace: Workspace, mark: Mark) -> str | None:
    """Return the path of the file that a mark means; opens nothing.

    A shadow copy holds what its own steps kept, and finds the rest in what it is a copy of.
    """
    if mark.id is None:
        return None
    homes = [workspace.home]
    if workspace.live_claude is not None:
        inside = os.path.relpath(workspace.home, workspace.claude)
        homes.append(os.path.join(workspace.live_claude, inside))
    for home in homes:
        path = path_of(os.path.join(home, "ways-back"), mark.id)
        try:
            is_file = stat.S_ISREG(os.lstat(path).st_mode)
            is_same = is_file and system.identity(path) == (mark.inode, mark.changed_ns)
        except OSError:
            continue
        if is_same:
            return path
    return None


def why_none(workspace: Workspace, applied: Applied, text: str | None) -> str | None:
    """Return why a migration without a down cannot go back, in half a sentence; else ``None``.

    Parameters:
        applied: its row in the ledger.
        text: its mark, if there is one.
    """
    mark = Mark.from_text(text)
    # Another engine may have applied it anew since: that is another row.
    if mark is None or mark.row != applied.order:
        return _UNKNOWN
    if mark.why is not None:
        return _REASONS.get(mark.why, _UNKNOWN)
    if mark.id is not None and find(workspace, mark) is None:
        return _GONE
    return None
