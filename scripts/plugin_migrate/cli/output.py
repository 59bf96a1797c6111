"""Where results go: text as it comes, or exactly one JSON document at the end."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from ..errors import Interrupted, MigrateError
from ..platform import system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

    from ..render.style import Style

    Text = Callable[[Style], str]
    Document = Callable[[], dict[str, object]]


_OF_CLAUDE_CODE = 76


class Output:
    """Prints the results of one command, of one source or of several.

    Parameters:
        command: its name, for the document; ``None`` while it is unknown.
        is_json: one JSON document instead of text.
        environment: the process's environment variables.
        is_quiet: of text only what is wrong.
    """

    def __init__(
        self,
        command: str | None,
        is_json: bool,
        environment: Mapping[str, str],
        is_quiet: bool = False,
    ) -> None:
        self.is_json = is_json
        self._is_quiet = is_quiet
        self._environment = environment
        # What calls that we propose need, so that they concern the source that is shown.
        self.option = ""
        self._command = command
        self._sources: list[dict[str, object]] | None = None
        self._source: str | None = None
        self._has_text = False

    def share_document(self) -> None:
        """Announce results of several sources: they share one document, under headings."""
        self._sources = []

    def of_source(self, source: str | None, option: str, folder: str | None = None) -> None:
        """Announce whose result comes next.

        Parameters:
            source: the plugin's name, ``None`` for the project's own.
            option: what names it on the command line.
            folder: the user's own folder, if its state is there.
        """
        self._source, self.option = source, option
        if self._sources is not None and not (self.is_json or self._is_quiet):
            title = f"Plugin {source}" if source else "This project"
            title += f", in {folder}" if folder else ""
            print(f"\n{title}:" if self._has_text else f"{title}:", flush=True)

    def result(self, text: Text, document: Document, ok: bool = True) -> None:
        """Print a result the way the user asked for it."""
        if self.is_json:
            self._add(document(), ok)
        elif not (self._is_quiet and ok):
            self._has_text = True
            shown = text(style_of(sys.stdout, self._environment, self.option))
            if not (sys.stdout.isatty() and _paged(shown)):
                print(shown, flush=True)

    def confirmed(self, text: Text, question: str) -> bool | None:
        """Show something at the terminal and ask about it; anything but a yes is a no.

        Returns:
            The answer; ``None`` where nobody can be asked, and nothing was shown.

        Raises:
            Interrupted: the user gave up.
        """
        if self.is_json or not (sys.stdin.isatty() and sys.stdout.isatty()):
            return None
        print(text(style_of(sys.stdout, self._environment, self.option)))
        try:
            print(f"\n{question} [y/N] ", end="", flush=True)
            answer = sys.stdin.readline()
        except KeyboardInterrupt:
            print()
            raise Interrupted("Interrupted before anything was done") from None
        return answer.strip().lower() in ("y", "yes")

    def failure(
        self,
        error: MigrateError,
        text: Text,
        document: Document,
        shown: Callable[[str], str],
    ) -> None:
        """Print why a command failed; ``text`` goes to stderr."""
        option = self.option_for(error)
        if self.is_json:
            from ..render.errors import error_json

            self._add(document() | {"error": error_json(error, shown, option)}, False)
        else:
            self._has_text = True
            sys.stdout.flush()
            print(text(style_of(sys.stderr, self._environment, option)), file=sys.stderr)

    def error(self, error: MigrateError, shown: Callable[[str], str]) -> None:
        """Print an error that is all there is to say of a source."""
        from ..render.errors import error_text

        self.failure(error, lambda style: error_text(error, shown, style), dict, shown)

    def give_up(self, error: MigrateError, shown: Callable[[str], str]) -> None:
        """Print the error that ends the command, of one source or of several."""
        self._sources = None
        self.error(error, shown)

    def option_for(self, error: MigrateError) -> str:
        """Return the option with which proposed calls concern the source of an error."""
        if error.option is not None:
            return error.option
        if error.source == "":
            return self.option
        return f"--plugin {error.source}" if error.source else ""

    def finish(self) -> None:
        """Print the document about several sources."""
        if self.is_json and self._sources is not None:
            ok = all(source["ok"] for source in self._sources)
            print_json(self._head(ok) | {"sources": self._sources})

    def _add(self, document: dict[str, object], ok: bool) -> None:
        if self._sources is None:
            print_json(self._head(ok) | document)
        else:
            self._sources.append({"source": self._source, "ok": ok} | document)

    def _head(self, ok: bool) -> dict[str, object]:
        return {"schema": 1, "command": self._command, "ok": ok}


def style_of(stream: TextIO, environment: Mapping[str, str], option: str = "") -> Style:
    """Return how text looks on ``stream``: as wide as its terminal, or as ``COLUMNS`` says.

    What is written elsewhere is as wide as it gets, but Claude Code shows it to a person in some 76
    columns. ``NO_COLOR`` (https://no-color.org) and ``FORCE_COLOR`` (https://force-color.org) say
    more than the terminal does, and the former more than the latter.

    Parameters:
        option: names the source in the calls that the text proposes.
    """
    from ..render.style import Style

    is_forced = environment.get("FORCE_COLOR", "") not in ("", "0")
    is_refused = bool(environment.get("NO_COLOR"))
    if not stream.isatty():
        columns = environment.get("COLUMNS", "")
        given = int(columns) if columns.isascii() and columns.isdigit() else 0
        width = given or (_OF_CLAUDE_CODE if environment.get("CLAUDECODE") else None)
        return Style(is_forced and not is_refused, width, option)
    import shutil

    color = not is_refused and (is_forced or environment.get("TERM") != "dumb")
    color = color and system.shows_colors(stream)
    return Style(color, shutil.get_terminal_size().columns, option)


def with_color(environment: Mapping[str, str], choice: str) -> Mapping[str, str]:
    """Return the environment in which the variables about colour say what ``--color`` says.

    Parameters:
        choice: ``auto``, ``always`` or ``never``.
    """
    if choice == "never":
        return {**environment, "NO_COLOR": "1"}
    if choice == "always":
        return {**environment, "NO_COLOR": "", "FORCE_COLOR": "1"}
    return environment


def _paged(text: str) -> bool:
    from .pager import page

    return page(text)


def print_json(document: dict[str, object]) -> None:
    """Print one JSON document."""
    import json

    print(json.dumps(document, indent=2, ensure_ascii=True, default=str))


def print_cause(error: MigrateError) -> None:
    """Print the Python traceback of an error, for ``--verbose``."""
    if error.__cause__ is not None:
        import traceback

        traceback.print_exception(error, file=sys.stderr)


@contextmanager
def stdout_kept_clean() -> Iterator[None]:
    """Send what a migration or its child processes print to stderr: stdout is for the result."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
