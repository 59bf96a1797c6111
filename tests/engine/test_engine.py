"""Whole runs: what stays, what is undone, and what the author of a failing step is told."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from plugin_migrate.engine.engine import Reporter, StepResult
from plugin_migrate.engine.prepare import Prepared
from plugin_migrate.errors import ForbiddenStatement, StateUnreadable, StepFailed
from plugin_migrate.plan import State
from project import Project, fails_unchanged, things, unchanged

STATE = """
(ctx.claude / "settings.json").write_text("{}")
(ctx.claude / "agents/b.md").unlink()
(ctx.claude / "new/deep").mkdir(parents=True)
(ctx.claude / "new/deep/file").write_text("x")
(ctx.claude / "run.sh").chmod(0o700)
ctx.db.execute("CREATE TABLE made (x)")
ctx.db.execute("DELETE FROM kept")
ctx.database("memory.db").execute("DELETE FROM t")
ctx.database("fresh.db").execute("CREATE TABLE f (x)")
"""


@pytest.fixture
def full(project: Project) -> Project:
    """A project with something of everything, and one applied migration."""
    project.write("settings.json", '{"theme": "dark"}\r\n')
    project.write("agents/a.md", "---\nname: a\n---\n")
    project.write("agents/b.md", b"\xef\xbb\xbfwith a BOM")
    project.write("run.sh", "#!/bin/sh\n", 0o755)
    (project.claude / "empty").mkdir(mode=0o750)
    (project.claude / "link.json").symlink_to("settings.json")
    project.setup("CREATE TABLE t (x); INSERT INTO t VALUES (1)", project.claude / "memory.db")
    project.sql("1.0.0", "CREATE TABLE kept (x); INSERT INTO kept VALUES (1);", "DROP TABLE kept;")
    project.upgrade()
    return project


FAILURES = {
    "raise ValueError('oops')": "ValueError: oops",
    "1 / 0": "ZeroDivisionError: division by zero",
    "import sys; sys.exit(0)": "sys.exit(0)",
    "raise KeyboardInterrupt": "KeyboardInterrupt",
    "raise SystemExit": "sys.exit",
    "import nowhere_to_be_found": "ModuleNotFoundError",
    "def again(): again()\nagain()": "RecursionError",
    "assert False, 'never'": "AssertionError: never",
    "ctx.db.execute('SELECT * FROM nowhere')": "no such table: nowhere",
    "ctx.db.execute('INSERT INTO kept VALUES (?)')": "ProgrammingError",
    "(ctx.claude / 'missing').read_text()": "FileNotFoundError",
    "ctx.edit_json('../outside.json').__enter__()": "not below .claude/",
    "ctx.nothing": "AttributeError",
}


@pytest.mark.parametrize("code", FAILURES)
def test_a_failing_step_leaves_every_byte_mode_and_row_but_its_history(
    full: Project, code: str
) -> None:
    full.python("1.1.0", STATE + code)
    memory = full.dump(full.claude / "memory.db")
    error = fails_unchanged(full)
    assert FAILURES[code] in error.message
    assert full.dump(full.claude / "memory.db") == memory
    assert full.history()[1:] == [("1.1.0", "up", "failed")]
    assert full.states() == {"1.0.0": State.APPLIED, "1.1.0": State.PENDING}


def test_a_failing_rollback_leaves_the_state_as_it_is(full: Project) -> None:
    full.python("1.1.0", "(ctx.claude / 'a').touch()", f"{STATE}\n1 / 0")
    full.upgrade()
    with unchanged(full):
        run = full.try_downgrade()
    assert isinstance(run.error, StepFailed)
    assert full.applied() == ["1.0.0", "1.1.0"]
    assert full.history()[-1] == ("1.1.0", "down", "failed")


def test_up_down_up_gives_the_same_state_twice(full: Project) -> None:
    full.python(
        "1.1.0",
        "(ctx.claude / 'settings.json').write_text('{}'); (ctx.claude / 'run.sh').chmod(0o700)",
        "(ctx.claude / 'settings.json').write_bytes(b'{\"theme\": \"dark\"}\\r\\n');"
        "(ctx.claude / 'run.sh').chmod(0o755)",
    )
    before = full.files()
    full.upgrade()
    once = full.files()
    full.downgrade("1.0.0")
    assert full.files() == before
    full.upgrade()
    assert full.files() == once


def test_the_steps_before_a_failure_stay_and_those_after_it_never_start(full: Project) -> None:
    full.python("1.1.0", "(ctx.claude / 'one').write_text('1')")
    full.sql("1.2.0", "CREATE TABLE two (x);")
    full.python("1.3.0", "(ctx.claude / 'three').write_text('3'); 1 / 0")
    full.python("1.4.0", "(ctx.claude / 'four').write_text('4')")
    run = full.try_upgrade()
    assert [str(result.version) for result in run.results] == ["1.1.0", "1.2.0"]
    assert run.failed is not None
    assert str(run.failed.version) == "1.3.0"
    assert full.read("one") == "1"
    assert not (full.claude / "three").exists()
    assert not (full.claude / "four").exists()
    assert full.applied() == ["1.0.0", "1.1.0", "1.2.0"]


def test_a_corrected_migration_runs_at_the_next_upgrade(full: Project) -> None:
    full.python("1.1.0", "1 / 0")
    full.failure()
    full.python("1.1.0", "(ctx.claude / 'done').touch()")
    full.upgrade()
    assert full.history()[1:] == [("1.1.0", "up", "failed"), ("1.1.0", "up", "done")]


def test_an_error_carries_the_author_s_line_and_frames_only(project: Project) -> None:
    file = project.python("1.0.0", "helper(ctx)", top="def helper(ctx):\n    raise OSError('x')\n")
    error = project.failure()
    assert error.file == str(file)
    assert error.line == 2
    (frames,) = error.details
    assert "helper(ctx)" in frames
    assert "plugin_migrate" not in frames


def test_an_sql_error_carries_the_statement_and_its_line(project: Project) -> None:
    file = project.sql("1.0.0", "CREATE TABLE t (x);\n\n-- note\nINSERT INTO nowhere\nVALUES (1);")
    error = project.failure()
    assert (error.file, error.line) == (str(file), 5)
    assert error.details == ("INSERT INTO nowhere\nVALUES (1);",)


def test_nothing_is_parsed_too_late(project: Project) -> None:
    project.sql("1.0.0", "CREATE TABLE t (x);")
    project._migration("1.1.0-broken.py", "def up(ctx:\n")
    with pytest.raises(Exception, match="not valid Python"):
        project.upgrade()
    assert not project.database.exists()


def test_without_a_step_nothing_is_created(project: Project) -> None:
    assert project.upgrade().results == ()
    assert not project.database.exists()


def test_helpers_beside_a_migration_can_be_imported_and_leave_no_trace(project: Project) -> None:
    (project.migrations / "_helpers.py").write_text("VALUE = 'from the helper'\n")
    project.python("1.0.0", "(ctx.claude / 'a').write_text(_helpers.VALUE)", top="import _helpers")
    project.upgrade()
    assert project.read("a") == "from the helper"
    assert not (project.migrations / "__pycache__").exists()


def test_a_migration_that_deletes_everything_it_sees_is_one_step_too(project: Project) -> None:
    project.write("a/b/c", "x")
    code = """
        import shutil
        for path in ctx.claude.iterdir():
            if path.name not in ("core", "orchestration"):
                shutil.rmtree(path)
    """
    project.python("1.0.0", code + "        1 / 0")
    fails_unchanged(project)
    project.python("1.0.0", code)
    project.upgrade()
    assert not (project.claude / "a").exists()


def test_a_migration_that_removes_its_working_directory_fails_alone(project: Project) -> None:
    project.write("a", "old")
    project.python("1.0.0", "import shutil; shutil.rmtree('.claude')")
    before = os.getcwd()
    run = project.try_upgrade()
    assert run.error is not None
    assert project.read("a") == "old"
    assert os.getcwd() == before


def test_nothing_outside_claude_is_written(full: Project, folder: Path) -> None:
    full.python("1.1.0", STATE)
    around = things(folder, lambda path: path == full.claude)
    full.upgrade()
    assert things(folder, lambda path: path == full.claude) == around


def test_the_step_sees_what_the_steps_before_it_did(project: Project) -> None:
    project.write("count", "0")
    for number in range(5):
        project.python(
            f"1.{number}.0",
            "file = ctx.claude / 'count'; file.write_text(str(int(file.read_text()) + 1))",
        )
    project.upgrade()
    assert project.read("count") == "5"


def test_the_reporter_hears_everything_in_order(project: Project) -> None:
    project.python("1.0.0", "ctx.log('hello')\nlist(ctx.progress([1, 2]))\nctx.log(42)")
    heard: list[object] = []

    class Listens(Reporter):
        def started(self, prepared: Prepared) -> None:
            heard.append("started")

        def log(self, prepared: Prepared, text: str) -> None:
            heard.append(text)

        def progress(self, prepared: Prepared, done: int, total: int | None) -> None:
            heard.append((done, total))

        def finished(self, result: StepResult) -> None:
            heard.append(str(result.version))

    project.upgrade(reporter=Listens())
    assert heard == ["started", "hello", (0, 2), (1, 2), "42", "1.0.0"]


def test_a_step_without_files_has_no_staged_copy(project: Project) -> None:
    project.write("big", "x" * 100_000)
    project.sql("1.0.0", "CREATE TABLE t (x);")
    project.upgrade()
    assert not (project.bookkeeping / "publish").exists()


@pytest.mark.parametrize("limit", [60_000, 150_000])
def test_a_disk_that_takes_no_more_undoes_the_step(project: Project, limit: int) -> None:
    # A limit on the size of a file: the copy (100 kB) or the log (200 kB) is too much for it.
    project.write("a", "x" * 100_000)
    project.make_ledger()
    project.python("1.0.0", "for name in 'ab': (ctx.claude / name).write_text('y' * 100_000)")
    before = project.files(), project.dump()
    done = project.cli(
        "upgrade",
        "--no-backup",
        before=f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))",
    )
    assert done.returncode == 1
    assert "✗ Error" in done.stderr
    assert "Traceback" not in done.stderr
    assert (project.files(), project.dump()) == before
    assert project.leftovers() == set()


def test_a_step_whose_files_lie_on_another_file_system_is_refused(
    project: Project, tmp_path: Path
) -> None:
    if os.stat(tmp_path).st_dev == os.stat(project.root).st_dev:
        pytest.skip("there is only one file system here")
    outside = tmp_path / "outside"
    outside.write_text("old")
    project.config("follow_links: true")
    (project.claude / "link").symlink_to(outside)
    project.python("1.0.0", "(ctx.claude / 'link').write_text('new')")
    error = fails_unchanged(project)
    assert isinstance(error, StateUnreadable)
    assert "another file system" in error.message
    assert outside.read_text() == "old"


def test_the_migrations_may_lie_outside_of_the_state(project: Project) -> None:
    elsewhere = project.root / "migrations"
    shutil.move(project.migrations, elsewhere)
    project.migrations = elsewhere
    project.config("migrations: migrations")
    project.python("1.0.0", "(ctx.claude / 'a').touch()", "(ctx.claude / 'a').unlink()")
    project.upgrade()
    project.downgrade()


def test_ctx_claude_is_the_copy_and_nothing_else(project: Project) -> None:
    project.python("1.0.0", "ctx.edit_front_matter('/etc/passwd').__enter__()")
    assert isinstance(fails_unchanged(project), ForbiddenStatement)
