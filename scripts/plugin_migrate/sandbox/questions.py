"""Nobody answers while a migration runs: what would wait for the keyboard is refused instead."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from .file_watch import NOBODY_ANSWERS, Outside

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Never


class _Nobody(io.TextIOBase):
    """Stands where ``sys.stdin`` was: whatever reads it is refused."""

    def _refuse(self, *_: Any) -> Never:
        raise Outside(NOBODY_ANSWERS)

    read = readline = readlines = fileno = __next__ = _refuse
    buffer = property(_refuse)

    def readable(self) -> bool:
        return True


@contextmanager
def unanswered() -> Iterator[None]:
    """Within this block, refuse what reads standard input."""
    before, sys.stdin = sys.stdin, _Nobody()
    try:
        yield
    finally:
        sys.stdin = before
