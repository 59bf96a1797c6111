"""TypeScript and JavaScript migrations: run by any engine, as safe as Python ones, explained."""

from __future__ import annotations

import json
import os
import sys

import pytest

import runtimes
from plugin_migrate.errors import (
    BrokenMigration,
    Conflict,
    ForbiddenStatement,
    Irreversible,
    NoRuntime,
    StateUnreadable,
    StepFailed,
)
from plugin_migrate.languages.javascript.runtime import find_runtime
from plugin_migrate.report import Reporter
from project import Project, fails_unchanged

ORIGINAL = """import type { Migration } from '../types.js';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export const migration: Migration = {
  version: '1.1.0',
  description: 'Add user preferences',
  async up() {
    const file = join('.claude', 'settings.json');
    const settings: Record<string, unknown> = JSON.parse(readFileSync(file, 'utf8'));
    settings.preferences = { theme: 'dark' };
    writeFileSync(file, JSON.stringify(settings, null, 2));
  },
  async down() {
    const file = join('.claude', 'settings.json');
    const { preferences, ...settings } = JSON.parse(readFileSync(file, 'utf8'));
    writeFileSync(file, JSON.stringify(settings, null, 2));
  },
  metadata: { author: 'ada', createdAt: '2025-12-12T20:00:00Z', tags: ['plugin'] },
};
"""


def rows(project, table="a"):
    return project.query(f"SELECT * FROM {table}")


def failure(project, up, **options):
    """Return how ``up`` fails, which must leave no trace."""
    project.typescript("1.0.0", up, **options)
    return fails_unchanged(project)


# Any engine


def test_a_migration_of_the_original_format_runs_unchanged_among_others(project, engine):
    project.write("settings.json", '{"model": "opus"}')
    project.sql("1.0.0", "CREATE TABLE a (x);", "DROP TABLE a;")
    (project.migrations / "1.1.0-preferences.ts").write_text(ORIGINAL)
    project.python("1.2.0", "ctx.db.execute('INSERT INTO a VALUES (1)')", "pass")
    project.upgrade()
    assert '"theme": "dark"' in project.read("settings.json")
    assert project.query("SELECT description FROM migrations WHERE version = '1.1.0'") == [
        ("Add user preferences",)
    ]
    project.downgrade()
    assert project.read("settings.json") == '{\n  "model": "opus"\n}'


def test_database_files_and_ledger_change_as_one(project, engine):
    project.write("settings.json", '{ // kept\n  "old": 1.0, "big": 12345678901234567890 }\n')
    project.write("agents/a.md", "---\nname: a # kept\n---\nBody\n")
    project.typescript(
        "1.0.0",
        """
        ctx.db.exec("CREATE TABLE a (x, y); INSERT INTO a VALUES (1, ';')");
        const { changes, lastInsertRowid } = ctx.db.run('INSERT INTO a VALUES (?, ?)', 2, null);
        ctx.db.run('INSERT INTO a VALUES ($x, @y)', { x: changes, y: lastInsertRowid });
        const all: any[] = await ctx.db.all('SELECT x, y FROM a WHERE x > ?', 1);
        ctx.db.run('INSERT INTO a VALUES (?, ?)', [all.length, ctx.db.get('SELECT 1 z').z]);
        ctx.editJson('settings.json', (settings: any) => { settings.fresh = [1.5, true]; });
        await ctx.editFrontMatter(ctx.claude + '/agents/a.md', async (head: any) => {
          await null;
          return { ...head, model: 'opus' };
        });
        ctx.database('memory.db').exec('CREATE TABLE m (x)');
        """,
        "ctx.db.exec('DROP TABLE a');",
    )
    project.upgrade()
    assert rows(project) == [(1, ";"), (2, None), (1, 2), (1, 1)]
    assert project.read("settings.json") == (
        '{ // kept\n  "old": 1.0, "big": 12345678901234567890, "fresh": [1.5, true] }\n'
    )
    assert project.read("agents/a.md") == "---\nname: a # kept\nmodel: opus\n---\nBody\n"
    assert project.query("SELECT * FROM m", database=project.claude / "memory.db") == []
    project.downgrade()
    assert project.query("SELECT name FROM sqlite_schema WHERE name = 'a'") == []


