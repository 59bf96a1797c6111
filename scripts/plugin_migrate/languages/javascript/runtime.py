"""Finding what can run a TypeScript or JavaScript migration on this machine.

Nothing but ``--version`` is run here, and nothing until a step has to run.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from ...errors import NoRuntime
from ...platform.programs import find_programs

_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")
_SECONDS_TO_ANSWER = 30
_OLDEST_NODE = (18, 0, 0)
_OLDEST_BUN = (1, 1, 0)
_OLDEST_DENO = (2, 0, 0)
# Since then Node.js strips types by itself; the 23rd learnt it in a minor of its own.
_STRIPPING = (22, 18, 0)
_STRIPPING_23 = (23, 6, 0)
_DISABLES_WARNINGS = (20, 11, 0)
_IMPORTS_LOADERS = (20, 6, 0)

Number = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Runtime:
    """A program that runs migrations: its name for people, and how its command line begins."""

    name: str
    command: tuple[str, ...]


def find_runtime(needs_types: bool, project: str, file: str) -> Runtime:
    """Return the first of Node.js, Bun, Deno and Node.js with ``tsx`` that can run a migration.

    Parameters:
        needs_types: it is written in TypeScript.
        project: whose ``node_modules`` may hold ``tsx``.
        file: the migration, for the error.

    Raises:
        NoRuntime: there is none; says what was found and what to install.
    """
    found = _FoundRuntime(os.environ.get("PATH", ""))
    for runtime in found.able(needs_types, project):
        return runtime
    language = "TypeScript" if needs_types else "JavaScript"
    seen = ", ".join(f"{program.name} ({program.path})" for program in found.programs())
    oldest = "22.18" if needs_types else "18"
    hint = f"Install Node.js {oldest} or later, Bun or Deno, so that it stands in PATH"
    if needs_types and any(program.kind == "node" for program in found.programs()):
        hint += "; or in the project: npm install --save-dev tsx"
    raise NoRuntime(
        f"Nothing here can run {language} migrations: found "
        + (f"{seen}, which cannot" if seen else "no Node.js, Bun or Deno"),
        file=file,
        hint=hint + ".",
    )


@dataclass(frozen=True, slots=True)
class _Program:
    kind: str
    path: str
    version: Number

    @property
    def name(self) -> str:
        label = {"node": "Node.js", "bun": "Bun", "deno": "Deno"}[self.kind]
        return f"{label} {'.'.join(map(str, self.version))}"


@dataclass(frozen=True, slots=True)
class _FoundRuntime:
    """The programs that a ``PATH`` leads to."""

    path: str

    def able(self, needs_types: bool, project: str) -> Iterator[Runtime]:
        """Yield the runtimes that can do it, the best one first."""
        node, bun, deno = (self._program(kind) for kind in ("node", "bun", "deno"))
        if node and (_strips_types(node.version) if needs_types else node.version >= _OLDEST_NODE):
            yield Runtime(node.name, _node_command(node))
        if bun and bun.version >= _OLDEST_BUN:
            # It would install from the network what it does not find.
            yield Runtime(bun.name, (bun.path, "--no-install"))
        if deno and deno.version >= _OLDEST_DENO:
            yield Runtime(
                deno.name, (deno.path, "run", "-A", "-q", "--no-lock", "--unstable-sloppy-imports")
            )
        tsx = _find_tsx(project)
        if node and tsx and node.version >= _IMPORTS_LOADERS:
            yield Runtime(f"{node.name} with tsx", (*_node_command(node), "--import", tsx))

    def programs(self) -> list[_Program]:
        """Return all of them, also those too old."""
        found = (self._program(kind) for kind in ("node", "bun", "deno"))
        return [program for program in found if program is not None]

    def _program(self, kind: str) -> _Program | None:
        for path in find_programs(kind, self.path):
            version = version_of(path)
            if version is not None:
                return _Program(kind, path, version)
        return None


def _strips_types(version: Number) -> bool:
    return version >= _STRIPPING and not (23, 0, 0) <= version < _STRIPPING_23


def _node_command(node: _Program) -> tuple[str, ...]:
    if node.version < _DISABLES_WARNINGS:
        return (node.path,)
    # They are about how it reads the file, which is our choice rather than the author's.
    quiet = ("ExperimentalWarning", "MODULE_TYPELESS_PACKAGE_JSON")
    return (node.path, *(f"--disable-warning={name}" for name in quiet))


def _find_tsx(project: str) -> str | None:
    """Return the address of the module that lets Node.js read TypeScript, if the project has it."""
    for folder in (project, os.path.join(project, ".claude")):
        package = os.path.join(folder, "node_modules", "tsx")
        try:
            with open(os.path.join(package, "package.json"), encoding="utf-8") as file:
                main = json.load(file)["exports"]["."]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if isinstance(main, str):
            from pathlib import Path

            return Path(package, main).resolve().as_uri()
    return None


@cache
def version_of(path: str) -> Number | None:
    """Ask a program for its version; ``None`` when it does not answer like one."""
    try:
        answer = subprocess.run(
            [path, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS_TO_ANSWER,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = _VERSION.search(answer.stdout)
    if answer.returncode != 0 or match is None:
        return None
    return int(match[1]), int(match[2]), int(match[3])
