"""``kill -9`` and failing system calls at every change that a command makes to the disk.

What is checked after each stands in ``worker.py``. A slice of the points runs always, others with
the marker ``crash``, and all of them where ``PLUGIN_MIGRATE_EVERY_POINT=1`` asks for that.
"""

from __future__ import annotations

import os

import pytest

import runtimes
from crash import edits

_SLICES = 8
# Every how many-th slice is tried.
_EVERY = int(os.environ.get("PLUGIN_MIGRATE_EVERY_POINT", "4"))
# Both commands, both kinds of journal; the other two combinations are tried at some points only.
_MAIN = [("upgrade", "delete"), ("downgrade", "wal")]
_OTHER = [("upgrade", "wal"), ("downgrade", "delete")]
_ERRORS = ("ENOSPC", "EIO", "EACCES")


def _some_of(slices):
    return [pytest.param(n, marks=pytest.mark.crash if n else ()) for n in slices[::_EVERY]]


_slices = _some_of(range(_SLICES))
_main = pytest.mark.parametrize(("command", "journal_mode"), _MAIN)


@pytest.mark.parametrize("part", _slices)
@_main
def test_a_run_killed_anywhere_is_finished_or_undone_by_the_next(
    scenes, command, journal_mode, part
):
    scene = scenes(command, journal_mode)
    scene.do("kill points", "kill", scene.points[part::_SLICES])


@pytest.mark.parametrize(("command", "journal_mode"), _OTHER)
def test_the_other_kind_of_journal_survives_too(scenes, command, journal_mode):
    scene = scenes(command, journal_mode)
    scene.do("kill points", "kill", scene.points[::20])


@pytest.mark.parametrize(("command", "journal_mode"), _OTHER)
@pytest.mark.crash
def test_the_other_kind_of_journal_survives_at_more_points(scenes, command, journal_mode):
    scene = scenes(command, journal_mode)
    scene.do("kill points", "kill", scene.points[10::20])


@pytest.mark.parametrize("part", _slices)
@_main
def test_a_recovery_killed_anywhere_is_finished_by_the_next(scenes, command, journal_mode, part):
    scene = scenes(command, journal_mode)
    first = scene.publishing()[part :: _SLICES * 4]
    scene.do("kill points of a recovery", "kill_twice", first, step=6)


@pytest.mark.parametrize("part", _slices)
@_main
def test_a_failing_call_is_told_in_a_sentence_and_nothing_is_lost(
    scenes, injector, command, journal_mode, part
):
    if injector != "strace":
        pytest.skip("strace, which makes calls fail, cannot be used here")
    scene = scenes(command, journal_mode)
    jobs = [
        {"kind": "fail", "point": point, "error": _ERRORS[(number + part) % 3]}
        for number, point in enumerate(scene.points[part::_SLICES])
    ]
    total = scene.do_jobs("faults", jobs)
    assert total["failed"] > len(jobs) / 2, "most calls matter"


@pytest.mark.parametrize("name", edits.EDITS)
@_main
def test_what_somebody_writes_before_the_recovery_is_kept(scenes, command, journal_mode, name):
    scene = scenes(command, journal_mode)
    points = scene.publishing()[::12]
    scene.do("edits", "edit", points, name=name)


@_main
def test_an_edited_file_on_its_way_interrupts_the_step(scenes, command, journal_mode):
    scene = scenes(command, journal_mode)
    total = scene.do("edits", "edit", scene.publishing()[::4], name="settings")
    assert total["interrupted"] > 0


@_main
def test_a_plugins_run_killed_anywhere_is_settled_by_the_next_run_of_the_projects(
    scenes, command, journal_mode
):
    scene = scenes(command, journal_mode, source="plugin")
    scene.do("kill points", "kill", scene.points[::20])
    scene.do("kill points of a recovery", "kill_twice", scene.publishing()[::60], step=12)


_elsewhere = pytest.mark.parametrize("source", ["beside", "user"])


@_elsewhere
@_main
def test_state_elsewhere_survives_as_what_is_in_claude_does(scenes, command, journal_mode, source):
    scene = scenes(command, journal_mode, source=source)
    scene.do("kill points", "kill", scene.points[3::40])
    scene.do("kill points of a recovery", "kill_twice", scene.publishing()[::120], step=12)


@_elsewhere
@_main
@pytest.mark.crash
def test_state_elsewhere_survives_at_more_points(scenes, command, journal_mode, source):
    scene = scenes(command, journal_mode, source=source)
    scene.do("kill points", "kill", scene.points[23::40])


@_main
def test_what_somebody_writes_beside_claude_before_the_recovery_is_kept(
    scenes, command, journal_mode
):
    scene = scenes(command, journal_mode, source="beside")
    for name in ("settings", "a file that moves", "a row under WAL"):
        scene.do("edits", "edit", scene.publishing()[::120], name=name)


# Every how many-th point is tried with steps in TypeScript: the engine is the same.
_PART_IN_TYPESCRIPT = 24


@pytest.mark.parametrize("first", _some_of(range(0, _PART_IN_TYPESCRIPT, 4)))
@_main
def test_steps_in_typescript_killed_anywhere_are_finished_or_undone(
    scenes, command, journal_mode, first
):
    runtimes.node()
    scene = scenes(command, journal_mode, language="typescript")
    scene.do("kill points", "kill", scene.points[first::_PART_IN_TYPESCRIPT])


# Every how many-th point is tried where no step has a down.
_PART_WITHOUT_DOWNS = 32


@pytest.mark.parametrize("first", _some_of(range(0, _PART_WITHOUT_DOWNS, 4)))
@_main
def test_without_downs_a_run_killed_anywhere_is_finished_or_undone(
    scenes, command, journal_mode, first
):
    scene = scenes(command, journal_mode, language="python without downs")
    points = scene.points[first::_PART_WITHOUT_DOWNS]
    scene.do("kill points", "kill", points, and_back=command == "upgrade")


@_main
def test_a_typescript_migration_killed_at_any_call_is_undone(scenes, command, journal_mode):
    runtimes.node()
    scene = scenes(command, journal_mode, language="typescript")
    jobs = [{"kind": "kill_migration", "number": number} for number in range(1, 24)]
    total = scene.do_jobs("kill points of the migration", jobs)
    assert total["kills"] > 8
    assert total["ended"] > 0, "more calls than were tried"


@pytest.mark.parametrize("name", ["settings", "front matter", "a row of the state"])
def test_what_somebody_writes_beside_steps_in_typescript_is_kept(scenes, name):
    runtimes.node()
    scene = scenes("upgrade", "delete", language="typescript")
    scene.do("edits", "edit", scene.publishing()[::24], name=name)


@pytest.mark.parametrize("command", ["upgrade", "downgrade"])
def test_without_strace_a_run_is_killed_at_audit_events_and_statements(scenes, command):
    scene = scenes(command, "delete", "patched")
    scene.do("kill points", "kill", scene.points[::8])