def test_values_survive_both_ways(project, engine):
    project.typescript(
        "1.0.0",
        r"""
        ctx.db.exec('CREATE TABLE a (x)');
        const values = [0, -1, 2 ** 53 - 1, 2n ** 53n, 2n ** 63n - 1n, -(2n ** 63n), 1.5, 1e300,
          5e-324, 2 ** 60, Infinity, -Infinity, null, '', '\0',
          '\u{1F600} \ud83d\ude00 \u2028 é "\\\n',
          new Uint8Array([0, 255, 128]), new Uint8Array(0), true];
        for (const value of values) {
          ctx.db.run('INSERT INTO a VALUES (?)', value);
        }
        const read = ctx.db.all('SELECT x FROM a ORDER BY rowid').map((row: any) => row.x);
        values.forEach((value, at) => {
          const want = value === true ? 1 : value;
          const same = want instanceof Uint8Array
            ? read[at] instanceof Uint8Array && String(read[at]) === String(want)
            : Object.is(read[at], want);
          if (!same) throw new Error(`${at}: ${String(want)} became ${String(read[at])}`);
        });
        """,
    )
    project.upgrade()
    assert [value for (value,) in rows(project)] == [
        *(0, -1, 2**53 - 1, 2**53, 2**63 - 1, -(2**63), 1.5, 1e300, 5e-324),
        *(2.0**60, float("inf"), float("-inf"), None, "", "\0"),
        *('\U0001f600 \U0001f600 \u2028 é "\\\n', b"\0\xff\x80", b"", 1),
    ]


def test_an_error_is_told_with_its_lines_and_undone(project, engine):
    project.write("a.json", "{}")
    error = failure(
        project,
        "ctx.db.exec('CREATE TABLE b (x)');\nctx.editJson('a.json', () => {});\nfirst();",
        top="function first() {\n  second();\n}\n\nconst second = () => {\n"
        "  throw new RangeError('no\\nway');\n};\n",
    )
    assert isinstance(error, StepFailed)
    assert error.message == "RangeError: no\nway"
    assert error.file == str(project.migrations / "1.0.0-step.ts")
    assert error.line == 13
    (stack,) = error.details
    lines = stack.split("\n")
    assert [line.partition("at ")[2].split(" ")[0].split(".")[-1] for line in lines] == [
        "second",
        "first",
        "up",
    ]
    assert all("(.claude/core/versioning/migrations/1.0.0-step.ts:" in line for line in lines)
    assert [line.split(":")[-2] for line in lines] == ["13", "9", "5"]


@pytest.mark.parametrize(
    ("up", "message", "line"),
    [
        ("\nawait null;\nthrow new Error('late');", "Error: late", 5),
        ("throw 'text';", "The migration threw 'text'", None),
        ("void Promise.reject(new Error('nobody waits'));", "Error: nobody waits", 3),
        ("setTimeout(() => {\nthrow new Error('timer');\n}, 20);", "Error: timer", 4),
        ("process.exit(3);", "The migration called process.exit(3)", 3),
        ("process.exit();", "The migration called process.exit()", 3),
        ("process.kill(process.pid, 'SIGKILL');\nfor (;;);", "process was killed by SIGKILL", None),
        ("await new Promise(() => {});", "The migration waits for a promise that nothing", None),
        ("ctx.db.exec('COMMIT');", "COMMIT is not for a migration: the step is one", 3),
        ("ctx.db.run('DELETE FROM migrations');", "belongs to the ledger, and a migration may", 3),
        ("ctx.db.exec('SELECT 1; SELEC');", 'SqliteError: near "SELEC": syntax error', 3),
        ("ctx.db.run('SELECT ?', NaN);", "NaN cannot be stored", 3),
        ("ctx.db.run('SELECT ?', '\\ud800');", "half of a surrogate pair", 3),
        ("ctx.db.run('SELECT ?', 2n ** 64n);", "The integer is too large for SQLite", 3),
        ("ctx.db.run('SELECT ?', undefined);", "TypeError: undefined cannot be stored", 3),
        ("ctx.db.run('SELECT ?', new Date());", "TypeError: a Date cannot be stored", 3),
        ("ctx.db.run('SELECT ?', 1, {});", "TypeError: an Object cannot be stored", 3),
        ("ctx.db.run(1);", "TypeError: This must be a string, not 1", 3),
        ("ctx.db.exec(null);", "TypeError: This must be a string, not null", 3),
        ("setTimeout(() => ctx.log('x'), 1);", "ctx was used after the migration had", None),
        ("const x = ;", "", 3),
    ],
)
def test_whatever_goes_wrong_is_the_steps_failure_and_undone(project, engine, up, message, line):
    error = failure(project, up)
    assert isinstance(error, StepFailed)
    assert message in error.message
    assert error.file == str(project.migrations / "1.0.0-step.ts")
    assert line is None or error.line == line


