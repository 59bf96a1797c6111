"""Results as text for people and as JSON documents for programs."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from .commands import DryRun, Look, Run
from .errors import MigrateError
from .plan import UNAPPLIED, Entry, Plan, State
from .prepare import describe, description_of
from .version import Version
from .workspace import Workspace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .backup import Backup
    from .create import Created
    from .history import Event
    from .repair import Repair
    from .restore import Restored

_CHECKSUM_DIGITS = 12
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_COLORS = {
    "green": "32",
    "red": "31",
    "yellow": "33",
    "dim": "2",
    "bold": "1",
}
_STATE_COLORS = {
    State.APPLIED: "green",
    State.PENDING: "yellow",
    State.OUT_OF_ORDER: "yellow",
    State.MODIFIED: "red",
    State.MISSING: "red",
    State.INTERRUPTED: "red",
}
_FILLER = "\0"  # `printable` leaves none in a text
_WIDEST_WHAT = 60


class Style:
    """How text is shown: with colour or without, and how wide it may be.

    Parameters:
        color: whether the reader's terminal shows colour.
        width: columns of the terminal; ``None`` when there is none to fit.
    """

    def __init__(self, color: bool = False, width: int | None = None) -> None:
        self.color = color
        self.width = width

    def paint(self, color: str, text: str) -> str:
        """Return ``text`` in ``color`` where colour is shown."""
        return f"\x1b[{_COLORS[color]}m{text}\x1b[0m" if self.color else text


def printable(text: str) -> str:
    """Return ``text`` without control characters.

    A description may come with a cloned repository, and must not steer the reader's terminal.
    """
    return _CONTROL.sub("\ufffd", text)


def one_line(text: str) -> str:
    """Return ``text`` as one printable line."""
    return printable(" ".join(text.split()))


# --- status ----------------------------------------------------------------------------------


def status_text(look: Look, shown: Sequence[Entry], style: Style, as_list: bool = False) -> str:
    """Return the status of ``shown``, a selection of the look's entries, for people."""
    if not look.entries:
        return _no_migrations(look.workspace)
    if as_list:
        body = "\n".join(
            f"{entry.version}  {entry.state.value}  {one_line(description_of(entry))}"
            for entry in shown
        )
        return body or "No migrations to show"
    lines = ["Migration Status:", _status_table(shown, style), "", _summary(look.entries)]
    lines += _remarks(look)
    return "\n".join(lines)


def _no_migrations(workspace: Workspace) -> str:
    return (
        f"No migrations found in {workspace.shown(workspace.migrations)}\n"
        "  Start one with: plugin-migrate create NAME"
    )


def _status_table(shown: Sequence[Entry], style: Style) -> str:
    headers = ["Version", "Description", "Status", "Applied At", "Checksum"]
    rows = [
        [
            str(entry.version),
            one_line(description_of(entry)),
            entry.state.value.capitalize(),
            _moment(entry.applied.applied_at) if entry.applied else "-",
            _short_checksum(entry),
        ]
        for entry in shown
    ]
    table = table_text(headers, rows, style.width)
    if not style.color:
        return table
    return _paint_states(table, shown, style)


def _paint_states(table: str, shown: Sequence[Entry], style: Style) -> str:
    lines = table.split("\n")
    for number, entry in enumerate(shown, start=3):
        word = entry.state.value.capitalize()
        painted = style.paint(_STATE_COLORS[entry.state], word)
        # From the right: a description may contain the same word.
        head, _, tail = lines[number].rpartition(f" {word} ")
        lines[number] = f"{head} {painted} {tail}"
    return "\n".join(lines)


def table_text(headers: list[str], rows: list[list[str]], width: int | None) -> str:
    """Return a box-drawn table that fits ``width`` columns; ``None`` is as wide as it gets."""
    from tabulate import tabulate

    rows = [[_as_columns(cell) for cell in row] for row in rows]
    headers, rows = _fitted(headers, rows, width)
    table = tabulate(
        rows, headers=headers, tablefmt="simple_outline", disable_numparse=True, stralign="left"
    )
    return table.replace(_FILLER, "")


