"""Proof of up, down, up on a shadow copy, before the live state is touched."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from . import commands
from .backup import Saved, backups_folder, list_backups
from .commands import Planner, Run
from .difference import DatabaseDifference, TableDifference, database_difference
from .errors import Call, MigrateError, UnknownTarget
from .exclusions import SIDE_SUFFIXES, Exclusions, holds_database
from .ledger import holds_ledger, ledger_tables
from .lint import Finding, lint
from .live_database import copy_live
from .look import look
from .migration import Migration
from .plan import NOTHING, UNAPPLIED, Entry, Plan, plan_downgrade, plan_upgrade
from .prepare import describe, description_of
from .repair import file_of
from .report import Reporter
from .shadow import shadow_of
from .transaction import make_ledger
from .tree import RACY_NS, Node, Signature, discard, observe, signature_of
from .version import Version
from .workspace import Workspace, is_inside


@dataclass(frozen=True, slots=True)
class Verified:
    """What up, down, up showed about one migration; ``None`` where it does not apply.

    ``differences`` says what was not as it should be; ``error`` is what stopped the rehearsal.
    """

    version: Version
    description: str
    reversible: bool | None
    repeatable: bool | None
    idempotent: bool | None
    duration_ms: int | None
    findings: tuple[Finding, ...]
    differences: tuple[str, ...]
    error: MigrateError | None = None

    @property
    def has_failed(self) -> bool:
        """Whether anything is not as it should be."""
        answers = (self.reversible, self.repeatable, self.idempotent)
        is_faulty = not all(finding.is_note for finding in self.findings)
        return False in answers or is_faulty or self.error is not None


@dataclass(frozen=True, slots=True)
class _State:
    """Everything that counts at one moment: files by path, and where each database's content is.

    A database that nothing wrote between two moments has its content in the same file in both.
    """

    files: dict[str, Node]
    databases: dict[str, str]
    state: str | None


class _Rehearsal:
    """Runs single migrations on a shadow copy and compares its states."""

    def __init__(self, shadow: Workspace) -> None:
        self._shadow = shadow
        self._folder = os.path.join(os.path.dirname(shadow.project), "moments")
        self._count = 0
        self._copies: dict[str, tuple[_Mark, str]] = {}
        self._nodes: dict[tuple[str, Signature], Node] = {}

    def make_ledger(self) -> None:
        """Make the ledger now, so that it is no difference between two moments."""
        make_ledger(self._shadow)

    def up(self, version: Version) -> Run:
        """Apply one migration, and nothing else."""
        return self._run(lambda entries: _only(entries, version))

    def down(self) -> Run:
        """Roll back the last applied migration."""
        return self._run(lambda entries: plan_downgrade(entries, count=1))

    def down_from(self, version: Version) -> Run:
        """Roll back ``version`` and everything above it."""
        return self._run(lambda entries: _from_on(entries, version))

    def up_in_a_new_clone(self, version: Version) -> tuple[MigrateError | None, tuple[str, ...]]:
        """Apply one migration with a backup; return its error and the files it changed."""
        run = commands.run(
            self._shadow,
            lambda entries: _only(entries, version),
            "verify",
            "rehearsal",
            Reporter(),
            0,
        )
        if run.error is not None or not run.results:
            return run.error, ()
        saved = list_backups(self._shadow)[0].files
        changed = [item.path for item in saved if not self._is_unchanged(item)]
        return None, tuple(sorted(changed))

    def forget_databases(self) -> None:
        """Remove every database, as in a new clone of a project that commits its files only.

        Those of other sources stay: what the migrations require of them is applied first there too.
        """
        discard(backups_folder(self._shadow))  # else their loss would be noticed
        for path in [*self.now().databases, None]:
            live = os.path.join(self._shadow.claude, path) if path else self._shadow.database
            if path and holds_ledger(live):
                continue
            for suffix in ("", *SIDE_SUFFIXES):
                with suppress(FileNotFoundError):
                    os.unlink(live + suffix)

    def _is_unchanged(self, saved: Saved) -> bool:
        live = os.path.join(self._shadow.claude, saved.path)
        if saved.before is None and os.path.isfile(live) and holds_database(live):
            return True
        return saved.before == saved.after

    def now(self) -> _State:
        """Look at everything; a written database is the shadow's own, good until the next run."""
        files: dict[str, Node] = {}
        databases: dict[str, str] = {}
        self._walk(self._shadow.claude, "", Exclusions(self._shadow), files, databases)
        state = self._shadow.database
        return _State(
            files,
            {path: self._content(database) for path, database in databases.items()},
            self._content(state) if os.path.exists(state) else None,
        )

    def moment(self) -> _State:
        """Remember everything as it is now."""
        now = self.now()
        databases = {path: self._kept(content) for path, content in now.databases.items()}
        return _State(now.files, databases, None if now.state is None else self._kept(now.state))

    def differences(
        self, before: _State, after: _State, written: frozenset[str] | None
    ) -> tuple[str, ...]:
        """Return what differs between two moments, a line each.

        ``written`` are the tables of the state database that the runs in between wrote.
        """
        found = []
        for path in sorted(before.files.keys() | after.files.keys()):
            old, new = before.files.get(path), after.files.get(path)
            if old != new:
                found.append(f"{path}: {_what(old, new)}")
        ignored = ledger_tables(self._shadow.config.ledger_table)
        found += _database_lines(
            database_difference(before.state, after.state, "the state database", ignored, written)
        )
        for path in sorted(before.databases.keys() | after.databases.keys()):
            earlier, later = before.databases.get(path), after.databases.get(path)
            if earlier != later:
                found += _database_lines(database_difference(earlier, later, path))
        return tuple(found)

    def forget_moments(self) -> None:
        """Remove the databases' copies that :meth:`moment` made."""
        self._copies.clear()
        discard(self._folder)

    def _run(self, planner: Planner) -> Run:
        return commands.run(
            self._shadow, planner, "verify", "rehearsal", Reporter(), 0, with_backup=False
        )

    def _walk(
        self,
        folder: str,
        prefix: str,
        exclusions: Exclusions,
        files: dict[str, Node],
        databases: dict[str, str],
    ) -> None:
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
        for entry in entries:
            path = prefix + entry.name
            if exclusions.reason(path, entry):
                continue
            status = entry.stat(follow_symlinks=False)
            node = self._nodes.get((path, signature_of(status)))
            if node is not None:
                files[path] = node
                continue
            if stat.S_ISREG(status.st_mode) and self._is_database(entry, path, exclusions):
                databases[path] = entry.path
                continue
            node = observe(entry.path)
            if node is not None:
                files[path] = node
                self._remember(path, status, node)
            if entry.is_dir(follow_symlinks=False):
                self._walk(entry.path, path + "/", exclusions, files, databases)

    def _remember(self, path: str, status: os.stat_result, node: Node) -> None:
        """Spare the next look a plain file's content; a link's or folder's is not in its status."""
        if stat.S_ISREG(status.st_mode) and status.st_ctime_ns < time.time_ns() - RACY_NS:
            self._nodes[path, signature_of(status)] = node

    def _content(self, database: str) -> str:
        """Return the copy of a database, or its own path when there is none or it is outdated."""
        mark, copy = self._copies.get(database, (None, database))
        return copy if mark is not None and mark == _mark_of(database) else database

    def _kept(self, content: str) -> str:
        """Return the path of a copy of a database, which may be a copy already."""
        if is_inside(content, self._folder):
            return content
        os.makedirs(self._folder, exist_ok=True)
        self._count += 1
        copy = os.path.join(self._folder, f"{self._count}.db")
        copy_live(content, copy)
        self._copies[content] = (_mark_of(content), copy)
        return copy

    def _is_database(self, entry: os.DirEntry[str], path: str, exclusions: Exclusions) -> bool:
        with open(entry.path, "rb", buffering=0) as file:
            return exclusions.is_database(path, entry.name, file.read(100))


