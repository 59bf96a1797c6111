"""The JavaScript engines, each of them alone in PATH."""

from __future__ import annotations

import os

import pytest

import runtimes

ENGINES = ("node", "bun", "deno", "tsx")


@pytest.fixture
def node(folder, monkeypatch):
    """Node.js 24 alone in PATH; returns the folder."""
    path = runtimes.folder_with(folder / "bin", node=runtimes.node())
    monkeypatch.setenv("PATH", path)
    return path


@pytest.fixture(params=ENGINES)
def engine(request, folder, project, monkeypatch):
    """Each engine in turn, alone in PATH; returns its name."""
    name = request.param
    if name == "node":
        program = {"node": runtimes.node()}
    elif name == "tsx":
        program = {"node": runtimes.old_node()}
        os.symlink(runtimes.node_modules(), project.root / "node_modules")
    else:
        program = {name: runtimes.binary(name)}
    monkeypatch.setenv("PATH", runtimes.folder_with(folder / "bin", **program))
    return name
