"""A migration that asks: refused with advice, and never waited for."""

import subprocess
import sys

import pytest

from project import SCRIPTS, Project, fails_unchanged

COMMAND = f"""
import sys
sys.path.insert(0, {str(SCRIPTS)!r})
from plugin_migrate.cli.main import main
raise SystemExit(main())
"""

ASKS = [
    "input('Which theme? ')",
    "sys.stdin.readline()",
    "sys.stdin.read()",
    "next(sys.stdin)",
    "sys.stdin.buffer.read()",
    "os.read(sys.stdin.fileno(), 1)",
    "getpass.getpass('Token: ')",
    "open('/dev/tty')",
]


@pytest.mark.parametrize("code", ASKS)
def test_a_python_migration_that_asks_is_refused_with_advice(project: Project, code: str) -> None:
    project.python("1.0.0", code, top="import getpass, os, sys")
    before = sys.stdin

    error = fails_unchanged(project)

    assert "A migration cannot ask" in error.message
    assert "read the value from a file below .claude/" in error.message
    assert error.line is not None
    assert sys.stdin is before


@pytest.mark.parametrize(
    "code",
    ["prompt('Which theme?')", "confirm('Sure?')", "for await (const one of process.stdin) {}"],
)
def test_a_typescript_migration_that_asks_is_refused_with_advice(
    project: Project, engine: str, code: str
) -> None:
    project.typescript("1.0.0", code)

    error = fails_unchanged(project)

    assert "A migration cannot ask" in error.message
    assert "process.env" in error.message


def test_the_command_does_not_wait_for_the_keyboard(project: Project) -> None:
    project.python("1.0.0", "input('Which theme? ')")
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND, "--project", str(project.root), "upgrade"],
        stdin=subprocess.PIPE,  # stays open, so that waiting would never end
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert "A migration cannot ask" in process.stderr.read()
        assert process.wait() == 1
