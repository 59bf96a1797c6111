r"""What Git Bash on Windows sees of the scripts, with a shell of this system in its place.

There are folders whose names are ``C:\Users\...``, which Git Bash takes for paths; `py` is the only
Python that works, and those that Windows puts on PATH to advertise its store do not.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from launcher_tree import pins
from project import Project

from .conftest import REAL_PYTHON, ROOT

HOME = "C:\\Users\\Jörg Müller"
ADVERTISEMENT = "Python was not found; run without arguments to install from the Microsoft Store"


class GitBash:
    """A shell whose working directory is the root of a Windows disk."""

    def __init__(self, root: Path, shell: str) -> None:
        self.root = root
        self.shell = shell
        self.project = Project(root / f"{HOME}\\my project")
        self.plugin = f"{HOME}\\.claude\\plug ins"
        for folder in ("hooks", "scripts", "migrations"):
            shutil.copytree(
                ROOT / folder,
                root / self.plugin / folder,
                ignore=shutil.ignore_patterns("__pycache__"),
            )
        self.programs = root / "bin"
        self.programs.mkdir()
        for name in ("python3", "python"):
            self.offer(name, f"echo '{ADVERTISEMENT}'\nexit 49")
        self.started = root / "started"
        self.offer("py", f"echo py >>'{self.started}'\nexec '{REAL_PYTHON}' \"$@\"")
        self.variables = {
            "PATH": str(self.programs),
            "HOME": str(root),  # Git Bash has it as a path of its own
            "CLAUDE_PROJECT_DIR": f"{HOME}\\my project",
            "CLAUDE_PLUGIN_ROOT": self.plugin,
        }

    def offer(self, name: str, script: str) -> None:
        """Put a program on PATH."""
        file = self.programs / name
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)

    def environment(self, script: str) -> Path:
        """Put a managed environment where a Windows Python makes it, with this as its Python."""
        name = "+".join(pin.replace("==", "-") for pin in pins("requirements.txt"))
        folder = self.root / ".cache/plugin-migrate" / name
        (folder / "Scripts").mkdir(parents=True)
        (folder / "ready").touch()
        python = folder / "Scripts/python.exe"
        python.write_text(f"#!/bin/sh\n{script}\n")
        python.chmod(0o755)
        return python

    def run(self, command: str, given: str = "") -> str:
        """Run what the client runs, with its variables put into the text; return the output."""
        for name, value in self.variables.items():
            command = command.replace(f"${{{name}}}", value)
        done = subprocess.run(
            [self.shell, "-c", command],
            cwd=self.root,
            env=self.variables,
            input=given,
            capture_output=True,
            encoding="utf-8",
            timeout=30,
        )
        assert (done.returncode, done.stderr) == (0, ""), done
        return done.stdout


@pytest.fixture(params=["bash", "dash"])
def git_bash(request: pytest.FixtureRequest, folder: Path) -> GitBash:
    shell = shutil.which(request.param)
    if shell is None:
        pytest.skip(f"no {request.param} here")
    return GitBash(folder, shell)


def command_of(event: str, matcher: str | None = None) -> str:
    """Return the command of an event's hook."""
    document = json.loads((ROOT / "hooks/hooks.json").read_text())
    entries = document["hooks"][event]
    entry = next(one for one in entries if matcher in (None, one.get("matcher")))
    return entry["hooks"][0]["command"]


def of_event(event: str, **values: object) -> str:
    return json.dumps({"session_id": "0b5f", "hook_event_name": event} | values)


def test_a_session_starts_with_the_news_by_py_and_never_by_the_advertisement(
    git_bash: GitBash,
) -> None:
    git_bash.project.sql("1.0.0", "CREATE TABLE a (x);")
    told = git_bash.run(command_of("SessionStart"), of_event("SessionStart", source="startup"))
    assert "1 pending migration" in json.loads(told)["systemMessage"]
    assert git_bash.started.read_text().split() == ["py", "py"]  # its version, and the hook


