"""The audit trail: every up, down, failure, repair, baseline and restore, forever."""

from __future__ import annotations

import os
import sqlite3
from dataclasses import dataclass

from ..storage import sqlite
from ..version import Version
from ..workspace import Workspace
from .read import load_ledger, require_texts


@dataclass(frozen=True, slots=True)
class Event:
    """One row of the history; ``outcome`` is ``started``, ``done`` or ``failed``."""

    id: int
    version: str | None
    description: str | None
    action: str
    outcome: str
    at: str
    duration_ms: int
    done_by: str
    tool_version: str
    error: str | None


def read_history(
    workspace: Workspace, limit: int | None = None, version: Version | None = None
) -> tuple[Event, ...]:
    """Return what happened, the newest first; reads only.

    Parameters:
        limit: at most this many.
        version: only what happened to this migration.

    Raises:
        MigrateError: the ledger cannot be read.
    """
    if not os.path.exists(workspace.database):
        return ()

    def query(connection: sqlite3.Connection) -> tuple[Event, ...]:
        if not load_ledger(connection, workspace).is_ours:
            return ()
        rows = connection.execute(
            "SELECT id, version, description, action, outcome, at, duration_ms, done_by,"
            " tool_version, error FROM main.plugin_migrate_history"
            " WHERE ?1 IS NULL OR version = ?1 ORDER BY id DESC LIMIT ?2",
            (str(version) if version else None, -1 if limit is None else limit),
        )
        return tuple(_event(workspace, row) for row in rows)

    return sqlite.read(workspace.database, query)


def _event(workspace: Workspace, row: tuple[object, ...]) -> Event:
    event = Event(*row)  # type: ignore[arg-type]
    texts = (event.action, event.outcome, event.at, event.done_by, event.tool_version)
    may_lack = (event.version, event.description, event.error)
    given = [text for text in may_lack if text is not None]
    require_texts(workspace, "plugin_migrate_history", (*texts, *given))
    return event
