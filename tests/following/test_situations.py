"""What git does to a project while migrations go up and down: nobody loses a row or a file.

Real git, and two people who share a bare repository. The first migration is the README's example.
"""

import json
import os
from pathlib import Path

import pytest

from people import MOVE_MODEL, MOVE_TODO, Person, Team
from plugin_migrate.errors import HistoryLacksTree, MigrateError, PlanRefused, WouldDropRows
from plugin_migrate.following.choices import Choices
from plugin_migrate.operations.baseline import baseline
from plugin_migrate.operations.renumber import renumber
from plugin_migrate.operations.repair import Decisions, repair
from plugin_migrate.plan import State
from plugin_migrate.version import Version

TODO = ["write tests", "cut a release"]
RECORD = "plugin-migrate.applied/1.0.0-move-todo"


def applied(team: Team) -> Person:
    """Return Alice, who has applied the migration, committed and pushed."""
    return team.apply()


def settled(person: Person, todo: list[str] = TODO) -> None:
    """Make sure that everything is applied, and that up and down again leave git nothing to see."""
    assert set(person.states().values()) == {State.APPLIED}
    assert person.rows() == todo
    assert person.is_clean()
    person.downgrade()
    assert json.loads(person.read("settings.json"))["todo"] == todo
    person.upgrade()
    assert person.is_clean()
    assert person.rows() == todo


def test_whoever_pulls_an_upgrade_gets_its_rows(team: Team) -> None:
    bob = team.clone("bob")
    applied(team)
    bob.git("pull -q")
    assert bob.state() is State.FILES_ONLY
    before = bob.read("settings.json")

    run = bob.upgrade()

    assert [result.is_half for result in run.results] == [True]
    assert bob.read("settings.json") == before
    settled(bob)


def test_the_pullers_downgrade_leaves_no_difference_to_before(team: Team) -> None:
    bob = team.clone("bob")
    applied(team)
    bob.git("pull -q")
    bob.upgrade()

    bob.downgrade()

    assert bob.git("diff", team.base, "--", ".claude") == ""
    bob.git("add -A")
    assert bob.git("diff --cached --stat", team.base) == ""


def test_a_new_clone_gets_the_rows(team: Team) -> None:
    applied(team)
    carol = team.clone("carol")
    carol.upgrade()
    settled(carol)


def test_a_new_worktree_gets_the_rows(team: Team) -> None:
    alice = applied(team)
    alice.git("branch side")
    side = team.worktree(alice, "side", "side")
    side.upgrade()
    settled(side)
    settled(alice)


def test_branches_back_and_forth(team: Team) -> None:
    alice = team.alice
    alice.git("checkout -q -b feature")
    applied(team)
    for _ in range(2):
        alice.git("checkout -q main")
        assert alice.state() is State.DATABASE_ONLY
        with pytest.raises(PlanRefused, match="Git took back the files of 1 applied"):
            alice.upgrade()
        alice.sync()
        assert alice.state() is State.PENDING
        assert alice.tables() == set()
        assert alice.is_clean()
        alice.git("checkout -q feature")
        assert alice.state() is State.FILES_ONLY
        alice.sync()
        settled(alice)


def test_going_back_to_the_branch_without_a_sync_settles_it_too(team: Team) -> None:
    alice = team.alice
    alice.git("checkout -q -b feature")
    applied(team)
    alice.git("checkout -q main")
    alice.git("checkout -q feature")
    settled(alice)


def test_a_merge_with_other_edits_of_the_same_file(team: Team) -> None:
    bob = team.clone("bob")
    bob.git("checkout -q -b feature")
    alice = team.alice
    alice.write("settings.json", alice.read("settings.json").replace("opus", "sonnet"))
    alice.write("notes.md", "unrelated\n")
    alice.commit("Change the model")
    alice.git("push -q origin main")
    bob.write("settings.json", bob.read("settings.json").replace("{", '{\n"a": 1,\n"b": 2,\n\n', 1))
    bob.commit("Add lines")
    bob.upgrade()
    bob.commit("Apply it")
    bob.git("fetch -q")
    bob.git("merge -q -X ours -m merge origin/main")
    settled(bob)
    bob.git("push -q origin HEAD:main")

    alice.git("pull -q")
    alice.upgrade()
    settled(alice)
    carol = team.clone("carol")
    carol.upgrade()
    settled(carol)


