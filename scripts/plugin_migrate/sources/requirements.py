"""What migrations require of other plugins' state, and the order that follows from it.

``requires: {other-plugin: ">=1.2.0"}`` in a migration's header names versions of another source.
Pure, as ``plan.py`` is: from what is applied and what is due to an order, or to the reason why
there is none. Everything is decided before anything runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ..errors import BrokenMigration, RequirementUnmet
from ..ledger.read import Header
from ..migration import describe
from ..plan import Entry
from ..version import Version


@dataclass(frozen=True, slots=True)
class Needs:
    """One migration with what it requires: specifiers by plugin, such as ``>=1.2.0``.

    ``changes_files`` is false of one that can change the state database only.
    """

    version: Version
    requires: Mapping[str, str]
    changes_files: bool = True


@dataclass(frozen=True, slots=True)
class Standing:
    """One source as the others see it; ``source`` is ``None`` for the project's own.

    ``due`` holds the pending migrations in version order, ``applied`` the applied ones. ``beside``
    is what ``state:`` names beside ``.claude/``, a folder with a slash at its end.
    """

    source: str | None
    current: Version | None
    due: tuple[Needs, ...] = ()
    applied: tuple[Needs, ...] = ()
    beside: tuple[str, ...] = ()


def needs_of(entries: Iterable[Entry]) -> tuple[Needs, ...]:
    """Return migrations with what their files require.

    Raises:
        BrokenMigration: a header cannot be read.
    """
    return tuple(
        Needs(entry.version, _required_by_file(entry), _changes_files(entry)) for entry in entries
    )


def _changes_files(entry: Entry) -> bool:
    return entry.migration is None or entry.migration.language != "sql"


def applied_in(entries: Iterable[Entry], headers: Mapping[str, Header]) -> tuple[Needs, ...]:
    """Return the applied migrations with what they required when they were applied."""
    applied = [entry.version for entry in entries if entry.applied is not None]
    return tuple(Needs(version, _required_by(headers.get(str(version)))) for version in applied)


def _required_by_file(entry: Entry) -> Mapping[str, str]:
    migration = entry.migration
    if migration is None or "requires" not in (migration.text or ""):
        return {}
    requires = describe(migration).metadata.get("requires")
    if requires is None:
        return {}
    problem = _problem_in(requires)
    if problem is not None:
        raise BrokenMigration(
            f"'requires' {problem}",
            file=migration.path,
            hint='For example: requires: {other-plugin: ">=1.2.0"}',
        )
    assert isinstance(requires, dict)
    return requires


def _required_by(header: Header | None) -> Mapping[str, str]:
    if header is None or "requires" not in header.text:
        return {}
    requires = header.metadata().get("requires") or {}
    return requires if _problem_in(requires) is None else {}


def _problem_in(requires: object) -> str | None:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    if not isinstance(requires, dict):
        return "must be a mapping of plugins to versions"
    for plugin, specifier in requires.items():
        if not isinstance(plugin, str) or not isinstance(specifier, str):
            return "must be a mapping of plugins to versions, both as text"
        try:
            SpecifierSet(specifier)
        except InvalidSpecifier:
            return f"has no valid versions for {plugin}: '{specifier}'"
    return None


def _is_met(specifier: str, version: Version | None) -> bool:
    from packaging.specifiers import SpecifierSet

    return version is not None and str(version) in SpecifierSet(specifier)


def order_up(
    wanted: Sequence[Standing], all_standings: Sequence[Standing]
) -> tuple[tuple[str | None, Version], ...]:
    """Return in which order sources are upgraded, and how far each time.

    A source comes more than once when others must come in between.

    Parameters:
        wanted: the sources to upgrade, with what is due of each.
        all_standings: every source there is, to explain what is missing.

    Raises:
        RequirementUnmet: a plugin or a version is missing, or there is a circle; or one changes
            another plugin's state and does not require it.
    """
    for standing in wanted:
        for other in all_standings:
            if other.source not in (None, standing.source):
                _refuse_trespass(standing, other)
    current = {standing.source: standing.current for standing in all_standings}
    left = {standing.source: list(standing.due) for standing in wanted}
    order: list[tuple[str | None, Version]] = []
    while any(left.values()):
        before = len(order)
        for source in left:
            last = _advance(source, left, current)
            if last is not None:
                order.append((source, last))
        if len(order) == before:
            source, due = _stuck(left, current)
            raise _explained(source, due, current, all_standings)
    return tuple(order)


def _refuse_trespass(standing: Standing, other: Standing) -> None:
    """Refuse migrations that can change a folder of another plugin's without requiring it.

    A single file that both name is neither's: ``CLAUDE.md`` belongs to the project. A folder is not
    the other's who requires this one.

    Raises:
        RequirementUnmet: names the first such migration.
    """
    shared = next(
        (
            path
            for path in standing.beside
            for theirs in other.beside
            if (theirs.endswith("/") and path.startswith(theirs))
            or (path.endswith("/") and theirs.startswith(path))
        ),
        None,
    )
    if shared is None or any(
        standing.source in needs.requires for needs in (*other.due, *other.applied)
    ):
        return
    for needs in standing.due:
        if needs.changes_files and other.source not in needs.requires:
            raise RequirementUnmet(
                f"Migration {needs.version}{_of(standing.source)} can change {shared}, which is"
                f" state of {other.source}, and does not require it",
                hint=f"Its author must say which version it knows: requires: {{{other.source}:"
                ' ">=1.0.0"}',
            )


def _advance(
    source: str | None,
    left: Mapping[str | None, list[Needs]],
    current: dict[str | None, Version | None],
) -> Version | None:
    """Take what can run now from one source's due migrations; return the last of them."""
    due, last = left[source], None
    while (
        due and _unmet(due[0], current) is None and not _is_awaited(source, due[0], left, current)
    ):
        last = due.pop(0).version
        current[source] = max(current.get(source) or last, last)
    return last


