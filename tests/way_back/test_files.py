"""Without a down, what a step did to files is taken back from what was kept of it."""

from __future__ import annotations

import shutil
from contextlib import suppress

import pytest

from plugin_migrate.errors import ChangedSince
from plugin_migrate.operations.migrate import Run
from plugin_migrate.plan import TakeBack, plan_downgrade
from project import Project

STEPS = {
    "changes": "(ctx.claude / 'a.txt').write_text('other')",
    "creates": "(ctx.claude / 'deep/new').mkdir(); (ctx.claude / 'deep/new/n').write_bytes(b'\\0')",
    "deletes": "(ctx.claude / 'a.txt').unlink()",
    "deletes a folder": "import shutil; shutil.rmtree(ctx.claude / 'deep')",
    "changes a mode": "(ctx.claude / 'run.sh').chmod(0o600)",
    "changes modes": "(ctx.claude / 'run.sh').chmod(0o600); (ctx.claude / 'deep').chmod(0o750)",
    "renames": "(ctx.claude / 'deep').rename(ctx.claude / 'other')",
    "makes a link": "(ctx.claude / 'l').symlink_to('a.txt')",
    "changes through a link": "(ctx.claude / 'link').write_text('other')",
    "removes a link": "(ctx.claude / 'link').unlink()",
    "puts a folder in a file's place": "p = ctx.claude / 'a.txt'; p.unlink(); p.mkdir();"
    " (p / 'x').touch()",
    "puts a file in a folder's place": "import shutil; p = ctx.claude / 'deep'; shutil.rmtree(p);"
    " p.write_text('file')",
    "is large": "(ctx.claude / 'big').unlink()",
    "edits": "\nwith ctx.edit_json('settings.json') as s:\n    s['b'] = 2",
    "does nothing": "pass",
}


@pytest.fixture
def filled(project: Project) -> Project:
    project.write("a.txt", "content\n")
    project.write("run.sh", "#!/bin/sh\n", 0o755)
    project.write("deep/x/y.md", "y\r\n", 0o640)
    project.write("real/target", "linked")
    project.write("big", b"0123456789abcdef" * 200_000)
    project.write("settings.json", '{"a": 1} // kept\n')
    with suppress(OSError):  # not everywhere can one be made
        (project.claude / "link").symlink_to("real/target")
    return project


def skip_without_links(project: Project, what: str) -> None:
    if "link" in what and not (project.claude / "link").is_symlink():
        pytest.skip("no link can be made here")


def down(project: Project, wanted: TakeBack = TakeBack.NOTHING) -> Run:
    """Roll the last one back, which must succeed."""
    run = project.run(lambda entries: plan_downgrade(entries, take_back=wanted))
    if run.error is not None:
        raise run.error
    return run


@pytest.mark.parametrize("up", STEPS.values(), ids=STEPS.keys())
def test_a_step_is_taken_back_to_the_last_byte_and_mode(filled: Project, up: str) -> None:
    skip_without_links(filled, up)
    filled.python("1.0.0", up)
    filled.make_ledger()
    before = filled.files()
    filled.upgrade()
    assert (filled.files() == before) == (up == "pass")
    down(filled)
    assert filled.files() == before
    assert filled.leftovers() == set()


def test_what_the_step_did_not_touch_keeps_what_was_written_since(filled: Project) -> None:
    filled.python("1.0.0", STEPS["deletes a folder"])
    filled.upgrade()
    filled.write("a.txt", "since")
    filled.write("deep/mine", "since")
    down(filled)
    assert filled.read("a.txt") == filled.read("deep/mine") == "since"
    assert filled.read("deep/x/y.md") == "y\n"


