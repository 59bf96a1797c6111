"""The ledger: what is applied, what happened, and what is still on its way.

Its own schema comes from the SQL migrations in the top-level ``migrations/`` folder, through the
same parser as the user's, so a later tool can bring an older ledger up to date.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache

from .. import __version__
from ..errors import (
    Call,
    ForeignDatabase,
    InvalidVersion,
    LedgerLost,
    LedgerTooNew,
    NotALedger,
    Place,
)
from ..migration import Migration, parse_name
from ..plan import Applied
from ..storage import sqlite
from ..values import NamedTuple
from ..version import Version
from ..workspace import Workspace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Query = Callable[[sqlite3.Connection], "Ledger"]
    Read = Callable[[str, Query], "Ledger"]

_COLUMNS = (
    "id",
    "version",
    "description",
    "applied_at",
    "applied_by",
    "execution_time_ms",
    "checksum",
    "direction",
)
# The table whose presence says that the ledger is ours and not another engine's.
_MARK = "plugin_migrate_schema"
_FACTS = "plugin_migrate_facts"
_SOURCES = "plugin_migrate_sources"
OWN_TABLES = (
    "plugin_migrate_history",
    _SOURCES,
    "plugin_migrate_publishes",
    _FACTS,
    _MARK,
)


class Publish(NamedTuple):
    """A committed step whose files may still be on their way.

    ``manifest`` is the JSON text that the redo log also carries.
    """

    id: str
    version: Version
    project: str
    manifest: str


class StoredSource(NamedTuple):
    """A migration's file as it was when it was applied."""

    file_name: str
    language: str
    text: str


class Header(NamedTuple):
    """What an applied migration's file said of itself; ``metadata`` is JSON text."""

    language: str
    metadata: str


class Ledger(NamedTuple):
    """What the state database says, read in one transaction.

    ``started`` holds the versions whose ``transaction:false`` step began and never ended, with
    its direction. ``is_ours`` is false while the database lacks our tables, ``is_ready``
    while :func:`ensure_ledger` has anything to do. ``last_event`` is the number of the history's
    last row.
    """

    applied: dict[Version, Applied]
    publishes: tuple[Publish, ...] = ()
    started: dict[Version, str] | None = None
    is_ours: bool = False
    is_ready: bool = False
    last_event: int = 0

    @property
    def interrupted(self) -> frozenset[Version]:
        """The versions that are neither cleanly applied nor cleanly pending."""
        return frozenset(self.started or ()) | {publish.version for publish in self.publishes}


def ledger_tables(table: str) -> frozenset[str]:
    """Return the lower-case names of all tables that only this tool may write."""
    return frozenset({table.lower(), *OWN_TABLES})


def read_ledger(workspace: Workspace, read: Read = sqlite.read) -> Ledger:
    """Return the ledger without writing anything, creating nothing and waiting at most 250 ms.

    Parameters:
        read: how; commands that may write read by
            :func:`plugin_migrate.storage.sqlite.read_to_write`.

    Raises:
        StateUnreadable, Busy: see :func:`plugin_migrate.storage.sqlite.read`.
        NotALedger, LedgerTooNew, ForeignDatabase: see :func:`load_ledger`.
    """
    ledger = Ledger({})
    if os.path.exists(workspace.database):
        ledger = read(workspace.database, lambda connection: load_ledger(connection, workspace))
    if not ledger.is_ours and not ledger.applied:
        _refuse_lost(workspace)
    return ledger


def holds_ledger(path: str) -> bool:
    """Return whether the database at ``path`` is where a source keeps its ledger.

    Raises:
        StateUnreadable, Busy: see :func:`plugin_migrate.storage.sqlite.read`.
    """
    return sqlite.read(path, lambda connection: _has_table(connection, _MARK))


def _refuse_lost(workspace: Workspace) -> None:
    """Refuse to take a lost database for a new one: everything would be run again."""
    if not os.path.isdir(os.path.join(workspace.home, "backups")):
        return
    from ..engine.backup import list_backups

    name = workspace.shown(workspace.database)
    if any(
        # Of a first run that is just going on, the database may come later than the backup.
        backup.database == name and (backup.is_finished or backup.current_version)
        for backup in list_backups(workspace)
    ):
        raise LedgerLost(
            "Migrations were run here, but the state database is gone or empty",
            file=workspace.database,
            hint=(
                "Put it back, or go back to a backup: ",
                Call("restore"),
                "\nTo start over on purpose, remove ",
                Place(workspace.home),
                "/ as well.",
            ),
        )


