"""Where everything is: the project, its migrations, its database, our own folder.

Paths are absolute strings: the hot commands never need more, and importing ``pathlib`` costs 3 ms.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping

from .errors import BadConfig, MigrateError, NoProject, UsageError
from .platform import system
from .settings import CONFIG_NAME, Config, is_utf8, read_config
from .values import NamedTuple

BOOKKEEPING_NAME = ".plugin-migrate"
SOURCES_NAME = "sources"
RECORDS_NAME = "plugin-migrate.applied"
DEFAULT_MIGRATIONS = "core/versioning/migrations"
DEFAULT_DATABASE = "orchestration/db/orchestration.db"
# How the path of what lies beside `.claude/` begins, and a root that is all of `.claude/`.
BESIDE = "../"
ALL_OF_CLAUDE = ""


class Workspace(NamedTuple):
    """One source of one project as every command sees it.

    ``project`` is the real path of the folder that holds ``.claude/``; ``claude`` the real path
    of the live state, for ``.claude`` may be a link; ``database`` the real path of the state
    database, which may lie elsewhere. ``live_claude`` and ``live_project`` are set for a shadow
    copy: what it was copied from, which nothing may touch. ``source`` names the plugin that ships
    the migrations, and ``own`` is then the project's own workspace; both are ``None`` for the
    project's own.

    ``roots`` are what migrations see: all of ``.claude/``, and what ``state:`` names. Paths of the
    state are relative to ``.claude/``, with ``/`` on every system; what lies beside it is
    ``../CLAUDE.md``, also where ``.claude`` is a link, so that no path is another's.

    A plugin's state may be in the folder that the client keeps for the user (``is_users``): then
    this is both the ``project`` and its ``claude``, ``roots`` are only what ``state:`` names there,
    and ``own`` is what the user's other plugins have in common with it.
    """

    project: str
    claude: str
    migrations: str
    database: str
    config: Config = Config()
    live_claude: str | None = None
    source: str | None = None
    own: Workspace | None = None
    live_project: str | None = None
    roots: tuple[str, ...] = (ALL_OF_CLAUDE,)
    is_users: bool = False

    @property
    def bookkeeping(self) -> str:
        """Our own folder; lock and staging in it belong to all sources of the project."""
        return os.path.join(self.claude, BOOKKEEPING_NAME)

    @property
    def home(self) -> str:
        """The part of our own folder that is this source's: redo logs and backups."""
        if self.source is None:
            return self.bookkeeping
        return os.path.join(self.sources, self.source)

    @property
    def records(self) -> str:
        """Where the committed records of this source are; a shadow copy has none of its own."""
        folder = os.path.join(self.live_claude or self.claude, RECORDS_NAME)
        return folder if self.source is None else os.path.join(folder, "plugins", self.source)

    @property
    def sources(self) -> str:
        """The parts of our own folder that are the plugins'."""
        return os.path.join(self.bookkeeping, SOURCES_NAME)

    @property
    def publish(self) -> str:
        """Where redo logs wait until their files have arrived."""
        return os.path.join(self.home, "publish")

    @property
    def has_logs(self) -> bool:
        """Whether redo logs stand there: a run is publishing, or was killed."""
        return os.path.isdir(self.publish) and bool(os.listdir(self.publish))

    @property
    def scratch(self) -> str:
        """Where staged copies live; nothing in it outlasts a command."""
        return os.path.join(self.bookkeeping, "staging")

    @property
    def settings_file(self) -> str:
        """The settings file that names this source's ledger."""
        folder = os.path.join(self.project, ".claude") if self.source is None else self.migrations
        return os.path.join(folder, CONFIG_NAME)

    @property
    def owns_database(self) -> bool:
        """Whether the state database moves with the project because it lies inside ``.claude/``."""
        return is_inside(self.database, self.claude)

    @property
    def project_around_database(self) -> str | None:
        """The other project in whose ``.claude/`` the state database lies, if it does.

        The home directory's ``.claude/`` is Claude Code's own and belongs to no project.
        """
        home = os.path.realpath(os.path.expanduser("~"))
        folder = self.database
        while (parent := os.path.dirname(folder)) != folder:
            folder = parent
            if os.path.basename(folder) == ".claude":
                project = os.path.dirname(folder)
                return None if folder == self.claude or project == home else project
        return None

    @property
    def starts(self) -> tuple[str, ...]:
        """The folders of the state, with a slash, from which a walk comes to all of it."""
        is_beside = any(root.startswith(BESIDE) for root in self.roots)
        return ("", BESIDE) if is_beside else ("",)

    def place(self, path: str) -> tuple[str, str]:
        """Return the real folder that a path of the state begins in, and how it goes on there."""
        if path.startswith(BESIDE):
            return self.project, path.removeprefix(BESIDE)
        return self.claude, path

    def live(self, path: str) -> str:
        """Return where a path of the state is."""
        return os.path.join(*self.place(path))

    def named(self, path: str) -> str:
        """Return a path of the state as the user knows it."""
        return self.shown(self.live(path)) if self.is_users else named(path)

    def path_of(self, real: str) -> str | None:
        """Return the path in the state of what is at ``real``; ``None`` when it is not in it."""
        if is_inside(real, self.claude):
            path = path_from(real, self.claude)
        elif is_inside(real, self.project):
            path = BESIDE + path_from(real, self.project)
        else:
            return None
        return path if self.holds(path) else None

    def holds(self, path: str) -> bool:
        """Return whether a path relative to ``.claude/`` is in the state, or all of a root."""
        return any(
            f"{path}/".startswith(f"{root}/")
            if root
            else path != ".." and not path.startswith(BESIDE)
            for root in self.roots
        )

    def shown(self, path: str) -> str:
        """Return ``path`` as the user knows it: relative to the project where it lies inside."""
        known = [(self.claude, ".claude"), (self.project, "")]
        if self.is_users:
            known = [(os.path.expanduser("~"), "~")]
        for folder, name in known:
            if is_inside(path, folder):
                below = os.path.join(name, os.path.relpath(path, folder))
                return system.slashed(os.path.normpath(below))
        return system.slashed(path)


