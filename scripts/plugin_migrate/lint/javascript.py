"""Findings in TypeScript and JavaScript migrations, by their tokens.

There is no syntax tree: a rule looks for a few tokens side by side, and keeps quiet about what it
does not understand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from ..languages import sql_text
from ..languages.javascript import module_text
from ..languages.javascript.module_text import Member, ModuleScript, Token, end_of, string_value
from ..languages.sql_text import Section
from ..platform.windows_names import unusable_part
from .notes import Notes, spread, unfilled
from .problems import Problem, problem
from .python_paths import unusable_name
from .sql_changes import HOLE, HOLE_END
from .sql_rules import PlacedStatement, step_of
from .sql_rules import inspect as inspect_steps
from .sql_tokens import scan

_CLOCK = (("Date", ".", "now"), ("performance", ".", "now"), ("Temporal", ".", "Now"))
_RANDOM = (
    ("Math", ".", "random"),
    ("crypto", ".", "randomUUID"),
    ("crypto", ".", "randomBytes"),
    ("crypto", ".", "randomInt"),
    ("crypto", ".", "getRandomValues"),
)
_RANDOM_FUNCTIONS = frozenset({"randomUUID", "randomBytes", "randomInt", "getRandomValues"})
_SQL_METHODS = frozenset({"run", "get", "all", "exec"})
_WRITERS = frozenset(
    name + suffix
    for name in "writeFile appendFile mkdir mkdtemp rm rmdir unlink truncate chmod cp".split()
    for suffix in ("", "Sync")
)
_TAKERS = frozenset(
    name + suffix for name in "rename copyFile cp rm unlink".split() for suffix in ("", "Sync")
)
_DATABASE = re.compile(r"\.(db|sqlite|sqlite3)\Z")
_SUBSTITUTION = re.compile(r"\$\{\s*([^{}]*?)\s*\}")
_ABSOLUTE = re.compile(r"/|~|[A-Za-z]:[\\/]")
# https://nodejs.org/api/module.html#modulebuiltinmodules, those known without `node:` too.
_BUILT_IN = frozenset(
    "assert async_hooks buffer child_process cluster console constants crypto dgram dns domain"
    " events fs http http2 https inspector module net os path perf_hooks process punycode"
    " querystring readline repl stream string_decoder sys timers tls trace_events tty url util v8"
    " vm wasi worker_threads zlib bun".split()
)


def inspect(text: str) -> tuple[list[Problem], Notes]:
    """Return the problems of a TypeScript or JavaScript migration, and its comments."""
    script = module_text.parse(text)
    tokens = module_text.scan(text).tokens
    found = [*_whole(script, tokens), *_sql(script, tokens, module_text.constants(text))]
    for index in range(len(tokens)):
        found += _chance(tokens, index)
        found += _handler(tokens, index)
        found += _import(tokens, index)
        found += _written_path(tokens, index)
        found += _database_file(tokens, index)
    notes = _notes(text, script)
    found += unfilled(text, notes)
    return found, notes


def _whole(script: ModuleScript, tokens: Sequence[Token]) -> Iterator[Problem]:
    """Yield what concerns the file: a direction that is missing or does nothing."""
    up, down = script.up, script.down
    line = up.line if up else script.line or 1
    is_idle = up is not None and _is_empty(up, tokens)
    if is_idle:
        yield problem("empty-up", line, "up does nothing, and so does the migration")
    if down is not None and _is_empty(down, tokens) and not is_idle:
        yield problem("empty-down", down.line, "down does nothing, so going back undoes nothing")


def _is_empty(member: Member, tokens: Sequence[Token]) -> bool:
    """Return whether a function's body is ``{}``."""
    last = member.end - 1
    return last > member.start and tokens[last].is_sign("}") and tokens[last - 1].is_sign("{")


# --- SQL ------------------------------------------------------------------------------------------


