"""What Claude may have run unasked, and the proof that the user was asked about the rest.

Claude's own calls come through its shell, and ``ask_before.py`` puts a question before each that
runs migrations' code, writes, or points elsewhere. ``create`` and ``verify`` look harmless and are
not where they work on any folder, so the program itself wants to see that the user was asked: the
question leaves a note for exactly these arguments, which is good for one call.
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
_LOCAL = ("project", "database", "migrations", "plugin_dir")
_CHECKED = frozenset({"create", "verify"})
_VALID = 60 * 60  # seconds between question and call: the user may be away


def is_unasked(options: Namespace) -> bool:
    """Return whether a call neither runs migrations' code nor writes nor looks elsewhere."""
    only_reads = options.command in READING or (options.command == "verify" and options.lint_only)
    return only_reads and not any(getattr(options, name) for name in _LOCAL)


def leave(
    options: Namespace, arguments: Sequence[str], session: str, environment: Mapping[str, str]
) -> None:
    """Note that the user is asked about a call, if :func:`require` will want to see that.

    Raises:
        OSError, ValueError: the note cannot be left.
    """
    if options.command in _CHECKED and pointing_outside(options, environment):
        private.write(environment, _note_of(session, arguments), {"at": time.time()})


def require(options: Namespace, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    """Refuse a call of Claude's that points outside of the project, unless the user was asked.

    Parameters:
        options: the parsed command line.
        arguments: the command line as it was given.
        environment: the process's; Claude Code sets ``CLAUDECODE`` for what it runs.

    Raises:
        ConsentMissing: names the options.
    """
    if not environment.get("CLAUDECODE") or options.command not in _CHECKED:
        return
    outside = pointing_outside(options, environment)
    if not outside:
        return
    session = environment.get("CLAUDE_CODE_SESSION_ID", "")
    note = private.take(environment, _note_of(session, arguments)) if session else None
    if note is not None and 0 <= time.time() - note["at"] <= _VALID:
        return
    raise ConsentMissing(
        f"{options.command} with {' and '.join(outside)} works outside of this project, and the"
        " user was not asked",
        hint="Write the call out plainly, on its own, so that Claude Code can ask; or type it as"
        f" /plugin-migrate {options.command} ..., or run it in a terminal.",
    )


def pointing_outside(options: Namespace, environment: Mapping[str, str]) -> list[str]:
    """Return the options that name something outside of the session's project."""
    root = _project_of(environment)
    outside = []
    for name in _LOCAL:
        given = getattr(options, name)
        for path in given if isinstance(given, list) else [given] if given else []:
            if not is_inside(os.path.realpath(path), root):
                outside.append(f"--{name.replace('_', '-')}")
                break
    return outside


def _project_of(environment: Mapping[str, str]) -> str:
    try:
        return locate(environment=environment).project
    except NoProject:
        return os.path.realpath(environment.get("CLAUDE_PROJECT_DIR") or os.getcwd())


def _note_of(session: str, arguments: Sequence[str]) -> str:
    digest = hashlib.sha256(json.dumps(list(arguments)).encode()).hexdigest()
    return f"asked-{session}-{digest[:32]}"
