"""Migrations that plugins ship: each a source with its own ledger, beside the project's own."""

import json
import sqlite3
from contextlib import closing

import pytest

from command_line import Project
from plugins import Shelf, table


@pytest.fixture
def shelf(project, tmp_path):
    return Shelf(project.home, tmp_path / "shelf")


@pytest.fixture
def keeper(shelf):
    """The migrations folder of a plugin with two migrations."""
    folder = shelf.plugin("keeper")
    table(folder, "1.0.0")
    table(folder, "1.1.0")
    return folder


def tables(database):
    with closing(sqlite3.connect(database)) as connection:
        query = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE 't%'"
        return sorted(name for (name,) in connection.execute(query))


def versions(project, plugin):
    document = project.json("status", f"--plugin={plugin}")
    return {one["version"]: one["status"] for one in document["migrations"]}


def test_upgrade_applies_a_plugins_migrations_to_its_own_ledger(project, keeper):
    out = project.ok("upgrade", "--plugin", "keeper")
    assert out.splitlines()[1:] == ["  • 1.0.0 - Step", "  • 1.1.0 - Step"]
    assert tables(project.claude / "keeper/state.db") == ["t1_0_0", "t1_1_0"]
    assert not project.database.exists()
    assert versions(project, "keeper") == {"1.0.0": "applied", "1.1.0": "applied"}


def test_the_projects_own_migrations_stay_apart(project, keeper):
    project.tables("3.0.0")
    project.ok("upgrade")
    assert project.statuses() == {"3.0.0": "applied"}
    assert not (project.claude / "keeper").exists()


def test_a_plugin_is_rolled_back_by_itself(project, keeper):
    project.ok("upgrade", "--all")
    assert "1.1.0 - Step" in project.ok("downgrade", "--plugin=keeper")
    assert versions(project, "keeper") == {"1.0.0": "applied", "1.1.0": "pending"}


def test_status_ends_with_a_line_per_plugin_that_has_something_to_do(project, shelf, keeper):
    table(shelf.plugin("quiet"), "1.0.0")
    project.ok("upgrade", "--plugin", "quiet")
    project.tables("1.0.0")
    *_, blank, last = project.ok("status").splitlines()
    assert blank == ""
    assert last == (
        "Plugin keeper: 2 pending (current version none)."
        " Run: plugin-migrate upgrade --plugin keeper"
    )
    (attention,) = project.json("status")["plugins"]
    assert (attention["plugin"], attention["pending"]) == ("keeper", 2)


def test_a_plugin_that_cannot_be_read_does_not_hide_the_projects_status(project, shelf):
    shelf.plugin("odd", settings="database: /etc/state.db")
    project.tables("1.0.0")
    out = project.ok("status")
    assert "1.0.0" in out
    assert "Plugin odd: A plugin's database must lie in the project's .claude/" in out


def test_a_disabled_plugin_ships_nothing(project, shelf, keeper):
    shelf.enable("keeper", on=False)
    err = project.fails("upgrade", "--plugin", "keeper", code=2)
    assert "No enabled plugin called keeper ships migrations" in err
    assert "It is disabled. Enable it (claude plugin enable keeper@shelf)." in err


def test_a_plugin_that_has_not_opted_in_ships_nothing(project, keeper):
    (keeper / "plugin-migrate.yaml").unlink()
    assert "No enabled plugin" in project.fails("status", "--plugin=keeper", code=2)


def test_an_unknown_plugin_names_those_there_are(project, keeper):
    assert "These do: keeper" in project.fails("status", "--plugin", "kepper", code=2)


def test_what_is_proposed_names_the_plugin(project, keeper):
    project.ok("upgrade", "--plugin=keeper")
    table(keeper, "1.0.0").write_text("-- migrate:up\nSELECT 1;\n")
    err = project.fails("upgrade", "--plugin=keeper")
    assert "plugin-migrate repair --plugin keeper 1.0.0" in err
    hint = project.json("upgrade", "--plugin=keeper")["error"]["hint"]
    assert "plugin-migrate repair --plugin keeper 1.0.0" in hint
    assert "1.0.0" in project.ok("repair", "--plugin", "keeper")