def _is_awaited(
    source: str | None,
    needs: Needs,
    left: Mapping[str | None, list[Needs]],
    current: Mapping[str | None, Version | None],
) -> bool:
    """Return whether another source has yet to use the version that ``needs`` would end."""
    now = current.get(source)
    return any(
        specifier is not None and _is_met(specifier, now) and not _is_met(specifier, needs.version)
        for other, due in left.items()
        if other != source
        for specifier in (waiting.requires.get(source or "") for waiting in due)
    )


def _stuck(
    left: Mapping[str | None, list[Needs]], current: Mapping[str | None, Version | None]
) -> tuple[str | None, Needs]:
    """Return the first migration that cannot run; sources can also wait for each other only."""
    firsts = [(source, due[0]) for source, due in left.items() if due]
    blocked = [(source, needs) for source, needs in firsts if _unmet(needs, current) is not None]
    return (blocked or firsts)[0]


def _unmet(needs: Needs, current: Mapping[str | None, Version | None]) -> str | None:
    for plugin, specifier in needs.requires.items():
        if not _is_met(specifier, current.get(plugin)):
            return plugin
    return None


def _explained(
    source: str | None,
    needs: Needs,
    current: Mapping[str | None, Version | None],
    standings: Sequence[Standing],
) -> RequirementUnmet:
    """Return why a migration cannot run: what it requires is missing, or waits for it in turn."""
    plugin = _unmet(needs, current)
    if plugin is None:
        return RequirementUnmet(
            f"Migration {needs.version}{_of(source)} would end a version that another one requires,"
            " and the other way round",
            hint="One of their authors must widen a requirement.",
        )
    specifier = needs.requires[plugin]
    what = f"Migration {needs.version}{_of(source)} requires {_named(plugin, specifier)}"
    required = next((one for one in standings if one.source == plugin), None)
    if required is None:
        return RequirementUnmet(
            f"{what}, and no enabled plugin of that name ships migrations",
            hint="Install and enable the plugin, then try again.",
        )
    circle = _circle(source, needs, current, standings)
    if circle:
        return RequirementUnmet(
            f"Migrations require each other in a circle: {' → '.join(circle)}",
            hint="One of their authors must take a requirement out.",
        )
    is_at = f"{what}, which is at {required.current or 'none'}"
    meeting = [due.version for due in required.due if _is_met(specifier, due.version)]
    if not meeting:
        return RequirementUnmet(is_at, hint=f"Update the plugin {plugin}, then try again.")
    goes_too_far = meeting[-1] != required.due[-1].version
    target = f" {meeting[-1]}" if goes_too_far else ""
    return RequirementUnmet(
        is_at,
        hint=f"First: plugin-migrate upgrade --plugin {plugin}{target}\n"
        "Or everything in its order: plugin-migrate upgrade --all",
    )


