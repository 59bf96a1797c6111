"""Results as text: what fits, what is safe to print, what is counted."""

import re
import unicodedata
from unicodedata import category, east_asian_width

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tabulate import tabulate

from plugin_migrate.errors import Call, MigrateError, Place
from plugin_migrate.render.errors import error_json, error_text
from plugin_migrate.render.style import Style, cut_text, one_line, printable, table_text

WORDS = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=40)


def columns(line):
    return sum(2 if east_asian_width(char) in "WF" else 1 for char in line)


@given(st.text())
@example("\x1b[2J\x9b31m\r\x08\x00")
@example("\u202egnp.exe")
@example("a\nb\tc")
def test_no_text_can_steer_the_terminal(text):
    shown = printable(text)
    assert len(shown) == len(text)
    assert all(char in "\n\t" or category(char) != "Cc" for char in shown)
    assert not re.search(r"[\u202a-\u202e\u2066-\u2069]", shown)
    assert "\n" not in one_line(text)
    assert "\t" not in one_line(text)


def test_ordinary_text_is_shown_as_it_is():
    text = "Grüße, 漢字, \N{GRINNING FACE}, a\u200db, ✓"
    assert printable(text) == text
    assert one_line("  a\n\n b ") == "a b"


@given(st.lists(st.tuples(WORDS, WORDS), max_size=5), st.integers(44, 120))
@example([("漢" * 30, "x")], 50)
def test_every_table_fits_its_width_in_even_lines(texts, width):
    headers = ["Version", "Description", "Status", "Applied At", "Checksum"]
    rows = [
        ["10.20.30", one_line(one), "Out of order", "2025-12-12 10:00:00", "0123456789ab"]
        for one, _ in texts
    ]
    table = table_text(headers, rows, width).split("\n")
    assert max(map(columns, table)) <= width
    assert len(set(map(columns, table))) == 1
    assert len(table) == len(rows) + 4


@given(st.lists(st.tuples(WORDS, WORDS, st.text(max_size=9)), max_size=5))
@example([("", "x", ""), ("y", "", ""), ("", "", "")])
@example([("a", "b\n\u2028c", "\x85\x0b")])
def test_a_table_is_the_one_that_tabulate_makes_of_the_same_rows(texts):
    headers = ["Version", "Description", "Status"]
    rows = [[unicodedata.normalize("NFC", one_line(cell)) for cell in row] for row in texts]
    expected = tabulate(
        [[in_columns(cell) for cell in row] for row in rows],
        headers=headers,
        tablefmt="simple_outline",
        disable_numparse=True,
    )
    assert table_text(headers, [list(row) for row in texts], None) == expected.replace("\0", "")


def in_columns(text):
    return "".join(char + "\0" * (columns(char) - 1) for char in text)


def test_descriptions_are_cut_before_columns_are_dropped():
    headers = ["Version", "Description", "Status", "Applied At", "Checksum"]
    rows = [["1.0.0", "A description of some length", "Applied", "2025-12-12 10:00:00", "abc"]]
    full = table_text(headers, rows, None)
    assert table_text(headers, rows, columns(full.split("\n")[0])) == full
    cut = table_text(headers, rows, columns(full.split("\n")[0]) - 5)
    assert "A description of some …" in cut
    assert "2025-12-12 10:00:00" in cut
    narrow = table_text(headers, rows, 50)
    assert "Checksum" not in narrow
    assert "Status" in narrow


@given(WORDS, st.integers(2, 50))
def test_a_cut_text_fits(text, width):
    shown = cut_text(text, width)
    assert columns(shown) <= width or shown == text[:1]
    assert "\0" not in shown


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MigrateError("It failed"), "✗ Error: It failed"),
        (
            MigrateError(
                "Two\nlines", file="/p/a.sql", line=3, hint="Do\nthis", details=("x\n y",)
            ),
            "✗ Error: Two\n  lines\n  a.sql:3\n  x\n   y\n  Do\n  this",
        ),
        (MigrateError("No line", file="/p/a.sql"), "✗ Error: No line\n  a.sql"),
    ],
)
def test_an_error_says_what_where_and_what_to_do(error, expected):
    assert error_text(error, lambda path: path.removeprefix("/p/"), Style()) == expected


def test_an_error_as_json_has_all_keys():
    error = MigrateError("It failed", file="/p/a", line=1, hint="Do", details=("x",))
    assert error_json(error, str.upper) == {
        "code": "error",
        "message": "It failed",
        "hint": "Do",
        "file": "/P/A",
        "line": 1,
        "details": ["x"],
    }


@pytest.mark.parametrize(
    ("hint", "expected"),
    [
        ("See: plugin-migrate status", "See: plugin-migrate status"),
        (("See: ", Call("status")), "See: plugin-migrate status --plugin x"),
        (Call("repair", "--applied"), "plugin-migrate repair --plugin x --applied"),
        (("Remove ", Place("/p/a"), "/"), "Remove a/"),
    ],
)
def test_calls_in_a_hint_name_the_source_and_places_are_as_the_user_types_them(hint, expected):
    def shown(path):
        return path.removeprefix("/p/")

    error = MigrateError("It failed", hint=hint)
    text = error_text(error, shown, Style(option="--plugin x"))
    assert text == f"✗ Error: It failed\n  {expected}"
    assert error_json(error, shown, "--plugin x")["hint"] == expected
    assert error.hint == expected.replace(" --plugin x", "").replace("Remove a", "Remove /p/a")


def test_a_text_proposes_calls_for_its_source():
    assert Style(option="--plugin x").call("create", "NAME") == (
        "plugin-migrate create --plugin x NAME"
    )
    assert Style().call("upgrade") == "plugin-migrate upgrade"


def test_paint_is_for_those_who_see_it():
    assert Style().paint("red", "x") == "x"
    assert Style(color=True).paint("red", "x") == "\x1b[31mx\x1b[0m"
