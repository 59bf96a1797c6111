"""Hypothesis strategies: documents in many styles, values, and edits."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from plugin_migrate.editing.tree import EditableDict

TEXTS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        """
        yes|null|~|1|1.0|1e3|0x1f|0o7|12:30|2024-01-01|1_000|=|<<|y|a: b|a #b|- a|? a|a:|[a|a, b
        *x|&x|!x|%x|@x|`x|"x|'x|it's|say "x"|{a: 1, a: 2}|---|...|//a|/* a|#a|\\u00e9|é|😀|C:\\u
        """.strip()
        .replace("\n        ", "|")
        .split("|")
    ),
    st.sampled_from(
        ["", "|", "> a", " a", "a ", "a\n", "a\nb\n", "a\n\n", "\n", " a\nb", "a\r\n", "\t"]
    ),
    st.sampled_from(["\u2028", "\x85", "\x00", "\x7f", "\ufeff", "\xa0"]),
)
KEYS = st.one_of(st.sampled_from("abcdefg"), TEXTS)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    TEXTS,
)


def nested(leaves: st.SearchStrategy[Any], keys: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaves,
        lambda values: st.lists(values, max_size=4) | st.dictionaries(keys, values, max_size=4),
        max_leaves=12,
    )


VALUES = nested(SCALARS, KEYS)
MAPPINGS = st.dictionaries(KEYS, VALUES, max_size=5)


@dataclass(frozen=True)
class Edit:
    """What an author does to one container of the document."""

    seed: int
    action: str
    key: str
    value: Any

    def __call__(self, document: Any) -> None:
        target = self._container(document)
        if isinstance(target, dict):
            self._entry(target)
        else:
            self._item(target)

    def _container(self, document: Any) -> Any:
        found = [document]
        for container in found:
            children = container.values() if isinstance(container, dict) else container
            found += [child for child in children if isinstance(child, dict | list)]
        return found[self.seed % len(found)]

    def _entry(self, target: Any) -> None:
        keys = list(target)
        old = keys[self.seed % len(keys)] if keys else None
        if self.action == "set" or old is None:
            target[self.key] = self.value
        elif self.action == "replace":
            target[old] = self.value
        elif self.action == "delete":
            del target[old]
        elif self.action == "rename":
            # A mapping that an earlier edit put there is a plain dict.
            if self.key not in target and isinstance(target, EditableDict):
                target.rename(old, self.key)
        elif self.action == "clear":
            target.clear()
        else:
            target[old] = target.pop(old)

    def _item(self, target: list[Any]) -> None:
        at = self.seed % (len(target) + 1)
        if self.action in ("set", "rename"):
            target.insert(at, self.value)
        elif self.action == "replace":
            target[at : at + 1] = [self.value]
        elif self.action == "delete":
            del target[at : at + 1]
        elif self.action == "clear":
            target.clear()
        else:
            target.reverse()


ACTIONS = st.sampled_from(["set", "replace", "delete", "rename", "reorder", "clear"])
EDITS = st.lists(st.builds(Edit, st.integers(0, 99), ACTIONS, KEYS, VALUES), max_size=4)


@st.composite
def tidy_json(
    draw: st.DrawFn, values: st.SearchStrategy[Any] = VALUES, *, escapes: bool = True
) -> str:
    """A document as programs write them: one style throughout."""
    indent = draw(st.sampled_from([None, 2, 4, "\t"]))
    tight = draw(st.booleans()) if indent is None else False
    text = json.dumps(
        draw(values),
        indent=indent,
        ensure_ascii=escapes and draw(st.booleans()),
        separators=(",", ":") if tight else None,
    )
    text += draw(st.sampled_from(["", "\n"]))
    if draw(st.booleans()):
        text = text.replace("\n", "\r\n")
    return draw(st.sampled_from(["", "\ufeff"])) + text


JSON_TRIVIA = st.sampled_from(
    [
        "",
        "",
        " ",
        "\n",
        "\n  ",
        "\r\n\t",
        " // c, }\n",
        "/* c, } */",
        "\n  // c\r\n  ",
        "/* a\n */ ",
    ]
)


@st.composite
def wild_json(draw: st.DrawFn, values: st.SearchStrategy[Any] = VALUES) -> str:
    """A document as people write them: comments, commas and line breaks anywhere."""

    def trivia() -> str:
        return draw(JSON_TRIVIA)

    def write(value: Any) -> str:
        if isinstance(value, dict):
            parts = [f"{scalar(k)}{trivia()}:{trivia()}{write(v)}" for k, v in value.items()]
            return "{" + joined(parts) + "}"
        if isinstance(value, list):
            return "[" + joined([write(item) for item in value]) + "]"
        return scalar(value)

    def scalar(value: Any) -> str:
        return json.dumps(value, ensure_ascii=draw(st.booleans()))

    def joined(parts: list[str]) -> str:
        inner = ",".join(trivia() + part + trivia() for part in parts)
        comma = "," if parts and draw(st.booleans()) else ""
        return inner + comma + trivia()

    return trivia() + write(draw(values)) + trivia()


PLAIN = st.from_regex(r"[A-Za-z][A-Za-z ]{0,8}[A-Za-z]", fullmatch=True).filter(
    lambda text: text.lower() not in ("yes", "no", "on", "off", "true", "false", "null")
)
# What this package would write in just this way, so that changing it and back gives the same.
CANONICAL_YAML = st.one_of(st.integers(), st.booleans(), st.none(), PLAIN)


@st.composite
def front_matter(draw: st.DrawFn, values: st.SearchStrategy[Any] | None = None) -> str:
    """A Markdown document; its front matter mixes styles, with comments and blank lines."""
    newline = draw(st.sampled_from(["\n", "\r\n"]))
    dash_indent = draw(st.sampled_from(["", "  "]))

    def comment() -> str:
        return draw(st.sampled_from(["", "", "", "  # c: [", " # - 'd"]))

    def lines_between(indent: str) -> str:
        return draw(st.sampled_from(["", "", "", "\n", f"{indent}# about: it\n", "# left\n\n"]))

    def scalar(value: Any) -> str:
        if isinstance(value, str):
            quoted = in_quotes(value)
            single = "'" + value.replace("'", "''") + "'"
            is_tame = value.isascii() and value.isprintable() and "---" not in value
            styles = [quoted, single] if is_tame else [quoted]
            words = value.replace(" ", "").isalpha() and value.isascii() and value == value.strip()
            if words and value.lower() not in ("true", "false", "null"):
                styles.append(value)
            return draw(st.sampled_from(styles))
        return json.dumps(value) if value is not None else draw(st.sampled_from(["null", "~"]))

    def flow(value: Any) -> str:
        gap = draw(st.sampled_from(["", " "]))
        if isinstance(value, dict):
            parts = [f"{in_quotes(k)}: {flow(v)}" for k, v in value.items()]
            return "{" + gap + f",{gap} ".join(parts) + gap + "}"
        if isinstance(value, list):
            return "[" + gap + f",{gap} ".join(map(flow, value)) + gap + "]"
        return scalar(value)

    def after(value: Any, indent: str) -> str:
        """What follows a key or a dash, with its line end."""
        if isinstance(value, dict | list) and value and draw(st.booleans()):
            if isinstance(value, dict):
                inner = indent + draw(st.sampled_from(["  ", "    "]))
            else:
                inner = indent + dash_indent
            return f"{comment()}\n" + block(value, inner)
        one_line = isinstance(value, str) and value.isprintable() and value == value.strip()
        if one_line and value and "---" not in value and draw(st.booleans()):
            style = draw(st.sampled_from(["|-", ">-"]))
            return f" {style}{comment()}\n{indent}    {value}\n"
        return f" {flow(value)}{comment()}\n"

    def block(value: Any, indent: str) -> str:
        if isinstance(value, dict):
            parts = [f"{indent}{key(k)}:{after(v, indent)}" for k, v in value.items()]
        else:
            parts = [f"{indent}-{after(item, indent + '  ')}" for item in value]
        return "".join((lines_between(indent) if i else "") + part for i, part in enumerate(parts))

    def key(text: str) -> str:
        return text if text in "abcdefg" and text else in_quotes(text)

    def in_quotes(text: str) -> str:
        # The client would take three dashes for the header's end, wherever they stand.
        return json.dumps(text).replace("---", "\\x2d\\x2d\\x2d")

    value = draw(values if values is not None else MAPPINGS)
    head = draw(st.sampled_from(["", "# header\n", "\n"]))
    tail = draw(st.sampled_from(["", "# end\n", "\n"]))
    text = head + block(value, "") + tail
    bom = draw(st.sampled_from(["", "\ufeff"]))
    body = draw(st.sampled_from(["", "\n", "\nbody\n", "\r\n---\nx", "\nno end", "\n\udcff"]))
    return bom + f"---\n{text}---".replace("\n", newline) + body


@st.composite
def yaml_document(draw: st.DrawFn, values: st.SearchStrategy[Any] | None = None) -> str:
    """A YAML file; it mixes styles, as a header does."""
    text = draw(front_matter(values))
    bom = "\ufeff" if text.startswith("\ufeff") else ""
    opening = text.index("\n") + 1
    newline = text[len(bom) + 3 : opening]
    lines = text[opening : text.index("---", opening)]
    before = draw(st.sampled_from(["", "", "# first" + newline, "---" + newline]))
    says_something = before[:3] == "---" or any(line[:1] not in "#\r" for line in lines.split("\n"))
    after = draw(st.sampled_from(["", "", "..." + newline])) if says_something else ""
    if not after and draw(st.booleans()) and not lines.endswith(newline * 2):
        lines = lines.removesuffix(newline)
    return bom + before + lines + after
