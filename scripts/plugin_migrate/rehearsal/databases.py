"""The databases of a shadow copy as they were at some moment, and putting them back like that."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress

from ..engine.transaction import make_ledger
from ..storage.state_tree import SIDE_SUFFIXES, holds_database
from ..values import NamedTuple
from ..workspace import Workspace
from .kept import Kept


class Databases(NamedTuple):
    """Copies of databases, by path; ``None`` where there was none.

    ``others`` holds further databases by their paths below ``.claude/``.
    """

    state: str | None
    others: Mapping[str, str | None]


def databases_among(workspace: Workspace, kept: Mapping[str, Kept]) -> dict[str, str | None]:
    """Return the copies of what is or was a database among what steps changed."""
    return {
        path: one.content
        for path, one in kept.items()
        if (one.content is not None and holds_database(one.content))
        or holds_database(workspace.live(path))
    }


def put_databases(workspace: Workspace, databases: Databases) -> None:
    """Put copies in the places of a shadow copy's databases, with a ledger in the state database.

    Raises:
        MigrateError: see :func:`plugin_migrate.engine.transaction.make_ledger`.
        OSError: there is no room.
    """
    for path, copy in databases.others.items():
        _put(workspace.live(path), copy)
    _put(workspace.database, databases.state)
    make_ledger(workspace)


def remove_database(path: str) -> None:
    """Remove a database with what SQLite keeps beside it."""
    for suffix in ("", *SIDE_SUFFIXES):
        with suppress(FileNotFoundError):
            os.unlink(path + suffix)


def _put(path: str, copy: str | None) -> None:
    remove_database(path)
    if copy is not None:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        shutil.copyfile(copy, path)
