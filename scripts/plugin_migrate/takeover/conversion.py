"""A migration of another tool's as one of ours: its slug, its header and its two sections."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..errors import BrokenMigration
from ..languages import sql_text
from ..languages.sql_text import Section
from ..version import is_prerelease
from .formats import ForeignMigration

_LONGEST_SLUG = 100
# `20230101120000`, as dbmate, goose and knex begin their files' names.
_MOMENT = re.compile(r"(\d{4})(0[1-9]|1[0-2])([0-2]\d|3[01])([01]\d|2[0-3])([0-5]\d)([0-5]\d)")


def slug_of(migration: ForeignMigration, tool: str) -> str:
    """Return the words of a file's name, in lower case and joined by hyphens."""
    from unicodedata import combining, normalize

    plain = re.sub(r"([a-z0-9])([A-Z])", r"\1-\2", migration.title)
    letters = "".join(char for char in normalize("NFD", plain.casefold()) if not combining(char))
    slug = "-".join(re.findall(r"[a-z0-9]+", letters))[:_LONGEST_SLUG].strip("-")
    if not slug or is_prerelease(slug.partition("-")[0]):
        number = re.sub(r"[^0-9].*", "", migration.files[0].lstrip("vV"))
        slug = "-".join(filter(None, (tool, number, slug)))[:_LONGEST_SLUG].strip("-")
    return slug


def moment_of(migration: ForeignMigration) -> str | None:
    """Return when a file was made, in ISO 8601, if its name begins with that."""
    match = _MOMENT.match(migration.files[0])
    if match is None:
        return None
    year, month, day, hour, minute, second = match.groups()
    return f"{year}-{month}-{day}T{hour}:{minute}:{second}Z"


def text_of(migration: ForeignMigration, header: Sequence[str], path: str) -> str:
    """Return the text of our migration, which does what the other one does.

    Parameters:
        header: its lines, without ``-- ``.
        path: of the other one's file, for errors.

    Raises:
        BrokenMigration: its SQL holds what is a marker of ours, or a NUL.
    """
    body = _section("up", migration.up)
    if migration.down is not None:
        body += "\n" + _section("down", migration.down)
    # Without our header, which is YAML: a hook that asks what would be written has no PyYAML.
    script = sql_text.parse(body, path)
    sections = ((script.up, migration.up), (script.down, migration.down))
    if any(_texts(found) != _texts(meant) for found, meant in sections):
        raise BrokenMigration(
            "A line of the SQL would be read as a marker of plugin-migrate's",
            file=path,
            hint="Change the comment that begins with `migrate:`.",
        )
    return "".join(f"-- {line}\n" for line in header) + "\n" + body


def _section(way: str, section: Section) -> str:
    option = "" if section.transaction else " transaction:false"
    body = section.text.strip("\n")
    return f"-- migrate:{way}{option}\n{body}\n"


def _texts(section: Section | None) -> list[str] | None:
    # A last one without `;` reaches to the end of its section, blank lines included.
    return None if section is None else [one.text.rstrip() for one in sql_text.statements(section)]
