"""Headers as people write them, and edits, at random: both readers see what was asked for."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import assume, event, given
from hypothesis import strategies as st

from editing.documents import EDITS, KEYS, VALUES, Edit
from editing.readers import assert_seen, client, pyyaml
from plugin_migrate.editing import client_reading
from plugin_migrate.editing import front_matter as fm
from plugin_migrate.errors import StateUnreadable

WORDS = st.sampled_from(
    [
        *"x # ' \" [ ] % @ ` | > -- --- \\ 5 1.50 true ~ é 😀".split(),
        *("Use this", "a: b", ": ", " # c", "{a: 1}", ", ", "&x ", "*x", "!t ", "- ", "? ", "\\n"),
        *("\t", "  ", "<example>", 'user: "hi"', "it's", "C:\\new"),
        *("\u2028", "\x85", "\xa0", "\r", "\udcff"),
    ]
)
LINES = st.lists(WORDS, min_size=1, max_size=4).map("".join)
QUOTED = LINES.map(lambda text: '"' + text.replace("\\", "").replace('"', "") + '"')
SCALARS = LINES | QUOTED | st.sampled_from(["Use this. Example: x", "plain words", "Read, Grep"])
FENCES = st.sampled_from(
    ["---\n", "---\n", "---", "--- \n", "-----\n", "  ---\n", "\t---\n", "x---\n", ""]
)


@st.composite
def entries(draw: st.DrawFn, indent: str = "") -> str:
    """A key and its value, of any style, or what stands between such."""
    key = draw(st.sampled_from(["a", "b", "tools", "x-y", "k1", "the key", '"q"', "'s'"]))
    below = indent + draw(st.sampled_from(["  ", "  ", "    ", "\t", ""]))
    items = st.lists(SCALARS, min_size=1, max_size=3)
    style = draw(
        st.sampled_from(["line", "line", "dashes", "mapping", "block", "brackets", "rest"])
    )
    if style == "line":
        return f"{indent}{key}: {draw(SCALARS)}"
    if style == "dashes":
        return f"{indent}{key}:" + "".join(f"\n{below}- {item}" for item in draw(items))
    if style == "mapping" and len(below) < 6:
        return f"{indent}{key}:\n" + draw(entries(below or "  "))
    if style == "block":
        lines = "".join(f"\n{below}{item}" for item in draw(items))
        return f"{indent}{key}: {draw(st.sampled_from(['|', '>', '|-', '>+']))}{lines}"
    if style == "brackets":
        return f"{indent}{key}: [{', '.join(draw(items))}]"
    return draw(
        st.sampled_from([f"{indent}# {draw(LINES)}", f"{indent}{key}:", "", "\t", draw(LINES)])
    )


@st.composite
def headers(draw: st.DrawFn) -> str:
    """A document that begins with a header, right or wrong."""
    lines = ["name: x", f"description: {draw(SCALARS)}", *draw(st.lists(entries(), max_size=3))]
    text = "---\n" + "".join(line + "\n" for line in draw(st.permutations(lines)))
    text += draw(FENCES) + draw(
        st.sampled_from(["", "body\n", "\n| a |\n|---|\n", "---\nb: 1\n---\n"])
    )
    return text.replace("\n", "\r\n") if draw(st.booleans()) and draw(st.booleans()) else text


@st.composite
def small_edits(draw: st.DrawFn) -> list[Edit]:
    """Edits of the kind that migrations make, at the top of the header."""
    actions = st.sampled_from(["set", "replace", "delete", "rename"])
    return draw(
        st.lists(st.builds(Edit, st.just(0), actions, KEYS, VALUES), min_size=1, max_size=2)
    )


def _edit(text: str, edits: list[Edit]) -> tuple[dict[str, Any], dict[str, Any], str] | None:
    """Return the fields before and after, and the document after; ``None`` if it is refused."""
    try:
        old, new = fm.load(text), fm.load(text)
        for edit in edits:
            edit(new)
        return old, new, fm.apply(text, new, "x.md")
    except StateUnreadable:
        event("refused")
        return None


@given(headers(), EDITS | small_edits())
def test_both_readers_see_what_was_asked_for(text: str, edits: list[Edit]) -> None:
    done = _edit(text, edits)
    if done is None:
        return
    old, new, changed = done
    assert_seen(client(text), client(changed), old, new, "client")
    before = pyyaml(text)
    if _is_alike(before, client(text)):
        assert_seen(before, pyyaml(changed), old, new, "PyYAML")


def _is_alike(fields: Any, others: Any) -> bool:
    """Tell whether YAML 1.1 and 1.2 see the same: there are no dates, and no ends of lines."""
    return isinstance(fields, dict) and repr(fields) == repr(others)


@given(headers(), EDITS | small_edits())
def test_the_client_sees_the_same_body(text: str, edits: list[Edit]) -> None:
    done = _edit(text, edits)
    if done is not None:
        assert client_reading.read(done[2]).body == client_reading.read(text).body


@given(headers())
def test_a_migration_is_given_what_the_client_reads(text: str) -> None:
    """Where the client can read all of the header; it is not asked about one that ends too soon."""
    try:
        fields = fm.load(text)
    except StateUnreadable:
        return
    end = client_reading.closing(text)
    seen = client(text)
    if end is not None and end >= fm._find(text).end and seen is not None:
        assert fields == seen


@given(headers())
def test_what_was_added_can_be_taken_back(text: str) -> None:
    done = _edit(text, [Edit(0, "set", "team", "core")])
    if done is not None:
        # What is no YAML may have to be put into quotes, for the new line to be seen, and stays so.
        assume(re.sub(r"team: core\r?\n", "", done[2]) == text)
        fields = fm.load(done[2])
        del fields["team"]
        assert fm.apply(done[2], fields) == text
