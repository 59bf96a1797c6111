"""What a project's state consists of, as a value that two points in time can be compared by."""

import os
import re
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

BOOKKEEPING = ".plugin-migrate"
STATE_DATABASE = "orchestration/db/orchestration.db"
SIDE_FILES = ("-wal", "-shm", "-journal")
# How `ALTER TABLE new RENAME TO old` leaves its mark on a table that was rebuilt.
QUOTED_NAME = re.compile(r'^(CREATE TABLE )"(\w+)"')


def snapshot(project: Path) -> dict[str, object]:
    """Return every path below `.claude/` with its mode and content.

    A database counts by its schema and rows without the ledger's, and not at all if it has none;
    our own folder does not count, nor folders that hold nothing but such databases.
    """
    claude = project / ".claude"
    return dict(_tree(claude, claude))


def _tree(folder: Path, root: Path):
    for path in sorted(folder.iterdir()):
        name = path.relative_to(root).as_posix()
        status = path.lstat()
        mode = oct(stat.S_IMODE(status.st_mode))
        if name == BOOKKEEPING or name.endswith(SIDE_FILES):
            continue
        if path.is_symlink():
            yield name, ("link", os.readlink(path))
        elif path.is_dir():
            if not STATE_DATABASE.startswith(name):
                yield name, ("folder", mode)
            yield from _tree(path, root)
        elif path.read_bytes().startswith(b"SQLite format 3\0"):
            if rows := dump(path):
                yield name, ("database", rows)
        else:
            yield name, ("file", mode, path.read_bytes())


def dump(database: Path) -> list[str]:
    """Return a database's schema and rows as SQL, without the ledger."""
    with closing(sqlite3.connect(database)) as connection:
        # No shadow tables: what a full-text index keeps inside depends on how it came about.
        schema = connection.execute(
            "SELECT type, name, sql FROM sqlite_schema WHERE tbl_name NOT LIKE 'plugin_migrate_%'"
            " AND tbl_name NOT IN ('migrations', 'sqlite_sequence') AND sql IS NOT NULL"
            " AND name NOT IN (SELECT name FROM pragma_table_list WHERE type = 'shadow')"
            " ORDER BY name"
        ).fetchall()
        found = []
        for kind, name, sql in schema:
            found.append(QUOTED_NAME.sub(r"\1\2", sql))
            if kind == "table":
                found += sorted(map(repr, connection.execute(f'SELECT * FROM "{name}"')))
    return found