@pytest.mark.parametrize(
    "thrown",
    [
        "new Proxy({}, { get() { throw new Error('looked at'); } })",
        "Object.defineProperty(new Error('x'), 'stack', { get() { throw 5; } })",
        "Object.assign(new Error('x'), { position: { line: 5n }, code: 7n, stack: 9n })",
    ],
)
def test_an_error_that_cannot_be_looked_at_is_a_failure_like_any_other(project, engine, thrown):
    assert isinstance(failure(project, f"throw {thrown};"), StepFailed)


def test_a_failure_that_comes_last_is_the_steps_failure(project, engine):
    project.typescript("1.1.0", "")
    error = failure(
        project,
        "void (async () => {\nawait new Promise((done) => setTimeout(done, 5));\n"
        "throw new Error('late');\n})();",
    )
    assert error.message == "Error: late"


def test_what_a_step_leaves_behind_cannot_hold_up_the_next(project, node):
    project.typescript(
        "1.0.0",
        "const leave = () => { throw new Error('left'); };\n"
        "process.prependListener('beforeExit', () => setImmediate(() => setImmediate(leave)));",
    )
    project.typescript("1.1.0", "ctx.db.exec('CREATE TABLE a (x)');")
    project.upgrade()
    assert rows(project) == []


def test_what_still_runs_after_the_return_is_ended(project, engine):
    project.typescript("1.0.0", "setInterval(() => ctx.claude, 10);")
    project.typescript("1.1.0", "ctx.db.exec('CREATE TABLE a (x)');")
    project.upgrade()
    assert rows(project) == []


def test_any_project_path_will_do(folder, project, engine):
    # Bun and tsx themselves find nothing below a folder with ? or # in its name.
    more = " #?" if engine in ("node", "deno") else ""
    odd = Project(folder / f"my (pröject) 100%20 'x'{more}")
    if engine == "tsx":
        os.symlink(runtimes.node_modules(), odd.root / "node_modules")
    (odd.migrations / "_helper.mts").write_text("export const table: string = 'a';\n")
    odd.typescript(
        "1.0.0",
        "ctx.db.exec(`CREATE TABLE ${table} (x)`);\nctx.editJson('none.json', () => {});",
        top="import { table } from './_helper.mts';",
    )
    error = fails_unchanged(odd)
    assert "There is no file .claude/none.json" in error.message
    assert error.line == 4
    assert ".claude/core/versioning/migrations/1.0.0-step.ts:4" in error.details[0]


# One process


def test_one_process_serves_all_steps_of_a_run(project, engine):
    project.sql("0.1.0", "CREATE TABLE a (x);")
    for minor in range(3):
        project.typescript(f"1.{minor}.0", "ctx.db.run('INSERT INTO a VALUES (?)', process.pid);")
    project.python("1.3.0", "pass")
    project.typescript("1.4.0", "ctx.db.run('INSERT INTO a VALUES (?)', process.pid);")
    project.upgrade()
    assert len(set(rows(project))) == 1
    assert len(rows(project)) == 4
    ((pid,),) = set(rows(project))
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_steps_share_no_module_and_find_the_same_folder(project, node):
    project.sql("0.1.0", "CREATE TABLE a (x);")
    for minor in range(2):
        project.typescript(
            f"1.{minor}.0",
            "own += 1;\nctx.db.run('INSERT INTO a VALUES (?)', own);\n"
            "ctx.db.run('INSERT INTO a VALUES (?)', process.cwd());\nprocess.chdir('/');",
            top="let own = 0;",
        )
    project.upgrade()
    (_, first), (_, second) = [rows(project)[:2], rows(project)[2:]]
    assert rows(project)[0] == rows(project)[2] == (1,)
    assert first == second


