"""Boxes and marks whatever the code page; Ctrl-C and Ctrl-Break undo the running step."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
START = f"import sys; sys.path.insert(0, {str(SCRIPTS)!r})\n"

if sys.platform != "win32":
    pytest.skip("Windows has consoles and code pages", allow_module_level=True)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    migrations = tmp_path / ".claude/core/versioning/migrations"
    migrations.mkdir(parents=True)
    (tmp_path / ".claude/a.md").write_text("a")
    return tmp_path


def migration(root: Path, text: str) -> None:
    path = root / ".claude/core/versioning/migrations/1.0.0-step.py"
    path.write_text(f'description = "Schöner Schritt — ✓"\n{text}', encoding="utf-8")


def command(root: Path, *arguments: str) -> str:
    words = ["--project", str(root), *arguments]
    return f"from plugin_migrate.cli.main import main\nstatus = main({words!r})\n"


@pytest.mark.parametrize("encoding", ["cp437", "cp1252", "ascii", None])
@pytest.mark.parametrize("arguments", [["status"], ["upgrade", "--verbose"], ["upgrade", "9.9.9"]])
def test_what_is_piped_is_utf8_whatever_the_code_page(
    root: Path, encoding: str | None, arguments: list[str]
) -> None:
    migration(root, "def up(ctx): ctx.log('größer')\n")
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONUTF8"}
    environment["PYTHONPATH"] = os.pathsep.join([str(SCRIPTS), environment.get("PYTHONPATH", "")])
    if encoding is not None:
        environment["PYTHONIOENCODING"] = encoding
    done = subprocess.run(
        [sys.executable, "-m", "plugin_migrate", "--project", str(root), *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=environment,
        timeout=300,
    )
    said = (done.stdout + done.stderr).decode("utf-8")
    assert "Traceback" not in said
    expected = {"status": "┌", "upgrade": "✓ Applied"}[arguments[0]]
    assert ("✗ Error" if "9.9.9" in arguments else expected) in said
    assert ("Schöner Schritt — ✓" in said) == ("9.9.9" not in arguments)


# A console of its own, whose processes get the key; what is printed still goes through pipes. The
# console of Wine knows no Ctrl-Break, so its signal is raised instead.
INTERRUPTED = """
import ctypes, signal, threading
kernel = ctypes.WinDLL("kernel32")
kernel.FreeConsole()
assert kernel.AllocConsole()
reached = threading.Event()
def press():
    reached.wait()
    {press}
threading.Thread(target=press, daemon=True).start()
import builtins
builtins.reached = reached
"""
WAITING = """
def up(ctx):
    import builtins, time
    (ctx.claude / "a.md").write_text("changed")
    ctx.db.execute("CREATE TABLE t (x)")
    builtins.reached.set()
    for _ in range(600):
        time.sleep(0.05)
"""


@pytest.mark.parametrize(
    ("press", "name"),
    [
        ("kernel.GenerateConsoleCtrlEvent(0, 0)", "SIGINT"),
        ("signal.raise_signal(signal.SIGBREAK)", "SIGBREAK"),
    ],
    ids=["Ctrl-C", "Ctrl-Break"],
)
def test_ctrl_c_and_ctrl_break_undo_the_running_step(root: Path, press: str, name: str) -> None:
    migration(root, WAITING)
    code = START + INTERRUPTED.format(press=press) + command(root, "upgrade")
    done = subprocess.run(
        [sys.executable, "-c", code + "sys.exit(status)"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=300,
    )
    said = done.stderr.decode("utf-8")
    assert done.returncode == 130, said
    assert f"Interrupted by {name}: the running step 1.0.0 was undone" in said
    assert (root / ".claude/a.md").read_text() == "a"
