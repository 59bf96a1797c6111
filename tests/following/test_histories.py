"""Random histories of two people, against what a model says that each of them must have.

Whoever stands on a commit with a migration's record must have exactly the rows that its author got
when it was applied, files as git has them, and nothing of their own rows may go without a word.
``PLUGIN_MIGRATE_HISTORIES=500`` runs so many; else a few with fixed seeds.
"""

import hashlib
import json
import os
import random
import re
from pathlib import Path

import pytest

from people import Git, Person, Team
from plugin_migrate.errors import HistoryLacksTree, WouldDropRows
from plugin_migrate.following.choices import Choices
from plugin_migrate.plan import State
from plugin_migrate.storage.files import discard

HISTORIES = int(os.environ.get("PLUGIN_MIGRATE_HISTORIES", "15"))
STEPS = 12
LISTS = ("todo", "done", "later")
VERSIONS = {name: f"1.{number}.0" for number, name in enumerate(LISTS)}


class History:
    """One history, and the model of it.

    ``rows`` is what a migration's author got, by the text of its record; ``own`` what each person
    has added to a table since, by name and list.
    """

    def __init__(self, folder: Path, git: Git, seed: int) -> None:
        self.random = random.Random(seed)
        self.rows: dict[str, list[str]] = {}
        self.own: dict[tuple[str, str], list[str]] = {}
        self.log: list[str] = []
        self.count = 0
        team = Team(folder, git)
        alice = team.alice
        for file in alice.migrations.iterdir():
            file.unlink()
        settings = {"model": "opus", **{name: [f"{name} 1", f"{name} 2"] for name in LISTS}}
        alice.write("settings.json", json.dumps(settings, indent=2) + "\n")
        for name, version in VERSIONS.items():
            alice.add_field(version, name)
        alice.commit("Begin")
        alice.git("push -q origin main")
        self.people = {"alice": alice, "bob": team.clone("bob")}

    # --- the model -------------------------------------------------------------------------------

    def record(self, person: Person, name: str) -> str | None:
        """Return the record that stands with the files."""
        path = person.claude / f"plugin-migrate.applied/{VERSIONS[name]}-move-{name}"
        return path.read_text() if path.exists() else None

    def check(self, who: str, person: Person) -> None:
        """Compare what is here with what the model says."""
        assert person.is_clean()
        settings = json.loads(person.read("settings.json"))
        states = person.states()
        for name in LISTS:
            record = self.record(person, name)
            if record is None:
                assert states[VERSIONS[name]] in (State.PENDING, State.OUT_OF_ORDER)
                assert name not in person.tables()
                assert name in settings
            else:
                assert states[VERSIONS[name]] is State.APPLIED
                assert person.rows(name) == self.rows[record] + self.own.get((who, name), [])
                assert name not in settings

    def settle(self, who: str, person: Person, before: str) -> None:
        """Bring the databases in step after git did something; go back where that is refused."""
        had = {name: person.rows(name) for name in LISTS if name in person.tables()}
        try:
            person.sync()
        except WouldDropRows:
            assert any(key[0] == who for key in self.own), "nobody's rows were at stake"
            assert had == {name: person.rows(name) for name in LISTS if name in person.tables()}
            self.log.append("refused to drop rows")
            if self.random.random() < 0.5:
                self.go_back(person, before)
            else:
                person.sync(Choices(may_drop=True))
                self.forget_dropped(who, person, had)
        except HistoryLacksTree:
            assert not self.is_in_history(person), "the history has what is needed"
            self.log.append("refused for want of history")
            self.go_back(person, before)
        else:
            self.assert_kept(who, person)
        self.check(who, person)

    def assert_kept(self, who: str, person: Person) -> None:
        """Make sure that a sync which did not refuse left one's own rows."""
        for (owner, name), own in self.own.items():
            if owner == who and own:
                assert person.rows(name)[-len(own) :] == own

    def forget_dropped(self, who: str, person: Person, had: dict[str, list[str]]) -> None:
        """Forget the rows that somebody let go of: all of a half that was rolled back."""
        for name in LISTS:
            own = self.own.get((who, name))
            if own and (name not in person.tables() or person.rows(name) != had[name]):
                del self.own[who, name]

    def go_back(self, person: Person, before: str) -> None:
        person.git("reset -q --hard", before)
        person.sync(Choices(may_drop=False))

    def is_in_history(self, person: Person) -> bool:
        """Return whether each missing half's files stand in some commit above its record."""
        states = person.states()
        return all(
            self._holds_before(person, name)
            for name in LISTS
            if states[VERSIONS[name]] is State.FILES_ONLY
        )

    def _holds_before(self, person: Person, name: str) -> bool:
        record = self.record(person, name) or ""
        (digest,) = re.findall(r'^before (\w+) "settings.json"$', record, re.MULTILINE)
        for commit in person.git("rev-list HEAD").split():
            content = person.git("show", f"{commit}:.claude/settings.json").encode()
            if hashlib.sha256(content).hexdigest() == digest:
                return True
        return False

    # --- what people do --------------------------------------------------------------------------

    def step(self) -> None:
        """Let one of them do something."""
        who, person = self.random.choice(sorted(self.people.items()))
        action = self.random.choice(
            [
                self.apply,
                self.apply,
                self.roll_back,
                self.edit_setting,
                self.edit_list,
                self.add_row,
                self.add_row,
                self.add_row,
                self.switch,
                self.switch,
                self.pull,
                self.pull,
                self.push,
                self.rebase,
                self.revert,
                self.squash,
                self.stash,
                self.clone,
            ]
        )
        self.log.append(f"{who}: {action.__name__}")
        before = person.git("rev-parse HEAD").strip()
        action(who, person)
        self.settle(who, person, before)

    def apply(self, who: str, person: Person) -> None:
        settings = json.loads(person.read("settings.json"))
        pending = [name for name in LISTS if self.record(person, name) is None]
        if not pending:
            return
        last = self.random.choice(pending)
        person.upgrade(VERSIONS[last])
        for name in pending:
            record = self.record(person, name)
            if record is not None:
                assert self.rows.setdefault(record, settings[name]) == settings[name]
        person.commit(f"Apply up to {last}")

    def roll_back(self, who: str, person: Person) -> None:
        applied = [name for name in LISTS if self.record(person, name) is not None]
        if not applied:
            return
        last = self.random.choice(applied)
        versions = sorted(VERSIONS.values())
        below = versions.index(VERSIONS[last])
        held = {name: person.rows(name) for name in applied}
        person.downgrade(versions[below - 1] if below else "0.0.0")
        settings = json.loads(person.read("settings.json"))
        for name in applied:
            if self.record(person, name) is None:
                assert settings[name] == held[name]
                self.own.pop((who, name), None)  # they are in the file now
        person.commit(f"Roll back {last}")

    def _edit(self, person: Person, change) -> None:
        settings = json.loads(person.read("settings.json"))
        self.count += 1
        change(settings)
        person.write("settings.json", json.dumps(settings, indent=2) + "\n")
        person.commit(f"Edit {self.count}")

    def edit_setting(self, who: str, person: Person) -> None:
        key = self.random.choice(["model", "theme"])
        self._edit(person, lambda settings: settings.update({key: f"{key} {self.count}"}))

    def edit_list(self, who: str, person: Person) -> None:
        name = self.random.choice(LISTS)
        if self.record(person, name) is None:
            self._edit(
                person, lambda settings: settings[name].append(f"{name} by {who} {self.count}")
            )

    def add_row(self, who: str, person: Person) -> None:
        name = self.random.choice(LISTS)
        if self.record(person, name) is not None:
            self.count += 1
            row = f"row of {who} {self.count}"
            with person.connect() as connection:
                connection.execute(f"INSERT INTO {name} (title) VALUES (?)", (row,))
                connection.commit()
            self.own.setdefault((who, name), []).append(row)

    def switch(self, who: str, person: Person) -> None:
        branches = person.git("for-each-ref --format=%(refname:short) refs/heads").split()
        if len(branches) < 3 and self.random.random() < 0.5:
            self.count += 1
            person.git(f"checkout -q -b side{self.count}")
        else:
            person.git("checkout -q", self.random.choice(branches))

    def _try(self, person: Person, arguments: str, undo: str) -> bool:
        """Let git try something, and take it back where it would need somebody's hand."""
        try:
            person.git(arguments)
        except AssertionError:
            try:
                person.git(undo)
            except AssertionError:
                person.git("reset -q --hard")
            return False
        return True

    def pull(self, who: str, person: Person) -> None:
        person.git("fetch -q")
        self._try(person, "merge -q --no-edit origin/main", "merge --abort")
        self._undo_nonsense(person)

    def push(self, who: str, person: Person) -> None:
        self._try(person, "push -q origin HEAD:main", "status")

    def rebase(self, who: str, person: Person) -> None:
        person.git("fetch -q")
        self._try(person, "rebase -q origin/main", "rebase --abort")
        self._undo_nonsense(person)

    def revert(self, who: str, person: Person) -> None:
        if person.git("rev-list --count HEAD") > "3\n":
            self._try(person, "revert --no-edit HEAD", "revert --abort")
            self._undo_nonsense(person)

    def squash(self, who: str, person: Person) -> None:
        branches = person.git("for-each-ref --format=%(refname:short) refs/heads").split()
        branch = self.random.choice(branches)
        if self._try(person, f"merge -q --squash {branch}", "reset -q --hard"):
            if not person.is_clean():
                person.commit(f"Squash {branch}")
            self._undo_nonsense(person)

    def stash(self, who: str, person: Person) -> None:
        pending = [name for name in LISTS if self.record(person, name) is None]
        if not pending:
            return
        settings = json.loads(person.read("settings.json"))
        person.upgrade()
        for name in pending:
            self.rows.setdefault(self.record(person, name) or "", settings[name])
        person.git("stash -q -u")
        person.sync()
        self.check(who, person)
        person.git("stash pop -q")
        person.commit("Apply what was stashed")

    def clone(self, who: str, person: Person) -> None:
        """Somebody else begins with what is on main, and must have the same."""
        self.count += 1
        other = Person(person.root.parent / f"clone{self.count}", person._run_git)
        discard(str(other.root))
        url = person.git("remote get-url origin").strip()
        person.git(f"clone -q {url} {other.root}")
        carol = Person(other.root, person._run_git)
        try:
            carol.sync()
        except HistoryLacksTree:
            assert not self.is_in_history(carol)
        else:
            self.check("carol", carol)
        discard(str(other.root))

    def _undo_nonsense(self, person: Person) -> None:
        """Take a merge back that put a list into the file and its record beside it, or neither.

        Git merges texts: only people can tell what a list should be that one moved away while
        another edited it.
        """
        settings = json.loads(person.read("settings.json"))
        if any((name in settings) == (self.record(person, name) is not None) for name in LISTS):
            person.git("reset -q --hard ORIG_HEAD")


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_everybody_has_what_the_model_says(folder: Path, git: Git, seed: int) -> None:
    history = History(folder, git, seed)
    try:
        for _ in range(STEPS):
            history.step()
    except (AssertionError, Exception) as error:
        raise AssertionError("\n".join([f"seed {seed}", *history.log])) from error
