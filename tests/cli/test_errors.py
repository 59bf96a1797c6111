"""One clear error for everything a user can meet: file, way out, exit code, nothing changed."""

import json
import os
import socket
import subprocess
import sys

import pytest

from command_line import COMMAND, FOLDER, Project, unprivileged

READING = ["status"], ["upgrade", "--dry-run"]

# Every level holds the one above it twice: a billion values in half a kilobyte.
BOMB = "exclude: &a0 [x, x]\ndatabase:\n- &a1 [*a0, *a0]\n" + "".join(
    f"- &a{level} [*a{level - 1}, *a{level - 1}]\n" for level in range(2, 30)
)


# Wrong usage


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ("1.a.0", ""),
        ("1.2", "  Did you mean 1.2.0?\n"),
        ("v1.2.0", "  Did you mean 1.2.0?\n"),
        ("1.02.0", "  Did you mean 1.2.0?\n"),
        ("", ""),
        ("latest", ""),
        ("1.2.3.4", ""),
    ],
)
def test_a_bad_version_has_the_contracts_words(project, given, hint):
    expected = f"✗ Error: Invalid version format: '{given}'\n  Expected semantic version: X.Y.Z\n"
    assert project.fails("upgrade", given, code=2) == expected + hint


@pytest.mark.parametrize(
    "arguments",
    [
        ["upgarde"],
        ["status", "--nonsense"],
        ["status", "--pending"],
        ["status", "extra"],
        ["status", "--format=xml"],
        ["upgrade", "--format=table"],
        ["create"],
        ["--project"],
        ["--project=", "status"],
        ["--database", "", "status"],
        ["--migrations=", "upgrade"],
        ["upgrade", "--lock-timeout=soon"],
        ["upgrade", "--lock-timeout=-1"],
        ["upgrade", "--lock-timeout=nan"],
    ],
)
def test_wrong_usage_is_one_error_with_a_hint(project, arguments):
    err = project.fails(*arguments, code=2)
    assert err.startswith("✗ Error: ")
    assert err.count("✗") == 1
    assert err.rstrip().endswith("--help")
    assert "_seconds" not in err
    assert "_path" not in err


@pytest.mark.parametrize("arguments", [[], ["--project", "."], ["--verbose"]])
def test_without_a_command_the_help_is_shown(project, arguments):
    code, out, err = project.call(*arguments)
    assert (code, out) == (2, "")
    assert "examples:" in err


@pytest.mark.parametrize(
    ("arguments", "code", "exit_code", "command"),
    [
        (["upgarde"], "usage", 2, None),
        (["status", "--nonsense"], "usage", 2, "status"),
        (["create"], "usage", 2, "create"),
        (["create", "../x"], "invalid_name", 2, "create"),
        (["create", "x", "--version=1.0.0"], "version_exists", 2, "create"),
        (["upgrade", "1.2"], "invalid_version", 2, "upgrade"),
        (["upgrade", "9.9.9"], "unknown_target", 2, "upgrade"),
        (["downgrade", "0"], "usage", 2, "downgrade"),
        (["--project", "/nowhere", "status"], "no_project", 1, "status"),
    ],
)
@pytest.mark.parametrize("form", [["--format=json"], ["--format", "json"]])
def test_every_error_is_exactly_one_document(project, arguments, code, exit_code, command, form):
    project.tables("1.0.0")
    outcome = project.call(*arguments, *form)
    document = outcome.document
    assert (outcome.code, outcome.err) == (exit_code, "")
    assert list(document) == ["schema", "command", "ok", "error"]
    assert (document["schema"], document["command"], document["ok"]) == (1, command, False)
    assert document["error"]["code"] == code
    assert document["error"]["message"]
    assert set(document["error"]) == {"code", "message", "hint", "file", "line", "details"}


