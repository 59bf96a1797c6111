"""The state of every migration, as text and as JSON."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence

from ..plan import State, ahead
from ..values import NamedTuple
from .style import Style, one_line
from .table import table_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..ledger.read import Header
    from ..migration import Misnamed, RefusedFile
    from ..plan import Entry
    from ..sources.attention import Attention
    from ..sources.departed import Departed
    from ..survey import Survey
    from ..version import Version
    from ..workspace import Workspace


_CHECKSUM_DIGITS = 12
_MISNAMED_SHOWN = 10
_OFFSET = re.compile(r":\d\d(\.\d+)?[+-]\d\d:?\d\d$")
_REFUSED = "refused"
DOWN = "down"

_STATE_COLORS = {
    State.APPLIED.value: "green",
    State.PENDING.value: "yellow",
    State.OUT_OF_ORDER.value: "yellow",
    State.MODIFIED.value: "red",
    State.MISSING.value: "red",
    State.INTERRUPTED.value: "red",
    State.FILES_ONLY.value: "yellow",
    State.DATABASE_ONLY.value: "red",
    _REFUSED: "red",
}


def status_text(
    survey: Survey,
    shown: Sequence[Entry],
    plugins: Sequence[Attention],
    style: Style,
    as_list: bool = False,
    most_rows: int | None = None,
    refused: Sequence[RefusedFile] = (),
) -> str:
    """Return the status of ``shown``, a selection of the survey's entries, for people.

    Parameters:
        plugins: what plugins have to tell, one line each at the end.
        most_rows: of more than so many it shows those that matter most, and says so.
        refused: files that no upgrade applies, a row each.
    """
    lines = [_own_status(survey, shown, style, as_list, most_rows, refused)]
    if plugins and not as_list:
        lines += ["", *(f"Plugin {one_line(attention_text(attention))}" for attention in plugins)]
    return "\n".join(lines)


def attention_text(attention: Attention) -> str:
    """Return what one plugin has to tell, and the command that it is about."""
    command = f"plugin-migrate {attention.way_out} --plugin {attention.source}"
    if attention.departed is not None:
        return _departed_text(attention, attention.departed, command)
    if attention.problem is not None:
        return f"{attention.source}: {attention.problem}. See: {command}"
    counts = {
        "pending": attention.pending,
        "modified": attention.modified,
        "interrupted": attention.interrupted,
        _REFUSED: attention.refused,
    }
    told = [f"{count} {state}" for state, count in counts.items() if count]
    if attention.ahead:
        told.append(f"{attention.ahead} of a newer version applied")
    if attention.taken:
        told.append(f"{attention.taken} database only")
    version = attention.current or "none"
    return f"{attention.source}: {', '.join(told)} (current version {version}). Run: {command}"


def _departed_text(attention: Attention, departed: Departed, command: str) -> str:
    what = (
        attention.problem
        or f"{attention.ahead} applied (current version {attention.current or 'none'})"
    )
    matter = f"{attention.source}: {what}, and the plugin {departed.absence.sentence}."
    is_in_the_way = attention.problem is not None or attention.interrupted
    return f"{matter} Run: {command}" if is_in_the_way else f"{matter} {departed.way_out}"


def _own_status(
    survey: Survey,
    shown: Sequence[Entry],
    style: Style,
    as_list: bool,
    most_rows: int | None,
    refused: Sequence[RefusedFile],
) -> str:
    if not survey.entries and not survey.refused:
        return no_migrations(survey, style)
    count = len(shown)
    if most_rows is not None and count > most_rows:
        shown = _most_telling(shown, most_rows)
    rows = _rows(survey, shown, refused)
    if as_list:
        body = "\n".join(
            f"{row.version}  {row.status}  {one_line(row.description)}" for row in rows
        )
        return "\n".join([body or "No migrations to show", *_left_out(count, shown, style)])
    lines = ["Migration Status:", _status_table(rows, style), *_left_out(count, shown, style)]
    lines += ["", _summary(survey)]
    if style.width is not None and any(entry.applied for entry in shown):
        lines.append("Times are in UTC.")
    if any(row.way_back not in (DOWN, "-") for row in rows):
        from .way_back import way_back_lines

        without_down = [one for one in shown if way_back(survey, one) not in (DOWN, None)]
        lines += way_back_lines(survey, without_down)
    lines += _remarks(survey, style)
    return "\n".join(lines)


class _Row(NamedTuple):
    version: str
    description: str
    status: str
    applied_at: str = "-"
    checksum: str = "-"
    way_back: str = "-"


def _rows(survey: Survey, shown: Sequence[Entry], refused: Sequence[RefusedFile]) -> list[_Row]:
    """Return the rows of a table in version order; without a version at its end."""
    rows = [
        (
            entry.version,
            _Row(
                str(entry.version),
                _description(entry),
                entry.state.value,
                _moment(entry.applied.applied_at) if entry.applied else "-",
                _short_checksum(entry),
                way_back(survey, entry) or "-",
            ),
        )
        for entry in shown
    ]
    rows += [
        (one.version, _Row(str(one.version), one.name, _REFUSED))
        for one in refused
        if one.version is not None
    ]
    rows.sort(key=lambda row: row[0])
    unnumbered = [_Row("-", one.name, _REFUSED) for one in refused if one.version is None]
    return [*(row for _, row in rows), *unnumbered]


def _most_telling(entries: Sequence[Entry], count: int) -> list[Entry]:
    """Return the entries that need care, then those that are next, then those applied last."""
    ranks = {State.PENDING: 1, State.APPLIED: 2}

    def urgency(number: int) -> tuple[int, int]:
        state = entries[number].state
        return ranks.get(state, 0), number if state is State.PENDING else -number

    chosen = sorted(range(len(entries)), key=urgency)[:count]
    return [entries[number] for number in sorted(chosen)]


def _left_out(count: int, shown: Sequence[Entry], style: Style) -> list[str]:
    if count == len(shown):
        return []
    what = "what needs care, what is next and what was applied last"
    return [
        f"{count - len(shown)} of {count} migrations are left out; shown is {what}.",
        f"In a terminal, `{style.call('status')}` shows all of them.",
    ]


def no_migrations(survey: Survey, style: Style) -> str:
    """Return that the folder holds no migrations, and how to start one."""
    workspace = survey.workspace
    return "\n".join(
        [
            f"No migrations found in {workspace.shown(workspace.migrations)}",
            f"  Start one with: {style.call('create', 'NAME')}",
            *misnamed_lines(survey.misnamed),
        ]
    )


def misnamed_lines(misnamed: Sequence[Misnamed]) -> list[str]:
    """Return the files that look like migrations and are none, with the reasons."""
    if not misnamed:
        return []
    shown = misnamed[:_MISNAMED_SHOWN]
    lines = [f"{len(misnamed)} file(s) look like migrations and are not:"]
    lines += [f"  {one_line(one.name)}: {one_line(one.reason)}" for one in shown]
    if len(misnamed) > len(shown):
        lines.append(f"  … and {len(misnamed) - len(shown)} more")
    return ["", *lines]


def misnamed_json(misnamed: Sequence[Misnamed]) -> list[dict[str, str]]:
    """Return the same for a document."""
    return [one._asdict() for one in misnamed]


def _status_table(rows: Sequence[_Row], style: Style) -> str:
    headers = ["Version", "Description", "Status", "Applied At", "Checksum", "Way Back"]
    first_to_go = ("Checksum", "Applied At")
    colors = {"Status": {label.capitalize(): color for label, color in _STATE_COLORS.items()}}
    colors["Way Back"] = {"none": "yellow"}
    cells: list[Sequence[str]] = [row._replace(status=row.status.capitalize()) for row in rows]
    if {row.way_back for row in rows} <= {DOWN, "-"}:
        headers, cells = headers[:-1], [row[:-1] for row in cells]
    return table_text(headers, cells, style, "Description", first_to_go, colors)


def way_back(survey: Survey, entry: Entry) -> str | None:
    """Return by what an applied migration goes back: its down, what was kept, or nothing."""
    if entry.applied is None:
        return None
    has_mark = str(entry.version) in (survey.ledger.ways_back or ())
    if not has_mark and (entry.migration is None or entry.migration.mentions_down):
        return DOWN
    from .way_back import kept_or_none  # seldom needed

    return kept_or_none(survey, entry)


def _description(entry: Entry) -> str:
    if entry.applied is not None:
        return entry.applied.description
    from ..engine.prepare import description_of  # only what is pending has to be parsed

    return description_of(entry)


def _moment(applied_at: str) -> str:
    """Return a ledger's time as the table shows it, in UTC; other engines write ISO 8601."""
    if _OFFSET.search(applied_at):
        from datetime import UTC, datetime

        try:
            moment = datetime.fromisoformat(applied_at).astimezone(UTC)
        except (ValueError, OverflowError):
            return applied_at[:25]
        return moment.strftime("%Y-%m-%d %H:%M:%S")
    return applied_at.replace("T", " ")[:19]