def test_what_a_plugins_author_wrote_is_shown_as_it_is(project, keeper):
    text = "Undo what plugin-migrate upgrade did"
    path = table(keeper, "1.2.0")
    path.write_text(f"-- description: {text}\n{path.read_text()}")
    assert f"  • 1.2.0 - {text}\n" in project.ok("upgrade", "--plugin=keeper", "--dry-run")
    _, *lines = project.ok("status", "--plugin=keeper").split("\n\n")[0].splitlines()
    assert f" {text} " in lines[-2]
    assert len({len(line) for line in lines}) == 1
    assert f"  • 1.2.0 - {text}\n" in project.ok("upgrade", "--plugin=keeper")
    path.write_text(path.read_text().replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS"))
    assert "plugin-migrate repair --plugin keeper 1.2.0" in project.fails("upgrade", "--all")


def test_the_options_of_the_projects_own_source_exclude_plugins(project, keeper):
    err = project.fails("status", "--plugin=keeper", "--database=x.db", code=2)
    assert "--database and --migrations name the project's own" in err


# --- every source -------------------------------------------------------------------------------


def test_all_shows_every_source_under_its_own_heading(project, keeper):
    project.tables("1.0.0")
    lines = project.ok("status", "--all", "--format=list").splitlines()
    assert lines == [
        "This project:",
        "1.0.0  pending  Step",
        "",
        "Plugin keeper:",
        "1.0.0  pending  Step",
        "1.1.0  pending  Step",
    ]


def test_all_gives_one_document_for_every_source(project, keeper):
    document = project.json("upgrade", "--all")
    assert document["ok"]
    assert [one["source"] for one in document["sources"]] == [None, "keeper"]
    assert [len(one["steps"]) for one in document["sources"]] == [0, 2]


def test_all_leaves_a_project_without_migrations_of_its_own_out(project, keeper):
    project.migrations.rmdir()
    assert [one["source"] for one in project.json("status", "--all")["sources"]] == ["keeper"]


@pytest.mark.parametrize("command", ["status", "check", "history", "verify", "upgrade"])
def test_all_is_never_silent(project, command):
    project.migrations.rmdir()
    assert project.ok(command, "--all").startswith("This project:\n")


def test_all_shows_the_readable_sources_when_one_is_not(project, shelf, keeper):
    shelf.plugin("aaa", settings="colour: red")
    code, out, err = project.call("status", "--all")
    assert code == 1
    assert "Unknown setting 'colour'" in err
    assert "Plugin keeper:" in out
    documents = {one["source"]: one for one in project.json("status", "--all")["sources"]}
    assert documents["aaa"]["error"]["code"] == "bad_config"
    assert documents["keeper"]["ok"]


def test_check_of_all_tells_the_worst(project, keeper):
    assert project.call("check", "--all").code == 3
    project.ok("upgrade", "--all")
    assert project.call("check", "--all").code == 0
    table(keeper, "1.0.0").write_text("-- migrate:up\nSELECT 1;\n")
    table(keeper, "1.2.0")
    assert project.call("check", "--all").code == 1


def test_verify_rehearses_every_source(project, keeper):
    project.tables("1.0.0")
    documents = project.json("verify", "--all")["sources"]
    verified = {one["source"]: [m["reversible"] for m in one["migrations"]] for one in documents}
    assert verified == {None: [True], "keeper": [True, True]}
    assert project.statuses() == {"1.0.0": "pending"}


def test_history_of_all_is_told_source_by_source(project, keeper):
    project.ok("upgrade", "--all")
    documents = {one["source"]: one for one in project.json("history", "--all")["sources"]}
    assert [event["version"] for event in documents["keeper"]["history"]] == ["1.1.0", "1.0.0"]


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["upgrade", "1.0.0", "--all"], "--all takes no version"),
        (["downgrade", "1.0.0", "--all"], "--all takes a number of steps or 0.0.0"),
        (["status", "--all", "--plugin=keeper"], "--all means every source"),
        (["verify", "--all", "1.0.0"], "--all means every migration"),
        (["status", "--all", "--plugin-dir=typo"], "That is no plugin with migrations"),
    ],
)
def test_all_excludes_what_concerns_one_source(project, keeper, arguments, what):
    assert what in project.fails(*arguments, code=2)


