"""From a plan to steps that can run: every source is found, parsed and checked before any runs."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence

from ..errors import BadConfig, Call, Conflict, Irreversible, TemplateUnfilled
from ..languages import load_language
from ..languages.foreign_key_mode import ForeignKeyMode
from ..ledger.read import StoredSource, read_sources, read_ways_back
from ..migration import Migration, describe, metadata_text, title_of, with_text
from ..plain_file import read_plain
from ..plan import Applied, Entry, Plan, Step
from ..report import StepResult
from ..settings import CONFIG_NAME
from ..values import NamedTuple
from ..version import Version
from ..workspace import Workspace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..languages.protocol import Action

# A file in which a name is looked for.
_LARGEST_SEARCHED = 1 << 20
# What a template says where something is to be written.
_REQUEST = "fill in"


class Prepared(NamedTuple):
    """A step with everything it needs to run.

    ``metadata`` is the header as JSON text, for a step up to be kept; ``from_ledger`` tells that
    the migration's file is gone, so that the source is the one stored when it was applied. Of a
    step up ``lacks_down`` tells that the migration has none, and ``is_final`` that it says of
    itself that there is no way back.
    """

    direction: str
    migration: Migration
    description: str
    metadata: str
    action: Action
    from_ledger: bool = False
    lacks_down: bool = False
    is_final: bool = False

    @property
    def version(self) -> Version:
        """The migration's version."""
        return self.migration.version

    @property
    def source(self) -> str:
        """The text that this step runs: one section of SQL, or the whole file."""
        return self.action.source


def prepare(workspace: Workspace, plan: Plan) -> tuple[Prepared, ...]:
    """Return the plan's steps, ready to run.

    Raises:
        BrokenMigration, ForbiddenStatement: a migration cannot run as it is.
        Irreversible: a rollback needs a migration that has no down and of which nothing was kept,
            or one whose source is gone.
        BadConfig: what ``state:`` names cannot be state, or is a mistyped name.
    """
    gone = [step.version for step in plan.steps if step.entry.migration is None]
    stored = read_sources(workspace, gone)
    ways = _WaysBack(workspace, plan)
    steps = tuple(_prepare(workspace, step, stored.get(step.version), ways) for step in plan.steps)
    if any(step.action.touches_files for step in steps):
        for root in filter(None, workspace.roots):
            _refuse_root(workspace, root, steps)
    return steps


def require_all(workspace: Workspace, steps: Sequence[Prepared]) -> None:
    """Make sure that this machine has what runs the steps, before the first of them does.

    Raises:
        NoRuntime: it has not.
    """
    for prepared in steps:
        prepared.action.require(workspace)


def description_of(entry: Entry) -> str:
    """Return the description to show: the ledger's for what is applied, else the file's."""
    if entry.applied is not None:
        return entry.applied.description
    assert entry.migration is not None
    return describe(entry.migration).description or title_of(entry.migration.slug)


class _WaysBack:
    """What was kept of the migrations that a plan rolls back; read when one has no down."""

    def __init__(self, workspace: Workspace, plan: Plan) -> None:
        self._workspace = workspace
        self._plan = plan
        self._marks: Mapping[str, str] | None = None

    def of(self, applied: Applied, error: Irreversible) -> Action:
        """Return what undoes a migration without a down; ``error`` says that it has none.

        Raises:
            Irreversible: nothing was kept; says why.
            StateUnreadable: what was kept is damaged.
        """
        from ..way_back.marks import Mark, find, why_none
        from ..way_back.take_back import load_way_back

        if self._marks is None:
            self._marks = read_ways_back(self._workspace)
        text = self._marks.get(str(applied.version))
        why = why_none(self._workspace, applied, text)
        mark = Mark.from_text(text)
        if why is not None or mark is None:
            error.details = (f"There is no other way back: {why}",)
            raise error
        path = find(self._workspace, mark)
        return load_way_back(applied.version, path, mark.digest, self._plan.take_back)


def _prepare(
    workspace: Workspace, step: Step, stored: StoredSource | None, ways: _WaysBack
) -> Prepared:
    migration = _source(workspace, step.entry, stored)
    action: Action
    try:
        action = load_language(migration.language).prepare(
            migration.text or "", migration.path, step.direction
        )
    except Irreversible as error:
        if step.entry.applied is None:
            raise
        action = ways.of(step.entry.applied, error)
    if step.entry.applied is not None:
        return Prepared(
            step.direction,
            migration,
            step.entry.applied.description,
            "{}",  # a rollback keeps none
            action,
            from_ledger=step.entry.migration is None,
        )
    script = describe(migration)
    return Prepared(
        step.direction,
        migration,
        script.description or title_of(migration.slug),
        metadata_text(script),
        action,
        lacks_down=not script.has_down,
        is_final=script.metadata.get("reversible") is False,
    )


