"""Staging: any edit of the copy becomes exactly that edit of the live state, or nothing at all."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings

from plugin_migrate.engine.engine import Reporter, StepResult
from plugin_migrate.engine.prepare import Prepared
from plugin_migrate.engine.redo_log import LogWriter
from plugin_migrate.errors import Conflict, ForbiddenStatement, MigrateError
from plugin_migrate.storage.files import CHUNK
from plugin_migrate.version import Version
from project import LIVE, Project, Thing, fails_unchanged, meanwhile, things, unchanged
from random_trees import FAST, Edit, Stage, Tree, edits, temporary, trees


@FAST
@given(trees(), edits())
def test_commit_equals_the_edit_for_any_tree_and_any_edit(tree: Tree, edits: list[Edit]) -> None:
    with temporary() as root:
        stage = Stage(root, tree)
        stage.edit(edits)
        stage.publish()
        assert things(Path(stage.live)) == things(Path(stage.model))


@FAST
@given(trees(with_links=True), edits())
def test_failure_leaves_the_original_for_any_tree_and_any_edit(
    tree: Tree, edits: list[Edit]
) -> None:
    with temporary() as root:
        stage = Stage(root, tree)
        before = things(Path(stage.live))
        stage.edit(edits)
        try:
            LogWriter(stage.workspace).finish(Version(1, 0, 0), "up", stage.changes())
        except MigrateError:
            pass
        assert things(Path(stage.live)) == before


@FAST
@given(trees(), edits(links=False), edits(links=False), edits())
def test_one_staged_copy_serves_step_after_step_whatever_others_edit_between(
    tree: Tree, first: list[Edit], foreign: list[Edit], second: list[Edit]
) -> None:
    with temporary() as root:
        stage = Stage(root, tree)
        stage.edit(first)
        stage.publish()
        for edit in foreign:
            edit.apply(stage.live)
            edit.apply(stage.model)
        stage.staging.refresh()
        assert _contents(stage.staged) == _contents(stage.live)
        stage.edit(second)
        stage.publish()
        assert things(Path(stage.live)) == things(Path(stage.model))


@FAST
@given(trees(with_links=True), edits())
def test_every_link_that_was_not_edited_stays_a_link(tree: Tree, edits: list[Edit]) -> None:
    with temporary() as root:
        stage = Stage(root, tree)
        before = things(Path(stage.live))
        links = {path: thing for path, thing in before.items() if thing.kind == "link"}
        for edit in edits:
            edit.apply(stage.staged)
        try:
            changes = stage.changes()
        except MigrateError:
            return
        stage.publish()
        after = things(Path(stage.live))
        gone = {
            change.path.removeprefix("state/")
            for change in changes
            if change.after is None or change.after.kind != "file"
        }
        for path, link in links.items():
            if path not in gone:
                assert after[path] == link


def _rewrite(path: Path, text: str) -> None:
    """Write as many bytes as there were, in place, and restore the time of the last change."""
    times = path.stat()
    path.write_text(text)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_a_live_file_edited_twice_within_one_tick_of_the_clock_is_seen(folder: Path) -> None:
    stage = Stage(str(folder), Tree({}, {}))
    live = Path(stage.live, "a.md")
    # Before Linux 6.13 most fall into one tick: then nothing but the content tells them apart.
    for number in range(20):
        live.write_text(f"first {number:02}")
        stage.staging.refresh()
        _rewrite(live, f"other {number:02}")
        Path(stage.staged, "a.md").write_text("migrated")
        with pytest.raises(Conflict):
            stage.changes()
        stage.staging.refresh()
        assert Path(stage.staged, "a.md").read_text() == f"other {number:02}"


def test_a_step_s_edit_in_the_tick_in_which_its_copy_was_made_is_seen(folder: Path) -> None:
    stage = Stage(str(folder), Tree({}, {}))
    staged = Path(stage.staged, "a.md")
    for number in range(20):
        Path(stage.live, "a.md").write_text(f"{number:02}")
        stage.staging.refresh()
        _rewrite(staged, "xx")
        assert [change.path for change in stage.changes()] == ["state/a.md"]


def test_what_a_step_made_and_somebody_deleted_is_gone_from_the_next_step_s_copy(
    folder: Path,
) -> None:
    stage = Stage(str(folder), Tree({}, {}))
    for root in (stage.staged, stage.model):
        Path(root, "made").mkdir()
        Path(root, "made/a.md").write_text("a")
        Path(root, "b.md").write_text("b")
    stage.publish()
    shutil.rmtree(Path(stage.live, "made"))
    Path(stage.live, "b.md").unlink()
    stage.staging.refresh()
    assert os.listdir(stage.staged) == []
    assert stage.changes() == {}


def _contents(root: str) -> dict[str, bytes | str | None]:
    """Return the tree without modes: a copy's folders may always be written by their owner."""
    return {
        path: None if it.kind == "dir" else it.content for path, it in things(Path(root)).items()
    }