def test_a_wrong_option_is_told_once_for_all_sources(project, keeper):
    err = project.fails("history", "--all", "--version=1.x", code=2)
    assert err.count("Invalid version format") == 1
    assert project.json("history", "--all", "--version=1.x")["error"]["code"] == "invalid_version"


def test_downgrade_of_all_takes_as_many_steps_of_each_as_there_are(project, keeper):
    project.tables("1.0.0")
    project.ok("upgrade", "--all")
    project.ok("downgrade", "2", "--all")
    assert set(project.statuses().values()) == {"pending"}
    assert set(versions(project, "keeper").values()) == {"pending"}


def test_a_failure_stops_and_keeps_the_sources_before(project, shelf, keeper):
    (shelf.plugin("zzz") / "1.0.0-broken.sql").write_text("-- migrate:up\nSELECT * FROM gone;\n")
    document = project.json("upgrade", "--all")
    assert not document["ok"]
    told = {one["source"]: one["ok"] for one in document["sources"]}
    assert told == {None: True, "keeper": True, "zzz": False}
    assert document["sources"][-1]["error"]["code"] == "migration_failed"
    assert set(versions(project, "keeper").values()) == {"applied"}


# --- requirements -------------------------------------------------------------------------------


@pytest.fixture
def search(shelf):
    folder = shelf.plugin("a-search")
    table(folder, "1.0.0", '-- requires: {keeper: ">=1.1.0"}\n')
    return folder


def test_a_requirement_is_checked_before_anything_runs(project, keeper, search):
    project.ok("upgrade", "1.0.0", "--plugin=keeper")
    for options in ([], ["--dry-run"], ["--preview"]):
        err = project.fails("upgrade", "--plugin=a-search", *options)
        assert "Migration 1.0.0 of a-search requires keeper >=1.1.0, which is at 1.0.0" in err
        assert "First: plugin-migrate upgrade --plugin keeper\n" in err
    assert not (project.claude / "a-search").exists()


def test_all_upgrades_in_the_order_of_the_requirements(project, keeper, search):
    sources = [one["source"] for one in project.json("upgrade", "--all")["sources"]]
    assert sources == [None, "keeper", "a-search"]
    assert versions(project, "a-search") == {"1.0.0": "applied"}


@pytest.mark.parametrize("command", [["upgrade", "--all"], ["sync"]])
def test_what_cannot_be_ordered_is_one_error_and_nothing_runs(project, keeper, search, command):
    table(keeper, "1.0.0", '-- requires: {a-search: ">=1.0.0"}\n')
    document = project.json(*command)
    assert document["error"]["code"] == "requirement_unmet"
    assert "in a circle: a-search 1.0.0 → keeper 1.0.0 → a-search" in document["error"]["message"]
    assert not (project.claude / "keeper").exists()


def test_nothing_that_is_required_is_rolled_back(project, keeper, search):
    project.ok("upgrade", "--all")
    err = project.fails("downgrade", "--plugin=keeper")
    assert "Migration 1.0.0 of a-search is applied and requires keeper >=1.1.0" in err
    assert "Roll that back first: plugin-migrate downgrade --plugin a-search 0.0.0\n" in err
    assert project.ok("downgrade", "0.0.0", "--all")
    assert set(versions(project, "keeper").values()) == {"pending"}


def test_restore_takes_nothing_away_that_is_required(project, keeper, search):
    project.ok("upgrade", "--all")
    (backup,) = project.json("restore", "--plugin=keeper")["backups"]
    err = project.fails("restore", backup["id"], "--plugin=keeper")
    assert "Migration 1.0.0 of a-search is applied and requires keeper >=1.1.0" in err
    project.ok("restore", backup["id"], "--plugin=keeper", "--force")


def test_the_projects_own_migrations_can_require_a_plugin(project, keeper):
    project.sql("1.0.0", requires='{keeper: ">=1.0.0"}')
    assert "requires keeper >=1.0.0, which is at none" in project.fails("upgrade")
    project.ok("upgrade", "--plugin=keeper")
    project.ok("upgrade")


