"""What ``state:`` names beside ``.claude/`` is changed as one unit with the rest."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

import runtimes
from plugin_migrate.errors import BadConfig, Conflict, ForbiddenStatement, StepFailed
from plugin_migrate.plan import plan_upgrade
from plugin_migrate.rehearsal.preview import preview
from plugin_migrate.storage.nodes import inside
from project import LIVE, Project, fails_unchanged, meanwhile, unchanged
from rehearsed import verified

UP = """
(ctx.project / "CLAUDE.md").write_text("new")
with ctx.edit_json(ctx.project / ".mcp.json") as servers:
    servers["mcpServers"]["beads"] = {"command": "bd"}
(ctx.project / ".beads/issues.jsonl").write_text('{"id": "b-1"}\\n')
(ctx.project / ".beads/old.json").unlink()
(ctx.project / ".beads/made/deep").mkdir(parents=True)
(ctx.project / ".beads/made/deep/a").write_text("made")
ctx.database(ctx.project / ".beads/beads.db").execute("INSERT INTO issues VALUES ('b-1')")
ctx.database(ctx.project / ".beads/made.db").execute("CREATE TABLE made (x)")
(ctx.claude / "CLAUDE.md").write_text("inside")
ctx.db.execute("CREATE TABLE done (x)")
"""
DOWN = """
import shutil
(ctx.project / "CLAUDE.md").write_text("old")
with ctx.edit_json(ctx.project / ".mcp.json") as servers:
    del servers["mcpServers"]["beads"]
