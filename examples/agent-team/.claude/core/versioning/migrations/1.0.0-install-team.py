"""Install the team's settings, agents and commands.

The idea: people edit what a plugin installs. So the up never replaces a file that is there, and
notes what it made; the down deletes only that, and only while it is as it was installed.
"""

import hashlib
import shutil

description = "Install the team"
metadata = {"author": "agent-team", "created_at": "2025-09-01T08:00:00Z", "tags": ["files"]}


def up(ctx):
    ctx.db.execute("CREATE TABLE installed (path TEXT PRIMARY KEY, sha256 TEXT)")
    if (ctx.claude / "agents/planner.md").exists():
        # A new clone of a project that commits its files has the team, as later versions made it.
        ctx.log("the team is installed already")
        return
    shipped = ctx.claude / "core/versioning/first-install"
    for source in sorted(shipped.rglob("*")):
        path = source.relative_to(shipped)
        target = ctx.claude / path
        if target.exists():
            ctx.log(f"{path} is there already and stays as it is")
        elif source.is_dir():
            target.mkdir()
            ctx.db.execute("INSERT INTO installed VALUES (?, NULL)", (str(path),))
        else:
            shutil.copy(source, target)  # content and mode
            ctx.db.execute("INSERT INTO installed VALUES (?, ?)", (str(path), digest(target)))


def down(ctx):
    # From the last to the first, so that a folder is empty when its turn comes.
    for path, sha256 in ctx.db.execute("SELECT * FROM installed ORDER BY path DESC"):
        target = ctx.claude / path
        if target.is_dir() and not any(target.iterdir()):
            target.rmdir()
        elif target.is_file() and digest(target) == sha256:
            target.unlink()
        elif target.exists():
            ctx.log(f"{path} is not as it was installed and stays")
    ctx.db.execute("DROP TABLE installed")


def digest(file):
    return hashlib.sha256(file.read_bytes()).hexdigest()
