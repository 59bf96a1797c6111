"""The settings a project may give in ``.claude/plugin-migrate.yaml``."""

from __future__ import annotations

import os
import re

from .errors import BadConfig
from .plain_file import read_plain
from .platform import system
from .values import NamedTuple

TYPE_CHECKING = False  # `typing` costs 4 ms at run time
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


CONFIG_NAME = "plugin-migrate.yaml"
# Of YAML, 64 KiB take half a second.
_LARGEST_CONFIG = 64 * 1024
_DEEPEST = 100


class Config(NamedTuple):
    """The settings a project may give in ``.claude/plugin-migrate.yaml``.

    ``ledger_table`` renames the ``migrations`` table; ``exclude`` holds patterns of paths below
    ``.claude/`` that migrations neither see nor change; ``follow_links`` lets a step publish
    through a link that leaves ``.claude/``; of migrations without a down, ``ways_back_keep`` have
    their way back kept, in at most ``ways_back_megabytes`` (2^20 bytes each). ``state`` holds what
    else below the project is state, relative to it and without a slash at the end. With the
    ``scope`` ``user``, which only a plugin may have, ``state`` is all there is, relative to the
    user's folder of the client.
    """

    database: str | None = None
    migrations: str | None = None
    ledger_table: str = "migrations"
    exclude: tuple[str, ...] = ()
    follow_links: bool = False
    lock_timeout: float = 10.0
    backups_keep: int = 5
    ways_back_keep: int = 20
    ways_back_megabytes: int = 256
    state: tuple[str, ...] = ()
    scope: str = "project"


def read_config(path: str) -> Config:
    """Return the settings in the file at ``path``; the defaults when there is none.

    Raises:
        BadConfig: not YAML, an unknown key (a typing error must not be ignored) or a wrong value.
    """
    return read_settings(path, frozenset(_CHECKS) - {"scope"})


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
        if os.path.islink(path):
            raise BadConfig(
                f"The settings are a link that leads nowhere: {os.readlink(path)}",
                file=path,
                hint="Bring back what it leads to, or remove the link.",
            ) from None
        return Config()
    except OSError as error:
        raise BadConfig(
            f"The settings cannot be read: {system.reason_of(error)}",
            file=path,
            hint="They are one small plain file, which holds settings only.",
        ) from None
    except UnicodeDecodeError:
        raise BadConfig("The settings are not UTF-8", file=path) from None
    return _parse_config(text, path, known)


