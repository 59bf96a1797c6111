"""Our own folder, ``.claude/.plugin-migrate/``: made when first needed, and only what we put there.

It may come with a cloned repository. A link in it could lead what we write or remove anywhere, and
opening a named pipe would wait forever.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextlib import suppress

from ..errors import StateUnreadable
from ..platform import system
from ..workspace import Workspace
from .state_tree import Found, WalkedFolder, entries, walk


def prepare(workspace: Workspace) -> None:
    """Create the folder with its ``.gitignore``, and refuse what is not ours.

    Raises:
        StateUnreadable: it cannot be written, or something stands in it that we never make.
    """
    folder = workspace.bookkeeping
    refuse_links_and_special_files(workspace)
    try:
        if not os.path.isdir(folder):
            from .durable import make_folder

            make_folder(folder)
        ignore = os.path.join(folder, ".gitignore")
        if not os.path.exists(ignore):
            # Another first run may be making it at the same moment.
            with suppress(FileExistsError), open(ignore, "x", encoding="ascii") as file:
                file.write("*\n")
        if workspace.source is not None:
            from .unfinished import remember

            remember(workspace)
    except OSError as error:
        raise unwritable(folder, error) from None


def unwritable(path: str, error: OSError) -> StateUnreadable:
    """Return the error that says why ``path`` in the folder cannot be written."""
    from .translation import way_out

    return StateUnreadable(
        f"The state cannot be written: {system.reason_of(error)}",
        file=path,
        hint=way_out(error, path),
    )


def refuse_links_and_special_files(workspace: Workspace) -> None:
    """Refuse links and special files in our folder, below which only plain ones are ours.

    Raises:
        StateUnreadable: names the first, or what cannot be read.
    """
    from .translation import state_errors

    with state_errors():
        _refuse_links_and_special_files(workspace)


def _refuse_links_and_special_files(workspace: Workspace) -> None:
    folder = workspace.bookkeeping
    if not os.path.lexists(folder):
        return
    if os.path.islink(folder) or not (os.path.isdir(folder) or os.path.isfile(folder)):
        raise _not_ours(folder)

    def list_folder(place: WalkedFolder) -> Iterable[Found]:
        # What is staged is the migrations' affair.
        return () if place.folder == workspace.scratch else entries(place)

    for entry in walk(WalkedFolder.root(folder), list_folder):
        if entry.kind in ("file", "dir"):
            continue
        if entry.kind == "link" and re.fullmatch(r"put|(swap|out)-\d+", entry.name):
            continue  # a link that was to be put in place, or was taken out; nobody follows it
        # The run lock is not held yet, so another run may just have removed it.
        if os.path.lexists(entry.source):
            raise _not_ours(entry.source)


def _not_ours(path: str) -> StateUnreadable:
    return StateUnreadable(
        "A link or special file stands in plugin-migrate's own folder, which never makes one",
        file=path,
        hint="Remove it. If it came with a repository that you cloned, trust nothing in there.",
    )