def cut_text(text: str, width: int) -> str:
    """Return as much of ``text`` as fits ``width`` columns of the terminal."""
    return _cut(_as_columns(text), width).replace(_FILLER, "")


def _as_columns(text: str) -> str:
    """Return ``text`` with one character per column of the terminal: wide ones get a filler."""
    if text.isascii():
        return text
    from unicodedata import east_asian_width, normalize

    composed = normalize("NFC", text)
    return "".join(char + _FILLER if east_asian_width(char) in "WF" else char for char in composed)


def _fitted(
    headers: list[str], rows: list[list[str]], width: int | None
) -> tuple[list[str], list[list[str]]]:
    """Return columns that fit ``width``: descriptions are cut first, then columns from the right.

    A table that the terminal wraps cannot be read.
    """
    if width is None:
        return headers, rows
    # tabulate pads a header by two, and every cell by a border and two spaces.
    needed = [
        max([len(header) + 2, *(len(row[column]) for row in rows)]) + 3
        for column, header in enumerate(headers)
    ]
    excess = sum(needed) + 1 - width
    if excess <= 0:
        return headers, rows
    room = max(needed[1] - 3 - excess, len(headers[1]) + 2)
    rows = [[row[0], _cut(row[1], room), *row[2:]] for row in rows]
    excess -= needed[1] - 3 - room
    while excess > 0 and len(headers) > 3:
        excess -= needed[len(headers) - 1]
        headers, rows = headers[:-1], [row[:-1] for row in rows]
    return headers, rows


def _cut(text: str, length: int) -> str:
    if len(text) <= length:
        return text
    # A filler goes with its character.
    end = length - 2 if text[length - 1] == _FILLER else length - 1
    return text[:end] + "…"


def _moment(applied_at: str) -> str:
    """Return a ledger's time as the table shows it; other engines write ISO 8601."""
    return printable(str(applied_at)).replace("T", " ")[:19]


def _short_checksum(entry: Entry) -> str:
    checksum = entry.applied.checksum if entry.applied else ""
    if not checksum and entry.migration:
        checksum = entry.migration.checksum
    # Another engine's has no tag.
    return printable(checksum).rpartition(":")[2][:_CHECKSUM_DIGITS] or "-"


def _summary(entries: Iterable[Entry]) -> str:
    counts = dict.fromkeys(State, 0)
    for entry in entries:
        counts[entry.state] += 1
    parts = [
        f"{count} {state.value}"
        for state, count in counts.items()
        if count or state in (State.APPLIED, State.PENDING)
    ]
    return "Summary: " + ", ".join(parts)


def _remarks(look: Look) -> list[str]:
    remarks = []
    states = {entry.state for entry in look.entries}
    if look.ledger.publishes:
        remarks.append(
            "Files of a committed migration are still on their way; the next upgrade or"
            " downgrade puts them in place."
        )
    if look.ledger.started:
        versions = ", ".join(map(str, sorted(look.ledger.started)))
        remarks.append(
            f"Interrupted outside a transaction: {versions}. Settle with: plugin-migrate repair"
            " --applied or --pending"
        )
    if State.MODIFIED in states:
        remarks.append("Modified: the file was edited since it was applied.")
    newest_file = max((e.version for e in look.entries if e.migration), default=None)
    ahead = look.current is not None and newest_file is not None and look.current > newest_file
    if ahead:
        remarks.append(
            f"The state is ahead of the files. To go back to them: plugin-migrate downgrade"
            f" {newest_file}"
        )
    elif State.MISSING in states:
        remarks.append("Missing: the file is gone; a downgrade works from the stored source.")
    return ["", *remarks] if remarks else []


def status_json(look: Look, shown: Sequence[Entry]) -> dict[str, object]:
    """Return the keys of the ``status`` document."""
    return {
        "current_version": str(look.current) if look.current else None,
        "migrations": [_entry_json(entry, look.workspace) for entry in shown],
    }


