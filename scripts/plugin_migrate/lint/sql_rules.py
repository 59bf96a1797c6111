"""What is remarkable about the statements of one direction, in SQL files and in Python alike.

A statement is judged by what happens around it: dropping a table is fine when the same migration
made it, or when it is the third of the four parts of a rebuild.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from .problems import Problem, problem
from .sql_changes import HOLE, HOLE_END, Kind, SqlChange, read
from .sql_tokens import SqlToken

_CLOCK_WORDS = frozenset({"CURRENT_TIMESTAMP", "CURRENT_DATE", "CURRENT_TIME"})
# https://www.sqlite.org/lang_datefunc.html: without a time value they mean now.
_CLOCK_FUNCTIONS = frozenset({"DATE", "TIME", "DATETIME", "JULIANDAY", "UNIXEPOCH", "STRFTIME"})
_RANDOM_FUNCTIONS = frozenset({"RANDOM", "RANDOMBLOB"})
_ON = frozenset({"1", "ON", "TRUE", "YES"})


@dataclass(frozen=True, slots=True)
class PlacedStatement:
    """One statement where it stands.

    Parameters:
        tokens: its tokens, whose lines are where problems point.
        change: what it does.
        first, last: its lines in the file.
    """

    tokens: Sequence[SqlToken]
    change: SqlChange
    first: int
    last: int


def step_of(tokens: Sequence[SqlToken], first: int, last: int) -> PlacedStatement:
    """Return the statement made of these tokens, which stand on lines ``first`` to ``last``."""
    return PlacedStatement(tokens, read(tokens), first, last)


@dataclass(slots=True)
class Past:
    """What has happened so far in one direction.

    Parameters:
        created: tables that were not there before, under their names of now.
        gone: names of tables that were there before, and were dropped or renamed.
        rebuilt: names among them that stand for a new table now.
        added: new columns of old tables.
        written: tables whose rows were changed.
    """

    created: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    rebuilt: set[str] = field(default_factory=set)
    added: set[tuple[str, str]] = field(default_factory=set)
    written: set[str] = field(default_factory=set)

    def record(self, change: SqlChange) -> None:
        """Remember one more statement."""
        table = change.table
        if change.kind is Kind.CREATE:
            self._appears(table)
        elif change.kind is Kind.DROP:
            self._disappears(table)
        elif change.kind is Kind.RENAME:
            self._rename(table, change.new)
        elif change.kind is Kind.ADD_COLUMN:
            self.added |= {(table, column) for column in change.columns}
        elif change.kind in (Kind.INSERT, Kind.UPDATE, Kind.DELETE):
            self.written.add(table)

    def _appears(self, table: str) -> None:
        (self.rebuilt if table in self.gone else self.created).add(table)

    def _disappears(self, table: str) -> None:
        if table in self.created:
            self.created.remove(table)
        else:
            self.gone.add(table)
        self.rebuilt.discard(table)

    def _rename(self, table: str, new: str) -> None:
        is_own = table in self.created
        self._disappears(table)
        if is_own:
            self._appears(new)
        self.added |= {(new, column) for name, column in self.added if name == table}
        if table in self.written:
            self.written.add(new)


def inspect(
    steps: Sequence[PlacedStatement], undoes: Past | None = None, *, transaction: bool = True
) -> tuple[list[Problem], Past]:
    """Return what is remarkable about the statements of one direction, and what they do.

    Parameters:
        steps: the statements, in the order in which they run.
        undoes: for a down, what the up did: taking that back is what a down is for.
        transaction: whether they run in a transaction.
    """
    story = _Story(steps)
    past = Past()
    found: list[Problem] = []
    for number, step in enumerate(steps):
        found += _destruction(story, number, past, undoes or Past())
        found += _renaming_away(story, number, past)
        found += _not_repeatable(step)
        if transaction:
            found += _enforcement(step)
        past.record(step.change)
    return found, past


class _Story:
    """The statements, and for each table those that name it."""

    def __init__(self, steps: Sequence[PlacedStatement]) -> None:
        self.steps = steps
        self._by_table: dict[str, list[int]] = defaultdict(list)
        for number, step in enumerate(steps):
            change = step.change
            for table in {change.table, change.new} | change.reads:
                self._by_table[table].append(number)

    def before(self, number: int, table: str) -> Iterator[SqlChange]:
        """Yield what happened to ``table`` before statement ``number``."""
        return (self.steps[i].change for i in self._by_table[table] if i < number)

    def after(self, number: int, table: str) -> Iterator[SqlChange]:
        """Yield what happens to ``table`` after statement ``number``."""
        return (self.steps[i].change for i in self._by_table[table] if i > number)

    def is_legacy(self, number: int) -> bool:
        """Tell whether ``PRAGMA legacy_alter_table`` is on: then renaming redirects nothing."""
        values = [
            change.value
            for change in self.before(number, "legacy_alter_table")
            if change.kind is Kind.PRAGMA and change.value
        ]
        return bool(values) and values[-1] in _ON

    def is_rebuilt(self, number: int, table: str) -> bool:
        """Tell whether ``table``, which disappears with statement ``number``, lives on.

        It does when its rows were copied before, and the copy takes its name afterwards or is
        copied back into a new table of that name.
        """
        recreated = False
        for change in self.after(number, table):
            if change.kind is Kind.CREATE and change.table == table:
                recreated = True
                copies = change.reads
            elif change.kind is Kind.RENAME and change.new == table:
                copies = frozenset({change.table})
            elif recreated and change.kind is Kind.INSERT and change.table == table:
                copies = change.reads
            else:
                continue
            if any(self._has_copied(number, table, copy) for copy in copies):
                return True
        return False

    def _has_copied(self, number: int, table: str, copy: str) -> bool:
        """Tell whether ``copy`` was filled from ``table`` before statement ``number``."""
        fills = [change for change in self.before(number, copy) if _fills(change, copy)]
        if any(table in change.reads for change in fills):
            return True
        # In Python rows may be read by one statement and written by another.
        return bool(fills) and any(
            change.kind is Kind.SELECT and table in change.reads
            for change in self.before(number, table)
        )

    def was_copied_as(self, number: int, table: str) -> bool:
        """Tell whether ``table`` is an old table under a new name, whose rows were copied.

        That is the wrong order for a rebuild, which the rename is blamed for; no row is lost.
        """
        for i in reversed(self._by_table[table]):
            change = self.steps[i].change
            if i < number and change.kind is Kind.RENAME and change.new == table:
                return self.is_rebuilt(i, change.table) or any(
                    _fills(later, change.table) and table in later.reads
                    for later in self.before(number, table)
                )
        return False

    def copied_too_late(self, number: int, table: str) -> bool:
        """Tell whether ``table`` is read after it was dropped, before there is a new one."""
        for change in self.after(number, table):
            if table in change.reads:
                return True
            if table in (change.new, change.table):
                return False
        return False


def _fills(change: SqlChange, table: str) -> bool:
    return change.kind in (Kind.INSERT, Kind.CREATE) and change.fills and change.table == table


def _destruction(story: _Story, number: int, past: Past, undone: Past) -> Iterator[Problem]:
    step = story.steps[number]
    change = step.change
    table = change.table
    if not table or table in past.created | undone.created:
        return
    shown = _shown(table)
    if change.kind is Kind.DROP:
        if story.is_rebuilt(number, table) or story.was_copied_as(number, table):
            return
        if story.copied_too_late(number, table):
            yield _at(step, "rebuild-order", f"{shown} is dropped before its rows are copied")
        else:
            yield _at(step, "drop-table", f"DROP TABLE loses the rows of {shown}")
    elif change.kind is Kind.DROP_COLUMN:
        (column,) = change.columns
        # What columns a rebuilt table has gained is not known here.
        if (table, column) not in past.added | undone.added and table not in undone.rebuilt:
            message = f"DROP COLUMN loses the values of {shown}.{_shown(column)}"
            yield _at(step, "drop-column", message)
    elif change.everything and table not in undone.written:
        if change.kind is Kind.DELETE:
            yield _at(step, "delete-all", f"DELETE without WHERE loses every row of {shown}")
        elif any((table, column) not in past.added | undone.added for column in change.columns):
            message = f"UPDATE without WHERE overwrites every row of {shown}"
            yield _at(step, "update-all", message)


def _renaming_away(story: _Story, number: int, past: Past) -> Iterator[Problem]:
    """Yield a rename of an old table whose name is then given to another.

    Foreign keys, triggers and views that name the table follow it to its new name, and stay there:
    https://www.sqlite.org/lang_altertable.html, section 7.
    """
    step = story.steps[number]
    table, new = step.change.table, step.change.new
    if step.change.kind is not Kind.RENAME or table in past.created or story.is_legacy(number):
        return
    for change in story.after(number, table):
        # Renaming it back, as one does to write `Notes` instead of `notes`, redirects them back.
        if change.kind is Kind.RENAME and change.new == table and change.table == new:
            return
        if table == (change.new if change.kind is Kind.RENAME else change.table):
            if change.kind in (Kind.CREATE, Kind.RENAME):
                yield _at(
                    step,
                    "rebuild-order",
                    f"{_shown(table)} is renamed to make room for a new table, so foreign keys,"
                    f" triggers and views that name it follow it to {_shown(new)}",
                )
            return


def _not_repeatable(step: PlacedStatement) -> Iterator[Problem]:
    if not step.change.fills:
        return
    for code, find in (("clock", _clock), ("random", _random)):
        found = next((token for i, token in enumerate(step.tokens) if find(step.tokens, i)), None)
        if found is not None:
            yield problem(
                code,
                found.line,
                f"{found.text} gives other rows every time, so the migration is not repeatable",
                span=(step.first, step.last),
            )


def _clock(tokens: Sequence[SqlToken], i: int) -> bool:
    if tokens[i].kind != "word":
        return False
    if tokens[i].text in _CLOCK_WORDS:
        return _text_at(tokens, i - 1) != "."
    if tokens[i].text not in _CLOCK_FUNCTIONS or not _is_call(tokens, i):
        return False
    arguments = _arguments(tokens, i)
    if any(token.kind in ("string", "quoted") and _is_now(token) for token in arguments):
        return True
    has_comma = any(token.text == "," and token.depth == tokens[i].depth + 1 for token in arguments)
    return not has_comma if tokens[i].text == "STRFTIME" else not arguments


def _random(tokens: Sequence[SqlToken], i: int) -> bool:
    return tokens[i].kind == "word" and tokens[i].text in _RANDOM_FUNCTIONS and _is_call(tokens, i)


def _is_call(tokens: Sequence[SqlToken], i: int) -> bool:
    """Tell whether the word at ``i`` is a function's name, rather than a table's or column's."""
    return _text_at(tokens, i + 1) == "(" and _text_at(tokens, i - 1) not in ("INTO", ".", "TABLE")


