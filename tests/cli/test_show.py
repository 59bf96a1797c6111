"""`show`: one migration with its header, state, source, and what its run changed."""

import re

import pytest


@pytest.fixture
def applied(project):
    project.sql("1.0.0", "CREATE TABLE a (x);", "DROP TABLE a;", description="First", author="me")
    project.python(
        "1.1.0",
        "(ctx.claude / 'new.txt').write_text('x')\n"
        "(ctx.claude / 'old.txt').unlink()\n"
        "ctx.database('memory.db').execute('CREATE TABLE m (x)')",
        "ctx.database('memory.db').execute('DROP TABLE m')\n"
        "(ctx.claude / 'new.txt').unlink()\n"
        "(ctx.claude / 'old.txt').write_text('x')",
    )
    project.write("old.txt", "x")
    project.setup("CREATE TABLE kept (x)", project.claude / "memory.db")
    project.ok("upgrade", "1.0.0")
    project.ok("upgrade")
    return project


def test_an_applied_one_is_shown_with_all_that_is_known(applied):
    before = applied.snapshot()
    out = applied.ok("show", "1.0.0")
    out = re.sub(r"at \S+ \S+ UTC by \S+", "at T UTC by ME", out)
    assert re.sub(r"sha256:[0-9a-f]{64}", "sha256:D", out) == (
        "1.0.0 - First\n"
        "  State:     applied: at T UTC by ME\n"
        "  File:      .claude/core/versioning/migrations/1.0.0-step.sql\n"
        "  Checksum:  sha256:D\n"
        "  Way back:  down\n"
        "  Author:    me\n"
        "\n"
        "The run that applied it changed:\n"
        "  • table a: created\n"
        "\n"
        "Source:\n"
        "    -- description: First\n"
        "    -- author: me\n"
        "    -- migrate:up\n"
        "    CREATE TABLE a (x);\n"
        "    -- migrate:down\n"
        "    DROP TABLE a;\n"
    )
    assert applied.snapshot() == before


def test_what_its_run_did_to_files_and_databases_is_shown(applied):
    changes = applied.json("show", "1.1.0")["changes"]
    assert changes["files"] == [
        {"path": "new.txt", "what": "created"},
        {"path": "old.txt", "what": "deleted"},
    ]
    assert (changes["schema"], changes["also_applied"]) == ([], [])
    assert changes["databases"] == ["memory.db"]
    assert (
        "changed:\n"
        "  • .claude/new.txt: created\n"
        "  • .claude/old.txt: deleted\n"
        "  • .claude/memory.db: rows or tables\n"
    ) in applied.ok("show", "1.1.0")


def test_a_run_of_several_names_the_others(applied):
    applied.ok("downgrade", "0.0.0")
    applied.ok("upgrade")
    assert "\nThe run that applied it, with 1.0.0, changed:\n" in applied.ok("show", "1.1.0")


def test_a_pending_one_names_the_preview(project):
    project.tables("1.0.0")
    out = project.ok("show", "1.0.0")
    assert "  State:     pending\n" in out
    assert "Way back" not in out
    assert "What it would change: plugin-migrate upgrade 1.0.0 --preview\n" in out
    document = project.json("show", "1.0.0")
    assert (document["status"], document["changes"]) == ("pending", None)
    assert document["way_back"] is None


def test_without_its_file_the_stored_source_and_header_are_shown(applied):
    (applied.migrations / "1.0.0-step.sql").unlink()
    out = applied.ok("show", "1.0.0")
    assert "  File:      gone; below is the source that was stored\n" in out
    assert "    CREATE TABLE a (x);\n" in out
    document = applied.json("show", "1.0.0")
    assert (document["path"], document["language"]) == (None, "sql")
    assert document["metadata"]["author"] == "me"


def test_what_nobody_kept_is_said_to_be_unknown(project):
    project.tables("1.0.0", "1.1.0")
    project.ok("upgrade", "1.0.0", "--no-backup")
    assert "is not known: its run kept no backup" in project.ok("show", "1.0.0")
    project.ok("baseline", "1.1.0")
    assert "is not known: no run of this tool applied it" in project.ok("show", "1.1.0")


def test_a_backup_that_is_gone_is_not_taken_for_another(applied):
    backups = sorted((applied.bookkeeping / "backups").iterdir())
    (backups[-1] / "manifest.json").write_text("damaged")
    assert "is not known: the backup of its run is gone" in applied.ok("show", "1.1.0")
    assert "is not known: the backup of its run is gone" in applied.ok("show", "1.0.0")


def test_a_version_that_is_not_there_is_told(applied):
    assert "There is no migration with version 9.9.9" in applied.fails("show", "9.9.9", code=2)
    assert "Invalid version format: 'x'" in applied.fails("show", "x", code=2)
