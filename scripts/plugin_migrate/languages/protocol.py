"""What every language offers; imported by type checkers only, since ``typing`` costs 4 ms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ..sandbox.context import Context
    from ..workspace import Workspace
    from .foreign_key_mode import ForeignKeyMode


class Script(Protocol):
    """What a migration's text says about itself."""

    @property
    def description(self) -> str | None:
        """The author's one-line description, if any."""

    @property
    def version(self) -> str | None:
        """The version repeated inside, if any."""

    @property
    def metadata(self) -> Mapping[str, object]:
        """Author, creation time, tags and whatever else the header holds."""

    @property
    def has_down(self) -> bool:
        """Whether the migration can be rolled back."""


class Action(Protocol):
    """One direction of one migration, checked and ready to run."""

    @property
    def source(self) -> str:
        """The text that runs, for people to read."""

    @property
    def touches_files(self) -> bool:
        """Whether it may change files, so that it needs a staged copy of the state."""

    @property
    def atomic(self) -> bool:
        """Whether it runs inside the step's transaction (``transaction:false`` does not)."""

    @property
    def foreign_keys(self) -> ForeignKeyMode:
        """Whether foreign keys are enforced during the step, and checked at its end."""

    def require(self, workspace: Workspace) -> None:
        """Make sure that what runs it is there; asked of every step before the first one runs.

        Raises:
            NoRuntime: this machine has nothing that can run it.
        """

    def run(self, context: Context) -> None:
        """Execute it.

        Raises:
            StepFailed: the author's code or SQL failed; names file, line and statement.
        """


class Language(Protocol):
    """How one language's migrations are read and run."""

    def parse(self, text: str, file: str) -> Script:
        """Return what the text says about itself.

        Raises:
            BrokenMigration: the text cannot be read; names the line.
        """

    def prepare(self, text: str, file: str, direction: str) -> Action:
        """Return the ``up`` or ``down`` of the text, or refuse it before anything runs.

        Raises:
            BrokenMigration: the text cannot be read; names the line.
            ForbiddenStatement: it contains what a step may never do.
            Irreversible: it has no such direction.
        """
