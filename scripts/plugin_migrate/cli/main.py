"""Arguments in, an exit code out; the only module that catches (``output.py`` prints)."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Mapping, Sequence

from ..errors import DamagedEnvironment, MigrateError, UsageError
from ..platform import system
from .arguments import make_parser, wants_json
from .commands import COMMANDS
from .invocation import Invocation
from .output import Output, print_cause, with_color

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace


def main(
    arguments: Sequence[str] | None = None,
    run: Callable[[list[str]], int] = lambda arguments: run_command(arguments, os.environ),
) -> int:
    """Run one command line and return its exit code.

    0 done, 1 failed, 2 wrong usage, 3 pending (``check``), 130 interrupted.

    Parameters:
        arguments: the process's when ``None``.
        run: what to do with them.
    """
    _open_missing_streams()
    for stream in (sys.stdout, sys.stderr):
        # Box drawing must not fail, whatever the locale says.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        code = run(list(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # The reader (`| head`) has enough; Python must not complain at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        print(f"✗ Error: The output cannot be written: {system.reason_of(error)}", file=sys.stderr)
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


def _require_nothing(options: Namespace, arguments: Sequence[str]) -> None:
    """Typed by the user, or only reading."""


def run_command(
    arguments: list[str],
    environment: Mapping[str, str],
    most_rows: int | None = None,
    require: Callable[[Namespace, Sequence[str]], None] = _require_nothing,
) -> int:
    """Run a command, print what it came to, and return its exit code.

    Parameters:
        environment: the process's, or what is to stand for it.
        most_rows: how many rows a table may have; any number when ``None``.
        require: raises if the command must not run.
    """
    parser = make_parser()
    if "_ARGCOMPLETE" in environment:
        from .commands.explain import complete

        complete(parser)
    try:
        options = parser.parse_args(arguments)
    except SystemExit:  # --help and --version have printed it
        return 0
    except UsageError as error:
        output = Output(_command_in(arguments), wants_json(arguments), environment)
        return give_up(error, output, "--verbose" in arguments)
    if options.command is None:
        parser.print_help(sys.stderr)
        return UsageError.exit_code
    environment = with_color(environment, options.color)
    output = Output(options.command, options.format == "json", environment, options.quiet)
    try:
        require(options, arguments)
        code = options.run(Invocation(options, environment, output, most_rows))
        output.finish()
        return int(code)
    except BrokenPipeError:
        raise
    except Exception as error:
        return give_up(_explained(error), output, options.verbose)


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
    names = {name: command.name for command in COMMANDS for name in command.names}
    return next((names[argument] for argument in arguments if argument in names), None)


def give_up(error: MigrateError, output: Output, verbose: bool) -> int:
    """Say why a command failed, and return its exit code."""
    output.give_up(error, _shown_as_is)
    if verbose:
        print_cause(error)
    return error.exit_code


def _shown_as_is(path: str) -> str:
    try:
        relative = os.path.relpath(path)
    except (FileNotFoundError, ValueError):  # the current directory is deleted, or on another disk
        relative = path
    return system.slashed(path if relative.startswith("..") else relative)
