"""The list of known front matter keys is the real client's."""

import mmap
import re

import pytest

from claude_code.known_keys import COMMAND_KEYS, SKILL_KEYS

_FIELD = re.compile(
    rb'"?([\w-]+)"?:(?:\w+\(\)|\w+\(\[[^]]*\]\))(?:\.\w+\(\))*\.describe\(["`]([^"`]+)'
)
# What the descriptions of `disallowedTools` and of what is no key for authors say.
_LEFT_OUT = (b"@internal", b"Canonical (normalized) alias")


@pytest.fixture(scope="module")
def schemas(binary):
    """The client's schema of a command, and what that of a skill adds, from its program's text."""
    with open(binary, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        start = text.find(b'.describe("Display name. Defaults to the filename without extension.")')
        middle = text.find(b".extend({when_to_use:", start)
        end = text.find(b'.describe("Agent identifier. Required', middle)
        assert 0 < start < middle < end < start + 10_000
        return text[start - 60 : middle], text[middle + len(b".extend({") : end]


def keys(schema: bytes) -> set[str]:
    return {
        key.decode()
        for key, description in _FIELD.findall(schema)
        if not description.startswith(_LEFT_OUT)
    }


def test_known_keys_are_those_of_the_clients_own_schemas(schemas):
    command, added = schemas
    assert keys(command) == COMMAND_KEYS
    assert keys(command) | keys(added) - {"name"} == SKILL_KEYS