# Text and files


def test_what_runs_is_the_text_that_was_checked(project, node):
    path = project.typescript("1.1.0", "ctx.db.exec('CREATE TABLE planned (x)');")
    project.python("1.0.0", f"import os; os.replace({str(path) + '.new'!r}, {str(path)!r})")
    path.with_name(path.name + ".new").write_text("export const migration = { up() {} };")
    error = project.failure()
    assert "live state" in error.message
    move = [sys.executable, "-c", "import os, sys; os.replace(*sys.argv[1:])"]
    project.python(
        "1.0.0", f"import subprocess; subprocess.run({[*move, f'{path}.new', str(path)]})"
    )
    project.upgrade()
    assert rows(project, "planned") == []


def test_a_rollback_without_the_file_runs_the_stored_text(project, engine):
    (project.migrations / "_helper.mts").write_text("export const table: string = 'a';\n")
    path = project.typescript(
        "1.0.0",
        "ctx.db.exec(`CREATE TABLE ${table} (x)`);",
        "ctx.db.exec(`DROP TABLE ${table}`);",
        top="import { table } from './_helper.mts';",
    )
    project.upgrade()
    path.unlink()
    assert project.downgrade().results[0].from_ledger
    assert project.query("SELECT name FROM sqlite_schema WHERE name = 'a'") == []


def test_helpers_are_found_from_a_folder_outside_of_the_state(project, engine, folder):
    outside = folder / "plugin/migrations"
    outside.mkdir(parents=True)
    (outside / "_helper.mts").write_text("export const table: string = 'a';\n")
    (folder / "plugin/lib.mts").write_text("export const column: string = 'x';\n")
    (outside / "1.0.0-x.ts").write_text(
        "import { table } from './_helper.mts';\nimport { column } from '../lib.mts';\n"
        "export default { up: (ctx) => ctx.db.exec(`CREATE TABLE ${table} (${column})`) };\n"
    )
    project.config(f"migrations: {outside}\n")
    project.upgrade()
    assert rows(project) == []
    assert sorted(path.name for path in outside.iterdir()) == ["1.0.0-x.ts", "_helper.mts"]


def use_helper(project, file, name):
    """Write a helper, and a migration that makes the table `a` by it under that name."""
    (project.migrations / file).write_text("export const table: string = 'a';\n")
    project.typescript(
        "1.0.0",
        "ctx.db.exec(`CREATE TABLE ${table} (x)`);",
        top=f"import {{ table }} from '{name}';",
    )


def test_helpers_are_found_when_the_folder_is_not_staged(project, node):
    use_helper(project, "_helper.mts", "./_helper.mts")
    project.config("exclude: [core/versioning/migrations]\n")
    project.upgrade()
    assert rows(project) == []


def test_no_file_is_left_in_the_migrations_folder(project, node):
    project.typescript(
        "1.0.0",
        "const names = (await import('node:fs')).readdirSync(import.meta.dirname);\n"
        "ctx.db.exec('CREATE TABLE a (x)');\n"
        "for (const name of names) ctx.db.run('INSERT INTO a VALUES (?)', name);",
    )
    project.upgrade()
    assert rows(project) == [("1.0.0-step.ts",)]
    assert os.listdir(project.migrations) == ["1.0.0-step.ts"]


@pytest.mark.parametrize("kind", ["module", "commonjs", None])
def test_the_kind_of_module_is_read_from_the_text(project, engine, kind):
    if kind is not None:
        (project.root / "package.json").write_text(f'{{"type": "{kind}"}}')
        project.write("package.json", f'{{"type": "{kind}"}}')
    project.typescript("1.0.0", "ctx.db.exec('CREATE TABLE a (x)');")
    (project.migrations / "1.1.0-b.ts").write_text(
        "const fs = require('node:fs');\n"
        "module.exports = { up(ctx: any) { ctx.db.exec('CREATE TABLE b (x)') } };\n"
    )
    project.upgrade()
    assert (rows(project), rows(project, "b")) == ([], [])


