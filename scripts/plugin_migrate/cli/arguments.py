"""The command line: one table of the commands, their options, and how they explain themselves.

A new command is an entry in :data:`COMMANDS`.
"""

from __future__ import annotations

import argparse
import os
from itertools import pairwise
from types import MappingProxyType

from .. import __version__
from ..errors import UsageError
from ..values import NamedTuple
from . import commands
from .explain import run_completion, run_doctor, run_help, run_show
from .redo import run_redo

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, NoReturn

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
  plugin-migrate help upgrade                 what one command does, with examples

environment:
  CLAUDE_PROJECT_DIR     where to look for the project, before the current directory
  PLUGIN_MIGRATE_CACHE   the folder of our Python environment (default: ~/.cache/plugin-migrate)
  NO_COLOR, FORCE_COLOR  never colour, always; --color says more than both
  PAGER, COLUMNS         what shows long results on a terminal; how wide they are elsewhere
  TMPDIR                 where previews and verify keep their copies

exit codes: 0 done, 1 failed, 2 wrong usage, 3 pending (check), 130 interrupted
"""
_UPGRADE_EXAMPLES = """\
examples:
  plugin-migrate upgrade                      apply everything pending
  plugin-migrate upgrade 1.2.0                apply up to and with 1.2.0
  plugin-migrate upgrade +1                   apply the next one only
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
_REDO_EXAMPLES = """\
examples:
  plugin-migrate redo                         roll the last migration back, apply it again
  plugin-migrate redo 3 --dry-run             what that would do with the last three
"""
_SHOW_EXAMPLES = """\
examples:
  plugin-migrate show 1.2.0                   its header, state, source, and what its run changed
"""
_DOCTOR_EXAMPLES = """\
examples:
  plugin-migrate doctor                       what is here, and what to do about it: reads only

exit codes: 0 all is well, 1 something is to be done
"""
_HELP_EXAMPLES = """\
examples:
  plugin-migrate help                         every command
  plugin-migrate help upgrade                 one of them
"""
_COMPLETION_EXAMPLES = """\
examples:
  eval "$(plugin-migrate completion bash)"    in ~/.bashrc
  eval "$(plugin-migrate completion zsh)"     in ~/.zshrc, after compinit
  plugin-migrate completion fish | source     in ~/.config/fish/config.fish
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
  plugin-migrate repair --dry-run             what it would do, with the diffs
  plugin-migrate repair                       accept every edited file, and show the diffs
  plugin-migrate repair 1.2.0                 accept this one only
  plugin-migrate repair --applied             the interrupted step is applied
  plugin-migrate repair --keep-live           keep files somebody edited during a crash
"""
_RESTORE_EXAMPLES = """\
examples:
  plugin-migrate restore                      list the backups
  plugin-migrate restore 20261122-170000-upgrade
                                              go back to before that upgrade
  plugin-migrate restore 20261122-170000-upgrade --dry-run
                                              what that would bring back
"""
_CHECK_EXAMPLES = """\
examples:
  plugin-migrate check                        for scripts and CI: reads only

exit codes: 0 nothing pending, 3 pending, 1 modified, interrupted or ahead of the files: the state
is not what the code expects
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
    _add_common(common, argparse.SUPPRESS)
    parser = _Parser(
        prog="plugin-migrate",
        description="Versioned, reversible, crash-safe migrations of a project's .claude/ state.",
        epilog=_EPILOG,
        formatter_class=_Help,
        allow_abbrev=False,
    )
    _add_common(parser)
    parser.add_argument(
        "-V", "--version", action="version", version=f"plugin-migrate {__version__}"
    )
    parser.set_defaults(
        project=None,
        database=None,
        migrations=None,
        plugin=None,
        plugin_dir=None,
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


_DRY_RUN = "show the plan and check it, run nothing"


def _upgrade(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "target",
        nargs="?",
        metavar="X.Y.Z|+N",
        help="the last version to apply, or how many (default: all)",
    )
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


def _redo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", nargs="?", metavar="N", help="how many (default: 1)")
    _add_backup_option(parser)
    _add_dry_run(parser)


def _show(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="X.Y.Z", help="the migration")


def _doctor(parser: argparse.ArgumentParser) -> None:
    """Take no arguments of its own."""


def _help(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("topic", nargs="?", metavar="COMMAND", help="the command to explain")


def _completion(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="the shell to complete in")


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
    _add_dry_run(parser, "show what would be settled, change nothing")


def _restore(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("backup", nargs="?", metavar="BACKUP", help="its id, from the list")
    parser.add_argument(
        "--force", action="store_true", help="also over files that were edited since"
    )
    _add_dry_run(parser, "show what would be brought back, change nothing")


def _check(parser: argparse.ArgumentParser) -> None:
    _add_all(parser)


def _sync(parser: argparse.ArgumentParser) -> None:
    _add_backup_option(parser)
    _add_dry_run(parser)
    parser.set_defaults(preview=False, all=False)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"'{text}' is no number of at least 1")
    return int(text)


_GLOBAL_OPTIONS = """
global options, explained by `plugin-migrate --help`:
  --project --database --migrations --plugin --plugin-dir --lock-timeout --color --verbose --quiet
