"""What was there before a step and what the step made of it: the content of a way back.

A way back is one SQLite file. Its ``manifest`` is what this module describes; ``content`` holds
files in parts, and ``before_N`` and ``after_N`` the rows of the table number N.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing

from ..plain_file import parse_json
from ..storage import sqlite
from ..storage.nodes import Node, PathChange, inside, text_of
from ..values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# A part of a file's content; SQLite holds it in memory as one value.
PART = 1 << 20


class Parts(NamedTuple):
    """Where a file's content stands: in so many parts from the first on."""

    first: int
    number: int


class FileImage(NamedTuple):
    """A path that a step changed; ``parts`` is the earlier content of a file."""

    change: PathChange
    parts: Parts | None = None

    @property
    def path(self) -> str:
        """The path, relative to ``.claude/``."""
        return self.change.path

    @property
    def before(self) -> Node | None:
        """What stood there before the step."""
        return self.change.before

    @property
    def after(self) -> Node | None:
        """What the step put there."""
        return self.change.after


class ObjectImage(NamedTuple):
    """A table, index, view or trigger; ``before`` and ``after`` are its SQL, if it was there."""

    kind: str
    name: str
    table: str
    before: str | None
    after: str | None


class Structure(NamedTuple):
    """How the rows of a table are told apart and held.

    ``key`` is the name under which the table gives its rowid, or its primary key's columns where it
    has no rowid; ``columns`` are those that hold values, without the computed ones.
    """

    columns: tuple[str, ...]
    key: tuple[str, ...]
    is_rowid: bool


class TableImage(NamedTuple):
    """The rows of one table that a step changed, or all of them where it changed the table itself.

    ``before`` and ``after`` are the table's structure, ``None`` where it was not there; they are
    the same for a table of which only rows changed, which then ``is_whole`` denies. ``is_shadow``:
    the table is a part of a virtual one, with which it comes and goes.
    """

    name: str
    number: int
    before: Structure | None
    after: Structure | None
    is_whole: bool
    is_shadow: bool = False


class DatabaseImage(NamedTuple):
    """One database.

    ``path`` is where it stands after the step, relative to ``.claude/``, and ``origin`` where it
    stood before, ``None`` each if it was not there; both are empty for the state database.
    ``parts`` and ``mode`` are those of the file that the step removed. ``numbers`` holds what else
    the step changed, before and after: pragmas by name, and ``sequence NAME`` for a table's.
    """

    path: str | None
    origin: str | None
    objects: tuple[ObjectImage, ...] = ()
    tables: tuple[TableImage, ...] = ()
    numbers: tuple[tuple[str, int | None, int | None], ...] = ()
    parts: Parts | None = None
    mode: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether the step changed nothing in it."""
        is_there = self.path == self.origin
        return is_there and not (self.objects or self.tables or self.numbers)


class Images(NamedTuple):
    """Everything that one step changed."""

    files: tuple[FileImage, ...] = ()
    databases: tuple[DatabaseImage, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether the step changed nothing at all."""
        return not self.files and not self.databases

    def items(self) -> frozenset[str]:
        """Return what the step changed, each as it is called in the notes about later changes."""
        found = {item_of_file(image.path) for image in self.files}
        for database in self.databases:
            path = database.path if database.path is not None else database.origin
            names = {table.name for table in database.tables}
            names |= {image.table for image in database.objects}
            found |= {item_of_table(path or "", name) for name in names}
        return frozenset(found)

    def to_json(self) -> str:
        """Return them as the text of the manifest."""
        import json

        files = [image.change.as_json() | {"parts": image.parts} for image in self.files]
        databases = [
            database._asdict() | {"tables": [table._asdict() for table in database.tables]}
            for database in self.databases
        ]
        return json.dumps({"format": 1, "files": files, "databases": databases})

    @classmethod
    def from_json(cls, text: str) -> Images:
        """Return what :meth:`to_json` gave.

        Raises:
            ValueError: it is something else.
        """
        try:
            document = parse_json(text)
            if document["format"] != 1:
                raise ValueError("a newer plugin-migrate wrote it")
            return cls(
                tuple(map(_file, document["files"])),
                tuple(map(_database, document["databases"])),
            )
        except ValueError:
            raise
        except Exception as error:
            raise ValueError(f"{type(error).__name__}: {error}") from error


def item_of_file(path: str) -> str:
    """Return how the notes about later changes call a file."""
    return f"file {path}"


def item_of_table(database: str, table: str) -> str:
    """Return how they call a table; ``database`` is empty for the state database."""
    return f"table {database}: {table.lower()}"


def read_images(path: str) -> Images:
    """Return what the way back at ``path`` holds.

    Raises:
        ValueError, sqlite3.Error, StateUnreadable: it is not one.
    """
    with closing(sqlite.open_closed(path)) as connection:
        return images_in(connection)


def images_in(connection: sqlite3.Connection) -> Images:
    """Return what the way back holds to which ``connection`` leads."""
    row = connection.execute("SELECT text FROM manifest").fetchone()
    if row is None:
        raise ValueError("it was never finished")
    return Images.from_json(text_of(row[0]))


def _parts(value: Any) -> Parts | None:
    return None if value is None else Parts(*map(int, value))


def _file(item: dict[str, Any]) -> FileImage:
    return FileImage(PathChange.from_json(item), _parts(item["parts"]))


def _structure(value: Any) -> Structure | None:
    if value is None:
        return None
    columns, key, is_rowid = value
    return Structure(tuple(map(text_of, columns)), tuple(map(text_of, key)), bool(is_rowid))


def _table(item: dict[str, Any]) -> TableImage:
    return TableImage(
        text_of(item["name"]),
        int(item["number"]),
        _structure(item["before"]),
        _structure(item["after"]),
        bool(item["is_whole"]),
        bool(item["is_shadow"]),
    )


def _database(item: dict[str, Any]) -> DatabaseImage:
    return DatabaseImage(
        _place(item["path"]),
        _place(item["origin"]),
        tuple(ObjectImage(*values) for values in item["objects"]),
        tuple(map(_table, item["tables"])),
        tuple((text_of(name), before, after) for name, before, after in item["numbers"]),
        _parts(item["parts"]),
        int(item["mode"]),
    )


def _place(value: Any) -> str | None:
    return value if value in (None, "") else inside(value)
