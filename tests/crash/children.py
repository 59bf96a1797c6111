"""Forked children: a command's own process, without the interpreter's start."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import dataclass

_PR_SET_PTRACER = 0x59616D61

Work = Callable[[], int]


@dataclass(frozen=True)
class Output:
    """How a child ended (its exit code, or minus a signal's number) and what it said."""

    code: int
    out: str
    err: str


def run(work: Work, before: Callable[[int], None] | None = None) -> Output:
    """Do ``work`` in a child and return how it ended.

    Parameters:
        work: returns the exit code.
        before: is called with the child's number while the child waits to begin.
    """
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        child = os.fork()
        if child == 0:
            os._exit(_live(work, out.fileno(), err.fileno(), before is not None))
        if before is not None:
            os.waitpid(child, os.WUNTRACED)
            before(child)
            os.kill(child, signal.SIGCONT)
        _, status = os.waitpid(child, 0)
        out.seek(0)
        err.seek(0)
        return Output(os.waitstatus_to_exitcode(status), out.read(), err.read())


def _live(work: Work, out: int, err: int, waits: bool) -> int:
    os.dup2(out, 1)
    os.dup2(err, 2)
    try:
        if waits:
            # Yama lets only an ancestor trace, unless the process itself allows more.
            ctypes.CDLL(None).prctl(_PR_SET_PTRACER, ctypes.c_ulong(-1), 0, 0, 0)
            os.kill(os.getpid(), signal.SIGSTOP)
        return work()
    except BaseException:
        traceback.print_exc()
        return 70
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
