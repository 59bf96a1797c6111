"""Arguments in, text or JSON and an exit code out; the only module that prints or catches."""

from __future__ import annotations

import argparse
import functools
import io
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise

from . import __version__
from .errors import MigrateError, UsageError
from .version import Version
from .workspace import Workspace, locate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn, TextIO

    from .commands import Planner
    from .render import Style

_PENDING = 3

_EPILOG = """\
examples:
  plugin-migrate status                       what is applied, what is pending
  plugin-migrate upgrade --dry-run            what an upgrade would do
  plugin-migrate upgrade                      apply everything pending
  plugin-migrate upgrade 1.2.0                apply up to and with 1.2.0
  plugin-migrate downgrade                    roll the last migration back
  plugin-migrate create add-oauth             write a new migration file
  plugin-migrate history                      everything that ever happened

exit codes: 0 done, 1 failed, 2 wrong usage, 3 pending (check), 130 interrupted
"""
_UPGRADE_EXAMPLES = """\
examples:
  plugin-migrate upgrade                      apply everything pending
  plugin-migrate upgrade 1.2.0                apply up to and with 1.2.0
  plugin-migrate upgrade --dry-run --verbose  show each step's source, run nothing
  plugin-migrate upgrade --format=json        one JSON document on stdout
"""
_DOWNGRADE_EXAMPLES = """\
examples:
  plugin-migrate downgrade                    roll back the last applied migration
  plugin-migrate downgrade 3                  roll back the last three
  plugin-migrate downgrade 1.1.0              roll back everything above 1.1.0
  plugin-migrate downgrade 0.0.0              roll back everything
"""
_STATUS_EXAMPLES = """\
examples:
  plugin-migrate status                       a table of every migration
  plugin-migrate status --pending-only        only what an upgrade would apply
  plugin-migrate status --format=list         a line each, for grep
  plugin-migrate status --format=json         for programs
"""
_CREATE_EXAMPLES = """\
examples:
  plugin-migrate create add-oauth
  plugin-migrate create add-oauth --description="Add OAuth support" --bump=patch
  plugin-migrate create split-users --template=schema --language=sql
  plugin-migrate create hotfix --version=1.2.1
"""
_VERIFY_EXAMPLES = """\
examples:
  plugin-migrate verify                       rehearse what is pending, on a copy
  plugin-migrate verify 1.2.0                 rehearse this one
  plugin-migrate verify --all                 rehearse everything: for CI
  plugin-migrate verify --lint-only           look for mistakes, execute nothing
"""
_HISTORY_EXAMPLES = """\
examples:
  plugin-migrate history                      a table, the newest first
  plugin-migrate history --limit=5
  plugin-migrate history --version=1.2.0      one migration's ups, downs and failures
"""
_BASELINE_EXAMPLES = """\
examples:
  plugin-migrate baseline 1.2.0               a project whose state is at 1.2.0 already
"""
_REPAIR_EXAMPLES = """\
examples:
  plugin-migrate repair                       accept every edited file, after showing the diff
  plugin-migrate repair 1.2.0                 accept this one only
  plugin-migrate repair --applied             the interrupted step is applied
  plugin-migrate repair --keep-live           keep files somebody edited during a crash
"""
_RESTORE_EXAMPLES = """\
examples:
  plugin-migrate restore                      list the backups
  plugin-migrate restore 20261122-170000-upgrade
                                              go back to before that upgrade
"""
_CHECK_EXAMPLES = """\
examples:
  plugin-migrate check                        for scripts and CI: reads only
"""


_COMMANDS = (
    *("upgrade", "downgrade", "status", "create", "verify"),
    *("history", "repair", "baseline", "restore", "check"),
)


class _Parser(argparse.ArgumentParser):
    """Reports wrong usage as one of our errors, so that it can be JSON too."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message[:1].upper() + message[1:], hint=f"See: {self.prog} --help")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code.

    0 done, 1 failed, 2 wrong usage, 3 pending (``check``), 130 interrupted.
    """
    _open_missing_streams()
    for stream in (sys.stdout, sys.stderr):
        # Box drawing must not fail, whatever the locale says.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        code = _run(list(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # The reader (`| head`) has enough; Python must not complain at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        print(f"✗ Error: The output cannot be written: {error.strerror}", file=sys.stderr)
        return 1


