"""The one question that a command asks, and only of somebody who sits at a terminal."""

from __future__ import annotations

import sys

from ...errors import ChangedSince
from ...plan import NOTHING, TakeBack, plan_downgrade

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...operations.migrate import Run
    from ...plan import Entry, Plan
    from ...survey import Planner
    from ..invocation import Invocation

_QUESTION = "\n[l]eave it all, take back the [r]est, or [a]ll of it, after a backup? [l] "
_ANSWERS = {"r": TakeBack.REST, "a": TakeBack.EVERYTHING}


def planner_of_the_rest(invocation: Invocation, done: Run) -> Planner | None:
    """Ask what to do about what was changed since, where that stopped a rollback.

    Returns:
        What plans the steps that the run did not come to; ``None`` where they are to be left.
    """
    options = invocation.options
    is_in_question = (
        isinstance(done.error, ChangedSince)
        and getattr(options, "changed_since", "leave") is None  # a redo does not know it
        and not (invocation.output.is_json or options.quiet)
        and sys.stdin.isatty()
        and sys.stderr.isatty()
    )
    chosen = _asked() if is_in_question else None
    if chosen is None:
        return None
    left = {step.version for step in done.plan.steps[len(done.results) :]}

    def plan(entries: tuple[Entry, ...]) -> Plan:
        steps = plan_downgrade(entries, NOTHING).steps
        wanted = tuple(step for step in steps if step.version in left)
        return done.plan._replace(steps=wanted, take_back=chosen)

    return plan


def _asked() -> TakeBack | None:
    print(_QUESTION, end="", file=sys.stderr, flush=True)
    return _ANSWERS.get(sys.stdin.readline().strip().lower()[:1])
