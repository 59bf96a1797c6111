"""A program is one of those that PATH leads to, and never one that a project brings."""

import os
from pathlib import Path

import pytest

from plugin_migrate.git.command import NoAnswer, Repository
from plugin_migrate.platform import system
from plugin_migrate.platform.programs import find_programs


def make_program(folder: Path, name: str) -> str:
    """Write what passes for a program there, and return its path."""
    folder.mkdir(exist_ok=True)
    file = folder / system.program_names(name)[-1]
    file.write_text("#!/bin/sh\ntouch ran\n")
    file.chmod(0o755)
    return str(file)


def test_the_first_in_path_comes_first_and_a_relative_folder_counts_for_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    one, two = (make_program(folder / name, "tool") for name in ("one", "two"))
    make_program(folder, "tool")
    (folder / "empty").mkdir()
    (folder / "two" / system.program_names("folder")[-1]).mkdir()
    path = ["", ".", "one", *(str(folder / name) for name in ("two", "none", "empty", "one"))]
    assert list(find_programs("tool", os.pathsep.join(path))) == [two, one]
    assert list(find_programs("folder", os.pathsep.join(path))) == []


def test_a_git_in_the_project_is_not_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_program(folder, "git")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PATH", ".")
    with pytest.raises(NoAnswer, match="git is not installed"):
        Repository(str(folder)).ask("rev-parse", "HEAD")
    assert not (folder / "ran").exists()
