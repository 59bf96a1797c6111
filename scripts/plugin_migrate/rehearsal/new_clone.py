"""What happens in a new clone or worktree of a project that commits its files, not its databases.

Migrations are applied once more to files that are migrated already. In the end no file may differ.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence

from ..engine.engine import Engine
from ..engine.prepare import Prepared
from ..engine.transaction import make_ledger
from ..errors import Interrupted, MigrateError
from ..ledger.read import holds_ledger
from ..sandbox.live_paths import name_live
from ..storage.backups import backups_folder
from ..storage.exclusions import Exclusions, holds_database
from ..storage.files import discard
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
    files = {path: one for path, one in kept.items() if not _is_database(workspace, path)}
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
    exclusions = Exclusions(workspace)
    folders = list(workspace.starts)
    for prefix in folders:
        with os.scandir(workspace.live(prefix)) as listing:
            entries = list(listing)
        for entry in entries:
            path = prefix + entry.name
            if exclusions.reason(path, entry):
                continue
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                folders.append(path + "/")
            elif (
                stat.S_ISREG(status.st_mode)
                and status.st_size % _SMALLEST_PAGE == 0
                and _begins_as_database(entry, path, exclusions)
            ):
                yield entry.path


def _begins_as_database(entry: os.DirEntry[str], path: str, exclusions: Exclusions) -> bool:
    with open(entry.path, "rb", buffering=0) as file:
        return exclusions.is_database(path, entry.name, file.read(100))


def _is_database(workspace: Workspace, path: str) -> bool:
    live = workspace.live(path)
    return os.path.isfile(live) and holds_database(live)
