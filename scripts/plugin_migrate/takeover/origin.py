"""Where another tool keeps what it has applied: ``--from SOURCE``, and the file that it means.

A source is ``TOOL``, for the project's own state database, or ``TOOL:PATH``. For ``json`` a key may
follow: ``json:PATH#applied``. Paths are relative to the project, and never lead out of it.
"""

from __future__ import annotations

import os
import stat

from ..errors import TakeoverRefused, UsageError
from ..platform import system
from ..storage.nodes import is_path_text
from ..values import NamedTuple
from ..workspace import Workspace, is_inside

JSON = "json"
TOOLS = (
    "user_version",
    "dbmate",
    "goose",
    "golang-migrate",
    "knex",
    "alembic",
    "drizzle",
    "sqlite-utils",
    "original",
    JSON,
)
_LEDGERS = {
    "user_version": "PRAGMA user_version",
    "alembic": "Alembic's ledger",
    "drizzle": "Drizzle's ledger",
    "original": "the original engine's ledger",
}
_EXAMPLE = (
    "For example: --from dbmate, --from dbmate:.claude/app.db, --from json:state.json#applied"
)


class Origin(NamedTuple):
    """One place where another tool says what it has applied.

    ``tool`` is one of :data:`TOOLS`; ``path`` as it was given, ``None`` for the state database;
    ``key`` leads to the value in a JSON document, ``None`` for all of it.
    """

    tool: str
    path: str | None = None
    key: str | None = None

    @property
    def ledger(self) -> str:
        """What a sentence calls the place where the tool says it."""
        if self.tool == JSON:
            return self.path or JSON
        return _LEDGERS.get(self.tool, f"{self.tool}'s ledger")

    def ledger_in(self, file: str) -> str:
        """Return the same with the file, as the user knows it, that it was read from."""
        return file if self.tool == JSON else f"{self.ledger} in {file}"


def parse_origin(text: str) -> Origin:
    """Return what the value of ``baseline --from`` means.

    Raises:
        UsageError: there is no such tool, or a path is missing.
    """
    tool, colon, path = text.partition(":")
    if tool not in TOOLS:
        raise UsageError(
            f"plugin-migrate cannot take over from '{tool}'",
            hint=f"{_meant(tool)}It knows {', '.join(TOOLS)}.\n{_EXAMPLE}",
        )
    path, hash_sign, key = path.partition("#") if tool == JSON else (path, "", "")
    if (colon or tool == JSON) and not path:
        raise UsageError(f"--from {text} names no file", hint=_EXAMPLE)
    return Origin(tool, path or None, key if hash_sign else None)


def _meant(tool: str) -> str:
    from difflib import get_close_matches

    meant = get_close_matches(tool.lower(), TOOLS, n=1)
    return f"Did you mean `{meant[0]}`?\n" if meant else ""


def file_of_origin(workspace: Workspace, origin: Origin) -> str:
    """Return the absolute path of the file to read, which is there.

    Raises:
        UsageError: it lies outside of the project.
        TakeoverRefused: it is not there, or a link leads to it.
    """
    if origin.path is None:
        if not os.path.exists(workspace.database):
            raise TakeoverRefused(
                f"There is no state database to read {origin.ledger} from",
                file=workspace.database,
                hint=f"Name the database: --from {origin.tool}:PATH",
            )
        return workspace.database
    if not is_path_text(origin.path):
        raise UsageError(f"--from names what is no path: {origin.path!r}")
    return plain_way(workspace, origin.path)


def plain_way(workspace: Workspace, path: str) -> str:
    """Return the absolute path of what stands at ``path`` below the project.

    A cloned repository could otherwise have anything read that this user can read.

    Raises:
        UsageError: it lies outside of the project.
        TakeoverRefused: it is not there, or a link stands on the way.
    """
    whole = os.path.normpath(os.path.join(workspace.project, path))
    if whole == workspace.project or not is_inside(whole, workspace.project):
        raise UsageError(
            f"--from reads only below the project, and {path} is not",
            hint="Copy it into the project, or name the project it belongs to with --project.",
        )
    first, *rest = os.path.relpath(whole, workspace.project).split(os.sep)
    # `.claude` may be a link, as everywhere; the workspace knows where it leads.
    reached = workspace.claude if first == ".claude" else workspace.project
    for name in rest if first == ".claude" else (first, *rest):
        reached = os.path.join(reached, name)
        refuse_link(reached, whole)
    return reached


def refuse_link(reached: str, whole: str) -> None:
    """Refuse a link, and what is not there.

    Parameters:
        reached: where to look.
        whole: the path that was asked for, to be named where nothing is.

    Raises:
        TakeoverRefused: it is a link, or nothing stands there.
    """
    try:
        status = os.lstat(reached)
    except OSError as error:
        raise TakeoverRefused(
            f"There is nothing to take over from: {system.reason_of(error)}",
            file=whole,
            hint="Check the path: it is relative to the project.",
        ) from None
    if stat.S_ISLNK(status.st_mode):
        raise TakeoverRefused(
            "What is taken over from must not be a link, nor lie below one",
            file=reached,
            hint="Name the file itself.",
        )
