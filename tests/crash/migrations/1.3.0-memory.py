"""Files, the state database, two further databases and a new one, all in one step."""

description = "Move the preferences into the database"


def up(ctx):
    with ctx.edit_json("settings.json") as settings:
        preferences = settings.pop("preferences")
    ctx.db.executemany("INSERT INTO preferences VALUES (?, ?)", preferences.items())
    ctx.database("memory.db").execute("UPDATE memories SET text = upper(text)")
    journal = ctx.database("journal.db")
    journal.execute("CREATE TABLE tags (name TEXT)")
    journal.execute("INSERT INTO tags SELECT text FROM entries")
    ctx.database("index.db").execute("CREATE TABLE IF NOT EXISTS words (word TEXT)")
    with ctx.edit_front_matter("agents/reviewer.md") as head:
        head["model"] = "opus"


def down(ctx):
    with ctx.edit_json("settings.json") as settings:
        settings["preferences"] = dict(ctx.db.execute("SELECT name, value FROM preferences"))
    ctx.db.execute("DELETE FROM preferences")
    ctx.database("memory.db").execute("UPDATE memories SET text = lower(text)")
    ctx.database("journal.db").execute("DROP TABLE tags")
    ctx.database("index.db").execute("DROP TABLE words")
    with ctx.edit_front_matter("agents/reviewer.md") as head:
        head["model"] = "sonnet"
