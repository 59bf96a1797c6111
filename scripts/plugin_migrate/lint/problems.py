"""The codes, and a problem before it becomes a finding."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

_MEANT = "If it is meant, say so in a comment on the line: lint: allow "
_REBUILD = (
    "Rebuild a table in this order: create the new one, copy with INSERT ... SELECT, drop the old"
    " one, rename the new one to its name (https://www.sqlite.org/lang_altertable.html, section 7)."
)

# Stable: people have them in their files.
CODES = MappingProxyType(
    {
        "drop-table": f"Keep the rows in another table until a later release. {_MEANT}drop-table",
        "drop-column": "Keep the column's values in another table, or drop it in a later release. "
        f"{_MEANT}drop-column",
        "delete-all": f"Add a WHERE that names the rows. {_MEANT}delete-all",
        "update-all": "Add a WHERE that names the rows, and keep the old values for the down. "
        f"{_MEANT}update-all",
        "rebuild-order": _REBUILD,
        "foreign-keys-pragma": "It may stay: SQLite ignores it there.",
        "missing-down": "Write a down that brings back what was there before. If there is no way"
        " back, say so in the header: reversible: false",
        "empty-down": "Write what brings back the state before the up. If nothing needs to be"
        " undone, say so in a comment at the top: lint: allow empty-down; if nothing can be,"
        " remove the down and say reversible: false.",
        "empty-up": "Write the change, or delete the file.",
        "placeholder": "Do what the comment says, then delete it.",
        "absolute-path": "Use a path below ctx.claude, or a relative one: the working directory is"
        " the staged project.",
        "windows-name": 'Use another name, without any of <>:"|?*, a dot or blank at its end, and'
        f" none of CON, NUL, COM1 and the like. {_MEANT}windows-name",
        "database-file": "Use ctx.move_database(old, new), ctx.remove_database(path) or"
        " ctx.database(path).",
        "foreign-import": "Use the standard library, or a helper `_name.py` beside the migration.",
        "clock": "Take the time from the data, from metadata, or write the value out; a column's"
        f" DEFAULT CURRENT_TIMESTAMP is fine. {_MEANT}clock",
        "random": "Derive the value from the data (a digest), or use random.Random with a fixed"
        f" seed. {_MEANT}random",
        "catch-all": "Catch the one exception that you can handle, or raise again at the end of"
        " the handler.",
        "unknown-code": "Correct the code, or remove the comment.",
    }
)

# True and harmless: worth a word, and no reason to call a migration bad.
NOTES = frozenset({"foreign-keys-pragma"})

# They concern the file as a whole, so that a comment at its top may allow them.
FILE_WIDE = frozenset({"missing-down", "empty-down", "empty-up"})


@dataclass(frozen=True, slots=True)
class Problem:
    """Something a rule found.

    Parameters:
        code: one of :data:`CODES`.
        line: where to point.
        message: what it is and why it matters.
        advice: what to do.
        first, last: the lines of the statement; a comment on any of them may allow it.
    """

    code: str
    line: int
    message: str
    advice: str
    first: int
    last: int


def problem(
    code: str,
    line: int,
    message: str,
    *,
    span: tuple[int, int] | None = None,
    advice: str | None = None,
) -> Problem:
    """Return a problem with its code's usual advice, on one line unless there is a ``span``."""
    first, last = span or (line, line)
    return Problem(code, line, message, advice or CODES[code], first, last)
