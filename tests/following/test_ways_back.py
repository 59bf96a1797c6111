"""A half whose migration has no down keeps its way back, as every other step does."""

import json
from pathlib import Path

import pytest

from people import MOVE_MODEL, Person, Team
from plugin_migrate.errors import ChangedSince
from plugin_migrate.plan import State

WITHOUT_DOWN = MOVE_MODEL.partition("def down")[0]


@pytest.fixture
def bob(team: Team) -> Person:
    """Somebody who is about to pull a migration without a down that others have applied."""
    alice = team.alice
    bob = team.clone("bob")
    alice.add_migration("1.1.0", WITHOUT_DOWN)
    for person in (alice, bob):
        person.write("cache.json", '["cached"]')
        with person.connect(person.claude / "memory.db") as connection:
            connection.execute("CREATE TABLE earlier (x)")
    team.apply()
    return bob


def pull(bob: Person) -> None:
    bob.git("pull -q")
    assert set(bob.states().values()) == {State.FILES_ONLY}
    bob.upgrade()


def has_half(bob: Person) -> bool:
    """Return whether all is there that the migration did beside git; else none of it may be."""
    tables = bob.query("SELECT name FROM sqlite_schema", database=bob.claude / "memory.db")
    found = (
        isinstance(json.loads(bob.read("cache.json")), dict),
        ("model",) in tables,
        bob.states().get("1.1.0") is State.APPLIED,
    )
    assert len(set(found)) == 1, found
    return found[0]


def kept(bob: Person) -> list[Path]:
    return sorted((bob.bookkeeping / "ways-back").iterdir())


def test_the_puller_takes_back_files_and_databases(bob: Person) -> None:
    pull(bob)
    assert has_half(bob)
    assert bob.is_clean()

    bob.downgrade()
    assert not has_half(bob)
    assert bob.read("cache.json") == '["cached"]'
    assert json.loads(bob.read("settings.json"))["model"] == "opus"
    bob.upgrade()
    assert has_half(bob)
    assert bob.is_clean()


def test_it_serves_when_git_takes_the_files_back(bob: Person) -> None:
    before = bob.git("rev-parse HEAD").strip()
    pull(bob)
    bob.git(f"checkout -q {before}")
    assert bob.states()["1.1.0"] is State.DATABASE_ONLY

    bob.sync()

    assert not has_half(bob)
    assert bob.tables() == set()
    assert bob.is_clean()


def test_what_the_step_changed_again_is_named_with_its_version(team: Team) -> None:
    bob, alice = team.clone("bob"), team.alice
    alice.sql("0.9.0", "CREATE TABLE extra (x);", None)
    alice.add_migration(
        "1.1.0",
        "def up(ctx):\n"
        "    ctx.db.execute('INSERT INTO extra VALUES (1)')\n"
        "    (ctx.claude / 'new').touch()\n"
        "def down(ctx):\n"
        "    (ctx.claude / 'new').unlink()\n",
    )
    alice.commit("Write more of them")
    alice.git("push -q origin HEAD")
    bob.git("pull -q")
    bob.upgrade("0.9.0")
    team.apply()
    bob.git("pull -q")
    bob.upgrade()
    bob.downgrade("0.9.0")

    with pytest.raises(ChangedSince) as caught:
        bob.downgrade()

    (detail,) = caught.value.details
    assert detail.endswith(" by 1.1.0")


def test_of_one_run_only_the_last_are_kept(bob: Person, team: Team) -> None:
    alice = team.alice
    alice.add_migration("1.2.0", "def up(ctx):\n    (ctx.claude / 'new').touch()\n")
    alice.upgrade()
    alice.commit("Apply another")
    alice.git("push -q origin HEAD")
    bob.config("keep: {ways_back: 1}\n")

    pull(bob)

    assert len(kept(bob)) == 1
    shown = bob.cli("status").stdout
    assert "Way back: none = 1.1.0 has no down, and more migrations followed it" in shown
    assert "Way back: kept = " in shown


@pytest.mark.parametrize(
    ("condition", "is_done"),
    [
        ("event == 'os.rename' and path.endswith('manifest.json') and 'publish' in path", False),
        ("event == 'os.rename' and path.endswith('.done')", True),
    ],
)
def test_a_kill_keeps_it_with_the_step_or_not_at_all(
    bob: Person, condition: str, is_done: bool
) -> None:
    bob.git("pull -q")
    bob.killed_at(f"'/bob/' in path and {condition}", "upgrade")
    assert len(kept(bob)) == 1

    bob.cli("repair")  # finishes or discards what is left

    assert has_half(bob) is is_done
    assert len(kept(bob)) == is_done
    if is_done:
        bob.downgrade()
        assert not has_half(bob)
