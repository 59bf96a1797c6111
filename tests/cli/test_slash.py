"""`--slash`: what the slash command delivers is understood as the user typed it, and run."""

import pytest

from plugin_migrate.errors import UsageError
from plugin_migrate.slash import read_command


def arguments(typed, project="/p"):
    """Return what is understood of the text that the client makes of `typed`."""
    return read_command(f"{project}\n[{typed}]\n")[1]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("", []),
        ("status", ["status"]),
        ("upgrade 1.2.0 --dry-run", ["upgrade", "1.2.0", "--dry-run"]),
        ('create x --description="Add it all"', ["create", "x", "--description=Add it all"]),
        ("create x --description 'it is \"so\"'", ["create", "x", "--description", 'it is "so"']),
        (r"a \!b", ["a", "!b"]),
        (r"\!a", ["!a"]),
        (r"\! \!", ["!", "!"]),
        (r"'say \!'", ["say !"]),
        ("wow!", ["wow!"]),
        ("a\nb\tc", ["a", "b", "c"]),
        ("'two\nlines'", ["two\nlines"]),
        ("[a] ]", ["[a]", "]"]),
        ("$(id) `id` ${HOME} $HOME ; & | > <", "$(id) `id` ${HOME} $HOME ; & | > <".split()),
        ("# no remark", ["#", "no", "remark"]),
        ("ünï 漢字", ["ünï", "漢字"]),
        ("''", [""]),
    ],
)
def test_arguments_are_split_as_a_shell_splits_them(typed, expected):
    assert arguments(typed) == expected


@pytest.mark.parametrize("text", ["/p\n[create x \n", "/p\n[\n", "/p\n", "/p", "", "\n\n"])
def test_arguments_that_the_client_cut_are_refused(text):
    with pytest.raises(UsageError, match="cut the arguments"):
        read_command(text)


@pytest.mark.parametrize("typed", ["create x --description='it", 'say "', "end\\"])
def test_an_unclosed_quote_is_refused(typed):
    with pytest.raises(UsageError, match="not closed"):
        arguments(typed)


@pytest.mark.parametrize(
    "project", ["/p", "/with space", "/$(id)", "/'\"`", "/line\nfeed", "/[x]", "/ünï", "", "/p\r"]
)
def test_the_first_line_is_the_project_whatever_its_name(project):
    assert read_command(f"{project}\n[status --verbose]\n") == (project, ["status", "--verbose"])


def test_a_command_runs_in_the_sessions_project(project, tmp_path):
    project.tables("1.0.0")
    below = project.root / "a $(touch pwned) `b`"
    below.mkdir()
    code, out, err = project.call("--slash", cwd=tmp_path, input=f"{below}\n[upgrade]\n")
    assert (code, err) == (0, "")
    assert out.startswith("✓ Applied 1 migration(s)")
    assert project.json("status")["migrations"][0]["applied_by"].endswith(" (Claude Code)")


def test_outside_of_claude_code_the_user_alone_is_named(project):
    project.tables("1.0.0")
    project.ok("upgrade")
    assert "Claude" not in project.json("status")["migrations"][0]["applied_by"]
    project.ok("downgrade")
    project.ok("upgrade", environment={"CLAUDECODE": "1"})
    assert "(Claude Code)" in project.json("status")["migrations"][0]["applied_by"]


def test_the_texts_are_those_of_the_terminal(project):
    project.tables("1.0.0", "1.1.0")
    for command in (
        "status",
        "status --format=json",
        "upgrade --dry-run --verbose",
        "status --help",
    ):
        slash = project.call("--slash", input=f"{project.root}\n[{command}]\n")
        assert slash == project.call(*command.split())


def test_no_arguments_show_the_help(project):
    code, out, err = project.call("--slash", input=f"{project.root}\n[]\n")
    assert (code, err) == (2, "")
    assert "examples:" in out


@pytest.mark.parametrize("typed", ["[create x", "[say 'hi]", "[upgrade 1.x.0]"])
def test_an_error_is_told_on_stdout_which_is_all_that_claude_sees(project, typed):
    code, out, err = project.call("--slash", input=f"{project.root}\n{typed}\n")
    assert (code, err) == (2, "")
    assert out.startswith("✗ Error: ")
    assert out.count("\n") == 2


def test_what_a_migration_says_stands_before_the_outcome_as_in_a_terminal(project):
    project.python("1.0.0", "import os; print('printed'); os.system('echo by a child')")
    code, out, err = project.call("--slash", input=f"{project.root}\n[upgrade]\n")
    assert (code, err) == (0, "")
    assert sorted(out.splitlines()[:2]) == ["by a child", "printed"]
    assert out.splitlines()[2].startswith("✓ Applied 1 migration(s)")
