"""Every error a user can meet, each with a stable code, a place and a way out.

The core raises these; only ``cli`` turns them into text or JSON and into an exit code. What
depends on where the user stands (paths, the option that names a source) they carry as values.
"""

from __future__ import annotations

from .values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Hint = str | tuple["str | Call | Place", ...]  # a text, or the parts of one


class Call(NamedTuple):
    """A call of ours that a hint proposes, such as ``Call("repair", "--keep-live")``.

    It is shown with the option that names the source it concerns.
    """

    command: str
    arguments: str = ""

    def shown(self, option: str) -> str:
        """Return the call as the user types it."""
        return " ".join(filter(None, ("plugin-migrate", self.command, option, self.arguments)))


class Place(NamedTuple):
    """An absolute path that a hint names, shown as the user would type it."""

    path: str


class MigrateError(Exception):
    """A failure that is explained to the user.

    Parameters:
        message: what happened, one sentence without a final period.
        hint: what to do next, one or more lines; ``None`` when nothing helps. A tuple of texts,
            calls and places where it proposes a call of ours or names a path.
        file: absolute path of the file concerned, or one that a migration's author wrote.
        line: 1-based line in that file.
        details: further lines that show what was seen (a statement, a traceback, a list).

    ``source`` is the plugin whose source it is about; the one that the command was given if empty.
    ``option`` is what names that source on the command line, where this is not ``--plugin``.
    """

    code = "error"
    exit_code = 1
    source: str | None = ""
    option: str | None = None

    def __init__(
        self,
        message: str,
        *,
        hint: Hint | None = None,
        file: str | None = None,
        line: int | None = None,
        details: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.advice: tuple[str | Call | Place, ...] = (
            (hint,) if isinstance(hint, str | Call) else hint or ()
        )
        self.file = file
        self.line = line
        self.details = details

    @property
    def hint(self) -> str | None:
        """What to do next, for the project's own source and with whole paths."""
        return self.hint_for("", str)

    def hint_for(self, option: str, shown: Callable[[str], str]) -> str | None:
        """Return what to do next.

        Parameters:
            option: names the source it concerns on the command line; empty for the project's own.
            shown: shortens an absolute path.
        """
        return "".join(_text_of(part, option, shown) for part in self.advice) or None


def _text_of(part: str | Call | Place, option: str, shown: Callable[[str], str]) -> str:
    if isinstance(part, Call):
        return part.shown(option)
    return shown(part.path) if isinstance(part, Place) else part


class UsageError(MigrateError):
    """The command line asks for something that cannot be meant."""

    code = "usage"
    exit_code = 2


class InvalidVersion(UsageError):
    """A version that is not ``X.Y.Z``, on the command line or in a file's name."""

    code = "invalid_version"


class UnknownTarget(UsageError):
    """A target version that no migration has."""

    code = "unknown_target"


class InvalidName(UsageError):
    """A name for a new migration that is not a slug."""

    code = "invalid_name"


class VersionExists(UsageError):
    """A new migration was asked for with a version that is taken."""

    code = "version_exists"


class ConsentMissing(MigrateError):
    """In Claude Code: a call that the user neither typed nor was asked about."""

    code = "consent_missing"


class NoProject(MigrateError):
    """There is no ``.claude/`` to work on."""

    code = "no_project"


class BadConfig(MigrateError):
    """The project's configuration file cannot be used as it is."""

    code = "bad_config"


class UnknownPlugin(UsageError):
    """``--plugin`` names no enabled plugin that ships migrations, or more than one."""

    code = "unknown_plugin"


class RequirementUnmet(MigrateError):
    """A migration requires a version of another plugin's state that is not there.

    Its hints name their sources themselves, since they are about others.
    """

    code = "requirement_unmet"
    source = None


class BrokenMigration(MigrateError):
    """A migration file that cannot be read as one: header, syntax, marker, encoding."""

    code = "broken_migration"


class TemplateUnfilled(MigrateError):
    """A migration still is the template that ``create`` wrote."""

    code = "template_unfilled"


class DuplicateVersion(MigrateError):
    """Two migration files carry one version."""

    code = "duplicate_version"


class Irreversible(MigrateError):
    """A rollback needs a migration that has no down."""

    code = "irreversible"


class PlanRefused(MigrateError):
    """The state of the migrations forbids the run: modified, interrupted, out of order."""

    code = "plan_refused"


class ForbiddenStatement(MigrateError):
    """A migration asks for what a step may never do, such as COMMIT."""

    code = "forbidden_statement"


class NoRuntime(MigrateError):
    """Nothing on this machine can run the migration's language."""

    code = "no_runtime"


class StateUnreadable(MigrateError):
    """A file, a folder or a database of the state cannot be read or written."""

    code = "state_unreadable"


class InterruptedWriter(StateUnreadable):
    """A killed program left a journal that only a command which writes may roll back."""


class NotALedger(MigrateError):
    """The database's ``migrations`` table belongs to something else."""

    code = "not_a_ledger"


class LedgerLost(NotALedger):
    """Migrations were run here, and the state database that said so is gone or empty."""


class LedgerTooNew(MigrateError):
    """A newer version of this tool wrote the ledger."""

    code = "ledger_too_new"


class ForeignDatabase(MigrateError):
    """The state database belongs to another source, or to another project."""

    code = "foreign_database"


class TakeoverRefused(MigrateError):
    """Another tool's ledger or folder cannot be taken over as it is."""

    code = "takeover_refused"


class Busy(MigrateError):
    """Somebody else holds what the command needs."""

    code = "busy"


class Conflict(MigrateError):
    """Somebody else changed the state while a step was running."""

    code = "conflict"


class ChangedSince(Conflict):
    """What a migration without a down changed was changed since, so that it is not taken back."""

    code = "changed_since"


class EditedMeanwhile(Conflict):
    """Somebody wrote a file that a step changes too; another try may find it at rest."""


class DatabaseReplaced(Conflict):
    """Somebody put another file in a database's place while a step was running."""


class HistoryLacksTree(MigrateError):
    """Git's history does not hold the files that a migration's database half needs."""

    code = "history_lacks_tree"


class WouldDropRows(MigrateError):
    """Rolling a database half back would drop what git's files cannot give back."""

    code = "would_drop_rows"


class NeedsRepair(MigrateError):
    """Recovery found something that only the user can decide."""

    code = "needs_repair"


class Unpublished(NeedsRepair):
    """A step is committed, and some of its files are not in place."""


class StepFailed(MigrateError):
    """The author's code or SQL failed.

    ``completed`` counts the statements that ran before it, which matters when they stay.
    """

    code = "migration_failed"
    completed = 0


class DamagedEnvironment(MigrateError):
    """Files of the Python environment that the launcher made are gone or changed."""

    code = "damaged_environment"


class Interrupted(MigrateError):
    """The user or the system asked the process to stop."""

    code = "interrupted"
    exit_code = 130
