"""What an edit of front matter does to a Markdown file's text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import yaml

from plugin_migrate.editing import front_matter as fm
from plugin_migrate.errors import StateUnreadable

AGENT = """\
---
# An agent.
name: "reviewer"  # shown to users
# When to use it.
description: >
  Reviews code.

  Slowly.
tools: [Read, 'Grep', "Bash(git:*)"]  # as few as possible
hooks:
  - event: Stop  # at the end
    run: |
      echo "a: b"   # no comment
  # About the second.
  - event: Start
    run: ls

model: opus
# The end.
---
# Body
name: not this one
"""

# Claude Code accepts both values, PyYAML neither.
LENIENT = """\
---
name: planner
description: Use this: plan. Examples: <example>user: "x"</example>
  more of: it

# About the model.
model: opus  # the best
tools: "a" b
---
Body
"""


def edited(text: str, change: Callable[[Any], object]) -> str:
    value = fm.load(text)
    change(value)
    changed = fm.apply(text, value)
    assert fm.load(changed) == value
    return changed


def block(lines: str) -> str:
    return f"---\n{lines}---\nbody"


def test_reads_plain_values() -> None:
    assert fm.load(AGENT) == {
        "name": "reviewer",
        "description": "Reviews code.\nSlowly.\n",
        "tools": ["Read", "Grep", "Bash(git:*)"],
        "hooks": [
            {"event": "Stop", "run": 'echo "a: b"   # no comment\n'},
            {"event": "Start", "run": "ls"},
        ],
        "model": "opus",
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2024-01-01", "2024-01-01"),
        ("2024-01-01 10:00:00", "2024-01-01 10:00:00"),
        ("yes", "yes"),
        ("12:30", "12:30"),
        ("1_000", "1_000"),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("", None),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("1e3", 1000.0),
        ("-.inf", float("-inf")),
        ("!!str 5", "5"),
        ("!!int five", "five"),
        ("!custom x", "x"),
        ('"\\ud83d\\ude00"', "😀"),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    loaded = fm.load(block(f"k: {text}\n"))["k"]

    assert (type(loaded), loaded) == (type(value), value)


def test_keys_are_strings() -> None:
    assert fm.load(block("x:\n  1: a\n  true: b\n  ~: c\n")) == {
        "x": {"1": "a", "true": "b", "~": "c"}
    }


def test_a_changed_scalar_is_the_only_change() -> None:
    def change(front: Any) -> None:
        front["model"] = "sonnet"
        front["hooks"][0]["event"] = "Exit"

    assert edited(AGENT, change) == AGENT.replace("opus", "sonnet").replace("Stop", "Exit")


def test_quotes_that_were_a_choice_stay() -> None:
    assert edited(AGENT, lambda f: f.update(name="x")) == AGENT.replace('"reviewer"', '"x"')
    assert edited(block("a: 'x'\n"), lambda f: f.update(a="it's")) == block("a: 'it''s'\n")


def test_quotes_inside_a_mapping_or_a_raw_text_are_no_style() -> None:
    before = block('e:\n  "a": "b"\nc: 1\n')

    assert edited(before, lambda f: f.update(e="x")) == block("e: x\nc: 1\n")
    assert edited(LENIENT, lambda f: f.update(tools="b")) == LENIENT.replace('"a" b', "b")


@pytest.mark.parametrize(
    "value",
    ["{a: 1, a: 2}", "[" * 5000, "*x", "- a", "a: b", "'", '"', "|", "1e3", "1:30", 1e20, -1.5e-9],
)
def test_a_value_reads_the_same_by_yaml_1_1(value: object) -> None:
    changed = edited(block("a: 1\n"), lambda f: f.update(a=value, b=[value]))

    assert yaml.safe_load(changed.split("\n---")[0]) == {"a": value, "b": [value]}


def test_quotes_that_one_value_needed_go_with_it() -> None:
    assert edited(block('a: "x: y"\n'), lambda f: f.update(a="z")) == block("a: z\n")


def test_a_deleted_entry_takes_its_lines_and_its_own_comment() -> None:
    assert edited(AGENT, lambda f: f.pop("name")) == AGENT.replace(
        'name: "reviewer"  # shown to users\n', ""
    )
    assert edited(AGENT, lambda f: f.pop("description")) == AGENT.replace(
        "description: >\n  Reviews code.\n\n  Slowly.\n", ""
    )
    assert edited(AGENT, lambda f: f["hooks"].pop()) == AGENT.replace(
        "  - event: Start\n    run: ls\n", ""
    )


def test_an_added_entry_stands_behind_the_last_one() -> None:
    changed = edited(AGENT, lambda f: f.update({"allowed-tools": "Read, Write", "n": {"a": [1]}}))

    assert changed == AGENT.replace(
        "model: opus\n",
        'model: opus\nallowed-tools: Read, Write\n"n":\n  a:\n    - 1\n',
    )


def test_a_new_list_is_written_as_the_others_are() -> None:
    assert edited(block("a: [x, y]\n"), lambda f: f.update(b=["z"])) == block("a: [x, y]\nb: [z]\n")
    assert edited(block("a:\n- x\n"), lambda f: f.update(b=["z"])) == block("a:\n- x\nb:\n- z\n")
    assert edited(block("a:\n  - x\n"), lambda f: f.update(b=[{"c": 1, "d": [2]}])) == block(
        "a:\n  - x\nb:\n  - c: 1\n    d:\n      - 2\n"
    )


def test_lists_in_brackets_stay_in_brackets() -> None:
    changed = edited(AGENT, lambda f: (f["tools"].remove("Grep"), f["tools"].append("a, b")))

    assert changed == AGENT.replace(
        """[Read, 'Grep', "Bash(git:*)"]""", """[Read, "Bash(git:*)", "a, b"]"""
    )
    assert edited(block("a: []\n"), lambda f: f["a"].append(1)) == block("a: [1]\n")
    assert edited(block("a: [\n  x, # c\n  y,\n]\n"), lambda f: f["a"].append("z")) == block(
        "a: [\n  x, # c\n  y,\n  z,\n]\n"
    )


def test_an_emptied_list_is_written_in_brackets() -> None:
    assert edited(block("a:\n  - x\nb: 1\n"), lambda f: f["a"].clear()) == block("a: []\nb: 1\n")


def test_rename_keeps_the_place_and_touches_only_the_key() -> None:
    changed = edited(AGENT, lambda f: f.rename("tools", "allowed-tools"))

    assert changed == AGENT.replace("tools:", "allowed-tools:")


def test_reordered_entries_keep_their_text_and_comments() -> None:
    before = block("a: 'x'  # one\n# about b\nb: |\n  y\n\nc: 3\n")

    changed = edited(before, lambda f: f.update(a=f.pop("a")))

    assert changed == block("# about b\nb: |\n  y\n\nc: 3\na: 'x'  # one\n")


def test_a_comment_behind_a_value_survives_text_of_several_lines() -> None:
    changed = edited(AGENT, lambda f: f.update(name="a\nb", tools={"x": ["y\nz"]}))

    assert 'name: "a\\nb"  # shown to users\n' in changed
    assert 'tools: {x: ["y\\nz"]}  # as few as possible\n' in changed


def test_text_of_several_lines_is_written_as_such() -> None:
    changed = edited(block("a: 1\n"), lambda f: f.update(a="x: y\n\n  # z\n", b={"c": ["1\n2"]}))

    assert changed == block("a: |\n  x: y\n\n    # z\nb:\n  c:\n    - |-\n      1\n      2\n")


def test_line_endings_stay() -> None:
    before = AGENT.replace("\n", "\r\n")

    changed = edited(before, lambda f: f.update(model="x", text="a\nb\n", more={"a": [1]}))

    assert "\n" not in changed.replace("\r\n", "")
    assert fm.load(changed)["text"] == "a\nb\n"


def test_a_block_that_an_edit_made_goes_away_with_its_last_key() -> None:
    for before in ("", "body", "\n\nbody\n", "\ufeffbody\r\n", "---x\n"):
        made = edited(before, lambda f: f.update(team="core"))
        assert edited(made, lambda f: f.pop("team")) == before


def test_a_block_that_no_edit_makes_stays_when_it_is_empty() -> None:
    two_blocks = "---\na: 1\n---\n---\nb: 2\n---\n"  # the second would become the header
    assert edited(two_blocks, lambda f: f.clear()) == "---\n---\n---\nb: 2\n---\n"
    assert edited("--- \na: 1\n---\nbody", lambda f: f.clear()) == "--- \n---\nbody"
    assert edited("---\na: 1\n----\nbody", lambda f: f.clear()) == "---\n----\nbody"
    assert edited("---\r\n  a: 1\r\n---", lambda f: f.clear()) == "---\r\n---"
    assert edited("---\n# c\na: 1 # d\n# e\n---\n", lambda f: f.clear()) == "---\n# c\n# e\n---\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "---\nk: 1\n---\n"),
        ("body", "---\nk: 1\n---\nbody"),
        ("\ufeff\r\nbody\r\n", "\ufeff---\r\nk: 1\r\n---\r\n\r\nbody\r\n"),
        (" ---\na: 1\n---\n", "---\nk: 1\n---\n ---\na: 1\n---\n"),
        ("---\n---\n", "---\nk: 1\n---\n"),
        ("---\n# c\n---", "---\n# c\nk: 1\n---"),
        ("--- \na: 1\n---\t\n", "--- \na: 1\nk: 1\n---\t\n"),
        ("---\n{a: 1}\n---\n", "---\n{a: 1, k: 1}\n---\n"),
    ],
)
def test_a_key_can_be_added_to_any_markdown(before: str, after: str) -> None:
    assert edited(before, lambda front: front.update(k=1)) == after


def test_an_alias_keeps_its_value_when_its_anchor_changes() -> None:
    before = block("a: &x {k: 1}  # one\nb: *x  # two\nc: [*x]\n")

    assert edited(before, lambda f: f["a"].update(k=2)) == block(
        "a: &x {k: 2}  # one\nb: {k: 1}  # two\nc: [{k: 1}]\n"
    )
    assert edited(before, lambda f: f.update(d=1)) == before.replace("---\nbody", "d: 1\n---\nbody")
    assert edited(before, lambda f: f["b"].update(k=2)) == before.replace("*x  #", "{k: 2}  #")


def test_an_entry_that_is_no_yaml_has_its_raw_text_as_value() -> None:
    with pytest.raises(yaml.YAMLError):
        yaml.safe_load(LENIENT.split("---")[1])

    assert fm.load(LENIENT) == {
        "name": "planner",
        "description": 'Use this: plan. Examples: <example>user: "x"</example>\n  more of: it',
        "model": "opus",
        "tools": '"a" b',
    }


def test_lenient_front_matter_can_be_edited_like_any_other() -> None:
    assert edited(LENIENT, lambda f: f.update(model="x")) == LENIENT.replace("opus", "x")
    assert edited(LENIENT, lambda f: f.rename("description", "about")) == LENIENT.replace(
        "description", "about"
    )
    assert edited(LENIENT, lambda f: f.pop("tools")) == LENIENT.replace('tools: "a" b\n', "")
    assert edited(LENIENT, lambda f: f.update(k=[1])) == LENIENT.replace(
        '"a" b\n', '"a" b\nk:\n  - 1\n'
    )
    raw = LENIENT[LENIENT.index("description") : LENIENT.index("\n# About")]
    assert edited(LENIENT, lambda f: f.pop("description")) == LENIENT.replace(raw, "")


def test_a_replaced_raw_value_is_written_as_yaml() -> None:
    changed = edited(LENIENT, lambda f: f.update(description="Now: yaml", tools="b"))

    assert yaml.safe_load(changed.split("---")[1])["description"] == "Now: yaml"


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("---\na: 1\nb: 2\na: 3\n---\n", 4, "'a' appears twice"),
        ("---\na: x: y\na: 1\n---\n", 3, "'a' appears twice"),
        ("---\nx:\n  a: 1\n  'a': 2\n---\n", 4, "'a' appears twice"),
        ("---\n- a\n---\n", 2, "keys and values"),
        ("---\n\nJust text\n---\n", 3, "keys and values"),
        ("---\n[ a: b\n---\n", 2, "not YAML"),
        ("---\nstray\na: b: c\n---\n", 2, "not YAML"),
        ("---\na: &a [*a]\n---\n", 2, "nested too deeply"),
    ],
)
def test_unusable_front_matter_is_named_with_its_line(text: str, line: int, what: str) -> None:
    with pytest.raises(StateUnreadable, match=what) as caught:
        fm.load(text, "agents/x.md")

    assert (caught.value.file, caught.value.line) == ("agents/x.md", line)
    assert "agents/x.md" in caught.value.message
    assert caught.value.hint is not None


@pytest.mark.parametrize("lines", ["? a\n: b\n", "{a, b: 1}\n", "? a\n? b\n"])
def test_a_form_that_cannot_be_spliced_is_read_but_not_changed(lines: str) -> None:
    text = block(lines)
    value = fm.load(text)

    assert fm.apply(text, value) == text
    with pytest.raises(StateUnreadable, match="cannot be changed safely"):
        fm.apply(text, {**value, "k": 1})


def test_an_unusual_form_further_down_is_replaced_as_a_whole() -> None:
    before = block("a: [x: 1]\nb:\n  ? k\n  : v\nc: 'c'\n")

    assert edited(before, lambda f: f["a"][0].update(x=2)) == before.replace("x: 1", "{x: 2}")
    assert edited(before, lambda f: f["b"].update(k="w")) == before.replace("? k\n  : v", "k: w")
    assert edited(before, lambda f: f.pop("c")) == before.replace("c: 'c'\n", "")


def test_kept_blank_lines_of_a_text_stay() -> None:
    before = block("a: |+\n  x\n\n\nb: 1\n")

    assert fm.load(before)["a"] == "x\n\n\n"
    assert edited(before, lambda f: f.pop("b")) == block("a: |+\n  x\n\n\n")
