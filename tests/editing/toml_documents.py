"""Hypothesis strategies: TOML files in many styles, values, and edits."""

from __future__ import annotations

import json
import re
from datetime import UTC, timedelta, timezone
from typing import Any

from hypothesis import strategies as st

from editing.documents import ACTIONS, KEYS, TEXTS, Edit, nested

ZONES = st.sampled_from([UTC, timezone(timedelta(hours=-5, minutes=-30))])
MOMENTS = st.datetimes() | st.datetimes(timezones=ZONES) | st.dates() | st.times()
SCALARS = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    TEXTS,
    MOMENTS,
)
VALUES = nested(SCALARS, KEYS)
MAPPINGS = st.dictionaries(KEYS, VALUES, max_size=5)
EDITS = st.lists(st.builds(Edit, st.integers(0, 99), ACTIONS, KEYS, VALUES), max_size=4)
WORDS = st.from_regex(r"[a-z ]{0,8}", fullmatch=True)
# What this package would write in just this way, so that changing it and back gives the same.
CANONICAL = st.one_of(st.integers(-99, 99), st.booleans(), st.dates(), WORDS)

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_LITERAL = re.compile(r"[ -&(-~\t]*")


@st.composite
def toml_document(draw: st.DrawFn, values: st.SearchStrategy[Any] = MAPPINGS) -> str:
    """A TOML file as people write it: tables, dotted keys and inline tables, with comments."""
    newline = draw(st.sampled_from(["\n", "\r\n"]))

    def comment() -> str:
        return draw(st.sampled_from(["", "", "", "  # c = [", " #'"]))

    def between() -> list[str]:
        return draw(st.sampled_from([[], [], [], [""], ["# about"], ["# left", ""]]))

    def string(text: str) -> str:
        styles = [json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")]
        if _LITERAL.fullmatch(text):
            styles.append(f"'{text}'")
        if '"""' not in text and "\\" not in text and text.isprintable() and text[-1:] != '"':
            styles.append(f'"""\n{text}"""')
        return draw(st.sampled_from(styles))

    def key(text: str) -> str:
        if _BARE.fullmatch(text) and draw(st.booleans()):
            return text
        quoted = json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
        styles = [quoted, f"'{text}'"] if _LITERAL.fullmatch(text) else [quoted]
        return draw(st.sampled_from(styles))

    def inline(value: Any) -> str:
        gap = draw(st.sampled_from(["", " "]))
        if isinstance(value, dict):
            parts = [f"{key(k)}{gap}={gap}{inline(v)}" for k, v in value.items()]
            return "{" + gap + f"{gap}, ".join(parts) + gap + "}"
        if isinstance(value, list):
            if value and draw(st.booleans()):
                rows = [f"\n  {inline(item)},{comment()}" for item in value]
                return "[" + "".join(rows) + "\n]"
            return "[" + gap + f",{gap} ".join(map(inline, value)) + gap + "]"
        if isinstance(value, str):
            return string(value)
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int | float):
            return str(value)
        return value.isoformat().replace("+00:00", draw(st.sampled_from(["Z", "+00:00"])))

    def entry(prefix: str, name: str, value: Any) -> list[str]:
        label = prefix + key(name)
        if isinstance(value, dict) and value and draw(st.booleans()):
            rows = []
            dotted = label + draw(st.sampled_from([".", " . "]))
            for k, v in value.items():
                rows += entry(dotted, k, v)
            return rows
        indent = draw(st.sampled_from(["", "", "  "]))
        return [*between(), f"{indent}{label} = {inline(value)}{comment()}"]

    def table(names: list[str], header: str, value: dict[str, Any]) -> list[str]:
        rows: list[str] = []
        inside: list[str] = []
        for name, item in value.items():
            below = [*names, name]
            title = ".".join(map(key, below))
            if isinstance(item, dict) and draw(st.booleans()):
                inside += table(below, f"[{title}]", item)
            elif _are_tables(item) and draw(st.booleans()):
                for one in item:
                    inside += table(below, f"[[{title}]]", one)
            else:
                rows += entry("", name, item)
        is_implied = inside and not rows and header[:2] != "[[" and draw(st.booleans())
        if header and not is_implied:
            indent = draw(st.sampled_from(["", "", "  "]))
            rows = [*between(), f"{indent}{header}{comment()}", *rows]
        return rows + inside

    rows = table([], "", draw(values))
    head = draw(st.sampled_from([[], ["# head"], ["# head", ""]]))
    tail = draw(st.sampled_from([[], ["# end"], [""]]))
    text = "\n".join([*head, *rows, *tail]) + draw(st.sampled_from(["", "\n"]))
    bom = draw(st.sampled_from(["", "\ufeff"]))
    return bom + text.replace("\n", newline)


def _are_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)