@pytest.mark.parametrize("suffix", ["js", "mjs"])
@pytest.mark.parametrize(
    "text",
    [
        "export const migration = { up: (ctx) => ctx.db.exec('CREATE TABLE a (x)') };",
        "export default { async up(ctx) { ctx.db.exec('CREATE TABLE a (x)') } };",
        "export function up(ctx) { ctx.db.exec('CREATE TABLE a (x)') }",
        "class M { up(ctx) { ctx.db.exec('CREATE TABLE a (x)') } }\nexport default new M();",
    ],
)
def test_javascript_runs_with_an_old_node_too(project, folder, monkeypatch, suffix, text):
    path = runtimes.folder_with(folder / "bin", node=runtimes.old_node())
    monkeypatch.setenv("PATH", path)
    (project.migrations / f"1.0.0-x.{suffix}").write_text(text)
    project.upgrade()
    assert rows(project) == []
    assert project.query("SELECT language FROM plugin_migrate_sources") == [("javascript",)]


def test_a_missing_direction_is_told_before_anything_runs(project, node):
    project.typescript("1.0.0", "ctx.db.exec('CREATE TABLE a (x)');")
    project.cli("upgrade", "--no-backup")  # which keeps no way back either
    with pytest.raises(Irreversible):
        project.downgrade()


def test_a_direction_that_only_the_run_finds_missing_is_a_failure(project, node):
    path = project.migrations / "1.0.0-x.ts"
    path.write_text("const parts = { up() {} }; // down\nexport const migration = { ...parts };")
    project.cli("upgrade", "--no-backup")  # which keeps no way back either
    with pytest.raises(Irreversible):
        project.downgrade()
    path.write_text("const up = { up() {} }, down = 1;\nexport const migration = { ...up };")
    project.cli("repair", "1.0.0")
    with pytest.raises(StepFailed, match="The migration has no down function"):
        project.downgrade()


def test_a_file_without_a_migration_is_told_when_it_would_run(project, node):
    path = project.migrations / "1.0.0-x.ts"
    path.write_text("export const something = 1;\n")
    assert [state.name for state in project.states().values()] == ["PENDING"]
    with pytest.raises(BrokenMigration, match="exports no migration with an up") as caught:
        project.upgrade()
    assert (caught.value.file, caught.value.line) == (str(path), 1)


@pytest.mark.parametrize("is_there", [False, True])
def test_a_type_that_is_imported_as_a_value_is_explained(project, node, is_there):
    if is_there:
        (project.migrations.parent / "types.ts").write_text("export interface Migration {}\n")
    error = failure(project, "", top="import { Migration } from '../types.js';")
    assert error.hint == "Import types with `import type`, which is removed before the file runs."


def test_a_helper_is_found_by_the_name_that_its_compiled_file_would_have(project, engine):
    use_helper(project, "_shared.ts", "./_shared.js")
    project.upgrade()
    assert project.query("SELECT count(*) FROM a") == [(0,)]


def test_a_helper_that_is_not_called_by_its_name_is_explained(project, node):
    (project.migrations / "_shared.ts").write_text("export const table = 'a';\n")
    error = failure(project, "table;", top="import { table } from './_shared';")
    assert error.message.startswith("Error: Cannot find module '")
    assert error.hint == "Write a helper's whole name, such as './_shared.ts'."


def test_the_colours_of_an_engine_are_left_out(project, engine):
    error = failure(project, "missing;", top="import { missing } from './_none.ts';")
    assert "_none.ts" in error.message
    assert "\x1b" not in error.message


def test_all_errors_of_several_are_told(project, node):
    error = failure(project, "await Promise.any([Promise.reject(new Error('one of them'))]);")
    assert error.message.startswith("AggregateError")
    assert "one of them" in error.details[-1]


def test_what_needs_a_translation_is_explained(project, node):
    error = failure(project, "", top="enum Color { Red }")
    assert error.message == "SyntaxError: TypeScript enum is not supported in strip-only mode"
    assert error.line == 6
    assert "enum Color { Red }" in error.details[0]
    assert error.hint.startswith("Node.js only removes types")


