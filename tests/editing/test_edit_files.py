"""What an edit does to a file, whatever its format."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from plugin_migrate.editing import front_matter, json_edit
from plugin_migrate.errors import Conflict, StateUnreadable


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    path = tmp_path / "settings.json"
    path.write_bytes(b'{"a": 1}')
    return path


def test_a_change_is_written_when_the_block_ends(settings: Path) -> None:
    with json_edit.edit(settings) as value:
        value["a"] = 2
        assert settings.read_bytes() == b'{"a": 1}'

    assert settings.read_bytes() == b'{"a": 2}'


def test_an_edit_without_a_change_does_not_write(settings: Path) -> None:
    settings.chmod(0o444)
    os.utime(settings, ns=(1, 1))

    with json_edit.edit(settings) as value:
        value["a"] = 2
        value["a"] = 1

    assert settings.stat().st_mtime_ns == 1


def test_an_error_in_the_block_writes_nothing(settings: Path) -> None:
    def fails() -> None:
        with json_edit.edit(settings) as value:
            value["a"] = 2
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fails()

    assert settings.read_bytes() == b'{"a": 1}'


def test_the_mode_and_the_inode_stay(settings: Path) -> None:
    settings.chmod(0o640)
    inode = settings.stat().st_ino

    with json_edit.edit(settings) as value:
        value["b"] = 1

    assert settings.stat().st_mode & 0o777 == 0o640
    assert settings.stat().st_ino == inode


def test_a_list_can_be_the_whole_document(tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    path.write_text("[1]")

    with json_edit.edit(path) as value:
        value.append(2)

    assert path.read_text() == "[1, 2]"


@pytest.mark.parametrize("edit", [json_edit.edit, front_matter.edit])
def test_a_missing_file_is_named(tmp_path: Path, edit: object) -> None:
    path = tmp_path / "missing"

    with pytest.raises(FileNotFoundError, match=r"There is no file agents/x\.md to edit"):
        edit(path, "agents/x.md").__enter__()  # type: ignore[operator]

    assert not path.exists()


def test_errors_name_the_file_as_it_is_shown(settings: Path) -> None:
    settings.write_text("{")

    with (
        pytest.raises(StateUnreadable) as caught,
        json_edit.edit(settings, ".claude/settings.json"),
    ):
        pass

    assert caught.value.file == ".claude/settings.json"


def test_an_edit_inside_an_edit_does_not_lose_its_change(settings: Path) -> None:
    def nested() -> None:
        with json_edit.edit(settings) as outer:
            outer["a"] = 2
            with json_edit.edit(settings) as inner:
                inner["b"] = 3

    with pytest.raises(Conflict):
        nested()

    assert settings.read_bytes() == b'{"a": 1, "b": 3}'


def test_bytes_that_are_no_utf_8_survive(tmp_path: Path) -> None:
    path = tmp_path / "agent.md"
    path.write_bytes(b"\xef\xbb\xbf---\r\nname: a\r\nold: \xff\r\n---\r\n\xff\xfe\x00 body\n\r\r\n")

    with front_matter.edit(path) as front:
        front["name"] = "b"

    assert path.read_bytes() == (
        b"\xef\xbb\xbf---\r\nname: b\r\nold: \xff\r\n---\r\n\xff\xfe\x00 body\n\r\r\n"
    )
