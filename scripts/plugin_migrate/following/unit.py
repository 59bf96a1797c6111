"""Publishing the databases that a step made on a shadow, with its ledger row, as one unit.

The state database is replaced as a whole, in one transaction of SQLite's: that is the commit, and
it carries the publish row of everything else (design, "The commit protocol").
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing

from ..engine import recovery
from ..engine.compare import refuse_unpublishable
from ..engine.redo_log import DatabaseEntry, LogWriter, Manifest
from ..errors import Conflict, StateUnreadable
from ..ledger.write import LedgerWriter
from ..plan import KnownRecord
from ..platform import system
from ..platform.moving import discard
from ..storage import sqlite
from ..storage.live_database import LiveDatabase, copy_live, digest_of_closed, pad_to_two_pages
from ..storage.nodes import Node, PathChange, observe
from ..version import Version
from ..workspace import Workspace
from .shadow import Shadow
from .walk import Walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..engine.backup import StepKeeper
    from ..engine.prepare import Prepared
    from ..engine.redo_log import Log
    from ..sandbox.signals import Signals


def publish(
    walk: Walk,
    state: LiveDatabase,
    last: Prepared,
    notes: Mapping[Version, KnownRecord],
    done_by: str,
    backup: StepKeeper,
    signals: Signals,
) -> None:
    """Bring what steps made of our half of the state from a shadow into the live state.

    Parameters:
        walk: has taken the steps.
        state: the live state database since it was copied; closed afterwards.
        last: the last of the steps.
        notes: the records that stand with the files from now on.
        backup: keeps what is changed here.

    Raises:
        Conflict, DatabaseReplaced: somebody changed our half meanwhile; nothing has happened.
        StateUnreadable: it cannot be written; nothing has happened.
        Unpublished: it is committed, and not everything is in place.
    """
    shadow, live = walk.shadow, walk.shadow.live
    try:
        log = _log(walk, last)
        if log is not None:
            _back_up(backup, log[1])
    except OSError as error:
        raise StateUnreadable(
            f"The database half cannot be written: {system.reason_of(error)}",
            file=error.filename,
            hint="Free some space or correct the permissions, then run the command again.",
        ) from error
    _complete(shadow, notes, done_by, log)
    signals.hold()
    state.replace_by(shadow.workspace.database, lambda: None)
    state.close()
    if log is not None:
        recovery.publish_committed(live, done_by, *log, frozenset())


def _log(walk: Walk, last: Prepared) -> tuple[Log, Manifest] | None:
    """Write the redo log of what is published beside the state database, if there is any."""
    shadow, live = walk.shadow, walk.shadow.live
    databases = [path for path in dict.fromkeys(walk.noted.databases) if _is_replaced(shadow, path)]
    changes = dict(_changes(walk, databases))
    if not changes and not databases:
        return None
    refuse_unpublishable(live, changes)
    writer = LogWriter(live)
    try:
        entries = tuple(
            _entry(writer.log, shadow, number, path) for number, path in enumerate(databases)
        )
        manifest = writer.finish(last.version, last.direction, changes, entries)
    except BaseException:
        discard(writer.log.folder)
        raise
    return writer.log, manifest


def _entry(log: Log, shadow: Shadow, number: int, path: str) -> DatabaseEntry:
    name = f"database-{number}.sqlite"
    copy = log.path_of(name)
    copy_live(os.path.join(shadow.workspace.claude, path), copy)
    return DatabaseEntry(path, name, shadow.digests[path], digest_of_closed(copy))


def _is_replaced(shadow: Shadow, path: str) -> bool:
    """Return whether a database was there before the steps and still is."""
    return path in shadow.digests and os.path.exists(os.path.join(shadow.workspace.claude, path))


def _changes(walk: Walk, databases: Collection[str]) -> Iterator[tuple[PathChange, str]]:
    """Yield what the steps changed of our files, compared with what is here now.

    Parameters:
        databases: those that are published in another way.
    """
    shadow, live = walk.shadow, walk.shadow.live
    made: set[str] = set()
    for path in sorted(shadow.ours(walk.noted.files) - set(databases)):
        before = observe(os.path.join(live.claude, path))
        if not _is_same(before, walk.noted.first[path].before) and path not in shadow.digests:
            raise Conflict(
                f"{path} was changed by somebody else while the migration ran",
                file=os.path.join(live.claude, path),
                hint="Nothing was changed. Run the command again.",
            )
        yield from _folders(live, path, made)
        staged = os.path.join(shadow.workspace.claude, path)
        after = observe(staged)  # what a later step may have changed once more
        if after is not None and before is not None:
            after = after._replace(link=before.link)
        if before != after:
            yield PathChange(path, before, after), staged


def _is_same(here: Node | None, copied: Node | None) -> bool:
    if here is None or copied is None:
        return here is copied
    return (here.kind, here.sha256) == (copied.kind, copied.sha256)


def _folders(live: Workspace, path: str, made: set[str]) -> Iterator[tuple[PathChange, str]]:
    """Yield the folders above ``path`` that are not here: git keeps none that is empty."""
    parts = path.split("/")[:-1]
    for count in range(1, len(parts) + 1):
        folder = "/".join(parts[:count])
        if folder not in made and not os.path.lexists(os.path.join(live.claude, folder)):
            made.add(folder)
            yield PathChange(folder, None, Node("dir", 0o755)), ""


def _back_up(backup: StepKeeper, manifest: Manifest) -> None:
    backup.add_files(manifest.entries)
    for entry in manifest.databases:
        backup.add_database(entry.path, entry.after)
    backup.commit()


def _complete(
    shadow: Shadow,
    notes: Mapping[Version, KnownRecord],
    done_by: str,
    log: tuple[Log, Manifest] | None,
) -> None:
    """Make the shadow's state database what the live one is to be."""
    shadow.give_back()
    path = shadow.workspace.database
    with closing(sqlite.open_for_writing(path, sqlite3.Connection)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE").fetchall()
        connection.execute("BEGIN IMMEDIATE")
        ledger = LedgerWriter(connection, shadow.live.config.ledger_table, done_by)
        for version, record in notes.items():
            ledger.note_record(version, record)
        if log is not None:
            ledger.add_publish(recovery.publish_row(shadow.live, log[1]))
        connection.execute("COMMIT")
        pad_to_two_pages(connection)