def test_a_rehearsal_tells_which_requirement_is_missing(project, keeper, search):
    for command in (["verify", "--plugin=a-search"], ["verify", "--plugin=a-search", "1.0.0"]):
        err = project.fails(*command)
        assert "Migration 1.0.0 of a-search requires keeper >=1.1.0, which is at none" in err
    for command in (["verify", "--all"], ["upgrade", "--all", "--preview"]):
        outcome = project.call(*command)
        assert outcome.code == 1
        assert "Plugin keeper:" in outcome.out
        assert "requires keeper >=1.1.0, which is at none" in outcome.err
    project.ok("verify", "--plugin=a-search", "--lint-only")
    project.ok("upgrade", "--all")
    project.ok("verify", "--all")


@pytest.mark.parametrize("command", [["upgrade", "--all"], ["downgrade", "--all"], ["sync"]])
def test_what_stops_every_source_names_the_one_to_blame(project, shelf, keeper, command):
    table(shelf.plugin("aaa"), "1.0.0")
    project.ok("sync")
    table(keeper, "1.0.0", "-- description: Edited\n")
    err = project.fails(*command)
    assert "Plugin keeper: 1 applied migration(s) were edited since: 1.0.0" in err
    assert "plugin-migrate repair --plugin keeper 1.0.0" in err
    if command != ["sync"]:
        shelf.enable("keeper", on=False)
        err = project.fails(*command, "--plugin-dir", keeper.parent)
        assert f"plugin-migrate repair --plugin-dir {keeper.parent.as_posix()} 1.0.0" in err


# --- sync ---------------------------------------------------------------------------------------


def test_sync_follows_a_plugin_to_its_new_version(project, keeper):
    project.ok("sync")
    table(keeper, "1.2.0")
    out = project.ok("sync")
    assert "Plugin keeper:\n✓ Applied 1 migration(s)" in out
    assert versions(project, "keeper")["1.2.0"] == "applied"


def test_sync_follows_a_plugin_back_to_an_older_version(project, keeper):
    project.ok("upgrade", "--plugin=keeper")
    (keeper / "1.1.0-step.sql").unlink()
    assert "Run: plugin-migrate sync --plugin keeper" in project.ok("status")
    out = project.ok("sync")
    assert "• 1.1.0 - Step (from the stored source: its file is gone)" in out
    assert versions(project, "keeper") == {"1.0.0": "applied"}
    assert tables(project.claude / "keeper/state.db") == ["t1_0_0"]


def test_sync_can_go_back_and_forward(project, keeper):
    project.ok("upgrade", "--plugin=keeper")
    (keeper / "1.1.0-step.sql").unlink()
    table(keeper, "1.0.5")
    planned = project.ok("sync", "--dry-run")
    assert "would roll back 1 migration(s)\n  • 1.1.0" in planned
    assert "would apply 1 migration(s)\n  • 1.0.5" in planned
    assert "Out of order" not in planned
    assert versions(project, "keeper")["1.1.0"] == "missing"
    document = project.json("sync")
    steps = [step["version"] for one in document["sources"] for step in one["steps"]]
    assert steps == ["1.1.0", "1.0.5"]
    assert versions(project, "keeper") == {"1.0.0": "applied", "1.0.5": "applied"}


def test_sync_says_what_is_in_step(project, keeper):
    project.ok("sync")
    assert project.ok("sync", "--plugin=keeper").endswith(
        "✓ In step with the installed plugin: nothing to do\n"
    )
    assert project.json("sync")["sources"] == [{"source": "keeper", "ok": True, "steps": []}]


def test_sync_without_plugins_says_so(project):
    assert "No enabled plugin ships migrations" in project.fails("sync", code=2)


def test_sync_leaves_the_projects_own_migrations_alone(project, keeper):
    project.tables("1.0.0")
    project.ok("sync")
    assert project.statuses() == {"1.0.0": "pending"}


# --- where a plugin's ledger may be -------------------------------------------------------------


def test_a_plugin_can_name_its_database_and_its_ledger_table(project, shelf):
    settings = "database: .claude/shared/memory.db\nledger_table: keeper_migrations\n"
    table(shelf.plugin("keeper", settings=settings), "1.0.0")
    project.ok("upgrade", "--plugin=keeper")
    with closing(sqlite3.connect(project.claude / "shared/memory.db")) as connection:
        rows = connection.execute("SELECT version FROM keeper_migrations").fetchall()
    assert rows == [("1.0.0",)]


