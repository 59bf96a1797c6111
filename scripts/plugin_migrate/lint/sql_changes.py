"""What one SQL statement does to tables: as much of its grammar as the rules need.

https://www.sqlite.org/lang.html, without its expressions. What is not understood is ``OTHER``;
whether a statement is valid is for SQLite to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from .sql_tokens import SqlToken, name_of

# A part of a statement that is known only when it runs, such as {table} in an f-string, stands
# between these two. They are in Unicode's private use area, and part of a name to SQLite.
HOLE, HOLE_END = "\ue000", "\ue001"


class Kind(Enum):
    """What a statement does."""

    CREATE = "CREATE TABLE"
    DROP = "DROP TABLE"
    RENAME = "RENAME TO"
    ADD_COLUMN = "ADD COLUMN"
    DROP_COLUMN = "DROP COLUMN"
    INSERT = "INSERT"
    UPDATE = "UPDATE"
    DELETE = "DELETE"
    SELECT = "SELECT"
    PRAGMA = "PRAGMA"
    UPKEEP = "VACUUM, ANALYZE, REINDEX"
    OTHER = "anything else"


@dataclass(frozen=True, slots=True)
class SqlChange:
    """One statement.

    Parameters:
        kind: what it does.
        table: the table it is about, without its schema and in lower case; a pragma's name.
        new: the table's name after a ``RENAME``.
        columns: those that are added, dropped or set.
        reads: the tables after its ``FROM`` and ``JOIN``.
        everything: an ``UPDATE`` or ``DELETE`` of every row.
        fills: whether it writes rows, so that its expressions become data.
        value: what a pragma is set to, in upper case.
    """

    kind: Kind
    table: str = ""
    new: str = ""
    columns: frozenset[str] = frozenset()
    reads: frozenset[str] = frozenset()
    everything: bool = False
    fills: bool = False
    value: str = ""


def read(tokens: Sequence[SqlToken]) -> SqlChange:
    """Return what the statement made of these tokens does."""
    cursor = _Cursor(tokens)
    if cursor.skip("WITH"):
        _skip_tables_of_with(cursor)
    keyword = cursor.take_word()
    if keyword in ("VACUUM", "ANALYZE", "REINDEX"):
        return SqlChange(Kind.UPKEEP)
    reader = _READERS.get(keyword)
    return reader(cursor) if reader else SqlChange(Kind.OTHER)


class _Cursor:
    """A place in a statement."""

    def __init__(self, tokens: Sequence[SqlToken]) -> None:
        self.tokens = tokens
        self.at = 0

    @property
    def token(self) -> SqlToken | None:
        """The token here; ``None`` at the end."""
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def skip(self, *words: str) -> bool:
        """Step over one of these words or signs, and tell whether it was here."""
        token = self.token
        if token is None or token.kind not in ("word", "sign") or token.text not in words:
            return False
        self.at += 1
        return True

    def take_word(self) -> str:
        """Step over a word and return it in upper case; nothing when there is none."""
        token = self.token
        if token is None or token.kind != "word":
            return ""
        self.at += 1
        return token.text

    def take_name(self) -> str:
        """Step over ``[schema.]name`` and return the name; nothing when there is none."""
        name = ""
        while (token := self.token) is not None and token.kind != "sign":
            name = name_of(token)
            self.at += 1
            if not self.skip("."):
                break
        return name

    def skip_group(self) -> None:
        """Step over what stands in parentheses, if they begin here."""
        token = self.token
        if token is None or token.text != "(":
            return
        self.at += 1
        while self.token is not None and self.token.depth > token.depth:
            self.at += 1
        self.skip(")")

    def skip_alias(self) -> bool:
        """Step over an alias and the comma after it, if both are here."""
        self.at += 1
        if self.skip(","):
            return True
        self.at -= 1
        return False

    def rest(self) -> Sequence[SqlToken]:
        """Return the tokens from here on."""
        return self.tokens[self.at :]


def _skip_tables_of_with(cursor: _Cursor) -> None:
    """Step over ``name [(columns)] AS [[NOT] MATERIALIZED] (SELECT ...), ...``."""
    cursor.skip("RECURSIVE")
    while cursor.take_name():
        cursor.skip_group()
        cursor.skip("AS")
        cursor.skip("NOT")
        cursor.skip("MATERIALIZED")
        cursor.skip_group()
        if not cursor.skip(","):
            return


def _create(cursor: _Cursor) -> SqlChange:
    cursor.skip("TEMP", "TEMPORARY", "VIRTUAL")
    if not cursor.skip("TABLE"):
        return SqlChange(Kind.OTHER)
    if cursor.skip("IF"):
        cursor.skip("NOT")
        cursor.skip("EXISTS")
    table = cursor.take_name()
    is_copy = cursor.skip("AS")
    return SqlChange(
        Kind.CREATE, table, reads=_reads(cursor.rest()) if is_copy else frozenset(), fills=is_copy
    )


def _drop(cursor: _Cursor) -> SqlChange:
    if not cursor.skip("TABLE"):
        return SqlChange(Kind.OTHER)
    if cursor.skip("IF"):
        cursor.skip("EXISTS")
    return SqlChange(Kind.DROP, cursor.take_name())


def _alter(cursor: _Cursor) -> SqlChange:
    if not cursor.skip("TABLE"):
        return SqlChange(Kind.OTHER)
    table = cursor.take_name()
    action = cursor.take_word()
    if action == "RENAME" and cursor.skip("TO"):
        return SqlChange(Kind.RENAME, table, new=cursor.take_name())
    if action in ("ADD", "DROP"):
        cursor.skip("COLUMN")
        kind = Kind.ADD_COLUMN if action == "ADD" else Kind.DROP_COLUMN
        return SqlChange(kind, table, columns=frozenset({cursor.take_name()}))
    return SqlChange(Kind.OTHER)


def _insert(cursor: _Cursor) -> SqlChange:
    if cursor.skip("OR"):
        cursor.take_word()
    cursor.skip("INTO")
    return SqlChange(Kind.INSERT, cursor.take_name(), reads=_reads(cursor.tokens), fills=True)


def _update(cursor: _Cursor) -> SqlChange:
    if cursor.skip("OR"):
        cursor.take_word()
    table = cursor.take_name()
    rest = cursor.rest()
    return SqlChange(
        Kind.UPDATE, table, columns=_assigned(rest), everything=_is_unlimited(rest), fills=True
    )


def _delete(cursor: _Cursor) -> SqlChange:
    cursor.skip("FROM")
    table = cursor.take_name()
    return SqlChange(Kind.DELETE, table, everything=_is_unlimited(cursor.rest()), fills=True)


def _select(cursor: _Cursor) -> SqlChange:
    return SqlChange(Kind.SELECT, reads=_reads(cursor.tokens))


def _pragma(cursor: _Cursor) -> SqlChange:
    name = cursor.take_name()
    if not cursor.skip("=", "("):
        return SqlChange(Kind.PRAGMA, name)
    return SqlChange(Kind.PRAGMA, name, value=cursor.take_name().upper())


_READERS = {
    "CREATE": _create,
    "DROP": _drop,
    "ALTER": _alter,
    "INSERT": _insert,
    "REPLACE": _insert,
    "UPDATE": _update,
    "DELETE": _delete,
    "SELECT": _select,
    "PRAGMA": _pragma,
}


def _is_unlimited(rest: Sequence[SqlToken]) -> bool:
    """Tell whether an UPDATE or DELETE has no WHERE of its own, after its table's name."""
    own = [token for token in rest if token.depth == 0]
    if any(token.kind == "word" and token.text == "WHERE" for token in own):
        return False
    # What is known only when it runs may be the WHERE, unless it stands where a value does.
    return not any(
        HOLE in token.text and (before is None or before.kind != "sign" or before.text == ")")
        for before, token in zip([None, *own], own, strict=False)
        if token.kind == "word"
    )


def _assigned(rest: Sequence[SqlToken]) -> frozenset[str]:
    """Return the columns that an UPDATE sets: ``SET a = 1, (b, c) = (2, 3)``."""
    own = [token for token in rest if token.depth == 0]
    start = next((i for i, token in enumerate(own) if token.text == "SET"), len(own))
    found: set[str] = set()
    for before, token, following in zip(
        own[start:], own[start + 1 :], own[start + 2 :], strict=False
    ):
        if before.text in ("SET", ",") and following.text == "=":
            found.add(name_of(token))
        elif before.text in ("SET", ",") and token.text == "(":
            # Several at once: what they are is not worth knowing, but that there are some is.
            found.add("(")
    return frozenset(found)


def _reads(tokens: Sequence[SqlToken]) -> frozenset[str]:
    """Return the tables after every FROM and JOIN: ``FROM a AS x, main.b JOIN c``."""
    cursor = _Cursor(tokens)
    found: set[str] = set()
    while cursor.token is not None:
        if not cursor.skip("FROM", "JOIN"):
            cursor.at += 1
            continue
        while name := cursor.take_name():
            found.add(name)
            cursor.skip("AS")
            if not cursor.skip(",") and not cursor.skip_alias():
                break
    return frozenset(found)
