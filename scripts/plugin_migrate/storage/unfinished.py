"""The other sources of a project, as far as a killed command left them half published.

All sources change the same ``.claude/``. So a step must not work on files that another source's
commit has yet to replace: every command that may write settles those first, whichever plugins are
enabled by now. Where a plugin's ledger is stands beside its redo logs for that.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

from ..plain_file import read_json
from ..settings import is_ledger_table
from ..workspace import ALL_OF_CLAUDE, Workspace, is_inside, is_source_name, path_from
from .durable import make_folder, write_atomically
from .nodes import inside

_NOTE = "source.json"
# The folder may have come with a cloned repository, and is looked at when a session starts.
_MOST_SOURCES = 100
_LARGEST_NOTE = 64 * 1024


def remember(workspace: Workspace) -> None:
    """Note where a plugin's ledger is; durably, because its redo logs may have to be finished.

    Raises:
        OSError: our folder cannot be written.
    """
    own = path_from(workspace.database, workspace.claude)
    note = {
        "database": own if workspace.owns_database else workspace.database,
        "ledger_table": workspace.config.ledger_table,
        "roots": list(workspace.roots),
    }
    path = os.path.join(workspace.home, _NOTE)
    if _read(path) == note:
        return
    make_folder(workspace.home)
    write_atomically(path, json.dumps(note))


def left_behind(workspace: Workspace) -> Iterator[Workspace]:
    """Yield the project's other sources that have redo logs."""
    own = workspace.own or workspace
    if workspace.source is not None and own.has_logs:
        yield own
    folder = workspace.sources
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    for name in names:
        if name != workspace.source and is_source_name(name):
            other = sibling(own, name)
            if other.has_logs:
                yield other


def left_by(own: Workspace, name: str) -> Workspace | None:
    """Return the source of the plugin ``name`` if it left redo logs, enabled or not."""
    return next((one for one in left_behind(own) if one.source == name), None)


def noted(own: Workspace) -> tuple[str, ...]:
    """Return the names of the plugins that have migrated this project, by what stands here."""
    try:
        names = sorted(os.listdir(own.sources))[:_MOST_SOURCES]
    except OSError:
        return ()
    return tuple(
        name
        for name in names
        if is_source_name(name) and os.path.isfile(os.path.join(own.sources, name, _NOTE))
    )


def sibling(own: Workspace, name: str) -> Workspace:
    """Return the source ``name`` without its migrations, which its plugin may not ship any more.

    Parameters:
        own: the project's own workspace.
        name: the plugin's name, which must be one that a folder can have.
    """
    folder = os.path.join(own.sources, name)
    note = _read(os.path.join(folder, _NOTE)) or {}
    table = note.get("ledger_table")
    if not isinstance(table, str) or not is_ledger_table(table):
        table = own.config.ledger_table
    return own._replace(
        source=name,
        own=own,
        migrations=os.path.join(folder, "migrations"),
        database=_noted(own, note.get("database"))
        or os.path.realpath(os.path.join(own.claude, name, "state.db")),
        config=own.config._replace(ledger_table=table),
        roots=_noted_roots(note.get("roots")),
    )


def _noted(own: Workspace, database: object) -> str | None:
    """Return where a note says that a ledger is, if a source's ledger may be there.

    The note may have come with a cloned repository.
    """
    if not isinstance(database, str) or "\0" in database:
        return None
    try:
        real = os.path.realpath(os.path.join(own.claude, database))
    except UnicodeEncodeError:
        return None
    if os.path.isabs(database):
        return real  # whose ledger it is stands in it
    return real if is_inside(real, own.claude) and not is_inside(real, own.bookkeeping) else None


def _noted_roots(roots: object) -> tuple[str, ...]:
    """Return what a note says that a source's state is; of an earlier version, all there was."""
    if not isinstance(roots, list):
        return (ALL_OF_CLAUDE,)
    try:
        return tuple(root if root == ALL_OF_CLAUDE else inside(root) for root in roots)
    except ValueError:
        return (ALL_OF_CLAUDE,)


def _read(path: str) -> dict[str, object] | None:
    """Return a note, or ``None`` where there is none that can be used."""
    try:
        note = read_json(path, _LARGEST_NOTE)
    except (OSError, ValueError):
        return None
    return note if isinstance(note, dict) else None
