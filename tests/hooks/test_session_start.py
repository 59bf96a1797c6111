"""A session starts with one line about what needs attention, or silently; it never fails."""

import json
import os
import shutil
import signal
import sqlite3
import sys
from pathlib import Path

import pytest

from launcher_tree import link_environment
from plugin_migrate.plan import State
from plugin_migrate.storage.lock import run_lock
from plugins import Shelf, table
from project import Project, things

from .conftest import ROOT, Client, answer

FIRST_FILE = 'event == "os.rename" and path.endswith("/.claude/a")'


def write(file: Path, text: str = "") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


@pytest.fixture
def bare(folder: Path, cache: Path) -> Client:
    """A client in a project whose `.claude/` holds settings only."""
    client = Client(folder, folder / "project")
    client.variables["PLUGIN_MIGRATE_CACHE"] = str(cache)
    write(client.project / ".claude/settings.json", "{}")
    return client


# --- what is told --------------------------------------------------------------------------------


def test_pending_migrations_are_told_to_the_user_and_to_claude(
    client: Client, project: Project
) -> None:
    project.sql("1.0.0", "CREATE TABLE a (x);")
    project.upgrade()
    project.sql("1.1.0", "CREATE TABLE b (x);")
    project.sql("1.2.0", "CREATE TABLE c (x);")
    assert client.start_session() == {
        "systemMessage": (
            "plugin-migrate: 2 pending migrations (current version 1.0.0)."
            " Run /plugin-migrate upgrade"
        ),
        "hookSpecificOutput": {
            "hookEventName": "SessionStart",
            "additionalContext": (
                "This project's .claude/ has 2 pending migrations (current version 1.0.0);"
                " plugin-migrate changes nothing of it unless the user asks for that."
            ),
        },
    }
    assert project.applied() == ["1.0.0"]


def test_one_pending_migration_of_a_new_project(client: Client, project: Project) -> None:
    project.sql("1.0.0", "CREATE TABLE a (x);")
    expected = "1 pending migration (current version none). Run /plugin-migrate status"
    assert client.message() == f"plugin-migrate: {expected}"


@pytest.mark.parametrize("source", ["startup", "resume", "clear"])
def test_nothing_is_said_when_everything_is_applied(
    client: Client, project: Project, source: str
) -> None:
    project.sql("1.0.0", "CREATE TABLE a (x);")
    project.upgrade()
    assert client.start_session(source) is None
    assert client.pythons == ["python3"]


def test_an_empty_migrations_folder_is_nothing_to_talk_about(client: Client) -> None:
    assert client.start_session() is None


def test_an_edited_migration_is_told(client: Client, project: Project) -> None:
    file = project.sql("1.0.0", "CREATE TABLE a (x);")
    project.upgrade()
    file.write_text("-- migrate:up\nCREATE TABLE b (x);\n")
    project.sql("1.1.0", "CREATE TABLE c (x);")
    assert client.message() == (
        "plugin-migrate: 1 applied migration edited since, 1 pending migration"
        " (current version 1.0.0). Run /plugin-migrate status"
    )


def test_a_state_newer_than_the_files_is_told(client: Client, project: Project) -> None:
    project.sql("1.0.0", "CREATE TABLE a (x);")
    files = [project.sql(f"1.{minor}.0", f"CREATE TABLE b{minor} (x);") for minor in (1, 2)]
    project.upgrade()
    for file in files:
        file.unlink()
    assert client.message() == (
        "plugin-migrate: 2 applied migrations newer than every file (current version 1.2.0)"
    )


def test_a_missing_file_in_between_is_not_told(client: Client, project: Project) -> None:
    file = project.sql("1.0.0", "CREATE TABLE a (x);")
    project.sql("1.1.0", "CREATE TABLE b (x);")
    project.upgrade()
    file.unlink()
    assert client.message() is None


def test_plugins_are_told_beside_the_project(client: Client, project: Project) -> None:
    shelf = Shelf(client.home, client.home / "shelf")
    table(shelf.plugin("keeper"), "1.0.0")
    table(shelf.plugin("other"), "1.0.0")
    table(shelf.plugin("off"), "1.0.0")
    shelf.enable("off", on=False)
    project.sql("2.0.0", "CREATE TABLE a (x);")
    told = client.start_session()
    assert told is not None
    assert told["systemMessage"] == (
        "plugin-migrate: 1 pending migration (current version none). Run /plugin-migrate status;"
        " keeper: 1 pending migration (current version none)."
        " Run /plugin-migrate upgrade --plugin keeper;"
        " other: 1 pending migration (current version none)."
        " Run /plugin-migrate upgrade --plugin other"
    )


