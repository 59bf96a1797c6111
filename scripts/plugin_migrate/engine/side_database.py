"""Further SQLite databases of the state: a step works on a copy, which is published with it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import suppress

from ..errors import Conflict, ForbiddenStatement
from ..ledger.schema import reserved_tables
from ..platform import system
from ..platform.moving import remove, rename
from ..sandbox.authorizer import RESERVED_SAVEPOINT, Authorizer, StepConnection
from ..storage import sqlite
from ..storage.live_database import LiveDatabase, digest_of_closed, pad_to_two_pages
from ..storage.nodes import Node, PathChange, digest_of, observe
from ..storage.state_tree import SIDE_SUFFIXES
from ..workspace import named
from .redo_log import DatabaseEntry


class SideDatabase:
    """One further database that a step asked for.

    Parameters:
        path: relative to ``.claude/``.
        live: the database's real path.
        copy: where the private copy goes, on the same device.

    ``connection`` is what the author works with, inside a transaction on the copy. The database may
    be moved or removed with the step: then a file goes, and after a move another one comes.

    Raises:
        StateUnreadable: the file is not a database.
        Busy: another program holds it for too long.
    """

    def __init__(self, path: str, live: str, copy: str) -> None:
        self.path = path
        self._live = live
        self._copy = copy
        self._is_moved = False
        self._is_new = not os.path.exists(live) or os.path.getsize(live) == 0
        self._file = observe(live) if self._is_new else None
        self._before: str | None = None
        self._after: str | None = None
        self._mode: int | None = None
        # Where it was, and what went from there, for one that moves or goes.
        self._origin: tuple[str, str] | None = None
        self._gone: Node | None = None
        self._is_removed = False
        self._live_database = None if self._is_new else LiveDatabase(live)
        if self._live_database is not None:
            try:
                self._live_database.copy_to(copy)
                self._before = self._live_database.digest
            except BaseException:
                self._live_database.close()
                raise
        self.connection = sqlite.open_for_writing(copy, StepConnection)
        (mode,) = self.connection.execute("PRAGMA journal_mode").fetchone()
        self._is_under_wal = mode == "wal"
        self.connection.execute("PRAGMA journal_mode=DELETE").fetchall()
        self.connection.execute("PRAGMA synchronous=OFF")
        self.connection.execute("BEGIN IMMEDIATE")
        self.connection.execute(f"SAVEPOINT {RESERVED_SAVEPOINT}")
        self.authorizer = Authorizer(self.connection, reserved_tables(self.connection))
        self.authorizer.is_armed = True
        self.connection.authorizer = self.authorizer

    @property
    def exists(self) -> bool:
        """Whether there is such a database, or the step has put something into a new one."""
        return not self._is_new or not self._is_empty()

    def move(self, path: str, live: str) -> None:
        """Have the database stand somewhere else after the step.

        Parameters:
            path, live: the new place, as for a new object; nothing stands there.
        """
        if not self._is_new and self._origin is None:
            self._origin = (self.path, self._live)
            self._mode = system.permissions(os.stat(self._live))
        self.path, self._live = path, live
        self._file = None

    def remove(self) -> None:
        """Have the database gone after the step."""
        if not self._is_new and self._origin is None:
            self._origin = (self.path, self._live)
        self._is_removed = True

    def finish(self) -> None:
        """Commit the author's work to the copy.

        Raises:
            ForbiddenStatement: the author's statements ended the transaction.
            Conflict: another program uses a database that moves or goes.
        """
        self.authorizer.is_armed = False
        try:
            self.connection.execute(f"RELEASE {RESERVED_SAVEPOINT}")
            self.connection.execute("COMMIT")
        except sqlite3.Error:
            raise ForbiddenStatement(
                f"A statement ended the transaction on {self.path} (OR ROLLBACK does that)",
                hint="Use OR ABORT, or RAISE(ABORT, ...): the engine undoes the whole step.",
            ) from None
        is_empty = self._is_new and self._is_empty()
        pad_to_two_pages(self.connection)
        # A new one is under WAL only if it was brought back.
        if self._is_under_wal and (self._origin is not None or self._is_new):
            self.connection.execute("PRAGMA journal_mode=WAL").fetchall()
        self.connection.end()
        self._after = None if is_empty or self._is_removed else digest_of_closed(self._copy)
        if self._origin is not None:
            self._gone = self._let_go(*self._origin)

    def _is_empty(self) -> bool:
        return not any(
            self.connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("schema_version", "user_version", "application_id")
        )

    def _let_go(self, path: str, live: str) -> Node | None:
        """Close the live database and return it as the file that it is; nobody may use it.

        Its last connection writes the log into the file and removes what stands beside it.
        """
        assert self._live_database is not None
        self._live_database.close()
        is_used = any(os.path.lexists(live + suffix) for suffix in SIDE_SUFFIXES)
        if is_used or digest_of_closed(live) != self._before:
            raise Conflict(
                f"The database {path} is in use by another program, or was changed by it",
                file=named(path),
                hint="Nothing was changed. Close that program, then run the command again.",
            )
        return observe(live)

    def as_changes(self) -> dict[PathChange, str]:
        """Return the files that come and go with the step, each with the file of its new content.

        A database that the step made is simply a new file, and so is one that it moved.

        Raises:
            Conflict: another program made one there meanwhile.
        """
        changes = []
        if self._origin is not None:
            changes.append(PathChange(self._origin[0], self._gone, None))
        if self._after is not None and (self._is_new or self._origin is not None):
            changes.append(self._as_new_file())
        return dict.fromkeys(changes, self._copy)

    def _as_new_file(self) -> PathChange:
        if observe(self._live) != self._file:
            raise Conflict(
                f"{self.path} was made by another program while the migration ran",
                hint="Nothing was changed. Run the command again.",
            )
        copy = os.stat(self._copy)
        mode = system.permissions(copy) if self._mode is None else self._mode
        if self._file is not None:
            mode = self._file.mode
        after = Node("file", mode, digest_of(self._copy), copy.st_size)
        return PathChange(self.path, self._file, after)

    @property
    def has_changed(self) -> bool:
        """Whether the step changed a database that was there before."""
        return not self._is_new and self._origin is None and self._after != self._before

    @property
    def place_before(self) -> str | None:
        """Where the database stood before the step, relative to ``.claude/``, if it did."""
        if self._is_new:
            return None
        return self._origin[0] if self._origin is not None else self.path

    @property
    def place_after(self) -> str | None:
        """Where it stands after the step, if it does; to be asked after :meth:`finish`."""
        return self.path if self._after is not None else None

    @property
    def began_empty(self) -> bool:
        """Whether an empty file stood where the step made a database."""
        return self._after is not None and self._file is not None

    @property
    def live_before(self) -> str:
        """The path of the live database before the step."""
        return self._origin[1] if self._origin is not None else self._live

    @property
    def mode_before(self) -> int:
        """The permissions of a database that moves or goes; after :meth:`finish`."""
        return self._gone.mode if self._gone is not None else 0

    def open_before(self) -> sqlite3.Connection:
        """Return a connection to read the database as it was; after :meth:`finish`."""
        if self._origin is not None:  # nobody has it open
            return sqlite.open_closed(self.live_before)
        return sqlite.open_for_reading(self.live_before)

    def open_after(self) -> sqlite3.Connection:
        """Return a connection to read what the step made of it; after :meth:`finish`."""
        return sqlite.open_closed(self._copy)

    def move_into(self, folder: str, name: str) -> DatabaseEntry:
        """Move the changed copy into the redo log and return its entry in the manifest."""
        moved = os.path.join(folder, name)
        rename(self._copy, moved)
        self._copy = moved
        self._is_moved = True
        return DatabaseEntry(self.path, name, self._before or "", self._after or "")

    def publish_around(self, commit: Callable[[], None]) -> None:
        """Lock the live database, call ``commit``, then finish publishing.

        Raises:
            Conflict, Busy: see :meth:`LiveDatabase.replace_by`; nothing was committed.
        """
        assert self._live_database is not None
        self._live_database.replace_by(self._copy, commit)

    def close(self) -> None:
        """Close everything and remove the copy, unless it moved into the redo log."""
        # The author's connection is open only when the step failed.
        with suppress(sqlite3.Error):
            self.connection.end()
        if self._live_database is not None:
            self._live_database.close()
        if not self._is_moved:
            # It lies in the scratch folder, which goes as a whole; the step may be committed.
            with suppress(OSError):
                remove(self._copy)
