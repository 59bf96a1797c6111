"""What a reviewer would say about a migration, read from its text alone.

Pure: text in, findings out. Nothing is opened and nothing is executed. A finding that is meant is
silenced where it stands, by a comment with its code (see ``notes.py``)::

    -- lint: allow drop-table
    DROP TABLE cache;

    started = time.time()  # lint: allow clock
    const started = Date.now(); // lint: allow clock
"""

from __future__ import annotations

from dataclasses import dataclass

from ..languages import load_language
from ..migration import Migration
from . import javascript, python, sql
from .notes import allow
from .problems import CODES, NOTES

__all__ = ["CODES", "Finding", "lint"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One remark about a migration.

    Parameters:
        code: a stable name, one of :data:`CODES`; what an allowing comment names.
        file: the migration's path.
        line: 1-based line of the file.
        message: what was found and why it matters, one sentence without a final period.
        advice: what to do.
    """

    code: str
    file: str
    line: int
    message: str
    advice: str

    @property
    def is_note(self) -> bool:
        """Whether the migration is good as it is."""
        return self.code in NOTES


def lint(migration: Migration, siblings: frozenset[str] = frozenset()) -> tuple[Finding, ...]:
    """Return what is remarkable about a migration, in line order.

    Parameters:
        migration: with its text.
        siblings: names of the modules and packages that lie beside it (``_helpers``), which a
            Python migration may import.

    Raises:
        BrokenMigration: the text cannot be parsed, or this version does not know its language.
    """
    text, file = migration.text or "", migration.path
    language = load_language(migration.language)
    language.parse(text, file)
    if migration.language == "sql":
        problems, notes = sql.inspect(text, file)
    elif migration.language == "python":
        problems, notes = python.inspect(text, siblings)
    elif migration.language in ("typescript", "javascript"):
        language.prepare(text, file, "up")  # reading it alone would not miss a migration in it
        problems, notes = javascript.inspect(text)
    else:
        return ()
    kept = {
        Finding(problem.code, file, problem.line, problem.message, problem.advice)
        for problem in allow(problems, notes)
    }
    return tuple(sorted(kept, key=lambda finding: (finding.line, finding.code, finding.message)))