def test_an_internal_error_is_one_document_too(project):
    code = (
        f"import sys; sys.path.insert(0, {str(os.path.dirname(os.path.dirname(COMMAND[-1])))!r})\n"
        "from plugin_migrate.cli import invocation, main\n"
        "def broken(*_): raise RuntimeError('surprise')\n"
        "invocation.locate = broken\n"
        "raise SystemExit(main.main())"
    )
    for form, stream in (["--format=json"], "stdout"), ([], "stderr"):
        done = subprocess.run(
            [sys.executable, "-I", "-c", code, "status", *form],
            cwd=project.root,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 1
        assert "Internal error: RuntimeError: surprise" in getattr(done, stream)
        assert "Traceback" not in done.stderr
        if form:
            assert '"code": "internal"' in done.stdout
            assert done.stderr == ""


def test_verbose_shows_where_an_error_comes_from(project):
    project.migration("1.0.0-a.sql", b"\xff")
    project.write("orchestration/db/orchestration.db", "no database at all, just a text" * 40)
    assert "Traceback" not in project.call("status").err
    assert "Traceback" in project.call("status", "--verbose").err


# Migration files


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        (
            "1.a.0-x.sql",
            "",
            (
                "✗ Error: Invalid version format: '1.a.0'\n"
                f"  {FOLDER}/1.a.0-x.sql\n"
                "  Expected semantic version: X.Y.Z\n"
            ),
        ),
        (
            "1.2-x.py",
            "",
            (
                "✗ Error: Invalid version format: '1.2'\n"
                f"  {FOLDER}/1.2-x.py\n"
                "  Expected semantic version: X.Y.Z\n"
                "  Did you mean 1.2.0?\n"
            ),
        ),
        (
            "1.2.0.py",
            "",
            (
                "✗ Error: A migration's file name needs a name after its version\n"
                f"  {FOLDER}/1.2.0.py\n"
                "  Call it <X.Y.Z>-<name>.<sql|py|ts|js>, for example 1.2.0-add-oauth.py\n"
            ),
        ),
        (
            "1.0.0-x.sql",
            b"-- migrate:up\nSELECT '\xff';\n",
            (
                "✗ Error: The file is not UTF-8 (byte 22)\n"
                f"  {FOLDER}/1.0.0-x.sql:2\n"
                "  Save it with UTF-8 encoding.\n"
            ),
        ),
        (
            "1.0.0-x.py",
            "def up(ctx):\n    pass\n\ndef down(ctx:\n    pass\n",
            (
                "✗ Error: The migration is not valid Python: '(' was never closed\n"
                f"  {FOLDER}/1.0.0-x.py:4\n"
                "  Correct the line, then run the command again.\n"
            ),
        ),
        (
            "1.0.0-x.py",
            "def down(ctx): pass\n",
            (
                "✗ Error: The migration has no up function\n"
                f"  {FOLDER}/1.0.0-x.py\n"
                "  Add:  def up(ctx): ...\n"
            ),
        ),
        (
            "1.0.0-x.sql",
            "-- description: [a\n-- migrate:up\n",
            f"  {FOLDER}/1.0.0-x.sql:",
        ),
        (
            "1.0.0-x.sql",
            "-- version: 1.0.1\n-- migrate:up\n",
            (
                "✗ Error: The file says version 1.0.1, its name says 1.0.0\n"
                f"  {FOLDER}/1.0.0-x.sql\n"
                "  The file's name counts: correct or remove the version inside.\n"
            ),
        ),
    ],
)
@pytest.mark.parametrize("command", [["status"], ["upgrade"]])
def test_a_broken_file_is_named_with_its_line(project, name, content, expected, command):
    project.tables("0.1.0")
    project.migration(name, content)
    is_refused = not name.startswith("1.0.0-")  # for its name, which is a row of the status
    if is_refused and command == ["status"]:
        assert project.ok("status").endswith(f"\n\n{expected}")
        return
    err = project.fails(*command)
    if "\n" in expected:
        assert err == expected
    else:
        assert expected in err
    assert not project.database.exists()


def test_two_files_with_one_version_are_both_named(project):
    project.migration("1.0.0-b.py", "def up(ctx): pass")
    project.migration("1.0.0-a.sql", "")
    expected = (
        "✗ Error: Two migrations have version 1.0.0: 1.0.0-a.sql and 1.0.0-b.py\n"
        f"  {FOLDER}\n"
        "  Give one of them the next free version: plugin-migrate renumber 1.0.0-b.py\n"
    )
    assert project.fails("upgrade") == expected
    assert project.ok("status").endswith(f"\n\n{expected}")


@pytest.mark.parametrize("kind", ["pipe", "folder", "socket", "large", "dangling link", "device"])
def test_what_is_no_plain_file_is_refused_at_once(project, monkeypatch, kind):
    path = project.migrations / "1.0.0-x.sql"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "socket":
        monkeypatch.chdir(project.migrations)  # a socket's path has little room
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    elif kind == "large":
        with path.open("wb") as file:
            file.truncate(100 << 20)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.symlink_to("nowhere")
    for command in READING:
        err = project.fails(*command)
        assert f"  {FOLDER}/1.0.0-x.sql\n" in err


