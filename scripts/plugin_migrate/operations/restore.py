"""Going back to an automatic backup, as one unit of files, databases and ledger.

The restored state database carries the publish row of the restored files, so the commit protocol
and its recovery hold here too. History is never taken back: what happened since stays in it.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from tempfile import TemporaryDirectory

from ..engine import recovery
from ..engine.backup import BackupWriter
from ..engine.redo_log import DatabaseEntry, Log, LogWriter, Manifest, logs
from ..errors import Call, Conflict, LedgerLost, MigrateError, NeedsRepair, StateUnreadable
from ..ledger.read import Publish, read_ledger
from ..ledger.schema import ensure_ledger
from ..ledger.write import LedgerWriter
from ..platform.moving import discard, place, rename
from ..storage import sqlite
from ..storage.backups import Backup, Saved, read_shelf
from ..storage.durable import make_folder, sync_file, sync_folder
from ..storage.live_database import LiveDatabase, digest_of_closed, digest_of_live, pad_to_two_pages
from ..storage.nodes import Node, PathChange
from ..storage.state_tree import SIDE_SUFFIXES
from ..storage.translation import explaining
from ..version import Version
from ..way_back.keeper import WayBackKeeper
from ..workspace import Workspace
from .restore_chain import chain_of, refuse_damaged, refuse_edits, refuse_gaps, spans_of
from .writing import settle_backups, settle_others, writing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .restore_chain import DatabaseSpan, Span


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore brought back; paths are relative to ``.claude/``."""

    backup: Backup
    paths: tuple[str, ...]
    current: Version | None


def restore(
    workspace: Workspace, backup_id: str, force: bool, done_by: str, lock_timeout: float
) -> Restored:
    """Go back to the state before the run that a backup belongs to, undoing later runs too.

    Parameters:
        backup_id: as ``list_backups`` gives it.
        done_by: for the history.
        force: also over files that were edited since, an incomplete chain of backups, or a state
            database that is broken (which is kept beside the new one).

    Raises:
        UsageError: there is no such backup.
        Conflict: files were edited since, or the backup of a later run is damaged, gone or was
            never made; lists them.
        StateUnreadable: something cannot be read or written.
    """
    with writing(workspace, "restore", lock_timeout) as signals, signals.held():
        settle_others(workspace, done_by)
        if not _may_skip_recovery(workspace, force):
            recovery.refuse(workspace, recovery.recover(workspace, done_by))
            settle_backups(workspace)
        return _go_back(workspace, backup_id, done_by, force)


def dry_run(workspace: Workspace, backup_id: str, force: bool) -> Restored:
    """Return what a restore would bring back, checked as it would be; writes nothing.

    Raises:
        NeedsRepair: what a killed command left has to be finished first.
        MigrateError: as for :func:`restore`.
    """
    if workspace.has_logs and not force:
        raise NeedsRepair(
            "What a killed command left must be finished before a restore can be looked at",
            hint=("Finish it with: ", Call("repair")),
        )
    with TemporaryDirectory(prefix="plugin-migrate-") as scratch:
        chosen, files, databases, _ = _checked(workspace, backup_id, force, scratch)
    current = Version.parse(chosen.current_version) if chosen.current_version else None
    return Restored(chosen, tuple(sorted([*files, *databases])), current)


def _checked(
    workspace: Workspace, backup_id: str, force: bool, scratch: str
) -> tuple[Backup, dict[str, Span], dict[str, DatabaseSpan], bool]:
    """Return the backup, what it and later ones keep, and whether there is a database to go on.

    Parameters:
        scratch: a folder for copies of databases.
    """
    shelf = read_shelf(workspace)
    chain, gaps = chain_of(shelf, backup_id)
    chosen = chain[-1]
    files = spans_of(chain, lambda backup: backup.files)
    databases = spans_of(chain, lambda backup: backup.databases)
    if not force:
        refuse_gaps(chain, gaps, shelf.damaged)
        refuse_edits(workspace, files, databases, chosen.id, scratch)
    refuse_damaged(files.values(), databases.values(), chosen)
    return chosen, files, databases, _is_usable(workspace, force)


def _may_skip_recovery(workspace: Workspace, force: bool) -> bool:
    """Return whether there is no ledger to recover by: it is lost, or broken and given up."""
    try:
        read_ledger(workspace, sqlite.read_to_write)
    except LedgerLost:
        return True
    except MigrateError:
        return force
    return False