def _short_checksum(entry: Entry) -> str:
    checksum = entry.applied.checksum if entry.applied else ""
    if not checksum and entry.migration:
        checksum = entry.migration.checksum
    # Another engine's has no tag.
    return checksum.rpartition(":")[2][:_CHECKSUM_DIGITS] or "-"


def _summary(survey: Survey) -> str:
    counts = Counter(entry.state.value for entry in survey.entries)
    counts[_REFUSED] = len(survey.refused)
    parts = [
        f"{counts[state]} {state}"
        for state in (*(state.value for state in State), _REFUSED)
        if counts[state] or state in (State.APPLIED.value, State.PENDING.value)
    ]
    return "Summary: " + ", ".join(parts)


def _remarks(survey: Survey, style: Style) -> list[str]:
    remarks = []
    states = {entry.state for entry in survey.entries}
    if survey.ledger.publishes:
        remarks.append(
            "Files of a committed migration are not all in place yet; the next upgrade or"
            " downgrade puts them in place."
        )
    if survey.ledger.started:
        versions = ", ".join(map(str, sorted(survey.ledger.started)))
        remarks.append(
            f"Interrupted outside a transaction: {versions}. Settle with:"
            f" {style.call('repair', '--applied')} or --pending"
        )
    if State.MODIFIED in states:
        first = min(one.version for one in survey.entries if one.state is State.MODIFIED)
        remarks += [
            "Modified: the file was edited since it was applied. Take the edit back (git restore)",
            f"  and write a new migration, or accept it: {style.call('repair', str(first))}",
        ]
    remarks += _halves(states, style)
    newest_file = max((e.version for e in survey.entries if e.migration), default=None)
    if newest_file is not None and ahead(survey.entries):
        remarks += _ways_back(survey, newest_file, style)
    elif State.MISSING in states:
        remarks.append("Missing: the file is gone; a downgrade works from the stored source.")
    return [
        *(["", *remarks] if remarks else []),
        *_refused_lines(survey, style),
        *misnamed_lines(survey.misnamed),
    ]


