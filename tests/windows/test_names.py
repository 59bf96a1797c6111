"""Files as Windows has them: names it lacks, long paths, one name in two cases, no modes."""

import os
import stat
import sys
from pathlib import Path

import pytest

from plugin_migrate.errors import BadConfig, ForbiddenStatement, UsageError
from plugin_migrate.platform import system
from plugin_migrate.platform.windows_names import unusable_part
from plugin_migrate.workspace import is_source_name
from project import Project, fails_unchanged, unchanged

on_windows = pytest.mark.skipif(sys.platform != "win32", reason="these rules are Windows' own")


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("a/con/b", "con"),
        ("NUL.txt", "NUL.txt"),
        ("lpt¹", "lpt¹"),
        ("conin$", "conin$"),
        ("a./b", "a."),
        ("a /b", "a "),
        ("notes: a.md", "notes: a.md"),
        ('say "x"', 'say "x"'),
        ("a\tb", "a\tb"),
    ],
)
def test_what_windows_cannot_have_is_known(path: str, part: str) -> None:
    assert unusable_part(path) == part


@pytest.mark.parametrize("path", ["console", "com10", ".con", "a/../b", "./x", "ä b/ç.md", "c-on"])
def test_what_windows_has_is_no_such_name(path: str) -> None:
    assert unusable_part(path) is None


@on_windows
@pytest.mark.parametrize(
    "code",
    [
        "(ctx.claude / 'notes: a.md').write_text('')",
        "(ctx.claude / 'a.').mkdir()",
        "(ctx.claude / 'a').rename(ctx.claude / 'a ')",
        "open('.claude/aux.md', 'w')",
    ],
)
def test_a_step_that_writes_such_a_name_fails_without_a_trace(project: Project, code: str) -> None:
    project.write("a", "x")
    project.python("1.0.0", f"{code}\nctx.db.execute('CREATE TABLE t (x)')")
    error = fails_unchanged(project)
    assert "no file here can be called" in error.message


@on_windows
@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("ctx.database('nul.db')", "No file here can be called 'nul.db'"),
        ("ctx.database('nul')", "No file here can be called 'nul'"),
        ("ctx.edit_json('agents/con').__enter__()", "No file here can be called 'con'"),
        ("ctx.edit_json('C:/x.json').__enter__()", "C:/x.json is not below .claude/"),
        ("ctx.database('/x.db')", "/x.db is not below .claude/"),
    ],
)
def test_a_file_or_database_of_such_a_name_or_elsewhere_is_refused(
    project: Project, call: str, message: str
) -> None:
    project.python("1.0.0", call)
    error = fails_unchanged(project)
    assert isinstance(error, ForbiddenStatement)
    assert error.message == message


@on_windows
def test_options_and_settings_of_such_names_are_refused_before_anything_runs(
    project: Project,
) -> None:
    project.sql("1.0.0", "CREATE TABLE t (x);")
    with unchanged(project):
        for option in ("database", "migrations"):
            with pytest.raises(UsageError, match="No file here can be called 'con'"):
                project.workspace(**{option: "con"})
    project.config("database: state/aux.db\n")
    with pytest.raises(BadConfig, match=r"No file here can be called 'aux\.db'"):
        project.workspace()
    assert not is_source_name("con")
    assert is_source_name("console")


@on_windows
@pytest.mark.skipif("WINEPREFIX" in os.environ, reason="Wine finds no real path of such a length")
def test_paths_of_more_than_260_characters_are_migrated_and_rolled_back(project: Project) -> None:
    deep = "/".join(["a" * 50] * 5)
    project.write(f"{deep}/file.md", "old")
    assert len(str(project.claude / deep)) > 260
    path = f"ctx.claude / '{deep}/file.md'"
    project.python("1.0.0", f"({path}).write_text('new')", f"({path}).write_text('old')")
    project.upgrade()
    assert project.read(f"{deep}/file.md") == "new"
    project.downgrade()
    assert project.read(f"{deep}/file.md") == "old"


@on_windows
def test_a_read_only_file_is_replaced(project: Project) -> None:
    file = project.write("a.md", "old")
    file.chmod(stat.S_IREAD)
    project.python("1.0.0", "path = ctx.claude / 'a.md'\npath.unlink()\npath.write_text('new')")
    project.upgrade()
    assert project.read("a.md") == "new"


@on_windows
def test_a_mode_is_no_change(project: Project) -> None:
    project.write("a.md", "x")
    project.python("1.0.0", "import os\nos.chmod(ctx.claude / 'a.md', 0o600)")
    project.upgrade()
    assert project.leftovers() == set()
    row = "SELECT count(*) FROM plugin_migrate_history WHERE version = '1.0.0'"
    assert project.query(row) == [(1,)]
    assert os.access(project.claude / "a.md", os.W_OK)


@on_windows
@pytest.mark.parametrize("path", ["/c/Users/x", "/cygdrive/c/Users/x"])
def test_paths_of_git_bash_are_those_of_windows(path: str) -> None:
    assert system.from_shell(path) == "c:/Users/x"
    assert system.from_shell("/c") == "c:/"
    assert system.from_shell("/cat/x") == "/cat/x"


@on_windows
def test_a_project_that_git_bash_names_is_found(project: Project) -> None:
    drive, rest = os.path.splitdrive(str(project.root))
    named = f"/{drive[0].lower()}{system.slashed(rest)}"
    assert project.workspace().project == str(project.root)
    from plugin_migrate.workspace import locate, nearest_project

    assert locate(project=named, environment={}).claude == str(project.claude)
    found = nearest_project({"CLAUDE_PROJECT_DIR": named})
    assert os.path.normcase(found) == os.path.normcase(str(project.root))


@on_windows
def test_what_is_wrong_is_said_in_the_words_of_other_systems(folder: Path) -> None:
    with pytest.raises(OSError, match="WinError") as caught:
        os.listdir(folder / "nowhere")
    assert system.reason_of(caught.value) == "No such file or directory"

    with open(folder / "held", "w"), pytest.raises(OSError, match="WinError") as caught:
        os.unlink(folder / "held")
    assert system.reason_of(caught.value) == "another program has it open"


@on_windows
def test_a_typed_path_keeps_its_backslashes() -> None:
    from plugin_migrate.cli.slash import split_arguments

    typed = r"--project 'C:\my project' --database C:\x\y.db status"
    assert split_arguments(typed) == [
        "--project", r"C:\my project", "--database", r"C:\x\y.db", "status",
    ]  # fmt: skip
