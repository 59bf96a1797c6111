"""Arguments in, an exit code out; the only module that catches (``output.py`` prints)."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Mapping, Sequence

from ..errors import DamagedEnvironment, MigrateError, UsageError
from .arguments import make_parser, wants_json
from .commands import COMMANDS
from .invocation import Invocation
from .output import Output, print_cause

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace


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
        arguments = list(sys.argv[1:] if arguments is None else arguments)
        if arguments[:1] == ["--typed"]:
            code = _run_typed(sys.stdin.read())
        elif arguments[:1] == ["--slash"]:
            code = _run_slash("".join(arguments[1:2]), sys.stdin.read())
        else:
            code = _run(arguments, os.environ, require=_require_consent)
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


def _run_typed(text: str) -> int:
    """Run what the user typed in Claude Code, and print what the client is to show of it."""
    import json

    from ..claude_code import outcome
    from .slash import MOST_ROWS, captured

    environment = {**os.environ, "CLAUDECODE": "1"}
    answer = outcome.answer(
        json.loads(text),
        environment,
        lambda arguments: captured(lambda: _run(list(arguments), environment, MOST_ROWS)),
    )
    print(json.dumps(answer))
    return 0


def _run_slash(session: str, text: str) -> int:
    """Print what the typed command of a session came to; Claude sees it on the one stream.

    Where the client's hooks do not tell what was typed, what only reads runs here.
    """
    from contextlib import redirect_stderr

    from ..claude_code import outcome
    from . import slash

    output = Output(None, is_json=False, environment=os.environ)
    with redirect_stderr(sys.stdout):
        try:
            project, arguments = slash.read_command(text)
        except UsageError as error:
            return _give_up(error, output, verbose=False)
        try:
            sys.stdout.write(outcome.tell(session, arguments, os.environ))
            return 0
        except MigrateError as error:
            if not _only_reads(arguments):
                return _give_up(error, output, verbose=False)
        environment = {**os.environ, "CLAUDE_PROJECT_DIR": project, "CLAUDECODE": "1"}
        code, printed = slash.captured(lambda: _run(arguments, environment, slash.MOST_ROWS))
        sys.stdout.buffer.write(slash.fit(printed, arguments, slash.MOST_BYTES))
        return code


def _only_reads(arguments: list[str]) -> bool:
    from ..claude_code import consent
    from ..claude_code.question import parsed

    options = parsed(arguments)
    return options is None or consent.is_unasked(options)


def _require_consent(options: Namespace, arguments: Sequence[str]) -> None:
    if os.environ.get("CLAUDECODE"):
        from ..claude_code import consent

        consent.require(options, arguments, os.environ)


def _require_nothing(options: Namespace, arguments: Sequence[str]) -> None:
    """Typed by the user, or only reading."""


def _run(
    arguments: list[str],
    environment: Mapping[str, str],
    most_rows: int | None = None,
    require: Callable[[Namespace, Sequence[str]], None] = _require_nothing,
) -> int:
    parser = make_parser()
    try:
        options = parser.parse_args(arguments)
    except SystemExit:  # --help and --version have printed it
        return 0
    except UsageError as error:
        output = Output(_command_in(arguments), wants_json(arguments), environment)
        return _give_up(error, output, "--verbose" in arguments)
    if options.command is None:
        parser.print_help(sys.stderr)
        return UsageError.exit_code
    output = Output(options.command, options.format == "json", environment)
    try:
        require(options, arguments)
        code = options.run(Invocation(options, environment, output, most_rows))
        output.finish()
        return int(code)
    except BrokenPipeError:
        raise
    except Exception as error:
        return _give_up(_explained(error), output, options.verbose)


def _explained(error: Exception) -> MigrateError:
    """Return the error that tells the user about any exception."""
    if isinstance(error, MigrateError):
        return error
    from ..storage.translation import as_typed

    told = as_typed(error) or _of_environment(error) or _bug(error)
    told.__cause__ = error
    return told


def _of_environment(error: Exception) -> MigrateError | None:
    from .damage import repair

    damaged = repair(error)
    if damaged is None:
        return None
    return DamagedEnvironment(
        "plugin-migrate's own Python environment was damaged",
        file=damaged,
        hint="The next command makes it again: run this one once more.",
    )


def _bug(error: Exception) -> MigrateError:
    bug = MigrateError(
        f"Internal error: {type(error).__name__}: {error}",
        hint="This is a bug in plugin-migrate; --verbose shows where. Nothing is lost: the"
        " next command finishes or undoes what was running.",
    )
    bug.code = "internal"
    return bug


def _command_in(arguments: Sequence[str]) -> str | None:
    """Return the command in arguments that are wrong, for the document about what is wrong."""
    names = {command.name for command in COMMANDS}
    return next((argument for argument in arguments if argument in names), None)


def _give_up(error: MigrateError, output: Output, verbose: bool) -> int:
    """Say why a command failed, and return its exit code."""
    output.give_up(error, _shown_as_is)
    if verbose:
        print_cause(error)
    return error.exit_code


def _shown_as_is(path: str) -> str:
    try:
        relative = os.path.relpath(path)
    except FileNotFoundError:  # the current directory was deleted
        return path
    return path if relative.startswith("..") else relative
