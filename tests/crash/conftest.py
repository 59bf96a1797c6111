"""The scenes that the crash tests kill in, the crew that does it, and the figures at the end."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from crash.crew import Crew
from crash.strace import Point

FIGURES: Counter[str] = Counter()


@dataclass(frozen=True)
class Scene:
    """A project about to be upgraded or downgraded, and every change that this makes."""

    crew: Crew
    name: str
    folder: str
    points: list[Point]

    def do(self, figure: str, kind: str, points: list[Point], **options: object) -> Counter[str]:
        """Do one job for each point; every one must come out right.

        ``figure`` is what they are counted as in the summary.
        """
        assert points, "nothing to do"
        jobs = [{"kind": kind, "folder": self.folder, "point": point} | options for point in points]
        return self.do_jobs(figure, jobs)

    def do_jobs(self, figure: str, jobs: list[dict]) -> Counter[str]:
        """Do jobs, every one of which must come out right; return the sum of what they report."""
        results = self.crew.do([{"folder": self.folder} | job for job in jobs])
        wrong = [
            f"{job}\n{result['wrong']}"
            for job, result in zip(jobs, results, strict=True)
            if "wrong" in result
        ]
        if wrong:
            pytest.fail(
                f"{len(wrong)} of {len(jobs)} went wrong:\n\n" + "\n\n".join(wrong[:5]),
                pytrace=False,
            )
        total: Counter[str] = Counter()
        for result in results:
            total.update(result)
        assert total["missed"] <= 1 + len(jobs) // 20, "too many points were never reached"
        FIGURES[f"{self.name}: {figure}"] += total["kills"] + total["faults"] + total["edited"]
        return total

    def publishing(self) -> list[Point]:
        """Return the points while a redo log stands in the bookkeeping folder."""
        inside = [
            number
            for number, (_, _, shown) in enumerate(self.points)
            if "/.plugin-migrate/" in shown and "/publish/" in shown
        ]
        # From a log's first file on; between two steps there is none for a while.
        near = {other for number in inside for other in range(number, number + 15)}
        return [point for number, point in enumerate(self.points) if number in near]


@pytest.fixture(scope="session")
def work() -> Iterator[Path]:
    """A folder in memory, if there is one: what counts is the order of calls, not the disk."""
    shared = Path("/dev/shm")
    is_usable = os.access(shared, os.W_OK) and shutil.disk_usage(shared).free > 50 << 20
    with tempfile.TemporaryDirectory(
        prefix="plugin-migrate-", dir=shared if is_usable else None
    ) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def crew(work: Path) -> Iterator[Crew]:
    """The processes that do the jobs."""
    crew = Crew(work)
    yield crew
    crew.dismiss()


@pytest.fixture(scope="session")
def injector(crew: Crew) -> str:
    """The name of the best way to kill that there is here."""
    (found,) = crew.do([{"kind": "find_injector"}])
    return found["injector"]


@pytest.fixture(scope="session")
def scenes(crew: Crew, work: Path, injector: str):
    """Return a function that prepares a scene once: command, journal mode, injector."""
    known: dict[tuple[str, ...], Scene] = {}

    def prepare(
        command: str,
        journal_mode: str,
        how: str = injector,
        language: str = "python",
        source: str = "project",
    ) -> Scene:
        key = (command, journal_mode, how, language, source)
        if key not in known:
            name = f"{command}, {source}'s, {language}, state database with {journal_mode}, {how}"
            scene = Scene(crew, name, str(work / "-".join(key)), [])
            options = {"command": command, "journal_mode": journal_mode, "injector": how}
            options |= {"language": language, "source": source}
            (prepared,) = crew.do([{"kind": "prepare", "folder": scene.folder} | options])
            assert "wrong" not in prepared, prepared["wrong"]
            scene.points.extend(tuple(point) for point in prepared["points"])
            known[key] = scene
        return known[key]

    return prepare


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many crashes and faults were survived."""
    if not FIGURES:
        return
    terminalreporter.section("crashes and faults")
    for name, count in sorted(FIGURES.items()):
        terminalreporter.write_line(f"{count:6} {name}")
    for figure in ("kill points", "faults", "edits"):
        total = sum(count for name, count in FIGURES.items() if figure in name)
        terminalreporter.write_line(f"{total:6} {figure} survived in all")
