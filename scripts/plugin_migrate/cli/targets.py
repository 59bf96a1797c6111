"""How far a run is to go, as it is written on the command line."""

from __future__ import annotations

from ..errors import Call, UsageError
from ..version import Version


def upgrade_target(given: str | None) -> tuple[Version | None, int | None]:
    """Return the version up to which, or the number of migrations that, an upgrade applies.

    Parameters:
        given: ``X.Y.Z``, ``+N`` or nothing.

    Raises:
        InvalidVersion, UsageError: it is neither.
    """
    if given is None:
        return None, None
    if given.startswith("+"):
        return None, step_count(given[1:], "upgrade", "+")
    return Version.parse(given), None


def step_count(given: str, command: str, sign: str = "") -> int:
    """Return a number of steps.

    Raises:
        UsageError: it is none; proposes the ``command`` with one.
    """
    if given.isascii() and given.isdigit() and 0 < len(given) <= 9 and int(given) > 0:
        return int(given)
    raise UsageError(
        f"'{sign}{given}' is not a number of steps",
        hint=("For example: ", Call(command, f"{sign}2")),
    )