def test_a_transaction_in_sql_is_refused_before_anything_runs(project):
    project.tables("1.0.0")
    project.sql("1.1.0", "CREATE TABLE a (x);\nBEGIN;\nSELECT 1;\nCOMMIT;")
    for command in (["upgrade"], ["upgrade", "--dry-run"]):
        err = project.fails(*command)
        assert "BEGIN is not allowed in a migration\n" in err
        assert f"{FOLDER}/1.1.0-step.sql:3\n" in err
        assert "transaction:false" in err
    assert not project.database.exists()


# Places


def test_an_unreadable_folder_is_told(project):
    project.tables("1.0.0")
    project.migrations.chmod(0)
    try:
        for command in (*READING, ["upgrade"], ["create", "x"]):
            assert project.fails(*command, prefix=unprivileged()) == (
                "✗ Error: The migrations folder cannot be read: Permission denied\n"
                f"  {FOLDER}\n"
                "  Make it a folder that you may read, or name another with --migrations.\n"
            )
    finally:
        project.migrations.chmod(0o755)


def test_an_unreadable_file_is_told(project):
    project.tables("1.0.0")
    path = project.migrations / "1.0.0-step.sql"
    path.chmod(0)
    err = project.fails("status", prefix=unprivileged())
    assert err.startswith("✗ Error: The migration cannot be read: Permission denied\n")
    assert f"  {FOLDER}/1.0.0-step.sql\n" in err


def test_a_migrations_folder_that_is_a_file_is_told(project):
    assert "Not a directory" in project.fails("status", f"--migrations={__file__}")


@pytest.mark.parametrize("command", [["status"], ["upgrade"], ["downgrade"]])
def test_a_database_that_is_none_is_told(project, command):
    project.tables("1.0.0")
    text = "this is no database, whatever its name says\n" * 50
    project.write("orchestration/db/orchestration.db", text)
    assert project.fails(*command) == (
        "✗ Error: The file is not an SQLite database\n"
        "  .claude/orchestration/db/orchestration.db\n"
        "  Point to the right one, with --database or in the settings, or restore it.\n"
    )
    assert project.read("orchestration/db/orchestration.db") == text


@pytest.mark.parametrize("kind", ["folder", "pipe"])
@pytest.mark.parametrize("command", [["status"], ["upgrade"]])
def test_a_database_path_that_is_no_file_is_told(project, kind, command):
    project.tables("1.0.0")
    project.database.parent.mkdir(parents=True)
    if kind == "folder":
        project.database.mkdir()
    else:
        os.mkfifo(project.database)
    assert project.fails(*command) == (
        "✗ Error: The database is not a plain file\n"
        "  .claude/orchestration/db/orchestration.db\n"
        "  Point to the right one, with --database or in the settings, or move this away.\n"
    )


def test_paths_are_told_as_the_user_can_type_them(project, tmp_path):
    project.tables("1.0.0")
    project.setup("CREATE TABLE migrations (x)")
    database = ".claude/orchestration/db/orchestration.db"
    settings = ".claude/plugin-migrate.yaml"
    for folder, prefix in (
        (project.root, ""),
        (tmp_path, "project/"),
        (project.home, f"{project.root.as_posix()}/"),
    ):
        err = project.fails("upgrade", f"--project={project.root}", cwd=folder)
        assert f"\n  {prefix}{database}\n" in err
        assert f"  to {prefix}{settings}\n" in err


def test_a_read_only_database_is_told_and_left_alone(project):
    project.tables("1.0.0")
    project.ok("upgrade")
    project.tables("1.1.0")
    project.database.chmod(0o444)
    before = project.database.read_bytes()
    assert project.statuses() == {"1.0.0": "applied", "1.1.0": "pending"}
    err = project.fails("upgrade", prefix=unprivileged())
    assert "  .claude/orchestration/db/orchestration.db\n" in err
    assert "Correct its permissions" in err
    assert project.database.read_bytes() == before


