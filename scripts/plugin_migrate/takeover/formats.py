"""The folders of migrations that other tools keep, in SQL: which files, in which order, and parts.

Each tool's rules are its own: what a file is called, how the tool orders them, and how the way back
is told from the way forth. Nothing here writes.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from types import MappingProxyType

from ..errors import MigrateError, TakeoverRefused, UsageError
from ..languages import sql_text
from ..languages.sql_text import Section
from ..migration import decode_source
from ..plain_file import read_plain, size_of
from ..platform import system
from ..values import NamedTuple
from .goose_text import ended, goose_sections
from .record import quotable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    _Found = dict[str, dict[str, re.Match[str]]]

_MOST_FILES = 10_000
_MOST_BYTES = 64 * 1024 * 1024

_DBMATE_MARKER = re.compile(r"^--\s*migrate:up(?:\s*$|\s+\S+)", re.MULTILINE)
_OUR_MARKER = re.compile(r"^[^\S\n]*--+[^\S\n]*migrate[^\S\n]*:", re.MULTILINE)
_ANY_MARKER = re.compile(
    r"^[^\S\n]*--+[^\S\n]*(migrate[^\S\n]*:|\+goose\b|\+migrate\b)", re.MULTILINE
)
_BREAKPOINT = "--> statement-breakpoint"
_OURS = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+-")
_ENDS_TRANSACTION = frozenset({"COMMIT", "END"})


class ForeignMigration(NamedTuple):
    """One migration of another tool's.

    ``entry`` is what the tool's ledger calls it, and ``title`` the rest of the file's name;
    ``files`` the names of its files, the up first. Sections hold whole statements.
    """

    entry: str
    title: str
    files: tuple[str, ...]
    up: Section
    down: Section | None


class ForeignFolder(NamedTuple):
    """What a folder holds: migrations in their tool's order, and SQL files that are none."""

    migrations: tuple[ForeignMigration, ...]
    left_out: tuple[str, ...]


class Format(NamedTuple):
    """How a tool names its files and splits them.

    ``name`` matches a file's name, with the groups ``number``, ``title`` and perhaps ``way``;
    ``code`` one that holds a program; ``is_numeric`` says whether the tool compares numbers or
    texts; ``entry`` returns what its ledger calls a file of that number and content.
    """

    name: re.Pattern[str]
    code: re.Pattern[str]
    is_numeric: bool
    entry: Callable[[re.Match[str], bytes], str]
    sections: Callable[[str, str], tuple[Section, Section | None]]


def read_foreign(folder: str, tool: str) -> ForeignFolder:
    """Return the migrations that ``tool`` finds in a folder.

    Raises:
        UsageError: there is no such tool, or its migrations are programs.
        TakeoverRefused: a file is a link, too large, or a program; a version stands twice.
        BrokenMigration: a file cannot be read as SQL with that tool's markers.
        ForbiddenStatement: a file commits by itself, in the middle.
    """
    form = format_of(tool)
    found, left_out = _found_in(folder, form)
    left = _MOST_BYTES
    migrations = []
    for number in sorted(found, key=int if form.is_numeric else lambda one: found[one]["up"][0]):
        migration, taken = _read(folder, form, found[number], left)
        left -= taken
        migrations.append(migration)
    return ForeignFolder(tuple(migrations), left_out)


def _found_in(folder: str, form: Format) -> tuple[_Found, tuple[str, ...]]:
    """Return the files of a tool's by their number and way, and SQL files that are none of its."""
    found: _Found = {}
    left_out = []
    for name in _names_in(folder):
        if _OURS.match(name):  # where both live in one folder
            continue
        match = form.name.fullmatch(name)
        if form.code.fullmatch(name):
            raise TakeoverRefused(
                f"{quotable(name)} is a program, which cannot be converted",
                file=os.path.join(folder, name),
                hint="Write it as a migration in Python or TypeScript, then move it out of the"
                " folder and convert the rest.",
            )
        if match is None:
            left_out += [name] if name.lower().endswith(".sql") else []
            continue
        parts = match.groupdict()
        # Of a tool that compares numbers, 1 and 001 are one version.
        number = str(int(parts["number"])) if form.is_numeric else parts["number"]
        same = found.setdefault(number, {}).setdefault(parts.get("way") or "up", match)
        if same is not match:
            raise TakeoverRefused(
                f"{quotable(same[0])} and {quotable(name)} have one version, {number}",
                file=folder,
                hint="The tool itself would refuse them, or see only one: remove the other.",
            )
    for ways in found.values():
        if "up" not in ways:
            raise TakeoverRefused(
                f"{quotable(ways['down'][0])} takes back what no file beside it applies",
                file=os.path.join(folder, ways["down"][0]),
                hint="Bring back its .up.sql, or remove it.",
            )
    return found, tuple(left_out)


