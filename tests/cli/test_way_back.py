"""Without a down: what status, downgrade and a terminal say of what was kept."""

import os
import re
import subprocess
import sys

import pytest

from command_line import COMMAND


@pytest.fixture
def edited(project):
    """A migration without a down, of whose changes somebody has changed one since."""
    project.write("a.txt", "before")
    project.write("b.txt", "before")
    project.python("1.0.0", "for n in 'ab': (ctx.claude / f'{n}.txt').write_text('1')", None)
    project.tables("1.1.0")
    project.ok("upgrade")
    project.write("a.txt", "since")
    return project


TOLD = """\
✗ Error: Could not roll back 1.0.0 - Step
  1.0.0 has no down, and 1 of the things that it changed were changed since
  .claude/core/versioning/migrations/1.0.0-step.py
  .claude/a.txt: changed outside of these migrations
  Leave it all as it is, or choose:
    plugin-migrate downgrade --changed-since=rest   take back the rest
    plugin-migrate downgrade --changed-since=all    take back everything; a backup is made first

Rolled back before it: 1 migration(s), which stay rolled back.
The state is as before the step: nothing of it was taken back.
"""


def in_newest_backup(project):
    newest = project.bookkeeping / "backups" / project.json("restore")["backups"][0]["id"]
    return [path.read_text() for path in sorted(newest.glob("file-*"))]


def texts(project):
    return [(project.claude / f"{name}.txt").read_text() for name in "ab"]


@pytest.mark.parametrize("options", [[], ["--changed-since=leave"]])
def test_what_was_changed_since_is_left_and_told_with_the_ways_on(edited, options):
    code, out, err = edited.call("downgrade", "2", *options)
    assert (code, out) == (1, "✓ Rolled back 1 migration(s)\n  • 1.1.0 - Step\n")
    assert err == TOLD
    assert texts(edited) == ["since", "1"]
    assert edited.applied() == ["1.0.0"]


def test_the_document_says_which_error_it_is(edited):
    document = edited.json("downgrade", "2")
    assert document["error"]["code"] == "changed_since"
    assert document["error"]["details"] == [".claude/a.txt: changed outside of these migrations"]
    assert document["failed"]["version"] == "1.0.0"


def test_the_rest_is_taken_back_and_what_is_left_is_told(edited):
    code, _, err = edited.call("downgrade", "0.0.0", "--changed-since=rest")
    assert (code, err) == (
        0,
        "  1.0.0: left as it is: .claude/a.txt: changed outside of these migrations\n",
    )
    assert texts(edited) == ["since", "before"]
    assert edited.applied() == []


def test_everything_is_taken_back(edited):
    edited.ok("downgrade", "0.0.0", "--changed-since=all")
    assert texts(edited) == ["before", "before"]
    assert in_newest_backup(edited) == ["since", "1"]


def test_everything_is_not_taken_back_without_a_backup(edited):
    err = edited.fails("downgrade", "2", "--changed-since=all", "--no-backup", code=2)
    assert "makes a backup first: leave --no-backup out" in err


