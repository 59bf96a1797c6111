"""Run one command and report what it took: ``python -I -S spawn.py REPORT COMMAND...``.

A process of its own, because the system counts the starting process's memory as the command's: this
one is small. Writes seconds of wall time, peak memory in KiB and exit code to the file REPORT.
"""

import os
import sys
import time

started = time.perf_counter()
process = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(process, 0)
seconds = time.perf_counter() - started
memory = usage.ru_maxrss // (1 << 10) if sys.platform == "darwin" else usage.ru_maxrss
with open(sys.argv[1], "w", encoding="ascii") as report:
    report.write(f"{seconds} {memory} {os.waitstatus_to_exitcode(status)}")
