"""Previews and verifications as text for people and as JSON documents for programs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict

from ..storage.nodes import kind_of
from .errors import error_json, error_text
from .runs import run_json
from .style import Style, one_line, printable
from .table import table_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..lint import Finding
    from ..rehearsal.difference import DatabaseDifference, TableDifference
    from ..rehearsal.preview import FileDifference, Rehearsed
    from ..rehearsal.verify import Verified
    from ..storage.nodes import Node

_SIGNS = {"+": "green", "-": "red", "~": "yellow", "@": "dim"}
_SCHEMA_LINES_SHOWN = 200


def preview_text(rehearsed: Rehearsed, named: Callable[[str], str], style: Style) -> str:
    """Return what a plan would change, for people."""
    run = rehearsed.run
    verb = "apply" if run.plan.direction == "up" else "roll back"
    lines = [f"Preview: would {verb} {len(run.results)} migration(s)"]
    lines += [f"  • {result.version} - {one_line(result.description)}" for result in run.results]
    for file in rehearsed.files:
        lines += ["", *_file_lines(file, named, style)]
    for database in rehearsed.databases:
        lines += ["", *_database_lines(database, style)]
    if not rehearsed.files and not rehearsed.databases:
        lines += ["", "No file and no row would change."]
    lines += ["", "Nothing was changed: this ran on a copy."]
    return "\n".join(lines)


def _file_lines(file: FileDifference, named: Callable[[str], str], style: Style) -> list[str]:
    before, after = file.change.before, file.change.after
    kind = kind_of(after) or kind_of(before) or "file"
    word = "folder" if kind == "dir" else kind
    heading = f"{file.change.verb} {word} {one_line(named(file.change.path))}"
    lines = [style.paint("bold", heading)]
    if before and after and before.mode != after.mode:
        lines.append(f"  mode {before.mode:o} → {after.mode:o}")
    if file.lines:
        lines += [_painted(line, style) for line in file.lines]
        if file.cut:
            lines.append(f"  … {file.cut} more line(s)")
    elif kind == "file":
        lines.append(f"  {_content(before)} → {_content(after)}")
    elif kind == "link" and after:
        lines.append(f"  → {one_line(after.link or '')}")
    return lines


def _content(node: Node | None) -> str:
    if node is None:
        return "nothing"
    return f"{node.size} bytes (sha256 {(node.sha256 or '')[:12]})"


def _painted(line: str, style: Style) -> str:
    text = printable(line)
    color = _SIGNS.get(line[:1])
    return style.paint(color, text) if color and style.color else text


def _database_lines(database: DatabaseDifference, style: Style) -> list[str]:
    lines = [style.paint("bold", f"database {one_line(database.path)}")]
    shown = database.schema[:_SCHEMA_LINES_SHOWN]
    lines += [_painted(line, style) for line in shown]
    if len(database.schema) > len(shown):
        lines.append(f"  … {len(database.schema) - len(shown)} more line(s)")
    for table in database.tables:
        lines.append(f"  {one_line(table.table)}: {_counts(table)}")
        lines += [f"    {_painted(one_line(example), style)}" for example in table.examples]
        more = table.added + table.removed + table.changed - len(table.examples)
        if more:
            lines.append(f"    … {more} more row(s)")
    return lines


def _counts(table: TableDifference) -> str:
    counts = (("added", table.added), ("removed", table.removed), ("changed", table.changed))
    return ", ".join(f"{count} row(s) {word}" for word, count in counts if count)


def preview_json(rehearsed: Rehearsed) -> dict[str, object]:
    """Return the keys of a preview's document."""
    return run_json(rehearsed.run) | {
        "preview": True,
        "files": [_file_json(file) for file in rehearsed.files],
        "databases": [_database_json(database) for database in rehearsed.databases],
    }


def _file_json(file: FileDifference) -> dict[str, object]:
    return {
        "path": file.change.path,
        "change": file.change.verb,
        **file.change.as_json(),
        "diff": list(file.lines),
        "cut": file.cut,
    }


def _database_json(database: DatabaseDifference) -> dict[str, object]:
    return {
        "path": database.path,
        "schema": list(database.schema[:_SCHEMA_LINES_SHOWN]),
        "cut": max(0, len(database.schema) - _SCHEMA_LINES_SHOWN),
        "tables": [asdict(table) for table in database.tables],
    }


