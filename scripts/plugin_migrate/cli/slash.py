r"""The slash command: what its heredoc delivers, and output of a size that Claude Code shows.

The client puts the project's folder on the first line and the user's arguments in brackets after
it. It turns ``!`` at the start of a word into ``\!``, and cuts the arguments at three backticks,
which the missing bracket shows. Of more than 30,000 bytes of output Claude sees the first 2,000
only, and of more than 10,000 from a hook the user sees as little (design, "Claude Code").
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise

from ..errors import UsageError
from ..platform import system
from .arguments import wants_json

MOST_BYTES = 28_000
MOST_SHOWN = 9_500
MOST_ROWS = 80

CHANGING = frozenset(
    "upgrade downgrade rollback redo sync repair baseline renumber restore".split()
)
ONLY_SHOWN = frozenset({"--dry-run", "-n", "--preview"})

_ESCAPED_BANG = re.compile(r"(^|\s)\\!")


def read_command(text: str) -> tuple[str, list[str]]:
    """Return the project's folder and the arguments in what the slash command wrote.

    Raises:
        UsageError: the arguments were cut, or a quote in them is not closed.
    """
    # The bracket as well: a folder's name may hold a line feed.
    project, _, rest = text.partition("\n[")
    rest = rest.rstrip("\n")
    if not rest.endswith("]"):
        raise _cut()
    return project, split_arguments(_ESCAPED_BANG.sub(r"\1!", rest[:-1]))


def split_arguments(typed: str) -> list[str]:
    """Return the arguments in what the user typed, split as a shell splits them.

    Raises:
        UsageError: the client cuts them, or a quote is not closed.
    """
    if "```" in typed:
        raise _cut()
    try:
        words = shlex.shlex(typed, posix=True)
        words.whitespace_split, words.commenters, words.escape = True, "", system.ESCAPE
        return list(words)
    except ValueError:
        raise UsageError(
            f"A quote in the arguments is not closed: {typed}",
            hint="Close it, or put quotes of the other kind around it.",
        ) from None


def _cut() -> UsageError:
    return UsageError(
        "Claude Code cut the arguments, as it does at three backticks",
        hint="Leave the backticks out.",
    )


def captured(run: Callable[[], int]) -> tuple[int, bytes]:
    """Return what ``run`` returns, and all that it prints on stdout and stderr.

    That is also what migrations and their child processes print.
    """
    from tempfile import TemporaryFile

    with TemporaryFile() as kept:
        streams = [(stream, os.dup(stream.fileno())) for stream in (sys.stdout, sys.stderr)]
        for stream, _ in streams:
            stream.flush()
            os.dup2(kept.fileno(), stream.fileno())
        try:
            code = run()
        finally:
            for stream, descriptor in streams:
                stream.flush()
                os.dup2(descriptor, stream.fileno())
                os.close(descriptor)
        kept.seek(0)
        return code, kept.read().replace(os.linesep.encode(), b"\n")


def fit(output: bytes, arguments: Sequence[str], most: int) -> bytes:
    """Return ``output``, or its beginning and its end with a word on what is left out between.

    A JSON document cannot be cut: a short one that says so takes its place.

    Parameters:
        output: what a command printed.
        arguments: its command line, to name the command that shows the rest.
        most: bytes that the result may have.
    """
    if len(output) <= most:
        return output
    if wants_json(arguments):
        return _document_too_long(len(output), arguments, most)
    # The end says how it ended, so it gets more room.
    room = most - 1_000
    head, tail = _first_lines(output[: room * 3 // 10]), _last_lines(output[-room * 7 // 10 :])
    between = output[len(head) : -len(tail)]
    lines = between.count(b"\n")
    notice = (
        f"[{lines:,} lines ({len(between):,} bytes) are left out here, because Claude Code takes"
        f" only {_limit(most)} bytes. In a terminal, {_command_for_all(arguments)}]\n"
    )
    return b"\n".join([head.rstrip(b"\n"), notice.encode(), tail])


def _limit(most: int) -> str:
    return "30,000" if most == MOST_BYTES else "10,000"


def _first_lines(part: bytes) -> bytes:
    end = part.rfind(b"\n") + 1
    # One very long line: as much of it as there is room for, in whole characters.
    return part[:end] if end > len(part) // 2 else _whole_characters(part)


def _last_lines(part: bytes) -> bytes:
    start = part.find(b"\n") + 1
    return part[start:] if 0 < start < len(part) // 2 else _whole_characters(part)


def _whole_characters(part: bytes) -> bytes:
    return part.decode(errors="ignore").encode()


def _command_for_all(arguments: Sequence[str]) -> str:
    """Return where all of the output is to be had; running an upgrade again would not show it."""
    is_only_shown = ONLY_SHOWN & set(arguments)
    if CHANGING & set(arguments) and not is_only_shown:
        history = shlex.join(["plugin-migrate", "history", *_source_in(arguments)])
        return f"`{history}` shows what was done"
    command = shlex.join(["plugin-migrate", *arguments])
    return f"`{command}` shows all of it" if len(command) < 300 else "the command shows all of it"


def _source_in(arguments: Sequence[str]) -> list[str]:
    """Return the arguments that choose the source, so that a proposal is about the same one."""
    chosen = []
    for one, two in pairwise([*arguments, ""]):
        if one in ("--plugin", "--plugin-dir"):
            chosen += [one, two]
        elif one == "--all" or one.startswith(("--plugin=", "--plugin-dir=")):
            chosen.append(one)
    return chosen


def _document_too_long(size: int, arguments: Sequence[str], most: int) -> bytes:
    import json

    error = {
        "code": "output_too_long",
        "message": f"The command has ended, but its document of {size:,} bytes is not shown: Claude"
        f" Code takes only {_limit(most)}",
        "hint": f"In a terminal, {_command_for_all(arguments)}",
    }
    command = next((one for one in arguments if not one.startswith("-")), None)
    document = {"schema": 1, "command": command, "ok": False, "error": error}
    return (json.dumps(document, indent=2) + "\n").encode()
