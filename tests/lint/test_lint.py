"""What lint says about a migration, and what it keeps quiet about."""

import sqlite3
import sys
import textwrap
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from plugin_migrate.errors import BrokenMigration
from plugin_migrate.lint import CODES, Finding, lint
from plugin_migrate.migration import Migration
from plugin_migrate.version import Version

ROOT = Path(__file__).parents[2]
REAL_MIGRATIONS = sorted(
    path
    for folder in (
        "examples/agent-team/.claude/core/versioning/migrations",
        "tests/real_tree/migrations",
    )
    for path in (ROOT / folder).glob("*")
    if path.suffix in (".sql", ".py")
)


def findings(text: str, language: str, siblings: frozenset[str] = frozenset()) -> list[Finding]:
    file = f"/p/1.0.0-x.{language}"
    return list(lint(Migration(Version(1, 0, 0), "x", language, file, "", text), siblings))


def codes(text: str, language: str) -> list[str]:
    return [finding.code for finding in findings(text, language)]


def in_sql(up: str, down: str = "SELECT 'undone';") -> list[str]:
    return codes(f"-- migrate:up\n{up}\n-- migrate:down\n{down}\n", "sql")


def in_down(down: str, up: str = "CREATE TABLE made (x);") -> list[str]:
    return in_sql(up, down)


def in_python(body: str, top: str = "", down: str = "ctx.log('undone')") -> list[str]:
    return codes(python(body, top, down), "python")


def python(body: str, top: str = "", down: str = "ctx.log('undone')") -> str:
    up = textwrap.indent(textwrap.dedent(body), "    ")
    down = textwrap.indent(textwrap.dedent(down), "    ")
    return f"{textwrap.dedent(top)}\ndef up(ctx):\n{up}\ndef down(ctx):\n{down}\n"


# --- destructive SQL ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("DROP TABLE notes", "drop-table"),
        ("drop table if exists main . [my notes]", "drop-table"),
        ("DROP /* ; */ TABLE 'notes' -- WHERE", "drop-table"),
        ("ALTER TABLE notes DROP COLUMN body", "drop-column"),
        ('ALTER TABLE "notes" DROP body', "drop-column"),
        ("DELETE FROM notes", "delete-all"),
        ("DELETE FROM main.notes AS n RETURNING id", "delete-all"),
        ("DELETE FROM notes -- WHERE id = 1", "delete-all"),
        ("DELETE FROM notes RETURNING 'WHERE', \"WHERE\"", "delete-all"),
        ("DELETE FROM notes RETURNING (SELECT 1 FROM t WHERE x)", "delete-all"),
        ("WITH old AS (SELECT id FROM notes WHERE id < 9) DELETE FROM notes", "delete-all"),
        (
            (
                "WITH RECURSIVE a(x) AS NOT MATERIALIZED (SELECT 1), [replace] AS (SELECT 2)"
                " DELETE FROM notes"
            ),
            "delete-all",
        ),
        ("UPDATE notes SET body = ''", "update-all"),
        ("UPDATE OR IGNORE notes SET body = (SELECT 'x' FROM t WHERE y)", "update-all"),
        ("WITH s AS (SELECT 1 WHERE 1) UPDATE notes SET body = 1", "update-all"),
        ("UPDATE notes SET (a, b) = (SELECT 1, 2)", "update-all"),
    ],
)
def test_what_loses_rows_is_found(statement, code):
    assert in_sql(f"{statement}\n;") == [code]


@pytest.mark.parametrize(
    "statement",
    [
        "DROP INDEX notes_by_date",
        "DROP VIEW recent",
        "DROP TRIGGER noted",
        "DELETE FROM notes WHERE id = 1",
        "WITH old AS (SELECT 1 AS id) DELETE FROM notes WHERE id IN (SELECT id FROM old)",
        "UPDATE notes SET body = (SELECT 1) WHERE id = 1",
        "INSERT INTO notes VALUES ('DROP TABLE notes; DELETE FROM notes;')",
        "INSERT INTO notes VALUES (1) ON CONFLICT DO UPDATE SET body = 1",
        "ALTER TABLE notes RENAME COLUMN a TO b",
        "ALTER TABLE notes ADD COLUMN drop_table TEXT",
        'SELECT 1 AS "DELETE FROM notes"',
        "-- DROP TABLE notes;\nSELECT 1",
        "/* DROP TABLE notes; */ SELECT 1",
        "EXPLAIN DELETE FROM notes",
        "CREATE TRIGGER t AFTER INSERT ON a BEGIN DELETE FROM b; UPDATE c SET d = 1; END",
        "CREATE TABLE made (x); UPDATE made SET x = 1; DELETE FROM made; DROP TABLE Made",
        "CREATE TEMP TABLE made AS SELECT 1; ALTER TABLE made RENAME TO kept; DROP TABLE kept",
        "ALTER TABLE notes ADD COLUMN tag TEXT; UPDATE notes SET tag = 'old'",
        "ALTER TABLE notes ADD tag; ALTER TABLE notes DROP tag",
        "ALTER TABLE notes ADD tag; UPDATE notes SET tag = body = 'x'",
    ],
)
def test_what_loses_nothing_is_no_finding(statement):
    assert in_sql(f"{statement};") == []


def test_a_new_column_does_not_excuse_overwriting_an_old_one():
    assert in_sql("ALTER TABLE n ADD tag; UPDATE n SET tag = 1, body = 2;") == ["update-all"]


def test_a_table_of_the_same_name_does_not_excuse_dropping_the_old_one():
    assert in_sql("DROP TABLE t; CREATE TABLE t (x); UPDATE t SET x = 1;") == [
        "drop-table",
        "update-all",
    ]