def users_workspace(folder: str) -> Workspace:
    """Return what all plugins have in common whose state is in the user's ``folder``."""
    real = os.path.realpath(folder)
    return Workspace(
        project=real,
        claude=real,
        migrations=os.path.join(real, DEFAULT_MIGRATIONS),
        database=os.path.join(real, DEFAULT_DATABASE),
        roots=(),
        is_users=True,
    )


def roots_of(state: Iterable[str]) -> tuple[str, ...]:
    """Return the roots of a project's state: ``.claude/``, and what ``state:`` names beside it."""
    return (ALL_OF_CLAUDE, *(BESIDE + path for path in state))


def named(path: str) -> str:
    """Return a path of the state as a migration may write it, relative to the staged project."""
    return path.removeprefix(BESIDE) if path.startswith(BESIDE) else f".claude/{path}"


is_inside = system.is_inside


def path_from(path: str, folder: str) -> str:
    """Return ``path`` from ``folder`` on, as it is shown and kept: with ``/`` on all systems."""
    return system.slashed(os.path.relpath(path, folder))


def locate(
    project: str | None = None,
    database: str | None = None,
    migrations: str | None = None,
    environment: Mapping[str, str] | None = None,
    create: bool = False,
) -> Workspace:
    """Return the workspace that the options and the environment point to.

    Parameters:
        project: ``--project``; without it the nearest folder with a ``.claude/`` upward from
            ``CLAUDE_PROJECT_DIR``, else from the current directory.
        database: ``--database``, relative to the current directory.
        migrations: ``--migrations``, relative to the current directory.
        environment: the process's environment variables.
        create: whether a named project may still lack its ``.claude/``.

    Raises:
        NoProject: no ``.claude/`` was found, or it would be the home directory's.
        BadConfig: the settings file cannot be used.
        UsageError: the named folder of migrations is not there.
    """
    environment = os.environ if environment is None else environment
    migrations = migrations and system.from_shell(migrations)
    database = database and system.from_shell(database)
    for given in filter(None, (database, migrations)):
        _refuse_unusable(given, UsageError)
    if migrations and not (create or os.path.exists(migrations)):
        raise UsageError(
            f"There is no folder {migrations}",
            hint="Name the folder that holds the migrations; `create` makes one that is missing.",
        )
    if project is not None:
        root = _named_project(project, create)
    else:
        root = nearest_project(environment)
    if not is_utf8(root):  # the ledger, which is SQLite and JSON, could not hold it
        raise NoProject(
            f"The project's path is not UTF-8: {os.fsencode(root)!r}",
            hint="Rename the folder, then try again.",
        )
    config = read_config(os.path.join(root, ".claude", CONFIG_NAME))
    for set_to in filter(None, (config.database, config.migrations)):
        _refuse_unusable(set_to, BadConfig)
    claude = os.path.realpath(os.path.join(root, ".claude"))
    return Workspace(
        project=root,
        claude=claude,
        migrations=os.path.abspath(migrations)
        if migrations
        else os.path.join(root, system.native(config.migrations))
        if config.migrations
        else os.path.join(claude, system.native(DEFAULT_MIGRATIONS)),
        database=os.path.realpath(
            database
            if database
            else os.path.join(root, config.database)
            if config.database
            else os.path.join(claude, DEFAULT_DATABASE)
        ),
        config=config,
        roots=roots_of(config.state),
    )


