"""Writing down everything that a step changed: files, the state database and further ones."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack, closing

from ..errors import StateUnreadable
from ..ledger.schema import ledger_tables
from ..storage import sqlite
from ..storage.nodes import PathChange
from ..workspace import Workspace
from . import marks
from .capture import TooLarge, WayBackFile, capture_database, empty_database
from .images import DatabaseImage, FileImage, Images
from .tables import Unkeepable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..engine.side_database import SideDatabase
    from ..engine.transaction import Transaction


def keep_step(
    path: str,
    largest: int,
    transaction: Transaction,
    changes: Iterable[PathChange],
    sides: Collection[SideDatabase],
) -> Images | str:
    """Keep what a step is about to change in a new file, and bring that to the disk.

    Parameters:
        path: of the file; where nothing is kept, there is none afterwards.
        largest: how many bytes it may have.
        transaction: holds what the step did to the state database.
        changes: what it did to files.
        sides: further databases that it asked for.

    Returns:
        What is kept, perhaps nothing; or the reason why it cannot be, one of those in ``marks``.

    Raises:
        StateUnreadable, Busy, sqlite3.Error, OSError: it cannot be read or written.
    """
    file = WayBackFile(path, largest)
    try:
        images = _capture(file, transaction, changes, sides)
        if not images.is_empty:
            file.finish(images)
            return images
    except (Unkeepable, TooLarge) as error:
        file.give_up()
        return marks.TOO_LARGE if isinstance(error, TooLarge) else marks.UNREADABLE
    except sqlite3.Error as error:
        file.give_up()
        if _matters(error):
            raise
        return marks.UNREADABLE
    except BaseException:
        file.give_up()
        raise
    file.give_up()
    return images


def _capture(
    file: WayBackFile,
    transaction: Transaction,
    changes: Iterable[PathChange],
    sides: Collection[SideDatabase],
) -> Images:
    databases = [image for side in sides for image in _side_images(file, side)]
    paths = {path for one in databases for path in (one.path, one.origin)}
    files = [
        _image_of(transaction.workspace, file, change)
        for change in changes
        if change.path not in paths
    ]
    state = _capture_state(file, transaction)
    if not state.is_empty:
        databases.append(state)
    return Images(tuple(files), tuple(databases))


def _capture_state(file: WayBackFile, transaction: Transaction) -> DatabaseImage:
    ignored = ledger_tables(transaction.workspace.config.ledger_table)
    with closing(transaction.open_earlier()) as earlier:
        earlier.execute("PRAGMA trusted_schema=OFF")
        earlier.execute("BEGIN")
        return capture_database(
            file,
            earlier,
            transaction.connection,
            transaction.latest_written,
            ignored,
            DatabaseImage("", ""),
        )


def _image_of(workspace: Workspace, file: WayBackFile, change: PathChange) -> FileImage:
    before = change.before
    live = workspace.live(change.path)
    if before is not None and before.kind == "link":
        target = os.path.join(os.path.dirname(live), before.link or "")
        if workspace.path_of(os.path.realpath(target)) is None:
            raise Unkeepable(f"{change.path} led out of the state, where no step may lead one")
    if before is not None and change.after is not None and change.after.kind == "link":
        # The copy of a step holds what the link leads to: nobody could take the link away.
        raise Unkeepable(f"{change.path} became a link")
    if before is None or before.kind != "file":
        return FileImage(change)
    first = file.next_part
    digest = hashlib.sha256()
    with open(live, "rb") as original:
        for data in file.add_content(original):
            digest.update(data)
    if digest.hexdigest() != before.sha256:
        raise StateUnreadable(
            f"{change.path} was changed by somebody else while it was kept",
            file=live,
            hint="Nothing was changed. Run the command again.",
        )
    return FileImage(change, file.parts_since(first))


def _side_images(file: WayBackFile, side: SideDatabase) -> Iterator[DatabaseImage]:
    """Yield what a step did to a further database, if anything."""
    path, origin = side.place_after, side.place_before
    if path is None and origin is None:
        return
    if side.began_empty:
        raise Unkeepable("an empty file stood where it made a database")
    if path is None:
        with open(side.live_before, "rb") as original:
            first = file.next_part
            for _ in file.add_content(original):
                pass
        mode = side.mode_before
        yield DatabaseImage(None, origin, parts=file.parts_since(first), mode=mode)
        return
    with ExitStack() as stack:
        before = stack.enter_context(
            empty_database() if origin is None else closing(side.open_before())
        )
        after = stack.enter_context(closing(side.open_after()))
        for connection in (before, after):
            connection.execute("PRAGMA trusted_schema=OFF")
        written = side.authorizer.written
        image = capture_database(file, before, after, written, (), DatabaseImage(path, origin))
    if not image.is_empty:
        yield image


def _matters(error: sqlite3.Error) -> bool:
    """Return whether an error is about the disk, other programs or a signal, not the content."""
    is_interrupt = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT
    return is_interrupt or sqlite.is_environmental(error) or sqlite.is_busy(error)