_Mark = tuple[Signature, bytes] | None


def _mark_of(database: str) -> _Mark:
    """Return what changes with every commit, or ``None`` when a journal tells more than the file.

    The header has a counter of them (https://www.sqlite.org/fileformat.html, 1.3.7), because two
    writes within one tick of the file system's clock look alike.
    """
    if any(os.path.exists(database + suffix) for suffix in SIDE_SUFFIXES):
        return None
    with open(database, "rb", buffering=0) as file:
        status = os.fstat(file.fileno())
        return signature_of(status), file.read(100)


def _only(entries: tuple[Entry, ...], version: Version) -> Plan:
    plan = plan_upgrade(entries, version)
    return plan._replace(steps=tuple(step for step in plan.steps if step.version == version))


def _from_on(entries: tuple[Entry, ...], version: Version) -> Plan:
    everything = plan_downgrade(entries, NOTHING)
    steps = tuple(step for step in everything.steps if step.version >= version)
    return everything._replace(steps=steps)


def _what(old: Node | None, new: Node | None) -> str:
    if old is None:
        return "is there, but was not"
    if new is None:
        return "is gone"
    if old.kind != new.kind:
        return f"is a {new.kind}, was a {old.kind}"
    if old.mode != new.mode:
        return f"has mode {new.mode:o}, had {old.mode:o}"
    return "has another content"


def _database_lines(difference: DatabaseDifference) -> list[str]:
    lines = [
        f"{difference.path}: schema {line}"
        for line in difference.schema
        if line[:1] in "+-" and line[:3] not in ("+++", "---")
    ]
    return lines + [f"{difference.path}: {_rows_text(table)}" for table in difference.tables]


def _rows_text(table: TableDifference) -> str:
    parts = [
        f"{count} row(s) {word}"
        for count, word in (
            (table.added, "more"),
            (table.removed, "missing"),
            (table.changed, "different"),
        )
        if count
    ]
    return f"table {table.table} has {', '.join(parts)}"


