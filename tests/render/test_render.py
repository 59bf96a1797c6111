"""Results as text: what fits, what is safe to print, what is counted."""

import re
from unicodedata import category

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from wcwidth import wcswidth, wcwidth

from plugin_migrate.errors import Call, MigrateError, Place
from plugin_migrate.render.errors import error_json, error_text
from plugin_migrate.render.style import Style, clip, columns_of, one_line, printable
from plugin_migrate.render.table import table_text

WORDS = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=40)


FAMILY = "\N{MAN}\u200d\N{WOMAN}\u200d\N{GIRL}"
FLAG = "\N{REGIONAL INDICATOR SYMBOL LETTER D}\N{REGIONAL INDICATOR SYMBOL LETTER E}"
GRAPHEMES = [FAMILY, FLAG, "e\u0301", "\u1100\u1161\u11a8", "\u2764\ufe0f", "\U0001f44d\U0001f3fd"]
# Characters that are a grapheme each, next to any other.
ALONE = st.characters(categories=["L", "N", "P", "S", "Zs"]).filter(
    lambda one: wcwidth(one) > 0 and one not in FLAG and not "\U0001f1e6" <= one <= "\U0001f1ff"
)


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


HEADERS = ["Version", "Description", "Status", "Applied At", "Checksum"]


def status_row(description):
    return ["1.0.0", description, "Applied", "2025-12-12 10:00:00", "0123456789ab"]


def drawn(descriptions, width, color=False):
    """Return the lines of a table of migrations."""
    rows = [status_row(description) for description in descriptions]
    style = Style(color, width)
    gone = ("Checksum", "Applied At")
    colors = {"Status": {"Applied": "green"}}
    return table_text(HEADERS, rows, style, "Description", gone, colors).split("\n")


@given(st.lists(WORDS, min_size=1, max_size=5), st.integers(50, 120), st.booleans())
@example(["漢" * 30], 50, False)
@example(
    [FAMILY * 20, "e\u0301" * 40, "\N{THUMBS UP SIGN}\N{EMOJI MODIFIER FITZPATRICK TYPE-5}"],
    60,
    True,
)
def test_every_table_fits_its_width_in_even_lines(descriptions, width, color):
    lines = [re.sub(r"\x1b\[\d+m", "", line) for line in drawn(descriptions, width, color)]
    assert {wcswidth(line) for line in lines} == {wcswidth(lines[0])}
    assert wcswidth(lines[0]) <= width
    assert len(lines) == len(descriptions) + 4


@given(st.lists(WORDS, min_size=1, max_size=5), st.integers(20, 49))
def test_below_fifty_columns_a_list_takes_the_place_of_a_table(descriptions, width):
    lines = drawn(descriptions, width)
    assert not set("".join(lines)) & set("┌│└")
    assert all(wcswidth(line) <= width for line in lines)


def test_a_list_shows_every_cell_under_its_header():
    assert drawn(["Initial schema of everything", "x"], 40) == [
        "1.0.0  Initial schema of everything",
        "  Status: Applied",
        "  Applied At: 2025-12-12 10:00:00",
        "  Checksum: 0123456789ab",
        "1.0.0  x",
        "  Status: Applied",
        "  Applied At: 2025-12-12 10:00:00",
        "  Checksum: 0123456789ab",
    ]
    assert "\x1b[32mApplied\x1b[0m" in "".join(drawn(["x"], 40, color=True))


def test_a_table_with_room_is_as_wide_as_its_texts():
    wide = drawn(["Add OAuth support"], None)
    assert wide == drawn(["Add OAuth support"], 200)
    assert wide[1] == (
        "│ Version   │ Description       │ Status   │ Applied At          │ Checksum     │"
    )
    assert wide[3] == (
        "│ 1.0.0     │ Add OAuth support │ Applied  │ 2025-12-12 10:00:00 │ 0123456789ab │"
    )


def test_what_gives_way_first_is_what_people_read_least():
    text = "A description of some length"
    first = wcswidth(drawn([text], None)[0])
    # The blanks after headers, then a column, and only then the text.
    assert drawn([text], first - 1)[1].startswith("│ Version │ Description ")
    assert "Checksum" in drawn([text], first - 3)[1]
    (_, header, _, row, _) = drawn([text], 80)
    assert "Checksum" not in header
    assert text in row
    (_, header, _, row, _) = drawn([text], 60)
    assert "Applied At" not in header
    assert text in row
    (_, header, _, row, _) = drawn([text * 2], 60)
    assert wcswidth(row) == 60, "what a column leaves goes to the text"
    assert "A description of some lengthA descr…" in row


@given(st.lists(st.one_of(ALONE, st.sampled_from(GRAPHEMES)), max_size=40), st.integers(2, 50))
@example([FAMILY] * 3, 5)
def test_a_clipped_text_fits_and_no_grapheme_is_torn(graphemes, width):
    text = "".join(graphemes)
    shown = clip(text, width)
    assert columns_of(shown) <= width
    starts = {"".join(graphemes[:count]).rstrip() for count in range(len(graphemes))}
    assert shown == text or shown.removesuffix("…") in starts


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