def at_terminal(project, *arguments, answer):
    """Run a command at a terminal of its own, and type an answer."""
    import pty

    ours, theirs = pty.openpty()
    os.write(ours, answer.encode())
    done = subprocess.run(
        [*COMMAND, *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=project.root,
        env=project.environment | {"TERM": "dumb", "PAGER": "cat"},
        timeout=30,
    )
    os.close(theirs)
    said = b""
    while True:
        try:
            said += os.read(ours, 1 << 16)
        except OSError:  # all is read
            break
    os.close(ours)
    return done.returncode, said.decode().replace("\r\n", "\n")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a closed terminal loses its text")
@pytest.mark.parametrize(
    ("answer", "code", "left", "applied"),
    [
        ("\n", 1, ["since", "1"], ["1.0.0"]),
        ("l\n", 1, ["since", "1"], ["1.0.0"]),
        ("what?\n", 1, ["since", "1"], ["1.0.0"]),
        ("\x04", 1, ["since", "1"], ["1.0.0"]),
        ("r\n", 0, ["since", "before"], []),
        ("All\n", 0, ["before", "before"], []),
    ],
)
def test_at_a_terminal_it_is_asked(edited, answer, code, left, applied):
    found, said = at_terminal(edited, "downgrade", "2", "--no-backup", answer=answer)
    assert "take back the [r]est, or [a]ll of it, after a backup? [l]" in said
    assert (found, texts(edited), edited.applied()) == (code, left, applied)
    if answer == "All\n":
        assert in_newest_backup(edited) == ["since", "1"]


@pytest.mark.parametrize("options", [["--changed-since=leave"], ["--format=json"], ["-q"]])
def test_at_a_terminal_nothing_is_asked_that_was_said(edited, options):
    code, said = at_terminal(edited, "downgrade", "2", *options, answer="a\n")
    assert code == 1
    assert "[r]est" not in said
    assert texts(edited) == ["since", "1"]


# --- what is shown --------------------------------------------------------------------------------


@pytest.fixture
def several(project):
    """One migration of every kind, by its way back."""
    project.tables("1.0.0")
    project.sql("1.1.0", "CREATE TABLE a (x);", None, description="Kept")
    project.sql("1.2.0", "CREATE TABLE b (x);", None, reversible="false")
    project.sql("1.3.0", "VACUUM;", None, "transaction:false")
    project.ok("upgrade")
    project.tables("1.4.0")
    return project


def listed(project):
    return project.json("status")["migrations"]


def test_status_shows_by_what_each_goes_back(several):
    out = several.ok("status")
    assert [line.rsplit("│", 2)[1].strip() for line in out.splitlines() if "│" in line] == [
        *("Way Back", "down", "kept", "none", "none", "-")
    ]
    assert (
        "\nSummary: 4 applied, 1 pending\n"
        "Way back: kept = it has no down; what was kept is taken back instead.\n"
        "Way back: none = 1.2.0 has no down, and it says reversible: false.\n"
        "Way back: none = 1.3.0 has no down, and it ran outside a transaction, where nothing is"
        " kept.\n"
    ) in out


def test_status_has_no_such_column_where_every_migration_has_a_down(project):
    project.tables("1.0.0")
    project.ok("upgrade")
    out = project.ok("status")
    assert "Way" not in out
    assert out.splitlines()[1].startswith("┌")
    assert out.splitlines()[2].rstrip(" │").endswith("Checksum")


def test_status_sees_that_what_was_kept_is_gone(several):
    for path in (several.bookkeeping / "ways-back").iterdir():
        path.unlink()
    assert "none = 1.1.0 has no down, and what was kept is gone" in several.ok("status")
    assert listed(several)[1]["way_back"] == "none"


def test_status_knows_those_that_an_earlier_version_applied(project):
    project.sql("1.0.0", "CREATE TABLE a (x);", None)
    project.tables("1.1.0")
    project.ok("upgrade")
    project.query("DELETE FROM plugin_migrate_facts")
    ways = [one["way_back"] for one in listed(project)]
    assert ways == ["none", "down"]
    assert "1.0.0 has no down, and nothing was kept when it was applied" in project.ok("status")


def test_the_document_says_by_what_each_goes_back(several):
    ways = [one["way_back"] for one in listed(several)]
    assert ways == ["down", "kept", "none", "none", None]


def test_show_says_by_what_one_goes_back_in_the_words_of_status(several):
    said, documents = {}, {}
    for version in ("1.0.0", "1.1.0", "1.2.0", "1.3.0"):
        (said[version],) = re.findall(r"^  Way back:  (.*)$", several.ok("show", version), re.M)
        documents[version] = several.json("show", version)["way_back"]
    assert said == {
        "1.0.0": "down",
        "1.1.0": "kept: it has no down; what was kept is taken back instead",
        "1.2.0": "none: it has no down, and it says reversible: false",
        "1.3.0": "none: it has no down, and it ran outside a transaction, where nothing is kept",
    }
    assert documents == {one["version"]: one["way_back"] for one in listed(several)[:4]}


def test_what_is_kept_stays_as_it_is_when_it_is_looked_at(several):
    before = several.snapshot()
    several.ok("status")
    several.ok("show", "1.1.0")
    several.ok("status", "--format=json")
    assert several.snapshot() == before


def test_a_dry_run_shows_what_would_be_taken_back(project):
    project.write("a.txt", "before")
    project.write("m.md", "x")
    project.python(
        "1.0.0",
        """
        (ctx.claude / "a.txt").write_text("1")
        (ctx.claude / "m.md").unlink()
        (ctx.claude / "new").touch()
        ctx.database("more.db").execute("CREATE TABLE x (x)")
        ctx.db.execute("CREATE TABLE t (x)")
        """,
        None,
    )
    project.ok("upgrade")
    before = project.snapshot()
    out = project.ok("downgrade", "--dry-run", "--verbose")
    for line in (
        "What was kept when it was applied:",
        ".claude/a.txt: as it was",
        ".claude/m.md: brought back",
        ".claude/new: removed",
        ".claude/more.db: removed",
        "the state database: table t removed",
    ):
        assert f"    {line}\n" in out
    assert project.snapshot() == before


def test_a_preview_shows_what_would_change(project):
    project.write("a.txt", "before\n")
    project.python("1.0.0", "(ctx.claude / 'a.txt').write_text('after\\n')", None)
    project.ok("upgrade")
    before = project.snapshot()
    out = project.ok("downgrade", "--preview")
    assert "\n-after\n+before\n" in out
    assert project.snapshot() == before
    project.write("a.txt", "since\n")
    assert ".claude/a.txt: changed outside" in project.call("downgrade", "--preview").err


def test_a_redo_takes_back_and_applies_again(project):
    project.write("a.txt", "before")
    project.python("1.0.0", "p = ctx.claude / 'a.txt'; p.write_text(p.read_text() + '!')", None)
    project.ok("upgrade")
    project.ok("redo")
    assert project.read("a.txt") == "before!"
    project.ok("downgrade")
    assert project.read("a.txt") == "before"


def test_a_missing_file_is_taken_back_all_the_same(project):
    project.sql("1.0.0", "CREATE TABLE a (x);", None)
    project.ok("upgrade")
    (project.migrations / "1.0.0-step.sql").unlink()
    assert "(from the stored source: its file is gone)" in project.ok("downgrade")
    assert project.query("SELECT name FROM sqlite_schema WHERE name = 'a'") == []


def test_a_restore_brings_back_the_way_back_of_what_it_brings_back(project):
    project.write("a.txt", "before")
    project.python("1.0.0", "(ctx.claude / 'a.txt').write_text('1')", None)
    project.ok("upgrade")
    project.tables("1.1.0")
    project.ok("upgrade")
    backup = project.json("restore")["backups"][0]["id"]
    project.ok("restore", backup)
    assert project.applied() == ["1.0.0"]
    project.ok("downgrade")
    assert project.read("a.txt") == "before"


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (
            "keep: {ways_back: -1}",
            "Setting 'keep.ways_back' must be a number of at least 0, not -1",
        ),
        ("keep: {megabytes: 0}", "Setting 'keep.megabytes' must be a number of at least 1, not 0"),
        ("keep: 3", "Setting 'keep' holds settings of its own"),
    ],
)
def test_a_wrong_setting_is_told(project, settings, told):
    project.config(settings)
    assert told in project.fails("status")


def test_what_cannot_be_written_stops_the_step(project):
    project.ok("upgrade")
    project.sql("1.0.0", "CREATE TABLE a (x);", None)
    (project.bookkeeping / "ways-back").write_text("")
    err = project.fails("upgrade")
    assert "The migration's way back cannot be kept: " in err
    assert "or run without one: --no-backup" in err
    project.ok("upgrade", "--no-backup")
