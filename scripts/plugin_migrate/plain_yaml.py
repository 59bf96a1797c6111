"""The settings files' YAML while PyYAML is not there: plain ``key: value`` lines, nothing else.

A hook may run before our environment exists. What this reads, PyYAML reads the same way; anything
more is an error here, never a guess.
"""

from __future__ import annotations

import re

_LINE = re.compile(r"([a-z_]+): +([^ ]+) *(?: #.*)?")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,8}")
_TEXT = re.compile(r"(?:\.\./)*\.?[A-Za-z/$][A-Za-z0-9_./${}+-]*")
# Words that are not text in YAML 1.1.
_WORDS = frozenset(["null", "true", "false", "yes", "no", "on", "off", "y", "n", ".inf", ".nan"])


class YAMLError(Exception):
    """The text is more than plain lines."""


def load(text: str) -> dict[str, str | int | bool] | None:
    """Return the mapping that ``text`` spells; ``None`` when nothing stands there.

    Raises:
        YAMLError: there is more than plain lines, comments and empty lines.
    """
    found: dict[str, str | int | bool] = {}
    for line in text.replace("\r\n", "\n").split("\n"):
        plain = line.strip(" ")
        match = _LINE.fullmatch(line)
        if not line.isprintable() or (match and match[1] in _WORDS):
            raise YAMLError(line)
        if match:
            if match[1] in found:
                raise YAMLError(f"{match[1]!r} is given twice")
            found[match[1]] = _value(match[2])
        elif plain and not plain.startswith("#"):
            raise YAMLError(line)
    return found or None


def _value(word: str) -> str | int | bool:
    if word in ("true", "false"):
        return word == "true"
    if _NUMBER.fullmatch(word):
        return int(word)
    if word.lower() in _WORDS or not _TEXT.fullmatch(word):
        raise YAMLError(word)
    return word
