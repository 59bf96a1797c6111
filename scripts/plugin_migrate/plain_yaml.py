"""The settings files' YAML while PyYAML is not there: plain ``key: value`` lines and plain lists.

A hook may run before our environment exists. What this reads, PyYAML reads the same way; anything
more is an error here, never a guess.
"""

from __future__ import annotations

import re

_LINE = re.compile(r"([a-z_]+): +([^ ]+) *(?: #.*)?")
_FLOW = re.compile(r"([a-z_]+): +\[([^\[\]{}#]*)\] *(?: #.*)?")
_BLOCK = re.compile(r"([a-z_]+): *(?: #.*)?")
_ITEM = re.compile(r"( *)- +([^ ]+) *(?: #.*)?")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,8}")
_TEXT = re.compile(r"(?:\.\./)*\.?[A-Za-z/$][A-Za-z0-9_./${}+-]*")
# Words that are not text in YAML 1.1.
_WORDS = frozenset(["null", "true", "false", "yes", "no", "on", "off", "y", "n", ".inf", ".nan"])

Value = str | int | bool


class YAMLError(Exception):
    """The text is more than plain lines."""


def load(text: str) -> dict[str, Value | list[Value]] | None:
    """Return the mapping that ``text`` spells; ``None`` when nothing stands there.

    Raises:
        YAMLError: there is more than plain lines, lists of plain words, comments and empty lines.
    """
    found: dict[str, Value | list[Value]] = {}
    block: list[Value] | None = None
    indent = ""
    for line in text.replace("\r\n", "\n").split("\n"):
        plain = line.strip(" ")
        if not line.isprintable():
            raise YAMLError(line)
        if not plain or plain.startswith("#"):
            continue
        item = _ITEM.fullmatch(line)
        if item and block is not None and item[1] == (indent if block else item[1]):
            indent = item[1]
            block.append(_value(item[2]))
            continue
        if block == []:
            raise YAMLError(line)  # the value of a key without one is null
        key, value = _entry(line)
        if key in found:
            raise YAMLError(f"{key!r} is given twice")
        found[key] = value
        block = value if isinstance(value, list) and _BLOCK.fullmatch(line) else None
    if block == []:
        raise YAMLError(text)
    return found or None


def _entry(line: str) -> tuple[str, Value | list[Value]]:
    """Return the key in a line and its value; an empty list where one begins below it."""
    value: Value | list[Value]
    if match := _FLOW.fullmatch(line):
        words = match[2].strip(" ").removesuffix(",").split(",")
        value = [_value(word.strip(" ")) for word in words] if match[2].strip(" ") else []
    elif match := _BLOCK.fullmatch(line):
        value = []
    elif match := _LINE.fullmatch(line):
        value = _value(match[2])
    else:
        raise YAMLError(line)
    if match[1] in _WORDS:
        raise YAMLError(line)
    return match[1], value


def _value(word: str) -> Value:
    if word in ("true", "false"):
        return word == "true"
    if _NUMBER.fullmatch(word):
        return int(word)
    if word.lower() in _WORDS or not _TEXT.fullmatch(word):
        raise YAMLError(word)
    return word