def _entry_json(entry: Entry, workspace: Workspace) -> dict[str, object]:
    applied, migration = entry.applied, entry.migration
    metadata = _metadata(entry)
    return {
        "version": str(entry.version),
        "description": description_of(entry),
        "status": entry.state.value,
        "applied_at": applied.applied_at if applied else None,
        "applied_by": applied.applied_by if applied else None,
        "execution_time_ms": applied.execution_time_ms if applied else None,
        "checksum": applied.checksum if applied else migration.checksum if migration else None,
        "path": workspace.shown(migration.path) if migration else None,
        "language": migration.language if migration else applied.language if applied else None,
        "author": metadata.get("author"),
        "tags": metadata.get("tags") or [],
    }


def _metadata(entry: Entry) -> Mapping[str, object]:
    if entry.applied is None:
        return describe(entry.migration).metadata if entry.migration else {}
    import json

    try:
        metadata = json.loads(entry.applied.metadata or "{}")
    except ValueError:
        return {}
    return metadata if isinstance(metadata, dict) else {}


# --- upgrade and downgrade -------------------------------------------------------------------


def run_text(run: Run, style: Style) -> str:
    """Return what an upgrade or a downgrade did; a failure is told by :func:`error_text`."""
    if not run.results and run.error is None:
        return _nothing_to_do(run.look, run.plan, style)
    if not run.results:
        return ""
    count = len(run.results)
    tick = style.paint("green", "✓")
    if run.plan.direction == "up":
        first = f"{tick} Applied {count} migration(s) in {run.duration:.1f}s"
    else:
        first = f"{tick} Rolled back {count} migration(s)"
    lines = [first]
    for result in run.results:
        where = " (from the stored source: its file is gone)" if result.from_ledger else ""
        lines.append(f"  • {result.version} - {one_line(result.description)}{where}")
    lines += _run_remarks(run)
    return "\n".join(lines)


def _run_remarks(run: Run) -> list[str]:
    lines = []
    if run.plan.direction == "down" and run.error is None:
        took = f"to version {run.plan.target}" if run.plan.target else _steps(run.plan.count or 1)
        lines += ["", f"Downgraded {took}. Current version: {run.current or 'none'}"]
    done = {result.version for result in run.results}
    late = [str(version) for version in run.plan.out_of_order if version in done]
    if late:
        lines += ["", f"Applied out of order, below the version before: {', '.join(late)}"]
    return lines


def _steps(count: int) -> str:
    return "1 step" if count == 1 else f"{count} steps"


def _nothing_to_do(look: Look, plan: Plan, style: Style) -> str:
    tick = style.paint("green", "✓")
    current = f"  Current version: {look.current or 'none'}"
    if plan.direction == "down":
        what = f" above {plan.target}" if plan.target and look.current else ""
        return f"{tick} Nothing to roll back{what}\n{current}"
    if not look.entries:
        return f"{tick} No pending migrations\n{current}\n  " + _no_migrations(look.workspace)
    if plan.beyond:
        rest = f"  {plan.beyond} pending above {plan.target}"
        return f"{tick} No pending migrations up to {plan.target}\n{current}\n{rest}"
    return f"{tick} No pending migrations\n{current}\n  All migrations up to date"


def run_json(run: Run) -> dict[str, object]:
    """Return the keys of the ``upgrade`` and ``downgrade`` documents."""
    document: dict[str, object] = {
        "steps": [
            {
                "version": str(result.version),
                "description": result.description,
                "direction": result.direction,
                "duration_ms": result.duration_ms,
                "from_stored_source": result.from_ledger,
            }
            for result in run.results
        ],
        "current_version": str(run.current) if run.current else None,
        "target": str(run.plan.target) if run.plan.target else None,
        "count": run.plan.count,
        "out_of_order": [str(version) for version in run.plan.out_of_order],
    }
    if run.failed is not None:
        document["failed"] = {
            "version": str(run.failed.version),
            "description": run.failed.description,
            "direction": run.failed.direction,
        }
    return document