# --- through the engine ------------------------------------------------------------------------


@settings(FAST, max_examples=15)
@given(trees(), edits())
def test_a_python_step_commits_exactly_what_its_code_did(tree: Tree, edits: list[Edit]) -> None:
    with temporary() as root:
        project, model = _with_tree(root, tree)
        project.python("1.0.0", _code(edits), top=_IMPORT)
        for edit in edits:
            edit.apply(str(model))
        project.upgrade()
        assert things(project.claude / "state") == things(model)


@settings(FAST, max_examples=15)
@given(trees(with_links=True), edits())
def test_a_failing_python_step_leaves_every_byte_mode_and_row(
    tree: Tree, edits: list[Edit]
) -> None:
    with temporary() as root:
        project, _ = _with_tree(root, tree)
        project.sql("1.0.0", "CREATE TABLE t (x); INSERT INTO t VALUES (1);")
        project.upgrade()
        project.python(
            "1.1.0", f"ctx.db.execute('DROP TABLE t')\n{_code(edits)}\n1 / 0", top=_IMPORT
        )
        with unchanged(project):
            project.failure()
        assert project.history()[-1] == ("1.1.0", "up", "failed")


_IMPORT = "import sys\nfrom random_trees import Edit"


def _with_tree(root: str, tree: Tree) -> tuple[Project, Path]:
    project = Project(Path(root, "project"))
    model = Path(root, "model")
    for folder in (project.claude / "state", model):
        folder.mkdir()
        tree.build(str(folder))
    return project, model


def _code(edits: list[Edit]) -> str:
    return f"for edit in {edits!r}:\n    edit.apply(str(ctx.claude / 'state'))"


# --- links -------------------------------------------------------------------------------------


def test_a_linked_file_is_changed_through_its_link(project: Project) -> None:
    project.write("real.json", "old", 0o640)
    (project.claude / "link.json").symlink_to("real.json")
    project.python("1.0.0", "(ctx.claude / 'link.json').write_text('new')")
    project.upgrade()
    assert os.readlink(project.claude / "link.json") == "real.json"
    assert things(project.claude)["real.json"].content == b"new"
    assert things(project.claude)["real.json"].mode == 0o640


def test_a_file_behind_a_link_changes_for_the_link_too(project: Project) -> None:
    project.write("real.json", "old")
    (project.claude / "link.json").symlink_to("real.json")
    project.python("1.0.0", "(ctx.claude / 'real.json').write_text('new')")
    project.upgrade()
    assert os.readlink(project.claude / "link.json") == "real.json"
    assert project.read("link.json") == "new"


def test_changing_a_file_and_a_link_to_it_differently_is_a_conflict(project: Project) -> None:
    project.write("real.json", "old")
    (project.claude / "link.json").symlink_to("real.json")
    project.python(
        "1.0.0",
        "(ctx.claude / 'real.json').write_text('1'); (ctx.claude / 'link.json').write_text('2')",
    )
    error = fails_unchanged(project)
    assert isinstance(error, Conflict)
    assert "are one file" in error.message


def test_replacing_a_link_s_content_atomically_keeps_the_link(project: Project) -> None:
    project.write("real.json", "old")
    (project.claude / "link.json").symlink_to("real.json")
    project.python(
        "1.0.0",
        "(ctx.claude / 'x').write_text('new');(ctx.claude / 'x').replace(ctx.claude / 'link.json')",
    )
    project.upgrade()
    assert os.readlink(project.claude / "link.json") == "real.json"
    assert project.read("real.json") == "new"


