"""What lint says about TypeScript and JavaScript migrations, and what it keeps quiet about."""

import textwrap
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from plugin_migrate.errors import BrokenMigration
from plugin_migrate.lint import CODES, lint
from plugin_migrate.migration import Migration
from plugin_migrate.version import Version

CRASH = Path(__file__).parents[1] / "crash/migrations_in_typescript"


def findings(text, language="typescript"):
    return list(lint(Migration(Version(1, 0, 0), "x", language, "/p/1.0.0-x.ts", "", text)))


def codes(text):
    return [finding.code for finding in findings(text)]


def migration(up, down="ctx.log('undone');", top=""):
    return (
        f"{textwrap.dedent(top)}export const migration: Migration = {{\n"
        f"  async up(ctx) {{\n{up}\n  }},\n  async down(ctx) {{\n{down}\n  }},\n}};\n"
    )


def in_up(code, top=""):
    return codes(migration(code, top=top))


@pytest.mark.parametrize("path", sorted(CRASH.iterdir()), ids=lambda path: path.name)
def test_good_migrations_have_no_findings(path):
    assert findings(path.read_text()) == []


def test_a_missing_down_is_no_finding():
    assert codes("export const migration = {\n  up(ctx) { f(); },\n};\n") == []


@pytest.mark.parametrize(
    ("up", "down", "found"),
    [
        ("", "f();", ["empty-up"]),
        ("// nothing", "", ["empty-up"]),
        ("f();", "", ["empty-down"]),
        ("f();", "/* later */", ["empty-down"]),
        ("f();", "g();", []),
    ],
)
def test_a_direction_that_does_nothing_is_found(up, down, found):
    assert codes(migration(up, down)) == found


@pytest.mark.parametrize(
    "text",
    [
        "export const migration = { up: async () => {}, down };",
        "export const up = () => {}; export const down = () => { f(); };",
        "module.exports = { up: function () {}, down: f };",
    ],
)
def test_an_empty_up_is_found_in_any_form(text):
    assert codes(text) == ["empty-up"]


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("// Fill in the name", ["placeholder"]),
        ("/* Fill in:\n the name */", ["placeholder"]),
        ("f('FILL IN');", ["placeholder"]),
        ("f('Fill in');", []),
        ("f(Date.now());", ["clock"]),
        ("f(new Date());", ["clock"]),
        ("f(performance.now());", ["clock"]),
        ("f(new Date(0), new Date(row.at), my.Date.now());", []),
        ("f('Date.now()', `Math.random()`); // Date.now()", []),
        ("f(Math.random());", ["random"]),
        ("f(crypto.randomUUID());", ["random"]),
        ("f(randomUUID());", ["random"]),
        ("f(globalThis.crypto.getRandomValues(a));", ["random"]),
        ("f(ctx.randomUUID());", []),
        ("try { f(); } catch {}", ["catch-all"]),
        ("try { f(); } catch (error) { /* fine */ }", ["catch-all"]),
        ("try { f(); } catch (error) { throw error; }", []),
        ("p.catch(() => {});", []),
        ("fs.writeFileSync('/etc/x', '');", ["absolute-path"]),
        ("await rm(`~/x`);", ["absolute-path"]),
        ("fs.writeFileSync('.claude/x', '/etc');", []),
        ("fs.mkdirSync('.claude/con');", ["windows-name"]),
        ("fs.writeFileSync('.claude/a\\x3ab', '');", ["windows-name"]),
        ("fs.mkdirSync('.claude/console'); fs.readFileSync('.claude/con');", []),
        ("await import('yaml');", ["foreign-import"]),
        ("require('@scope/x/y');", ["foreign-import"]),
        ("await import('./_helper.ts'); require('fs/promises'); f(from, 'yaml');", []),
        ("ctx.db.exec('DROP TABLE other');", ["drop-table"]),
        ("ctx.db.exec(`CREATE TABLE a (x);\nDROP TABLE a`);", []),
        ("ctx.db.run('DELETE FROM other');", ["delete-all"]),
        ("ctx.db.run('DELETE FROM other WHERE x = ?', 1);", []),
        ("ctx.database('m.db').run(`UPDATE t SET x = 1`);", ["update-all"]),
        ("ctx.db.run(`UPDATE ${t} SET x = random() WHERE y`);", ["random"]),
        ("ctx.db.run(`${sql}`); ctx.db.run(sql); ctx.db.run('DROP ' + 'TABLE x');", []),
        ("log('DROP TABLE other');", []),
    ],
)
def test_single_places(code, found):
    assert in_up(f"g();\n{code}") == found