@pytest.mark.parametrize(
    ("up", "down"),
    [
        ("CREATE TABLE made (x);", "DROP TABLE made;"),
        ("CREATE VIRTUAL TABLE IF NOT EXISTS made USING fts5(x);", "DROP TABLE IF EXISTS MADE;"),
        ("CREATE TABLE x (y); ALTER TABLE x RENAME TO made;", "DROP TABLE made;"),
        ("ALTER TABLE n ADD COLUMN tag;", "ALTER TABLE n DROP COLUMN tag;"),
        ("INSERT INTO n VALUES (1);", "DELETE FROM n;"),
        ("UPDATE n SET x = -x WHERE x;", "UPDATE n SET x = -x;"),
    ],
)
def test_a_down_may_undo_what_the_up_did(up, down):
    assert in_sql(up, down) == []


@pytest.mark.parametrize(
    ("down", "code"),
    [
        ("DROP TABLE other;", "drop-table"),
        ("ALTER TABLE other DROP COLUMN x;", "drop-column"),
        ("DELETE FROM other;", "delete-all"),
        ("UPDATE other SET x = 1;", "update-all"),
    ],
)
def test_a_down_may_not_lose_what_was_there_before(down, code):
    assert in_down(down) == [code]


def test_a_down_may_not_drop_a_table_that_the_up_only_renamed_or_rebuilt():
    assert in_down("DROP TABLE b;", up="ALTER TABLE a RENAME TO b;") == ["drop-table"]
    assert in_down("DROP TABLE t;", up=REBUILD) == ["drop-table"]


def test_a_down_may_drop_a_column_of_a_table_that_the_up_rebuilt():
    assert in_down("ALTER TABLE t DROP COLUMN new;", up=REBUILD) == []


# --- rebuilding a table -------------------------------------------------------------------------

REBUILD = """
CREATE TABLE t_new (x TEXT NOT NULL);
INSERT INTO t_new (x) SELECT x FROM main.t;
DROP TABLE t;
ALTER TABLE t_new RENAME TO t;
"""
BY_A_BACKUP = """
CREATE TEMP TABLE kept AS SELECT o.x FROM other o, t;
DROP TABLE t;
CREATE TABLE t (x NOT NULL);
INSERT INTO t SELECT x FROM kept;
DROP TABLE kept;
"""
RENAMED_AWAY = """
ALTER TABLE t RENAME TO t_old;
CREATE TABLE t (x TEXT NOT NULL);
INSERT INTO t SELECT x FROM t_old;
DROP TABLE t_old;
"""


@pytest.mark.parametrize("rebuild", [REBUILD, BY_A_BACKUP, REBUILD.replace(" t;", " [T];")])
def test_a_rebuild_in_the_right_order_is_no_finding_in_either_direction(rebuild):
    assert in_sql(rebuild) == []
    assert in_down(rebuild) == []


@pytest.mark.parametrize(
    "rebuild",
    [
        RENAMED_AWAY,
        # The copy is made in time, but the old table makes room by a rename all the same.
        (
            "CREATE TABLE n (x); INSERT INTO n SELECT x FROM t;"
            " ALTER TABLE t RENAME TO o; ALTER TABLE n RENAME TO t; DROP TABLE o;"
        ),
        (
            "CREATE TABLE n (x); DROP TABLE t; INSERT INTO n SELECT x FROM t;"
            " ALTER TABLE n RENAME TO t;"
        ),
    ],
)
def test_a_rebuild_in_the_wrong_order_is_found_once_in_either_direction(rebuild):
    assert in_sql(rebuild) == ["rebuild-order"]
    assert in_down(rebuild) == ["rebuild-order"]


def test_reading_a_table_that_is_gone_is_no_rebuild_even_when_a_copy_of_it_exists():
    up = "CREATE TABLE n AS SELECT x FROM t; DROP TABLE t; INSERT INTO o SELECT x FROM n, t;"
    assert in_sql(up) == ["rebuild-order"]


def test_renaming_away_is_pointed_out_where_it_happens():
    (finding,) = findings(f"-- migrate:up{RENAMED_AWAY}-- migrate:down\nSELECT 1;", "sql")
    assert finding.line == 2
    assert "t_old" in finding.message


def test_renaming_away_is_wrong_because_sqlite_redirects_what_refers_to_the_table():
    """The reason for the rule, asked from SQLite itself, and the reason for its exception."""

    def parent_after(script):
        with closing(sqlite3.connect(":memory:")) as db:
            db.executescript("CREATE TABLE t (x UNIQUE); CREATE TABLE c (y REFERENCES t(x));")
            db.executescript(script)
            return next(db.execute("PRAGMA foreign_key_list(c)"))[2]

    assert parent_after(REBUILD) == "t"
    assert parent_after(BY_A_BACKUP.replace("other o, ", "").replace("o.x", "x")) == "t"
    assert parent_after(RENAMED_AWAY) == "t_old"
    legacy = f"PRAGMA legacy_alter_table = ON;{RENAMED_AWAY}"
    assert parent_after(legacy) == "t"
    assert in_sql(legacy) == []
    assert in_sql(legacy.replace("ON", "OFF")) == ["rebuild-order"]


@pytest.mark.parametrize(
    "renames",
    [
        "ALTER TABLE t RENAME TO u;",
        "ALTER TABLE notes RENAME TO x; ALTER TABLE x RENAME TO Notes;",
        "CREATE TABLE a (x); ALTER TABLE a RENAME TO b; CREATE TABLE a (x);",
    ],
)
def test_other_renames_are_no_finding(renames):
    assert in_sql(renames) == []


