"""Finishing or discarding what a killed command left behind.

Runs at the start of every command that may write, under the run lock (design, "Recovery"). A log
with its row is published; a log without a row whose publishing never started is discarded;
everything else only the user can decide.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass

from ..errors import Call, MigrateError, NeedsRepair, Unpublished
from ..ledger.read import Publish, read_ledger
from ..platform import system
from ..platform.moving import discard
from ..storage import sqlite
from ..storage.translation import way_out
from ..version import Version
from ..workspace import Workspace
from .publish import bring_edits_back, has_arrived, has_started, holds_edits, publish
from .redo_log import Log, Manifest, logs
from .transaction import in_own_transaction


@dataclass(frozen=True, slots=True)
class Unsettled:
    """A step whose files recovery must not touch on its own.

    ``why`` is one sentence; ``paths`` are relative to ``.claude/``; ``log`` and ``row`` are what
    is left of it, ``manifest`` what they hold if that can still be read; ``way_out`` says what
    would let recovery go on by itself.
    """

    why: str
    version: Version | None
    paths: tuple[str, ...]
    log: Log | None
    row: Publish | None
    manifest: Manifest | None = None
    way_out: str | None = None


def recover(workspace: Workspace, done_by: str) -> tuple[Unsettled, ...]:
    """Finish what can be finished and return what the user must decide.

    The run lock must be held.

    Raises:
        StateUnreadable, Busy: the state cannot be read or written.
    """
    discard(workspace.scratch)
    left_logs = logs(workspace)
    rows = {row.id: row for row in read_ledger(workspace, sqlite.read_to_write).publishes}
    try:
        problems = [
            _settle_log(workspace, done_by, log, rows.pop(log.id, None)) for log in left_logs
        ]
        problems += [_settle_row(workspace, done_by, row) for row in rows.values()]
    finally:
        discard(workspace.scratch)
    return tuple(problem for problem in problems if problem is not None)


def refuse(workspace: Workspace, unsettled: tuple[Unsettled, ...]) -> None:
    """Stop a writing command while something waits for the user's decision.

    Raises:
        NeedsRepair: names the first problem, its files and the ways out.
    """
    if not unsettled:
        return
    first = unsettled[0]
    raise NeedsRepair(
        first.why,
        details=tuple(map(workspace.named, first.paths)),
        hint=(
            f"{first.way_out}\nOr decide" if first.way_out else "Decide",
            " for the files above, then go on:\n  ",
            Call("repair", "--keep-live"),
            "       keep them as they are now\n  ",
            Call("repair", "--take-migrated"),
            "   replace them by the migration's result",
        ),
    )


def decide(workspace: Workspace, done_by: str, problem: Unsettled, take_migrated: bool) -> None:
    """Carry out the user's decision about one problem, and note it in the history.

    Parameters:
        take_migrated: replace the live files by the migration's result; else keep them.

    Raises:
        NeedsRepair: the migration's result is lost or was never committed.
    """
    if take_migrated:
        if problem.log is None or problem.row is None or problem.manifest is None:
            raise NeedsRepair(
                "The migration's result cannot be taken: "
                + ("it was never committed" if problem.row is None else "its redo log is gone"),
                hint=("Keep the live files: ", Call("repair", "--keep-live")),
            )
        kept = publish(workspace, problem.log, problem.manifest, force=True)
        if kept:
            raise NeedsRepair(
                f"{len(kept)} of the migration's file(s) cannot be put in place",
                details=tuple(map(workspace.named, kept)),
                hint="Move what stands there out of the way, then try again.",
            )
    elif problem.log is not None and problem.manifest is not None:
        bring_edits_back(workspace, problem.log, problem.manifest)
    finish(workspace, done_by, problem.log, problem.row)
    how = "took the migrated files" if take_migrated else "kept the live files"
    in_own_transaction(
        workspace,
        done_by,
        lambda ledger: ledger.log("repair", "done", problem.version, f"{how}: {problem.why}"),
    )


def finish(workspace: Workspace, done_by: str, log: Log | None, row: Publish | None) -> None:
    """Close a publish whose files have all arrived; in this order no crash can replay it."""
    if log is not None:
        log.close()
    if row is not None:
        in_own_transaction(workspace, done_by, lambda ledger: ledger.remove_publish(row.id))
    if log is not None:
        discard(log.folder)


def _settle_log(
    workspace: Workspace, done_by: str, log: Log, row: Publish | None
) -> Unsettled | None:
    if log.is_done or (row is None and not log.is_finished):
        finish(workspace, done_by, log, row)
        return None
    version = row.version if row else None
    manifest = None
    try:
        manifest = _manifest_of(log, row)
        if row is None:
            return _settle_orphan(workspace, done_by, log, manifest)
        kept = publish(workspace, log, manifest)
    except NeedsRepair as error:
        return Unsettled(error.message, version, (), log, row, manifest)
    except ValueError as error:
        why = f"The record of migration {version}'s files is damaged: {error}"
        return Unsettled(why, version, (), log, row, manifest)
    except OSError as error:
        return _obstructed(workspace, error, log, row, manifest)
    if kept:
        why = (
            f"Migration {version} is committed, but somebody edited {len(kept)} of its file(s)"
            " before they were in place"
        )
        return Unsettled(why, version, tuple(kept), log, row, manifest)
    finish(workspace, done_by, log, row)
    return None


def _manifest_of(log: Log, row: Publish | None) -> Manifest:
    """Return what a log publishes, which must be what its step committed.

    Raises:
        NeedsRepair, ValueError: it is not, or one of the two is damaged.
    """
    manifest = log.manifest()
    if row is not None and manifest != Manifest.from_json(row.manifest):
        raise NeedsRepair("A redo log is not the one its step committed")
    return manifest


def _obstructed(
    workspace: Workspace,
    error: OSError,
    log: Log,
    row: Publish | None,
    manifest: Manifest | None,
) -> Unsettled:
    """Return a step that the system does not let recovery finish: permissions, a broken disk."""
    path = error.filename if isinstance(error.filename, str) else workspace.claude
    what = "is committed, but cannot be finished" if row else "did not commit, but cannot be undone"
    inside = workspace.path_of(path)
    version = manifest.version if manifest else row and row.version
    return Unsettled(
        f"Migration {version} {what}: {system.reason_of(error)}",
        version,
        (inside,) if inside is not None else (),
        log,
        row,
        manifest,
        way_out(error, path),
    )


def _settle_orphan(
    workspace: Workspace, done_by: str, log: Log, manifest: Manifest
) -> Unsettled | None:
    """A log without a row: the step never committed, unless the database was put back since."""
    if not has_started(workspace, manifest) and not holds_edits(log, manifest):
        finish(workspace, done_by, log, None)
        return None
    why = (
        f"Files of migration {manifest.version} are in place, but the database knows nothing of"
        " it: was the database restored?"
    )
    return Unsettled(why, manifest.version, _paths(manifest), log, None, manifest)


def _settle_row(workspace: Workspace, done_by: str, row: Publish) -> Unsettled | None:
    """A row without a log: all its files arrived, or somebody deleted the bookkeeping."""
    try:
        manifest = Manifest.from_json(row.manifest)
        if has_arrived(workspace, manifest):
            finish(workspace, done_by, None, row)
            return None
    except OSError as error:
        why = f"Migration {row.version} cannot be finished: {system.reason_of(error)}"
        return Unsettled(why, row.version, (), None, row, None, way_out(error, error.filename))
    except (ValueError, MigrateError) as error:
        why = f"The record of migration {row.version}'s files is damaged: {error}"
        return Unsettled(why, row.version, (), None, row)
    why = (
        f"Migration {row.version} is committed, but its files are not all in place and its redo"
        " log is gone: was .claude/.plugin-migrate deleted, or the database restored?"
    )
    return Unsettled(why, row.version, _paths(manifest), None, row, manifest)


def _paths(manifest: Manifest) -> tuple[str, ...]:
    return tuple(entry.path for entry in manifest.entries) + tuple(
        database.path for database in manifest.databases
    )


def publish_committed(
    workspace: Workspace, done_by: str, log: Log, manifest: Manifest, arrived: frozenset[str]
) -> None:
    """Put in place what a step has just committed (design, "The commit protocol", clause 7).

    Parameters:
        arrived: further databases that were published with the commit.

    Raises:
        Unpublished: not everything is in place yet, or it is beside what somebody edited.
    """
    left = tuple(entry for entry in manifest.databases if entry.path not in arrived)
    try:
        kept = publish(workspace, log, manifest._replace(databases=left))
        if kept:
            refuse(workspace, recover(workspace, done_by))
            # Nothing is left to decide: everything is in place, and the edits are beside it.
            raise NeedsRepair(
                f"Migration {manifest.version} is committed, but somebody edited {len(kept)} of"
                " its file(s) before they were in place",
                details=tuple(map(workspace.named, kept)),
                hint="What was saved stands beside them, as *.edited-*: nothing is lost.",
            )
        row = publish_row(workspace, manifest)
        finish(workspace, done_by, log, row)
    except OSError as error:
        raise Unpublished(
            "The step is committed, but its files are not all in place yet:"
            f" {system.reason_of(error)}",
            file=error.filename,
            hint=f"{_remedy(error)}; the next command finishes it.",
        ) from error
    except NeedsRepair as error:
        raise Unpublished(
            error.message, file=error.file, details=error.details, hint=error.hint
        ) from error
    except MigrateError as error:
        raise Unpublished(
            f"The step is committed, but could not be finished: {error.message}",
            file=error.file,
            hint="The next command finishes it.",
        ) from error


def _remedy(error: OSError) -> str:
    if error.errno == errno.EBUSY:
        return "Close that program"
    return "Free some space or correct the permissions"


def publish_row(workspace: Workspace, manifest: Manifest) -> Publish:
    """Return the ledger's row of a step whose files are still to be published."""
    project = workspace.project
    return Publish(manifest.id, manifest.version, project, manifest.to_json())
