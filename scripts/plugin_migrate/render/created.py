"""Migration files that were made or renamed, and plugins prepared for some: text and JSON."""

from __future__ import annotations

import os

from .style import Style, one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..operations.create import Conversion, Created
    from ..operations.init_plugin import PreparedPlugin
    from ..operations.renumber import Renumbered
    from ..workspace import Workspace


_LONGEST_ENTRY = 40
_FUNCTIONS = {
    "python": "Implement up() and down() functions",
    "typescript": "Implement up() and down() functions",
    "sql": "Write the migrate:up and migrate:down sections",
}


def created_text(created: Created, workspace: Workspace, style: Style, lead: str) -> str:
    """Return where the new migration is and what comes next.

    Parameters:
        lead: what stands before our name where the reader types it: ``/`` in Claude Code.
    """
    tick = style.paint("green", "✓")
    lines = [
        f"{tick} Created migration: {os.path.basename(created.path)}",
        f"  Path: {workspace.shown(created.path)}",
        *([f"  Types: {workspace.shown(created.types)}"] if created.types else ()),
        "",
        "Next steps:",
        "  1. Edit the migration file",
        f"  2. {_FUNCTIONS[created.language]}, and prove them: {lead}{style.call('verify')}",
        f"  3. Run: {lead}{style.call('upgrade')}",
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


def converted_text(done: Conversion, workspace: Workspace, style: Style, lead: str) -> str:
    """Return which files were written for those of another tool, and what comes next.

    Parameters:
        lead: as for :func:`created_text`.
    """
    tick = style.paint("green", "✓")
    lines = [f"{tick} Nothing to convert: all {len(done.known)} of {done.tool} are here already"]
    if done.files:
        lines = [f"{tick} Converted {len(done.files)} migration(s) of {done.tool}"]
    for file in done.files:
        way_back = "" if file.has_down else " (no way back)"
        lines.append(f"  • {os.path.basename(file.path)} ← {_cut(file.entry)}{way_back}")
    if done.files:
        folder = os.path.dirname(done.files[0].path)
        lines.append(f"  Path: {one_line(workspace.shown(folder))}/")
        if done.known:
            lines.append(f"  Converted before, and left as they are: {len(done.known)}")
    lines += [f"  Left out, as {done.tool} does: {one_line(name)}" for name in done.left_out]
    if done.is_late:
        lines.append("  They stand below the current version, so they will be out of order.")
    if done.files:
        source = f"--from {done.tool}" if done.tool != "sql" else "--from SOURCE"
        lines += [
            "",
            "Next steps:",
            f"  1. Mark what is applied already: {lead}{style.call('baseline', source)}",
            f"  2. Prove them: {lead}{style.call('verify', '--all')}",
            f"  3. Run: {lead}{style.call('upgrade')}",
        ]
    return "\n".join(lines)


def converted_json(done: Conversion, workspace: Workspace) -> dict[str, object]:
    """Return the keys of the ``create`` document for what was converted."""
    return {
        "converted": [
            {
                "version": str(file.version),
                "path": workspace.shown(file.path),
                "record": file.entry,
                "has_down": file.has_down,
            }
            for file in done.files
        ],
        "known": list(done.known),
        "left_out": list(done.left_out),
    }


def _cut(entry: str) -> str:
    text = one_line(entry)
    return text if len(text) <= _LONGEST_ENTRY else f"{text[: _LONGEST_ENTRY - 1]}…"


def renumbered_text(done: Renumbered, workspace: Workspace, style: Style) -> str:
    """Return what a migration is called now, and which files name it."""
    tick = style.paint("green", "✓")
    old, new = (one_line(os.path.basename(path)) for path in (done.old, done.new))
    lines = [f"{tick} Renumbered: {old} → {new}", f"  Path: {one_line(workspace.shown(done.new))}"]
    if done.is_applied:
        lines.append("  It is applied, and the ledger knows it by the new version.")
    lines += [f"  Rewritten: {one_line(workspace.shown(path))}" for path in done.rewritten]
    lines += [
        f"  Still names {old}: {one_line(workspace.shown(path))} (applied, so it stays as it is)"
        for path in done.still_naming
    ]
    return "\n".join(lines)


def renumbered_json(done: Renumbered, workspace: Workspace) -> dict[str, object]:
    """Return the keys of the ``renumber`` document."""
    return {
        "version": str(done.version),
        "path": workspace.shown(done.new),
        "old_path": workspace.shown(done.old),
        "applied": done.is_applied,
        "rewritten": [workspace.shown(path) for path in done.rewritten],
        "still_naming": [workspace.shown(path) for path in done.still_naming],
    }


def plugin_text(prepared: PreparedPlugin, shown: str, style: Style) -> str:
    """Return what was written for a plugin, and what comes next.

    Parameters:
        shown: the plugin's folder, as the reader would type it.
    """
    import shlex

    from ..operations.init_plugin import DEPENDENCY

    call = "plugin-migrate --project tests/project --plugin-dir ."
    first = next((path for path in prepared.created if path.endswith(".sql")), None)
    steps = [
        *([f"cd {shlex.quote(shown)}"] if shown != "." else ()),
        *([f"Make {first} your own"] if first else ()),
        f"Prove it: {call} verify",
        f"Try it on the test project, and commit all of it: {call} upgrade",
        "In CI: sh tests/check-migrations.sh",
    ]
    if not prepared.depends:
        declared = f'"dependencies": ["{DEPENDENCY}"]'
        steps.append(f"In .claude-plugin/plugin.json, add: {declared}")
    steps.append(
        'In your marketplace.json, add: "allowCrossMarketplaceDependenciesOn": ["plugin-migrate"]'
    )
    return "\n".join(
        [
            f"{style.paint('green', '✓')} {prepared.name} can ship migrations",
            *(f"  • created {path}" for path in prepared.created),
            *(f"  • kept {path}" for path in prepared.kept),
            "",
            "Next steps:",
            *(f"  {number}. {step}" for number, step in enumerate(steps, 1)),
        ]
    )


def plugin_json(prepared: PreparedPlugin) -> dict[str, object]:
    """Return the keys of the ``init-plugin`` document."""
    return {
        "plugin": prepared.name,
        "path": prepared.root,
        "created": list(prepared.created),
        "kept": list(prepared.kept),
        "depends": prepared.depends,
    }
