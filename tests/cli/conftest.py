import pytest

from command_line import Project


@pytest.fixture
def tmp_path(folder):
    """A temporary folder, in memory where that is possible."""
    return folder


@pytest.fixture
def project(tmp_path):
    """An empty project, with an empty home beside it."""
    home = tmp_path / "home"
    home.mkdir()
    return Project(tmp_path / "project", home)