def test_deleting_a_link_deletes_the_link_only(project: Project) -> None:
    project.write("real.json", "old")
    (project.claude / "link.json").symlink_to("real.json")
    project.python("1.0.0", "(ctx.claude / 'link.json').unlink()")
    project.upgrade()
    assert not os.path.lexists(project.claude / "link.json")
    assert project.read("real.json") == "old"


def test_a_link_that_leaves_claude_may_be_read(project: Project, folder: Path) -> None:
    _linked_outside(project, folder)
    project.python("1.0.0", "assert (ctx.claude / 'out.json').read_text() == 'outside'")
    project.upgrade()


def test_changing_what_a_link_outside_leads_to_is_a_conflict(
    project: Project, folder: Path
) -> None:
    outside = _linked_outside(project, folder)
    project.python("1.0.0", "(ctx.claude / 'out.json').write_text('new')")
    error = fails_unchanged(project)
    assert isinstance(error, Conflict)
    assert "follow_links: true" in error.message
    assert outside.read_text() == "outside"


def test_follow_links_publishes_through_a_link_that_leaves_claude(
    project: Project, folder: Path
) -> None:
    outside = _linked_outside(project, folder)
    outside.chmod(0o600)
    project.config("follow_links: true")
    project.python("1.0.0", "(ctx.claude / 'out.json').write_text('new')")
    project.upgrade()
    assert outside.read_text() == "new"
    assert outside.stat().st_mode & 0o777 == 0o600
    assert os.readlink(project.claude / "out.json") == str(outside)


def test_a_chain_of_links_is_followed_to_its_end(project: Project) -> None:
    project.write("real", "old")
    (project.claude / "one").symlink_to("two")
    (project.claude / "two").symlink_to("real")
    project.python("1.0.0", "(ctx.claude / 'one').write_text('new')")
    project.upgrade()
    assert project.read("real") == "new"
    assert os.readlink(project.claude / "one") == "two"
    assert os.readlink(project.claude / "two") == "real"


def test_a_linked_folder_is_a_copy_that_may_only_be_read(project: Project) -> None:
    project.write("real/a.md", "text")
    (project.claude / "linked").symlink_to("real")
    project.python("1.0.0", "assert (ctx.claude / 'linked/a.md').read_text() == 'text'")
    project.upgrade()
    for number, code in enumerate(
        (
            "(ctx.claude / 'linked/a.md').write_text('new')",
            "(ctx.claude / 'linked/b.md').write_text('new')",
            "(ctx.claude / 'linked/a.md').unlink()",
            "(ctx.claude / 'linked/c').mkdir()",
        )
    ):
        file = project.python(f"2.0.{number}", code)
        error = fails_unchanged(project)
        assert isinstance(error, Conflict)
        assert error.message.endswith(
            "linked is a linked folder, which no setting lets migrations change; let them change"
            " what it links to, .claude/real"
        )
        file.unlink()


@pytest.mark.parametrize("setting", ["", "follow_links: true"])
def test_a_linked_folder_outside_is_never_followed_and_the_first_message_says_so(
    project: Project, folder: Path, setting: str
) -> None:
    agents = folder / "dotfiles/agents"
    agents.mkdir(parents=True)
    (agents / "a.md").write_text("old")
    (project.claude / "agents").symlink_to(agents)
    project.config(setting)
    project.python("1.0.0", "(ctx.claude / 'agents/a.md').write_text('new')")
    error = fails_unchanged(project)
    assert error.message == (
        "The migration changed agents/a.md, which it may only read: agents is a linked folder,"
        " which no setting lets migrations change; put a folder in the link's place (it links to"
        f" {agents})"
    )
    assert (agents / "a.md").read_text() == "old"

    (project.claude / "agents").unlink()
    shutil.copytree(agents, project.claude / "agents")
    project.upgrade()
    assert project.read("agents/a.md") == "new"


def test_the_real_folder_behind_a_linked_one_can_be_changed(project: Project) -> None:
    project.write("real/a.md", "text")
    (project.claude / "linked").symlink_to("real")
    project.python("1.0.0", "(ctx.claude / 'real/a.md').write_text('new')")
    project.upgrade()
    assert project.read("linked/a.md") == "new"


