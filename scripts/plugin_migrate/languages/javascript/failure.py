"""What an author reads when a TypeScript or JavaScript migration fails: his own stack and paths."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from urllib.parse import unquote

from ...errors import MigrateError, StepFailed
from ...platform import system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...sandbox.context import Context
    from ..typescript import ScriptAction
    from .calls import Calls

_RUNNER = "javascript_runner.mjs"
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_URL = re.compile(r"file://(?:/(?=[A-Za-z]:))?((?:[A-Za-z]:)?/[^\s'\")]*)")  # or file:///C:/x
_FRAME = re.compile(
    r"^\s*at (?:.*?\()?(?:async )?(?P<file>(?:[A-Za-z]:)?[\\/].*?):(?P<line>\d+):\d+\)?$"
)
_ADVICE = {
    "ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX": (
        "Node.js only removes types: write it without what needs to be translated."
    ),
    "ERR_NO_TYPESCRIPT": (
        "This Node.js was built without TypeScript: install another one, Bun or Deno."
    ),
}


def failure_of(
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
    # An engine names a file as the system does.
    below = re.escape(context.workspace.claude + os.sep) + r"([^\"'\n]*)"
    message = re.sub(
        below, lambda found: f".claude/{system.slashed(found[1])}", mapped(failed["message"])
    )
    if line is None:
        line, shown = _syntax_error(failed, mapped, action.file)
        details = (shown,) if shown else () if line else details
    if failed["cause"]:
        lines = mapped(failed["cause"]).split("\n")
        shown = "\n".join(line for line in lines if _RUNNER not in line and "node:" not in line)
        details += (f"Caused by: {shown}",)
    return StepFailed(
        message,
        file=action.file,
        line=line,
        details=details,
        hint=_advice(failed, message) or _advice_on_database(failed, context),
    )


def _mapped(text: str, action: ScriptAction, file: str, context: Context) -> str:
    """Return a text with the paths that the author knows."""
    text = _COLOUR.sub("", text)  # Deno's, though it does not write to a terminal
    text = _URL.sub(lambda match: unquote(match[1]), text)
    # Some engines tell the name without the letter that says the kind of module.
    known = _pattern_of(os.path.splitext(file)[0]) + r"\.[mc]?[tj]s\b"
    text = re.sub(known, lambda _: action.file, text)
    text = re.sub(_pattern_of(str(context.claude)), lambda _: context.workspace.claude, text)
    return re.sub(_pattern_of(str(context.project)), lambda _: context.workspace.project, text)


def _pattern_of(path: str) -> str:
    """Return a pattern for a path, whichever separator an engine writes on Windows."""
    return r"[\\/]".join(map(re.escape, re.split(r"[\\/]", path)))


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
    # What follows is the way there.
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
    is_missing = re.search("Cannot find module|does not provide", message)
    if is_missing and re.search(r"[\\/]types\.", message):
        return "Import types with `import type`, which is removed before the file runs."
    if failed["code"] == "ERR_MODULE_NOT_FOUND" and "Cannot find module" in message:
        return "Write a helper's whole name, such as './_shared.ts'."
    return _ADVICE.get(str(failed["code"]))


def _advice_on_database(failed: dict[str, object], context: Context) -> str | None:
    path = context.database_in(str(failed["message"]))
    return path and (
        f"{path} is a database, which the copy of the files does not hold. Use"
        f" ctx.database('{path}'), ctx.moveDatabase(old, new) or ctx.removeDatabase(path)."
    )
