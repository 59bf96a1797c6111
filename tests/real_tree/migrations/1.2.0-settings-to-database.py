"""Move a section of settings.json into the database, and bring it back byte for byte.

The section's layout is not regular, so the text is kept as well, for when nobody edited the rest.
"""

import json

description = "Move the settings of claude-flow into the database"


def up(ctx):
    ctx.db.execute("CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL)")
    ctx.db.execute("CREATE TABLE settings_before (text TEXT NOT NULL)")
    before = (ctx.claude / "settings.json").read_text(encoding="utf-8")
    ctx.db.execute("INSERT INTO settings_before VALUES (?)", (before,))
    with ctx.edit_json("settings.json") as settings:
        section = settings.pop("claudeFlow")
    ctx.db.executemany(
        "INSERT INTO settings VALUES (?, ?)",
        [(name, json.dumps(value)) for name, value in section.items()],
    )


def down(ctx):
    rows = ctx.db.execute("SELECT name, value FROM settings ORDER BY rowid")
    section = {name: json.loads(value) for name, value in rows}
    ((before,),) = ctx.db.execute("SELECT text FROM settings_before")
    file = ctx.claude / "settings.json"
    settings = json.loads(file.read_text(encoding="utf-8"))
    if settings | {"claudeFlow": section} == json.loads(before):
        file.write_text(before, encoding="utf-8", newline="\n")
    else:
        with ctx.edit_json(file) as settings:
            settings["claudeFlow"] = section
    ctx.db.execute("DROP TABLE settings")
    ctx.db.execute("DROP TABLE settings_before")
