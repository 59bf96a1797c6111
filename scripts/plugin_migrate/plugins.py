"""Which plugins a Claude Code session in a project has, found as the client finds them.

From the files that the client keeps and reads itself (its own rules, as of 2.1.330). A project's
settings come with a cloned repository: they may only switch on or off what the user has installed,
for the folders of plugins come from the user's own configuration alone. Whatever cannot be read is
left out, because one broken file must not stand in the way of everything else.

One thing is not looked at: the client does not load a plugin that lacks a dependency. That is most
likely ``plugin-migrate`` itself, and whoever runs its command line has it.
"""

from __future__ import annotations

import json
import os
import re
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from .workspace import is_source_name

TYPE_CHECKING = False  # `typing` costs 4 ms at run time
if TYPE_CHECKING:
    from typing import Any

OPT_IN = "migrations/plugin-migrate.yaml"

# Where an organization puts settings that nobody on the machine can override.
MANAGED = (
    "/Library/Application Support/ClaudeCode" if sys.platform == "darwin" else "/etc/claude-code"
)

_LARGEST_FILE = 16 * 1024 * 1024
# What the client takes for a bare name, which it looks up below `metadata.pluginRoot`.
_BARE_SOURCE = re.compile(r"[A-Za-z0-9][-A-Za-z0-9._]*")


@dataclass(frozen=True, slots=True)
class Plugin:
    """A plugin that a session in the project has.

    ``id`` is ``name@marketplace``, or the name alone for one that was not installed from a
    marketplace; ``root`` its folder, absolute, which changes with every update; ``version`` the
    manifest's, else the catalogue's, else the install record's; ``data`` the folder that the client
    names ``CLAUDE_PLUGIN_DATA`` to it, which need not exist.
    """

    name: str
    id: str
    root: str
    version: str | None
    data: str


def enabled_plugins(
    project: str, environment: Mapping[str, str], folders: Sequence[str] = ()
) -> tuple[Plugin, ...]:
    """Return the plugins that a session in ``project`` has, by name; of one name only the first.

    Parameters:
        project: the project's real path.
        environment: the process's; names the user's folders (``CLAUDE_CONFIG_DIR``,
            ``CLAUDE_CODE_PLUGIN_CACHE_DIR``, ``CLAUDE_CODE_PLUGIN_DIRS``, ``HOME``).
        folders: the values of ``--plugin-dir``; they win over installed plugins of the same name.
    """
    places = _Places(project, environment)
    switches = _switches(places)
    found: dict[str, Plugin] = {}
    for plugin in (
        *_in_folders((*map(os.path.abspath, folders), *_session_folders(places)), places),
        *_installed(switches, places),
        *_among_skills(switches, places),
    ):
        found.setdefault(plugin.name, plugin)
    return tuple(found[name] for name in sorted(found))


def ships_migrations(plugin: Plugin) -> bool:
    """Return whether a plugin opted in: it has a plain file ``migrations/plugin-migrate.yaml``."""
    return os.path.isfile(os.path.join(plugin.root, OPT_IN))


