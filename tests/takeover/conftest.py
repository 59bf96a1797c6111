import pytest

from command_line import Project


@pytest.fixture
def project(folder):
    """An empty project, with an empty home beside it."""
    home = folder / "home"
    home.mkdir()
    return Project(folder / "project", home)