def test_backups_of_another_user_are_not_called_none(project):
    project.tables("1.0.0")
    project.ok("upgrade")
    (backup,) = (project.bookkeeping / "backups").iterdir()
    os.chown(backup, 65534, 65534)
    backup.chmod(0o700)
    out = project.ok("restore", prefix=unprivileged())
    assert out.startswith("There is no backup that can be used\n")
    assert f"{backup.name}: Permission denied. It belongs to nobody" in out
    assert "chown" in out


def test_a_lock_that_may_not_be_written_is_not_advised_to_be_deleted(project):
    project.tables("1.0.0", "1.1.0")
    project.ok("upgrade", "1.0.0")
    (project.bookkeeping / "lock.db").unlink()
    project.bookkeeping.chmod(0o555)
    err = project.fails("upgrade", prefix=unprivileged())
    assert "lock.db" in err
    assert "Check the permissions" in err
    assert "delete" not in err


@pytest.mark.parametrize("where", [".claude", ".claude/orchestration/db"])
def test_a_read_only_folder_is_told_and_left_alone(project, where):
    project.tables("1.0.0")
    project.ok("upgrade")
    project.tables("1.1.0")
    if where == ".claude":
        subprocess.run(["rm", "-r", project.bookkeeping], check=True)
    folder = project.root / where
    folder.chmod(0o555)
    before = project.files()
    try:
        assert project.call("status", prefix=unprivileged()).code == 0
        err = project.fails("upgrade", prefix=unprivileged())
        assert project.files() == before
    finally:
        folder.chmod(0o755)
    assert "ermission" in err  # or "permissions", in the hint
    assert "Traceback" not in err
    assert project.applied() == ["1.0.0"]


# Projects


