"""Asking git: nothing that a repository names runs, and nothing leaves the folder that is given."""

import hashlib
import os
from pathlib import Path

import pytest

from people import Git, Team
from plugin_migrate.git.command import NoAnswer, Repository
from plugin_migrate.git.history import commits_here, contents, is_of
from plugin_migrate.git.trees import write_tree
from plugin_migrate.plan import State

PROGRAMS = {
    "core.fsmonitor": "{}",
    "core.hooksPath": "hooks",
    "core.sshCommand": "{}",
    "core.pager": "{}",
    "core.editor": "{}",
    "core.alternateRefsCommand": "{}",
    "diff.external": "{}",
    "diff.all.textconv": "{}",
    "filter.all.clean": "{}",
    "filter.all.smudge": "{}",
    "filter.all.process": "{}",
    "gpg.program": "{}",
    "log.showSignature": "true",
    "uploadpack.packObjectsHook": "{}",
    "remote.origin.promisor": "true",
    "remote.origin.partialclonefilter": "blob:none",
    "extensions.partialClone": "origin",
    "remote.origin.url": "ext::{}",
    "protocol.ext.allow": "always",
}


@pytest.fixture
def team(folder: Path, git: Git) -> Team:
    return Team(folder, git)


def test_no_program_that_a_repository_names_is_run(team: Team, folder: Path) -> None:
    team.apply()
    bob = team.clone("bob")
    ran = folder / "ran"
    program = folder / "program"
    program.write_text(f"#!/bin/sh\ntouch {ran}\nexit 1\n")
    program.chmod(0o755)
    for key, value in PROGRAMS.items():
        bob.git("config", key, value.format(program))
    (bob.root / ".git/info/attributes").write_text("* filter=all diff=all export-subst\n")
    (bob.root / "hooks").mkdir()
    for name in ("post-index-change", "reference-transaction", "post-checkout"):
        (bob.root / "hooks" / name).symlink_to(program)

    bob.look()
    bob.upgrade()
    assert len(bob.rows()) == 2
    bob.git("-c core.hooksPath=/dev/null update-ref --no-deref HEAD HEAD~1")
    (bob.claude / "plugin-migrate.applied/1.0.0-move-todo").unlink()
    ran.unlink(missing_ok=True)
    bob.sync()

    assert bob.state() is State.PENDING
    assert not ran.exists()


def test_variables_of_a_hook_do_not_lead_elsewhere(
    team: Team, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    team.apply()
    bob = team.clone("bob")
    monkeypatch.setenv("GIT_DIR", str(folder / "origin.git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(folder))
    monkeypatch.setenv("GIT_INDEX_FILE", str(folder / "nothing"))
    bob.upgrade()
    assert len(bob.rows()) == 2


@pytest.mark.parametrize(
    "target", ["/etc/passwd", "../../outside", "folder/../../outside", "inner/../../../outside"]
)
def test_a_link_that_leaves_the_folder_is_not_made(team: Team, folder: Path, target: str) -> None:
    alice = team.alice
    alice.write("inner/file", "x")
    os.symlink(target, alice.claude / "link")
    os.symlink("inner/file", alice.claude / "good")
    commit = alice.commit("Links")
    made = folder / "made"
    made.mkdir()

    write_tree(Repository(str(alice.claude)), commit, str(made))

    assert not os.path.lexists(made / "link")
    assert (made / "good").read_text() == "x"
    assert (made / "settings.json").read_text() == alice.read("settings.json")


def test_a_commit_without_the_folder_has_no_files(team: Team, folder: Path) -> None:
    alice = team.alice
    alice.git("checkout -q --orphan empty")
    alice.git("rm -rqf .")
    (alice.root / "readme").write_text("x")
    commit = alice.commit("Nothing")
    alice.claude.mkdir(exist_ok=True)
    made = folder / "made"
    made.mkdir()
    write_tree(Repository(str(alice.claude)), commit, str(made))
    assert list(made.iterdir()) == []


def test_paths_are_taken_as_they_are(team: Team) -> None:
    alice = team.alice
    for name in ("a*b", ":(glob)x", "[x]", "-n"):
        alice.write(name, name)
    alice.write("cache.json", "")
    commit = alice.commit("Odd names")
    repository = Repository(str(alice.claude))
    for name in ("a*b", ":(glob)x", "[x]", "-n"):
        assert commits_here(repository, name, lambda content: True) == (commit,)
        assert contents(repository, [f"HEAD:./{name}"]) == {f"HEAD:./{name}": name.encode()}
    assert repository.ignored([":(glob)x", "cache.json", "-n"]) == {"cache.json"}
    with pytest.raises(NoAnswer, match="line end"):
        contents(repository, ["HEAD:./a\nb"])


def test_a_folder_in_no_repository_gets_no_answer(folder: Path) -> None:
    with pytest.raises(NoAnswer, match="not a git repository"):
        Repository(str(folder)).ask("rev-parse", "HEAD")


def test_line_ends_of_windows_are_the_same_content() -> None:
    digest = hashlib.sha256(b"a\r\nb\r\n").hexdigest()
    assert is_of(b"a\nb\n", digest)
    assert is_of(b"a\r\nb\r\n", digest)
    assert not is_of(b"a\nc\n", digest)
    assert is_of(None, None)
    assert not is_of(None, digest)