def test_a_rebase(team: Team) -> None:
    bob = team.clone("bob")
    bob.git("checkout -q -b feature")
    bob.upgrade()
    bob.commit("Apply it")
    alice = team.alice
    alice.write("notes.md", "unrelated\n")
    alice.commit("Write notes")
    alice.git("push -q origin main")
    bob.git("fetch -q")
    bob.git("rebase -q origin/main")
    settled(bob)
    bob.git("push -q origin HEAD:main")

    alice.git("pull -q")
    alice.upgrade()
    settled(alice)
    bob.git("checkout -q -B main origin/main~1")
    bob.sync()  # its commit is in the reflog only, or on main as another one
    assert bob.is_clean()
    assert bob.state() is State.PENDING


def test_a_squash_of_two_migrations(team: Team) -> None:
    bob = team.clone("bob")
    bob.git("checkout -q -b feature")
    bob.upgrade()
    bob.commit("Apply it")
    bob.add_migration("1.1.0", MOVE_TODO.replace('"todo"', '"model"').replace("todo", "model"))
    text = bob.migrations / "1.1.0-step.py"
    text.write_text(text.read_text().replace('pop("model", [])', 'pop("model").split()'))
    text.write_text(text.read_text().replace("= titles", "= titles[0]"))
    bob.upgrade()
    assert bob.rows("model") == ["opus"]
    bob.commit("Move the model too")
    bob.git("checkout -q main")
    bob.git("merge -q --squash feature")
    bob.commit("Both at once")
    settled_rows = bob.rows("model")
    bob.git("push -q origin main")

    alice = team.alice
    alice.git("pull -q")
    alice.upgrade()
    assert (alice.rows(), alice.rows("model")) == (TODO, settled_rows)
    settled(alice)


def test_a_squash_that_hides_the_files_is_refused_with_choices(team: Team) -> None:
    bob = team.clone("bob")
    bob.git("checkout -q -b feature")
    bob.write("settings.json", '{"todo": ["only", "on", "the", "branch"]}\n')
    bob.commit("Another list")
    bob.upgrade()
    bob.commit("Apply it")
    bob.git("checkout -q main")
    bob.git("merge -q --squash feature")
    bob.commit("All at once")
    bob.git("push -q origin main")
    feature = bob.git("rev-parse feature~1").strip()
    bob.git("push -q origin feature")

    alice = team.alice
    alice.git("pull -q origin main")
    with pytest.raises(HistoryLacksTree) as caught:
        alice.upgrade()
    assert "No commit before" in caught.value.details[0]
    assert "settings.json" in caught.value.details[0]
    assert alice.state() is State.FILES_ONLY
    assert alice.tables() == set()
    alice.git("fetch -q")

    alice.upgrade_with(Choices(files_from=feature))

    settled(alice, ["only", "on", "the", "branch"])


def test_a_stash_and_its_pop(team: Team) -> None:
    alice = team.alice
    alice.upgrade()
    alice.git("stash -q -u")
    assert alice.state() is State.DATABASE_ONLY
    alice.sync()
    assert alice.state() is State.PENDING
    assert alice.is_clean()

    alice.git("stash pop -q")
    assert alice.state() is State.FILES_ONLY
    alice.commit("Apply it")
    alice.sync()

    settled(alice)


def test_a_stash_that_leaves_the_record_and_its_pop(team: Team) -> None:
    alice = team.alice
    alice.upgrade()
    alice.git("stash -q")
    alice.git("stash pop -q")
    alice.commit("Apply it")
    settled(alice)


def test_a_revert_and_its_revert(team: Team) -> None:
    bob = team.clone("bob")
    alice = applied(team)
    bob.git("pull -q")
    bob.upgrade()
    alice.git("revert --no-edit HEAD")
    alice.git("push -q origin main")
    bob.git("pull -q")
    for person in (alice, bob):
        assert person.state() is State.DATABASE_ONLY
        person.sync()
        assert person.state() is State.PENDING
        assert person.is_clean()
        assert json.loads(person.read("settings.json"))["todo"] == TODO
    alice.git("revert --no-edit HEAD")
    alice.sync()
    settled(alice)


def test_a_downgrade_that_is_pulled(team: Team) -> None:
    bob = team.clone("bob")
    alice = applied(team)
    bob.git("pull -q")
    bob.upgrade()
    alice.downgrade()
    alice.commit("Take it back")
    alice.git("push -q origin main")
    bob.git("pull -q")

    bob.sync()

    assert bob.state() is State.PENDING
    assert bob.is_clean()
    bob.upgrade()
    assert bob.rows() == TODO