def _circle(
    source: str | None,
    needs: Needs,
    current: Mapping[str | None, Version | None],
    standings: Sequence[Standing],
) -> list[str]:
    """Return the way along unmet requirements back to where it began; empty if it ends."""
    steps = {standing.source: standing.due for standing in standings}
    way: list[tuple[str | None, Version]] = []
    place: tuple[str | None, Needs] | None = (source, needs)
    while place is not None and (place[0], place[1].version) not in way:
        way.append((place[0], place[1].version))
        place = _next_blocked(place[1], current, steps)
    if place is None:
        return []
    start = way.index((place[0], place[1].version))
    circle = [*way[start:], way[start]]
    return [f"{name or 'this project'} {version}" for name, version in circle]


def _next_blocked(
    needs: Needs,
    current: Mapping[str | None, Version | None],
    steps: Mapping[str | None, tuple[Needs, ...]],
) -> tuple[str | None, Needs] | None:
    """Return the migration of the required plugin that has to run first and cannot either."""
    plugin = _unmet(needs, current)
    if plugin is None:
        return None
    version = current.get(plugin)
    due = [one for one in steps.get(plugin, ()) if version is None or one.version > version]
    if not any(_is_met(needs.requires[plugin], one.version) for one in due):
        return None
    return next(((plugin, one) for one in due if _unmet(one, current) is not None), None)


def refuse_needed(source: str, left_at: Version | None, others: Sequence[Standing]) -> None:
    """Refuse to roll a source back below what applied migrations of others require.

    Parameters:
        left_at: the version that the rollback leaves.

    Raises:
        RequirementUnmet: names the first such migration.
    """
    for other in others:
        for needs in other.applied:
            specifier = needs.requires.get(source)
            if specifier is not None and not _is_met(specifier, left_at):
                raise RequirementUnmet(
                    f"Migration {needs.version}{_of(other.source)} is applied and requires"
                    f" {_named(source, specifier)}; this would leave it at {left_at or 'none'}",
                    hint=f"Roll that back first: {_downgrade_of(other, needs.version)}",
                )


def order_down(wanted: Sequence[Standing], others: Sequence[Standing]) -> tuple[str | None, ...]:
    """Return in which order sources are rolled back: whoever requires another comes before it.

    Parameters:
        wanted: the sources to roll back, with what is due of each.
        others: the sources that stay as they are.

    Raises:
        RequirementUnmet: what stays applied requires what would go.
    """
    left = {standing.source: standing for standing in (*wanted, *others)}
    waiting = [standing for standing in wanted if standing.due]
    order: list[str | None] = []
    while waiting:
        ready = [one for one in waiting if _problem_without(one, left) is None]
        if not ready:
            problem = _problem_without(waiting[0], left)
            assert problem is not None
            raise problem
        for one in ready:
            left[one.source] = _after_rollback(left[one.source])
            order.append(one.source)
        waiting = [one for one in waiting if one not in ready]
    return tuple(order)


def _problem_without(
    standing: Standing, left: Mapping[str | None, Standing]
) -> RequirementUnmet | None:
    if standing.source is None:
        return None
    others = [other for other in left.values() if other.source != standing.source]
    try:
        refuse_needed(standing.source, _after_rollback(standing).current, others)
    except RequirementUnmet as error:
        return error
    return None


def _after_rollback(standing: Standing) -> Standing:
    gone = {needs.version for needs in standing.due}
    stays = tuple(needs for needs in standing.applied if needs.version not in gone)
    current = max((needs.version for needs in stays), default=None)
    return replace(standing, current=current, applied=stays, due=())


def _downgrade_of(other: Standing, version: Version) -> str:
    below = [needs.version for needs in other.applied if needs.version < version]
    target = max(below, default=Version(0, 0, 0))
    plugin = f"--plugin {other.source} " if other.source else ""
    return f"plugin-migrate downgrade {plugin}{target}"


def _named(plugin: str, specifier: str) -> str:
    return f"{plugin} {specifier}".rstrip()  # an empty one means any version


def _of(source: str | None) -> str:
    return f" of {source}" if source else ""
