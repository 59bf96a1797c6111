"""One migration, as text and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable

from ..plan import State
from .status import DOWN, entry_json, way_back
from .style import Style, indented, one_line, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..operations.show import Changes, Shown

_WIDTH = 10
_STATE_COLORS = {State.APPLIED: "green", State.PENDING: "yellow", State.OUT_OF_ORDER: "yellow"}


def show_text(
    shown: Shown, path_of: Callable[[str], str], named: Callable[[str], str], style: Style
) -> str:
    """Return what is known about a migration, for people.

    Parameters:
        path_of: shortens an absolute path.
        named: gives the user's name for a path of the state.
    """
    entry = shown.entry
    lines = [style.paint("bold", f"{entry.version} - {one_line(shown.description)}")]
    lines.append(_line("State", _state(shown, style)))
    if entry.migration is not None:
        lines.append(_line("File", printable(path_of(entry.migration.path))))
    elif shown.source is not None:
        lines.append(_line("File", "gone; below is the source that was stored"))
    checksum = entry.applied.checksum if entry.applied else None
    lines.append(_line("Checksum", checksum or (entry.migration and entry.migration.checksum)))
    if entry.applied is not None:
        lines.append(_line("Way back", _way_back(shown)))
    lines += [_line(one_line(key), _value(value)) for key, value in shown.metadata.items()]
    lines += ["", *_changed_lines(shown, named, style)]
    if shown.source is not None:
        lines += ["", "Source:", *indented(printable(shown.source))]
    return "\n".join(lines)


def _line(name: str, value: str | None) -> str:
    return f"  {(name[:1].upper() + name[1:] + ':').ljust(_WIDTH)} {value or '-'}"


def _value(value: object) -> str:
    return one_line(", ".join(map(str, value)) if isinstance(value, list) else str(value))


def _state(shown: Shown, style: Style) -> str:
    entry = shown.entry
    state = style.paint(_STATE_COLORS.get(entry.state, "red"), entry.state.value)
    if entry.applied is None:
        return state
    row = entry.applied
    return f"{state}: at {one_line(row.applied_at)} UTC by {one_line(row.applied_by or '-')}"


def _way_back(shown: Shown) -> str:
    if way_back(shown.survey, shown.entry) == DOWN:
        return DOWN
    from .way_back import way_back_line

    return way_back_line(shown.survey, shown.entry)


def _changed_lines(shown: Shown, named: Callable[[str], str], style: Style) -> list[str]:
    if shown.entry.applied is None:
        preview = style.call("upgrade", f"{shown.entry.version} --preview")
        return [f"What it would change: {preview}"]
    if shown.changes is None:
        return [f"What it changed is not known: {shown.unknown}"]
    return _changes_text(shown.changes, named)


def _changes_text(changes: Changes, named: Callable[[str], str]) -> list[str]:
    also = f", with {', '.join(map(str, changes.also))}," if changes.also else ""
    lines = [f"  • {one_line(named(path))}: {what}" for path, what in changes.files]
    lines += [f"  • {one_line(named(path))}: rows or tables" for path in changes.databases]
    lines += [f"  • {one_line(name)}: {what}" for name, what in changes.schema]
    if not lines:
        return [f"The run that applied it{also} changed no files and no tables' definitions"]
    return [f"The run that applied it{also} changed:", *lines]


def show_json(shown: Shown, path_of: Callable[[str], str]) -> dict[str, object]:
    """Return the keys of the ``show`` document."""
    changes = shown.changes
    return {
        **entry_json(shown.entry, shown.description, path_of),
        "way_back": way_back(shown.survey, shown.entry),
        "language": shown.language,
        "metadata": json.loads(json.dumps(shown.metadata, default=str)),
        "source": shown.source,
        "changes": changes
        and {
            "also_applied": [str(version) for version in changes.also],
            "files": [{"path": path, "what": what} for path, what in changes.files],
            "databases": list(changes.databases),
            "schema": [{"name": name, "what": what} for name, what in changes.schema],
        },
        "unknown": shown.unknown,
    }