def test_a_cause_is_told_without_our_frames(project, node):
    error = failure(project, "throw new Error('a', { cause: new Error('b') });")
    assert "Caused by: Error: b\n" in error.details[1]
    assert "javascript_runner" not in "".join(error.details)
    assert "staging" not in "".join(error.details)


# ctx


def test_an_error_of_ctx_can_be_caught_and_keeps_its_code(project, node):
    project.typescript(
        "1.0.0",
        """
        ctx.db.exec('CREATE TABLE a (x UNIQUE); INSERT INTO a VALUES (1)');
        try {
          ctx.db.run('INSERT INTO a VALUES (1)');
        } catch (error: any) {
          ctx.db.run('INSERT INTO a VALUES (?)', `${error.name} ${error.code}`);
        }
        """,
    )
    project.upgrade()
    assert rows(project) == [(1,), ("SqliteError SQLITE_CONSTRAINT_UNIQUE",)]


def test_run_counts_only_what_it_changed(project, node):
    project.typescript(
        "1.0.0",
        """
        ctx.db.exec('CREATE TABLE a (x)');
        const seen = [
          ctx.db.run('INSERT INTO a VALUES (1), (2)'), ctx.db.run('SELECT 1'),
          ctx.db.run('UPDATE a SET x = 3 RETURNING x'), ctx.db.run('DELETE FROM a WHERE x = 9'),
        ];
        ctx.db.run('INSERT INTO a VALUES (?)', JSON.stringify(seen.map((each) => each.changes)));
        """,
    )
    project.upgrade()
    assert rows(project)[-1] == ("[2,0,2,0]",)


def test_a_row_is_an_object_of_its_columns_or_nothing(project, node):
    project.typescript(
        "1.0.0",
        """
        const row = ctx.db.get('SELECT 1 AS a, 2 AS "__proto__", 3 AS a');
        const none = ctx.db.get('SELECT 1 WHERE 0');
        const seen = [Object.entries(row), none === undefined, ctx.db.all('SELECT 1 WHERE 0')];
        ctx.db.exec('CREATE TABLE a (x)');
        ctx.db.run('INSERT INTO a VALUES (?)', JSON.stringify(seen));
        """,
    )
    project.upgrade()
    assert rows(project) == [('[[["a",3],["__proto__",2]],true,[]]',)]


@pytest.mark.parametrize(
    ("before", "edit", "after"),
    [
        ('{"b": 1.0, "10": 1, "2": 2}', "v.c = 3", '{"b": 1.0, "10": 1, "2": 2, "c": 3}'),
        ('{"a": 1, "b": 2}', "return { new: v.a, b: v.b }", '{"new": 1, "b": 2}'),
        ('{"a": 1, "b": 2}', "return { b: v.b, a: v.a }", '{"b": 2, "a": 1}'),
        ('{"a": 1, "b": 2}', "delete v.a", '{"b": 2}'),
        ('{"a": 1, "b": 2}', "v.a = undefined", '{"b": 2}'),
        ('[1.0, {"a": 1e2}, 3]', "v.splice(2, 0, 'x')", '[1.0, {"a": 1e2}, "x", 3]'),
        ("[[1, 2.0], 3]", "v[0].unshift(0)", "[[0, 1, 2.0], 3]"),
        ('{"$i": 1, "$o": {"$f": 2}}', "v.$b = []", '{"$i": 1, "$o": {"$f": 2}, "$b": []}'),
        ('{"__proto__": 1}', "v.x = null", '{"__proto__": 1, "x": null}'),
        ('{"big": 9007199254740993}', "v.more = v.big + 1n", None),
        ('{"t": "\\ud800"}', "v.u = v.t", '{"t": "\\ud800", "u": "\\ud800"}'),
        ('{"a": 1}', "v.at = new Date(0)", '{"a": 1, "at": "1970-01-01T00:00:00.000Z"}'),
        ('{"a": 1}  ', "", '{"a": 1}  '),
    ],
)
def test_an_edit_changes_what_its_author_changed_and_nothing_else(
    project, node, before, edit, after
):
    project.write("a.json", before)
    project.typescript("1.0.0", f"ctx.editJson('a.json', (v: any) => {{ {edit} }});")
    project.upgrade()
    if after is None:
        after = '{"big": 9007199254740993, "more": 9007199254740994}'
    assert project.read("a.json") == after


