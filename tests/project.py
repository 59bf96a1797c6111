"""A project in a temporary folder, with state, migrations, and ways to run commands on it."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

import in_process
from plugin_migrate.cli.main import main
from plugin_migrate.engine.engine import Reporter
from plugin_migrate.errors import MigrateError
from plugin_migrate.ledger.schema import ensure_ledger
from plugin_migrate.operations import migrate
from plugin_migrate.operations.migrate import Run
from plugin_migrate.plan import State, plan_downgrade, plan_upgrade
from plugin_migrate.survey import Planner, Survey, survey
from plugin_migrate.version import Version
from plugin_migrate.workspace import Workspace, locate

SCRIPTS = Path(__file__).parents[1] / "scripts"
PACKAGES = Path(yaml.__file__).parents[1]
"""What `-I` finds where they belong to the interpreter, and so not under Wine."""
LEDGER_TABLES = (
    "migrations",
    "plugin_migrate_history",
    "plugin_migrate_sources",
    "plugin_migrate_publishes",
    "plugin_migrate_facts",
    "plugin_migrate_schema",
)

# How code for `meanwhile` begins that works on files: `live` is the live `.claude/`.
LIVE = "import sys, pathlib, shutil, os; live = pathlib.Path(sys.argv[1])\n"

# What a child process runs: the command line, after a chance to watch it through audit events.
_CHILD = """
import sys
sys.path[:0] = {paths!r}
{before}
from plugin_migrate.cli.main import main
raise SystemExit(main())
"""
# Kills or interrupts the process at an audit event.
SIGNAL_AT = """
import os
state = {{"seen": 0}}
def hook(event, arguments):
    texts = (a.decode(errors="replace") if isinstance(a, bytes) else a for a in arguments)
    paths = [text for text in texts if isinstance(text, str)]
    path = (paths[0] if event == "open" else paths[-1]) if paths else ""
    path = path.replace(os.sep, "/")
    if {condition}:
        state["seen"] += 1
    if state["seen"] == {nth}:
        state["seen"] += 1
        os.kill(os.getpid(), {number})
