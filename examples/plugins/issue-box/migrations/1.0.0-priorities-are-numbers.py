"""Make the words for priorities numbers, in the lines of JSON and in the database alike."""

description = "Make priorities numbers"
metadata = {
    "author": "issue-box",
    "created_at": "2026-11-27T09:00:00Z",
    "tags": ["data"],
}

LINES = ".issues/issues.jsonl"
DATABASE = ".issues/issues.db"
NUMBERS = {"high": 1, "normal": 2, "low": 3}
WORDS = {number: word for word, number in NUMBERS.items()}


def up(ctx):
    translate(ctx, NUMBERS)


def down(ctx):
    translate(ctx, WORDS)


def translate(ctx, meanings):
    """Say in other words what the priorities are; what has none of them is left alone."""
    file = ctx.project / LINES
    if file.exists():
        # Of each line only that value changes, however the rest of it is written.
        with ctx.edit_lines(file) as lines:
            for line in lines.containing('"priority"'):
                if line.value.get("priority") in meanings:
                    line.value["priority"] = meanings[line.value["priority"]]
    if file.parent.exists() and has_issues(ctx):
        database = ctx.database(ctx.project / DATABASE)
        for old, new in meanings.items():
            database.execute("UPDATE issues SET priority = ? WHERE priority = ?", (new, old))


def has_issues(ctx):
    tables = ctx.database(ctx.project / DATABASE).execute("SELECT name FROM sqlite_schema")
    return ("issues",) in tables.fetchall()