def load_ledger(connection: sqlite3.Connection, workspace: Workspace) -> Ledger:
    """Return the ledger that ``connection`` sees.

    Raises:
        NotALedger: the table of that name is something else, or holds impossible rows.
        LedgerTooNew: a newer tool wrote it.
        ForeignDatabase: it is another source's, or lies outside ``.claude/`` and carries another
            project's path.
    """
    tables = _tables_of_ledger(connection, workspace)
    is_ours = _MARK in tables
    if workspace.config.ledger_table.lower() not in tables:
        return Ledger({}, is_ours=is_ours)
    return Ledger(
        _load_applied(connection, workspace),
        publishes=_load_publishes(connection, workspace) if is_ours else (),
        started=_load_started(connection, workspace) if is_ours else None,
        is_ours=is_ours,
        is_ready=is_ours and _is_ready(connection, workspace),
        last_event=_last_event(connection) if is_ours else 0,
    )


def _last_event(connection: sqlite3.Connection) -> int:
    query = "SELECT coalesce(max(id), 0) FROM main.plugin_migrate_history"
    return int(connection.execute(query).fetchone()[0])


def has_run_since(workspace: Workspace, event: int) -> bool:
    """Return whether a step, a restore or a renumbering took effect after row number ``event``.

    Raises:
        StateUnreadable, Busy: see :func:`plugin_migrate.storage.sqlite.read`.
    """

    def query(connection: sqlite3.Connection) -> bool:
        found = (
            _has_table(connection, "plugin_migrate_history")
            and connection.execute(
                "SELECT 1 FROM main.plugin_migrate_history WHERE id > ? AND outcome != 'failed'"
                " AND action IN ('up', 'down', 'restore', 'renumber') LIMIT 1",
                (event,),
            ).fetchone()
        )
        return bool(found)

    return sqlite.read(workspace.database, query)


def _is_ready(connection: sqlite3.Connection, workspace: Workspace) -> bool:
    """Return whether the ledger is up to date and can be written."""
    missing = _schema_files().keys() - set(_schema_versions(connection))
    has_owner = workspace.owns_database or recorded_project(connection) is not None
    return not missing and has_owner and not _demanding_columns(connection, workspace)


def _tables_of_ledger(connection: sqlite3.Connection, workspace: Workspace) -> frozenset[str]:
    """Return which of the ledger's tables are there; refuse a database that cannot hold it."""
    table = workspace.config.ledger_table
    kinds = _kinds(connection, ledger_tables(table))
    views = [name for name, kind in kinds.items() if kind == "view"]
    if views:  # it may never end, or be anything
        raise NotALedger(
            f"'{min(views)}' is a view, where a table of the ledger belongs",
            file=workspace.database,
            hint=(
                "It belongs to something else: set ledger_table to another name in ",
                Place(workspace.settings_file),
            ),
        )
    is_ours = _MARK in kinds
    if is_ours:
        _refuse_newer(connection, workspace)
        _refuse_foreign(workspace, _load_facts(connection, kinds))
    if is_ours and _SOURCES not in kinds:
        raise NotALedger(
            f"The ledger's table '{_SOURCES}' is gone",
            file=workspace.database,
            hint=(
                "Put a backup back; `",
                Call("restore"),
                "` lists them: ",
                Call("restore", "ID --force"),
                ". Nothing was run.",
            ),
        )
    if table.lower() in kinds:
        _require_columns(connection, workspace)
    elif is_ours and _has_rows(connection, _SOURCES):
        raise NotALedger(
            f"The ledger table '{table}' is gone, though migrations were applied",
            file=workspace.database,
            hint="Put a backup back, or set ledger_table if it was renamed. Nothing was run.",
        )
    return frozenset(kinds)


def _kinds(connection: sqlite3.Connection, names: frozenset[str]) -> dict[str, str]:
    """Return which of ``names``, in lower case, are tables and which are views.

    In one look: each walks through the whole schema, 2 ms with 10,000 tables.
    """
    rows = connection.execute(
        "SELECT lower(name), type FROM main.sqlite_schema WHERE type IN ('table', 'view')"
        f" AND lower(name) IN ({', '.join('?' * len(names))})",
        tuple(names),
    )
    return dict(rows.fetchall())


