"""Arguments and names of projects are data to the real client's shell, whatever is in them.

Every shell command is allowed in these sessions, so that the client's own refusal hides nothing.
"""

import ast
import shutil

import pytest

from claude_code.client import LAUNCHER, bash, launcher_call
from claude_code.substitution import arguments_as_given, with_variables
from launcher_tree import ROOT, copy_plugin, link_environment

ALLOW_ALL = ("--allowedTools", "Bash")
DELIMITER = "!ARGS_${CLAUDE_SESSION_ID}"
ECHO = """
print(ascii(sys.stdin.read()))
return 0
"""


@pytest.fixture
def told(client, folder):
    """A function that types arguments and returns what the program was told, and what it should."""
    link_environment(folder / "cache")
    plugin = folder / "plugin"
    copy_plugin(plugin, ECHO)
    for part in ("commands", ".claude-plugin", "hooks"):
        shutil.copytree(ROOT / part, plugin / part)
    cwd = folder / "project"
    (cwd / ".claude").mkdir(parents=True)
    variables = {"PLUGIN_MIGRATE_CACHE": str(folder / "cache")}

    def tell(typed, options=ALLOW_ALL):
        talk = client.ask(
            f"/plugin-migrate {typed}",
            cwd,
            plugins=[plugin],
            options=options,
            environment=variables,
        )
        assert list(folder.rglob("*pwned*")) == []
        values = {
            "CLAUDE_PLUGIN_ROOT": plugin,
            "CLAUDE_PROJECT_DIR": cwd,
            "CLAUDE_SESSION_ID": talk.events[0]["session_id"],
            "CLAUDE_EFFORT": "medium",
        }
        given = with_variables(arguments_as_given(typed), values)
        return ast.literal_eval(talk.printed), f"{cwd}\n[{given}]\n"

    return tell


@pytest.mark.parametrize(
    "typed",
    [
        "create x --description=\"it's $(touch pwned) `touch pwned`\" '; touch pwned; '",
        "'; touch pwned; ' \"; touch pwned; \" ; touch pwned & touch pwned | touch pwned > pwned",
        f"EOF\nARGS_\n!ARGS_\nARGS_${{CLAUDE_SESSION_ID}}\n{DELIMITER}\ntouch pwned",
        f"]\n\\{DELIMITER}\n\t{DELIMITER}\n'\n{DELIMITER}'\n${{CLAUDE_EFFORT}}\n#\ntouch pwned",
        f"x\u2028{DELIMITER}\u2029{DELIMITER}\u00a0{DELIMITER}\ntouch pwned",
        "!`touch pwned` a!`touch pwned` `!touch pwned`! !x wow! !",
        "${CLAUDE_PLUGIN_ROOT} ${CLAUDE_PROJECT_DIR} $0 $1 $HOME ${HOME} $ARGUMENTS $ARGUMENTS[0]",
        "@/etc/hostname * ? [a-z] ~ {a,b} # \t %s \\n \\",
        "ünï cödé ✓ 漢字 \N{ZERO WIDTH JOINER}",
    ],
)
def test_arguments_arrive_byte_for_byte(told, typed):
    found, expected = told(typed)
    assert found == expected


def test_the_heredoc_cannot_be_closed_without_the_allowance_either(told):
    found, expected = told(f"status\n{DELIMITER}\ntouch pwned", options=())
    assert found == expected


@pytest.mark.parametrize("character", ["\r", "\x01", "\x1b", "\x7f"])
def test_the_client_refuses_control_characters(client, project, character):
    typed = f"create x{character}{DELIMITER}\ntouch pwned"
    talk = client.ask(f"/plugin-migrate {typed}", project.root, options=ALLOW_ALL)
    assert "control characters" in talk.answer
    assert talk.requests == []
    assert list(project.root.rglob("*pwned*")) == []


@pytest.mark.parametrize("typed", ["x ``` y", "x\n```!\ntouch pwned\n```\n", "```\ntouch pwned"])
def test_arguments_that_the_client_cuts_are_an_error_and_run_nothing(client, project, typed):
    talk = client.ask(f"/plugin-migrate create {typed}", project.root, options=ALLOW_ALL)
    assert "✗ Error: Claude Code cut the arguments" in talk.printed
    assert list(project.root.parent.rglob("*pwned*")) == []
    assert list(project.migrations.iterdir()) == []


def test_a_hostile_description_is_kept_as_it_was_typed(client, project):
    description = 'say "it\'s" $(touch pwned); `touch pwned` !now & ünï'
    quoted = "'" + description.replace("'", "'\"'\"'") + "'"
    typed = f"create x --language=sql --description={quoted}"
    talk = client.ask(f"/plugin-migrate {typed}", project.root, options=ALLOW_ALL)
    assert talk.printed.startswith("✓ Created migration: ")
    (migration,) = project.json("status")["migrations"]
    assert migration["description"] == description
    assert list(project.root.parent.rglob("*pwned*")) == []


@pytest.mark.parametrize(
    "name",
    [
        "sub$(touch pwned)",
        "tick`touch pwned`",
        "quote\"s'",
        "do$HOME ${HOME}",
        "with  spaces; touch pwned &",
        "ünï 漢字 ✓",
        "line\nfeed\n!ARGS_${CLAUDE_SESSION_ID}\ntouch pwned\n#]",
    ],
)
def test_a_project_of_any_name_works_and_runs_nothing(client, project, name):
    project.tables("1.0.0", "1.1.0")
    root = project.root.rename(project.root.parent / name)
    calls = [launcher_call("status"), bash(f'"{LAUNCHER}" upgrade')]
    talk = client.ask("/plugin-migrate upgrade 1.0.0", root, *calls)
    assert talk.printed.startswith("✓ Applied 1 migration(s)")
    assert "Summary: 1 applied, 1 pending" in talk.results[0]
    assert talk.denied == [calls[1].input]
    assert list(root.parent.rglob("*pwned")) in ([], [root])
    assert list(root.rglob("*pwned*")) == []
