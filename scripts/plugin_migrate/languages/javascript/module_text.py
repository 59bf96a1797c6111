"""The text of a TypeScript or JavaScript migration: its tokens, and what it says of itself.

Nothing here runs the text or asks a JavaScript engine. It is cut into tokens by JavaScript's own
rules, and only what is written out is read::

    export const migration: Migration = {
      version: '1.0.0',
      description: 'Add preferences',
      async up(ctx) { ... },
      async down(ctx) { ... },
      metadata: { author: 'ada', tags: ['schema'] },
    };

What would have to be computed is unknown, and left to the file's name or to the run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

_TOKEN = re.compile(
    r"""
      (?P<space>[\s\ufeff]+)
    | (?P<comment>//[^\n\r\u2028\u2029]*|/\*(?:.*?\*/|.+)|\A\#![^\n]*)
    | (?P<string>'(?:[^'\\\r\n]|\\(?:\r\n|.))*'?|"(?:[^"\\\r\n]|\\(?:\r\n|.))*"?)
    | (?P<number>(?:0[xXoObB][0-9a-fA-F_]+|(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d+)?)n?)
    | (?P<word>(?:[A-Za-z_$\#\u0080-\U0010ffff]|\\u[0-9a-fA-F]{4}|\\u\{[0-9a-fA-F]+\})
        (?:[\w$\u200c\u200d]|\\u[0-9a-fA-F]{4}|\\u\{[0-9a-fA-F]+\})*)
    | (?P<sign>\.\.\.|=>|[=!]==?|\+\+|--|.)
    """,
    re.DOTALL | re.VERBOSE,
)
_REGEX = re.compile(r"/(?:[^/\\\[\r\n]|\\.|\[(?:[^\]\\\r\n]|\\.)*\])+/[A-Za-z]*")
# After these words a slash begins a regular expression; after any other name it divides.
_BEFORE_VALUE = frozenset(
    "return typeof case in of delete void throw new else do yield await instanceof extends".split()
)
_OPERATORS = ("as", "satisfies", "in", "instanceof", "of")
_OPENING = frozenset("([{")
_CLOSING = frozenset(")]}")
_ESCAPE = re.compile(
    r"\\(?:u\{([0-9a-fA-F]+)\}|u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(\r\n|.))", re.DOTALL
)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "\0"}
_DECLARE = frozenset({"const", "let", "var"})
_MODIFIERS = frozenset({"async", "get", "set", "*"})
_DEEPEST = 50


class _Unknown:
    """The value of what would have to be computed."""


UNKNOWN = _Unknown()
# A requirement must not be missed because it is not understood: this is none that can be met.
COMPUTED = "(computed)"


@dataclass(frozen=True, slots=True)
class Token:
    """One token.

    Parameters:
        kind: ``word``, ``string``, ``template``, ``number``, ``regex`` or ``sign``.
        text: as written.
        line: 1-based line on which it begins.
        last: line on which it ends.
        depth: how many brackets are open around it; a bracket itself stands outside.
    """

    kind: str
    text: str
    line: int
    last: int
    depth: int

    def is_sign(self, text: str) -> bool:
        """Return whether it is this punctuation."""
        return self.kind == "sign" and self.text == text

    def is_word(self, *texts: str) -> bool:
        """Return whether it is one of these words."""
        return self.kind == "word" and self.text in texts


@dataclass(frozen=True, slots=True)
class Scan:
    """A text's tokens, and its comments with their first lines."""

    tokens: list[Token]
    comments: list[tuple[int, str]]


@dataclass(frozen=True, slots=True)
class Member:
    """One entry of an object: a static ``value`` or :data:`UNKNOWN`, and where its tokens are."""

    value: object
    line: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class ModuleScript:
    """What a TypeScript or JavaScript migration says about itself.

    Parameters:
        is_migration: there is an ``up``, or something that may have one.
        is_module: it is an ES module, rather than CommonJS.
        up, down: where their code is, if that is known.
    """

    description: str | None
    version: str | None
    metadata: dict[str, object]
    has_down: bool
    is_migration: bool
    is_module: bool
    line: int | None
    up: Member | None = None
    down: Member | None = None


@dataclass(slots=True)
class _Found:
    """The entries of the migration, as far as they are known."""

    members: dict[str, Member] = field(default_factory=dict)
    is_partial: bool = False
    line: int | None = None


@lru_cache(maxsize=1)  # describing and preparing a step ask for the same text in a row
def scan(text: str) -> Scan:
    """Take a text apart; what is not closed runs to the end of its line or of the text."""
    tokens: list[Token] = []
    comments: list[tuple[int, str]] = []
    line = 1
    depth = 0
    position = 0
    before: Token | None = None
    while position < len(text):
        kind, written = _next(text, position, before)
        position += len(written)
        last = line + written.count("\n")
        if kind == "comment":
            comments.append((line, written))
        elif kind != "space":
            if kind == "sign" and written in _CLOSING:
                depth = max(depth - 1, 0)
            before = Token(kind, written, line, last, depth)
            tokens.append(before)
            if kind == "sign" and written in _OPENING:
                depth += 1
        line = last
    return Scan(tokens, comments)


def parse(text: str) -> ModuleScript:
    """Return what a migration says about itself; a text that is none at all says nothing."""
    tokens = scan(text).tokens
    found = _ModuleReader(tokens).migration()
    members = found.members
    up, down = members.get("up"), members.get("down")
    metadata = _value(members, "metadata")
    if down is not None and down.value is None:  # `down: undefined`
        down = None
    return ModuleScript(
        description=_text(members, "description"),
        version=_text(members, "version"),
        metadata=metadata if isinstance(metadata, dict) else {},
        # What is put together elsewhere may have one, if the word stands there at all.
        has_down=down is not None
        or (found.is_partial and any(token.is_word("down") for token in tokens)),
        is_migration=up is not None or found.is_partial,
        is_module=_is_module(tokens),
        line=found.line,
        up=up,
        down=down,
    )


def constants(text: str) -> dict[str, object]:
    """Return the names declared at the top level whose values are written out."""
    return _ModuleReader(scan(text).tokens).constants()


def string_value(token: Token) -> str | None:
    """Return what a string, or a template without substitutions, stands for."""
    if token.kind not in ("string", "template"):
        return None
    quote = token.text[0]
    if len(token.text) < 2 or token.text[-1] != quote:
        return None
    inner = token.text[1:-1]
    if token.kind == "template":
        if re.search(r"(?<!\\)(?:\\\\)*\$\{", inner):
            return None
        inner = inner.replace("\r\n", "\n")
    value = _ESCAPE.sub(_unescaped, inner)
    # The two halves of a character, escaped one by one.
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def end_of(tokens: list[Token], opening: int) -> int:
    """Return the index of the bracket that closes the one at ``opening``, or the end."""
    depth = tokens[opening].depth
    for index in range(opening + 1, len(tokens)):
        token = tokens[index]
        if token.depth == depth and token.kind == "sign" and token.text in _CLOSING:
            return index
    return len(tokens)


def _next(text: str, position: int, before: Token | None) -> tuple[str, str]:
    if text[position] == "`":
        return "template", text[position : _end_of_template(text, position)]
    match = _TOKEN.match(text, position)
    assert match is not None
    assert match.lastgroup is not None
    if match[0] == "/" and _may_begin_value(before):
        regex = _REGEX.match(text, position)
        if regex is not None:
            return "regex", regex[0]
    return match.lastgroup, match[0]


def _may_begin_value(before: Token | None) -> bool:
    if before is None:
        return True
    if before.kind == "word":
        return before.text in _BEFORE_VALUE
    return before.kind == "sign" and before.text not in (")", "]", "++", "--")


def _may_end(token: Token) -> bool:
    """Return whether a statement may end after a token."""
    if token.kind == "word":
        return token.text not in _BEFORE_VALUE
    return token.kind != "sign" or token.text in _CLOSING


def _end_of_template(text: str, start: int) -> int:
    """Return where the template that begins at ``start`` ends, code in ``${}`` included."""
    inside = ["`"]  # what is open: templates, and braces of code inside them
    position = start + 1
    before: Token | None = None
    while position < len(text) and inside:
        char = text[position]
        if inside[-1] == "`":
            if char == "\\":
                position += 1
            elif char == "`":
                inside.pop()
            elif text.startswith("${", position):
                inside.append("{")
                before = None
                position += 1
            position += 1
        elif char == "`":
            inside.append("`")
            position += 1
        else:
            kind, written = _next(text, position, before)
            if written == "{":
                inside.append("{")
            elif written == "}":
                inside.pop()
            if kind not in ("space", "comment"):
                before = Token(kind, written, 0, 0, 0)
            position += len(written)
    return min(position, len(text))


def _unescaped(match: re.Match[str]) -> str:
    code = match[1] or match[2] or match[3]
    if code:
        number = int(code, 16)
        return chr(number) if number <= 0x10FFFF else "\ufffd"
    if match[4] in ("\n", "\r\n", "\r", "\u2028", "\u2029"):
        return ""
    return _ESCAPED.get(match[4], match[4])


def _is_module(tokens: list[Token]) -> bool:
    """Return whether a text is an ES module: all but what exports in CommonJS's way is."""
    top = [token for token in tokens if token.depth == 0]
    if any(token.is_word("export") for token in top):
        return True
    return not any(_is_common_export(tokens, index) for index in range(len(tokens)))


def _is_common_export(tokens: list[Token], index: int) -> bool:
    """Return whether ``module.exports`` or ``exports.name`` begins at ``index``."""
    before = tokens[index - 1] if index else None
    following = tokens[index + 1 : index + 3]
    if len(following) < 2 or not following[0].is_sign(".") or (before and before.is_sign(".")):
        return False
    if tokens[index].is_word("module"):
        return following[1].is_word("exports")
    return tokens[index].is_word("exports")


class _ModuleReader:
    """Finds the migration among a text's tokens."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._constants = dict(self._declared())

    def migration(self) -> _Found:
        """Return the migration's entries, wherever the text exports them."""
        candidates = []
        for start in (*self._exported("migration"), *self._exported("default")):
            found = self._object(start)
            found.line = self._tokens[min(start, len(self._tokens) - 1)].line
            if found.members:
                return found
            candidates.append(found)  # such as the `exports.migration = void 0` of a compiler
        if candidates:
            return candidates[0]
        members = dict(self._single_exports())
        if "up" in members:
            return _Found(members, line=members["up"].line)
        return _Found(members, is_partial=True) if self._may_export() else _Found()

    def constants(self) -> dict[str, object]:
        """Return the declared names with static values."""
        values = {
            name: self._static(start, self._end_of_statement(start))
            for name, start in self._constants.items()
        }
        return {name: value for name, value in values.items() if value is not UNKNOWN}

    # --- exports ---------------------------------------------------------------------------------

    def _declared(self) -> Iterator[tuple[str, int]]:
        """Yield the names declared at the top level and where their values begin."""
        for index in self._top():
            if self._tokens[index].is_word(*_DECLARE) and self._is_some_word(index + 1):
                start = self._behind_equals(index + 2)
                if start is not None:
                    yield self._tokens[index + 1].text, start

    def _exported(self, name: str) -> Iterator[int]:
        """Yield where the value exported as ``name`` begins; a name leads to its own value."""
        # `const migration = ...` may be exported further down in a way that is not looked for.
        if name == "migration" and name in self._constants:
            yield self._constants[name]
        for index in self._top():
            token = self._tokens[index]
            if token.is_word("export") and self._is_word(index + 1, "default"):
                if name == "default":
                    yield self._followed(index + 2)
            elif token.is_word("export") and self._is_sign(index + 1, "{"):
                yield from self._renamed(index + 1, name)
            elif _is_common_export(self._tokens, index):
                yield from self._common(index, name)

    def _may_export(self) -> bool:
        """Return whether a migration may be exported in a way that is not followed."""
        for index in self._top():
            if not self._tokens[index].is_word("export"):
                continue
            if self._is_sign(index + 1, "*"):
                return True
            if self._is_sign(index + 1, "{"):
                listed = range(index + 2, end_of(self._tokens, index + 1))
                if any(self._is_word(at, "migration", "up") for at in listed):
                    return True
        return False

    def _renamed(self, opening: int, name: str) -> Iterator[int]:
        """Yield the value after ``export { value as name }``."""
        for index in range(opening + 1, end_of(self._tokens, opening) - 2):
            if self._is_word(index + 1, "as") and self._is_word(index + 2, name):
                yield self._followed(index)

    def _common(self, index: int, name: str) -> Iterator[int]:
        """Yield the value after ``module.exports = ...`` or ``exports.migration = ...``."""
        after = index + 3
        exported = None if self._is_word(index, "module") else self._tokens[index + 2].text
        if exported is None and self._is_sign(after, ".") and self._is_some_word(after + 1):
            exported = self._tokens[after + 1].text
            after += 2
        if self._is_sign(after, "=") and (exported or "default") == name:
            start = self._followed(after + 1)
            inner = self._inner_migration(start) if exported is None else None
            yield start if inner is None else inner

    def _inner_migration(self, start: int) -> int | None:
        """Return where the value begins in ``module.exports = { migration: ... }``."""
        if not self._is_sign(start, "{"):
            return None
        member = self._object(start).members.get("migration")
        return None if member is None else self._followed(member.start)

    def _single_exports(self) -> Iterator[tuple[str, Member]]:
        """Yield what ``export function up`` and the like export one by one."""
        tokens = self._tokens
        for index in self._top():
            at = index + 1
            if not tokens[index].is_word("export"):
                if _is_common_export(tokens, index) and self._is_sign(index + 3, "="):
                    yield tokens[index + 2].text, self._member(index + 4)
                continue
            if self._is_word(at, "async"):
                at += 1
            if self._is_word(at, "function"):
                at += 1 + self._is_sign(at + 1, "*")
                if self._is_some_word(at):
                    yield tokens[at].text, self._function(at)
            elif self._is_word(at, *_DECLARE) and self._is_some_word(at + 1):
                start = self._behind_equals(at + 2)
                if start is not None:
                    yield tokens[at + 1].text, self._member(start)

    def _member(self, start: int) -> Member:
        end = self._end_of_statement(start)
        line = self._tokens[min(start, len(self._tokens) - 1)].line
        return Member(self._static(start, end), line, start, end)

    def _function(self, name: int) -> Member:
        """Return the function whose name is at ``name``: it ends with its body."""
        depth = self._tokens[name].depth
        for index in range(name + 1, len(self._tokens)):
            if self._tokens[index].depth == depth and self._is_sign(index, "{"):
                end = end_of(self._tokens, index) + 1
                return Member(UNKNOWN, self._tokens[name].line, name, end)
        return Member(UNKNOWN, self._tokens[name].line, name, len(self._tokens))

    def _end_of_statement(self, start: int) -> int:
        """Return where a statement, or one declaration of several, ends, also without a ``;``."""
        for index in range(start + 1, len(self._tokens)):
            before, token = self._tokens[index - 1 : index + 1]
            if token.depth > 0:
                continue
            is_on_new_line = token.line > before.last and not token.is_word(*_OPERATORS)
            if token.is_sign(";") or token.is_sign(","):
                return index
            if token.kind == "word" and is_on_new_line and _may_end(before):
                return index
        return len(self._tokens)

    def _followed(self, index: int) -> int:
        """Return where the value at ``index`` begins; a declared name leads to its own."""
        if self._is_some_word(index):
            following = index + 1
            is_alone = following >= len(self._tokens) or not (
                self._is_sign(following, ".") or self._is_sign(following, "(")
            )
            if is_alone:
                return self._constants.get(self._tokens[index].text, index)
        return index

    # --- values ----------------------------------------------------------------------------------

    def _object(self, start: int) -> _Found:
        """Return the entries of the object at ``start``, also inside ``define({...})``."""
        index = start
        while self._is_some_word(index) or self._is_sign(index, "(") or self._is_sign(index, "."):
            index += 1
        if not self._is_sign(index, "{"):
            return _Found(is_partial=True)
        found = _Found(is_partial=index != start and self._is_some_word(start))
        end = end_of(self._tokens, index)
        for first, last in self._parts(index + 1, end):
            entry = self._entry(first, last)
            if entry is None:
                found.is_partial = True
            else:
                found.members[entry[0]] = entry[1]
        return found

    def _parts(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Yield the spans between the commas."""
        if start >= end:
            return
        depth = self._tokens[start].depth
        first = start
        for index in range(start, end):
            token = self._tokens[index]
            if token.depth == depth and token.is_sign(","):
                if index > first:
                    yield first, index
                first = index + 1
        if end > first:
            yield first, end

    def _entry(self, first: int, last: int, level: int = 0) -> tuple[str, Member] | None:
        """Return one entry of an object; ``None`` for what could be any."""
        tokens = self._tokens
        line = tokens[first].line
        while (
            first + 1 < last
            and tokens[first].text in _MODIFIERS
            and not any(self._is_sign(first + 1, sign) for sign in ("(", ":", "<"))
        ):
            first += 1
        name = tokens[first]
        key = string_value(name) if name.kind == "string" else name.text
        if name.kind not in ("word", "string", "number") or key is None:
            return None
        if first + 1 >= last:  # shorthand
            return key, Member(self._static(first, last, level), line, first, last)
        if self._is_sign(first + 1, ":"):
            return key, Member(self._static(first + 2, last, level), line, first + 2, last)
        return key, Member(UNKNOWN, line, first + 1, last)

    def _static(self, start: int, end: int, level: int = 0) -> object:
        """Return the value written out between two tokens, or :data:`UNKNOWN`."""
        tokens = self._tokens
        if start >= end or level > _DEEPEST:
            return UNKNOWN
        depth = tokens[start].depth
        for index in range(start + 1, end):
            if tokens[index].depth == depth and tokens[index].is_word("as", "satisfies"):
                end = index
                break
        first = tokens[start]
        if end - start > 1 and first.kind == "sign" and first.text in _OPENING:
            if end_of(tokens, start) != end - 1:
                return UNKNOWN
            return self._container(start, end - 1, level)
        if all((index - start) % 2 == (tokens[index].text == "+") for index in range(start, end)):
            values = [self._scalar(index, level) for index in range(start, end, 2)]
            if len(values) == 1:
                return values[0]
            texts = [value for value in values if isinstance(value, str)]
            return "".join(texts) if len(texts) == len(values) else UNKNOWN
        if end - start == 2 and first.is_sign("-"):
            number = self._scalar(start + 1, level)
            if isinstance(number, (int, float)) and not isinstance(number, bool):
                return -number
        return UNKNOWN

    def _container(self, start: int, end: int, level: int) -> object:
        if self._is_sign(start, "("):
            return self._static(start + 1, end, level + 1)
        parts = self._parts(start + 1, end)
        if self._is_sign(start, "["):
            values = [self._static(first, last, level + 1) for first, last in parts]
            return [value for value in values if value is not UNKNOWN]
        entries: dict[str, object] = {}
        for first, last in parts:
            entry = self._entry(first, last, level + 1)
            if entry is None:
                continue
            name, member = entry
            if name == "requires" and not self._is_written_out(member):
                entries[name] = COMPUTED
            elif member.value is not UNKNOWN:
                entries[name] = member.value
        return entries

    def _is_written_out(self, member: Member) -> bool:
        """Return whether a value consists of literals alone."""
        for index in range(member.start, member.end):
            token = self._tokens[index]
            if token.kind == "word" and not self._is_sign(index + 1, ":"):
                return False
            if token.kind == "template" and string_value(token) is None:
                return False
        return True

    def _scalar(self, index: int, level: int) -> object:
        token = self._tokens[index]
        if token.kind in ("string", "template"):
            value = string_value(token)
            return UNKNOWN if value is None else value
        if token.kind == "number":
            return _number(token.text)
        if token.kind == "word":
            if token.text in ("true", "false"):
                return token.text == "true"
            if token.text in ("null", "undefined"):
                return None
            start = self._constants.get(token.text)
            if start is not None and level < _DEEPEST:
                end = self._end_of_statement(start)
                # Names may lead to each other in a circle; a few are enough.
                return self._static(start, end, level + _DEEPEST // 5)
        return UNKNOWN

    # --- tokens ----------------------------------------------------------------------------------

    def _top(self) -> list[int]:
        return [index for index, token in enumerate(self._tokens) if token.depth == 0]

    def _behind_equals(self, index: int) -> int | None:
        """Return what follows the ``=`` of a declaration, past its type."""
        for at in range(index, len(self._tokens)):
            token = self._tokens[at]
            if token.depth == 0:
                if token.is_sign("="):
                    return at + 1 if at + 1 < len(self._tokens) else None
                if token.is_sign(";") or token.is_word("export", *_DECLARE):
                    return None
        return None

    def _is_some_word(self, index: int) -> bool:
        return index < len(self._tokens) and self._tokens[index].kind == "word"

    def _is_word(self, index: int, *texts: str) -> bool:
        return index < len(self._tokens) and self._tokens[index].is_word(*texts)

    def _is_sign(self, index: int, text: str) -> bool:
        return index < len(self._tokens) and self._tokens[index].is_sign(text)


def _number(text: str) -> object:
    digits = text.replace("_", "").removesuffix("n")
    try:
        return int(digits, 0)
    except ValueError:
        pass
    try:
        return float(digits)
    except ValueError:
        return UNKNOWN


def _value(members: dict[str, Member], name: str) -> object:
    return members[name].value if name in members else UNKNOWN


def _text(members: dict[str, Member], name: str) -> str | None:
    value = _value(members, name)
    return value.strip() or None if isinstance(value, str) else None
