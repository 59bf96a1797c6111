"""What the ledger says: what is applied, and what has begun and not ended; writes nothing."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence

from ..errors import Call, InvalidVersion, LedgerLost, NotALedger, Place, StateUnreadable
from ..migration import checksum_of
from ..plain_file import parse_json, read_plain
from ..plan import Applied, KnownRecord
from ..platform import system
from ..storage import sqlite
from ..values import NamedTuple
from ..version import Version
from ..workspace import Workspace
from .schema import (
    COLUMNS,
    FACTS,
    MARK,
    SOURCES,
    WAY_BACK,
    has_table,
    impossible,
    is_current,
    kinds_of,
    tables_of_ledger,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Query = Callable[[sqlite3.Connection], "Ledger"]
    Read = Callable[[str, Query], "Ledger"]


# Of a step that changes 10,000 files.
LARGEST_RECORD = 2 * 1024 * 1024


class Publish(NamedTuple):
    """A committed step whose files may still have to be published.

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
    """What an applied migration's file said of itself; ``text`` is its metadata as JSON."""

    language: str
    text: str

    def metadata(self) -> Mapping[str, Any]:
        """Return the metadata; none if it is not what this tool writes."""
        try:
            metadata = parse_json(self.text)
        except ValueError:
            return {}
        return metadata if isinstance(metadata, dict) else {}


class Ledger(NamedTuple):
    """What the state database says, read in one transaction.

    ``recorded`` holds the committed records that stood with the files, by version (see
    ``record.py``). ``started`` holds the versions whose ``transaction:false`` step began and
    never ended, with its direction. ``is_ours`` is false while the database lacks our tables,
    ``is_ready`` while :func:`ensure_ledger` has anything to do. ``last_event`` is the number of the
    history's last row. ``ways_back`` are the marks of applied migrations without a down, by
    version.
    """

    applied: dict[Version, Applied]
    publishes: tuple[Publish, ...] = ()
    started: dict[Version, str] | None = None
    is_ours: bool = False
    is_ready: bool = False
    last_event: int = 0
    recorded: Mapping[Version, KnownRecord] = {}
    ways_back: dict[str, str] | None = None

    @property
    def interrupted(self) -> frozenset[Version]:
        """The versions that are neither cleanly applied nor cleanly pending."""
        return frozenset(self.started or ()) | {publish.version for publish in self.publishes}


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
    return sqlite.read(path, lambda connection: has_table(connection, MARK))


def _refuse_lost(workspace: Workspace) -> None:
    """Refuse to take a lost database for a new one: everything would be run again."""
    if not os.path.isdir(os.path.join(workspace.home, "backups")):
        return
    from ..storage.backups import list_backups

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
    tables = tables_of_ledger(connection, workspace)
    is_ours = MARK in tables
    if workspace.config.ledger_table.lower() not in tables:
        return Ledger({}, is_ours=is_ours)
    return Ledger(
        _load_applied(connection, workspace),
        publishes=_load_publishes(connection, workspace) if is_ours else (),
        started=_load_started(connection, workspace) if is_ours else None,
        is_ours=is_ours,
        is_ready=is_ours and is_current(connection, workspace),
        last_event=_last_event(connection) if is_ours else 0,
        recorded=_load_recorded(connection, workspace) if is_ours else {},
        ways_back=_load_ways_back(connection, tables) if is_ours else None,
    )


def _load_recorded(
    connection: sqlite3.Connection, workspace: Workspace
) -> dict[Version, KnownRecord]:
    # A range, which the index of names answers.
    rows = connection.execute(
        f"SELECT substr(name, 8), value FROM main.{FACTS}"
        " WHERE name > 'record ' AND name < 'record!'"
    )
    return {
        _version(workspace, FACTS, version): known_record(value)
        for version, value in rows
        if require_texts(workspace, FACTS, (value,))
    }


def known_record(fact: str) -> KnownRecord:
    """Return the record that a fact tells of."""
    name, _, checksum = fact.rpartition(" ")
    return KnownRecord(name, checksum)


