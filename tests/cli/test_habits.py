"""What hands type out of habit: near misses, short options, other tools' words, completion."""

import os
import shutil
import subprocess

import pytest

from launcher_tree import ROOT
from plugin_migrate import __version__

# Near misses


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("upgrad", "There is no command 'upgrad'|Did you mean `upgrade`?|See: {} upgrade --help"),
        ("stat", "There is no command 'stat'|Did you mean `status`?|See: {} status --help"),
        ("migrate", "There is no command 'migrate'|Did you mean `upgrade`?|See: {} upgrade --help"),
        ("frobnicate", "There is no command 'frobnicate'|See: {} --help"),
        ("help upgrad", "There is no command 'upgrad'|Did you mean `upgrade`?|See: {} upgrade -"),
        ("upgrade --dryrun", "Unknown option: --dryrun|Did you mean `--dry-run`?|See: {} upgrade "),
        ("new x --lang=sql", "Unknown option: --lang|Did you mean `--language`?|See: {} create "),
        ("--projct=x status", "Unknown option: --projct|Did you mean `--project`?|See: {} "),
        ("check --xyzzy", "Unknown option: --xyzzy|See: {} check --help"),
        ("status extra", "Unexpected argument: extra|See: {} status --help"),
        ("create x --template=shema", "(choose from empty,|Did you mean `schema`?|See: {} create"),
    ],
)
def test_what_was_meant_is_proposed_with_the_help_of_that_command(project, arguments, told):
    err = project.fails(*arguments.split(), code=2)
    lines = err.removeprefix("✗ Error: ").splitlines()
    expected = told.format("plugin-migrate").split("|")
    assert len(lines) == len(expected)
    for line, part in zip(lines, expected, strict=True):
        assert part in line


def test_a_document_about_an_alias_names_its_command(project):
    assert project.json("rollback", "--nonsense")["command"] == "downgrade"


# Words and letters of other tools


def test_new_and_rollback_are_create_and_downgrade(project):
    project.tables("1.0.0")
    assert project.json("new", "x") | {"path": ""} == {
        "schema": 1, "command": "create", "ok": True, "version": "1.0.1", "path": "",
    }  # fmt: skip
    project.ok("upgrade", "1.0.0")
    assert project.json("rollback")["command"] == "downgrade"
    assert project.applied() == []


def test_n_is_the_dry_run(project):
    project.tables("1.0.0")
    for command in (["upgrade"], ["downgrade"], ["redo"]):
        assert project.ok(*command, "-n") == project.ok(*command, "--dry-run")
        project.ok("upgrade")


def test_the_version_has_a_letter(project):
    assert project.ok("-V") == project.ok("--version") == f"plugin-migrate {__version__}\n"


def test_help_is_the_option_as_a_command(project):
    assert project.ok("help", cwd="/") == project.ok("--help", cwd="/")
    for name, command in {"upgrade": "upgrade", "rollback": "downgrade"}.items():
        assert project.ok("help", name) == project.ok(command, "--help")
    assert project.json("help", "redo")["text"] == project.ok("redo", "--help").rstrip("\n")


def test_upgrade_takes_the_next_so_many(project):
    project.tables("1.0.0", "1.1.0", "1.2.0", "1.3.0")
    project.ok("upgrade", "+1")
    assert project.applied() == ["1.0.0"]
    assert "would apply 2 migration(s)" in project.ok("upgrade", "+2", "-n")
    assert [step["version"] for step in project.json("upgrade", "+2")["steps"]] == [
        "1.1.0",
        "1.2.0",
    ]
    assert project.fails("upgrade", "+2", code=2) == (
        "✗ Error: Cannot apply 2 migrations: only 1 pending\n"
        "  To apply everything: plugin-migrate upgrade\n"
    )
    project.ok("upgrade", "+1")
    assert project.ok("upgrade", "+1").startswith("✓ No pending migrations\n")


@pytest.mark.parametrize("given", ["+", "+0", "+x", "+1.0.0"])
def test_what_is_no_number_of_steps_is_refused(project, given):
    err = project.fails("upgrade", given, code=2)
    assert err == (
        f"✗ Error: '{given}' is not a number of steps\n  For example: plugin-migrate upgrade +2\n"
    )


# How much is said, and how


