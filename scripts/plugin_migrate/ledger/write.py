"""The rows that steps, repairs and restores write into the ledger."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection

from .. import __version__
from ..migration import Migration
from ..plan import KnownRecord
from ..version import Version
from .read import Publish, known_record
from .schema import FACTS, SOURCES, record_fact


class LedgerWriter:
    """Writes rows inside the transaction that its connection has open."""

    def __init__(self, connection: sqlite3.Connection, table: str, done_by: str) -> None:
        # One plain cursor: what the connection makes for a migration's statements costs more.
        self._cursor = sqlite3.Cursor(connection)
        self._table = f'main."{table}"'
        self._done_by = done_by
        # The number of the history row written last.
        self.last_logged: int | None = None

    def directions(self, versions: Collection[Version]) -> dict[str, str]:
        """Return the ``direction`` of every one of ``versions`` that has a row, by its text.

        ``up`` is applied; another engine keeps a rolled back migration as ``down``. Where its table
        has both of one version, the ``up`` counts.
        """
        query = (
            f"SELECT version, direction FROM {self._table} WHERE version IN"
            f" ({', '.join('?' * len(versions))})"
            " ORDER BY direction = 'up'"
        )
        return dict(self._cursor.execute(query, tuple(map(str, versions))).fetchall())

    def forget(self, version: Version) -> None:
        """Remove a version's row, whatever it says."""
        self._cursor.execute(f"DELETE FROM {self._table} WHERE version = ?", (str(version),))

    def add(self, migration: Migration, description: str, metadata: str, duration_ms: int) -> None:
        """Mark a migration that has no row as applied, and keep its source."""
        version = str(migration.version)
        self._cursor.execute(
            f"INSERT INTO {self._table} (version, description, applied_by, execution_time_ms,"
            " checksum, direction) VALUES (?, ?, ?, ?, ?, 'up')",
            (version, description, self._done_by, duration_ms, migration.checksum),
        )
        self._keep_source(migration, metadata)

    def _keep_source(self, migration: Migration, metadata: str) -> None:
        self._cursor.execute(
            f"INSERT OR REPLACE INTO main.{SOURCES}"
            " (version, file_name, language, checksum, metadata, text) VALUES (?, ?, ?, ?, ?, ?)",
            (
                str(migration.version),
                migration.path.rpartition("/")[2],
                migration.language,
                migration.checksum,
                metadata,
                migration.text,
            ),
        )

    def accept(self, migration: Migration, description: str, metadata: str) -> None:
        """Record another text for a migration that is applied, keeping when and by whom."""
        self._cursor.execute(
            f"UPDATE {self._table} SET description = ?, checksum = ? WHERE version = ?",
            (description, migration.checksum, str(migration.version)),
        )
        self._keep_source(migration, metadata)

    def renumber(self, old: Version, migration: Migration, metadata: str) -> None:
        """Give an applied migration another version and text, keeping when and by whom."""
        self.forget(migration.version)  # another engine's, of a rollback
        self._cursor.execute(
            f"UPDATE {self._table} SET version = ?, checksum = ? WHERE version = ?",
            (str(migration.version), migration.checksum, str(old)),
        )
        self._cursor.execute(f"DELETE FROM main.{SOURCES} WHERE version = ?", (str(old),))
        self.forget_record(old)
        self._keep_source(migration, metadata)

    def remove(self, version: Version) -> None:
        """Mark a migration as not applied and forget its source."""
        self.forget(version)
        self._cursor.execute(f"DELETE FROM main.{SOURCES} WHERE version = ?", (str(version),))
        self.forget_record(version)

    def forget_record(self, version: Version) -> None:
        """Note that nothing is known of a migration's record."""
        self._cursor.execute(f"DELETE FROM main.{FACTS} WHERE name = ?", (record_fact(version),))

    def note_record(self, version: Version, record: KnownRecord) -> None:
        """Note that a migration's record stands with the files."""
        self._cursor.execute(
            f"INSERT OR REPLACE INTO main.{FACTS} VALUES (?, ?)",
            (record_fact(version), " ".join(record)),
        )

    def recorded(self, version: Version) -> KnownRecord | None:
        """Return a migration's record, if it has one."""
        query = f"SELECT value FROM main.{FACTS} WHERE name = ?"
        found = self._cursor.execute(query, (record_fact(version),)).fetchone()
        return known_record(str(found[0])) if found is not None else None

    def log(
        self,
        action: str,
        outcome: str,
        version: Version | None = None,
        description: str | None = None,
        duration_ms: int = 0,
        error: str | None = None,
    ) -> None:
        """Append what happened to the history."""
        self._cursor.execute(
            "INSERT INTO main.plugin_migrate_history (version, description, action, outcome,"
            " duration_ms, done_by, tool_version, error) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                str(version) if version else None,
                description,
                action,
                outcome,
                duration_ms,
                self._done_by,
                __version__,
                error,
            ),
        )
        self.last_logged = self._cursor.lastrowid

    def note_undone(self, version: Version, record: str) -> None:
        """Keep what a migration's record said that is rolled back; see ``record.py``."""
        self._cursor.execute(
            f"INSERT OR REPLACE INTO main.{FACTS} VALUES (?, ?)", (f"undone {version}", record)
        )

    def undone(self, version: Version) -> str | None:
        """Return what :meth:`note_undone` kept, if anything."""
        query = f"SELECT value FROM main.{FACTS} WHERE name = ?"
        found = self._cursor.execute(query, (f"undone {version}",)).fetchone()
        return found and str(found[0])

    def set_project(self, project: str) -> None:
        """Record the project that a database outside ``.claude/`` belongs to.

        With it go the files that still have to be published: a log without its row is discarded.
        """
        self._cursor.execute(
            "UPDATE main.plugin_migrate_publishes SET project = ? WHERE project ="
            " (SELECT value FROM main.plugin_migrate_facts WHERE name = 'project')",
            (project,),
        )
        self._cursor.execute(
            "INSERT OR REPLACE INTO main.plugin_migrate_facts VALUES ('project', ?)", (project,)
        )

    def add_publish(self, publish: Publish) -> None:
        """Note that a step's files are about to be published."""
        self._cursor.execute(
            "INSERT INTO main.plugin_migrate_publishes (id, version, project, manifest)"
            " VALUES (?, ?, ?, ?)",
            (publish.id, str(publish.version), publish.project, publish.manifest),
        )

    def remove_publish(self, publish_id: str) -> None:
        """Note that a step's files have arrived."""
        self._cursor.execute(
            "DELETE FROM main.plugin_migrate_publishes WHERE id = ?", (publish_id,)
        )
