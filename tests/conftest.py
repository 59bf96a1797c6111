"""Lets the tests import the package from ``scripts/``, as the launcher does."""

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

pytest.register_assert_rewrite("project", "random_trees")

from plugin_migrate.tree import discard  # noqa: E402
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
