"""Proof of up, down, up on a copy."""

import json
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from signal import SIGINT

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plugin_migrate.errors import PlanRefused, StepFailed, UnknownTarget
from plugin_migrate.rehearsal.verify import Verified, verify
from plugin_migrate.report import Reporter
from project import Project, things, unchanged
from rehearsed import verified


def told(verified: Verified) -> list[str]:
    """Return what was not as it should be, without the diffs."""
    return [difference.what for difference in verified.differences]


def shown(verified: Verified) -> list[str]:
    """Return the lines of all diffs."""
    return [line for difference in verified.differences for line in difference.lines]


def test_a_faithful_migration_is_reversible_repeatable_and_idempotent(project: Project) -> None:
    project.write("settings.json", '{"model": "opus", "theme": "dark"}\n')
    project.python(
        "1.0.0",
        """
        with ctx.edit_json("settings.json") as settings:
            theme = settings.pop("theme", None)
        ctx.db.execute("CREATE TABLE preferences (theme)")
        if theme is not None:
            ctx.db.execute("INSERT INTO preferences VALUES (?)", (theme,))
        """,
        """
        rows = ctx.db.execute("SELECT theme FROM preferences").fetchall()
        with ctx.edit_json("settings.json") as settings:
            for (theme,) in rows:
                settings["theme"] = theme
        ctx.db.execute("DROP TABLE preferences")
        """,
    )

    found = verified(project)["1.0.0"]

    assert (found.reversible, found.repeatable, found.idempotent) == (True, True, True)
    assert found.differences == ()
    assert not found.has_failed


@pytest.mark.parametrize(
    ("up", "what", "lines"),
    [
        (
            '(ctx.claude / "a").write_text("new")',
            ".claude/a has another content",
            ["@@ -1 +1 @@", "-old", "+new"],
        ),
        (
            '(ctx.claude / "a").write_bytes(b"\\0")',
            ".claude/a has another content (1 bytes, had 3)",
            [],
        ),
        (
            '(ctx.claude / "b").write_text("b")',
            ".claude/b is there, but was not",
            ["@@ -0,0 +1 @@", "+b"],
        ),
        ('(ctx.claude / "a").unlink()', ".claude/a is gone", ["@@ -1 +0,0 @@", "-old"]),
        ('(ctx.claude / "a").chmod(0o600)', ".claude/a has mode 600, had 644", []),
        (
            '(ctx.claude / "a").unlink(); (ctx.claude / "a").mkdir()',
            ".claude/a is a folder, was a file",
            [],
        ),
        (
            '(ctx.claude / "l").unlink(); (ctx.claude / "l").symlink_to("m.json")',
            ".claude/l leads to m.json, led to a",
            [],
        ),
        (
            'ctx.db.execute("CREATE TABLE left (x)")',
            "the state database has another schema",
            ["@@ -0,0 +1 @@", "+CREATE TABLE left (x);"],
        ),
        (
            'ctx.db.execute("UPDATE t SET v = 2")',
            "the state database: table t has 1 row(s) different",
            ["~ (1, 1) → (1, 2)"],
        ),
        (
            'ctx.database("m.db").execute("DELETE FROM facts")',
            ".claude/m.db: table facts has 1 row(s) missing",
            ["- (1)"],
        ),
    ],
)
def test_what_a_down_does_not_bring_back_is_told(
    project: Project, up: str, what: str, lines: list[str]
) -> None:
    project.write("a", "old")
    project.write("m.json", "{}")
    (project.claude / "l").symlink_to("a")
    project.setup("CREATE TABLE facts (x); INSERT INTO facts VALUES (1)", project.claude / "m.db")
    project.setup("CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 1)")
    project.python("1.0.0", up, "pass")

    found = verified(project)["1.0.0"]

    assert found.reversible is False
    assert found.differences[0].what == f"after down: {what}"
    assert list(found.differences[0].lines) == lines


def test_a_change_of_an_old_file_that_keeps_its_size_is_seen(project: Project) -> None:
    project.write("a", "old")
    project.python(
        "1.0.0",
        """
        import os, time
        # Until the file is old enough for a look to be remembered.
        while time.time_ns() < os.stat(ctx.claude / "a").st_ctime_ns + 60_000_000:
            pass
        """,
        "pass",
    )
    project.python(
        "1.1.0",
        """
        import os
        status = os.stat(ctx.claude / "a")
        (ctx.claude / "a").write_text("new")
        os.utime(ctx.claude / "a", ns=(status.st_atime_ns, status.st_mtime_ns))
        """,
        "pass",
    )

    assert told(verified(project)["1.1.0"]) == ["after down: .claude/a has another content"]


