"""What a migration's header says of where it came from; also for a hook, which has no PyYAML."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..migration import Migration, describe, title_of
from ..values import NamedTuple

# One line as `create --from` writes it, and as PyYAML reads the same.
_LINE = re.compile(r"--[ \t]*(description|from)[ \t]*:(.*)")
_PLAIN = re.compile(r"[A-Za-z](?:[\w ./()+-]|:(?! |$))*")


class Said(NamedTuple):
    """A migration's description, and its ``from``: ``dbmate 20230101120000``, or several."""

    description: str
    claims: tuple[str, ...]


def said_by(migration: Migration) -> Said:
    """Return what the header of a migration says, whose text must still be there.

    Raises:
        BrokenMigration: it cannot be read.
        ImportError: PyYAML is not here, and the header is more than plain lines.
    """
    title = title_of(migration.slug)
    try:
        script = describe(migration)
    except ImportError:
        plain = _plain_lines(migration.text or "")
        claims = (" ".join(plain["from"].split()),) if "from" in plain else ()
        return Said(plain.get("description", title), claims)
    return Said(script.description or title, claims_in(script.metadata))


def claims_in(metadata: Mapping[str, object]) -> tuple[str, ...]:
    """Return what a header's ``from`` names: one text, or a list of them."""
    said = metadata.get("from")
    listed = said if isinstance(said, list) else [said]
    return tuple(" ".join(one.split()) for one in listed if isinstance(one, str))


def _plain_lines(text: str) -> dict[str, str]:
    """Return description and origin in the comments at the top of an SQL migration.

    Raises:
        ImportError: the origin is there, and only PyYAML could read it.
    """
    found: dict[str, str] = {}
    for line in text.split("\n"):
        comment = line.strip()
        if comment and not comment.startswith("--"):
            break
        match = _LINE.fullmatch(comment)
        value = match[2].strip() if match else ""
        if match and _PLAIN.fullmatch(value):
            found[match[1]] = value
        elif match and match[1] == "from":
            raise ImportError("PyYAML is needed to read the header")
    return found