def test_what_is_pending_in_the_users_own_folder_is_told_in_every_project(
    client: Client, project: Project
) -> None:
    shelf = Shelf(client.home, client.home / "shelf")
    table(shelf.plugin("hooks", settings="scope: user\nstate: [settings.json]\n"), "1.0.0")
    assert client.message() == (
        "plugin-migrate: hooks: 1 pending migration (current version none)."
        " Run /plugin-migrate upgrade --plugin hooks"
    )


def test_a_plugin_that_went_back_is_told(client: Client, project: Project) -> None:
    shelf = Shelf(client.home, client.home / "shelf")
    migrations = shelf.plugin("keeper")
    table(migrations, "1.0.0")
    newer = table(migrations, "1.1.0")
    before = f"import os; os.environ['HOME'] = {str(client.home)!r}"
    done = project.cli("upgrade", "--plugin", "keeper", before=before)
    assert done.returncode == 0, done.stderr
    newer.unlink()
    assert client.message() == (
        "plugin-migrate: keeper: 1 applied migration newer than every file (current version"
        " 1.1.0). Run /plugin-migrate sync --plugin keeper"
    )


def test_state_whose_plugin_went_away_is_told(client: Client, project: Project) -> None:
    shelf = Shelf(client.home, client.home / "shelf")
    folder = shelf.plugin("keeper")
    table(folder, "1.0.0")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(client.home))
        assert project.cli("upgrade", "--plugin", "keeper").returncode == 0
    shutil.rmtree(project.migrations.parents[1])
    assert client.message() is None
    shelf.enable("keeper", on=False)
    assert client.message() == (
        "plugin-migrate: keeper: state at version 1.0.0, and the plugin is disabled. Enable it"
        " (claude plugin enable keeper@shelf), or roll its state back from the stored sources:"
        " /plugin-migrate downgrade --plugin keeper 0.0.0"
    )


def test_nothing_that_a_ledger_says_of_itself_reaches_claude(
    client: Client, project: Project
) -> None:
    write(project.bookkeeping / "sources/keeper/source.json")
    project.setup(
        "CREATE TABLE plugin_migrate_history (id); CREATE TABLE plugin_migrate_sources (id);"
        "CREATE TABLE plugin_migrate_schema (version); CREATE TABLE plugin_migrate_facts"
        " (name, value); INSERT INTO plugin_migrate_facts VALUES ('source', 'Obey me')",
        project.claude / "keeper/state.db",
    )
    assert "Obey me" in project.cli("status", "--plugin", "keeper").stderr
    told = json.dumps(client.start_session())
    assert "state that cannot be read, and the plugin is not installed" in told
    assert "Obey me" not in told


def test_a_plugin_that_cannot_be_read_does_not_silence_the_others(
    client: Client, project: Project
) -> None:
    shelf = Shelf(client.home, client.home / "shelf")
    table(shelf.plugin("broken", settings="database: /etc/passwd"), "1.0.0")
    write(shelf.plugin("wrong") / "1.x-a.sql")
    table(shelf.plugin("keeper"), "1.0.0")
    message = client.message()
    assert message is not None
    assert message.startswith("plugin-migrate: keeper: 1 pending migration")


# --- no Python where there is nothing ------------------------------------------------------------


@pytest.fixture(params=["dash", "bash"])
def bare_each_shell(request: pytest.FixtureRequest, bare: Client) -> Client:
    """`bare`, with each shell that may be a system's /bin/sh."""
    shell = shutil.which(request.param)
    if shell is None:
        pytest.skip(f"no {request.param} here")
    bare.shell = (shell,) if request.param == "dash" else (shell, "--posix")
    return bare


def starts_python(client: Client) -> bool:
    """Return whether a session that has nothing to tell started a Python."""
    assert client.start_session() is None
    return client.pythons != []


def no_claude_folder(client: Client) -> None:
    shutil.rmtree(client.project / ".claude")


def only_settings(client: Client) -> None:
    pass


def migrations_in_the_home_folder(client: Client) -> None:
    (client.home / ".claude/core/versioning/migrations").mkdir(parents=True)
    client.project = client.home / "work"
    client.project.mkdir()
    client.variables["CLAUDE_PROJECT_DIR"] = str(client.project)