def test_a_second_up_with_another_result_is_not_repeatable(project: Project) -> None:
    project.write("count", "1")
    project.python(
        "1.0.0",
        """
        file = ctx.claude / "log"
        file.write_text("again" if (ctx.claude / "seen").exists() else "first")
        """,
        """
        (ctx.claude / "log").unlink()
        (ctx.claude / "seen").write_text("")
        """,
    )

    found = verified(project)["1.0.0"]

    assert found.repeatable is False
    assert "after the second up: .claude/log has another content" in told(found)
    assert {"-first", "+again"} <= set(shown(found))


def test_a_migration_that_changes_migrated_files_again_is_not_idempotent(
    project: Project,
) -> None:
    project.write("list", "")
    project.python(
        "1.0.0",
        """
        file = ctx.claude / "list"
        file.write_text(file.read_text() + "entry\\n")
        """,
        '(ctx.claude / "list").write_text("")',
    )

    found = verified(project)["1.0.0"]

    assert (found.reversible, found.repeatable, found.idempotent) == (True, True, False)
    assert told(found) == ["in a new clone: .claude/list has another content"]
    assert shown(found)[1:] == [" entry", "+entry"]


def test_a_migration_that_fails_on_migrated_files_is_not_idempotent(project: Project) -> None:
    project.write("settings.json", '{"a": 1}')
    project.python(
        "1.0.0",
        """
        with ctx.edit_json("settings.json") as settings:
            settings["b"] = settings.pop("a")
        """,
        """
        with ctx.edit_json("settings.json") as settings:
            settings["a"] = settings.pop("b")
        """,
    )

    found = verified(project)["1.0.0"]

    assert found.idempotent is False
    assert told(found) == ["in a new clone it fails: KeyError: 'a'"]
    assert shown(found)[0] == ".claude/core/versioning/migrations/1.0.0-step.py:4"
    assert shown(found)[-1].startswith("There the files are migrated already")


def test_without_a_down_what_is_kept_is_rehearsed(project: Project) -> None:
    project.write("notes.txt", "one\n")
    project.setup("CREATE TABLE a (x); INSERT INTO a VALUES (1)")
    project.python(
        "1.0.0",
        "ctx.db.execute('UPDATE a SET x = 2 WHERE x = 1')\n"
        "(ctx.claude / 'notes.txt').write_text('two')",
    )
    project.sql("1.1.0", "ALTER TABLE a ADD COLUMN y;")

    found = verified(project)

    for one in found.values():
        assert (one.way_back, one.reversible, one.repeatable) == ("kept", True, True)
        assert not one.has_failed
    done = project.cli("verify")
    assert "│ kept         │" in done.stdout
    assert (
        "  kept  no down, but what is kept when it is applied brings everything back" in done.stdout
    )
    assert project.query("SELECT x FROM a") == [(1,)]
    assert not (project.bookkeeping / "ways-back").exists()


def test_what_cannot_be_kept_is_told(project: Project) -> None:
    (project.claude / "empty.db").touch()
    project.python("1.0.0", "ctx.database('empty.db').execute('CREATE TABLE x (x)')")

    found = verified(project)["1.0.0"]

    assert (found.way_back, found.reversible) == (None, None)
    assert found.unanswered == ("it has no down, and it changed something that cannot be kept",)


@pytest.mark.parametrize(
    ("header", "options", "why"),
    [
        ("-- reversible: false", "", "it says reversible: false"),
        (
            "-- lint: allow missing-down",
            "transaction:false",
            "it ran outside a transaction, where nothing is kept",
        ),
    ],
)
def test_without_any_way_back_that_is_told_and_no_failure(
    project: Project, header: str, options: str, why: str
) -> None:
    path = project.sql("1.0.0", "PRAGMA user_version = 3;", options=options)
    path.write_text(f"{header}\n{path.read_text()}")

    found = verified(project)["1.0.0"]

    assert (found.way_back, found.reversible, found.repeatable) == (None, None, None)
    assert found.idempotent
    assert found.unanswered == (f"it has no down, and {why}",)
    assert not found.has_failed


