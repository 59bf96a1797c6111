"""Lets the tests import the package from ``scripts/``, as the launcher does."""

import gc
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

pytest.register_assert_rewrite("project", "random_trees")

from plugin_migrate.platform.moving import discard  # noqa: E402
from project import Project  # noqa: E402  (it needs the lines above)
from windows import stand_ins  # noqa: E402
from windows.posix_only import reason_for  # noqa: E402

if sys.platform == "win32":
    stand_ins.install()

TESTS = Path(__file__).parent


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the tests be counted that would run under Windows."""
    parser.addoption("--for-windows", action="store_true", default=sys.platform == "win32")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not import what is about POSIX itself: it may import modules that Windows lacks."""
    name = collection_path.relative_to(TESTS).as_posix() if collection_path != TESTS else ""
    return True if config.getoption("for_windows") and reason_for(name) else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out single tests that are about POSIX itself."""
    if not config.getoption("for_windows"):
        return
    left_out = [item for item in items if reason_for(_name_of(item))]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    call: pytest.CallInfo[None],
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Skip a test that makes links where none can be made."""
    report = yield
    if call.excinfo is not None and call.excinfo.errisinstance(stand_ins.NoLinks):
        report.outcome = "skipped"
        report.longrepr = (str(TESTS / "conftest.py"), 0, "Skipped: no link can be made here")
    return report


def _name_of(item: pytest.Item) -> str:
    """Return the test's name as ``windows/posix_only.txt`` spells it."""
    return f"{item.path.relative_to(TESTS).as_posix()}::{item.name}"


@pytest.fixture
def folder() -> Iterator[Path]:
    """A temporary folder, in memory where that is possible: waiting for a disk proves nothing."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    path = Path(tempfile.mkdtemp(prefix="plugin-migrate-", dir=memory)).resolve()
    yield path
    if sys.platform == "win32":
        gc.collect()  # what a test has left open cannot be removed there
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
