"""The text of a migration of goose's: its annotations, and the sections between them.

As internal/sqlparser/parser.go of goose 3.26 reads it: an annotation is a comment that begins its
line; a statement ends at a `;`, or, between StatementBegin and StatementEnd, at the latter.
"""

from __future__ import annotations

import re

from ..errors import TakeoverRefused
from ..languages import sql_text
from ..languages.sql_text import Section

_ANNOTATION = re.compile(r"[^\S\n]*--[^\S\n]*\+goose\b[^\S\n]*(.*)", re.IGNORECASE)


def goose_sections(text: str, path: str) -> tuple[Section, Section | None]:
    """Return what a file of goose's does in each direction.

    Raises:
        TakeoverRefused: an annotation is unknown, missing or out of order, or puts environment
            variables into the SQL; names the line.
    """
    return _GooseFile(path).read(text)


class _GooseFile:
    def __init__(self, path: str) -> None:
        self._path = path
        self._line = 0
        self._head: list[str] = []
        # Lines by direction; the file's line on which each begins.
        self._lines: dict[str, list[str]] = {}
        self._starts: dict[str, int] = {}
        self._way: str | None = None
        self._block: list[str] | None = None
        self._has_transaction = True

    def read(self, text: str) -> tuple[Section, Section | None]:
        for self._line, line in enumerate(text.split("\n"), 1):
            annotation = _ANNOTATION.fullmatch(line.rstrip("\r"))
            if annotation is not None:
                self._obey(" ".join(annotation[1].upper().split()))
            elif self._block is not None:
                self._block.append(line)
            elif self._way is not None:
                self._lines[self._way].append(line)
            else:
                self._head.append(line)
        if self._block is not None:
            raise self._refused("`-- +goose StatementBegin` has no StatementEnd")
        if "up" not in self._lines:
            raise self._refused("The file has no `-- +goose Up`, which goose requires")
        if next(sql_text.statements(Section("\n".join(self._head), 1)), None) is not None:
            raise self._refused("A statement stands before `-- +goose Up`, which goose refuses")
        head = "\n".join(self._head).strip("\r\n")
        up = self._section("up")
        up = up._replace(text=f"{head}\n{up.text}" if head else up.text)
        return up, self._section("down") if "down" in self._lines else None

    def _obey(self, annotation: str) -> None:
        if annotation in ("UP", "DOWN"):
            self._turn(annotation.lower())
        elif annotation == "STATEMENTBEGIN":
            if self._way is None or self._block is not None:
                raise self._refused(
                    "`-- +goose StatementBegin` stands where no statement can begin"
                )
            self._block = []
        elif annotation == "STATEMENTEND":
            if self._way is None or self._block is None:
                raise self._refused("`-- +goose StatementEnd` has no StatementBegin")
            self._lines[self._way].append(ended("\n".join(self._block)))
            self._block = None
        elif annotation == "NO TRANSACTION":
            self._has_transaction = False
        elif annotation in ("ENVSUB ON", "ENVSUBST ON"):
            raise self._refused(
                "The file lets goose put environment variables into the SQL (ENVSUB), so it is"
                " another on each machine",
                "Write it as a migration in Python, which can read os.environ.",
            )
        elif annotation not in ("ENVSUB OFF", "ENVSUBST OFF"):
            raise self._refused(f"goose has no annotation `+goose {annotation}`")

    def _turn(self, way: str) -> None:
        is_next = way == "up" if self._way is None else way == "down"
        if not is_next or way in self._lines or self._block is not None:
            raise self._refused(f"`-- +goose {way.capitalize()}` stands out of order")
        self._way = way
        self._lines[way] = []
        self._starts[way] = self._line + 1

    def _section(self, way: str) -> Section:
        text = "\n".join(self._lines[way])
        return Section(text, self._starts[way], transaction=self._has_transaction)

    def _refused(self, message: str, hint: str | None = None) -> TakeoverRefused:
        return TakeoverRefused(
            message,
            file=self._path,
            line=self._line,
            hint=hint or "Correct the file, or remove it.",
        )


def ended(text: str) -> str:
    """Return some statements with the `;` that their end stands for, where the last has none."""
    statements = list(sql_text.statements(Section(text, 1)))
    return text if not statements or statements[-1].text.endswith(";") else f"{text}\n;"
