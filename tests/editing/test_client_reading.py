"""The model of how the client reads a header; ``tests/claude_code`` compares it with the client."""

from __future__ import annotations

from typing import Any

import pytest

from editing.readers import client
from plugin_migrate.editing import client_reading
from plugin_migrate.editing.client_reading import misread


def header(lines: str) -> str:
    return f"---\n{lines}---\nbody\n"


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ("---\na: 1\n---\n", "a: 1\n"),
        ("\ufeff---\na: 1\n---\n", "a: 1\n"),
        ("--- \t\xa0\r\n\r\n  a: 1\r\n---\r\n", "  a: 1\r\n"),
        ("---\na: 1\n-----\n", "a: 1\n"),
        ("---\na: 1\n  ---x\n", "a: 1\n  "),
        ('---\na: "b --- c"\n---\n', 'a: "b '),
        ("---\n---\na: 1\n---\n", ""),
        ("---\na: 1\n", None),
        ("----\na: 1\n---\n", None),
        (" ---\na: 1\n---\n", None),
        ("\n---\na: 1\n---\n", None),
        ("--- # c\na: 1\n---\n", None),
        ("\ufeff\ufeff---\na: 1\n---\n", None),
        ("---\ra: 1\r---\r", None),
    ],
)
def test_a_header_ends_at_the_first_three_dashes(text: str, inside: str | None) -> None:
    end = client_reading.closing(text)

    assert (None if end is None else text[client_reading.opening(text) : end]) == inside


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("k: a #b", "a #b"),
        ("k:   a* ", "a* "),
        ("k:\ta: b", "a: b"),
        ('k: a\\b: "c"', 'a\\b: "c"'),
        ('k: "a: b"', "a: b"),
        ("k: 'a: b'", "a: b"),
        ('k: "a" # b', '"a" # b'),
        ('k: "', None),
        ("k: [a, b]", ["a", "b"]),
        ("k: [a, b] # c", "[a, b] # c"),
        ("k: |\n  a", None),
        ("k: a: b\n  c", None),
        ("k:\n  - a: b: c", None),
        ("k1: a: b", None),
        ("k:\n\t- a\n\t- b", ["a", "b"]),
        ("k:\n\t- a\n  - b", ["a", "b"]),
        ("k:\n \t- a\n   - b", None),
        ("k: a: b\r", None),
        ("k: a\u2028b: c", None),
        ("k: a\x85b: c", "a\x85b: c"),
    ],
)
def test_the_second_attempt_repairs_lines(line: str, value: object) -> None:
    seen = client(header(f"bad: x: y\n{line}\n"))

    assert (seen and next(reversed(seen.values()))) == value


@pytest.mark.parametrize(
    ("before", "after", "what"),
    [
        ("a: 1\nb: 2\n", "a: 3\nb: 2\n", None),
        ("a: 1\nb: 2\n", "a: 1\nb: 2\n", "the key 'a'"),
        ("a: 1\nb: 2\n", "a: 3\nb: 9\n", "the key 'b'"),
        ("a: 1\nb: 2\n", "a: 3\n", "the key 'b'"),
        ("a: 1\nb: 2\n", "a: 3\nb: 2\nc: 1\n", "the key 'c'"),
        ("a: 1\nb: 2\n", "a: 3\nb: x: y\n", "the file"),
        ("a: 1\nb: 2\n", "[", "the file"),
        ("a: 1\nb: 2\n", "a: 3\nb: 2\n---\n", "the body"),
        ("a: 1\nb: x: y\n", "a: 3\nb: x: y\n", None),
        ("a: 1\nb: x: y\n", "a: 3\nb: 'x: y'\n", None),
        ("a: 1\nb: x: y\n", "a: 3\nb: x: y\nc: |\n  d\n", "the file"),
        ("a: 1\nb: x: y\n  z\n", "a: 3\nb: x: y\n  z\n", None),
        ("a: 1\nb: x: y\n  z\n", "a: 3\nb: 2\n", None),
        ("a: 1\nb: x: y\n  z\n", "a: 3\nb: 7\n", "the key 'b'"),
    ],
)
def test_more_than_was_asked_for_is_named(before: str, after: str, what: str | None) -> None:
    old: dict[str, Any] = {"a": 1, "b": 2}

    assert misread(header(before), header(after), old, {"a": 3, "b": 2}) == what
