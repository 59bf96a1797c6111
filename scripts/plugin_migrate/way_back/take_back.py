"""Undoing a step without a down: a runner like any language's, for the engine to execute.

It works where a migration's own code would: on the staged files, in the step's transaction and on
copies of further databases. So backup, conflicts, recovery, preview and the ledger's row come with
the engine, as for every step.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass

from ..errors import Call, ChangedSince, StateUnreadable, StepFailed
from ..languages.foreign_key_mode import ForeignKeyMode
from ..plan import TakeBack
from ..platform import system
from ..platform.moving import discard
from ..storage import sqlite
from ..storage.nodes import Node, observe
from ..storage.sqlite import is_environmental
from ..values import NamedTuple
from .images import DatabaseImage, FileImage, Images, Parts, images_in, item_of_file, item_of_table
from .undo import DatabaseUndo

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..sandbox.context import Context
    from ..version import Version
    from ..workspace import Workspace

# How many things that were changed since an error names.
_MOST_SHOWN = 20
_REST = "--changed-since=rest"


@dataclass(frozen=True, slots=True)
class WayBack:
    """The undoing of one step by what was kept of it.

    ``path`` is the file that holds it, ``None`` where the step changed nothing; ``wanted`` says
    what is to be done where something was changed since.
    """

    version: Version
    path: str | None
    images: Images
    wanted: TakeBack
    atomic: bool = True
    foreign_keys: ForeignKeyMode = ForeignKeyMode.CHECKED

    @property
    def touches_files(self) -> bool:
        """Whether there are files, or further databases, to be taken back."""
        return bool(self.images.files) or any(one.path != "" for one in self.images.databases)

    @property
    def source(self) -> str:
        """What is taken back, a line each: there is no text that runs."""
        lines = [f".claude/{one.path}: {_verb(one)}" for one in self.images.files]
        for database in self.images.databases:
            place = database.origin if database.origin is not None else database.path
            name = f".claude/{place}" if place else "the state database"
            if database.origin is None:
                lines.append(f"{name}: removed")
            elif database.path is None:
                lines.append(f"{name}: brought back")
            elif database.origin != database.path:
                lines.append(f".claude/{database.path}: moved to {name}")
            lines += [
                f"{name}: {one.kind} {one.name} {_verb(one)}"
                for one in database.objects
                if one.before != one.after
            ]
            lines += [
                f"{name}: rows of {one.name} as they were"
                for one in database.tables
                if not one.is_whole
            ]
        return "\n".join(["What was kept when it was applied:", *(lines or ["nothing changed"])])

    def require(self, workspace: Workspace) -> None:
        """Return: what runs this has it all."""

    def run(self, context: Context) -> None:
        """Bring back what was there before the step.

        Raises:
            ChangedSince: something was changed since, and nobody said what to do about that.
            StepFailed: what was written since stands in the way.
        """
        from ..sandbox.file_watch import looking_away

        with looking_away(), ExitStack() as stack:
            if self.path is not None:
                kept = stack.enter_context(closing(sqlite.open_closed(self.path)))
                kept.execute("PRAGMA trusted_schema=OFF")
                _Undoing(self, kept, context).run()


def load_way_back(version: Version, path: str | None, digest: str, wanted: TakeBack) -> WayBack:
    """Return the runner for a way back, after making sure that it is what was kept.

    Parameters:
        path: the file that holds it, ``None`` where the step changed nothing.
        digest: of its content, as the ledger has it.

    Raises:
        StateUnreadable: it is something else, or cannot be read.
    """
    if path is None:
        return WayBack(version, None, Images(), wanted)
    try:
        with open(path, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != digest:
            raise ValueError("its content is another")
        with closing(sqlite.open_closed(path)) as connection:
            images = images_in(connection)
    except (OSError, ValueError, sqlite3.Error) as error:
        raise StateUnreadable(
            f"What was kept of {version} is damaged: {system.reason_of(error)}",
            file=path,
            hint="Write a new migration that undoes it, or restore a backup.",
        ) from error
    return WayBack(version, path, images, wanted)


class _Changed(NamedTuple):
    """Something that was changed since the step: ``item`` is what the ledger's notes call it."""

    where: str
    what: str
    item: str
    is_lost: bool = False


