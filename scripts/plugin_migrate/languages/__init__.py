"""The languages a migration can be written in, one module each, loaded when first needed.

A language reads a file's text without executing it, and turns one direction of it into an
``Action`` that the engine can run (see ``protocol.py``).
"""

from __future__ import annotations

from functools import cache
from importlib import import_module

from ..errors import BrokenMigration

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .protocol import Language

_BY_SUFFIX = {
    "sql": "sql",
    "py": "python",
    "ts": "typescript",
    "mts": "typescript",
    "js": "javascript",
    "mjs": "javascript",
}
_MODULES = {
    "sql": "sql",
    "python": "python",
    "typescript": "typescript",
    "javascript": "typescript",
}


def language_of(name: str) -> str | None:
    """Return the language that a file's name stands for, or ``None``."""
    return _BY_SUFFIX.get(name.rpartition(".")[2])


@cache
def load_language(name: str) -> Language:
    """Return the language called ``name``, such as ``sql``.

    Raises:
        BrokenMigration: a ledger names one that this version does not know.
    """
    if name not in _MODULES:
        raise BrokenMigration(
            f"This plugin-migrate cannot run migrations in '{name}'",
            hint="Update the plugin-migrate plugin, then try again.",
        )
    language: Language = import_module(f".{_MODULES[name]}", __name__).LANGUAGE
    return language
