"""Each way of installing in a shell that README.md shows works, with an empty home and no cache."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import plugin_migrate
from launcher_tree import ROOT

BIN = Path(sys.executable).parent
BLOCK = re.search(r"^```sh\n(uvx .*?)^```$", (ROOT / "README.md").read_text(), re.M | re.S)[1]
WAYS = {line.split()[0]: line for line in BLOCK.splitlines()}
UNNEEDED = shutil.ignore_patterns(".git", "__pycache__", ".*_cache", ".hypothesis", "tests")
VERSION = f"plugin-migrate {plugin_migrate.__version__}\n"

pytestmark = pytest.mark.slow


@pytest.fixture
def shell(tmp_path):
    """A function that runs a command in the folder that holds the clone."""
    shutil.copytree(ROOT, tmp_path / "plugin-migrate", ignore=UNNEEDED)
    programs = tmp_path / "bin"
    programs.mkdir()
    unwanted = ("XDG_", "PIPX_", "PYTHON", "VIRTUAL_ENV", "UV_CACHE", "PIP_CACHE")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(unwanted)}
    environment = kept | {
        "PATH": f"{programs}:{kept['PATH']}",
        "HOME": str(tmp_path / "home"),
        "UV_PYTHON": os.path.realpath(sys._base_executable),
    }

    def run(command):
        done = subprocess.run(
            command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    (programs / "uvx").symlink_to(BIN / "uvx")
    (programs / "pipx").write_text('#!/bin/sh\nexec uvx --quiet pipx "$@"\n')
    (programs / "pipx").chmod(0o755)
    try:
        run(f"{shlex.quote(str(BIN / 'uv'))} venv --quiet --seed venv")
    except AssertionError as error:
        pytest.skip(f"no package index here: {error}")
    for name in ("pip", "plugin-migrate"):  # as in an active environment
        (programs / name).symlink_to(tmp_path / "venv/bin" / name)
    return run


def test_three_ways_are_shown():
    assert list(WAYS) == ["uvx", "pipx", "pip"]


def test_uvx_runs_it_without_installing(shell):
    assert shell(WAYS["uvx"]) == VERSION


def test_pipx_installs_it(shell):
    shell(WAYS["pipx"])
    assert shell('"$HOME/.local/bin/plugin-migrate" --version') == VERSION


def test_pip_installs_it_and_every_link_of_its_page_leads_somewhere(shell, tmp_path):
    shell(WAYS["pip"])
    assert shell("plugin-migrate --version") == VERSION
    (metadata,) = (tmp_path / "venv").glob("lib/*/site-packages/plugin_migrate-*/METADATA")
    text = metadata.read_text()
    assert "## Your first migration, in five minutes" in text
    assert re.findall(r"\]\(([^)]+)", text) == ["https://docs.astral.sh/uv/"]
