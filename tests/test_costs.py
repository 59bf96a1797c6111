"""What commands cost, counted rather than timed: modules, files, syncs, and calls as N grows."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from plugins import Shelf, table
from project import SCRIPTS, Project

needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not here")

# What `status` may import of ours. One more is a millisecond on every session's start.
OF_STATUS = set(
    "claude_code claude_code.entry cli cli.arguments cli.commands cli.commands.author"
    " cli.commands.maintain cli.commands.explain cli.commands.migrate"
    " cli.commands.show"
    " cli.invocation cli.main cli.options cli.output"
    " errors languages ledger ledger.read ledger.schema migration plain_file plan render"
    " platform platform.posix"
    " render.status render.style render.table settings storage"
    " storage.database_files storage.durable storage.sqlite survey values version workspace".split()
)
# What costs milliseconds, and is imported by what needs it only.
COSTLY = set(
    "asyncio bz2 hashlib json lzma packaging pathlib shutil subprocess tempfile tomlkit yaml"
    " zlib".split()
)
# The transaction that many steps share ends after so many seconds, which must not count here.
UNHURRIED = (
    "import plugin_migrate.engine.engine; plugin_migrate.engine.engine._SHARED_SECONDS = 1e6"
)
# A file that has just been written is read again, because a change might leave no sign yet.
TRUSTING = f"{UNHURRIED}; from plugin_migrate.sandbox import staging; staging.RACY_NS = 0"


def add_tables(project: Project, count: int) -> None:
    for number in range(count):
        up = f"CREATE TABLE t{number} (x); CREATE INDEX i{number} ON t{number} (x);"
        project.sql(f"1.{number}.0", up, f"DROP TABLE t{number};")


def main_file() -> list[str]:
    """Return the command as the launcher runs it."""
    return [sys.executable, "-I", "-S", "-X", "utf8", str(SCRIPTS / "plugin_migrate/__main__.py")]


def imported(project: Project, *arguments: str) -> set[str]:
    command = main_file()
    command[1:1] = ["-X", "importtime"]
    command += ["--project", str(project.root), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in lines}


@pytest.mark.parametrize("options", [[], ["--format=list"], ["--applied-only"]], ids=str)
def test_status_imports_only_what_it_needs(project: Project, options: list[str]) -> None:
    add_tables(project, 3)
    project.upgrade()
    modules = imported(project, "status", *options)
    ours = {name.partition(".")[2] for name in modules if name.startswith("plugin_migrate.")}
    assert ours <= OF_STATUS
    assert not modules & COSTLY


def test_records_of_what_git_carries_cost_status_no_module(project: Project) -> None:
    (project.root / ".git").mkdir()
    project.python("1.0.0", "(ctx.claude / 'new').touch()", "(ctx.claude / 'new').unlink()")
    project.upgrade()
    assert (project.claude / "plugin-migrate.applied/1.0.0-step").exists()
    modules = imported(project, "status")
    ours = {name.partition(".")[2] for name in modules if name.startswith("plugin_migrate.")}
    assert ours <= OF_STATUS
    assert not modules & COSTLY


def test_nothing_pending_imports_little_more(project: Project) -> None:
    add_tables(project, 3)
    project.upgrade()
    modules = imported(project, "upgrade")
    assert not modules & (COSTLY | {"dataclasses", "inspect", "tabulate"})
    assert "plugin_migrate.engine.engine" not in modules


# --- system calls ------------------------------------------------------------------------------


def traced(
    project: Project,
    calls: str,
    *arguments: str,
    setting: str = UNHURRIED,
    codes: tuple[int, ...] = (0,),
) -> list[str]:
    """Run a command and return the system calls that it made, one a line."""
    log = project.root.parent / "trace"
    code = (
        f"import sys; sys.path.insert(0, {str(SCRIPTS)!r}); {setting}\n"
        "from plugin_migrate.cli.main import main\nraise SystemExit(main())"
    )
    command = ["strace", "-f", "-qq", "-e", f"trace={calls}", "-e", "signal=none", "-o", str(log)]
    command += [sys.executable, "-c", code, "--project", str(project.root), *arguments]
    done = subprocess.run(command, capture_output=True)
    assert done.returncode in codes, done.stderr
    return log.read_text().splitlines()


def syncs(project: Project, *arguments: str) -> int:
    return len(traced(project, "fsync,fdatasync", *arguments))


@needs_strace
def test_steps_on_the_database_share_their_syncs(project: Project) -> None:
    project.sql("0.1.0", "CREATE TABLE first (x);")
    project.upgrade()
    add_tables(project, 1)
    one = syncs(project, "upgrade", "--no-backup")
    assert one <= 8
    for number in range(20):
        up = f"CREATE TABLE a (x); ALTER TABLE a RENAME TO more{number};"
        project.sql(f"2.{number}.0", up, f"DROP TABLE more{number};")
    assert syncs(project, "upgrade", "--no-backup") == one
    assert syncs(project, "downgrade", "20", "--no-backup") == one


@needs_strace
def test_the_users_scope_costs_nothing_where_no_plugin_has_it(
    project: Project, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = Shelf(folder / "home", folder / "shelf")
    opt_in = table(shelf.plugin("keeper"), "1.0.0").parent / "plugin-migrate.yaml"
    monkeypatch.setenv("HOME", str(folder / "home"))
    monkeypatch.delenv("CLAUDE_CONFIG_DIR", raising=False)
    calls = traced(project, "%file", "status")
    assert sum(str(opt_in) in call and "open" in call for call in calls) == 1
    assert not [call for call in calls if f"{shelf.config}/.plugin-migrate" in call]


@needs_strace
def test_a_backup_of_the_database_takes_four_syncs(project: Project) -> None:
    add_tables(project, 1)
    project.upgrade()
    project.sql("2.0.0", "CREATE TABLE a (x);")
    without = syncs(project, "upgrade", "--no-backup")
    project.sql("3.0.0", "CREATE TABLE b (x);")
    assert syncs(project, "upgrade") <= without + 4


@needs_strace
def test_of_many_without_a_down_only_those_cost_syncs_that_are_kept(project: Project) -> None:
    project.config("keep: {ways_back: 2}\n")
    project.sql("0.1.0", "CREATE TABLE first (x);")
    project.upgrade()
    counts = []
    for major, number in ((1, 4), (2, 24)):
        for minor in range(number):
            project.sql(f"{major}.{minor}.0", f"CREATE TABLE t{major}_{minor} (x);")
        counts.append(syncs(project, "upgrade", "--verbose"))
    assert counts[0] == counts[1]
    project.sql("3.0.0", "CREATE TABLE a (x);", "DROP TABLE a;")
    with_down = syncs(project, "upgrade")
    project.sql("4.0.0", "CREATE TABLE b (x);")
    assert syncs(project, "upgrade") <= with_down + 2


@needs_strace
def test_nothing_is_synced_when_nothing_is_pending(project: Project) -> None:
    add_tables(project, 2)
    project.upgrade()
    assert syncs(project, "upgrade") == 0
    assert syncs(project, "status") == 0


@needs_strace
@pytest.mark.parametrize("command", ["status", "check", "upgrade"])
def test_every_migration_is_opened_once_and_the_database_by_sqlite_too(
    project: Project, command: str
) -> None:
    add_tables(project, 12)
    project.upgrade()
    opened = [line for line in traced(project, "open,openat", command) if "ENOENT" not in line]
    for number in range(12):
        assert sum(f"/1.{number}.0-step.sql" in line for line in opened) == 1
    assert sum("orchestration.db" in line for line in opened) == 1


@needs_strace
@pytest.mark.parametrize("what", ["kept", "gone", "reformatted"])
def test_the_database_is_opened_no_more_often_for_many_migrations(
    project: Project, what: str
) -> None:
    def opened(count: int) -> int:
        for path in project.migrations.glob("*.sql"):
            path.unlink()
        add_tables(project, count)
        project.upgrade()
        for path in project.migrations.glob("*.sql"):
            if what == "gone":
                path.unlink()
            elif what == "reformatted":
                path.write_text(path.read_text() + "\n")
        lines = traced(project, "open,openat", "downgrade", "0.0.0", "--no-backup")
        return sum('orchestration.db"' in line for line in lines)

    assert opened(12) == opened(3)


def opened_by_verify(folder: Path, applied: int, pending: int) -> list[str]:
    """Verify migrations that change files and the database; return what was opened."""
    project = Project(folder / f"{applied}-{pending}" / "project")
    for number in range(applied + pending):
        if number == applied:
            project.upgrade()
        up = f"(ctx.claude / 'f{number}').touch(); ctx.db.execute('CREATE TABLE t{number} (x)')"
        down = f"(ctx.claude / 'f{number}').unlink(); ctx.db.execute('DROP TABLE t{number}')"
        project.python(f"1.{number}.0", up, down)
    lines = traced(project, "open,openat", "verify", setting=TRUSTING)
    return [line for line in lines if "ENOENT" not in line]


@needs_strace
def test_a_verification_opens_a_number_of_files_in_proportion_to_its_migrations(
    tmp_path: Path,
) -> None:
    small, medium, large = (opened_by_verify(tmp_path, 0, count) for count in (4, 8, 16))
    assert len(large) - len(medium) <= 2.1 * (len(medium) - len(small))
    for opened in (small, medium, large):
        # Live twice to look and once to copy; the copy written, looked at and staged.
        assert sum("/1.1.0-step.py" in line for line in opened) <= 7


@needs_strace
def test_verifying_one_on_many_applied_opens_few_files_for_each_of_those(tmp_path: Path) -> None:
    small, medium, large = (opened_by_verify(tmp_path, count, 1) for count in (4, 8, 16))
    assert len(large) - len(medium) <= 2.1 * (len(medium) - len(small))
    # Each is applied once more, in the new clone.
    assert len(large) - len(medium) <= 8 * 60


@needs_strace
def test_a_verification_opens_each_file_of_the_state_as_a_preview_does(project: Project) -> None:
    for number in range(40):
        project.write(f"agents/{number}.md", "x" * 600)
    project.python("1.0.0", "ctx.claude.joinpath('agents/0.md').unlink()", "pass")

    def opened(*arguments: str) -> int:
        lines = traced(project, "open,openat", *arguments, setting=TRUSTING, codes=(0, 1))
        return sum("/agents/7.md" in line for line in lines)

    assert opened("verify") == opened("upgrade", "--preview") == 4


# --- growth ------------------------------------------------------------------------------------

_COUNTING = """
import sys
calls = 0
def count(frame, event, argument):
    global calls
    calls += event in ("call", "c_call")
