"""Shell text as simple commands: words, what is nested in them, and what cannot be read.

Only as much of a shell's grammar as it takes to say which program each part of a line starts. What
this module does not know it refuses (:class:`Unreadable`): a guess would be worse than a question.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_DEEPEST = 20
_END_OF_WORD = frozenset(" \t\n;&|<>()")
_EXPANDED = frozenset("*?[]{}")
# Two names beside each other are no arithmetic, so what looked like it is a subshell.
_TWO_NAMES = re.compile(r"[A-Za-z_]\w*\s+[A-Za-z_]")
_REDIRECTION = re.compile(r"\d*(?:<<<|<<-?|<>|<&|<|>>|>&|>\||>)|&>>?")
_OPERATOR = re.compile(r"&&|\|\||;;&?|;&|\|&|[;&|()\n]")


class Unreadable(ValueError):
    """The text is not understood well enough to say what it starts."""


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a command.

    ``text`` is the word without its quotes; ``is_literal`` whether the program gets exactly that,
    because the shell expands nothing in it.
    """

    text: str
    is_literal: bool = True


@dataclass(frozen=True, slots=True)
class ShellCommand:
    """One simple command.

    ``data`` is what it is given to read in the text itself (here documents, here strings).
    ``flows_on`` tells that its output goes to another command, into a word or into a file.
    """

    words: tuple[Word, ...]
    data: tuple[Word, ...] = ()
    flows_on: bool = False


def commands_in(text: str) -> tuple[ShellCommand, ...]:
    """Return every simple command in ``text``, those in substitutions and subshells included.

    Reserved words (``if``, ``do``, ``{``) stand at the beginning of the command that they precede.

    Raises:
        Unreadable: a quote or bracket is not closed, or it nests too deep.
    """
    return tuple(_Reader(text).commands())