@pytest.mark.parametrize(
    ("edit", "kind", "message"),
    [
        ("ctx.editJson('none.json', () => {})", StepFailed, "There is no file .claude/none.json"),
        ("ctx.editJson('bad.json', () => {})", StateUnreadable, "bad.json cannot be read as JSON"),
        ("ctx.editJson('../x', () => {})", ForbiddenStatement, "../x is not below .claude/"),
        ("ctx.editJson('a.json', (v) => [v])", StepFailed, "a.json must stay the kind of value"),
        ("ctx.editJson('a.json', (v) => { v.x = NaN })", StepFailed, "Out of range float"),
        ("ctx.editJson('a.json', (v) => { v.x = new Map() })", StepFailed, ".x is a Map"),
        ("ctx.editJson('a.json', (v) => { v.x = () => 1 })", StepFailed, ".x is () => 1"),
        ("ctx.editJson('a.json', (v) => { v.x = v })", StepFailed, "document.x contains itself"),
        ("ctx.editJson('a.json', () => { throw new Error('mine') })", StepFailed, "Error: mine"),
        ("await ctx.editJson('a.json', async () => { throw Error('mine') })", StepFailed, "mine"),
        ("void ctx.editJson('a.json', () => new Promise(() => {}))", StepFailed, "not finished"),
        ("ctx.editJson('a.json', () => ctx.editJson('a.json', (v) => { v.y = 1 }) ?? { z: 1 })",
         Conflict, "changed while it was being edited"),
        ("ctx.database('/etc/x.db')", ForbiddenStatement, "is not below .claude/"),
    ],
)  # fmt: skip
def test_an_edit_that_cannot_be_made_is_told_and_undone(project, node, edit, kind, message):
    project.write("a.json", '{"a": 1}')
    project.write("bad.json", "{")
    error = failure(project, f"{edit};")
    assert type(error) is kind
    assert message in error.message


@pytest.mark.parametrize("depth", [400, 900, 1500])  # from Python 3.12 on 300 can be written
def test_a_document_too_deep_to_be_written_is_told_and_undone(project, node, depth):
    project.write("a.json", "{}")
    deepen = f"for (let i = 0; i < {depth}; i++) value = value.inner = {{}};"
    error = failure(project, f"ctx.editJson('a.json', (value: any) => {{ {deepen} }});")
    assert "nested too deeply" in error.message


def test_log_and_progress_reach_the_user(project, node):
    class Ears(Reporter):
        def __init__(self):
            self.heard = []

        def log(self, prepared, text):
            self.heard.append(text)

        def progress(self, prepared, done, total):
            self.heard.append((done, total))

    ears = Ears()
    project.typescript(
        "1.0.0",
        "ctx.log('one', { two: 3 });\nfor (const x of ctx.progress(['a', 'b'])) ctx.log(x);\n"
        "for (const x of ctx.progress(new Set())) ctx.log(x);",
    )
    project.upgrade(reporter=ears)
    assert ears.heard == ["one { two: 3 }", (0, 2), "a", "b"]


# Other programs


def test_a_change_by_somebody_else_is_a_conflict(project, node):
    project.write("a.txt", "old")
    project.typescript(
        "1.0.0",
        "const { execFileSync } = await import('node:child_process');\n"
        "const theirs = 'require(`fs`).writeFileSync(process.argv[1], `theirs`)';\n"
        f"const path = {json.dumps(str(project.claude / 'a.txt'))};\n"
        "execFileSync(process.execPath, ['-e', theirs, path]);\n"
        "(await import('node:fs')).writeFileSync('.claude/a.txt', 'ours');",
    )
    error = project.failure()
    assert isinstance(error, Conflict)
    assert project.read("a.txt") == "theirs"
    assert project.applied() == []


def test_a_stray_file_is_refused(project, node):
    error = failure(project, "(await import('node:fs')).writeFileSync('stray.txt', '');")
    assert isinstance(error, ForbiddenStatement)
    assert "outside .claude/: stray.txt" in error.message


# Engines


