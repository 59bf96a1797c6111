"""Findings in SQL migrations."""

from __future__ import annotations

from collections.abc import Iterator

from ..languages import sql_text
from ..languages.sql_text import Section, SqlScript
from .notes import Notes, spread, unfilled
from .problems import Problem, problem
from .sql_changes import Kind
from .sql_rules import PlacedStatement, step_of
from .sql_rules import inspect as inspect_steps
from .sql_tokens import scan


def inspect(text: str, file: str) -> tuple[list[Problem], Notes]:
    """Return the problems of a SQL migration, and its comments.

    Raises:
        BrokenMigration: it cannot be parsed.
    """
    script = sql_text.parse(text, file)
    up = list(_steps(script.up))
    found, past = inspect_steps(up, transaction=script.up.transaction)
    found += _whole(script, up)
    if script.down is not None:
        down = list(_steps(script.down))
        found += inspect_steps(down, past, transaction=script.down.transaction)[0]
    notes = _notes(text, script)
    found += unfilled(text, notes)
    return found, notes


def _steps(section: Section) -> Iterator[PlacedStatement]:
    for statement in sql_text.statements(section):
        tokens = scan(statement.text.removesuffix(";"), statement.line).tokens
        yield step_of(tokens, statement.line, statement.line + statement.text.count("\n"))


def _whole(script: SqlScript, up: list[PlacedStatement]) -> Iterator[Problem]:
    """Yield what concerns the file: a direction that is missing or does nothing."""
    line = max(script.up.line - 1, 1)  # the marker's
    if not up:
        yield problem("empty-up", line, "The up holds no statement, so the migration does nothing")
    if script.down is None:
        # Of any other step the way back is kept when it is applied.
        if not script.up.transaction and script.metadata.get("reversible") is not False:
            message = "There is no down, and outside a transaction nothing is kept to go back to"
            yield problem("missing-down", line, message)
    elif any(step.change.kind is not Kind.UPKEEP for step in up) and not _does_anything(script):
        message = "The down holds no statement, so going back undoes nothing"
        yield problem("empty-down", script.down.line - 1, message)


def _does_anything(script: SqlScript) -> bool:
    return script.down is not None and any(True for _ in sql_text.statements(script.down))


def _notes(text: str, script: SqlScript) -> Notes:
    # Each part on its own: a comment or string that is not closed ends with its section.
    sections = [section for section in (script.up, script.down) if section is not None]
    head = "\n".join(text.split("\n", script.up.line)[: script.up.line - 2])
    parts = [scan(head if script.up.line > 1 else "")]
    parts += [scan(section.text, section.line) for section in sections]
    first = next(sql_text.statements(script.up), None)
    return Notes(
        comments=spread(comment for part in parts for comment in part.comments),
        code=frozenset(line for part in parts for line in part.code),
        top=first.line - 1 if first else max(script.up.line - 1, 1),
    )
