"""docs/troubleshooting.md quotes messages that exist, and proposes commands that can be given."""

import ast
import re
import shlex

import pytest

from launcher_tree import ROOT, SCRIPTS
from plugin_migrate.cli.arguments import make_parser

TEXT = (ROOT / "docs/troubleshooting.md").read_text()
QUOTED = re.findall(r"^### `(.*)`$", TEXT, re.MULTILINE)


def in_python(file):
    """Yield the texts of a module, with … where values are put in."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            yield "".join(
                part.value if isinstance(part, ast.Constant) else "…" for part in node.values
            )


MESSAGES = {text for file in SCRIPTS.rglob("*.py") for text in in_python(file)}
IN_SHELL = (SCRIPTS / "environment.sh").read_text()


@pytest.mark.parametrize("message", QUOTED)
def test_every_message_exists(message):
    assert message in MESSAGES or f"'{message}'" in IN_SHELL


def test_no_message_is_explained_twice():
    assert len(QUOTED) == len(set(QUOTED)) >= 40


def test_every_command_named_can_be_given():
    prose = re.sub(r"^### .*$", "", TEXT, flags=re.MULTILINE)
    named = set(re.findall(r"`plugin-migrate ([^`]+)`", prose))
    assert len(named) >= 8
    for call in named:
        words = [word.replace("X.Y.Z", "1.0.0") for word in shlex.split(call) if word != "..."]
        make_parser().parse_args(words)
