"""Add files and folders, and move a folder to another place."""

import shutil

description = "Reorganise workflows and add a status script"


def up(ctx):
    (ctx.claude / "automation").mkdir()
    (ctx.claude / "workflows").rename(ctx.claude / "automation/workflows")
    script = ctx.claude / "automation/bin/nested/status"
    script.parent.mkdir(parents=True)
    script.write_text("#!/bin/sh\necho fine\n")
    script.chmod(0o750)
    (ctx.claude / "automation/empty").mkdir(mode=0o700)


def down(ctx):
    (ctx.claude / "automation/workflows").rename(ctx.claude / "workflows")
    shutil.rmtree(ctx.claude / "automation")