def _source(workspace: Workspace, entry: Entry, stored: StoredSource | None) -> Migration:
    """Return the migration with its text: the file's, or the ledger's when the file is gone."""
    if entry.migration is not None:
        migration = with_text(entry.migration)
        if migration.checksum != entry.migration.checksum:
            raise Conflict(
                "The migration was edited just now",
                file=migration.path,
                hint="Run the command again.",
            )
        return migration
    if stored is None or entry.applied is None:
        raise Irreversible(
            f"The file of migration {entry.version} is gone, and the ledger has no copy of it",
            file=workspace.migrations,
            hint="Bring the file back (git, a backup), then try again.",
        )
    path = os.path.join(workspace.migrations, stored.file_name)
    slug = os.path.splitext(stored.file_name)[0].partition("-")[2]
    checksum = entry.applied.checksum
    return Migration(entry.version, slug, stored.language, path, checksum, stored.text)


# --- what `state:` names --------------------------------------------------------------------------


def _refuse_root(workspace: Workspace, root: str, steps: Sequence[Prepared]) -> None:
    """Refuse what ``state:`` names if it is a link, or if nobody knows of it.

    What is not there a migration may make, or have removed; then one of them names it.

    Raises:
        BadConfig: says what is the matter with it.
    """
    folder, rest = workspace.place(root)
    parts = rest.split("/")
    for end in range(1, len(parts) + 1):
        path = "/".join([folder, *parts[:end]])
        try:
            mode = os.lstat(path).st_mode
        except (FileNotFoundError, NotADirectoryError):
            if _is_named(workspace, parts[-1], steps):
                return
            raise _bad_root(workspace, root, "which is not there, and no migration names") from None
        if stat.S_ISLNK(mode):
            what = "which is a link" if end == len(parts) else "which leads through a link"
            raise _bad_root(workspace, root, what)
        if not (stat.S_ISDIR(mode) or (stat.S_ISREG(mode) and end == len(parts))):
            raise _bad_root(workspace, root, "which is neither a file nor a folder")


def _bad_root(workspace: Workspace, root: str, what: str) -> BadConfig:
    return BadConfig(
        f"'state' names {workspace.shown(workspace.live(root))}, {what}",
        file=workspace.settings_file,
        hint="Nothing was changed. Name files and folders that are there.",
    )


def _is_named(workspace: Workspace, name: str, steps: Sequence[Prepared]) -> bool:
    """Return whether a migration, or a helper beside it, has ``name`` in its text."""
    if any(name in (step.migration.text or "") for step in steps):
        return True
    try:
        with os.scandir(workspace.migrations) as listing:
            files = [entry for entry in listing if entry.is_file(follow_symlinks=False)]
    except OSError:  # of a plugin that is gone
        return True
    return any(
        name.encode() in _content_of(file.path) for file in files if file.name != CONFIG_NAME
    )


def _content_of(path: str) -> bytes:
    try:
        return read_plain(path, _LARGEST_SEARCHED)
    except OSError:
        return b""


def count_shareable(
    steps: Sequence[Prepared], stands_alone: Callable[[Prepared], bool] = lambda step: False
) -> int:
    """Return how many of the first steps may share one transaction.

    Parameters:
        stands_alone: tells of a step that it needs one of its own.
    """
    count = 0
    for prepared in steps:
        action = prepared.action
        if action.touches_files or not action.atomic or stands_alone(prepared):
            break
        # Enforcement needs a connection of its own, and what an unchecked step left behind counts
        # as earlier only once it is committed.
        if action.foreign_keys is not ForeignKeyMode.CHECKED:
            break
        count += 1
    return count


def result_of(prepared: Prepared, duration_ms: int) -> StepResult:
    """Return what a step that has happened comes to."""
    return StepResult(
        prepared.version,
        prepared.description,
        prepared.direction,
        duration_ms,
        prepared.from_ledger,
    )


def refuse_unfilled(steps: Iterable[Prepared]) -> None:
    """Refuse to apply a migration that still asks its reader to fill it in.

    The rule is the lint's ``placeholder``, so that its allowances hold here too.

    Raises:
        TemplateUnfilled: names the first line that asks.
    """
    for prepared in steps:
        text = prepared.migration.text or ""
        # Almost no file has the words, and the lint takes longer than the step.
        if prepared.direction == "up" and _REQUEST in text.lower():
            _refuse_unfilled(prepared)


def _refuse_unfilled(prepared: Prepared) -> None:
    from ..lint import lint

    for finding in lint(prepared.migration):
        if finding.code == "placeholder":
            raise TemplateUnfilled(
                f"{prepared.version} is a template that nobody has filled in",
                file=finding.file,
                line=finding.line,
                hint=(
                    "Do what the comment says and delete it, then run: ",
                    Call("verify", str(prepared.version)),
                ),
            )
