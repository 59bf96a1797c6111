"""Headers of agents, before and after edits: the real client lists the same agents, as asked.

It tells Claude each agent's name, description and tools; a header that it cannot read makes none.
"""

import re

import pytest

from editing.corpus import HEADER_CHANGES, HEADERS, Change
from plugin_migrate.editing import client_reading
from plugin_migrate.editing import front_matter as fm
from plugin_migrate.errors import StateUnreadable

_LISTING = re.compile(r"Available agent types for the Agent tool:\n(.*?)\n\nWhen you ", re.DOTALL)
_ENTRY = r"^- {}: (.*?) \(Tools: ([^\n]*)\)$"


@pytest.fixture
def listed(client, project):
    """A function that gives agents to the client, and returns those that it offers to Claude."""

    def ask(files: dict[str, str]) -> dict[str, tuple[str, str]]:
        for name, text in files.items():
            data = text.encode("utf-8", "surrogateescape")
            project.write(f"agents/{name}.md", data)
        talk = client.ask("Hello", project.root, plugins=[])
        (start,) = [event for event in talk.events if event.get("subtype") == "init"]
        (listing,) = _LISTING.findall(talk.everything)
        found = {}
        for name in files.keys() & set(start["agents"]):
            entry = re.search(_ENTRY.format(re.escape(name)), listing, re.DOTALL | re.MULTILINE)
            assert entry is not None, name
            found[name] = entry[1], entry[2]
        return found

    return ask


def test_the_client_reads_a_header_as_we_say_it_does(listed):
    found = listed(HEADERS)

    expected = {"key-twice": "Reviews code."}  # it takes the last one; we edit no such header
    for name, text in HEADERS.items():
        fields = client_reading.read(text).fields
        values = {} if fields is None else fields.value()
        if values.get("name") == name and values.get("description"):
            expected[name] = shown(values["description"])
    assert {name: description for name, (description, _) in found.items()} == expected
    assert len(found) > 40


def test_the_client_sees_each_change_and_nothing_else(listed):
    before, after, asked = {}, {}, {}
    for number, change in enumerate(HEADER_CHANGES):
        for kind, text in named(f"-{number}").items():
            name = f"{kind}-{number}"
            try:
                after[name], asked[name] = changed(text, HEADER_CHANGES[change])
            except StateUnreadable:
                continue
            before[name] = text

    listed_before, listed_after = listed(before), listed(after)

    for name, seen in listed_before.items():
        expected = dict(zip(("description", "tools"), seen, strict=True)) | asked[name]
        assert listed_after.get(name) == tuple(expected.values()), name
    # What could not be read may have become right.
    for name in listed_after.keys() - listed_before.keys():
        assert client_reading.read(before[name]).readable is False, name
    assert len(listed_before) > 500


def named(suffix: str) -> dict[str, str]:
    """Return the corpus with other names, so that all its variants can be agents at once."""
    return {
        kind: re.sub(rf'(name"?:\s*"?{kind})\b', rf"\1{suffix}", text, count=1)
        for kind, text in HEADERS.items()
    }


def changed(text: str, change: Change) -> tuple[str, dict[str, str]]:
    """Return an edited header, and what the listing should say otherwise than before."""
    old, new = fm.load(text), fm.load(text)
    change(new)
    asked = {key for key in ("description", "tools") if old.get(key) != new.get(key)}
    told = {"description": shown, "tools": as_listed}
    return fm.apply(text, new), {key: told[key](new.get(key)) for key in sorted(asked)}


def shown(description: str) -> str:
    """Return a description as the listing has it."""
    return description.replace("\\n", "\n").replace("\udce9", "\ufffd")


def as_listed(tools: object) -> str:
    """Return an agent's tools as the listing has them."""
    names = tools.split(", ") if isinstance(tools, str) else list(tools or ())
    return "All tools" if "*" in names or not names else ", ".join(names)
