"""What migrations require of other plugins, and the order that follows."""

from dataclasses import replace

import pytest

from plugin_migrate.errors import BrokenMigration, RequirementUnmet
from plugin_migrate.ledger.read import Header
from plugin_migrate.migration import Migration
from plugin_migrate.plan import Applied, Entry, State
from plugin_migrate.sources.requirements import (
    Needs,
    Standing,
    applied_in,
    needs_of,
    order_down,
    order_up,
    refuse_needed,
)
from plugin_migrate.version import Version


def version(text):
    return Version.parse(text) if text else None


def migrations(steps):
    """Return migrations from a mapping of versions to what they require."""
    return tuple(Needs(version(text), requires) for text, requires in steps.items())


def source(name, current=None, due=None, applied=None):
    return Standing(name, version(current), migrations(due or {}), migrations(applied or {}))


def ups(*standings, wanted=None):
    turns = order_up(wanted if wanted is not None else standings, standings)
    return [(name, str(last)) for name, last in turns]


def refusal(*standings, wanted=None):
    with pytest.raises(RequirementUnmet) as caught:
        ups(*standings, wanted=wanted)
    return caught.value


def beside(standing, *paths):
    return replace(standing, beside=paths)


@pytest.mark.parametrize(("mine", "theirs"), [("a/", "a/"), ("a/b/c", "a/"), ("a/", "a/b/")])
def test_a_folder_of_another_plugin_is_changed_only_by_who_requires_it(mine, theirs):
    other = beside(source("beads", current="1.0.0"), "x", theirs)
    error = refusal(beside(source("mine", due={"1.0.0": {}}), mine), other, wanted=None)
    assert error.message == (
        f"Migration 1.0.0 of mine can change {mine}, which is state of beads, and does not"
        " require it"
    )
    requiring = beside(source("mine", due={"1.0.0": {"beads": ">=1.0.0"}}), mine)
    assert ups(requiring, other) == [("mine", "1.0.0")]


@pytest.mark.parametrize(
    ("mine", "theirs"), [("CLAUDE.md", "CLAUDE.md"), ("a/", "ab/"), ("a", "a/b")]
)
def test_a_file_that_several_name_is_nobodys_and_others_are_apart(mine, theirs):
    one = beside(source("mine", due={"1.0.0": {}}), mine)
    assert ups(one, beside(source("beads", current="1.0.0"), theirs)) == [("mine", "1.0.0")]


def test_what_changes_no_files_requires_nobody_for_them():
    due = (Needs(version("1.0.0"), {}, changes_files=False),)
    one = replace(beside(source("mine"), "a/"), due=due)
    assert ups(one, beside(source("beads"), "a/")) == [("mine", "1.0.0")]


def test_sources_without_requirements_keep_their_order():
    a, b = source("a", due={"1.0.0": {}, "1.1.0": {}}), source("b", due={"1.0.0": {}})
    assert ups(a, b) == [("a", "1.1.0"), ("b", "1.0.0")]


def test_a_source_comes_after_the_one_it_requires():
    a = source("a", due={"1.0.0": {"b": ">=1.0.0"}})
    assert ups(a, source("b", due={"1.0.0": {}})) == [("b", "1.0.0"), ("a", "1.0.0")]


def test_sources_take_turns_where_each_requires_a_version_of_the_other():
    a = source("a", due={"1.0.0": {}, "2.0.0": {"b": ">=1.0.0"}})
    b = source("b", due={"1.0.0": {"a": ">=1.0.0"}, "2.0.0": {"a": ">=2.0.0"}})
    assert ups(a, b) == [("a", "1.0.0"), ("b", "1.0.0"), ("a", "2.0.0"), ("b", "2.0.0")]


def test_the_projects_own_migrations_can_require_a_plugin():
    own = source(None, due={"1.0.0": {"a": ">=1.0.0"}})
    assert ups(own, source("a", due={"1.0.0": {}})) == [("a", "1.0.0"), (None, "1.0.0")]


def test_what_is_applied_already_satisfies_a_requirement():
    a = source("a", due={"1.0.0": {"b": ">=1.2.0,<2"}})
    assert ups(a, source("b", "1.10.0"), wanted=[a]) == [("a", "1.0.0")]


def test_a_missing_plugin_is_named():
    error = refusal(source("a", due={"1.0.0": {"b": ">=1.0.0"}}))
    assert error.message == (
        "Migration 1.0.0 of a requires b >=1.0.0, and no enabled plugin of that name ships"
        " migrations"
    )
    assert error.hint == "Install and enable the plugin, then try again."


def test_a_version_that_is_pending_elsewhere_is_pointed_to():
    a = source("a", due={"1.0.0": {"b": ">=1.2.0"}})
    b = source("b", "1.0.0", due={"1.2.0": {}})
    error = refusal(a, b, wanted=[a])
    assert error.message == "Migration 1.0.0 of a requires b >=1.2.0, which is at 1.0.0"
    assert error.hint.startswith("First: plugin-migrate upgrade --plugin b\n")


def test_a_version_that_nobody_ships_asks_for_the_plugins_update():
    own = source(None, due={"1.0.0": {"b": ">=3"}})
    error = refusal(own, source("b", due={"1.2.0": {}}), wanted=[own])
    assert error.message == "Migration 1.0.0 requires b >=3, which is at none"
    assert error.hint == "Update the plugin b, then try again."


