"""Claude's tools cannot change an applied migration; everything else passes."""

import json
import os
import shutil
from pathlib import Path

import pytest

from plugins import Shelf, table
from project import Project

from .conftest import ROOT, Client


@pytest.fixture
def applied(project: Project) -> Path:
    """The file of an applied migration."""
    file = project.sql("1.0.0", "CREATE TABLE a (x);", "DROP TABLE a;")
    project.upgrade()
    return file


@pytest.mark.parametrize("tool", ["Edit", "Write"])
@pytest.mark.usefixtures("each_shell")
def test_an_applied_migration_is_denied_with_the_way_out(
    client: Client, applied: Path, tool: str
) -> None:
    assert client.edit(applied, tool) == (
        "Migration 1.0.0 (1.0.0-step.sql) is applied, so its file stays as it is: its checksum is"
        " in the ledger, and others may have applied it. Write a new migration (/plugin-migrate"
        " create NAME). If this very migration has to change, ask the user to roll it back first"
        " (/plugin-migrate downgrade): a pending migration may be edited."
    )


@pytest.mark.parametrize("tool", ["Edit", "Write"])
def test_a_pending_migration_passes(
    client: Client, project: Project, applied: Path, tool: str
) -> None:
    assert client.edit(project.sql("1.1.0", "CREATE TABLE b (x);"), tool) is None
    assert client.edit(project.migrations / "1.2.0-new.py", tool) is None
    project.downgrade()
    assert client.edit(applied, tool) is None


def test_a_second_file_with_an_applied_version_is_denied(client: Client, applied: Path) -> None:
    assert client.edit(applied.with_name("1.0.0-other.py"), "Write") is not None


def test_an_applied_file_that_was_edited_or_is_gone_is_still_denied(
    client: Client, applied: Path
) -> None:
    applied.write_text("-- migrate:up\n")
    assert client.edit(applied) is not None
    applied.unlink()
    assert client.edit(applied, "Write") is not None


def test_another_folder_of_migrations_passes(
    client: Client, project: Project, applied: Path
) -> None:
    other = project.root / "app/migrations/1.0.0-step.sql"
    other.parent.mkdir(parents=True)
    assert client.edit(other, "Write") is None
    shutil.copy(applied, other)
    assert client.edit(other) is None


def test_links_and_detours_lead_to_the_same_file(
    client: Client, project: Project, applied: Path, folder: Path
) -> None:
    (folder / "migrations").symlink_to(project.migrations)
    assert client.edit(folder / "migrations/1.0.0-step.sql") is not None
    assert client.edit(f"{project.migrations}/../migrations/./1.0.0-step.sql") is not None
    assert client.edit(os.path.relpath(applied, project.root)) is not None
    elsewhere = applied.rename(folder / "1.0.0-moved.sql")
    applied.symlink_to(elsewhere)
    assert client.edit(applied) is not None
    assert client.edit(elsewhere) is not None
    applied.unlink()
    applied.hardlink_to(elsewhere)
    assert client.edit(elsewhere) is not None


def test_a_file_that_is_no_migration_passes(client: Client, applied: Path) -> None:
    assert client.edit(applied.with_name("1.0.0.old-step.sql")) is None
    assert client.edit(applied.with_name("1.0-step.sql")) is None
    assert client.edit(applied.with_name("1.0.0-notes.md")) is None


def test_an_applied_migration_of_a_plugin_is_denied(client: Client, project: Project) -> None:
    shelf = Shelf(client.home, client.home / "shelf")
    migrations = shelf.plugin("keeper")
    first = table(migrations, "1.0.0")
    before = f"import os; os.environ['HOME'] = {str(client.home)!r}"
    done = project.cli("upgrade", "--plugin", "keeper", before=before)
    assert done.returncode == 0, done.stderr
    second = table(migrations, "1.1.0")
    reason = client.edit(first)
    assert reason is not None
    assert "/plugin-migrate downgrade --plugin keeper" in reason
    assert client.edit(second) is None


