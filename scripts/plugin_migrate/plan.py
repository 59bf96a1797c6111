"""What is to be done: pure functions from migrations and ledger rows to states and a plan.

No I/O happens here, so that status, dry run, preview and the real run can share every decision.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from itertools import islice

from .errors import Call, PlanRefused, UnknownTarget, UsageError
from .migration import Migration, RefusedFile, is_verifiable, same_text
from .values import NamedTuple
from .version import Version


class State(Enum):
    """What the ledger and the folder together say about one version."""

    APPLIED = "applied"
    PENDING = "pending"
    MODIFIED = "modified"
    MISSING = "missing"
    OUT_OF_ORDER = "out of order"
    INTERRUPTED = "interrupted"
    FILES_ONLY = "files only"
    DATABASE_ONLY = "database only"


# As the target of a downgrade: everything, also a migration that somebody called 0.0.0.
NOTHING = Version(0, 0, 0)
UNAPPLIED = frozenset({State.PENDING, State.OUT_OF_ORDER, State.FILES_ONLY})
# Git has brought or taken one half of these: the files, and not the databases.
HALVES = frozenset({State.FILES_ONLY, State.DATABASE_ONLY})


class Applied(NamedTuple):
    """One row of the ledger: a migration that is applied now.

    ``order`` is the row's id, which grows in order of application.
    """

    order: int
    version: Version
    description: str
    applied_at: str
    applied_by: str | None
    execution_time_ms: int
    checksum: str


class KnownRecord(NamedTuple):
    """A committed record that the ledger knows: its file's name, and the checksum of its text."""

    name: str
    checksum: str


class Records(NamedTuple):
    """Which migrations' effect the files carry, by the committed records.

    ``standing`` holds the checksums of those that stand with the files by their names, ``None``
    for one that the ledger does not know; ``known``, by version, those that stood there with what
    is applied.
    """

    standing: Mapping[str, str | None] = {}
    known: Mapping[Version, KnownRecord] = {}

    def stands_for(self, migration: Migration) -> bool:
        """Return whether a migration's record is there."""
        return migration.stem in self.standing

    def is_gone(self, version: Version) -> bool:
        """Return whether a migration's record was there and is not any more, or is another."""
        known = self.known.get(version)
        return known is not None and self.standing.get(known.name) != known.checksum


class Entry(NamedTuple):
    """One version with everything known about it."""

    version: Version
    state: State
    migration: Migration | None
    applied: Applied | None


class Step(NamedTuple):
    """One migration in one direction (``up`` or ``down``)."""

    direction: str
    entry: Entry

    @property
    def version(self) -> Version:
        """The migration's version."""
        return self.entry.version


class Plan(NamedTuple):
    """The ordered steps one command will take.

    ``target`` is the version the user named; ``limit`` the number of steps a downgrade was asked
    for. ``out_of_order`` lists the steps below the current version. ``beyond`` counts the pending
    migrations that the target leaves out.
    """

    direction: str
    steps: tuple[Step, ...]
    target: Version | None = None
    limit: int | None = None
    out_of_order: tuple[Version, ...] = ()
    beyond: int = 0


def entries_from(
    migrations: Sequence[Migration],
    applied: Mapping[Version, Applied],
    interrupted: frozenset[Version] = frozenset(),
    stored: Mapping[Version, str] = {},
    records: Records | None = None,
) -> tuple[Entry, ...]:
    """Return the state of every version that the folder or the ledger knows, in version order.

    Parameters:
        migrations: the folder, in version order.
        applied: the ledger's rows by version.
        interrupted: versions with a step that started and did not end, or whose files are still
            on their way.
        stored: the sources of what is :func:`doubtful` as they were when applied, because a
            changed final newline is not drift.
        records: what git has brought or taken of the files, if it may have.
    """
    records = records or Records()
    files = {migration.version: migration for migration in migrations}
    current = max(applied, default=None)
    entries = []
    gone = [version for version in applied if version not in files]
    for version in sorted([*files, *gone]):
        migration, row = files.get(version), applied.get(version)
        if version in interrupted:
            state = State.INTERRUPTED
        elif row is None and migration is not None and records.stands_for(migration):
            state = State.FILES_ONLY
        elif row is not None and records.is_gone(version):
            state = State.DATABASE_ONLY
        elif row is None:
            late = current is not None and version < current
            state = State.OUT_OF_ORDER if late else State.PENDING
        elif migration is None:
            state = State.MISSING
        elif migration.checksum != row.checksum and _is_edited(migration, row, stored.get(version)):
            state = State.MODIFIED
        else:
            state = State.APPLIED
        entries.append(Entry(version, state, migration, row))
    return tuple(entries)


