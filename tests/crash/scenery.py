"""The project that the crash tests migrate: every kind of state, changed in every way."""

from __future__ import annotations

import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

MIGRATIONS = Path(__file__).parent / "migrations"
IN_TYPESCRIPT = Path(__file__).parent / "migrations_in_typescript"
VERSIONS = ("1.0.0", "1.1.0", "1.2.0", "1.3.0", "1.4.0")
PLUGIN = "plugin"
BESIDE = "shared"
USERS = "users"
USERS_DATABASE = f"{PLUGIN}/state.db"
STATE_DATABASE = "orchestration/db/orchestration.db"

_SETTINGS = """{
  "model": "opus",
  "preferences": {
    "theme": "dark",
    "tone": "terse"
  }
}
"""
_REVIEWER = "---\nname: reviewer # keep\nmodel: sonnet\n---\n\nReview the code.\n"


def build(
    root: Path, journal_mode: str = "delete", language: str = "python", source: str = "project"
) -> Path:
    """Make the project in ``root``; return its ``.claude/``.

    Parameters:
        journal_mode: ``delete`` leaves the state database to the first run; ``wal`` makes one.
        language: what the steps that change files are written in, ``python``, ``typescript`` or
            ``python without downs``, where no step at all has one.
        source: whose migrations they are, the ``project``'s or a ``plugin``'s beside it; ``beside``
            are the project's with all that they change in a folder beside ``.claude/``, ``user`` a
            plugin's with all that in the user's own folder.
    """
    project = root / ".claude"
    claude = root / USERS if source == "user" else project
    folders = {"beside": root / BESIDE, "user": claude / BESIDE}
    _fill(folders.get(source, claude))
    if journal_mode == "wal":
        database = USERS_DATABASE if source == "user" else STATE_DATABASE
        _database(claude / database, "wal", "other")
    migrations = claude / "core/versioning/migrations"
    shutil.copytree(MIGRATIONS, migrations)
    if language == "typescript":
        for path in IN_TYPESCRIPT.iterdir():
            shutil.copy(path, migrations)
            (migrations / f"{path.stem}.py").unlink()
    if language == "python without downs":
        for path in migrations.iterdir():
            text = path.read_text().partition("\n-- migrate:down")[0].partition("\n\ndef down")[0]
            path.write_text(f"{text}\n")
    if source in folders:
        for path in migrations.glob("*.py"):
            path.write_text(_moved(path.read_text(), source))
    if source in ("plugin", "user"):
        opt_in = root / PLUGIN / "migrations/plugin-migrate.yaml"
        if source == "user":
            _write(opt_in, f"scope: user\nstate: [{BESIDE}/]\n")
        else:
            _write(opt_in, f"database: .claude/{STATE_DATABASE}\n")
        for path in migrations.iterdir():
            path.rename(root / PLUGIN / "migrations" / path.name)
        _write(project / "plugin-migrate.yaml", "database: .claude/own.db\n")
    if source == "beside":
        _write(claude / "plugin-migrate.yaml", f"state: [{BESIDE}/]\n")
    return claude


def own_ways_back(database: Path, folder: Path) -> None:
    """Let a copied ledger take the copied ways back for its own, which no copy's are.

    A crash test begins with a copy as if the project had come to stand there by its own runs.
    """
    for path in folder.iterdir() if folder.exists() else ():
        status = path.stat()
        with closing(sqlite3.connect(database, isolation_level=None)) as connection:
            ((name, mark),) = connection.execute(
                "SELECT name, value FROM plugin_migrate_facts WHERE value LIKE ?",
                (f"kept % {path.stem} %",),
            ).fetchall()
            *words, _inode, _changed = mark.split(" ")
            words += [str(status.st_ino), str(status.st_ctime_ns)]
            connection.execute(
                "UPDATE plugin_migrate_facts SET value = ? WHERE name = ?", (" ".join(words), name)
            )


def _fill(folder: Path) -> None:
    _write(folder / "config/real.json", _SETTINGS, 0o640)
    (folder / "settings.json").symlink_to("config/real.json")
    _write(folder / "agents/reviewer.md", _REVIEWER)
    _write(folder / "commands/hello.md", "Say hello.\n")
    _write(folder / "commands/run.sh", "#!/bin/sh\n")
    _write(folder / "obsolete.md", "Nobody reads this.\n")
    _write(folder / "cache/index.txt", "index\n")
    _write(folder / "cache/deep/entry.txt", "entry\n")
    _write(folder / "untouched.txt", "Nothing changes this.\n", 0o600)
    _database(folder / "memory.db", "wal", "memories")
    _database(folder / "journal.db", "delete", "entries")


def _moved(text: str, source: str) -> str:
    """Return a migration that does to another folder what it did to ``.claude/``."""
    base, above = ("ctx.claude", "") if source == "user" else ("ctx.project", "../")
    text = text.replace("ctx.claude", f'{base} / "{BESIDE}"')
    call = r'ctx\.(edit_json|edit_front_matter|database)\("'
    return re.sub(call, rf'ctx.\1("{above}{BESIDE}/', text)


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def _database(path: Path, journal_mode: str, table: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA journal_mode={journal_mode}")
        connection.execute(f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, text TEXT)")
        connection.executemany(f"INSERT INTO {table} (text) VALUES (?)", [("one",), ("two",)])
