"""Sources that enabled plugins ship: which there are, and the workspace of each.

A plugin opts in with ``migrations/plugin-migrate.yaml``, which keeps other tools' folders of that
name out. The file may be empty; it can say where the ledger is, and what beside ``.claude/`` is
state. Every source has its own ledger and its own redo logs; all of them change the one
``.claude/``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from ..errors import BadConfig, NoProject, UnknownPlugin
from ..settings import CONFIG_NAME, read_settings
from ..storage.state_tree import SIDE_SUFFIXES
from ..workspace import Workspace, is_inside, roots_of, users_workspace
from .installed import OPT_IN, Plugin, enabled_plugins, ships_migrations

_SETTINGS = frozenset({"database", "ledger_table", "scope", "state"})
_DATA = "${CLAUDE_PLUGIN_DATA}"


def shipping_plugins(
    own: Workspace, environment: Mapping[str, str], folders: Sequence[str] = ()
) -> tuple[Plugin, ...]:
    """Return the enabled plugins that ship migrations, in order of their names.

    Parameters:
        own: the project's own workspace.
        environment: the process's environment variables.
        folders: plugins under development (``--plugin-dir``); they win over installed ones.
    """
    return tuple(filter(ships_migrations, enabled_plugins(own.project, environment, folders)))


def require_opt_in(folder: str) -> None:
    """Refuse a folder that ``--plugin-dir`` names and that is no plugin with migrations.

    Raises:
        UnknownPlugin: a typing error would otherwise look like a plugin with nothing to do.
    """
    if not os.path.isfile(os.path.join(folder, OPT_IN)):
        raise UnknownPlugin(
            "That is no plugin with migrations: it needs .claude-plugin/plugin.json with a name,"
            " and migrations/plugin-migrate.yaml, which may be empty",
            file=os.path.realpath(folder),
            hint="Add what is missing, then try again.",
        )


def choose(plugins: Sequence[Plugin], name: str) -> Plugin:
    """Return the plugin that ``--plugin`` names: by its name, or as ``name@marketplace``.

    Raises:
        UnknownPlugin: it is none of them.
    """
    for plugin in plugins:
        if name in (plugin.name, plugin.id):
            return plugin
    known = ", ".join(plugin.name for plugin in plugins)
    raise UnknownPlugin(
        f"No enabled plugin called {name} ships migrations",
        hint=f"These do: {known}"
        if known
        else "A plugin ships them with a file migrations/plugin-migrate.yaml; while you write one,"
        " name its folder: --plugin-dir DIR",
    )


def workspace_of(own: Workspace, plugin: Plugin) -> Workspace:
    """Return the workspace of one plugin's source in a project, or in the user's folder.

    Raises:
        BadConfig: its settings cannot be used, or its ledger would lie where it must not.
        NoProject: the user has no such folder.
    """
    file = os.path.join(plugin.root, "migrations", CONFIG_NAME)
    settings = read_settings(file, _SETTINGS)
    roots = roots_of(settings.state)
    if settings.scope == "user":
        own, roots = _of_the_user(plugin), settings.state
    given = settings.database
    if given is None:
        path = os.path.join(own.claude, plugin.name, "state.db")
    elif given.startswith(_DATA + "/"):
        path = plugin.data + given.removeprefix(_DATA)
    else:
        path = os.path.join(own.project, given)
    database = os.path.realpath(path)
    problem = _misplaced(own, database, os.path.realpath(plugin.data))
    if (
        problem is not None
        and is_inside(os.path.normpath(path), own.claude)
        and not is_inside(database, own.claude)
    ):
        raise BadConfig(
            f"A link leads the plugin's database out of .claude/, to {database}",
            file=os.path.normpath(path),
            hint="Put a folder in the link's place.",
        )
    if problem is not None:
        example = f"{plugin.name}/state.db" if own.is_users else f".claude/{plugin.name}/state.db"
        raise BadConfig(problem, file=file, hint=f"For example: database: {example}")
    return own._replace(
        migrations=os.path.dirname(file),
        database=database,
        config=own.config._replace(ledger_table=settings.ledger_table),
        source=plugin.name,
        own=own,
        roots=roots,
    )


def is_users(plugin: Plugin) -> bool:
    """Return whether a plugin says that its state is in the user's folder."""
    try:
        settings = read_settings(os.path.join(plugin.root, OPT_IN), _SETTINGS)
    except BadConfig:  # said where it is to be used
        return False
    return settings.scope == "user"


def folder_of(plugin: Plugin) -> str | None:
    """Return the user's folder as the user knows it, for a plugin whose state is there."""
    users = users_workspace(plugin.users)
    return users.shown(users.claude) if is_users(plugin) else None


def _of_the_user(plugin: Plugin) -> Workspace:
    if not os.path.isdir(plugin.users):
        raise NoProject(
            f"There is no folder {plugin.users}, in which {plugin.name} keeps its state",
            hint="Start Claude Code once, which makes it; or set CLAUDE_CONFIG_DIR.",
        )
    return users_workspace(plugin.users)


def _misplaced(own: Workspace, database: str, data: str) -> str | None:
    """Return why a plugin's ledger cannot be in ``database``; another plugin's says so itself."""
    if not is_inside(database, own.claude) and not is_inside(database, data):
        where = "the user's folder" if own.is_users else "the project's .claude/"
        return (
            f"A plugin's database must lie in {where} or in the plugin's own data folder, not at"
            f" {database}"
        )
    if is_inside(database, own.bookkeeping):
        return "A plugin's database cannot be in plugin-migrate's own folder"
    if database.endswith(SIDE_SUFFIXES):
        return f"A plugin's database cannot have a name that SQLite itself uses: {database}"
    if database == own.database:
        return "A plugin's ledger cannot be in the project's own state database"
    return None
