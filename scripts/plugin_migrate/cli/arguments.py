"""From the words of a command line to its options, by the table of commands."""

from __future__ import annotations

import argparse
import os
from itertools import pairwise

from .. import __version__
from ..errors import UsageError
from .commands import COMMANDS
from .options import add_common

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
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

exit codes: 0 done, 1 failed, 2 wrong usage, 3 pending (check), 130 interrupted
"""


class _Parser(argparse.ArgumentParser):
    """Reports wrong usage as one of our errors, so that it can be JSON too."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message[:1].upper() + message[1:], hint=f"See: {self.prog} --help")


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line; what it refuses is a :class:`UsageError`.

    What it returns carries the options of the command, its name as ``command``, and as ``run`` the
    function that carries it out.
    """
    common = _Parser(add_help=False, formatter_class=_Help)
    add_common(common)
    parser = _Parser(
        prog="plugin-migrate",
        description="Versioned, reversible, crash-safe migrations of a project's .claude/ state.",
        epilog=_EPILOG,
        formatter_class=_Help,
        allow_abbrev=False,
    )
    add_common(parser)
    parser.add_argument("--version", action="version", version=f"plugin-migrate {__version__}")
    parser.set_defaults(
        project=None,
        database=None,
        migrations=None,
        plugin=None,
        plugin_dir=None,
        lock_timeout=None,
        verbose=False,
    )
    # Not `required`: whoever gives no command is shown the help, which says more than an error.
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for command in COMMANDS:
        subparser = commands.add_parser(
            command.name,
            parents=[common],
            help=command.summary,
            description=command.summary[:1].upper() + command.summary[1:] + ".",
            epilog=command.examples,
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
        subparser.set_defaults(run=command.run)
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
        super().__init__(prog, width=max(columns - 2, 40))
