"""The project that the crash tests migrate: every kind of state, changed in every way."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

MIGRATIONS = Path(__file__).parent / "migrations"
IN_TYPESCRIPT = Path(__file__).parent / "migrations_in_typescript"
VERSIONS = ("1.0.0", "1.1.0", "1.2.0", "1.3.0", "1.4.0")
PLUGIN = "plugin"
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
        source: whose migrations they are, the ``project``'s or a ``plugin``'s beside it.
    """
    claude = root / ".claude"
    _write(claude / "config/real.json", _SETTINGS, 0o640)
    (claude / "settings.json").symlink_to("config/real.json")
    _write(claude / "agents/reviewer.md", _REVIEWER)
    _write(claude / "commands/hello.md", "Say hello.\n")
    _write(claude / "commands/run.sh", "#!/bin/sh\n")
    _write(claude / "obsolete.md", "Nobody reads this.\n")
    _write(claude / "cache/index.txt", "index\n")
    _write(claude / "cache/deep/entry.txt", "entry\n")
    _write(claude / "untouched.txt", "Nothing changes this.\n", 0o600)
    _database(claude / "memory.db", "wal", "memories")
    _database(claude / "journal.db", "delete", "entries")
    if journal_mode == "wal":
        _database(claude / STATE_DATABASE, "wal", "other")
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
    if source == "plugin":
        _write(
            root / PLUGIN / "migrations/plugin-migrate.yaml",
            f"database: .claude/{STATE_DATABASE}\n",
        )
        for path in migrations.iterdir():
            path.rename(root / PLUGIN / "migrations" / path.name)
        _write(claude / "plugin-migrate.yaml", "database: .claude/own.db\n")
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
