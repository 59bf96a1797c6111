"""The options and arguments that commands take, and what those of several mean."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from ..errors import Call, UsageError
from ..version import Version

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def add_upgrade(parser: argparse.ArgumentParser) -> None:
    """Add what ``upgrade`` takes."""
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
    parser.set_defaults(drop_rows=False)


def add_downgrade(parser: argparse.ArgumentParser) -> None:
    """Add what ``downgrade`` takes."""
    parser.add_argument(
        "target",
        nargs="?",
        metavar="X.Y.Z|N",
        help="the version to go back to, or a number of steps (default: 1)",
    )
    parser.add_argument(
        "--changed-since",
        choices=("leave", "rest", "all"),
        help="where a migration has no down and what it changed was changed since: leave it all"
        " (default), take back the rest, or all of it, after a backup",
    )
    _add_all(parser)
    _add_run_options(parser)
    _add_drop_rows(parser)


def add_redo(parser: argparse.ArgumentParser) -> None:
    """Add what ``redo`` takes."""
    parser.add_argument("target", nargs="?", metavar="N", help="how many (default: 1)")
    _add_backup_option(parser)
    _add_dry_run(parser)


def add_show(parser: argparse.ArgumentParser) -> None:
    """Add what ``show`` takes."""
    parser.add_argument("target", metavar="X.Y.Z", help="the migration")


def add_doctor(parser: argparse.ArgumentParser) -> None:
    """Add what ``doctor`` takes: nothing of its own."""


def add_help(parser: argparse.ArgumentParser) -> None:
    """Add what ``help`` takes."""
    parser.add_argument("topic", nargs="?", metavar="COMMAND", help="the command to explain")


def add_completion(parser: argparse.ArgumentParser) -> None:
    """Add what ``completion`` takes."""
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="the shell to complete in")


def add_status(parser: argparse.ArgumentParser) -> None:
    """Add what ``status`` takes."""
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--pending-only", action="store_true", help="only what is not applied")
    which.add_argument("--applied-only", action="store_true", help="only what is applied")
    _add_all(parser)


def add_create(parser: argparse.ArgumentParser) -> None:
    """Add what ``create`` takes."""
    parser.add_argument(
        "name", metavar="NAME|DIR", help="a slug, such as add-oauth; with --from a folder"
    )
    parser.add_argument("--description", metavar="TEXT", help="one line (default: the name)")
    # No defaults here: with --from, none of these three may be given.
    parser.add_argument(
        "--template",
        choices=("empty", "plugin", "schema", "data"),
        help="what to start from (default: empty)",
    )
    parser.add_argument(
        "--language", choices=("python", "sql", "typescript"), help="default: python"
    )
    _add_origin(parser, "TOOL", "convert the migrations of another tool in DIR", _convertible)
    parser.add_argument("--version", metavar="X.Y.Z", help="its version (default: the next one)")
    parser.add_argument(
        "--bump",
        choices=("patch", "minor", "major"),
        default="patch",
        help="which part of the newest version to raise (default: %(default)s)",
    )


def add_init_plugin(parser: argparse.ArgumentParser) -> None:
    """Add what ``init-plugin`` takes."""
    parser.add_argument(
        "folder",
        nargs="?",
        metavar="DIR",
        default=".",
        type=_path,
        help="the plugin's folder (default: this one)",
    )


def add_verify(parser: argparse.ArgumentParser) -> None:
    """Add what ``verify`` takes."""
    parser.add_argument("versions", nargs="*", metavar="X.Y.Z", help="these (default: pending)")
    parser.add_argument(
        "--all", action="store_true", help="every migration of every source, from the first"
    )
    parser.add_argument("--lint-only", action="store_true", help="read them, execute nothing")


def add_history(parser: argparse.ArgumentParser) -> None:
    """Add what ``history`` takes."""
    parser.add_argument("--limit", metavar="N", type=_count, help="at most N, the newest first")
    parser.add_argument("--version", metavar="X.Y.Z", help="only this migration")
    _add_all(parser)


def add_baseline(parser: argparse.ArgumentParser) -> None:
    """Add what ``baseline`` takes."""
    parser.add_argument("target", nargs="?", metavar="X.Y.Z", help="the last version to mark")
    _add_origin(
        parser, "SOURCE", "mark what another tool has applied: TOOL[:PATH[#KEY]]", _readable
    )
    parser.add_argument(
        "-y", "--yes", action="store_true", help="with --from: mark it without asking"
    )
    _add_dry_run(parser, "show what would be marked, change nothing")


def add_renumber(parser: argparse.ArgumentParser) -> None:
    """Add what ``renumber`` takes."""
    parser.add_argument("which", metavar="FILE|X.Y.Z", help="the migration, by name or version")
    parser.add_argument(
        "to", nargs="?", metavar="X.Y.Z", help="its new version (default: the next free one)"
    )


def add_repair(parser: argparse.ArgumentParser) -> None:
    """Add what ``repair`` takes."""
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


def add_restore(parser: argparse.ArgumentParser) -> None:
    """Add what ``restore`` takes."""
    parser.add_argument("backup", nargs="?", metavar="BACKUP", help="its id, from the list")
    parser.add_argument(
        "--force", action="store_true", help="also over files that were edited since"
    )
    _add_dry_run(parser, "show what would be brought back, change nothing")


def add_check(parser: argparse.ArgumentParser) -> None:
    """Add what ``check`` takes."""
    _add_all(parser)


def add_sync(parser: argparse.ArgumentParser) -> None:
    """Add what ``sync`` takes."""
    _add_backup_option(parser)
    _add_files_from(parser)
    _add_drop_rows(parser)
    _add_dry_run(parser)
    parser.set_defaults(preview=False, all=False)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"'{text}' is no number of at least 1")
    return int(text)


def add_common(parser: argparse.ArgumentParser, hidden: str | None = None) -> None:
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
    add(
        "--user",
        action="store_true",
        explained="the migrations of plugins that change the user's own folder, ~/.claude/",
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


def _add_origin(
    parser: argparse.ArgumentParser,
    metavar: str,
    explained: str,
    words: Callable[[], tuple[str, ...]],
) -> None:
    # Not `choices`: a tool whose migrations are programs is refused with a way out.
    action = parser.add_argument("--from", dest="origin", metavar=metavar, help=explained)
    action.completer = lambda **_: words()  # type: ignore[attr-defined]  # argcomplete asks for it


# What completes `--from`; imported there, for nothing else asks for it at the start.


def _convertible() -> tuple[str, ...]:
    from ..takeover.formats import FORMATS

    return tuple(FORMATS)


def _readable() -> tuple[str, ...]:
    from ..takeover.origin import JSON, TOOLS

    return tuple(f"{tool}:" if tool == JSON else tool for tool in TOOLS)


def _add_backup_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--no-backup", action="store_true", help="keep no copy of what the run changes"
    )


_DRY_RUN = "show the plan and check it, run nothing"


def _add_dry_run(parser: argparse._ActionsContainer, explained: str = _DRY_RUN) -> None:
    parser.add_argument("-n", "--dry-run", action="store_true", help=explained)


def _add_files_from(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--files-from",
        metavar="COMMIT|here",
        type=_path,
        help="where git's history lacks them: the files for what it brought or took",
    )


def _add_drop_rows(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--drop-rows",
        action="store_true",
        help="where git took files back: drop also what the database has and no commit",
    )


def _add_run_options(parser: argparse.ArgumentParser) -> None:
    _add_backup_option(parser)
    _add_files_from(parser)
    rehearsals = parser.add_mutually_exclusive_group()
    _add_dry_run(rehearsals)
    rehearsals.add_argument(
        "--preview", action="store_true", help="run the plan on a copy and show what would change"
    )


def upgrade_target(given: str | None) -> tuple[Version | None, int | None]:
    """Return the version up to which, or the number of migrations that, an upgrade applies.

    Parameters:
        given: ``X.Y.Z``, ``+N`` or nothing.

    Raises:
        InvalidVersion, UsageError: it is neither.
    """
    if given is None:
        return None, None
    if given.startswith("+"):
        return None, step_count(given[1:], "upgrade", "+")
    return Version.parse(given), None


def step_count(given: str, command: str, sign: str = "") -> int:
    """Return a number of steps.

    Raises:
        UsageError: it is none; proposes the ``command`` with one.
    """
    if given.isascii() and given.isdigit() and 0 < len(given) <= 9 and int(given) > 0:
        return int(given)
    raise UsageError(
        f"'{sign}{given}' is not a number of steps",
        hint=("For example: ", Call(command, f"{sign}2")),
    )