def dry_run_text(dry_run: DryRun, style: Style, with_sources: bool) -> str:
    """Return the plan of a dry run for people."""
    if not dry_run.prepared:
        return _nothing_to_do(dry_run.look, dry_run.plan, style)
    verb = "apply" if dry_run.plan.direction == "up" else "roll back"
    lines = [f"Dry run: would {verb} {len(dry_run.prepared)} migration(s)"]
    for prepared in dry_run.prepared:
        lines.append(f"  • {prepared.version} - {one_line(prepared.description)}")
        if with_sources:
            lines += ["", *_indented(printable(prepared.source)), ""]
    if dry_run.plan.out_of_order:
        late = ", ".join(map(str, dry_run.plan.out_of_order))
        lines.append(f"Out of order, below the current version: {late}")
    lines += ["", "Nothing was changed."]
    return "\n".join(lines)


def _indented(text: str) -> list[str]:
    return [f"    {line}".rstrip() for line in text.replace("\r\n", "\n").strip("\n").split("\n")]


def dry_run_json(dry_run: DryRun, with_sources: bool) -> dict[str, object]:
    """Return the keys of a dry run's document: the steps it would take, none of them run."""
    steps = []
    for prepared in dry_run.prepared:
        step: dict[str, object] = {
            "version": str(prepared.version),
            "description": prepared.description,
            "direction": prepared.direction,
            "duration_ms": None,
            "from_stored_source": prepared.from_ledger,
        }
        if with_sources:
            step["source"] = prepared.source
        steps.append(step)
    current = dry_run.look.current
    return {
        "dry_run": True,
        "steps": steps,
        "current_version": str(current) if current else None,
        "target": str(dry_run.plan.target) if dry_run.plan.target else None,
        "count": dry_run.plan.count,
        "out_of_order": [str(version) for version in dry_run.plan.out_of_order],
    }


# --- create ----------------------------------------------------------------------------------

_FUNCTIONS = {
    "python": "Implement up() and down() functions",
    "sql": "Write the migrate:up and migrate:down sections",
}


def created_text(created: Created, workspace: Workspace, style: Style) -> str:
    """Return where the new migration is and what comes next."""
    tick = style.paint("green", "✓")
    lines = [
        f"{tick} Created migration: {os.path.basename(created.path)}",
        f"  Path: {workspace.shown(created.path)}",
        "",
        "Next steps:",
        "  1. Edit the migration file",
        f"  2. {_FUNCTIONS[created.language]}",
        "  3. Run: /plugin-migrate upgrade",
    ]
    if created.is_late:
        lines += [
            "",
            f"Version {created.version} is below the current one: it will be out of order",
        ]
    return "\n".join(lines)


def created_json(created: Created, workspace: Workspace) -> dict[str, object]:
    """Return the keys of the ``create`` document."""
    return {"version": str(created.version), "path": workspace.shown(created.path)}


# --- history, baseline, repair, restore, check -----------------------------------------------


def history_text(events: Sequence[Event], style: Style, as_list: bool = False) -> str:
    """Return what happened, for people."""
    if not events:
        return "Nothing has happened yet"
    if as_list:
        return "\n".join(
            f"{event.at}  {event.version or '-'}  {event.action}  {event.outcome}"
            f"  {one_line(event.error or event.description or '')}".rstrip()
            for event in events
        )
    headers = ["Version", "What", "Action", "Outcome", "At", "By", "Took"]
    rows = [
        [
            event.version or "-",
            one_line(event.error or event.description or "-"),
            event.action,
            event.outcome,
            event.at,
            one_line(event.done_by),
            f"{event.duration_ms} ms",
        ]
        for event in events
    ]
    if style.width is None:
        rows = [[row[0], _cut(row[1], _WIDEST_WHAT), *row[2:]] for row in rows]
    return "History:\n" + table_text(headers, rows, style.width)


