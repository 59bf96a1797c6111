"""Files that look like migrations and are none: counted, with the reason, and never run."""

import json

import pytest

from plugin_migrate.errors import InvalidVersion
from plugin_migrate.migration import misnamed_in
from project import Project

REASONS = {
    "1.0.0-x.PY": "its ending must be lower case: 1.0.0-x.py",
    "1.0.0-y.Sql": "its ending must be lower case: 1.0.0-y.sql",
    "v1.0.0-x.py": "its name must begin with the version itself: 1.0.0-x.py",
    "V2.0.0-x.SQL": "its name must begin with the version itself: 2.0.0-x.sql",
    "foo.py": "its name has no version: <X.Y.Z>-foo.py, or _foo.py for a helper",
    "vacuum.sql": "its name has no version: <X.Y.Z>-vacuum.sql, or _vacuum.sql for a helper",
}
OTHERS = ["_helper.py", ".hidden.py", "__init__.py", "notes.md", "types.d.ts", "README", "1.0.0-x"]


def fill(project: Project) -> None:
    for name in [*REASONS, *OTHERS]:
        (project.migrations / name).write_text("raise SystemExit('executed')")


def test_each_is_named_with_its_reason_and_nothing_else_is(project: Project) -> None:
    fill(project)
    project.sql("3.0.0", "SELECT 1;")

    assert {one.name: one.reason for one in misnamed_in(str(project.migrations))} == REASONS


def test_a_folder_that_is_not_there_holds_none(project: Project) -> None:
    assert misnamed_in(str(project.claude / "nowhere")) == ()


@pytest.mark.parametrize("arguments", [["status"], ["upgrade", "--dry-run"], ["upgrade"]], ids=str)
def test_the_command_counts_them(project: Project, arguments: list[str]) -> None:
    project.sql("3.0.0", "SELECT 1;")
    fill(project)

    done = project.cli(*arguments)

    assert done.returncode == 0
    assert "\n6 file(s) look like migrations and are not:\n" in done.stdout
    assert "  v1.0.0-x.py: its name must begin with the version itself: 1.0.0-x.py\n" in done.stdout


@pytest.mark.parametrize("command", ["status", "upgrade"])
def test_they_are_told_also_where_there_are_no_migrations(project: Project, command: str) -> None:
    (project.migrations / "foo.py").write_text("")

    done = project.cli(command)

    assert "No migrations found" in done.stdout
    assert "1 file(s) look like migrations and are not:\n  foo.py: " in done.stdout


def test_they_are_told_when_nothing_is_pending(project: Project) -> None:
    project.sql("1.0.0", "SELECT 1;")
    project.upgrade()
    (project.migrations / "foo.py").write_text("")

    assert "  foo.py: its name has no version" in project.cli("upgrade").stdout


@pytest.mark.parametrize("command", ["status", "upgrade"])
def test_the_document_lists_them(project: Project, command: str) -> None:
    fill(project)

    document = json.loads(project.cli(command, "--format=json").stdout)

    assert {one["name"]: one["reason"] for one in document["misnamed"]} == REASONS


def test_only_the_first_ten_are_shown(project: Project) -> None:
    for number in range(12):
        (project.migrations / f"a{number:02}.py").write_text("")

    done = project.cli("status")

    assert "12 file(s) look like" in done.stdout
    assert "  a09.py: " in done.stdout
    assert "  a10.py: " not in done.stdout
    assert "  … and 2 more\n" in done.stdout


def test_control_characters_in_a_name_do_not_reach_the_terminal(project: Project) -> None:
    (project.migrations / "a\x1b[2Jb.py").write_text("")

    assert "\x1b" not in project.cli("status").stdout


@pytest.mark.parametrize(
    "name", ["1.2.0-alpha.1-x.sql", "1.2.0-rc1-x.py", "1.2.0-beta2.sql", "1.2.0-b.1-x.ts"]
)
def test_a_prerelease_is_refused_in_a_sentence(project: Project, name: str) -> None:
    (project.migrations / name).write_text("SELECT 1;")

    with pytest.raises(InvalidVersion) as caught:
        project.upgrade()
    error = caught.value

    assert error.message.startswith("Invalid version format: '1.2.0-")
    assert error.hint is not None
    assert "Pre-releases are not versions here" in error.hint
    assert error.file == str(project.migrations / name)


@pytest.mark.parametrize(
    "name", ["1.2.0-alpha-channel.sql", "1.2.0-add-v2.sql", "1.2.0-step1.sql", "1.2.0-a1.test.sql"]
)
def test_words_that_only_resemble_one_are_names(project: Project, name: str) -> None:
    (project.migrations / name).write_text("SELECT 1;")

    assert list(project.states()) == ["1.2.0"]


def test_create_makes_no_file_that_would_be_refused(project: Project) -> None:
    done = project.cli("create", "rc1-settings")

    assert done.returncode == 2
    assert "must not begin like a pre-release version: 'rc1-settings'" in done.stderr
    assert list(project.migrations.iterdir()) == []
