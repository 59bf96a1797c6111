"""TypeScript migrations rehearsed: verify and preview run them on copies, as they run Python."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import runtimes

DOCS = Path(__file__).parents[2] / "docs/migrations.md"

PREFERENCES = (
    "ctx.db.exec('CREATE TABLE preferences (name, value)');\n"
    "ctx.editJson('settings.json', (settings) => {\n"
    "  for (const entry of Object.entries(settings.preferences ?? {})) {\n"
    "    ctx.db.run('INSERT INTO preferences VALUES (?, ?)', entry);\n"
    "  }\n"
    "  delete settings.preferences;\n});"
)
BACK = (
    "const rows = ctx.db.all('SELECT * FROM preferences ORDER BY rowid');\n"
    "ctx.editJson('settings.json', (settings) => {\n"
    "  settings.preferences = Object.fromEntries(rows.map((row) => [row.name, row.value]));\n});\n"
    "ctx.db.exec('DROP TABLE preferences');"
)


@pytest.fixture
def settings(project):
    text = '{"model": "opus", "preferences": {"theme": "dark"}}\n'
    project.write("settings.json", text)
    return text


def test_verify_proves_that_down_takes_back_what_up_did(project, node, settings):
    project.typescript("1.0.0", PREFERENCES, BACK)
    done = project.cli("verify")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "│ yes          │ yes          │ yes          │" in done.stdout
    assert project.read("settings.json") == settings
    assert not project.database.exists()


def test_verify_shows_what_a_wrong_down_leaves(project, node, settings):
    project.typescript("1.0.0", PREFERENCES, "ctx.db.exec('DROP TABLE preferences');")
    done = project.cli("verify")
    assert done.returncode == 1
    assert "after down: .claude/settings.json has another content" in done.stdout


def test_a_preview_shows_the_real_change_and_makes_none(project, node, settings):
    project.typescript("1.0.0", PREFERENCES, BACK)
    done = project.cli("upgrade", "--preview")
    assert done.returncode == 0, done.stderr
    assert '-{"model": "opus", "preferences": {"theme": "dark"}}' in done.stdout
    assert '+{"model": "opus"}' in done.stdout
    assert project.read("settings.json") == settings


def test_packages_above_the_project_are_found_in_a_rehearsal_too(project, node, settings):
    package = project.root / "node_modules/colours"
    package.mkdir(parents=True)
    (package / "package.json").write_text('{"name": "colours", "exports": "./index.js"}')
    (package / "index.js").write_text("module.exports = { red: 'red' };\n")
    project.typescript(
        "1.0.0",
        "ctx.db.exec(`CREATE TABLE ${colours.red} (x)`);",
        "ctx.db.exec(`DROP TABLE ${colours.red}`);",
        top="import colours from 'colours'; // lint: allow foreign-import",
    )
    done = project.cli("verify")
    assert done.returncode == 0, done.stdout
    project.upgrade()
    assert project.query("SELECT * FROM red") == []
    assert (package / "index.js").exists()


def test_a_rehearsal_finds_the_projects_tsx(project, folder, monkeypatch, settings):
    (project.root / "node_modules").symlink_to(runtimes.node_modules())
    path = runtimes.folder_with(folder / "bin", node=runtimes.old_node())
    monkeypatch.setenv("PATH", path)
    project.typescript("1.0.0", "const x: number = 1;\nctx.log(x);", "ctx.log('back');")
    done = project.cli("verify")
    assert done.returncode == 0, done.stdout + done.stderr


def test_without_an_engine_a_rehearsal_says_so(project, folder, monkeypatch, settings):
    monkeypatch.setenv("PATH", str(folder / "empty"))
    project.typescript("1.0.0", PREFERENCES, BACK)
    for arguments in (["verify"], ["upgrade", "--preview"]):
        done = project.cli(*arguments)
        assert done.returncode == 1
        said = done.stdout + done.stderr
        assert said.count("Nothing here can run TypeScript migrations") == 1
        assert "Traceback" not in said
    assert project.cli("verify", "--lint-only").returncode == 0


def test_the_example_of_the_documentation_is_reversible(project, node):
    project.write("settings.json", '{"model": "opus", "theme": "dark"}')
    (example,) = re.findall(r"^```typescript\n(.*?)^```$", DOCS.read_text(), re.M | re.S)
    (project.migrations / "1.4.0-theme.ts").write_text(example)
    assert project.cli("verify").returncode == 0
    project.upgrade()
    assert project.query("SELECT * FROM preferences") == [("theme", "dark")]


def test_an_edited_file_is_modified_and_its_line_ends_do_not_count(project, node, settings):
    path = project.typescript("1.0.0", "ctx.log('a');", "ctx.log('b');")
    project.upgrade()
    text = path.read_text()
    path.write_bytes(text.replace("\n", "\r\n").encode())
    assert [state.name for state in project.states().values()] == ["APPLIED"]
    path.write_text(text + "\n// more\n")
    assert [state.name for state in project.states().values()] == ["MODIFIED"]


def test_a_failure_is_told_without_any_path_of_a_copy(project, node):
    project.typescript(
        "1.0.0",
        "read(ctx.claude + '/none.json');",
        "",
        top="import fs from 'node:fs';\nconst read = (path) => fs.readFileSync(path);",
    )
    said = project.cli("verify").stdout
    assert "open '.claude/none.json'" in said
    assert ".claude/core/versioning/migrations/1.0.0-step.ts:3" in said
    assert not any(copy in said for copy in ("plugin-migrate-", ".plugin-migrate", "/staging/"))