@pytest.mark.parametrize(
    "up",
    [
        REBUILD.replace("INSERT INTO t_new (x) SELECT x FROM main.t;", ""),
        REBUILD.replace("SELECT x FROM main.t", "VALUES ('FROM t')"),
        REBUILD.replace("ALTER TABLE t_new RENAME TO t;", ""),
    ],
)
def test_a_rebuild_that_leaves_out_a_part_loses_the_table(up):
    assert in_sql(up) == ["drop-table"]


# --- foreign keys -------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["= ON", "=0", "(off)", "= 'on'"])
def test_switching_foreign_keys_is_found(value):
    assert in_sql(f"PRAGMA main.foreign_keys {value};") == ["foreign-keys-pragma"]
    assert in_down(f"PRAGMA foreign_keys{value};") == ["foreign-keys-pragma"]
    assert in_python(f'ctx.db.execute("PRAGMA foreign_keys {value}")') == ["foreign-keys-pragma"]


@pytest.mark.parametrize(
    "pragma",
    ["PRAGMA foreign_keys;", "PRAGMA defer_foreign_keys = ON;", "PRAGMA user_version = 1;"],
)
def test_other_pragmas_are_no_finding(pragma):
    assert in_sql(pragma) == []


def test_without_a_transaction_foreign_keys_can_be_switched():
    text = "-- migrate:up transaction:false\nPRAGMA foreign_keys=ON;\n-- migrate:down\nSELECT 1;"
    assert codes(text, "sql") == []


def test_the_advice_tells_the_two_switches_apart():
    text = "-- migrate:up\nPRAGMA foreign_keys={};\n-- migrate:down\nSELECT 1;"
    (on,), (off,) = (findings(text.format(value), "sql") for value in ("ON", "OFF"))
    assert "Write foreign_keys:on" in on.advice
    assert "checked at its end" in off.advice


def test_a_switch_of_foreign_keys_is_a_note_and_a_lost_table_is_not():
    up = "-- migrate:up\nPRAGMA foreign_keys=ON;\nDROP TABLE t;\n-- migrate:down\nSELECT 1;"
    assert [finding.is_note for finding in findings(up, "sql")] == [True, False]


# --- clock and random numbers in SQL ------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("INSERT INTO n VALUES (CURRENT_TIMESTAMP)", "clock"),
        ("INSERT INTO n VALUES (datetime('now', '-1 day'))", "clock"),
        ("REPLACE INTO n SELECT strftime('%s', 'NOW') FROM m", "clock"),
        ("INSERT INTO n VALUES (date(), strftime('%s'))", "clock"),
        ("UPDATE n SET at = unixepoch() WHERE at IS NULL", "clock"),
        ("DELETE FROM n WHERE at < datetime(ifnull(x, 'now'))", "clock"),
        ("INSERT INTO n VALUES (lower(hex(randomblob(16))))", "random"),
        ("WITH r AS (SELECT random() AS x) INSERT INTO n SELECT x FROM r", "random"),
        ("CREATE TABLE n AS SELECT random() FROM m", "random"),
    ],
)
def test_rows_that_differ_every_time_are_found(statement, code):
    assert in_sql(f"{statement};") == [code]
    assert in_down(f"{statement};") == [code]


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE n (at TEXT DEFAULT CURRENT_TIMESTAMP, x DEFAULT (random()))",
        "CREATE TABLE n (at AS (datetime('now')))",
        "CREATE TRIGGER t AFTER INSERT ON a BEGIN INSERT INTO b VALUES (datetime('now')); END",
        "CREATE VIEW v AS SELECT datetime('now')",
        "INSERT INTO n VALUES (datetime(at), strftime('%Y', at), date('2026-01-01'))",
        "INSERT INTO n (date, random) VALUES ('now', 'CURRENT_TIMESTAMP')",
        "INSERT INTO random (x) VALUES (1)",
        'UPDATE n SET "current_timestamp" = 1 WHERE x',
        "SELECT datetime('now')",
    ],
)
def test_a_clock_that_writes_no_rows_is_no_finding(statement):
    assert in_sql(f"{statement};") == []


def test_the_line_is_that_of_the_clock_within_its_statement():
    text = (
        "-- migrate:up\nINSERT INTO n VALUES (\n  'a\nb',\n  datetime('now'));\n-- migrate:down\n;"
    )
    assert [(f.code, f.line) for f in findings(text, "sql")] == [("clock", 5), ("empty-down", 6)]


# --- what is missing, empty, or left over -------------------------------------------------------


OUTSIDE = "-- migrate:up transaction:false\nVACUUM;"


def test_a_missing_down_is_found_where_nothing_is_kept_instead():
    assert codes(OUTSIDE, "sql") == ["missing-down"]
    assert codes(f"-- reversible: false\n{OUTSIDE}", "sql") == []
    assert codes(f"-- reversible: true\n{OUTSIDE}", "sql") == ["missing-down"]
    assert codes("-- migrate:up\nCREATE TABLE a (x);", "sql") == []
    assert codes("CREATE TABLE a (x);", "sql") == []
    assert codes("def up(ctx):\n    ctx.log(1)\n", "python") == []


@pytest.mark.parametrize("up", ["", "-- CREATE TABLE a (x);", ";;"])
def test_an_up_that_does_nothing_is_found_in_sql(up):
    assert in_sql(up) == ["empty-up"]


@pytest.mark.parametrize("up", ["pass", "...", '"""Do it."""', "return", "return None", "'a'; 1"])
def test_an_up_that_does_nothing_is_found_in_python(up):
    assert in_python(up) == ["empty-up"]
    assert codes(python(up).replace("def", "async def"), "python") == ["empty-up"]


def test_a_down_that_does_nothing_is_found():
    assert in_sql("CREATE TABLE a (x);", "-- nothing") == ["empty-down"]
    assert in_python("ctx.log(1)", down="pass") == ["empty-down"]


