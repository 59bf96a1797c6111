"""From the words of a command line to its options, by the table of commands."""

from __future__ import annotations

import argparse
import os
from itertools import pairwise
from types import MappingProxyType

from .. import __version__
from ..errors import UsageError
from .commands import COMMANDS
from .options import add_common

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import NoReturn


_EPILOG = """\
examples:
  plugin-migrate status                       what is applied, what is pending
  plugin-migrate upgrade --dry-run            what an upgrade would do
  plugin-migrate upgrade                      apply everything pending
  plugin-migrate upgrade 1.2.0                apply up to and with 1.2.0
  plugin-migrate downgrade                    roll the last migration back
  plugin-migrate create add-oauth             write a new migration file
  plugin-migrate history                      everything that ever happened
  plugin-migrate upgrade --plugin NAME        apply what an enabled plugin ships
  plugin-migrate help upgrade                 what one command does, with examples

environment:
  CLAUDE_PROJECT_DIR     where to look for the project, before the current directory
  PLUGIN_MIGRATE_CACHE   the folder of our Python environment (default: ~/.cache/plugin-migrate)
  NO_COLOR, FORCE_COLOR  never colour, always; --color says more than both
  PAGER, COLUMNS         what shows long results on a terminal; how wide they are elsewhere
  TMPDIR                 where previews and verify keep their copies

exit codes: 0 done, 1 failed, 2 wrong usage, 3 pending (check), 130 interrupted
"""
_GLOBAL_OPTIONS = """
global options, explained by `plugin-migrate --help`:
  --project --database --migrations --plugin --plugin-dir --user
  --lock-timeout --color --verbose --quiet
"""


class _Parser(argparse.ArgumentParser):
    """Reports wrong usage as one of our errors, so that it can be JSON too."""

    commands: Mapping[str, argparse.ArgumentParser] = MappingProxyType({})

    def error(self, message: str) -> NoReturn:
        raise UsageError(message[:1].upper() + message[1:], hint=f"See: {self.prog} --help")

    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> argparse.Namespace:
        """Return the options; what is not one is told by the command that it was given to."""
        options, extra = self.parse_known_args(args, namespace)
        if extra:
            from .meant import unknown_arguments

            parser = self.commands.get(options.command, self)
            raise unknown_arguments(extra, parser._option_string_actions, parser.prog)
        return options

    def _check_value(self, action: argparse.Action, value: object) -> None:
        # argparse's own error lists every choice and guesses none.
        if action.choices is None or value in action.choices:
            return
        from .meant import unknown_choice, unknown_command

        if isinstance(action, argparse._SubParsersAction):
            raise unknown_command(str(value), action.choices)
        what = "/".join(action.option_strings) or str(action.metavar or action.dest)
        raise unknown_choice(value, what, tuple(action.choices), self.prog)


def make_parser() -> _Parser:
    """Return the parser of the command line; what it refuses is a :class:`UsageError`.

    What it returns carries the options of the command, its name as ``command``, and as ``run`` the
    function that carries it out.
    """
    common = _Parser(add_help=False, formatter_class=_Help)
    add_common(common, argparse.SUPPRESS)
    parser = _Parser(
        prog="plugin-migrate",
        description="Versioned, reversible, crash-safe migrations of a project's .claude/ state.",
        epilog=_EPILOG,
        formatter_class=_Help,
        allow_abbrev=False,
    )
    add_common(parser)
    parser.add_argument(
        "-V", "--version", action="version", version=f"plugin-migrate {__version__}"
    )
    parser.set_defaults(
        project=None,
        database=None,
        migrations=None,
        plugin=None,
        plugin_dir=None,
        user=False,
        lock_timeout=None,
        verbose=False,
        quiet=False,
        color="auto",
    )
    # Not `required`: whoever gives no command is shown the help, which says more than an error.
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for command in COMMANDS:
        subparser = commands.add_parser(
            command.name,
            aliases=command.aliases,
            parents=[common],
            help=command.summary,
            description=command.summary[:1].upper() + command.summary[1:] + ".",
            epilog=command.examples + _GLOBAL_OPTIONS,
            formatter_class=_Help,
            allow_abbrev=False,
        )
        subparser.add_argument(
            "--format",
            choices=command.formats,
            default=command.formats[0],
            help="how to print the result",
        )
        command.add_arguments(subparser)
        # argparse gives the alias that was typed; what it is short for counts.
        subparser.set_defaults(run=command.run, command=command.name)
    parser.commands = commands.choices
    return parser


def wants_json(arguments: Sequence[str]) -> bool:
    """Return whether a command line, which may be wrong, asks for a JSON document."""
    pairs = pairwise([*arguments, ""])
    return any(one == "--format=json" or (one, two) == ("--format", "json") for one, two in pairs)


class _Help(argparse.RawDescriptionHelpFormatter):
    """Help as wide as the terminal; argparse itself would import shutil, bz2 and lzma for that."""

    def __init__(self, prog: str) -> None:
        try:
            columns = os.get_terminal_size(1).columns
        except OSError:
            columns = 80
        super().__init__(prog, max_help_position=27, width=max(columns - 2, 40))