class _Reader:
    """Reads shell text up to its end or, where that is nested, up to the ``)`` that closes it."""

    def __init__(self, text: str, at: int = 0, depth: int = 0) -> None:
        if depth > _DEEPEST:
            raise Unreadable("nested too deep")
        self.text = text
        self.at = at
        self.depth = depth
        self.subshells = 0
        self.is_closed = False
        self.found: list[ShellCommand] = []
        self.words: list[Word] = []
        self.data: list[Word] = []
        self.flows_on = False
        # Here documents whose bodies begin after the next line feed: end, indented, quoted.
        self.awaited: list[tuple[str, bool, bool]] = []

    def commands(self) -> list[ShellCommand]:
        while self.at < len(self.text) and not self.is_closed:
            self._step()
        self._end_command()
        if self.depth and not self.is_closed:
            raise Unreadable("a bracket is not closed")
        if self.awaited:
            raise Unreadable("a here document without its end")
        return self.found

    def _step(self) -> None:
        char = self.text[self.at]
        if char in " \t":
            self.at += 1
        elif self.text.startswith("\\\n", self.at):
            self.at += 2
        elif char == "#":
            end = self.text.find("\n", self.at)
            self.at = len(self.text) if end < 0 else end
        elif char in "<>" and self.text[self.at + 1 : self.at + 2] == "(":
            self.words.append(self._word())  # a process substitution
        elif redirection := _REDIRECTION.match(self.text, self.at):
            self._redirect(redirection)
        elif operator := _OPERATOR.match(self.text, self.at):
            self._operate(operator[0])
        else:
            self.words.append(self._word())

    def _operate(self, operator: str) -> None:
        self.at += len(operator)
        self.flows_on = self.flows_on or operator in ("|", "|&")
        if operator == "(":
            self.subshells += 1
        elif operator == ")" and self.depth and self.subshells == 0:
            self.is_closed = True
        elif operator == ")":
            self.subshells -= 1
        self._end_command()
        if operator == "\n":
            for ending, is_indented, is_quoted in self.awaited:
                self._read_body(ending, is_indented, is_quoted)
            self.awaited = []

    def _end_command(self) -> None:
        if self.words or self.data:
            self.found.append(ShellCommand(tuple(self.words), tuple(self.data), self.flows_on))
            if self.depth and self.words and self.words[0].text == "case":
                raise Unreadable("the ) of a pattern cannot be told from the one that closes")
        self.words, self.data, self.flows_on = [], [], False

    def _redirect(self, match: re.Match[str]) -> None:
        self.at = match.end()
        operator = match[0].lstrip("0123456789")
        while self.text[self.at : self.at + 1] in (" ", "\t"):
            self.at += 1
        start = self.at
        word = self._word()
        if operator in ("<<", "<<-"):
            is_quoted = any(char in self.text[start : self.at] for char in "'\"\\")
            self.awaited.append((word.text, operator == "<<-", is_quoted))
        elif operator == "<<<":
            self.data.append(word)
        elif operator.startswith("<"):
            self.data.append(Word(word.text, False))  # what the file holds is unknown
        elif not (word.is_literal and (word.text.isdigit() or word.text == "/dev/null")):
            self.flows_on = True  # into a file, which may be run

    def _read_body(self, ending: str, is_indented: bool, is_quoted: bool) -> None:
        lines = []
        while True:
            if self.at >= len(self.text):
                raise Unreadable("a here document without its end")
            line, _, _ = self.text[self.at :].partition("\n")
            self.at += len(line) + 1
            if (line.lstrip("\t") if is_indented else line) == ending:
                break
            lines.append(line)
        body = "\n".join(lines)
        if not is_quoted:
            reader = _Reader(body, 0, self.depth + 1)
            reader.read_quoted()
            self.found += reader.found
        # It belongs to the line's commands, wherever in the line it was announced.
        self.found.append(ShellCommand((), (Word(body, is_quoted or "$" not in body),), True))

    # --- words -----------------------------------------------------------------------------------

    def _word(self) -> Word:
        parts: list[str] = []
        literal = True
        start = self.at
        while self.at < len(self.text):
            char = self.text[self.at]
            if char in "<>" and self.text[self.at + 1 : self.at + 2] == "(" and self.at == start:
                parts.append(self._parenthesis())
                literal = False
            elif char in _END_OF_WORD:
                break
            elif char == "'":
                parts.append(self._single_quoted())
            elif char == '"':
                text, plain = self._double_quoted()
                parts.append(text)
                literal = literal and plain
            elif char == "\\":
                self.at += 2
                if self.text[self.at - 1 : self.at] != "\n":
                    parts.append(self.text[self.at - 1 : self.at])
            elif char in "$`":
                parts.append(self._expansion())
                literal = False
            else:
                literal = literal and char not in _EXPANDED and not (char == "~" and not parts)
                parts.append(char)
                self.at += 1
        return Word("".join(parts), literal)

    def _single_quoted(self) -> str:
        end = self.text.find("'", self.at + 1)
        if end < 0:
            raise Unreadable("a quote is not closed")
        content = self.text[self.at + 1 : end]
        self.at = end + 1
        return content

    def _double_quoted(self) -> tuple[str, bool]:
        self.at += 1
        parts: list[str] = []
        literal = True
        while self.at < len(self.text):
            char = self.text[self.at]
            if char == '"':
                self.at += 1
                return "".join(parts), literal
            if char == "\\":
                escaped = self.text[self.at + 1 : self.at + 2]
                kept = "" if escaped in '$`"\\\n' else "\\"
                parts.append(kept + escaped.replace("\n", ""))
                self.at += 2
            elif char in "$`":
                parts.append(self._expansion())
                literal = False
            else:
                parts.append(char)
                self.at += 1
        raise Unreadable("a quote is not closed")

    def read_quoted(self) -> None:
        while self.at < len(self.text):
            if self.text[self.at] in "$`":
                self._expansion()
            else:
                self.at += 2 if self.text[self.at] == "\\" else 1

    def _expansion(self) -> str:
        """Read ``$...`` or backquotes, add the commands in it, and return it as it stands."""
        start = self.at
        if self.text[self.at] == "`":
            return self._backquoted()
        following = self.text[self.at + 1 : self.at + 2]
        if self.text.startswith("$((", self.at):
            self.at += 1
            self._skip_balanced("(", ")")
            if _TWO_NAMES.search(self.text[start : self.at]):
                raise Unreadable("a subshell that looks like arithmetic")
        elif following == "(":
            return self._parenthesis()
        elif following == "{":
            self.at += 1
            self._skip_balanced("{", "}")
        elif following == "'":
            self._ansi_quoted()
        elif following == '"':
            self.at += 1
            return self._double_quoted()[0]
        else:
            self.at += 2
            while (
                self.text[self.at : self.at + 1].isalnum()
                or self.text[self.at : self.at + 1] == "_"
            ):
                self.at += 1
        return self.text[start : self.at]

    def _backquoted(self) -> str:
        start = self.at
        self.at += 1
        while self.at < len(self.text) and self.text[self.at] != "`":
            self.at += 2 if self.text[self.at] == "\\" else 1
        if self.at >= len(self.text):
            raise Unreadable("a backquote is not closed")
        inner = re.sub(r"\\([`\\$])", r"\1", self.text[start + 1 : self.at])
        self.at += 1
        self._add(_Reader(inner + ")", 0, self.depth + 1).commands())
        return self.text[start : self.at]

    def _parenthesis(self) -> str:
        """Read ``$(...)``, ``<(...)`` or ``>(...)``, and add the commands in it."""
        start = self.at
        reader = _Reader(self.text, self.at + 2, self.depth + 1)
        self._add(reader.commands())
        self.at = reader.at
        return self.text[start : self.at]

    def _add(self, commands: list[ShellCommand]) -> None:
        self.found += [ShellCommand(one.words, one.data, True) for one in commands]

    def _skip_balanced(self, opening: str, closing: str) -> None:
        """Move past a bracket and what it encloses, in which commands may be substituted."""
        depth = 0
        while self.at < len(self.text):
            char = self.text[self.at]
            if char == "\\":
                self.at += 2
            elif char == "'" and closing == "}":
                self._single_quoted()
            elif char == '"':
                self._double_quoted()
            elif char in "$`":
                self._expansion()
            else:
                depth += (char == opening) - (char == closing)
                self.at += 1
                if depth == 0:
                    return
        raise Unreadable("a bracket is not closed")

    def _ansi_quoted(self) -> None:
        self.at += 2
        while self.at < len(self.text) and self.text[self.at] != "'":
            self.at += 2 if self.text[self.at] == "\\" else 1
        if self.at >= len(self.text):
            raise Unreadable("a quote is not closed")
        self.at += 1