def test_without_an_engine_nothing_runs_and_the_error_says_what_to_install(
    project, folder, monkeypatch
):
    monkeypatch.setenv("PATH", str(folder / "empty"))
    project.sql("1.0.0", "CREATE TABLE a (x);")
    path = project.typescript("1.1.0", "pass();")
    with pytest.raises(NoRuntime) as caught:
        project.upgrade()
    assert caught.value.message == (
        "Nothing here can run TypeScript migrations: found no Node.js, Bun or Deno"
    )
    assert caught.value.file == str(path)
    assert caught.value.hint == (
        "Install Node.js 22.18 or later, Bun or Deno, so that it stands in PATH."
    )
    assert not project.database.exists()


def test_an_old_node_is_named_and_javascript_alone_would_do(project, folder, monkeypatch):
    old = runtimes.old_node()
    path = runtimes.folder_with(folder / "bin", node=old)
    monkeypatch.setenv("PATH", path)
    project.typescript("1.0.0", "")
    with pytest.raises(NoRuntime) as caught:
        project.upgrade()
    assert "found Node.js " in caught.value.message
    assert f"({path}/node), which cannot" in caught.value.message
    assert "npm install --save-dev tsx" in caught.value.hint


@pytest.mark.parametrize(
    ("said", "is_enough"),
    [
        ("v22.17.9", False),
        ("v22.18.0", True),
        ("v23.5.0", False),
        ("v23.6.0", True),
        ("v24.0.0", True),
        ("v100.0.0", True),
        ("nonsense", False),
    ],
)
def test_the_version_decides(project, folder, monkeypatch, said, is_enough):
    program = folder / "fake/node"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho {said}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    if is_enough:
        assert find_runtime(True, str(project.root), "x.ts").command[0] == str(program)
    else:
        with pytest.raises(NoRuntime):
            find_runtime(True, str(project.root), "x.ts")


def test_a_program_that_only_a_relative_path_leads_to_is_never_run(project, folder, monkeypatch):
    trap = project.root / "node"
    trap.write_text(f"#!/bin/sh\ntouch {folder}/sprung\necho v24.0.0\n")
    trap.chmod(0o755)
    monkeypatch.chdir(project.root)
    monkeypatch.setenv("PATH", os.pathsep.join([".", "", str(folder / "empty")]))
    project.typescript("1.0.0", "")
    with pytest.raises(NoRuntime):
        project.upgrade()
    assert not (folder / "sprung").exists()


def test_looking_starts_no_engine(project, folder, monkeypatch):
    trap = folder / "bin/node"
    trap.parent.mkdir()
    trap.write_text(f"#!/bin/sh\ntouch {folder}/sprung\n")
    trap.chmod(0o755)
    monkeypatch.setenv("PATH", str(trap.parent))
    project.typescript("1.0.0", "", "")
    for arguments in (["status"], ["check"], ["upgrade", "--dry-run", "--verbose"], ["history"]):
        done = project.cli(*arguments)
        assert done.returncode in (0, 3), done.stderr
    assert not (folder / "sprung").exists()


def test_databases_are_moved_and_removed_with_the_step(project, node):
    for name in ("old.db", "gone.db"):
        project.setup("CREATE TABLE facts (x); INSERT INTO facts VALUES (1)", project.claude / name)
    project.typescript(
        "1.0.0",
        "const db = ctx.database('old.db');\n"
        "ctx.moveDatabase('old.db', 'new.db');\n"
        "db.run('INSERT INTO facts VALUES (2)');\n"
        "ctx.removeDatabase('gone.db');",
        "ctx.moveDatabase('new.db', 'old.db');",
    )
    project.upgrade()
    new = project.claude / "new.db"
    assert project.query("SELECT x FROM facts ORDER BY x", database=new) == [(1,), (2,)]
    assert not (project.claude / "gone.db").exists()
    project.downgrade()
    assert (project.claude / "old.db").exists()
    assert not new.exists()


def test_handling_a_database_as_a_file_says_what_to_do_instead(project, node):
    project.setup("CREATE TABLE facts (x)", project.claude / "x.db")
    project.typescript(
        "1.0.0", "fs.renameSync(`${ctx.claude}/x.db`, 'y');", top="import fs from 'node:fs';"
    )
    error = project.failure()
    assert "ctx.moveDatabase(old, new)" in error.hint