def _sql(
    script: ModuleScript, tokens: list[Token], constants: dict[str, object]
) -> Iterator[Problem]:
    """Yield what is remarkable about the SQL that ``up`` and ``down`` run."""
    up, down = ([*_steps(member, tokens, constants)] for member in (script.up, script.down))
    found, past = inspect_steps(up)
    found += inspect_steps(down, past)[0]
    # A statement has no line of its own here: it may come from a constant elsewhere.
    yield from (replace(each, line=each.first) for each in found)


def _steps(
    member: Member | None, tokens: list[Token], constants: dict[str, object]
) -> Iterator[PlacedStatement]:
    """Yield the statements of a direction, in the order of the text.

    A function of the file is followed where it is first named.
    """
    functions = dict(_functions(tokens))
    pending = [iter(range(member.start, member.end))] if member else []
    while pending:
        index = next(pending[-1], None)
        if index is None:
            pending.pop()
            continue
        token = tokens[index]
        if token.kind == "word" and token.text in functions:
            pending.append(iter(functions.pop(token.text)))
        text = _statement(tokens, index, constants)
        for statement in sql_text.statements(Section(text or "", 1)):
            found = scan(statement.text.removesuffix(";")).tokens
            yield step_of(found, token.line, tokens[index + 2].last)


def _functions(tokens: list[Token]) -> Iterator[tuple[str, range]]:
    """Yield the functions at the top level, by their names."""
    for index, token in enumerate(tokens[:-1]):
        if token.depth == 0 and token.is_word("function") and tokens[index + 1].kind == "word":
            body = next(
                (
                    at
                    for at in range(index + 2, len(tokens))
                    if tokens[at].depth == 0 and tokens[at].is_sign("{")
                ),
                None,
            )
            if body is not None:
                yield tokens[index + 1].text, range(body, end_of(tokens, body))


def _statement(tokens: Sequence[Token], index: int, constants: dict[str, object]) -> str | None:
    """Return the SQL of a call such as ``.exec(...)`` whose name is at ``index``."""
    if not (
        index
        and tokens[index].is_word(*_SQL_METHODS)
        and tokens[index - 1].is_sign(".")
        and index + 3 < len(tokens)
        and tokens[index + 1].is_sign("(")
        and (tokens[index + 3].is_sign(",") or tokens[index + 3].is_sign(")"))
    ):
        return None
    text = _text(tokens[index + 2], constants)
    # Nothing but a hole is nothing to judge, and NUL ends a statement for SQLite.
    return None if text is None or text.startswith(HOLE) or "\0" in text else text


def _text(token: Token, constants: dict[str, object]) -> str | None:
    """Return the text of a token, with holes where it is known only when it runs."""
    if token.kind == "word":
        value = constants.get(token.text)
        return value if isinstance(value, str) else None
    if token.kind != "template":
        return string_value(token)

    def filled(match: re.Match[str]) -> str:
        value = constants.get(match[1])
        # The same name is the same table in every statement.
        return value if isinstance(value, str) else f"{HOLE}{match[1]}{HOLE_END}"

    return _SUBSTITUTION.sub(filled, token.text[1:-1])


# --- single places --------------------------------------------------------------------------------


def _chance(tokens: list[Token], index: int) -> Iterator[Problem]:
    """Yield what reads the clock or random numbers."""
    three = tuple(token.text for token in tokens[index : index + 3])
    token = tokens[index]
    if token.kind != "word":
        return
    is_member = index > 0 and tokens[index - 1].is_sign(".")
    code, name = "", ".".join(three[::2])
    if three in _CLOCK and not is_member:
        code = "clock"
    elif three in _RANDOM:
        code = "random"
    elif token.is_word("new") and three[1:] == ("Date", "("):
        if index + 3 < len(tokens) and tokens[index + 3].is_sign(")"):
            code, name = "clock", "new Date()"
    elif token.text in _RANDOM_FUNCTIONS and not is_member and three[1:2] == ("(",):
        code, name = "random", token.text
    if code:
        message = f"{name} gives another value every time, so the migration is not repeatable"
        yield problem(code, token.line, message)