def doubtful(migrations: Iterable[Migration], applied: Mapping[Version, Applied]) -> list[Version]:
    """Return the versions of which only the stored source tells whether their file was edited."""
    pairs = ((migration, applied.get(migration.version)) for migration in migrations)
    return [
        row.version
        for migration, row in pairs
        if row and migration.checksum != row.checksum and is_verifiable(row.checksum)
    ]


def _is_edited(migration: Migration, row: Applied, stored: str | None) -> bool:
    if not is_verifiable(row.checksum):
        return False
    return migration.text is None or stored is None or not same_text(migration.text, stored)


def current_version(entries: Iterable[Entry]) -> Version | None:
    """Return the highest applied version."""
    return max((entry.version for entry in entries if entry.applied), default=None)


def ahead(entries: Iterable[Entry]) -> tuple[Version, ...]:
    """Return the applied versions above the newest file: the files went back to an older state.

    But for those of which git took the files back, which have a state of their own.

    A file that is missing below the newest one is no sign of that: old ones are cleaned up.
    """
    entries = tuple(entries)
    newest = max((entry.version for entry in entries if entry.migration), default=None)
    return tuple(
        entry.version
        for entry in entries
        if entry.applied and entry.state is not State.DATABASE_ONLY
        if newest is None or entry.version > newest
    )


def plan_upgrade(
    entries: Sequence[Entry],
    target: Version | None = None,
    strict: bool = False,
    count: int | None = None,
) -> Plan:
    """Return the steps that apply every pending migration up to ``target``.

    Parameters:
        entries: what :func:`entries_from` returned.
        target: the last version to apply; ``None`` means all.
        strict: refuse migrations below the current version instead of applying them.
        count: apply the next so many instead.

    Raises:
        UnknownTarget: no migration has the target version.
        UsageError: there are fewer pending migrations than ``count``.
        PlanRefused: something is modified or interrupted, git took files back whose database half
            is here, or ``strict`` found one out of order.
    """
    if target is not None:
        require_known(entries, target)
    _refuse_unsettled(entries)
    _refuse_taken_back(entries)
    pending = [entry for entry in entries if entry.state in UNAPPLIED]
    if count is not None and pending and count > len(pending):
        raise UsageError(
            f"Cannot apply {count} migrations: only {len(pending)} pending",
            hint=("To apply everything: ", Call("upgrade")),
        )
    due = [entry for entry in pending if target is None or entry.version <= target][:count]
    late = tuple(entry.version for entry in due if entry.state is State.OUT_OF_ORDER)
    if strict and late:
        raise PlanRefused(
            f"{len(late)} migration(s) are out of order: {_listed(late)}",
            hint="Give them a version above the current one, or run without --strict.",
        )
    return Plan(
        direction="up",
        steps=tuple(Step("up", entry) for entry in due),
        target=target,
        out_of_order=late,
        beyond=len(pending) - len(due),
    )


def refuse_unnamed(refused: Iterable[RefusedFile], plan: Plan) -> None:
    """Make sure that an upgrade comes to no file that is refused for its name.

    What stands above its target does not matter to it; a name without a version stands nowhere,
    and matters to an upgrade to the end.

    Raises:
        MigrateError: says what is wrong with the first such file.
    """
    if plan.direction != "up":
        return
    for one in refused:
        if plan.target is None or (one.version is not None and one.version <= plan.target):
            raise one.error


def plan_downgrade(
    entries: Sequence[Entry], target: Version | None = None, count: int | None = None
) -> Plan:
    """Return the steps that roll back, the last applied first.

    Parameters:
        entries: what :func:`entries_from` returned.
        target: roll back everything above this version; ``0.0.0`` means everything.
        count: roll back this many steps instead.

    Raises:
        UnknownTarget: no migration has the target version.
        UsageError: there are fewer applied migrations than ``count``.
        PlanRefused: something is modified or interrupted.
    """
    if target is not None and target != NOTHING:
        require_known(entries, target)
    _refuse_unsettled(entries)
    applied = [(entry.applied.order, entry) for entry in entries if entry.applied]
    latest_first = [entry for _, entry in sorted(applied, key=lambda pair: -pair[0])]
    if target is not None:
        due = [entry for entry in latest_first if target == NOTHING or entry.version > target]
    else:
        wanted = 1 if count is None else count
        if count is not None and latest_first and wanted > len(latest_first):
            raise UsageError(
                f"Cannot roll back {wanted} steps: only {len(latest_first)} applied",
                hint=("To roll back everything: ", Call("downgrade", str(len(latest_first)))),
            )
        due = list(islice(latest_first, wanted))
    return Plan(
        direction="down",
        steps=tuple(Step("down", entry) for entry in due),
        target=target,
        limit=None if target is not None else 1 if count is None else count,
    )


