"""The ledger's tables: their names, whether they can serve, and making them.

The schema comes from the SQL migrations in the top-level ``migrations/`` folder, through the same
parser as the user's, so a later tool can bring an older ledger up to date.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Mapping
from functools import cache

from .. import __version__
from ..errors import Call, ForeignDatabase, InvalidVersion, LedgerTooNew, NotALedger, Place
from ..migration import parse_name
from ..storage import sqlite
from ..version import Version
from ..workspace import Workspace

COLUMNS = (
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
MARK = "plugin_migrate_schema"
FACTS = "plugin_migrate_facts"
SOURCES = "plugin_migrate_sources"
OWN_TABLES = (
    "plugin_migrate_history",
    SOURCES,
    "plugin_migrate_publishes",
    FACTS,
    MARK,
)


def record_fact(version: Version) -> str:
    """Return the name of the fact that tells the name of a migration's committed record."""
    return f"record {version}"


def ledger_tables(table: str) -> frozenset[str]:
    """Return the lower-case names of all tables that only this tool may write."""
    return frozenset({table.lower(), *OWN_TABLES})


def is_current(connection: sqlite3.Connection, workspace: Workspace) -> bool:
    """Return whether the ledger is up to date and can be written."""
    missing = _schema_files().keys() - set(_schema_versions(connection))
    has_owner = workspace.owns_database or recorded_project(connection) is not None
    return not missing and has_owner and not _demanding_columns(connection, workspace)


def tables_of_ledger(connection: sqlite3.Connection, workspace: Workspace) -> frozenset[str]:
    """Return which of the ledger's tables are there; refuse a database that cannot hold it."""
    table = workspace.config.ledger_table
    kinds = kinds_of(connection, ledger_tables(table))
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
    is_ours = MARK in kinds
    if is_ours:
        _refuse_newer(connection, workspace)
        _refuse_other_source(workspace, _load_facts(connection, kinds))
    _refuse_other_project(workspace, _load_facts(connection, kinds))
    if is_ours and SOURCES not in kinds:
        raise NotALedger(
            f"The ledger's table '{SOURCES}' is gone",
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
    elif is_ours and _has_rows(connection, SOURCES):
        raise NotALedger(
            f"The ledger table '{table}' is gone, though migrations were applied",
            file=workspace.database,
            hint="Put a backup back, or set ledger_table if it was renamed. Nothing was run.",
        )
    return frozenset(kinds)


def kinds_of(connection: sqlite3.Connection, names: frozenset[str]) -> dict[str, str]:
    """Return which of ``names``, in lower case, are tables and which are views.

    In one query: each walks through the whole schema, 2 ms with 10,000 tables.
    """
    rows = connection.execute(
        "SELECT lower(name), type FROM main.sqlite_schema WHERE type IN ('table', 'view')"
        f" AND lower(name) IN ({', '.join('?' * len(names))})",
        tuple(names),
    )
    return dict(rows.fetchall())


def impossible(workspace: Workspace, what: str) -> NotALedger:
    """Return the error for a ledger's table that holds what no ledger would."""
    return NotALedger(
        f"The ledger table '{workspace.config.ledger_table}' cannot be right: {what}",
        file=workspace.database,
        hint=(
            "If the table is not a ledger, set ledger_table in ",
            Place(workspace.settings_file),
            " to another name. Nothing was run.",
        ),
    )


def has_table(connection: sqlite3.Connection, table: str) -> bool:
    """Return whether there is a table of that lower-case name."""
    return kinds_of(connection, frozenset({table})).get(table) == "table"


def _has_rows(connection: sqlite3.Connection, table: str) -> bool:
    return connection.execute(f"SELECT 1 FROM main.{table} LIMIT 1").fetchone() is not None


def _require_columns(connection: sqlite3.Connection, workspace: Workspace) -> None:
    table = workspace.config.ledger_table
    names = {row[1].lower() for row in connection.execute(f'PRAGMA main.table_info("{table}")')}
    missing = [column for column in COLUMNS if column not in names]
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
        raise impossible(workspace, "plugin_migrate_schema holds no versions") from None
    if written > known:
        raise LedgerTooNew(
            f"The ledger was written by a newer plugin-migrate (its ledger is {written},"
            f" plugin-migrate {__version__} knows {known})",
            file=workspace.database,
            hint="Update the plugin-migrate plugin, then try again. Nothing was changed.",
        )


def _refuse_other_source(workspace: Workspace, facts: Mapping[str, str]) -> None:
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


def _refuse_other_project(workspace: Workspace, facts: Mapping[str, str]) -> None:
    if workspace.owns_database:
        return
    # Inside another project's `.claude/` it is that project's, which records no owner.
    owner = facts.get("project") or workspace.project_around_database
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
    return _load_facts(connection, kinds_of(connection, frozenset({FACTS}))).get("project")


def reserved_tables(connection: sqlite3.Connection) -> frozenset[str]:
    """Return the lower-case names of the tables that only plugin-migrate writes in a database.

    Of whichever source, whose ledger's table may have any name; none where no ledger is.
    """
    if not has_table(connection, MARK):
        return frozenset()
    rows = connection.execute(
        "SELECT lower(name) FROM main.sqlite_schema s WHERE type = 'table' AND ? ="
        " (SELECT count(*) FROM pragma_table_info(s.name) WHERE lower(name) IN"
        f" ({', '.join('?' * len(COLUMNS))}))",
        (len(COLUMNS), *COLUMNS),
    )
    return frozenset({*OWN_TABLES, *(name for (name,) in rows)})


def _load_facts(connection: sqlite3.Connection, kinds: Mapping[str, str]) -> dict[str, str]:
    """Return what the table of facts says, if ``kinds`` says that there is one."""
    if kinds.get(FACTS) != "table":
        return {}
    rows = connection.execute(
        f"SELECT name, value FROM main.{FACTS} WHERE name IN ('source', 'project')"
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
        is_ours = MARK in tables_of_ledger(connection, workspace)
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
        if not_null and default is None and not key and name.lower() not in COLUMNS
    ]
