"""What a source has to tell whoever opens the project: pending, modified, ahead; reads only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ..errors import MigrateError
from ..plan import UNAPPLIED, State, ahead
from ..survey import survey
from ..version import Version
from ..workspace import Workspace
from .shipped import workspace_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .departed import Departed
    from .installed import Plugin


@dataclass(frozen=True, slots=True)
class Attention:
    """Counts of what needs somebody's attention in one source.

    ``source`` is the plugin's name, ``None`` for the project's own. ``ahead`` counts the applied
    migrations above the newest that is shipped: the files went back to an older version.
    ``taken`` counts those of which git took the files back.
    ``refused`` counts files that no upgrade applies, for their names. ``problem`` is why the source
    cannot be read. ``departed`` says why its plugin ships nothing any more, if so.
    """

    source: str | None
    current: Version | None = None
    pending: int = 0
    modified: int = 0
    interrupted: int = 0
    ahead: int = 0
    taken: int = 0
    refused: int = 0
    problem: str | None = None
    departed: Departed | None = None

    @property
    def is_quiet(self) -> bool:
        """Whether there is nothing to tell."""
        trouble = (self.modified, self.interrupted, self.ahead, self.taken, self.refused)
        return not (self.pending or any(trouble)) and self.problem is None

    @property
    def way_out(self) -> str | None:
        """The command for the most pressing of it, if there is one."""
        if self.interrupted:
            return "repair"
        if self.modified or self.refused or self.problem is not None:
            return "status"
        if self.departed is not None:
            return "downgrade"
        # What is ahead of the project's own files, without a record, only git can tell.
        if self.taken or (self.ahead and self.source):
            return "sync"
        if not self.pending:
            return None
        # Who has never applied anything here may have just cloned it: let them look first. A
        # plugin's migrations come from somebody whom the user chose to trust.
        return "status" if self.current is None and self.source is None else "upgrade"


def attention_of(workspace: Workspace) -> Attention:
    """Return what one source has to tell.

    Raises:
        MigrateError: files, ledger or database cannot be read.
    """
    seen = survey(workspace)
    states = [entry.state for entry in seen.entries]
    return Attention(
        workspace.source,
        seen.current,
        pending=sum(state in UNAPPLIED for state in states),
        modified=states.count(State.MODIFIED),
        interrupted=states.count(State.INTERRUPTED),
        ahead=len(ahead(seen.entries)),
        taken=states.count(State.DATABASE_ONLY),
        refused=len(seen.refused),
    )


def attention_of_plugins(own: Workspace, plugins: Iterable[Plugin]) -> tuple[Attention, ...]:
    """Return the news of plugins that have some; that one cannot be read is news as well.

    Parameters:
        own: the project's own workspace.
        plugins: those that ship migrations.
    """
    found = []
    for plugin in plugins:
        try:
            attention = attention_of(workspace_of(own, plugin))
        except MigrateError as error:
            attention = Attention(plugin.name, problem=error.message)
        if not attention.is_quiet:
            found.append(attention)
    return tuple(found)


def attention_of_departed(one: Departed) -> Attention:
    """Return what a plugin's state has to tell whose plugin went away."""
    try:
        return replace(attention_of(one.workspace), departed=one)
    except MigrateError as error:
        return Attention(one.workspace.source, problem=error.message, departed=one)