def test_each_pending_migration_is_rehearsed_on_top_of_those_before(project: Project) -> None:
    project.sql("1.0.0", "CREATE TABLE a (x);", "DROP TABLE a;")
    project.upgrade()
    project.sql("1.1.0", "INSERT INTO a VALUES (1);", "DELETE FROM a WHERE x = 1;")
    project.sql("1.2.0", "INSERT INTO a VALUES (2);", "DELETE FROM a WHERE x = 2;")

    found = verified(project)

    assert list(found) == ["1.1.0", "1.2.0"]
    assert not any(item.has_failed for item in found.values())
    assert project.applied() == ["1.0.0"]


def test_all_are_rehearsed_from_the_first(project: Project) -> None:
    project.sql("1.0.0", "CREATE TABLE a (x);", "DROP TABLE a;")
    project.sql("1.1.0", "CREATE TABLE b (x);", "DROP TABLE b;")
    project.upgrade("1.0.0")

    found = verified(project, everything=True)

    assert list(found) == ["1.0.0", "1.1.0"]
    assert all(item.reversible for item in found.values())
    assert project.applied() == ["1.0.0"]


def test_a_named_migration_is_rehearsed_alone(project: Project) -> None:
    project.sql("1.0.0", "CREATE TABLE a (x);", "SELECT 1;")
    project.sql("1.1.0", "CREATE TABLE b (x);", "DROP TABLE b;")

    found = verified(project, "1.1.0")

    assert list(found) == ["1.1.0"]
    assert found["1.1.0"].reversible is True


def test_a_failing_up_is_told_with_its_error(project: Project) -> None:
    project.sql("1.0.0", "SELECT * FROM missing;", "SELECT 1;")

    found = verified(project)["1.0.0"]

    assert isinstance(found.error, StepFailed)
    assert found.has_failed


def test_a_failing_down_is_not_reversible(project: Project) -> None:
    project.sql("1.0.0", "CREATE TABLE a (x);", "DROP TABLE missing;")

    found = verified(project)["1.0.0"]

    assert found.reversible is False
    assert found.error is not None


def test_an_unknown_version_is_refused(project: Project) -> None:
    with pytest.raises(UnknownTarget):
        verified(project, "1.0.0")


def test_verifying_touches_nothing(project: Project) -> None:
    project.write("a", "old")
    project.python("1.0.0", '(ctx.claude / "a").write_text("new")', "pass")
    before = {
        path: (os.lstat(path).st_mtime_ns, os.lstat(path).st_ctime_ns)
        for path in map(str, project.root.rglob("*"))
    }

    verified(project)

    assert before == {
        path: (os.lstat(path).st_mtime_ns, os.lstat(path).st_ctime_ns)
        for path in map(str, project.root.rglob("*"))
    }


def test_lint_only_executes_nothing(project: Project) -> None:
    project.python("1.0.0", 'open("/tmp/plugin-migrate-executed", "w")')

    found = verified(project, lint_only=True)["1.0.0"]

    assert {finding.code for finding in found.findings} >= {"absolute-path"}
    assert found.reversible is None
    assert not Path("/tmp/plugin-migrate-executed").exists()


def test_the_command_shows_a_table_and_exits_1_when_something_fails(project: Project) -> None:
    project.sql("1.0.0", "CREATE TABLE a (x);", "DROP TABLE a;")

    good = project.cli("verify")
    project.sql("1.1.0", "CREATE TABLE b (x);", "SELECT 1;")
    bad = project.cli("verify")
    document = json.loads(project.cli("verify", "--format=json").stdout)

    assert good.returncode == 0
    assert good.stdout.endswith("✓ 1 migration(s) verified\n")
    assert bad.returncode == 1
    assert "  after down: the state database has another schema\n" in bad.stdout
    assert "    +CREATE TABLE b (x);\n" in bad.stdout
    assert bad.stdout.endswith("✗ 1 of 2 migration(s) failed\n")
    assert document["ok"] is False
    assert [item["reversible"] for item in document["migrations"]] == [True, False]


def test_nothing_pending_is_nothing_to_verify(project: Project) -> None:
    done = project.cli("verify")

    assert (done.returncode, done.stdout) == (0, "✓ Nothing to verify: no migration is pending\n")


def test_every_dash_of_the_table_has_a_legend(project: Project) -> None:
    path = project.sql("1.0.0", "CREATE TABLE a (x);")
    path.write_text(f"-- reversible: false\n{path.read_text()}")
    project.sql("1.1.0", "CREATE TABLE b (x);", "DROP TABLE missing;")
    project.sql("1.2.0", "CREATE TABLE c (x);", "DROP TABLE c;")

    done = project.cli("verify")

    assert "  -  no answer: it has no down, and it says reversible: false (1.0.0)\n" in done.stdout
    assert "  -  no answer: its down failed (1.1.0)\n" in done.stdout
    assert "  -  no answer: 1.1.0 failed before it (1.2.0)\n" in done.stdout


