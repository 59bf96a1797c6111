"""What a JavaScript migration asks of the engine, answered inside the step's transaction."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from ...errors import MigrateError
from ...sandbox.authorizer import Refused
from ...sandbox.context import Context
from .. import sql_text
from ..sql_text import Section
from .line_calls import LineCalls
from .values import decode, encode, merge

Fields = dict[str, Any]

_EDITORS: dict[str, Callable[[Context, str], AbstractContextManager[Any]]] = {
    "json": Context.edit_json,
    "front_matter": Context.edit_front_matter,
    "toml": Context.edit_toml,
    "yaml": Context.edit_yaml,
}


class Calls:
    """Answers the calls of one step.

    ``errors`` keeps what was raised, by the number that the migration's own error carries.
    """

    def __init__(self, context: Context) -> None:
        self.errors: list[BaseException] = []
        self._context = context
        self._databases: list[sqlite3.Connection] = []
        self._edits: dict[int, tuple[AbstractContextManager[Any], Any, str]] = {}
        self._calls: dict[str, Callable[[Fields], object]] = {
            "run": self._run,
            "get": lambda call: self._rows(call, 1),
            "all": lambda call: self._rows(call, -1),
            "exec": self._exec,
            "database": self._database,
            "move_database": lambda call: context.move_database(call["old"], call["new"]),
            "remove_database": lambda call: context.remove_database(call["path"]),
            "open": self._open,
            "close": self._close,
            "open_lines": self._open_lines,
            "lines": self._lines,
            "close_lines": self._close_lines,
            # Answered, so that it comes before what the migration prints next.
            "log": lambda call: context.log(call["text"]),
        }
        # They have nothing to answer, so that nobody waits.
        self._tellings: dict[str, Callable[[Fields], None]] = {
            "progress": lambda call: context.show_progress(call["done"], call["total"]),
            "forget": self._forget,
        }

    def answer(self, call: Fields) -> Fields | None:
        """Return the answer to a call; ``None`` if it wants none."""
        telling = self._tellings.get(call["call"])
        if telling is not None:
            telling(call)
            return None
        try:
            return {"ok": self._calls[call["call"]](call)}
        except Exception as error:
            self.errors.append(error)
            return {"error": self._described(error) | {"id": len(self.errors) - 1}}

    def open_edit(self) -> str | None:
        """Return the path of a file whose edit has begun and not ended."""
        return next((path for _, _, path in self._edits.values()), None)

    def close(self) -> None:
        """Leave the files as they are whose edits have not ended: Windows removes no open one."""
        for number in list(self._edits):
            self._forget({"id": number})

    def _described(self, error: Exception) -> Fields:
        name = "Error"
        code = None
        message = str(error)
        if isinstance(error, MigrateError):
            message = "\n".join(filter(None, (error.message, error.hint)))
        elif isinstance(error, UnicodeEncodeError):
            message = "The text holds half of a surrogate pair, which SQLite cannot store"
        elif isinstance(error, RecursionError):
            message = "It is nested too deeply"
        elif isinstance(error, OverflowError):
            message = "The integer is too large for SQLite, which has 64 bits"
        elif isinstance(error, sqlite3.Error) and not isinstance(error, Refused):
            name = "SqliteError"
            code = getattr(error, "sqlite_errorname", None)
        return {"name": name, "message": message, "code": code}

    # --- databases -------------------------------------------------------------------------------

    def _connection(self, call: Fields) -> sqlite3.Connection:
        number = call["database"]
        return self._context.db if number is None else self._databases[number]

    def _database(self, call: Fields) -> int:
        self._databases.append(self._context.database(call["path"]))
        return len(self._databases) - 1

    def _execute(self, call: Fields) -> sqlite3.Cursor:
        values = call["values"]
        parameters: Sequence[object] | dict[str, object]
        if "named" in values:
            parameters = {name: _parameter(value) for name, value in values["named"]}
        else:
            parameters = [_parameter(value) for value in values["listed"]]
        return self._connection(call).execute(call["sql"], parameters)

    def _run(self, call: Fields) -> Fields:
        connection = self._connection(call)
        before = connection.total_changes
        for _ in self._execute(call):  # as for `_rows`
            pass
        changes, rowid = connection.execute("SELECT changes(), last_insert_rowid()").fetchone()
        has_changed = connection.total_changes != before
        return {"changes": changes if has_changed else 0, "rowid": encode(rowid)}

    def _rows(self, call: Fields, limit: int) -> Fields:
        cursor = self._execute(call)
        columns = [column[0] for column in cursor.description or ()]
        rows: list[object] = []
        for row in cursor:  # a RETURNING does its work only as far as it is read
            if len(rows) != limit:
                rows.append(encode(row))
        return {"columns": columns, "rows": rows}

    def _exec(self, call: Fields) -> None:
        connection = self._connection(call)
        for statement in sql_text.statements(Section(call["sql"], 1)):
            for _ in connection.execute(statement.text):
                pass

    # --- files -----------------------------------------------------------------------------------

    def _open(self, call: Fields) -> Fields:
        editor = _EDITORS[call["kind"]](self._context, call["path"])
        value = editor.__enter__()
        number = max(self._edits, default=0) + 1
        self._edits[number] = editor, value, call["path"]
        return {"id": number, "value": encode(value)}

    def _close(self, call: Fields) -> None:
        editor, value, path = self._edits.pop(call["id"])
        if merge(value, decode(call["value"])) is not value:
            raise TypeError(f"{path} must stay the kind of value it was: an object, or an array")
        editor.__exit__(None, None, None)

    def _open_lines(self, call: Fields) -> Fields:
        editor = self._context.edit_lines(call["path"])
        number = max(self._edits, default=0) + 1
        self._edits[number] = editor, LineCalls(editor.__enter__()), call["path"]
        return {"id": number}

    def _lines(self, call: Fields) -> object:
        _, lines, _ = self._edits[call["id"]]
        return lines.answer(call)

    def _close_lines(self, call: Fields) -> None:
        editor, lines, _ = self._edits[call["id"]]
        try:
            lines.finish(call)
        except BaseException:
            self._forget(call)
            raise
        del self._edits[call["id"]]
        editor.__exit__(None, None, None)

    def _forget(self, call: Fields) -> None:
        editor, _, _ = self._edits.pop(call["id"], (nullcontext(), None, ""))
        # As an error in the block would: nothing is written.
        editor.__exit__(GeneratorExit, GeneratorExit(), None)


def _parameter(value: Any) -> object:
    decoded = decode(value)
    if isinstance(decoded, float) and math.isnan(decoded):
        raise ValueError("NaN cannot be stored: SQLite would make it NULL")
    return decoded