def test_the_managed_environment_is_found_where_windows_has_it(git_bash: GitBash) -> None:
    git_bash.project.sql("1.0.0", "CREATE TABLE a (x);")
    git_bash.environment(f"exec '{REAL_PYTHON}' \"$@\"")
    told = git_bash.run(command_of("SessionStart"), of_event("SessionStart", source="startup"))
    assert "1 pending migration" in json.loads(told)["systemMessage"]
    assert not git_bash.started.exists()


def test_an_applied_migration_is_guarded_by_its_windows_path(git_bash: GitBash) -> None:
    file = git_bash.project.sql("1.0.0", "CREATE TABLE a (x);")
    git_bash.project.upgrade()
    path = os.path.relpath(file, git_bash.root)
    assert path.startswith("C:\\Users\\")
    call = {"tool_name": "Edit", "tool_input": {"file_path": path}, "cwd": str(git_bash.root)}
    told = json.loads(
        git_bash.run(command_of("PreToolUse", "Edit"), of_event("PreToolUse", **call))
    )
    assert told["hookSpecificOutput"]["permissionDecision"] == "deny"


def test_a_call_by_its_windows_path_is_asked_about(git_bash: GitBash) -> None:
    command = f'"{git_bash.plugin}/scripts/plugin-migrate" baseline 1.0.0'
    call = {"tool_name": "Bash", "tool_input": {"command": command}, "cwd": str(git_bash.root)}
    told = json.loads(
        git_bash.run(command_of("PreToolUse", "Bash"), of_event("PreToolUse", **call))
    )
    assert "mark every migration" in told["hookSpecificOutput"]["permissionDecisionReason"]


def test_the_slash_command_starts_the_environments_python_with_what_was_typed(
    git_bash: GitBash,
) -> None:
    git_bash.environment("""printf '%s\\n' "$@"; while read -r line; do echo "$line"; done""")
    block = (ROOT / "commands/plugin-migrate.md").read_text().split("```!\n")[1].split("```")[0]
    block = block.replace("${CLAUDE_SESSION_ID}", "5e55").replace("$ARGUMENTS", "status")
    said = git_bash.run(block)
    main = f"{git_bash.plugin}/scripts/plugin_migrate/__main__.py"
    assert said.endswith(f"{main}\n--slash\n5e55\n{HOME}\\my project\n[status]\n")


def test_scripts_find_their_folder_also_before_a_backslash(git_bash: GitBash) -> None:
    git_bash.environment('printf "%s\\n" "$@"')
    git_bash.project.sql("1.0.0", "CREATE TABLE a (x);")
    plugin = git_bash.root / git_bash.plugin
    # To Git Bash these are the same files; here they are others, beside the folders.
    for script in ("scripts/plugin-migrate", "hooks/session-start", "hooks/run-typed"):
        shutil.copy2(plugin / script, plugin / script.replace("/", "\\"))
    assert git_bash.run(f'"{git_bash.plugin}/scripts\\plugin-migrate" status').endswith("status\n")
    assert git_bash.run(f'"{git_bash.plugin}/hooks\\run-typed"').endswith("--typed\n")
    assert git_bash.run(f'"{git_bash.plugin}/hooks\\session-start"').endswith(".session_start\n")


def test_a_cache_on_a_windows_disk_is_not_taken_for_a_relative_one(git_bash: GitBash) -> None:
    python = git_bash.environment('printf "%s\\n" "$@"')
    cache = "D:\\cache"
    shutil.copytree(python.parents[2], git_bash.root / cache)
    git_bash.variables["PLUGIN_MIGRATE_CACHE"] = cache
    said = git_bash.run('"${CLAUDE_PLUGIN_ROOT}/scripts/plugin-migrate" status')
    assert f"pycache_prefix={cache}/pycache\n" in said
