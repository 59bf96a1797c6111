"""What people decide where git's history does not say it, and what they are told."""

import json
import os
import shutil
from pathlib import Path

import pytest

from people import Person, Team
from plugin_migrate.errors import HistoryLacksTree, StateUnreadable, UsageError
from plugin_migrate.following.choices import Choices
from plugin_migrate.plan import State

RECORD = "plugin-migrate.applied/1.0.0-move-todo"


@pytest.fixture
def shallow(team: Team) -> Person:
    """A clone without the history that it needs."""
    team.apply()
    return team.clone("carol", "--depth=1")


def test_every_choice_that_is_offered_can_be_taken(shallow: Person) -> None:
    failed = shallow.cli("upgrade")

    assert failed.returncode == 1
    assert "Git brought the files of 1.0.0, and its history does not hold those" in failed.stderr
    assert "plugin-migrate upgrade --files-from COMMIT" in failed.stderr
    assert "plugin-migrate baseline 1.0.0" in failed.stderr
    assert shallow.cli("sync").returncode == 1
    done = shallow.cli("sync", "--files-from=here")
    assert done.returncode == 0, done.stderr
    assert shallow.state() is State.APPLIED
    assert shallow.is_clean()


def test_a_commit_that_is_named_must_be_one(shallow: Person) -> None:
    for name in ("nowhere", "--help", "HEAD:.claude"):
        with pytest.raises(UsageError, match="Git knows no commit"):
            shallow.upgrade_with(Choices(files_from=name))
    assert shallow.state() is State.FILES_ONLY


@pytest.mark.parametrize("option", ["--files-from=here", "--drop-rows"])
def test_decisions_that_nothing_asks_for_are_refused(team: Team, option: str) -> None:
    for arguments in (("downgrade", "0.0.0"), ("sync",)):
        done = team.alice.cli(*arguments, option)
        assert done.returncode == 2
        assert "is for what git has brought or taken" in done.stderr
    done = team.alice.cli("downgrade", "--all", option)
    assert done.returncode == 2
    assert "--all means every source" in done.stderr


def test_rows_of_ones_own_are_shown_before_they_go(team: Team) -> None:
    alice = team.apply()
    with alice.connect() as connection:
        connection.execute("INSERT INTO todo (title) VALUES ('mine')")
        connection.commit()
    alice.git("checkout -q", team.base)

    refused = alice.cli("sync")

    assert refused.returncode == 1
    assert '+    "mine"' in refused.stderr or '"mine"]' in refused.stderr
    assert "plugin-migrate sync --drop-rows" in refused.stderr
    done = alice.cli("sync", "--drop-rows", "--format=json")
    (source,) = json.loads(done.stdout)["sources"]
    assert [step["database_only"] for step in source["steps"]] == [True]
    assert alice.state() is State.PENDING
    backup = alice.cli("restore").stdout.split()
    assert any(word.endswith("-sync") for word in backup)


def test_a_record_that_git_could_not_merge_is_named(team: Team) -> None:
    team.apply()
    bob = team.clone("bob")
    record = bob.claude / RECORD
    record.write_text("<<<<<<< ours\n" + record.read_text())

    done = bob.cli("upgrade")

    assert done.returncode == 1
    assert "A migration's record cannot be read: a line that no record has" in done.stderr
    assert "If git could not merge it" in done.stderr
    assert bob.state() is State.FILES_ONLY
    record.unlink()
    record.mkdir()
    with pytest.raises(StateUnreadable, match="cannot be read"):
        bob.upgrade()


def test_records_that_cannot_be_read_stop_every_command(team: Team) -> None:
    alice = team.apply()
    record = alice.claude / RECORD
    record.unlink()
    record.mkdir()
    with pytest.raises(StateUnreadable, match="The records of applied migrations cannot be read"):
        alice.look()


def test_a_migration_that_was_edited_since_it_was_applied(team: Team) -> None:
    alice = team.apply()
    file = alice.migrations / "1.0.0-move-todo.py"
    file.write_text(file.read_text() + "# edited\n")
    alice.commit("Edit it")
    bob = team.clone("bob")
    bob.git(f"pull -q {alice.root} main")

    with pytest.raises(HistoryLacksTree, match="is not the one that was applied"):
        bob.upgrade()

    bob.git("checkout -q HEAD~1")
    bob.upgrade()
    assert len(bob.rows()) == 2


def test_a_record_that_is_in_no_commit(team: Team) -> None:
    alice = team.alice
    alice.upgrade()
    alice.database.unlink()
    shutil.rmtree(alice.bookkeeping)
    with pytest.raises(HistoryLacksTree) as caught:
        alice.upgrade()
    assert "Its record is in no commit" in caught.value.details[0]


def test_a_first_commit_has_nothing_before_it(team: Team) -> None:
    alice = team.apply()
    alice.git("checkout -q --orphan fresh")
    alice.commit("Everything at once")
    bob = team.clone("bob")
    bob.git(f"fetch -q {alice.root} fresh:fresh")
    bob.git("checkout -q fresh")
    bob.git("update-ref -d refs/heads/main")
    bob.git("update-ref -d refs/remotes/origin/main")
    bob.git("reflog expire --expire=now --all")
    with pytest.raises(HistoryLacksTree) as caught:
        bob.upgrade()
    assert "nothing is before that" in caught.value.details[0]


def test_without_git_it_is_said_that_it_cannot_be_asked(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    team.apply()
    bob = team.clone("bob")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(StateUnreadable, match="which files it carries: git is not installed"):
        bob.upgrade()


def test_what_a_rollback_needs_is_in_no_commit(team: Team) -> None:
    alice = team.alice
    alice.upgrade()
    alice.git("clean -qfd")
    alice.git("checkout -q -- .")
    assert alice.state() is State.DATABASE_ONLY
    with pytest.raises(HistoryLacksTree, match="Git took back the files of") as caught:
        alice.sync()
    assert caught.value.details == ("No commit has its record",)
    assert len(alice.rows()) == 2


@pytest.mark.parametrize("kind", ["link", "file", "folder"])
def test_what_stands_in_a_records_place_is_named_and_kept(
    team: Team, folder: Path, kind: str
) -> None:
    alice = team.alice
    records = alice.claude / "plugin-migrate.applied"
    if kind == "link":
        records.symlink_to(folder)
    elif kind == "file":
        records.write_text("mine")
    else:
        (alice.claude / RECORD / "mine").mkdir(parents=True)
    with pytest.raises(StateUnreadable):
        alice.upgrade()
    assert os.path.lexists(records)
    assert not alice.database.exists() or alice.tables() == set()
    assert alice.git("diff --stat") == ""


@pytest.mark.parametrize(
    "line", ['before - "../outside"', "before - nothing", "before", "checksum", "version 1"]
)
def test_a_record_that_somebody_made_up_is_refused(team: Team, line: str) -> None:
    team.apply()
    bob = team.clone("bob")
    record = bob.claude / RECORD
    record.write_text(f"{line}\n" + ("version 1.0.0\nchecksum x\n" if "before" in line else ""))
    with pytest.raises(StateUnreadable, match="A migration's record cannot be read"):
        bob.upgrade()
    assert bob.tables() == set()
