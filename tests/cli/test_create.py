"""`create`: where the file goes, what it says, and that every template works once filled in."""

import os
import re
import subprocess

import pytest

import runtimes
from command_line import FOLDER, unprivileged
from plugin_migrate.operations.create import LANGUAGES
from plugin_migrate.platform import system


def test_a_new_migration_is_told_in_the_contracts_words(project):
    project.tables("1.1.0")
    assert project.ok("create", "add-oauth") == (
        "✓ Created migration: 1.1.1-add-oauth.py\n"
        "  Path: .claude/core/versioning/migrations/1.1.1-add-oauth.py\n"
        "\n"
        "Next steps:\n"
        "  1. Edit the migration file\n"
        "  2. Implement up() and down() functions, and prove them: plugin-migrate verify\n"
        "  3. Run: plugin-migrate upgrade\n"
    )


def test_in_claude_code_the_next_steps_are_what_is_typed_there(project):
    shown = project.typed("create add-oauth")["systemMessage"]
    assert shown.endswith(
        "  2. Implement up() and down() functions, and prove them: /plugin-migrate verify\n"
        "  3. Run: /plugin-migrate upgrade"
    )


def test_sql_has_sections_to_write(project):
    out = project.ok("create", "add-oauth", "--language=sql")
    assert "  2. Write the migrate:up and migrate:down sections, and prove them: " in out
    text = (project.migrations / "1.0.0-add-oauth.sql").read_text()
    assert re.fullmatch(
        r"-- description: Add oauth\n-- author: \S+\n"
        r"-- created_at: \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\n-- tags: \[\]\n\n"
        r"-- migrate:up\n\n-- Fill in: .*\n\n-- migrate:down\n\n-- Fill in: .*\n",
        text,
    )


def test_the_document_has_version_and_path(project):
    assert project.json("create", "add-oauth", "--language", "sql") == {
        "schema": 1,
        "command": "create",
        "ok": True,
        "version": "1.0.0",
        "path": f"{FOLDER}/1.0.0-add-oauth.sql",
    }


@pytest.mark.parametrize(
    ("options", "version"),
    [
        ([], "1.2.4"),
        (["--bump=minor"], "1.3.0"),
        (["--bump=patch"], "1.2.4"),
        (["--bump", "major"], "2.0.0"),
        (["--version=1.2.9"], "1.2.9"),
        (["--version", "7.0.0", "--bump=patch"], "7.0.0"),
    ],
)
def test_the_version_is_the_next_one_or_the_named_one(project, options, version):
    project.tables("1.2.3", "0.9.9")
    assert project.json("create", "x", *options)["version"] == version


def test_the_next_version_is_above_the_applied_ones_too(project):
    project.tables("1.0.0", "2.0.0")
    project.ok("upgrade")
    (project.migrations / "2.0.0-step.sql").unlink()
    assert project.json("create", "x")["version"] == "2.0.1"


def test_a_version_below_the_current_one_is_pointed_out(project):
    project.tables("1.0.0", "2.0.0")
    project.ok("upgrade")
    out = project.ok("create", "x", "--version=1.5.0")
    assert out.endswith("\nVersion 1.5.0 is below the current one: it will be out of order\n")
    assert project.statuses()["1.5.0"] == "out of order"


def test_a_version_that_exists_is_refused(project):
    path = project.sql("1.0.0")
    before = project.snapshot()
    assert project.fails("create", "x", "--version=1.0.0", code=2) == (
        "✗ Error: Version 1.0.0 exists already\n"
        f"  {FOLDER}/{path.name}\n"
        "  The next free one is 1.0.1; leave --version out.\n"
    )
    assert project.snapshot() == before


def test_an_applied_version_without_a_file_exists_too(project):
    project.tables("1.0.0")
    project.ok("upgrade")
    (project.migrations / "1.0.0-step.sql").unlink()
    assert "exists already" in project.fails("create", "x", "--version=1.0.0", code=2)


@pytest.mark.parametrize("name", ["../x", "", "Add OAuth", "a" * 101])
def test_a_name_that_is_no_slug_is_refused(project, name):
    before = project.snapshot()
    err = project.fails("create", name, code=2)
    assert err.startswith(
        f"✗ Error: Invalid name for a migration: '{name}'\n  Use lower-case words"
    )
    assert project.snapshot() == before


@pytest.mark.parametrize(
    ("name", "meant"), [("ünï", "uni"), ("Straße über AddOAuth", "strasse-uber-add-oauth")]
)
def test_the_nearest_slug_is_suggested(project, name, meant):
    assert project.fails("create", name, code=2).endswith(f", for example: {meant}\n")


