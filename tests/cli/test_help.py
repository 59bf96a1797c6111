"""The help teaches by examples, and every example works."""

import re
import shlex

import pytest

from plugin_migrate import __version__
from plugin_migrate.cli.commands import COMMANDS as TABLE

COMMANDS = ["upgrade", "downgrade", "redo", "status", "show", "create"]


def test_the_help_names_every_command_and_exit_code(project):
    out = project.ok("--help")
    for command in TABLE:
        assert re.search(rf"^    {command.name} ", out, re.MULTILINE)
    assert "exit codes: 0 done, 1 failed, 2 wrong usage" in out
    assert out == project.ok("-h")


def test_a_document_about_wrong_usage_knows_every_command(project):
    listed = re.findall(r"^    ([a-z-]+)(?: \([a-z]+\))?  ", project.ok("--help"), re.MULTILINE)
    assert set(COMMANDS) <= set(listed) == {command.name for command in TABLE}


def test_the_version_is_the_packages(project):
    assert project.ok("--version") == f"plugin-migrate {__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_has_options_and_examples_and_needs_no_project(project, command):
    out = project.ok(command, "--help", cwd="/")
    for option in ("--project", "--database", "--migrations", "--format", "--verbose"):
        assert option in out
    assert "examples:" in out
    lines = out.partition("global options, explained by")[2].partition(":\n")[2]
    listed = re.findall(r"--[a-z-]+", lines)
    explained = re.findall(r"^  (?:-\w, )?(--[a-z-]+)", project.ok("--help"), re.MULTILINE)
    assert set(listed) == set(explained) - {"--help", "--version"}
    assert not any(option in out.partition("examples:")[0] for option in listed)
    assert all(len(line) <= 100 for line in out.splitlines())


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_example_is_accepted(project, command):
    out = project.ok(*command.split(), "--help")
    examples = re.findall(r"^  plugin-migrate (.*?)(?:  .*)?$", out, re.MULTILINE)
    assert examples
    project.tables("1.0.0", "1.1.0", "1.2.0")
    (project.root / "db/migrations").mkdir(parents=True)
    (project.root / "db/migrations/1_old.sql").write_text("-- migrate:up\n-- migrate:down\n")
    for example in examples:
        if (
            re.match(r"upgrade|downgrade|redo|show|status|create", example)
            and "--plugin" not in example
        ):
            project.ok("upgrade")
            files = set(project.migrations.iterdir())
            assert project.call(*shlex.split(example)).code == 0, example
            for created in set(project.migrations.iterdir()) - files:
                created.unlink()  # or it would have to be filled in


def test_options_may_stand_before_and_behind_the_command_in_both_forms(project, tmp_path):
    project.tables("1.0.0")
    database = tmp_path / "other.db"
    options = {"project": project.root, "database": database, "migrations": project.migrations}
    joined = [f"--{name}={value}" for name, value in options.items()]
    apart = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    for form in joined, apart:
        before = project.ok(*form, "status", cwd=tmp_path)
        assert before == project.ok("status", *form, cwd=tmp_path)
    mixed = project.ok(joined[0], "status", *joined[1:], cwd=tmp_path)
    assert mixed == before
    project.ok("upgrade", *joined, "--lock-timeout", "1", "1.0.0", cwd=tmp_path)
    assert database.exists()
    assert not project.database.exists()


def test_the_option_behind_the_command_wins(project, tmp_path):
    project.tables("1.0.0")
    assert "1.0.0" in project.ok("--project=/", "status", f"--project={project.root}")
