"""History, baselines, what is taken over, repairs and backups, as text and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..engine.prepare import description_of
from .style import Style, clip, indented, one_line, printable
from .table import table_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..ledger.history import Event
    from ..operations.baseline import Takeover
    from ..operations.repair import Repair
    from ..operations.restore import Restored
    from ..plan import Entry
    from ..storage.backups import Backup, Shelf
    from ..version import Version
    from ..workspace import Workspace


_LONGEST_RECORD = 40  # columns
_RULES = {
    "header": "its header",
    "version": "version",
    "number": "number",
    "place": "place",
    "name": "name",
    "before": "comes before",
}
_OUTCOME_COLORS = {"done": "green", "failed": "red", "started": "yellow"}


def history_text(
    events: Sequence[Event], style: Style, as_list: bool = False, version: Version | None = None
) -> str:
    """Return what happened, for people.

    Parameters:
        version: the one migration that was asked about.
    """
    if not events:
        return f"Nothing has happened to {version} yet" if version else "Nothing has happened yet"
    if as_list:
        return "\n".join(
            f"{event.at}Z  {event.version or '-'}  {event.action}  {event.outcome}"
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
    first_to_go = ("Took", "By")
    colors = {"Outcome": _OUTCOME_COLORS}
    table = table_text(headers, rows, style, "What", first_to_go, colors)
    return "History, in UTC:\n" + table


def history_json(events: Sequence[Event]) -> dict[str, object]:
    """Return the keys of the ``history`` document."""
    from dataclasses import asdict

    return {"history": [asdict(event) for event in events]}


def baseline_text(
    marked: Sequence[Entry], target: Version, style: Style, is_dry: bool = False
) -> str:
    """Return what a baseline marked.

    Parameters:
        is_dry: it was a dry run, and nothing was marked.
    """
    tick = style.paint("green", "✓")
    if not marked:
        return f"{tick} Nothing to mark: everything up to {target} is applied"
    lines = [f"{tick} Marked {len(marked)} migration(s) as applied, without running them"]
    if is_dry:
        lines = [f"Dry run: would mark {len(marked)} migration(s) as applied"]
    lines += [f"  • {entry.version} - {one_line(description_of(entry))}" for entry in marked]
    return "\n".join([*lines, *(["", "Nothing was changed."] if is_dry else [])])


def baseline_json(marked: Sequence[Entry]) -> dict[str, object]:
    """Return the keys of the ``baseline`` document."""
    return {
        "marked": [
            {"version": str(entry.version), "description": description_of(entry)}
            for entry in marked
        ]
    }


def takeover_text(shown: Takeover, workspace: Workspace, style: Style, is_dry: bool = False) -> str:
    """Return which migrations another tool has applied, before they are marked.

    Parameters:
        is_dry: it was a dry run, and ends here.
    """
    where = one_line(shown.origin.ledger_in(workspace.shown(shown.file)))
    tick = style.paint("green", "✓")
    if not shown.matches:
        return f"{tick} Nothing to mark: by {where}, nothing is applied"
    lines = [f"Applied, by {where}:", _mapping_table(shown, style)]
    if not shown.due:
        lines += ["", f"{tick} Nothing to mark: all of it is applied here"]
    elif is_dry:
        lines += [
            "",
            f"Dry run: would mark {len(shown.due)} migration(s) as applied, without running them",
            "",
            "Nothing was changed.",
        ]
    return "\n".join(lines)


def taken_over_text(shown: Takeover, workspace: Workspace, style: Style, is_new: bool) -> str:
    """Return what was marked.

    Parameters:
        is_new: the reader has not seen yet what that rests on.
    """
    tick = style.paint("green", "✓")
    lines = [takeover_text(shown, workspace, style), ""] if is_new else []
    lines.append(f"{tick} Marked {len(shown.due)} migration(s) as applied, without running them")
    lines += [
        "",
        "Next steps:",
        f"  1. Prove them, and see what is pending: {style.call('verify', '--all')}",
        "  2. Let the other tool apply nothing more here; what it keeps stays as it is",
        f"  3. Run: {style.call('upgrade')}",
    ]
    return "\n".join(lines)


def takeover_json(shown: Takeover, marked: Sequence[Entry]) -> dict[str, object]:
    """Return the keys of the ``baseline`` document."""
    return {
        "marked": [
            {"version": str(entry.version), "description": description_of(entry)}
            for entry in marked
        ],
        "mapping": [
            {
                "version": str(entry.version),
                "description": description_of(entry),
                "record": record,
                "rule": rule,
                "applied": entry.applied is not None,
            }
            for entry, record, rule in _mapped(shown)
        ],
    }


def _mapped(shown: Takeover) -> list[tuple[Entry, str | None, str]]:
    """Return each migration with the record that it has, and the rule by which it is meant."""
    found = {one.version: (one.record.text, one.rule) for one in shown.matches}
    return [(entry, *found.get(entry.version, (None, "before"))) for entry in shown.entries]


def _mapping_table(shown: Takeover, style: Style) -> str:
    rows = [
        [
            str(entry.version),
            description_of(entry),
            clip(one_line(record or "-"), _LONGEST_RECORD),
            _RULES[rule],
            "applied" if entry.applied else "to mark",
        ]
        for entry, record, rule in _mapped(shown)
    ]
    headers = ["Version", "Description", "Recorded as", "Matched by", "Here"]
    return table_text(headers, rows, style, "Description", ("Matched by", "Recorded as"))


def repair_text(done: Sequence[Repair], style: Style, is_dry: bool = False) -> str:
    """Return what a repair settled, with the difference of every accepted file.

    Parameters:
        is_dry: it was a dry run, and nothing was settled.
    """
    tick = style.paint("green", "✓")
    if not done:
        return f"{tick} Nothing to repair"
    lines = [f"{tick} Repaired {len(done)} thing(s)"]
    if is_dry:
        lines = [f"Dry run: would repair {len(done)} thing(s)"]
    for item in done:
        name = f"{item.version}: " if item.version else ""
        lines.append(f"  • {name}{one_line(item.what)}")
        if item.diff:
            lines += indented(_painted_diff(printable(item.diff), style))
    return "\n".join([*lines, *(["", "Nothing was changed."] if is_dry else [])])


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


def backups_text(shelf: Shelf, style: Style) -> str:
    """Return the list of backups, the newest first, and which are damaged."""
    damaged = [f"  {one_line(one.id)}: {one_line(one.why)}" for one in shelf.damaged]
    lines = ["", "These cannot be used:", *damaged] if damaged else []
    if damaged and not shelf.backups:
        return "\n".join(["There is no backup that can be used", *lines])
    return "\n".join([_usable_text(shelf.backups, style), *lines])


def _usable_text(backups: Sequence[Backup], style: Style) -> str:
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
        "Backups, in UTC:\n"
        + table_text(headers, rows, style, None, ("Databases", "Files"))
        + f"\n\nTo go back to the state before one:\n  {style.call('restore', newest)}"
    )


def backups_json(shelf: Shelf) -> dict[str, object]:
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
            for backup in shelf.backups
        ],
        "damaged": [{"id": one.id, "why": one.why} for one in shelf.damaged],
    }


def restored_text(restored: Restored, named: Callable[[str], str], style: Style) -> str:
    """Return what a restore brought back; ``named`` gives the user's name for a path."""
    tick = style.paint("green", "✓")
    lines = [f"{tick} Restored {restored.backup.id}"]
    lines += [f"  • {one_line(named(path))}" for path in restored.paths]
    lines += ["", f"Current version: {restored.current or 'none'}"]
    return "\n".join(lines)


def restore_dry_run_text(restored: Restored, named: Callable[[str], str]) -> str:
    """Return what a restore would bring back; see :func:`restored_text`."""
    lines = [f"Dry run: would restore {restored.backup.id}"]
    lines += [f"  • {one_line(named(path))}" for path in restored.paths]
    lines += ["", f"The version would be: {restored.current or 'none'}", "Nothing was changed."]
    return "\n".join(lines)


def restored_json(restored: Restored) -> dict[str, object]:
    """Return the keys of the ``restore`` document."""
    return {
        "restored": restored.backup.id,
        "paths": list(restored.paths),
        "current_version": str(restored.current) if restored.current else None,
    }