@pytest.mark.parametrize("version", ["1.a.0", "v1.2.0", ""])
def test_a_bad_version_is_refused(project, version):
    before = project.snapshot()
    err = project.fails("create", "x", f"--version={version}", code=2)
    assert err.startswith(f"✗ Error: Invalid version format: '{version}'\n  Expected semantic")
    assert project.snapshot() == before


def test_0_0_0_is_no_version_to_create(project):
    assert "before the first" in project.fails("create", "x", "--version=0.0.0", code=2)


def test_a_number_that_cannot_grow_is_told(project):
    project.sql("1.0.999999999")
    assert "Invalid version format: '1.0.1000000000'" in project.fails("create", "x", code=2)


@pytest.mark.parametrize("description", ["a\nb", "\x1b[2J", b"a\xffb"])
def test_a_description_that_is_no_line_of_text_is_refused(project, description):
    before = project.snapshot()
    err = project.fails("create", "x", "--description", os.fsdecode(description), code=2)
    assert "A description is one line of text" in err
    assert project.snapshot() == before


def test_the_author_and_the_time_are_in_the_header(project):
    project.ok("create", "x")
    (entry,) = project.json("status")["migrations"]
    assert entry["author"] == system.user_name()


def test_a_folder_that_is_missing_is_made(project):
    project.migrations.rmdir()
    project.ok("create", "x", f"--migrations={project.root}/elsewhere/deep")
    assert [path.name for path in (project.root / "elsewhere/deep").iterdir()] == ["1.0.0-x.py"]


def test_a_named_project_may_lack_its_claude_folder(project, tmp_path):
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    project.ok("--project", fresh, "create", "initial-schema")
    assert (fresh / FOLDER / "1.0.0-initial-schema.py").exists()


def test_an_unnamed_project_must_exist(project, tmp_path):
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    assert "No project found" in project.fails("create", "x", cwd=fresh)
    assert list(fresh.iterdir()) == []


def test_a_folder_without_write_permission_is_told(project):
    project.migrations.chmod(0o555)
    try:
        err = project.fails("create", "x", prefix=unprivileged())
    finally:
        project.migrations.chmod(0o755)
    assert err.startswith("✗ Error: The file cannot be written: Permission denied\n")
    assert f"  {FOLDER}/1.0.0-x.py\n" in err


def test_a_broken_neighbour_keeps_nobody_from_creating(project):
    project.migration("1.x.0-a.py", "")
    assert project.json("create", "x")["version"] == "1.0.0"
    assert "Invalid version format: '1.x.0'" in project.ok("status")


def test_plugin_migrations_are_python(project):
    err = project.fails("create", "x", "--template=plugin", "--language=sql", code=2)
    assert err.startswith("✗ Error: The template 'plugin' changes files, which SQL cannot\n")
    assert "--template=plugin --language=python" in err


def test_three_in_a_row_count_patches(project):
    versions = [project.json("create", name)["version"] for name in ("one", "two", "three")]
    assert versions == ["1.0.0", "1.0.1", "1.0.2"]


@pytest.mark.parametrize("option", ["--template=other", "--language=cobol", "--bump=huge"])
def test_what_is_no_choice_is_refused(project, option):
    assert "invalid choice" in project.fails("create", "x", option, code=2)


TEMPLATES = [
    ("empty", "python"),
    ("empty", "sql"),
    ("plugin", "python"),
    ("schema", "python"),
    ("schema", "sql"),
    ("data", "python"),
    ("data", "sql"),
    ("empty", "typescript"),
    ("plugin", "typescript"),
    ("schema", "typescript"),
    ("data", "typescript"),
]
DOWNS = {
    "python": "def down(ctx)",
    "sql": "\n-- migrate:down\n",
    "typescript": "\n  async down(ctx) {\n",
}


def filled_in(text):
    """Return a template without the comments that ask to fill it in."""
    return re.sub(r"^ *(#|//|--) Fill in.*\n", "", text, flags=re.MULTILINE)


def fill_in(project):
    """Delete the comments that ask to fill the newest migration in."""
    path = max(project.migrations.iterdir())
    path.write_text(filled_in(path.read_text()))


@pytest.fixture
def node(project, tmp_path):
    """Let the project's commands find Node.js 24."""
    path = runtimes.folder_with(tmp_path / "bin", node=runtimes.node())
    project.environment["PATH"] = path + os.pathsep + project.environment["PATH"]


