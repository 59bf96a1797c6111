"""Fill a table of the state database and a database of its own from the files."""

description = "Index the agents"


def up(ctx):
    memory = ctx.database("memory.db")
    memory.execute("CREATE TABLE agents (path TEXT PRIMARY KEY, body TEXT NOT NULL)")
    for file in sorted(ctx.claude.glob("agents/**/*.md")):
        path = str(file.relative_to(ctx.claude))
        with ctx.edit_front_matter(file) as front_matter:
            summary = front_matter.get("summary")
        ctx.db.execute("INSERT INTO agent_search VALUES (?, ?)", (path, str(summary)))
        memory.execute("INSERT INTO agents VALUES (?, ?)", (path, file.read_text(encoding="utf-8")))


def down(ctx):
    ctx.db.execute("DELETE FROM agent_search")
    ctx.database("memory.db").execute("DROP TABLE agents")