def test_a_shallow_clone_is_refused_until_it_has_the_history(team: Team) -> None:
    applied(team)
    carol = team.clone("carol", "--depth=1")
    with pytest.raises(HistoryLacksTree) as caught:
        carol.upgrade()
    assert "This clone is shallow" in caught.value.details[0]
    assert "git fetch --unshallow" in (caught.value.hint or "")
    assert carol.tables() == set()
    assert carol.is_clean()

    carol.git("fetch -q --unshallow")
    carol.upgrade()

    settled(carol)


def test_a_shallow_clone_goes_on_as_the_user_decides(team: Team) -> None:
    applied(team)
    here, marked = (team.clone(name, "--depth=1") for name in ("here", "marked"))

    here.upgrade_with(Choices(files_from="here"))
    baseline(marked.workspace(), Version(1, 0, 0), "tester", 0)

    assert here.rows() == []  # as the files are here
    for person in (here, marked):
        assert person.state() is State.APPLIED
        assert person.is_clean()
        person.git("fetch -q --unshallow")
        person.git("checkout -q HEAD~1")
        assert person.state() is State.DATABASE_ONLY


def test_one_number_twice(team: Team) -> None:
    bob = team.clone("bob")
    applied(team)
    alice = team.alice
    alice.write("settings.json", '{"one": ["1"], "two": ["2"]}\n')
    alice.commit("Lists")
    alice.git("push -q origin main")
    bob.git("pull -q")
    bob.upgrade()
    alice.add_field("1.1.0", "one")
    alice.upgrade()
    alice.commit("One")
    bob.add_field("1.1.0", "two")
    bob.upgrade()
    bob.commit("Two")
    alice.git("push -q origin main")
    bob.git("pull -q --no-rebase -X theirs")
    bob.write("settings.json", "{}\n")
    bob.commit("Neither is in the file any more")

    with pytest.raises(MigrateError, match=r"Two migrations have version 1\.1\.0"):
        bob.upgrade()
    renumber(bob.workspace(), "1.1.0-move-two.py", None, "tester", 0)
    assert bob.state("1.1.1") is State.APPLIED
    assert bob.state("1.1.0") is State.FILES_ONLY
    bob.upgrade()
    assert (bob.rows("one"), bob.rows("two")) == (["1"], ["2"])
    bob.commit("Mine is 1.1.1")
    bob.git("push -q origin main")

    alice.git("pull -q")
    alice.upgrade()
    carol = team.clone("carol")
    carol.upgrade()
    for person in (alice, bob, carol):
        assert (person.rows("one"), person.rows("two")) == (["1"], ["2"])
        assert set(person.states().values()) == {State.APPLIED}
        assert person.is_clean()


def test_a_migration_that_somebody_else_renumbered_keeps_its_rows(team: Team) -> None:
    bob = team.clone("bob")
    alice = applied(team)
    bob.git("pull -q")
    bob.upgrade()
    with bob.connect() as connection:
        connection.execute("INSERT INTO todo (title) VALUES ('mine')")
        connection.commit()
    renumber(alice.workspace(), "1.0.0", Version(1, 2, 0), "tester", 0)
    alice.commit("Another number")
    alice.git("push -q origin main")
    bob.git("pull -q")
    assert bob.states() == {"1.0.0": State.DATABASE_ONLY, "1.2.0": State.FILES_ONLY}

    bob.sync()

    assert bob.states() == {"1.2.0": State.APPLIED}
    assert bob.rows() == [*TODO, "mine"]
    assert bob.is_clean()


def test_both_apply_the_same_migration_and_merge(team: Team) -> None:
    bob = team.clone("bob")
    alice = applied(team)
    bob.upgrade()
    bob.commit("Apply it too")

    bob.git("pull -q --no-rebase")

    settled(bob)
    settled(alice)


def test_edits_after_the_upgrade_do_not_matter(team: Team) -> None:
    alice = applied(team)
    for number in range(3):
        alice.write("settings.json", f'{{"model": "opus", "number": {number}}}\n')
        alice.commit("Edit")
    alice.git("push -q origin main")
    carol = team.clone("carol")
    carol.upgrade()
    settled(carol)
    carol.git("checkout -q", team.base)
    carol.sync()
    assert carol.is_clean()
    assert carol.state() is State.PENDING


def test_files_that_were_committed_before_the_record(team: Team) -> None:
    alice = team.alice
    alice.upgrade()
    alice.git("add .claude/settings.json")
    alice.git("commit -qm", "The files alone")
    alice.commit("The record")
    alice.git("push -q origin main")
    carol = team.clone("carol")
    carol.upgrade()
    settled(carol)