def _open_missing_streams() -> None:
    """Connect standard streams that are closed (``>&-``) to the null device.

    Else the next file that is opened gets the number, and what is printed goes into that file.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            if descriptor != number:
                os.dup2(descriptor, number)
                os.close(descriptor)
            mode = "w" if number else "r"
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115


def _run(arguments: list[str]) -> int:
    is_json = _wants_json(arguments)
    verbose = "--verbose" in arguments
    command = None
    try:
        environment = dict(os.environ)
        if arguments[:1] == ["--slash"]:
            from .slash import read_command

            project, arguments = read_command(sys.stdin.read())
            is_json, verbose = _wants_json(arguments), "--verbose" in arguments
            environment |= {"CLAUDE_PROJECT_DIR": project, "CLAUDECODE": "1"}
        command = _command_in(arguments)
        if not arguments:
            _parser().print_help(sys.stderr)
            return UsageError.exit_code
        try:
            options = _parser().parse_args(arguments)
        except SystemExit:  # --help and --version have printed it
            return 0
        command = options.command
        return int(options.run(_Session(options, environment)))
    except MigrateError as error:
        _print_error(error, command, is_json, verbose)
        return error.exit_code
    except BrokenPipeError:
        raise
    except Exception as error:
        bug = MigrateError(
            f"Internal error: {type(error).__name__}: {error}",
            hint="This is a bug in plugin-migrate; --verbose shows where. Nothing is lost: the"
            " next command finishes or undoes what was running.",
        )
        bug.code = "internal"
        bug.__cause__ = error
        _print_error(bug, command, is_json, verbose)
        return bug.exit_code


def _wants_json(arguments: Sequence[str]) -> bool:
    pairs = pairwise([*arguments, ""])
    return any(one == "--format=json" or (one, two) == ("--format", "json") for one, two in pairs)


def _command_in(arguments: Sequence[str]) -> str | None:
    """Return the command in arguments that may be wrong, for the document about what is wrong."""
    return next((argument for argument in arguments if argument in _COMMANDS), None)


def _print_error(error: MigrateError, command: str | None, is_json: bool, verbose: bool) -> None:
    from . import render

    if is_json:
        document = _document(command, False) | {"error": render.error_json(error, _shown_as_is)}
        _print_json(document)
    else:
        print(render.error_text(error, _shown_as_is, _style(sys.stderr)), file=sys.stderr)
    _print_cause(error, verbose)


def _print_cause(error: MigrateError, verbose: bool) -> None:
    if verbose and error.__cause__ is not None:
        import traceback

        traceback.print_exception(error, file=sys.stderr)


def _shown_as_is(path: str) -> str:
    try:
        relative = os.path.relpath(path)
    except FileNotFoundError:  # the current directory was deleted
        return path
    return path if relative.startswith("..") else relative


def _document(command: str | None, ok: bool) -> dict[str, object]:
    return {"schema": 1, "command": command, "ok": ok}


def _print_json(document: dict[str, object]) -> None:
    import json

    print(json.dumps(document, indent=2, ensure_ascii=True, default=str))


def _style(stream: TextIO) -> Style:
    from .render import Style

    if not stream.isatty():
        return Style()
    import shutil

    color = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return Style(color, shutil.get_terminal_size().columns)


class _Session:
    """One command with its options, its workspace and its output."""

    def __init__(self, options: argparse.Namespace, environment: Mapping[str, str]) -> None:
        self.options = options
        self.environment = environment
        self.is_json = options.format == "json"

    def locate(self, create: bool = False) -> Workspace:
        """Return the workspace that the options point to."""
        options = self.options
        return locate(
            options.project, options.database, options.migrations, self.environment, create
        )

    @property
    def done_by(self) -> str:
        """Who runs this, for the ledger."""
        from .identity import who

        return who(self.environment)

    def lock_timeout(self, workspace: Workspace) -> float:
        """Return how long to wait for another run, in seconds."""
        given = self.options.lock_timeout
        return float(workspace.config.lock_timeout if given is None else given)

    def show(self, text: Callable[[Style], str], document: Callable[[], dict[str, object]]) -> None:
        """Print a result the way the user asked for it."""
        if self.is_json:
            _print_json(_document(self.options.command, True) | document())
        else:
            print(text(_style(sys.stdout)))


# --- commands --------------------------------------------------------------------------------


def _status(session: _Session) -> int:
    from . import render
    from .commands import look
    from .plan import UNAPPLIED

    seen = look(session.locate())
    options = session.options
    shown = [
        entry
        for entry in seen.entries
        if not (options.pending_only and entry.state not in UNAPPLIED)
        and not (options.applied_only and entry.applied is None)
    ]
    as_list = options.format == "list"
    session.show(
        lambda style: render.status_text(seen, shown, style, as_list),
        lambda: render.status_json(seen, shown),
    )
    return 0


def _upgrade(session: _Session) -> int:
    from .plan import plan_upgrade

    options = session.options
    target = Version.parse(options.target) if options.target is not None else None
    return _migrate(session, lambda entries: plan_upgrade(entries, target, options.strict))


def _downgrade(session: _Session) -> int:
    from .plan import plan_downgrade

    given = session.options.target
    target, count = None, None
    if given is not None and "." in given:
        target = Version.parse(given)
    elif given is not None:
        count = _step_count(given)
    return _migrate(session, lambda entries: plan_downgrade(entries, target, count))


def _step_count(given: str) -> int:
    if given.isascii() and given.isdigit() and 0 < len(given) <= 9 and int(given) > 0:
        return int(given)
    raise UsageError(
        f"'{given}' is neither a version nor a number of steps",
        hint="For example: plugin-migrate downgrade 2, or plugin-migrate downgrade 1.1.0",
    )


def _migrate(session: _Session, planner: Planner) -> int:
    from . import render
    from .commands import dry_run, run

    options = session.options
    workspace = session.locate()
    if options.dry_run:
        planned = dry_run(workspace, planner)
        session.show(
            lambda style: render.dry_run_text(planned, style, options.verbose),
            lambda: render.dry_run_json(planned, options.verbose),
        )
        return 0
    if options.preview:
        return _preview(session, workspace, planner)
    from .narrator import Narrator

    style = _style(sys.stderr)
    narrator = Narrator(sys.stderr, style, options.verbose)
    with _stdout_kept_clean(), narrator:
        done = run(
            workspace,
            planner,
            options.command,
            session.done_by,
            narrator,
            session.lock_timeout(workspace),
            with_backup=not options.no_backup,
        )
    if done.error is None:
        session.show(lambda style: render.run_text(done, style), lambda: render.run_json(done))
        return 0
    if session.is_json:
        error = {"error": render.error_json(done.error, workspace.shown)}
        _print_json(_document(options.command, False) | render.run_json(done) | error)
    else:
        if done.results:
            print(render.run_text(done, _style(sys.stdout)), flush=True)
        print(render.failure_text(done, workspace.shown, style), file=sys.stderr)
    _print_cause(done.error, options.verbose)
    return done.error.exit_code


def _preview(session: _Session, workspace: Workspace, planner: Planner) -> int:
    from . import render, render_rehearsal
    from .preview import preview

    with _stdout_kept_clean():
        rehearsed = preview(workspace, planner, session.options.command)
    error = rehearsed.run.error
    if error is None:
        session.show(
            lambda style: render_rehearsal.preview_text(rehearsed, style),
            lambda: render_rehearsal.preview_json(rehearsed),
        )
        return 0
    if session.is_json:
        document = _document(session.options.command, False)
        document |= render_rehearsal.preview_json(rehearsed)
        _print_json(document | {"error": render.error_json(error, workspace.shown)})
    else:
        print(render_rehearsal.preview_text(rehearsed, _style(sys.stdout)), flush=True)
        print("", file=sys.stderr)
        print(
            render.run_error_text(rehearsed.run, workspace.shown, _style(sys.stderr)),
            file=sys.stderr,
        )
    _print_cause(error, session.options.verbose)
    return error.exit_code


def _verify(session: _Session) -> int:
    from . import render_rehearsal
    from .verify import verify

    options = session.options
    workspace = session.locate()
    versions = [Version.parse(text) for text in options.versions]
    with _stdout_kept_clean():
        verified = verify(workspace, versions, options.all, options.lint_only)
    ok = not any(item.has_failed for item in verified)
    if session.is_json:
        document = _document("verify", ok)
        _print_json(document | render_rehearsal.verified_json(verified, workspace.shown))
    else:
        style = _style(sys.stdout)
        print(render_rehearsal.verified_text(verified, workspace.shown, style, options.lint_only))
    return 0 if ok else 1


@contextmanager
def _stdout_kept_clean() -> Iterator[None]:
    """Send what a migration or its child processes print to stderr: stdout is for the result."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


