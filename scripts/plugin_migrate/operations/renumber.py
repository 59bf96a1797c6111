"""Giving a migration another version: its file, what names it, and its ledger row, as one unit.

Between the new name and the new row a migration would be pending once more, and be run twice. So
both go through the commit protocol of a step: redo log, commit, publish (design, "The commit
protocol"), and recovery finishes what a kill interrupts.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from ..engine import recovery
from ..engine.backup import BackupWriter
from ..engine.compare import refuse_unpublishable
from ..engine.redo_log import LogWriter
from ..engine.transaction import in_own_transaction, make_ledger
from ..errors import Call, PlanRefused, StateUnreadable, UnknownTarget, UsageError, VersionExists
from ..languages import language_of, load_language
from ..ledger.record import known_in, renamed
from ..ledger.write import LedgerWriter
from ..migration import (
    Migration,
    checksum_of,
    decode_source,
    describe,
    metadata_text,
    parse_name,
    read_source,
)
from ..plan import Applied, State
from ..sandbox.signals import Signals
from ..storage.durable import make_folder
from ..storage.files import discard
from ..storage.nodes import PathChange, observe
from ..storage.translation import explaining
from ..survey import Survey
from ..values import NamedTuple
from ..version import Version
from ..workspace import Workspace, is_inside
from .writing import recovered, writing

# Where a migration's text may repeat its version, up to the version itself.
_VERSION_IN_SQL = r"""^(--[ \t]*version[ \t]*:[ \t]*["']?)"""
_VERSION_IN_PYTHON = r"""^(version[ \t]*(?::[^=\n]*)?=[ \t]*["'])"""
_VERSION_IN_JAVASCRIPT = r"""(\bversion["']?[ \t]*:[ \t]*["'`])"""
_REPEATED = {"sql": _VERSION_IN_SQL, "python": _VERSION_IN_PYTHON}


@dataclass(frozen=True, slots=True)
class Renumbered:
    """What became of one migration.

    ``old`` and ``new`` are absolute paths; ``rewritten`` those of other files whose text named it,
    and ``still_naming`` those of applied migrations, whose text stays as it was applied.
    """

    version: Version
    old: str
    new: str
    is_applied: bool
    rewritten: tuple[str, ...]
    still_naming: tuple[str, ...]


def renumber(
    workspace: Workspace, which: str, to: Version | None, done_by: str, lock_timeout: float
) -> Renumbered:
    """Give a migration another version.

    Parameters:
        which: the name of its file; or its version, by which a file that is not applied comes
            before one that is.
        to: the new version; the next one above all that there are when ``None``.

    Raises:
        UnknownTarget, UsageError: no file is meant, or more than one.
        VersionExists: the new version is taken.
        PlanRefused: the migration is modified or interrupted.
        BrokenMigration, InvalidVersion: its file would be no migration under the new name.
        StateUnreadable: its folder is not in the state, or something cannot be written.
        Unpublished: it is done, and not all files are in place.
    """
    with writing(workspace, "renumber", lock_timeout) as signals:
        return _renumber(recovered(workspace, done_by), which, to, done_by, signals)


def _renumber(
    seen: Survey, which: str, to: Version | None, done_by: str, signals: Signals
) -> Renumbered:
    file = _meant(seen, which)
    version = _new_version(seen, to)
    staging = _Staging(seen.workspace, file.name, version)

    def write(ledger: LedgerWriter) -> None:
        if file.applied is not None:
            metadata = metadata_text(describe(migration))
            ledger.renumber(file.applied.version, migration, metadata)
            if known is not None:
                ledger.note_record(version, known)
        what = f"{file.name} is {os.path.basename(migration.path)} now"
        ledger.log("renumber", "done", version, what)

    try:
        with explaining("The migration cannot be renumbered"):
            migration = staging.move(file.applied)
            staging.rename_in_others(seen)
            record = renamed(seen.workspace, file.name.rpartition(".")[0], migration)
            staging.changes |= record
            known = known_in(record)
            _commit(seen, staging.changes, version, write, done_by, signals)
    finally:
        discard(seen.workspace.scratch)
    return Renumbered(
        version,
        staging.old,
        staging.new,
        file.applied is not None,
        tuple(staging.rewritten),
        tuple(staging.still_naming),
    )


# --- which ----------------------------------------------------------------------------------------


class _File(NamedTuple):
    name: str
    version: Version | None
    applied: Applied | None = None


def _files(seen: Survey) -> Iterator[_File]:
    for entry in seen.entries:
        if entry.migration is not None:
            yield _File(os.path.basename(entry.migration.path), entry.version, entry.applied)
    for one in seen.refused:
        yield _File(one.name, one.version)


def _meant(seen: Survey, which: str) -> _File:
    if language_of(which) is not None:
        files = [file for file in _files(seen) if file.name == os.path.basename(which)]
    else:
        version = Version.parse(which)
        files = [file for file in _files(seen) if file.version == version]
        files = [file for file in files if file.applied is None] or files
    if not files:
        raise UnknownTarget(f"There is no migration file {which}", hint=("See: ", Call("status")))
    if len(files) > 1:
        names = sorted(file.name for file in files)
        raise UsageError(
            f"{len(files)} files have version {which}: {', '.join(names)}",
            hint=("Say which, by its name: ", Call("renumber", shlex.quote(names[-1]))),
        )
    states = {entry.version: entry.state for entry in seen.entries if files[0].applied}
    state = states.get(files[0].version or Version(0, 0, 0))
    if state in (State.MODIFIED, State.INTERRUPTED):
        raise PlanRefused(
            f"Migration {files[0].version} is {state.value}",
            hint=("Settle that first; see: ", Call("status")),
        )
    return files[0]


def _new_version(seen: Survey, to: Version | None) -> Version:
    taken = {entry.version for entry in seen.entries}
    taken |= {one.version for one in seen.refused if one.version is not None}
    # Parsed, because a number has its limit.
    following = Version.parse(str(max(taken).bump("patch"))) if taken else Version(1, 0, 0)
    if to is not None and (to in taken or to == Version(0, 0, 0)):
        raise VersionExists(f"Version {to} is taken", hint=f"The next free one is {following}.")
    return to or following


# --- texts ----------------------------------------------------------------------------------------


class _Staging:
    """The files that are to change, with their new texts in the scratch folder.

    Parameters:
        workspace: whose migrations.
        name: the migration's file.
        version: its new version.

    Raises:
        StateUnreadable: the folder is outside ``.claude/``.
        BrokenMigration, InvalidVersion, VersionExists: the new name cannot be.
    """

    def __init__(self, workspace: Workspace, name: str, version: Version) -> None:
        folder = os.path.realpath(workspace.migrations)
        if not is_inside(folder, workspace.claude):
            raise StateUnreadable(
                "The migrations folder is outside .claude/, beyond what changes as one unit",
                file=workspace.migrations,
                hint="A migration that is applied nowhere is renumbered by renaming its file.",
            )
        stem, _, ending = name.rpartition(".")
        new_name = f"{version}-{stem.partition('-')[2]}.{ending}"
        self.old, self.new = os.path.join(folder, name), os.path.join(folder, new_name)
        parse_name(new_name, self.old)
        if os.path.lexists(self.new):
            raise VersionExists("The file exists already", file=self.new)
        self.changes: dict[PathChange, str] = {}
        self.rewritten: list[str] = []
        self.still_naming: list[str] = []
        self._workspace = workspace
        self._folder = folder
        self._version = version
        self._new_stem = new_name.rpartition(".")[0]
        self._named = re.compile(rf"(?<![\w.-]){re.escape(stem)}(?![\w-])")

    def move(self, applied: Applied | None) -> Migration:
        """Stage the migration under its new name, and return it."""
        text = _read(self.old)
        language = language_of(self.old) or ""
        said = load_language(language).parse(text.removeprefix("\ufeff"), self.old).version
        if said is not None:
            place = _REPEATED.get(language, _VERSION_IN_JAVASCRIPT) + re.escape(said)
            text = re.sub(place, rf"\g<1>{self._version}", text, count=1, flags=re.MULTILINE)
        text = self._named.sub(self._new_stem, text)
        content = text.encode()
        migration = Migration(
            self._version,
            self._new_stem.partition("-")[2],
            language,
            self.new,
            checksum_of(content),
            decode_source(content, self.old),
        )
        describe(migration._replace(path=self.old))  # refuses one that says another version
        self._change(self.old, None)
        self._change(self.new, content)
        return migration

    def rename_in_others(self, seen: Survey) -> None:
        """Stage the other files of the folder that name the migration; applied ones only note."""
        applied = {
            os.path.basename(entry.migration.path)
            for entry in seen.entries
            if entry.migration is not None and entry.applied is not None
        }
        for name in sorted(os.listdir(self._folder)):
            path = os.path.join(self._folder, name)
            node = observe(path, through_links=False)
            is_text = language_of(name) is not None and node is not None and node.kind == "file"
            if path == self.old or not is_text or not self._named.search(_read(path)):
                continue
            if name in applied:
                self.still_naming.append(path)
            else:
                self._change(path, self._named.sub(self._new_stem, _read(path)).encode())
                self.rewritten.append(path)

    def _change(self, path: str, content: bytes | None) -> None:
        """Stage new content for ``path``; ``None`` removes what is there."""
        before = observe(path, through_links=False)
        inside = os.path.relpath(path, self._workspace.claude)
        if before is not None and before.kind != "file":
            raise UsageError("The migration is a link, which cannot be renumbered", file=path)
        if content is None:
            self.changes[PathChange(inside, before, None)] = ""
            return
        make_folder(self._workspace.scratch)
        staged = os.path.join(self._workspace.scratch, f"renumbered-{len(self.changes)}")
        with open(staged, "xb") as file:
            file.write(content)
        like, after = observe(self.old if before is None else path), observe(staged)
        assert like is not None
        assert after is not None
        self.changes[PathChange(inside, before, after._replace(mode=like.mode))] = staged


def _read(path: str) -> str:
    """Return a text with its byte order mark and line ends as they are."""
    content = read_source(path)
    decode_source(content, path)  # refuses what is not UTF-8
    return content.decode()


# --- the unit -------------------------------------------------------------------------------------


def _commit(
    seen: Survey,
    changes: Mapping[PathChange, str],
    version: Version,
    write: Callable[[LedgerWriter], None],
    done_by: str,
    signals: Signals,
) -> None:
    """Change files and ledger as a step does.

    Raises:
        Unpublished: it is committed, and not all files are in place.
    """
    workspace = seen.workspace
    current = str(seen.current) if seen.current else None
    event = seen.ledger.last_event
    # Without one, going back to an earlier backup would bring the old row to the new file.
    backup = BackupWriter(workspace, "renumber", current, True, event, workspace.database)
    try:
        make_ledger(workspace)
        refuse_unpublishable(workspace, changes)
        log = LogWriter(workspace)
        manifest = log.finish(version, "up", changes)
        backup.add_files(changes)
        backup.commit()
    except BaseException:
        backup.discard()
        raise

    def write_all(ledger: LedgerWriter) -> None:
        write(ledger)
        ledger.add_publish(recovery.publish_row(workspace, manifest))

    with signals.held():
        # What fails here may have happened all the same: the next command settles the backup.
        in_own_transaction(workspace, done_by, write_all)
        try:
            recovery.publish_committed(workspace, done_by, log.log, manifest, frozenset())
        finally:
            backup.finish()
