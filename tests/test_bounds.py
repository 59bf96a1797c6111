"""Whatever stands in a project, looking ends soon; what would take too long is refused by size."""

import os
from pathlib import Path

import pytest

from command_line import Project
from plugin_migrate import migration, settings
from plugin_migrate.languages import sql_text
from plugin_migrate.plain_file import read_json, read_plain, size_of
from plugin_migrate.storage import files, state_tree
from plugin_migrate.storage.files import discard

MOST_SECONDS = 2  # of processor time, so that a busy machine does not matter
CODE = "text = (ctx.claude / 'a.md').write_text('changed')"


@pytest.fixture
def project(folder: Path) -> Project:
    (folder / "home").mkdir()
    return Project(folder / "project", folder / "home")


def seconds_of(project: Project, *arguments: str, codes: tuple[int, ...] = (0, 1)) -> float:
    """Return the processor time of a command that must not need long."""
    before = os.times()
    assert project.call(*arguments).code in codes
    after = os.times()
    return sum(after[2:4]) - sum(before[2:4])


# --- looking ------------------------------------------------------------------------------------


def test_20000_started_steps_are_soon_looked_through(project: Project) -> None:
    project.tables("1.0.0")
    project.ok("upgrade")
    project.setup(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 20000)"
        " INSERT INTO plugin_migrate_history (version, action, outcome, done_by, tool_version)"
        " SELECT '7.0.' || i, 'up', 'started', 'x', '1' FROM n"
    )
    assert seconds_of(project, "status") < MOST_SECONDS


def test_a_step_that_ended_after_it_started_is_not_interrupted(project: Project) -> None:
    project.tables("1.0.0")
    project.ok("upgrade")
    columns = "(version, action, outcome, done_by, tool_version)"
    for outcome, state in (("started", "interrupted"), ("done", "applied")):
        project.setup(
            f"INSERT INTO plugin_migrate_history {columns}"
            f" VALUES ('1.0.0', 'up', '{outcome}', 'x', '1')"
        )
        assert project.statuses() == {"1.0.0": state}


