"""The tree that nobody here wrote: `.claude/` of the npm package claude-flow, fetched once."""

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import pytest

PACKAGE = "claude-flow@3.43.0"
TARBALL = "claude-flow-3.43.0.tgz"


@pytest.fixture(scope="session")
def claude_flow(tmp_path_factory):
    """The package's `.claude/` as it was published; not to be changed."""
    folder = tmp_path_factory.mktemp("claude-flow")
    with tarfile.open(_tarball()) as archive:
        members = [member for member in archive if member.name.startswith("package/.claude/")]
        archive.extractall(folder, members, filter="data")
    return folder / "package/.claude"


def _tarball() -> Path:
    cache = _cache()
    tarball = cache / TARBALL
    if tarball.exists():
        return tarball
    npm = shutil.which("npm")
    if npm is None:
        _unavailable("there is no npm")
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        done = subprocess.run(
            [npm, "pack", PACKAGE, "--pack-destination", folder],
            cwd=folder,
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            said = [line for line in done.stderr.splitlines() if "complete log" not in line]
            _unavailable(f"npm cannot fetch {PACKAGE}: {said[-1] if said else 'no reason given'}")
        # Whole or not at all: tests may run in several processes.
        os.replace(Path(folder, TARBALL), tarball)
    return tarball


def _cache() -> Path:
    name = "plugin-migrate-tests"
    for folder in Path(sys.executable).parents:
        if folder.name == name:  # under Wine, where the home is another one
            return folder
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / name


def _unavailable(reason: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(f"the real tree is needed in CI, and {reason}")
    pytest.skip(reason)
