"""Make the words for priorities numbers, in the lines of JSON and in the database alike."""

import json
import re

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
    lines = ctx.project / LINES
    if lines.exists():
        with open(lines, encoding="utf-8", newline="") as file:
            changed = [translated(line, meanings) for line in file]
        with open(lines, "w", encoding="utf-8", newline="") as file:
            file.writelines(changed)
    if lines.parent.exists() and has_issues(ctx):
        database = ctx.database(ctx.project / DATABASE)
        for old, new in meanings.items():
            database.execute("UPDATE issues SET priority = ? WHERE priority = ?", (new, old))


def translated(line, meanings):
    issue = json.loads(line) if line.strip() else {}
    priority = issue.get("priority")
    if priority not in meanings:
        return line
    # One value of the line changes, and nothing else of it.
    old, new = (json.dumps(value) for value in (priority, meanings[priority]))
    return re.sub(rf'("priority"\s*:\s*){re.escape(old)}', rf"\g<1>{new}", line, count=1)


def has_issues(ctx):
    tables = ctx.database(ctx.project / DATABASE).execute("SELECT name FROM sqlite_schema")
    return ("issues",) in tables.fetchall()