def test_without_a_project_the_way_out_is_told(project, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    for command in (["status"], ["upgrade"], ["create", "x"]):
        assert project.fails(*command, cwd=empty) == (
            "✗ Error: No project found: there is no .claude/ folder here or above\n"
            "  Go to the project, or name it: --project DIR\n"
            "  To make this folder one: plugin-migrate --project . create initial-schema\n"
        )
    assert list(empty.iterdir()) == []
    project.ok("--project", ".", "create", "initial-schema", cwd=empty)
    assert "1.0.0" in project.ok("status", cwd=empty)


def test_a_named_folder_of_migrations_must_be_there(project, tmp_path):
    project.tables("1.0.0")
    project.ok("upgrade")
    for command in ("status", "upgrade", "history", "verify"):
        err = project.fails(command, "--migrations", tmp_path / "nowhere", code=2)
        assert err.startswith(f"✗ Error: There is no folder {tmp_path / 'nowhere'}\n")


def test_a_named_project_must_be_one(project, tmp_path):
    err = project.fails("status", "--project", tmp_path / "nowhere")
    assert err.startswith(f"✗ Error: There is no folder {tmp_path / 'nowhere'}\n")
    err = project.fails("status", "--project", tmp_path)
    assert err.startswith(f"✗ Error: {tmp_path} has no .claude/ folder\n")


def test_the_home_directory_is_no_project_unless_named(project):
    (project.home / ".claude").mkdir()
    below = project.home / "work/deep"
    below.mkdir(parents=True)
    err = project.fails("status", cwd=project.home)
    assert err.startswith("✗ Error: The home directory is not taken for a project\n")
    assert "--project ~" in err
    assert "No project found" in project.fails("status", cwd=below)
    assert "No project found" in project.fails(
        "status", cwd=below, environment={"CLAUDE_PROJECT_DIR": str(project.home)}
    )
    assert "No migrations found" in project.ok("status", "--project", project.home)


def test_settings_that_are_a_link_to_nowhere_are_told(project):
    (project.claude / "plugin-migrate.yaml").symlink_to("gone.yaml")
    err = project.fails("status")
    assert err.startswith("✗ Error: The settings are a link that leads nowhere: gone.yaml\n")


def test_a_deleted_current_directory_is_told(project, tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    prefix = ["sh", "-c", 'rmdir "$PWD"; exec "$@" 2>&1 1>/dev/null', "sh"]
    done = project.call("status", cwd=gone, prefix=prefix)
    assert done.out.startswith("✗ Error: The current directory was deleted\n")
    gone.mkdir()
    project.python("1.0.0")
    done = project.call("upgrade", "--project", project.root, cwd=gone, prefix=prefix)
    assert (done.code, done.out) == (0, "")
    gone.mkdir()
    project.migration("1.x.0-a.py", "")
    done = project.call("upgrade", "--project", project.root, cwd=gone, prefix=prefix)
    assert done.out.startswith("✗ Error: Invalid version format: '1.x.0'\n")


def test_the_nearest_folder_upward_is_the_project(project):
    project.tables("1.0.0")
    deep = project.root / "src/deep"
    deep.mkdir(parents=True)
    assert "1.0.0" in project.ok("status", cwd=deep)
    assert "1.0.0" in project.ok("status", cwd=project.migrations)


def test_claude_project_dir_comes_before_the_current_directory(project, tmp_path):
    other = Project(tmp_path / "other", project.home)
    other.tables("7.0.0")
    below = other.root / "below"
    below.mkdir()
    project.tables("1.0.0")
    for folder in (other.root, below):
        environment = {"CLAUDE_PROJECT_DIR": str(folder)}
        assert "7.0.0" in project.ok("status", environment=environment)
        assert "1.0.0" in project.ok("status", "--project", project.root, environment=environment)
    for folder in ("", "/nowhere/at/all"):
        assert "1.0.0" in project.ok("status", environment={"CLAUDE_PROJECT_DIR": folder})


@pytest.mark.parametrize(
    "name",
    ["with space", "ünï 漢字", "line\nfeed", "$(id)'\"`", "q?#%20&mode=x", "-x", "tab\t"],
)
def test_any_name_is_fine_for_a_project(tmp_path, name):
    home = tmp_path / "home"
    home.mkdir()
    project = Project(tmp_path / name, home)
    project.python(
        "1.0.0", "(ctx.claude / 'made').write_text('x')", "(ctx.claude / 'made').unlink()"
    )
    project.tables("1.1.0")
    assert "Applied 2" in project.ok("upgrade")
    assert project.read("made") == "x"
    assert project.statuses() == {"1.0.0": "applied", "1.1.0": "applied"}
    assert "Rolled back 2" in project.ok("downgrade", "0.0.0", f"--project={project.root}")
    assert not (project.claude / "made").exists()


def test_a_project_whose_name_is_no_utf_8_is_told(tmp_path):
    project = Project(tmp_path / os.fsdecode(b"\xff"), tmp_path)
    assert "The project's path is not UTF-8" in project.fails("upgrade")


def test_a_linked_project_and_a_linked_claude_folder_work(project, tmp_path):
    project.tables("1.0.0")
    link = tmp_path / "link"
    link.symlink_to(project.root)
    elsewhere = tmp_path / "elsewhere"
    project.claude.rename(elsewhere)
    project.claude.symlink_to(elsewhere)
    assert "Applied 1" in project.ok("--project", link, "upgrade")
    assert project.statuses() == {"1.0.0": "applied"}


def test_migrations_and_database_may_lie_elsewhere(project, tmp_path):
    project.tables("1.0.0")
    folder = tmp_path / "my migrations"
    project.migrations.rename(folder)
    options = ["--migrations", folder, f"--database={tmp_path}/deep/state.db"]
    project.ok("upgrade", *options)
    assert not project.database.exists()
    rows = project.query("SELECT version FROM migrations", database=tmp_path / "deep/state.db")
    assert rows == [("1.0.0",)]
    document = project.json(*options, "status")
    assert document["migrations"][0]["path"] == f"{folder.as_posix()}/1.0.0-step.sql"


# Settings


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "databse: x\n",
            "Unknown setting 'databse'\n  .claude/plugin-migrate.yaml\n  Known: backups",
        ),
        ("database: 3\n", "Setting 'database' must be a path, not 3\n"),
        ("database: ''\n", "Setting 'database' must be a path, not ''\n"),
        ("migrations: [a]\n", "Setting 'migrations' must be a path, not ['a']\n"),
        ("ledger_table: a b\n", "Setting 'ledger_table' must be a plain table name"),
        ("ledger_table: sqlite_master\n", "that begins with neither sqlite_ nor plugin_migrate_"),
        ("exclude: '*.log'\n", "Setting 'exclude' must be a list of patterns, not '*.log'\n"),
        ("exclude: [1]\n", "Setting 'exclude' must be a list of patterns, not [1]\n"),
        ("follow_links: 1\n", "Setting 'follow_links' must be true or false, not 1\n"),
        ("lock_timeout: soon\n", "Setting 'lock_timeout' must be a number of seconds"),
        ("lock_timeout: .inf\n", "Setting 'lock_timeout' must be a number of seconds"),
        ("lock_timeout: yes\n", "Setting 'lock_timeout' must be a number of seconds"),
        ("backups: {keep: 0}\n", "Setting 'backups.keep' must be a number of at least 1, not 0\n"),
        (
            "backups: 5\n",
            "and is not 5\n  .claude/plugin-migrate.yaml\n  Write: backups: {keep: 5}\n",
        ),
        ("backups: all\n", "is not 'all'\n  .claude/plugin-migrate.yaml\n  Known in it: backups.k"),
        (
            "exclude: []\nexclude: [a]\n",
            "not valid YAML: 'exclude' is given twice\n  .claude/plugin-migrate.yaml:2\n",
        ),
        ("backups: {keep: 1, keep: 2}\n", "not valid YAML: 'keep' is given twice\n"),
        ("backups: {keep: 1}\nbackups.keep: 2\n", "Setting 'backups.keep' is given twice\n"),
        ("- a\n", "The settings must be a mapping of keys to values\n"),
        (
            "database: x\n  broken: [\n",
            "mapping values are not allowed here\n  .claude/plugin-migrate.yaml:2\n",
        ),
        ("database: 2025-13-45\n", "The settings are not valid YAML: month must be in 1..12\n"),
        (
            "database: " + "[" * 500 + "\n",
            "The settings are not valid YAML: it is nested too deep\n",
        ),
        (b"database: \xff\n", "The settings are not UTF-8\n"),
        ("x" * (1 << 17), "The settings cannot be read: it has 128.0 KiB, over 64.0 KiB\n"),
        ('database: "\\ud800"\n', "Setting 'database' must be a path, not '\\ud800'\n"),
        ('exclude: ["\\ud800"]\n', "Setting 'exclude' must be a list of patterns"),
        (BOMB, "Setting 'database' must be a path, not [[["),
        (
            "exclude: &a [x]\ndatabase: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]\n",
            "Setting 'database' must be a path, not [['x'], ['x'], ['x'], ['x'], ",
        ),
    ],
)
def test_wrong_settings_are_told_and_nothing_runs(project, text, expected):
    project.tables("1.0.0")
    project.write("plugin-migrate.yaml", text)
    err = project.fails("upgrade")
    assert expected in err
    assert ".claude/plugin-migrate.yaml" in err
    assert not project.database.exists()