def format_of(tool: str) -> Format:
    """Return how a tool keeps its migrations.

    Raises:
        UsageError: there is no such tool, or its migrations are programs.
    """
    if tool in FORMATS:
        return FORMATS[tool]
    if tool in _PROGRAMS:
        raise UsageError(
            f"The migrations of {tool} are programs, which cannot be converted",
            hint="Write each as a migration in Python or TypeScript (plugin-migrate create), with"
            f" `from: {tool} NAME` in its metadata.\nWhat is applied already is taken over by:"
            f" plugin-migrate baseline --from {tool}",
        )
    raise UsageError(
        f"plugin-migrate cannot convert migrations of '{tool}'",
        hint=f"It converts those of {', '.join(FORMATS)}.\n"
        "For example: plugin-migrate create --from dbmate db/migrations",
    )


def _names_in(folder: str) -> list[str]:
    try:
        if os.path.islink(folder):
            raise TakeoverRefused("The folder is a link", file=folder, hint="Name the folder.")
        with os.scandir(folder) as listing:
            entries = [entry for entry in listing if not entry.name.startswith(".")]
    except OSError as error:
        raise TakeoverRefused(
            f"The folder cannot be read: {system.reason_of(error)}",
            file=folder,
            hint="Name the folder that holds the migrations.",
        ) from None
    if len(entries) > _MOST_FILES:
        raise TakeoverRefused(f"The folder holds more than {_MOST_FILES:,} files", file=folder)
    for entry in entries:
        if entry.is_symlink() and entry.name.lower().endswith(".sql"):
            raise TakeoverRefused(
                f"{quotable(entry.name)} is a link, which is not followed",
                file=entry.path,
                hint="Put the file itself there.",
            )
    return sorted(entry.name for entry in entries if not entry.is_dir(follow_symlinks=False))


def _read(
    folder: str, form: Format, ways: Mapping[str, re.Match[str]], left: int
) -> tuple[ForeignMigration, int]:
    """Return a migration, and how many bytes its files have; at most ``left``."""
    match = ways["up"]
    path = os.path.join(folder, match[0])
    content = _content(path, left)
    up, down = form.sections(decode_source(content, path), path)
    up = _alone(up, path)
    files: tuple[str, ...] = (match[0],)
    taken = len(content)
    if "down" in ways:
        path = os.path.join(folder, ways["down"][0])
        whole = _content(path, left - taken)
        down = _plain(decode_source(whole, path), path)[0]
        files = (match[0], ways["down"][0])
        taken += len(whole)
    down = _alone(down, path) if down is not None else None
    # An empty way back undoes nothing, so it is none.
    if down is not None and next(sql_text.statements(down), None) is None:
        down = None
    title = (match["title"] or "").strip(" _-.")
    return ForeignMigration(form.entry(match, content), title, files, up, down), taken


def _content(path: str, most: int) -> bytes:
    try:
        return read_plain(path, max(most, 0))
    except OSError as error:
        raise TakeoverRefused(
            f"The file cannot be read: {system.reason_of(error)}",
            file=path,
            hint=f"All files together may have {size_of(_MOST_BYTES)}.",
        ) from None


def _dbmate(text: str, path: str) -> tuple[Section, Section | None]:
    """Dbmate's markers are ours; what stands above them is comments, and no header of ours."""
    marker = _DBMATE_MARKER.search(text)
    if marker is None:
        raise _broken(path, "The file has no `-- migrate:up`, which dbmate requires")
    first = _OUR_MARKER.search(text)
    start = first.start() if first else marker.start()
    head = text[:start]
    if next(sql_text.statements(Section(head, 1)), None) is not None:
        raise _broken(path, "A statement stands before `-- migrate:up`, which dbmate refuses")
    script = sql_text.parse("\n" * head.count("\n") + text[start:], path)
    up = script.up._replace(text=_with_end(head.strip("\r\n")) + script.up.text)
    return up, script.down


