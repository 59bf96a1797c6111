"""What the doctor found, as text and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .errors import error_json
from .style import Style, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..errors import MigrateError
    from ..operations.doctor import Check

_WIDTH = 12


def doctor_text(checks: Sequence[Check], shown: Callable[[str], str], style: Style) -> str:
    """Return a line for each check, and what to do below those that may not be well.

    Parameters:
        shown: shortens an absolute path.
    """
    lines = []
    for check in checks:
        if check.problem is not None:
            mark, what = style.paint("red", "✗"), _explained(check.problem, shown, style)
        elif check.warning is not None:
            mark, what = style.paint("yellow", "!"), _explained(check.warning, shown, style)
        else:
            mark, what = style.paint("green", "✓"), [printable(check.what)]
        lines.append(f"{mark} {check.name.ljust(_WIDTH)} {what[0]}")
        lines += [f"  {' ' * _WIDTH} {line}" for line in what[1:]]
    return "\n".join([*lines, "", _summary(checks)])


def _summary(checks: Sequence[Check]) -> str:
    bad = sum(check.problem is not None for check in checks)
    unsure = sum(check.warning is not None for check in checks)
    counted = [f"{bad} thing(s) to do"] if bad else []
    counted += [f"{unsure} thing(s) to look at"] if unsure else []
    return ", ".join(counted) or "All is well"


def _explained(error: MigrateError, shown: Callable[[str], str], style: Style) -> list[str]:
    lines = printable(error.message).split("\n")
    if error.file:
        line = f":{error.line}" if error.line is not None else ""
        lines.append(printable(shown(error.file)) + line)
    hint = error.hint_for(style.option, shown)
    return lines + (printable(hint).split("\n") if hint else [])


def doctor_json(
    checks: Sequence[Check], shown: Callable[[str], str], option: str
) -> dict[str, object]:
    """Return the keys of the ``doctor`` document.

    Parameters:
        option: names the source that proposed calls concern; empty for the project's own.
    """
    return {
        "checks": [
            {
                "name": check.name,
                "ok": check.problem is None,
                "what": _what(check),
                "problem": check.problem and error_json(check.problem, shown, option),
                "warning": check.warning and error_json(check.warning, shown, option),
            }
            for check in checks
        ]
    }


def _what(check: Check) -> str:
    error = check.problem or check.warning
    return check.what if error is None else error.message
