"""Migrations in TypeScript and JavaScript: ``export const migration = { up(ctx), down(ctx) }``.

The text is read with ``javascript_text.py`` and only executed as a step of a run, by a JavaScript
engine in a child process. What is loaded there is the text that was prepared, from a copy beside
the staged helpers of the migration: its file may have changed since, or be gone.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..errors import BrokenMigration, Irreversible, MigrateError, StepFailed
from . import javascript_text
from .javascript_text import Script

TYPE_CHECKING = False  # `status` reads these files too, and must not load what only runs them
if TYPE_CHECKING:
    from ..context import Context
    from ..workspace import Workspace
    from .javascript_calls import Calls
    from .javascript_runtime import Runtime

_TYPED = (".ts", ".mts")
_RUNNER = "javascript_runner.mjs"
_URL = re.compile(r"file://(/[^\s'\")]*)")
_FRAME = re.compile(r"^\s*at (?:.*?\()?(?:async )?(?P<file>/.*?):(?P<line>\d+):\d+\)?$")


@dataclass(frozen=True, slots=True)
class ScriptAction:
    """One function of a TypeScript or JavaScript migration, not executed."""

    source: str
    file: str
    direction: str
    is_module: bool
    touches_files = True
    atomic = True
    foreign_keys = False

    def require(self, workspace: Workspace) -> None:
        """Make sure that there is a JavaScript engine.

        Raises:
            NoRuntime: there is none that can run it.
        """
        self._runtime(workspace)

    def run(self, context: Context) -> None:
        """Execute the file in the run's child process and call its function.

        Raises:
            StepFailed: the author's code failed; carries the author's own stack.
        """
        from .javascript_calls import Calls
        from .javascript_child import Child, Died

        runtime = self._runtime(context.workspace)
        child = context.sessions.get(runtime, lambda: Child(runtime))
        calls = Calls(context)
        with _placed(self, context) as file:
            request = {
                "file": file,
                "direction": self.direction,
                "claude": str(context.claude),
                "folder": str(context.claude.parent),
            }
            try:
                outcome = child.run(request, calls.answer)
            except Died as died:
                raise StepFailed(f"The migration's process {died.how}", file=self.file) from None
        if "failed" in outcome:
            raise _failure(self, outcome["failed"], calls, file, context)
        unfinished = calls.open_edit()
        if unfinished is not None:
            raise StepFailed(
                f"The edit of {unfinished} was not finished when the migration returned",
                file=self.file,
                hint="Write: await ctx.editJson(...) where the function that edits is async.",
            )

    def _runtime(self, workspace: Workspace) -> Runtime:
        from .javascript_runtime import find_runtime

        return find_runtime(self.file.endswith(_TYPED), _project(workspace), self.file)


class TypeScript:
    """How TypeScript and JavaScript migrations are read and run."""

    def parse(self, text: str, file: str) -> Script:
        """Return what the text says about itself; what is computed there stays unknown."""
        return javascript_text.parse(text)

    def prepare(self, text: str, file: str, direction: str) -> ScriptAction:
        """Return the function for ``direction``, or refuse it before anything runs.

        Raises:
            BrokenMigration: it exports no migration.
            Irreversible: there is no ``down``.
        """
        script = javascript_text.parse(text)
        if not script.is_migration:
            raise BrokenMigration(
                "The file exports no migration with an up function",
                file=file,
                line=script.line or 1,
                hint="Write:  export const migration = { async up(ctx) { ... } };",
            )
        if direction == "down" and not script.has_down:
            raise Irreversible(
                "The migration has no down function, so it cannot be rolled back",
                file=file,
                hint="Write a new migration that undoes it, or restore a backup.",
            )
        is_module = script.is_module or file.endswith((".mts", ".mjs"))
        return ScriptAction(text, file, direction, is_module)


# --- where the text lies while it is loaded -------------------------------------------------------


@contextlib.contextmanager
def _placed(action: ScriptAction, context: Context) -> Iterator[str]:
    """Write the text to where its relative imports lead to the helpers beside it.

    The child removes it as soon as it is loaded: it is no part of the state. Its name says what
    kind of module it is, which else a ``package.json`` above would decide.
    """
    from .. import audit

    stem, suffix = os.path.splitext(os.path.basename(action.file))
    kind = ("m" if action.is_module else "c") + suffix[-2:]
    with audit.looking_away():
        folder = _folder(os.path.dirname(action.file), context)
        file = os.path.join(folder, f".{stem}.{kind}")
        with open(file, "x", encoding="utf-8", newline="") as copy:
            copy.write(action.source)
    try:
        yield file
    finally:
        with audit.looking_away(), contextlib.suppress(FileNotFoundError):
            os.unlink(file)


def _folder(folder: str, context: Context) -> str:
    """Return the staged copy of the migrations folder, or what stands in for it."""
    from ..workspace import is_inside

    workspace = context.workspace
    _share_packages(workspace)
    real = os.path.realpath(folder)
    if is_inside(real, workspace.claude):
        staged = os.path.join(context.claude, os.path.relpath(real, workspace.claude))
        if os.path.isdir(staged):
            return staged
    return context.sessions.get((_Mirror, real), lambda: _Mirror(real, workspace.scratch)).folder


class _Mirror:
    """A folder of ours from which everything around another folder can be reached by links."""

    is_usable = True

    def __init__(self, folder: str, scratch: str) -> None:
        above = os.path.join(scratch, "mirror")
        self.folder = os.path.join(above, os.path.basename(folder))
        os.makedirs(self.folder)
        _link_all(os.path.dirname(folder), above)
        _link_all(folder, self.folder)

    def close(self) -> None:
        """Return: the run's end removes all that lies in its scratch folder."""


