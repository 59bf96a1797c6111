"""Running a command line in the test's own process, where starting one takes seconds (Wine)."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

IS_WANTED = sys.platform == "win32" or bool(os.environ.get("PLUGIN_MIGRATE_TESTS_IN_PROCESS"))

_WANTED_ON_WINDOWS = "SYSTEMROOT COMSPEC PATHEXT TMP TEMP USERNAME NODE_SKIP_PLATFORM_CHECK".split()
NEEDED = {name: os.environ[name] for name in _WANTED_ON_WINDOWS if name in os.environ}
"""What no process on Windows can do without, to be added to a test's environment."""


def run(
    main: Callable[[], int],
    arguments: Sequence[str],
    cwd: Path,
    environment: Mapping[str, str],
    given: str = "",
) -> tuple[int, str, str]:
    """Call ``main`` as a process of these arguments would; return its code, stdout and stderr.

    The descriptors are exchanged too: so the files are what a child process writes to as well.
    """
    with ExitStack() as stack:
        files = [stack.enter_context(TemporaryFile()) for _ in range(3)]
        files[0].write(given.encode())
        files[0].seek(0)
        before = os.getcwd(), dict(os.environ), sys.argv, sys.path[:]
        stack.enter_context(_streams(files))
        os.chdir(cwd)
        _put_environment(environment)
        sys.argv = ["plugin-migrate", *arguments]
        try:
            code = main()
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else int(bool(error.code))
        finally:
            os.chdir(before[0])
            _put_environment(before[1])
            sys.argv, sys.path[:] = before[2:]
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
        return code, *map(_text_of, files[1:])


def _put_environment(variables: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(variables)


def _text_of(file: IO[bytes]) -> str:
    file.seek(0)
    # As `subprocess` reads text.
    return file.read().decode().replace("\r\n", "\n")


@contextmanager
def _streams(files: Sequence[IO[bytes]]) -> Iterator[None]:
    """Put files in the place of the standard streams."""
    streams = sys.stdin, sys.stdout, sys.stderr
    for stream in streams[1:]:
        stream.flush()
    kept = [os.dup(number) for number in range(3)]
    try:
        for number, file in enumerate(files):
            os.dup2(file.fileno(), number)
        sys.stdin, sys.stdout, sys.stderr = (
            open(number, mode, buffering, encoding="utf-8", closefd=False)  # noqa: SIM115
            for number, (mode, buffering) in enumerate((("r", -1), ("w", -1), ("w", 1)))
        )
        yield
    finally:
        sys.stdin, sys.stdout, sys.stderr = streams
        for number, descriptor in enumerate(kept):
            os.dup2(descriptor, number)
            os.close(descriptor)