def _go_back(workspace: Workspace, backup_id: str, done_by: str, force: bool) -> Restored:
    """Go back; the run lock must be held and recovery done."""
    chosen, files, databases, is_usable = _checked(workspace, backup_id, force, workspace.scratch)
    # Of a ledger that is lost or given up nothing can be recovered; their files are restored too.
    lost_logs = logs(workspace)
    writer = _writer(workspace, is_usable)
    hint = "Free some space or correct the permissions, then try again."
    try:
        with explaining("The backup could not be restored", hint):
            _swap(workspace, chosen, files, databases, done_by, writer, is_usable, lost_logs)
    finally:
        discard(workspace.scratch)
    recovery.refuse(workspace, recovery.recover(workspace, done_by))
    writer.finish()
    WayBackKeeper(workspace, None).prune()
    paths = tuple(sorted([*files, *databases]))
    return Restored(chosen, paths, max(read_ledger(workspace).applied, default=None))


def _writer(workspace: Workspace, is_usable: bool) -> BackupWriter:
    """Return the writer of the backup that lets this restore be taken back."""
    state = workspace.database if is_usable else None
    try:
        ledger = read_ledger(workspace)
    except MigrateError:  # of a history that is lost nothing comes after its beginning
        return BackupWriter(workspace, "restore", None, last_event=0, state=state)
    current = max(ledger.applied, default=None)
    version = str(current) if current else None
    return BackupWriter(workspace, "restore", version, last_event=ledger.last_event, state=state)


def _swap(
    workspace: Workspace,
    chosen: Backup,
    files: dict[str, Span],
    databases: dict[str, DatabaseSpan],
    done_by: str,
    writer: BackupWriter,
    is_usable: bool,
    lost_logs: Sequence[Log],
) -> None:
    """Log the earlier files, then put the earlier state database in place: that is the commit."""
    make_folder(workspace.scratch)
    changes = {
        change: span[0].content(span[1].content or "")
        for span in files.values()
        if (change := _change(workspace, *span[1:])) is not None
    }
    log = LogWriter(workspace)
    entries = tuple(
        _log_database(workspace, log.log, number, span)
        for number, span in enumerate(databases.values())
    )
    version = Version.parse(chosen.current_version or "0.0.0")
    manifest = log.finish(version, "restore", changes, entries)
    writer.add_files(changes)
    for entry in entries:
        writer.add_database(entry.path, entry.after)
    writer.commit()
    copy = os.path.join(workspace.scratch, "state.db")
    make_folder(os.path.dirname(workspace.database))
    live = LiveDatabase(workspace.database) if is_usable else None
    try:
        if live is not None:
            live.copy_to(os.path.join(workspace.scratch, "now.db"))
        _make_state(workspace, chosen, copy, done_by, manifest)
        for lost in lost_logs:
            lost.close()  # or it would be taken for a step of the database that comes now
        if live is not None:
            live.replace_by(copy, lambda: None)
        else:
            sync_file(copy)
            _set_aside(workspace.database)
            _put_in_place(copy, workspace.database)
    finally:
        if live is not None:
            live.close()


def _change(workspace: Workspace, oldest: Saved, newest: Saved) -> PathChange | None:
    live = workspace.live(oldest.path)
    after = oldest.change.before
    now = newest.change._replace(before=after).observe(workspace)
    if now == after:
        return None
    if after is not None and after.link is not None and not os.path.lexists(live):
        # The run removed a link; what it led to is still there.
        after = Node("link", link=after.link)
    return PathChange(oldest.path, now, after)


def _log_database(workspace: Workspace, log: Log, number: int, span: DatabaseSpan) -> DatabaseEntry:
    backup, oldest, _ = span
    name = f"database-{number}.sqlite"
    shutil.copyfile(backup.content(oldest.content), log.path_of(name))
    live = workspace.live(oldest.path)
    before = digest_of_live(live, workspace.scratch) or ""
    return DatabaseEntry(oldest.path, name, before, digest_of_closed(log.path_of(name)))