def test_links_in_circles_and_to_nowhere_are_left_alone(project: Project) -> None:
    project.write("folder/a", "old")
    (project.claude / "folder/up").symlink_to("..")
    (project.claude / "folder/self").symlink_to("self")
    (project.claude / "nowhere").symlink_to("missing")
    (project.claude / "gone").symlink_to("/nonexistent/file")
    project.python("1.0.0", "(ctx.claude / 'folder/a').write_text('new')")
    project.upgrade()
    assert project.read("folder/a") == "new"
    assert {os.readlink(project.claude / name) for name in ("nowhere", "gone", "folder/self")} == {
        "missing", "/nonexistent/file", "self",
    }  # fmt: skip


def test_a_migration_may_make_relative_links_inside(project: Project) -> None:
    project.write("agents/a.md", "text")
    project.python("1.0.0", "(ctx.claude / 'current.md').symlink_to('agents/a.md')")
    project.python("1.1.0", "assert (ctx.claude / 'current.md').read_text() == 'text'")
    project.upgrade()
    assert os.readlink(project.claude / "current.md") == "agents/a.md"


@pytest.mark.parametrize(
    "target", ["/etc/hostname", "../../outside", "../../../../../etc/hostname"]
)
def test_a_migration_may_not_make_a_link_that_leaves_claude(project: Project, target: str) -> None:
    project.python("1.0.0", f"(ctx.claude / 'link').symlink_to({target!r})")
    error = fails_unchanged(project)
    assert isinstance(error, ForbiddenStatement)
    assert "leaves .claude/" in error.message


def test_a_claude_folder_that_is_a_link_itself_is_migrated_where_it_is(
    project: Project, folder: Path
) -> None:
    project.write("a.json", "old")
    project.claude.rename(folder / "elsewhere")
    project.claude.symlink_to(folder / "elsewhere")
    project.python("1.0.0", "(ctx.claude / 'a.json').write_text('new')")
    project.upgrade()
    assert (folder / "elsewhere/a.json").read_text() == "new"
    assert project.claude.is_symlink()


def _linked_outside(project: Project, folder: Path) -> Path:
    outside = folder / "outside.json"
    outside.write_text("outside")
    (project.claude / "out.json").symlink_to(outside)
    return outside


# --- modes, folders, swaps ---------------------------------------------------------------------


def test_a_file_and_a_folder_can_take_each_other_s_place(project: Project) -> None:
    project.write("one", "file")
    project.write("two/inner/a", "deep")
    project.python(
        "1.0.0",
        """
        import shutil
        (ctx.claude / "one").unlink()
        (ctx.claude / "one/new").mkdir(parents=True)
        (ctx.claude / "one/new/b").write_text("b")
        shutil.rmtree(ctx.claude / "two")
        (ctx.claude / "two").write_text("now a file")
        """,
    )
    project.upgrade()
    assert project.read("one/new/b") == "b"
    assert project.read("two") == "now a file"


def test_empty_folders_and_modes_are_part_of_the_state(project: Project) -> None:
    project.write("secret", "x", 0o600)
    (project.claude / "old").mkdir()
    project.python(
        "1.0.0",
        "(ctx.claude / 'old').rmdir(); (ctx.claude / 'new').mkdir(mode=0o750);"
        "(ctx.claude / 'secret').chmod(0o640)",
    )
    project.upgrade()
    now = things(project.claude)
    assert "old" not in now
    assert now["new"].mode == 0o750
    assert now["secret"].mode == 0o640


def test_a_large_file_arrives_whole_and_with_its_mode(project: Project) -> None:
    content = os.urandom(CHUNK * 3 + 1)
    project.write("large", content, mode=0o666)  # more than the umask would give
    project.python(
        "1.0.0",
        """
        large = ctx.claude / "large"
        assert large.stat().st_mode & 0o777 == 0o666
        large.write_bytes(large.read_bytes()[::-1])
        """,
    )

    project.upgrade()

    assert (project.claude / "large").read_bytes() == content[::-1]
    assert (project.claude / "large").stat().st_mode & 0o777 == 0o666