def test_a_down_has_nothing_to_do_when_the_up_changes_nothing_to_go_back_to():
    assert in_sql("VACUUM; REINDEX; ANALYZE;", "") == []
    assert in_sql("", "") == ["empty-up"]
    assert in_python("pass", down="pass") == ["empty-up"]


def test_an_up_that_does_something_small_is_no_finding():
    assert in_python("yield") == []
    assert in_python("return ctx.log(1)") == []


@pytest.mark.parametrize(
    "text", ["Fill in the table.", "FILL IN", "fill in:", "Rename FILL IN here"]
)
def test_a_placeholder_is_found(text):
    assert in_sql(f"-- {text}\nSELECT 1;") == ["placeholder"]
    assert in_sql(f"/* first\n * {text} */\nSELECT 1;") == ["placeholder"]
    assert in_python(f"# {text}\nctx.log(1)") == ["placeholder"]


def test_a_placeholder_in_capitals_is_found_in_code_too():
    assert in_sql("INSERT INTO t VALUES ('FILL IN');") == ["placeholder"]
    assert in_python("TABLE = 'FILL IN'\nctx.log(TABLE)") == ["placeholder"]


@pytest.mark.parametrize(
    "text", ["people fill in the form", "FILL INTO", "REFILL IN", "filling in"]
)
def test_other_words_are_no_placeholder(text):
    assert in_sql(f"-- {text}\nSELECT 'fill in';") == []
    assert in_python(f"# {text}\nctx.log('Fill in your name')") == []


# --- Python: absolute paths ---------------------------------------------------------------------

IMPORTS = """
import io, os, pathlib, shutil
from os import path as p, replace as move
from pathlib import Path
from shutil import rmtree
HOME = Path.home()
TARGET = HOME / ".claude"
"""


@pytest.mark.parametrize(
    "call",
    [
        "open('/etc/hosts', 'w')",
        "open(file='/etc/hosts', mode='a')",
        "io.open(r'C:\\x', 'r+b')",
        "open(f'/home/{ctx}/x', 'x')",
        "open('/home/' + ctx.user, 'w')",
        "open(os.path.expanduser('~/.claude/settings.json'), 'w')",
        "open(p.join(p.expanduser('~'), 'x'), 'w')",
        "open(__file__, 'w')",
        "os.open('/x', os.O_WRONLY)",
        "Path('/x').write_text('')",
        "pathlib.Path('/x', 'y').joinpath('z').mkdir()",
        "Path.home().joinpath('.claude').mkdir()",
        "(Path.home() / '.claude' / 'x').parent.write_bytes(b'')",
        "Path('~/.claude').expanduser().touch()",
        "TARGET.joinpath('x').unlink()",
        "TARGET.open('w')",
        "(ctx.claude / '/etc/x').write_text('')",
        "Path(__file__).resolve().parents[4].joinpath('x').touch()",
        "(ctx.claude / 'x').rename('/tmp/x')",
        "os.remove('/x')",
        "os.makedirs(HOME)",
        "move(ctx.claude / 'x', '/x')",
        "shutil.copy(ctx.claude / 'x', str(TARGET))",
        "shutil.move(src='/x', dst='y')",
        "rmtree(TARGET)",
    ],
)
def test_writing_by_an_absolute_path_is_found(call):
    assert in_python(call, IMPORTS) == ["absolute-path"]


@pytest.mark.parametrize(
    "function",
    "os.remove os.unlink os.rmdir os.removedirs os.mkdir os.makedirs os.chmod os.chown os.truncate"
    " os.utime os.mkfifo os.rename os.renames os.replace shutil.move shutil.rmtree shutil.chown"
    " shutil.make_archive".split(),
)
def test_functions_that_write_their_first_argument_are_known(function):
    assert in_python(f"{function}('/x', 'y')", IMPORTS) == ["absolute-path"]


@pytest.mark.parametrize(
    "function",
    "os.rename os.renames os.replace os.link os.symlink shutil.copy shutil.copy2 shutil.copyfile"
    " shutil.copymode shutil.copystat shutil.copytree shutil.move shutil.unpack_archive".split(),
)
def test_functions_that_write_their_second_argument_are_known(function):
    assert in_python(f"{function}('x', '/y')", IMPORTS) == ["absolute-path"]


@pytest.mark.parametrize(
    "call",
    [
        "open('/etc/hosts')",
        "open('/etc/hosts', 'rb')",
        "open('.claude/x', 'w')",
        "open('~/x', 'w')",
        "open(ctx.claude / 'x', 'w')",
        "open(f'{ctx.claude}/x', 'w')",
        "os.open('/x', os.O_RDONLY)",
        "os.listdir('/x')",
        "Path('/x').read_text()",
        "HOME.exists()",
        "TARGET.open()",
        "(ctx.claude / 'a/b').write_text('/')",
        "(ctx.claude / 'x').rename(ctx.claude / 'y')",
        "Path('a').mkdir()",
        "'/a'.replace('/', '-')",
        "ctx.settings.rename('/a', '/b')",
        "shutil.copy('/usr/share/x', ctx.claude / 'x')",
        "'/'.join(ctx.parts)",
        "ctx.db.open('w')",
    ],
)
def test_other_paths_are_no_finding(call):
    assert in_python(call, IMPORTS) == []


def test_a_name_counts_as_absolute_only_if_it_always_is():
    body = "for path in [ctx.claude]:\n    path.mkdir()"
    assert in_python(body, "from pathlib import Path\npath = Path('/x')") == []
    assert in_python("a.mkdir()", "from pathlib import Path\na = b = Path('/x')\nb = a") == [
        "absolute-path"
    ]
    assert in_python("a.mkdir()", "a = b\nb = a") == []