def _load_applied(connection: sqlite3.Connection, workspace: Workspace) -> dict[Version, Applied]:
    # A row of direction 'down' is how another engine remembers a rollback: not applied.
    query = (
        f'SELECT {", ".join(_COLUMNS[:-1])} FROM main."{workspace.config.ledger_table}"'
        " WHERE direction = 'up'"
    )
    applied: dict[Version, Applied] = {}
    # Most rows were applied by the same, and many at once: one text in memory will do.
    same: dict[Any, Any] = {}
    for row in connection.execute(query):
        number, text, description, applied_at, applied_by, duration, checksum = row
        try:
            version = Version.parse(text)
        except (InvalidVersion, TypeError):
            raise _impossible(workspace, f"row {number} has the version {text!r}") from None
        if version in applied:
            raise _impossible(workspace, f"version {version} is applied twice")
        # SQLite itself takes any value in any column.
        texts = type(description) is type(applied_at) is type(checksum) is str
        is_known = applied_by is None or type(applied_by) is str
        if not texts or not is_known or type(duration) not in (int, float):
            raise _impossible(workspace, f"row {number} has values of wrong types")
        applied[version] = Applied(
            number,
            version,
            description,
            same.setdefault(applied_at, applied_at),
            same.setdefault(applied_by, applied_by),
            duration,
            checksum,
        )
    return applied


def _impossible(workspace: Workspace, what: str) -> NotALedger:
    return NotALedger(
        f"The ledger table '{workspace.config.ledger_table}' cannot be right: {what}",
        file=workspace.database,
        hint=(
            "If the table is not a ledger, set ledger_table in ",
            Place(workspace.settings_file),
            " to another name. Nothing was run.",
        ),
    )


def _load_publishes(connection: sqlite3.Connection, workspace: Workspace) -> tuple[Publish, ...]:
    rows = connection.execute(
        "SELECT id, version, project, manifest FROM main.plugin_migrate_publishes"
    )
    return tuple(
        Publish(row_id, _version(workspace, "plugin_migrate_publishes", version), project, manifest)
        for row_id, version, project, manifest in rows
        if workspace.owns_database or project == workspace.project
        if require_texts(workspace, "plugin_migrate_publishes", (row_id, project, manifest))
    )


def _load_started(connection: sqlite3.Connection, workspace: Workspace) -> dict[Version, str]:
    # The last row of every version that ever started: the other columns are those of max(id)
    # (https://www.sqlite.org/lang_select.html, 2.5). One look at every row, however many started.
    rows = connection.execute(
        "SELECT version, action, outcome, max(id) FROM main.plugin_migrate_history"
        " WHERE version IN (SELECT version FROM main.plugin_migrate_history"
        " WHERE outcome = 'started') GROUP BY version"
    )
    return {
        _version(workspace, "plugin_migrate_history", version): action
        for version, action, outcome, _ in rows
        if outcome == "started"
        if require_texts(workspace, "plugin_migrate_history", (action,))
    }


def _version(workspace: Workspace, table: str, value: Any) -> Version:
    """Return the version that a row of ours holds.

    Raises:
        NotALedger: it is none.
    """
    try:
        return Version.parse(value)
    except (InvalidVersion, TypeError):
        raise _damaged(workspace, table, f"a row has the version {value!r:.60}") from None


def require_texts(workspace: Workspace, table: str, values: Iterable[object]) -> bool:
    """Make sure that values of a row of ours are texts: SQLite itself takes anything anywhere.

    Raises:
        NotALedger: one is something else.
    """
    if not all(type(value) is str for value in values):
        raise _damaged(workspace, table, "a row holds something else where a text belongs")
    return True


def _damaged(workspace: Workspace, table: str, what: str) -> NotALedger:
    return NotALedger(
        f"The ledger's table '{table}' cannot be right: {what}",
        file=workspace.database,
        hint=("Put a backup back: ", Call("restore", "ID --force"), ". Nothing was run."),
    )


def _has_table(connection: sqlite3.Connection, table: str) -> bool:
    return _kinds(connection, frozenset({table})).get(table) == "table"


def _has_rows(connection: sqlite3.Connection, table: str) -> bool:
    return connection.execute(f"SELECT 1 FROM main.{table} LIMIT 1").fetchone() is not None


def _require_columns(connection: sqlite3.Connection, workspace: Workspace) -> None:
    table = workspace.config.ledger_table
    names = {row[1].lower() for row in connection.execute(f'PRAGMA main.table_info("{table}")')}
    missing = [column for column in _COLUMNS if column not in names]
    if missing:
        raise NotALedger(
            f"The table '{table}' is not a migration ledger: it lacks {', '.join(missing)}",
            file=workspace.database,
            hint=(
                "It belongs to something else. Keep the ledger under another name:\n",
                "add the line  ledger_table: plugin_state_migrations  to ",
                Place(workspace.settings_file),
            ),
        )


