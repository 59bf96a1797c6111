r"""The slash command: what its heredoc delivers, and output of a size that Claude gets to see.

The client puts the project's folder on the first line and the user's arguments in brackets behind
it. It turns ``!`` at the start of a word into ``\!``, and cuts the arguments at three backticks,
which the missing bracket shows. Of more than 30,000 bytes of output Claude sees the first 2,000
only (design, "Claude Code").
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise

from .errors import UsageError

MOST_BYTES = 28_000
MOST_ROWS = 80

_HEAD_BYTES = 8_000
# The end says how it ended; and a document, which must stay whole, comes last.
_TAIL_BYTES = MOST_BYTES - _HEAD_BYTES - 1_000
_DOCUMENT_BYTES = _TAIL_BYTES - 4_000
_CHANGING = {"upgrade", "downgrade", "sync", "repair", "baseline", "restore"}

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
        raise UsageError(
            "Claude Code cut the arguments, as it does at three backticks",
            hint="Leave the backticks out.",
        )
    typed = _ESCAPED_BANG.sub(r"\1!", rest[:-1])
    try:
        return project, shlex.split(typed)
    except ValueError:
        raise UsageError(
            f"A quote in the arguments is not closed: {typed}",
            hint="Close it, or put a backslash before it.",
        ) from None


@contextmanager
def fitted_output(arguments: Sequence[str], is_json: bool) -> Iterator[None]:
    """Keep what is printed within this block, and print of it at the end what Claude gets to see.

    That is stdout and stderr, also of migrations and of their child processes.

    Parameters:
        arguments: the command line, to name the command that shows the rest.
        is_json: whether a JSON document is to stay one.
    """
    from tempfile import TemporaryFile

    with TemporaryFile() as kept:
        streams = [(stream, os.dup(stream.fileno())) for stream in (sys.stdout, sys.stderr)]
        for stream, _ in streams:
            stream.flush()
            os.dup2(kept.fileno(), stream.fileno())
        try:
            yield
        finally:
            for stream, descriptor in streams:
                stream.flush()
                os.dup2(descriptor, stream.fileno())
                os.close(descriptor)
            kept.seek(0)
            output = fit(kept.read(), arguments, is_json)
            sys.stdout.buffer.write(output)
            sys.stdout.flush()


def fit(output: bytes, arguments: Sequence[str], is_json: bool) -> bytes:
    """Return ``output``, or its beginning and its end with a word on what is left out between.

    The result has at most :data:`MOST_BYTES`. See :func:`fitted_output` for the parameters.
    """
    if is_json and len(output) > MOST_BYTES:
        output = _with_small_document(output, arguments)
    if len(output) <= MOST_BYTES:
        return output
    head, tail = _first_lines(output[:_HEAD_BYTES]), _last_lines(output[-_TAIL_BYTES:])
    between = output[len(head) : -len(tail)]
    lines = between.count(b"\n")
    notice = (
        f"[{lines:,} lines ({len(between):,} bytes) are left out here, because Claude Code takes"
        f" only 30,000 bytes. In a terminal, {_command_for_all(arguments)}]\n"
    )
    return b"\n".join([head.rstrip(b"\n"), notice.encode(), tail])


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
    is_only_shown = {"--dry-run", "--preview"} & set(arguments)
    if _CHANGING & set(arguments) and not is_only_shown:
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


def _with_small_document(output: bytes, arguments: Sequence[str]) -> bytes:
    """Return ``output`` with a document in it that is still one, without its long lists."""
    import json

    # It comes last, and no line within it is a brace alone.
    start = (b"\n" + output).rfind(b"\n{\n")
    end = output.find(b"\n}\n", start) + len(b"\n}\n")
    try:
        document = json.loads(output[start:end])
    except ValueError:  # the traceback of `--verbose` came later, and looked like one
        return output
    left_out: dict[str, int] = {}
    by_size = sorted(document, key=lambda key: len(json.dumps(document[key])), reverse=True)
    while len(json.dumps(document, indent=2)) > _DOCUMENT_BYTES:
        key = by_size.pop(0)
        value = document.pop(key)
        if key == "error":  # what went wrong is never left out, only how it looked
            texts = {name: value[name] for name in ("code", "message", "hint")}
            document[key] = {name: text and text[:2_000] for name, text in texts.items()}
        else:
            left_out[key] = len(value) if isinstance(value, list | dict) else 1
        document["left_out"] = {
            "counts": left_out,
            "reason": "Claude Code takes only 30,000 bytes",
            "hint": f"In a terminal, {_command_for_all(arguments)}",
        }
    small = json.dumps(document, indent=2) + "\n"
    return output[:start] + small.encode() + output[end:]
