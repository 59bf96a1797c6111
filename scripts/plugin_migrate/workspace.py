"""Where everything is: the project, its migrations, its database, our own folder, the settings.

Paths are absolute strings: the hot commands never need more, and importing ``pathlib`` costs 3 ms.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from .errors import BadConfig, NoProject
from .storage.plain_file import read_plain
from .values import NamedTuple

TYPE_CHECKING = False  # `typing` costs 4 ms at run time
if TYPE_CHECKING:
    from typing import Any

CONFIG_NAME = "plugin-migrate.yaml"
BOOKKEEPING_NAME = ".plugin-migrate"
SOURCES_NAME = "sources"
DEFAULT_MIGRATIONS = "core/versioning/migrations"
DEFAULT_DATABASE = "orchestration/db/orchestration.db"
# Of YAML, 64 KiB take half a second.
_LARGEST_CONFIG = 64 * 1024
_DEEPEST = 100


class Config(NamedTuple):
    """The settings a project may give in ``.claude/plugin-migrate.yaml``.

    ``ledger_table`` renames the ``migrations`` table; ``exclude`` holds patterns of paths below
    ``.claude/`` that migrations neither see nor change; ``follow_links`` lets a step publish
    through a link that leaves ``.claude/``.
    """

    database: str | None = None
    migrations: str | None = None
    ledger_table: str = "migrations"
    exclude: tuple[str, ...] = ()
    follow_links: bool = False
    lock_timeout: float = 10.0
    backups_keep: int = 5


class Workspace(NamedTuple):
    """One source of one project as every command sees it.

    ``project`` is the real path of the folder that holds ``.claude/``; ``claude`` the real path
    of the live state, for ``.claude`` may be a link; ``database`` the real path of the state
    database, which may lie elsewhere. ``live_claude`` and ``live_project`` are set for a shadow
    copy: what it was copied from, which nothing may touch. ``source`` names the plugin that ships
    the migrations, and ``own`` is then the project's own workspace; both are ``None`` for the
    project's own.
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

    def shown(self, path: str) -> str:
        """Return ``path`` as the user knows it: relative to the project where it lies inside."""
        if is_inside(path, self.claude):
            return os.path.normpath(os.path.join(".claude", os.path.relpath(path, self.claude)))
        return os.path.relpath(path, self.project) if is_inside(path, self.project) else path


