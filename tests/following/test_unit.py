"""A half that is brought or taken is one unit, whenever the command is killed."""

import json
from pathlib import Path

import pytest

from people import IGNORED, MOVE_MODEL, Person, Team
from plugin_migrate.errors import Conflict, ForeignDatabase
from plugin_migrate.plan import State


@pytest.fixture
def bob(team: Team) -> Person:
    """Somebody who has pulled a step on everything that git carries and does not carry."""
    alice = team.alice
    alice.add_migration("1.1.0", MOVE_MODEL)
    for person in (alice, team.clone("bob")):
        person.write("cache.json", '["cached"]')
        with person.connect(person.claude / "memory.db") as connection:
            connection.execute("CREATE TABLE earlier (x)")
    team.apply()
    bob = Person(alice.root.parent / "bob", alice._run_git)
    bob.git("pull -q")
    return bob


def has_half(bob: Person) -> bool:
    """Return whether the whole half is there; else none of it may be."""
    cache = json.loads(bob.read("cache.json"))
    tables = bob.query(
        "SELECT name FROM sqlite_schema WHERE name = 'model'", database=bob.claude / "memory.db"
    )
    states = set(bob.states().values())
    found = (isinstance(cache, dict), bool(tables), states == {State.APPLIED})
    assert len(set(found)) == 1, found
    assert not found[2] or len(bob.rows()) == 2
    return found[0]


@pytest.mark.parametrize(
    ("condition", "is_done"),
    [
        ("event == 'open' and path.endswith('manifest.json.part') and 'publish' in path", False),
        ("event == 'os.rename' and path.endswith('manifest.json') and 'publish' in path", False),
        ("event == 'open' and path.endswith('/put')", True),
        ("event == 'os.rename' and path.endswith('.done')", True),
    ],
)
def test_a_kill_leaves_all_of_it_or_nothing(bob: Person, condition: str, is_done: bool) -> None:
    bob.killed_at(f"'/bob/' in path and {condition}", "upgrade")

    bob.cli("repair")  # finishes or discards what is left

    assert has_half(bob) is is_done
    assert bob.is_clean()
    bob.upgrade()
    assert has_half(bob)
    assert bob.is_clean()


def test_a_restore_takes_the_half_back(bob: Person) -> None:
    bob.upgrade()
    (backup,) = [path.name for path in (bob.bookkeeping / "backups").iterdir()]
    done = bob.cli("restore", backup)
    assert done.returncode == 0, done.stderr
    assert not has_half(bob)
    assert bob.is_clean()
    assert bob.states() == {"1.0.0": State.FILES_ONLY, "1.1.0": State.FILES_ONLY}


def test_somebody_who_changes_our_half_meanwhile_is_a_conflict(team: Team) -> None:
    alice = team.alice
    alice.add_migration(
        "1.1.0",
        "import os, pathlib\n"
        "def up(ctx):\n"
        "    (ctx.claude / 'cache.json').write_text('[]')\n"
        "    if 'MEANWHILE' in os.environ:\n"
        "        os.system(os.environ['MEANWHILE'])\n",
    )
    alice.write("cache.json", "[1]")
    team.apply()
    bob = team.clone("bob")
    bob.write("cache.json", "[2]")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEANWHILE", f"echo '[3]' > {bob.claude}/cache.json")
        with pytest.raises(Conflict, match="was changed by somebody else"):
            bob.upgrade()
    assert bob.read("cache.json") == "[3]\n"
    assert bob.tables() == set()
    assert bob.state() is State.FILES_ONLY


def test_a_database_outside_of_the_project_is_followed_too(team: Team, folder: Path) -> None:
    alice = team.alice
    alice.config(f"database: {folder}/alice.db\n")
    alice.upgrade()
    alice.commit("Apply it")
    bob = team.clone("bob")
    bob.git(f"pull -q {alice.root} main")
    bob.config(f"database: {folder}/bob.db\n")

    bob.upgrade()

    rows = bob.query("SELECT title FROM todo", database=folder / "bob.db")
    assert len(rows) == 2
    owner = "SELECT value FROM plugin_migrate_facts WHERE name = 'project'"
    assert bob.query(owner, database=folder / "bob.db") == [(str(bob.root),)]
    alice.config(f"database: {folder}/bob.db\n")
    with pytest.raises(ForeignDatabase):
        alice.look()


def test_a_database_that_one_step_makes_and_the_next_changes(team: Team) -> None:
    alice = team.alice
    alice.add_migration(
        "1.1.0",
        """
def up(ctx):
    ctx.database("notes/memory.db").execute("CREATE TABLE notes (x)")
""",
    )
    alice.add_migration(
        "1.2.0",
        """
def up(ctx):
    ctx.database("notes/memory.db").execute("INSERT INTO notes VALUES (1)")
    (ctx.claude / "cache.json").write_text("[2]")
""",
    )
    (alice.root / ".gitignore").write_text(IGNORED + "*.db\n")
    team.apply()
    bob = team.clone("bob")
    bob.write("cache.json", "[1]")

    bob.upgrade()

    assert bob.query("SELECT x FROM notes", database=bob.claude / "notes/memory.db") == [(1,)]
    assert bob.read("cache.json") == "[2]"
    assert bob.is_clean()
