"""The skill and its reference of `ctx` tell the truth."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from launcher_tree import ROOT
from plugin_migrate.cli.arguments import make_parser
from plugin_migrate.sandbox.context import Context
from project import Project

SKILL = ROOT / "skills/writing-migrations/SKILL.md"
REFERENCE = SKILL.with_name("ctx.md")
LAUNCHER = '"${CLAUDE_PLUGIN_ROOT}/scripts/plugin-migrate"'

# What the engine uses of the context, and is nothing for authors.
INTERNAL = {
    *("bring_database", "database_in", "side_databases", "close_databases", "kept_processes"),
    "workspace",
    "show_progress",
}


def blocks(document: Path, language: str) -> list[str]:
    text = document.read_text(encoding="utf-8")
    found = re.findall(r"^( *)```(\w*)\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
    return [
        re.sub(f"^{indentation}", "", body, flags=re.MULTILINE)
        for indentation, of, body in found
        if of == language
    ]


def public(context: Context) -> set[str]:
    return {name for name in dir(context) if not name.startswith("_")} - INTERNAL


def test_the_front_matter_has_what_the_client_reads() -> None:
    front_matter = SKILL.read_text(encoding="utf-8").split("---\n")[1]
    fields = yaml.safe_load(front_matter)
    assert sorted(fields) == ["description", "name"]
    assert fields["name"] == SKILL.parent.name
    assert len(fields["description"]) <= 1024


def test_the_reference_names_all_that_ctx_has_and_nothing_else(project: Project) -> None:
    project.make_ledger()
    with project.connect() as connection:
        offered = public(Context(connection, project.workspace()))
    named = set(re.findall(r"^\| `ctx\.(\w+)", REFERENCE.read_text(encoding="utf-8"), re.MULTILINE))
    assert named == offered


@pytest.mark.parametrize("document", [SKILL, REFERENCE])
def test_nothing_else_of_ctx_is_mentioned(document: Path, project: Project) -> None:
    project.make_ledger()
    with project.connect() as connection:
        offered = public(Context(connection, project.workspace()))
    mentioned = set(re.findall(r"\bctx\.(\w+)", document.read_text(encoding="utf-8")))
    assert mentioned - {"md"} <= offered


def test_every_command_shown_can_be_given() -> None:
    shown = [line for block in blocks(SKILL, "") for line in block.splitlines()]
    assert len(shown) >= 4
    for line in shown:
        launcher, _, call = line.partition(" ")
        assert launcher == LAUNCHER
        make_parser().parse_args(shlex.split(call))


def test_every_template_and_language_named_exists() -> None:
    text = SKILL.read_text(encoding="utf-8")
    for template in re.findall(r"`(\w+)`", text.partition("`--template` is")[2].partition(".")[0]):
        make_parser().parse_args(["create", "x", f"--template={template}"])


def test_verify_comes_before_upgrade_and_the_user_is_asked() -> None:
    text = SKILL.read_text(encoding="utf-8")
    calls = re.findall(rf"{re.escape(LAUNCHER)} (\w+)", text)
    assert calls.index("verify") < calls.index("upgrade")
    assert "Ask the user before applying" in text


def test_the_examples_work_and_can_be_taken_back(project: Project) -> None:
    settings = '{"model": "opus", "todo": ["write tests"]}'
    project.write("settings.json", settings)
    agent = "---\nname: a\nallowed-tools: Read # only\n---\nBody\n"
    project.write("agents/a.md", agent)
    for number, text in enumerate(blocks(REFERENCE, "python")):
        project.write(f"core/versioning/migrations/1.{number}.0-example.py", text)
    verified = project.cli("verify")
    assert verified.returncode == 0, verified.stdout
    assert "clean" in verified.stdout
    project.upgrade()
    assert project.query("SELECT title FROM todo") == [("write tests",)]
    assert "tools: Read # only" in project.read("agents/a.md")
    project.downgrade()
    assert project.read("settings.json") == settings
    assert project.read("agents/a.md") == agent