@pytest.mark.parametrize(
    "call",
    [
        "open('.claude/notes: a.md', 'w')",
        "(ctx.claude / 'agents' / 'con').write_text('')",
        "ctx.claude.joinpath('a', 'Nul.txt').touch()",
        "os.makedirs(os.path.join('.claude', 'LPT1'))",
        "(ctx.claude / 'a').rename(ctx.claude / 'what?')",
        "(ctx.claude / NAME).mkdir()",
        "Path('.claude/trailing./x').mkdir()",
        "Path('trailing ').mkdir()",
    ],
)
def test_writing_what_windows_cannot_name_is_found(call):
    assert in_python(call, f"{IMPORTS}\nNAME = 'aux.d'") == ["windows-name"]


@pytest.mark.parametrize(
    "call",
    [
        "open('notes: a.md')",
        "(ctx.claude / 'console' / 'com10' / '.con' / 'a.b.c').write_text('con')",
        "Path('../x').touch()",
        "ctx.edit_json('a: b')",
        "open(f'{ctx.claude}/{a:02}.md', 'w')",
    ],
)
def test_names_that_windows_has_are_no_finding(call):
    assert in_python(call, IMPORTS) == []


# --- Python: imports ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "import yaml",
        "import json, yaml.nodes as nodes",
        "from yaml import safe_load",
        "try:\n    import yaml\nexcept ImportError:\n    yaml = None",
        "from importlib import import_module as load\nload('yaml')",
        "__import__('yaml')",
    ],
)
def test_an_import_from_outside_is_found(statement):
    assert in_python("ctx.log(1)", statement) == ["foreign-import"]
    assert in_python(statement) == ["foreign-import"]


@pytest.mark.parametrize(
    "statement",
    [
        "from __future__ import annotations",
        "import os.path, sqlite3, tomllib",
        "from collections.abc import Iterator",
        "from . import other",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import plugin_migrate.version",
        "import typing\nif typing.TYPE_CHECKING:\n    import yaml",
        "import importlib\nimportlib.import_module('json')",
    ],
)
def test_other_imports_are_no_finding(statement):
    assert in_python("ctx.log(1)", statement) == []


def test_a_module_beside_the_migration_is_no_finding():
    text = python("ctx.log(1)", "from _helpers import x\nimport shared.names")
    assert [f.code for f in findings(text, "python")] == ["foreign-import"] * 2
    assert findings(text, "python", frozenset({"_helpers", "shared"})) == []


# --- Python: clock and random numbers -----------------------------------------------------------


@pytest.mark.parametrize(
    ("top", "expression", "code"),
    [
        ("import time", "time.time()", "clock"),
        ("import time as t", "t.strftime('%Y')", "clock"),
        ("from time import time_ns as now", "now()", "clock"),
        ("import time", "time.gmtime()", "clock"),
        ("import datetime", "datetime.datetime.now(datetime.timezone.utc)", "clock"),
        ("from datetime import datetime as dt", "dt.utcnow().isoformat()", "clock"),
        ("from datetime import date", "date.today()", "clock"),
        ("import random", "random.choice([1])", "random"),
        ("from random import shuffle", "shuffle([])", "random"),
        ("import random", "random.Random().random()", "random"),
        ("import uuid", "str(uuid.uuid4())", "random"),
        ("from uuid import uuid1", "uuid1()", "random"),
        ("from uuid import uuid4", "map(str, map(uuid4, [1]))", "random"),
        ("import secrets", "secrets.token_hex()", "random"),
        ("from os import urandom", "urandom(1)", "random"),
    ],
)
def test_what_differs_every_time_is_found(top, expression, code):
    assert in_python(f"ctx.log({expression})", top) == [code]
    assert in_python("ctx.log(1)", top, down=f"ctx.log({expression})") == [code]


@pytest.mark.parametrize(
    ("top", "expression"),
    [
        ("import time", "time.sleep(1)"),
        ("import time", "time.strftime('%Y', time.gmtime(0))"),
        ("import time", "time.perf_counter()"),
        ("import datetime", "datetime.datetime.fromisoformat('2026-01-01')"),
        ("from datetime import datetime", "datetime(2026, 1, 1).date()"),
        ("import random", "random.Random(42).choice([1])"),
        ("import uuid", "uuid.uuid5(uuid.NAMESPACE_URL, 'x')"),
        ("import os", "os.path.exists('x')"),
        ("", "ctx.time.time() + ctx.random.choice([1])"),
    ],
)
def test_what_is_the_same_every_time_is_no_finding(top, expression):
    assert in_python(f"ctx.log({expression})", top) == []


def test_a_name_of_ones_own_is_no_module():
    assert in_python("for time in ctx.rows:\n    ctx.log(time.time())") == []
    assert in_python("ctx.log(random.choice(1))", "import random\nrandom = object()") == []


# --- Python: catching everything ----------------------------------------------------------------


@pytest.mark.parametrize(
    "handler",
    [
        "except:",
        "except Exception:",
        "except (OSError, BaseException) as e:",
        "except b.Exception:",
    ],
)
def test_catching_everything_is_found(handler):
    assert in_python(
        f"try:\n    ctx.log(1)\n{handler}\n    ctx.log(2)", "import builtins as b"
    ) == ["catch-all"]


def test_suppressing_everything_is_found():
    body = "with suppress(Exception):\n    ctx.log(1)"
    assert in_python(body, "from contextlib import suppress") == ["catch-all"]
    assert in_python(
        body.replace("Exception", "KeyError, BaseException"),
        "from contextlib import *\nfrom contextlib import suppress",
    ) == ["catch-all"]


