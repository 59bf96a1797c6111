"""Which migrations are rehearsed before the live state is touched, and what that showed of each."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ..engine.engine import Engine
from ..engine.prepare import Prepared, description_of, prepare, require_all
from ..errors import Call, MigrateError, UnknownTarget
from ..lint import Finding, lint
from ..migration import describe
from ..operations.repair import file_of
from ..plan import UNAPPLIED, Entry, Plan, Step, TakeBack, plan_rehearsal
from ..report import Reporter
from ..survey import survey
from ..version import Version
from ..workspace import Workspace, path_from
from .databases import put_databases
from .kept import Difference, Keeper
from .new_clone import Cloned, apply_again, renew_databases
from .proof import Proof, Prover
from .shadow import rehearsing, shadow_of
from .tracked import tracked_by_git


@dataclass(frozen=True, slots=True)
class Verified:
    """What up, down, up showed about one migration; ``None`` where there is no answer.

    ``keeps_rows`` is asked where git carries the files and not the databases: whether others can
    get the rows that up makes, which takes that the files are committed as they are.
    ``differences`` says what was not as it should be, ``error`` is what stopped the rehearsal, and
    ``unanswered`` why there is no answer, a sentence each. ``way_back`` is by what it goes
    back: ``down``, ``kept`` or ``None``.
    """

    version: Version
    description: str
    reversible: bool | None
    repeatable: bool | None
    idempotent: bool | None
    keeps_rows: bool | None
    duration_ms: int | None
    findings: tuple[Finding, ...]
    differences: tuple[Difference, ...]
    error: MigrateError | None = None
    unanswered: tuple[str, ...] = ()
    way_back: str | None = None

    @property
    def has_failed(self) -> bool:
        """Whether anything is not as it should be.

        That others get no rows is none of it: what to commit is for the project to decide.
        """
        answers = (self.reversible, self.repeatable, self.idempotent)
        is_faulty = not all(finding.is_note for finding in self.findings)
        return False in answers or is_faulty or self.error is not None


def verify(
    workspace: Workspace,
    versions: Sequence[Version] = (),
    everything: bool = False,
    lint_only: bool = False,
    reporter: Reporter | None = None,
) -> tuple[Verified, ...]:
    """Rehearse migrations one on top of the other and return what each showed.

    Parameters:
        versions: these ones; the pending ones when empty.
        everything: all that have a file, from the first.
        lint_only: execute nothing.
        reporter: hears how far the rehearsal has come.

    Raises:
        UnknownTarget: one of ``versions`` has no file.
        InvalidVersion, DuplicateVersion, BrokenMigration: one that is meant is refused for its
            name.
        Interrupted: a signal arrived.
        MigrateError: the state cannot be copied, or what is applied cannot be rolled back to
            where the rehearsal has to begin, or not be applied again.
    """
    seen = survey(workspace)
    for one in seen.refused:
        if not versions or one.version in versions:
            raise one.error
    chosen = _chosen(seen.entries, versions, everything)
    results = {item.version: item for item in _only_linted(chosen, workspace)}
    if chosen and not lint_only:
        database = path_from(workspace.database, workspace.claude)
        with shadow_of(workspace) as shadow:
            keeper = Keeper(shadow, os.path.join(os.path.dirname(shadow.project), "kept"))
            with rehearsing(shadow, keeper) as (seen, engine):
                prover = Prover(shadow, engine, keeper, tracked_by_git(workspace), database)
                rehearsal = _Rehearsal(shadow, engine, keeper, prover, seen.entries, set(results))
                shown = rehearsal.run(reporter or Reporter())
        for version, verified in results.items():
            results[version] = _with_answers(verified, shown, workspace)
    return tuple(results.values())


def _chosen(entries: Sequence[Entry], versions: Sequence[Version], everything: bool) -> list[Entry]:
    with_file = {entry.version: entry for entry in entries if entry.migration is not None}
    for version in versions:
        if version not in with_file:
            raise UnknownTarget(
                f"There is no migration file with version {version}",
                hint=("See: ", Call("status")),
            )
    if versions:
        return [with_file[version] for version in sorted(set(versions))]
    if everything:
        return list(with_file.values())
    return [entry for entry in with_file.values() if entry.state in UNAPPLIED]


def _only_linted(chosen: Sequence[Entry], workspace: Workspace) -> Iterator[Verified]:
    names = os.listdir(workspace.migrations) if chosen else []
    siblings = frozenset(os.path.splitext(name)[0] for name in names)
    for entry in chosen:
        migration = file_of(entry)
        yield Verified(
            entry.version,
            description_of(entry),
            reversible=None,
            repeatable=None,
            idempotent=None,
            keeps_rows=None,
            duration_ms=None,
            findings=lint(migration, siblings),
            differences=(),
            way_back="down" if describe(migration).has_down else None,
        )


@dataclass(frozen=True, slots=True)
class _Shown:
    """What a rehearsal showed: a proof for each migration it came to, and the new clone if it did.

    ``failed`` is the version that the proofs stopped at.
    """

    proofs: Mapping[Version, Proof]
    failed: Version | None = None
    cloned: Cloned | None = None


class _Rehearsal:
    """Everything that one verification runs on a shadow copy, prepared before any of it runs."""

    def __init__(
        self,
        shadow: Workspace,
        engine: Engine,
        keeper: Keeper,
        prover: Prover,
        entries: Sequence[Entry],
        chosen: set[Version],
    ) -> None:
        plan = plan_rehearsal(entries, min(chosen), max(chosen))
        self._shadow = shadow
        self._engine = engine
        self._keeper = keeper
        self._prover = prover
        self._chosen = chosen
        # Of what was changed since nothing is lost here: it is a copy.
        back = Plan("down", plan.back, take_back=TakeBack.EVERYTHING)
        self._back = prepare(shadow, back)
        self._clone = _prepared(shadow, "up", plan.clone)
        self._forward = self._clone[len(plan.clone) - len(plan.forward) :]
        downs = [entry for entry in plan.forward if entry.version in chosen and _has_down(entry)]
        self._downs = {step.version: step for step in _prepared(shadow, "down", downs)}
        # Where all there is is proved, a new clone applies nothing else.
        self._is_all = len(self._clone) == len(self._forward)
        again = 0 if self._is_all else len(self._clone)
        self._count = 2 * len(self._forward) + again
        require_all(shadow, (*self._back, *self._clone, *self._downs.values()))

    def run(self, reporter: Reporter) -> _Shown:
        """Prove what was chosen, then apply everything in a new clone.

        Raises:
            MigrateError: what is applied cannot be rolled back to where this has to begin, or
                not be applied again.
        """
        prover = self._prover
        _require(prover.apply(self._back))
        prover.begin()
        proofs: dict[Version, Proof] = {}
        for done, up in enumerate(self._forward):
            reporter.advanced(f"verifying {up.version} - {up.description}", done, self._count)
            if up.version in self._chosen:
                proofs[up.version] = prover.prove(up, self._downs.get(up.version))
                if proofs[up.version].error is not None:
                    return _Shown(proofs, up.version)
            else:
                _require(prover.apply([up]))
        return _Shown(proofs, None, self._in_clones(reporter))

    def _in_clones(self, reporter: Reporter) -> Cloned:
        """Apply migrations to the migrated files, with earlier databases and then with new ones.

        With the earlier ones first, because a database that was there before the first migration
        is nothing that a migration makes. What only fails without it, is therefore no answer.
        """
        put_databases(self._shadow, self._prover.databases_at_first)
        cloned = self._again(reporter, self._forward, len(self._forward))
        if self._is_all or cloned.failed is not None or any(cloned.differences.values()):
            return cloned
        renew_databases(self._shadow)
        again = self._again(reporter, self._clone, 2 * len(self._forward))
        return again._replace(error=None)

    def _again(self, reporter: Reporter, steps: Sequence[Prepared], begun: int) -> Cloned:
        def on_step(number: int, step: Prepared) -> None:
            reporter.advanced(f"in a new clone: {step.version}", begun + number, self._count)

        return apply_again(self._shadow, self._engine, self._keeper, steps, on_step)


def _prepared(
    workspace: Workspace, direction: str, entries: Iterable[Entry]
) -> tuple[Prepared, ...]:
    steps = tuple(Step(direction, entry) for entry in entries)
    return prepare(workspace, Plan(direction, steps))


def _require(error: MigrateError | None) -> None:
    """Raise what stopped steps that nobody asked to prove: no answer could tell it."""
    if error is not None:
        raise error


def _has_down(entry: Entry) -> bool:
    return describe(file_of(entry)).has_down


# --- answers ------------------------------------------------------------------------------------


def _with_answers(verified: Verified, shown: _Shown, workspace: Workspace) -> Verified:
    proof = shown.proofs.get(verified.version)
    if proof is None:
        return _unanswered(verified, f"{shown.failed} failed before it")
    verified = _with_proof(verified, proof)
    return _with_clone(verified, shown.cloned, workspace) if shown.cloned else verified


def _with_proof(verified: Verified, proof: Proof) -> Verified:
    lost, other, error = proof.lost, proof.other, proof.error
    verified = replace(
        verified,
        duration_ms=proof.duration_ms,
        reversible=None if lost is None else not lost,
        repeatable=None if other is None else not other,
        keeps_rows=None if proof.unfilled is None else not proof.unfilled,
        differences=(
            *_named("after down", lost),
            *_named("after the second up", other),
            *_unfilled(proof.unfilled),
        ),
        error=error,
    )
    if proof.is_kept:
        verified = replace(verified, way_back="kept")
    if proof.why_none is not None:
        verified = _unanswered(verified, f"it has no down, and {proof.why_none}")
    if error is None:
        return verified
    if proof.duration_ms is None:
        return _unanswered(verified, "its up failed")
    if lost is None:
        what = "what was kept of it could not be taken back" if proof.is_kept else "its down failed"
        return _unanswered(replace(verified, reversible=False), what)
    return _unanswered(replace(verified, repeatable=False), "its second up failed")


def _with_clone(verified: Verified, cloned: Cloned, workspace: Workspace) -> Verified:
    differences = _named("in a new clone", cloned.differences.get(verified.version))
    if cloned.error is not None and verified.version == cloned.failed:
        differences = (_clone_failure(cloned.error, workspace),)
    elif verified.version not in cloned.differences:
        return _unanswered(verified, f"{cloned.failed} fails in a new clone")
    return replace(
        verified,
        idempotent=not differences,
        differences=(*verified.differences, *differences),
    )


def _clone_failure(error: MigrateError, workspace: Workspace) -> Difference:
    """Return what fails where the files are migrated already, where, and what to do."""
    place = workspace.shown(error.file) if error.file else ""
    if error.line is not None:
        place += f":{error.line}"
    lines = [place, *(line for detail in error.details for line in detail.split("\n"))]
    advice = (
        "There the files are migrated already and the databases are not: let up accept"
        " files that are as it leaves them."
    )
    return Difference(f"in a new clone it fails: {error.message}", (*filter(None, lines), advice))


def _unfilled(found: Iterable[Difference] | None) -> tuple[Difference, ...]:
    """Return why others would not get the rows, and what can be done."""
    if not found:
        return ()
    why = (
        "Git carries the files, and not the databases: whoever pulls, clones or adds a worktree"
        " gets the rows made of the files in the commit before, and that has others."
    )
    advice = "Commit the files as they are now, then upgrade, then commit what that changed."
    *others, last = _named("for others", found)
    return (*others, last._replace(lines=(*last.lines, why, advice)))


def _named(when: str, found: Iterable[Difference] | None) -> tuple[Difference, ...]:
    return tuple(one._replace(what=f"{when}: {one.what}") for one in found or ())


def _unanswered(verified: Verified, why: str) -> Verified:
    return replace(verified, unanswered=(*verified.unanswered, why))