def test_files_that_were_never_committed_as_they_were(team: Team) -> None:
    alice = team.alice
    alice.write("settings.json", '{"todo": ["not committed"]}\n')
    applied(team)
    bob = team.clone("bob")

    with pytest.raises(HistoryLacksTree):
        bob.upgrade()

    assert bob.tables() == set()
    assert alice.rows() == ["not committed"]


def test_a_cherry_pick(team: Team) -> None:
    alice = team.alice
    alice.git("branch other")
    alice.git("checkout -q -b feature")
    commit = applied(team).git("rev-parse HEAD").strip()
    alice.git("checkout -q other")
    alice.sync()
    alice.write("notes.md", "unrelated\n")
    alice.commit("Notes")
    alice.git("cherry-pick", commit)
    alice.sync()
    settled(alice)


def test_an_amended_commit_and_a_hard_reset(team: Team) -> None:
    alice = team.alice
    alice.upgrade()
    alice.commit("Apply it")
    alice.write("notes.md", "forgotten\n")
    alice.git("add -A")
    alice.git("commit -q --amend --no-edit")
    settled(alice)

    alice.git("reset -q --hard", team.base)
    assert alice.state() is State.DATABASE_ONLY
    alice.sync()  # only the reflog has it

    assert alice.is_clean()
    assert alice.state() is State.PENDING
    alice.git("reset -q --hard HEAD@{1}")
    alice.sync()
    settled(alice)


def test_steps_on_the_database_take_their_turn(team: Team) -> None:
    bob = team.clone("bob")
    alice = team.alice
    alice.sql("0.9.0", "CREATE TABLE early (x);", "DROP TABLE early;")
    assert alice.commit("Early")
    alice.sql("1.0.1", "CREATE INDEX titles ON todo (title);", "DROP INDEX titles;")
    alice.sql("1.2.0", "CREATE TABLE late (x);", "DROP TABLE late;")
    applied(team)
    bob.git("pull -q")
    bob.sync()
    assert bob.states() == {
        "0.9.0": State.APPLIED,
        "1.0.0": State.APPLIED,
        "1.0.1": State.PENDING,
        "1.2.0": State.PENDING,
    }
    bob.upgrade()
    settled(bob)
    bob.git("checkout -q main~1")
    with pytest.raises(PlanRefused):
        bob.upgrade()
    bob.sync()
    assert bob.tables() == {"early"}
    assert bob.is_clean()


def test_what_git_ignores_is_each_persons_own_half(team: Team) -> None:
    alice = team.alice
    alice.add_migration("1.1.0", MOVE_MODEL)
    bob = team.clone("bob")
    alice.write("cache.json", '["of Alice"]')
    bob.write("cache.json", '["of Bob"]')
    applied(team)
    assert "cache.json" not in alice.read("plugin-migrate.applied/1.1.0-step")
    bob.git("pull -q")

    bob.upgrade()

    memory = bob.claude / "memory.db"
    assert json.loads(bob.read("cache.json")) == {"entries": ["of Bob"]}
    assert bob.query("SELECT title FROM model", database=memory) == [("opus",)]
    assert bob.is_clean()
    bob.git("checkout -q", team.base)
    bob.sync()
    assert json.loads(bob.read("cache.json")) == ["of Bob"]
    assert bob.query("SELECT name FROM sqlite_schema", database=memory) == []
    assert bob.is_clean()
    bob.git("checkout -q main")
    bob.sync()
    assert bob.query("SELECT title FROM model", database=memory) == [("opus",)]
    assert bob.rows() == TODO


def test_rows_that_no_commit_has_are_not_dropped(team: Team) -> None:
    bob = team.clone("bob")
    applied(team)
    bob.git("pull -q")
    bob.upgrade()
    with bob.connect() as connection:
        connection.execute("INSERT INTO todo (title) VALUES ('mine')")
        connection.commit()
    bob.git("checkout -q", team.base)

    with pytest.raises(WouldDropRows) as caught:
        bob.sync()

    assert "mine" in "\n".join(caught.value.details)
    assert bob.rows() == [*TODO, "mine"]
    bob.git("checkout -q main")
    assert bob.state() is State.APPLIED
    bob.git("checkout -q", team.base)
    bob.sync(Choices(may_drop=True))
    assert bob.tables() == set()
    assert bob.is_clean()


