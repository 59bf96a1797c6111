"""Each command says on Windows what it says here, where the path holds a blank and an ü."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from windows.installation import as_windows, environment, interpreter

BY_HAND = Path(__file__).with_name("by_hand.py")
# What differs from run to run, or from one machine to another, and how wide that makes a column.
DIFFERS = [
    (r"\d{8}-\d{6}-([a-z]+)(-\d+)?\b", r"BACKUP-\1"),
    (r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d", "TIME"),
    (r"(\"(execution_time|duration)_ms\": )\d+", r"\1DURATION"),
    (r"\b\d+(\.\d+)? ?m?s\b", "DURATION"),
    (r"(✓ Python +)\d+\.\d+\.\d+ \(.*\)", r"\1VERSION"),
    (r"(✓ SQLite +)\d+\.\d+\.\d+", r"\1VERSION"),
    (r"\n +[~^]+(?=\n)", ""),  # later Pythons point to a part of the line
    (r"─+", "─"),
    (r" +", " "),
]

pytestmark = pytest.mark.skipif(
    sys.platform == "win32" or interpreter() is None,
    reason="wants this system and Windows' Python under Wine (tests/windows/run.py installs it)",
)


def said(words: list[str], folder: Path, there: str, variables: dict[str, str]) -> dict[str, str]:
    """Return what each command said, with its exit code.

    Parameters:
        words: the Python that runs them.
        folder: an empty one.
        there: what that Python calls it.
        variables: its environment.
    """
    separator = "\\" if "\\" in there else "/"
    root, results = (separator.join([there, name]) for name in ("pro jekt ü", "results.json"))
    script = as_windows(BY_HAND) if "\\" in there else str(BY_HAND)
    done = subprocess.run(
        [*words, "-X", "utf8", script, root, results],
        env=variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    return {
        _comparable(f"{number}: {' '.join(command)}"): _comparable(
            f"exit code {code}\n{out}{err}".replace(there.replace("\\", "/"), "FOLDER")
        )
        for number, (command, code, out, err) in enumerate(found)
    }


def _comparable(text: str) -> str:
    for pattern, same in DIFFERS:
        text = re.sub(pattern, same, text)
    return text


def test_each_command_says_what_it_says_here(folder: Path) -> None:
    here, there = folder / "here", folder / "there"
    here.mkdir()
    there.mkdir()
    words = interpreter()
    assert words is not None
    expected = said([sys.executable], here, str(here), dict(os.environ))
    on_windows = said(words, there, as_windows(there), environment())
    assert not [text for text in expected.values() if "Internal error" in text]
    assert len(expected) > 60
    assert on_windows == expected