def history_json(events: Sequence[Event]) -> dict[str, object]:
    """Return the keys of the ``history`` document."""
    from dataclasses import asdict

    return {"history": [asdict(event) for event in events]}


def baseline_text(marked: Sequence[Entry], target: Version, style: Style) -> str:
    """Return what a baseline marked."""
    tick = style.paint("green", "✓")
    if not marked:
        return f"{tick} Nothing to mark: everything up to {target} is applied"
    lines = [f"{tick} Marked {len(marked)} migration(s) as applied, without running them"]
    lines += [f"  • {entry.version} - {one_line(description_of(entry))}" for entry in marked]
    return "\n".join(lines)


def baseline_json(marked: Sequence[Entry]) -> dict[str, object]:
    """Return the keys of the ``baseline`` document."""
    return {
        "marked": [
            {"version": str(entry.version), "description": description_of(entry)}
            for entry in marked
        ]
    }


def repair_text(done: Sequence[Repair], style: Style) -> str:
    """Return what a repair settled, with the difference of every accepted file."""
    tick = style.paint("green", "✓")
    if not done:
        return f"{tick} Nothing to repair"
    lines = [f"{tick} Repaired {len(done)} thing(s)"]
    for item in done:
        name = f"{item.version}: " if item.version else ""
        lines.append(f"  • {name}{one_line(item.what)}")
        if item.diff:
            lines += _indented(_painted_diff(printable(item.diff), style))
    return "\n".join(lines)


def _painted_diff(diff: str, style: Style) -> str:
    colors = {"+": "green", "-": "red"}
    return "\n".join(
        style.paint(colors[line[0]], line) if line[:1] in colors else line
        for line in diff.split("\n")
    )


def repair_json(done: Sequence[Repair]) -> dict[str, object]:
    """Return the keys of the ``repair`` document."""
    return {
        "repaired": [
            {
                "version": str(item.version) if item.version else None,
                "what": item.what,
                "diff": item.diff or None,
            }
            for item in done
        ]
    }


def backups_text(backups: Sequence[Backup], style: Style) -> str:
    """Return the list of backups, the newest first."""
    if not backups:
        return "There are no backups yet: each upgrade and downgrade makes one"
    headers = ["Backup", "Version before", "Files", "Databases", "Created"]
    rows = [
        [
            backup.id,
            backup.current_version or "none",
            str(len(backup.files)) if backup.is_complete else "not kept",
            str(len(backup.databases) + backup.has_state) if backup.is_complete else "not kept",
            backup.created_at,
        ]
        for backup in backups
    ]
    newest = backups[0].id
    return (
        "Backups:\n"
        + table_text(headers, rows, style.width)
        + "\n\nTo go back to the state before one: plugin-migrate restore "
        + newest
    )


def backups_json(backups: Sequence[Backup]) -> dict[str, object]:
    """Return the keys of the document of ``restore`` without an argument."""
    return {
        "backups": [
            {
                "id": backup.id,
                "created_at": backup.created_at,
                "command": backup.command,
                "current_version": backup.current_version,
                "complete": backup.is_complete,
                "files": [saved.path for saved in backup.files],
                "databases": [saved.path for saved in backup.databases],
            }
            for backup in backups
        ]
    }


def restored_text(restored: Restored, style: Style) -> str:
    """Return what a restore brought back."""
    tick = style.paint("green", "✓")
    lines = [f"{tick} Restored {restored.backup.id}"]
    lines += [f"  • .claude/{path}" for path in map(one_line, restored.paths)]
    lines += ["", f"Current version: {restored.current or 'none'}"]
    return "\n".join(lines)


def restored_json(restored: Restored) -> dict[str, object]:
    """Return the keys of the ``restore`` document."""
    return {
        "restored": restored.backup.id,
        "paths": list(restored.paths),
        "current_version": str(restored.current) if restored.current else None,
    }


