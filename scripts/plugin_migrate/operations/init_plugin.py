"""What a plugin needs to ship migrations: the files that docs/plugin-authors.md goes through."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from string import Template

from ..errors import StateUnreadable, UsageError
from ..migration import load, title_of
from ..platform import system
from ..sources.installed import OPT_IN
from ..workspace import is_source_name
from .create import template_path, write_new

DEPENDENCY = "plugin-migrate@plugin-migrate"
"""This plugin, as a manifest's ``dependencies`` name it: ``plugin@marketplace``."""

_MANIFEST = ".claude-plugin/plugin.json"
_FIRST = "migrations/1.0.0-initial.sql"
_PROJECT = "tests/project/.claude/.gitkeep"
_CHECK = "tests/check-migrations.sh"


@dataclass(frozen=True, slots=True)
class PreparedPlugin:
    """A plugin that ships migrations now.

    ``root`` is its folder; ``created`` and ``kept`` are paths below it; ``depends`` tells whether
    its manifest declares the dependency on this plugin.
    """

    name: str
    root: str
    created: tuple[str, ...]
    kept: tuple[str, ...]
    depends: bool


def init_plugin(folder: str, author: str) -> PreparedPlugin:
    """Write what a plugin needs to ship migrations, and keep every file that is there.

    Parameters:
        folder: the plugin's, which need not exist.
        author: for a new manifest; strict validation wants one.

    Raises:
        UsageError: the folder's or the manifest's name is none for a plugin.
        MigrateError: there are migrations already, and they cannot be read.
        StateUnreadable: the manifest is none, or a file cannot be written.
    """
    root = os.path.abspath(folder)
    manifest = _read_manifest(root)
    name = _name(root, manifest)
    files = {
        _MANIFEST: _manifest(name, author),
        OPT_IN: _filled("plugin-settings.yaml.txt", name),
        _PROJECT: "",
        _CHECK: _filled("plugin-check.sh.txt", name),
    }
    if not load(os.path.join(root, "migrations"), {}):
        files[_FIRST] = _filled("plugin-first.sql.txt", name)
    kept = [path for path in files if os.path.lexists(os.path.join(root, path))]
    created = [path for path in files if path not in kept]
    for path in created:
        write_new(os.path.join(root, path), files[path])
    depends = manifest is None or _depends(manifest)
    return PreparedPlugin(name, root, tuple(created), tuple(kept), depends)


def _read_manifest(root: str) -> dict[str, object] | None:
    path = os.path.join(root, _MANIFEST)
    try:
        with open(path, encoding="utf-8-sig") as file:
            manifest = json.load(file)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StateUnreadable(
            f"The plugin's manifest cannot be read: {system.reason_of(error)}", file=path
        ) from None
    except (ValueError, RecursionError):
        manifest = None
    if not isinstance(manifest, dict):
        raise StateUnreadable(
            "The plugin's manifest is no JSON object",
            file=path,
            hint="Mend it; claude plugin validate says what is wrong.",
        )
    return manifest


def _name(root: str, manifest: dict[str, object] | None) -> str:
    given = (manifest or {}).get("name")
    if given is None:
        words = re.findall(r"[a-z0-9]+", os.path.basename(root).lower())
        given = "-".join(words)
    if isinstance(given, str) and is_source_name(given):
        return given
    raise UsageError(
        f"That is not a name for a plugin: '{given}'",
        hint="Use lower-case words joined by hyphens, for example: plugin-migrate init-plugin"
        " note-keeper",
    )


def _manifest(name: str, author: str) -> str:
    document = {
        "name": name,
        "version": "0.1.0",
        "description": title_of(name),
        "author": {"name": author},
        "dependencies": [DEPENDENCY],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _depends(manifest: dict[str, object]) -> bool:
    declared = manifest.get("dependencies")
    names = declared if isinstance(declared, list) else []
    plain = (one.get("name") if isinstance(one, dict) else one for one in names)
    return any(str(one).partition("@")[0] == "plugin-migrate" for one in plain)


def _filled(template: str, name: str) -> str:
    with open(template_path(template), encoding="utf-8") as file:
        return Template(file.read()).substitute(name=name)