def test_wrong_settings_are_one_document(project):
    project.config("databse: x\n")
    error = project.json("status")["error"]
    assert (error["code"], error["file"]) == ("bad_config", ".claude/plugin-migrate.yaml")


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "loop"])
def test_settings_that_are_no_plain_file_are_told(project, kind):
    path = project.claude / "plugin-migrate.yaml"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero" if kind == "device" else path)
    err = project.fails("status")
    assert "settings" in err
    assert "  .claude/plugin-migrate.yaml\n" in err


def test_settings_say_where_things_are(project, tmp_path):
    project.config(
        "database: state/my.db\nmigrations: db/migrations\nledger_table: plugin_rows\n"
        "exclude: ['*.log']\nfollow_links: true\nlock_timeout: 2.5\nbackups: {keep: 3}\n"
    )
    project.migrations.rename(project.root / "old")
    (project.root / "db").mkdir()
    (project.root / "old").rename(project.root / "db/migrations")
    project.migrations = project.root / "db/migrations"
    project.tables("1.0.0")
    project.ok("upgrade")
    rows = project.query("SELECT version FROM plugin_rows", database=project.root / "state/my.db")
    assert rows == [("1.0.0",)]
    assert project.json("status")["migrations"][0]["path"] == "db/migrations/1.0.0-step.sql"


@pytest.mark.parametrize("text", ["", "# only a remark\n", "\ufeffledger_table: migrations\n"])
def test_settings_may_be_empty(project, text):
    project.config(text)
    project.tables("1.0.0")
    project.ok("upgrade")