def is_inside(path: str, folder: str) -> bool:
    """Return whether ``path`` is ``folder`` or lies below it; both absolute and resolved."""
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


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
    """
    environment = os.environ if environment is None else environment
    if project is not None:
        root = _named_project(project, create)
    else:
        root = nearest_project(environment)
    if not root.isascii():
        _require_utf8(root)
    config = read_config(os.path.join(root, ".claude", CONFIG_NAME))
    claude = os.path.realpath(os.path.join(root, ".claude"))
    return Workspace(
        project=root,
        claude=claude,
        migrations=os.path.abspath(migrations)
        if migrations
        else os.path.join(root, config.migrations)
        if config.migrations
        else os.path.join(claude, DEFAULT_MIGRATIONS),
        database=os.path.realpath(
            database
            if database
            else os.path.join(root, config.database)
            if config.database
            else os.path.join(claude, DEFAULT_DATABASE)
        ),
        config=config,
    )


def _named_project(project: str, create: bool) -> str:
    root = os.path.realpath(project)
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
        folder = os.path.realpath(start)
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
        hint="Go to the project, or name it: --project DIR",
    )


def _require_utf8(project: str) -> None:
    """Refuse a path that the ledger, which is SQLite and JSON, cannot hold."""
    try:
        project.encode()
    except UnicodeEncodeError:
        raise NoProject(
            f"The project's path is not UTF-8: {os.fsencode(project)!r}",
            hint="Rename the folder, then try again.",
        ) from None


def _current_folder() -> str | None:
    try:
        return os.path.realpath(os.getcwd())
    except FileNotFoundError:
        return None


def read_config(path: str) -> Config:
    """Return the settings in the file at ``path``; the defaults when there is none.

    Raises:
        BadConfig: not YAML, an unknown key (a typing error must not be ignored) or a wrong value.
    """
    return read_settings(path, frozenset(_CHECKS))


def read_settings(path: str, known: frozenset[str]) -> Config:
    """Return the settings in a file that may hold only some of them.

    Parameters:
        path: the file; without it the defaults hold.
        known: the keys that may stand in it.

    Raises:
        BadConfig: as for :func:`read_config`.
    """
    try:
        content = read_plain(path, _LARGEST_CONFIG)
        text = content.decode("utf-8-sig")
    except FileNotFoundError:
        return Config()
    except OSError as error:
        raise BadConfig(
            f"The settings cannot be read: {error.strerror}",
            file=path,
            hint="They are one small plain file, which holds settings only.",
        ) from None
    except UnicodeDecodeError:
        raise BadConfig("The settings are not UTF-8", file=path) from None
    return _parse_config(text, path, known)


def _parse_config(text: str, path: str, known: frozenset[str]) -> Config:
    import reprlib

    try:
        import yaml
    except ModuleNotFoundError:  # a hook may run before our environment exists
        from . import plain_yaml as yaml  # type: ignore[no-redef]
    try:
        if _is_deep(text):
            raise ValueError
        given = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        raise BadConfig(
            "The settings are not valid YAML",
            file=path,
            line=mark.line + 1 if mark else None,
        ) from None
    if given is None:
        return Config()
    if not isinstance(given, dict):
        raise BadConfig("The settings must be a mapping of keys to values", file=path)
    values: dict[str, Any] = {}
    for key, value in _flatten(given).items():
        if key not in known:
            raise BadConfig(
                f"Unknown setting '{key}'", file=path, hint=f"Known: {', '.join(sorted(known))}"
            )
        name, accepts, expected = _CHECKS[key]
        if not accepts(value):
            # Shortened: with YAML's aliases a small file can hold an endless value.
            shown = reprlib.repr(value)
            raise BadConfig(f"Setting '{key}' must be {expected}, not {shown}", file=path)
        values[name] = tuple(value) if isinstance(value, list) else value
    return Config(**values)


def _is_deep(text: str) -> bool:
    """Return whether brackets are nested deeper than settings need: PyYAML's time is the square."""
    depth = 0
    for bracket in re.findall(r"[\[{}\]]", text):
        depth += 1 if bracket in "[{" else -1
        if depth > _DEEPEST:
            return True
    return False


def _flatten(given: dict[object, object]) -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, value in given.items():
        if isinstance(value, dict):
            flat.update({f"{key}.{inner}": inner_value for inner, inner_value in value.items()})
        else:
            flat[str(key)] = value
    return flat


def _is_path(value: object) -> bool:
    # JSON and YAML can spell half a surrogate pair, which no path and no database holds.
    return isinstance(value, str) and bool(value) and "\0" not in value and is_utf8(value)


def is_utf8(text: str) -> bool:
    """Return whether ``text`` can be written as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_source_name(name: str) -> bool:
    """Return whether a plugin's name may become a folder's: no dots to climb with, no slashes."""
    return re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name) is not None


def is_ledger_table(value: object) -> bool:
    """Return whether the ledger's table may have this name."""
    return (
        isinstance(value, str)
        and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", value) is not None
        and not value.lower().startswith(("sqlite_", "plugin_migrate_"))
    )


def _is_patterns(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_path, value))


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_seconds(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1e6


_CHECKS = {
    "database": ("database", _is_path, "a path"),
    "migrations": ("migrations", _is_path, "a path"),
    "ledger_table": ("ledger_table", is_ledger_table, "a plain table name (letters, digits, _)"),
    "exclude": ("exclude", _is_patterns, "a list of patterns"),
    "follow_links": ("follow_links", lambda value: isinstance(value, bool), "true or false"),
    "lock_timeout": ("lock_timeout", _is_seconds, "a number of seconds"),
    "backups.keep": ("backups_keep", _is_count, "a number of at least 1"),
}