def _refuse_newer(connection: sqlite3.Connection, workspace: Workspace) -> None:
    known = max(_schema_files())
    try:
        written = max(_schema_versions(connection), default=known)
    except (InvalidVersion, TypeError):
        raise _impossible(workspace, "plugin_migrate_schema holds no versions") from None
    if written > known:
        raise LedgerTooNew(
            f"The ledger was written by a newer plugin-migrate (its ledger is {written},"
            f" plugin-migrate {__version__} knows {known})",
            file=workspace.database,
            hint="Update the plugin-migrate plugin, then try again. Nothing was changed.",
        )


def _refuse_foreign(workspace: Workspace, facts: Mapping[str, str]) -> None:
    source = facts.get("source")
    if source != workspace.source:
        # Two ledgers in one database would take each other's rows for their own.
        whose = f"the plugin {source}" if source else "the project's own migrations"
        raise ForeignDatabase(
            f"The database belongs to {whose}",
            file=workspace.database,
            hint=(
                "Give the plugin its own with the database setting in ",
                Place(workspace.settings_file),
            )
            if workspace.source
            else "Give this project its own with --database or the database setting.",
        )
    owner = None if workspace.owns_database else facts.get("project")
    if owner is not None and owner != workspace.project:
        raise ForeignDatabase(
            f"The database {workspace.database} belongs to another project: {owner}",
            hint=(
                "Give this project its own with --database or the database setting.\n"
                "If the project was moved here, say so: plugin-migrate --database"
                f" {workspace.database} repair --take-database"
                if workspace.source is None
                else (
                    "If the project was moved here, say so: ",
                    Call("repair", "--take-database"),
                )
            ),
        )


def recorded_project(connection: sqlite3.Connection) -> str | None:
    """Return the real path of the project that a database outside ``.claude/`` belongs to."""
    return _load_facts(connection, _kinds(connection, frozenset({_FACTS}))).get("project")


def reserved_tables(connection: sqlite3.Connection) -> frozenset[str]:
    """Return the lower-case names of the tables that only plugin-migrate writes in a database.

    Of whichever source, whose ledger's table may have any name; none where no ledger is.
    """
    if not _has_table(connection, _MARK):
        return frozenset()
    rows = connection.execute(
        "SELECT lower(name) FROM main.sqlite_schema s WHERE type = 'table' AND ? ="
        " (SELECT count(*) FROM pragma_table_info(s.name) WHERE lower(name) IN"
        f" ({', '.join('?' * len(_COLUMNS))}))",
        (len(_COLUMNS), *_COLUMNS),
    )
    return frozenset({*OWN_TABLES, *(name for (name,) in rows)})


def _load_facts(connection: sqlite3.Connection, kinds: Mapping[str, str]) -> dict[str, str]:
    """Return what the table of facts says, if ``kinds`` says that there is one."""
    if kinds.get(_FACTS) != "table":
        return {}
    rows = connection.execute(
        f"SELECT name, value FROM main.{_FACTS} WHERE name IN ('source', 'project')"
    )
    return {name: str(value) for name, value in rows}


def _schema_versions(connection: sqlite3.Connection) -> list[Version]:
    rows = connection.execute("SELECT version FROM main.plugin_migrate_schema")
    return [Version.parse(version) for (version,) in rows]


