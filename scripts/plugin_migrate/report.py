"""What a run tells while it goes on, and what it gives for each step."""

from __future__ import annotations

from .values import NamedTuple
from .version import Version

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .engine.prepare import Prepared


class StepResult(NamedTuple):
    """A step that has happened, durably.

    ``from_ledger`` tells that its file is gone; ``is_half`` that it changed the databases only,
    because git had brought or taken its files already.
    """

    version: Version
    description: str
    direction: str
    duration_ms: int
    from_ledger: bool
    is_half: bool = False


class Reporter:
    """Is told what happens while it happens; this one keeps silent."""

    def planned(self, steps: int) -> None:
        """A plan with so many steps begins."""

    def started(self, prepared: Prepared) -> None:
        """A step is about to run."""

    def log(self, prepared: Prepared, text: str) -> None:
        """The migration says something."""

    def progress(self, prepared: Prepared, done: int, total: int | None) -> None:
        """A long loop in the migration has come this far."""

    def finished(self, result: StepResult) -> None:
        """A step has happened, durably."""

    def advanced(self, what: str, done: int, total: int) -> None:
        """A command that runs many steps has done so many of them, and does ``what`` now."""
