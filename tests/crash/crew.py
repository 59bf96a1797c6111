"""The processes that work on crash jobs side by side."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import runtimes

_WORKER = Path(__file__).with_name("worker.py")


class Crew:
    """As many workers as there are processors.

    Parameters:
        work: a folder for the projects that they break.
    """

    def __init__(self, work: Path) -> None:
        self.work = work
        self._workers = [_start() for _ in range(os.cpu_count() or 1)]
        self._free: queue.SimpleQueue[subprocess.Popen[str]] = queue.SimpleQueue()
        for worker in self._workers:
            self._free.put(worker)

    def do(self, jobs: Iterable[dict]) -> list[dict]:
        """Return the results of ``jobs`` in their order; ``wrong`` in one says what went wrong."""
        with ThreadPoolExecutor(len(self._workers)) as threads:
            return list(threads.map(self._do, jobs))

    def dismiss(self) -> None:
        """End every worker."""
        for worker in self._workers:
            assert worker.stdin is not None
            worker.stdin.close()
            worker.wait()
            assert worker.stdout is not None
            worker.stdout.close()

    def _do(self, job: dict) -> dict:
        worker = self._free.get()
        try:
            assert worker.stdin is not None
            assert worker.stdout is not None
            worker.stdin.write(json.dumps(job | {"work": str(self.work)}) + "\n")
            worker.stdin.flush()
            answer = worker.stdout.readline()
            return json.loads(answer) if answer else {"wrong": "the worker died"}
        finally:
            self._free.put(worker)


def _start() -> subprocess.Popen[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("CLAUDE")}
    node = runtimes.find_node()
    if node is not None:
        environment["PATH"] = f"{node.parent}{os.pathsep}{environment['PATH']}"
    return subprocess.Popen(
        [sys.executable, "-I", "-B", str(_WORKER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