def check_text(look: Look) -> str:
    """Return one line for a hook or a log."""
    pending = sum(entry.state in UNAPPLIED for entry in look.entries)
    current = f"current version: {look.current or 'none'}"
    troubled = _listed_states(look)
    trouble = f"; {troubled}" if troubled else ""
    if pending:
        return f"{pending} pending migration(s) ({current}){trouble}"
    return f"No pending migrations ({current}){trouble}"


def _listed_states(look: Look) -> str:
    counts = Counter(entry.state for entry in look.entries)
    states = (State.MODIFIED, State.MISSING, State.INTERRUPTED)
    return ", ".join(f"{counts[state]} {state.value}" for state in states if counts[state])


def check_json(look: Look) -> dict[str, object]:
    """Return the keys of the ``check`` document."""
    counts = Counter(entry.state.value for entry in look.entries)
    return {
        "current_version": str(look.current) if look.current else None,
        "pending": [str(entry.version) for entry in look.entries if entry.state in UNAPPLIED],
        "counts": dict(counts),
    }


# --- errors ----------------------------------------------------------------------------------


def error_text(error: MigrateError, shown: Callable[[str], str], style: Style) -> str:
    """Return what happened, where, and what to do next."""
    first, *rest = printable(error.message).split("\n")
    lines = [f"{style.paint('red', '✗')} Error: {first}", *(f"  {line}" for line in rest)]
    if error.file is not None:
        line = f":{error.line}" if error.line is not None else ""
        lines.append(f"  {printable(shown(error.file))}{line}")
    for detail in error.details:
        lines += [f"  {line}" for line in printable(detail).split("\n")]
    if error.hint is not None:
        lines += [f"  {line}" for line in printable(error.hint).split("\n")]
    return "\n".join(lines)


def error_json(error: MigrateError, shown: Callable[[str], str]) -> dict[str, object]:
    """Return the ``error`` value of a document."""
    return {
        "code": error.code,
        "message": error.message,
        "hint": error.hint,
        "file": shown(error.file) if error.file is not None else None,
        "line": error.line,
        "details": list(error.details),
    }


def failure_text(run: Run, shown: Callable[[str], str], style: Style) -> str:
    """Return why a run stopped, what stays, and what to do next."""
    return run_error_text(run, shown, style) + "\n\n" + "\n".join(_next_steps(run))


def run_error_text(run: Run, shown: Callable[[str], str], style: Style) -> str:
    """Return why a run stopped, and at which migration."""
    error = run.error
    assert error is not None
    text = error_text(error, shown, style)
    if run.failed is not None and error.code != "needs_repair":
        verb = "apply" if run.plan.direction == "up" else "roll back"
        head = (
            f"{style.paint('red', '✗')} Error: Could not {verb} {run.failed.version} -"
            f" {one_line(run.failed.description)}"
        )
        text = head + "\n" + "\n".join(f"  {line}" for line in _body(text))
    return text


def _body(text: str) -> list[str]:
    first, *rest = text.split("\n")
    return [first.partition("Error: ")[2], *(line[2:] for line in rest)]


def _next_steps(run: Run) -> list[str]:
    assert run.error is not None
    count = len(run.results)
    if run.error.code == "needs_repair":
        return [f"{_steps(count)} of this run finished before it."]
    if run.plan.direction == "up":
        lines = ["The failed migration was undone completely."]
        if run.failed is not None and not run.failed.action.atomic:
            lines = ["The migration runs outside a transaction: what it did before stays."]
        if count:
            lines.append(
                f"{count} migration(s) applied before it stay; to undo them:"
                f" plugin-migrate downgrade {count}"
            )
        return [*lines, "Fix it, then run: plugin-migrate upgrade"]
    lines = []
    if count:
        lines.append(f"Rolled back before it: {count} migration(s), which stay rolled back.")
    if run.failed is not None and run.failed.action.atomic:
        lines.append("The state is as before the failed step; its down may need a fix by hand.")
    else:
        lines.append("The state is left as it is, and manual work may be needed.")
    return lines
