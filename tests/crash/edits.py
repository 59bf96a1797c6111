"""What users and other programs write between a crash and the recovery."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from crash import scenery

MARK = "somebody was here"


def _append(claude: Path, *paths: str) -> bool:
    """Rewrite the first of ``paths`` that exists, with a line more."""
    for path in paths:
        file = claude / path
        if file.exists():
            file.write_text(f"{file.read_text()}{MARK}\n")
            return True
    return False


def _settings(claude: Path) -> bool:
    file = claude / "config/real.json"
    file.write_text(file.read_text().replace("{", f'{{\n  "user": "{MARK}",', 1))
    return True


def _new_file(claude: Path) -> bool:
    folder = claude / "cache/deep"
    if not folder.exists():
        return False
    (folder / "user.txt").write_text(MARK)
    return True


def _insert(claude: Path, database: str, table: str) -> bool:
    with closing(sqlite3.connect(claude / database, isolation_level=None)) as connection:
        try:
            connection.execute(f"INSERT INTO {table} (text) VALUES (?)", (MARK,))
        except sqlite3.OperationalError as error:
            if "no such table" not in str(error):
                raise
            return False
    return True


def _state_row(claude: Path) -> bool:
    if not (claude / scenery.STATE_DATABASE).exists():
        return False
    return _insert(claude, scenery.STATE_DATABASE, "other")


# Each returns whether there was anything to write to.
EDITS: dict[str, Callable[[Path], bool]] = {
    "settings": _settings,
    "front matter": lambda claude: _append(claude, "agents/reviewer.md"),
    "a file that moves": lambda claude: _append(claude, "commands/hello.md", "skills/hello.md"),
    "a file that is deleted": lambda claude: _append(claude, "obsolete.md"),
    "a file in a deleted folder": _new_file,
    "a row of the state": _state_row,
    "a row under WAL": lambda claude: _insert(claude, "memory.db", "memories"),
    "a row under a journal": lambda claude: _insert(claude, "journal.db", "entries"),
}
# What a step that has not begun yet may delete, because its author says so.
DELETED_LATER = {"a file that is deleted", "a file in a deleted folder"}