@cache
def _schema_files() -> dict[Version, str]:
    """Return the paths of the ledger's own migrations by version."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    folder = os.path.join(package, "ledger_migrations")
    if not os.path.isdir(folder):  # in a checkout
        folder = os.path.join(os.path.dirname(os.path.dirname(package)), "migrations")
    return {
        parse_name(name, os.path.join(folder, name))[0]: os.path.join(folder, name)
        for name in os.listdir(folder)
        if name.endswith(".sql")
    }


def read_sources(workspace: Workspace, versions: Sequence[Version]) -> dict[Version, StoredSource]:
    """Return the stored sources of those ``versions`` that have one.

    All at once: every connection parses the whole schema, 3 ms with 1,000 tables.

    Raises:
        StateUnreadable, Busy: see :func:`plugin_migrate.storage.sqlite.read`.
    """
    if not versions or not os.path.exists(workspace.database):
        return {}
    return sqlite.read(
        workspace.database, lambda connection: _load_sources(connection, workspace, versions)
    )


def read_headers(workspace: Workspace) -> dict[str, Header]:
    """Return the headers of applied migrations by version; of another engine's there is none.

    Raises:
        StateUnreadable, Busy: see :func:`plugin_migrate.storage.sqlite.read`.
    """
    if not os.path.exists(workspace.database):
        return {}
    table = workspace.config.ledger_table
    return sqlite.read(workspace.database, lambda connection: _load_headers(connection, table))


def _load_headers(connection: sqlite3.Connection, table: str) -> dict[str, Header]:
    if _kinds(connection, frozenset({_MARK, table.lower()})).keys() != {_MARK, table.lower()}:
        return {}
    query = (
        f"SELECT s.version, s.language, s.metadata FROM main.{_SOURCES} s"
        f" JOIN main.\"{table}\" m ON m.version = s.version WHERE m.direction = 'up'"
        # SQLite itself takes any value in any column.
        " AND typeof(s.language) = 'text' AND typeof(s.metadata) = 'text'"
    )
    return {version: Header(*more) for version, *more in connection.execute(query)}


def _load_sources(
    connection: sqlite3.Connection, workspace: Workspace, versions: Sequence[Version]
) -> dict[Version, StoredSource]:
    if not _has_table(connection, _SOURCES):
        return {}
    query = f"SELECT file_name, language, text FROM main.{_SOURCES} WHERE version = ?"
    rows = (
        (version, connection.execute(query, (str(version),)).fetchone()) for version in versions
    )
    return {
        version: StoredSource(*row)
        for version, row in rows
        if row is not None and require_texts(workspace, _SOURCES, row)
    }


def ensure_ledger(connection: sqlite3.Connection, workspace: Workspace) -> None:
    """Create the ledger, or bring an older one up to this tool's; nothing when it is current.

    A ``migrations`` table that another engine made is adopted as it is.

    Parameters:
        connection: a writing connection without an open transaction.
        workspace: names the table, and the project that an outside database belongs to.

    Raises:
        NotALedger: the table of that name cannot serve as a ledger.
    """
    sqlite.begin_immediate(connection, workspace.database)
    try:
        is_ours = _MARK in _tables_of_ledger(connection, workspace)
        present = set(_schema_versions(connection)) if is_ours else set()
        for version, path in sorted(_schema_files().items()):
            if version not in present:
                _apply_schema(connection, workspace, version, path)
        _require_writable(connection, workspace)
        facts = {
            "project": None if workspace.owns_database else workspace.project,
            "source": workspace.source,
        }
        connection.executemany(
            "INSERT OR IGNORE INTO main.plugin_migrate_facts VALUES (?, ?)",
            [(name, value) for name, value in facts.items() if value is not None],
        )
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _apply_schema(
    connection: sqlite3.Connection, workspace: Workspace, version: Version, path: str
) -> None:
    from ..languages import sql_text

    with open(path, encoding="utf-8") as file:
        text = file.read()
    # The one name in these files that the user may change (`ledger_table`).
    text = re.sub(r"\bmigrations\b|(?<=idx_)migrations", workspace.config.ledger_table, text)
    for statement in sql_text.statements(sql_text.parse(text, path).up):
        connection.execute(statement.text)
    connection.execute(
        "INSERT INTO main.plugin_migrate_schema (version) VALUES (?)", (str(version),)
    )


def _require_writable(connection: sqlite3.Connection, workspace: Workspace) -> None:
    table = workspace.config.ledger_table
    demanding = _demanding_columns(connection, workspace)
    if demanding:
        raise NotALedger(
            f"The table '{table}' cannot be written as a ledger: its column"
            f" {demanding[0]} needs a value that plugin-migrate does not have",
            file=workspace.database,
            hint="Give that column a default, or set ledger_table to another name.",
        )


def _demanding_columns(connection: sqlite3.Connection, workspace: Workspace) -> list[str]:
    """Return the columns that another engine added and that need a value."""
    columns = connection.execute(f'PRAGMA main.table_info("{workspace.config.ledger_table}")')
    return [
        name
        for _, name, _, not_null, default, key in columns
        if not_null and default is None and not key and name.lower() not in _COLUMNS
    ]


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
            f"INSERT OR REPLACE INTO main.{_SOURCES}"
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
        self._cursor.execute(f"DELETE FROM main.{_SOURCES} WHERE version = ?", (str(old),))
        self._keep_source(migration, metadata)

    def remove(self, version: Version) -> None:
        """Mark a migration as not applied and forget its source."""
        self.forget(version)
        self._cursor.execute(f"DELETE FROM main.{_SOURCES} WHERE version = ?", (str(version),))

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

    def set_project(self, project: str) -> None:
        """Record the project that a database outside ``.claude/`` belongs to.

        With it go the files on their way: a log without its row would be thrown away.
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
        """Note that a step's files are about to be on their way."""
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
