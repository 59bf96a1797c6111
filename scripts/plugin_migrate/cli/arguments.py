"""The command line: one table of the commands, their options, and how they explain themselves.

A new command is an entry in :data:`COMMANDS`.
"""

from __future__ import annotations

import argparse
import functools
import os
from itertools import pairwise

from .. import __version__
from ..errors import UsageError
from ..values import NamedTuple
from . import commands

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import NoReturn

    from .invocation import Invocation

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
  plugin-migrate create add-oauth --description="Add OAuth support" --bump=minor
  plugin-migrate create split-users --template=schema --language=sql
  plugin-migrate create hotfix --version=1.1.5
"""
_INIT_PLUGIN_EXAMPLES = """\
examples:
  plugin-migrate init-plugin                  the plugin in this folder
  plugin-migrate init-plugin note-keeper      a new plugin, or one that is there
"""
_VERIFY_EXAMPLES = """\
examples:
  plugin-migrate verify                       rehearse what is pending, on a copy
  plugin-migrate verify 1.2.0                 rehearse this one
  plugin-migrate verify --all                 rehearse everything: for CI
  plugin-migrate verify --lint-only           look for mistakes, execute nothing
"""
_SYNC_EXAMPLES = """\
examples:
  plugin-migrate sync                         after plugins were updated or rolled back
  plugin-migrate sync --plugin memory-keeper  only this one
  plugin-migrate sync --dry-run               what it would do
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
_RENUMBER_EXAMPLES = """\
examples:
  plugin-migrate renumber 1.2.0-add-oauth.py  a merge brought another 1.2.0: give this one the next
                                              free version, also where other files name it
  plugin-migrate renumber 1.2.0 2.0.0         this version; of two files the one not applied
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

exit codes: 0 nothing pending, 3 pending, 1 modified, interrupted, refused or ahead of the files:
the state is not what the code expects
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
    _add_common(common)
    parser = _Parser(
        prog="plugin-migrate",
        description="Versioned, reversible, crash-safe migrations of a project's .claude/ state.",
        epilog=_EPILOG,
        formatter_class=_Help,
        allow_abbrev=False,
    )
    _add_common(parser)
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


def _upgrade(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", nargs="?", metavar="X.Y.Z", help="the last version to apply")
    parser.add_argument(
        "--strict", action="store_true", help="refuse migrations below the current version"
    )
    _add_all(parser)
    _add_run_options(parser)


def _downgrade(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "target",
        nargs="?",
        metavar="X.Y.Z|N",
        help="the version to go back to, or a number of steps (default: 1)",
    )
    _add_all(parser)
    _add_run_options(parser)


def _status(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--pending-only", action="store_true", help="only what is not applied")
    which.add_argument("--applied-only", action="store_true", help="only what is applied")
    _add_all(parser)


def _create(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="a slug, such as add-oauth")
    parser.add_argument("--description", metavar="TEXT", help="one line (default: the name)")
    parser.add_argument(
        "--template",
        choices=("empty", "plugin", "schema", "data"),
        default="empty",
        help="what to start from (default: %(default)s)",
    )
    parser.add_argument(
        "--language",
        choices=("python", "sql", "typescript"),
        default="python",
        help="default: %(default)s",
    )
    parser.add_argument("--version", metavar="X.Y.Z", help="its version (default: the next one)")
    parser.add_argument(
        "--bump",
        choices=("patch", "minor", "major"),
        default="patch",
        help="which part of the newest version to raise (default: %(default)s)",
    )


def _init_plugin(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder",
        nargs="?",
        metavar="DIR",
        default=".",
        type=_path,
        help="the plugin's folder (default: this one)",
    )


def _verify(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("versions", nargs="*", metavar="X.Y.Z", help="these (default: pending)")
    parser.add_argument(
        "--all", action="store_true", help="every migration of every source, from the first"
    )
    parser.add_argument("--lint-only", action="store_true", help="read them, execute nothing")


def _history(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--limit", metavar="N", type=_count, help="at most N, the newest first")
    parser.add_argument("--version", metavar="X.Y.Z", help="only this migration")
    _add_all(parser)


def _baseline(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="X.Y.Z", help="the last version to mark")


def _renumber(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("which", metavar="FILE|X.Y.Z", help="the migration, by name or version")
    parser.add_argument(
        "to", nargs="?", metavar="X.Y.Z", help="its new version (default: the next free one)"
    )


def _repair(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("versions", nargs="*", metavar="X.Y.Z", help="only these edited files")
    files = parser.add_mutually_exclusive_group()
    files.add_argument(
        "--keep-live", action="store_true", help="keep files that were edited meanwhile"
    )
    files.add_argument(
        "--take-migrated", action="store_true", help="replace them by the migration's result"
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--applied", action="store_true", help="the interrupted step is applied")
    which.add_argument("--pending", action="store_true", help="the interrupted step is not applied")
    parser.add_argument(
        "--take-database", action="store_true", help="this project was moved; its database stayed"
    )


def _restore(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("backup", nargs="?", metavar="BACKUP", help="its id, from the list")
    parser.add_argument(
        "--force", action="store_true", help="also over files that were edited since"
    )


def _check(parser: argparse.ArgumentParser) -> None:
    _add_all(parser)


def _sync(parser: argparse.ArgumentParser) -> None:
    _add_backup_option(parser)
    parser.add_argument("--dry-run", action="store_true", help=_DRY_RUN)
    parser.set_defaults(preview=False, all=False)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"'{text}' is no number of at least 1")
    return int(text)


def _add_common(parser: argparse.ArgumentParser) -> None:
    """Add what may stand before and after the command; `make_parser` sets the defaults."""
    add = functools.partial(parser.add_argument, default=argparse.SUPPRESS)
    add("--project", metavar="DIR", type=_path, help="the folder that holds .claude/")
    add("--database", metavar="PATH", type=_path, help="the state database")
    add("--migrations", metavar="DIR", type=_path, help="the migrations folder")
    add("--plugin", metavar="NAME", type=_path, help="the migrations that this plugin ships")
    add(
        "--plugin-dir",
        metavar="DIR",
        type=_path,
        action="append",
        help="a plugin that is being written, as for the client; can be repeated",
    )
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


def _add_all(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--all", action="store_true", help="the project's own migrations and those of its plugins"
    )


def _add_backup_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--no-backup", action="store_true", help="keep no copy of what the run changes"
    )


_DRY_RUN = "show the plan and check it, run nothing"


def _add_run_options(parser: argparse.ArgumentParser) -> None:
    _add_backup_option(parser)
    rehearsals = parser.add_mutually_exclusive_group()
    rehearsals.add_argument("--dry-run", action="store_true", help=_DRY_RUN)
    rehearsals.add_argument(
        "--preview", action="store_true", help="run the plan on a copy and show what would change"
    )


class Command(NamedTuple):
    """A command of the command line: what it is called and does, and how it is explained.

    ``formats`` are what ``--format`` accepts, the default first. ``examples`` follow its help.
    """

    name: str
    summary: str
    run: Callable[[Invocation], int]
    add_arguments: Callable[[argparse.ArgumentParser], None]
    examples: str
    formats: tuple[str, ...] = ("text", "json")


_TABLE = ("table", "json", "list")
COMMANDS = (
    Command(
        "upgrade", "apply pending migrations", commands.run_upgrade, _upgrade, _UPGRADE_EXAMPLES
    ),
    Command(
        "downgrade", "roll migrations back", commands.run_downgrade, _downgrade, _DOWNGRADE_EXAMPLES
    ),
    Command(
        "status",
        "show every migration and its state",
        commands.run_status,
        _status,
        _STATUS_EXAMPLES,
        _TABLE,
    ),
    Command("create", "write a new migration file", commands.run_create, _create, _CREATE_EXAMPLES),
    Command(
        "init-plugin",
        "prepare a plugin that is to ship migrations",
        commands.run_init_plugin,
        _init_plugin,
        _INIT_PLUGIN_EXAMPLES,
    ),
    Command(
        "verify",
        "rehearse migrations on a copy: up, down, up; and lint them",
        commands.run_verify,
        _verify,
        _VERIFY_EXAMPLES,
    ),
    Command(
        "sync",
        "bring plugins' state to the versions that are installed",
        commands.run_sync,
        _sync,
        _SYNC_EXAMPLES,
    ),
    Command(
        "history",
        "show everything that happened",
        commands.run_history,
        _history,
        _HISTORY_EXAMPLES,
        _TABLE,
    ),
    Command(
        "baseline",
        "mark migrations as applied without running them",
        commands.run_baseline,
        _baseline,
        _BASELINE_EXAMPLES,
    ),
    Command(
        "renumber",
        "give a migration another version",
        commands.run_renumber,
        _renumber,
        _RENUMBER_EXAMPLES,
    ),
    Command(
        "repair",
        "accept edited files and settle what was interrupted",
        commands.run_repair,
        _repair,
        _REPAIR_EXAMPLES,
    ),
    Command(
        "restore",
        "list automatic backups, or go back to one",
        commands.run_restore,
        _restore,
        _RESTORE_EXAMPLES,
    ),
    Command(
        "check", "exit 3 when something is pending", commands.run_check, _check, _CHECK_EXAMPLES
    ),
)
