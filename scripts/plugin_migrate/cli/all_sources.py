"""Commands over several sources: which there are, in which order, and what they require.

Reading shows every source, one after the other, also when one of them cannot be read. Writing
decides the whole order before anything runs (``requirements.py``) and stops at the first failure.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from ..errors import Call, MigrateError, UnknownPlugin, UsageError
from ..ledger.read import read_headers
from ..plan import UNAPPLIED, Entry, Plan, current_version
from ..sources.installed import Plugin
from ..sources.requirements import (
    Needs,
    Standing,
    applied_in,
    needs_of,
    order_down,
    order_up,
    refuse_needed,
)
from ..sources.shipped import folder_of, workspace_of
from ..storage.translation import state_errors
from ..survey import Planner, survey_ahead
from ..version import Version
from ..workspace import Workspace
from .invocation import Invocation

_QUIET_CODES = (0, 3)  # done, and pending


@dataclass(frozen=True, slots=True)
class Source:
    """One source of the project, with the option that names it on the command line."""

    workspace: Workspace
    option: str


# A source that is due, up to a version or (``None``) as far as it goes.
Turn = tuple[Source, Version | None]
# Carries out a turn and returns an exit code.
Command = Callable[[Workspace, Version | None], int]


def each(invocation: Invocation, show: Callable[[Invocation, Workspace], int]) -> int:
    """Show every source and return the exit code of the worst."""
    own = _own_beside_all(invocation)
    plugins = invocation.plugins(own)
    output = invocation.output
    output.share_document()
    codes = [0]
    if not invocation.options.user and (_has_own(own) or not plugins):
        output.of_source(None, "")
        codes.append(_code_of(invocation, own, partial(show, invocation, own)))

    def show_plugin(plugin: Plugin) -> int:
        return show(invocation, workspace_of(own, plugin))

    for plugin in plugins:
        output.of_source(plugin.name, invocation.option_for(plugin), folder_of(plugin))
        codes.append(_code_of(invocation, own, partial(show_plugin, plugin)))
    for gone in invocation.departed(own):
        workspace = gone.workspace
        output.of_source(workspace.source, f"--plugin {workspace.source}")
        codes.append(_code_of(invocation, workspace, partial(show, invocation, workspace)))
    return max(codes, key=lambda code: (code not in _QUIET_CODES, code))


def _own_beside_all(invocation: Invocation) -> Workspace:
    if invocation.options.plugin:
        raise UsageError(
            "--all means every source, --plugin one of them", hint="Leave one of the two out."
        )
    return invocation.own()


def _has_own(own: Workspace) -> bool:
    return os.path.isdir(own.migrations) or os.path.exists(own.database)


def _code_of(invocation: Invocation, workspace: Workspace, run: Callable[[], int]) -> int:
    """Return the exit code of ``run``; its error is reported as that of one of several sources."""
    try:
        with state_errors():
            return run()
    except MigrateError as error:
        invocation.output.error(error, workspace.shown)
        return error.exit_code


def all_sources(invocation: Invocation) -> tuple[Source, ...]:
    """Return the project's own source, if it has one or nobody has, and those of its plugins.

    Raises:
        MigrateError: one of them cannot be located.
    """
    own = _own_beside_all(invocation)
    others = tuple(plugin_sources(invocation, own))
    if invocation.options.user or (others and not _has_own(own)):
        return others
    return (Source(own, ""), *others)


def chosen_plugins(invocation: Invocation) -> tuple[Source, ...]:
    """Return the one plugin source that the options choose, or all of them.

    Raises:
        MigrateError: one of them cannot be located.
        UnknownPlugin: there are none, and the project's own is none that git could bring or take.
    """
    if invocation.chooses_none:
        own = invocation.own()
        sources = tuple(plugin_sources(invocation, own))
        if not sources and not followed(own):
            raise UnknownPlugin(
                "No enabled plugin ships migrations",
                hint=("See the state of the project's own: ", Call("status")),
            )
        return sources
    workspace = invocation.workspace()
    return (Source(workspace, invocation.output.option),)


def followed(own: Workspace) -> tuple[Source, ...]:
    """Return the project's own source where git may bring or take its files."""
    from ..ledger.record import is_followed

    return (Source(own, ""),) if _has_own(own) and is_followed(own) else ()


def plugin_sources(invocation: Invocation, own: Workspace) -> Iterator[Source]:
    """Yield the sources of the project's plugins."""
    for plugin in invocation.plugins(own):
        yield Source(workspace_of(own, plugin), invocation.option_for(plugin))


# --- requirements -------------------------------------------------------------------------------


def refuse_unmet(
    invocation: Invocation, workspace: Workspace, entries: tuple[Entry, ...], plan: Plan
) -> None:
    """Refuse a plan for one source that requires what others lack, or takes what they require.

    Raises:
        RequirementUnmet: names the first such migration.
    """
    if plan.direction == "up":
        due = needs_of(step.entry for step in plan.steps)
        wanted = _standing(workspace, entries, due)
        order_up([wanted], [wanted, *_others(invocation, workspace)])
    else:
        gone = {step.version for step in plan.steps}
        left_at = current_version(entry for entry in entries if entry.version not in gone)
        refuse_leaving(invocation, workspace, left_at)


