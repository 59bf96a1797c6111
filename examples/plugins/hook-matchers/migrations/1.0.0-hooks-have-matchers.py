"""Put hooks that stand in a list by themselves into objects with a matcher.

Older clients took {"PreToolUse": ["check"]} and {"PreToolUse": [{"command": "check"}]}; newer ones
want {"PreToolUse": [{"matcher": "*", "hooks": [{"type": "command", "command": "check"}]}]}, and
refuse the file otherwise.
"""

import json

description = "Put hooks into objects with a matcher"
metadata = {
    "author": "hook-matchers",
    "created_at": "2026-11-27T09:00:00Z",
    "tags": ["plugin"],
}

SETTINGS = "settings.json"


def up(ctx):
    ctx.db.execute("CREATE TABLE wrapped (event TEXT NOT NULL, entry TEXT NOT NULL)")
    if not (ctx.claude / SETTINGS).exists():
        return
    with ctx.edit_json(SETTINGS) as settings:
        for event, entries in settings.get("hooks", {}).items():
            for number, entry in enumerate(entries):
                if isinstance(entry, str) or "hooks" not in entry:
                    row = (event, json.dumps(entry))
                    ctx.db.execute("INSERT INTO wrapped VALUES (?, ?)", row)
                    entries[number] = with_matcher(entry)


def down(ctx):
    rows = ctx.db.execute("SELECT event, entry FROM wrapped").fetchall()
    if (ctx.claude / SETTINGS).exists():
        with ctx.edit_json(SETTINGS) as settings:
            for event, text in rows:
                unwrap(settings.get("hooks", {}).get(event, []), json.loads(text))
    ctx.db.execute("DROP TABLE wrapped")


def unwrap(entries, before):
    """Put an entry back as it was, unless the user has changed it since."""
    for number, entry in enumerate(entries):
        if entry == with_matcher(before):
            entries[number] = before
            return


def with_matcher(entry):
    hook = {"command": entry} if isinstance(entry, str) else dict(entry)
    matcher = hook.pop("matcher", "*")
    return {"matcher": matcher, "hooks": [{"type": "command"} | hook]}
