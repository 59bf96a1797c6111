"""A typed `/plugin-migrate ...`: it runs at once, and the user sees the outcome without the model.

Claude Code tells of a typed command, and only of one that was typed, by its ``UserPromptExpansion``
hook. The command runs there; its output goes to the screen before the model is asked anything. What
needs no model ends there. For the rest the output is kept as a note, which the command's own block
(``--slash``) hands to Claude: once, and without running anything.

When the model's service fails, the client proposes to send the message again. A command that has
changed something must not be done twice by that, so the note also tells that it was done: until a
turn of the session ends well, which the ``Stop`` hook notes. That a turn failed is not asked, for a
client in print mode ends before its ``StopFailure`` hook.
"""

from __future__ import annotations

import json
import re
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from ..cli.slash import CHANGING, MOST_BYTES, MOST_SHOWN, ONLY_SHOWN, fit, split_arguments
from ..errors import ConsentMissing, MigrateError
from . import consent, private

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

AGAIN = "--again"
_NO_MODEL = consent.READING | {"doctor", "--help", "-h", "--version", "-V"}
_ONLY_SHOWN = ONLY_SHOWN | {"--help", "-h"}
_ENDED = "Stop-{}"  # hooks/turn-moved leaves it
_SAFE = re.compile(r"[A-Za-z0-9-]{1,100}")

# From arguments to an exit code and everything that was printed.
Run = Callable[[Sequence[str]], tuple[int, bytes]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the command that was typed last in a session.

    ``text`` is what Claude gets, ``shown`` what
    the user saw; both are empty while the command runs. ``is_told`` says that Claude has got it,
    ``is_again`` that it was typed with ``--again``. ``at`` is when it ended, in seconds.
    """

    arguments: tuple[str, ...]
    project: str
    at: float
    code: int | None = None
    text: str = ""
    shown: str = ""
    is_told: bool = False
    is_again: bool = False

    @property
    def has_changed(self) -> bool:
        """Whether the command has done something that doing it again would do twice."""
        return self.code == 0 and _changes(self.arguments)


def answer(call: Mapping[str, Any], environment: Mapping[str, str], run: Run) -> dict[str, object]:
    """Run the command that the client says was typed, and return what the client is to show.

    Parameters:
        call: what the client tells its hook.
        environment: the hook's, which names the project.
        run: runs a command line of ours.
    """
    session = str(call["session_id"])
    project = environment.get("CLAUDE_PROJECT_DIR", "")
    try:
        arguments = split_arguments(str(call.get("command_args", "")).strip())
        is_again = arguments[-1:] == [AGAIN]
        if is_again:
            arguments = arguments[:-1]
        started = Outcome(tuple(arguments), project, time.time(), is_again=is_again)
        before = _read(environment, session)
        has_ended = private.exists(environment, _ENDED.format(session))
        if before is not None and not has_ended and _is_sent_again(before, started):
            return _block(_already_done(before))
        if not _needs_no_model(arguments):
            _write(environment, session, started)
            private.take(environment, _ENDED.format(session))
    except MigrateError as error:
        return _block(f"✗ Error: {error.message}" + (f"\n  {error.hint}" if error.hint else ""))
    except (OSError, ValueError) as error:
        return _block(f"✗ Error: The outcome could not be kept for Claude, so nothing ran: {error}")
    code, output = run(arguments)
    shown = fit(output, arguments, MOST_SHOWN).decode(errors="replace").strip("\n")
    if _needs_no_model(arguments):
        return _block(shown)
    text = fit(output, arguments, MOST_BYTES).decode(errors="replace")
    _write(
        environment,
        session,
        replace(started, at=time.time(), code=code, text=text, shown=shown),
    )
    return {"systemMessage": shown}


def tell(session: str, arguments: Sequence[str], environment: Mapping[str, str]) -> str:
    """Return what the command of a session printed, for Claude; only the first to ask gets it.

    Raises:
        ConsentMissing: no such command was typed, or Claude knows of it already.
    """
    kept = _read(environment, session) if _SAFE.fullmatch(session) else None
    if kept is None or kept.is_told or kept.arguments[:1] != tuple(arguments[:1]):
        raise ConsentMissing(
            "This call has nobody's consent: nothing was typed that it belongs to",
            hint="/plugin-migrate runs what the user types, where Claude Code (2.1.330 or later,"
            " with hooks switched on) says that it was typed. In a terminal: "
            + shlex.join(["plugin-migrate", *arguments]),
        )
    _write(environment, session, replace(kept, is_told=True))
    if kept.code is None:
        return (
            "✗ Error: plugin-migrate was ended before it could say the outcome; whatever it left"
            " half done, the next command finishes or undoes\n"
        )
    return kept.text


def _needs_no_model(arguments: Sequence[str]) -> bool:
    if not arguments or {"--help", "-h"} & set(arguments):
        return True
    return arguments[0] in _NO_MODEL


def _changes(arguments: Sequence[str]) -> bool:
    return bool({*CHANGING, "create", "new"} & set(arguments)) and not _ONLY_SHOWN & set(arguments)


def _is_sent_again(before: Outcome, now: Outcome) -> bool:
    """Return whether this is the message again that has done its work, if no turn ended since."""
    return _message(before) == _message(now) and before.has_changed


def _message(outcome: Outcome) -> tuple[object, ...]:
    return outcome.arguments, outcome.project, outcome.is_again


def _already_done(before: Outcome) -> str:
    # A message with the word that was sent again is known by it: without the word it is another.
    typed = shlex.join(["/plugin-migrate", *before.arguments, *[AGAIN][before.is_again :]])
    return (
        f"This was done {_ago(time.time() - before.at)}, and Claude has not answered since; it was"
        f" not done once more. Its outcome:\n\n{before.shown}\n\nTo do it again: {typed}"
    )


def _ago(seconds: float) -> str:
    count = max(round(seconds), 0)
    if count < 120:
        return f"{count} s ago"
    return f"{count // 60} minutes ago" if count < 7200 else f"{count // 3600} hours ago"


def _block(reason: str) -> dict[str, object]:
    return {"decision": "block", "reason": reason}


def _name(session: str) -> str:
    return f"typed-{session}"


def _read(environment: Mapping[str, str], session: str) -> Outcome | None:
    note = private.read(environment, _name(session))
    if note is None:
        return None
    try:
        return Outcome(**{**note, "arguments": tuple(note["arguments"])})
    except (KeyError, TypeError):
        return None  # another version's


def _write(environment: Mapping[str, str], session: str, outcome: Outcome) -> None:
    private.write(environment, _name(session), json.loads(json.dumps(asdict(outcome))))
