"""Whether rolling database halves back would drop what no commit has.

A rollback saves in files what it takes from the database, and here those files are thrown away: git
has its own. So they have to come out as they would for a database that knows only what git knows.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Sequence

from ..engine.prepare import Prepared
from ..errors import Call, Interrupted, MigrateError, WouldDropRows
from ..languages import load_language
from ..plan import KnownRecord
from ..storage.nodes import observe
from .files import Chooser
from .shadow import Shadow, shadow_for
from .walk import NewWalk, Walk

# A step, and the record that git took back.
Step = tuple[Prepared, KnownRecord]
_LINES_SHOWN = 20
_LARGEST_SHOWN = 1 << 20
_LET_GO = (
    "Nothing was changed. Go back to the commit that has the files, and keep it there; or let it"
    " go:\n  "
)


def refuse_loss(walk: Walk, steps: Sequence[Step], chooser: Chooser, new_walk: NewWalk) -> None:
    """Refuse a rollback that took more from the databases than git's files give back.

    Parameters:
        walk: has taken the steps.
        steps: with the records that git took back.

    Raises:
        WouldDropRows: it did, or nothing can tell.
        Interrupted: a signal arrived.
    """
    try:
        if _is_as_before(walk, steps, chooser):
            return
        with (
            shadow_for(walk.shadow.live, chooser.repository) as forth,
            shadow_for(walk.shadow.live, chooser.repository) as back,
        ):
            forth.take_ours_of(walk.shadow)
            _take(new_walk(forth), [(_opposite(one), record) for one, record in reversed(steps)])
            back.take_ours_of(forth)
            expected = _take(new_walk(back), steps)
            paths = _carried(walk) | _carried(expected)
            different = [
                one for one in sorted(paths) if _digest(walk, one) != _digest(expected, one)
            ]
            if different:
                raise _would_drop(steps, _diffs(expected.shadow, walk.shadow, different))
    except (WouldDropRows, Interrupted):
        raise
    except MigrateError as error:
        why = (f"What git has of it cannot be told: {error.message}", *error.details)
        raise _would_drop(steps, why) from error


def _is_as_before(walk: Walk, steps: Sequence[Step], chooser: Chooser) -> bool:
    """Return whether the files came out as they were before the first of the migrations."""
    before: dict[str, str | None] = {}
    for _, record in steps:
        before |= chooser.read(record).before
    return all(_digest(walk, path) == before.get(path, "") for path in _carried(walk))


def _take(walk: Walk, steps: Iterable[Step]) -> Walk:
    for prepared, record in steps:
        walk.run(prepared, record)
    return walk


def _opposite(prepared: Prepared) -> Prepared:
    """Return the step up of a migration that is rolled back."""
    migration = prepared.migration
    action = load_language(migration.language).prepare(migration.text or "", migration.path, "up")
    return prepared._replace(direction="up", metadata="{}", action=action)


def _carried(walk: Walk) -> set[str]:
    return set(walk.noted.files) - walk.shadow.ours(walk.noted.files)


def _digest(walk: Walk, path: str) -> str | None:
    node = observe(os.path.join(walk.shadow.workspace.claude, path))
    return node.sha256 or node.kind if node is not None else None


def _diffs(expected: Shadow, shadow: Shadow, paths: Iterable[str]) -> Sequence[str]:
    lines = [line for path in paths for line in _diff(expected, shadow, path)]
    more = len(lines) - _LINES_SHOWN
    return [*lines[:_LINES_SHOWN], f"… {more} more line(s)"] if more > 0 else lines


def _diff(expected: Shadow, shadow: Shadow, path: str) -> list[str]:
    git, here = (_lines(os.path.join(one.workspace.claude, path)) for one in (expected, shadow))
    if git is None or here is None:
        return [f"{path} would be another"]
    names = (f"{path} as git has it", f"{path} with what the database has")
    return list(difflib.unified_diff(git, here, *names, n=1, lineterm=""))


def _lines(path: str) -> list[str] | None:
    if not os.path.isfile(path):
        return []
    if os.path.getsize(path) > _LARGEST_SHOWN:
        return None
    with open(path, "rb") as file:
        try:
            return file.read().decode().splitlines()
        except UnicodeDecodeError:
            return None


def _would_drop(steps: Sequence[Step], details: Iterable[str]) -> WouldDropRows:
    versions = ", ".join(str(prepared.version) for prepared, _ in steps)
    return WouldDropRows(
        f"Git took back the files of {versions}, and the database half has what is in no commit",
        details=tuple(details),
        hint=(
            _LET_GO,
            Call("sync", "--drop-rows"),
            "   roll the database back; its backup keeps what is dropped",
        ),
    )
