"""What our own cases cost, which no other tool has; beside the least that the same work can take.

    python3 benchmarks/own.py [--quick] [--markdown docs/performance.md]

Code migrations over a `.claude/` of many files (the first and the second step of a run, beside
one `cp -r` and one scan of the tree's metadata), a large state database with one pending migration
(with and without a backup), a preview, and the session-start check. Prints Markdown tables.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from document import fill_in
from measuring import Case, Taken, keep, measure, put_back, run
from states import DATABASE, write_database, write_files, write_migration
from tools import LAUNCHER

SESSION_START = LAUNCHER.parents[1] / "hooks/session-start"
_STEP = """\
def up(ctx):
    for number in range(3):
        file = ctx.claude / f"agents/{number:03}/{number:05}.md"
        file.write_text(file.read_text() + "one line more")
"""
# One scan of the metadata: what tells a changed file from an unchanged one.
_SCAN = """\
import os, sys
def scan(folder):
    with os.scandir(folder) as listing:
        for entry in listing:
            status = entry.stat(follow_symlinks=False)
            status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
            if entry.is_dir(follow_symlinks=False):
                scan(entry.path)
scan(sys.argv[1])
"""
_LEDGER = ".claude/.plugin-migrate"

Measured = dict[tuple[object, ...], Taken]


def main() -> None:
    """Make the states, measure, print."""
    options = _options()
    files, megabytes = ([100, 1000], 64) if options.quick else ([100, 1000, 10_000], 1024)
    with tempfile.TemporaryDirectory(prefix="plugin-migrate-own-", dir=options.folder) as made:
        folder = Path(made)
        parts = [
            f"Medians of at most {options.runs} interleaved runs.",
            _code_steps(folder, files, options.runs),
            _large_database(folder, megabytes, options.runs),
            _previews(folder, files[-1], options.runs),
            _session_start(folder, options.runs),
        ]
    text = "\n\n".join(part for part in parts if part)
    print(text)
    if options.markdown:
        fill_in(options.markdown, "own", text)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="smaller states")
    parser.add_argument("--runs", type=int, default=7, help="of each command, at most")
    parser.add_argument("--folder", type=Path, help="where the states are: a disk, no tmpfs")
    parser.add_argument("--markdown", type=Path, help="put the tables between this file's marks")
    return parser.parse_args()


# --- states ----------------------------------------------------------------------------------


def _ours(project: Path, *arguments: str) -> list[str]:
    return [str(LAUNCHER), "--project", str(project), *arguments]


# --- code migrations over many files ---------------------------------------------------------


def _code_steps(folder: Path, sizes: list[int], runs: int) -> str:
    """Measure runs of one and of two steps; the second step's cost is their difference.

    What a run costs that has nothing to copy but what it changes, the first step does not pay for.
    """
    cases: list[Case] = []
    for size in sizes:
        for steps in (1, 2):
            project = folder / f"code-{size}-{steps}"
            write_files(project, size)
            for number in range(steps):
                write_migration(project, f"1.{number}.0-change-three.py", _STEP)
            cases.append(_upgrade((size, steps), project, (".claude/agents",)))
        empty = folder / f"code-{size}-0"
        write_files(empty, size)
        few = folder / f"code-{size}-few"
        write_files(few, 3)
        write_migration(few, "1.0.0-change-three.py", _STEP)
        cases.append(_upgrade((size, 0), few, (".claude/agents",)))
        target = folder / f"copy-{size}"
        cases.append(
            Case(
                (size, "copy"),
                ["cp", "-r", str(empty / ".claude"), str(target)],
                folder,
                lambda target=target: shutil.rmtree(target, ignore_errors=True),  # type: ignore[misc]
            )
        )
        bare = [sys.executable, "-I", "-S", "-c"]
        cases.append(Case((size, "scan"), [*bare, _SCAN, str(empty / ".claude")], folder))
        cases.append(Case((size, "start"), [*bare, ""], folder))
    taken = measure(cases, runs)
    lines = [
        (
            "A code migration that changes 3 files. In brackets: what the first step costs more"
            " than in a state of only those 3, as a multiple of the copy; and what the second adds,"
            " as one of the scan:"
        ),
        "",
        "| files | `cp -r` | scan | of 3 files | one step | two steps |",
        "|--:|--:|--:|--:|--:|--:|",
    ]
    for size in sizes:
        copy, scan, start, none, one, two = (
            taken[size, key].seconds * 1000 for key in ("copy", "scan", "start", 0, 1, 2)
        )
        scan -= start
        lines.append(
            f"| {size:,} | {copy:.0f} | {scan:.1f} | {none:.0f} | {one:.0f}"
            f" ({(one - none) / copy:.1f}) | {two:.0f} ({(two - one) / scan:.1f}) |"
        )
    return "\n".join(lines)


def _upgrade(
    key: tuple[object, ...], project: Path, changed: tuple[str, ...] = (), *options: str
) -> Case:
    """Return an upgrade that finds its state as it is now, before every run."""
    names = (*changed, _LEDGER, DATABASE)
    kept = project.with_name(project.name + "-kept")
    keep(project, names, kept)
    return Case(
        key,
        _ours(project, "upgrade", *options),
        project,
        lambda: put_back(project, names, kept),
    )


# --- a large database ------------------------------------------------------------------------


def _large_database(folder: Path, megabytes: int, runs: int) -> str:
    project = folder / "large"
    write_database(project, megabytes)
    write_migration(project, "1.0.0-notes.sql", "CREATE TABLE notes (text);\n")
    database = project / DATABASE
    copy = folder / "copy.db"
    script = (
        "import sqlite3, sys; a, b = map(sqlite3.connect, sys.argv[1:]);"
        " b.execute('PRAGMA synchronous=OFF'); a.backup(b); b.close();"
        " import os; os.fsync(os.open(sys.argv[2], os.O_RDONLY))"
    )
    taken = measure(
        [
            Case(
                ("one copy by SQLite's backup API, synced",),
                [sys.executable, "-I", "-S", "-c", script, str(database), str(copy)],
                folder,
                lambda: copy.unlink(missing_ok=True),
            ),
            _upgrade(("`upgrade`",), project),
            _upgrade(("`upgrade --no-backup`",), project, (), "--no-backup"),
            Case(("`upgrade --dry-run`",), _ours(project, "upgrade", "--dry-run"), project),
            Case(("`status`",), _ours(project, "status"), project),
        ],
        runs,
    )
    shutil.rmtree(folder / "large")
    shutil.rmtree(folder / "large-kept")
    copy.unlink(missing_ok=True)
    return _table(f"A state database of {megabytes:,} MiB, one pending migration:", taken)


def _table(title: str, taken: Measured) -> str:
    lines = [title, "", "| what | ms | peak MiB |", "|---|--:|--:|"]
    lines += [
        f"| {name} | {one.seconds * 1000:,.0f} | {one.memory / 1024:.0f} |"
        for (name, *_), one in taken.items()
    ]
    return "\n".join(lines)


# --- previews and the hook -------------------------------------------------------------------


def _previews(folder: Path, files: int, runs: int) -> str:
    project = folder / "preview"
    write_files(project, files)
    write_migration(project, "1.0.0-change-three.py", _STEP)
    target = folder / "preview-copy"
    claude = str(project / ".claude")
    taken = measure(
        [
            Case(
                ("one `cp -r`",),
                ["cp", "-r", claude, str(target)],
                folder,
                lambda: shutil.rmtree(target, ignore_errors=True),
            ),
            Case(("`upgrade --preview`",), _ours(project, "upgrade", "--preview"), project),
            Case(("`upgrade --dry-run`",), _ours(project, "upgrade", "--dry-run"), project),
        ],
        runs,
    )
    return _table(f"A code migration over {files:,} files, on a copy and in place:", taken)


def _session_start(folder: Path, runs: int) -> str:
    if not SESSION_START.exists():
        return ""
    project = folder / "session"
    for number in range(100):
        write_migration(project, f"1.{number}.0-t.sql", f"CREATE TABLE t_{number} (id);\n")
    run(_ours(project, "upgrade"), project, {})
    environment = {
        "CLAUDE_PROJECT_DIR": str(project),
        "CLAUDE_PLUGIN_ROOT": str(LAUNCHER.parents[1]),
    }
    taken = measure(
        [
            Case(("bare Python's start",), [sys.executable, "-I", "-S", "-c", ""], project),
            Case(
                ("`hooks/session-start`",), [str(SESSION_START)], project, environment=environment
            ),
            Case(("`check`",), _ours(project, "check"), project),
        ],
        runs,
    )
    return _table("The check at the start of a session, 100 migrations applied:", taken)


if __name__ == "__main__":
    main()