def _strict_load(text: str) -> Any:
    """Return what ``text`` spells, as PyYAML reads it; but a key given twice is an error.

    YAML 1.2 forbids it (section 3.2.1.3), and PyYAML would silently take the last one.
    """
    from yaml import MappingNode, SafeLoader, ScalarNode
    from yaml.constructor import ConstructorError

    class StrictLoader(SafeLoader):
        def construct_mapping(self, node: MappingNode, deep: bool = False) -> dict[Any, Any]:
            seen = set()
            for key, _ in node.value:
                if not isinstance(key, ScalarNode):
                    continue
                if key.value in seen:
                    problem = f"{key.value!r} is given twice"
                    raise ConstructorError(None, None, problem, key.start_mark)
                seen.add(key.value)
            return super().construct_mapping(node, deep)

    loader = StrictLoader(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


def _parse_config(text: str, path: str, known: frozenset[str]) -> Config:
    import reprlib

    try:
        from yaml import YAMLError

        load = _strict_load
    except ModuleNotFoundError:  # a hook may run before our environment exists
        from .plain_yaml import YAMLError, load  # type: ignore[assignment]
    try:
        if _is_deep(text):
            raise ValueError("it is nested too deep")
        given = load(text)
    except (YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or str(error).partition("\n")[0]
        raise BadConfig(
            f"The settings are not valid YAML: {reason}",
            file=path,
            line=mark.line + 1 if mark else None,
        ) from None
    if given is None:
        return Config()
    if not isinstance(given, dict):
        raise BadConfig("The settings must be a mapping of keys to values", file=path)
    values: dict[str, Any] = {}
    for key, value in _flatten(given, path).items():
        inner = sorted(name for name in known if name.startswith(f"{key}."))
        if inner:
            shown = reprlib.repr(value)
            raise BadConfig(
                f"Setting '{key}' holds settings of its own, and is not {shown}",
                file=path,
                hint=f"Write: {key}: {{{inner[0].partition('.')[2]}: {shown}}}"
                if _CHECKS[inner[0]][1](value)
                else f"Known in it: {', '.join(inner)}",
            )
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
    if "state" in values:
        scope = values.get("scope", Config().scope)
        values["state"] = _state_paths(values["state"], path, _SCOPES[scope])
    return Config(**values)


class _Scope(NamedTuple):
    """Where state is: a folder, what in it ``state:`` may not name and why, and an example."""

    folder: str
    refused: Callable[[str], str | None]
    example: str


def _all_of_claude(first: str) -> str | None:
    return "and all of .claude/ is state without that" if first == ".claude" else None


def _private(first: str) -> str | None:
    is_private = first in _OF_THE_CLIENT or "history" in first or "credential" in first
    return "which is the client's own, and migrations never see it" if is_private else None


# What Claude Code keeps below the user's folder for itself (2.1.332), in lower case.
_OF_THE_CLIENT = frozenset(
    ".claude.json .plugin-migrate backups cache chrome debug downloads ide image-cache local logs"
    " mcp-needs-auth-cache.json paste-cache plans plugins policy-limits.json projects"
    " remote-settings.json session-env sessions shell-snapshots stats-cache.json statsig tasks"
    " teams telemetry todos usage-data".split()
)
_SCOPES = {
    "project": _Scope("the project", _all_of_claude, "[CLAUDE.md, .beads/]"),
    "user": _Scope("the user's folder", _private, "[settings.json, agents/]"),
}


def _state_paths(entries: tuple[str, ...], file: str, scope: _Scope) -> tuple[str, ...]:
    """Return the paths that ``state:`` names; of one inside another only the outer one.

    Raises:
        BadConfig: one is nothing that migrations may change.
    """
    paths = dict.fromkeys(system.slashed(os.path.normpath(entry)) for entry in entries)
    for path in paths:
        problem = _problem_with(path, scope)
        if problem is not None:
            raise BadConfig(
                f"'state' names {path!r:.100}, {problem}",
                file=file,
                hint=f"Name files and folders below {scope.folder}: state: {scope.example}",
            )
    return tuple(path for path in paths if not any(path.startswith(f"{one}/") for one in paths))


def _problem_with(path: str, scope: _Scope) -> str | None:
    """Return why a path cannot be state, to follow what it is."""
    first, *others = path.casefold().split("/")
    if path.startswith(("/", "~", "\\")) or re.match("[A-Za-z]:", path):
        return f"which is not relative to {scope.folder}"
    if first == "..":
        return f"which leads out of {scope.folder}"
    if path == ".":
        return f"which is all of {scope.folder}"
    from .platform.windows_names import opens_git

    if any(map(opens_git, (first, *others))):
        return "and migrations never change what git keeps there"
    part = system.unusable_part(path)
    if part is not None:
        return f"and nothing here can be called {part!r}"
    return scope.refused(first)


def _is_deep(text: str) -> bool:
    """Return whether brackets are nested deeper than settings need: PyYAML's time is the square."""
    depth = 0
    for bracket in re.findall(r"[\[{}\]]", text):
        depth += 1 if bracket in "[{" else -1
        if depth > _DEEPEST:
            return True
    return False


def _flatten(given: dict[object, object], path: str) -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, value in given.items():
        inner = value if isinstance(value, dict) else {None: value}
        for name, inner_value in inner.items():
            full = str(key) if name is None else f"{key}.{name}"
            if full in flat:
                raise BadConfig(f"Setting '{full}' is given twice", file=path)
            flat[full] = inner_value
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


def _is_count_or_none(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 30


def _is_seconds(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1e6


_TABLE_NAME = (
    "a plain table name (letters, digits, _) that begins with neither sqlite_ nor plugin_migrate_,"
    " which are reserved"
)
_CHECKS = {
    "database": ("database", _is_path, "a path"),
    "migrations": ("migrations", _is_path, "a path"),
    "ledger_table": ("ledger_table", is_ledger_table, _TABLE_NAME),
    "exclude": ("exclude", _is_patterns, "a list of patterns"),
    "follow_links": ("follow_links", lambda value: isinstance(value, bool), "true or false"),
    "lock_timeout": ("lock_timeout", _is_seconds, "a number of seconds"),
    "backups.keep": ("backups_keep", _is_count, "a number of at least 1"),
    "keep.ways_back": ("ways_back_keep", _is_count_or_none, "a number of at least 0"),
    "keep.megabytes": ("ways_back_megabytes", _is_count, "a number of at least 1"),
    "state": ("state", _is_patterns, "a list of paths"),
    "scope": ("scope", lambda value: value in ("project", "user"), "project or user"),
}
