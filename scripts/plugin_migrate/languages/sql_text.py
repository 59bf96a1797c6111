"""The text of a SQL migration: its header, its sections and their statements.

Nothing here opens a file or a database. A file is first cut at its marker lines, wherever they
stand; only a section that is going to run is split into statements::

    -- description: Add preferences           the header: YAML after `-- `
    -- tags: [schema]

    -- migrate:up foreign_keys:on             a marker with an option
    CREATE TABLE preferences (name TEXT);

    -- migrate:down
    DROP TABLE preferences;

Every function takes time proportional to the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache, lru_cache
from itertools import islice
from sqlite3 import complete_statement

from ..errors import BrokenMigration, ForbiddenStatement
from ..values import NamedTuple
from .foreign_key_mode import ForeignKeyMode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    import yaml

_BOM = "\ufeff"

# SQLite's tokens (tokenize.c). A doubled quote needs no rule of its own: 'a''b' reads as two
# strings side by side, and both are skipped. What is not closed runs to the end of the text, except
# that a `/*` which is the very last thing is no comment to SQLite. A BOM is white space to it, and
# stands inside a file that was made by joining two.
_COMMENT = r"--[^\n]*|/\*(?:.*?\*/|.+)"
# The BOM stands by itself: one character far from the others makes compiling their set cost 0.3 ms.
_SPACE = re.compile(rf"(?:[ \t\n\f\r]+|{_BOM}+|{_COMMENT})*", re.DOTALL)
_GAP = re.compile(rf"(?:[; \t\n\f\r]+|{_BOM}+|{_COMMENT})*", re.DOTALL)
# Letters, digits, `_`, `$` and all that is not ASCII; told by what it is not, because compiling a
# set of a million characters takes 3 ms.
_WORD = re.compile(r"[^\x00-#%-/:-@\[-^`{-\x7f]+")
# All up to and with the next `;` that is no part of a string, name or comment. Possessive: nothing
# is tried again, so that a long text takes no memory.
_TO_SEMICOLON = re.compile(
    rf"""(?:[^;'"`\[/-]++|'[^']*'?|"[^"]*"?|`[^`]*`?|\[[^\]]*\]?|{_COMMENT}|[/-])*+;?""", re.DOTALL
)

# A marker that is not recognised turns the down's DROP into a part of the up. So every line that
# may have been meant as one is caught here: group 1 is what follows `migrate:`, group 2 a
# marker without its colon, group 3 one of goose or sql-migrate. Blanks may be any that Unicode
# has, for no-break spaces come with text that was copied from a web page.
_MARKER = re.compile(
    r"^[^\S\n]*--+[^\S\n]*"
    r"(?:migrate[^\S\n]*:(.*)|(migrate[^\S\n]+(?:up|down)[^\S\n]*)|(\+(?:goose|migrate)\b.*))$",
    re.MULTILINE | re.IGNORECASE,
)
_OTHERS_DOWN = re.compile(r"\+\w+[^\S\n]+down\b", re.IGNORECASE)
_OPTIONS = {
    "transaction:true": ("transaction", True),
    "transaction:false": ("transaction", False),
    **{f"foreign_keys:{mode.value}": ("foreign_keys", mode) for mode in ForeignKeyMode},
}

_CONTROL = re.compile(r"\b(?:BEGIN|COMMIT|END|ROLLBACK)\b", re.IGNORECASE | re.ASCII)
_HEADER_COMMENT = re.compile(_COMMENT, re.DOTALL)
_KNOWN_KEYS = tuple("description author created_at tags version requires name reversible".split())
# Compiled when it is needed, which is seldom.
_KNOWN_KEY = rf"(?m:^[ \t]*(?:{'|'.join(_KNOWN_KEYS)})[ \t]*:)"
# YAML of this length takes a tenth of a second.
_LONGEST_HEADER = 64 * 1024
_DEEPEST_HEADER = 100
_HEADER_HINT = (
    "The comments at the top of a migration are YAML: `-- key: value`, one per line.\n"
    "Quote a value that holds `: ` or ` #`, and move remarks below `-- migrate:up`."
)


class Statement(NamedTuple):
    """One statement, ready for SQLite.

    Parameters:
        text: the statement as it stands in the file, from its first token to its ``;`` (to the end
            of the section when the last one has none). SQLite stores this text as a table's or a
            trigger's definition, so line ends are never touched.
        line: 1-based line of the file on which ``text`` begins.
    """

    text: str
    line: int


class Section(NamedTuple):
    """What a migration does in one direction.

    Parameters:
        text: everything from the line after the marker to the next marker or the end.
        line: 1-based line of the file on which ``text`` begins.
        transaction: run inside the step's transaction; ``transaction:false`` is for statements
            that SQLite refuses there, such as VACUUM.
        foreign_keys: whether they are enforced while the statements run, and checked afterwards.
            Not enforced by default, since rebuilding a table would delete the rows that refer to
            it.
    """

    text: str
    line: int
    transaction: bool = True
    foreign_keys: ForeignKeyMode = ForeignKeyMode.CHECKED


class SqlScript(NamedTuple):
    """A SQL migration file, read but not run.

    Parameters:
        description: from the header; ``None`` when it has none or an empty one.
        version: from the header, as written there; the file's name is what counts.
        metadata: every other key of the header. ``author`` and ``created_at`` are strings,
            ``tags`` is a list of strings; what was left empty among them is not in it.
        up: what applies the migration.
        down: what takes it back; ``None`` when the file has no ``-- migrate:down``.
    """

    description: str | None
    version: str | None
    metadata: dict[str, object]
    up: Section
    down: Section | None

    @property
    def has_down(self) -> bool:
        """Whether the migration can be rolled back."""
        return self.down is not None


@lru_cache(maxsize=1)  # describing and preparing a step ask for the same text in a row
def parse(text: str, file: str) -> SqlScript:
    """Read a migration: find its markers and understand its header.

    The statements themselves are not looked at, so this is fast enough for listing migrations.
    Markers count wherever they begin a line, also inside a string or a ``/* */`` comment.

    Parameters:
        text: the file's content with its line ends untouched; a leading BOM is dropped.
        file: the path to name in errors.

    Returns:
        The file's parts. Without any marker the whole file is the up, and there is no down.

    Raises:
        BrokenMigration: a marker or an option is unknown, repeated or out of order; a statement
            stands before the first marker; the header is broken; the file holds a NUL.
    """
    text = text.removeprefix(_BOM)
    if "\0" in text:
        raise BrokenMigration(
            "The file contains a NUL character, which SQLite cannot read",
            file=file,
            line=_line_at(text, text.index("\0")),
            hint="Save it as UTF-8 text.",
        )
    markers = _markers(text, file)
    if markers:
        ends = [*(marker.start for marker in markers[1:]), len(text)]
        sections = [
            Section(text[marker.end : end], marker.line + 1, **marker.options)
            for marker, end in zip(markers, ends, strict=True)
        ]
        head = text[: markers[0].start]
        early = next(statements(Section(head, 1)), None)
        if early is not None:
            raise BrokenMigration(
                "A statement stands before the first marker",
                file=file,
                line=early.line,
                hint="Move it below `-- migrate:up`.",
            )
    else:
        sections = [Section(text, 1)]
        head = text[: _behind(_GAP, text, 0)]

    metadata = _header(head, file)
    description = metadata.pop("description", None)
    version = metadata.pop("version", None)
    return SqlScript(
        description if isinstance(description, str) else None,
        version if isinstance(version, str) else None,
        metadata,
        sections[0],
        sections[1] if len(sections) > 1 else None,
    )


def statements(section: Section) -> Iterator[Statement]:
    """Split a section into its statements, lazily and in order.

    Comments and white space before a statement are dropped, a ``;`` with nothing before it is
    skipped, and comments after the last ``;`` are not one. A string or comment that is never
    closed runs to the end, and SQLite will say so.

    Parameters:
        section: the section to split; empty or nothing but comments is fine.

    Returns:
        The statements, each with its ``;`` when it has one.
    """
    text, line, counted = section.text, section.line, 0
    may_be_trigger = "TRIGGER" in text.upper()  # hardly ever
    start = _behind(_GAP, text, 0)
    while start < len(text):
        line += text.count("\n", counted, start)
        counted = start
        end = _end_of_statement(text, start, may_be_trigger and _is_trigger(text, start))
        yield Statement(text[start:end], line)
        start = _behind(_GAP, text, end)


def refuse_transaction_control(section: Section, file: str) -> None:
    """Refuse statements that would end or nest the step's own transaction.

    SQLite would accept a COMMIT and tear the step from its ledger row. The authorizer stops that
    too, but only when the step has come so far; this names the place before anything has run.
    Savepoints are fine: SAVEPOINT, RELEASE and ROLLBACK TO stay inside the transaction. A section
    with ``transaction:false`` may do as it likes.

    Parameters:
        section: the section that is about to run.
        file: the path to name in the error.

    Raises:
        ForbiddenStatement: the section holds a BEGIN, COMMIT, END or ROLLBACK.
    """
    # Hardly a section holds one of the words, and looking for them is faster than splitting it.
    if not section.transaction or _CONTROL.search(section.text) is None:
        return
    for statement in statements(section):
        words = _words(statement.text, 0)
        keyword = next(words, "")
        if _CONTROL.fullmatch(keyword) is None:
            continue
        # ROLLBACK [TRANSACTION [name]] TO [SAVEPOINT] name
        if keyword == "ROLLBACK" and "TO" in islice(words, 3):
            continue
        raise ForbiddenStatement(
            f"{keyword} is not allowed in a migration",
            file=file,
            line=statement.line,
            hint=(
                "Remove it: each migration is one transaction already.\n"
                "Or write `-- migrate:up transaction:false` (or `down`) to go without one."
            ),
            details=(statement.text,),
        )


def _end_of_statement(
    text: str, start: int, is_trigger: bool, complete: Callable[[str], bool] = complete_statement
) -> int:
    """Return the index after the ``;`` that ends the statement at ``start``, or the text's end.

    A bare ``;`` ends every statement but CREATE TRIGGER, whose body has its own. There
    `sqlite3.complete_statement` is asked, which knows that the end is ``END`` and ``;`` after
    another ``;``. Its answer depends on nothing before that other ``;`` except that this is a
    trigger, so it is shown the part since then: each character once, however long the body is.

    Parameters:
        text: the section.
        start: index of the statement's first token.
        is_trigger: whether it is a CREATE TRIGGER.
        complete: answers for a text whether it is a complete statement.
    """
    part = end = start
    while end < len(text):
        end = _behind(_TO_SEMICOLON, text, end)
        if not is_trigger or complete(f"CREATE TRIGGER {text[part:end]}"):
            break
        part = end - 1
    return end


def _is_trigger(text: str, start: int) -> bool:
    """Say whether [EXPLAIN [QUERY PLAN]] CREATE [TEMP|TEMPORARY] TRIGGER stands at ``start``."""
    words = _words(text, start)
    word = next(words, "")
    if word == "EXPLAIN":
        word = next(words, "")
        if word == "QUERY":
            word = next(islice(words, 1, None), "")
    if word != "CREATE":
        return False
    word = next(words, "")
    if word in ("TEMP", "TEMPORARY"):
        word = next(words, "")
    return word == "TRIGGER"


def _words(text: str, position: int) -> Iterator[str]:
    """Yield the bare words from ``position`` on, in upper case, up to the first other token."""
    while match := _WORD.match(text, _behind(_SPACE, text, position)):
        yield match[0].upper()
        position = match.end()


def _behind(pattern: re.Pattern[str], text: str, position: int) -> int:
    """Return the index after what ``pattern`` matches at ``position``."""
    match = pattern.match(text, position)
    return match.end() if match else position


def _line_at(text: str, index: int) -> int:
    """Return the 1-based line of the character at ``index``; only a line feed ends a line."""
    return text.count("\n", 0, index) + 1


class _Marker(NamedTuple):
    """A marker line: where it starts, where the section's text begins, and what it says."""

    start: int
    end: int
    line: int
    options: dict[str, Any]


def _markers(text: str, file: str) -> list[_Marker]:
    """Return the markers: none, the up, or the up and the down.

    Raises:
        BrokenMigration: one is unknown, repeated or out of order, or has a wrong option.
    """
    found: dict[str, _Marker] = {}
    others: list[tuple[str, int]] = []
    line, counted = 1, 0
    for match in _MARKER.finditer(text):
        line += text.count("\n", counted, match.start())
        counted = match.start()
        if match[3] is not None:
            others.append((match[3], line))
            continue
        if match[1] is None:
            raise _no_marker(match[2], file, line)
        name, *options = _spelled(match[1])
        if name not in ("up", "down"):
            raise BrokenMigration(
                f"Unknown marker `-- migrate:{name}`",
                file=file,
                line=line,
                hint=(
                    "The markers are `-- migrate:up` and `-- migrate:down`.\n"
                    "Any other comment must not begin with `migrate:`."
                ),
            )
        if name in found:
            raise BrokenMigration(
                f"Second `-- migrate:{name}`; the first is on line {found[name].line}",
                file=file,
                line=line,
                hint="A migration has one up and at most one down.",
            )
        if name == "down" and not found:
            raise BrokenMigration(
                "`-- migrate:down` has no `-- migrate:up` above it",
                file=file,
                line=line,
                hint="Write `-- migrate:up` above what applies the migration, and the down below.",
            )
        end = min(match.end() + 1, len(text))
        found[name] = _Marker(match.start(), end, line, _options(options, file, line))
    _refuse_others(others, found, file)
    return list(found.values())


def _refuse_others(others: list[tuple[str, int]], found: dict[str, _Marker], file: str) -> None:
    """Refuse markers of other tools where ours do not say more: there they are comments.

    Without ours the whole file would be the up, and without our down the up would go on after
    theirs, with what takes it back.

    Raises:
        BrokenMigration: names the first.
    """
    for text, line in others:
        if not found or ("down" not in found and _OTHERS_DOWN.match(text)):
            raise _no_marker(text, file, line)


def _no_marker(text: str, file: str, line: int) -> BrokenMigration:
    return BrokenMigration(
        f"`-- {text.strip()}` is not a marker",
        file=file,
        line=line,
        hint="Write `-- migrate:up` and `-- migrate:down`, each on a line of its own.",
    )


def _spelled(rest: str) -> list[str]:
    """Return the words after ``migrate:`` in lower case, without blanks around their colons."""
    words = " ".join(rest.lower().split())  # first, or a long run of blanks takes quadratic time
    return words.replace(" :", ":").replace(": ", ":").split(" ")


def _options(words: list[str], file: str, line: int) -> dict[str, Any]:
    """Return what the words after a marker say, by `Section` field.

    Raises:
        BrokenMigration: a word is no option, or an option is given twice.
    """
    options: dict[str, Any] = {}
    for word in words:
        if word not in _OPTIONS:
            raise BrokenMigration(
                f"Unknown option '{word}' after the marker",
                file=file,
                line=line,
                hint="The options are `transaction:false|true` and"
                " `foreign_keys:on|off|unchecked`.",
            )
        name, value = _OPTIONS[word]
        if name in options:
            raise BrokenMigration(
                f"The option '{name}' is given twice", file=file, line=line, hint="Keep one."
            )
        options[name] = value
    return options


def _header(head: str, file: str) -> dict[str, object]:
    """Return the keys of the header, the known ones checked and normalised.

    A header that is no mapping is prose (a licence, a remark) and ignored, unless one of its lines
    begins like a header's: then a slip would silently lose what the author wrote.

    Parameters:
        head: the file up to the first marker or statement: comments and blanks.
        file: the path to name in errors.

    Raises:
        BrokenMigration: it is meant as a header but is no mapping, or a value has a wrong type.
    """
    body = _uncommented(head)
    if ":" not in body:
        return {}  # without importing yaml, which costs 15 ms
    import yaml

    def broken(message: str, index: int) -> BrokenMigration:
        line = _line_at(body, index)  # the body keeps the file's lines
        return BrokenMigration(message, file=file, line=line, hint=_HEADER_HINT)

    known = re.search(_KNOWN_KEY, body)
    if len(body) > _LONGEST_HEADER:
        if known is None:
            return {}
        raise broken(f"The header has over {_LONGEST_HEADER} characters", known.start())
    try:
        entries = _entries(body)
    # What PyYAML lets through: ValueError for `0x_`, LookupError for `!!bool x`.
    except (yaml.YAMLError, ValueError, LookupError, RecursionError) as error:
        if known is None:
            return {}
        problem, index = _complaint(error, known.start())
        raise broken(f"The header is not valid YAML: {problem}", index) from None
    if entries is None:
        if known is None:
            return {}
        raise broken("The header is not a list of `key: value`", known.end())

    header: dict[str, object] = {}
    for entry in entries:
        if entry.key in header and entry.key in _KNOWN_KEYS:
            raise broken(f"`{entry.key}` stands twice in the header", entry.place)
        try:
            header[entry.key] = _checked(entry)
        except TypeError as error:
            raise broken(f"`{entry.key}` in the header must be {error}", entry.place) from None
    optional = ("description", "version", "author", "created_at", "tags")
    return {key: value for key, value in header.items() if key not in optional or value is not None}


def _uncommented(head: str) -> str:
    """Return what the ``--`` comments say, each on its own line of the file, the rest blank."""
    lines: list[str] = []
    line, counted = 0, 0
    for match in _HEADER_COMMENT.finditer(head):
        line += head.count("\n", counted, match.start())
        counted = match.start()
        if match[0].startswith("--") and not _MARKER.match(match[0]):
            lines.extend([""] * (line - len(lines)))
            lines.append(match[0][2:].removeprefix(" "))
    return "\n".join(lines).rstrip()


class _Entry(NamedTuple):
    """One ``key: value`` of a header.

    Parameters:
        key: as written.
        value: as YAML understands it.
        written: the value as the author wrote it: a scalar's text or a list of them; ``None`` for
            an empty value and for everything else.
        place: where the key stands in the header.
    """

    key: str
    value: object
    written: str | list[str] | None
    place: int


def _checked(entry: _Entry) -> object:
    """Return the entry's value in the type that its key promises.

    Raises:
        TypeError: it has another one; the message says which it must be.
    """
    if entry.key == "tags":
        if entry.value is None:
            return None
        if entry.written is None:
            raise TypeError("a list of words")
        tags = entry.written.split(",") if isinstance(entry.written, str) else entry.written
        return [tag.strip() for tag in tags if tag.strip()]
    if entry.key == "reversible":
        if type(entry.value) is not bool:
            raise TypeError("true or false")
        return entry.value
    if entry.key in ("version", "created_at"):
        # YAML sees a number in 1.10 and in 20251212, and would give back another text.
        if entry.value is not None and not isinstance(entry.written, str):
            raise TypeError("text")
        return entry.written or None
    if entry.key in ("description", "author"):
        if entry.value is not None and not isinstance(entry.value, str):
            raise TypeError('text; quote it, as in "42"')
        return (entry.value or "").strip() or None
    return entry.value


def _entries(body: str) -> list[_Entry] | None:
    """Return the top level of the YAML mapping in ``body``; ``None`` when it is something else.

    Raises:
        yaml.YAMLError, ValueError, LookupError: PyYAML cannot load it.
        RecursionError: it is nested too deeply.
    """
    import yaml

    # libyaml is ten times as fast; PyYAML's own loader says better where a text is broken.
    with suppress(yaml.YAMLError, AttributeError):
        _refuse_deep(body, yaml.CSafeLoader)
        return _read_entries(body, _loader(yaml.CSafeLoader))
    _refuse_deep(body, yaml.SafeLoader)
    return _read_entries(body, _loader(yaml.SafeLoader))


def _refuse_deep(body: str, loader_class: type[yaml.SafeLoader] | type[yaml.CSafeLoader]) -> None:
    """Refuse what is nested too deeply, by the parser's events, which it finds without recursion.

    What makes a tree of them for libyaml calls itself in C, where nobody counts: some thousand
    brackets end the process on Windows, and some ten thousand elsewhere.
    """
    import yaml

    if sum(map(body.count, "[{-?:")) <= _DEEPEST_HEADER:  # each level begins with one of them
        return
    depth = 0
    for event in yaml.parse(body, loader_class):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST_HEADER:
            raise RecursionError("it is nested too deeply")


def _read_entries(body: str, loader_class: type[yaml.SafeLoader]) -> list[_Entry] | None:
    import yaml

    def scalar(node: yaml.Node) -> str | None:
        empty = not isinstance(node, yaml.ScalarNode) or node.tag == "tag:yaml.org,2002:null"
        return None if empty else str(node.value)

    def written(node: yaml.Node) -> str | list[str] | None:
        if not isinstance(node, yaml.SequenceNode):
            return scalar(node)
        texts = [text for item in node.value if (text := scalar(item)) is not None]
        return texts if len(texts) == len(node.value) else None

    def word(node: yaml.Node) -> str:
        if isinstance(node, yaml.ScalarNode):
            return str(node.value)
        raise yaml.constructor.ConstructorError(None, None, "a key must be text", node.start_mark)

    loader = loader_class(body)
    try:
        root = loader.get_single_node()
        if not isinstance(root, yaml.MappingNode):
            return None
        return [
            _Entry(
                word(key),
                loader.construct_object(value, deep=True),
                written(value),
                key.start_mark.index,
            )
            for key, value in root.value
        ]
    finally:
        loader.dispose()


@cache
def _loader(base: type[yaml.SafeLoader]) -> type[yaml.SafeLoader]:
    """Return a safe loader of PyYAML's, except that dates stay the text they were written as."""

    class Loader(base):  # type: ignore[misc, valid-type]
        pass

    def as_written(_: object, node: yaml.Node) -> str:
        return str(node.value)

    Loader.add_constructor("tag:yaml.org,2002:timestamp", as_written)
    return Loader


def _complaint(error: Exception, fallback: int) -> tuple[str, int]:
    """Return what YAML complains about and the index in the text where.

    While scanning (a quote, a key without its colon) PyYAML points to where it gave up, which is
    often lines later, and keeps where the thing began as the context: that is the author's slip.
    """
    import yaml

    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark
        if (error.context or "").startswith("while scanning"):
            mark = error.context_mark or mark
        return error.problem or error.context or "", mark.index if mark else fallback
    if isinstance(error, yaml.reader.ReaderError):
        return error.reason, error.position
    return str(error), fallback
