"""What steps on a shadow copy changed: each path as it was before, and what is different now.

The engine says what a step is about to change, so nothing else has to be looked at: a proof costs
what its migrations change, however large the state is.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence

from ..ledger.schema import ledger_tables
from ..storage.live_database import copy_live
from ..storage.nodes import Node, observe, observe_spelled
from ..storage.sqlite import unreadable
from ..storage.state_tree import holds_database
from ..values import NamedTuple
from ..workspace import Workspace
from .difference import DatabaseDifference, database_difference, read_text, text_difference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..storage.nodes import PathChange

_LINES_SHOWN = 60


class Kept(NamedTuple):
    """What stood at a path before a step changed it; ``content`` is the path of a copy of it."""

    before: Node | None
    content: str | None


class Difference(NamedTuple):
    """One thing that is not as it should be, in a sentence, and a diff that shows it."""

    what: str
    lines: tuple[str, ...] = ()


class Keeper:
    """Keeps what the steps of an engine are about to change, in place of a backup.

    Parameters:
        workspace: the shadow copy.
        folder: where the copies go; made when missing.
    """

    def __init__(self, workspace: Workspace, folder: str) -> None:
        self._workspace = workspace
        self._folder = folder
        self._count = 0
        self._kept: dict[str, Kept] = {}
        os.makedirs(folder, exist_ok=True)

    def add_files(self, changes: Iterable[PathChange]) -> None:
        """Keep files as they are."""
        for change in changes:
            content = None
            if change.before is not None and change.before.kind == "file":
                content = self._new_copy()
                shutil.copyfile(self._workspace.live(change.path), content)
            self._kept.setdefault(change.path, Kept(change.before, content))

    def add_database(self, path: str, after: str) -> None:
        """Keep a further database as it is."""
        live = self._workspace.live(path)
        content = self._new_copy()
        copy_live(live, content)
        self._kept.setdefault(path, Kept(observe(live), content))

    def commit(self) -> None:
        """Return: the copy is thrown away in the end."""

    def take(self) -> dict[str, Kept]:
        """Return by path what was kept since the last time."""
        kept, self._kept = self._kept, {}
        return kept

    def state(self) -> str | None:
        """Return the path of a copy of the state database, if there is one."""
        return self._copy_of(self._workspace.database)

    def database(self, path: str) -> str | None:
        """Return the path of a copy of a further database as it is now, if there is one."""
        return self._copy_of(self._workspace.live(path))

    def _copy_of(self, path: str) -> str | None:
        if not os.path.exists(path):
            return None
        content = self._new_copy()
        copy_live(path, content)
        return content

    def forget(self, but: Collection[str | None] = ()) -> None:
        """Remove the copies that nobody asks about any more: all but some."""
        self._kept = {}
        for name in os.listdir(self._folder):
            path = os.path.join(self._folder, name)
            if path not in but:
                os.unlink(path)

    def _new_copy(self) -> str:
        self._count += 1
        return os.path.join(self._folder, str(self._count))


def differences(workspace: Workspace, kept: Mapping[str, Kept]) -> list[Difference]:
    """Return what is different now from what was kept, in path order.

    Raises:
        StateUnreadable: something cannot be read.
    """
    found: list[Difference] = []
    for path in sorted(kept):
        live = workspace.live(path)
        before, content = kept[path]
        if _are_databases(content, live):
            found += _of_database(content, live, workspace.shown(live))
        else:
            difference = _of_file(workspace, path, before, content)
            if difference is not None:
                found.append(difference)
    return found


def state_differences(
    workspace: Workspace, before: str | None, written: frozenset[str] | None
) -> list[Difference]:
    """Return what is different in the state database.

    Parameters:
        before: the path of its earlier copy.
        written: see :func:`plugin_migrate.rehearsal.difference.database_difference`.

    Raises:
        StateUnreadable: one of them cannot be read.
    """
    ignored = ledger_tables(workspace.config.ledger_table)
    return _compared(before, workspace.database, "the state database", ignored, written)


def _are_databases(*paths: str | None) -> bool:
    """Return whether one of them is a database and none is another file; an empty one is both."""
    files = [path for path in paths if path is not None and os.path.isfile(path)]
    kinds = {holds_database(path) for path in files if os.path.getsize(path)}
    return kinds == {True}


def _of_database(before: str | None, live: str, name: str) -> list[Difference]:
    return _compared(before, live if os.path.isfile(live) else None, name)


def _compared(
    before: str | None,
    after: str | None,
    name: str,
    ignored: frozenset[str] = frozenset(),
    written: frozenset[str] | None = None,
) -> list[Difference]:
    try:
        return _as_differences(database_difference(before, after, name, ignored, written))
    except sqlite3.Error as error:
        raise unreadable(after or name, error) from error


def _as_differences(database: DatabaseDifference) -> list[Difference]:
    found = []
    if database.schema:
        found.append(Difference(f"{database.path} has another schema", _cut(database.schema[2:])))
    for table in database.tables:
        counts = ((table.added, "more"), (table.removed, "missing"), (table.changed, "different"))
        told = ", ".join(f"{count} row(s) {word}" for count, word in counts if count)
        more = table.added + table.removed + table.changed - len(table.examples)
        lines = (*table.examples, f"… {more} more row(s)") if more else table.examples
        found.append(Difference(f"{database.path}: table {table.table} has {told}", lines))
    return found


def _of_file(
    workspace: Workspace, path: str, before: Node | None, content: str | None
) -> Difference | None:
    live = workspace.live(path)
    name = workspace.shown(live)
    is_link = before is not None and before.kind == "link"
    after = observe_spelled(*workspace.place(path), through_links=not is_link)
    if after == before:
        return None
    if before is None:
        return Difference(f"{name} is there, but was not", _text_diff(None, live, name))
    if after is None:
        return Difference(f"{name} is gone", _text_diff(content, None, name))
    if before.kind != after.kind:
        return Difference(f"{name} is a {_kind(after)}, was a {_kind(before)}")
    if before.link != after.link:
        return Difference(f"{name} leads to {after.link}, led to {before.link}")
    if before.sha256 == after.sha256:
        return Difference(f"{name} has mode {after.mode:o}, had {before.mode:o}")
    lines = _text_diff(content, live, name)
    sizes = "" if lines else f" ({after.size} bytes, had {before.size})"
    return Difference(f"{name} has another content{sizes}", lines)


def _kind(node: Node) -> str:
    return {"dir": "folder", "other": "pipe, socket or device"}.get(node.kind, node.kind)


def _text_diff(before: str | None, after: str | None, name: str) -> tuple[str, ...]:
    """Return the diff of two files without its head, or nothing when they are not text."""
    texts = [
        read_text(path) if path is not None and os.path.isfile(path) else None
        for path in (before, after)
    ]
    if texts == [None, None] or (before and after and None in texts):
        return ()
    old, new = texts
    lines = _cut(text_difference(old, new, name)[2:])
    if not lines and old != new:
        return ("(only line ends differ)",)
    return lines


def _cut(lines: Sequence[str]) -> tuple[str, ...]:
    shown = tuple(lines[:_LINES_SHOWN])
    more = len(lines) - len(shown)
    return (*shown, f"… {more} more line(s)") if more else shown
