"""README.md and docs/ tell the truth: what they show is run here, and compared with what they say.

A ``console`` block holds commands after ``$`` and their output, an ``sh`` block commands alone; a
block with a path after its language is a file. The blocks of one document belong together.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from launcher_tree import ROOT, pins
from plugin_migrate.cli import main
from plugin_migrate.cli.arguments import COMMANDS, make_parser
from plugin_migrate.lint import CODES
from plugin_migrate.settings import Config, read_config

README = ROOT / "README.md"
SETTINGS = ROOT / "docs/settings.md"
MIGRATIONS = ROOT / "docs/migrations.md"
DOCUMENTS = [README, *sorted((ROOT / "docs").glob("*.md"))]

# What is run elsewhere, in test_installing.py: it needs a package index.
NOT_RUN = {
    "uvx --from ./plugin-migrate plugin-migrate --version",
    "pipx install ./plugin-migrate",
    "pip install ./plugin-migrate",
}
VOLATILE = [
    (re.compile(r"\bin \d+\.\ds$", re.MULTILINE), "in a moment"),
    (re.compile(r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\b"), "2026-01-01 00:00:00"),
    (re.compile(r"│ [0-9a-f]{12} │$", re.MULTILINE), "│ 0123456789ab │"),
    (re.compile(r"\b\d{8}-\d{6}-"), "20260101-000000-"),
]
TOOK = re.compile(r"│ \d+ ms +│")


@dataclass(frozen=True)
class Block:
    language: str
    path: str
    text: str


def blocks(document):
    found = re.findall(r"^```(\w*)(?: (\S+))?\n(.*?)^```$", document.read_text(), re.M | re.S)
    return [Block(*groups) for groups in found]


def commands(block):
    """Return the pairs of a command and the output it shows, `None` where none is shown."""
    if block.language == "sh":
        return [(line, None) for line in block.text.splitlines()]
    parts = re.split(r"^\$ (.*)\n", block.text, flags=re.MULTILINE)
    assert parts[0] == "", "a console block begins with a command"
    return list(zip(parts[1::2], parts[2::2], strict=True))


def table_rows(document, header):
    """Return the cells of the table that has `header` as its first cell."""
    lines = document.read_text().split(f"\n| {header} |", 1)[1].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


@pytest.fixture
def shell(tmp_path):
    """A function that runs a command as a reader would, in a clone, one after the other."""
    clone = tmp_path / "a clone"
    clone.mkdir()
    for name in ("scripts", "migrations"):
        (clone / name).symlink_to(ROOT / name)
    tracked = clone / "examples/agent-team"
    shutil.copytree(ROOT / "examples/agent-team/.claude/core", tracked / ".claude/core")
    # The environment that the launcher would make: it is the one these tests run in.
    made = tmp_path / "cache" / "+".join(p.replace("==", "-") for p in pins("requirements.txt"))
    (made / "bin").mkdir(parents=True)
    (made / "bin/python").symlink_to(sys.executable)
    (made / "lib").symlink_to(Path(sys.prefix, "lib"))
    (made / "ready").touch()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/plugin-migrate").symlink_to(ROOT / "scripts/plugin-migrate")
    environment = {
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "PLUGIN_MIGRATE_CACHE": str(tmp_path / "cache"),
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_COUNT": "2",
        "GIT_CONFIG_KEY_0": "user.name",
        "GIT_CONFIG_VALUE_0": "A reader",
        "GIT_CONFIG_KEY_1": "user.email",
        "GIT_CONFIG_VALUE_1": "reader@example.org",
    }
    folder = tmp_path / "folder"
    folder.write_text(str(clone))

    def run(command):
        done = subprocess.run(
            ["sh", "-c", f'{command}\ncode=$?; pwd >"$0"; exit $code', str(folder)],
            cwd=run.folder(),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return done.returncode, done.stdout

    run.folder = lambda: Path(folder.read_text().rstrip("\n"))
    return run


def steady(text):
    """Return a text without what is another in every run."""
    for pattern, replacement in VOLATILE:
        text = pattern.sub(replacement, text)
    # How long it took also says how wide its column is, in the rules and the heading.
    if TOOK.search(text):
        text = re.sub(r"─+", "─", TOOK.sub("│ 1 ms │", text))
        text = re.sub(r"(│ Took) +│", r"\1 │", text)
    return text


def read_aloud(document, shell):
    """Run and write everything that the document shows, in its order."""
    for block in blocks(document):
        if block.path:
            file = shell.folder() / block.path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text)
        elif block.language in ("console", "sh"):
            for command, output in commands(block):
                if command in NOT_RUN:
                    continue
                code, printed = shell(command)
                assert code == (1 if "✗ Error" in (output or "") else 0), printed
                if output is not None:
                    assert steady(printed) == steady(output)


def test_every_block_is_of_a_kind_that_is_tested():
    kinds = {block.language for document in DOCUMENTS for block in blocks(document)}
    # What is shown in TypeScript is tested in languages/test_typescript_rehearsed.py.
    assert kinds <= {"console", "sh", "python", "sql", "typescript", "yaml", "text"}
    for document in DOCUMENTS:
        assert document.read_text().count("```") == 2 * len(blocks(document))
        for block in blocks(document):
            assert block.path or block.language in ("console", "sh", "text", "typescript")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_documents_show_what_really_happens(document, shell):
    if document == MIGRATIONS:
        (shell.folder() / ".claude/agents").mkdir(parents=True)
        (shell.folder() / ".claude/agents/one.md").write_text("---\nname: one\n---\n")
    read_aloud(document, shell)


def test_exceptions_are_all_needed():
    shown = {
        command
        for document in DOCUMENTS
        for block in blocks(document)
        if block.language in ("console", "sh")
        for command, _ in commands(block)
    }
    assert shown >= NOT_RUN


def test_what_is_typed_in_claude_code_names_this_plugin():
    typed = [block.text for block in blocks(README) if block.language == "text"]
    marketplace = json.loads((ROOT / ".claude-plugin/marketplace.json").read_text())
    plugin = json.loads((ROOT / ".claude-plugin/plugin.json").read_text())
    install = f"/plugin install {plugin['name']}@{marketplace['name']}"
    assert typed == [f"/plugin marketplace add ./path/to/plugin-migrate\n{install}\n"]


def test_command_table_lists_every_command_with_its_argument():
    (subparsers,) = [
        action
        for action in make_parser()._actions
        if isinstance(action, argparse._SubParsersAction)
    ]
    shown = [row[0].strip("`").replace("\\|", "|") for row in table_rows(README, "command")]
    assert {text.split()[0] for text in shown} == {command.name for command in COMMANDS}
    for text in shown:
        name, _, argument = text.partition(" ")
        usage = subparsers.choices[name].format_usage()
        assert argument in usage


def test_settings_are_all_shown_with_their_defaults(tmp_path):
    (block,) = [block for block in blocks(SETTINGS) if block.language == "yaml"]
    file = tmp_path / "plugin-migrate.yaml"
    file.write_text(block.text)
    shown = read_config(str(file))
    assert shown == Config(
        database=".claude/orchestration/db/orchestration.db",
        migrations=".claude/core/versioning/migrations",
    )
    keys = {line.split(":")[0].strip() for line in block.text.splitlines()}
    renamed = {
        "backups_keep": "keep",
        "ways_back_keep": "ways_back",
        "ways_back_megabytes": "megabytes",
    }
    # What only a plugin's opt-in file may have is explained where that is.
    fields = set(Config._fields) - {"scope"}
    assert {renamed.get(name, name) for name in fields} == keys - {"backups"}


def test_the_reference_lists_every_finding_of_the_lint():
    listed = [
        code
        for row in table_rows(MIGRATIONS, "finding")
        for code in re.findall(r"`([^`]+)`", row[0])
    ]
    assert sorted(listed) == sorted(CODES)


REFUSED = [
    code
    for row in table_rows(MIGRATIONS, "not in a migration")
    for code in re.findall(r"`([^`]+)`", row[0])
]


@pytest.mark.parametrize("code", REFUSED)
def test_what_the_reference_calls_refused_is_refused(code, tmp_path, capsys):
    claude = tmp_path / ".claude"
    folder = claude / "core/versioning/migrations"
    folder.mkdir(parents=True)
    (claude / "settings.json").write_text("{}")
    if re.match(r"[A-Z]+\b", code):
        (folder / "1.0.0-refused.sql").write_text(f"CREATE TABLE t (x);\n{code};\n")
    else:
        imports = "import os, sqlite3\nfrom pathlib import Path"
        live = f"live = Path({str(claude)!r})"
        (folder / "1.0.0-refused.py").write_text(f"{imports}\n{live}\n\ndef up(ctx):\n    {code}\n")
    assert main.main(["--project", str(tmp_path), "upgrade", "--format=json"]) == 1
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["code"] in ("forbidden_statement", "migration_failed")
    assert not re.match(r"\w*(Name|Attribute|Type)Error|near ", error["message"])
    assert (claude / "settings.json").read_text() == "{}"
    assert {path.name for path in claude.iterdir()} <= {
        "core",
        "settings.json",
        "orchestration",
        ".plugin-migrate",
    }