def _halves(states: Collection[State], style: Style) -> list[str]:
    """Return what there is to say of migrations of which git brought or took one half."""
    lines = []
    if State.FILES_ONLY in states:
        lines += [
            "Files only: git brought the files as migrated. This adds what belongs to them in the",
            f"  database, and leaves them as they are: {style.call('upgrade')}",
        ]
    if State.DATABASE_ONLY in states:
        lines += [
            "Database only: git took the files back. Go to the branch that has them; or roll the",
            f"  database back too, and leave the files as they are: {style.call('sync')}",
        ]
    return lines


def _ways_back(survey: Survey, newest_file: Version, style: Style) -> list[str]:
    if survey.workspace.source is not None:
        call = style.call("downgrade", str(newest_file))
        return [f"The state is ahead of the files. To go back to them: {call}"]
    # Git may have taken back the files that a rollback is to change: running it shows.
    call = style.call("downgrade", f"{newest_file} --preview")
    return [
        "The state is ahead of the files. If git took them back, go to the branch that has them.",
        f"What a rollback would do here, this shows on a copy: {call}",
    ]


def _refused_lines(survey: Survey, style: Style) -> list[str]:
    """Return why files are refused, each reason once, and what to do."""
    if not survey.refused:
        return []
    from .errors import error_text

    lines: list[str] = []
    for error in dict.fromkeys(one.error for one in survey.refused):
        lines += ["", *error_text(error, survey.workspace.shown, style).split("\n")]
    return lines