def test_a_plugin_can_keep_its_ledger_in_its_data_folder(project, shelf):
    table(shelf.plugin("keeper", settings="database: ${CLAUDE_PLUGIN_DATA}/s.db"), "1.0.0")
    project.ok("upgrade", "--plugin=keeper")
    (database,) = (project.home / ".claude/plugins/data").glob("*/s.db")
    assert tables(database) == ["t1_0_0"]


@pytest.mark.parametrize(
    "path", ["/etc/x.db", "../x.db", "x.db", "${CLAUDE_PLUGIN_DATA}/../x.db", ".claude/../x.db"]
)
def test_a_plugins_ledger_is_nowhere_else(project, shelf, path):
    table(shelf.plugin("keeper", settings=f"database: {path}"), "1.0.0")
    err = project.fails("upgrade", "--plugin=keeper")
    assert "A plugin's database must lie in the project's .claude/ or in the plugin's own" in err


def test_a_link_does_not_lead_a_plugins_ledger_elsewhere(project, keeper, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (project.claude / "keeper").symlink_to(outside)
    err = project.fails("upgrade", "--plugin=keeper")
    assert f"A link leads the plugin's database out of .claude/, to {outside}/state.db" in err
    assert ".claude/keeper/state.db" in err
    assert list(outside.iterdir()) == []


def test_a_ledger_in_a_data_folder_is_one_projects_at_a_time(project, shelf, tmp_path):
    table(shelf.plugin("keeper", settings="database: ${CLAUDE_PLUGIN_DATA}/s.db"), "1.0.0")
    project.ok("upgrade", "--plugin=keeper")
    other = Project(tmp_path / "other", project.home)
    err = other.fails("upgrade", "--plugin=keeper")
    assert f"belongs to another project: {project.root}\n" in err
    assert "plugin-migrate repair --plugin keeper --take-database" in err
    take = ["repair", "--plugin=keeper", "--take-database"]
    assert "One project at a time" in other.fails(*take)
    project.root.rename(tmp_path / "gone")
    other.ok(*take)
    assert versions(other, "keeper") == {"1.0.0": "applied"}


def test_a_plugins_ledger_is_not_the_projects(project, shelf):
    settings = "database: .claude/orchestration/db/orchestration.db"
    table(shelf.plugin("keeper", settings=settings), "1.0.0")
    err = project.fails("upgrade", "--plugin=keeper")
    assert "A plugin's ledger cannot be in the project's own state database" in err


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        (".claude/.plugin-migrate/lock.db", "cannot be in plugin-migrate's own folder"),
        (".claude/shared/memory.db-wal", "cannot have a name that SQLite itself uses"),
    ],
)
def test_a_plugins_ledger_is_no_file_of_ours_or_of_sqlites(project, shelf, path, problem):
    table(shelf.plugin("keeper", settings=f"database: {path}"), "1.0.0")
    assert problem in project.fails("upgrade", "--plugin=keeper")
    assert not (project.claude / path).exists()


@pytest.fixture
def squatter(shelf, keeper):
    """The migrations folder of a plugin that names the database of another."""
    folder = shelf.plugin("squatter", settings="database: .claude/keeper/state.db")
    table(folder, "2.0.0")
    return folder


@pytest.mark.parametrize("command", ["upgrade", "status", "verify", "baseline", "repair"])
def test_a_plugins_ledger_is_not_another_plugins(project, squatter, command):
    project.ok("upgrade", "--plugin=keeper")
    target = ["2.0.0"] if command == "baseline" else []
    err = project.fails(command, *target, "--plugin=squatter")
    assert "The database belongs to the plugin keeper\n  .claude/keeper/state.db" in err
    assert f"with the database setting in {squatter.as_posix()}/plugin-migrate.yaml" in err


def test_of_two_plugins_that_name_one_database_the_second_never_writes_it(project, squatter):
    assert "belongs to the plugin keeper" in project.call("upgrade", "--all").err
    assert "belongs to the plugin keeper" in project.call("sync").err
    assert tables(project.claude / "keeper/state.db") == ["t1_0_0", "t1_1_0"]


def test_a_plugin_that_is_gone_keeps_its_database_to_itself(project, shelf, squatter):
    project.ok("upgrade", "--plugin=keeper")
    shelf.enable("keeper", on=False)
    assert "belongs to the plugin keeper" in project.fails("sync", "--plugin=squatter")