(ctx.project / ".beads/issues.jsonl").unlink()
(ctx.project / ".beads/old.json").write_text("[]")
shutil.rmtree(ctx.project / ".beads/made")
ctx.database(ctx.project / ".beads/beads.db").execute("DELETE FROM issues")
ctx.remove_database(ctx.project / ".beads/made.db")
(ctx.claude / "CLAUDE.md").unlink()
ctx.db.execute("DROP TABLE done")
"""
AFTER_COMMIT = "event == 'os.rename' and path.endswith('/{}')"


@pytest.fixture
def beside(project: Project) -> Project:
    """A project with state beside ``.claude/``, and a migration that changes all of it."""
    project.config("state: [CLAUDE.md, .mcp.json, .beads/]\n")
    (project.root / "CLAUDE.md").write_text("old")
    (project.root / ".mcp.json").write_text('{"mcpServers": {}}\n')
    (project.root / ".beads").mkdir()
    (project.root / ".beads/old.json").write_text("[]")
    (project.root / "README.md").write_text("no state")
    project.setup("CREATE TABLE issues (id)", project.root / ".beads/beads.db")
    project.make_ledger()
    project.python("1.0.0", UP, DOWN)
    return project


def content(project: Project) -> dict[str, object]:
    """Return every file but databases: SQLite may write the same rows in another way."""
    found = project.files()
    return {path: thing for path, thing in found.items() if not path.endswith(".db")}


def issues(project: Project) -> list[tuple]:
    return project.query("SELECT id FROM issues", database=project.root / ".beads/beads.db")


def is_new(project: Project) -> bool:
    made = project.root / ".beads/made/deep/a"
    found = {
        (project.root / "CLAUDE.md").read_text() == "new",
        "beads" in json.loads((project.root / ".mcp.json").read_text())["mcpServers"],
        made.exists(),
        not (project.root / ".beads/old.json").exists(),
        issues(project) == [("b-1",)],
        (project.root / ".beads/made.db").exists(),
        (project.claude / "CLAUDE.md").exists(),
        project.applied() == ["1.0.0"],
    }
    assert len(found) == 1, "half of it is there"
    return found.pop()


def test_what_lies_beside_goes_up_and_down_with_the_rest(beside: Project) -> None:
    before = content(beside)
    beside.upgrade()
    assert is_new(beside)
    assert (beside.root / "README.md").read_text() == "no state"
    assert beside.leftovers() == set()
    beside.downgrade()
    assert content(beside) == before
    assert not is_new(beside)


def test_a_relative_path_is_that_of_the_staged_project(project: Project) -> None:
    project.config("state: [CLAUDE.md]\n")
    (project.root / "CLAUDE.md").write_text("old")
    project.python("1.0.0", "with open('CLAUDE.md', 'a') as file: file.write(' and new')")
    project.upgrade()
    assert (project.root / "CLAUDE.md").read_text() == "old and new"


def test_a_failure_leaves_nothing_of_it(beside: Project) -> None:
    beside.python("1.0.0", UP + "\nraise ValueError('no')")
    fails_unchanged(beside)


@pytest.mark.parametrize("name", ["CLAUDE.md", "issues.jsonl", "CLAUDE.md.", "old.json"])
def test_what_a_kill_left_half_published_is_finished_by_the_next_command(
    beside: Project, name: str
) -> None:
    # The audit event of the exchange names both; of a removal, where it goes to.
    condition = f"event == 'os.rename' and {name.rstrip('.')!r} in str(arguments)"
    if name == "CLAUDE.md.":
        paths = "str(arguments).replace(2 * chr(92), '/')"  # Windows separates by backslashes
        condition = f"event == 'os.rename' and '.claude/{name[:-1]}' in {paths}"
    beside.killed_at(condition)
    assert beside.cli("repair").returncode == 0
    assert is_new(beside)
    assert beside.leftovers() == set()


def test_a_backup_keeps_it_and_a_restore_brings_it_back(beside: Project) -> None:
    before = content(beside)
    done = beside.cli("upgrade")
    assert done.returncode == 0, done.stderr
    backup = json.loads(beside.cli("restore", "--format=json").stdout)["backups"][0]
    assert {"../CLAUDE.md", "CLAUDE.md", "../.beads/old.json"} <= set(backup["files"])
    assert backup["databases"] == ["../.beads/beads.db"]
    restored = beside.cli("restore", backup["id"])
    assert restored.returncode == 0, restored.stderr
    assert "  • CLAUDE.md\n" in restored.stdout
    assert "  • .claude/CLAUDE.md\n" in restored.stdout
    assert "  • .beads/beads.db\n" in restored.stdout
    assert content(beside) == before
    assert issues(beside) == []


def test_a_restore_refuses_what_was_edited_since(beside: Project) -> None:
    beside.cli("upgrade")
    (beside.root / "CLAUDE.md").write_text("edited")
    backup = json.loads(beside.cli("restore", "--format=json").stdout)["backups"][0]
    refused = beside.cli("restore", backup["id"])
    assert refused.returncode == 1
    assert "1 file(s) were edited since" in refused.stderr
    assert "\n  CLAUDE.md\n" in refused.stderr


def test_a_preview_shows_it_and_leaves_it_alone(beside: Project) -> None:
    with unchanged(beside):
        shown = preview(beside.workspace(), plan_upgrade, "upgrade")
    assert {file.change.path: file.change.verb for file in shown.files} == {
        "CLAUDE.md": "created",
        "../CLAUDE.md": "changed",
        "../.mcp.json": "changed",
        "../.beads/issues.jsonl": "created",
        "../.beads/made": "created",
        "../.beads/made/deep": "created",
        "../.beads/made/deep/a": "created",
        "../.beads/old.json": "deleted",
    }
    assert {one.path for one in shown.databases} == {
        ".claude/orchestration/db/orchestration.db",
        ".beads/beads.db",
        ".beads/made.db",
    }
    text = beside.cli("upgrade", "--preview").stdout
    assert "changed file CLAUDE.md\n--- a/CLAUDE.md\n+++ b/CLAUDE.md\n" in text
    assert "created file .claude/CLAUDE.md\n" in text


def test_verify_proves_the_way_there_and_back(beside: Project) -> None:
    with unchanged(beside):
        proved = verified(beside)["1.0.0"]
    assert (proved.reversible, proved.repeatable) == (True, True)
    assert proved.error is None


def test_verify_sees_what_a_down_forgets_beside(beside: Project) -> None:
    beside.python("1.0.0", UP, DOWN.replace('(ctx.project / "CLAUDE.md").write_text("old")\n', ""))
    proved = verified(beside)["1.0.0"]
    assert [one.what for one in proved.differences][:1] == [
        "after down: CLAUDE.md has another content"
    ]


def test_an_edit_while_the_step_runs_is_a_conflict(beside: Project) -> None:
    edit = LIVE + "(live.parent / 'CLAUDE.md').write_text('edited')"
    beside.python("1.0.0", UP + meanwhile(beside, edit))
    error = beside.failure()
    assert isinstance(error, Conflict)
    assert error.message == "../CLAUDE.md was changed by somebody else while the migration ran"
    assert (beside.root / "CLAUDE.md").read_text() == "edited"


def test_where_claude_is_a_link_the_rest_is_beside_the_link(beside: Project, folder: Path) -> None:
    elsewhere = folder / "elsewhere/claude"
    elsewhere.parent.mkdir()
    beside.claude.rename(elsewhere)
    beside.claude.symlink_to(elsewhere)
    beside.upgrade()
    assert is_new(beside)
    assert sorted(os.listdir(elsewhere.parent)) == ["claude"]


def test_a_link_in_claude_to_state_beside_it_stays_a_link(project: Project) -> None:
    project.config("state: [CLAUDE.md]\n")
    (project.root / "CLAUDE.md").write_text("old")
    (project.claude / "CLAUDE.md").symlink_to("../CLAUDE.md")
    project.python("1.0.0", "(ctx.claude / 'CLAUDE.md').write_text('new')")
    project.upgrade()
    assert (project.claude / "CLAUDE.md").is_symlink()
    assert (project.root / "CLAUDE.md").read_text() == "new"


def test_only_what_a_path_with_folders_names_is_seen_of_them(project: Project) -> None:
    project.config("state:\n  - docs/state/notes.md\n")
    (project.root / "docs/state").mkdir(parents=True)
    (project.root / "docs/state/notes.md").write_text("old")
    (project.root / "docs/other.md").write_text("other")
    project.python(
        "1.0.0",
        """
        docs = ctx.project / "docs"
        assert sorted(path.name for path in docs.rglob("*")) == ["notes.md", "state"]
        (docs / "state/notes.md").write_text("new")
        """,
    )
    project.upgrade()
    assert (project.root / "docs/state/notes.md").read_text() == "new"


def test_what_is_not_there_yet_a_migration_makes_and_a_rollback_removes(project: Project) -> None:
    project.config("state: [.beads/, notes/deep/a.md]\n")
    project.python(
        "1.0.0",
        """
        (ctx.project / ".beads").mkdir()
        (ctx.project / ".beads/a").write_text("a")
        (ctx.project / "notes/deep").mkdir(parents=True)
        (ctx.project / "notes/deep/a.md").write_text("a")
        """,
        """
        shutil.rmtree(ctx.project / ".beads")
        shutil.rmtree(ctx.project / "notes")
        """,
        top="import shutil",
    )
    for _ in range(2):
        project.upgrade()
        assert (project.root / ".beads/a").read_text() == "a"
        assert (project.root / "notes/deep/a.md").read_text() == "a"
        project.downgrade()
        assert sorted(os.listdir(project.root)) == [".claude"]


def test_an_excluded_pattern_holds_beside_too(project: Project) -> None:
    project.config('state: [.beads/]\nexclude: ["../.beads/cache/*"]\n')
    (project.root / ".beads/cache").mkdir(parents=True)
    (project.root / ".beads/cache/a").write_text("a")
    project.python("1.0.0", "assert not (ctx.project / '.beads/cache/a').exists()")
    project.upgrade()


def test_where_state_is_beside_claude_too_git_gets_no_record(beside: Project) -> None:
    (beside.root / ".git").mkdir()
    beside.upgrade()
    assert is_new(beside)
    assert not (beside.claude / "plugin-migrate.applied").exists()
    beside.downgrade()
    assert not is_new(beside)


# --- what is refused ------------------------------------------------------------------------------

ENTRIES = {
    "/etc/hosts": "'/etc/hosts', which is not relative to the project",
    "~/notes": "'~/notes', which is not relative to the project",
    "C:/notes": "'C:/notes', which is not relative to the project",
    "../other": "'../other', which leads out of the project",
    "a/../../other": "'../other', which leads out of the project",
    ".": "'.', which is all of the project",
    "a/..": "'.', which is all of the project",
    ".git": "'.git', and migrations never change what git keeps there",
    "sub/.GIT/hooks": "'sub/.GIT/hooks', and migrations never change what git keeps there",
    # On Windows these are the same folder.
    ".git ./hooks": "'.git ./hooks', and migrations never change what git keeps there",
    "GIT~1": "'GIT~1', and migrations never change what git keeps there",
    ".git::$INDEX_ALLOCATION": "'.git::$INDEX_ALLOCATION', and migrations never change what git",
    ".claude/agents": "'.claude/agents', and all of .claude/ is state without that",
}


@pytest.mark.parametrize(("entry", "told"), ENTRIES.items())
def test_what_can_be_no_state_is_refused_in_a_sentence(
    project: Project, entry: str, told: str
) -> None:
    project.config(f"state: ['{entry}']\n")
    project.python("1.0.0", "pass")
    with pytest.raises(BadConfig) as caught:
        project.upgrade()
    assert caught.value.message.startswith(f"'state' names {told}")
    assert not project.bookkeeping.exists()


def test_state_is_a_list(project: Project) -> None:
    project.config("state: CLAUDE.md\n")
    with pytest.raises(BadConfig, match="must be a list of paths"):
        project.upgrade()


@pytest.mark.parametrize(
    ("entry", "prepare", "told"),
    [
        ("a", lambda root: (root / "a").symlink_to("b"), "which is a link"),
        ("link/a", lambda root: (root / "link").symlink_to("b"), "which leads through a link"),
        ("a", lambda root: os.mkfifo(root / "a"), "which is neither a file nor a folder"),
        ("CLUADE.md", lambda root: None, "which is not there, and no migration names"),
    ],
)
def test_a_link_a_pipe_and_a_mistyped_name_are_refused_in_a_sentence(
    project: Project, entry: str, prepare, told: str
) -> None:
    project.config(f"state: [{entry}]\n")
    (project.root / "b").mkdir()
    (project.root / "b/a").write_text("old")
    prepare(project.root)
    project.python("1.0.0", "(ctx.project / 'CLAUDE.md').write_text('new')")
    refused = project.cli("upgrade", "--dry-run")
    assert refused.returncode == 1
    assert f"'state' names {entry}, {told}\n" in refused.stderr
    with pytest.raises(BadConfig, match=told):
        project.upgrade()
    assert not project.database.exists()
    assert not (project.root / "CLAUDE.md").exists()


@pytest.mark.parametrize(
    ("up", "error", "told"),
    [
        ("Path('README.md').touch()", ForbiddenStatement, "wrote outside .claude/: README.md"),
        ("(ctx.project / 'new').mkdir()", ForbiddenStatement, "wrote outside .claude/: new"),
        ("open(LIVE + '/CLAUDE.md', 'w')", StepFailed, "is the live state"),
        ("open(LIVE + '/.beads/new', 'w')", StepFailed, "is the live state"),
        ("open(LIVE + '/README.md', 'w')", StepFailed, "is outside .claude/"),
        ("import sqlite3; sqlite3.connect(LIVE + '/.beads/x.db')", StepFailed, "outside the step"),
        ("ctx.edit_json('../README.md').__enter__()", ForbiddenStatement, "is not below .claude/"),
        ("ctx.database(ctx.project / 'x.db')", ForbiddenStatement, "is not below .claude/"),
        (
            "(ctx.project / '.beads/hosts').symlink_to('/etc/hosts')",
            ForbiddenStatement,
            "made the link ../.beads/hosts, which leaves .claude/",
        ),
    ],
)
def test_what_state_does_not_name_stays_out_of_reach(
    beside: Project, up: str, error: type, told: str
) -> None:
    live = repr(str(beside.root))
    beside.python("1.0.0", up.replace("LIVE", live), top="from pathlib import Path")
    failure = fails_unchanged(beside)
    assert isinstance(failure, error)
    assert told in failure.message


@pytest.mark.parametrize(
    "path",
    [
        "../.git/hooks/a",
        "../a/.GIT/b",
        "../.git./a",
        "../git~1/a",
        "../../a",
        "../.claude/a",
        "../",
        "..",
        "../a//b",
    ],
)
def test_no_log_and_no_backup_reaches_for_anything_else(path: str) -> None:
    with pytest.raises(ValueError, match="not a path below"):
        inside(path)


def test_a_folder_that_becomes_a_link_is_never_followed(beside: Project, folder: Path) -> None:
    beside.killed_at("event == 'os.rename' and 'issues.jsonl' in str(arguments)")
    shutil.move(beside.root / ".beads", folder / "moved")
    (beside.root / ".beads").symlink_to(folder / "moved")
    refused = beside.cli("repair")
    assert refused.returncode == 1
    assert "leads through a link, which publishing never follows" in refused.stderr
    assert not (folder / "moved/issues.jsonl").exists()


# --- in TypeScript --------------------------------------------------------------------------------


def test_a_migration_in_typescript_changes_it_too(beside: Project, folder, monkeypatch) -> None:
    monkeypatch.setenv("PATH", runtimes.folder_with(folder / "bin", node=runtimes.node()))
    for file in beside.migrations.iterdir():
        file.unlink()
    beside.typescript(
        "1.0.0",
        """
        writeFileSync(join(ctx.project, 'CLAUDE.md'), 'new');
        ctx.editJson(join(ctx.project, '.mcp.json'), (servers) => { servers.a = 1; });
        ctx.database(join(ctx.project, '.beads/beads.db')).run("INSERT INTO issues VALUES ('b-1')");
        """,
        top="import { writeFileSync } from 'node:fs';\nimport { join } from 'node:path';",
    )
    beside.upgrade()
    assert (beside.root / "CLAUDE.md").read_text() == "new"
    assert json.loads((beside.root / ".mcp.json").read_text())["a"] == 1
    assert issues(beside) == [("b-1",)]
