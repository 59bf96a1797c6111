"""Commands that read: from their options to an exit code.

What only some commands need is imported where it is needed, because every start pays for the rest.
"""

from __future__ import annotations

from ...errors import MigrateError
from ...version import Version

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ...workspace import Workspace
    from ..invocation import Invocation


_PENDING = 3


def run_status(invocation: Invocation) -> int:
    """Show every migration and its state."""
    return _show(invocation, _show_status)


def run_check(invocation: Invocation) -> int:
    """Show what is pending; 3 when something is."""
    return _show(invocation, _show_check)


def run_history(invocation: Invocation) -> int:
    """Show what happened."""
    if invocation.options.version is not None:
        Version.parse(invocation.options.version)  # wrong for one source is wrong for all
    return _show(invocation, _show_history)


def _show(invocation: Invocation, show: Callable[[Invocation, Workspace], int]) -> int:
    if invocation.options.all:
        from ..all_sources import each

        return each(invocation, show)
    return show(invocation, invocation.workspace())


def _show_status(invocation: Invocation, workspace: Workspace) -> int:
    from ...ledger.read import read_headers
    from ...plan import UNAPPLIED
    from ...render import status
    from ...survey import survey

    seen = survey(workspace)
    options = invocation.options
    shown = [
        entry
        for entry in seen.entries
        if not (options.pending_only and entry.state not in UNAPPLIED)
        and not (options.applied_only and entry.applied is None)
    ]
    as_list = options.format == "list"
    refused = () if options.applied_only else seen.refused
    attention = invocation.attention_of_plugins(workspace)
    invocation.output.result(
        lambda style: status.status_text(
            seen, shown, attention, style, as_list, invocation.most_rows, refused
        ),
        lambda: status.status_json(seen, shown, attention, read_headers(workspace)),
    )
    return 0


def _show_check(invocation: Invocation, workspace: Workspace) -> int:
    from ...plan import UNAPPLIED, State, ahead
    from ...render.check import check_json, check_text
    from ...survey import survey

    seen = survey(workspace)
    states = {entry.state for entry in seen.entries}
    # Code that is older than the state must not read it, as little as code that is newer.
    is_unsound = bool(
        states & {State.MODIFIED, State.INTERRUPTED, State.DATABASE_ONLY}
        or ahead(seen.entries)
        or seen.refused
    )
    invocation.output.result(
        lambda style: check_text(seen), lambda: check_json(seen), not is_unsound
    )
    if is_unsound:
        return MigrateError.exit_code
    return _PENDING if states & UNAPPLIED else 0


def _show_history(invocation: Invocation, workspace: Workspace) -> int:
    from ...ledger.history import read_history
    from ...plan import require_known
    from ...render import maintenance
    from ...survey import survey

    options = invocation.options
    version = Version.parse(options.version) if options.version is not None else None
    events = read_history(workspace, options.limit, version)
    if version is not None and not (events or options.all):
        require_known(survey(workspace).entries, version)
    invocation.output.result(
        lambda style: maintenance.history_text(events, style, options.format == "list", version),
        lambda: maintenance.history_json(events),
    )
    return 0
