"""Runs the hooks as Claude Code does: real scripts, a real shell, a clean environment."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

import in_process
from project import Project

ROOT = Path(__file__).resolve().parents[2]
REAL_PYTHON = os.path.realpath(sys._base_executable)


class Client:
    """Claude Code in a project, as far as hooks can see it.

    ``path`` is the folder that is the whole PATH: it holds a ``python3`` without our packages.
    ``variables`` are the environment; nothing else gets through.
    """

    def __init__(self, folder: Path, project: Path, plugin: Path = ROOT) -> None:
        self.project = project
        self.plugin = plugin
        self.home = folder / "home"
        self.path = folder / "bin"
        self.configuration = self.home / ".claude"
        self.configuration.mkdir(parents=True)
        self.path.mkdir()
        self.shell: tuple[str, ...] = ()
        self.started = folder / "started"
        self.offer_python()
        self.variables = {
            "HOME": str(self.home),
            "PATH": str(self.path),
            "CLAUDE_PROJECT_DIR": str(project),
            "CLAUDE_PLUGIN_ROOT": str(plugin),
            "CLAUDE_PLUGIN_DATA": str(self.configuration / "plugins/data/plugin-migrate"),
            # Shared, so that not every test compiles the modules again.
            "PLUGIN_MIGRATE_CACHE": "/nonexistent",
        }

    def offer_python(self, name: str = "python3", before: str = "") -> None:
        """Put a Python on PATH that notes when it is started, after some shell commands."""
        self.put_on_path(
            name,
            # That it is asked for its version is no start of the hook.
            f"case $* in *version_info*) ;; *) echo {name} >>'{self.started}' ;; esac\n"
            f"{before}\nexec '{REAL_PYTHON}' \"$@\"\n",
        )

    def put_on_path(self, name: str, script: str) -> None:
        """Put a shell script on PATH."""
        file = self.path / name
        file.write_text(f"#!/bin/sh\n{script}")
        file.chmod(0o755)

    @property
    def pythons(self) -> list[str]:
        """The Pythons that were started, in order."""
        return self.started.read_text().split() if self.started.exists() else []

    def spawn(self, hook: str, document: object) -> subprocess.Popen[str]:
        """Start a hook with a document on its standard input."""
        process = subprocess.Popen(
            [*self.shell, str(self.plugin / "hooks" / hook)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.variables,
            cwd=self.project if self.project.is_dir() else "/",
        )
        assert process.stdin is not None
        try:
            process.stdin.write(document if isinstance(document, str) else json.dumps(document))
            process.stdin.close()
        except BrokenPipeError:
            pass
        process.stdin = None
        return process

    def run(self, hook: str, document: object) -> dict[str, object] | None:
        """Run a hook, which must succeed quietly, and return what it told the client."""
        if in_process.IS_WANTED:
            return self._run_here(hook, document)
        with self.spawn(hook, document) as process:
            return answer(process)

    def _run_here(self, hook: str, document: object) -> dict[str, object] | None:
        """Do the same without the shell, which only finds a Python for it."""
        given = document if isinstance(document, str) else json.dumps(document)
        module = f"claude_code.{hook.replace('-', '_')}"
        variables = self.variables | in_process.NEEDED
        variables["USERPROFILE"] = self.variables["HOME"]
        here = self.project if self.project.is_dir() else self.home
        with self.started.open("a") as started:
            started.write("python3\n")
        code, out, err = in_process.run(_hook()._start, [module], here, variables, given)
        assert (code, err) == (0, "")
        return json.loads(out) or None if out else None

    def start_session(self, source: str = "startup") -> dict[str, object] | None:
        """Return what the session start hook tells, without the files that it has watched."""
        return self._heard(self.session_start(source))

    def watched(self) -> list[str]:
        """Return the files that the client is to watch from the session's start on."""
        told = self.run("session-start", self.session_start())
        return [] if told is None else told["hookSpecificOutput"]["watchPaths"]

    def later(self, event: str, **values: object) -> dict[str, object] | None:
        """Return what is told when something happens in the middle of a session."""
        return self._heard(self._common(event) | values)

    def _heard(self, document: dict[str, object]) -> dict[str, object] | None:
        told = self.run("session-start", document)
        special = told.get("hookSpecificOutput", {}) if told else {}
        special.pop("watchPaths", None)
        return None if told is None or ("systemMessage" not in told and len(special) < 2) else told

    def session_start(self, source: str = "startup") -> dict[str, object]:
        """Return the document that the client sends at the start of a session."""
        return self._common("SessionStart") | {"source": source}

    def message(self) -> str | None:
        """Return the line that the user sees at the start of a session."""
        told = self.start_session()
        return None if told is None else str(told["systemMessage"])

    def edit(self, path: Path | str, tool: str = "Edit") -> str | None:
        """Return the reason why Claude may not edit a file, ``None`` when it may."""
        change = {"old_string": "a", "new_string": "b"} if tool == "Edit" else {"content": "b"}
        told = self.run(
            "guard-edit",
            self._common("PreToolUse")
            | {
                "tool_name": tool,
                "tool_input": {"file_path": str(path), **change},
                "tool_use_id": "toolu_1",
                "permission_mode": "default",
            },
        )
        if told is None:
            return None
        decision = told["hookSpecificOutput"]
        assert isinstance(decision, dict)
        assert decision.pop("hookEventName") == "PreToolUse"
        assert decision.pop("permissionDecision") == "deny"
        reason = decision.pop("permissionDecisionReason")
        assert decision == {}
        return reason

    def _common(self, event: str) -> dict[str, object]:
        return {
            "session_id": "0b5f",
            "transcript_path": str(self.configuration / "projects/x/0b5f.jsonl"),
            "cwd": str(self.project),
            "hook_event_name": event,
        }


@cache
def _hook() -> ModuleType:
    """Return the file that starts a hook."""
    spec = importlib.util.spec_from_file_location("hook", ROOT / "hooks/hook.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def answer(process: subprocess.Popen[str]) -> dict[str, object] | None:
    """Return what a hook told, which must have succeeded without a word on standard error."""
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    return json.loads(out) if out else None


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache without an environment in it, for compiled modules."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def client(folder: Path, project: Project, cache: Path) -> Client:
    """A client in an empty project, with a Python that has no package of ours."""
    client = Client(folder, project.root)
    client.variables["PLUGIN_MIGRATE_CACHE"] = str(cache)
    return client


_SHELLS = {"dash": (), "bash": ("--posix",), "busybox": ("sh",)}


@pytest.fixture(params=["dash", "bash"])
def each_shell(request: pytest.FixtureRequest, client: Client) -> None:
    """Runs the test with each shell that may be a system's /bin/sh."""
    shell = shutil.which(request.param)
    if shell is None:
        pytest.skip(f"no {request.param} here")
    client.shell = (shell, *_SHELLS[request.param])
