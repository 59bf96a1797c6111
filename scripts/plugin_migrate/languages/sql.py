"""Migrations in SQL: one section each way, run statement by statement."""

from __future__ import annotations

import sqlite3

from ..errors import Irreversible, StepFailed
from ..storage.sqlite import is_environmental
from ..values import NamedTuple
from . import sql_text
from .sql_text import Section, SqlScript

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..sandbox.context import Context
    from ..workspace import Workspace
    from .foreign_key_mode import ForeignKeyMode

_LONGEST_SHOWN = 400


class SqlAction(NamedTuple):
    """One section of an SQL migration, ready to run."""

    section: Section
    file: str

    @property
    def touches_files(self) -> bool:
        """SQL works on the state database only."""
        return False

    @property
    def source(self) -> str:
        """The section's text."""
        return self.section.text

    @property
    def atomic(self) -> bool:
        """Whether it runs inside the step's transaction."""
        return self.section.transaction

    @property
    def foreign_keys(self) -> ForeignKeyMode:
        """Whether foreign keys are enforced while it runs, and checked afterwards."""
        return self.section.foreign_keys

    def require(self, workspace: Workspace) -> None:
        """Return: what runs this has it all."""

    def run(self, context: Context) -> None:
        """Execute every statement in order, each to its end.

        Raises:
            StepFailed: SQLite refused one; carries its line and text, and in ``completed`` how
                many had run before it.
        """
        cursor = context.db.cursor()
        for number, statement in enumerate(sql_text.statements(self.section)):
            try:
                # A SELECT does its work (functions, RETURNING) only as far as it is read.
                for _ in cursor.execute(statement.text):
                    pass
            except sqlite3.Error as error:
                if is_environmental(error):
                    raise  # the engine says what is wrong with the database
                details = (_shown(statement.text),)
                failed = StepFailed(
                    str(error), file=self.file, line=statement.line, details=details
                )
                failed.completed = number
                raise failed from error


class Sql:
    """How SQL migrations are read and run."""

    def parse(self, text: str, file: str) -> SqlScript:
        """Return header and sections; see :func:`sql_text.parse`."""
        return sql_text.parse(text, file)

    def prepare(self, text: str, file: str, direction: str) -> SqlAction:
        """Return the section for ``direction``, or refuse it before anything runs.

        Raises:
            BrokenMigration: the text cannot be read.
            ForbiddenStatement: it holds its own BEGIN or COMMIT.
            Irreversible: it has no down.
        """
        script = sql_text.parse(text, file)
        section = script.up if direction == "up" else script.down
        if section is None:
            raise Irreversible(
                "The migration has no down section, so it cannot be rolled back",
                file=file,
                hint="Write a new migration that undoes it, or restore a backup.",
            )
        sql_text.refuse_transaction_control(section, file)
        return SqlAction(section, file)


def _shown(statement: str) -> str:
    import textwrap

    text = textwrap.dedent(statement.replace("\r\n", "\n")).strip()
    if len(text) <= _LONGEST_SHOWN:
        return text
    return f"{text[:_LONGEST_SHOWN]}… ({len(text) - _LONGEST_SHOWN} more characters)"


LANGUAGE = Sql()
