"""A new migration file, as text and as JSON."""

from __future__ import annotations

import os

from .style import Style

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..create import Created
    from ..workspace import Workspace


_FUNCTIONS = {
    "python": "Implement up() and down() functions",
    "typescript": "Implement up() and down() functions",
    "sql": "Write the migrate:up and migrate:down sections",
}


def created_text(created: Created, workspace: Workspace, style: Style) -> str:
    """Return where the new migration is and what comes next."""
    tick = style.paint("green", "✓")
    lines = [
        f"{tick} Created migration: {os.path.basename(created.path)}",
        f"  Path: {workspace.shown(created.path)}",
        *([f"  Types: {workspace.shown(created.types)}"] if created.types else ()),
        "",
        "Next steps:",
        "  1. Edit the migration file",
        f"  2. {_FUNCTIONS[created.language]}",
        f"  3. Run: /{style.call('upgrade')}",
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