def verified_text(
    verified: Sequence[Verified], shown: Callable[[str], str], style: Style, lint_only: bool
) -> str:
    """Return what a verification showed, as a table and the reasons for every failure."""
    if not verified:
        return f"{style.paint('green', '✓')} Nothing to verify: no migration is pending"
    headers = ["Version", "Description", "Reversible", "Repeatable", "Idempotent", "Took", "Lint"]
    rows = [_row(item) for item in verified]
    if lint_only:
        headers, rows = _without(headers, rows, range(2, 6))
    first_to_go = [one for one in ("Took", "Idempotent", "Repeatable") if one in headers]
    colors = {header: {"NO": "red", "files only": "yellow"} for header in headers}
    table = table_text(headers, rows, style, "Description", first_to_go, colors)
    lines = ["Verification:", table, *_legend(verified)]
    for item in verified:
        lines += _reasons(item, shown, style)
    failed = sum(item.has_failed for item in verified)
    lines.append("")
    if failed:
        lines.append(f"{style.paint('red', '✗')} {failed} of {len(verified)} migration(s) failed")
    else:
        lines.append(
            f"{style.paint('green', '✓')} {len(verified)} migration(s) verified{_but(verified)}"
        )
    return "\n".join(lines)


def _but(verified: Sequence[Verified]) -> str:
    kept_back = [str(item.version) for item in verified if item.keeps_rows is False]
    return f", but whoever pulls gets no rows of {_some(kept_back)}" if kept_back else ""


def _legend(verified: Sequence[Verified]) -> list[str]:
    """Return what each ``-`` and ``kept`` of the table stands for."""
    reasons: dict[str, list[str]] = {}
    for item in verified:
        for why in item.unanswered:
            reasons.setdefault(why, []).append(str(item.version))
    lines = [f"  -  no answer: {why} ({_some(versions)})" for why, versions in reasons.items()]
    kept = [str(item.version) for item in verified if item.reversible and item.way_back == "kept"]
    if kept:
        what = "no down, but what is kept when it is applied brings everything back"
        lines.append(f"  kept  {what} ({_some(kept)})")
    return lines


def _some(versions: Sequence[str], most: int = 5) -> str:
    more = len(versions) - most
    shown = ", ".join(versions[:most])
    return f"{shown} and {more} more" if more > 0 else shown


def _without(
    headers: list[str], rows: list[list[str]], columns: Iterable[int]
) -> tuple[list[str], list[list[str]]]:
    left_out = set(columns)

    def rest(cells: list[str]) -> list[str]:
        return [cell for column, cell in enumerate(cells) if column not in left_out]

    return rest(headers), [rest(row) for row in rows]


def _row(item: Verified) -> list[str]:
    return [
        str(item.version),
        one_line(item.description),
        "kept" if item.reversible and item.way_back == "kept" else _answer(item.reversible),
        _answer(item.repeatable),
        "files only" if item.idempotent and item.keeps_rows is False else _answer(item.idempotent),
        f"{item.duration_ms} ms" if item.duration_ms is not None else "-",
        _remarks(item.findings),
    ]


def _remarks(findings: Sequence[Finding]) -> str:
    notes = sum(finding.is_note for finding in findings)
    counts = {"finding(s)": len(findings) - notes, "note(s)": notes}
    return ", ".join(f"{count} {what}" for what, count in counts.items() if count) or "clean"


def _answer(answer: bool | None) -> str:
    return "-" if answer is None else "yes" if answer else "NO"


def _reasons(item: Verified, shown: Callable[[str], str], style: Style) -> list[str]:
    lines = []
    for difference in item.differences:
        lines.append(f"  {one_line(difference.what)}")
        lines += [f"    {_painted(line, style)}" for line in difference.lines]
    if item.error is not None:
        lines += [f"  {line}" for line in error_text(item.error, shown, style).split("\n")]
    for finding in item.findings:
        lines += _finding_lines(finding, shown)
    return ["", f"{item.version} - {one_line(item.description)}", *lines] if lines else []


def _finding_lines(finding: Finding, shown: Callable[[str], str]) -> list[str]:
    # Names of files and of what stands in them come with a repository, and steer no terminal.
    place = f"{one_line(shown(finding.file))}:{finding.line}"
    return [
        f"  {place}: {finding.code}: {one_line(finding.message)}",
        f"    {one_line(finding.advice)}",
    ]


def verified_json(verified: Sequence[Verified], shown: Callable[[str], str]) -> dict[str, object]:
    """Return the keys of the ``verify`` document."""
    return {
        "migrations": [
            {
                "version": str(item.version),
                "description": item.description,
                "reversible": item.reversible,
                "way_back": item.way_back,
                "repeatable": item.repeatable,
                "idempotent": item.idempotent,
                "keeps_rows": item.keeps_rows,
                "duration_ms": item.duration_ms,
                "findings": [
                    asdict(finding) | {"file": shown(finding.file), "note": finding.is_note}
                    for finding in item.findings
                ],
                "differences": ["\n".join((one.what, *one.lines)) for one in item.differences],
                "unanswered": list(item.unanswered),
                "error": error_json(item.error, shown) if item.error else None,
            }
            for item in verified
        ]
    }
