"""Errors as text and as JSON."""

from __future__ import annotations

from collections.abc import Callable

from .style import Style, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..errors import MigrateError


def error_text(error: MigrateError, shown: Callable[[str], str], style: Style) -> str:
    """Return what happened, where, and what to do next."""
    first, *rest = printable(error.message).split("\n")
    lines = [f"{style.paint('red', '✗')} Error: {first}", *(f"  {line}" for line in rest)]
    if error.file is not None:
        line = f":{error.line}" if error.line is not None else ""
        lines.append(f"  {printable(shown(error.file))}{line}")
    for detail in error.details:
        lines += [f"  {line}" for line in printable(detail).split("\n")]
    hint = error.hint_for(style.option, shown)
    if hint is not None:
        lines += [f"  {line}" for line in printable(hint).split("\n")]
    return "\n".join(lines)


def error_json(
    error: MigrateError, shown: Callable[[str], str], option: str = ""
) -> dict[str, object]:
    """Return the ``error`` value of a document.

    Parameters:
        option: names the source that proposed calls concern; empty for the project's own.
    """
    return {
        "code": error.code,
        "message": error.message,
        "hint": error.hint_for(option, shown),
        "file": shown(error.file) if error.file is not None else None,
        "line": error.line,
        "details": list(error.details),
    }