def refuse_leaving(invocation: Invocation, workspace: Workspace, left_at: Version | None) -> None:
    """Refuse to take a plugin's source back to a version when others require a higher one.

    Raises:
        RequirementUnmet: names the first such migration.
    """
    if workspace.source is not None:
        refuse_needed(workspace.source, left_at, list(_others(invocation, workspace)))


def refuse_unrehearsable(
    invocation: Invocation, workspace: Workspace, entries: Sequence[Entry]
) -> None:
    """Refuse to rehearse pending migrations that require what others lack.

    A rehearsal is of one source alone, so that what it requires has to be there.

    Raises:
        RequirementUnmet: names the first such migration.
    """
    due = needs_of(entry for entry in entries if entry.state in UNAPPLIED)
    if any(needs.requires for needs in due) or any(workspace.roots):
        wanted = _standing(workspace, entries, due)
        order_up([wanted], [wanted, *_others(invocation, workspace)])


def _others(invocation: Invocation, workspace: Workspace) -> Iterator[Standing]:
    """Yield how the project's other sources stand; one that cannot be read requires nothing."""
    own = invocation.own() if workspace.is_users else workspace.own or workspace
    if workspace.source is not None:
        yield from _readable(own)
    for plugin in invocation.plugins(own):
        if plugin.name != workspace.source:
            try:
                other = workspace_of(own, plugin)
            except MigrateError:
                continue
            yield from _readable(other)
    # What a plugin that went away has applied still needs what it was built on.
    for gone in invocation.departed(own):
        if gone.workspace.source != workspace.source:
            yield from _readable(gone.workspace)


def _readable(workspace: Workspace) -> Iterator[Standing]:
    try:
        entries = survey_ahead(workspace).entries
        pending = needs_of(entry for entry in entries if entry.state in UNAPPLIED)
        standing = _standing(workspace, entries, pending)
    except MigrateError:
        return
    yield standing


def _standing(workspace: Workspace, entries: Sequence[Entry], due: tuple[Needs, ...]) -> Standing:
    applied = applied_in(entries, read_headers(workspace))
    return Standing(
        workspace.source, current_version(entries), due, applied, tuple(_beside(workspace))
    )


def _beside(workspace: Workspace) -> Iterator[str]:
    for root in filter(None, workspace.roots):
        path = workspace.live(root)
        yield workspace.shown(path) + ("/" if os.path.isdir(path) else "")


# --- writing ------------------------------------------------------------------------------------


def upgrade_turns(sources: Sequence[Source], planner: Planner) -> tuple[Turn, ...]:
    """Return in which order sources with something due are upgraded, and how far each time.

    Raises:
        RequirementUnmet: there is no such order.
    """
    wanted = [_standing_for(source, planner) for source in sources]
    by_name = {source.workspace.source: source for source in sources}
    return tuple((by_name[name], last) for name, last in order_up(wanted, wanted))


def downgrade_turns(
    invocation: Invocation, sources: Sequence[Source], planner: Planner
) -> tuple[Turn, ...]:
    """Return in which order sources with something due are rolled back.

    Raises:
        RequirementUnmet: what stays applied requires what would go.
    """
    wanted = [_standing_for(source, planner) for source in sources]
    by_name = {source.workspace.source: source for source in sources}
    others = [one for one in _others(invocation, invocation.own()) if one.source not in by_name]
    return tuple((by_name[name], None) for name in order_down(wanted, others))


def idle(sources: Sequence[Source], turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """Return turns for the sources that have none: they say that there is nothing to do."""
    busy = {source.workspace.source for source, _ in turns}
    return tuple((source, None) for source in sources if source.workspace.source not in busy)


def in_turn(invocation: Invocation, turns: Iterable[Turn], command: Command) -> int:
    """Carry out a command for one source after the other, until one fails; return the exit code."""
    for source, last in turns:
        workspace = source.workspace
        folder = workspace.shown(workspace.claude) if workspace.is_users else None
        invocation.output.of_source(workspace.source, source.option, folder)
        run = partial(command, source.workspace, last)
        code = _code_of(invocation, source.workspace, run)
        if code:
            return code
    return 0


def _standing_for(source: Source, planner: Planner) -> Standing:
    name = source.workspace.source
    try:
        seen = survey_ahead(source.workspace)
        due = needs_of(step.entry for step in seen.plan(planner).steps)
    except MigrateError as error:
        # Nothing has run, and no heading says yet whose error it is.
        if name is not None:
            error.message = f"Plugin {name}: {error.message}"
            error.option = source.option
        raise
    return _standing(source.workspace, seen.entries, due)
