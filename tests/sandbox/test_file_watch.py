"""The audit hook: Python code in a step cannot reach the live state, database files or forks."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from plugin_migrate.errors import ForbiddenStatement, StepFailed
from plugin_migrate.sandbox import file_watch
from project import Project, fails_unchanged

IMPORT = "import os, pathlib, shutil, subprocess, sys, sqlite3"

WRITES = [
    "open(live + '/a', 'w')",
    "open(live + '/a', 'a')",
    "open(live + '/a', 'r+')",
    "open(live + '/new', 'x')",
    "open(os.fsencode(live + '/a'), 'w')",
    "pathlib.Path(live, 'a').write_text('x')",
    "pathlib.Path(live, 'new').touch()",
    "pathlib.Path(live, 'a').chmod(0o600)",
    "pathlib.Path(live, 'a').unlink()",
    "pathlib.Path(live, 'new').mkdir()",
    "pathlib.Path(live, 'd').rmdir()",
    "pathlib.Path(live, 'a').rename(live + '/b')",
    "pathlib.Path(live, 'a').replace('/tmp/elsewhere')",
    "shutil.rmtree(live + '/d')",
    "shutil.move(live + '/a', live + '/b')",
    "shutil.copy(live + '/a', live + '/b')",
    "shutil.copytree(live + '/d', live + '/e')",
    "os.symlink('a', live + '/link')",
    "os.link(live + '/a', live + '/hard')",
    "os.utime(live + '/a')",
    "os.truncate(live + '/a', 0)",
    "os.close(os.open(live + '/a', os.O_RDWR))",
    "os.close(os.open(live + '/a', os.O_RDONLY | os.O_TRUNC))",
    "open(live + '/../.claude/a', 'w')",
    "open('/proc/self/cwd/' + os.path.relpath(live + '/a'), 'w')",
    "os.chdir(live); open('a', 'w')",
    "os.remove(live + '/plugin-migrate-lock'); open(live + '/.plugin-migrate/lock.db', 'w')",
]


@pytest.mark.parametrize("code", WRITES)
def test_writing_to_the_live_state_is_refused(project: Project, code: str) -> None:
    project.write("a", "old")
    (project.claude / "d").mkdir()
    project.python("1.0.0", f"live = {str(project.claude)!r}\n{code}", top=IMPORT)
    before = os.getcwd()
    error = fails_unchanged(project)
    assert "ctx.claude" in error.message
    assert os.getcwd() == before


def test_writing_to_the_live_state_through_a_link_is_refused(
    project: Project, folder: Path
) -> None:
    project.write("a", "old")
    (folder / "way-in").symlink_to(project.claude)
    project.python("1.0.0", f"open({str(folder / 'way-in/a')!r}, 'w')")
    assert "live state" in fails_unchanged(project).message


def test_reading_the_live_state_is_free(project: Project) -> None:
    project.write("a", "old")
    project.python(
        "1.0.0",
        f"assert pathlib.Path({str(project.claude / 'a')!r}).read_text() == 'old'",
        top=IMPORT,
    )
    project.upgrade()


ELSEWHERE = [
    "open(root + '/CLAUDE.md', 'a')",
    "pathlib.Path(root, 'new').touch()",
    "pathlib.Path(root, 'CLAUDE.md').unlink()",
    "shutil.copy(ctx.claude / 'a', root + '/copy')",
    "(ctx.claude / 'a').rename(root + '/moved')",
    "os.chdir(root); pathlib.Path('new').mkdir()",
    "os.symlink('/tmp', root + '/src/link')",
]


@pytest.mark.parametrize("code", ELSEWHERE)
@pytest.mark.parametrize("way", ["upgrade", "verify"])
def test_writing_elsewhere_in_the_project_is_refused(project: Project, code: str, way: str) -> None:
    project.write("a", "old")
    (project.root / "src").mkdir()
    guide = project.root / "CLAUDE.md"
    guide.write_text("# Guide\n")
    project.python("1.0.0", f"root = {str(project.root)!r}\n{code}", "pass", top=IMPORT)
    if way == "upgrade":
        assert "is outside .claude/" in fails_unchanged(project).message
    else:
        assert "is outside .claude/" in project.cli("verify").stdout
    assert guide.read_text() == "# Guide\n"
    assert sorted(os.listdir(project.root)) == [".claude", "CLAUDE.md", "src"]
    assert os.listdir(project.root / "src") == []


def test_reading_elsewhere_in_the_project_is_free(project: Project) -> None:
    (project.root / "CLAUDE.md").write_text("# Guide\n")
    code = f"assert pathlib.Path({str(project.root / 'CLAUDE.md')!r}).read_text()"
    project.python("1.0.0", code, top=IMPORT)
    project.upgrade()


def test_writing_elsewhere_on_the_machine_is_not_our_concern(
    project: Project, folder: Path
) -> None:
    project.python("1.0.0", f"pathlib.Path({str(folder / 'log')!r}).write_text('x')", top=IMPORT)
    project.upgrade()
    assert (folder / "log").read_text() == "x"


DATABASES = [
    "open(database, 'rb')",
    "open(database, 'r+b')",
    "pathlib.Path(database).read_bytes()",
    "shutil.copy(database, ctx.claude / 'copy.db')",
    "os.close(os.open(database, os.O_RDONLY))",
    "open(os.path.dirname(database) + '/../db/orchestration.db', 'rb')",
]


@pytest.mark.parametrize("code", DATABASES)
def test_opening_the_database_as_a_file_is_refused(project: Project, code: str) -> None:
    project.python("1.0.0", f"database = {str(project.database)!r}\n{code}", top=IMPORT)
    error = fails_unchanged(project)
    assert "ctx.db" in error.message
    assert "drop its locks" in error.message or "live state" in error.message


CONNECTS = [
    "sqlite3.connect(database)",
    "sqlite3.connect('file:' + database + '?mode=ro', uri=True)",
    "sqlite3.connect(live + '/memory.db')",
    "sqlite3.connect('.claude/memory.db')",
    "sqlite3.connect('.claude/orchestration/db/orchestration.db')",
    "sqlite3.connect(ctx.claude / 'new.db')",
    "sqlite3.connect(os.fsencode(database))",
]


@pytest.mark.parametrize("code", CONNECTS)
def test_connecting_past_the_context_is_refused_with_the_way_to_go(
    project: Project, code: str
) -> None:
    project.setup("CREATE TABLE t (x)", project.claude / "memory.db")
    project.python(
        "1.0.0",
        f"live = {str(project.claude)!r}; database = {str(project.database)!r}\n{code}",
        top=IMPORT,
    )
    error = fails_unchanged(project)
    assert "ctx.db for the state database and ctx.database(path)" in error.message


def test_databases_in_memory_and_elsewhere_are_free(project: Project, folder: Path) -> None:
    project.python(
        "1.0.0",
        f"""
        for path in (":memory:", "", {str(folder / "other.db")!r}):
            other = sqlite3.connect(path)
            other.execute("CREATE TABLE t (x)")
            other.close()
        """,
        top=IMPORT,
    )
    project.upgrade()


def test_another_process_that_writes_a_database_into_staging_is_caught_at_the_end(
    project: Project,
) -> None:
    project.setup("CREATE TABLE t (x)", project.claude / "memory.db")
    code = (
        "import sqlite3; c = sqlite3.connect('.claude/memory.db'); c.execute('CREATE TABLE u(x)')"
    )
    project.python(
        "1.0.0", f"subprocess.run([sys.executable, '-c', {code!r}], check=True)", top=IMPORT
    )
    error = fails_unchanged(project)
    assert isinstance(error, ForbiddenStatement)
    assert "ctx.database(path)" in f"{error.message} {error.hint}"


@pytest.mark.parametrize("code", ["os.fork()", "os.forkpty()"])
def test_forking_is_refused(project: Project, code: str) -> None:
    project.python("1.0.0", code, top=IMPORT)
    error = fails_unchanged(project)
    assert "use subprocess instead" in error.message


def test_a_pool_of_forked_processes_is_refused(project: Project) -> None:
    project.python(
        "1.0.0",
        """
        import multiprocessing
        process = multiprocessing.get_context("fork").Process(target=print)
        process.start()
        process.join()
        """,
    )
    assert "may not fork" in fails_unchanged(project).message


def test_a_subprocess_works_in_the_staged_project(project: Project) -> None:
    project.write("a", "old")
    project.python(
        "1.0.0",
        "subprocess.run(['sh', '-c', 'echo new > .claude/a'], check=True)",
        top=IMPORT,
    )
    project.upgrade()
    assert project.read("a") == "new\n"


def test_a_subprocess_finds_the_staged_project_in_claude_project_dir(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLAUDE_PROJECT_DIR", str(project.root))
    project.write("a", "old")
    code = 'echo new > "$CLAUDE_PROJECT_DIR/.claude/a"; false'
    project.python("1.0.0", f"subprocess.run(['sh', '-c', {code!r}], check=True)", top=IMPORT)
    assert isinstance(fails_unchanged(project), StepFailed)
    assert os.environ["CLAUDE_PROJECT_DIR"] == str(project.root)


def test_what_a_migration_prints_does_not_reach_stdout(project: Project) -> None:
    project.python(
        "1.0.0",
        """
        print("printed")
        os.write(1, b"written")
        subprocess.run(["echo", "echoed"], check=True)
        """,
        top=IMPORT,
    )
    done = project.cli("upgrade", "--format=json")
    assert done.returncode == 0, done.stderr
    for word in ("printed", "written", "echoed"):
        assert word not in done.stdout
        assert word in done.stderr


def test_the_hook_rests_outside_of_a_step(project: Project) -> None:
    project.python("1.0.0", "pass")
    project.upgrade()
    project.write("a", "somebody else's code in this process")
    with project.connect() as connection:
        connection.execute("SELECT 1")
    assert file_watch._Hook.watch is None


def test_a_migration_that_catches_the_refusal_has_not_written(project: Project) -> None:
    project.write("a", "old")
    project.python(
        "1.0.0",
        f"""
        try:
            open({str(project.claude / "a")!r}, "w")
        except OSError:
            pass
        """,
    )
    project.upgrade()
    assert project.read("a") == "old"