def test_what_a_new_clone_did_not_come_to_has_a_legend(project: Project) -> None:
    project.write("a", "")
    project.python("1.0.0", '(ctx.claude / "a").rename(ctx.claude / "b")')
    project.upgrade()
    project.sql("1.1.0", "CREATE TABLE b (x);", "DROP TABLE b;")

    found = verified(project)["1.1.0"]

    assert (found.reversible, found.idempotent) == (True, None)
    assert found.unanswered == ("1.0.0 fails in a new clone",)


def test_a_second_up_that_fails_is_not_repeatable(project: Project) -> None:
    project.python("1.0.0", '(ctx.claude / "a").touch(exist_ok=False)', "pass")

    found = verified(project)["1.0.0"]

    assert (found.reversible, found.repeatable) == (False, False)
    assert found.unanswered == ("its second up failed",)
    assert isinstance(found.error, StepFailed)


def test_a_long_diff_is_cut_with_a_count(project: Project) -> None:
    text = "".join(f"{number}\n" for number in range(100))
    project.python("1.0.0", f'(ctx.claude / "a").write_text({text!r})', "pass")

    (lost, *_) = verified(project)["1.0.0"].differences

    assert len(lost.lines) == 61
    assert lost.lines[-1] == "… 41 more line(s)"


def test_a_verification_tells_how_far_it_has_come(project: Project) -> None:
    class Told(Reporter):
        """Keeps what it is told."""

        def __init__(self) -> None:
            self.seen: list[tuple[str, int, int]] = []

        def advanced(self, what: str, done: int, total: int) -> None:
            self.seen.append((what, done, total))

    project.sql("1.0.0", "CREATE TABLE a (x);", "DROP TABLE a;")
    project.sql("1.1.0", "CREATE TABLE b (x);", "DROP TABLE b;")
    told = Told()

    verify(project.workspace(), reporter=told)

    assert told.seen == [
        ("verifying 1.0.0 - Step", 0, 4),
        ("verifying 1.1.0 - Step", 1, 4),
        ("in a new clone: 1.0.0", 2, 4),
        ("in a new clone: 1.1.0", 3, 4),
    ]


def test_a_signal_ends_a_verification_and_leaves_nothing(project: Project) -> None:
    project.python("1.0.0", "(ctx.claude / 'now').touch()", "pass")
    with unchanged(project):
        done = project.signalled_at("event == 'open' and path.endswith('/now')", SIGINT, "verify")

    assert done.returncode == 130, done.stdout + done.stderr
    assert "interrupted" in done.stderr.lower()


def test_a_migration_between_that_cannot_be_applied_again_is_an_error(project: Project) -> None:
    project.sql("1.0.0", "CREATE TABLE a (x);", "SELECT 1;")
    project.upgrade()
    project.sql("0.9.0", "CREATE TABLE b (x);", "DROP TABLE b;")
    project.sql("1.1.0", "CREATE TABLE c (x);", "DROP TABLE c;")

    with pytest.raises(StepFailed, match="table a already exists"):
        verified(project)


def test_an_edited_migration_is_refused_as_by_an_upgrade(project: Project) -> None:
    project.sql("1.0.0", "CREATE TABLE a (x);", "DROP TABLE a;")
    project.upgrade()
    project.sql("1.0.0", "CREATE TABLE a (y);", "DROP TABLE a;")
    project.sql("1.1.0", "CREATE TABLE b (x);", "DROP TABLE b;")

    with pytest.raises(PlanRefused):
        verified(project)


# --- property: reversible exactly when an independent comparison says so ------------------------

_FILES = ("a", "b", "d/c")
_EDITS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.sampled_from(_FILES), st.sampled_from(["0", "1", "2"])),
        st.tuples(st.just("delete"), st.sampled_from(_FILES), st.just("")),
        st.tuples(st.just("mode"), st.sampled_from(_FILES), st.sampled_from(["600", "644"])),
        st.tuples(st.just("row"), st.sampled_from(["1", "2"]), st.sampled_from(["x", "y"])),
        st.tuples(st.just("drop"), st.sampled_from(["1", "2"]), st.just("")),
        st.tuples(st.just("table"), st.sampled_from(["u", "w"]), st.just("")),
    ),
    max_size=4,
)