@pytest.mark.parametrize(
    "body",
    [
        "try:\n    ctx.log(1)\nexcept OSError:\n    pass",
        "try:\n    ctx.log(1)\nexcept Exception:\n    ctx.log(2)\n    raise",
        "try:\n    ctx.log(1)\nexcept Exception as e:\n    raise ValueError('x') from e",
        "try:\n    ctx.log(1)\nexcept Exception:\n    if ctx.strict:\n        raise",
        "try:\n    ctx.log(1)\nfinally:\n    ctx.log(2)",
        "import contextlib\nwith contextlib.suppress(FileNotFoundError):\n    ctx.log(1)",
        "with ctx.suppress(Exception):\n    ctx.log(1)",
    ],
)
def test_catching_what_one_knows_is_no_finding(body):
    assert in_python(body) == []


def test_a_function_in_the_handler_that_could_raise_is_no_raise():
    body = "try:\n    ctx.log(1)\nexcept Exception:\n    def f():\n        raise ValueError"
    assert in_python(body) == ["catch-all"]


# --- SQL in Python ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ('ctx.db.execute("DROP TABLE notes")', "drop-table"),
        ('ctx.database("m.db").execute("DELETE " "FROM notes")', "delete-all"),
        ('ctx.db.executemany("UPDATE n SET x = ?", [(1,)])', "update-all"),
        ('ctx.db.execute(f"DROP TABLE {ctx.name}")', "drop-table"),
        ('ctx.db.execute(f"UPDATE n SET x = {ctx.value}")', "update-all"),
        ('ctx.db.execute("DROP TABLE " + name)', "drop-table"),
        ("ctx.db.execute(SQL)", "delete-all"),
        ("ctx.db.execute(\"INSERT INTO n VALUES (datetime('now'))\")", "clock"),
        ("helper(ctx)", "drop-column"),
        ("helpers = [helper]\nhelpers[0](ctx)", "drop-column"),
    ],
)
def test_sql_in_python_is_judged_by_the_same_rules(body, code):
    top = (
        "SQL = 'DELETE FROM notes'\n"
        "def helper(ctx):\n    ctx.db.execute('ALTER TABLE n DROP COLUMN x')\n"
        "def unused(ctx):\n    ctx.db.execute('DROP TABLE n')\n"
    )
    assert in_python(body, top) == [code]


@pytest.mark.parametrize(
    "body",
    [
        'ctx.db.execute("DELETE FROM notes WHERE id = ?", (1,))',
        'ctx.db.execute(f"DELETE FROM notes {ctx.condition}")',
        'ctx.db.execute(f"DELETE FROM {ctx.table} WHERE x")',
        "ctx.db.execute(statement)",
        'ctx.log("DROP TABLE notes")',
        'ctx.db.execute("DROP" + " VIEW notes")',
        'ctx.db.execute("CREATE TABLE a (x)")\nctx.db.execute("DROP TABLE a")',
        (
            'for t in "ab":\n    ctx.db.execute(f"CREATE TABLE {t}_x (y)")\n'
            '    ctx.db.execute(f"DROP TABLE {t}_x")'
        ),
        (
            'ctx.db.execute("CREATE TABLE new (x)")\n'
            'for row in ctx.db.execute("SELECT x FROM old"):\n'
            '    ctx.db.execute("INSERT INTO new VALUES (?)", row)\n'
            'ctx.db.execute("DROP TABLE old")\nctx.db.execute("ALTER TABLE new RENAME TO old")'
        ),
    ],
)
def test_sql_in_python_that_loses_nothing_is_no_finding(body):
    assert in_python(body) == []


def test_a_rebuild_by_a_helper_is_recognised_with_names_known_only_when_it_runs():
    top = """
        def rebuild(ctx, table, create):
            ctx.db.execute(create)
            ctx.db.execute(f"INSERT INTO {table}_new SELECT * FROM {table}")
            ctx.db.execute(f"DROP TABLE {table}")
            ctx.db.execute(f"ALTER TABLE {table}_new RENAME TO {table}")
    """
    assert in_python('rebuild(ctx, "a", "CREATE TABLE a_new (x)")', top) == []
    other = top.replace("FROM {table}", "FROM {other}")
    assert in_python('rebuild(ctx, "a", "CREATE TABLE a_new (x)")', other) == ["drop-table"]


def test_a_python_down_may_undo_what_the_up_did():
    up = 'ctx.db.execute("CREATE TABLE a (x)")\nctx.db.execute("INSERT INTO b VALUES (1)")'
    assert (
        in_python(up, down='ctx.db.execute("DROP TABLE a")\nctx.db.execute("DELETE FROM b")') == []
    )
    assert in_python(up, down='ctx.db.execute("DROP TABLE b")') == ["drop-table"]


def test_a_finding_in_sql_in_python_has_the_line_of_the_call():
    text = python('x = 1\nctx.db.execute(\n    """\n    SELECT 1;\n    DROP TABLE n\n    """\n)')
    (finding,) = findings(text, "python")
    assert text.splitlines()[finding.line - 1].strip() == "ctx.db.execute("


# --- allowing -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "up",
    [
        "DROP TABLE a; -- lint: allow drop-table",
        "-- lint: allow drop-table\nDROP TABLE a;",
        "/* lint:ALLOW clock, drop-table - the cache is rebuilt */ DROP TABLE a;",
        "-- lint: allow drop-table\n-- since 2.0 nobody reads it\nDROP TABLE a;",
        "DROP TABLE\n  a -- lint: allow drop-table\n;",
        "DROP TABLE\n  a\n; -- lint: allow drop-table (unused)",
    ],
)
def test_a_comment_with_the_code_allows_the_finding_beside_it(up):
    assert in_sql(up) == []