def test_a_database_half_can_be_kept(team: Team) -> None:
    alice = team.alice
    alice.git("checkout -q -b feature")
    applied(team)
    alice.git("checkout -q main")

    done = repair(alice.workspace(), [Version(1, 0, 0)], Decisions(), "tester", 0)

    assert [one.what for one in done] == ["kept in the database, though git took its files back"]
    assert alice.state() is State.APPLIED
    assert alice.rows() == TODO


def test_files_in_a_folder_that_is_no_repository_have_no_record(team: Team, folder: Path) -> None:
    alice = team.alice
    os.rename(alice.root / ".git", folder / "elsewhere")
    alice.upgrade()
    assert not (alice.claude / RECORD).exists()
    assert alice.state() is State.APPLIED


def test_a_step_that_fails_on_its_files_changes_nothing(team: Team) -> None:
    alice = applied(team)
    bob = team.clone("bob")
    with bob.connect() as connection:
        connection.execute("CREATE TABLE todo (mine)")
        connection.execute("INSERT INTO todo VALUES ('kept')")
        connection.commit()

    with pytest.raises(MigrateError, match="table todo already exists"):
        bob.upgrade()

    assert bob.query("SELECT mine FROM todo") == [("kept",)]
    assert bob.state() is State.FILES_ONLY
    assert bob.is_clean()
    assert bob.query("SELECT outcome, action FROM plugin_migrate_history") == [("failed", "up")]
    assert alice.is_clean()


def test_another_record_of_the_same_migration_brings_other_rows(team: Team) -> None:
    alice = team.alice
    alice.git("checkout -q -b short")
    applied(team)
    alice.git("checkout -q main")
    alice.sync()
    alice.write("settings.json", '{"model": "opus", "todo": ["write tests", "more", "and more"]}\n')
    alice.commit("A longer list")
    alice.upgrade()
    alice.commit("Apply it")
    alice.git("checkout -q short")
    assert alice.state() is State.DATABASE_ONLY  # it is another half
    alice.sync()
    settled(alice)
    alice.git("checkout -q main")
    alice.sync()
    settled(alice, ["write tests", "more", "and more"])


def test_rehearsals_leave_the_records_and_everything_else(team: Team) -> None:
    alice = applied(team)
    for arguments in (("verify", "--all"), ("downgrade", "--preview"), ("redo", "--dry-run")):
        done = alice.cli(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        assert alice.is_clean()
    bob = team.clone("bob")
    assert "would apply 1 migration(s)" in bob.cli("upgrade", "--dry-run").stdout
    shown = bob.cli("upgrade", "--preview").stdout
    assert "write tests" in shown
    assert "settings.json" not in shown
    assert bob.state() is State.FILES_ONLY
    assert bob.is_clean()


def test_migrations_of_a_plugin_are_followed_too(team: Team, folder: Path) -> None:
    plugin = folder / "keeper"
    (plugin / ".claude-plugin").mkdir(parents=True)
    (plugin / ".claude-plugin/plugin.json").write_text('{"name": "keeper", "version": "1.0.0"}')
    (plugin / "migrations").mkdir()
    (plugin / "migrations/plugin-migrate.yaml").write_text("")
    (plugin / "migrations/1.0.0-take.py").write_text(MOVE_TODO)
    alice = team.alice
    (alice.migrations / "1.0.0-move-todo.py").unlink()
    (alice.root / ".gitignore").write_text("*.db\n")
    alice.commit("A plugin moves the list")
    assert alice.cli("upgrade", "--plugin-dir", str(plugin)).returncode == 0
    assert (alice.claude / "plugin-migrate.applied/plugins/keeper/1.0.0-take").exists()
    alice.commit("Apply it")
    alice.git("push -q origin main")
    bob = team.clone("bob")

    done = bob.cli("sync", "--plugin-dir", str(plugin))

    assert "(the database only: git brought its files)" in done.stdout, done.stderr
    database = bob.claude / "keeper/state.db"
    assert bob.query("SELECT title FROM todo", database=database) == [(one,) for one in TODO]
    assert bob.is_clean()
    bob.git("checkout -q HEAD~1")
    # The plugin is installed here all the same: what it ships is applied to these files too.
    done = bob.cli("sync", "--plugin-dir", str(plugin))
    assert "git took back its files" in done.stdout, done.stderr
    assert "todo" not in bob.read("settings.json")
    assert bob.query("SELECT title FROM todo", database=database) == [(one,) for one in TODO]