def verify(
    workspace: Workspace,
    versions: Sequence[Version] = (),
    everything: bool = False,
    lint_only: bool = False,
) -> tuple[Verified, ...]:
    """Rehearse migrations one on top of the other and return what each showed.

    Parameters:
        versions: these ones; the pending ones when empty.
        everything: all that have a file, from the first.
        lint_only: execute nothing.

    Raises:
        UnknownTarget: one of ``versions`` has no file.
        MigrateError: the state cannot be copied, or what is applied cannot be rolled back to
            where the rehearsal has to begin.
    """
    entries = look(workspace).entries
    chosen = _chosen(entries, versions, everything)
    migrations = {entry.version: file_of(entry) for entry in chosen}
    results = {
        entry.version: _only_linted(entry, migrations[entry.version], workspace) for entry in chosen
    }
    if chosen and not lint_only:
        with shadow_of(workspace) as shadow:
            # What recovery puts in place is no migration's doing.
            commands.settle(shadow, "verify", "rehearsal", 0)
            _rehearse(_Rehearsal(shadow), entries, migrations, results)
    return tuple(results.values())


def _chosen(entries: Sequence[Entry], versions: Sequence[Version], everything: bool) -> list[Entry]:
    with_file = {entry.version: entry for entry in entries if entry.migration is not None}
    for version in versions:
        if version not in with_file:
            raise UnknownTarget(
                f"There is no migration file with version {version}",
                hint=("See: ", Call("status")),
            )
    if versions:
        return [with_file[version] for version in sorted(set(versions))]
    if everything:
        return list(with_file.values())
    return [entry for entry in with_file.values() if entry.state in UNAPPLIED]


def _only_linted(entry: Entry, migration: Migration, workspace: Workspace) -> Verified:
    siblings = frozenset(os.path.splitext(name)[0] for name in os.listdir(workspace.migrations))
    findings = lint(migration, siblings)
    return Verified(entry.version, description_of(entry), None, None, None, None, findings, ())


def _rehearse(
    rehearsal: _Rehearsal,
    entries: Sequence[Entry],
    migrations: dict[Version, Migration],
    results: dict[Version, Verified],
) -> None:
    first, last = min(migrations), max(migrations)
    rehearsal.make_ledger()
    if any(entry.applied and entry.version >= first for entry in entries):
        error = rehearsal.down_from(first).error
        if error is not None:
            raise error
    for entry in entries:
        if entry.migration is None or not first <= entry.version <= last:
            continue
        if entry.version not in migrations:
            error = rehearsal.up(entry.version).error
        else:
            shown = _prove(rehearsal, results[entry.version], migrations[entry.version])
            results[entry.version] = shown
            error = shown.error
        rehearsal.forget_moments()
        if error is not None:
            return
    _prove_idempotence(rehearsal, entries, last, results)


def _prove(rehearsal: _Rehearsal, verified: Verified, migration: Migration) -> Verified:
    """Run up, down, up; the migration stays applied on the copy."""
    before = rehearsal.moment()
    first = rehearsal.up(migration.version)
    if first.error is not None:
        return replace(verified, error=first.error)
    duration = sum(result.duration_ms for result in first.results)
    verified = replace(verified, duration_ms=duration)
    if not describe(migration).has_down:
        return verified
    after = rehearsal.moment()
    down = rehearsal.down()
    if down.error is not None:
        return replace(verified, reversible=False, error=down.error)
    lost = rehearsal.differences(before, rehearsal.now(), _written(first, down))
    verified = replace(
        verified,
        reversible=not lost,
        differences=tuple(f"after down: {line}" for line in lost),
    )
    second = rehearsal.up(migration.version)
    if second.error is not None:
        return replace(verified, repeatable=False, error=second.error)
    other = rehearsal.differences(after, rehearsal.now(), _written(down, second))
    lines = (f"after the second up: {line}" for line in other)
    return replace(verified, repeatable=not other, differences=(*verified.differences, *lines))


def _written(*runs: Run) -> frozenset[str] | None:
    """Return the tables that runs wrote in the state database, or ``None`` when unknown."""
    tables: frozenset[str] = frozenset()
    for run in runs:
        if run.written is None:
            return None
        tables |= run.written
    return tables


def _prove_idempotence(
    rehearsal: _Rehearsal,
    entries: Sequence[Entry],
    last: Version,
    results: dict[Version, Verified],
) -> None:
    """Apply everything to the migrated files with fresh databases: in the end no file may differ.

    It is what happens in a new clone or worktree of a project that commits its files.
    """
    rehearsal.forget_databases()
    before = rehearsal.now().files
    touched: dict[Version, tuple[str, ...]] = {}
    failed: dict[Version, MigrateError] = {}
    for entry in entries:
        if entry.migration is not None and entry.version <= last and not failed:
            error, touched[entry.version] = rehearsal.up_in_a_new_clone(entry.version)
            if error is not None:
                failed[entry.version] = error
    after = rehearsal.now().files
    different = {
        path for path in before.keys() | after.keys() if before.get(path) != after.get(path)
    }
    for version in touched.keys() & results.keys():
        lines = [
            f"in a new clone: {path} is no longer the same"
            for path in touched[version]
            if path in different
        ]
        if version in failed:
            lines.append(f"in a new clone: it fails: {failed[version].message}")
        verified = results[version]
        results[version] = replace(
            verified, idempotent=not lines, differences=(*verified.differences, *lines)
        )
