"""Up, down, up of one migration on a shadow copy, and what differs afterwards."""

from __future__ import annotations

from collections.abc import Sequence

from ..engine.engine import Engine
from ..engine.prepare import Prepared
from ..errors import Interrupted, MigrateError
from ..sandbox.live_paths import name_live
from ..values import NamedTuple
from ..workspace import Workspace
from .databases import Databases, databases_among
from .kept import Difference, Keeper, Kept, differences, state_differences
from .tracked import Tracked


class Proof(NamedTuple):
    """What up, down, up showed; ``None`` where it came to no answer.

    ``lost`` is what the down did not bring back, ``other`` what the second up made otherwise;
    ``unfilled`` what keeps somebody who pulls the migrated files from getting the rows, where git
    brings them without the databases; ``error`` is what stopped it.
    """

    duration_ms: int | None = None
    lost: tuple[Difference, ...] | None = None
    other: tuple[Difference, ...] | None = None
    unfilled: tuple[Difference, ...] | None = None
    error: MigrateError | None = None


class Prover:
    """Proves migrations on a shadow copy, one on top of the other.

    Parameters:
        workspace: the copy.
        engine: runs steps on it.
        keeper: what the engine reports of each step's changes.
        tracked: what git carries to others of the live state.
        database: the live state database, relative to ``.claude/``.
    """

    def __init__(
        self,
        workspace: Workspace,
        engine: Engine,
        keeper: Keeper,
        tracked: Tracked,
        database: str,
    ) -> None:
        self._workspace = workspace
        self._engine = engine
        self._keeper = keeper
        self._tracked = tracked
        # Whoever pulls a state database pulls its ledger, by which nothing is left to be applied.
        self._is_divided = bool(tracked.paths) and not tracked.carries(database)
        # Paths that earlier steps changed; and whether some were rolled back first, so that what
        # git has is long migrated.
        self._changed: set[str] = set()
        self._has_gone_back = False
        # A copy of the state database as it is now, but for the ledger.
        self._state: str | None = None
        # Copies of the databases as they were when the first step up began.
        self._first_state: str | None = None
        self._first_others: dict[str, str | None] = {}

    @property
    def databases_at_first(self) -> Databases:
        """The databases as they were when :meth:`begin` was called."""
        return Databases(self._first_state, self._first_others)

    def begin(self) -> None:
        """Remember the databases as they are, for :attr:`databases_at_first`."""
        self._first_state = self._keeper.state()

    def apply(self, steps: Sequence[Prepared]) -> MigrateError | None:
        """Run steps that nobody asked to prove, and return the error that stopped them."""
        self._has_gone_back |= any(step.direction == "down" for step in steps)
        try:
            return self._run(steps)[0]
        finally:
            self._changed |= set(self._moved().kept)
            self._forget_but(None)

    def prove(self, up: Prepared, down: Prepared | None) -> Proof:
        """Run up, down, up and compare; without a down only up. The migration stays applied."""
        if down is None and not self._is_divided:
            error, duration = self._run([up])
            self._moved()
            self._forget_but(None)
            return Proof(duration, error=error)
        before = self._state or self._keeper.state()
        error, duration = self._run([up])
        if error is not None:
            return Proof(error=error)
        first, applied = self._moved(), self._keeper.state()
        if down is None:
            unfilled = self._unfilled(first)
            self._forget_but(applied)
            return Proof(duration, unfilled=unfilled)
        error, _ = self._run([down])
        if error is not None:
            return Proof(duration, error=error)
        back = self._moved()
        lost = self._differences(before, first, back)
        error, _ = self._run([up])
        if error is not None:
            return Proof(duration, lost, error=error)
        other = self._differences(applied, back, self._moved())
        unfilled = None if other else self._unfilled(first)
        self._forget_but(None if other else applied)
        return Proof(duration, lost, other, unfilled)

    def _unfilled(self, first: _Moved) -> tuple[Difference, ...] | None:
        """Return what keeps somebody who pulls what ``up`` makes of files from getting its rows.

        They are made of the files in the commit before (design, "Following git"), so those have to
        be in one. ``None`` where git does not divide what the step changed, or did so long ago.
        """
        changed, self._changed = self._changed, self._changed | set(first.kept)
        if not self._is_divided or self._has_gone_back:
            return None
        databases = databases_among(self._workspace, first.kept)
        is_left = any(not self._tracked.carries(path) for path in databases)
        taken = {
            path: one.before
            for path, one in first.kept.items()
            if path in self._tracked.paths and path not in databases and one.before is not None
        }
        if not taken or not (is_left or first.written is None or first.written):
            return None
        return tuple(
            Difference(f".claude/{path} is not committed as it is")
            for path, before in sorted(taken.items())
            if path not in changed and not self._tracked.is_committed(path, before.sha256)
        )

    def _forget_but(self, state: str | None) -> None:
        self._state = state
        self._keeper.forget({state, self._first_state, *self._first_others.values()})

    def _run(self, steps: Sequence[Prepared]) -> tuple[MigrateError | None, int | None]:
        try:
            results = list(self._engine.execute(steps))
        except Interrupted:
            raise
        except MigrateError as error:
            name_live(error, self._workspace)
            return error, None
        return None, sum(result.duration_ms for result in results)

    def _moved(self) -> _Moved:
        kept = self._keeper.take()
        for path, copy in databases_among(self._workspace, kept).items():
            self._first_others.setdefault(path, copy)
        return _Moved(kept, self._engine.take_written())

    def _differences(
        self, state: str | None, first: _Moved, second: _Moved
    ) -> tuple[Difference, ...]:
        """Return what two steps together did not leave as it was before them."""
        kept = {**second.kept, **first.kept}
        is_known = first.written is not None and second.written is not None
        written = (first.written or frozenset()) | (second.written or frozenset())
        return (
            *differences(self._workspace, kept),
            *state_differences(self._workspace, state, written if is_known else None),
        )


class _Moved(NamedTuple):
    """What one step touched: paths as they were before, and tables of the state database."""

    kept: dict[str, Kept]
    written: frozenset[str] | None