def files_about_plugins(project: str, environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the user's and the project's files that installing or switching a plugin changes."""
    places = _Places(project, environment)
    return (
        os.path.join(places.configuration, "settings.json"),
        os.path.join(project, ".claude", "settings.json"),
        os.path.join(project, ".claude", "settings.local.json"),
        os.path.join(places.plugins, "installed_plugins.json"),
    )


class _Places:
    """Where the client keeps what it knows."""

    def __init__(self, project: str, environment: Mapping[str, str]) -> None:
        self.project = project
        self.environment = environment
        self.home = environment.get("HOME") or os.path.expanduser("~")
        self.configuration = os.path.abspath(
            environment.get("CLAUDE_CONFIG_DIR") or os.path.join(self.home, ".claude")
        )
        cache = environment.get("CLAUDE_CODE_PLUGIN_CACHE_DIR")
        self.plugins = (
            os.path.abspath(self.expand(cache))
            if cache
            else os.path.join(self.configuration, "plugins")
        )

    def expand(self, path: str) -> str:
        """Return ``path`` with a leading ``~`` replaced, as the client does in these variables."""
        return self.home + path[1:] if path == "~" or path.startswith("~/") else path

    def data_of(self, plugin_id: str) -> str:
        """Return the folder that the client gives a plugin for its data."""
        return os.path.join(self.plugins, "data", re.sub(r"[^A-Za-z0-9_-]", "-", plugin_id))


def _switches(places: _Places) -> dict[str, bool]:
    """Return which plugins the settings switch on and off; a later file wins, key by key."""
    project_settings = os.path.join(places.project, ".claude")
    drop_ins = os.path.join(MANAGED, "managed-settings.d")
    switches: dict[str, bool] = {}
    for path in (
        os.path.join(places.configuration, "settings.json"),
        os.path.join(project_settings, "settings.json"),
        os.path.join(project_settings, "settings.local.json"),
        os.path.join(MANAGED, "managed-settings.json"),
        *(os.path.join(drop_ins, name) for name in _names_in(drop_ins) if name.endswith(".json")),
    ):
        for key, value in _mapping(_read(path).get("enabledPlugins")).items():
            switches[key] = value is True  # a list of versions, say, switches nothing on
    return switches


def _installed(switches: Mapping[str, bool], places: _Places) -> Iterator[Plugin]:
    """Yield the plugins from marketplaces that are switched on and there."""
    marketplaces = _read(os.path.join(places.plugins, "known_marketplaces.json"))
    registry = _read(os.path.join(places.plugins, "installed_plugins.json"))
    records = _mapping(registry.get("plugins")) if registry.get("version") == 2 else {}
    catalogues: dict[str, dict[str, Any]] = {}
    for plugin_id, is_on in switches.items():
        name, at, marketplace = plugin_id.rpartition("@")
        if not (is_on and at and _is_name(name)):
            continue
        known = _mapping(marketplaces.get(marketplace))
        location = _path(known.get("installLocation"))
        if location and marketplace not in catalogues:
            catalogues[marketplace] = _read(
                os.path.join(location, ".claude-plugin", "marketplace.json")
            )
        catalogue = catalogues.get(marketplace, {})
        entry = _entry_of(catalogue, name)
        kind = _mapping(known.get("source")).get("source")
        record: dict[str, Any] = {}
        if location and kind in ("directory", "file") and isinstance(entry.get("source"), str):
            root = _root_in_place(location, catalogue, entry["source"])
        else:
            record = _record_for(places.project, records.get(plugin_id))
            root = _path(record.get("installPath"))
        if root and os.path.isdir(root):
            version = _first_text(_manifest(root), entry, record)
            root = os.path.abspath(root)
            yield Plugin(name, plugin_id, root, version, places.data_of(plugin_id))


def _entry_of(catalogue: Mapping[str, Any], name: str) -> dict[str, Any]:
    entries = catalogue.get("plugins")
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and entry.get("name") == name:
            return entry
    return {}


def _root_in_place(location: str, catalogue: Mapping[str, Any], source: str) -> str | None:
    """Return where a catalogue's entry stands; never outside of the marketplace."""
    if _BARE_SOURCE.fullmatch(source) and ".." not in source:
        base = _mapping(catalogue.get("metadata")).get("pluginRoot")
        if not isinstance(base, str) or not base or base.startswith("/"):
            return None
        source = os.path.join(base, source)
    root = os.path.normpath(os.path.join(location, source))
    top = os.path.normpath(location)
    is_inside = root == top or root.startswith(top.rstrip(os.sep) + os.sep)
    return root if is_inside and "\0" not in source else None


def _record_for(project: str, records: object) -> dict[str, Any]:
    """Return the first install record that counts in this project."""
    for record in records if isinstance(records, list) else ():
        if not isinstance(record, dict):
            continue
        if record.get("scope") in ("user", "managed"):
            return record
        path = _path(record.get("projectPath"))
        if path and (path == project or os.path.realpath(path) == project):
            return record
    return {}


def _session_folders(places: _Places) -> Iterator[str]:
    """Yield the folders in ``CLAUDE_CODE_PLUGIN_DIRS``; the client skips relative ones."""
    for part in places.environment.get("CLAUDE_CODE_PLUGIN_DIRS", "").split(os.pathsep):
        folder = places.expand(part.strip())
        if os.path.isabs(folder):
            yield os.path.normpath(folder)


def _in_folders(folders: Iterable[str], places: _Places) -> Iterator[Plugin]:
    for folder in folders:
        if "\0" not in folder and os.path.isdir(folder):
            yield from _uninstalled(folder, "inline", places)


def _among_skills(switches: Mapping[str, bool], places: _Places) -> Iterator[Plugin]:
    skills = os.path.join(places.configuration, "skills")
    for name in _names_in(skills):
        folder = os.path.join(skills, name)
        if os.path.isdir(os.path.join(folder, ".claude-plugin")):
            for plugin in _uninstalled(folder, "skills-dir", places):
                if switches.get(f"{plugin.name}@skills-dir", True):
                    yield plugin


def _uninstalled(folder: str, marketplace: str, places: _Places) -> Iterator[Plugin]:
    """Yield the plugin in a folder that no marketplace knows; the client invents one for it."""
    manifest = _manifest(folder)
    name = manifest.get("name", os.path.basename(folder))
    if _is_name(name):
        data = places.data_of(f"{name}@{marketplace}")
        yield Plugin(name, name, folder, _first_text(manifest), data)


def _manifest(root: str) -> dict[str, Any]:
    return _read(os.path.join(root, ".claude-plugin", "plugin.json"))


def _first_text(*documents: Mapping[str, Any]) -> str | None:
    """Return the first ``version`` that is a short line of text."""
    for document in documents:
        version = document.get("version")
        if isinstance(version, str) and 0 < len(version) <= 100 and version.isprintable():
            return version
    return None


def _is_name(name: object) -> bool:
    return isinstance(name, str) and is_source_name(name)


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _path(value: object) -> str | None:
    """Return ``value`` if it is an absolute path that the system can be asked for."""
    if not isinstance(value, str) or not os.path.isabs(value) or "\0" in value:
        return None
    try:
        os.fsencode(value)
    except UnicodeEncodeError:
        return None
    return value


def _names_in(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _read(path: str) -> dict[str, Any]:
    """Return the JSON object in the file at ``path``; nothing when there is none."""
    try:
        # O_NONBLOCK: opening a named pipe must not hang a session; plain files ignore it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return {}
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST_FILE:
            return {}
        return _mapping(json.loads(os.read(descriptor, status.st_size + 1).decode("utf-8-sig")))
    except (OSError, ValueError, RecursionError):
        return {}
    finally:
        os.close(descriptor)
