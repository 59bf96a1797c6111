"""The client if it is installed, a home and a project for it, and no way to the network."""

import os
import subprocess
from pathlib import Path

import pytest

from claude_code import installation
from claude_code.client import LAUNCHER, Client
from claude_code.messages_api import serving
from command_line import Project

_MISSING = (
    f"Claude Code {installation.VERSION} is not installed here"
    " (python tests/claude_code/installation.py installs it)"
)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    """Say in one line, not in one for each test, that the client is missing."""
    report = yield
    if report.skipped and _MISSING in str(report.longrepr):
        report.longrepr = (os.path.relpath(__file__), None, f"Skipped: {_MISSING}")
    return report


@pytest.fixture(scope="session")
def binary() -> Path:
    """The client's program."""
    found = installation.binary()
    if found is None:
        pytest.skip(_MISSING)
    return found


@pytest.fixture(scope="session")
def cache() -> Path:
    """Where the launcher's Python environment is; the first run ever makes it."""
    named = os.environ.get("PLUGIN_MIGRATE_CACHE")
    folder = Path(named) if named else installation.USER_CACHE / "plugin-migrate"
    variables = os.environ | {"PLUGIN_MIGRATE_CACHE": str(folder)}
    done = subprocess.run([LAUNCHER, "--version"], env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def client(binary, cache, folder) -> Client:
    """The real client, and a home with nothing in it."""
    with serving() as api:
        yield Client(binary, folder / "home", api, cache)
        assert api.strays == []  # not even tried


@pytest.fixture
def project(folder) -> Project:
    """A project on which tests also call the command line themselves."""
    (folder / "no home").mkdir()
    return Project(folder / "project", folder / "no home")
