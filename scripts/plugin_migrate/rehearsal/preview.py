"""What a plan or a repair would do, shown by running it on a shadow copy of the whole state.

The commands that run here are the real ones; only the workspace is another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..ledger.schema import ledger_tables
from ..operations import migrate
from ..operations.migrate import Run
from ..operations.repair import Decisions, Repair, database_to_take, repair
from ..report import Reporter
from ..sandbox.live_paths import name_live
from ..storage.backups import Backup, Saved, list_backups
from ..storage.nodes import PathChange, kind_of
from ..storage.state_tree import holds_database
from ..survey import Planner
from ..version import Version
from ..workspace import BESIDE, Workspace
from .difference import DatabaseDifference, database_difference, read_text, text_difference
from .shadow import shadow_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..following.choices import Choices

_LINES_SHOWN = 200


@dataclass(frozen=True, slots=True)
class FileDifference:
    """What a plan does to one file.

    ``lines`` are its unified diff, of which ``cut`` further ones are not shown. A file that is not
    text has no lines, only nodes.
    """

    change: PathChange
    lines: tuple[str, ...]
    cut: int


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What a plan would do. ``run``, on the copy, carries the error a real run would give."""

    run: Run
    files: tuple[FileDifference, ...]
    databases: tuple[DatabaseDifference, ...]


def preview(
    workspace: Workspace,
    planner: Planner,
    command: str,
    reporter: Reporter | None = None,
    choices: Choices | None = None,
) -> Rehearsed:
    """Run a plan on a shadow copy and return what it would change.

    The differences come from the backup that the run makes as every run does: it holds what each
    step was about to change.

    Raises:
        MigrateError: what the real run would say before its first step.
    """
    with shadow_of(workspace) as shadow:
        told = reporter or Reporter()
        run = migrate.run(shadow, planner, command, "rehearsal", told, 0, choices=choices)
        if run.error is not None:
            name_live(run.error, shadow)
        backups = list_backups(shadow)
        if not backups:
            return Rehearsed(run, (), ())
        backup = backups[0]
        files, made = _file_differences(shadow, backup)
        databases = [_state_difference(shadow, backup, run.written), *made]
        databases += [
            database_difference(
                backup.content(saved.content), shadow.live(saved.path), _name(saved.path)
            )
            for saved in backup.databases
        ]
        changed = tuple(item for item in databases if not item.is_empty)
        return Rehearsed(run, files, changed)


def preview_repair(
    workspace: Workspace, versions: Sequence[Version], decisions: Decisions
) -> list[Repair]:
    """Return what a repair would settle; the live state stays as it is.

    Whose the database is comes first: until that is settled, nothing else can be looked at.

    Raises:
        MigrateError: what the real repair would say.
    """
    taken = database_to_take(workspace) if decisions.take_database else None
    if taken is not None:
        return [Repair(None, taken)]
    with shadow_of(workspace) as shadow:
        here = decisions._replace(take_database=False)
        return repair(shadow, versions, here, "rehearsal", 0)


def _state_difference(
    shadow: Workspace, backup: Backup, written: frozenset[str] | None
) -> DatabaseDifference:
    ignored = ledger_tables(shadow.config.ledger_table)
    before = backup.state if backup.has_state else None
    name = shadow.shown(shadow.database)
    return database_difference(before, shadow.database, name, ignored, written)


def _file_differences(
    shadow: Workspace, backup: Backup
) -> tuple[tuple[FileDifference, ...], list[DatabaseDifference]]:
    files, databases = [], []
    for saved in sorted(backup.files, key=lambda saved: saved.path):
        live = shadow.live(saved.path)
        if saved.change.before is None and holds_database(live):
            databases.append(database_difference(None, live, _name(saved.path)))
        else:
            difference = _file_difference(shadow, saved, backup)
            if difference is not None:
                files.append(difference)
    return tuple(files), databases


def _name(path: str) -> str:
    """Return a path of the state for a diff, in which nothing leads upwards."""
    return path.removeprefix(BESIDE)


def _file_difference(shadow: Workspace, saved: Saved, backup: Backup) -> FileDifference | None:
    change = saved.change._replace(after=saved.change.observe(shadow))
    if change.after == change.before:
        return None
    lines: tuple[str, ...] = ()
    is_file = kind_of(change.after) == "file"
    old = read_text(backup.content(saved.content)) if saved.content else None
    new = read_text(shadow.live(saved.path)) if is_file else None
    is_text = (old is not None or saved.content is None) and (new is not None or not is_file)
    if is_text and old != new:
        lines = text_difference(old, new, _name(saved.path))
    shown = lines[:_LINES_SHOWN]
    return FileDifference(change, shown, len(lines) - len(shown))