def _handler(tokens: list[Token], index: int) -> Iterator[Problem]:
    """Yield a ``catch`` with nothing in it."""
    if not tokens[index].is_word("catch") or (index and tokens[index - 1].is_sign(".")):
        return
    body = index + 1
    if body < len(tokens) and tokens[body].is_sign("("):
        body = end_of(tokens, body) + 1
    if body + 1 < len(tokens) and tokens[body].is_sign("{") and tokens[body + 1].is_sign("}"):
        message = "It hides every failure, so that half a change is committed as if it were whole"
        yield problem("catch-all", tokens[index].line, message)


def _import(tokens: list[Token], index: int) -> Iterator[Problem]:
    """Yield a module that is neither built in nor beside the migration."""
    token = tokens[index]
    name = string_value(token) if token.kind == "string" else None
    if name is None or not _is_imported(tokens, index):
        return
    top = name.partition("/")[0]
    if name.startswith((".", "/", "node:", "bun:", "file:")) or top in _BUILT_IN:
        return
    yield problem(
        "foreign-import",
        token.line,
        f"It imports {name}, which is neither built in nor beside the migration, so it fails where"
        " that is not installed",
        advice="Use what is built in (node:fs), or a helper `_name.ts` beside the migration.",
    )


def _is_imported(tokens: list[Token], index: int) -> bool:
    """Return whether the string at ``index`` names a module that is there when the code runs."""
    before = [token.text for token in tokens[max(index - 2, 0) : index]]
    if before[-1:] == ["import"] or before in (["import", "("], ["require", "("]):
        return True
    if before[-1:] != ["from"]:
        return False
    for at in range(index - 1, -1, -1):
        if tokens[at].depth == 0 and tokens[at].is_word("import", "export"):
            return not tokens[at + 1].is_word("type")
    return False


def _written_path(tokens: list[Token], index: int) -> Iterator[Problem]:
    """Yield a call that writes by an absolute path, or where Windows has no file."""
    three = tokens[index : index + 3]
    if len(three) < 3 or not three[0].is_word(*_WRITERS) or not three[1].is_sign("("):
        return
    text = three[2].text[1:-1] if three[2].kind in ("string", "template") else ""
    span = (three[0].line, three[2].last)
    if _ABSOLUTE.match(text):
        yield problem(
            "absolute-path",
            three[0].line,
            "It writes by an absolute path, past the copy that is published with the step, so a"
            " failure does not undo it",
            span=span,
        )
        return
    path = string_value(three[2])
    if path is not None and unusable_part(path) is not None:
        yield unusable_name(path, three[0].line, span)


def _database_file(tokens: list[Token], index: int) -> Iterator[Problem]:
    """Yield a call that moves, copies or removes a database below ``ctx.claude`` as a file."""
    name = tokens[index]
    if not name.is_word(*_TAKERS) or index + 1 >= len(tokens) or not tokens[index + 1].is_sign("("):
        return
    taken = []
    for token in tokens[index + 2 : end_of(tokens, index + 1)]:
        if token.is_sign(",") and token.depth == tokens[index + 1].depth + 1:
            break
        taken.append(token)
    texts = [token for token in taken if token.kind in ("string", "template")]
    is_staged = any(token.is_word("claude") or "claude" in token.text for token in taken)
    if texts and is_staged and _DATABASE.search(texts[-1].text[1:-1]):
        yield problem(
            "database-file",
            name.line,
            "It handles a database as a file, but the copy of the files holds no databases, so it"
            " fails",
            span=(name.line, texts[-1].last),
            advice="Use ctx.moveDatabase(old, new), ctx.removeDatabase(path) or"
            " ctx.database(path).",
        )


def _notes(text: str, script: ModuleScript) -> Notes:
    found = module_text.scan(text)
    code = {line for token in found.tokens for line in range(token.line, token.last + 1)}
    definition = ("function", "class")
    lines = [
        token.line for token in found.tokens if token.depth == 0 and token.is_word(*definition)
    ]
    first = min([*lines, script.line or 1]) if lines or script.line else 1
    return Notes(spread(found.comments), frozenset(code), first - 1)
