"""What somebody does with a project by hand: ``python by_hand.py ROOT RESULTS``, on any system.

Makes a project in the folder ROOT, runs one command after the other on it, and writes what each
said to the file RESULTS, as JSON. ``test_same_texts.py`` compares what two systems said.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS.parent / "scripts")]

import in_process  # noqa: E402
from plugin_migrate.__main__ import main  # noqa: E402

FOLDER = ".claude/core/versioning/migrations"
FILES = {
    ".claude/settings.json": '{\n  "model": "opus"\n}\n',
    ".claude/agents/größe 1.md": "---\nname: größe\n---\nText.\n",
    f"{FOLDER}/1.0.0-notes.sql": """\
-- description: Tabelle für Notizen
-- author: Zoë
-- migrate:up
CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT);
-- migrate:down
DROP TABLE notes;
""",
    f"{FOLDER}/1.1.0-model.py": '''\
"""Change the model, and the agent's name."""
def up(ctx):
    ctx.log("läuft")
    with ctx.edit_json("settings.json") as settings:
        settings["model"] = "sonnet"
    with ctx.edit_front_matter("agents/größe 1.md") as front:
        front["name"] = "klein"
    (ctx.claude / "agents" / "neu ü.md").write_text("new\\n")
def down(ctx):
    with ctx.edit_json("settings.json") as settings:
        settings["model"] = "opus"
    with ctx.edit_front_matter("agents/größe 1.md") as front:
        front["name"] = "größe"
    (ctx.claude / "agents" / "neu ü.md").unlink()
''',
    f"{FOLDER}/1.2.0-drop.sql": "-- migrate:up\nCREATE TABLE later (x);\n",
}


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())


def backup_before_redo(root: Path) -> str:
    return min(path.name for path in (root / ".claude/.plugin-migrate/backups").glob("*-redo*"))


Command = tuple[str, ...]


def commands(root: Path) -> Iterator[Command]:
    """Yield one command after the other; what happens between two of them happens here."""
    yield ("doctor",)
    yield ("status",)
    yield ("check",)
    yield ("show", "1.1.0")
    yield ("upgrade", "--dry-run", "--verbose")
    yield ("upgrade", "--preview")
    yield ("verify",)
    yield ("verify", "--lint-only")
    yield ("upgrade", "1.1.0")
    yield ("status",)
    yield ("status", "--format=list")
    yield ("status", "--format=json")
    yield ("history", "--format=json")
    yield ("show", "1.1.0")
    yield ("check",)
    yield ("downgrade", "--dry-run")
    yield ("downgrade",)
    yield ("redo",)
    yield ("upgrade",)
    yield ("downgrade",)
    yield ("history",)

    yield ("create", "größer werden", "--description=Größer", "--language=sql")
    yield ("create", "con", "--language=python", "--version=7.0.0")
    write(root, f"{FOLDER}/7.0.0-con.py", "def up(ctx):\n    pass\n")  # else it names the time
    yield ("show", "7.0.0")
    yield ("renumber", "7.0.0", "3.0.0")
    yield ("sync", "--dry-run")
    yield ("sync",)

    write(root, f"{FOLDER}/1.0.0-notes.sql", FILES[f"{FOLDER}/1.0.0-notes.sql"] + "-- more\n")
    yield ("status",)
    yield ("check",)
    yield ("doctor",)
    yield ("repair", "--dry-run")
    yield ("repair",)
    yield ("repair",)

    write(root, f"{FOLDER}/2.0.0-fails.py", "def up(ctx):\n    open(ctx.claude / 'fehlt.md')\n")
    yield ("upgrade", "2.0.0")
    write(root, f"{FOLDER}/2.0.0-fails.py", "def up(ctx):\n    return (\n")
    yield ("upgrade", "2.0.0")
    write(root, f"{FOLDER}/2.0.0-fails.py", "def up(ctx):\n    (ctx.project / 'x').mkdir()\n")
    yield ("upgrade", "2.0.0", "--format=json")
    yield ("verify", "2.0.0")
    write(root, f"{FOLDER}/2.0.0-fails.py", "def up(ctx):\n    open(ctx.claude / 'a|b', 'w')\n")
    yield ("verify", "2.0.0", "--lint-only")
    yield ("status",)
    yield ("baseline", "2.0.0")
    yield ("upgrade", "9.9.9")
    yield ("upgrade", "--nonsense")
    yield ("history",)

    yield ("restore",)
    yield ("restore", backup_before_redo(root), "--dry-run")
    yield ("restore", backup_before_redo(root))
    yield ("restore", "nonsense")
    yield ("status",)

    yield ("repair", "1.0.0")
    yield ("downgrade", "1.0.0")
    write(root, ".claude/settings.json", "{")
    yield ("upgrade", "1.1.0")
    write(root, ".claude/agents/größe 1.md", "---\na: [\n---\n")
    write(root, ".claude/settings.json", "{}")
    yield ("upgrade", "1.1.0")
    write(root, ".claude/plugin-migrate.yaml", "databases: x\n")
    yield ("status",)
    write(root, ".claude/plugin-migrate.yaml", "database: src/größe.db\n")
    yield ("status",)
    yield ("upgrade", "1.0.0")
    (root / ".claude/plugin-migrate.yaml").unlink()
    (root / ".claude/orchestration/db/orchestration.db").write_bytes(b"no database " * 99)
    yield ("status",)
    yield ("upgrade",)
    yield ("doctor",)
    yield ("--project", "fehlt", "status")
    yield ("--migrations", "fehlt/ü", "status")
    yield ("init-plugin", "notizen ü")
    yield ("init-plugin", "notizen")
    plugin = ("--project", "notizen/tests/project", "--plugin-dir", "notizen")
    yield (*plugin, "status")
    yield (*plugin, "verify")
    write(root, "notizen/migrations/1.0.0-initial.sql", "-- migrate:up\nCREATE TABLE n (x);\n")
    yield (*plugin, "upgrade")
    yield (*plugin, "sync")
    yield (*plugin, "doctor")
    yield ("completion", "bash")
    yield ("help",)
    yield ("help", "restore")


def run(root: Path) -> list[tuple[Command, int, str, str]]:
    """Run them all, and return each with its exit code, and what it printed on both streams."""
    for name, text in FILES.items():
        write(root, name, text)
    home = root.parent / "home"
    home.mkdir()
    variables = {**in_process.NEEDED, "HOME": str(home), "USERPROFILE": str(home), "PATH": ""}
    return [
        (command, *in_process.run(main, command, root, variables)) for command in commands(root)
    ]


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(run(Path(sys.argv[1]))), encoding="utf-8")
