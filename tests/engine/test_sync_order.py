"""What a power cut can take is on the disk before the next thing relies on it (design, 5 to 7)."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from project import Project

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not here")

CALLS = (
    "fsync,fdatasync,?rename,?renameat,renameat2,?mkdir,mkdirat,?unlink,unlinkat,?rmdir,fchmod,"
    "?link,linkat"
)
LOG = ".plugin-migrate/publish/ID"
DATABASE = "orchestration/db/orchestration.db"
Event = tuple[str, ...]


def events(project: Project, trace: Path) -> list[Event]:
    """Return what was synced, moved, made and removed, as paths below ``.claude/``."""
    found = []
    for line in trace.read_text().splitlines():
        match = re.match(r"\d+ +(\w+)\((.*)\) += 0", line)
        if match is None:
            continue
        call, arguments = match.groups()
        paths = re.findall(r'"([^"]+)"', arguments)
        if not paths or call == "unlinkat":
            paths = ["/".join([*re.findall(r"\d<([^>]+)>", arguments), *paths])]
        kind = re.sub("at2?$", "", call.replace("fdatasync", "fsync"))
        found.append((kind, *(_shown(project, path) for path in paths)))
    return found


def _shown(project: Project, path: str) -> str:
    path = path.removeprefix(str(project.claude)).lstrip("/") or "."
    path = re.sub(r"publish/[0-9a-f]{16}", "publish/ID", path)
    return re.sub(r"ID/(swap|out)-\d+", r"ID/\1", path)


@pytest.fixture
def order(project: Project) -> list[Event]:
    """What the first run in a project does that changes, makes, deletes and chmods."""
    project.write("sub/a", "old")
    project.write("gone/x", "old")
    project.write("mode", "x")
    (project.claude / "private").mkdir()
    project.python(
        "1.0.0",
        """
        (ctx.claude / "sub/a").write_text("new")
        (ctx.claude / "gone/x").unlink()
        (ctx.claude / "gone").rmdir()
        (ctx.claude / "new/deep").mkdir(parents=True)
        (ctx.claude / "new/deep/b").write_text("b")
        (ctx.claude / "mode").chmod(0o755)
        (ctx.claude / "private").chmod(0o700)
        """,
    )
    trace = project.root.parent / "trace"
    strace = ("strace", "-f", "-y", "-qq", "-e", f"trace={CALLS}", "-e", "signal=none")
    done = project.cli("upgrade", "--no-backup", wrapper=(*strace, "-o", str(trace)))
    assert done.returncode == 0, done.stderr
    return events(project, trace)


def in_order(order: list[Event], *expected: Event) -> None:
    """Expect these events one after the other, with others between them."""
    at = 0
    for event in expected:
        assert event in order[at:], f"{event} is missing after {order[:at][-1:]}"
        at = order.index(event, at) + 1


def test_the_log_is_on_the_disk_before_the_commit(order: list[Event]) -> None:
    in_order(
        order,
        ("mkdir", ".plugin-migrate"),
        ("fsync", "."),  # the parent of every new folder
        ("mkdir", ".plugin-migrate/publish"),
        ("fsync", ".plugin-migrate"),
        ("mkdir", LOG),
        ("fsync", f"{LOG}/pack"),
        ("fsync", f"{LOG}/manifest.json.part"),
        ("rename", f"{LOG}/manifest.json.part", f"{LOG}/manifest.json"),
        ("fsync", LOG),
        ("fsync", ".plugin-migrate/publish"),
        ("fsync", DATABASE),
        ("unlink", f"{DATABASE}-journal"),  # the commit
        ("fsync", "orchestration/db"),
        ("rename", "gone/x", f"{LOG}/out"),  # the first change to the files
    )


def test_every_file_and_folder_is_on_the_disk_before_the_log_is_done(order: list[Event]) -> None:
    done = ("rename", LOG, f"{LOG}.done")
    published = order.index(("rename", "gone/x", f"{LOG}/out"))
    changes = order[published : order.index(done)]
    in_order(
        changes,
        ("fsync", f"{LOG}/put"),
        ("rename", f"{LOG}/put", f"{LOG}/swap"),
        ("rename", f"{LOG}/swap", "sub/a"),
        ("fsync", "sub"),
        ("unlink", f"{LOG}/swap"),  # the old file, once the new one cannot be lost any more
    )
    for event in changes:
        if event[0] == "fchmod":
            in_order(changes, event, ("fsync", event[1]))
        for path in event[1:] if event[0] != "fsync" else ():
            parent = str(Path(path).parent)
            if not path.startswith(".plugin-migrate") and ("rmdir", parent) not in changes:
                in_order(changes, event, ("fsync", parent))
    made = [event[1] for event in changes if event[0] == "mkdir"]
    assert made == ["new", "new/deep"]
    modes = {event[1] for event in changes if event[0] == "fchmod"}
    assert {"mode", "private", "new", "new/deep"} <= modes


def test_the_log_is_removed_only_after_it_is_durably_done_and_its_row_gone(
    order: list[Event],
) -> None:
    in_order(
        order,
        ("rename", LOG, f"{LOG}.done"),
        ("fsync", ".plugin-migrate/publish"),
        ("fsync", DATABASE),
        ("unlink", f"{DATABASE}-journal"),
        ("fsync", "orchestration/db"),
        ("unlink", f"{LOG}.done/pack"),
        ("rmdir", f"{LOG}.done"),
    )


@pytest.mark.parametrize(
    "lost",
    [
        lambda event: event == ("fsync", LOG),
        lambda event: event == ("fsync", "sub"),
        lambda event: event == ("fsync", "new"),
        lambda event: event == ("fsync", "."),
        lambda event: event == ("fsync", "mode"),
    ],
)
def test_these_tests_notice_a_sync_that_is_gone(
    order: list[Event], lost: Callable[[Event], bool]
) -> None:
    left = [event for event in order if not lost(event)]
    with pytest.raises(AssertionError):  # noqa: PT012  (one of them)
        test_the_log_is_on_the_disk_before_the_commit(left)
        test_every_file_and_folder_is_on_the_disk_before_the_log_is_done(left)
