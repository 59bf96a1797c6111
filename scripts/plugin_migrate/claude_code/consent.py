"""What Claude may have run unasked, and the proof that the user was asked about the rest.

Claude's own calls come through its shell, and ``ask_before.py`` puts a question before each that
runs migrations' code, writes, or points elsewhere. ``create`` and ``verify`` look harmless and are
not where they work on any folder, so the program itself wants to see that the user was asked: the
question leaves a note for exactly these arguments, which is good for one call. The next question
takes its place, and it ends when the user says something else: after a No it is worth nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence

from ..errors import ConsentMissing, NoProject
from ..workspace import is_inside, locate
from . import private

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

# `doctor` reads too, but starts programs that PATH names, which may be a project's own.
READING = frozenset({"status", "history", "check", "show", "help", "completion"})
# What makes a call look at another place than the session's project.
LOCAL = ("project", "database", "migrations", "plugin_dir")
_CHECKED = frozenset({"create", "verify"})
_VALID = 60 * 60  # seconds between question and call: the user may be away
_SPOKE = "UserPromptSubmit-{}"  # hooks/turn-moved leaves it


def is_unasked(options: Namespace) -> bool:
    """Return whether a call neither runs migrations' code nor writes nor looks elsewhere."""
    only_reads = options.command in READING or (options.command == "verify" and options.lint_only)
    return only_reads and not any(getattr(options, name) for name in LOCAL)


def is_checked(options: Namespace, environment: Mapping[str, str]) -> bool:
    """Return whether :func:`require` will want to see that the user was asked about a call."""
    return options.command in _CHECKED and bool(pointing_outside(options, environment))


def leave(calls: Sequence[Sequence[str]], session: str, environment: Mapping[str, str]) -> None:
    """Note the calls that the user is asked about now; what was asked before is void.

    Parameters:
        calls: the command lines for which :func:`is_checked` holds, of one question.

    Raises:
        OSError, ValueError: the note cannot be left.
    """
    name = _note_of(session)
    if calls or private.exists(environment, name):
        digests = [_digest(arguments) for arguments in calls]
        private.write(environment, name, {"at": time.time(), "calls": digests})
        private.take(environment, _SPOKE.format(session))


def require(options: Namespace, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    """Refuse a call of Claude's that points outside of the project, unless the user was asked.

    Parameters:
        options: the parsed command line.
        arguments: the command line as it was given.
        environment: the process's; Claude Code sets ``CLAUDECODE`` for what it runs.

    Raises:
        ConsentMissing: names the options.
    """
    if not environment.get("CLAUDECODE") or not is_checked(options, environment):
        return
    session = environment.get("CLAUDE_CODE_SESSION_ID", "")
    if session and _take(arguments, session, environment):
        return
    outside = pointing_outside(options, environment)
    raise ConsentMissing(
        f"{options.command} with {' and '.join(outside)} works outside of this project, and the"
        " user was not asked",
        hint="Write the call out plainly, on its own, so that Claude Code can ask; or type it as"
        f" /plugin-migrate {options.command} ..., or run it in a terminal.",
    )


def _take(arguments: Sequence[str], session: str, environment: Mapping[str, str]) -> bool:
    """Return, once, whether a call is one that the user was asked about last."""
    name, digest = _note_of(session), _digest(arguments)
    note = private.read(environment, name)
    if note is None or digest not in note["calls"]:
        return False
    if private.take(environment, name) is None:  # another call was faster
        return False
    note["calls"].remove(digest)
    if note["calls"]:
        private.write(environment, name, note)
    is_late = not 0 <= time.time() - note["at"] <= _VALID
    return not is_late and not private.exists(environment, _SPOKE.format(session))


def pointing_outside(options: Namespace, environment: Mapping[str, str]) -> list[str]:
    """Return the options that name something outside of the session's project."""
    root = _project_of(environment)
    outside = ["--user"] if options.user else []
    for name in LOCAL:
        given = getattr(options, name)
        for path in given if isinstance(given, list) else [given] if given else []:
            if not is_inside(os.path.realpath(path), root):
                outside.append(f"--{name.replace('_', '-')}")
                break
    if takes_from_outside(options, environment):
        outside.append("--from")
    return outside


def takes_from_outside(options: Namespace, environment: Mapping[str, str]) -> bool:
    """Return whether ``--from`` names something outside of the session's project."""
    if not getattr(options, "origin", None):
        return False
    root = _project_of(environment)
    if options.command == "create":
        return not is_inside(os.path.realpath(options.name), root)
    # Relative to the project, whose paths with `..` in them the program refuses.
    path = options.origin.partition(":")[2].partition("#")[0]
    return not is_inside(os.path.realpath(os.path.join(root, path)), root)


def _project_of(environment: Mapping[str, str]) -> str:
    try:
        return locate(environment=environment).project
    except NoProject:
        return os.path.realpath(environment.get("CLAUDE_PROJECT_DIR") or os.getcwd())


def _note_of(session: str) -> str:
    return f"asked-{session}"


def _digest(arguments: Sequence[str]) -> str:
    return hashlib.sha256(json.dumps(list(arguments)).encode()).hexdigest()