def test_the_projects_ledger_is_not_a_plugins(project, keeper):
    project.ok("upgrade", "--plugin=keeper")
    project.tables("3.0.0")
    err = project.fails("upgrade", "--database", project.claude / "keeper/state.db")
    assert "The database belongs to the plugin keeper" in err
    assert "Give this project its own with --database or the database setting" in err


def test_a_database_that_was_the_projects_is_no_plugins(project, shelf):
    project.tables("1.0.0")
    project.ok("upgrade", "--database", project.claude / "other.db")
    table(shelf.plugin("keeper", settings="database: .claude/other.db"), "1.0.0")
    assert "belongs to the project's own" in project.fails("upgrade", "--plugin=keeper")


@pytest.mark.parametrize("name", ["keeper_ledger", "plugin_migrate_history"])
def test_a_migration_cannot_write_the_ledger_of_another_source(project, shelf, name):
    table(shelf.plugin("keeper", settings="ledger_table: keeper_ledger"), "1.0.0")
    vandal = shelf.plugin("vandal")
    (vandal / "1.0.0-step.py").write_text(
        f"def up(ctx):\n    ctx.database('keeper/state.db').execute('DELETE FROM {name}')\n"
    )
    project.ok("upgrade", "--plugin=keeper")
    err = project.fails("upgrade", "--plugin=vandal")
    assert f"The table '{name}' belongs to the ledger, and a migration may only read it" in err
    assert versions(project, "keeper") == {"1.0.0": "applied"}


def test_a_table_in_the_ledgers_place_is_told_with_the_plugins_settings_file(project, keeper):
    database = project.setup("CREATE TABLE migrations (x)", project.claude / "keeper/state.db")
    err = project.fails("upgrade", "--plugin=keeper")
    settings = f"{keeper.as_posix()}/plugin-migrate.yaml"
    assert f"ledger_table: plugin_state_migrations  to {settings}" in err
    assert tables(database) == []


# --- a plugin that is being written -------------------------------------------------------------


def test_a_plugin_under_development_is_named_by_its_folder(project, shelf, keeper):
    shelf.enable("keeper", on=False)
    root = keeper.parent
    assert "1.1.0 - Step" in project.ok("upgrade", "--plugin-dir", root)
    err = project.fails("downgrade", "3", "--plugin-dir", root, code=2)
    assert f"plugin-migrate downgrade --plugin-dir {root.as_posix()} 2" in err


def test_a_new_migration_can_be_written_into_a_plugin_under_development(project, keeper):
    project.ok("create", "more", "--plugin-dir", keeper.parent)
    assert (keeper / "1.1.1-more.py").exists()


def test_a_folder_that_is_no_plugin_with_migrations_is_refused(project, tmp_path):
    err = project.fails("status", "--plugin-dir", tmp_path, code=2)
    assert "That is no plugin with migrations" in err


def test_a_name_that_is_no_folders_name_is_told(project, shelf, keeper):
    shelf.enable("keeper", on=False)
    (keeper.parent / ".claude-plugin/plugin.json").write_text('{"name": "../keeper"}')
    err = project.fails("status", "--plugin-dir", keeper.parent, code=2)
    assert "That plugin has no name that a folder can have" in err


def test_several_folders_ask_which_is_meant(project, shelf, keeper):
    other = shelf.plugin("other").parent
    folders = ["--plugin-dir", keeper.parent, "--plugin-dir", other]
    assert "Which of these plugins?" in project.fails("status", *folders, code=2)
    assert project.json("status", "--all", *folders)["ok"]


# --- after a kill -------------------------------------------------------------------------------


def kill_while_publishing(project, *arguments):
    project.killed_at("event == 'os.rename' and path.endswith('note.txt')", "upgrade", *arguments)


@pytest.fixture
def writer(shelf):
    """A plugin whose migration writes a file of the shared state."""
    folder = shelf.plugin("writer")
    (folder / "1.0.0-note.py").write_text(
        "def up(ctx):\n    (ctx.claude / 'note.txt').write_text('new')\n"
        "def down(ctx):\n    (ctx.claude / 'note.txt').unlink()\n"
    )
    return folder