sys.setprofile(count)
"""


def calls(folder: Path, count: int, *arguments: str) -> int:
    """Return how many functions a command calls on a project of so many tables."""
    project = Project(folder / f"{count}-{'-'.join(arguments)}")
    add_tables(project, count)
    if arguments not in (("upgrade", "--no-backup"), ("verify",)):
        project.upgrade()
    code = (
        f"import sys; sys.path.insert(0, {str(SCRIPTS)!r}); {UNHURRIED}\n"
        f"from plugin_migrate.cli.main import main\n{_COUNTING}\nmain()\nsys.setprofile(None)\n"
        "print(calls, file=sys.stderr)"
    )
    command = [sys.executable, "-c", code, "--project", str(project.root), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stderr.splitlines()[-1])


@pytest.mark.parametrize(
    "arguments",
    [
        ["status"],
        ["status", "--format=json"],
        ["check"],
        ["upgrade"],
        ["upgrade", "--no-backup"],
        ["downgrade", "0.0.0", "--no-backup"],
        ["verify"],
    ],
    ids=" ".join,
)
def test_twice_the_migrations_are_twice_the_work(tmp_path: Path, arguments: list[str]) -> None:
    small, medium, large = (calls(tmp_path, count, *arguments) for count in (30, 60, 120))
    assert large - medium <= 2.1 * (medium - small)
