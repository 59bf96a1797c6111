"""Killing a process, or failing one of its system calls, at any change it makes to the disk.

``strace -e inject=NAME:when=k`` counts each system call by its own name, and per process; so a
point is a name and a number. What a migration starts is not followed: it works on staged copies
only, and dies when the command does. A killed call has not happened: the disk is as before it.
Never use ``--seccomp-bpf``: with it nothing is injected.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections import Counter
from pathlib import Path

from crash.children import Output, Work, run

# Everything that changes a file system or brings it to the disk; '?': not on every machine.
_CALLS = (
    "?open ?openat ?openat2 ?creat write pwrite64 writev pwritev ?rename ?renameat renameat2"
    " ?unlink unlinkat ?mkdir mkdirat ?rmdir ?link linkat ?symlink symlinkat ?chmod fchmod"
    " fchmodat ?chown fchown fchownat ?lchown truncate ftruncate fallocate fsync fdatasync"
    " sync_file_range syncfs utimensat copy_file_range sendfile"
).split()
_OPENS = ("open", "openat", "openat2", "creat")
_WRITING = re.compile(r"O_(WRONLY|RDWR|CREAT|TRUNC)")
_LINE = re.compile(r"(\w+)\((.*)")
_RELATIVE = re.compile(r'(AT_FDCWD, )?"[^/"]')

# The call's name, its number since the process began, and what it was about.
Point = tuple[str, int, str]


def is_usable() -> bool:
    """Return whether strace is there and may trace."""
    if shutil.which("strace") is None:
        return False
    with tempfile.TemporaryFile() as file:
        try:
            killed = kill(lambda: os.fsync(file.fileno()) or 0, ("fsync", 1, ""))
        except OSError:
            return False
    return killed.code == -signal.SIGKILL


def points(work: Work, root: Path) -> list[Point]:
    """Do ``work`` undisturbed; return every change it made below ``root``, in order."""
    with tempfile.NamedTemporaryFile("r") as log:
        done = _traced(work, "-y", "-s", "0", "-o", log.name, "-e", f"trace={','.join(_CALLS)}")
        assert done.code == 0, done.err
        return _parse(log.read(), str(root))


def _parse(log: str, root: str) -> list[Point]:
    found = []
    seen: Counter[str] = Counter()
    for line in log.splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        name, rest = match.groups()
        seen[name] += 1
        is_change = name not in _OPENS or _WRITING.search(rest)
        if is_change and (root in rest or _RELATIVE.match(rest)):
            found.append((name, seen[name], rest.replace(root, "")[:300]))
    return found


def kill(work: Work, point: Point) -> Output:
    """Do ``work`` until ``point``, where it dies of SIGKILL."""
    return _inject(work, point, "signal=KILL")


def fail(work: Work, point: Point, error: str) -> Output:
    """Do ``work`` with ``point`` answered by ``error``, such as ``EIO``."""
    return _inject(work, point, f"error={error}")


def _inject(work: Work, point: Point, what: str) -> Output:
    name, number, _ = point
    inject = f"inject={name}:{what}:when={number}"
    return _traced(work, "-o", os.devnull, "-e", f"trace={name}", "-e", inject)


def _traced(work: Work, *options: str) -> Output:
    tracers: list[subprocess.Popen[str]] = []

    def attach(child: int) -> None:
        tracer = subprocess.Popen(
            ["strace", *options, "-p", str(child)], stderr=subprocess.PIPE, text=True
        )
        tracers.append(tracer)
        assert tracer.stderr is not None
        said = tracer.stderr.readline()
        if "attached" not in said:
            os.kill(child, signal.SIGKILL)
            raise OSError(f"strace cannot attach: {said}")

    try:
        return run(work, before=attach)
    finally:
        for tracer in tracers:
            tracer.communicate()
