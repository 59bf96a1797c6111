"""Lets the tests import the package from ``scripts/``, as the launcher does."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

pytest.register_assert_rewrite("project", "random_trees")

from plugin_migrate.platform.moving import discard  # noqa: E402
from project import Project  # noqa: E402  (it needs the lines above)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A temporary folder, in memory where that is possible: waiting for a disk proves nothing."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    path = Path(tempfile.mkdtemp(prefix="plugin-migrate-", dir=memory)).resolve()
    yield path
    discard(str(path))


# How long a test takes says more about the machine than about the code.
settings.register_profile("plugin-migrate", deadline=None)
settings.load_profile("plugin-migrate")


@pytest.fixture
def project(folder: Path) -> Project:
    """A project with an empty ``.claude/``."""
    return Project(folder / "project")


@pytest.fixture
def git(folder: Path) -> Callable[..., str]:
    """A function that runs git as somebody whose own settings do not matter."""
    program = shutil.which("git")
    if program is None:
        pytest.skip("no git here")
    variables = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "GIT_CONFIG_NOSYSTEM": "1",
        **{f"GIT_{who}_NAME": "A" for who in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{who}_EMAIL": "a@example.org" for who in ("AUTHOR", "COMMITTER")},
    }

    def run(*arguments: object, cwd: Path) -> str:
        done = subprocess.run(
            [program, *map(str, arguments)], cwd=cwd, env=variables, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
