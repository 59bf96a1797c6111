"""Files only: every kind of change that publishing knows."""

import shutil

description = "Bring the folders into their new layout"


def up(ctx):
    claude = ctx.claude
    with ctx.edit_json("settings.json") as settings:
        settings["layout"] = 2
    (claude / "skills/review").mkdir(parents=True)
    (claude / "skills/review/SKILL.md").write_text("# Review\n")
    (claude / "commands/hello.md").rename(claude / "skills/hello.md")
    (claude / "commands/run.sh").chmod(0o755)
    (claude / "commands/review.md").symlink_to("../skills/review/SKILL.md")
    (claude / "obsolete.md").unlink()
    shutil.rmtree(claude / "cache")


def down(ctx):
    claude = ctx.claude
    with ctx.edit_json("settings.json") as settings:
        del settings["layout"]
    (claude / "skills/hello.md").rename(claude / "commands/hello.md")
    (claude / "commands/review.md").unlink()
    shutil.rmtree(claude / "skills")
    (claude / "commands/run.sh").chmod(0o644)
    (claude / "obsolete.md").write_text("Nobody reads this.\n")
    (claude / "cache/deep").mkdir(parents=True)
    (claude / "cache/index.txt").write_text("index\n")
    (claude / "cache/deep/entry.txt").write_text("entry\n")