def standing_records(workspace: Workspace, ledger: Ledger) -> dict[str, str | None]:
    """Return the names of the committed records that stand with the files now.

    With the checksums of those that the ledger knows, which git may have replaced by others.

    Raises:
        StateUnreadable: they cannot be read.
    """
    try:
        standing: dict[str, str | None] = dict.fromkeys(os.listdir(workspace.records))
        for known in ledger.recorded.values():
            if known.name in standing:
                content = read_plain(os.path.join(workspace.records, known.name), LARGEST_RECORD)
                standing[known.name] = checksum_of(content)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise StateUnreadable(
            f"The records of applied migrations cannot be read: {system.reason_of(error)}",
            file=error.filename or workspace.records,
            hint="They are small plain files in a folder that you may read; git has them as they"
            " were.",
        ) from None
    return standing


def _load_ways_back(connection: sqlite3.Connection, tables: frozenset[str]) -> dict[str, str]:
    if FACTS not in tables:
        return {}
    # Only those: '!' is what comes after a space.
    rows = connection.execute(
        f"SELECT name, value FROM main.{FACTS} WHERE name >= ? AND name < ?",
        (WAY_BACK, f"{WAY_BACK[:-1]}!"),
    )
    return {
        name.removeprefix(WAY_BACK): value
        for name, value in rows
        if type(name) is type(value) is str
    }


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
            has_table(connection, "plugin_migrate_history")
            and connection.execute(
                "SELECT 1 FROM main.plugin_migrate_history WHERE id > ? AND outcome != 'failed'"
                " AND action IN ('up', 'down', 'restore', 'renumber') LIMIT 1",
                (event,),
            ).fetchone()
        )
        return bool(found)

    return sqlite.read(workspace.database, query)


def _load_applied(connection: sqlite3.Connection, workspace: Workspace) -> dict[Version, Applied]:
    # A row of direction 'down' is how another engine remembers a rollback: not applied.
    query = (
        f'SELECT {", ".join(COLUMNS[:-1])} FROM main."{workspace.config.ledger_table}"'
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
            raise impossible(workspace, f"row {number} has the version {text!r}") from None
        if version in applied:
            raise impossible(workspace, f"version {version} is applied twice")
        # SQLite itself takes any value in any column.
        texts = type(description) is type(applied_at) is type(checksum) is str
        is_known = applied_by is None or type(applied_by) is str
        if not texts or not is_known or type(duration) not in (int, float):
            raise impossible(workspace, f"row {number} has values of wrong types")
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


def read_ways_back(workspace: Workspace) -> dict[str, str]:
    """Return the marks of applied migrations without a down, by version.

    Raises:
        StateUnreadable, Busy: see :func:`plugin_migrate.storage.sqlite.read`.
    """
    if not os.path.exists(workspace.database):
        return {}

    def query(connection: sqlite3.Connection) -> dict[str, str]:
        return _load_ways_back(connection, frozenset(kinds_of(connection, frozenset({FACTS}))))

    return sqlite.read(workspace.database, query)


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
    if kinds_of(connection, frozenset({MARK, table.lower()})).keys() != {MARK, table.lower()}:
        return {}
    query = (
        f"SELECT s.version, s.language, s.metadata FROM main.{SOURCES} s"
        f" JOIN main.\"{table}\" m ON m.version = s.version WHERE m.direction = 'up'"
        # SQLite itself takes any value in any column.
        " AND typeof(s.language) = 'text' AND typeof(s.metadata) = 'text'"
    )
    return {version: Header(*more) for version, *more in connection.execute(query)}


def _load_sources(
    connection: sqlite3.Connection, workspace: Workspace, versions: Sequence[Version]
) -> dict[Version, StoredSource]:
    if not has_table(connection, SOURCES):
        return {}
    query = f"SELECT file_name, language, text FROM main.{SOURCES} WHERE version = ?"
    rows = (
        (version, connection.execute(query, (str(version),)).fetchone()) for version in versions
    )
    return {
        version: StoredSource(*row)
        for version, row in rows
        if row is not None and require_texts(workspace, SOURCES, row)
    }
