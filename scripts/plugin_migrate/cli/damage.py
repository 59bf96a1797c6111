"""Telling a damaged Python environment from a bug, and having the next run make it again.

Half of a folder in the user's cache can be gone (a cleaner, a full disk, a broken backup of it).
Asked only when something went wrong that is not an error of ours, so a sound start costs nothing.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

from ..platform import system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType


def repair(error: BaseException) -> str | None:
    """Have what is damaged made again by the next run, if damage caused ``error``.

    Returns:
        What was damaged, or ``None`` if nothing was, so that ``error`` is a bug.
    """
    environment = os.path.dirname(os.path.dirname(sys.executable))
    ready = environment + "/ready"
    if not os.path.exists(ready):  # somebody's own, not the launcher's
        return None
    damaged = next(_damaged_files(environment), None)
    try:
        if damaged is not None:
            os.unlink(ready)  # scripts/environment.sh then has it built again
            return damaged
        compiled = sys.flags.no_site and sys._xoptions.get("pycache_prefix")
        if isinstance(compiled, str) and _is_of_import(error.__traceback__):
            import shutil

            shutil.rmtree(compiled)
            return compiled
    except OSError:
        pass  # a folder that this user may not change: it stays a failure
    return None


def _is_of_import(trace: TracebackType | None) -> bool:
    """Return whether Python failed to load compiled code, rather than to run it."""
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_code.co_filename.startswith("<frozen importlib")


def _damaged_files(environment: str) -> Iterator[str]:
    """Yield the installed files that are gone or changed, by what their packages recorded."""
    packages = system.packages_of(environment)
    if not os.path.isdir(packages):
        yield packages
        return
    infos = [name for name in sorted(os.listdir(packages)) if name.endswith(".dist-info")]
    if len(infos) < _PACKAGES:
        yield packages
    for info in infos:
        record = f"{packages}/{info}/RECORD"
        if not os.path.exists(record):
            yield record
            continue
        with open(record, encoding="utf-8", newline="") as file:
            yield from _changed(packages, file.read())


# As many as requirements.txt has.
_PACKAGES = 3


def _changed(packages: str, record: str) -> Iterator[str]:
    """Yield files that differ from a RECORD (https://packaging.python.org, recorded projects)."""
    import base64
    import csv
    import hashlib

    for name, expected, *_ in csv.reader(record.splitlines()):
        path = f"{packages}/{name}"
        if name.startswith("..") or not expected.startswith("sha256="):
            continue
        try:
            with open(path, "rb") as file:
                digest = hashlib.sha256(file.read()).digest()
        except OSError:
            yield path
            continue
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != expected[len("sha256=") :]:
            yield path