@pytest.mark.parametrize(("template", "language"), TEMPLATES)
def test_a_fresh_file_loads_and_has_both_directions(project, template, language):
    project.ok("create", "x", f"--template={template}", f"--language={language}")
    (entry,) = project.json("status")["migrations"]
    assert entry["tags"] == ([] if template == "empty" else [template])
    fill_in(project)
    project.ok("upgrade", "--dry-run")
    assert DOWNS[language] in next(project.migrations.iterdir()).read_text()


@pytest.mark.parametrize(("template", "language"), [one for one in TEMPLATES if one[0] != "data"])
def test_a_fresh_file_runs_and_takes_back_what_it_did(project, node, template, language):
    project.write("settings.json", '{"a": 1}\n')
    project.write("agents/one.md", "---\nname: one\n---\nBody\n")
    project.tables("0.1.0")
    project.ok("upgrade")
    schema, files = project.query("SELECT sql FROM sqlite_schema"), project.files()
    project.ok("create", "x", f"--template={template}", f"--language={language}")
    fill_in(project)
    project.ok("upgrade")
    project.ok("downgrade")
    next(project.migrations.glob("0.1.1*")).unlink()
    (project.migrations.parent / "types.ts").unlink(missing_ok=True)
    assert project.query("SELECT sql FROM sqlite_schema") == schema
    assert project.files() == files


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_fresh_data_migration_says_what_to_fill_in_and_changes_nothing(project, node, language):
    project.ok("create", "x", "--template=data", f"--language={language}")
    fill_in(project)
    assert "no such table: example" in project.fails("upgrade")
    assert project.applied() == []


@pytest.mark.parametrize(("template", "language"), TEMPLATES)
def test_a_template_that_nobody_filled_in_is_not_applied(project, template, language):
    project.tables("0.1.0")
    project.ok("upgrade")
    project.ok("create", "x", f"--template={template}", f"--language={language}")
    path = max(project.migrations.iterdir())
    line = 1 + path.read_text().partition("Fill in")[0].count("\n")
    for options in [], ["--dry-run"], ["--preview"]:
        err = project.fails("upgrade", *options)
        assert "0.1.1 is a template that nobody has filled in\n" in err
        assert f"  {FOLDER}/{path.name}:{line}\n" in err
        assert err.endswith("then run: plugin-migrate verify 0.1.1\n")
    assert project.json("upgrade")["error"]["code"] == "template_unfilled"
    assert project.applied() == ["0.1.0"]
    path.write_text(path.read_text().replace("Fill in", "lint: allow placeholder: Fill in"))
    assert "is a template" not in project.call("upgrade", "--dry-run").err


