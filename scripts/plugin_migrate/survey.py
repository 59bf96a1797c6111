"""Everything that reading shows: files, ledger and the state of every version; writes nothing."""

from __future__ import annotations

from collections.abc import Callable

from .ledger.read import Ledger, read_ledger, read_sources, standing_records
from .migration import Misnamed, RefusedFile, misnamed_in, read_folder
from .plan import (
    Entry,
    Plan,
    Records,
    current_version,
    doubtful,
    entries_from,
    refuse_unnamed,
)
from .values import NamedTuple
from .version import Version
from .workspace import Workspace

Planner = Callable[[tuple[Entry, ...]], Plan]


class Survey(NamedTuple):
    """Everything that reading shows: the versions with their states, and the ledger.

    ``misnamed`` are the files that look like migrations and are none; ``refused`` those that are
    meant as ones and that no upgrade applies, for their names.
    """

    workspace: Workspace
    entries: tuple[Entry, ...]
    ledger: Ledger
    misnamed: tuple[Misnamed, ...] = ()
    refused: tuple[RefusedFile, ...] = ()

    @property
    def current(self) -> Version | None:
        """The highest applied version."""
        return current_version(self.entries)

    def plan(self, planner: Planner) -> Plan:
        """Return what ``planner`` makes of the entries.

        Raises:
            MigrateError: what it raises; or an upgrade comes to a file that is refused.
        """
        plan = planner(self.entries)
        refuse_unnamed(self.refused, plan)
        return plan


def survey(workspace: Workspace) -> Survey:
    """Return the state of every migration; reads only, and never runs one.

    Raises:
        MigrateError: files, ledger or database cannot be read.
    """
    return survey_by(workspace, read_ledger(workspace))


def survey_by(workspace: Workspace, ledger: Ledger) -> Survey:
    """Return the state of every migration by a ledger that has just been read.

    Raises:
        MigrateError: files or stored sources cannot be read.
    """
    return _survey(workspace, ledger, ledger.interrupted)


def survey_ahead(workspace: Workspace) -> Survey:
    """Return the state as a real run would find it: it begins by putting files in place.

    Whether somebody has edited those files since shows only then.

    Raises:
        MigrateError: files, ledger or database cannot be read.
    """
    ledger = read_ledger(workspace)
    return _survey(workspace, ledger, frozenset(ledger.started or ()))


def _survey(workspace: Workspace, ledger: Ledger, interrupted: frozenset[Version]) -> Survey:
    known = {version: row.checksum for version, row in ledger.applied.items()}
    migrations, refused = read_folder(workspace.migrations, known)
    stored = read_sources(workspace, doubtful(migrations, ledger.applied))
    texts = {version: source.text for version, source in stored.items()}
    records = Records(standing_records(workspace, ledger), ledger.recorded)
    entries = entries_from(migrations, ledger.applied, interrupted, texts, records)
    return Survey(workspace, entries, ledger, misnamed_in(workspace.migrations), refused)