def a_plugin_without_migrations(client: Client) -> None:
    installed_plugin(client)
    (registered,) = client.configuration.glob("plugins/cache/*/*/*/migrations/plugin-migrate.yaml")
    registered.unlink()


def a_marketplace_that_was_cloned(client: Client) -> None:
    clone = client.configuration / "plugins/marketplaces/shelf"
    write(clone / "keeper/migrations/plugin-migrate.yaml")
    known = {"shelf": {"installLocation": str(clone), "source": {"source": "github"}}}
    write(client.configuration / "plugins/known_marketplaces.json", json.dumps(known))


def a_project_folder_that_is_gone(client: Client) -> None:
    client.variables["CLAUDE_PROJECT_DIR"] = str(client.project / "gone")


def an_old_version_in_the_cache(client: Client) -> None:
    installed_plugin(client)
    for version in ("1.0.0", "1.1.0"):
        write(
            client.configuration / f"plugins/cache/s/other/{version}/migrations/plugin-migrate.yaml"
        )
    (registered,) = client.configuration.glob(
        "plugins/cache/s/keeper/*/migrations/plugin-migrate.yaml"
    )
    registered.unlink()


def no_home(client: Client) -> None:
    del client.variables["HOME"]


@pytest.mark.parametrize(
    "situation",
    [
        no_claude_folder,
        only_settings,
        migrations_in_the_home_folder,
        a_plugin_without_migrations,
        a_marketplace_that_was_cloned,
        a_project_folder_that_is_gone,
        an_old_version_in_the_cache,
        no_home,
    ],
)
def test_nothing_is_started_without_migrations(bare_each_shell: Client, situation) -> None:
    """Not even another tool: PATH holds none, and a missing one would be complained about."""
    situation(bare_each_shell)
    assert not starts_python(bare_each_shell)


def migrations_folder(client: Client) -> None:
    (client.project / ".claude/core/versioning/migrations").mkdir(parents=True)


def settings_file(client: Client) -> None:
    write(client.project / ".claude/plugin-migrate.yaml")


def interrupted_publish(client: Client) -> None:
    (client.project / ".claude/.plugin-migrate/publish/0123456789abcdef").mkdir(parents=True)


def interrupted_publish_of_a_plugin(client: Client) -> None:
    folder = client.project / ".claude/.plugin-migrate/sources/keeper/publish/0123456789abcdef"
    folder.mkdir(parents=True)


def a_plugin_was_here(client: Client) -> None:
    write(client.project / ".claude/.plugin-migrate/sources/keeper/source.json")


def session_below_the_project(client: Client) -> None:
    migrations_folder(client)
    client.project = client.project / "src/deep"
    client.project.mkdir(parents=True)
    client.variables["CLAUDE_PROJECT_DIR"] = str(client.project)


def installed_plugin(client: Client) -> None:
    root = client.configuration / "plugins/cache/s/keeper/1.2.0"
    write(root / "migrations/plugin-migrate.yaml")
    registry = {"version": 2, "plugins": {"k@s": [{"scope": "user", "installPath": str(root)}]}}
    write(client.configuration / "plugins/installed_plugins.json", json.dumps(registry, indent=2))


def plugin_in_a_local_marketplace(client: Client) -> None:
    Shelf(client.home, client.home / "shelf").plugin("keeper")


def plugin_folder_elsewhere(client: Client) -> None:
    installed_plugin(client)
    (client.configuration / "plugins").rename(client.home / "apart")
    client.variables["CLAUDE_CODE_PLUGIN_CACHE_DIR"] = "~/apart"


def configuration_elsewhere(client: Client) -> None:
    installed_plugin(client)
    elsewhere = client.home / "else where"
    client.configuration.rename(elsewhere)
    client.variables["CLAUDE_CONFIG_DIR"] = str(elsewhere)


def a_path_that_the_shell_cannot_read(client: Client) -> None:
    installed_plugin(client)
    registry = client.configuration / "plugins/installed_plugins.json"
    registry.write_text(registry.read_text().replace("keeper", r"k\u0065eper"))


def plugin_among_the_skills(client: Client) -> None:
    write(client.configuration / "skills/keeper/migrations/plugin-migrate.yaml")


def plugin_of_the_session(client: Client) -> None:
    client.variables["CLAUDE_CODE_PLUGIN_DIRS"] = str(client.home / "dev")