@pytest.mark.parametrize("all_wanted", [True, False])
def test_a_circle_is_named_from_end_to_end(all_wanted):
    a = source("a", due={"1.0.0": {"b": ">=1.0.0"}})
    b = source("b", due={"1.0.0": {"c": ">=1.0.0"}})
    c = source("c", due={"1.0.0": {"a": ">=1.0.0"}})
    error = refusal(a, b, c, wanted=None if all_wanted else [a])
    assert error.message == (
        "Migrations require each other in a circle: a 1.0.0 → b 1.0.0 → c 1.0.0 → a 1.0.0"
    )


def test_whoever_requires_another_is_rolled_back_first():
    a = source("a", "1.0.0", due={"1.0.0": {}}, applied={"1.0.0": {}})
    needs = {"1.0.0": {"a": ">=1.0.0"}}
    b = source("b", "1.0.0", due=needs, applied=needs)
    assert order_down([a, b], []) == ("b", "a")


def test_nothing_that_others_require_is_rolled_back():
    a = source("a", "1.1.0", due={"1.1.0": {}}, applied={"1.0.0": {}, "1.1.0": {}})
    b = source("b", "2.0.0", applied={"1.0.0": {}, "2.0.0": {"a": ">=1.1.0"}})
    with pytest.raises(RequirementUnmet) as caught:
        order_down([a], [b])
    assert caught.value.message == (
        "Migration 2.0.0 of b is applied and requires a >=1.1.0; this would leave it at 1.0.0"
    )
    assert caught.value.hint == ("Roll that back first: plugin-migrate downgrade --plugin b 1.0.0")


def test_a_rollback_that_leaves_enough_is_allowed():
    refuse_needed("a", version("1.1.0"), [source("b", applied={"1.0.0": {"a": ">=1.1.0"}})])


def entry(text):
    """Return a pending migration with this text."""
    migration = Migration(version("1.0.0"), "x", "sql", "/x/1.0.0-x.sql", "sha256:0", text)
    return Entry(version("1.0.0"), State.PENDING, migration, None)


def applied(metadata):
    """Return what an applied migration with this metadata required."""
    row = Applied(1, version("1.0.0"), "x", "", None, 0, "")
    entries = [Entry(version("1.0.0"), State.APPLIED, None, row)]
    return applied_in(entries, {"1.0.0": Header("sql", metadata)})


def test_requirements_stand_in_the_header():
    (needs,) = needs_of([entry('-- requires: {b: ">=1.2.0"}\n-- migrate:up\n')])
    assert needs.requires == {"b": ">=1.2.0"}


@pytest.mark.parametrize(
    ("requires", "what"),
    [
        ("[b]", "must be a mapping of plugins to versions"),
        ("{b: 1.2}", "must be a mapping of plugins to versions, both as text"),
        ("{b: '1.2'}", "has no valid versions for b: '1.2'"),
    ],
)
def test_a_requirement_that_makes_no_sense_is_refused_by_file(requires, what):
    with pytest.raises(BrokenMigration) as caught:
        needs_of([entry(f"-- requires: {requires}\n-- migrate:up\n")])
    assert caught.value.message == f"'requires' {what}"
    assert caught.value.file == "/x/1.0.0-x.sql"


@pytest.mark.parametrize("metadata", ["{", "[]", '{"requires": 1}', '{"requires": {"b": "?"}}'])
def test_an_odd_record_of_an_applied_migration_requires_nothing(metadata):
    (needs,) = applied(metadata)
    assert needs.requires == {}


def test_applied_migrations_require_what_they_did_when_they_were_applied():
    (needs,) = applied('{"requires": {"b": ">=1"}}')
    assert needs.requires == {"b": ">=1"}


def test_a_version_that_another_source_still_needs_is_not_passed_before():
    a = source("a", due={"1.0.0": {"b": ">=1.0.0,<2.0.0"}})
    b = source("b", due={"1.0.0": {}, "1.1.0": {}, "2.0.0": {}})
    assert ups(b, a) == [("b", "1.1.0"), ("a", "1.0.0"), ("b", "2.0.0")]


def test_a_version_is_kept_also_for_a_later_migration_of_another_source():
    a = source("a", due={"1.0.0": {"b": ">=1.1.0"}, "1.1.0": {"b": "<2.0.0"}})
    b = source("b", due={"1.0.0": {}, "1.1.0": {}, "2.0.0": {}})
    assert ups(b, a) == [("b", "1.1.0"), ("a", "1.1.0"), ("b", "2.0.0")]


def test_versions_that_end_each_other_are_refused():
    a = source("a", "0.9.0", due={"1.0.0": {"b": "<1.0.0"}})
    b = source("b", "0.9.0", due={"1.0.0": {"a": "<1.0.0"}})
    error = refusal(a, b)
    assert error.message == (
        "Migration 1.0.0 of a would end a version that another one requires, and the other way"
        " round"
    )


def test_the_advice_stops_at_the_last_version_that_will_do():
    a, b = source("a", due={"1.0.0": {"b": "<2.0.0"}}), source("b", due={"1.0.0": {}, "2.0.0": {}})
    error = refusal(a, b, wanted=[a])
    assert error.message == "Migration 1.0.0 of a requires b <2.0.0, which is at none"
    assert error.hint.startswith("First: plugin-migrate upgrade --plugin b 1.0.0\n")


def test_what_is_required_is_told_at_its_real_version():
    a, b = source("a", due={"1.0.0": {"b": ">=9"}}), source("b", due={"1.0.0": {}})
    assert refusal(a, b).message.endswith("requires b >=9, which is at none")


def test_an_empty_specifier_means_any_version():
    a, b = source("a", due={"1.0.0": {"b": ""}}), source("b", due={"1.0.0": {}})
    assert ups(a, b) == [("b", "1.0.0"), ("a", "1.0.0")]
    assert "requires b, which is at none" in refusal(a, b, wanted=[a]).message
