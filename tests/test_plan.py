"""States and plans, as pure functions of files and ledger rows."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from plugin_migrate.errors import PlanRefused, UnknownTarget, UsageError
from plugin_migrate.migration import Migration
from plugin_migrate.plan import (
    UNAPPLIED,
    Applied,
    State,
    current_version,
    doubtful,
    entries_from,
    plan_downgrade,
    plan_rehearsal,
    plan_upgrade,
)
from plugin_migrate.version import Version

ZERO = Version(0, 0, 0)
VERSIONS = st.builds(Version, st.integers(0, 2), st.integers(0, 3), st.integers(1, 3))
SETS = st.sets(VERSIONS, max_size=12)


def a_file(version, checksum="sha256:1", text="text"):
    return Migration(version, "x", "sql", f"/m/{version}-x.sql", checksum, text)


def a_row(version, order=1, checksum="sha256:1"):
    return Applied(order, version, "X", "now", "ada", 1, checksum)


def entries_of(files, applied, **options):
    """Return the survey of versions as files, and versions applied in this order."""
    rows = {version: a_row(version, order) for order, version in enumerate(applied)}
    return entries_from([a_file(version) for version in sorted(files)], rows, **options)


@st.composite
def situations(draw):
    """Any files, and any applied versions in any order of application."""
    return draw(SETS), draw(st.permutations(sorted(draw(SETS))))


def versions_of(plan):
    return [step.version for step in plan.steps]


def v(text):
    return Version.parse(text)


# Properties


@given(situations())
def test_the_survey_knows_every_version_once_and_in_order(situation):
    files, applied = situation
    entries = entries_of(files, applied)
    assert [entry.version for entry in entries] == sorted(files | set(applied))
    for entry in entries:
        assert (entry.migration is not None) == (entry.version in files)
        assert (entry.applied is not None) == (entry.version in applied)
    assert current_version(entries) == max(applied, default=None)


@given(situations(), st.none() | VERSIONS)
def test_after_an_upgrade_every_version_up_to_the_target_is_applied(situation, target):
    files, applied = situation
    assume(target is None or target in files or target in applied)
    plan = plan_upgrade(entries_of(files, applied), target)
    steps = versions_of(plan)
    assert steps == sorted(steps)
    assert not set(steps) & set(applied)
    wanted = {version for version in files if target is None or version <= target}
    assert set(applied) | set(steps) == set(applied) | wanted
    assert plan.beyond == len(files - set(applied) - set(steps))
    current = max(applied, default=ZERO)
    assert list(plan.out_of_order) == [version for version in steps if version < current]
    assert all(step.direction == "up" for step in plan.steps)


@given(situations(), VERSIONS, VERSIONS)
def test_a_rehearsal_goes_back_to_before_the_first_and_applies_what_has_a_file(
    situation, one, other
):
    files, applied = situation
    first, last = sorted((one, other))
    entries = entries_of(files, applied)
    rehearsal = plan_rehearsal(entries, first, last)
    assert {step.version for step in rehearsal.back} == {v for v in applied if v >= first}
    assert all(step.direction == "down" for step in rehearsal.back)
    assert [entry.version for entry in rehearsal.clone] == sorted(v for v in files if v <= last)
    assert [entry.version for entry in rehearsal.forward] == sorted(
        v for v in files if first <= v <= last
    )
    for entry in (*rehearsal.clone, *rehearsal.forward):
        assert (entry.state, entry.applied) == (State.PENDING, None)


@given(situations(), VERSIONS | st.just(ZERO))
def test_a_downgrade_to_a_version_leaves_nothing_above_it(situation, target):
    files, applied = situation
    assume(target == ZERO or target in files or target in applied)
    plan = plan_downgrade(entries_of(files, applied), target)
    expected = [version for version in reversed(applied) if version > target]
    assert versions_of(plan) == expected
    assert all(step.direction == "down" for step in plan.steps)


@given(situations(), st.integers(1, 15))
def test_a_downgrade_by_steps_takes_the_last_applied_first(situation, count):
    files, applied = situation
    entries = entries_of(files, applied)
    if applied and count > len(applied):
        with pytest.raises(UsageError, match="only"):
            plan_downgrade(entries, count=count)
    else:
        expected = list(reversed(applied))[:count]
        assert versions_of(plan_downgrade(entries, count=count)) == expected


@given(situations())
def test_what_an_upgrade_did_a_downgrade_takes_back_in_reverse(situation):
    files, applied = situation
    steps = versions_of(plan_upgrade(entries_of(files, applied)))
    assume(steps)
    after = entries_of(files, [*applied, *steps])
    assert versions_of(plan_downgrade(after, count=len(steps))) == steps[::-1]
    assert plan_upgrade(after).steps == ()


@given(situations(), st.data())
def test_nothing_is_planned_while_anything_is_modified_or_interrupted(situation, data):
    files, applied = situation
    both = sorted(files & set(applied))
    assume(both)
    bad = data.draw(st.sampled_from(both))
    rows = {version: a_row(version, order) for order, version in enumerate(applied)}
    texts = [
        a_file(version, "sha256:2" if version == bad else "sha256:1") for version in sorted(files)
    ]
    for entries in (
        entries_from(texts, rows),
        entries_of(files, applied, interrupted=frozenset({bad})),
    ):
        for planner in (plan_upgrade, plan_downgrade):
            with pytest.raises(PlanRefused, match=str(bad)):
                planner(entries)


@given(situations())
def test_strict_is_the_same_plan_or_a_refusal(situation):
    entries = entries_of(*situation)
    plan = plan_upgrade(entries)
    if plan.out_of_order:
        with pytest.raises(PlanRefused, match="out of order"):
            plan_upgrade(entries, strict=True)
    else:
        assert plan_upgrade(entries, strict=True) == plan


# States


@pytest.mark.parametrize(
    ("file", "row", "state"),
    [
        (a_file(v("1.0.0")), None, State.PENDING),
        (a_file(v("1.0.0")), a_row(v("1.0.0")), State.APPLIED),
        (None, a_row(v("1.0.0")), State.MISSING),
        (a_file(v("1.0.0"), "sha256:2"), a_row(v("1.0.0")), State.MODIFIED),
        (a_file(v("1.0.0"), "sha256:2"), a_row(v("1.0.0"), checksum="abc"), State.APPLIED),
        (a_file(v("1.0.0"), text=None), a_row(v("1.0.0")), State.APPLIED),
    ],
)
def test_file_and_row_make_the_state(file, row, state):
    (entry,) = entries_from([file] if file else [], {row.version: row} if row else {})
    assert entry.state is state


def test_pending_below_the_current_version_is_out_of_order():
    entries = entries_of([v("1.0.0"), v("1.2.0"), v("1.3.0")], [v("1.2.0")])
    states = [entry.state for entry in entries]
    assert states == [State.OUT_OF_ORDER, State.APPLIED, State.PENDING]
    assert {entry.state for entry in entries if not entry.applied} < UNAPPLIED


def test_a_changed_final_newline_is_no_modification():
    file = a_file(v("1.0.0"), "sha256:2", "SELECT 1;\n")
    row = a_row(v("1.0.0"))
    for stored, state in ("SELECT 1;", State.APPLIED), ("SELECT 2;", State.MODIFIED):
        (entry,) = entries_from([file], {row.version: row}, stored={row.version: stored})
        assert entry.state is state


def test_only_what_differs_from_its_applied_checksum_is_doubtful():
    files = [a_file(v("1.0.0")), a_file(v("1.1.0"), "sha256:2"), a_file(v("1.2.0"))]
    rows = {row.version: row for row in (a_row(v("1.0.0")), a_row(v("1.1.0")))}
    assert doubtful(files, rows) == [v("1.1.0")]


def test_interrupted_wins_over_every_other_state():
    for files, applied in ([v("1.0.0")], []), ([], [v("1.0.0")]), ([v("1.0.0")], [v("1.0.0")]):
        entries = entries_of(files, applied, interrupted=frozenset({v("1.0.0")}))
        assert [entry.state for entry in entries] == [State.INTERRUPTED]


# Targets


@pytest.mark.parametrize("planner", [plan_upgrade, plan_downgrade])
def test_a_target_must_be_known(planner):
    with pytest.raises(UnknownTarget, match=r"no migration with version 1\.5\.0"):
        planner(entries_of([v("1.0.0"), v("2.0.0")], [v("1.0.0")]), v("1.5.0"))
    with pytest.raises(UnknownTarget) as caught:
        planner(entries_of([], []), v("1.5.0"))
    assert "create NAME" in caught.value.hint


def test_a_target_may_be_known_to_the_ledger_only():
    entries = entries_of([], [v("1.0.0"), v("2.0.0")])
    assert versions_of(plan_downgrade(entries, v("1.0.0"))) == [v("2.0.0")]


def test_many_modified_versions_are_listed_shortened():
    versions = [Version(1, 0, patch) for patch in range(15)]
    rows = {version: a_row(version) for version in versions}
    entries = entries_from([a_file(version, "sha256:2") for version in versions], rows)
    with pytest.raises(PlanRefused) as caught:
        plan_upgrade(entries)
    assert caught.value.message.startswith("15 applied migration(s) were edited since: 1.0.0, ")
    assert caught.value.message.endswith(", 1.0.9 and 5 more")
