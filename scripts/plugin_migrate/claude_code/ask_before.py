"""Asks the user before Claude's shell runs a call of ours that changes, runs or looks elsewhere.

In every permission mode: an answer "ask" of a hook is honoured in all of them. What is no call of
ours passes without a word, and so do the calls that only read; the client's own rules decide then.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence

from ..platform import system
from .calls import Reading, ShellCall, read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_UNCERTAIN = (
    "plugin-migrate is named in this command, and what it would do cannot be read from it for"
    " certain"
)
_LARGEST = 16 * 1024 * 1024


def main() -> str:
    """Return the document that lets the client ask about the call on standard input, if need be.

    An empty one lets it pass; where there is none at all, ``hooks/ask-before`` asks itself.
    """
    call = json.loads(sys.stdin.buffer.read(_LARGEST))
    reason = reason_to_ask(call, os.environ)
    if reason is None:
        return "{}"
    return json.dumps(
        {
            "hookSpecificOutput": {
                "hookEventName": "PreToolUse",
                "permissionDecision": "ask",
                "permissionDecisionReason": reason,
            }
        }
    )


def reason_to_ask(call: Mapping[str, Any], environment: Mapping[str, str]) -> str | None:
    """Return what the user is to be asked about a call of the shell; ``None`` when nothing.

    Parameters:
        call: what the client tells the hook.
        environment: the hook's.
    """
    try:
        reading = read(call["tool_input"]["command"])
    except RecursionError:
        return _UNCERTAIN
    questions = [] if reading.is_certain else [_UNCERTAIN]
    outside: list[Sequence[str]] = []
    for one in reading.calls:
        try:
            asked = _asked(one, reading, call, environment, outside)
        except Exception:  # our own mistakes must not let a call through
            asked = _UNCERTAIN
        if asked is not None and asked not in questions:
            questions.append(asked)
    if questions:
        _leave_consent(outside, call, environment)
    return "; then ".join(questions) or None


def _leave_consent(
    outside: Sequence[Sequence[str]], call: Mapping[str, Any], environment: Mapping[str, str]
) -> None:
    from . import consent

    try:
        consent.leave(outside, call["session_id"], environment)
    except (OSError, ValueError, KeyError):
        pass  # the program refuses then, and says how else to call it


def _asked(
    one: ShellCall,
    reading: Reading,
    call: Mapping[str, Any],
    environment: Mapping[str, str],
    outside: list[Sequence[str]],
) -> str | None:
    """Return what is to be asked about one call.

    Parameters:
        outside: gets the call's arguments if the program will want to see that it was asked about.
    """
    if one.arguments is None:
        return _UNCERTAIN
    if set(one.arguments) & {"--slash", "--typed"}:
        return "plugin-migrate: call what /plugin-migrate calls as the user types it"
    from . import consent
    from .question import parsed, question

    options = parsed(one.arguments)
    if options is None or consent.is_unasked(options):
        return None
    # The shell's commands do not have it: they find the project from where the shell is.
    environment = {key: value for key, value in environment.items() if key != "CLAUDE_PROJECT_DIR"}
    folder = reading.folder
    if folder is None:
        text = "in another folder, whose plan is not known here"
    else:
        os.chdir(os.path.join(call.get("cwd") or "/", system.from_shell(folder)))
        text = question(options, environment)
    if consent.is_checked(options, environment):
        outside.append(one.arguments)
    return f"plugin-migrate {options.command}: {text}"