def _arguments(tokens: Sequence[SqlToken], i: int) -> list[SqlToken]:
    found = []
    for token in tokens[i + 2 :]:
        if token.depth <= tokens[i].depth:
            break
        found.append(token)
    return found


def _is_now(token: SqlToken) -> bool:
    return token.text[1:-1].lower() == "now"


def _text_at(tokens: Sequence[SqlToken], i: int) -> str:
    return tokens[i].text if 0 <= i < len(tokens) else ""


def _enforcement(step: PlacedStatement) -> Iterator[Problem]:
    """Yield a switch of foreign keys, which SQLite ignores within a transaction.

    https://www.sqlite.org/pragma.html#pragma_foreign_keys
    """
    change = step.change
    if change.kind is not Kind.PRAGMA or change.table != "foreign_keys" or not change.value:
        return
    yield _at(
        step,
        "foreign-keys-pragma",
        "PRAGMA foreign_keys does nothing inside the migration's transaction",
        advice="It may stay. Write foreign_keys:on after the marker to enforce them from the"
        " start; only SQL migrations can."
        if change.value in _ON
        else "It may stay: foreign keys are not enforced while a migration runs, but checked at its"
        " end, unless foreign_keys:on follows the marker.",
    )


def _at(step: PlacedStatement, code: str, message: str, advice: str | None = None) -> Problem:
    return problem(code, step.first, message, span=(step.first, step.last), advice=advice)


def _shown(name: str) -> str:
    """Return a name as the author wrote it, up to its case."""
    return name.replace(HOLE, "{").replace(HOLE_END, "}")