def plan_redo(entries: Sequence[Entry], count: int = 1) -> tuple[Plan, Plan]:
    """Return the rollback of the last ``count`` migrations, and the plan to apply them again.

    Raises:
        UsageError: there are fewer applied migrations than ``count``.
        PlanRefused: something is modified or interrupted, or has no file to be applied from.
    """
    back = plan_downgrade(entries, count=count)
    _refuse_taken_back(step.entry for step in back.steps)
    gone = [step.version for step in back.steps if step.entry.migration is None]
    if gone:
        raise PlanRefused(
            f"{len(gone)} migration(s) could not be applied again: the file of {_listed(gone)} is"
            " gone",
            hint=("Bring it back (git, a backup), or only roll back: ", Call("downgrade")),
        )
    again = sorted((step.entry for step in back.steps), key=lambda entry: entry.version)
    pending = [entry._replace(state=State.PENDING, applied=None) for entry in again]
    return back, Plan("up", tuple(Step("up", entry) for entry in pending))


class Rehearsal(NamedTuple):
    """What proves migrations on a copy: first ``back``, then each of ``forward`` in its turn.

    ``forward`` holds pending entries with a file, in version order; ``clone`` those that a new
    clone, which has none applied, applies to the same files.
    """

    back: tuple[Step, ...]
    forward: tuple[Entry, ...]
    clone: tuple[Entry, ...]


def plan_rehearsal(entries: Sequence[Entry], first: Version, last: Version) -> Rehearsal:
    """Return what proves the migrations from ``first`` to ``last``, one on top of the other.

    Raises:
        PlanRefused: something is modified or interrupted.
    """
    _refuse_unsettled(entries)
    everything = plan_downgrade(entries, NOTHING).steps
    back = tuple(step for step in everything if step.version >= first)
    clone = tuple(
        entry._replace(state=State.PENDING, applied=None)
        for entry in entries
        if entry.migration is not None and entry.version <= last
    )
    return Rehearsal(back, tuple(entry for entry in clone if entry.version >= first), clone)


def require_known(entries: Sequence[Entry], target: Version) -> None:
    """Refuse a version that no migration has.

    Raises:
        UnknownTarget: names the newest that there is.
    """
    if any(entry.version == target for entry in entries):
        return
    newest = entries[-1].version if entries else None
    raise UnknownTarget(
        f"There is no migration with version {target}",
        hint=(f"The newest is {newest}; see: ", Call("status"))
        if newest
        else ("There are no migrations yet; start one with: ", Call("create", "NAME")),
    )


def _refuse_unsettled(entries: Sequence[Entry]) -> None:
    modified = [entry.version for entry in entries if entry.state is State.MODIFIED]
    if modified:
        raise PlanRefused(
            f"{len(modified)} applied migration(s) were edited since: {_listed(modified)}",
            hint=(
                "Take the edit back (git restore, for instance) and write a new migration,\n",
                "or accept the edited file: ",
                Call("repair", str(modified[0])),
            ),
        )
    interrupted = [entry.version for entry in entries if entry.state is State.INTERRUPTED]
    if interrupted:
        raise PlanRefused(
            f"{len(interrupted)} migration(s) were interrupted: {_listed(interrupted)}",
            hint=("See what is left to decide with: ", Call("repair")),
        )


def _refuse_taken_back(entries: Iterable[Entry]) -> None:
    taken = [entry.version for entry in entries if entry.state is State.DATABASE_ONLY]
    if taken:
        raise PlanRefused(
            f"Git took back the files of {len(taken)} applied migration(s): {_listed(taken)}",
            hint=(
                "Go to the branch that has them, or bring the database to what stands here: ",
                Call("sync"),
            ),
        )


def _listed(versions: Sequence[Version], most: int = 10) -> str:
    shown = ", ".join(map(str, versions[:most]))
    return shown if len(versions) <= most else f"{shown} and {len(versions) - most} more"