@pytest.mark.parametrize(
    ("name", "line"), [("1.0.0-a.py", "x = 1\n"), ("1.0.0-a.mjs", "let x = [1];\n")]
)
def test_20_mb_of_program_are_refused_with_their_size(
    project: Project, name: str, line: str
) -> None:
    project.migration(name, line * (20_000_000 // len(line)))
    assert seconds_of(project, "status") < MOST_SECONDS
    assert "may have at most 512.0 KiB: it has 19.1 MiB" in project.fails("status")


def test_the_largest_program_is_soon_looked_through(project: Project) -> None:
    project.migration("1.0.0-a.py", "x = 1\n" * (512 * 1024 // 6))
    assert seconds_of(project, "check", codes=(3,)) < MOST_SECONDS


def test_20_mb_of_sql_are_fine(project: Project) -> None:
    project.migration("1.0.0-a.sql", "-- migrate:up\n" + "SELECT 1;\n" * 2_000_000)
    assert seconds_of(project, "status") < MOST_SECONDS


@pytest.mark.parametrize(
    "text", ["exclude: [" + "a," * 500_000 + "]\n", "exclude: " + "[" * 60_000, "x: " * 20_000]
)
def test_settings_of_any_size_and_depth_are_soon_refused(project: Project, text: str) -> None:
    project.config(text)
    assert seconds_of(project, "status", codes=(1,)) < MOST_SECONDS


def test_a_long_header_is_refused(project: Project) -> None:
    header = "-- tags: [" + "a, " * 50_000 + "]\n"
    project.migration("1.0.0-a.sql", f"{header}-- migrate:up\nSELECT 1;\n")
    assert "The header has over 65536 characters" in project.fails("status")


# --- reading files of others --------------------------------------------------------------------


def test_a_pipe_is_no_plain_file_and_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a plain file"):
        read_plain(str(tmp_path / "pipe"), 100)


@pytest.mark.skipif(not os.path.exists("/proc/kmsg"), reason="there is no /proc/kmsg here")
def test_what_says_that_it_is_empty_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "log").symlink_to("/proc/kmsg")
    try:
        assert read_plain(str(tmp_path / "log"), 100) == b""
    except PermissionError:
        pass  # only root may open it


def test_what_is_larger_than_asked_for_is_refused_with_both_sizes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(101))
    with pytest.raises(OSError, match="it has 101 bytes, over 100 bytes"):
        read_plain(str(tmp_path / "a"), 100)
    assert read_plain(str(tmp_path / "a"), 101) == bytes(101)


def test_json_that_is_nested_too_deep_is_no_json_of_ours(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"[" * 200_000)
    with pytest.raises(ValueError, match="nested too deep"):
        read_json(str(tmp_path / "a"), 1 << 20)


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 bytes"), (1536, "1.5 KiB"), (400 << 30, "400.0 GiB")]
)
def test_sizes_are_told_as_people_read_them(number: int, text: str) -> None:
    assert size_of(number) == text


# --- copying the state --------------------------------------------------------------------------


@pytest.mark.parametrize("command", [("upgrade",), ("upgrade", "--preview")])
def test_a_400_gb_file_is_refused_with_its_size(project: Project, command: tuple[str, ...]) -> None:
    project.python("1.0.0", CODE)
    os.truncate(project.write("model.bin", b"x"), 400 << 30)
    err = project.fails(*command)
    assert "a file has 400.0 GiB, over 4.0 GiB" in err
    assert "model.bin" in err
    assert "exclude" in err


def test_holes_stay_holes(project: Project) -> None:
    sparse = project.write("sparse.bin", b"begin")
    os.truncate(sparse, 200 << 20)
    project.python(
        "1.0.0",
        "import os\nstatus = os.stat(ctx.claude / 'sparse.bin')\n"
        "assert status.st_size == 200 << 20\nassert status.st_blocks * 512 < 1 << 20",
    )
    assert "Applied 1 migration" in project.ok("upgrade")


@pytest.mark.parametrize("command", [("upgrade",), ("upgrade", "--preview"), ("verify",)])
@pytest.mark.parametrize("name", ["m.db", "orchestration/db/orchestration.db"])
def test_a_database_with_a_hole_of_8_tb_fills_no_disk(
    project: Project, command: tuple[str, ...], name: str
) -> None:
    project.tables("1.0.0")
    project.ok("upgrade")
    project.setup("CREATE TABLE facts (x)", project.claude / name)
    os.truncate(project.claude / name, 8 << 40)
    project.python("1.1.0", "ctx.database('m.db').execute('INSERT INTO facts VALUES (1)')")
    before = os.statvfs(project.root).f_bavail
    err = project.fails(*command)
    assert "needed" in err or "a copy of the database needs 8.0 TiB" in err
    assert Path(name).name in err or "for a backup" in err
    assert os.statvfs(project.root).f_bavail > before - 1000


def test_free_space_is_looked_at_before_a_large_file_is_copied(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.python("1.0.0", CODE)
    project.write("large.bin", b"x" * (2 << 20))
    little = type("Volume", (), {"f_bavail": 10, "f_frsize": 1 << 20})()
    monkeypatch.setattr("os.statvfs", lambda path: little)
    error = project.failure()
    assert "a file needs 2.0 MiB, and 10.0 MiB are free" in error.message


@pytest.mark.parametrize("command", [("upgrade",), ("upgrade", "--preview")])
def test_a_link_to_a_large_folder_is_refused(
    project: Project, folder: Path, command: tuple[str, ...]
) -> None:
    large = folder / "large"
    large.mkdir()
    for number in range(10_001):
        (large / str(number)).touch()
    (project.claude / "large").symlink_to(large)
    project.python("1.0.0", CODE)
    err = project.fails(*command)
    assert "links lead to more than is copied, over 10,000 files or 1.0 GiB" in err
    project.config("exclude: [large]\n")
    project.ok(*command)


@pytest.mark.parametrize("command", [("upgrade",), ("upgrade", "--preview")])
def test_what_is_below_a_linked_folder_is_excluded_by_its_path_through_the_link(
    project: Project, folder: Path, command: tuple[str, ...]
) -> None:
    linked = folder / "elsewhere"
    linked.mkdir()
    (linked / "huge").touch()
    os.truncate(linked / "huge", 8 << 30)
    (project.claude / "linked").symlink_to(linked)
    project.python("1.0.0", CODE)
    assert "links lead to more than is copied" in project.fails(*command)
    project.config("exclude: [linked/huge]\n")
    project.ok(*command)


@pytest.mark.parametrize("command", [("upgrade",), ("upgrade", "--preview")])
def test_a_link_to_the_kernels_messages_is_not_read(
    project: Project, command: tuple[str, ...]
) -> None:
    (project.claude / "log").symlink_to("/proc/kmsg")
    project.python("1.0.0", CODE)
    code, _, err = project.call(*command, most_seconds=10)
    assert code == 0 or "Permission denied" in err


@pytest.mark.parametrize("command", [("status",), ("upgrade",), ("upgrade", "--preview")])
def test_a_database_that_is_a_link_to_the_kernels_messages_is_refused(
    project: Project, command: tuple[str, ...]
) -> None:
    project.tables("1.0.0", "1.1.0")
    project.ok("upgrade", "1.0.0")
    project.database.unlink()
    project.database.symlink_to("/proc/kmsg")
    err = project.fails(*command, most_seconds=10)
    assert "The database is not a plain file\n  /proc/kmsg\n" in err


@pytest.mark.parametrize("command", [("upgrade",), ("upgrade", "--preview")])
def test_folders_nested_too_deep_are_told(project: Project, command: tuple[str, ...]) -> None:
    (project.claude / Path(*["d"] * 400)).mkdir(parents=True)
    project.python("1.0.0", CODE)
    code, _, err = project.call(*command)
    assert code == 1
    assert "nested too deep" in err


def test_2500_nested_folders_of_a_killed_step_do_not_block_the_next_command(
    project: Project,
) -> None:
    project.tables("1.0.0")
    project.ok("upgrade")
    scratch = project.bookkeeping / "staging/1/project"
    scratch.mkdir(parents=True)
    nest(scratch, 2500)
    project.tables("1.1.0")
    assert "Applied 1 migration" in project.ok("upgrade")
    assert project.leftovers() == set()


@pytest.mark.parametrize("name", ["d", "a-longer-name"])
def test_any_depth_is_removed_and_links_are_not_followed(folder: Path, name: str) -> None:
    kept = folder / "kept"
    kept.write_text("x")
    (folder / "tree/.plugin-migrate-removing-1/x").mkdir(parents=True)
    nest(folder / "tree", 2500, name, kept)
    discard(str(folder / "tree"))
    assert sorted(path.name for path in folder.iterdir()) == ["kept"]


def nest(top: Path, depth: int, name: str = "deep", link: Path | None = None) -> None:
    """Make folders in folders, deeper than any path may be long; some may not be written."""
    folder = os.open(top, os.O_RDONLY)
    for number in range(depth):
        os.mkdir(name, dir_fd=folder)
        below = os.open(name, os.O_RDONLY, dir_fd=folder)
        os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=below))
        if link is not None:
            os.symlink(link, "link", dir_fd=below)
        if number % 10 == 1:
            os.chmod(name, 0o500, dir_fd=folder) if os.geteuid() == 0 else None
        os.close(folder)
        folder = below
    os.close(folder)


# --- what the documents say --------------------------------------------------------------------


def test_the_documents_name_the_limits_that_hold() -> None:
    def size(number: int) -> str:
        return size_of(number).replace(".0 ", " ")

    root = Path(__file__).parents[1]
    reliability = (root / "docs/reliability.md").read_text()
    linked = f"{state_tree._MOST_LINKED:,} files"
    for limit in (
        f"over {linked} or {size(state_tree._LARGEST_LINKED)} reached through links",
        f"folders nested over {state_tree._DEEPEST} deep",
        f"a file over {size(files._LARGEST_COPIED)}",
        f"over {size(migration._LARGEST_PROGRAM)} of Python",
        f"over {size(migration._LARGEST_SQL)} of SQL",
        f"a header over {size(sql_text._LONGEST_HEADER)}",
        f"not UTF-8, over {size(settings._LARGEST_CONFIG)}",
    ):
        assert limit in reliability
    assert f"links to over {linked}" in (root / "CHANGELOG.md").read_text()
