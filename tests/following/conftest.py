"""A team that shares a project by git."""

from pathlib import Path

import pytest

from people import Git, Team


@pytest.fixture
def team(folder: Path, git: Git) -> Team:
    """Alice's clone, with a migration that is not applied yet."""
    return Team(folder, git)
