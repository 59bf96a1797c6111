"""What a project holds: every file, folder and link, and every database as its rows."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

_MAGIC = b"SQLite format 3\0"
_BESIDE = ("-wal", "-shm", "-journal")
# What no two runs share: who, times, and numbers that rolled back rows have used up.
_VOLATILE = {"id", "applied_at", "applied_by", "at", "done_by", "duration_ms", "execution_time_ms"}
_HISTORY = "plugin_migrate_history"
_LEDGER = ("migrations", "idx_migrations", "sqlite_autoindex_migrations", "plugin_migrate_")

State = dict[str, list[str]]


def state_of(root: Path, database: str, history: bool = False) -> State:
    """Return everything in a project but the bookkeeping folder, as something to compare.

    Databases are read from a copy, side files included, so that looking changes nothing. A state
    database without rows, at ``database``, counts as none: the first run makes it.
    """
    state: State = {}
    for path in sorted(_walk(root)):
        relative = str(path.relative_to(root))
        status = path.lstat()
        mode = oct(stat.S_IMODE(status.st_mode))
        if path.is_symlink():
            state[relative] = ["link", os.readlink(path)]
        elif path.is_dir():
            if not is_inside(database, relative):
                state[relative] = ["folder", mode]
        elif relative.endswith(_BESIDE) and is_database(_main_file(path)):
            continue
        elif is_database(path):
            rows = dump(path, history)
            if relative != database or rows[_PRAGMAS:]:
                state[relative] = ["database", mode, *rows]
        else:
            state[relative] = ["file", mode, path.read_bytes().decode("utf-8", "backslashreplace")]
    return state


def dump(database: Path, history: bool = False) -> list[str]:
    """Return a database as lines, without times; ``history`` adds what the ledger remembers."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "copy.db")
        shutil.copyfile(database, copy)
        for suffix in ("-wal", "-journal"):
            beside = Path(f"{database}{suffix}")
            if beside.exists():
                shutil.copyfile(beside, f"{copy}{suffix}")
        with closing(sqlite3.connect(copy, isolation_level=None)) as connection:
            return [*_pragmas(connection), *_lines(connection, history)]


def _pragmas(connection: sqlite3.Connection) -> Iterator[str]:
    for name in ("journal_mode", "user_version", "page_size", "integrity_check"):
        yield f"{name}={connection.execute(f'PRAGMA {name}').fetchone()[0]}"


_PRAGMAS = 4


def _lines(connection: sqlite3.Connection, history: bool) -> Iterator[str]:
    for kind, name, sql in connection.execute(
        "SELECT type, name, sql FROM sqlite_schema ORDER BY type, name"
    ).fetchall():
        if not name.startswith((*_LEDGER, "sqlite_sequence")):
            yield f"{kind} {name}: {sql}"
        # Written when the ledger is made, which is no step.
        is_left_out = name in ("sqlite_sequence", "plugin_migrate_schema", "plugin_migrate_facts")
        if kind == "table" and not is_left_out and (history or name != _HISTORY):
            yield from _rows(connection, name)


def _rows(connection: sqlite3.Connection, table: str) -> Iterator[str]:
    cursor = connection.execute(f'SELECT * FROM "{table}"')
    names = [column[0] for column in cursor.description]
    volatile = _VOLATILE if table.startswith(_LEDGER) else ()
    for row in cursor:
        shown = [value for name, value in zip(names, row, strict=True) if name not in volatile]
        yield f"{table}: {shown!r}"


def fingerprint(root: Path, left_out: tuple[str, ...] = ()) -> dict[str, tuple[object, ...]]:
    """Return everything that any write below ``root`` would change, but for paths ``left_out``."""
    prints: dict[str, tuple[object, ...]] = {}
    for path in _walk(root, everything=True):
        relative = str(path.relative_to(root))
        if relative in left_out:
            continue
        status = path.lstat()
        prints[relative] = (status.st_mode, status.st_ino, status.st_mtime_ns, status.st_ctime_ns)
        if stat.S_ISREG(status.st_mode):
            prints[relative] += (hashlib.sha256(path.read_bytes()).hexdigest(),)
    return prints


def difference(one: State, other: State) -> str:
    """Return what differs between two states, for a failing test."""
    lines = []
    for path in sorted(one.keys() | other.keys()):
        left, right = one.get(path, ["nothing"]), other.get(path, ["nothing"])
        if left != right:
            lines.append(path)
            lines += [f"  - {line}" for line in left if line not in right]
            lines += [f"  + {line}" for line in right if line not in left]
    return "\n".join(lines)


def is_database(path: Path) -> bool:
    """Return whether an SQLite database stands at ``path``; an empty file may become one."""
    try:
        with path.open("rb") as file:
            start = file.read(len(_MAGIC))
    except (FileNotFoundError, IsADirectoryError):
        return False
    return start == _MAGIC or (not start and path.suffix == ".db")


def is_inside(path: str, folder: str) -> bool:
    """Return whether ``path`` lies below ``folder``."""
    return path.startswith(folder + os.sep)


def ways_back_in(database: Path) -> set[str]:
    """Return what a ledger says is kept of migrations without a down."""
    if not database.exists():
        return set()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "copy.db")
        for suffix in ("", "-wal", "-journal"):  # which a kill may have left
            if os.path.exists(f"{database}{suffix}"):
                shutil.copyfile(f"{database}{suffix}", f"{copy}{suffix}")
        with closing(sqlite3.connect(copy)) as connection:
            query = "SELECT 1 FROM sqlite_schema WHERE name = 'plugin_migrate_facts'"
            if not connection.execute(query).fetchall():
                return set()
            marks = connection.execute("SELECT value FROM plugin_migrate_facts").fetchall()
    return {mark.split(" ")[2] for (mark,) in marks if mark.count(" ") > 2}


def leftovers(claude: Path, with_backups: bool, ways_back: set[str]) -> list[str]:
    """Return what a finished command should not have left in the bookkeeping folder.

    ``with_backups`` looks into the backups too, which only a run that makes one cleans;
    ``ways_back`` are those that the ledger knows.
    """
    folder = claude / ".plugin-migrate"
    found = []
    for path in _walk(folder, everything=True) if folder.exists() else ():
        relative = path.relative_to(folder)
        # A plugin's part of the folder is built as the folder is.
        parts = relative.parts[2:] if relative.parts[0] == "sources" else relative.parts
        # Where its ledger is, too, only a run of the plugin's own writes.
        is_backup = parts[:1] in [("backups",), ("source.json",), ("source.json.part",)]
        if parts[:1] == ("ways-back",) and path.stem in ways_back:
            continue
        is_kept = str(relative) in ("lock.db", ".gitignore") or path.is_dir()
        is_half = is_backup and with_backups and relative.name.endswith(".part")
        if is_half or not (is_kept or is_backup):
            found.append(str(relative))
    return found


def _main_file(path: Path) -> Path:
    for suffix in _BESIDE:
        if path.name.endswith(suffix):
            return path.with_name(path.name.removesuffix(suffix))
    return path


def _walk(folder: Path, everything: bool = False) -> Iterator[Path]:
    for entry in os.scandir(folder):
        if entry.name == ".plugin-migrate" and not everything:
            continue
        yield Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path), everything)