@pytest.mark.parametrize("language", ["python", "typescript"])
def test_the_plugin_template_filled_in_edits_files_and_restores_them(project, node, language):
    settings = '{\n  // a remark\n  "theme": "dark",\n  "n": 1\n}\n'
    agent = "---\nname: one\ntools: [a, b] # remark\n---\nBody\n"
    project.write("settings.json", settings)
    project.write("agents/deep/one.md", agent)
    project.write("agents/two.md", "no front matter\n")
    project.setup("CREATE TABLE a (x)")
    project.ok("create", "x", "--template=plugin", f"--language={language}")
    path = next(project.migrations.iterdir())
    text = path.read_text().replace("exampleOld", "theme").replace("exampleNew", "colors")
    text = text.replace("example-old", "tools").replace("example-new", "allowed-tools")
    path.write_text(filled_in(text))
    assert "1 migration(s) verified" in project.ok("verify")
    files = project.files()
    project.ok("upgrade")
    assert project.read("settings.json") == settings.replace("theme", "colors")
    assert project.read("agents/deep/one.md") == agent.replace("tools", "allowed-tools")
    project.ok("downgrade")
    assert project.files() == files


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_schema_template_rebuilds_a_table_with_its_children(project, node, language):
    project.setup(
        """
        CREATE TABLE example (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
        CREATE TABLE child (e REFERENCES example(id) ON DELETE CASCADE);
        INSERT INTO example VALUES (1, 'a'), (2, 'b');
        INSERT INTO child VALUES (1), (2);
        """
    )
    project.ok("create", "x", "--template=schema", f"--language={language}")
    path = next(project.migrations.iterdir())
    text = path.read_text()
    if language == "python":
        create = text[text.index("    ctx.db.execute(\n") : text.index("    # What ALTER")]
        text = text.replace(create, "").replace(
            "    # rebuild(\n    #     ctx,", "    rebuild(\n        ctx,"
        )
        text = re.sub(r"^    #     (.*)$", r"        \1", text, flags=re.MULTILINE)
        text = text.replace("    # )\n", "    )\n")
    elif language == "typescript":
        create = text[text.index("    ctx.db.exec(`\n") : text.index("    // What ALTER")]
        text = text.replace(create, "")
        text = re.sub(
            r"^    // (ctx|  CREATE|  INSERT|  DROP|  ALTER|`)", r"    \1", text, flags=re.M
        )
    else:
        create = text[text.index("CREATE TABLE example (\n") : text.index("-- What ALTER")]
        text = text.replace(create, "")
        text = re.sub(r"^-- (CREATE|INSERT|DROP|ALTER) (.*;)$", r"\1 \2", text, flags=re.MULTILINE)
    path.write_text(filled_in(text))
    project.ok("upgrade")
    assert project.query("SELECT * FROM example") == [(1, "a", None), (2, "b", None)]
    assert project.query("SELECT * FROM child") == [(1,), (2,)]
    assert project.query("PRAGMA foreign_key_list(child)")[0][2] == "example"


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_data_template_filled_in_changes_rows_and_restores_them(project, node, language):
    project.setup(
        "CREATE TABLE tasks (id INTEGER PRIMARY KEY, state TEXT);"
        "WITH RECURSIVE n(i) AS (SELECT -5 UNION ALL SELECT i + 1 FROM n WHERE i < 2500)"
        " INSERT INTO tasks SELECT i * 3, CASE i % 3 WHEN 0 THEN 'done' WHEN 1 THEN 'ended' END"
        " FROM n;"
    )
    before = project.query("SELECT * FROM tasks")
    project.ok("create", "x", "--template=data", f"--language={language}")
    path = next(project.migrations.iterdir())
    text = path.read_text().replace("example", "tasks").replace("status", "state")
    path.write_text(filled_in(text.replace("old value", "done").replace("new value", "ended")))
    project.ok("upgrade")
    assert project.query("SELECT count(*) FROM tasks WHERE state = 'done'") == [(0,)]
    states = [("ended" if state == "done" else state) for _, state in before]
    assert [state for _, state in project.query("SELECT * FROM tasks")] == states
    project.ok("downgrade")
    assert project.query("SELECT * FROM tasks") == before
    assert project.query("SELECT name FROM sqlite_schema WHERE name LIKE '%before%'") == []


# TypeScript


def test_the_types_are_written_once_and_never_again(project):
    types = project.migrations.parent / "types.ts"
    out = project.ok("create", "add-oauth", "--language=typescript")
    assert out.startswith(
        "✓ Created migration: 1.0.0-add-oauth.ts\n"
        f"  Path: {FOLDER}/1.0.0-add-oauth.ts\n"
        "  Types: .claude/core/versioning/types.ts\n"
    )
    assert "export interface Migration" in types.read_text()
    types.write_text("mine")
    assert "Types:" not in project.ok("create", "more", "--language=typescript")
    assert types.read_text() == "mine"


def test_other_languages_need_no_types(project):
    project.ok("create", "a")
    project.ok("create", "b", "--language=sql")
    assert not (project.migrations.parent / "types.ts").exists()


def test_types_and_templates_pass_the_compiler(project):
    for template in ("empty", "plugin", "schema", "data"):
        project.ok("create", "x", "--language=typescript", f"--template={template}")
    (project.root / "node_modules").symlink_to(runtimes.node_modules())
    (project.migrations / "wrong.ts").write_text(
        "import type { Migration } from '../types.js';\n"
        "export const migration: Migration = {\n"
        "  version: '1.0.0', description: '', up(ctx) { ctx.no; } };\n"
    )
    tsc = [
        project.root / "node_modules/.bin/tsc",
        *("--strict", "--noEmit", "--exactOptionalPropertyTypes", "--noUncheckedIndexedAccess"),
        *("--module", "nodenext", "--target", "es2022", "--types", "node"),
    ]
    files = sorted(project.migrations.glob("*.ts"))
    done = subprocess.run([*tsc, *files], capture_output=True, text=True, cwd=project.root)
    assert "wrong.ts(3," in done.stdout
    assert "Property 'no' does not exist on type 'Context'" in done.stdout
    done = subprocess.run([*tsc, *files[:-1]], capture_output=True, text=True, cwd=project.root)
    assert (done.returncode, done.stdout) == (0, "")
