"""What `ctx.edit_lines` costs on a large JSONL file, beside `cp` of the same file.

    python3 benchmarks/lines.py [--quick]

A file of JSON lines: one line in a thousand is found by its text and changed, a line is added,
every line is looked at as text, every value is read, every value is changed; and the whole
migration of the first. `cp` copies over a file of that size. Prints a Markdown table of wall time
and peak memory.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from measuring import Case, Taken, measure
from states import write_migration
from tools import LAUNCHER

SCRIPTS = LAUNCHER.parent
_EDIT = """\
import sys
sys.path[:0] = {path!r}
from pathlib import Path
from plugin_migrate.editing import lines as editor
with editor.edit(Path(sys.argv[1])) as lines:
{change}
"""
_FOUND = """\
for line in lines.containing('"kind": "rare"'):
    line.value["kind"] = "seldom"
"""
_CHANGES = {
    "change the lines `containing` a text, 1 in 1,000": _FOUND,
    "add a line": "lines.append({'id': -1})",
    "look at the text of every line": "for line in lines:\n    line.text.startswith('#')",
    "look at the value of every line": "for line in lines:\n    line.value['id']",
    "change the value of every line": "for line in lines:\n    line.value['seen'] = True",
}
_STEP = "def up(ctx):\n    with ctx.edit_lines('issues.jsonl') as lines:\n{change}"


def main() -> None:
    """Make the file, measure, print."""
    options = _options()
    megabytes = 64 if options.quick else 1024
    with tempfile.TemporaryDirectory(prefix="plugin-migrate-lines-", dir=options.folder) as made:
        folder = Path(made)
        kept = folder / "kept.jsonl"
        count = _write(kept, megabytes << 20)
        taken = measure([*_edits(folder, kept), _migration(folder, kept)], options.runs)
    print(_table(megabytes, count, taken))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="64 MiB instead of 1 GiB")
    parser.add_argument("--runs", type=int, default=5, help="of each command, at most")
    parser.add_argument("--folder", type=Path, help="where the files are: a disk, no tmpfs")
    return parser.parse_args()


def _write(path: Path, size: int) -> int:
    """Write a file of about ``size`` bytes, as a program does; return how many lines it has."""
    rows = []
    for number in range(1000):
        row = {"id": number, "kind": "rare" if number == 500 else "task", "title": f"t {number}"}
        row["text"] = "word " * (number % 50 + 10)
        rows.append(json.dumps(row) + "\n")
    block = "".join(rows).encode()
    with path.open("wb") as file:
        for _ in range(size // len(block) + 1):
            file.write(block)
    return 1000 * (size // len(block) + 1)


def _edits(folder: Path, kept: Path) -> list[Case]:
    copy, target = folder / "copy.jsonl", folder / "edited.jsonl"
    # Where the shared blocks of two files cost nothing, `cp` would copy nothing.
    command = ["cp", "--reflink=never", str(target), str(copy)]

    def prepare() -> None:
        _fresh(kept, copy)  # an edit too replaces a file, and to free that takes its time
        _fresh(kept, target)  # as for the others: what was just written weighs on what follows

    cases = [Case(("`cp`",), command, folder, prepare)]
    path = [str(SCRIPTS), *(entry for entry in sys.path if "site-packages" in entry)]
    for name, change in _CHANGES.items():
        code = _EDIT.format(path=path, change=_indented(change))
        command = [sys.executable, "-I", "-S", "-c", code, str(target)]
        cases.append(Case((name,), command, folder, lambda: _fresh(kept, target)))
    return cases


def _migration(folder: Path, kept: Path) -> Case:
    project = folder / "project"
    write_migration(project, "1.0.0-rare.py", _STEP.format(change=_indented(_indented(_FOUND))))
    fresh = folder / "fresh"
    shutil.copytree(project, fresh)

    def prepare() -> None:
        shutil.rmtree(project)
        shutil.copytree(fresh, project)
        _fresh(kept, project / ".claude/issues.jsonl")

    command = [str(LAUNCHER), "--project", str(project), "upgrade"]
    return Case(("the first as a migration: `upgrade`",), command, folder, prepare)


def _fresh(kept: Path, target: Path) -> None:
    """Put the file there as it was, and what is written to the disk: nobody is to pay for it."""
    target.unlink(missing_ok=True)
    shutil.copyfile(kept, target)
    with target.open("rb") as file:
        os.fsync(file.fileno())


def _indented(text: str) -> str:
    return "".join(f"    {line}\n" for line in text.splitlines())


def _table(megabytes: int, count: int, taken: dict[tuple[object, ...], Taken]) -> str:
    copy = taken["`cp`",]
    lines = [
        f"A JSONL file of {megabytes:,} MiB, {count:,} lines. In brackets: as a multiple of `cp`.",
        "",
        "| what | seconds | peak MiB |",
        "|---|--:|--:|",
    ]
    for (name,), one in taken.items():
        ratio = one.seconds / copy.seconds
        memory = one.memory / 1024
        lines.append(f"| {name} | {one.seconds:.1f} ({ratio:.1f}) | {memory:.0f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
