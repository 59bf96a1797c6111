"""Move the preferences from settings.json into the database.

The idea: a file and the database change as one unit. Whatever happens on the way, the preferences
are never in both places and never in neither.
"""

import json

description = "Move preferences into the database"
metadata = {"author": "agent-team", "created_at": "2025-09-15T09:00:00Z", "tags": ["files", "data"]}


def up(ctx):
    ctx.db.execute("CREATE TABLE preferences (name TEXT PRIMARY KEY, value TEXT NOT NULL)")
    with ctx.edit_json("settings.json") as settings:
        preferences = settings.pop("preferences", {})
    # As JSON, so that the down can tell 3 from "3" and true from 1.
    ctx.db.executemany(
        "INSERT INTO preferences VALUES (?, ?)",
        [(name, json.dumps(value)) for name, value in preferences.items()],
    )


def down(ctx):
    rows = ctx.db.execute("SELECT name, value FROM preferences ORDER BY rowid")
    preferences = {name: json.loads(value) for name, value in rows}
    if preferences:
        with ctx.edit_json("settings.json") as settings:
            settings["preferences"] = preferences
    ctx.db.execute("DROP TABLE preferences")