def test_what_a_killed_run_left_of_one_source_is_finished_by_the_next_run_of_another(
    project, writer, keeper
):
    kill_while_publishing(project, "--plugin-dir", str(writer.parent))
    assert not (project.claude / "note.txt").exists()
    project.ok("upgrade", "--plugin=keeper")
    assert (project.claude / "note.txt").read_text() == "new"
    assert versions(project, "writer") == {"1.0.0": "applied"}


def test_what_a_killed_run_left_is_finished_also_when_the_plugin_is_gone(project, shelf, writer):
    kill_while_publishing(project, "--plugin-dir", str(writer.parent))
    shelf.enable("writer", on=False)
    project.ok("upgrade")
    assert (project.claude / "note.txt").read_text() == "new"


def test_a_preview_of_one_source_sees_what_another_left_as_the_real_run_would(
    project, writer, keeper
):
    kill_while_publishing(project, "--plugin-dir", str(writer.parent))
    before = project.snapshot()
    project.ok("upgrade", "--preview", "--plugin=keeper")
    assert project.snapshot() == before


def test_what_a_killed_run_left_is_not_blamed_on_the_migrations_that_are_verified(project, writer):
    kill_while_publishing(project, "--plugin-dir", str(writer.parent))
    project.tables("1.0.0")
    (verified,) = project.json("verify")["migrations"]
    assert (verified["reversible"], verified["idempotent"]) == (True, True)


def test_an_edit_after_a_kill_stops_every_source_and_names_the_one_to_settle(
    project, writer, keeper
):
    kill_while_publishing(project, "--plugin-dir", str(writer.parent))
    project.write("note.txt", "edited by hand")
    err = project.fails("upgrade", "--plugin=keeper")
    assert "plugin-migrate repair --plugin writer --keep-live" in err
    project.ok("repair", "--keep-live", "--plugin=writer")
    project.ok("upgrade", "--plugin=keeper")
    assert (project.claude / "note.txt").read_text() == "edited by hand"


def test_restore_goes_back_to_before_a_plugins_upgrade(project, writer):
    project.ok("upgrade", "--plugin=writer")
    (backup,) = project.json("restore", "--plugin=writer")["backups"]
    project.ok("restore", backup["id"], "--plugin=writer")
    assert not (project.claude / "note.txt").exists()
    assert project.json("restore")["backups"] == []


def test_what_restore_proposes_names_the_plugin_and_the_backup(project, writer):
    project.ok("upgrade", "--plugin=writer")
    (backup,) = project.json("restore", "--plugin=writer")["backups"]
    project.write("note.txt", "edited by hand")
    err = project.fails("restore", backup["id"], "--plugin=writer")
    call = f"plugin-migrate restore --plugin writer {backup['id']} --force"
    assert f"To overwrite them (they are backed up first): {call}" in err
    project.ok(*call.split()[1:])


def test_a_note_about_a_ledger_that_makes_no_sense_is_ignored(project, writer, keeper):
    kill_while_publishing(project, "--plugin-dir", str(writer.parent))
    note = project.bookkeeping / "sources/writer/source.json"
    assert json.loads(note.read_text())["database"] == "writer/state.db"
    for text in ("{", "[]", '{"database": 1}', '{"ledger_table": "a b"}'):
        note.write_text(text)
        assert project.call("upgrade", "--plugin=keeper", "--dry-run").code == 0
    project.ok("upgrade", "--plugin=keeper")
    assert (project.claude / "note.txt").read_text() == "new"


@pytest.mark.parametrize(
    "note",
    [
        "[" * 200_000,
        '{"database": "\\ud800/state.db"}',
        '{"database": "../outside.db"}',
        '{"database": ".plugin-migrate/lock.db"}',
    ],
)
def test_a_hostile_note_about_a_ledger_leads_nowhere(project, keeper, note):
    left = project.bookkeeping / "sources/stranger"
    (left / "publish/0123456789abcdef").mkdir(parents=True)
    (left / "source.json").write_text(note)
    (project.root / "outside.db").write_text("not ours")
    project.ok("upgrade", "--plugin=keeper")
    assert (project.root / "outside.db").read_text() == "not ours"


