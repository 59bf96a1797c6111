"""What a migration author is handed as ``ctx``."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator

from ..errors import ForbiddenStatement, StepFailed
from ..platform import system
from ..workspace import Workspace, is_inside, named, path_from
from .file_watch import NAME_IT
from .kept_processes import KeptProcesses

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import Any, TypeVar

    from ..editing.lines import Lines
    from ..engine.side_database import SideDatabase
    from .staging import Staging

    T = TypeVar("T")


class Context:
    """The state as one step may see and change it.

    ``db`` is the state database inside the step's transaction; ``claude`` the staged ``.claude/``
    as a path for ordinary file operations. Everything is committed together when the step returns
    and undone together when it raises.
    """

    def __init__(
        self,
        db: sqlite3.Connection,
        workspace: Workspace | None = None,
        staging: Staging | None = None,
        scratch: str = "",
        on_log: Callable[[str], None] = lambda text: None,
        on_progress: Callable[[int, int | None], None] = lambda done, total: None,
        kept_processes: KeptProcesses | None = None,
        open_database: Callable[[str, str, str], SideDatabase] | None = None,
    ) -> None:
        self.db = db
        self.kept_processes = kept_processes or KeptProcesses()
        self._workspace = workspace
        self._staging = staging
        self._scratch = scratch
        self._open_database = open_database
        self._on_log = on_log
        self._on_progress = on_progress
        self.side_databases: dict[str, SideDatabase] = {}
        # What became of databases that are no longer where they were.
        self._moved: dict[str, str] = {}

    @property
    def workspace(self) -> Workspace:
        """The live state, for what runs the migration."""
        if self._workspace is None:
            raise ForbiddenStatement("This step works on the state database only")
        return self._workspace

    @property
    def claude(self) -> Path:
        """The staged ``.claude/``: read and write below it as you like."""
        if self._staging is None:
            raise ForbiddenStatement("This step works on the database only")
        from pathlib import Path

        return Path(self._staging.claude)

    @property
    def project(self) -> Path:
        """The staged project: ``.claude/``, and what ``state:`` names beside it."""
        return self.claude.parent

    def database(self, path: str | os.PathLike[str]) -> sqlite3.Connection:
        """Return a connection to another SQLite database of the state, inside a transaction.

        Parameters:
            path: relative to ``.claude/``, such as ``"memory.db"``, or below ``ctx.project``;
                created when missing.

        Raises:
            ForbiddenStatement: the path leaves the state or is the state database.
            StateUnreadable: the file is not a database.
        """
        return self._side_database(self._relative(path)).connection

    def move_database(self, old: str | os.PathLike[str], new: str | os.PathLike[str]) -> None:
        """Move or rename a further database of the state.

        A connection that :meth:`database` has given stays good, and is the moved one's.

        Parameters:
            old, new: as for :meth:`database`; nothing may stand at ``new``.

        Raises:
            ForbiddenStatement: one of them leaves the state or is the state database.
            StepFailed: there is no database ``old``, or something at ``new``.
        """
        before, after = self._relative(old), self._relative(new)
        side = self._existing_database(before)
        live = self.workspace.live(after)
        if after in self.side_databases or os.path.lexists(live) or (self.claude / after).exists():
            raise StepFailed(
                f"There is something at {named(after)} already",
                hint="Move or remove that first, in a migration of its own.",
            )
        (self.claude / after).parent.mkdir(parents=True, exist_ok=True)
        side.move(after, live)
        self._moved[before] = f"moved to {after}"
        self.side_databases[after] = self.side_databases.pop(before)

    def remove_database(self, path: str | os.PathLike[str]) -> None:
        """Remove a further database of the state.

        Parameters:
            path: as for :meth:`database`.

        Raises:
            ForbiddenStatement: it leaves the state or is the state database.
            StepFailed: there is no such database.
        """
        relative = self._relative(path)
        self._existing_database(relative).remove()
        self._moved[relative] = "removed"

    def bring_database(self, path: str, write: Callable[[str], None]) -> None:
        """Have a database stand at ``path`` after the step that ``write`` writes; for the engine.

        Parameters:
            path: relative to ``.claude/``; nothing stands there.
            write: is given the path of a file to be made.
        """
        relative = self._relative(path)
        write(self._copy_path())
        self._side_database(relative)

    def database_in(self, failure: str) -> str | None:
        """Return the database that a failure names as if the copy of the files held it."""
        # An error may quote a path as Python writes it, with every backslash twice.
        told = system.slashed(failure).replace("//", "/")
        for path in self._staging.databases() if self._staging is not None else ():
            staged = system.slashed(os.path.normpath(self.claude / path))
            if f"{staged}'" in told or f'{staged}"' in told:
                return path
        return None

    def edit_json(self, path: str | os.PathLike[str]) -> AbstractContextManager[Any]:
        """Edit a JSON file as a Python value; what you do not change keeps its every byte.

        Parameters:
            path: relative to ``.claude/``, or a path below ``ctx.claude`` or ``ctx.project``.
        """
        from ..editing import json_edit

        return json_edit.edit(self._staged(path), self._shown(path))

    def edit_front_matter(self, path: str | os.PathLike[str]) -> AbstractContextManager[Any]:
        """Edit a Markdown file's YAML front matter as a mapping; the body is never touched.

        Parameters:
            path: relative to ``.claude/``, or a path below ``ctx.claude`` or ``ctx.project``.
        """
        from ..editing import front_matter

        return front_matter.edit(self._staged(path), self._shown(path))

    def edit_toml(self, path: str | os.PathLike[str]) -> AbstractContextManager[Any]:
        """Edit a TOML file as a mapping; what you do not change keeps its every byte.

        Parameters:
            path: relative to ``.claude/``, or a path below ``ctx.claude`` or ``ctx.project``.
        """
        from ..editing import toml

        return toml.edit(self._staged(path), self._shown(path))

    def edit_yaml(self, path: str | os.PathLike[str]) -> AbstractContextManager[Any]:
        """Edit a YAML file as a Python value; what you do not change keeps its every byte.

        Parameters:
            path: relative to ``.claude/``, or a path below ``ctx.claude`` or ``ctx.project``.
        """
        from ..editing import yaml_edit

        return yaml_edit.edit(self._staged(path), self._shown(path))

    def edit_lines(self, path: str | os.PathLike[str]) -> AbstractContextManager[Lines]:
        """Edit a file line by line, of any size, such as ``.gitignore``, ``.env`` or JSONL.

        Parameters:
            path: relative to ``.claude/``, or a path below ``ctx.claude`` or ``ctx.project``.
        """
        from ..editing import lines

        return lines.edit(self._staged(path), self._shown(path))

    def close_databases(self) -> None:
        """End the connections to further databases."""
        for side in self.side_databases.values():
            side.close()

    def log(self, text: object) -> None:
        """Tell the user something while the migration runs."""
        self._on_log(str(text))

    def progress(self, items: Iterable[T]) -> Iterator[T]:
        """Yield ``items`` and show how far a long loop has come, on a terminal."""
        total = len(items) if isinstance(items, Collection) else None
        for done, item in enumerate(items):
            self.show_progress(done, total)
            yield item

    def show_progress(self, done: int, total: int | None) -> None:
        """Show on a terminal that ``done`` of ``total`` things are done."""
        self._on_progress(done, total)

    def _staged(self, path: str | os.PathLike[str]) -> Path:
        # Joining keeps an absolute path such as `ctx.claude / "settings.json"` as it is.
        staged = self.claude / path
        part = system.unusable_part(str(staged))
        if part is not None:
            raise ForbiddenStatement(f"No file here can be called {part!r}")
        # No path leads from one of Windows' drives to another.
        is_near = is_inside(os.path.normpath(staged), str(self.project))
        if not is_near or not self.workspace.holds(path_from(str(staged), str(self.claude))):
            raise ForbiddenStatement(f"{path} is not below .claude/", hint=NAME_IT)
        return staged

    def _shown(self, path: str | os.PathLike[str]) -> str:
        """Return a staged path as the user knows it."""
        return named(path_from(str(self._staged(path)), str(self.claude)))

    def _relative(self, path: str | os.PathLike[str]) -> str:
        workspace = self.workspace
        relative = path_from(str(self._staged(path)), str(self.claude))
        live = os.path.realpath(workspace.live(relative))
        if live == workspace.database:
            raise ForbiddenStatement(f"{relative} is the state database", hint="Use ctx.db.")
        # A link's own path would make a second copy of what it leads to.
        real = workspace.path_of(live)
        if real is None:
            raise ForbiddenStatement(f"{relative} leaves .claude/ (to {live})", hint=NAME_IT)
        if is_inside(live, workspace.bookkeeping):
            raise ForbiddenStatement(f"{relative} belongs to plugin-migrate itself")
        return real

    def _existing_database(self, relative: str) -> SideDatabase:
        side = self._side_database(relative)
        if not side.exists:
            raise StepFailed(f"There is no database {named(relative)}")
        return side

    def _side_database(self, relative: str) -> SideDatabase:
        if relative in self._moved:
            raise StepFailed(
                f"The database {relative} was {self._moved[relative]} by this migration",
                hint="Do the rest in a migration of its own.",
            )
        known = self.side_databases.get(relative)
        if known is None:
            from . import file_watch

            with file_watch.looking_away():
                known = self._open(relative)
            self.side_databases[relative] = known
        return known

    def _open(self, relative: str) -> SideDatabase:
        assert self._open_database is not None  # as whoever stages files does
        live = self.workspace.live(relative)
        # A new one's folder may be new as well.
        (self.claude / relative).parent.mkdir(parents=True, exist_ok=True)
        return self._open_database(relative, live, self._copy_path())

    def _copy_path(self) -> str:
        return os.path.join(self._scratch, f"database-{len(self.side_databases)}.sqlite")