def test_rewriting_a_file_with_the_same_content_is_no_change(project: Project) -> None:
    file = project.write("a", "same")
    before = file.stat()
    project.python("1.0.0", "(ctx.claude / 'a').write_text('same')")
    project.upgrade()
    assert file.stat().st_ino == before.st_ino
    assert file.stat().st_mtime_ns == before.st_mtime_ns


# --- other writers -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("foreign", "own"),
    [
        ("(live/'a').write_text('theirs')", "(ctx.claude/'a').write_text('ours')"),
        ("(live/'a').write_text('thr')", "(ctx.claude/'a').unlink()"),
        ("(live/'a').unlink()", "(ctx.claude/'a').write_text('ours')"),
        ("(live/'a').unlink(); (live/'a').mkdir()", "(ctx.claude/'a').write_text('ours')"),
        ("(live/'a').chmod(0o600)", "(ctx.claude/'a').write_text('ours')"),
        ("(live/'new').write_text('theirs')", "(ctx.claude/'new').write_text('ours')"),
        ("(live/'new').symlink_to('a')", "(ctx.claude/'new').write_text('ours')"),
        ("(live/'new').mkdir()", "(ctx.claude/'new').write_text('ours')"),
        ("(live/'d/theirs').write_text('x')", "import shutil; shutil.rmtree(ctx.claude/'d')"),
        ("(live/'d').chmod(0o700)", "(ctx.claude/'d').chmod(0o711)"),
        (
            "(live/'a').rename(live/'b'); (live/'a').symlink_to('b')",
            "(ctx.claude/'a').write_text('ours')",
        ),
    ],
)
def test_what_somebody_else_changed_meanwhile_is_a_conflict(
    project: Project, foreign: str, own: str
) -> None:
    project.write("a", "old")
    project.write("d/inner", "old")
    project.python("1.0.0", f"{own}\n{meanwhile(project, LIVE + foreign)}")
    error = project.failure()
    assert isinstance(error, Conflict)
    theirs = project.files()
    # The other program's work stays as it left it, and the step left nothing.
    assert b"ours" not in [thing.content for thing in theirs.values()]
    assert project.applied() == []
    assert project.leftovers() == set()


@pytest.mark.parametrize(
    "foreign",
    [
        "(live/'other').write_text('theirs')",
        "(live/'a').touch()",
        "(live/'d/new').write_text('theirs')",
        "shutil.copy(live/'a', live/'t'); os.replace(live/'t', live/'a')",
    ],
)
def test_an_unrelated_edit_meanwhile_is_no_conflict(project: Project, foreign: str) -> None:
    project.write("a", "old")
    project.write("d/inner", "old")
    project.python(
        "1.0.0",
        f"(ctx.claude/'a').write_text('ours')\n(ctx.claude/'d/inner').write_text('ours')\n"
        f"{meanwhile(project, LIVE + foreign)}",
    )
    project.upgrade()
    assert project.read("a") == project.read("d/inner") == "ours"
    for path in ("other", "d/new"):
        if path in foreign:
            assert project.read(path) == "theirs"


def test_a_file_that_somebody_deletes_between_two_steps_stays_deleted(project: Project) -> None:
    project.write("old", "x")
    project.python("1.0.0", "(ctx.claude / 'made').write_text('by the first step')")
    project.python("1.1.0", "(ctx.claude / 'old').write_text('y')")

    class Deletes(Reporter):
        def finished(self, result: StepResult) -> None:
            if str(result.version) == "1.0.0":
                (project.claude / "made").unlink()

    project.upgrade(reporter=Deletes())
    assert not (project.claude / "made").exists()


def test_an_edit_between_two_steps_is_seen_by_the_second(project: Project) -> None:
    project.write("a", "old")
    project.python("1.0.0", "(ctx.claude / 'a').write_text('first')")
    project.python(
        "1.1.0", "file = ctx.claude / 'a'; file.write_text(file.read_text() + ' second')"
    )

    class Edits(Reporter):
        def finished(self, result: StepResult) -> None:
            if str(result.version) == "1.0.0":
                project.write("a", "theirs")

    project.upgrade(reporter=Edits())
    assert project.read("a") == "theirs second"


