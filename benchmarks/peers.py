"""What every command costs here and with other tools: whole processes, wall time and memory.

    python3 benchmarks/peers.py                              # all of it: more than an hour
    python3 benchmarks/peers.py --quick                      # a few minutes
    python3 benchmarks/peers.py --only dbmate --sizes 100    # one peer

Installs the peers that pip and npm give into a cache folder of their own, gives all the same
workload (`tools.py`), and measures status, applying all, applying one on N - 1, rolling one back,
and applying when nothing is pending. Each tool's database is put back before each run and looked at
after it; the runs of all tools take turns. Prints Markdown tables with medians and their ratio to
the bare-Python floor (`floor.py`).
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import chart
from document import fill_in
from measuring import Case, Failed, Taken, keep, measure, put_back, run
from tools import ALL, BarePython, BarePythonTogether, PluginMigrate, Tool, installed

_CACHES = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
OPERATIONS = {
    "status": "status",
    "all": "apply all",
    "one": "apply one on N - 1",
    "back": "roll one back",
    "none": "nothing pending",
}
# From this size on only status is measured of everybody, and the rest of us and the floor.
_LARGE = 5000

Results = dict[tuple[object, ...], Taken]


def main() -> None:
    """Install, prepare, measure, print."""
    options = _options()
    if options.quick:
        options.sizes, options.runs = [10, 100], 3
    tools = installed(options.cache, options.only)
    taken: Results = {}
    with tempfile.TemporaryDirectory(prefix="plugin-migrate-peers-", dir=options.folder) as folder:
        for size in options.sizes:
            cases: list[Case] = []
            for tool in tools:
                print(f"preparing {tool.name} with {size}", file=sys.stderr)
                try:
                    cases += _cases(tool, size, Path(folder, f"{tools.index(tool)}-{size}"))
                except Failed as error:
                    print(f"left out: {tool.name} with {size}: {error}", file=sys.stderr)
            print(f"measuring {len(cases)} commands with {size}", file=sys.stderr)
            taken |= measure(cases, options.runs)
    text = _report(taken, options.sizes, options.runs)
    print(text)
    if options.markdown:
        fill_in(options.markdown, "peers", text)
    if options.svg:
        options.svg.write_text(_draw(taken, options.sizes), encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [tool.name for tool in ALL]
    parser.add_argument("--quick", action="store_true", help="3 runs with 10 and 100 migrations")
    parser.add_argument(
        "--only", nargs="+", default=[], choices=names, metavar="TOOL",
        help=f"these, beside ours and the floor: {', '.join(names)}",
    )  # fmt: skip
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 100, 1000, 10_000])
    parser.add_argument("--runs", type=int, default=15, help="of each command, at most")
    parser.add_argument(
        "--cache",
        type=Path,
        default=Path(_CACHES, "plugin-migrate-benchmarks"),
        help="where the peers are installed",
    )
    parser.add_argument("--folder", type=Path, help="where the databases are: a disk, no tmpfs")
    parser.add_argument("--markdown", type=Path, help="put the tables between this file's marks")
    parser.add_argument("--svg", type=Path, help="draw the plot of cost against N into this file")
    return parser.parse_args()


# --- the workload ----------------------------------------------------------------------------


def _cases(tool: Tool, size: int, folder: Path) -> list[Case]:
    """Make the tool's three states (empty, all but one, all) and return what to measure on them."""
    folder.mkdir(parents=True)
    states = {0: folder / "kept-0", size - 1: folder / "kept-1", size: folder / "kept-2"}
    keep(folder, tool.state, states[0])
    for first, last in ((1, size - 1), (size, size)):
        tool.write(folder, first, last)
        run(tool.apply(last), folder, tool.environment)
        _require(tool, folder, last)
        keep(folder, tool.state, states[last])

    def case(operation: str, command: Sequence[str] | None, before: int, after: int) -> list[Case]:
        if command is None:
            return []

        def check(output: str | None) -> None:
            _require(tool, folder, after)
            if operation == "status" and output is not None and f"{size:05}" not in output:
                raise Failed(f"the status lacks migration {size}: {output[-300:]}")

        return [
            Case(
                (tool.name, operation, size),
                command,
                folder,
                lambda: put_back(folder, tool.state, states[before]),
                check,
                tool.environment,
            )
        ]

    apply_all = case("all", tool.apply(size), 0, size)
    if isinstance(tool, BarePythonTogether):
        return apply_all if size < _LARGE else []
    status = case("status", tool.status(size), size, size)
    others = [
        *case("one", tool.apply(size), size - 1, size),
        *case("back", tool.rollback(size), size, size - 1),
        *case("none", tool.apply(size), size, size),
    ]
    if size < _LARGE:
        return status + apply_all + others
    return status + others if isinstance(tool, (PluginMigrate, BarePython)) else status


