"""What a preview costs on a large state, beside a plain copy of the tree and of the database.

    scripts/test --version   # once, makes the environment
    python3 benchmarks/rehearsal.py [--files 10000] [--megabytes 1024]

Prints a Markdown table of medians of wall time, and the peak memory of the program's process.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from states import DATABASE, write_database, write_files, write_migration

LAUNCHER = Path(__file__).parents[1] / "scripts/plugin-migrate"
MIGRATION = """\
def up(ctx):
    for number in range(3):
        file = ctx.claude / f"agents/{number:03}/{number:05}.md"
        file.write_text(file.read_text() + "one line more")
    ctx.db.execute("INSERT INTO notes VALUES ('one more')")


def down(ctx):
    pass
"""


def main() -> None:
    """Build the state, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--megabytes", type=int, default=1024)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="plugin-migrate-bench-") as folder:
        project = Path(folder, "project")
        build(project, options.files, options.megabytes)
        report(Path(folder), project, options)


def build(project: Path, files: int, megabytes: int) -> None:
    """Make a project with many files and a large state database, and one pending migration."""
    write_files(project, files)
    write_database(project, megabytes, "CREATE TABLE notes (text);")
    write_migration(project, "1.0.0-change-three.py", MIGRATION)


def report(folder: Path, project: Path, options: argparse.Namespace) -> None:
    """Measure in turns, so that the machine's moods hit all alike, and print the table."""
    database = project / DATABASE
    cases: dict[str, Callable[[], None]] = {
        "`cp -r` without the database": lambda: copy_tree(project, folder / "copies/tree"),
        "one backup of the database": lambda: back_up(database, folder / "copies/state.db"),
        "`upgrade --preview`": lambda: preview(project, folder),
        "`upgrade --dry-run`": lambda: run(project, folder, "--dry-run"),
    }
    preview(project, folder)
    times: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(options.runs):
        for name, case in cases.items():
            (folder / "copies").mkdir()
            os.sync()  # what one case wrote is no burden for the next
            started = time.perf_counter()
            case()
            times[name].append(time.perf_counter() - started)
            shutil.rmtree(folder / "copies")
    medians = {name: statistics.median(values) for name, values in times.items()}
    floor = sum(list(medians.values())[:2])
    print(f"{options.files} files, {options.megabytes} MiB database, median of {options.runs}\n")
    print("| what | seconds | times both copies |\n|---|--:|--:|")
    for name, seconds in medians.items():
        print(f"| {name} | {seconds:.2f} | {seconds / floor:.2f} |")
    print(f"\nPeak memory of the preview: {peak_memory(project, folder):.0f} MiB")


def copy_tree(project: Path, target: Path) -> None:
    """Copy the files as anybody would."""
    subprocess.run(["cp", "-r", project / ".claude/agents", target], check=True)


def back_up(database: Path, target: Path) -> None:
    """Copy the database by the backup API."""
    with sqlite3.connect(database) as source, sqlite3.connect(target) as copy:
        source.backup(copy)


def preview(project: Path, folder: Path) -> None:
    """Run the program's preview."""
    run(project, folder, "--preview")


def run(project: Path, folder: Path, option: str) -> None:
    """Run an upgrade with an option, its copies on the same disk as the project."""
    subprocess.run(
        command(project, option), check=True, env=environment(folder), stdout=subprocess.DEVNULL
    )


def command(project: Path, option: str) -> list[str]:
    """Return the command line."""
    return [str(LAUNCHER), "--project", str(project), "upgrade", option]


def environment(folder: Path) -> dict[str, str]:
    """Return the environment, with temporary files beside the project."""
    return {**os.environ, "TMPDIR": str(folder)}


def peak_memory(project: Path, folder: Path) -> float:
    """Return the peak resident memory of one preview, in MiB."""
    process = subprocess.Popen(
        command(project, "--preview"), env=environment(folder), stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    scale = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return usage.ru_maxrss / scale


if __name__ == "__main__":
    main()