def test_a_link_that_is_pointed_elsewhere_between_two_steps_is_no_conflict(
    project: Project,
) -> None:
    project.write("a", "old")
    (project.claude / "link").symlink_to("a")
    project.python("1.0.0", "")
    project.python("1.1.0", "(ctx.claude / 'link').write_text('new')")

    class Relinks(Reporter):
        def finished(self, result: StepResult) -> None:
            if str(result.version) == "1.0.0":
                (project.claude / "link").unlink()
                (project.claude / "link").symlink_to("./a")

    project.upgrade(reporter=Relinks())
    assert project.read("a") == "new"
    assert os.readlink(project.claude / "link") == "./a"


def test_a_file_that_becomes_a_database_s_side_file_between_two_steps_is_no_longer_staged(
    project: Project, folder: Path
) -> None:
    project.write("x.db-wal", "plain so far")
    database = project.setup("CREATE TABLE t (x)", folder / "x.db")
    project.python("1.0.0", "assert (ctx.claude / 'x.db-wal').exists()")
    project.python("1.1.0", "assert not (ctx.claude / 'x.db-wal').exists()")

    class Moves(Reporter):
        def finished(self, result: StepResult) -> None:
            if str(result.version) == "1.0.0":
                shutil.move(database, project.claude / "x.db")

    project.upgrade(reporter=Moves())
    assert project.applied() == ["1.0.0", "1.1.0"]


# --- what is not staged ------------------------------------------------------------------------


def test_code_sees_only_state(project: Project) -> None:
    project.config("exclude: ['cache/*', '*.log']")
    for path in (
        "a.md", "worktrees/w/file", "deep/worktrees/kept", ".git/HEAD", "sub/.git/HEAD",
        "node_modules/x/index.js", "sub/node_modules/x.js", "venv/pyvenv.cfg", "venv/bin/python",
        "cache/big", "cache/deep/big", "run.log", "sub/run.log", ".plugin-migrate/mine",
        "empty.sqlite",
    ):  # fmt: skip
        project.write(path, "x" if path != "empty.sqlite" else "")
    project.setup("CREATE TABLE t (x)", project.claude / "memory.db")
    project.setup("PRAGMA journal_mode=WAL; CREATE TABLE t (x)", project.claude / "no-suffix")
    os.mkfifo(project.claude / "pipe")
    with project.connect(project.claude / "no-suffix") as connection:
        connection.execute("INSERT INTO t VALUES (1)")  # leaves a -wal beside it
        project.python(
            "1.0.0",
            "ctx.log(sorted(str(p.relative_to(ctx.claude)) for p in ctx.claude.rglob('*')"
            " if p.is_file() and 'core' not in p.parts))",
        )
        seen: list[str] = []

        class Listens(Reporter):
            def log(self, prepared: Prepared, text: str) -> None:
                seen.append(text)

        project.upgrade(reporter=Listens())
    assert seen == ["['a.md', 'deep/worktrees/kept', 'plugin-migrate.yaml']"]


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("worktrees/w", "never part of the state"),
        (".git/HEAD", "never part of the state"),
        ("cache/x", "excluded by the pattern"),
        ("memory.db", "a database"),
        ("memory.db-wal", "a database's side file"),
        ("venv/lib", "a virtual environment"),
    ],
)
def test_writing_what_is_not_staged_is_refused(project: Project, path: str, why: str) -> None:
    project.config("exclude: ['cache']")
    for folder in ("worktrees", ".git", "cache"):
        (project.claude / folder).mkdir()
    project.write("venv/pyvenv.cfg", "")
    project.setup("PRAGMA journal_mode=WAL; CREATE TABLE t (x)", project.claude / "memory.db")
    with project.connect(project.claude / "memory.db") as connection:
        connection.execute("INSERT INTO t VALUES (1)")
        project.python(
            "1.0.0",
            f"file = ctx.claude / {path!r}; file.parent.mkdir(exist_ok=True); file.write_text('x')",
        )
        error = fails_unchanged(project)
    assert isinstance(error, ForbiddenStatement)
    assert why in error.message


def test_deleting_a_folder_with_things_the_migration_never_saw_is_refused(
    project: Project,
) -> None:
    project.write("folder/a", "x")
    project.setup("CREATE TABLE t (x)", project.claude / "folder/memory.db")
    project.python("1.0.0", "import shutil; shutil.rmtree(ctx.claude / 'folder')")
    error = fails_unchanged(project)
    assert isinstance(error, Conflict)
    assert "memory.db" in error.message


