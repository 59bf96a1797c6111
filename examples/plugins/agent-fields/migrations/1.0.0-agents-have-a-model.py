"""Give every agent a model and a colour, where it has none.

What an agent says already stays, byte for byte; and only what was added is taken away again.
"""

description = "Give agents a model and a colour"
metadata = {
    "author": "agent-fields",
    "created_at": "2026-11-27T09:00:00Z",
    "tags": ["plugin"],
}

FIELDS = {"model": "inherit", "color": "blue"}


def up(ctx):
    ctx.db.execute("CREATE TABLE added (agent TEXT NOT NULL, field TEXT NOT NULL)")
    for agent in agents(ctx):
        with ctx.edit_front_matter(agent) as head:
            for field, value in FIELDS.items():
                if field not in head:
                    head[field] = value
                    name = agent.relative_to(ctx.claude).as_posix()
                    ctx.db.execute("INSERT INTO added VALUES (?, ?)", (name, field))


def down(ctx):
    added = set(ctx.db.execute("SELECT agent, field FROM added"))
    for agent in agents(ctx):
        with ctx.edit_front_matter(agent) as head:
            for field, value in FIELDS.items():
                name = agent.relative_to(ctx.claude).as_posix()
                # What somebody has chosen since stays.
                if (name, field) in added and head.get(field) == value:
                    del head[field]
    ctx.db.execute("DROP TABLE added")


def agents(ctx):
    return sorted(ctx.claude.glob("agents/**/*.md"))
