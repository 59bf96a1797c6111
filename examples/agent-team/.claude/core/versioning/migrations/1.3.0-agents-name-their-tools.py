"""Agents name their tools under `tools`.

The idea: `allowed-tools` is the key of commands and skills. In an agent Claude Code ignores it
without a word, so until now every agent had every tool. `rename` changes the key where it stands:
order, comments, quotes and the body stay byte for byte.
"""

description = "Rename allowed-tools to tools in every agent"
metadata = {"author": "agent-team", "created_at": "2025-10-02T10:00:00Z", "tags": ["files"]}


def up(ctx):
    rename(ctx, "allowed-tools", "tools")


def down(ctx):
    rename(ctx, "tools", "allowed-tools")


def rename(ctx, old, new):
    # Also the agents that people have added, in folders of their own or without such a key.
    for file in sorted(ctx.claude.glob("agents/**/*.md")):
        with ctx.edit_front_matter(file) as front_matter:
            if old in front_matter and new not in front_matter:
                front_matter.rename(old, new)
