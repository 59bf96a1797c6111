"""Settings without PyYAML: the same values, or an error; never others."""

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from plugin_migrate import plain_yaml

WORDS = st.sampled_from(
    "true false yes No on null ~ 10 010 0x1 1.5 .5 .inf ../a ../.5 ../../.a .. ../ 1e3 2024-01-01 a"
    " .claude/x.db"
    " ${CLAUDE_PLUGIN_DATA}/a.db 'a' [a] {a: b} &a *a !a |  > # - ? : a:b a#b a: 1_0 +1 <<".split(
        " "
    )
)
LINES = st.one_of(
    st.tuples(st.sampled_from(["database", "on", "a b", "_", "x.y"]), WORDS).map(": ".join),
    st.tuples(st.sampled_from(["state", "on"]), st.lists(WORDS, max_size=3).map(", ".join)).map(
        "{0[0]}: [{0[1]}]".format
    ),
    st.tuples(st.sampled_from(["- ", "  - ", "-", " -  "]), WORDS).map("".join),
    st.sampled_from(["state:", "state: # a", "state:# a", "state: [a,]", "state: [,]"]),
    st.text(max_size=20),
    st.sampled_from(["# a", "  # a", "", "  ", "---", "...", " a: b", "a:", "a: b # c", "a: b  "]),
)


@given(st.lists(LINES, max_size=4).map("\n".join) | st.lists(LINES, max_size=4).map("\r\n".join))
@example("# a\u2028database: b")
@example("# a\x85database: b")
def test_what_it_reads_pyyaml_reads_too(text: str) -> None:
    try:
        found = plain_yaml.load(text)
    except plain_yaml.YAMLError:
        return
    assert found == yaml.safe_load(text)
    assert repr(found) == repr(yaml.safe_load(text))


def test_plain_settings_are_read() -> None:
    text = """# Where the state is.

database: .claude/x/state.db   # relative
migrations: ../../steps
ledger_table: my_migrations
lock_timeout: 10
follow_links: true
"""
    assert plain_yaml.load(text) == {
        "database": ".claude/x/state.db",
        "migrations": "../../steps",
        "ledger_table": "my_migrations",
        "lock_timeout": 10,
        "follow_links": True,
    }
    assert plain_yaml.load("state: [CLAUDE.md, .beads/]  # both") == {
        "state": ["CLAUDE.md", ".beads/"]
    }
    assert plain_yaml.load("state:\n  # both\n  - a\n\n  - b/c # b\nx: 1") == {
        "state": ["a", "b/c"],
        "x": 1,
    }
    assert plain_yaml.load("exclude: []") == {"exclude": []}
    assert plain_yaml.load("") is None
    assert plain_yaml.load("# nothing\n") is None


@pytest.mark.parametrize(
    "text", ["a:\n  - b: c", "a: [[b]]", "a:", "backups:\n  keep: 5", "a: 'b'", "a: null", "a"]
)
def test_more_than_plain_lines_is_an_error(text: str) -> None:
    with pytest.raises(plain_yaml.YAMLError):
        plain_yaml.load(text)