def _create(session: _Session) -> int:
    from . import create, render
    from .commands import look

    options = session.options
    create.require_slug(options.name)
    version = Version.parse(options.version) if options.version is not None else None
    workspace = session.locate(create=True)
    created = create.create(
        workspace,
        look(workspace).entries,
        options.name,
        author=session.done_by,
        description=options.description,
        template=options.template,
        language=options.language,
        version=version,
        bump=options.bump,
    )
    session.show(
        lambda style: render.created_text(created, workspace, style),
        lambda: render.created_json(created, workspace),
    )
    return 0


def _history(session: _Session) -> int:
    from . import render
    from .history import read_history

    options = session.options
    version = Version.parse(options.version) if options.version is not None else None
    events = read_history(session.locate(), options.limit, version)
    session.show(
        lambda style: render.history_text(events, style, options.format == "list"),
        lambda: render.history_json(events),
    )
    return 0


def _baseline(session: _Session) -> int:
    from . import render
    from .commands import baseline

    workspace = session.locate()
    target = Version.parse(session.options.target)
    marked = baseline(workspace, target, session.done_by, session.lock_timeout(workspace))
    session.show(
        lambda style: render.baseline_text(marked, target, style),
        lambda: render.baseline_json(marked),
    )
    return 0


def _repair(session: _Session) -> int:
    from . import render
    from .commands import Decisions, repair

    options = session.options
    workspace = session.locate()
    decisions = Decisions(
        keep_live=options.keep_live,
        take_migrated=options.take_migrated,
        as_applied=options.applied,
        as_pending=options.pending,
        take_database=options.take_database,
    )
    versions = [Version.parse(text) for text in options.versions]
    timeout = session.lock_timeout(workspace)
    done = repair(workspace, versions, decisions, session.done_by, timeout)
    session.show(lambda style: render.repair_text(done, style), lambda: render.repair_json(done))
    return 0