@pytest.mark.parametrize(
    ("top", "found"),
    [
        ("import fs from 'node:fs';\nimport { join } from 'path';\n", []),
        ("import type { X } from 'x';\nimport { type A } from './_a.js';\n", []),
        ("import 'x';\n", ["foreign-import"]),
        ("import {\n  a,\n  b,\n} from 'x';\n", ["foreign-import"]),
        ("export * from 'x';\n", ["foreign-import"]),
    ],
)
def test_imports(top, found):
    assert in_up("f();", top) == found


def test_what_a_function_of_the_file_runs_counts_where_it_is_named():
    top = "function drop(ctx) {\n  ctx.db.exec('DROP TABLE other');\n}\n"
    assert in_up("drop(ctx);", top) == ["drop-table"]
    assert in_up("f();", top) == []


def test_constants_are_known():
    top = "const TABLE = 'made';\nconst SQL = 'DROP TABLE other';\n"
    assert (
        in_up("ctx.db.exec(`CREATE TABLE ${TABLE} (x)`); ctx.db.run('DELETE FROM made');", top)
        == []
    )
    assert in_up("ctx.db.exec(SQL);", top) == ["drop-table"]


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("f(Date.now()); // lint: allow clock", []),
        ("// lint: allow clock - for the log\nf(Date.now());", []),
        ("f(Date.now()); /* lint: allow clock */", []),
        ("f(Date.now()); // lint: allow random", ["clock"]),
        ("f(Date.now()); // lint: allow clok", ["clock", "unknown-code"]),
        ("ctx.db.exec(\n'DROP TABLE x'); // lint: allow drop-table", []),
        ("ctx.db.exec(`\n  DROP TABLE x -- lint: allow drop-table\n`);", ["drop-table"]),
    ],
)
def test_a_comment_allows_what_is_meant(code, found):
    assert in_up(code) == found


def test_a_file_without_a_migration_is_refused_as_elsewhere():
    with pytest.raises(BrokenMigration, match="exports no migration"):
        findings("export const something = 1;")


def test_a_comment_at_the_top_allows_what_concerns_the_file():
    text = "export const migration = { up(ctx) {} };\n"
    head = "import fs from 'node:fs';\n// lint: allow empty-up\n"
    assert codes(head + text) == []
    assert codes(text + "// lint: allow empty-up\n") == ["empty-up"]


def test_findings_have_their_line_also_with_crlf():
    text = migration("f();\nf(Date.now());")
    assert [finding.line for finding in findings(text)] == [4]
    assert findings(text.replace("\n", "\r\n")) == findings(text)


PIECES = st.sampled_from(
    "export const migration = { up ( ) } down : , ; . import from 'x' `DROP TABLE ${a}` catch new"
    " Date now ctx.db.exec( 'DELETE FROM x' // lint: allow \n function default type".split(" ")
)


@given(st.lists(PIECES, max_size=25).map(" ".join) | st.text(max_size=40))
@example("import")
@example("import from 'x'")
@example("export const migration = { up")
@example("catch (")
@example(".exec('x')")
@example("function f")
def test_any_text_is_looked_at_without_an_error(text):
    for one in (text, migration(text), migration("f();", top=text)):
        try:
            found = findings(one)
        except BrokenMigration:
            continue
        assert all(finding.code in CODES for finding in found)


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("fs.renameSync(`${ctx.claude}/x.db`, 'y');", ["database-file"]),
        ("fs.unlinkSync(ctx.claude + '/data/x.sqlite3');", ["database-file"]),
        ("await rm(join(ctx.claude, 'x.db'), { force: true });", ["database-file"]),
        ("fs.renameSync('.claude/x.db', '.claude/y.db');", ["database-file"]),
        ("fs.renameSync(ctx.claude + '/x.json', ctx.claude + '/y.db');", []),
        ("ctx.moveDatabase('x.db', 'y.db'); ctx.removeDatabase('z.db');", []),
        ("fs.unlinkSync(join(tmp, 'x.db'));", []),
        ("rename(", []),
    ],
)
def test_a_database_handled_as_a_file_is_found(code, found):
    assert [one for one in in_up(code) if one == "database-file"] == found
