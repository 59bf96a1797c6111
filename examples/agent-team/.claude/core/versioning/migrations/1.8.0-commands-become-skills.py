"""Turn each command into a skill: commands/plan.md becomes skills/plan/SKILL.md.

The idea: ctx.claude is a copy of .claude/ as an ordinary path. Make, move and delete what you like;
what differs in the end is published when the step commits. Only the commands this plugin brought
along are moved: the others are not ours.
"""

description = "Turn the commands into skills"
metadata = {"author": "agent-team", "created_at": "2025-12-12T20:00:00Z", "tags": ["files"]}

OURS = ["plan", "standup"]


def up(ctx):
    for name in OURS:
        command = ctx.claude / "commands" / f"{name}.md"
        skill = ctx.claude / "skills" / name / "SKILL.md"
        if command.exists() and not skill.exists():
            move(command, skill)
            with ctx.edit_front_matter(skill) as front_matter:
                front_matter["name"] = name


def down(ctx):
    for name in OURS:
        command = ctx.claude / "commands" / f"{name}.md"
        skill = ctx.claude / "skills" / name / "SKILL.md"
        if skill.exists() and not command.exists():
            with ctx.edit_front_matter(skill) as front_matter:
                front_matter.pop("name", None)
            move(skill, command)


def move(source, target):
    """Move a file, making the folders it needs and removing those that it leaves empty."""
    target.parent.mkdir(parents=True, exist_ok=True)
    source.rename(target)
    for folder in (source.parent, source.parent.parent):
        if folder.name != ".claude" and not any(folder.iterdir()):
            folder.rmdir()
