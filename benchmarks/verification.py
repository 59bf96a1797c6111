"""What `verify` costs beside the `upgrade` and the preview of the same migrations.

    scripts/test --version   # once, makes the environment
    python3 benchmarks/verification.py [--folder FOLDER] [--markdown docs/performance.md]

Prints a Markdown table of medians: many migrations pending, each of which changes a file and the
database; one pending on many applied; one pending beside many files. The processor's time, of the
program and of the system for it, hardly depends on what else the machine does.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from document import fill_in
from states import write_files, write_migration
from tools import LAUNCHER

_STEP = '''\
"""Step {number}."""


def up(ctx):
    (ctx.claude / "made-{number}").write_text("made")
    ctx.db.execute("CREATE TABLE made_{number} (x)")


def down(ctx):
    (ctx.claude / "made-{number}").unlink()
    ctx.db.execute("DROP TABLE made_{number}")
'''
_TABLE = """\
-- migrate:up
CREATE TABLE t{number} (x);
-- migrate:down
DROP TABLE t{number};
"""


def main() -> None:
    """Build the states, measure in turns, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pending", type=int, default=300)
    parser.add_argument("--applied", type=int, default=1000)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument(
        "--folder", type=Path, help="where the states and the copies are: a disk, no tmpfs"
    )
    parser.add_argument("--markdown", type=Path, help="put the table between this file's marks")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="plugin-migrate-verify-", dir=options.folder) as made:
        folder = Path(made)
        cases = _cases(folder, options)
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in cases}
        for _ in range(options.runs):
            for name, case in cases.items():
                os.sync()  # what one case wrote is no burden for the next
                times[name].append(case())
    text = f"Medians of {options.runs} run(s).\n\n| what | ms | processor's ms |\n|---|--:|--:|"
    for name, values in times.items():
        wall, processor = (
            round(statistics.median(part) * 1000) for part in zip(*values, strict=True)
        )
        text += f"\n| {name} | {wall:,} | {processor:,} |"
    print(text)
    if options.markdown:
        fill_in(options.markdown, "verification", text)


def _cases(
    folder: Path, options: argparse.Namespace
) -> dict[str, Callable[[], tuple[float, float]]]:
    many, late, large = folder / "many", folder / "late", folder / "large"
    for number in range(options.pending):
        write_migration(many, f"1.{number}.0-step.py", _STEP.format(number=number))
    for number in range(options.applied):
        write_migration(late, f"1.{number}.0-table.sql", _TABLE.format(number=number))
    _run(folder, late, "upgrade")
    write_files(large, options.files)
    for project in (late, large):
        write_migration(project, "2.0.0-step.py", _STEP.format(number=0))
    return {
        f"`upgrade`, {options.pending} pending": lambda: _on_a_copy(folder, many),
        f"`verify`, {options.pending} pending": lambda: _run(folder, many, "verify"),
        f"`verify`, one pending on {options.applied:,} applied": lambda: _run(
            folder, late, "verify"
        ),
        f"`upgrade --preview`, {options.files:,} files": lambda: _run(
            folder, large, "upgrade", "--preview"
        ),
        f"`verify`, {options.files:,} files": lambda: _run(folder, large, "verify"),
    }


def _on_a_copy(folder: Path, project: Path) -> tuple[float, float]:
    copy = folder / "copy"
    shutil.copytree(project, copy)
    try:
        return _run(folder, copy, "upgrade")
    finally:
        shutil.rmtree(copy)


def _run(folder: Path, project: Path, *arguments: str) -> tuple[float, float]:
    """Run a command, its copies on the same disk as the project.

    Returns:
        Seconds of the clock, and of the processor.
    """
    started = time.perf_counter()
    process = subprocess.Popen(
        [str(LAUNCHER), "--project", str(project), *arguments],
        env={**os.environ, "TMPDIR": str(folder)},
        stdout=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return time.perf_counter() - started, usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
