"""Plugins that ship migrations, installed for a project as the client installs them."""

import json
from pathlib import Path


class Shelf:
    """A marketplace in a folder, whose plugins load in place, and the user's configuration.

    Parameters:
        home: the user's home, whose ``.claude/`` gets the configuration.
        folder: where the plugins stand.
    """

    def __init__(self, home: Path, folder: Path) -> None:
        self.folder = folder
        self.config = home / ".claude"
        self._catalogue: list[dict[str, str]] = []
        self._write("plugins/known_marketplaces.json", self._marketplaces())

    def plugin(self, name: str, version: str = "1.0.0", settings: str = "") -> Path:
        """Add and enable a plugin; return its migrations folder."""
        root = self.folder / name
        (root / ".claude-plugin").mkdir(parents=True)
        manifest = {"name": name, "version": version}
        (root / ".claude-plugin/plugin.json").write_text(json.dumps(manifest))
        migrations = root / "migrations"
        migrations.mkdir()
        (migrations / "plugin-migrate.yaml").write_text(settings)
        self._catalogue.append({"name": name, "source": f"./{name}"})
        self.enable(name)
        return migrations

    def enable(self, name: str, on: bool = True) -> None:
        """Enable a plugin in the user's settings, or disable it."""
        path = self.config / "settings.json"
        settings = json.loads(path.read_text()) if path.exists() else {"enabledPlugins": {}}
        settings["enabledPlugins"][f"{name}@shelf"] = on
        self._write("settings.json", settings)
        manifest = self.folder / ".claude-plugin/marketplace.json"
        manifest.parent.mkdir(parents=True, exist_ok=True)
        manifest.write_text(json.dumps({"name": "shelf", "plugins": self._catalogue}))

    def _marketplaces(self) -> dict[str, object]:
        place = str(self.folder)
        return {
            "shelf": {"source": {"source": "directory", "path": place}, "installLocation": place}
        }

    def _write(self, path: str, document: object) -> None:
        file = self.config / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(document))


def table(folder: Path, version: str, header: str = "") -> Path:
    """Write a reversible migration that makes a table called after its version."""
    name = "t" + version.replace(".", "_")
    file = folder / f"{version}-step.sql"
    file.write_text(
        f"{header}-- migrate:up\nCREATE TABLE {name} (x);\n-- migrate:down\nDROP TABLE {name};\n"
    )
    return file
