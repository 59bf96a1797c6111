"""Disks that are full, and places that must not be written."""

from __future__ import annotations

import subprocess

import pytest

_COMMANDS = pytest.mark.parametrize("command", ["upgrade", "downgrade"])


@pytest.fixture
def may_mount(tmp_path):
    """Skip where file systems cannot be mounted, which takes root and a permissive container."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("file systems cannot be mounted here")
    subprocess.run(["umount", str(tmp_path)], check=True)


@_COMMANDS
def test_a_disk_that_fills_up_undoes_the_step(scenes, may_mount, command):
    levels = [*range(0, 300, 4), *range(300, 700, 20)]
    jobs = [{"kind": "fill", "free": kilobytes << 10} for kilobytes in levels]
    total = scenes(command, "delete").do_jobs("faults of a full disk", jobs)
    assert 10 < total["failed"] < len(jobs), "the disk should be full at some levels only"


@pytest.mark.parametrize(
    "where",
    [
        ".",
        "agents",
        "config",
        "commands",
        "orchestration/db",
        "orchestration/db/orchestration.db",
        "memory.db",
        "journal.db",
    ],
)
@_COMMANDS
def test_a_place_that_is_read_only_is_refused_before_the_commit(scenes, command, where):
    jobs = [{"kind": "refuse_writing", "where": where}]
    total = scenes(command, "wal").do_jobs("faults of permission", jobs)
    assert total["failed"] == 1


@_COMMANDS
def test_a_read_only_file_system_is_told_and_left_alone(scenes, may_mount, command):
    scenes(command, "wal").do_jobs("faults of permission", [{"kind": "refuse_mounted"}])
