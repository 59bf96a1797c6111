"""People who share a project by git: its files are committed, its state database is ignored."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

from plugin_migrate.following.choices import Choices
from plugin_migrate.following.plans import plan_back_to_files, plan_catching_up
from plugin_migrate.operations import migrate
from plugin_migrate.operations.migrate import Run
from plugin_migrate.plan import State, plan_upgrade
from plugin_migrate.report import Reporter
from plugin_migrate.survey import Planner
from project import Project

Git = Callable[..., str]
README = Path(__file__).parents[1] / "README.md"
IGNORED = ".claude/orchestration/\n.claude/cache.json\n.claude/*.db*\n"
# The README's own example, as it stands there.
MOVE_TODO = re.search(r"```python [^\n]*move-todo\.py\n(.*?)```", README.read_text(), re.DOTALL)[1]


# Both halves of what git does not carry, beside what it does: a further database, an ignored file.
MOVE_MODEL = """
import json

def up(ctx):
    cache = json.loads((ctx.claude / "cache.json").read_text())
    (ctx.claude / "cache.json").write_text(json.dumps({"entries": cache}))
    with ctx.edit_json("settings.json") as settings:
        model = settings.pop("model")
    memory = ctx.database("memory.db")
    memory.execute("CREATE TABLE model (title)")
    memory.execute("INSERT INTO model VALUES (?)", (model,))

def down(ctx):
    cache = json.loads((ctx.claude / "cache.json").read_text())
    (ctx.claude / "cache.json").write_text(json.dumps(cache["entries"]))
    memory = ctx.database("memory.db")
    with ctx.edit_json("settings.json") as settings:
        settings["model"] = memory.execute("SELECT title FROM model").fetchone()[0]
    memory.execute("DROP TABLE model")
"""


class Person(Project):
    """Somebody's clone or worktree of the project.

    ``git`` runs git in it.
    """

    def __init__(self, root: Path, git: Git) -> None:
        super().__init__(root)
        self._run_git = git

    def git(self, arguments: str, *more: str) -> str:
        """Run git with arguments that are separated by blanks, and further ones."""
        return self._run_git(*arguments.split(), *more, cwd=self.root)

    def commit(self, message: str) -> str:
        """Commit everything, and return the commit."""
        self.git("add -A")
        self.git("commit -qm", message)
        return self.git("rev-parse HEAD").strip()

    def is_clean(self) -> bool:
        """Return whether git sees nothing to commit."""
        return self.git("status --porcelain") == ""

    def add_migration(self, version: str, text: str, slug: str = "step") -> Path:
        """Write a migration in Python."""
        return self._migration(f"{version}-{slug}.py", text)

    def add_field(self, version: str, key: str, slug: str = "") -> Path:
        """Write a migration that moves a list from settings.json into a table of its name."""
        text = MOVE_TODO.replace("todo", key)
        return self.add_migration(version, text, slug or f"move-{key}")

    def rows(self, table: str = "todo") -> list[str]:
        """Return what stands in a table."""
        return [title for (title,) in self.query(f"SELECT title FROM {table} ORDER BY id")]

    def tables(self) -> set[str]:
        """Return the names of the state database's tables, but for the ledger's."""
        names = {
            name for (name,) in self.query("SELECT name FROM sqlite_schema WHERE type='table'")
        }
        ours = {name for name in names if name.startswith(("plugin_migrate_", "sqlite_"))}
        return names - ours - {"migrations"}

    def state(self, version: str = "1.0.0") -> State:
        """Return a migration's state."""
        return self.states()[version]

    def decide(self, planner: Planner, choices: Choices | None = None) -> Run:
        """Run a plan, which must succeed."""
        run = migrate.run(
            self.workspace(), planner, "test", "tester", Reporter(), 0, choices=choices
        )
        if run.error is not None:
            raise run.error
        return run

    def upgrade_with(self, choices: Choices) -> Run:
        """Apply what is pending with decisions."""
        return self.decide(plan_upgrade, choices)

    def sync(self, choices: Choices | None = None) -> None:
        """Do what ``sync`` does with the project's own source."""
        self.decide(plan_back_to_files, choices)
        self.decide(plan_catching_up, choices)


class Team:
    """A bare repository, and the first clone of it with a list in settings.json.

    ``git`` is the fixture.
    """

    def __init__(self, folder: Path, git: Git) -> None:
        self._folder, self._git = folder, git
        git("init", "-q", "-b", "main", "--bare", folder / "origin.git", cwd=folder)
        self.alice = self.clone("alice")
        (self.alice.root / ".gitignore").write_text(IGNORED)
        self.alice.write(
            "settings.json", '{"model": "opus", "todo": ["write tests", "cut a release"]}\n'
        )
        self.alice.git("checkout -q -b main")
        self.alice.commit("Begin")
        self.alice.add_migration("1.0.0", MOVE_TODO, "move-todo")
        self.base = self.alice.commit("Write a migration")
        self.alice.git("push -q origin main")

    def apply(self) -> Person:
        """Have Alice apply the migration, commit and push; return her."""
        self.alice.upgrade()
        self.alice.commit("Apply it")
        self.alice.git("push -q origin HEAD")
        return self.alice

    def clone(self, name: str, *options: str) -> Person:
        """Return another clone."""
        root = self._folder / name
        url = f"file://{self._folder}/origin.git"
        self._git("clone", "-q", *options, url, root, cwd=self._folder)
        return Person(root, self._git)

    def worktree(self, of: Person, name: str, branch: str) -> Person:
        """Return another worktree of a clone."""
        root = self._folder / name
        of.git(f"worktree add -q {root} {branch}")
        return Person(root, self._git)

    def remove(self, person: Person) -> None:
        """Remove somebody's clone."""
        shutil.rmtree(person.root)
