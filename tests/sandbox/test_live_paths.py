"""What goes wrong in a copy is told with the live paths, and with the author's own lines."""

import json

import pytest

from project import Project

MIGRATION = ".claude/core/versioning/migrations/1.0.0-step.py"
COPIES = ("plugin-migrate-", ".plugin-migrate", "/staging/", "/tmp/", "/shm/")


def all_texts(project: Project, *arguments: str) -> str:
    done = project.cli(*arguments)
    assert done.returncode == 1
    return done.stdout + done.stderr


@pytest.mark.parametrize("command", [["upgrade"], ["upgrade", "--preview"], ["verify"]], ids=str)
def test_a_failing_migration_is_told_without_any_path_of_a_copy(
    project: Project, command: list[str]
) -> None:
    project.write(
        "core/versioning/migrations/_reading.py", "def read(file):\n    file.read_text()\n"
    )
    project.python(
        "1.0.0",
        "# lint: allow missing-down\nread(ctx.claude / 'settings.json')",
        top="from _reading import read",
    )

    said = all_texts(project, *command)

    assert "No such file or directory: '.claude/settings.json'" in said
    assert f"{MIGRATION}:4\n" in said
    assert f'File "{MIGRATION}", line 4, in up' in said
    assert 'File ".claude/core/versioning/migrations/_reading.py", line 2, in read' in said
    assert "pathlib" not in said
    assert not any(copy in said for copy in COPIES)


def test_the_frames_of_the_standard_library_come_with_verbose(project: Project) -> None:
    project.python("1.0.0", "ctx.claude.joinpath('none').read_text()", "pass")

    said = all_texts(project, "upgrade", "--verbose")

    assert "pathlib" in said


def test_a_json_document_has_the_same_paths(project: Project) -> None:
    project.python("1.0.0", "ctx.claude.joinpath('none').read_text()", "pass")

    document = json.loads(project.cli("verify", "--format=json").stdout)

    error = document["migrations"][0]["error"]
    assert (error["file"], error["line"]) == (MIGRATION, 3)
    assert not any(copy in json.dumps(error) for copy in COPIES)


def test_the_history_keeps_the_message_with_live_paths(project: Project) -> None:
    project.python("1.0.0", "ctx.claude.joinpath('none').read_text()", "pass")
    project.try_upgrade()

    query = "SELECT error FROM plugin_migrate_history WHERE outcome = 'failed'"
    ((message,),) = project.query(query)

    assert message.endswith("No such file or directory: '.claude/none'")


def test_a_path_that_the_author_wrote_out_is_told_as_he_wrote_it(project: Project) -> None:
    live = project.write("settings.json", "{}")
    project.python("1.0.0", f"open({str(live)!r}, 'w')", "pass")

    for command in (["upgrade"], ["upgrade", "--preview"]):
        assert f"{live} is the live state" in all_texts(project, *command)


def test_a_file_that_cannot_be_prepared_on_the_copy_is_named_in_the_live_state(
    project: Project,
) -> None:
    project.python("1.0.0", "pass", "pass")
    project.upgrade()
    (project.migrations / "1.0.0-step.py").unlink()
    project.setup("UPDATE plugin_migrate_sources SET text = 'def up(ctx): pass'")
    project.sql("0.9.0", "SELECT 1;", "SELECT 1;")

    said = all_texts(project, "verify", "0.9.0")

    assert "The migration has no down function" in said
    assert f"  {project.root.as_posix()}/{MIGRATION}\n" in said
