"""A managed environment that somebody damaged is made again by the program itself."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from launcher_tree import SCRIPTS

LAUNCHER = SCRIPTS / "plugin-migrate"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with a real environment that has been used once, to be copied."""
    folder = tmp_path_factory.mktemp("sound")
    make_project(folder)
    done = status(folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def place(sound: Path, tmp_path: Path) -> Path:
    """A project, and a copy of the cache beside it."""
    shutil.copytree(sound, tmp_path, symlinks=True, dirs_exist_ok=True)
    return tmp_path


def make_project(folder: Path) -> None:
    migrations = folder / "project/.claude/core/versioning/migrations"
    migrations.mkdir(parents=True)
    (migrations / "1.0.0-a.sql").write_text("-- description: A\n-- migrate:up\nSELECT 1;\n")


def status(folder: Path, *more: str, **options: object) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if "CLAUDE" not in key}
    return subprocess.run(
        [LAUNCHER, *more, "--project", folder / "project", "status"],
        env=environment | {"PLUGIN_MIGRATE_CACHE": str(folder / "cache")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **options,
    )


def packages(folder: Path) -> Path:
    (found,) = folder.glob("cache/*/lib/python*/site-packages")
    return found


@pytest.mark.parametrize("module", ["yaml/nodes.py"])
def test_a_missing_module_is_told_and_the_next_command_has_it_again(
    place: Path, module: str
) -> None:
    path = packages(place) / module
    if not path.exists():
        pytest.skip("this version of the package has no such file")
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.rmtree(place / "cache/pycache")

    first, second = status(place), status(place)

    assert first.returncode == 1
    assert "own Python environment was damaged" in first.stderr
    assert "The next command makes it again" in first.stderr
    assert "Internal error" not in first.stderr
    assert (second.returncode, "1.0.0" in second.stdout) == (0, True)


def test_a_truncated_module_is_damage_too(place: Path) -> None:
    (packages(place) / "yaml/__init__.py").write_text("")
    (place / "project/.claude/plugin-migrate.yaml").write_text("exclude: [x]\n")
    shutil.rmtree(place / "cache/pycache")
    assert "own Python environment was damaged" in status(place).stderr
    assert not list(place.glob("cache/*/ready")), "the next command would not make it again"


def test_garbage_for_compiled_modules_is_made_again_at_once(place: Path) -> None:
    # Of Python's own, some are read before it can run anything.
    compiled = list((place / "cache/pycache").rglob("plugin_migrate/**/*.pyc"))
    assert compiled
    for file in compiled:
        content = file.read_bytes()
        file.write_bytes(content[:16] + b"\xff garbage")

    done = status(place)

    assert done.returncode == 0
    assert "was damaged; making it again" in done.stderr
    assert "1.0.0" in done.stdout
    assert status(place).stderr == ""


def test_one_garbage_module_that_is_needed_late_costs_one_command(place: Path) -> None:
    (late,) = (place / "cache/pycache").rglob("survey.*.pyc")
    late.write_bytes(late.read_bytes()[:16] + b"\xff garbage")
    assert "own Python environment was damaged" in status(place).stderr
    done = status(place)
    assert (done.returncode, done.stderr) == (0, "")
