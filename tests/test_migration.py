"""Reading a folder of migrations: which files count, in which order, and what is refused."""

import os
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugin_migrate.errors import BrokenMigration, DuplicateVersion, InvalidVersion, StateUnreadable
from plugin_migrate.migration import checksum_of, largest_of, load, parse_name, title_of
from plugin_migrate.version import Version


@pytest.fixture
def folder(tmp_path):
    """A function that writes files and loads them."""

    def load_these(*names, known=(), **contents):
        for name in names:
            (tmp_path / name).write_text("")
        for name, content in contents.items():
            (tmp_path / name).write_bytes(content)
        return load(str(tmp_path), dict(known))

    load_these.path = tmp_path
    return load_these


def test_a_folder_that_does_not_exist_holds_none(tmp_path):
    assert load(str(tmp_path / "nowhere"), {}) == []


def test_the_order_is_by_number(folder):
    names = ["1.10.0-c.sql", "1.9.0-b.py", "10.0.0-e.sql", "2.0.0-d.py", "0.0.1-a.sql"]
    assert [migration.slug for migration in folder(*names)] == ["a", "b", "c", "d", "e"]


def test_a_migration_is_the_file_unread_by_any_parser(folder):
    content = b"\xef\xbb\xbf-- x\r\nSELECT 'never run';\r\n"
    (migration,) = folder(**{"1.2.3-add-oauth.sql": content})
    assert migration.version == Version(1, 2, 3)
    assert (migration.slug, migration.language) == ("add-oauth", "sql")
    assert migration.path == str(folder.path / "1.2.3-add-oauth.sql")
    assert migration.text == "-- x\r\nSELECT 'never run';\r\n"
    assert migration.checksum == checksum_of(content)


def test_everything_else_is_left_alone(folder):
    others = ["_1.0.0-x.sql", ".1.0.0-x.sql", "x.sql", "1.0.0-x.txt", "1.0.0-x", "1.0.0-x.sql~"]
    (folder.path / "1.0.0-folder").mkdir()
    (folder.path / "_pipe.sql").symlink_to("/dev/zero")
    assert folder(*others) == []


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("1.a.0-x.sql", "1.a.0"),
        ("1.0-x.py", "1.0"),
        ("1-x.py", "1"),
        ("01.0.0-x.py", "01.0.0"),
        ("1.0.0.0-x.sql", "1.0.0.0"),
        ("1.0.0_x.sql", "1.0.0_x"),
        ("20251212-x.sql", "20251212"),
        ("1.0.1000000000-x.sql", "1.0.1000000000"),
        ("1.0.sql", "1.0"),
        ("²-x.sql", "²"),
    ],
)
def test_a_digit_without_a_version_is_an_error_that_names_the_file(folder, name, given):
    with pytest.raises(InvalidVersion) as caught:
        folder(name)
    assert caught.value.message == f"Invalid version format: '{given}'"
    assert caught.value.file == str(folder.path / name)
    assert caught.value.exit_code == 1


@pytest.mark.parametrize("name", ["1.0.0.sql", "1.0.0-.sql"])
def test_a_version_without_a_name_is_an_error(folder, name):
    with pytest.raises(BrokenMigration, match="needs a name after its version"):
        folder(name)


@pytest.mark.parametrize("other", ["1.0.0-b.sql", "1.0.0-a.py", "1.0.0-a-a.sql"])
def test_two_files_with_one_version_are_an_error_naming_both(folder, other):
    with pytest.raises(DuplicateVersion) as caught:
        folder("1.0.0-a.sql", other)
    assert "1.0.0-a.sql" in caught.value.message
    assert other in caught.value.message


def test_a_text_that_the_ledger_knows_is_not_kept(folder):
    contents = {"1.0.0-a.sql": b"SELECT 1;\r\n", "1.1.0-b.sql": b"edited"}
    known = {
        Version(1, 0, 0): checksum_of(b"SELECT 1;\n"),
        Version(1, 1, 0): checksum_of(b"before"),
    }
    first, second = folder(known=known, **contents)
    assert first.text is None
    assert second.text == "edited"


def test_bytes_that_are_no_utf_8_are_an_error_with_its_line(folder):
    with pytest.raises(BrokenMigration) as caught:
        folder(**{"1.0.0-a.sql": b"one\ntwo\nthr\xffe"})
    assert caught.value.line == 3


@pytest.mark.parametrize("suffix", ["sql", "py", "ts", "mjs"])
def test_a_file_may_be_large_but_not_endless(folder, suffix):
    path = folder.path / f"1.0.0-a.{suffix}"
    with path.open("wb") as file:
        file.truncate(largest_of(path.name) + 1)
    most = "64.0 MiB" if suffix == "sql" else "512.0 KiB"
    with pytest.raises(BrokenMigration, match=f"at most {most}: it has {most}, over {most}"):
        folder()


def test_a_pipe_is_refused_without_waiting(folder):
    os.mkfifo(folder.path / "1.0.0-a.sql")
    with pytest.raises(BrokenMigration, match="plain file"):
        folder()


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/dev/urandom"])
def test_a_device_is_refused_without_being_read(folder, device):
    (folder.path / "1.0.0-a.sql").symlink_to(device)
    with pytest.raises(BrokenMigration, match="plain file"):
        folder()


def test_a_folder_in_a_migrations_place_is_refused(folder):
    (folder.path / "1.0.0-a.sql").mkdir()
    with pytest.raises(BrokenMigration, match="plain file"):
        folder()


@pytest.mark.parametrize("size", [0, 1, 16383, 16384, 16385, 1 << 20])
def test_a_file_of_any_size_is_read_whole(folder, size):
    content = (b"-- text\n" * (size // 8 + 1))[:size]
    (migration,) = folder(**{"1.0.0-a.sql": content})
    assert migration.text == content.decode()
    assert migration.checksum == checksum_of(content)


def test_a_link_that_leads_nowhere_is_an_error(folder):
    (folder.path / "1.0.0-a.sql").symlink_to("nowhere")
    with pytest.raises(StateUnreadable, match="No such file"):
        folder()


def test_a_link_to_a_file_is_a_migration(folder):
    (folder.path / "text").write_text("SELECT 1;")
    (folder.path / "1.0.0-a.sql").symlink_to("text")
    assert folder()[0].text == "SELECT 1;"


@given(st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1))
def test_any_name_is_read_or_refused(name):
    with suppress(InvalidVersion, BrokenMigration):
        version, slug = parse_name(name, name)
        assert name.startswith(f"{version}-{slug}.")


def test_a_slug_stands_for_a_description():
    assert title_of("add-user-settings") == "Add user settings"
    assert title_of("add_OAuth") == "Add OAuth"
    assert title_of("2-steps") == "2 steps"
