"""How the process is set up while migrations run: standard output is kept for the result."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def stdout_kept_clean() -> Iterator[None]:
    """Send what a migration or its child processes print to stderr: stdout is for the result."""
    gc.enable()  # the start turned it off
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
