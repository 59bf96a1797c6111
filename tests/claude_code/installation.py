"""Where the real client is, and installing it: ``python tests/claude_code/installation.py``.

It is big, so it is installed once for all checkouts, into the user's cache, and by this command
only: ``.ci/run`` calls it, ``scripts/test`` takes what is there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

NEWEST, OLDEST = "2.1.332", "2.1.330"
"""The clients that the facts in the command file and the hooks were found out with."""

VERSION = os.environ.get("PLUGIN_MIGRATE_TEST_CLIENT") or NEWEST
"""The one that the tests run with."""

USER_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
_CACHE = USER_CACHE / "plugin-migrate-tests"
FOLDER = _CACHE / f"claude-code-{VERSION}"


def binary() -> Path | None:
    """Return the installed client's program; ``None`` if it is not installed."""
    # The platform's own package holds it; the package of the bare name only starts it.
    return next(FOLDER.glob("node_modules/@anthropic-ai/claude-code-*/claude"), None)


def install() -> str | None:
    """Install the client if it is missing; return why not, if that failed."""
    if binary() is not None:
        return None
    npm = shutil.which("npm")
    if npm is None:
        return "there is no npm"
    _CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_CACHE, prefix=".installing-") as folder:
        package = f"@anthropic-ai/claude-code@{VERSION}"
        done = subprocess.run(
            [npm, "install", "--prefix", folder, "--ignore-scripts", "--no-audit", package],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            said = [line for line in done.stderr.splitlines() if "complete log" not in line]
            return f"npm cannot install {package}: {said[-1] if said else 'no reason given'}"
        if not FOLDER.exists():
            os.rename(folder, FOLDER)  # whole or not at all
            os.mkdir(folder)  # for the block's end to remove
    return None if binary() else f"{package} has no program for this system"


if __name__ == "__main__":
    problem = install()
    if problem is not None:
        sys.exit(f"no Claude Code {VERSION}: {problem}; the tests in tests/claude_code are skipped")
    print(f"Claude Code {VERSION} is in {FOLDER}")