@pytest.mark.parametrize("name", ["with space", "$(touch x)", "`touch x`", 'quo"te', "new\nline"])
@pytest.mark.usefixtures("each_shell")
def test_a_projects_name_is_only_a_name(client: Client, folder: Path, name: str) -> None:
    odd = Project(folder / "odd" / name)
    file = odd.sql("1.0.0", "CREATE TABLE a (x);")
    odd.upgrade()
    client.project = odd.root
    client.variables["CLAUDE_PROJECT_DIR"] = str(odd.root)
    assert client.edit(file) is not None
    assert os.listdir(folder / "odd") == [name]


@pytest.mark.parametrize(
    "document",
    [
        "",
        "{",
        "[]",
        "null",
        "\udc80",
        {},
        {"tool_input": None},
        {"tool_input": {}},
        {"tool_input": {"file_path": 5}},
        {"tool_input": {"file_path": "\0"}},
        {"tool_input": {"file_path": ""}},
        {"tool_input": {"file_path": "a"}, "cwd": 5},
        "[" * 100_000,
    ],
)
def test_an_odd_call_passes(client: Client, applied: Path, document: object) -> None:
    if isinstance(document, str):
        document = document.encode("utf-8", "replace").decode()
    assert client.run("guard-edit", document) is None


def test_a_call_with_a_large_content_is_understood(client: Client, applied: Path) -> None:
    call = {"tool_input": {"file_path": str(applied), "content": "x" * 5_000_000}}
    assert client.run("guard-edit", call) is not None


def test_a_broken_database_lets_everything_pass(
    client: Client, project: Project, applied: Path
) -> None:
    project.database.write_bytes(b"broken" * 1000)
    assert client.edit(applied) is None


def test_without_any_python_everything_passes(client: Client, applied: Path) -> None:
    (client.path / "python3").unlink()
    assert client.edit(applied) is None


def test_an_old_python_leaves_the_call_to_the_next(client: Client, applied: Path) -> None:
    client.put_on_path("python3", "exit 1\n")
    client.offer_python("python3.11")
    assert client.edit(applied) is not None


def test_outside_of_a_project_everything_passes(client: Client, folder: Path) -> None:
    client.project = folder / "none"
    client.project.mkdir()
    client.variables["CLAUDE_PROJECT_DIR"] = str(client.project)
    assert client.edit(client.project / "migrations/1.0.0-a.sql", "Write") is None


@pytest.mark.parametrize("setting", ["db/steps", "../steps"])
def test_a_folder_of_another_name_is_guarded(
    client: Client, project: Project, folder: Path, setting: str
) -> None:
    project.config(f"migrations: {setting}\n")
    steps = project.root / setting
    steps.mkdir(parents=True)
    (steps / "1.0.0-a.sql").write_text("-- migrate:up\nSELECT 1;\n")
    project.upgrade()
    assert client.edit(steps / "1.0.0-a.sql") is not None
    (folder / "way").symlink_to(steps)
    assert client.edit(folder / "way/1.0.0-a.sql") is not None
    assert client.edit(folder / "way/1.0.0-other.py", "Write") is not None


@pytest.mark.usefixtures("each_shell")
def test_a_file_whose_name_is_none_of_a_migrations_starts_no_python(
    client: Client, applied: Path
) -> None:
    for name in ("1.0.0-notes.md", "1.0.0-step", "1.0.0-step.sql.txt", "1.0.0-py"):
        assert client.edit(applied.with_name(name), "Write") is None
    assert client.pythons == []
    assert client.edit(applied.with_name('1.0.0-ünï "quoted".sql'), "Write") is not None


HOOKS = json.loads((ROOT / "hooks/hooks.json").read_text())["hooks"]


def test_the_declaration_starts_only_what_is_there() -> None:
    assert {"PreToolUse", "SessionStart"} <= set(HOOKS)
    for group in (group for groups in HOOKS.values() for group in groups):
        for hook in group["hooks"]:
            prefix, script = hook["command"].strip('"').split("/", 1)
            assert prefix == "${CLAUDE_PLUGIN_ROOT}"
            assert hook["command"] == f'"{prefix}/{script}"', "the path must be quoted"
            assert os.access(ROOT / script, os.X_OK)


def test_a_guard_is_started_for_files_that_look_like_migrations_only() -> None:
    conditions = {group["matcher"]: group["hooks"][0]["if"] for group in HOOKS["PreToolUse"]}
    for tool in ("Edit", "Write"):
        assert conditions[tool] == f"{tool}(//**/[0-9]*.[0-9]*.[0-9]*-*)"
