"""Keeps the way back of steps that no down takes back, as a part of those steps.

A way back is on the disk before its step commits, and counts by the mark that commits with it: what
a killed command leaves without one is removed by the next.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress

from ..errors import MigrateError
from ..ledger.read import read_ledger
from ..platform import system
from ..storage.durable import make_folder, sync_folder
from ..storage.translation import explaining
from ..workspace import Workspace
from . import marks
from .images import item_of_file, item_of_table, read_images
from .marks import Mark, find, ids_in, path_of, ways_folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..engine.prepare import Prepared
    from ..engine.side_database import SideDatabase
    from ..engine.transaction import Transaction
    from ..storage.nodes import PathChange


_CANNOT = "The migration's way back cannot be kept"
_HINT = "Free some space or correct the permissions, or run without one: --no-backup"


class WayBackKeeper:
    """Keeps the ways back of one run, also of those of its steps that run on a copy.

    Parameters:
        workspace: whose steps; the run lock is held.
        known: the marks that the ledger has, by version.
        is_on: ``False`` for a run that the user wants nothing kept of.
        run: all steps of the run, where they are begun in several parts.
    """

    def __init__(
        self,
        workspace: Workspace,
        known: Mapping[str, str] | None,
        is_on: bool = True,
        run: Sequence[Prepared] = (),
    ) -> None:
        self._workspace = workspace
        self._is_on = is_on
        self._run = run
        self._folder = ways_folder(workspace)
        self._largest = workspace.config.ways_back_megabytes << 20
        self._marks = known or {}
        # What steps changed that can be taken back, by version; read when first needed.
        self._items: dict[str, frozenset[str]] | None = None
        self._chosen: frozenset[str] = frozenset()

    def begin(self, steps: Sequence[Prepared]) -> None:
        """Choose of which steps a way back is kept: the last ones, as the settings say.

        The earlier ones would be removed in the end, and each costs its syncs.
        """
        lacking = [str(step.version) for step in self._run or steps if _why_not(step) is None]
        count = self._workspace.config.ways_back_keep if self._is_on else 0
        self._chosen = frozenset(lacking[-count:] if count else ())

    def keeps(self, prepared: Prepared) -> bool:
        """Return whether a step has its way back kept, so that no other shares its transaction."""
        return prepared.direction == "up" and str(prepared.version) in self._chosen

    def settle(
        self,
        prepared: Prepared,
        transaction: Transaction,
        changes: Collection[PathChange] = (),
        sides: Collection[SideDatabase] = (),
    ) -> None:
        """Keep the way back of a step that has run, if it needs one, and mark it in the ledger.

        Parameters:
            transaction: holds what the step did to the state database, and its row.
            changes: what it did to files.
            sides: further databases that it asked for.

        Raises:
            StateUnreadable, Busy: it cannot be read or written.
        """
        version = str(prepared.version)
        if prepared.direction == "up" and prepared.lacks_down:
            row = transaction.ledger.last_added
            assert row is not None
            mark = self._mark(prepared, row, transaction, changes, sides)
            transaction.ledger.mark_way_back(prepared.version, mark.to_text())
        self._note(version, prepared.direction, transaction, changes, sides)

    def mark_unprotected(self, prepared: Prepared, transaction: Transaction) -> None:
        """Say of a step outside a transaction that nothing is kept, if no down takes it back."""
        if prepared.direction == "up" and prepared.lacks_down:
            row = transaction.ledger.last_added
            assert row is not None
            mark = Mark(row, why=_why_not(prepared) or marks.UNPROTECTED)
            transaction.ledger.mark_way_back(prepared.version, mark.to_text())

    def prune(self) -> None:
        """Remove ways back that no mark means, and those beyond what the settings keep."""
        # What cannot be removed now can be by the next run; this one's work is done.
        with suppress(MigrateError, OSError):
            if not ids_in(self._folder):
                return
            found = map(Mark.from_text, (read_ledger(self._workspace).ways_back or {}).values())
            by_age = sorted(
                (mark for mark in found if mark is not None and mark.id is not None),
                key=lambda mark: -mark.row,
            )
            self._remove_but(self._within_limits(by_age))

    def _within_limits(self, by_age: Iterable[Mark]) -> set[str]:
        kept: set[str] = set()
        room = self._largest
        for mark in by_age:
            path = find(self._workspace, mark)
            if path is None or mark.id is None:
                continue
            room -= os.path.getsize(path)
            if room < 0 or len(kept) == self._workspace.config.ways_back_keep:
                break  # one goes only after those that followed it
            kept.add(mark.id)
        return kept

    def _remove_but(self, kept: set[str]) -> None:
        for name in set(ids_in(self._folder)) - kept:
            path = path_of(self._folder, name)
            for suffix in ("", "-journal"):
                with suppress(FileNotFoundError):
                    os.unlink(path + suffix)

    # --- keeping ---------------------------------------------------------------------------------

    def _mark(
        self,
        prepared: Prepared,
        row: int,
        transaction: Transaction,
        changes: Collection[PathChange],
        sides: Collection[SideDatabase],
    ) -> Mark:
        why = _why_not(prepared)
        if why is None and not self._is_on:
            why = marks.NO_BACKUP
        if why is None and not self.keeps(prepared):
            is_off = self._workspace.config.ways_back_keep == 0
            why = marks.SWITCHED_OFF if is_off else marks.TOO_MANY
        if why is not None:
            return Mark(row, why=why)
        with explaining(_CANNOT, _HINT):
            return self._keep(prepared, row, transaction, changes, sides)

    def _keep(
        self,
        prepared: Prepared,
        row: int,
        transaction: Transaction,
        changes: Collection[PathChange],
        sides: Collection[SideDatabase],
    ) -> Mark:
        from .capture_step import keep_step  # seldom needed, and much comes with it

        self._make_folder()
        kept = keep_step(
            path_of(self._folder, name := secrets.token_hex(8)),
            self._largest,
            transaction,
            changes,
            sides,
        )
        if isinstance(kept, str):
            return Mark(row, why=kept)
        if kept.is_empty:
            return Mark(row)
        sync_folder(self._folder)
        self._known_items()[str(prepared.version)] = kept.items()
        return _mark_of(path_of(self._folder, name), row, name)

    def _make_folder(self) -> None:
        """Make the folder; what is kept may come from files that nobody else may read."""
        if not os.path.isdir(self._folder):
            make_folder(os.path.dirname(self._folder))
            os.mkdir(self._folder, 0o700)
            sync_folder(os.path.dirname(self._folder))

    # --- who changed what since ------------------------------------------------------------------

    def _note(
        self,
        version: str,
        direction: str,
        transaction: Transaction,
        changes: Collection[PathChange],
        sides: Collection[SideDatabase],
    ) -> None:
        """Note of each earlier step which of its changes this one changed again."""
        items = self._known_items()
        if direction == "down":
            items.pop(version, None)
        if not items:
            return
        touched = {item_of_file(change.path) for change in changes}
        touched |= {item_of_table("", name) for name in transaction.latest_written}
        touched |= {item_of_table(side.path, n) for side in sides for n in side.authorizer.written}
        who = version if direction == "up" else f"the down of {version}"
        for other, known in items.items():
            if other != version:
                for item in known & touched:
                    transaction.ledger.note_since(other, item, who)

    def _known_items(self) -> dict[str, frozenset[str]]:
        if self._items is None:
            self._items = dict(self._read_items())
        return self._items

    def _read_items(self) -> Iterator[tuple[str, frozenset[str]]]:
        for version, text in self._marks.items():
            mark = Mark.from_text(text)
            path = find(self._workspace, mark) if mark is not None else None
            if path is not None:
                # One that is damaged is said to be so where it is needed.
                with suppress(MigrateError, OSError, ValueError, sqlite3.Error):
                    yield version, read_images(path).items()


def _why_not(prepared: Prepared) -> str | None:
    """Return why of a step no way back is kept, whoever runs it; ``none`` for one with a down."""
    if prepared.direction != "up" or not prepared.lacks_down:
        return "none"
    if prepared.is_final:
        return marks.DECLARED
    return None if prepared.action.atomic else marks.UNPROTECTED


def _mark_of(path: str, row: int, name: str) -> Mark:
    import hashlib

    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Mark(row, name, digest, *system.identity(path))