# --- what others wrote --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "command"),
    [
        ("UPDATE migrations SET applied_by = x'00ff'", ["status"]),
        ("UPDATE migrations SET description = x'00ff'", ["upgrade"]),
        ("UPDATE plugin_migrate_history SET done_by = x'00ff'", ["history"]),
        ("UPDATE plugin_migrate_history SET error = x'00'", ["history", "--format=json"]),
        ("UPDATE plugin_migrate_sources SET text = x'00ff'", ["downgrade"]),
        ("INSERT INTO plugin_migrate_publishes VALUES ('a', '1.0.0', 'p', x'00')", ["status"]),
        ("INSERT INTO plugin_migrate_publishes VALUES ('a', x'00', 'p', 'm')", ["upgrade"]),
        ("INSERT INTO plugin_migrate_publishes VALUES ('a', '1', 'p', 'm')", ["check"]),
        ("UPDATE plugin_migrate_history SET outcome = 'started', version = x'00'", ["status"]),
    ],
)
def test_a_blob_where_the_ledger_has_texts_is_a_damaged_ledger(project, statement, command):
    project.tables("1.0.0")
    project.ok("upgrade")
    (project.migrations / "1.0.0-step.sql").unlink()
    project.setup(statement)
    code, out, err = project.call(*command)
    said = json.loads(out)["error"]["message"] if "--format=json" in command else err
    assert code == 1
    assert "cannot be right" in said


def test_a_schema_that_is_not_utf_8_is_a_damaged_database(project):
    project.tables("1.0.0")
    project.ok("upgrade")
    project.setup(
        "PRAGMA writable_schema=ON; UPDATE sqlite_schema SET sql = CAST(x'435245ff' AS TEXT)"
        " WHERE name = 'plugin_migrate_history'"
    )
    for command in ("status", "upgrade", "history", "repair"):
        assert "✗ Error: The database is damaged: " in project.fails(command)


def test_a_folder_of_another_users_is_told_with_its_owner(project):
    if os.geteuid() != 0 or not unprivileged():
        pytest.skip("only root can give files away")
    project.tables("1.0.0")
    project.ok("upgrade")
    project.tables("1.1.0")
    for path in [project.root, *project.root.rglob("*")]:
        if project.bookkeeping not in (path, *path.parents):
            os.chown(path, 65534, 65534)
    project.bookkeeping.chmod(0o700)
    other = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    place = project.root.parent
    place.chmod(0o755)
    for command in (["upgrade"], ["restore"], ["repair"], ["upgrade", "--preview"]):
        err = project.fails(*command, prefix=other, environment={"HOME": "/nonexistent"})
        assert "Permission denied" in err
        assert "belongs to root, perhaps after a run with sudo" in err


def test_names_of_files_steer_no_terminal(project):
    project.migration("1.0.0-a\x1b[2Jb.sql", "CREATE TABLE a (x);\nVACUUM;\n")
    _, out, err = project.call("verify")
    assert "\x1b" not in out + err
    project.migration("1.0.0-a\x1b[2Jb.sql", "DELETE FROM a;\n")
    _, out, err = project.call("verify", "--lint-only")
    assert ".sql" in out
    assert "\x1b" not in out + err


def test_an_error_of_the_system_is_a_sentence_with_file_and_way_out(project):
    project.tables("1.0.0")
    (project.bookkeeping / "backups").mkdir(parents=True)
    os.symlink("/nowhere", project.bookkeeping / "sources")
    err = project.fails("upgrade")
    assert "a link or special file" in err.lower()


def test_only_a_bug_is_called_an_internal_error(project):
    project.tables("1.0.0")
    before = "import plugin_migrate.survey as l; l.read_ledger = lambda workspace: 1 / 0"
    done = project.child("status", before=before)
    _, err = done.communicate()
    assert "✗ Error: Internal error: ZeroDivisionError: " in err
    before = (
        "import plugin_migrate.survey as l, errno\n"
        "def broken(workspace):\n    raise OSError(errno.EIO, 'Input/output error', '/a/b')\n"
        "l.read_ledger = broken"
    )
    done = project.child("status", before=before)
    _, err = done.communicate()
    assert err == (
        "✗ Error: The state cannot be read or written: Input/output error\n"
        "  /a/b\n"
        "  Check the file and the disk, then run the command again.\n"
    )
    for kind, words in (
        ("RecursionError", "nested too deep"),
        ("MemoryError", "more memory than there is"),
        ("UnicodeError", "not the text it should be"),
        ("sqlite3.ProgrammingError", "Internal error: ProgrammingError"),
    ):
        before = (
            "import plugin_migrate.survey as l, sqlite3\n"
            f"def broken(workspace):\n    raise {kind}\n"
            "l.read_ledger = broken"
        )
        done = project.child("status", before=before)
        assert words in done.communicate()[1]