def _link_all(source: str, target: str) -> None:
    for name in os.listdir(source) if os.path.isdir(source) else ():
        if not os.path.lexists(os.path.join(target, name)):
            os.symlink(os.path.join(source, name), os.path.join(target, name))


def _share_packages(workspace: Workspace) -> None:
    """Let a migration on a shadow copy import the packages that it finds above the original."""
    link = os.path.join(workspace.scratch, "node_modules")
    packages = os.path.join(_project(workspace), "node_modules")
    if workspace.live_claude and os.path.isdir(packages) and not os.path.lexists(link):
        os.symlink(packages, link)


def _project(workspace: Workspace) -> str:
    """Return the project itself, also for its shadow copy."""
    if workspace.live_claude:
        return os.path.dirname(workspace.live_claude)
    return workspace.project


# --- what its author reads when it fails ----------------------------------------------------------


def _failure(
    action: ScriptAction, failed: dict[str, object], calls: Calls, file: str, context: Context
) -> MigrateError:
    """Return the error for what the migration threw."""

    def mapped(text: object) -> str:
        return _mapped(str(text), action, file, context)

    cause = calls.errors[failed["id"]] if isinstance(failed["id"], int) else None
    frames, line = _own_frames(mapped(failed["stack"]), action.file)
    details: tuple[str, ...] = ("\n".join(frames),) if frames else ()
    if isinstance(cause, MigrateError):
        cause.file = cause.file or action.file
        cause.line = cause.line or (line if cause.file == action.file else None)
        cause.details = cause.details or details
        return cause
    message = mapped(failed["message"])
    if line is None:
        line, shown = _syntax_error(failed, mapped, action.file)
        details = (shown,) if shown else () if line else details
    if failed["cause"]:
        lines = mapped(failed["cause"]).split("\n")
        shown = "\n".join(line for line in lines if _RUNNER not in line and "node:" not in line)
        details += (f"Caused by: {shown}",)
    return StepFailed(
        message, file=action.file, line=line, details=details, hint=_advice(failed, message)
    )


def _mapped(text: str, action: ScriptAction, file: str, context: Context) -> str:
    """Return a text with the paths that the author knows."""
    from urllib.parse import unquote

    text = _URL.sub(lambda match: unquote(match[1]), text)
    # Some engines tell the name without the letter that says the kind of module.
    known = re.escape(os.path.splitext(file)[0]) + r"\.[mc]?[tj]s\b"
    text = re.sub(known, lambda _: action.file, text)
    return text.replace(str(context.claude), context.workspace.claude)


def _own_frames(stack: str, file: str) -> tuple[list[str], int | None]:
    """Return the author's frames of a stack, and the line in his file, innermost first."""
    frames: list[str] = []
    line = None
    last = 0
    for frame in stack.split("\n"):
        match = _FRAME.match(frame)
        if match is None or match["file"].endswith(_RUNNER) or "/node_modules/tsx/" in frame:
            continue
        frames.append(f"  {frame.strip()}")
        if match["file"] == file:
            line = line or int(match["line"])
            last = len(frames)
    # What stands behind it is the way there.
    return frames[: last or None], line


def _syntax_error(
    failed: dict[str, object], mapped: Callable[[object], str], file: str
) -> tuple[int | None, str]:
    """Return the line of a syntax error, and what the engine shows of it, each if it does."""
    if isinstance(failed["line"], int):
        return failed["line"], ""
    stack = mapped(failed["stack"])
    location = re.compile(re.escape(file) + r":(\d+)")
    at_top = location.match(stack)
    if at_top is not None:
        return int(at_top[1]), stack[at_top.end() :].split("\n\n")[0].strip("\n")
    told = location.search(mapped(failed["message"]))
    return (int(told[1]), "") if told else (None, "")


def _advice(failed: dict[str, object], message: str) -> str | None:
    if failed["code"] == "ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX":
        return "Node.js only removes types: write it without what needs to be translated."
    if failed["code"] == "ERR_MODULE_NOT_FOUND" and "types.js" in message:
        return "Import types with `import type`, which is removed before the file runs."
    return None


LANGUAGE = TypeScript()
