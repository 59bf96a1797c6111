"""Lead the hooks in the user's settings to a place that no update of the plugin moves.

They named the plugin's folder in the client's cache, which has the version in it: after an update
that folder is gone, and every hook fails.
"""

import re

description = "Lead hooks to a place that outlasts updates"
metadata = {
    "author": "hook-runner",
    "created_at": "2026-11-27T09:00:00Z",
    "tags": ["plugin"],
}

SETTINGS = "settings.json"
LAUNCHER = "hook-runner/run"
STABLE = "~/.claude/hook-runner/run"
# Such as ~/.claude/plugins/cache/examples/hook-runner/0.9.1/bin/run --quick
VERSIONED = re.compile(r"\S*/plugins/cache/[^/\s]+/hook-runner/[^/\s]+/bin/run")
SCRIPT = """#!/bin/sh
# Starts the newest hook-runner in the client's cache.
newest=$(ls -d "$HOME"/.claude/plugins/cache/*/hook-runner/*/bin/run | sort -V | tail -n 1)
exec "$newest" "$@"
"""


def up(ctx):
    ctx.db.execute("CREATE TABLE replaced (command TEXT NOT NULL)")
    if not (ctx.claude / SETTINGS).exists():
        return
    with ctx.edit_json(SETTINGS) as settings:
        for hook in commands(settings):
            if VERSIONED.search(hook["command"]):
                ctx.db.execute("INSERT INTO replaced VALUES (?)", (hook["command"],))
                hook["command"] = stable(hook["command"])
    launcher = ctx.claude / LAUNCHER
    launcher.parent.mkdir(exist_ok=True)
    launcher.write_text(SCRIPT, newline="\n")
    launcher.chmod(0o755)


def down(ctx):
    replaced = [command for (command,) in ctx.db.execute("SELECT command FROM replaced")]
    if (ctx.claude / SETTINGS).exists():
        with ctx.edit_json(SETTINGS) as settings:
            for hook in commands(settings):
                # What the user has changed since is the user's.
                before = next((one for one in replaced if stable(one) == hook["command"]), None)
                if before is not None:
                    replaced.remove(before)
                    hook["command"] = before
        (ctx.claude / LAUNCHER).unlink(missing_ok=True)
    ctx.db.execute("DROP TABLE replaced")


def stable(command):
    return VERSIONED.sub(STABLE, command)


def commands(settings):
    """Yield every hook of the settings that is a command, in the file's order."""
    for matchers in settings.get("hooks", {}).values():
        for matcher in matchers:
            yield from (hook for hook in matcher.get("hooks", []) if "command" in hook)