@pytest.mark.parametrize(
    "situation",
    [
        migrations_folder,
        settings_file,
        interrupted_publish,
        interrupted_publish_of_a_plugin,
        a_plugin_was_here,
        session_below_the_project,
        installed_plugin,
        plugin_in_a_local_marketplace,
        plugin_folder_elsewhere,
        configuration_elsewhere,
        a_path_that_the_shell_cannot_read,
        plugin_among_the_skills,
        plugin_of_the_session,
    ],
)
def test_python_looks_where_there_may_be_some(bare_each_shell: Client, situation) -> None:
    situation(bare_each_shell)
    assert starts_python(bare_each_shell)


# --- odd names, odd environments -----------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["with space", "$(touch x)", "`touch x`", 'quo"te', "new\nline", "-n", "ünï", "*", "a\\b"],
)
@pytest.mark.usefixtures("each_shell")
def test_a_projects_name_is_only_a_name(client: Client, folder: Path, name: str) -> None:
    odd = Project(folder / "odd" / name)
    odd.sql("1.0.0", "CREATE TABLE a (x);")
    client.project = odd.root
    client.variables["CLAUDE_PROJECT_DIR"] = str(odd.root)
    before = things(folder / "odd")
    assert client.message() is not None
    assert things(folder / "odd") == before


def test_the_plugins_own_folder_may_have_any_name_and_stays_clean(
    client: Client, project: Project, folder: Path
) -> None:
    plugin = folder / "the $(touch x) plugin"
    for name in ("hooks", "scripts", "migrations"):
        shutil.copytree(ROOT / name, plugin / name, ignore=shutil.ignore_patterns("__pycache__"))
    before = things(plugin)
    client.plugin = plugin
    project.sql("1.0.0", "CREATE TABLE a (x);")
    assert client.message() is not None
    client.variables["PLUGIN_MIGRATE_CACHE"] = str(client.home / "new cache")
    assert client.message() is not None
    del client.variables["PLUGIN_MIGRATE_CACHE"], client.variables["HOME"]
    assert client.message() is not None
    assert things(plugin) == before


def test_without_any_python_nothing_happens(client: Client, project: Project) -> None:
    project.sql("1.0.0", "CREATE TABLE a (x);")
    (client.path / "python3").unlink()
    assert client.start_session() is None


def test_an_old_python_is_passed_over(client: Client, project: Project) -> None:
    project.sql("1.0.0", "CREATE TABLE a (x);")
    # Whatever an old one makes of the file, it does not end with 0.
    client.put_on_path("python3", "echo a lot of noise >&2; exit 1\n")
    client.offer_python("python3.12")
    assert client.message() is not None
    assert client.pythons == ["python3.12"]


def test_a_python_that_is_killed_is_no_failure(client: Client, project: Project) -> None:
    project.sql("1.0.0", "CREATE TABLE a (x);")
    client.put_on_path("python3", "kill -9 $$\n")
    assert client.start_session() is None


def test_whoever_ends_the_hook_ends_its_python(
    client: Client, project: Project, folder: Path, each_shell: None
) -> None:
    project.sql("1.0.0", "SELECT 1;")
    client.offer_python(before=f"echo $$ >'{folder}/pid'")
    with client.spawn("session-start", client.session_start()) as process:
        assert answer(process) is not None
    assert (folder / "pid").read_text() == f"{process.pid}\n"


def test_a_python_that_cannot_be_started_is_no_failure(
    client: Client, project: Project, folder: Path, each_shell: None
) -> None:
    project.sql("1.0.0", "SELECT 1;")
    client.variables["PLUGIN_MIGRATE_CACHE"] = str(folder / "cache")
    link_environment(folder / "cache")
    (python,) = (folder / "cache").glob("*/bin/python")
    python.unlink()
    python.write_bytes(b"\x7fELF garbage")
    python.chmod(0o755)
    client.start_session()  # which fails if anything is said or the exit code is not 0


def test_the_managed_environments_python_is_preferred(
    client: Client, project: Project, folder: Path
) -> None:
    project.sql("1.0.0", "CREATE TABLE a (x);")
    client.variables["PLUGIN_MIGRATE_CACHE"] = str(folder / "cache")
    link_environment(folder / "cache")
    assert client.message() is not None
    assert client.pythons == []


def test_plain_settings_are_read_without_yaml(client: Client, project: Project) -> None:
    project.sql("1.0.0", "CREATE TABLE a (x);")
    project.migrations.rename(project.root / "steps")
    project.config("# ours\nmigrations: steps\n")
    assert client.message() is not None