def _plain(text: str, path: str) -> tuple[Section, Section | None]:
    found = _ANY_MARKER.search(text)
    if found is not None:
        tools = {"migrate:": "dbmate", "+goose": "goose"}
        tool = tools.get("".join(found[1].lower().split()))
        advice = f"Say --from {tool}" if tool else "sql-migrate's files cannot be converted"
        raise _broken(path, f"The file has markers of its own: {found[0].strip()}", advice)
    return Section(text, 1), None


def _drizzle(text: str, path: str) -> tuple[Section, Section | None]:
    """Split at Drizzle's breakpoints, each of which ends a statement, with a `;` or without."""
    *parts, last = text.split(_BREAKPOINT)
    return _plain("".join(f"{ended(part)}\n" for part in parts) + last, path)


def _broken(path: str, message: str, hint: str | None = None) -> MigrateError:
    return TakeoverRefused(message, file=path, hint=hint or "Correct the file, or remove it.")


def _alone(section: Section, path: str) -> Section:
    """Return a section without a BEGIN and a COMMIT around all of it: a step is a transaction.

    Raises:
        ForbiddenStatement: there are others.
    """
    if not section.transaction:
        return section
    statements = list(sql_text.statements(section))
    words = [re.match(r"[A-Za-z]*", one.text) for one in statements]
    keywords = [word[0].upper() if word else "" for word in words]
    if len(statements) > 1 and keywords[0] == "BEGIN" and keywords[-1] in _ENDS_TRANSACTION:
        text = _without(section, statements[0], statements[-1])
        inner = section._replace(text=text)
        texts = [one.text for one in sql_text.statements(inner)]
        if texts == [one.text for one in statements[1:-1]]:
            section = inner
    sql_text.refuse_transaction_control(section, path)
    return section


def _without(section: Section, first: sql_text.Statement, last: sql_text.Statement) -> str:
    """Return a section's text without two of its statements, which stand at its ends."""
    text = section.text
    end = text.rfind(last.text)
    text = text[:end] + text[end + len(last.text) :]
    lines = text.split("\n")
    before = "\n".join(lines[: first.line - section.line])
    start = text.find(first.text, len(before))
    return text[:start] + text[start + len(first.text) :]


def _with_end(text: str) -> str:
    return f"{text}\n" if text else ""


def _digits(match: re.Match[str], _content: bytes) -> str:
    return match["number"]


def _number(match: re.Match[str], _content: bytes) -> str:
    return str(int(match["number"]))


def _stem(match: re.Match[str], _content: bytes) -> str:
    return match[0].rpartition(".")[0]


def _digest(_match: re.Match[str], content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


_NEVER = re.compile(r"(?!)")
# The number's length is bounded, because Python refuses to read longer ones.
FORMATS: MappingProxyType[str, Format] = MappingProxyType(
    {
        "dbmate": Format(
            re.compile(r"(?P<number>[0-9]{1,100})(?P<title>.*)\.sql"),
            _NEVER,
            False,
            _digits,
            _dbmate,
        ),
        "goose": Format(
            re.compile(r"(?P<number>[0-9]{1,19})_(?P<title>.+)\.sql"),
            re.compile(r"[0-9]+_.+(?<!_test)\.go"),
            True,
            _number,
            goose_sections,
        ),
        "golang-migrate": Format(
            re.compile(r"(?P<number>[0-9]{1,19})_(?P<title>.*)\.(?P<way>up|down)\.sql"),
            _NEVER,
            True,
            _number,
            _plain,
        ),
        "drizzle": Format(
            re.compile(r"(?P<number>[0-9]{4,19})_(?P<title>.+)\.sql"),
            _NEVER,
            True,
            _digest,
            _drizzle,
        ),
        "sql": Format(
            re.compile(
                r"[vV]?(?P<number>[0-9]{1,19})(?:[_-]+(?P<title>.+?))?(?<!\.up)(?<!\.down)\.sql"
            ),
            _NEVER,
            True,
            _stem,
            _plain,
        ),
    }
)
_PROGRAMS = ("knex", "alembic", "sqlite-utils", "original")