@pytest.mark.parametrize(
    ("up", "since", "told"),
    [
        ("changes", lambda p: p.write("a.txt", "mine"), ".claude/a.txt: changed"),
        ("changes", lambda p: (p.claude / "a.txt").unlink(), ".claude/a.txt: deleted"),
        ("changes a mode", lambda p: (p.claude / "run.sh").chmod(0o700), ".claude/run.sh: changed"),
        ("deletes", lambda p: p.write("a.txt", "mine"), ".claude/a.txt: made"),
        ("creates", lambda p: p.write("deep/new/n", "mine"), ".claude/deep/new/n: changed"),
        ("removes a link", lambda p: p.write("link", "mine"), ".claude/link: made"),
    ],
)
def test_what_was_changed_since_is_named_and_nothing_is_taken_back(
    filled: Project, up, since, told: str
) -> None:
    skip_without_links(filled, up)
    filled.python("1.0.0", f"{STEPS[up]}\n(ctx.claude / 'beside').touch()")
    filled.upgrade()
    since(filled)
    before = filled.files()
    with pytest.raises(ChangedSince) as caught:
        down(filled)
    assert caught.value.details == (f"{told} outside of these migrations",)
    assert filled.files() == before
    down(filled, TakeBack.REST)
    assert not (filled.claude / "beside").exists()
    del before[".claude/beside"]
    assert filled.files() == before


def test_everything_is_taken_back_where_that_is_wanted_and_a_backup_has_the_rest(
    filled: Project,
) -> None:
    skip_without_links(filled, STEPS["removes a link"])
    filled.make_ledger()
    filled.python("1.0.0", f"{STEPS['changes']}; {STEPS['renames']}; {STEPS['removes a link']}")
    before = filled.files()
    filled.upgrade()
    filled.write("a.txt", "mine")
    filled.write("deep", "mine")
    filled.write("link", "mine")
    shutil.rmtree(filled.claude / "other")
    down(filled, TakeBack.EVERYTHING)
    assert filled.files() == before
    newest = max((filled.bookkeeping / "backups").iterdir())
    assert [path.read_text() for path in newest.glob("file-*")] == ["mine"] * 3


def test_what_has_no_folder_any_more_to_come_back_to_is_left(filled: Project) -> None:
    filled.python("1.0.0", f"(ctx.claude / 'deep/x/y.md').unlink(); {STEPS['changes']}")
    filled.upgrade()
    shutil.rmtree(filled.claude / "deep")
    filled.write("deep", "mine")
    with pytest.raises(ChangedSince) as caught:
        down(filled)
    (told,) = caught.value.details
    assert told.startswith(
        ".claude/deep/x/y.md: .claude/deep was put in its folder's place outside"
    )
    with pytest.raises(ChangedSince, match="cannot be taken back whole"):
        down(filled, TakeBack.EVERYTHING)
    down(filled, TakeBack.REST)
    assert filled.read("deep") == "mine"
    assert filled.read("a.txt") == "content\n"


def test_what_was_below_a_folder_that_is_left_is_left_too(filled: Project) -> None:
    filled.python("1.0.0", f"{STEPS['renames']}; {STEPS['changes']}")
    filled.upgrade()
    filled.write("deep", "mine")
    with pytest.raises(ChangedSince) as caught:
        down(filled)
    assert caught.value.details == (".claude/deep: made outside of these migrations",)
    down(filled, TakeBack.REST)
    assert filled.read("deep") == "mine"
    assert filled.read("a.txt") == "content\n"


def test_a_folder_that_the_step_made_stays_with_what_others_put_there(filled: Project) -> None:
    filled.python("1.0.0", STEPS["creates"])
    filled.upgrade()
    filled.write("deep/new/mine", "mine")
    down(filled)
    assert [path.name for path in (filled.claude / "deep/new").iterdir()] == ["mine"]


def test_who_changed_it_is_told(filled: Project) -> None:
    filled.python("1.0.0", STEPS["changes"])
    filled.python("1.1.0", "(ctx.claude / 'a.txt').write_text('1.1')", "pass")
    filled.upgrade()
    down(filled)
    with pytest.raises(ChangedSince) as caught:
        down(filled)
    assert caught.value.details == (".claude/a.txt: changed by 1.1.0",)


def test_a_link_that_led_out_of_the_state_cannot_be_kept(filled: Project) -> None:
    (filled.claude / "out").symlink_to("/etc/hostname")
    filled.python("1.0.0", "(ctx.claude / 'out').unlink()")
    run = filled.try_upgrade()
    if run.error is None:  # a machine without that file has it left out of the copy
        error = filled.try_downgrade().error
        assert error is not None
        assert error.details == (
            "There is no other way back: it changed something that cannot be kept",
        )