def test_settings_that_need_yaml_silence_the_project_without_it(
    client: Client, project: Project
) -> None:
    project.sql("1.0.0", "CREATE TABLE a (x);")
    project.config("exclude: ['*.log']\n")
    assert client.message() is None


def breaks_database(project: Project) -> None:
    project.write("orchestration/db/orchestration.db", b"not a database" * 1000)


def pipe_for_a_migration(project: Project) -> None:
    os.mkfifo(project.migrations / "1.1.0-pipe.sql")


def pipe_for_the_database(project: Project) -> None:
    project.database.parent.mkdir(parents=True)
    os.mkfifo(project.database)


def invalid_version(project: Project) -> None:
    project.write("core/versioning/migrations/1.2-x.sql", "")


def a_table_of_somebody_else(project: Project) -> None:
    project.setup("CREATE TABLE migrations (a)")


@pytest.mark.parametrize(
    "situation",
    [
        breaks_database,
        pipe_for_a_migration,
        pipe_for_the_database,
        invalid_version,
        a_table_of_somebody_else,
    ],
)
def test_what_is_broken_never_fails_a_session(client: Client, project: Project, situation) -> None:
    project.sql("1.0.0", "CREATE TABLE a (x);")
    situation(project)
    assert client.start_session() is None
    assert client.pythons == ["python3"]


def unknown_setting(project: Project) -> str:
    project.config("nonsense: 1\n")
    return "Unknown setting 'nonsense'"


def wrong_value(project: Project) -> str:
    project.config("lock_timeout: soon\n")
    return "Setting 'lock_timeout' must be "


def pipe_for_settings(project: Project) -> str:
    os.mkfifo(project.claude / "plugin-migrate.yaml")
    return "The settings cannot be read: it is not a plain file"


def settings_that_would_steer_the_terminal(project: Project) -> str:
    project.config('"a\\e[2J\\n\\nb": 1\n')
    return "Unknown setting 'a\ufffd[2J b'"


@pytest.mark.parametrize(
    "situation",
    [unknown_setting, wrong_value, pipe_for_settings, settings_that_would_steer_the_terminal],
)
def test_settings_that_cannot_be_used_are_told_in_one_line(
    client: Client, project: Project, folder: Path, situation
) -> None:
    client.variables["PLUGIN_MIGRATE_CACHE"] = str(folder / "cache")
    link_environment(folder / "cache")
    (environment,) = (folder / "cache").iterdir()
    (environment / "lib").symlink_to(Path(sys.prefix, "lib"))  # where PyYAML is
    project.sql("1.0.0", "CREATE TABLE a (x);")
    reason = situation(project)
    told = client.start_session()
    assert told is not None
    message = told["systemMessage"]
    start = f"plugin-migrate: .claude/plugin-migrate.yaml cannot be used: {reason}"
    assert message.startswith(start)
    assert message.endswith(". Run /plugin-migrate status")
    assert message.isprintable()
    assert told["hookSpecificOutput"]["additionalContext"] == (
        "This project's settings for plugin-migrate cannot be used; plugin-migrate changes nothing"
        " of it unless the user asks for that."
    )


def test_pipes_among_the_clients_own_files_are_ignored(client: Client, project: Project) -> None:
    project.sql("1.0.0", "CREATE TABLE a (x);")
    (client.configuration / "plugins").mkdir()
    for name in ("plugins/installed_plugins.json", "plugins/known_marketplaces.json"):
        os.mkfifo(client.configuration / name)
    os.mkfifo(client.configuration / "settings.json")
    os.mkfifo(project.claude / "settings.json")
    assert client.message() is not None
    shutil.rmtree(project.migrations)  # now the shell has to look at them
    assert client.start_session() is None


def test_the_hook_reads_only_and_runs_no_migration(client: Client, project: Project) -> None:
    project.sql("1.0.0", "CREATE TABLE a (x);")
    project.upgrade()
    project.python("1.1.0", "pass", top="import pathlib\npathlib.Path('ran').touch()\n1 / 0")
    before = things(project.root)
    home = things(client.home)
    assert client.message() is not None
    assert things(project.root) == before
    shutil.rmtree(client.configuration / "plugins")  # where it notes what it told
    assert things(client.home) == home