sys.addaudithook(hook)
"""


@dataclass(frozen=True)
class Thing:
    """What stands at a path: everything a migration could change about it."""

    kind: str
    mode: int
    content: bytes | str = b""


class Project:
    """A project whose ``.claude/`` a test fills and migrates.

    ``claude`` is its state; ``database`` the state database, which the first run creates.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.claude = root / ".claude"
        self.migrations = self.claude / "core/versioning/migrations"
        self.database = self.claude / "orchestration/db/orchestration.db"
        self.bookkeeping = self.claude / ".plugin-migrate"
        self.migrations.mkdir(parents=True, exist_ok=True)

    # --- building ------------------------------------------------------------------------------

    def write(self, path: str, content: str | bytes, mode: int = 0o644) -> Path:
        """Write a file below ``.claude/``."""
        file = self.claude / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        file.chmod(mode)
        return file

    def config(self, text: str) -> None:
        """Write ``plugin-migrate.yaml``."""
        self.write("plugin-migrate.yaml", text)

    def sql(self, version: str, up: str, down: str | None = None, options: str = "") -> Path:
        """Write an SQL migration."""
        text = f"-- migrate:up {options}\n{up}\n"
        if down is not None:
            text += f"-- migrate:down {options}\n{down}\n"
        return self._migration(f"{version}-step.sql", text)

    def python(self, version: str, up: str, down: str | None = None, top: str = "") -> Path:
        """Write a Python migration from the bodies of its functions."""
        text = f"{textwrap.dedent(top)}\ndef up(ctx):\n{_body(up)}\n"
        if down is not None:
            text += f"\ndef down(ctx):\n{_body(down)}\n"
        return self._migration(f"{version}-step.py", text)

    def typescript(
        self, version: str, up: str, down: str | None = None, top: str = "", suffix: str = "ts"
    ) -> Path:
        """Write a TypeScript migration from the bodies of its functions; ``up``'s is on line 3."""
        text = f"export const migration = {{\nasync up(ctx) {{\n{textwrap.dedent(up)}\n}},\n"
        if down is not None:
            text += f"async down(ctx) {{\n{textwrap.dedent(down)}\n}},\n"
        return self._migration(f"{version}-step.{suffix}", f"{text}}};\n{textwrap.dedent(top)}")

    def _migration(self, name: str, text: str) -> Path:
        file = self.migrations / name
        file.write_text(text, encoding="utf-8", newline="\n")
        return file

    # --- running in this process -----------------------------------------------------------------

    def workspace(self, **options: str) -> Workspace:
        """Return the workspace as the command line would."""
        return locate(project=str(self.root), environment={}, **options)

    def run(
        self,
        planner: Planner,
        reporter: Reporter | None = None,
        lock_timeout: float = 0,
        **options: str,
    ) -> Run:
        """Run a plan as the command line does; a failing step is in the result's ``error``."""
        return migrate.run(
            self.workspace(**options),
            planner,
            "test",
            "tester",
            reporter or Reporter(),
            lock_timeout,
        )

    def upgrade(self, target: str | None = None, reporter: Reporter | None = None) -> Run:
        """Apply what is pending, which must succeed."""
        run = self.try_upgrade(target, reporter)
        if run.error is not None:
            raise run.error
        return run

    def try_upgrade(self, target: str | None = None, reporter: Reporter | None = None) -> Run:
        """Apply what is pending."""
        version = Version.parse(target) if target else None
        return self.run(lambda entries: plan_upgrade(entries, version), reporter)

    def downgrade(self, target: str = "0.0.0") -> Run:
        """Roll back everything above ``target``, which must succeed."""
        run = self.try_downgrade(target)
        if run.error is not None:
            raise run.error
        return run

    def try_downgrade(self, target: str = "0.0.0") -> Run:
        """Roll back everything above ``target``."""
        return self.run(lambda entries: plan_downgrade(entries, Version.parse(target)))

    def failure(self) -> MigrateError:
        """Upgrade, which must fail in a step, and return the error."""
        error = self.try_upgrade().error
        assert error is not None, "the step was expected to fail"
        return error

    def ways_back(self) -> list[str]:
        """Return the names of the files that the ledger says hold ways back, the latest first."""
        marks = self.query(
            "SELECT value FROM plugin_migrate_facts WHERE name LIKE 'way back %'"
            " ORDER BY CAST(substr(value, 6) AS INTEGER) DESC"
        )
        return [f"{mark.split(' ')[2]}.db" for (mark,) in marks if len(mark.split(" ")) > 3]

    def look(self) -> Survey:
        """Read the state, as ``status`` does."""
        return survey(self.workspace())

    def states(self) -> dict[str, State]:
        """Return every migration's state."""
        return {str(entry.version): entry.state for entry in self.look().entries}

    # --- running as a child process --------------------------------------------------------------

    def child(
        self, *arguments: str, before: str = "", wrapper: tuple[str, ...] = ()
    ) -> subprocess.Popen[str]:
        """Start the command line on this project in a process of its own.

        ``before`` is code that runs in it first; ``wrapper`` a command that starts it.
        """
        paths = [str(SCRIPTS), str(PACKAGES)]
        code = _CHILD.format(paths=paths, before=before)
        return subprocess.Popen(
            [
                *wrapper,
                sys.executable,
                "-I",
                "-B",
                "-c",
                code,
                "--project",
                str(self.root),
                *arguments,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=_without_a_session(),
        )

    def cli(
        self, *arguments: str, before: str = "", wrapper: tuple[str, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run the command line on this project to its end; see :meth:`child`."""
        if in_process.IS_WANTED and not before and not wrapper:
            words = ("--project", str(self.root), *arguments)
            variables = _without_a_session()
            done = in_process.run(main, words, Path.cwd(), variables)
            return subprocess.CompletedProcess(words, *done)
        with self.child(*arguments, before=before, wrapper=wrapper) as process:
            out, err = ended(process)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def killed_at(self, condition: str, *arguments: str, nth: int = 1, before: str = "") -> None:
        """Run a command that dies of SIGKILL at an audit event.

        ``condition`` is a Python expression of ``event`` and ``path``, the last of its paths; it
        happens when that is true for the ``nth`` time. ``before`` is code that runs first.
        """
        arguments = arguments or ("upgrade", "--no-backup")
        done = self.signalled_at(condition, 9, *arguments, nth=nth, before=before)
        assert done.returncode in (-9, 9), (
            done.stderr
        )  # Windows ends it with the number as its code

    def signalled_at(
        self, condition: str, number: int, *arguments: str, nth: int = 1, before: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a command that gets a signal at an audit event; see :meth:`killed_at`."""
        before += SIGNAL_AT.format(condition=condition, number=int(number), nth=nth)
        return self.cli(*arguments, before=before)

    # --- looking -------------------------------------------------------------------------------

    def read(self, path: str) -> str:
        """Return the text of a file below ``.claude/``."""
        return (self.claude / path).read_text(encoding="utf-8")

    def query(self, sql: str, *values: object, database: Path | None = None) -> list[tuple]:
        """Ask the state database, or another one."""
        with self.connect(database) as connection:
            return connection.execute(sql, values).fetchall()

    @contextmanager
    def connect(self, database: Path | None = None) -> Iterator[sqlite3.Connection]:
        """Connect to a database as any other program would."""
        path = database or self.database
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as connection:
            yield connection

    def make_ledger(self) -> None:
        """Create the ledger, as the first run does."""
        with self.connect() as connection:
            ensure_ledger(connection, self.workspace())

    def setup(self, script: str, database: Path | None = None) -> Path:
        """Run statements on a database as any other program would, and return its path."""
        with self.connect(database) as connection:
            connection.executescript(script)
        return database or self.database

    def history(self) -> list[tuple[str | None, str, str]]:
        """Return version, action and outcome of everything that happened."""
        return self.query("SELECT version, action, outcome FROM plugin_migrate_history ORDER BY id")

    def applied(self) -> list[str]:
        """Return the applied versions, the first applied first."""
        return [row[0] for row in self.query("SELECT version FROM migrations ORDER BY id")]

    def dump(self, database: Path | None = None) -> list[str]:
        """Return a database as statements, but for the history of failures."""
        with self.connect(database) as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            return [
                *(
                    line
                    for line in connection.iterdump()
                    if "plugin_migrate_history" not in line.partition("VALUES")[0]
                    and "'plugin_migrate_history'" not in line
                ),
                f"user_version {version}",
            ]

    def files(self) -> dict[str, Thing]:
        """Return everything in the project but the state database and our own folder."""
        return things(self.root, self._is_ours)

    def _is_ours(self, path: Path) -> bool:
        return path == self.bookkeeping or str(path).startswith(str(self.database))

    def leftovers(self) -> set[str]:
        """Return what remains in our own folder after a run, but for what stays there."""
        kept = {".gitignore", "lock.db", "ways-back", *self.ways_back()}
        left = {
            path.relative_to(self.bookkeeping).as_posix()
            for path in self.bookkeeping.rglob("*")
            if path.name not in kept
        }
        return {path for path in left - {"publish"} if not path.startswith("backups")}


def overwrite_in_place(path: Path, content: bytes) -> None:
    """Overwrite a database by another so that SQLite takes it for the one that it has read."""
    overwritten = bytearray(content)
    overwritten[24:28] = overwritten[92:96] = path.read_bytes()[24:28]
    path.write_bytes(overwritten)
    os.utime(path, (1, 1))  # within a tick of the clock its times may not tell


@contextmanager
def unchanged(project: Project) -> Iterator[None]:
    """Expect every file, mode and row to be the same after this block, but for the history."""
    project.make_ledger()
    files = project.files()
    rows = project.dump()
    yield
    assert project.files() == files
    assert project.dump() == rows
    assert project.leftovers() == set()


def fails_unchanged(project: Project) -> MigrateError:
    """Return the failure of the pending step, which must leave no trace but its history row."""
    with unchanged(project):
        error = project.failure()
    assert project.history()[-1][2] == "failed"
    return error


def ended(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Wait for a child's end and return what it printed; one that hangs is killed."""
    try:
        return process.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        raise


def meanwhile(project: Project, action: str) -> str:
    """Return code by which another process acts on the live state while the step runs."""
    return (
        "import subprocess, sys\n"
        f"subprocess.run([sys.executable, '-c', {action!r}, {str(project.claude)!r}], check=True)"
    )


def things(
    root: Path, is_left_out: Callable[[Path], bool] = lambda path: False
) -> dict[str, Thing]:
    """Return everything below a folder."""
    found: dict[str, Thing] = {}
    for entry in sorted(os.scandir(root), key=lambda entry: entry.name):
        path = Path(entry.path)
        if is_left_out(path):
            continue
        status = path.lstat()
        mode = stat.S_IMODE(status.st_mode)
        if path.is_symlink():
            found[entry.name] = Thing("link", 0, os.readlink(path))
        elif path.is_dir():
            found[entry.name] = Thing("dir", mode)
            below = things(path, is_left_out)
            found.update({f"{entry.name}/{name}": thing for name, thing in below.items()})
        else:
            found[entry.name] = Thing("file", mode, path.read_bytes())
    return found


def _without_a_session() -> dict[str, str]:
    """Return the environment without Claude Code's variables, and without a terminal's."""
    terminal = ("COLUMNS", "LINES")  # two processes of tests at once have them
    return {
        key: value
        for key, value in os.environ.items()
        if not key.startswith("CLAUDE") and key not in terminal
    }


def _body(text: str) -> str:
    return textwrap.indent(textwrap.dedent(text).strip("\n") or "pass", "    ")
