"""A copy of the plugin with a stand-in for the program, to test what starts it."""

import os
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ROOT / "scripts"


# As the real one does, it flushes: the process ends without taking the interpreter apart.
_MAIN = """
def main():
    try:
        return program()
    finally:
        sys.stdout.flush()
"""


def copy_plugin(target: Path, program: str) -> Path:
    """Copy the launcher and the bootstrap to `target`, with `program` as what `main` does."""
    package = target / "scripts/plugin_migrate"
    (package / "claude_code").mkdir(parents=True)
    (package / "cli").mkdir()
    for file in SCRIPTS.iterdir():
        if file.is_file():
            shutil.copy2(file, target / "scripts")
    for name in (
        "__init__.py",
        "__main__.py",
        "cli/__init__.py",
        "cli/damage.py",
        "claude_code/__init__.py",
    ):
        shutil.copy2(SCRIPTS / "plugin_migrate" / name, package / name)
    shutil.copytree(
        SCRIPTS / "plugin_migrate/platform",
        package / "platform",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    write_program(target, program)
    return target / "scripts/plugin-migrate"


def write_program(target: Path, program: str) -> None:
    body = "".join(f"    {line}\n" for line in program.strip().splitlines())
    text = f"import os, signal, sys, time\n\ndef program():\n{body}{_MAIN}"
    (target / "scripts/plugin_migrate/claude_code/entry.py").write_text(text)


def pins(*files: str) -> list[str]:
    lines = [line.strip() for file in files for line in (SCRIPTS / file).read_text().splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def link_environment(cache: Path) -> None:
    """Put an environment without packages where the launcher looks for it, which takes no time."""
    name = "+".join(pin.replace("==", "-") for pin in pins("requirements.txt"))
    (cache / name / "bin").mkdir(parents=True)
    (cache / name / "bin/python").symlink_to(os.path.realpath(sys._base_executable))
    (cache / name / "ready").touch()
