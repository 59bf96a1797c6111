"""The sentence by which the user is asked: what a call of ours would do, with its plan.

The plan is the one that the call itself would make, read by the same code. Descriptions come from
files that anybody may have written: they are shown as one line each, and cut.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from io import StringIO

from ..cli.arguments import make_parser
from ..cli.options import step_count, upgrade_target
from ..engine.prepare import description_of
from ..errors import MigrateError, UsageError
from ..migration import title_of
from ..plan import UNAPPLIED, Plan, Step, plan_downgrade, plan_redo, plan_upgrade
from ..render.style import one_line
from ..survey import Survey, survey_ahead
from ..version import Version
from ..workspace import Workspace, locate
from . import consent
from .session_start import sources

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

_MOST_STEPS = 8
_LONGEST = 60
_VERBS = {
    "upgrade": "apply",
    "downgrade": "roll back",
    "redo": "roll back and apply again",
}
_OWN_FOLDER = "the user's own folder"


def parsed(arguments: Sequence[str]) -> Namespace | None:
    """Return what a command line means; ``None`` when it only prints help or what is wrong."""
    try:
        with redirect_stdout(StringIO()):
            options = make_parser().parse_args(list(arguments))
    except (UsageError, SystemExit):
        return None
    return options if options.command else None


def question(options: Namespace, environment: Mapping[str, str]) -> str:
    """Return what a call would do, as in "apply 2 to this project: 1.1.0 Add OAuth, 1.2.0 ..."."""
    try:
        text = _planned(options, environment)
    except (MigrateError, OSError, AssertionError) as error:
        reason = error.message if isinstance(error, MigrateError) else str(error)
        text = f"{_in_general(options)} (its plan cannot be shown: {one_line(reason)})"
    elsewhere = [
        f"--{name.replace('_', '-')} {_shown(getattr(options, name))}"
        for name in consent.LOCAL
        if getattr(options, name)
    ]
    if options.user and not options.plugin and _OWN_FOLDER not in text:
        text += f"; it works in {_OWN_FOLDER}"
    if consent.takes_from_outside(options, environment):
        elsewhere.append(f"--from {_shown(_origin(options))}")
    return text + (f"; it points elsewhere: {', '.join(elsewhere)}" if elsewhere else "")


def _planned(options: Namespace, environment: Mapping[str, str]) -> str:
    command = options.command
    if command == "upgrade" and options.user and not (options.plugin or options.plugin_dir):
        return _of_every_source(options, environment)
    if command in ("upgrade", "downgrade") and not options.all and not options.plugin_dir:
        return _of_run(options, environment)
    if command == "redo" and not options.plugin_dir:
        return _of_redo(options, environment)
    if command == "upgrade" and not options.plugin_dir:
        return _of_every_source(options, environment)
    if command == "verify" and not (options.all or options.plugin_dir or options.lint_only):
        return _of_verify(options, environment)
    if options.command in ("baseline", "create") and options.origin and not options.plugin_dir:
        try:
            return _of_takeover(options, environment)
        except ImportError:  # a hook has no PyYAML, and reads plain lines only
            raise UsageError("a migration's header is more than plain lines") from None
    return _in_general(options)


def _of_takeover(options: Namespace, environment: Mapping[str, str]) -> str:
    workspace = _workspace(options, environment)
    if options.command == "create":
        return _of_conversion(options, workspace)
    from ..operations.baseline import look
    from ..takeover.origin import parse_origin

    shown = look(workspace, parse_origin(options.origin))
    said = {one.version: one.record.text for one in shown.matches}
    named = [
        f"{entry.version} {_described(Step('up', entry))}"
        + (f" (there {_cut(said[entry.version])})" if entry.version in said else "")
        for entry in shown.due
    ]
    # Without --yes only a terminal asks, and Claude's shell is none.
    verb = (
        "mark" if options.yes and not options.dry_run else "show, without doing it, what would mark"
    )
    where = f"by {_shown(shown.origin.ledger_in(workspace.shown(shown.file)))}"
    count = f"{len(shown.due)} of {_whose(workspace)}"
    return f"{verb} {count} as applied, {where}: {_first(named)}"


def _of_conversion(options: Namespace, workspace: Workspace) -> str:
    from ..operations.create import plan_conversion

    version = Version.parse(options.version) if options.version is not None else None
    folder = os.path.abspath(options.name)
    found = plan_conversion(
        survey_ahead(workspace), options.origin, folder, version=version, bump=options.bump
    )
    names = [_cut(os.path.basename(file.path)) for file in found.files]
    return (
        f"write {len(names)} new migration file(s) for {_whose(workspace)} after those of"
        f" {_shown(found.tool)} in {_shown(options.name)}: {_first(names)}"
    )


def _origin(options: Namespace) -> str:
    return f"{options.origin} {options.name}" if options.command == "create" else options.origin


def _of_run(options: Namespace, environment: Mapping[str, str]) -> str:
    workspace = _workspace(options, environment)
    return f"{_verb(options)} {_steps(_plan(options, survey_ahead(workspace)), _whose(workspace))}"


def _of_redo(options: Namespace, environment: Mapping[str, str]) -> str:
    workspace = _workspace(options, environment)
    count = 1 if options.target is None else step_count(options.target, "redo")
    back, _ = plan_redo(survey_ahead(workspace).entries, count)
    return f"{_verb(options)} {_steps(back, _whose(workspace))}"


def _of_every_source(options: Namespace, environment: Mapping[str, str]) -> str:
    texts = []
    for workspace in sources(environment):
        if options.user and not workspace.is_users:
            continue
        plan = _plan(options, survey_ahead(workspace))
        if plan.steps:
            texts.append(_steps(plan, _whose(workspace)))
    return f"{_verb(options)} {'; '.join(texts) or 'nothing: no migration is pending'}"


def _of_verify(options: Namespace, environment: Mapping[str, str]) -> str:
    workspace = _workspace(options, environment)
    wanted = [Version.parse(text) for text in options.versions]
    chosen = [
        Step("up", entry)
        for entry in survey_ahead(workspace).entries
        if (entry.version in wanted if wanted else entry.state in UNAPPLIED)
    ]
    return f"run on a copy, as code with your permissions, {_listed(chosen)}"


def _plan(options: Namespace, seen: Survey) -> Plan:
    target = options.target
    if options.command == "upgrade":
        last, most = upgrade_target(target)
        return plan_upgrade(seen.entries, last, options.strict, most)
    version = Version.parse(target) if target and "." in target else None
    count = int(target) if target and version is None and target.isdecimal() else None
    return plan_downgrade(seen.entries, version, count)


def _verb(options: Namespace) -> str:
    verb = _VERBS[options.command]
    if options.dry_run:
        return f"show, without running it, what would {verb}"
    if getattr(options, "preview", False):
        return f"run on a copy, as code with your permissions, to {verb}"
    return verb


def _steps(plan: Plan, whose: str) -> str:
    if not plan.steps:
        return f"nothing: no migration of {whose} is due"
    return f"{len(plan.steps)} {'to' if plan.direction == 'up' else 'of'} {whose}: " + _listed(
        plan.steps
    )


def _listed(steps: Sequence[Step]) -> str:
    # The others are not described at all: each would be read.
    named = [f"{step.version} {_described(step)}" for step in steps[:_MOST_STEPS]]
    return _first(named, len(steps))


def _first(named: Sequence[str], count: int | None = None) -> str:
    """Return the first of what is named, and how many more there are.

    Parameters:
        count: of all, where not all are named.
    """
    more = (len(named) if count is None else count) - _MOST_STEPS
    listed = [*named[:_MOST_STEPS], *([f"and {more} more"] if more > 0 else ())]
    return ", ".join(listed) or "no migration"


def _cut(text: str) -> str:
    line = one_line(text)
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"


def _described(step: Step) -> str:
    try:
        text = one_line(description_of(step.entry))
    except Exception:  # it is broken, or its header is YAML and PyYAML is not here yet
        migration = step.entry.migration
        text = title_of(migration.slug) if migration else ""
    return _cut(text)


def _workspace(options: Namespace, environment: Mapping[str, str]) -> Workspace:
    if options.user and not options.plugin:
        found = [one for one in sources(environment) if one.is_users]
        if len(found) != 1:
            raise UsageError(f"{len(found)} plugins have migrations for the user's own folder")
        return found[0]
    if not options.plugin:
        return locate(options.project, options.database, options.migrations, environment)
    for workspace in sources(environment):
        if workspace.source == options.plugin.partition("@")[0]:
            return workspace
    raise UsageError(f"no enabled plugin called {options.plugin} ships migrations")


def _whose(workspace: Workspace) -> str:
    if workspace.is_users:
        folder = workspace.shown(workspace.claude)
        return f"the plugin {workspace.source}, in {_OWN_FOLDER} {folder} for all projects"
    return f"the plugin {workspace.source}" if workspace.source else "this project"


def _in_general(options: Namespace) -> str:
    command = options.command
    if command == "create" and options.origin:
        return f"write new migration files after those of {_shown(_origin(options))}"
    if command == "create":
        return f"write a new migration file for {_shown(options.name)}"
    if command == "verify":
        kind = "read" if options.lint_only else "run on a copy, as code with your permissions,"
        return f"{kind} the migrations"
    if command == "baseline" and options.origin:
        return f"{_dry(options)}mark as applied what {_shown(options.origin)} has applied"
    if command == "baseline":
        target = _shown(options.target)
        return f"{_dry(options)}mark every migration up to {target} as applied, without running it"
    if command == "renumber":
        return f"give another version to the migration {_shown(options.which)}"
    if command == "repair":
        return f"{_dry(options)}settle edited or interrupted migrations: repair"
    if command == "restore":
        backup = options.backup
        if backup is None:
            return "list the backups"
        return f"{_dry(options)}go back to the backup {_shown(backup)}"
    if command == "doctor":
        return "look at this machine and project, and ask node, bun, deno and claude their versions"
    if command == "show":
        return f"show the migration {_shown(options.target)}"
    if command == "sync":
        return "bring the state in step with git's files and the installed plugins, forward or back"
    if command in consent.READING:
        return f"show {command}"
    return f"{_verb(options)} migrations of every source that is named"


def _dry(options: Namespace) -> str:
    return "show, without doing it, what would " if options.dry_run else ""


def _shown(value: object) -> str:
    text = one_line(" ".join(value) if isinstance(value, list) else str(value))
    return text if len(text) <= 200 else text[:199] + "…"