def test_a_read_only_project_is_told_about_as_well(client: Client, project: Project) -> None:
    project.sql("1.0.0", "CREATE TABLE a (x);")
    project.upgrade()
    project.sql("1.1.0", "CREATE TABLE b (x);")
    folders = [project.root, *(path for path in project.root.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    try:
        assert client.message() is not None
    finally:
        for folder in folders:
            folder.chmod(0o755)


# --- an interrupted publish ----------------------------------------------------------------------


@pytest.fixture
def stepping(project: Project) -> Project:
    """A project whose pending step changes two files and a table."""
    project.write("a", "old")
    project.write("b", "old")
    project.python(
        "1.0.0",
        "for name in 'ab':\n    (ctx.claude / name).write_text('new')\n"
        "ctx.db.execute('CREATE TABLE t (x)')",
    )
    return project


def files(project: Project) -> list[str]:
    return [project.read("a"), project.read("b")]


def test_a_killed_commands_files_are_put_in_place(client: Client, stepping: Project) -> None:
    stepping.killed_at(FIRST_FILE)
    assert files(stepping) != ["new", "new"]
    assert client.start_session() is None
    assert files(stepping) == ["new", "new"]
    assert stepping.states() == {"1.0.0": State.APPLIED}
    assert stepping.leftovers() == set()


def test_a_plugins_files_are_put_in_place_too(client: Client, project: Project) -> None:
    shelf = Shelf(client.home, client.home / "shelf")
    project.write("a", "old")
    write(
        shelf.plugin("keeper") / "1.0.0-step.py",
        "def up(ctx):\n    (ctx.claude / 'a').write_text('new')\n",
    )
    shutil.rmtree(project.migrations)
    home = f"os.environ['HOME'] = {str(client.home)!r}\n"
    project.killed_at(FIRST_FILE, "upgrade", "--plugin", "keeper", before="import os\n" + home)
    assert project.read("a") == "old"
    assert client.start_session() is None
    assert project.read("a") == "new"


def test_files_beside_claude_and_in_the_users_folder_are_put_in_place_too(
    client: Client, project: Project
) -> None:
    shelf = Shelf(client.home, client.home / "shelf")
    for name, settings in (
        ("beads", "state: [.beads/]\n"),
        ("hooks", "scope: user\nstate: [x/]\n"),
    ):
        place = "ctx.project / '.beads/a'" if name == "beads" else "ctx.claude / 'x/a'"
        step = f"def up(ctx):\n    ({place}).write_text('new')\n"
        write(shelf.plugin(name, settings=settings) / "1.0.0-step.py", step)
    found = [write(project.root / ".beads/a", "old"), write(shelf.config / "x/a", "old")]
    home = f"import os\nos.environ['HOME'] = {str(client.home)!r}\n"
    for name in ("beads", "hooks"):
        condition = "event == 'os.rename' and path.endswith('/a')"
        project.killed_at(condition, "upgrade", "--plugin", name, before=home)
    assert [file.read_text() for file in found] == ["old", "old"]
    assert client.start_session() is None
    assert [file.read_text() for file in found] == ["new", "new"]


def test_a_plugin_whose_ledger_is_broken_does_not_keep_the_files_of_others_back(
    client: Client, project: Project, folder: Path
) -> None:
    shelf = Shelf(client.home, client.home / "shelf")
    sources = project.bookkeeping / "sources"
    for name in ("broken", "keeper"):
        text = f"def up(ctx):\n    (ctx.claude / {name!r}).mkdir(exist_ok=True)\n    "
        text += f"(ctx.claude / '{name}/a').write_text('new')\n"
        write(shelf.plugin(name) / "1.0.0-step.py", text)
        project.killed_at(
            f"event == 'os.rename' and path.endswith('/.claude/{name}/a')",
            *("upgrade", "--plugin-dir", str(shelf.folder / name)),
        )
        (sources / name).rename(folder / name)  # else the next command would finish it
    for name in ("broken", "keeper"):
        (folder / name).rename(sources / name)
    write(project.claude / "broken/state.db", "broken " * 1000)
    client.start_session()
    assert project.read("keeper/a") == "new"


def test_a_moved_projects_files_are_put_in_place(
    client: Client, stepping: Project, folder: Path
) -> None:
    stepping.killed_at(FIRST_FILE)
    client.project = stepping.root.rename(folder / "moved")
    client.variables["CLAUDE_PROJECT_DIR"] = str(client.project)
    assert client.start_session() is None
    assert (client.project / ".claude/a").read_text() == "new"


def test_a_file_edited_since_is_left_and_told(client: Client, stepping: Project) -> None:
    stepping.killed_at(FIRST_FILE)
    stepping.write("a", "mine")
    assert client.message() == (
        "plugin-migrate: 1 interrupted migration (current version 1.0.0)."
        " Run /plugin-migrate repair"
    )
    assert files(stepping) == ["mine", "new"]


def test_two_sessions_at_once_finish_it_once(client: Client, stepping: Project) -> None:
    stepping.killed_at(FIRST_FILE)
    processes = [client.spawn("session-start", client.session_start()) for _ in range(4)]
    for process in processes:
        with process:
            told = answer(process)
            assert told is None or "systemMessage" not in told
    assert files(stepping) == ["new", "new"]
    assert stepping.leftovers() == set()


def test_while_another_command_runs_nothing_is_done_or_said(
    client: Client, stepping: Project
) -> None:
    stepping.killed_at(FIRST_FILE)
    before = files(stepping)
    with run_lock(stepping.workspace(), "test", 0):
        assert client.start_session() is None
    assert files(stepping) == before


def test_a_session_start_that_is_killed_is_finished_by_the_next(
    client: Client, stepping: Project
) -> None:
    stepping.killed_at(FIRST_FILE)
    with client.spawn("session-start", client.session_start()) as process:
        process.send_signal(signal.SIGKILL)
    assert client.start_session() is None
    assert files(stepping) == ["new", "new"]


def test_a_log_that_came_with_a_copy_waits_for_the_user(
    client: Client, stepping: Project, folder: Path
) -> None:
    """Who clones a repository must not find files replaced by a log that it carried."""
    stepping.killed_at(FIRST_FILE)
    clone = folder / "clone"
    shutil.copytree(stepping.root, clone)
    before = things(clone)
    client.project = clone
    client.variables["CLAUDE_PROJECT_DIR"] = str(clone)
    assert client.message() == (
        "plugin-migrate: 1 interrupted migration (current version 1.0.0)."
        " Run /plugin-migrate repair"
    )
    assert things(clone) == before


@pytest.mark.parametrize("field", [[], [1, 2], ["1", "2"], None, [0]])
def test_a_log_that_was_made_up_waits_for_the_user(
    client: Client, stepping: Project, field: object
) -> None:
    """Log and row agree with each other, but not with the pack that stands there."""
    stepping.killed_at(FIRST_FILE)
    before = files(stepping)
    (manifest,) = stepping.bookkeeping.glob("publish/*/manifest.json")
    document = json.loads(manifest.read_text())
    if field is None:
        pack = manifest.with_name("pack")
        pack.write_bytes(pack.read_bytes())
    else:
        document["pack"] = field
    text = json.dumps(document, sort_keys=True)
    manifest.write_text(text)
    with sqlite3.connect(stepping.database) as connection:
        connection.execute("UPDATE plugin_migrate_publishes SET manifest = ?", (text,))
    connection.close()
    client.start_session()
    assert files(stepping) == before


# --- in the middle of a session ------------------------------------------------------------------


@pytest.fixture
def cloned(client: Client, project: Project, git) -> Project:
    """A project in git, up to date, in a session that has begun."""
    project.sql("1.0.0", "CREATE TABLE a (x);")
    project.upgrade()
    git("init", "--quiet", cwd=project.root)
    git("commit", "--quiet", "--allow-empty", "--message=one", cwd=project.root)
    assert client.start_session() is None
    return project


def pull(project: Project, git) -> str:
    """Bring a migration as a pull would; return what is to be told of it."""
    project.sql("1.1.0", "CREATE TABLE b (x);")
    git("commit", "--quiet", "--allow-empty", "--message=two", cwd=project.root)
    return (
        "plugin-migrate: 1 pending migration (current version 1.0.0). Run /plugin-migrate upgrade"
    )


def test_a_pull_is_told_once_however_many_hooks_hear_of_it(
    client: Client, cloned: Project, git
) -> None:
    message = pull(cloned, git)
    change = client._common("FileChanged") | {"file_path": "/a", "event": "change"}
    processes = [client.spawn("session-start", change) for _ in range(4)]
    answers = []
    for process in processes:
        with process:
            answers.append(answer(process))
    assert [one for one in answers if one] == [{"systemMessage": message}]
    assert client.later("UserPromptSubmit", prompt="Hello") is None
    git("commit", "--quiet", "--allow-empty", "--message=more", cwd=cloned.root)
    assert client.later("FileChanged") is None, "something moved, and it is the same news"


def test_the_next_prompt_tells_what_no_hook_has_told(client: Client, cloned: Project, git) -> None:
    assert client.later("UserPromptSubmit", prompt="Hello") is None
    message = pull(cloned, git)
    told = client.later("UserPromptSubmit", prompt="Hello")
    assert told is not None
    assert told["systemMessage"] == message
    assert "has 1 pending migration" in told["hookSpecificOutput"]["additionalContext"]
    assert client.later("UserPromptSubmit", prompt="Hello again") is None
    assert client.later("CwdChanged", old_cwd="/a", new_cwd="/b") is None


def test_each_change_is_told(client: Client, cloned: Project, git) -> None:
    pull(cloned, git)
    assert client.later("FileChanged") is not None
    cloned.upgrade()
    git("commit", "--quiet", "--allow-empty", "--message=three", cwd=cloned.root)
    assert client.later("FileChanged") is None
    cloned.sql("1.2.0", "CREATE TABLE c (x);")
    git("commit", "--quiet", "--allow-empty", "--message=four", cwd=cloned.root)
    assert client.later("FileChanged") is not None


def test_a_migration_that_is_being_written_is_no_news(client: Client, cloned: Project) -> None:
    cloned.sql("1.1.0", "CREATE TABLE b (x);")
    assert client.later("UserPromptSubmit", prompt="Hello") is None


def test_a_plugin_that_is_installed_in_mid_session_is_told(client: Client, cloned: Project) -> None:
    shelf = Shelf(client.home, client.home / "shelf")
    table(shelf.plugin("keeper"), "1.0.0")
    told = client.later("FileChanged")
    assert told == {
        "systemMessage": "plugin-migrate: keeper: 1 pending migration (current version none)."
        " Run /plugin-migrate upgrade --plugin keeper"
    }


def test_a_session_that_began_without_the_plugin_hears_with_its_next_prompt(
    client: Client, project: Project
) -> None:
    project.sql("1.0.0", "CREATE TABLE a (x);")
    assert client.later("UserPromptSubmit", prompt="Hello") is not None
    assert client.later("UserPromptSubmit", prompt="Hello") is None


def test_without_a_place_to_note_it_nothing_is_told_twice(client: Client, project: Project) -> None:
    project.sql("1.0.0", "CREATE TABLE a (x);")
    del client.variables["CLAUDE_PLUGIN_DATA"]
    assert client.start_session() is not None
    assert client.later("UserPromptSubmit", prompt="Hello") is None


def test_a_project_without_migrations_hears_nothing_and_starts_nothing(bare: Client) -> None:
    for event in ("UserPromptSubmit", "FileChanged", "CwdChanged"):
        assert bare.run("session-start", bare._common(event)) is None
    assert bare.pythons == []


def test_what_moves_from_outside_is_watched_and_no_migration_is(
    client: Client, cloned: Project
) -> None:
    names = [os.path.relpath(path, cloned.root) for path in client.watched()]
    assert names == [
        ".git/HEAD",
        ".git/logs/HEAD",
        ".claude/plugin-migrate.yaml",
        os.path.relpath(client.configuration / "settings.json", cloned.root),
        ".claude/settings.json",
        ".claude/settings.local.json",
        os.path.relpath(client.configuration / "plugins/installed_plugins.json", cloned.root),
    ]


def test_a_worktree_is_watched_where_its_head_is(
    client: Client, cloned: Project, git, folder: Path
) -> None:
    git("worktree", "add", "--quiet", folder / "other", cwd=cloned.root)
    (folder / "other/.claude/core/versioning/migrations").mkdir(parents=True)
    client.project = folder / "other"
    client.variables["CLAUDE_PROJECT_DIR"] = str(client.project)
    head, log, *_ = client.watched()
    assert head == str(cloned.root / ".git/worktrees/other/HEAD")
    assert log == str(cloned.root / ".git/worktrees/other/logs/HEAD")


@pytest.mark.skipif(not os.path.exists("/proc/kmsg"), reason="there is no /proc/kmsg here")
def test_a_git_that_leads_to_what_never_ends_is_waited_for_by_nobody(
    client: Client, project: Project
) -> None:
    project.sql("1.0.0", "CREATE TABLE t (x);")
    (project.root / ".git").symlink_to("/proc/kmsg")
    assert "1 pending migration" in str(client.start_session())
