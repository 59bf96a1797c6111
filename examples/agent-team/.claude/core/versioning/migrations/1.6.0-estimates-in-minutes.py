"""Add estimates in minutes, computed from the free text.

The idea: change many rows in batches, and keep what the new column was made from. The old column
goes in a later release, when nothing reads it any more; until then the down loses nothing.
"""

import re

description = "Add estimates in minutes"
metadata = {"author": "agent-team", "created_at": "2025-11-10T08:00:00Z", "tags": ["data"]}

BATCH = 500
MINUTES = {"m": 1, "h": 60, "d": 8 * 60}


def up(ctx):
    ctx.db.execute("ALTER TABLE tasks ADD COLUMN minutes INTEGER")
    (last,) = ctx.db.execute("SELECT ifnull(max(id), 0) FROM tasks").fetchone()
    for first in ctx.progress(range(1, last + 1, BATCH)):
        rows = ctx.db.execute(
            "SELECT id, estimate FROM tasks WHERE id BETWEEN ? AND ?", (first, first + BATCH - 1)
        ).fetchall()
        ctx.db.executemany(
            "UPDATE tasks SET minutes = ? WHERE id = ?",
            [(minutes(estimate), task) for task, estimate in rows],
        )


def down(ctx):
    ctx.db.execute("ALTER TABLE tasks DROP COLUMN minutes")


def minutes(estimate):
    """Return "1h 30m" as 90, and None for what is no duration."""
    parts = re.findall(r"(\d+)([mhd])", estimate)
    return sum(int(number) * MINUTES[unit] for number, unit in parts) if parts else None
