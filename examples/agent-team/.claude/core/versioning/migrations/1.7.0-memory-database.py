"""Move the team's memory from memory.json into a database of its own.

The idea: a step can also change other SQLite databases below .claude/, together with files and the
state database: all of them, or none.
"""

import json

description = "Move the memory into a database of its own"
metadata = {"author": "agent-team", "created_at": "2025-11-17T08:00:00Z", "tags": ["files", "data"]}


def up(ctx):
    memory = ctx.database("memory.db")  # made if it is not there
    memory.execute(
        "CREATE TABLE notes (id INTEGER PRIMARY KEY, agent TEXT, noted_at TEXT, text TEXT NOT NULL)"
    )
    file = ctx.claude / "memory.json"
    if file.exists():
        memory.executemany(
            "INSERT INTO notes (agent, noted_at, text) VALUES (:agent, :noted_at, :text)",
            ctx.progress(json.loads(file.read_text(encoding="utf-8"))),
        )
        file.unlink()


def down(ctx):
    memory = ctx.database("memory.db")
    notes = [
        {"agent": agent, "noted_at": noted_at, "text": text}
        for agent, noted_at, text in memory.execute("SELECT agent, noted_at, text FROM notes")
    ]
    # The plugin has always written this file itself, and this is how.
    text = json.dumps(notes, indent=2, ensure_ascii=False) + "\n"
    (ctx.claude / "memory.json").write_text(text, encoding="utf-8", newline="\n")
    memory.execute("DROP TABLE notes")
