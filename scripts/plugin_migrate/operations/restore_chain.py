"""What a restore goes back over: the chosen backup and every later one, and why it may not."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

from ..errors import Call, Conflict, MigrateError, StateUnreadable, UsageError
from ..storage import sqlite
from ..storage.backups import Backup, Damaged, Saved, SavedDatabase, Shelf, made_at
from ..storage.live_database import digest_of_closed, digest_of_live
from ..storage.nodes import observe
from ..workspace import Workspace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    T = TypeVar("T", Saved, SavedDatabase)
    Span = tuple[Backup, Saved, Saved]
    DatabaseSpan = tuple[Backup, SavedDatabase, SavedDatabase]


def chain_of(shelf: Shelf, backup_id: str) -> tuple[list[Backup], list[str]]:
    """Return the chosen backup and every later one, the newest first; and what is missing there.

    Every run has the next number, so a number that nobody has belongs to a backup that is gone.
    """
    for number, backup in enumerate(shelf.backups):
        if backup.id == backup_id:
            chain = list(shelf.backups[: number + 1])
            break
    else:
        raise _unusable(shelf, backup_id)
    since = [one for one in shelf.damaged if made_at(one.id) > made_at(backup_id)]
    gaps = [f"{one.id}: {one.why}" for one in since]
    for newer, older in pairwise(chain):
        between = [one for one in since if made_at(older.id) < made_at(one.id) < made_at(newer.id)]
        if newer.sequence - older.sequence != 1 and not between:
            gaps.append(f"between {older.id} and {newer.id}: gone")
    return chain, gaps


def _unusable(shelf: Shelf, backup_id: str) -> MigrateError:
    for damaged in shelf.damaged:
        if damaged.id == backup_id:
            return StateUnreadable(
                f"The backup {backup_id} is damaged: {damaged.why}",
                hint=("Nothing was changed. Choose another backup: ", Call("restore")),
            )
    return UsageError(
        f"There is no backup {backup_id}",
        hint=("List them with: ", Call("restore")),
    )


def spans_of(
    chain: Sequence[Backup], kept: Callable[[Backup], Iterable[T]]
) -> dict[str, tuple[Backup, T, T]]:
    """Return for every path what stood there before the oldest run, and what the newest left.

    A path whose oldest run kept no content (``--no-backup``) is not among them: it stays as it is.

    Parameters:
        kept: what one backup keeps, files or databases.
    """
    spans: dict[str, tuple[Backup, T, T]] = {}
    for backup in chain:
        for saved in kept(backup):
            newest = spans[saved.path][2] if saved.path in spans else saved
            spans[saved.path] = (backup, saved, newest)
    return {path: span for path, span in spans.items() if span[0].is_complete}


def refuse_gaps(
    chain: Sequence[Backup], missing: Sequence[str], damaged: Sequence[Damaged]
) -> None:
    """Refuse to go back over runs that left no backup, or none that can be read.

    Raises:
        Conflict: lists them.
    """
    gaps = [backup for backup in chain if not backup.is_complete]
    if gaps:
        raise Conflict(
            f"{len(gaps)} run(s) since then kept no backup (--no-backup), so their files would"
            " stay as they are",
            details=tuple(f"{gap.id} ({gap.command} at {gap.created_at})" for gap in gaps),
            hint=("To go back all the same: ", _by_force(chain[-1].id)),
        )
    if missing:
        raise Conflict(
            "Backups of runs since then are damaged or gone, so the files of those runs would stay"
            " as they are",
            details=tuple(missing),
            hint=(
                *_what_can_be(chain, damaged),
                "To go back all the same, to files of several versions: ",
                _by_force(chain[-1].id),
            ),
        )


def _what_can_be(chain: Sequence[Backup], damaged: Sequence[Damaged]) -> tuple[str | Call, ...]:
    """Return what names the oldest backup that can be restored without what is missing."""
    latest = max((made_at(one.id) for one in damaged), default=("", 0))
    usable = None
    for number, backup in enumerate(chain[:-1]):
        is_next = number == 0 or chain[number - 1].sequence - backup.sequence == 1
        if not is_next or made_at(backup.id) <= latest:
            break
        usable = backup.id
    return ("What can be restored whole: ", Call("restore", usable), "\n") if usable else ()


def _by_force(backup_id: str) -> Call:
    return Call("restore", f"{backup_id} --force")


def refuse_damaged(
    files: Iterable[Span], databases: Iterable[DatabaseSpan], chosen: Backup
) -> None:
    """Refuse a backup whose contents are not what was kept, before anything is changed."""
    for backup, oldest, _ in files:
        if oldest.content is None or oldest.change.before is None:
            continue
        path = backup.content(oldest.content)
        kept = observe(path, through_links=False)
        if kept is None or kept.sha256 != oldest.change.before.sha256:
            raise _damaged(path)
    copies = [backup.content(oldest.content) for backup, oldest, _ in databases]
    for path in [*copies, *([chosen.state] if chosen.has_state else [])]:
        if not _is_sound(path):
            raise _damaged(path)


def _is_sound(path: str) -> bool:
    try:
        connection = sqlite.open_for_reading(path)
        try:
            verdict: str = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            return verdict == "ok"
        finally:
            connection.close()
    except sqlite3.Error:
        return False


def _damaged(path: str) -> StateUnreadable:
    return StateUnreadable(
        "The backup is damaged: this part is not what was kept",
        file=path,
        hint=("Nothing was changed. Choose another backup: ", Call("restore")),
    )


def refuse_edits(
    workspace: Workspace,
    files: dict[str, Span],
    databases: dict[str, DatabaseSpan],
    backup_id: str,
    scratch: str,
) -> None:
    """Refuse to overwrite what somebody edited since.

    Parameters:
        scratch: a folder for copies of databases.

    Raises:
        Conflict: lists it.
    """
    edited = [
        path
        for path, (_, oldest, newest) in files.items()
        if newest.change.observe(workspace) != newest.change.after
        and oldest.change.observe(workspace) != oldest.change.before
    ]
    for path, (backup, oldest, newest) in databases.items():
        now = digest_of_live(workspace.live(path), scratch)
        if now not in (newest.after, digest_of_closed(backup.content(oldest.content))):
            edited.append(path)
    if edited:
        raise Conflict(
            f"{len(edited)} file(s) were edited since",
            details=tuple(map(workspace.named, sorted(edited))),
            hint=("To overwrite them (they are backed up first): ", _by_force(backup_id)),
        )
