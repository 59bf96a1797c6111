"""The states that benchmarks work on: many files, a large state database, a pending migration."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

DATABASE = ".claude/orchestration/db/orchestration.db"
_FILE_BYTES = 6_000
_ROW_BYTES = 16_000


def write_files(project: Path, count: int) -> None:
    """Write ``count`` files of 6 KB each into a hundred folders."""
    for number in range(count):
        file = project / f".claude/agents/{number % 100:03}/{number:05}.md"
        file.parent.mkdir(parents=True, exist_ok=True)
        line = f"{number}\n"
        file.write_text(line * (_FILE_BYTES // len(line)))


def write_database(project: Path, megabytes: int, schema: str = "") -> None:
    """Make a state database of that size; ``schema`` adds to the table that fills it."""
    database = project / DATABASE
    database.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        connection.executescript(
            f"CREATE TABLE bulk (id INTEGER PRIMARY KEY, content BLOB); {schema}"
        )
        rows = (megabytes << 20) // _ROW_BYTES
        connection.executemany(
            "INSERT INTO bulk (content) VALUES (?)",
            ((os.urandom(_ROW_BYTES),) for _ in range(rows)),
        )
        connection.commit()


def write_migration(project: Path, name: str, text: str) -> None:
    """Write a file into the migrations folder."""
    folder = project / ".claude/core/versioning/migrations"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