_HELPERS = """
def carry_out(ctx, edits):
    for what, name, value in edits:
        file = ctx.claude / name
        if what == "write":
            file.parent.mkdir(exist_ok=True)
            file.write_text(value)
        elif what == "delete":
            file.unlink(missing_ok=True)
        elif what == "mode":
            if file.exists():
                file.chmod(int(value, 8))
        elif what == "row":
            ctx.db.execute("INSERT OR REPLACE INTO t VALUES (?, ?)", (int(name), value))
        elif what == "drop":
            ctx.db.execute("DELETE FROM t WHERE id = ?", (int(name),))
        else:
            ctx.db.execute(f"CREATE TABLE IF NOT EXISTS {name} (x)")
"""


def outcome(project: Project) -> tuple[object, ...]:
    with closing(sqlite3.connect(project.database)) as connection:
        rows = connection.execute("SELECT * FROM t ORDER BY id").fetchall()
        tables = connection.execute(
            "SELECT name FROM sqlite_schema WHERE name IN ('u', 'w') ORDER BY name"
        ).fetchall()
    files = {name: thing for name, thing in things(project.claude).items() if name[0] in "abd"}
    return rows, tables, files


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(state=_EDITS, up=_EDITS, down=_EDITS)
def test_reversible_is_said_exactly_when_everything_is_as_before(
    folder: Path,
    state: list[tuple[str, str, str]],
    up: list[tuple[str, str, str]],
    down: list[tuple[str, str, str]],
) -> None:
    shutil.rmtree(folder / "p", ignore_errors=True)
    project = Project(folder / "p")
    project.write("core/versioning/migrations/_edits.py", _HELPERS)
    top = "from _edits import carry_out"
    project.setup("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    project.python("1.0.0", f"carry_out(ctx, {state!r})", "pass", top)
    project.upgrade()
    project.python("1.1.0", f"carry_out(ctx, {up!r})", f"carry_out(ctx, {down!r})", top)

    said = verified(project)["1.1.0"]
    before = outcome(project)
    project.upgrade()
    project.downgrade("1.0.0")

    assert said.error is None
    assert said.reversible == (outcome(project) == before)


def test_a_database_from_before_the_first_migration_is_none_that_a_clone_lacks(
    project: Project,
) -> None:
    project.setup("CREATE TABLE tasks (id INTEGER PRIMARY KEY, title)")
    project.setup("CREATE TABLE facts (x); INSERT INTO facts VALUES (1)", project.claude / "m.db")
    project.sql(
        "1.0.0", "ALTER TABLE tasks ADD COLUMN done;", "ALTER TABLE tasks DROP COLUMN done;"
    )
    project.python(
        "1.1.0",
        'ctx.database("m.db").execute("ALTER TABLE facts ADD COLUMN y")',
        'ctx.database("m.db").execute("ALTER TABLE facts DROP COLUMN y")',
    )

    found = verified(project)

    assert [one.idempotent for one in found.values()] == [True, True]
    project.upgrade("1.0.0")
    found = verified(project)
    assert found["1.1.0"].idempotent is None
    assert found["1.1.0"].unanswered == ("1.0.0 fails in a new clone",)
    assert not found["1.1.0"].has_failed


def test_a_migration_is_not_red_for_a_table_that_no_migration_makes(project: Project) -> None:
    project.setup("CREATE TABLE tasks (id INTEGER PRIMARY KEY, title)")
    project.sql("1.0.0", "CREATE TABLE a (x);", "DROP TABLE a;")
    project.upgrade()
    project.sql(
        "1.1.0", "ALTER TABLE tasks ADD COLUMN done;", "ALTER TABLE tasks DROP COLUMN done;"
    )

    found = verified(project)["1.1.0"]

    assert (found.reversible, found.idempotent, found.has_failed) == (True, None, False)
    assert found.unanswered == ("1.1.0 fails in a new clone",)


def test_what_an_applied_migration_does_to_files_that_a_pending_one_changed_is_seen(
    project: Project,
) -> None:
    project.write("settings.json", '{"b": 1}')
    project.python(
        "1.0.0",
        """
        with ctx.edit_json("settings.json") as settings:
            settings.setdefault("b", "default")
        """,
    )
    project.upgrade()
    project.python(
        "1.1.0",
        """
        with ctx.edit_json("settings.json") as settings:
            if "b" in settings:
                settings["c"] = settings.pop("b")
        """,
        """
        with ctx.edit_json("settings.json") as settings:
            settings["b"] = settings.pop("c")
        """,
    )

    assert verified(project)["1.1.0"].idempotent is False
