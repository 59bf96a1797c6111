"""What a migration makes of files that git has brought migrated, and databases from before.

That is where everybody stands who pulls somebody else's upgrade. A value that ``up`` takes out of a
file is in no file any more, so no row is made of it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping

from ..engine.engine import Engine
from ..engine.prepare import Prepared
from ..errors import Interrupted, MigrateError
from ..storage.files import discard
from ..storage.nodes import observe
from ..workspace import Workspace
from .databases import Databases, put_databases
from .kept import Difference, Keeper, Kept, differences, state_differences


def rows_after_pull(
    workspace: Workspace,
    engine: Engine,
    keeper: Keeper,
    up: Prepared,
    before: Databases,
    after: Databases,
    written: frozenset[str] | None,
) -> tuple[Difference, ...] | None:
    """Apply ``up`` to migrated files and earlier databases; return how their rows differ.

    Files and databases are then as they were when this was called.

    Parameters:
        workspace: a shadow copy on which ``up`` is applied.
        before: the databases that git does not carry, as they were before ``up``.
        after: the same as they are now.
        written: the state database's tables that ``up`` writes; ``None`` when that is unknown.

    Returns:
        ``None`` where ``up`` fails: whether it copes with migrated files is another question.
    """
    put_databases(workspace, before)
    try:
        for _ in engine.execute([up]):
            pass
        also = engine.take_written()
        tables = None if written is None or also is None else written | also
        found = (
            *state_differences(workspace, after.state, tables),
            *differences(
                workspace,
                {
                    path: Kept(observe(copy) if copy else None, copy)
                    for path, copy in after.others.items()
                },
            ),
        )
    except Interrupted:
        raise
    except MigrateError:
        found = None
    engine.take_written()
    _put_back(workspace, keeper.take())
    put_databases(workspace, after)
    return found


def _put_back(workspace: Workspace, kept: Mapping[str, Kept]) -> None:
    """Make files, folders and links what they were before a step changed them."""
    places = {workspace.live(path): one for path, one in kept.items()}
    for live in sorted(places, reverse=True):
        before, now = places[live].before, observe(live)
        if now is not None and (before is None or before.kind != now.kind or before.kind == "link"):
            discard(live) if now.kind == "dir" else os.unlink(live)
    for live in sorted(places):
        before, content = places[live]
        if before is None:
            continue
        if before.kind == "link":
            os.symlink(before.link or "", live)
            continue
        if before.kind == "dir":
            os.makedirs(live, exist_ok=True)
        elif content is not None:
            shutil.copyfile(content, live)
        os.chmod(live, before.mode)
