"""What `outline.py` reads without argparse is what argparse reads."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from plugin_migrate.arguments import _COMMANDS, make_parser, parse
from plugin_migrate.errors import UsageError

WORDS = st.sampled_from(
    [
        "1.2.0", "3", "status", "", "a b", "a=b", "-", "--", "-1", "-v", "table", "json", "é",
    ]
)  # fmt: skip
OPTIONS = st.sampled_from(
    sorted(
        {
            name
            for command in (make_parser()._actions[-1].choices or {}).values()
            for action in command._actions
            for name in action.option_strings
            if name not in ("-h", "--help")
        }
        | {"--nonsense", "--form", "--help=x"}
    )
)
ARGUMENTS = st.lists(
    st.one_of(WORDS, OPTIONS, st.builds("{}={}".format, OPTIONS, WORDS)), max_size=5
)


def outcome(read, *arguments):
    """Return the options, or what is wrong with them."""
    try:
        return vars(read(*arguments))
    except UsageError as error:
        return error.message
    except SystemExit:
        return "the version"


@given(ARGUMENTS, st.sampled_from(sorted(_COMMANDS)), ARGUMENTS)
@example([], "status", [])
@example(["--project", "status"], "check", [])
@example(["--project=x"], "status", ["--project", "y", "--format=json"])
@example([], "upgrade", ["--strict", "1.0.0", "--no-backup"])
@example([], "upgrade", ["--dry-run", "--preview"])
@example([], "repair", ["1.0.0", "--applied", "1.1.0"])
@example([], "repair", ["--keep-live", "--pending"])
@example([], "create", ["x", "--version", "1.0.0", "--version=2.0.0"])
@example([], "history", ["--limit", "0"])
@example(["--lock-timeout=-1"], "upgrade", [])
def test_every_command_line_means_what_it_means_to_argparse(before, command, after):
    arguments = [*before, command, *after]
    seeming = next(word for word in arguments if word in _COMMANDS)
    expected = outcome(make_parser().parse_args, arguments)
    assert outcome(parse, arguments, seeming) == expected


@pytest.mark.parametrize(
    "arguments",
    [
        *([command] for command in sorted(set(_COMMANDS) - {"create", "baseline"})),
        ["--project", "x", "status", "--format=json", "--pending-only"],
        ["upgrade", "1.2.0", "--no-backup", "--lock-timeout", "3"],
        ["repair", "1.0.0", "1.1.0"],
    ],
    ids=" ".join,
)
def test_an_ordinary_command_line_needs_no_argparse(arguments, monkeypatch):
    expected = outcome(make_parser().parse_args, arguments)
    monkeypatch.delattr("plugin_migrate.arguments.make_parser")
    command = next(word for word in arguments if word in _COMMANDS)
    assert outcome(parse, arguments, command) == expected