def _refuse_unusable(path: str, error: type[MigrateError]) -> None:
    part = system.unusable_part(path)
    if part is not None:
        raise error(f"No file here can be called {part!r}", hint=f"Give another path than {path}.")


def _named_project(project: str, create: bool) -> str:
    root = os.path.realpath(system.from_shell(project))
    if not os.path.isdir(root):
        raise NoProject(f"There is no folder {project}", hint="Name the project: --project DIR")
    if not create and not os.path.isdir(os.path.join(root, ".claude")):
        raise NoProject(
            f"{project} has no .claude/ folder",
            hint="Start one with: plugin-migrate --project DIR create initial-schema",
        )
    return root


def nearest_project(environment: Mapping[str, str]) -> str:
    """Return the real path of the project that is meant where none is named; see :func:`locate`.

    Raises:
        NoProject: no ``.claude/`` was found, or it would be the home directory's.
    """
    home = os.path.realpath(os.path.expanduser("~"))
    here = _current_folder()
    for start in filter(None, (environment.get("CLAUDE_PROJECT_DIR"), here)):
        folder = os.path.realpath(system.from_shell(start))
        while True:
            if os.path.isdir(os.path.join(folder, ".claude")):
                if folder != home:
                    return folder
                # Claude Code's own settings live there: never migrate them by accident.
                break
            parent = os.path.dirname(folder)
            if parent == folder:
                break
            folder = parent
    if here is None:
        raise NoProject(
            "The current directory was deleted", hint="Go to the project, or name it: --project DIR"
        )
    if here == home:
        raise NoProject(
            "The home directory is not taken for a project",
            hint="If you mean it, name it: --project ~",
        )
    raise NoProject(
        "No project found: there is no .claude/ folder here or above",
        hint="Go to the project, or name it: --project DIR\n"
        "To make this folder one: plugin-migrate --project . create initial-schema",
    )


def _current_folder() -> str | None:
    try:
        return os.path.realpath(os.getcwd())
    except FileNotFoundError:
        return None


def is_source_name(name: str) -> bool:
    """Return whether a plugin's name may become a folder's: no dots to climb with, no slashes."""
    is_plain = re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name) is not None
    return is_plain and system.unusable_part(name) is None