def test_quiet_prints_only_what_is_wrong(project):
    project.tables("1.0.0")
    project.python("1.1.0", "ctx.log('said')")
    commands = ["status", "upgrade -n", "upgrade", "redo", "downgrade 2", "new x", "check --all"]
    for command in commands:
        code, out, err = project.call(*command.split(), "-q")
        assert (code, out, err) == (3 if "check" in command else 0, "", "")
    assert project.call("-q", "upgrade", "--format=json").document["ok"] is False  # a template
    project.sql("1.0.1", "SELECT absent FROM nowhere;")
    (project.migrations / "1.1.1-x.py").unlink()
    err = project.fails("upgrade", "--quiet")
    assert err.startswith("✗ Error: Could not apply 1.0.1 - Step\n  no such table: nowhere\n")
    assert "1.0.1" in project.call("verify", "1.0.1", "-q").out


COLORED = "\x1b["


@pytest.mark.parametrize(
    ("option", "variables", "expected"),
    [
        ("", {}, False),
        ("--color=always", {}, True),
        ("--color=always", {"NO_COLOR": "1"}, True),
        ("--color=auto", {"FORCE_COLOR": "1"}, True),
        ("", {"FORCE_COLOR": "0"}, False),
        ("", {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ("--color=never", {"FORCE_COLOR": "1"}, False),
    ],
)
def test_color_is_the_options_then_the_variables_then_the_terminals(
    project, option, variables, expected
):
    project.tables("1.0.0")
    options = [option] if option else []
    out = project.call("status", *options, environment=variables).out
    assert (COLORED in out) is expected
    err = project.call("upgrade", "9.9.9", *options, environment=variables).err
    assert (COLORED in err) is expected
    assert (
        COLORED not in project.call("status", "--format=json", *options, environment=variables).out
    )


def test_what_is_typed_in_claude_code_has_no_codes_of_colour(project):
    project.tables("1.0.0")
    assert COLORED not in str(project.typed("status", environment={"FORCE_COLOR": "1"}))


# Completion


@pytest.fixture
def on_path(project, tmp_path):
    """Let a shell find `plugin-migrate`, which then is what the tests call."""
    from command_line import COMMAND

    program = tmp_path / "bin/plugin-migrate"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {" ".join(COMMAND)} "$@"\n')
    program.chmod(0o755)
    return project.environment | {"PATH": f"{program.parent}:{project.environment['PATH']}"}


def completed_by_bash(environment, line):
    """Return what bash would offer at the end of a line."""
    code = (
        'eval "$(plugin-migrate completion bash)"\n'
        f"COMP_LINE={line!r} COMP_POINT={len(line)} COMP_TYPE=9\n"
        "_python_argcomplete plugin-migrate 2>/dev/null\n"
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "-c", code], env=environment, capture_output=True, text=True, cwd="/"
    )
    assert done.stderr == ""
    return {word.strip() for word in done.stdout.splitlines()}


def test_bash_completes_commands_options_and_choices(on_path):
    assert {"upgrade", "downgrade", "redo"} <= completed_by_bash(on_path, "plugin-migrate ")
    assert completed_by_bash(on_path, "plugin-migrate upgr") == {"upgrade"}
    assert completed_by_bash(on_path, "plugin-migrate upgrade --dr") == {"--dry-run"}
    assert "--project" in completed_by_bash(on_path, "plugin-migrate status --pro")
    templates = completed_by_bash(on_path, "plugin-migrate create x --template ")
    assert templates == {"empty", "plugin", "schema", "data"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_script_that_it_can_read(project, shell, tmp_path):
    script = project.ok("completion", shell, cwd="/")
    assert "_ARGCOMPLETE" in script
    assert "plugin-migrate" in script
    assert project.json("completion", shell)["script"] == script.rstrip("\n") + "\n"
    if shutil.which(shell):
        file = tmp_path / "script"
        file.write_text(script)
        subprocess.run([shell, "-n", str(file)], check=True)


def test_another_shell_is_refused(project):
    assert "choose from bash, zsh, fish" in project.fails("completion", "tcsh", code=2)


# The page that lists all of this


def test_every_environment_variable_is_documented():
    page = (ROOT / "docs/commands.md").read_text()
    help_text = subprocess.run(
        [str(ROOT / "scripts/plugin-migrate"), "--help"],
        capture_output=True, text=True, env=os.environ | {"COLUMNS": "100"},
    ).stdout  # fmt: skip
    named = "CLAUDE_PROJECT_DIR PLUGIN_MIGRATE_CACHE NO_COLOR FORCE_COLOR PAGER COLUMNS TMPDIR"
    for variable in named.split():
        assert f"`{variable}`" in page
        assert variable in help_text