def _require(tool: Tool, folder: Path, count: int) -> None:
    """Refuse a database that does not hold the work of exactly ``count`` migrations."""
    with closing(sqlite3.connect(folder / tool.database)) as connection:
        found = connection.execute(
            "SELECT count(*) FILTER (WHERE name GLOB 't_[0-9]*'),"
            " count(*) FILTER (WHERE name GLOB 'i_[0-9]*') FROM sqlite_schema"
        ).fetchone()
        if found != (count, count):
            raise Failed(f"{tool.name}: {found} tables and indexes, not {count}")
        for number in {1, count} - {0}:
            rows = connection.execute(f"SELECT count(*) FROM t_{number:05}").fetchone()[0]
            if rows != 3:
                raise Failed(f"{tool.name}: {rows} rows in table {number}, not 3")


# --- the report ------------------------------------------------------------------------------


def _report(taken: Results, sizes: Sequence[int], runs: int) -> str:
    parts = [
        f"Medians of {runs} interleaved runs of whole processes, in ms (times bare Python's).",
    ]
    for size in sizes:
        parts += ["", f"N = {size:,}:", "", _table(taken, size)]
    parts += ["", *_own_growth(taken, sizes)]
    return "\n".join(parts).rstrip()


def _table(taken: Results, size: int) -> str:
    lines = [
        f"| tool | {' | '.join(OPERATIONS.values())} | peak MiB |",
        f"|---|{'--:|' * (len(OPERATIONS) + 1)}",
    ]
    for name in (tool.name for tool in ALL):
        times = [
            _cell(taken.get((name, operation, size)), taken.get((BarePython.name, operation, size)))
            for operation in OPERATIONS
        ]
        memory = _peak(taken, name, size)
        if memory:
            shown = f"**{name}**" if name == PluginMigrate.name else name
            lines.append(f"| {shown} | {' | '.join(times)} | {memory / 1024:.0f} |")
    return "\n".join(lines)


def _cell(taken: Taken | None, floor: Taken | None) -> str:
    if taken is None:
        return ""
    ratio = f" ({taken.seconds / floor.seconds:.1f})" if floor else ""
    return f"{taken.seconds * 1000:.0f}{ratio}"


def _peak(taken: Results, name: str, size: int) -> int:
    found = (taken.get((name, operation, size)) for operation in OPERATIONS)
    return max((one.memory for one in found if one), default=0)


def _own_growth(taken: Results, sizes: Sequence[int]) -> list[str]:
    """Say what the tables do not show about ourselves."""
    lines = []
    floors = (BarePythonTogether.name, "all"), (PluginMigrate.name, "all")
    for size in sizes:
        floor, ours = (taken.get((*key, size)) for key in floors)
        if floor and ours:
            ratio = ours.seconds / floor.seconds
            lines.append(f"- Applying {size:,}: {ratio:.1f} times the one-transaction floor.")
    known = [size for size in sizes if _peak(taken, PluginMigrate.name, size)]
    for smaller, larger in pairwise(known):
        grown = _peak(taken, PluginMigrate.name, larger) - _peak(taken, PluginMigrate.name, smaller)
        per_migration = grown / (larger - smaller)
        lines.append(
            f"- Memory from {smaller:,} to {larger:,}: {per_migration:.1f} KiB a migration."
        )
    return lines


def _draw(taken: Results, sizes: Sequence[int]) -> str:
    panels = []
    for operation, title in OPERATIONS.items():
        lines: dict[str, list[tuple[float, float]]] = {}
        for name in (tool.name for tool in ALL):
            points: list[tuple[float, float]] = [
                (size, taken[name, operation, size].seconds * 1000)
                for size in sizes
                if (name, operation, size) in taken
            ]
            if points:
                lines[name] = points
        panels.append(chart.Panel(title, lines))
    return chart.draw(panels, "migrations", "ms", PluginMigrate.name)


if __name__ == "__main__":
    main()