def test_what_cannot_be_finished_names_whose_it_is_and_the_way_out(project, writer, keeper):
    kill_while_publishing(project, "--plugin-dir", str(writer.parent))
    (project.claude / "writer/state.db").write_text("broken " * 1000)
    err = project.fails("upgrade", "--plugin=keeper")
    assert "What a killed command left of the plugin writer cannot be finished: The file is" in err
    assert (
        "or restore it.\n  To give up what it left, remove .claude/.plugin-migrate/sources/" in err
    )


def test_what_is_left_of_a_plugin_that_is_gone_can_be_decided(project, shelf, writer, keeper):
    kill_while_publishing(project, "--plugin-dir", str(writer.parent))
    project.write("note.txt", "edited by hand")
    shelf.enable("writer", on=False)
    assert "repair --plugin writer --keep-live" in project.fails("upgrade", "--plugin=keeper")
    assert "repair --plugin writer --keep-live" in project.fails("repair", "--plugin=writer")
    project.ok("repair", "--plugin=writer", "--take-migrated")
    assert (project.claude / "note.txt").read_text() == "new"
    project.ok("upgrade", "--plugin=keeper")
    assert "Nothing to repair" in project.ok("repair", "--plugin=writer")


def test_sync_finishes_what_a_killed_run_left(project, shelf, writer):
    kill_while_publishing(project, "--plugin-dir", str(writer.parent))
    project.ok("sync", "--dry-run")
    assert versions(project, "writer") == {"1.0.0": "interrupted"}
    assert "nothing to do" in project.ok("sync")
    assert versions(project, "writer") == {"1.0.0": "applied"}
    assert (project.claude / "note.txt").read_text() == "new"


# --- state beside `.claude/` ---------------------------------------------------------------------


@pytest.fixture
def beads(shelf, project):
    """The migrations folder of a plugin that keeps its state in `.beads/`."""
    folder = shelf.plugin("beads", settings="state:\n  - .beads/\n  - .mcp.json\n")
    (project.root / ".beads").mkdir()
    (project.root / ".beads/a").write_text("old")
    write(folder, "1.0.0", "(ctx.project / '.beads/a').write_text('new')")
    return folder


def write(folder, version, up, metadata="{}"):
    text = f"metadata = {metadata}\n\ndef up(ctx):\n    {up}\n\ndef down(ctx):\n    pass\n"
    (folder / f"{version}-step.py").write_text(f"# .mcp.json is seldom there\n{text}")


def test_a_plugin_changes_what_its_opt_in_file_names_and_the_project_does_not(project, beads):
    project.ok("upgrade", "--plugin", "beads")
    assert (project.root / ".beads/a").read_text() == "new"
    project.python("1.0.0", "(ctx.project / '.beads/a').write_text('own')")
    assert "No such file or directory: '.beads/a'" in project.fails("upgrade")
    assert (project.root / ".beads/a").read_text() == "new"


def test_another_plugins_folder_is_changed_only_by_who_requires_it(project, shelf, beads):
    other = shelf.plugin("other", settings="state: [.beads/, .mcp.json]\n")
    write(other, "1.0.0", "(ctx.project / '.beads/a').write_text('other')")
    told = "Migration 1.0.0 of other can change .beads/, which is state of beads"
    for command in ("upgrade", "upgrade --dry-run", "upgrade --preview", "verify"):
        assert told in project.fails(*command.split(), "--plugin", "other")
    assert (project.root / ".beads/a").read_text() == "old"
    write(
        other,
        "1.0.0",
        "(ctx.project / '.beads/a').write_text('other')",
        '{"requires": {"beads": ">=1.0.0"}}',
    )
    project.ok("upgrade", "--all")
    assert (project.root / ".beads/a").read_text() == "other"
    # Whoever requires the plugin is a guest in its folder.
    write(beads, "1.1.0", "(ctx.project / '.beads/a').write_text('newer')")
    project.ok("upgrade", "--plugin", "beads")
    assert (project.root / ".beads/a").read_text() == "newer"


def test_a_killed_run_of_a_plugin_is_finished_beside_by_the_projects_own(project, beads):
    environment = {"HOME": str(project.home)}
    project.tables("1.0.0")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        project.killed_at(
            "event == 'os.rename' and '.beads/a' in str(arguments)", "upgrade", "--plugin", "beads"
        )
    (beads / "plugin-migrate.yaml").unlink()  # it ships nothing any more
    project.ok("upgrade")
    assert (project.root / ".beads/a").read_text() == "new"
