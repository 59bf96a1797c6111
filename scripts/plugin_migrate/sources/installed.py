"""Which plugins a Claude Code session in a project has, found as the client finds them.

From the files that the client keeps and reads itself (its own rules, as of 2.1.330). A project's
settings come with a cloned repository: they may only switch on or off what the user has installed,
for the folders of plugins come from the user's own configuration alone. Whatever cannot be read is
left out, because one broken file must not stand in the way of everything else.

One thing is not looked at: the client does not load a plugin that lacks a dependency. That is most
likely ``plugin-migrate`` itself, and whoever runs its command line has it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..plain_file import read_json
from ..platform import system
from ..workspace import is_source_name

TYPE_CHECKING = False  # `typing` costs 4 ms at run time
if TYPE_CHECKING:
    from typing import Any

OPT_IN = "migrations/plugin-migrate.yaml"

# Where an organization puts settings that nobody on the machine can override.
MANAGED = system.MANAGED_SETTINGS

_LARGEST_FILE = 16 * 1024 * 1024
# What the client takes for a bare name, which it looks up below `metadata.pluginRoot`.
_BARE_SOURCE = re.compile(r"[A-Za-z0-9][-A-Za-z0-9._]*")


@dataclass(frozen=True, slots=True)
class Plugin:
    """A plugin that a session in the project has.

    ``id`` is ``name@marketplace``, or the name alone for one that was not installed from a
    marketplace; ``root`` its folder, absolute, which changes with every update; ``version`` the
    manifest's, else the catalogue's, else the install record's; ``data`` the folder that the client
    names ``CLAUDE_PLUGIN_DATA`` to it, which need not exist; ``users`` the one that it keeps for
    the user, ``~/.claude`` mostly.
    """

    name: str
    id: str
    root: str
    version: str | None
    data: str
    users: str


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


@dataclass(frozen=True, slots=True)
class Absence:
    """Why a plugin whose state is in a project ships it no migrations.

    ``kind`` is ``disabled``, ``uninstalled``, ``gone`` (installed, and its folder is not there) or
    ``silent`` (a session has it, and it opted out); ``id`` is the client's name for it, where one
    is known; ``root`` the folder it should be in.
    """

    kind: str
    id: str | None = None
    root: str | None = None

    @property
    def sentence(self) -> str:
        """What is the matter, to follow "the plugin"."""
        return {
            "disabled": "is disabled",
            "uninstalled": "is not installed",
            "gone": f"is installed, and its folder is gone: {system.slashed(str(self.root))}",
            "silent": "ships no migrations any more",
        }[self.kind]

    @property
    def way_back(self) -> str:
        """What brings the plugin's migrations back, as the first words of a sentence."""
        if self.kind == "silent":
            return "Update it"
        if self.kind == "disabled":
            return f"Enable it (claude plugin enable {self.id})"
        if self.id is None:
            return "Install it again, or name its folder with --plugin-dir"
        return f"Install it again (claude plugin install {self.id})"


def absence_of(project: str, environment: Mapping[str, str], name: str) -> Absence:
    """Return why the plugin ``name``, which is none of those that ship migrations, is not.

    Parameters:
        project, environment: see :func:`enabled_plugins`.
    """
    places = _Places(project, environment)
    switches = _switches(places)
    registry = _Registry(places)
    # The settings of a cloned repository may hold any text, which would stand in our advice.
    ids = [one for one in (*switches, *registry.records) if _is_id_of(one, name)]
    ids.sort(key=lambda one: not switches.get(one))  # those that are on come first
    for plugin_id in ids:
        root = registry.find(plugin_id).root
        if root and not switches.get(plugin_id):
            return Absence("disabled", plugin_id, root)
        if root:
            return Absence("silent" if os.path.isdir(root) else "gone", plugin_id, root)
    for plugin in _among_skills({}, places):
        if plugin.name == name:
            is_on = switches.get(f"{name}@skills-dir", True)
            return Absence("silent" if is_on else "disabled", f"{name}@skills-dir", plugin.root)
    return Absence("uninstalled", next(iter(ids), None))


def users_folder(environment: Mapping[str, str]) -> str:
    """Return the folder that the client keeps for the user."""
    return _Places("", environment).configuration


def data_folder(project: str, environment: Mapping[str, str]) -> str:
    """Return the real path of the folder in which plugins keep their data."""
    return os.path.realpath(os.path.join(_Places(project, environment).plugins, "data"))


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
    registry = _Registry(places)
    for plugin_id, is_on in switches.items():
        name, at, _ = plugin_id.rpartition("@")
        if not (is_on and at and _is_name(name)):
            continue
        found = registry.find(plugin_id)
        if found.root and os.path.isdir(found.root):
            version = _first_text(_manifest(found.root), found.entry, found.record)
            root = os.path.abspath(found.root)
            data = places.data_of(plugin_id)
            yield Plugin(name, plugin_id, root, version, data, places.configuration)


@dataclass(frozen=True, slots=True)
class _OnFile:
    """What is on file about one plugin: its folder, catalogue entry and install record."""

    root: str | None
    entry: Mapping[str, Any]
    record: Mapping[str, Any]


class _Registry:
    """What the client has on file about plugins from marketplaces.

    ``records`` are the install records by plugin id.
    """

    def __init__(self, places: _Places) -> None:
        self._project = places.project
        self._marketplaces = _read(os.path.join(places.plugins, "known_marketplaces.json"))
        registry = _read(os.path.join(places.plugins, "installed_plugins.json"))
        self.records = _mapping(registry.get("plugins")) if registry.get("version") == 2 else {}
        self._catalogues: dict[str, dict[str, Any]] = {}

    def find(self, plugin_id: str) -> _OnFile:
        """Return what is known of a plugin, whether it is switched on and there or not."""
        name, _, marketplace = plugin_id.rpartition("@")
        known = _mapping(self._marketplaces.get(marketplace))
        location = _path(known.get("installLocation"))
        if location and marketplace not in self._catalogues:
            self._catalogues[marketplace] = _read(
                os.path.join(location, ".claude-plugin", "marketplace.json")
            )
        catalogue = self._catalogues.get(marketplace, {})
        entry = _entry_of(catalogue, name)
        kind = _mapping(known.get("source")).get("source")
        if location and kind in ("directory", "file") and isinstance(entry.get("source"), str):
            return _OnFile(_root_in_place(location, catalogue, entry["source"]), entry, {})
        record = _record_for(self._project, self.records.get(plugin_id))
        return _OnFile(_path(record.get("installPath")), entry, record)


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
        yield Plugin(name, name, folder, _first_text(manifest), data, places.configuration)


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


def _is_id_of(plugin_id: str, name: str) -> bool:
    named, _, marketplace = plugin_id.rpartition("@")
    return named == name and _is_name(marketplace)


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
        return _mapping(read_json(path, _LARGEST_FILE))
    except (OSError, ValueError):
        return {}