"""


def _add_common(parser: argparse.ArgumentParser, hidden: str | None = None) -> None:
    """Add what may stand before and after the command; `make_parser` sets the defaults.

    Parameters:
        hidden: what takes the place of every help, for a parser that need not explain them again.
    """

    def add(*names: str, explained: str, **options: Any) -> None:
        told = hidden or explained
        parser.add_argument(*names, default=argparse.SUPPRESS, help=told, **options)

    add("--project", metavar="DIR", type=_path, explained="the folder that holds .claude/")
    add("--database", metavar="PATH", type=_path, explained="the state database")
    add("--migrations", metavar="DIR", type=_path, explained="the migrations folder")
    add("--plugin", metavar="NAME", type=_path, explained="the migrations that this plugin ships")
    add(
        "--plugin-dir",
        metavar="DIR",
        type=_path,
        action="append",
        explained="a plugin that is being written, as for the client; can be repeated",
    )
    add("--lock-timeout", metavar="SECONDS", type=_seconds, explained="wait for another run")
    add("--color", choices=("auto", "always", "never"), explained="when to colour (default: auto)")
    add("--verbose", action="store_true", explained="show sources, steps and tracebacks")
    add("-q", "--quiet", action="store_true", explained="print only what is wrong")


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


def _add_dry_run(parser: argparse._ActionsContainer, explained: str = _DRY_RUN) -> None:
    parser.add_argument("-n", "--dry-run", action="store_true", help=explained)


def _add_run_options(parser: argparse.ArgumentParser) -> None:
    _add_backup_option(parser)
    rehearsals = parser.add_mutually_exclusive_group()
    _add_dry_run(rehearsals)
    rehearsals.add_argument(
        "--preview", action="store_true", help="run the plan on a copy and show what would change"
    )


class Command(NamedTuple):
    """A command of the command line: what it is called and does, and how it is explained.

    ``formats`` are what ``--format`` accepts, the default first. ``examples`` follow its help.
    ``aliases`` are what other tools call it.
    """

    name: str
    summary: str
    run: Callable[[Invocation], int]
    add_arguments: Callable[[argparse.ArgumentParser], None]
    examples: str
    formats: tuple[str, ...] = ("text", "json")
    aliases: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Everything that it is called."""
        return (self.name, *self.aliases)


_TABLE = ("table", "json", "list")
COMMANDS = (
    Command(
        "upgrade", "apply pending migrations", commands.run_upgrade, _upgrade, _UPGRADE_EXAMPLES
    ),
    Command(
        "downgrade",
        "roll migrations back",
        commands.run_downgrade,
        _downgrade,
        _DOWNGRADE_EXAMPLES,
        aliases=("rollback",),
    ),
    Command("redo", "roll migrations back and apply them again", run_redo, _redo, _REDO_EXAMPLES),
    Command(
        "status",
        "show every migration and its state",
        commands.run_status,
        _status,
        _STATUS_EXAMPLES,
        _TABLE,
    ),
    Command("show", "show one migration", run_show, _show, _SHOW_EXAMPLES),
    Command(
        "create",
        "write a new migration file",
        commands.run_create,
        _create,
        _CREATE_EXAMPLES,
        aliases=("new",),
    ),
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
    Command(
        "doctor",
        "look whether all is well, and say what to do",
        run_doctor,
        _doctor,
        _DOCTOR_EXAMPLES,
    ),
    Command("help", "explain a command", run_help, _help, _HELP_EXAMPLES),
    Command(
        "completion",
        "print what makes a shell complete our commands",
        run_completion,
        _completion,
        _COMPLETION_EXAMPLES,
    ),
)
