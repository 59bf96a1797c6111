"""Renames that change only a name's case or Unicode form, where the file system folds names.

On a folder of ext4 with casefold where the kernel has that, else on a small file system of ours
(``folding.py``); both need root and Linux.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from plugin_migrate.errors import Conflict, NeedsRepair
from plugin_migrate.plan import plan_upgrade
from plugin_migrate.rehearsal.preview import preview
from plugin_migrate.rehearsal.verify import verify
from plugin_migrate.sandbox.staging import Staging
from plugin_migrate.storage.nodes import is_spelled, observe_spelled
from project import LIVE, Project, meanwhile

COMPOSED, DECOMPOSED = "caf\u00e9.md", "cafe\u0301.md"

# In two steps: a kernel that folds names itself takes the one for nothing to do.
RENAME = """
import os
def rename(root, *pairs):
    for old, new in pairs:
        os.rename(root / old, root / "between")
        os.rename(root / "between", root / new)
"""
# As one writes it, and as macOS carries it out.
AT_ONCE = """
def rename(root, *pairs):
    for old, new in pairs:
        (root / old).rename(root / new)
"""
UP = f"rename(ctx.claude, ('A.md', 'a.md'), ('Agents', 'agents'), ({COMPOSED!r}, {DECOMPOSED!r}))"
DOWN = f"rename(ctx.claude, ('a.md', 'A.md'), ('agents', 'Agents'), ({DECOMPOSED!r}, {COMPOSED!r}))"


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def has_casefold(folder: Path) -> bool:
    """Mount a casefold folder of ext4, if the kernel has that; return whether it has."""
    image = folder.with_name("image")
    with image.open("wb") as file:
        file.truncate(64 << 20)
    try:
        run("mkfs.ext4", "-q", "-O", "casefold", str(image))
        run("mount", "-o", "loop", str(image), str(folder))
    except (OSError, subprocess.CalledProcessError):
        return False
    run("chattr", "+F", str(folder))
    return True


@contextmanager
def mounted(folder: Path) -> Iterator[None]:
    """Have a file system on ``folder`` that folds names, or skip the test."""
    if sys.platform != "linux":
        yield
        return
    if os.geteuid() != 0:
        pytest.skip("mounting a file system needs root")
    if has_casefold(folder):
        yield
        run("umount", str(folder))
        return
    command = [
        sys.executable,
        "-B",
        str(Path(__file__).parents[1].joinpath("folding.py")),
        str(folder),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        if server.stdout.readline() != "mounted\n":
            pytest.skip("no file system here folds names")
        yield
        run("umount", "-l", str(folder))


@pytest.fixture(scope="module")
def folding(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder whose file system folds names."""
    folder = tmp_path_factory.mktemp("folding") / "mounted"
    folder.mkdir()
    with mounted(folder):
        (folder / "Probe").touch()
        if not (folder / "pROBE").exists():
            pytest.skip("this system's files have one name each")
        yield folder.resolve()


@pytest.fixture
def project(folding: Path) -> Iterator[Project]:
    """A project there, with a file, a folder and a file with an accent."""
    root = folding / "project"
    project = Project(root)
    project.write("A.md", "a")
    project.write("Agents/x.md", "x")
    project.write("Agents/Deep/y.md", "y")
    project.write(COMPOSED, "c")
    yield project
    shutil.rmtree(root)


def names(project: Project) -> set[str]:
    own = {".plugin-migrate", "core", "orchestration"}
    return {
        Path(folder, name).relative_to(project.claude).as_posix()
        for folder, folders, files in os.walk(project.claude)
        for name in [*folders, *files]
        if not own & {name, *Path(folder).relative_to(project.claude).parts}
    }


BEFORE = {"A.md", "Agents", "Agents/x.md", "Agents/Deep", "Agents/Deep/y.md", COMPOSED}
AFTER = {"a.md", "agents", "agents/x.md", "agents/Deep", "agents/Deep/y.md", DECOMPOSED}


@pytest.mark.parametrize("how", [RENAME, AT_ONCE])
def test_such_renames_are_applied_and_rolled_back(
    project: Project, folding: Path, how: str
) -> None:
    (folding / "Probe").rename(folding / "probe")
    is_renamed = "probe" in os.listdir(folding)
    (folding / "probe").rename(folding / "Probe")
    if how == AT_ONCE and not is_renamed:
        pytest.skip("this kernel does not rename at once")
    project.python("1.0.0", UP, DOWN, top=how)
    for _ in range(2):
        project.upgrade()
        assert names(project) == AFTER
        assert project.read("agents/Deep/y.md") == "y"
        project.downgrade()
        assert names(project) == BEFORE
        assert project.read("A.md") == "a"
    assert project.leftovers() == set()


def test_verify_and_preview_show_them_and_change_nothing(
    project: Project, folding: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(folding))
    project.python("1.0.0", UP, DOWN, top=RENAME)
    (verified,) = verify(project.workspace(), [])
    assert (verified.reversible, verified.repeatable) == (True, True)
    files = preview(project.workspace(), plan_upgrade, "x").files
    shown = {file.change.path: file.change.verb for file in files}
    assert shown.keys() == BEFORE ^ AFTER
    assert {path for path, what in shown.items() if what == "created"} == AFTER - BEFORE
    assert names(project) == BEFORE


