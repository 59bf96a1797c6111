"""Whole processes measured: wall time, peak memory, and the state put back before each run."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_SPAWN = Path(__file__).with_name("spawn.py")
# A slow command runs less often: about so many seconds each, but never fewer than three times.
_ENOUGH_SECONDS = 40.0
_FEWEST_RUNS = 3


class Failed(Exception):
    """A command failed, or did not do what it should."""


@dataclass(frozen=True)
class Taken:
    """What one run took: seconds of wall time, peak memory in KiB; and what it printed."""

    seconds: float
    memory: int
    output: str = ""


@dataclass
class Case:
    """One command to be measured.

    ``prepare`` puts its state in place and ``check`` looks at what it did, both outside of what is
    measured; ``check`` gets what was printed, or ``None`` in the runs that print to nowhere.
    """

    key: tuple[object, ...]
    command: Sequence[str]
    folder: Path
    prepare: Callable[[], None] = lambda: None
    check: Callable[[str | None], None] = lambda output: None
    environment: dict[str, str] = field(default_factory=dict)


def run(
    command: Sequence[str], folder: Path, environment: dict[str, str], with_output: bool = False
) -> Taken:
    """Run one command and return what it took.

    Raises:
        Failed: its exit code is not 0; carries the end of what it printed.
    """
    variables = {
        name: value
        for name, value in os.environ.items()
        # Compiled modules are kept, as on any user's machine.
        if name not in ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "VIRTUAL_ENV")
    }
    with tempfile.TemporaryFile() as output, tempfile.NamedTemporaryFile("r") as report:
        subprocess.run(
            [sys.executable, "-I", "-S", _SPAWN, report.name, *command],
            cwd=folder,
            env=variables | environment,
            stdin=subprocess.DEVNULL,
            stdout=output if with_output else subprocess.DEVNULL,
            stderr=output,
            check=True,
        )
        seconds, memory, code = report.read().split()
        output.seek(0)
        printed = output.read().decode(errors="replace")
    if code != "0":
        raise Failed(f"{' '.join(command)}: exit code {code}: {printed[-600:]}")
    return Taken(float(seconds), int(memory), printed)


def measure(cases: Sequence[Case], runs: int) -> dict[tuple[object, ...], Taken]:
    """Return the medians of every case that works, by its key.

    The cases take turns, so that the machine's moods hit all alike. Each runs once before, which
    fills the caches and shows whether it works at all: one that does not is told and left out.
    """
    left: dict[tuple[object, ...], int] = {}
    for case in cases:
        try:
            seconds = _run_case(case, with_output=True).seconds
        except Failed as error:
            print(f"  left out: {case.key}: {error}", file=sys.stderr)
            continue
        left[case.key] = min(runs, max(_FEWEST_RUNS, int(_ENOUGH_SECONDS / seconds)))
    taken: dict[tuple[object, ...], list[Taken]] = {key: [] for key in left}
    while any(left.values()):
        for case in cases:
            if left.get(case.key):
                left[case.key] -= 1
                taken[case.key].append(_run_case(case))
    return {
        key: Taken(
            statistics.median(one.seconds for one in several),
            int(statistics.median(one.memory for one in several)),
        )
        for key, several in taken.items()
    }


def _run_case(case: Case, with_output: bool = False) -> Taken:
    case.prepare()
    taken = run(case.command, case.folder, case.environment, with_output)
    case.check(taken.output if with_output else None)
    return taken


def keep(folder: Path, names: Sequence[str], where: Path) -> None:
    """Keep what stands at ``names`` in ``folder``, files and folders, as a state to go back to."""
    shutil.rmtree(where, ignore_errors=True)
    where.mkdir(parents=True)
    for name in names:
        if (folder / name).is_dir():
            shutil.copytree(folder / name, where / name)
        elif (folder / name).exists():
            (where / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(folder / name, where / name)


def put_back(folder: Path, names: Sequence[str], where: Path) -> None:
    """Put a kept state back and bring it to the disk: the next sync is not to pay for it."""
    for name in names:
        target, kept = folder / name, where / name
        if target.is_dir():
            shutil.rmtree(target)
        else:
            target.unlink(missing_ok=True)
        if kept.is_dir():
            shutil.copytree(kept, target)
            for path in (target, *target.rglob("*")):
                _sync(path)
        elif kept.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(kept, target)
            _sync(target)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
