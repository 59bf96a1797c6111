"""The command line as Claude Code may call it: typed by the user, or by Claude in its shell.

``--typed`` and ``--slash`` are what the hook and the slash command's block call. Anything else is
an ordinary command line; in a session of Claude Code it may need the user's consent.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from ..cli.main import give_up, run_command
from ..cli.main import main as cli_main
from ..cli.output import Output
from ..errors import MigrateError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace


def main() -> int:
    """Run the process's command line and return its exit code."""
    return cli_main(run=_run)


def _run(arguments: list[str]) -> int:
    if arguments[:1] == ["--typed"]:
        return _run_typed(sys.stdin.read())
    if arguments[:1] == ["--slash"]:
        return _run_slash("".join(arguments[1:2]), sys.stdin.read())
    return run_command(arguments, os.environ, require=_require_consent)


def _run_typed(text: str) -> int:
    """Run what the user typed in Claude Code, and print what the client is to show of it."""
    import json

    from ..cli.slash import MOST_ROWS, captured
    from . import outcome

    environment = {**os.environ, "CLAUDECODE": "1"}
    answer = outcome.answer(
        json.loads(text),
        environment,
        lambda arguments: captured(lambda: run_command(list(arguments), environment, MOST_ROWS)),
    )
    sys.stdout.write(json.dumps(answer) + "\n")
    return 0


def _run_slash(session: str, text: str) -> int:
    """Print what the typed command of a session came to; Claude sees it on the one stream.

    Where the client's hooks do not tell what was typed, what only reads runs here.
    """
    from contextlib import redirect_stderr

    from ..cli import slash
    from . import outcome

    output = Output(None, is_json=False, environment=os.environ)
    with redirect_stderr(sys.stdout):
        try:
            project, arguments = slash.read_command(text)
        except UsageError as error:
            return give_up(error, output, verbose=False)
        try:
            sys.stdout.write(outcome.tell(session, arguments, os.environ))
            return 0
        except MigrateError as error:
            if not _only_reads(arguments):
                return give_up(error, output, verbose=False)
        environment = {**os.environ, "CLAUDE_PROJECT_DIR": project, "CLAUDECODE": "1"}
        code, printed = slash.captured(lambda: run_command(arguments, environment, slash.MOST_ROWS))
        sys.stdout.buffer.write(slash.fit(printed, arguments, slash.MOST_BYTES))
        return code


def _only_reads(arguments: list[str]) -> bool:
    from . import consent
    from .question import parsed

    options = parsed(arguments)
    return options is None or consent.is_unasked(options)


def _require_consent(options: Namespace, arguments: Sequence[str]) -> None:
    if os.environ.get("CLAUDECODE"):
        from . import consent

        consent.require(options, arguments, os.environ)