def _is_usable(workspace: Workspace, force: bool) -> bool:
    """Return whether there is a state database to go on from; one that is broken needs force.

    Raises:
        StateUnreadable: it is broken, and not this project's to be set aside.
    """
    if not os.path.exists(workspace.database):
        return False
    try:
        # Read-only: a connection that may write could play a log into what is to be kept as it is.
        sqlite.read(workspace.database, _look_at)
    except StateUnreadable as error:
        if not force:
            raise
        if not workspace.owns_database:
            raise StateUnreadable(
                f"The state database cannot be read, and it lies outside .claude/: {error.message}",
                file=workspace.database,
                hint="Nothing was changed. Move it away yourself if it is this project's.",
            ) from error
        return False
    return True


def _look_at(connection: sqlite3.Connection) -> None:
    connection.execute("SELECT count(*) FROM main.sqlite_schema").fetchall()


def _set_aside(database_path: str) -> None:
    """Rename whatever stands at a database's names, so that nothing of it is lost or mixed up.

    An old log beside a new database would bring the old content back. The database goes first: a
    kill in between leaves logs without it, which the next restore puts beside it.
    """
    names = ["", *SIDE_SUFFIXES]
    left = [suffix for suffix in names if os.path.lexists(database_path + suffix)]
    if not left:
        return
    aside = f"{database_path}.broken-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}"
    if "" not in left:
        aside = max(_earlier_aside(database_path), default=aside)
    base, number = aside, 1
    while any(os.path.lexists(aside + suffix) for suffix in left):
        number += 1
        aside = f"{base}.{number}"
    for suffix in left:
        rename(database_path + suffix, aside + suffix)
    sync_folder(os.path.dirname(database_path))


def _put_in_place(copy: str, database_path: str) -> None:
    """Move the restored database to where none is; one that somebody makes there now stays.

    Raises:
        Conflict: somebody made one.
    """
    try:
        if not place(copy, database_path):
            if os.path.lexists(database_path):
                raise FileExistsError
            rename(copy, database_path)
    except FileExistsError:
        raise Conflict(
            "Another program made a database where the restored one belongs",
            details=(database_path,),
            hint="Close it, then run the command again.",
        ) from None
    sync_folder(os.path.dirname(database_path))


def _earlier_aside(database_path: str) -> list[str]:
    folder, name = os.path.split(database_path)
    pattern = re.compile(re.escape(name) + r"\.broken-\d{8}-\d{6}(\.\d+)?")
    return [os.path.join(folder, one) for one in os.listdir(folder) if pattern.fullmatch(one)]


def _make_state(
    workspace: Workspace, chosen: Backup, copy: str, done_by: str, manifest: Manifest
) -> None:
    """Write the state database to restore: the backup's, with the history up to now."""
    if chosen.has_state:
        shutil.copyfile(chosen.state, copy)
    connection = sqlite.open_for_writing(copy, sqlite3.Connection)
    try:
        connection.execute("PRAGMA journal_mode=DELETE").fetchall()
        ensure_ledger(connection, workspace._replace(database=copy))
        connection.execute("BEGIN IMMEDIATE")
        _carry_history_over(connection, os.path.join(workspace.scratch, "now.db"))
        ledger = LedgerWriter(connection, workspace.config.ledger_table, done_by)
        ledger.log("restore", "done", None, f"to {chosen.id}")
        ledger.add_publish(
            Publish(manifest.id, manifest.version, workspace.project, manifest.to_json())
        )
        connection.execute("COMMIT")
        pad_to_two_pages(connection)
    finally:
        connection.close()


def _carry_history_over(connection: sqlite3.Connection, now: str) -> None:
    if not os.path.exists(now):
        return
    columns = (
        "id, version, description, action, outcome, at, duration_ms, done_by, tool_version, error"
    )
    source = sqlite.open_closed(now)
    try:
        (last,) = connection.execute(
            "SELECT coalesce(max(id), 0) FROM main.plugin_migrate_history"
        ).fetchone()
        rows = source.execute(
            f"SELECT {columns} FROM plugin_migrate_history WHERE id > ? ORDER BY id", (last,)
        ).fetchall()
    except sqlite3.Error:
        return
    finally:
        source.close()
    connection.executemany(
        f"INSERT INTO main.plugin_migrate_history ({columns})"
        f" VALUES ({', '.join('?' * len(columns.split()))})",
        rows,
    )