def test_later_steps_of_a_run_see_the_new_names(project: Project) -> None:
    project.python("1.0.0", UP, DOWN, top=RENAME)
    project.python("1.1.0", "(ctx.claude / 'agents/x.md').write_text('new')")
    project.python("1.2.0", DOWN, UP, top=RENAME)
    project.python("1.3.0", "(ctx.claude / 'Agents/z.md').write_text('z')")
    project.upgrade()
    assert names(project) == {*BEFORE, "Agents/z.md"}
    assert project.read("Agents/x.md") == "new"


def test_a_rename_may_come_with_an_edit(project: Project) -> None:
    up = "rename(ctx.claude, ('A.md', 'a.md'))\n(ctx.claude / 'a.md').write_text('new')"
    down = "rename(ctx.claude, ('a.md', 'A.md'))\n(ctx.claude / 'A.md').write_text('a')"
    project.python("1.0.0", up, down, top=RENAME)
    project.upgrade()
    assert (names(project) ^ BEFORE, project.read("a.md")) == ({"a.md", "A.md"}, "new")
    project.downgrade()
    assert (names(project), project.read("A.md")) == (BEFORE, "a")


def test_a_backup_from_before_brings_the_old_names_back(project: Project) -> None:
    project.python("1.0.0", UP, DOWN, top=RENAME)
    done = project.cli("upgrade")
    assert done.returncode == 0, done.stderr
    (backup,) = (project.bookkeeping / "backups").iterdir()
    done = project.cli("restore", backup.name)
    assert done.returncode == 0, done.stderr
    assert names(project) == BEFORE
    assert project.read("A.md") == "a"


@pytest.mark.parametrize("nth", range(1, 13, 2))
def test_a_command_that_is_killed_among_them_is_finished_by_the_next(
    project: Project, nth: int
) -> None:
    project.python("1.0.0", UP, DOWN, top=RENAME)
    changes = "('os.rename', 'os.remove', 'os.rmdir', 'os.mkdir')"
    live = f"p.startswith({str(project.claude)!r}) and '.plugin-migrate' not in p"
    project.killed_at(f"event in {changes} and any({live} for p in paths)", nth=nth)
    project.upgrade()
    assert names(project) == AFTER
    assert project.read("agents/x.md") == "x"
    assert project.leftovers() == set()


def test_a_rename_by_somebody_else_meanwhile_is_a_conflict(project: Project) -> None:
    theirs = LIVE + "(live / 'A.md').rename(live / 't'); (live / 't').rename(live / 'a.MD')"
    ours = "rename(ctx.claude, ('A.md', 'a.md'))"
    project.python("1.0.0", f"{meanwhile(project, theirs)}\n{ours}", top=RENAME)
    error = project.failure()
    assert isinstance(error, Conflict)
    assert "changed by somebody else" in error.message
    assert names(project) - BEFORE == {"a.MD"}


def test_a_new_file_is_not_put_in_the_place_of_one_that_differs_in_case(project: Project) -> None:
    theirs = LIVE + "(live / 'New.md').write_text('theirs')"
    ours = "(ctx.claude / 'new.md').write_text('ours')"
    project.python("1.0.0", f"{meanwhile(project, theirs)}\n{ours}")
    assert isinstance(project.failure(), Conflict)
    assert project.read("New.md") == "theirs"


def test_what_somebody_put_under_the_old_name_after_the_commit_is_left_and_told(
    project: Project,
) -> None:
    project.python("1.0.0", UP, DOWN, top=RENAME)
    new = (project.claude / "agents").as_posix()
    project.killed_at(f"event == 'os.mkdir' and path == {new!r}")
    project.write("Agents/mine.md", "mine")
    project.write("A.md", "mine")
    with pytest.raises(NeedsRepair):
        project.upgrade()
    assert project.read("Agents/mine.md") == "mine"
    assert project.read("A.md") == "mine"
    done = project.cli("repair", "--keep-live")
    assert done.returncode == 0, done.stderr
    assert project.read("A.md") == "mine"


def test_the_migrated_file_can_be_taken_instead(project: Project) -> None:
    project.python("1.0.0", "rename(ctx.claude, ('A.md', 'a.md'))", top=RENAME)
    new = (project.claude / "a.md").as_posix()
    project.killed_at(f"event == 'os.rename' and path == {new!r}")
    project.write("A.md", "mine")
    done = project.cli("repair", "--take-migrated")
    assert done.returncode == 0, done.stderr
    assert "a.md" in names(project)
    assert project.read("a.md") == "a"


def test_the_copy_follows_a_folder_that_somebody_renamed_between_two_steps(
    project: Project, folding: Path
) -> None:
    staging = Staging(project.workspace(), str(project.bookkeeping / "staging/1"))
    staging.refresh()
    (project.claude / "Agents").rename(project.claude / "t")
    (project.claude / "t").rename(project.claude / "agents")
    staging.refresh()
    assert staging.changes() == {}
    assert "agents" in os.listdir(staging.claude)
    assert sorted(os.listdir(f"{staging.claude}/agents")) == ["Deep", "x.md"]


def test_names_that_differ_in_case_only_are_two_where_the_system_says_so(folder: Path) -> None:
    (folder / "a.md").write_text("small")
    assert is_spelled(str(folder), "A.md")  # for there is none
    assert observe_spelled(str(folder), "A.md") is None
    (folder / "A.md").write_text("LARGE")
    for name in ("a.md", "A.md"):
        node = observe_spelled(str(folder), name)
        assert node is not None
        assert is_spelled(str(folder), name)
