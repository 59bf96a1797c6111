"""The slash command: what Claude Code reads of it, and what its block does with hostile text."""

import re
import shutil
import subprocess

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from claude_code.substitution import arguments_as_given, with_arguments, with_variables
from launcher_tree import ROOT, copy_plugin, link_environment

TEXT = (ROOT / "commands/plugin-migrate.md").read_text()
FRONT_MATTER, BODY = re.fullmatch(r"---\n(.*?)---\n(.*)", TEXT, re.DOTALL).groups()
BLOCK = re.search(r"^```!\n(.*?)^```$", BODY, re.DOTALL | re.MULTILINE)[1]

VALUES = {"CLAUDE_SESSION_ID": "0b5c1a6e-6d4f-4a59-8f0e-3d2b8f1c7a90"}
HOSTILE = [
    "",
    "upgrade 1.2.0 --dry-run",
    'create x --description="it\'s $(touch pwned) `touch pwned`"',
    "'; touch pwned; '",
    '"; touch pwned; "',
    "$(touch pwned)`touch pwned`${HOME}$HOME",
    "a & touch pwned && touch pwned | touch pwned > pwned",
    "one\nEOF\n!ARGS_\n!ARGS_${CLAUDE_SESSION_ID}\ntouch pwned",
    "]\n!ARGS_\n[",
    "back\\slash\\\nat the end\\",
    "* ? [a-z] ~ {a,b} !! # \t %s \\n\r\n",
    "ünï cödé ✓ 漢字 \N{ZERO WIDTH JOINER}",
    "\x01\x1b[31m\x7f",
]


def test_claude_may_only_read_unasked():
    rules = yaml.safe_load(FRONT_MATTER)["allowed-tools"].split(", ")
    launcher = '"${CLAUDE_PLUGIN_ROOT}/scripts/plugin-migrate"'
    allowed = ["--slash", "status", "history", "check", "show", "verify --lint-only"]
    assert rules == [f"Bash({launcher} {subcommand} *)" for subcommand in allowed]


def test_the_command_is_for_the_user_to_type():
    assert yaml.safe_load(FRONT_MATTER)["disable-model-invocation"] is True


def test_block_is_the_tested_one():
    assert BLOCK == (
        '"${CLAUDE_PLUGIN_ROOT}/scripts/plugin-migrate" --slash ${CLAUDE_SESSION_ID}'
        " <<'!ARGS_${CLAUDE_SESSION_ID}'\n"
        "${CLAUDE_PROJECT_DIR}\n"
        "[$ARGUMENTS]\n"
        "!ARGS_${CLAUDE_SESSION_ID}\n"
    )


def test_nothing_else_in_the_text_is_run_or_replaced_by_the_client():
    rest = BODY.replace(BLOCK, "")
    assert rest.count("!`") == 0
    assert rest.count("```!") == 1
    assert not re.search(r"\$(ARGUMENTS|\d)", rest)
    assert set(re.findall(r"\$\{(\w+)\}", rest)) == {"CLAUDE_PLUGIN_ROOT"}


@pytest.fixture(scope="module")
def dispatch(tmp_path_factory):
    """A function that runs the block as the client does and returns what the program was given."""
    folder = tmp_path_factory.mktemp("dispatch")
    link_environment(folder / "cache")
    program = f"""
open({str(folder / "argv")!r}, "w").write(repr(sys.argv[1:]))
open({str(folder / "stdin")!r}, "wb").write(sys.stdin.buffer.read())
print("done")
return 0
"""
    copy_plugin(folder / "plug in", program)
    (folder / "cwd").mkdir()

    def run(shell, arguments, project):
        values = VALUES | {"CLAUDE_PLUGIN_ROOT": f"{folder}/plug in", "CLAUDE_PROJECT_DIR": project}
        script = with_variables(with_arguments(BLOCK, arguments), values)
        done = subprocess.run(
            [shell, "-c", script],
            cwd=folder / "cwd",
            env={"PATH": "/usr/bin:/bin", "PLUGIN_MIGRATE_CACHE": str(folder / "cache")},
            stdin=subprocess.DEVNULL,
            capture_output=True,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, b"done\n", b"")
        assert list((folder / "cwd").iterdir()) == []
        assert (folder / "argv").read_text() == repr(["--slash", VALUES["CLAUDE_SESSION_ID"]])
        return (folder / "stdin").read_bytes()

    return run


def expected(arguments, project):
    given = with_variables(arguments_as_given(arguments), VALUES | {"CLAUDE_PROJECT_DIR": project})
    return f"{project}\n[{given}]\n".encode()


@pytest.mark.parametrize("shell", ["sh", "bash", "dash", "zsh"])
def test_hostile_text_arrives_byte_for_byte_and_runs_nothing(dispatch, shell):
    if not shutil.which(shell):
        pytest.skip(f"no {shell} here")
    for text in HOSTILE:
        assert dispatch(shell, text, "/home/me/project") == expected(text, "/home/me/project")
        project = "/home/me/" + text.replace("\n", " ")
        assert dispatch(shell, "status", project) == expected("status", project)


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
@example("!ARGS_${CLAUDE_SESSION_ID}")
@example("x\n!ARGS_${CLAUDE_SESSION_ID}\ntouch pwned")
@settings(max_examples=60, deadline=None)
def test_any_text_arrives_byte_for_byte(dispatch, text):
    assert dispatch("bash", text, "/p") == expected(text, "/p")
