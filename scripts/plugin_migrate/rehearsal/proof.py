"""Up, down, up of one migration on a shadow copy, and what differs afterwards."""

from __future__ import annotations

from collections.abc import Sequence

from ..engine.engine import Engine
from ..engine.prepare import Prepared
from ..errors import Interrupted, MigrateError
from ..sandbox.live_paths import name_live
from ..values import NamedTuple
from ..workspace import Workspace
from .kept import Difference, Keeper, Kept, differences, state_differences


class Proof(NamedTuple):
    """What up, down, up showed; ``None`` where it came to no answer.

    ``lost`` is what the down did not bring back, ``other`` what the second up made otherwise;
    ``error`` is what stopped it.
    """

    duration_ms: int | None = None
    lost: tuple[Difference, ...] | None = None
    other: tuple[Difference, ...] | None = None
    error: MigrateError | None = None


class Prover:
    """Proves migrations on a shadow copy, one on top of the other.

    Parameters:
        workspace: the copy.
        engine: runs steps on it.
        keeper: what the engine tells of each step's changes.
    """

    def __init__(self, workspace: Workspace, engine: Engine, keeper: Keeper) -> None:
        self._workspace = workspace
        self._engine = engine
        self._keeper = keeper
        # A copy of the state database as it is now, but for the ledger.
        self._state: str | None = None

    def apply(self, steps: Sequence[Prepared]) -> MigrateError | None:
        """Run steps that nobody asked to prove, and return the error that stopped them."""
        try:
            return self._run(steps)[0]
        finally:
            self._engine.take_written()
            self._forget_but(None)

    def prove(self, up: Prepared, down: Prepared | None) -> Proof:
        """Run up, down, up and compare; without a down only up. The migration stays applied."""
        if down is None:
            error, duration = self._run([up])
            self._engine.take_written()
            self._forget_but(None)
            return Proof(duration, error=error)
        before = self._state or self._keeper.state()
        error, duration = self._run([up])
        if error is not None:
            return Proof(error=error)
        first, applied = self._moved(), self._keeper.state()
        error, _ = self._run([down])
        if error is not None:
            return Proof(duration, error=error)
        back = self._moved()
        lost = self._differences(before, first, back)
        error, _ = self._run([up])
        if error is not None:
            return Proof(duration, lost, error=error)
        other = self._differences(applied, back, self._moved())
        self._forget_but(None if other else applied)
        return Proof(duration, lost, other)

    def _forget_but(self, state: str | None) -> None:
        self._state = state
        self._keeper.forget(state)

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
        return _Moved(self._keeper.take(), self._engine.take_written())

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
