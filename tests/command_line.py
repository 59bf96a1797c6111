"""A project and the real command line, run on it as the launcher runs it."""

import json
import os
import shutil
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import in_process
import project
from plugin_migrate.__main__ import main

MAIN = project.SCRIPTS / "plugin_migrate/__main__.py"
COMMAND = [sys.executable, "-I", "-S", "-X", "utf8", str(MAIN)]
FOLDER = ".claude/core/versioning/migrations"


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def document(self) -> dict:
        """The one JSON document on stdout."""
        return json.loads(self.out)

    def __iter__(self):
        return iter((self.code, self.out, self.err))


class Project(project.Project):
    """A project on which a test calls the command line; `home` is the user's, which is empty."""

    def __init__(self, root: Path, home: Path) -> None:
        super().__init__(root)
        self.home = home
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8"}
        if sys.platform == "win32":
            self.environment |= {"USERPROFILE": str(home), **in_process.NEEDED}

    # --- building ------------------------------------------------------------------------------

    def migration(self, name: str, content: str | bytes) -> Path:
        """Write a file in the migrations folder."""
        path = self.migrations / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def sql(self, version, up="SELECT 1;", down="", options="", **header) -> Path:
        """Write an SQL migration; `down=None` makes it irreversible."""
        path = super().sql(version, up, down, options)
        lines = [f"-- {key}: {value}\n" for key, value in header.items()]
        path.write_text("".join(lines) + path.read_text(), newline="\n")
        return path

    def python(self, version, up="pass", down="pass", top="") -> Path:
        """Write a Python migration; `down=None` makes it irreversible."""
        return super().python(version, up, down, top)

    def tables(self, *versions: str) -> None:
        """Write a reversible migration per version, each of which makes a table."""
        for version in versions:
            name = "t" + version.replace(".", "_")
            self.sql(version, f"CREATE TABLE {name} (x);", f"DROP TABLE {name};")

    # --- calling -------------------------------------------------------------------------------

    def call(
        self, *arguments, cwd=None, environment=(), prefix=(), most_seconds=30, **options
    ) -> Outcome:
        """Run the command line in the project and return what it said."""
        if in_process.IS_WANTED and not prefix and not options.keys() - {"input"}:
            return Outcome(
                *in_process.run(
                    main,
                    list(map(str, arguments)),
                    cwd or self.root,
                    self.environment | dict(environment),
                    options.get("input", ""),
                )
            )
        if "input" not in options:
            options.setdefault("stdin", subprocess.DEVNULL)
        done = subprocess.run(
            [*prefix, *COMMAND, *map(str, arguments)],
            cwd=cwd or self.root,
            env=self.environment | dict(environment),
            capture_output=True,
            encoding="utf-8",
            timeout=most_seconds,
            **options,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    def ok(self, *arguments, **options) -> str:
        """Run a command that must succeed without a word on stderr; return its stdout."""
        code, out, err = self.call(*arguments, **options)
        assert (code, err) == (0, ""), (code, out, err)
        return out

    def typed(self, command, session="5e55-10", **options) -> dict:
        """Run what the user types in Claude Code; return what the client is to show."""
        options.setdefault("cwd", self.root)
        environment = {
            "CLAUDE_PROJECT_DIR": str(options.pop("at", self.root)),
            "CLAUDE_CODE_SESSION_ID": session,
            **options.pop("environment", {}),
        }
        call = {"session_id": session, "command_args": command}
        given = json.dumps(call)
        code, out, err = self.call("--typed", input=given, environment=environment, **options)
        assert (code, err) == (0, ""), (code, out, err)
        return json.loads(out)

    def slash(self, command, session="5e55-10", **options) -> Outcome:
        """Call what the slash command's block calls."""
        given = f"{options.pop('at', self.root)}\n[{command}]\n"
        return self.call("--slash", session, input=given, **options)

    def fails(self, *arguments, code=1, **options) -> str:
        """Run a command that must fail without a word on stdout; return its stderr."""
        found, out, err = self.call(*arguments, **options)
        assert (found, out) == (code, ""), (found, out, err)
        assert "Traceback" not in err
        assert "Internal error" not in err
        return err

    def json(self, *arguments, **options) -> dict:
        """Run a command with `--format=json` and return its document."""
        return self.call(*arguments, "--format=json", **options).document

    def statuses(self) -> dict[str, str]:
        """Return the status of every version."""
        return {one["version"]: one["status"] for one in self.json("status")["migrations"]}

    def snapshot(self) -> dict[str, tuple]:
        """Return everything in the project with its content, mode and times of change."""
        return snapshot(self.root)


def snapshot(root: Path) -> dict[str, tuple]:
    """Return every path below `root` with all that reading must leave as it is."""
    seen = {}
    for path in [root, *sorted(root.rglob("*"))]:
        status = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(status.st_mode) else None
        key = path.relative_to(root).as_posix()
        seen[key] = (status.st_mode, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, content)
    return seen


def unprivileged() -> list[str]:
    """Return the beginning of a command line that makes even root obey permissions."""
    if sys.platform == "win32":
        pytest.skip("what may be written is not a matter of modes here")
    if os.geteuid() != 0:
        return []
    if not shutil.which("setpriv"):
        pytest.skip("root obeys no permissions, and there is no setpriv")
    return ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
