"""The languages a migration can be written in, one module each, loaded when first needed.

A language reads a file's text without executing it, and turns one direction of it into an
``Action`` that the engine can run (see ``protocol.py``).
"""

from __future__ import annotations

from importlib import import_module

from ..errors import BrokenMigration

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .protocol import Language

_BY_SUFFIX = {"sql": "sql", "py": "python"}
# Languages of the format whose migrations this version cannot run: skipping them silently would
# leave a state half migrated.
_NOT_YET = frozenset({"ts", "mts", "js", "mjs"})


def language_of(name: str) -> str | None:
    """Return the language that a file's name stands for, or ``None``."""
    return _BY_SUFFIX.get(name.rpartition(".")[2])


def is_unsupported(name: str) -> bool:
    """Return whether a file's name stands for a migration that this version cannot run."""
    return name.rpartition(".")[2] in _NOT_YET


def load_language(name: str) -> Language:
    """Return the language called ``name``: ``sql`` or ``python``.

    Raises:
        BrokenMigration: a ledger names one that this version does not know.
    """
    if name not in _BY_SUFFIX.values():
        raise BrokenMigration(
            f"This plugin-migrate cannot run migrations in '{name}'",
            hint="Update the plugin-migrate plugin, then try again.",
        )
    language: Language = import_module(f".{name}", __name__).LANGUAGE
    return language
