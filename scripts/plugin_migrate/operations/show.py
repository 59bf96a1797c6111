"""Everything that is known about one migration; reads only, and runs nothing of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from ..engine.prepare import description_of
from ..ledger.history import Event, read_history
from ..ledger.read import read_headers, read_sources
from ..ledger.schema import ledger_tables
from ..migration import describe, with_text
from ..plan import Entry, require_known
from ..storage import sqlite
from ..storage.backups import Backup, Shelf, made_at, read_shelf
from ..survey import Survey, survey
from ..values import NamedTuple
from ..version import Version
from ..workspace import Workspace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_Objects = dict[tuple[str, str], str]


class Changes(NamedTuple):
    """What the run that applied a migration changed, from its backup.

    ``also`` are the other migrations that it applied: what is of which is not kept. ``files`` are
    pairs of a path relative to ``.claude/`` and ``created``, ``changed`` or ``deleted``;
    ``databases`` such paths; ``schema`` the same pairs with what it is, as in ``table notes``, for
    the state database.
    """

    also: tuple[Version, ...]
    files: tuple[tuple[str, str], ...]
    databases: tuple[str, ...]
    schema: tuple[tuple[str, str], ...]


class Shown(NamedTuple):
    """One migration: ``source`` is its file's text, or the ledger's copy when the file is gone.

    ``metadata`` is its header. ``unknown`` says why there are no ``changes``. ``survey`` is where
    it was found.
    """

    survey: Survey
    entry: Entry
    description: str
    language: str | None
    metadata: Mapping[str, Any]
    source: str | None
    changes: Changes | None
    unknown: str | None


def show(workspace: Workspace, version: Version) -> Shown:
    """Return what files, ledger, history and backups say about one migration.

    Raises:
        UnknownTarget: there is no such migration.
        MigrateError: something cannot be read.
    """
    seen = survey(workspace)
    require_known(seen.entries, version)
    entry = next(entry for entry in seen.entries if entry.version == version)
    language: str | None = None
    source: str | None = None
    if entry.migration is not None:
        migration = with_text(entry.migration)
        entry = entry._replace(migration=migration)
        language, source = migration.language, migration.text
        metadata = describe(migration).metadata
    else:
        stored = read_sources(workspace, [version]).get(version)
        if stored is not None:
            language, source = stored.language, stored.text
        header = read_headers(workspace).get(str(version))
        metadata = header.metadata() if header else {}
    changes, unknown = _changes(workspace, entry)
    return Shown(seen, entry, description_of(entry), language, metadata, source, changes, unknown)


def _changes(workspace: Workspace, entry: Entry) -> tuple[Changes | None, str | None]:
    if entry.applied is None:
        return None, "it is not applied"
    ups = [
        event
        for event in read_history(workspace)
        if (event.action, event.outcome) == ("up", "done")
    ]
    last = next((event for event in ups if event.version == str(entry.version)), None)
    if last is None:
        return None, "no run of this tool applied it"
    shelf = read_shelf(workspace)
    backup, later = _backup_before(shelf, last)
    if backup is None:
        return None, "the backup of its run is gone"
    if not backup.is_complete:
        return None, "its run kept no backup (--no-backup)"
    end = later.last_event if later is not None else None
    of_run = [event for event in ups if _is_within(event, backup, end) and event.version]
    also = tuple(sorted(Version.parse(event.version or "") for event in of_run if event != last))
    files = tuple((saved.path, saved.change.verb) for saved in backup.files)
    databases = tuple(saved.path for saved in backup.databases)
    return Changes(also, files, databases, _schema_changes(workspace, backup, later)), None


def _backup_before(shelf: Shelf, event: Event) -> tuple[Backup | None, Backup | None]:
    """Return the backup of the run in which an event happened, and the one of the next run.

    Every run has the next number, so what is missing in between could have been the run's own.
    """
    later: Backup | None = None
    for backup in shelf.backups:
        if backup.last_event is not None and backup.last_event < event.id:
            is_next = later is None or later.sequence == backup.sequence + 1
            is_hidden = any(made_at(one.id) > made_at(backup.id) for one in shelf.damaged)
            return (backup, later) if is_next and not is_hidden else (None, None)
        later = backup
    return None, None


def _is_within(event: Event, backup: Backup, end: int | None) -> bool:
    return event.id > (backup.last_event or 0) and (end is None or event.id <= end)


def _schema_changes(
    workspace: Workspace, backup: Backup, later: Backup | None
) -> tuple[tuple[str, str], ...]:
    """Return what is another in the state database's schema since, up to the next run."""
    ours = ledger_tables(workspace.config.ledger_table)

    def objects(connection: sqlite3.Connection) -> _Objects:
        rows = connection.execute("SELECT type, name, tbl_name, sql FROM main.sqlite_schema")
        return {
            (kind, name): definition
            for kind, name, table, definition in rows
            if definition and not name.startswith("sqlite_") and table.lower() not in ours
        }

    path = later.state if later is not None and later.has_state else workspace.database
    before = sqlite.read(backup.state, objects) if backup.has_state else {}
    after = sqlite.read(path, objects)
    changed = [key for key in sorted({*before, *after}) if before.get(key) != after.get(key)]
    return tuple((" ".join(key), _verb_of(before.get(key), after.get(key))) for key in changed)


def _verb_of(before: str | None, after: str | None) -> str:
    return "created" if before is None else "dropped" if after is None else "changed"