def refused_json(refused: Sequence[RefusedFile]) -> list[dict[str, str | None]]:
    """Return the files that no upgrade applies, for a document."""
    return [
        {
            "file": one.name,
            "version": str(one.version) if one.version else None,
            "code": one.error.code,
            "message": one.error.message,
            "hint": one.error.hint,
        }
        for one in refused
    ]


def status_json(
    survey: Survey,
    shown: Sequence[Entry],
    plugins: Sequence[Attention],
    headers: Mapping[str, Header],
) -> dict[str, object]:
    """Return the keys of the ``status`` document; ``headers`` are those of what is applied."""
    return {
        "current_version": str(survey.current) if survey.current else None,
        "migrations": [
            _entry_json(entry, survey.workspace, headers) | {"way_back": way_back(survey, entry)}
            for entry in shown
        ],
        "plugins": [_attention_json(attention) for attention in plugins],
        "misnamed": misnamed_json(survey.misnamed),
        "refused": refused_json(survey.refused),
    }


def _attention_json(attention: Attention) -> dict[str, object]:
    return {
        "plugin": attention.source,
        "current_version": str(attention.current) if attention.current else None,
        "pending": attention.pending,
        "modified": attention.modified,
        "interrupted": attention.interrupted,
        "ahead": attention.ahead,
        "database_only": attention.taken,
        "refused": attention.refused,
        "problem": attention.problem,
        "departed": attention.departed and attention.departed.absence.kind,
        "hint": attention.departed and attention.departed.way_out,
    }


def entry_json(entry: Entry, description: str, path_of: Callable[[str], str]) -> dict[str, object]:
    """Return the keys that every document about one migration has.

    Parameters:
        path_of: shortens an absolute path.
    """
    applied, migration = entry.applied, entry.migration
    return {
        "version": str(entry.version),
        "description": description,
        "status": entry.state.value,
        "applied_at": applied.applied_at if applied else None,
        "applied_by": applied.applied_by if applied else None,
        "execution_time_ms": applied.execution_time_ms if applied else None,
        "checksum": applied.checksum if applied else migration.checksum if migration else None,
        "path": path_of(migration.path) if migration else None,
    }


def _entry_json(
    entry: Entry, workspace: Workspace, headers: Mapping[str, Header]
) -> dict[str, object]:
    migration = entry.migration
    header = headers.get(str(entry.version)) if entry.applied else None
    metadata = _metadata(entry, header)
    return {
        **entry_json(entry, _description(entry), workspace.shown),
        "language": migration.language if migration else header.language if header else None,
        "author": metadata.get("author"),
        "tags": metadata.get("tags") or [],
    }


def _metadata(entry: Entry, header: Header | None) -> Mapping[str, object]:
    if entry.applied is None:
        from ..migration import describe

        return describe(entry.migration).metadata if entry.migration else {}
    return header.metadata() if header else {}