class _Undoing:
    def __init__(self, way: WayBack, kept: sqlite3.Connection, context: Context) -> None:
        self._way = way
        self._kept = kept
        self._context = context
        self._is_everything = way.wanted is TakeBack.EVERYTHING
        self._left: set[str] = set()
        self._undos: list[tuple[DatabaseImage, DatabaseUndo | None]] = []

    def run(self) -> None:
        changed = [*self._changed_files(), *self._changed_databases()]
        self._refuse(changed)
        for one in changed:
            if not self._is_everything:
                self._context.log(f"left as it is: {one.where}: {one.what}{self._by(one)}")
        # Databases first: what they leave behind may be a folder that is to go.
        for image, undo in self._undos:
            self._take_back_database(image, undo)
        self._take_back_files()

    def _refuse(self, changed: list[_Changed]) -> None:
        version, count = self._way.version, len(changed)
        if self._is_everything:
            lost = [one for one in changed if one.is_lost]
            if lost:
                raise ChangedSince(
                    f"{version} cannot be taken back whole: {len(lost)} of the things that it"
                    " changed are gone, or others by now",
                    details=self._listed(lost),
                    hint=("Take back the rest: ", Call("downgrade", _REST)),
                )
        elif changed and self._way.wanted is TakeBack.NOTHING:
            raise ChangedSince(
                f"{version} has no down, and {count} of the things that it changed were changed"
                " since",
                details=self._listed(changed),
                hint=(
                    "Leave it all as it is, or choose:\n  ",
                    Call("downgrade", _REST),
                    "   take back the rest\n  ",
                    Call("downgrade", "--changed-since=all"),
                    "    take back everything; a backup is made first",
                ),
            )

    def _listed(self, changed: list[_Changed]) -> tuple[str, ...]:
        lines = [f"{one.where}: {one.what}{self._by(one)}" for one in changed[:_MOST_SHOWN]]
        more = len(changed) - len(lines)
        return (*lines, f"… and {more} more") if more else tuple(lines)

    def _by(self, one: _Changed) -> str:
        """Return who changed something since, as far as the ledger knows."""
        row = self._context.db.execute(
            "SELECT value FROM main.plugin_migrate_facts WHERE name = ?",
            (f"since {self._way.version} {one.item}",),
        ).fetchone()
        return f" by {row[0]}" if row else " outside of these migrations"

    # --- files -----------------------------------------------------------------------------------

    def _staged(self, path: str) -> str:
        return os.path.normpath(os.path.join(self._context.claude, path))

    def _changed_files(self) -> Iterator[_Changed]:
        for image in self._way.images.files:
            now = self._now(image)
            if _is_same(now, image.after) or _is_same(now, image.before):
                continue
            what = "deleted" if now is None else "made" if image.after is None else "changed"
            self._left.add(image.path)
            yield _Changed(f".claude/{image.path}", what, item_of_file(image.path))
        ours = {image.path for image in self._way.images.files}
        for image in self._way.images.files:
            obstacle = self._obstacle(image)
            if obstacle is None or (obstacle in ours and self._is_everything):
                continue
            if obstacle not in ours:
                what = f".claude/{obstacle} was put in its folder's place"
                yield _Changed(f".claude/{image.path}", what, item_of_file(obstacle), is_lost=True)
            if obstacle not in ours or obstacle in self._left:
                self._left.add(image.path)

    def _obstacle(self, image: FileImage) -> str | None:
        """Return the path of what is no folder, and stands where one has to be for a path."""
        folder = os.path.dirname(image.path) if image.before is not None else ""
        while folder and not os.path.lexists(self._staged(folder)):
            folder = os.path.dirname(folder)
        return folder if folder and not os.path.isdir(self._staged(folder)) else None

    def _now(self, image: FileImage) -> Node | None:
        if "link" in {node.kind for node in (image.before, image.after) if node}:
            # The copy holds what a link leads to. Who changes it in this instant is seen later.
            return image.change.observe(self._context.workspace)
        return observe(self._staged(image.path))

    def _take_back_files(self) -> None:
        left = set() if self._is_everything else self._left
        images = [image for image in self._way.images.files if image.path not in left]
        by_depth = sorted(images, key=lambda image: image.path.count("/"))
        for image in reversed(by_depth):
            self._clear(image)
        for image in by_depth:
            self._put(image)
        for image in reversed(by_depth):
            node = image.before
            staged = self._staged(image.path)
            if node is not None and node.kind != "link" and os.path.lexists(staged):
                os.chmod(staged, node.mode)

    def _clear(self, image: FileImage) -> None:
        """Remove what the step put somewhere, unless the same kind of thing belongs there."""
        staged = self._staged(image.path)
        now = observe(staged, through_links=False)
        before = image.before
        if now is None or (before is not None and before.kind == now.kind != "link"):
            return
        if now.kind != "dir":
            os.unlink(staged)
        elif before is not None and self._is_everything:
            discard(staged)
        elif not os.listdir(staged):
            os.rmdir(staged)
        # Somebody's files keep their folder.

    def _put(self, image: FileImage) -> None:
        before, staged = image.before, self._staged(image.path)
        if before is None:
            return
        os.makedirs(os.path.dirname(staged), exist_ok=True)
        if before.kind == "dir":
            os.makedirs(staged, exist_ok=True)
        elif before.kind == "link":
            os.symlink(before.link or "", staged)
        elif image.parts is not None and observe(staged) != before._replace(link=None):
            if os.path.lexists(staged):
                os.unlink(staged)
            self._write(image.parts, staged)

    def _write(self, parts: Parts, path: str) -> None:
        with open(path, "xb") as file:
            for part in range(parts.first, parts.first + parts.number):
                (data,) = self._kept.execute(
                    "SELECT data FROM content WHERE part = ?", (part,)
                ).fetchone()
                file.write(data)

    # --- databases -------------------------------------------------------------------------------

    def _changed_databases(self) -> Iterator[_Changed]:
        for image in self._way.images.databases:
            if image.path is None:
                assert image.origin is not None
                if self._is_there(image.origin):
                    # Whose it is, nobody knows: it is left, whatever is wanted.
                    where = f".claude/{image.origin}"
                    yield _Changed(where, "made", item_of_file(image.origin), is_lost=True)
                else:
                    self._undos.append((image, None))
                continue
            if image.path and not self._is_there(image.path):
                if image.origin is not None:
                    where = f".claude/{image.path}"
                    yield _Changed(where, "gone", item_of_file(image.path), is_lost=True)
                continue
            if image.origin and image.origin != image.path and self._is_there(image.origin):
                where = f".claude/{image.origin}"
                yield _Changed(where, "made", item_of_file(image.origin), is_lost=True)
                continue
            live = self._context.database(image.path) if image.path else self._context.db
            undo = DatabaseUndo(self._kept, live, image)
            found = undo.changes_since()
            place = f".claude/{image.path}, " if image.path else ""
            for change in found:
                name = f"{change.kind} {change.table}" if change.table else "the database"
                where = f"{place}{name}"
                item = item_of_table(image.path, change.table)
                yield _Changed(where, change.what, item, change.is_lost)
            # One that the step made is removed as a whole, or not at all.
            if image.origin is not None or not found or self._is_everything:
                self._undos.append((image, undo))

    def _is_there(self, path: str) -> bool:
        return os.path.lexists(self._context.workspace.live(path))

    def _take_back_database(self, image: DatabaseImage, undo: DatabaseUndo | None) -> None:
        if image.path is None or undo is None:
            assert image.origin is not None
            assert image.parts is not None
            parts, mode = image.parts, image.mode

            def bring(path: str) -> None:
                self._write(parts, path)
                os.chmod(path, mode)

            self._context.bring_database(image.origin, bring)
        elif image.origin is None:
            self._context.remove_database(image.path)
        else:
            try:
                undo.take_back(self._is_everything)
            except sqlite3.Error as error:
                if is_environmental(error):
                    raise
                raise StepFailed(
                    f"What was written since stands in the way: {error}",
                    hint="Correct those rows, or write a new migration that undoes it.",
                ) from error
            if image.origin != image.path:
                self._context.move_database(image.path, image.origin)


def _is_same(now: Node | None, then: Node | None) -> bool:
    """Return whether a staged path is as it was; a file's copy does not show the link to it."""
    if now is None or then is None:
        return now is then
    return now == (then._replace(link=None) if then.kind == "file" else then)


def _verb(image: object) -> str:
    before = getattr(image, "before", None)
    after = getattr(image, "after", None)
    return "removed" if before is None else "brought back" if after is None else "as it was"
