"""Headers and settings of every kind that people write, and what a migration does to them.

``headers/`` and ``json/`` hold one file for each kind. A file's text is read as an edit reads it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
Change = Callable[[Any], object]


def texts(folder: str) -> dict[str, str]:
    """Return the texts of a folder by the names of their files."""
    return {
        path.stem: path.read_bytes().decode("utf-8", "surrogateescape")
        for path in sorted((FOLDER / folder).iterdir())
    }


HEADERS = texts("headers")
JSON = texts("json")

UNREADABLE_HEADERS = {
    "a-list": (2, "does not consist of keys and values"),
    "conflict": (3, "the conflict markers of a merge, lines 3 to 7"),
    "key-twice": (5, "'model' appears twice, in lines 4 and 5"),
    "utf-16": (1, "it is UTF-16 text, not UTF-8"),
}
"""Headers that are not given to a migration at all: the line and what is said."""

UNCHANGEABLE_HEADERS = {
    "cr-alone": (1, "its lines end in CR alone"),
    "dashes-in-a-comment": (4, "ends in line 4, at the `---` in the middle of it"),
    "dashes-in-a-value": (3, "ends in line 3, at the `---` in the middle of it"),
    "dashes-in-quotes": (3, "ends in line 3, at the `---` in the middle of it"),
    "dashes-in-the-body-only": (1, "line 1 opens it, and no line closes it"),
    "never-closed": (1, "line 1 opens it, and no line closes it"),
}
"""Headers to which a migration can add nothing."""

UNREADABLE_JSON = {
    "conflict": (2, "the conflict markers of a merge, lines 2 to 6"),
    "cut-off": (2, "Unterminated string"),
    "empty": (1, "is empty"),
    "key-twice": (4, '"model" appears twice, in lines 2 and 4'),
    "only-blanks": (1, "is empty"),
    "utf-16": (1, "it is UTF-16 text, not UTF-8"),
    "utf-16-big-endian": (1, "it is UTF-16 text, not UTF-8"),
}


def _more_tools(fields: dict[str, Any]) -> None:
    tools = fields.get("tools", "Read")
    if isinstance(tools, str):
        fields["tools"] = f"{tools}, Write"
    else:
        tools.append("Write")


HEADER_CHANGES: dict[str, Change] = {
    "a word": lambda fields: fields.update(team="core"),
    "a colon": lambda fields: fields.update(team="Use this: 'that' # or \"that\""),
    "lines": lambda fields: fields.update(team="a\nb: c\n"),
    "dashes": lambda fields: fields.update(team="--- x -----"),
    "an empty list": lambda fields: fields.update(team=[]),
    "an empty mapping": lambda fields: fields.update(team={}),
    "a list": lambda fields: fields.update(team=["x: y", "# z", "a\nb"]),
    "a mapping": lambda fields: fields.update(team={"a": {"b": []}, "c": "d\ne"}),
    "a key": lambda fields: fields.update({"x---y z": [1]}),
    "a description": lambda fields: fields.update(description='Now: "this" # or\nthat --- too'),
    "a tool": _more_tools,
    "other tools": lambda fields: fields.update(tools=["Read", "Write"]),
    "no tools": lambda fields: fields.pop("tools", None),
    "another name": lambda fields: "model" in fields and fields.rename("model", "llm"),
}
