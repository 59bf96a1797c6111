"""What happens in a new clone or worktree of a project that commits its files, not its databases.

Migrations are applied once more to files that are migrated already. In the end no file may differ.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence

from ..engine.engine import Engine
from ..engine.prepare import Prepared
from ..engine.transaction import make_ledger
from ..errors import Interrupted, MigrateError
from ..ledger.read import holds_ledger
from ..platform.moving import discard
from ..sandbox.live_paths import name_live
from ..storage.backups import backups_folder
from ..storage.state_tree import StateTree, holds_database
from ..values import NamedTuple
from ..version import Version
from ..workspace import Workspace
from .databases import remove_database
from .kept import Difference, Keeper, Kept, differences

# A database's size is a multiple of its page's, of which this is the smallest
# (https://www.sqlite.org/fileformat.html, 1.3.2).
_SMALLEST_PAGE = 512


class Cloned(NamedTuple):
    """What a new clone showed.

    ``differences`` are those of the migrations that were applied, by version; ``failed`` is the
    version that ``error`` stopped, which none after it could follow.
    """

    differences: dict[Version, tuple[Difference, ...]]
    failed: Version | None = None
    error: MigrateError | None = None


def apply_again(
    workspace: Workspace,
    engine: Engine,
    keeper: Keeper,
    steps: Sequence[Prepared],
    on_step: Callable[[int, Prepared], None],
) -> Cloned:
    """Apply ``steps`` once more to the files of ``workspace``.

    Parameters:
        workspace: a shadow copy on whose files they are applied already; its databases are as
            before them.
        on_step: called with each step that is done, and how many were before it.
    """
    kept: dict[str, Kept] = {}
    touched: dict[Version, set[str]] = {}
    failed, error = None, None
    done = 0
    try:
        for result in engine.execute(steps):
            on_step(done, steps[done])
            done += 1
            taken = keeper.take()
            touched[result.version] = set(taken)
            kept = {**taken, **kept}
    except Interrupted:
        raise
    except MigrateError as caught:
        name_live(caught, workspace)
        failed, error = steps[done].version, caught
    # Databases that the clone made again are not files that it changed.
    files = {path: one for path, one in kept.items() if not holds_database(workspace.live(path))}
    different = {path: differences(workspace, {path: one}) for path, one in files.items()}
    return Cloned(
        {
            version: tuple(item for path in sorted(paths) for item in different.get(path, ()))
            for version, paths in touched.items()
        },
        failed,
        error,
    )


def renew_databases(workspace: Workspace) -> None:
    """Begin every database again, as in a new clone of a project that commits its files only.

    Those of other sources stay: what the migrations require of them is applied first there too.
    """
    discard(backups_folder(workspace))  # else their loss would be noticed
    found = [path for path in _databases(workspace) if not holds_ledger(path)]
    for path in [*found, workspace.database]:
        remove_database(path)
    make_ledger(workspace)


def _databases(workspace: Workspace) -> Iterator[str]:
    """Yield the paths of the databases among the files, but for the state database."""
    tree = StateTree(workspace)
    for entry in tree.walk():
        if entry.kind == "file" and os.path.getsize(entry.source) % _SMALLEST_PAGE == 0:
            with open(entry.source, "rb", buffering=0) as file:
                if tree.is_database(entry, file.read(100)):
                    yield entry.source