def _restore(session: _Session) -> int:
    from . import render
    from .backup import list_backups
    from .commands import restore

    options = session.options
    workspace = session.locate()
    if options.backup is None:
        backups = list_backups(workspace)
        session.show(
            lambda style: render.backups_text(backups, style),
            lambda: render.backups_json(backups),
        )
        return 0
    timeout = session.lock_timeout(workspace)
    restored = restore(workspace, options.backup, options.force, session.done_by, timeout)
    session.show(
        lambda style: render.restored_text(restored, style),
        lambda: render.restored_json(restored),
    )
    return 0


def _check(session: _Session) -> int:
    from . import render
    from .commands import look
    from .plan import UNAPPLIED

    seen = look(session.locate())
    session.show(lambda style: render.check_text(seen), lambda: render.check_json(seen))
    return _PENDING if any(entry.state in UNAPPLIED for entry in seen.entries) else 0


# --- arguments -------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    common = _Parser(add_help=False)
    _add_common(common)
    parser = _Parser(
        prog="plugin-migrate",
        description="Versioned, reversible, crash-safe migrations of a project's .claude/ state.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"plugin-migrate {__version__}")
    _add_common(parser)
    parser.set_defaults(
        project=None, database=None, migrations=None, lock_timeout=None, verbose=False
    )
    # `prog` given: to find it out, argparse would import shutil, bz2 and lzma.
    commands = parser.add_subparsers(
        prog=parser.prog, dest="command", metavar="COMMAND", required=True
    )

    def add(
        name: str, run: Callable[[_Session], int], summary: str, examples: str, *formats: str
    ) -> argparse.ArgumentParser:
        command = commands.add_parser(
            name,
            parents=[common],
            help=summary,
            description=summary[:1].upper() + summary[1:] + ".",
            epilog=examples,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        command.add_argument(
            "--format", choices=formats, default=formats[0], help="how to print the result"
        )
        command.set_defaults(run=run)
        return command

    upgrade = add(
        "upgrade", _upgrade, "apply pending migrations", _UPGRADE_EXAMPLES, "text", "json"
    )
    upgrade.add_argument("target", nargs="?", metavar="X.Y.Z", help="the last version to apply")
    upgrade.add_argument(
        "--strict", action="store_true", help="refuse migrations below the current version"
    )
    _add_run_options(upgrade)
    downgrade = add(
        "downgrade", _downgrade, "roll migrations back", _DOWNGRADE_EXAMPLES, "text", "json"
    )
    downgrade.add_argument(
        "target",
        nargs="?",
        metavar="X.Y.Z|N",
        help="the version to go back to, or a number of steps (default: 1)",
    )
    _add_run_options(downgrade)
    status = add(
        "status", _status, "show every migration and its state", _STATUS_EXAMPLES,
        "table", "json", "list",
    )  # fmt: skip
    which = status.add_mutually_exclusive_group()
    which.add_argument("--pending-only", action="store_true", help="only what is not applied")
    which.add_argument("--applied-only", action="store_true", help="only what is applied")
    create = add("create", _create, "write a new migration file", _CREATE_EXAMPLES, "text", "json")
    create.add_argument("name", metavar="NAME", help="a slug, such as add-oauth")
    create.add_argument("--description", metavar="TEXT", help="one line (default: the name)")
    create.add_argument(
        "--template", choices=("empty", "plugin", "schema", "data"), default="empty",
        help="what to start from (default: %(default)s)",
    )  # fmt: skip
    create.add_argument(
        "--language", choices=("python", "sql"), default="python", help="default: %(default)s"
    )
    create.add_argument("--version", metavar="X.Y.Z", help="its version (default: the next one)")
    create.add_argument(
        "--bump", choices=("patch", "minor", "major"), default="minor",
        help="which part of the newest version to raise (default: %(default)s)",
    )  # fmt: skip
    verify = add(
        "verify", _verify, "rehearse migrations on a copy: up, down, up; and lint them",
        _VERIFY_EXAMPLES, "text", "json",
    )  # fmt: skip
    verify.add_argument("versions", nargs="*", metavar="X.Y.Z", help="these (default: pending)")
    verify.add_argument("--all", action="store_true", help="every migration, from the first")
    verify.add_argument("--lint-only", action="store_true", help="read them, execute nothing")
    _add_caring_commands(add)
    return parser


def _add_caring_commands(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the commands that look after what has happened."""
    history = add(
        "history", _history, "show everything that happened", _HISTORY_EXAMPLES,
        "table", "json", "list",
    )  # fmt: skip
    history.add_argument("--limit", metavar="N", type=_count, help="at most N, the newest first")
    history.add_argument("--version", metavar="X.Y.Z", help="only this migration")
    baseline = add(
        "baseline", _baseline, "mark migrations as applied without running them",
        _BASELINE_EXAMPLES, "text", "json",
    )  # fmt: skip
    baseline.add_argument("target", metavar="X.Y.Z", help="the last version to mark")
    repair = add(
        "repair", _repair, "accept edited files and settle what was interrupted",
        _REPAIR_EXAMPLES, "text", "json",
    )  # fmt: skip
    repair.add_argument("versions", nargs="*", metavar="X.Y.Z", help="only these edited files")
    files = repair.add_mutually_exclusive_group()
    files.add_argument(
        "--keep-live", action="store_true", help="keep files that were edited meanwhile"
    )
    files.add_argument(
        "--take-migrated", action="store_true", help="replace them by the migration's result"
    )
    which = repair.add_mutually_exclusive_group()
    which.add_argument("--applied", action="store_true", help="the interrupted step is applied")
    which.add_argument("--pending", action="store_true", help="the interrupted step is not applied")
    repair.add_argument(
        "--take-database", action="store_true", help="this project was moved; its database stayed"
    )
    restore = add(
        "restore", _restore, "list automatic backups, or go back to one", _RESTORE_EXAMPLES,
        "text", "json",
    )  # fmt: skip
    restore.add_argument("backup", nargs="?", metavar="BACKUP", help="its id, from the list")
    restore.add_argument(
        "--force", action="store_true", help="also over files that were edited since"
    )
    add("check", _check, "exit 3 when something is pending", _CHECK_EXAMPLES, "text", "json")


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise ValueError
    return count


def _add_common(parser: argparse.ArgumentParser) -> None:
    """Add what may stand before and behind the command; the defaults are set once, in `_parser`."""
    add = functools.partial(parser.add_argument, default=argparse.SUPPRESS)
    add("--project", metavar="DIR", type=_path, help="the folder that holds .claude/")
    add("--database", metavar="PATH", type=_path, help="the state database")
    add("--migrations", metavar="DIR", type=_path, help="the migrations folder")
    add("--lock-timeout", metavar="SECONDS", type=_seconds, help="wait for another run")
    add("--verbose", action="store_true", help="show sources, steps and tracebacks")


def _path(text: str) -> str:
    # `--project="$unset"` must not mean the current directory.
    if not text:
        raise argparse.ArgumentTypeError("the path is empty")
    return text


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 1e6:
        raise argparse.ArgumentTypeError(f"'{text}' is no number of seconds")
    return seconds


def _add_run_options(parser: argparse.ArgumentParser) -> None:
    rehearsals = parser.add_mutually_exclusive_group()
    parser.add_argument(
        "--no-backup", action="store_true", help="keep no copy of what the run changes"
    )
    rehearsals.add_argument(
        "--dry-run", action="store_true", help="show the plan and check it, run nothing"
    )
    rehearsals.add_argument(
        "--preview", action="store_true", help="run the plan on a copy and show what would change"
    )
