"""Running git on a repository that may come from anywhere.

A repository's settings can name programs, and git runs them: hooks, a file system monitor, filters,
signature checks, transports. Only questions are asked here, none of them of a kind that applies
filters, and what could still start a program is switched off. Reading commands never get here.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable

from ..platform import system
from ..platform.programs import find_programs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO

_PATIENCE = 60.0  # seconds
_OPTIONS = (
    "--no-pager",
    "--no-optional-locks",
    "--no-replace-objects",
    "-c",
    "core.fsmonitor=false",
    "-c",
    f"core.hooksPath={os.devnull}",
    "-c",
    "log.showSignature=false",
    # A partial clone would fetch what it lacks, by whatever program its settings name.
    "-c",
    "protocol.allow=never",
)
# Which repositories the user trusts stands in these; everything else would point git elsewhere.
_KEPT = frozenset({"GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM"})


class Repository:
    """The repository around a folder.

    Parameters:
        folder: absolute; what is asked is relative to it.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def ask(self, *arguments: str, given: bytes = b"", codes: tuple[int, ...] = (0,)) -> bytes:
        """Return what git answers.

        Parameters:
            given: its standard input.
            codes: exit codes that are an answer.

        Raises:
            NoAnswer: git is not here, refuses the repository, fails, or takes too long.
        """
        return _run(self.folder, arguments, given, codes, subprocess.PIPE) or b""

    def ask_into(self, file: IO[bytes], *arguments: str, given: bytes) -> None:
        """Have git answer into a file: what it says may be large.

        Raises:
            NoAnswer: see :meth:`ask`.
        """
        _run(self.folder, arguments, given, (0,), file)

    def ignored(self, paths: Iterable[str]) -> frozenset[str]:
        """Return those of ``paths`` that git is to leave out.

        Raises:
            NoAnswer: see :meth:`ask`.
        """
        # A colon at the beginning would be git's own language.
        given = b"".join(b"./" + os.fsencode(path) + b"\0" for path in paths)
        if not given:
            return frozenset()
        # 1: none of them is (https://git-scm.com/docs/git-check-ignore).
        said = self.ask("check-ignore", "-z", "--stdin", given=given, codes=(0, 1))
        return frozenset(path.removeprefix("./") for path in _paths(said))

    def listed(self, *which: str) -> frozenset[str]:
        """Return the paths that ``git ls-files`` lists, relative to the folder.

        Raises:
            NoAnswer: see :meth:`ask`.
        """
        return _paths(self.ask("ls-files", "-z", *which, "--", "."))


class NoAnswer(Exception):
    """Git could not be asked; the text says why."""


def _paths(said: bytes) -> frozenset[str]:
    return frozenset(map(os.fsdecode, filter(None, said.split(b"\0"))))


def _run(
    folder: str,
    arguments: tuple[str, ...],
    given: bytes,
    codes: tuple[int, ...],
    output: int | IO[bytes],
) -> bytes | None:
    variables = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_") or name in _KEPT
    }
    program = next(find_programs("git"), None)
    if program is None:
        raise NoAnswer("git is not installed")
    variables |= {"GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            [program, *_OPTIONS, *arguments],
            cwd=folder,
            env=variables,
            input=given,
            stdout=output,
            stderr=subprocess.PIPE,
            timeout=_PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NoAnswer(f"git did not answer within {_PATIENCE:.0f} s") from None
    except OSError as error:
        raise NoAnswer(system.reason_of(error)) from None
    if done.returncode not in codes:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise NoAnswer(lines[0] if lines else f"git ended with exit code {done.returncode}")
    return done.stdout
