"""The table of the commands: what each is called and does, and how it explains itself.

A new command is an entry in :data:`COMMANDS`, a function in one of the modules beside this one, and
its options in ``options.py``.
"""

from __future__ import annotations

import argparse

from ...values import NamedTuple
from ..options import (
    add_baseline,
    add_check,
    add_completion,
    add_create,
    add_doctor,
    add_downgrade,
    add_help,
    add_history,
    add_init_plugin,
    add_redo,
    add_renumber,
    add_repair,
    add_restore,
    add_show,
    add_status,
    add_sync,
    add_upgrade,
    add_verify,
)
from .author import run_create, run_init_plugin, run_verify
from .explain import run_completion, run_doctor, run_help, run_show
from .maintain import run_baseline, run_renumber, run_repair, run_restore
from .migrate import run_downgrade, run_redo, run_sync, run_upgrade
from .show import run_check, run_history, run_status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ..invocation import Invocation


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
  plugin-migrate create --from dbmate db/migrations
                                              the migrations of another tool as ours: dbmate,
                                              goose, golang-migrate, drizzle, sql (001_name.sql)
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
  plugin-migrate sync                         after git or a plugin brought or took migrations
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
  plugin-migrate baseline --from dbmate --dry-run
                                              what dbmate has applied, as migrations here
  plugin-migrate baseline --from goose:.claude/app.db
                                              mark it, by the ledger in this database
  plugin-migrate baseline --from json:.claude/state.json#applied --yes
                                              by a list or number in a file, without asking

tools: user_version, dbmate, goose, golang-migrate, knex, alembic, drizzle, sqlite-utils, original,
json; the path is relative to the project, and without one the state database is read
"""
_REPAIR_EXAMPLES = """\
examples:
  plugin-migrate repair --dry-run             what it would do, with the diffs
  plugin-migrate repair                       accept every edited file, and show the diffs
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
  plugin-migrate restore 20261122-170000-upgrade --dry-run
                                              what that would bring back
"""
_CHECK_EXAMPLES = """\
examples:
  plugin-migrate check                        for scripts and CI: reads only

exit codes: 0 nothing pending, 3 pending, 1 modified, interrupted, refused or ahead of the files:
the state is not what the code expects
"""


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
    Command("upgrade", "apply pending migrations", run_upgrade, add_upgrade, _UPGRADE_EXAMPLES),
    Command(
        "downgrade",
        "roll migrations back",
        run_downgrade,
        add_downgrade,
        _DOWNGRADE_EXAMPLES,
        aliases=("rollback",),
    ),
    Command(
        "redo", "roll migrations back and apply them again", run_redo, add_redo, _REDO_EXAMPLES
    ),
    Command(
        "status",
        "show every migration and its state",
        run_status,
        add_status,
        _STATUS_EXAMPLES,
        _TABLE,
    ),
    Command("show", "show one migration", run_show, add_show, _SHOW_EXAMPLES),
    Command(
        "create",
        "write a new migration file",
        run_create,
        add_create,
        _CREATE_EXAMPLES,
        aliases=("new",),
    ),
    Command(
        "init-plugin",
        "prepare a plugin that is to ship migrations",
        run_init_plugin,
        add_init_plugin,
        _INIT_PLUGIN_EXAMPLES,
    ),
    Command(
        "verify",
        "rehearse migrations on a copy: up, down, up; and lint them",
        run_verify,
        add_verify,
        _VERIFY_EXAMPLES,
    ),
    Command(
        "sync",
        "bring the state in step with git's files and the installed plugins",
        run_sync,
        add_sync,
        _SYNC_EXAMPLES,
    ),
    Command(
        "history",
        "show everything that happened",
        run_history,
        add_history,
        _HISTORY_EXAMPLES,
        _TABLE,
    ),
    Command(
        "baseline",
        "mark migrations as applied without running them",
        run_baseline,
        add_baseline,
        _BASELINE_EXAMPLES,
    ),
    Command(
        "renumber",
        "give a migration another version",
        run_renumber,
        add_renumber,
        _RENUMBER_EXAMPLES,
    ),
    Command(
        "repair",
        "accept edited files and settle what was interrupted",
        run_repair,
        add_repair,
        _REPAIR_EXAMPLES,
    ),
    Command(
        "restore",
        "list automatic backups, or go back to one",
        run_restore,
        add_restore,
        _RESTORE_EXAMPLES,
    ),
    Command("check", "exit 3 when something is pending", run_check, add_check, _CHECK_EXAMPLES),
    Command(
        "doctor",
        "look whether all is well, and say what to do",
        run_doctor,
        add_doctor,
        _DOCTOR_EXAMPLES,
    ),
    Command("help", "explain a command", run_help, add_help, _HELP_EXAMPLES),
    Command(
        "completion",
        "print what makes a shell complete our commands",
        run_completion,
        add_completion,
        _COMPLETION_EXAMPLES,
    ),
)
