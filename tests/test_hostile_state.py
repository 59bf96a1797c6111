"""Two hundred projects whose state somebody else wrote: every command answers in a sentence.

Each project was migrated for real; then its ledger, settings, redo logs, backups, journals and
files are damaged or forged, by a generator with a fixed seed. Whatever a command says about it, it
ends within five seconds, calls nothing a bug, prints no traceback, and changes nothing outside.
"""

import json
import os
import random
import runpy
import shutil
import signal
import sqlite3
import stat
import struct
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from functools import cache
from pathlib import Path

import pytest

import in_process
from command_line import Outcome, Project, snapshot

HOOKS = Path(__file__).parents[1] / "hooks"
PROJECTS = 200
GROUPS = 20
# Of processor time; and of waiting, which on a busy machine is more.
MOST_SECONDS = 5
MOST_WAITING = 30
LIMITED = (
    () if in_process.IS_WANTED else ("sh", "-c", f'ulimit -S -t {MOST_SECONDS}; exec "$@"', "sh")
)
TOOK_TOO_LONG = -getattr(signal, "SIGXCPU", 1000)  # Windows has no such limit

# Where a project has been: from each of these the damage begins.
BEGINNINGS = ("migrated", "interrupted", "restored")
READING = (
    ("status",),
    ("status", "--format=json"),
    ("check",),
    ("history",),
    ("history", "--format=json"),
    ("upgrade", "--dry-run"),
    ("restore",),
    ("restore", "--format=json"),
)
WRITING = (
    ("upgrade",),
    ("upgrade", "--preview"),
    ("verify",),
    ("downgrade",),
    ("repair",),
    ("repair", "--keep-live"),
    ("repair", "--take-migrated"),
    ("repair", "--pending"),
    ("baseline", "1.2.0"),
    ("create", "one-more"),
)
MANY_STARTED = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 20000)
INSERT INTO plugin_migrate_history
(version, description, action, outcome, done_by, tool_version)
SELECT '7.0.' || i, 'x', 'up', 'started', 'x', '1' FROM n
"""
# What a damaged value may be, as SQL.
VALUES = (
    "NULL",
    "x'00ff41'",
    "CAST(x'41ff42' AS TEXT)",
    "''",
    "'1.0.0'",
    "'9.9.9'",
    "'1.0'",
    "-1",
    "9223372036854775807",
    "1e999",
    "3.5",
    "'../../../outside/precious'",
    "char(27) || '[2J'",
    "'[' || replace(hex(zeroblob(50000)), '00', '[')",
    "'{\"a\": 1}'",
    "printf('%.*c', 100000, 'x')",
    '\'{"requires": {"x": 7}, "tags": 5, "author": []}\'',
)
COLUMNS = {
    "migrations": "id version description applied_at applied_by execution_time_ms checksum"
    " direction",
    "plugin_migrate_history": "id version description action outcome at duration_ms done_by"
    " tool_version error",
    "plugin_migrate_sources": "version file_name language checksum metadata text",
    "plugin_migrate_publishes": "id version project manifest",
    "plugin_migrate_facts": "name value",
    "plugin_migrate_schema": "version applied_at",
}
TABLES = tuple(COLUMNS)
TABLE_DAMAGES = (
    ("DROP TABLE {table}",),
    ("DELETE FROM {table}",),
    ("ALTER TABLE {table} RENAME TO x", "CREATE VIEW {table} AS SELECT * FROM x"),
    ("ALTER TABLE {table} RENAME COLUMN version TO wersion",),
    ("ALTER TABLE {table} ADD COLUMN owner TEXT NOT NULL DEFAULT 'x'",),
    ("CREATE TRIGGER t BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'no'); END",),
    ("CREATE TRIGGER t AFTER INSERT ON {table} BEGIN DELETE FROM {table}; END",),
    (MANY_STARTED,),
    ("PRAGMA writable_schema=ON", "UPDATE sqlite_schema SET sql = 'x' WHERE name = '{table}'"),
    (
        "PRAGMA writable_schema=ON",
        "UPDATE sqlite_schema SET sql = CAST(x'435245ff' AS TEXT) WHERE name = '{table}'",
    ),
)
SETTINGS = (
    b"",
    b"\xff\xfe",
    b"database: ../../outside/precious\n",
    b'database: "\\ud800"\n',
    b'exclude: ["\\ud800"]\n',
    b'migrations: "a\\0b"\n',
    b"ledger_table: plugin_migrate_history\n",
    b"ledger_table: sqlite_schema\n",
    b"ledger_table: notes\n",
    b"a: &a [x,x]\nb: &b [*a,*a]\nexclude: [*b]\n",
    b"exclude: ['*']\n",
    b"exclude: [" + b"a," * 20000 + b"]\n",
    b"[" * 5000,
    b"backups: {keep: 1}\nlock_timeout: 0\n",
    b"- 1\n",
    b"database: .claude\n",
    b"database: .claude/plugin-migrate.yaml\n",
    b"migrations: /proc/self\n",
    b"migrations: .claude/settings.json\n",
    b"lock_timeout: .nan\n",
)
# What may stand where a JSON text of ours belongs.
TEXTS = (
    b"",
    b"{}",
    b"[]",
    b"null",
    b"\xff\xfe\x00",
    b"[" * 200_000,
    b'{"a":' * 100_000,
    b'{"sequence": 1}',
    b"1e999",
    b'"\\ud800"',
)


JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")


def hostile_journal(named: str) -> bytes:
    """Return a journal after whose rolling back SQLite deletes ``named``."""
    name = os.fsencode(named)
    header = JOURNAL_MAGIC + struct.pack(">5I", 0, 1, 2, 512, 4096)
    page = struct.pack(">I", 0x40000000 // 4096 + 1)
    trailer = struct.pack(">II", len(name), sum(name)) + JOURNAL_MAGIC
    return header.ljust(512, b"\0") + page + name + trailer


def build(root: Path, home: Path, beginning: str) -> Project:
    """Return a project with a past: two steps in SQL, one in Python that changes files."""
    project = Project(root, home)
    project.write("settings.json", '{"theme": "dark", "list": [1, 2]}\n')
    project.write("agents/one.md", "---\nname: one\n---\nBody\n")
    project.setup("CREATE TABLE facts (x); INSERT INTO facts VALUES (1)", project.claude / "m.db")
    project.sql("1.0.0", "CREATE TABLE notes (text);", "DROP TABLE notes;")
    project.sql("1.1.0", "INSERT INTO notes VALUES ('first');", "DELETE FROM notes;")
    project.python(
        "1.2.0",
        """
        with ctx.edit_json("settings.json") as settings:
            settings["theme"] = "light"
        (ctx.claude / "new.md").write_text("new")
        ctx.database("m.db").execute("INSERT INTO facts VALUES (2)")
        """,
        """
        with ctx.edit_json("settings.json") as settings:
            settings["theme"] = "dark"
        (ctx.claude / "new.md").unlink()
        ctx.database("m.db").execute("DELETE FROM facts WHERE x = 2")
        """,
    )
    project.upgrade("1.1.0")
    if beginning == "interrupted":
        project.killed_at("event == 'os.rename' and path.endswith('settings.json')", "upgrade")
        assert list((project.bookkeeping / "publish").iterdir())
    else:
        project.upgrade("1.2.0")
    if beginning == "restored":
        newest = json.loads(project.call("restore", "--format=json").out)["backups"][0]["id"]
        project.ok("restore", newest)
    project.sql("1.3.0", "INSERT INTO notes VALUES ('second');", "DELETE FROM notes;")
    return project


class Vandal:
    """Damages and forges what a project holds; everything it does follows from its seed."""

    def __init__(self, project: Project, outside: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.project = project
        self.outside = outside
        self.done: list[str] = []

    def strike(self) -> None:
        """Do one to three kinds of damage."""
        kinds = (
            self.value_in_ledger,
            self.value_in_ledger,
            self.table_of_ledger,
            self.bytes_of_database,
            self.journal,
            self.journal,
            self.settings,
            self.redo_log,
            self.redo_log,
            self.backup,
            self.backup,
            self.note_of_source,
            self.migration,
            self.file,
        )
        for kind in self.random.sample(kinds, self.random.choice((1, 1, 2, 3))):
            self.done.append(kind.__name__)
            kind()

    def _execute(self, *statements: str) -> None:
        """Run statements on the state database."""
        if not self.project.database.is_file():
            return
        with closing(sqlite3.connect(self.project.database, isolation_level=None)) as connection:
            for statement in ("PRAGMA ignore_check_constraints=ON", *statements):
                self.done.append(statement[:80])
                # What it refuses, or is too broken for, has no effect.
                with suppress(sqlite3.Error, UnicodeDecodeError):
                    connection.execute(statement)

    def value_in_ledger(self) -> None:
        table, columns = self.random.choice(list(COLUMNS.items()))
        column, value = self.random.choice(columns.split()), self.random.choice(VALUES)
        which = self.random.choice(("", " WHERE version = '1.1.0'", " WHERE rowid = 1"))
        self._execute(f"UPDATE OR IGNORE {table} SET {column} = {value}{which}")

    def table_of_ledger(self) -> None:
        table = self.random.choice(TABLES)
        kind = self.random.choice(TABLE_DAMAGES)
        self._execute(*(statement.format(table=table) for statement in kind))

    def bytes_of_database(self) -> None:
        path = self.random.choice((self.project.database, self.project.claude / "m.db"))
        if not path.is_file():
            return
        content = bytearray(path.read_bytes())
        kind = self.random.choice(("cut", "noise", "zero", "text", "folder", "link"))
        self.done.append(f"{path.name} {kind}")
        if kind == "noise":
            for _ in range(self.random.choice((1, 20, 400))):
                content[self.random.randrange(len(content))] = self.random.randrange(256)
        path.unlink()
        if kind == "folder":
            path.mkdir()
        elif kind == "link":
            _link(path, self.outside / "precious")
        elif kind == "cut":
            path.write_bytes(content[: self.random.randrange(len(content))])
        else:
            path.write_bytes({"zero": b"", "text": b"hello\n" * 99}.get(kind, content))

    def journal(self) -> None:
        """Put something of SQLite's beside a database: rubbish, or an attack."""
        lock = self.project.bookkeeping / "lock.db"
        path = self.random.choice((self.project.database, self.project.claude / "m.db", lock))
        suffix = self.random.choice(("-wal", "-journal", "-journal", "-shm"))
        beside = path.with_name(path.name + suffix)
        kind = self.random.choice(("rubbish", "hostile", "hostile", "hot", "pipe", "link"))
        self.done.append(f"{beside.name} {kind}")
        beside.unlink(missing_ok=True)
        if kind == "pipe":
            _pipe(beside)
        elif kind == "link":
            _link(beside, self.outside / "precious")
        elif kind == "hostile":
            named = self.random.choice((str(self.outside / "precious"), "../outside/precious"))
            beside.write_bytes(hostile_journal(named))
        elif kind == "hot":
            if path.is_file():
                path.write_bytes(self.random.randbytes(8192))
            beside.write_bytes(JOURNAL_MAGIC + struct.pack(">5I", 1, 1, 2, 512, 4096) + bytes(9000))
        else:
            beside.write_bytes(
                self.random.choice(
                    (
                        b"",
                        b"x" * 5000,
                        bytes(4096),
                        JOURNAL_MAGIC + bytes(5000),
                        bytes.fromhex("377f0682002de218") + self.random.randbytes(5000),
                    )
                )
            )

    def settings(self) -> None:
        content = self.random.choice(SETTINGS)
        self.done.append(repr(content[:40]))
        self.project.write("plugin-migrate.yaml", content)

    def redo_log(self) -> None:
        folder = self.project.bookkeeping / "publish"
        folder.mkdir(exist_ok=True)
        logs = sorted(folder.iterdir())
        if not logs:
            logs = [folder / "0123456789abcdef"]
            logs[0].mkdir()
            self._forge(logs[0] / "manifest.json")
        self._spoil(logs[0])

    def _forge(self, path: Path) -> None:
        node = {"kind": "file", "mode": 420, "sha256": "0" * 64, "size": 3, "link": None}
        entry = {"path": "settings.json", "before": None, "after": node}
        manifest = {
            "id": path.parent.name,
            "version": "1.2.0",
            "direction": "up",
            "project": str(self.project.root),
            "entries": [entry | {"before_at": None, "after_at": 0}],
            "databases": [{"path": "m.db", "copy": "d.sqlite", "before": "", "after": ""}],
            "format": 1,
        }
        path.write_text(json.dumps(manifest, sort_keys=True))

    def backup(self) -> None:
        folders = sorted((self.project.bookkeeping / "backups").iterdir())
        self._spoil(self.random.choice(folders))

    def _spoil(self, folder: Path) -> None:
        """Damage one of a folder's files, the manifest more often than the others."""
        names = sorted(path.name for path in folder.iterdir()) + ["manifest.json"] * 3
        path = folder / self.random.choice(names)
        self.done.append(str(path.relative_to(self.project.bookkeeping)))
        kind = self.random.choice(("change", "change", "text", "cut", "gone", "folder", "link"))
        self.done.append(kind)
        if path.is_dir():
            return
        if path.name == "manifest.json" and kind == "change" and _is_json(path):
            self._change_json(path)
        elif kind == "cut" and path.exists():
            os.truncate(path, path.stat().st_size // 2)
        else:
            path.unlink(missing_ok=True)
            if kind == "folder":
                path.mkdir()
            elif kind == "link":
                _link(path, "/proc/kmsg")
            elif kind != "gone":
                path.write_bytes(self.random.choice(TEXTS))

    def _change_json(self, path: Path) -> None:
        """Replace one value anywhere in a document, in the ledger's copy of it as well."""
        text = path.read_text()
        document = json.loads(text)
        places = list(_places(document))
        holder, key = self.random.choice(places)
        value = self.random.choice(
            (
                None,
                -1,
                1e308,
                "",
                [],
                {},
                "../../outside/precious",
                str(self.outside / "precious"),
                "agents/../../../outside/precious",
                "a\0b",
                "\ud800",
                "x" * 300,
                "d/" * 2000 + "e",
                2**70,
                [[[]]],
                {"kind": "file", "mode": 10**9, "sha256": 1, "size": -1, "link": "/etc/passwd"},
                {"kind": "link", "mode": 0, "sha256": None, "size": 0, "link": "/etc/passwd"},
            )
        )
        self.done.append(f"{key} = {value!r:.60}")
        holder[key] = value
        changed = json.dumps(document, sort_keys=True)
        path.write_text(changed)
        if self.random.random() < 0.7 and self.project.database.is_file():
            with closing(sqlite3.connect(self.project.database)) as connection:
                try:
                    connection.execute(
                        "UPDATE plugin_migrate_publishes SET manifest = ?", [changed]
                    )
                    connection.commit()
                except sqlite3.Error as error:
                    self.done.append(str(error))

    def note_of_source(self) -> None:
        home = self.project.bookkeeping / "sources" / self.random.choice(("evil", "..x", "a b"))
        log = home / "publish/0123456789abcdef"
        log.mkdir(parents=True)
        content = self.random.choice((*TEXTS, b'{"database": "/etc/passwd", "ledger_table": "x"}'))
        (home / "source.json").write_bytes(content)
        self._forge(log / "manifest.json")

    def migration(self) -> None:
        name = self.random.choice(("1.3.0-step.sql", "1.4.0-x.py", "1.5.0-x.mjs", "1.2.0-step.py"))
        path = self.project.migrations / name
        path.unlink(missing_ok=True)
        kind = self.random.choice(("pipe", "folder", "link", "text", "text"))
        self.done.append(f"{name} {kind}")
        if kind == "pipe":
            _pipe(path)
        elif kind == "folder":
            path.mkdir()
        elif kind == "link":
            _link(path, self.random.choice(("/proc/kmsg", "/dev/zero", "/nowhere", name)))
        else:
            path.write_bytes(
                self.random.choice(
                    (
                        *TEXTS,
                        b"(" * 100_000,
                        b"x = " + b"-" * 100_000 + b"1",
                        b"-- description: " + b"[" * 5000 + b"\n-- migrate:up\nSELECT 1;",
                        b"description = '\\ud800\\x1b[2J'\ndef up(ctx): pass\n",
                        b"def up(ctx): raise RecursionError\n",
                        b"export const migration = {" + b"{" * 50_000,
                        b"\x00",
                        b"x" * 600_000,
                    )
                )
            )

    def file(self) -> None:
        claude = self.project.claude
        kind = self.random.choice(("loop", "root", "deep", "names", "pipe", "json", "kmsg", "gone"))
        self.done.append(kind)
        if kind == "loop":
            _link(claude / "loop", "loop")
        elif kind == "root":
            _link(claude / "everything", "/etc")
        elif kind == "deep":
            with suppress(OSError):  # Windows may not have paths as long
                (claude / Path(*["d"] * 400)).mkdir(parents=True)
        elif kind == "names":
            with suppress(OSError):  # Windows has no such names
                (claude / "a\x1b[2Jb\n.md").write_text("x")
                (claude / os.fsdecode(b"\xff.json")).write_text("x")
        elif kind == "pipe":
            _pipe(claude / "pipe")
        elif kind == "kmsg":
            _link(claude / "log", "/proc/kmsg")
        elif kind == "json":
            (claude / "settings.json").write_bytes(self.random.choice(TEXTS))
        else:
            shutil.rmtree(claude / "agents")


def _pipe(path: Path) -> None:
    """Make a named pipe; where there are none a folder, which is no plain file either."""
    if sys.platform == "win32":
        path.mkdir()
    else:
        os.mkfifo(path)


def _link(path: Path, target: Path | str) -> None:
    """Make a link; where none can be made a file that names what it would lead to."""
    try:
        path.symlink_to(target)
    except OSError:
        path.write_text(str(target))


def _is_json(path: Path) -> bool:
    try:
        return isinstance(json.loads(path.read_bytes()), dict)
    except (OSError, ValueError, RecursionError):
        return False


def _places(value: object):
    """Yield every place in a JSON document that holds a value."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, below in list(pairs):
        yield value, key
        if isinstance(below, dict | list):
            yield from _places(below)


@pytest.fixture(scope="module")
def beginnings(tmp_path_factory) -> dict[str, Project]:
    """A project of every past, to be copied."""
    made = {}
    for beginning in BEGINNINGS:
        folder = tmp_path_factory.mktemp(beginning)
        (folder / "home").mkdir()
        made[beginning] = build(folder / "project", folder / "home", beginning)
    return made


def judge(outcome: Outcome, command: tuple[str, ...]) -> str | None:
    """Return what is wrong with how a command ended, if anything."""
    text = outcome.out + outcome.err
    if outcome.code not in (0, 1, 2, 3):
        return f"exit code {outcome.code}"
    for wrong in ("Internal error", "which is a bug", "Traceback (most recent", "\x1b"):
        if wrong in text and "raise RecursionError" not in text:
            return f"it printed {wrong!r}"
    if "--format=json" in command:
        json.loads(outcome.out)
    elif outcome.code == 1 and "✗" not in text and command[0] != "check":
        return "it failed without a sentence"
    return None


@pytest.mark.parametrize("group", range(GROUPS))
def test_a_command_on_hostile_state_ends_in_a_sentence(group, beginnings, folder):
    seeds = range(group, PROJECTS, GROUPS)
    if in_process.IS_WANTED:
        for seed in seeds:
            _try_project(seed, beginnings, folder / str(seed))
        return
    # What takes the time is other processes, so threads use every core.
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        list(threads.map(lambda seed: _try_project(seed, beginnings, folder / str(seed)), seeds))


def _try_project(seed: int, beginnings: dict[str, Project], place: Path) -> None:
    source = beginnings[BEGINNINGS[seed % len(BEGINNINGS)]]
    shutil.copytree(source.root, place / "project", symlinks=True)
    (place / "home").mkdir()
    (place / "outside").mkdir()
    (place / "outside/precious").write_bytes(b"precious\n" * 100)
    project = Project.__new__(Project)
    project.__dict__.update(source.__dict__)
    _move(project, place)
    vandal = Vandal(project, place / "outside", seed)
    vandal.strike()
    _try_everything(project, vandal, place, seed)


def _move(project: Project, place: Path) -> None:
    old = project.root
    project.root = place / "project"
    for name in ("claude", "migrations", "database", "bookkeeping"):
        path = getattr(project, name).relative_to(old)
        setattr(project, name, project.root / path)
    project.home = place / "home"
    project.environment = project.environment | {"HOME": str(project.home)}


def _try_everything(project: Project, vandal: Vandal, place: Path, seed: int) -> None:
    commands = [vandal.random.choice(READING), vandal.random.choice(WRITING)]
    backups = sorted(path.name for path in (project.bookkeeping / "backups").iterdir())
    restore = ("restore", vandal.random.choice(backups))
    commands.append(vandal.random.choice((restore, (*restore, "--force"))))
    around = _around(place)
    _hook(project, seed, vandal)
    for command in commands:
        story = f"seed {seed}, {vandal.done}, {command}"
        try:
            outcome = project.call(*command, prefix=LIMITED, most_seconds=MOST_WAITING)
        except subprocess.TimeoutExpired:
            pytest.fail(f"{story}: it hangs")
        assert outcome.code != TOOK_TOO_LONG, f"{story}: it takes too long"
        wrong = judge(outcome, command)
        assert wrong is None, f"{story}: {wrong}\n{outcome.out[-2000:]}\n{outcome.err[-3000:]}"
        assert _around(place) == around, f"{story}: it changed something outside"


def _hook(project: Project, seed: int, vandal: Vandal) -> None:
    environment = project.environment | {
        "CLAUDE_PROJECT_DIR": str(project.root),
        "PLUGIN_MIGRATE_CACHE": str(project.root.parent / "cache"),
    }
    given = '{"hook_event_name": "SessionStart", "session_id": "1"}'
    if in_process.IS_WANTED:
        call = ["claude_code.session_start"]
        code, out, err = in_process.run(_starter(), call, project.root, environment, given)
    else:
        done = subprocess.run(
            [HOOKS / "session-start"],
            cwd=project.root,
            env=environment,
            input=given,
            capture_output=True,
            text=True,
            timeout=MOST_WAITING,
        )
        code, out, err = done.returncode, done.stdout, done.stderr
    assert (code, err) == (0, ""), (seed, vandal.done)
    assert not out or json.loads(out)


@cache
def _starter() -> Callable[[], int]:
    """Return what a hook's shell script starts."""
    return runpy.run_path(str(HOOKS / "hook.py"))["_start"]


def _around(place: Path) -> dict[str, tuple]:
    """Return everything beside the project that a command could have changed."""
    return {
        f"{name}/{path}": (stat.S_IMODE(mode), modified, inode, content)
        for name in ("home", "outside")
        for path, (mode, modified, _, inode, content) in snapshot(place / name).items()
    }
