"""The picture in README.md is what a terminal shows of the README's own example.

``PLUGIN_MIGRATE_STORE_SCREENS=1 scripts/test tests/screens`` draws it again.
"""

import json
import os
import re
import shutil
import subprocess

import pytest

from command_line import Project
from launcher_tree import ROOT
from screens.picture import svg
from screens.screen import Screen, call

PICTURE = ROOT / "docs/terminal.svg"
COLUMNS = 98
COMMANDS = ("upgrade --preview", "upgrade", "status")
SETTINGS = {"model": "opus", "todo": ["write tests", "cut a release"]}


def example() -> tuple[str, str]:
    """Return the path and the text of the migration that README.md writes."""
    return re.search(
        r"^```python (\S+)\n(.*?)^```$", (ROOT / "README.md").read_text(), re.M | re.S
    ).groups()


@pytest.fixture
def project(folder):
    """The project of README.md, just before its first upgrade."""
    (folder / "home").mkdir()
    project = Project(folder / "demo", folder / "home")
    project.write("settings.json", json.dumps(SETTINGS) + "\n")
    path, text = example()
    file = project.root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return project


def settled(seen: str) -> str:
    """Return a screen without what is another in every run."""
    seen = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "2026-11-22 17:02:11", seen)
    seen = re.sub(r"\(\d+ ms\)", "(5 ms)", seen)
    return re.sub(r"in \d+\.\ds$", "in 0.1s", seen, flags=re.MULTILINE)


def test_the_picture_shows_what_a_terminal_shows(project, folder):
    if shutil.which("tmux") is None:
        pytest.skip("no tmux here")
    prompts = [
        f"printf '\\033[32m$\\033[m \\033[1mplugin-migrate {command}\\033[m\\n'; {call(command)}"
        for command in COMMANDS
    ]
    screen = Screen(folder, COLUMNS, 60, project.environment)
    try:
        screen.start("; echo; ".join(prompts), project.root)
        screen.tmux("wait-for", "over")
        seen = screen.painted()
    finally:
        subprocess.run(["tmux", "-S", screen.socket, "kill-server"], capture_output=True)
    drawn = svg(settled(seen), COLUMNS, "plugin-migrate: preview, upgrade and status in a terminal")
    if os.environ.get("PLUGIN_MIGRATE_STORE_SCREENS"):
        PICTURE.write_text(drawn)
    assert drawn == PICTURE.read_text()
