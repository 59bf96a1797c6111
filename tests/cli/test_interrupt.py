"""Ctrl-C ends the program with 130 and no traceback, however it was started."""

import subprocess
import sys
import tomllib

import pytest

from command_line import MAIN
from project import SCRIPTS

ENTRY = tomllib.loads((SCRIPTS.parent / "pyproject.toml").read_text())["project"]["scripts"]
MODULE, _, FUNCTION = ENTRY["plugin-migrate"].partition(":")

# Ctrl-C comes while the program waits for its input.
WAITING = f"""
import os, signal, sys
sys.path.insert(0, {str(SCRIPTS)!r})
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it

class Input:
    def read(self):
        os.kill(os.getpid(), signal.SIGINT)

sys.stdin = Input()
sys.argv = ["plugin-migrate", "--slash"]
"""


@pytest.mark.parametrize(
    "start",
    [
        f"from {MODULE} import {FUNCTION}; sys.exit({FUNCTION}())",
        "import runpy; runpy.run_module('plugin_migrate', run_name='__main__', alter_sys=True)",
        f"import runpy; runpy.run_path({str(MAIN)!r}, run_name='__main__')",
    ],
    ids=["pip script", "python -m", "launcher"],
)
def test_ctrl_c_exits_130_without_a_traceback(start):
    command = [sys.executable, "-c", WAITING + start]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_ctrl_c_in_a_step_asks_to_go_on_and_not_to_mend_anything(project):
    project.python("1.0.0", "import os, signal; os.kill(os.getpid(), signal.SIGINT)")
    assert project.fails("upgrade", code=130) == (
        "✗ Error: Could not apply 1.0.0 - Step\n"
        "  Interrupted by SIGINT: the running step 1.0.0 was undone\n"
        "  Steps finished before it stay. Run the command again to go on.\n"
        "\n"
        "The interrupted migration was undone completely.\n"
        "To go on, run: plugin-migrate upgrade\n"
    )
