"""Run the tests under the Windows Python: ``python tests/windows/run.py`` and pytest's arguments.

All but those about POSIX itself (``posix_only.txt``). Where there is no Windows Python, one line
says how many do not run.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import threading
from typing import IO

from installation import ROOT, environment, install, interpreter

# pytest's last line, with what came of how many.
_CLOSING = re.compile(r"(=+ )?\d+ [a-z]+(, \d+ [a-z]+)* in [\d.]+s")

_MOST_SECONDS = 2400
_LOST = 99  # no exit code of pytest's


def main(arguments: list[str]) -> int:
    """Run them, and return pytest's exit code."""
    # Since 3.13 Python warns of connections that nobody closes, wherever it comes to notice.
    calm = ["-W", "ignore::pytest.PytestUnraisableExceptionWarning"]
    pytest = ["-X", "utf8", "-m", "pytest", *calm, *arguments]
    if sys.platform == "win32":
        return subprocess.run([sys.executable, *pytest], cwd=ROOT).returncode
    problem = install()
    words = interpreter()
    if words is None:
        count = _count(arguments)
        print(f"no Windows Python: {problem}; {count} tests do not run under Windows")
        return 0
    with tempfile.TemporaryDirectory(prefix="plugin-migrate-windows-") as cache:
        remembering = ["-o", f"cache_dir=Z:{cache}".replace("/", "\\")]
        code = _run_under_wine([*words, *pytest, *remembering])
        # A process under Wine is lost now and then; what is broken fails the second time too.
        if code == _LOST:
            print("== once more, all of them", flush=True)
            code = _run_under_wine([*words, *pytest, *remembering])
        if code == 1:
            print("== once more, those that failed", flush=True)
            code = _run_under_wine([*words, *pytest, *remembering, "--last-failed"])
        return code


def _run_under_wine(command: list[str]) -> int:
    """Run a command there; return its exit code, or that it was lost before the tests ended."""
    variables = environment()
    if os.access("/dev/shm", os.W_OK):  # in memory, as on this system
        variables |= dict.fromkeys(("TMP", "TEMP"), "Z:\\dev\\shm")
    # Through a pipe: Wine gives no handle for a file that is open for writing only.
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdout is not None
    # In a thread: Wine's own processes hold the pipe open when its Python has crashed.
    reader = _Reader(process.stdout)
    reader.start()
    try:
        process.wait(_MOST_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        print(f"the tests did not end within {_MOST_SECONDS} seconds", flush=True)
        return 2
    reader.join(10)
    if not reader.has_seen_the_end:  # then Wine says 0 all the same
        print("the Windows Python ended before the tests did", flush=True)
        return _LOST
    return process.returncode


class _Reader(threading.Thread):
    def __init__(self, pipe: IO[bytes]) -> None:
        super().__init__(daemon=True)
        self._pipe = pipe
        self.has_seen_the_end = False

    def run(self) -> None:
        for line in self._pipe:
            text = line.decode(errors="replace").replace("\r\n", "\n")
            sys.stdout.write(text)
            sys.stdout.flush()
            self.has_seen_the_end = self.has_seen_the_end or _CLOSING.match(text) is not None


def _count(arguments: list[str]) -> int:
    """Return how many tests would run."""
    collecting = ["--for-windows", "--collect-only", "-q", "-p", "no:cacheprovider"]
    arguments = [one for one in arguments if one != "-q"]  # twice it says less
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *collecting, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    found = re.search(r"^(\d+)(?:/\d+)? tests? ", done.stdout, re.MULTILINE)
    return int(found[1]) if found else 0


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(code)  # not waiting for the pipe
