"""What a user decides where git's history does not say it."""

from __future__ import annotations

from ..values import NamedTuple


class Choices(NamedTuple):
    """Decisions about steps whose files git has brought or taken.

    ``files_from`` says where the files are that they need: a commit, or ``here``; ``None`` for
    where the history says. ``may_drop`` allows a rollback to take from the databases what git's
    files do not have.
    """

    files_from: str | None = None
    may_drop: bool = False
