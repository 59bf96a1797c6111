"""Rename a front-matter key in every agent, also where the front matter is not valid YAML."""

description = "Call the description of every agent its summary"


def up(ctx):
    rename(ctx, "description", "summary")


def down(ctx):
    rename(ctx, "summary", "description")


def rename(ctx, old, new):
    for file in ctx.progress(sorted(ctx.claude.glob("agents/**/*.md"))):
        with ctx.edit_front_matter(file) as front_matter:
            if old in front_matter:
                front_matter.rename(old, new)