@pytest.mark.parametrize(
    "up",
    [
        "DROP TABLE a; -- lint: allow drop-column",
        "-- lint: allow drop-table\n\nDROP TABLE a;",
        "DROP TABLE a;\n-- lint: allow drop-table",
        "SELECT 1; -- lint: allow drop-table\nDROP TABLE a;",
        "DROP TABLE a; -- allow drop-table",
        "DROP TABLE a; SELECT '-- lint: allow drop-table';",
    ],
)
def test_a_comment_elsewhere_or_with_another_code_allows_nothing(up):
    assert in_sql(up) == ["drop-table"]


def test_a_comment_allows_one_finding_and_not_the_next_line():
    assert in_sql("-- lint: allow drop-table\nDROP TABLE a;\nDROP TABLE b;") == ["drop-table"]


@pytest.mark.parametrize(
    "body",
    [
        "x = time.time()  # lint: allow clock",
        "# lint: allow clock - only for the log\nx = time.time()",
        "x = (1 +\n    time.time())  # lint: allow clock",
        "x = time.time(\n)  # lint: allow clock",
    ],
)
def test_python_comments_allow_too(body):
    assert in_python(body, "import time") == []


def test_a_string_is_no_comment_in_python():
    assert in_python("x = time.time(), '# lint: allow clock'", "import time") == ["clock"]


def test_a_comment_at_the_top_allows_what_concerns_the_whole_file():
    header = "-- lint: allow missing-down - it only adds\n-- description: x\n"
    marker, statement = OUTSIDE.split("\n")
    assert codes(f"{header}\n{OUTSIDE}", "sql") == []
    assert codes(f"{marker}\n-- lint: allow missing-down\n\n{statement}", "sql") == []
    top = '"""Doc."""\n# lint: allow empty-up\n\nimport os\n\n'
    assert codes(f"{top}def up(ctx):\n    pass\n", "python") == []
    # Files of before 0.2.0 allow it, where it was a finding.
    assert codes("# lint: allow missing-down\ndef up(ctx):\n    ctx.log(1)\n", "python") == []
    assert codes("\n# lint: allow empty-up, empty-down\n\n" + python("pass"), "python") == []


def test_a_comment_at_the_top_allows_nothing_that_has_a_place_of_its_own():
    text = "-- lint: allow drop-table\n\n-- migrate:up\nDROP TABLE a;\n-- migrate:down\nSELECT 1;"
    assert codes(text, "sql") == ["drop-table"]


def test_a_comment_below_the_top_allows_nothing_that_concerns_the_whole_file():
    assert codes(f"{OUTSIDE}\n-- lint: allow missing-down", "sql") == ["missing-down"]
    text = "def up(ctx):\n    pass\n    # lint: allow empty-up\n    return\n"
    assert codes(text, "python") == ["empty-up"]


@pytest.mark.parametrize("code", ["drop-tabel", "drop_table", "everything", "DROP-TABLE"])
def test_an_unknown_code_is_a_finding_itself(code):
    assert in_sql(f"DROP TABLE a; -- lint: allow {code}") == ["drop-table", "unknown-code"]
    assert in_python(f"ctx.log(1)  # lint: allow clock, {code}") == ["unknown-code"]


def test_the_advice_for_an_unknown_code_names_the_one_that_was_meant():
    text = "-- migrate:up\nSELECT 1; -- lint: allow drop-tabel\n-- migrate:down\nSELECT 1;"
    (finding,) = findings(text, "sql")
    assert (finding.line, finding.advice) == (2, "Write: lint: allow drop-table")


def test_a_comment_without_a_code_is_a_finding():
    assert in_sql("SELECT 1; -- lint: allow") == ["unknown-code"]


# --- findings as a whole ------------------------------------------------------------------------


def test_findings_come_in_line_order_with_file_reason_and_advice():
    text = (
        "-- migrate:up\nDELETE FROM b;\nDROP TABLE a;\n-- migrate:down\n"
        "INSERT INTO c VALUES (random());\nDROP TABLE d;\n"
    )
    found = findings(text, "sql")
    assert [(f.line, f.code) for f in found] == [
        (2, "delete-all"),
        (3, "drop-table"),
        (5, "random"),
        (6, "drop-table"),
    ]
    for finding in found:
        assert finding.file == "/p/1.0.0-x.sql"
        assert finding.message
        assert not finding.message.endswith(".")
        assert finding.advice.startswith(CODES[finding.code][:4])


@pytest.mark.parametrize("language", ["sql", "python"])
def test_line_numbers_survive_crlf(language):
    text = {
        "sql": "-- a\n-- migrate:up\n-- b\nDROP TABLE a;\n-- migrate:down\nSELECT 1;\n",
        "python": "import time\n\n\ndef up(ctx): time.time()\ndef down(ctx): ctx.log(1)\n",
    }[language]
    assert [f.line for f in findings(text, language)] == [4]
    assert findings(text.replace("\n", "\r\n"), language) == findings(text, language)


def test_the_same_place_is_reported_once_when_both_directions_reach_it():
    top = "def shared(ctx):\n    ctx.db.execute('DROP TABLE other')\n"
    assert in_python("shared(ctx)", top, down="shared(ctx)") == ["drop-table"]


@pytest.mark.parametrize("path", REAL_MIGRATIONS, ids=lambda path: path.name)
def test_the_migrations_that_we_show_to_others_have_no_findings(path):
    language = {".sql": "sql", ".py": "python"}[path.suffix]
    assert findings(path.read_text(encoding="utf-8"), language) == []


@pytest.mark.parametrize(("text", "language"), [("-- migrate:upp", "sql"), ("def up(", "python")])
def test_a_text_that_cannot_be_parsed_is_refused_as_elsewhere(text, language):
    with pytest.raises(BrokenMigration) as caught:
        findings(text, language)
    assert caught.value.file


