"""Arguments in, text or JSON and an exit code out; the only module that prints or catches."""

from __future__ import annotations

import argparse
import functools
import io
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from . import __version__
from .errors import MigrateError, UsageError
from .version import Version
from .workspace import Workspace, locate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn, TextIO

    from .commands import Planner
    from .render import Style

_EPILOG = """\
examples:
  plugin-migrate status                       what is applied, what is pending
  plugin-migrate upgrade --dry-run            what an upgrade would do
  plugin-migrate upgrade                      apply everything pending
  plugin-migrate upgrade 1.2.0                apply up to and with 1.2.0
  plugin-migrate downgrade                    roll the last migration back
  plugin-migrate create add-oauth             write a new migration file

exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted
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


class _Parser(argparse.ArgumentParser):
    """Reports wrong usage as one of our errors, so that it can be JSON too."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message[:1].upper() + message[1:], hint=f"See: {self.prog} --help")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code.

    0 done, 1 failed, 2 wrong usage, 3 pending (``check``), 130 interrupted.
    """
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
        options = _parser().parse_args(arguments)
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
    pairs = zip(arguments, [*arguments[1:], ""], strict=True)
    return any(one == "--format=json" or (one, two) == ("--format", "json") for one, two in pairs)


def _print_error(error: MigrateError, command: str | None, is_json: bool, verbose: bool) -> None:
    from . import render

    if is_json:
        document = _document(command, False) | {"error": render.error_json(error, _shown_as_is)}
        _print_json(document)
    else:
        print(render.error_text(error, _shown_as_is, _style(sys.stderr)), file=sys.stderr)
    if verbose and error.__cause__ is not None:
        import traceback

        traceback.print_exception(error, file=sys.stderr)


def _shown_as_is(path: str) -> str:
    relative = os.path.relpath(path)
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
    target = Version.parse(options.target) if options.target else None
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
        preview = dry_run(workspace, planner)
        session.show(
            lambda style: render.preview_text(preview, options.verbose),
            lambda: render.preview_json(preview, options.verbose),
        )
        return 0
    from .narrator import Narrator

    timeout = workspace.config.lock_timeout
    if options.lock_timeout is not None:
        timeout = options.lock_timeout
    style = _style(sys.stderr)
    with _stdout_kept_clean():
        done = run(
            workspace,
            planner,
            options.command,
            session.done_by,
            Narrator(sys.stderr, style, options.verbose),
            timeout,
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
    if options.verbose and done.error.__cause__ is not None:
        import traceback

        traceback.print_exception(done.error, file=sys.stderr)
    return done.error.exit_code


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
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

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
    _add_dry_run(upgrade)
    downgrade = add(
        "downgrade", _downgrade, "roll migrations back", _DOWNGRADE_EXAMPLES, "text", "json"
    )
    downgrade.add_argument(
        "target",
        nargs="?",
        metavar="X.Y.Z|N",
        help="the version to go back to, or a number of steps (default: 1)",
    )
    _add_dry_run(downgrade)
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
    return parser


def _add_common(parser: argparse.ArgumentParser) -> None:
    """Add what may stand before and behind the command; the defaults are set once, in `_parser`."""
    add = functools.partial(parser.add_argument, default=argparse.SUPPRESS)
    add("--project", metavar="DIR", help="the folder that holds .claude/")
    add("--database", metavar="PATH", help="the state database")
    add("--migrations", metavar="DIR", help="the migrations folder")
    add("--lock-timeout", metavar="SECONDS", type=_seconds, help="wait for another run")
    add("--verbose", action="store_true", help="show sources, steps and tracebacks")


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds < 1e6:
        raise ValueError
    return seconds


def _add_dry_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--dry-run", action="store_true", help="show the plan and check it, run nothing"
    )
