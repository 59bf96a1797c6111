"""A replaced file keeps what is neither content nor mode, or the step says that it cannot."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from plugin_migrate.engine.compare import refuse_unpublishable
from plugin_migrate.errors import StateUnreadable
from plugin_migrate.storage.nodes import PathChange, observe
from project import Project

pytestmark = pytest.mark.skipif(
    not hasattr(os, "setxattr"), reason="Python sets attributes on Linux only"
)
ACL = "system.posix_acl_access"
DEFAULT_ACL = "system.posix_acl_default"
CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")  # to bind low ports
ANYBODY = 0xFFFFFFFF
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give capabilities")


def acl(*entries: tuple[int, int, int]) -> bytes:
    """Return an access list as Linux stores it: tag, permissions and id of each entry."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def without_the_group(named: int = 1234) -> bytes:
    """Return the list ``user::rw-, group::---, group:NAMED:rw-, mask::rw-, other::---``."""
    return acl(
        (1, 6, ANYBODY), (4, 0, ANYBODY), (8, 6, named), (0x10, 6, ANYBODY), (0x20, 0, ANYBODY)
    )


def set_attribute(path: Path, name: str, value: bytes) -> None:
    try:
        os.setxattr(path, name, value)
    except OSError as error:
        pytest.skip(f"this file system has no {name}: {error.strerror}")


def attributes(path: Path) -> dict[str, bytes]:
    return {
        name: os.getxattr(path, name) for name in os.listxattr(path) if name != "security.selinux"
    }


def rewrite(project: Project) -> None:
    project.python("1.0.0", "(ctx.claude / 'a').write_text('new')")
    project.upgrade()
    assert project.read("a") == "new"


def test_a_replaced_file_keeps_its_access_list(project: Project) -> None:
    file = project.write("a", "old", 0o660)
    set_attribute(file, ACL, without_the_group())
    before = attributes(file)
    rewrite(project)
    assert attributes(file) == before
    assert file.stat().st_mode & 0o777 == 0o660


def test_a_changed_mode_changes_the_mask_and_no_entry(project: Project) -> None:
    file = project.write("a", "old", 0o660)
    set_attribute(file, ACL, without_the_group())
    project.python("1.0.0", "(ctx.claude/'a').write_text('new'); (ctx.claude/'a').chmod(0o640)")
    project.upgrade()
    masked = acl((1, 6, ANYBODY), (4, 0, ANYBODY), (8, 6, 1234), (16, 4, ANYBODY), (32, 0, ANYBODY))
    assert attributes(file) == {ACL: masked}


@root_only
def test_a_replaced_file_keeps_attributes_and_capabilities(project: Project) -> None:
    file = project.write("a", "old")
    set_attribute(file, "user.note", b"mine")
    set_attribute(file, "security.capability", CAPABILITY)
    before = attributes(file)
    rewrite(project)
    assert attributes(file) == before


def test_a_file_behind_a_link_keeps_its_attributes(project: Project) -> None:
    file = project.write("real", "old")
    (project.claude / "a").symlink_to("real")
    set_attribute(file, "user.note", b"mine")
    rewrite(project)
    assert (file.read_text(), attributes(file)) == ("new", {"user.note": b"mine"})


def test_a_replaced_file_gains_nothing_that_its_folder_would_give_it(project: Project) -> None:
    file = project.write("a", "old", 0o640)
    set_attribute(project.claude, DEFAULT_ACL, without_the_group())
    rewrite(project)
    assert attributes(file) == {}
    assert file.stat().st_mode & 0o777 == 0o640


@root_only
def test_a_step_that_would_lose_a_capability_is_refused_before_its_commit(
    project: Project, folder: Path
) -> None:
    file = project.write("a", "old")
    set_attribute(file, "security.capability", CAPABILITY)
    staged = folder / "staged"
    staged.write_text("new")
    change = PathChange("a", observe(str(file)), observe(str(staged)))
    project.bookkeeping.mkdir()
    folder.chmod(0o711)
    for path in (project.root, project.claude, project.bookkeeping, file):
        os.chown(path, 65534, 65534)
    set_attribute(file, "security.capability", CAPABILITY)
    os.seteuid(65534)
    try:
        with pytest.raises(StateUnreadable, match=r"security\.capability") as caught:
            refuse_unpublishable(project.workspace(), [change])
    finally:
        os.seteuid(0)
    assert caught.value.file == str(file)
    assert "Nothing was changed" in (caught.value.hint or "")


@pytest.mark.parametrize("what", ["a", "folder"])
def test_a_step_that_changes_only_a_mode_keeps_everything_else(project: Project, what: str) -> None:
    path = project.write("a", "old")
    if what == "folder":
        path = project.write("folder/b", "old").parent
    set_attribute(path, "user.note", b"mine")
    inode = path.stat().st_ino
    project.python("1.0.0", f"(ctx.claude / {what!r}).chmod(0o700)")
    project.upgrade()
    assert (path.stat().st_ino, path.stat().st_mode & 0o777) == (inode, 0o700)
    assert attributes(path) == {"user.note": b"mine"}


def test_a_mode_that_forbids_reading_is_changed_as_well(project: Project) -> None:
    path = project.write("a", "old", 0o400)
    project.python("1.0.0", "(ctx.claude / 'a').chmod(0o200)")
    project.upgrade()
    assert path.stat().st_mode & 0o777 == 0o200