# --- properties ---------------------------------------------------------------------------------

SQL_WORDS = (
    "CREATE TABLE ALTER DROP RENAME TO COLUMN ADD INSERT INTO SELECT FROM JOIN WHERE WITH AS UPDATE"
    " SET DELETE PRAGMA foreign_keys legacy_alter_table TRIGGER BEGIN END a b main . , ; ( ) = 'x'"
    " \"y\" [z] ` -- /* */ \n random datetime 'now' CURRENT_TIMESTAMP lint: allow drop-table fill"
    " in \x00 \ufeff \ue000"
).split(" ")
sql_texts = st.lists(st.sampled_from(SQL_WORDS), max_size=30).map(" ".join) | st.text(max_size=60)


@settings(max_examples=400, deadline=None)
@given(up=sql_texts, down=sql_texts)
@example(up="PRAGMA", down="WITH")
@example(up="DROP TABLE", down="ALTER TABLE a RENAME TO")
def test_linting_sql_never_fails_on_what_parses(up, down):
    text = f"-- migrate:up\n{up}\n-- migrate:down\n{down}"
    try:
        found = findings(text, "sql")
    except BrokenMigration:
        return
    assert all(finding.code in CODES for finding in found)
    assert all(1 <= finding.line <= text.count("\n") + 1 for finding in found)


PYTHON_LINES = [
    "raise SystemExit('executed')",
    "import os; os.abort()",
    "import time, yaml as y, os.path as p",
    "from . import x",
    "from time import *",
    "a = b = Path.home() / f'{a}/b'",
    "b: int = a + a",
    "a += b",
    "(a, *c), d.e = b",
    "del a",
    "f = lambda *x, y=1, **z: (q := x)",
    "with open(a, b) as a, suppress(): pass",
    "ctx.db.execute(a + f'{b!r:>{c}}' + 'DROP TABLE x', *c)",
    "ctx.db.execute(*c); ctx.db.execute(); open(); Path(); ''.replace(1)",
    "ctx.db.execute('\\0 DROP TABLE x; ; DELETE')",
    "try: pass\nexcept* (a, Exception): pass",
    "match a:\n    case {'x': y, **z} | [*z, y] as q: pass\n    case _: pass",
    "class up(up, metaclass=a):\n    def up(self): return up",
    "async def f(): return [x async for x in a]",
    "@a\ndef down(ctx): up(ctx)",
    "# lint: allow \u00e9, clock,, \f",
    "\f",
    "if TYPE_CHECKING: import yaml\nelse: import yaml",
    "import_module(f'x'); __import__('')",
    "print('\\\n#')",
]


@settings(max_examples=300, deadline=None)
@given(
    lines=st.lists(st.sampled_from(PYTHON_LINES) | st.text(max_size=20), max_size=12),
    up=st.sampled_from(PYTHON_LINES),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_linting_python_never_executes_nor_fails_on_what_parses(lines, up, end):
    up = textwrap.indent(up, "    ")
    text = end.join([*lines, f"def up(ctx):\n{up}"])
    modules = set(sys.modules)
    try:
        found = findings(text, "python")
    except BrokenMigration:
        return
    assert all(finding.code in CODES for finding in found)
    assert not {"yaml", "y"} & (set(sys.modules) - modules)


@pytest.mark.parametrize(
    "expression",
    ["a" + ".b" * 900, " / ".join(["a"] * 900), " + ".join(["'a'"] * 900), "f()" + ".f()" * 400],
)
def test_deep_expressions_are_no_trouble(expression):
    text = python(f"ctx.db.execute({expression})\nopen({expression}, 'w')\n({expression}).mkdir()")
    assert findings(text, "python") == []


def test_many_statements_take_time_in_proportion():
    rows = "INSERT INTO t VALUES (1, 'a;b', datetime(x)); ALTER TABLE t RENAME TO u;\n" * 3000
    assert in_sql(f"{rows}DROP TABLE x;") == ["drop-table"]


def test_names_that_stand_for_each_other_are_no_trouble():
    top = "\n".join(f"a{i} = a{i + 1}\na{i} = a{i + 1}" for i in range(300))
    assert in_python("open(a0, 'w')\nctx.db.execute(a0)", f"{top}\na300 = '/x'") == []


# --- databases as files -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        '(ctx.claude / "x.db").rename(ctx.claude / "y.db")',
        '(ctx.claude / "data" / "x.sqlite3").unlink(missing_ok=True)',
        'ctx.claude.joinpath("data", "x.db").replace("y.db")',
        'import os; os.remove(".claude/x.db")',
        'import os; os.rename(os.path.join(ctx.claude, "x.db"), "y")',
        'import shutil; shutil.move(str(ctx.claude / "x.db"), "y")',
        'here = ctx.claude; here = here / "data"; (here / "x.db").unlink()',
        'name = "x.db"; (ctx.claude / name).unlink()',
        '(ctx.claude / f"{1}.db").unlink()',
    ],
)
def test_a_database_handled_as_a_file_is_found(call: str) -> None:
    assert in_python(call) == ["database-file"]


@pytest.mark.parametrize(
    "call",
    [
        '(ctx.claude / "x.json").rename(ctx.claude / "y.json")',
        '(ctx.claude / "x.db").exists()',
        'ctx.move_database("x.db", "y.db"); ctx.remove_database("z.db")',
        'there = elsewhere(); (there / "x.db").unlink()',
        '"x.db".replace("x", "y")',
        "(ctx.claude / unknown).unlink()",
    ],
)
def test_other_handling_is_not_found(call: str) -> None:
    assert "database-file" not in in_python(call)
