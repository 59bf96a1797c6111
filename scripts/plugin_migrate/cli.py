"""Arguments in, text or JSON and an exit code out; the only module that prints or catches."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from .arguments import make_parser, parse
from .errors import MigrateError, UsageError
from .version import Version
from .workspace import Workspace, locate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from types import SimpleNamespace
    from typing import TextIO

    from .commands import Planner
    from .render.style import Style

_PENDING = 3


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
            make_parser().print_help(sys.stderr)
            return UsageError.exit_code
        try:
            options = parse(arguments, command)
        except SystemExit:  # --help and --version have printed it
            return 0
        command = options.command
        return int(_COMMANDS[command](_Session(options, environment)))
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
    from .render import errors

    if is_json:
        document = _document(command, False) | {"error": errors.error_json(error, _shown_as_is)}
        _print_json(document)
    else:
        print(errors.error_text(error, _shown_as_is, _style(sys.stderr)), file=sys.stderr)
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
    from .render.style import Style

    if not stream.isatty():
        return Style()
    import shutil

    color = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return Style(color, shutil.get_terminal_size().columns)


class _Session:
    """One command with its options, its workspace and its output."""

    def __init__(
        self, options: Namespace | SimpleNamespace, environment: Mapping[str, str]
    ) -> None:
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
    from .look import look
    from .plan import UNAPPLIED
    from .render import status

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
        lambda style: status.status_text(seen, shown, style, as_list),
        lambda: status.status_json(seen, shown),
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
    from .commands import dry_run, run
    from .render import errors, runs
    from .stdout import stdout_kept_clean

    options = session.options
    workspace = session.locate()
    if options.dry_run:
        planned = dry_run(workspace, planner)
        session.show(
            lambda style: runs.dry_run_text(planned, style, options.verbose),
            lambda: runs.dry_run_json(planned, options.verbose),
        )
        return 0
    if options.preview:
        return _preview(session, workspace, planner)
    from .narrator import Narrator

    style = _style(sys.stderr)
    narrator = Narrator(sys.stderr, style, options.verbose)
    with stdout_kept_clean(), narrator:
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
        session.show(lambda style: runs.run_text(done, style), lambda: runs.run_json(done))
        return 0
    if session.is_json:
        error = {"error": errors.error_json(done.error, workspace.shown)}
        _print_json(_document(options.command, False) | runs.run_json(done) | error)
    else:
        if done.results:
            print(runs.run_text(done, _style(sys.stdout)), flush=True)
        print(runs.failure_text(done, workspace.shown, style), file=sys.stderr)
    _print_cause(done.error, options.verbose)
    return done.error.exit_code


def _preview(session: _Session, workspace: Workspace, planner: Planner) -> int:
    from .preview import preview
    from .render import errors, rehearsal, runs
    from .stdout import stdout_kept_clean

    with stdout_kept_clean():
        rehearsed = preview(workspace, planner, session.options.command)
    error = rehearsed.run.error
    if error is None:
        session.show(
            lambda style: rehearsal.preview_text(rehearsed, style),
            lambda: rehearsal.preview_json(rehearsed),
        )
        return 0
    if session.is_json:
        document = _document(session.options.command, False)
        document |= rehearsal.preview_json(rehearsed)
        _print_json(document | {"error": errors.error_json(error, workspace.shown)})
    else:
        print(rehearsal.preview_text(rehearsed, _style(sys.stdout)), flush=True)
        print("", file=sys.stderr)
        print(
            runs.run_error_text(rehearsed.run, workspace.shown, _style(sys.stderr)),
            file=sys.stderr,
        )
    _print_cause(error, session.options.verbose)
    return error.exit_code


def _verify(session: _Session) -> int:
    from .render import rehearsal
    from .stdout import stdout_kept_clean
    from .verify import verify

    options = session.options
    workspace = session.locate()
    versions = [Version.parse(text) for text in options.versions]
    with stdout_kept_clean():
        verified = verify(workspace, versions, options.all, options.lint_only)
    ok = not any(item.has_failed for item in verified)
    if session.is_json:
        document = _document("verify", ok)
        _print_json(document | rehearsal.verified_json(verified, workspace.shown))
    else:
        style = _style(sys.stdout)
        print(rehearsal.verified_text(verified, workspace.shown, style, options.lint_only))
    return 0 if ok else 1


def _create(session: _Session) -> int:
    from . import create
    from .look import look
    from .render.created import created_json, created_text

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
        lambda style: created_text(created, workspace, style),
        lambda: created_json(created, workspace),
    )
    return 0


def _history(session: _Session) -> int:
    from .history import read_history
    from .render import care

    options = session.options
    version = Version.parse(options.version) if options.version is not None else None
    events = read_history(session.locate(), options.limit, version)
    session.show(
        lambda style: care.history_text(events, style, options.format == "list"),
        lambda: care.history_json(events),
    )
    return 0


def _baseline(session: _Session) -> int:
    from .commands import baseline
    from .render import care

    workspace = session.locate()
    target = Version.parse(session.options.target)
    marked = baseline(workspace, target, session.done_by, session.lock_timeout(workspace))
    session.show(
        lambda style: care.baseline_text(marked, target, style),
        lambda: care.baseline_json(marked),
    )
    return 0


def _repair(session: _Session) -> int:
    from .commands import Decisions, repair
    from .render import care

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
    session.show(lambda style: care.repair_text(done, style), lambda: care.repair_json(done))
    return 0


def _restore(session: _Session) -> int:
    from .backup import list_backups
    from .commands import restore
    from .render import care

    options = session.options
    workspace = session.locate()
    if options.backup is None:
        backups = list_backups(workspace)
        session.show(
            lambda style: care.backups_text(backups, style),
            lambda: care.backups_json(backups),
        )
        return 0
    timeout = session.lock_timeout(workspace)
    restored = restore(workspace, options.backup, options.force, session.done_by, timeout)
    session.show(
        lambda style: care.restored_text(restored, style),
        lambda: care.restored_json(restored),
    )
    return 0


def _check(session: _Session) -> int:
    from .look import look
    from .plan import UNAPPLIED, State
    from .render import status

    seen = look(session.locate())
    session.show(lambda style: status.check_text(seen), lambda: status.check_json(seen))
    states = {entry.state for entry in seen.entries}
    if states & {State.MODIFIED, State.INTERRUPTED}:
        return MigrateError.exit_code
    return _PENDING if states & UNAPPLIED else 0


_COMMANDS = {
    "upgrade": _upgrade,
    "downgrade": _downgrade,
    "status": _status,
    "create": _create,
    "verify": _verify,
    "history": _history,
    "repair": _repair,
    "baseline": _baseline,
    "restore": _restore,
    "check": _check,
}
