"""Lets the tests import the package from ``scripts/``, as the launcher does."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

pytest.register_assert_rewrite("project")

from project import Project  # noqa: E402  (it needs the lines above)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with an empty ``.claude/``."""
    return Project(tmp_path / "project")
