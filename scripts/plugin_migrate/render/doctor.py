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
    """Return a line for each check, and what to do below those that are not well.

    Parameters:
        shown: shortens an absolute path.
    """
    lines = []
    for check in checks:
        if check.problem is None:
            mark, what = style.paint("green", "✓"), [printable(check.what)]
        else:
            mark, what = style.paint("red", "✗"), _problem(check.problem, shown, style)
        lines.append(f"{mark} {check.name.ljust(_WIDTH)} {what[0]}")
        lines += [f"  {' ' * _WIDTH} {line}" for line in what[1:]]
    bad = sum(check.problem is not None for check in checks)
    lines += ["", f"{bad} thing(s) to do" if bad else "All is well"]
    return "\n".join(lines)


def _problem(error: MigrateError, shown: Callable[[str], str], style: Style) -> list[str]:
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
                "what": check.what if check.problem is None else check.problem.message,
                "problem": check.problem and error_json(check.problem, shown, option),
            }
            for check in checks
        ]
    }
