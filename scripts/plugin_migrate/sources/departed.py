"""State of plugins that went away: disabled, uninstalled, or gone from the client's cache.

What they applied stays in the project, and can be rolled back: the ledger keeps every source. Which
plugins migrated a project stands in our own folder (``storage/unfinished.py``).
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from ..errors import MigrateError, UnknownPlugin
from ..ledger.read import read_ledger
from ..storage.unfinished import noted, sibling
from ..workspace import Workspace, is_inside, is_source_name
from .installed import Absence, absence_of, data_folder

# What needs no file of a migration: these work for a plugin that went away.
COMMANDS = frozenset({"downgrade", "status", "history", "check", "repair", "restore"})

# A session's start reads them all, and a cloned repository may bring any number.
_MOST_READ = 20


@dataclass(frozen=True, slots=True)
class Departed:
    """A plugin's source in a project whose session does not have its migrations, and why."""

    workspace: Workspace
    absence: Absence

    @property
    def way_out(self) -> str:
        """What the user can do, one sentence without a final period."""
        return (
            f"{self.absence.way_back}, or roll its state back from the stored sources:"
            f" plugin-migrate downgrade --plugin {self.workspace.source} 0.0.0"
        )

    def refusal(self) -> UnknownPlugin:
        """Return the error for a command that needs the plugin's files."""
        return UnknownPlugin(
            f"The plugin {self.workspace.source} {self.absence.sentence}", hint=self.way_out
        )


def departed(
    own: Workspace, environment: Mapping[str, str], present: Collection[str]
) -> Iterator[Departed]:
    """Yield the plugins that left state in the project; reads only.

    Parameters:
        own: the project's own workspace.
        environment: the process's environment variables.
        present: the names of the plugins that ship migrations to it.
    """
    for name in islice((name for name in noted(own) if name not in present), _MOST_READ):
        found = departed_called(own, environment, name)
        if found is not None:
            yield found


def departed_called(own: Workspace, environment: Mapping[str, str], name: str) -> Departed | None:
    """Return the plugin ``name``, which ships nothing, if it left state in the project."""
    if not is_source_name(name):
        return None
    workspace = sibling(own, name)
    # What is noted may have come with a cloned repository: it must not lead us anywhere else.
    data = data_folder(own.project, environment)
    if not workspace.owns_database and not is_inside(workspace.database, data):
        return None
    if not os.path.isfile(workspace.database) or not _holds_state(workspace):
        return None
    return Departed(workspace, absence_of(own.project, environment, name))


def _holds_state(workspace: Workspace) -> bool:
    try:
        ledger = read_ledger(workspace)
    except MigrateError:
        return os.path.isdir(workspace.home)  # whoever asks for it is told why
    return bool(ledger.applied or ledger.interrupted)