def test_a_database_made_as_a_plain_file_is_refused(project: Project) -> None:
    other = project.setup("CREATE TABLE t (x)", project.root / "outside.db")
    project.python("1.0.0", f"import shutil; shutil.copy({str(other)!r}, ctx.claude / 'copied.db')")
    error = fails_unchanged(project)
    assert isinstance(error, ForbiddenStatement)
    assert "ctx.database(path)" in (error.hint or "")


def test_writing_beside_claude_is_refused(project: Project) -> None:
    project.python("1.0.0", "Path('notes.txt').write_text('x')", top="from pathlib import Path")
    error = fails_unchanged(project)
    assert isinstance(error, ForbiddenStatement)
    assert "notes.txt" in error.message


def test_a_pipe_or_socket_made_by_a_migration_is_refused(project: Project) -> None:
    project.python("1.0.0", "import os; os.mkfifo(ctx.claude / 'pipe')")
    assert isinstance(fails_unchanged(project), ForbiddenStatement)


def test_relative_paths_in_a_step_are_the_staged_project(project: Project) -> None:
    project.write("a", "old")
    project.python("1.0.0", "Path('.claude/a').write_text('new')", top="from pathlib import Path")
    before = os.getcwd()
    project.upgrade()
    assert os.getcwd() == before
    assert project.read("a") == "new"


def test_a_relative_path_in_a_failing_step_leaves_the_live_file(project: Project) -> None:
    project.write("a", "old")
    project.python(
        "1.0.0", "Path('.claude/a').write_text('new'); 1 / 0", top="from pathlib import Path"
    )
    before = os.getcwd()
    fails_unchanged(project)
    assert os.getcwd() == before


# --- what a plain user may not write (root may everything) ----------------------------------------


def cli_as_plain_user(project: Project) -> subprocess.CompletedProcess[str]:
    """Upgrade as somebody to whom permissions apply."""
    if os.getuid() != 0:
        return project.cli("upgrade")
    if shutil.which("setpriv") is None:
        pytest.skip("needs setpriv, to be root without root's rights")
    return project.cli(
        "upgrade", wrapper=("setpriv", "--bounding-set=-dac_override,-dac_read_search")
    )


def test_a_read_only_file_is_replaced_and_stays_read_only(project: Project) -> None:
    project.write("a", "old", 0o444)
    project.python(
        "1.0.0",
        "(ctx.claude/'a').chmod(0o644); (ctx.claude/'a').write_text('new');"
        "(ctx.claude/'a').chmod(0o444)",
    )
    assert cli_as_plain_user(project).returncode == 0
    assert things(project.claude)["a"] == Thing("file", 0o444, b"new")


def test_a_read_only_folder_is_refused_before_the_commit(project: Project) -> None:
    project.write("folder/a", "old")
    (project.claude / "folder").chmod(0o555)
    project.python("1.0.0", "(ctx.claude/'folder/a').write_text('new')")
    project.make_ledger()
    before = project.dump()
    done = cli_as_plain_user(project)
    assert done.returncode == 1
    assert "folder" in done.stderr
    assert project.read("folder/a") == "old"
    assert project.dump() == before
    assert things(project.claude)["folder"].mode == 0o555
    assert project.leftovers() == set()


def test_reading_files_in_a_read_only_folder_works(project: Project) -> None:
    project.write("folder/inner/a", "text", 0o400)
    project.write("b", "old")
    (project.claude / "folder/inner").chmod(0o500)
    (project.claude / "folder").chmod(0o555)
    project.python(
        "1.0.0", "(ctx.claude/'b').write_text((ctx.claude/'folder/inner/a').read_text())"
    )
    done = cli_as_plain_user(project)
    assert done.returncode == 0, done.stderr
    assert project.read("b") == "text"
    assert project.leftovers() == set()


def test_an_unreadable_file_is_named_and_nothing_happens(project: Project) -> None:
    project.write("secret", "x", 0o000)
    project.python("1.0.0", "pass")
    done = cli_as_plain_user(project)
    assert done.returncode == 1
    assert "secret" in done.stderr
    assert "exclude" in done.stderr
    assert project.applied() == []
