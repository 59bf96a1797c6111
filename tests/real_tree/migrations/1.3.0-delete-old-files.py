"""Delete files, some of them executable, and whole folders; the down has them in the database."""

import shutil

description = "Delete backups, checkpoints, shell helpers and the SPARC commands"


def up(ctx):
    ctx.db.execute("CREATE TABLE deleted (path TEXT PRIMARY KEY, mode INTEGER, content BLOB)")
    folders = [ctx.claude / "checkpoints", ctx.claude / "commands/sparc"]
    gone = [ctx.claude / "settings.json.bak", *sorted(ctx.claude.glob("helpers/*.sh"))]
    for folder in folders:
        gone += [folder, *sorted(folder.rglob("*"))]
    for path in gone:
        content = path.read_bytes() if path.is_file() else None
        ctx.db.execute(
            "INSERT INTO deleted VALUES (?, ?, ?)",
            (str(path.relative_to(ctx.claude)), path.stat().st_mode & 0o7777, content),
        )
    for path in gone:
        if path.is_file():
            path.unlink()
    for folder in folders:
        shutil.rmtree(folder)


def down(ctx):
    for path, mode, content in ctx.db.execute("SELECT * FROM deleted ORDER BY path"):
        target = ctx.claude / path
        if content is None:
            target.mkdir()
        else:
            target.write_bytes(content)
        target.chmod(mode)
    ctx.db.execute("DROP TABLE deleted")
