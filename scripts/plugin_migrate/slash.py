r"""What the slash command's heredoc delivers, back to a project and a list of arguments.

The client puts the project's folder on the first line and the user's arguments in brackets behind
it. It turns ``!`` at the start of a word into ``\!``, and cuts the arguments at three backticks,
which the missing bracket shows (design, "Claude Code").
"""

from __future__ import annotations

import re
import shlex

from .errors import UsageError

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
