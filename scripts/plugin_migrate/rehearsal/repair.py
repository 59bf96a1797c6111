"""What a repair would settle: it is carried out on a copy."""

from __future__ import annotations

from collections.abc import Sequence

from ..operations.repair import Decisions, Repair, database_to_take, repair
from ..version import Version
from ..workspace import Workspace
from .shadow import shadow_of


def dry_run(
    workspace: Workspace, versions: Sequence[Version], decisions: Decisions
) -> list[Repair]:
    """Return what a repair would settle; the live state stays as it is.

    Whose the database is comes first: until that is settled, nothing else can be looked at.

    Raises:
        MigrateError: what the real repair would say.
    """
    taken = database_to_take(workspace) if decisions.take_database else None
    if taken is not None:
        return [Repair(None, taken)]
    with shadow_of(workspace) as shadow:
        here = decisions._replace(take_database=False)
        return repair(shadow, versions, here, "rehearsal", 0)
