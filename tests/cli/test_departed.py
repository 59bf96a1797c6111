"""State whose plugin went away is shown, explained, and rolled back from the stored sources."""

import json
import os
import shutil

import pytest

from plugins import Shelf, table


@pytest.fixture
def shelf(project, tmp_path):
    return Shelf(project.home, tmp_path / "shelf")


@pytest.fixture
def keeper(project, shelf):
    """The migrations folder of a plugin that has migrated the project twice."""
    folder = shelf.plugin("keeper")
    table(folder, "1.0.0")
    (folder / "1.1.0-note.py").write_text(
        "def up(ctx):\n    (ctx.claude / 'note.md').write_text('new')\n"
        "def down(ctx):\n    (ctx.claude / 'note.md').unlink()\n"
    )
    project.ok("upgrade", "--plugin=keeper")
    return folder


def disable(shelf):
    shelf.enable("keeper", on=False)


def take_out_of_the_catalogue(shelf):
    manifest = shelf.folder / ".claude-plugin/marketplace.json"
    manifest.write_text(json.dumps({"name": "shelf", "plugins": []}))


def forget(shelf):
    take_out_of_the_catalogue(shelf)
    settings = shelf.config / "settings.json"
    settings.write_text("{}")


def remove_the_folder(shelf):
    shutil.rmtree(shelf.folder / "keeper")


def opt_out(shelf):
    (shelf.folder / "keeper/migrations/plugin-migrate.yaml").unlink()


def empty_the_cache(shelf):
    """Make it a plugin that was installed from elsewhere, and whose copy is gone."""
    root = shelf.config / "plugins/cache/shelf/keeper/1.0.0"
    known = {"shelf": {"source": {"source": "github"}, "installLocation": str(shelf.folder)}}
    (shelf.config / "plugins/known_marketplaces.json").write_text(json.dumps(known))
    record = {"scope": "user", "installPath": str(root)}
    registry = {"version": 2, "plugins": {"keeper@shelf": [record]}}
    (shelf.config / "plugins/installed_plugins.json").write_text(json.dumps(registry))


WAYS = {
    disable: ("disabled", "is disabled", "claude plugin enable keeper@shelf"),
    take_out_of_the_catalogue: (
        "uninstalled",
        "is not installed",
        "claude plugin install keeper@shelf",
    ),
    forget: ("uninstalled", "is not installed", "--plugin-dir"),
    remove_the_folder: ("gone", "shelf/keeper", "claude plugin install keeper@shelf"),
    empty_the_cache: ("gone", "cache/shelf/keeper/1.0.0", "claude plugin install keeper@shelf"),
    opt_out: ("silent", "ships no migrations any more", "Update it"),
}


@pytest.mark.parametrize("goes", WAYS)
def test_status_says_which_way_a_plugin_went_and_what_to_do(project, shelf, keeper, goes):
    kind, sentence, advice = WAYS[goes]
    goes(shelf)
    *_, last = project.ok("status").splitlines()
    assert last.startswith("Plugin keeper: 2 applied (current version 1.1.0), and the plugin ")
    assert sentence in last
    assert advice in last
    assert last.endswith("plugin-migrate downgrade --plugin keeper 0.0.0")
    (attention,) = project.json("status")["plugins"]
    assert (attention["plugin"], attention["departed"], attention["ahead"]) == ("keeper", kind, 2)
    assert advice in attention["hint"]


@pytest.mark.parametrize("goes", [disable, forget, empty_the_cache])
def test_its_state_is_rolled_back_from_the_stored_sources(project, shelf, keeper, goes):
    goes(shelf)
    out = project.ok("downgrade", "--plugin=keeper", "0.0.0")
    assert "Rolled back 2 migration(s)" in out
    assert out.count("(from the stored source: its file is gone)") == 2
    assert not (project.claude / "note.md").exists()
    assert "keeper" not in project.ok("status")
    assert "No enabled plugin called keeper" in project.fails(
        "downgrade", "--plugin=keeper", code=2
    )


def test_a_preview_and_a_dry_run_of_that_change_nothing(project, shelf, keeper):
    disable(shelf)
    for option in ("--dry-run", "--preview"):
        assert "1.1.0" in project.ok("downgrade", "--plugin=keeper", option)
    assert (project.claude / "note.md").exists()


def test_what_needs_no_file_works_and_what_needs_one_says_why_not(project, shelf, keeper):
    disable(shelf)
    status = project.ok("status", "--plugin=keeper@shelf")
    assert status.count("Missing") == 3
    assert "the plugin is disabled. Enable it (claude plugin enable keeper@shelf)" in status
    assert "1.1.0" in project.ok("history", "--plugin=keeper")
    assert "Nothing to repair" in project.ok("repair", "--plugin=keeper")
    assert project.ok("restore", "--plugin=keeper")
    for command in (["upgrade"], ["verify"], ["sync"], ["create", "x"], ["baseline", "1.1.0"]):
        err = project.fails(*command, "--plugin=keeper", code=2)
        assert "The plugin keeper is disabled\n" in err
        assert "Enable it (claude plugin enable keeper@shelf), or roll its state back" in err


def test_check_does_not_call_such_a_state_good(project, shelf, keeper):
    disable(shelf)
    code, out, _ = project.call("check", "--plugin=keeper")
    assert (code, out) == (
        1,
        "No pending migrations (current version: 1.1.0); 2 missing, 2 newer than every file\n",
    )
    document = project.json("check", "--all")
    assert not document["ok"]
    assert [(one["source"], one["ok"]) for one in document["sources"]] == [
        (None, True),
        ("keeper", False),
    ]


def test_all_shows_it_under_a_heading_of_its_own(project, shelf, keeper):
    disable(shelf)
    assert "Plugin keeper:\n1.0.0  missing  Step" in project.ok("status", "--all", "--format=list")


def test_check_fails_after_a_plugin_went_back_to_an_older_version(project, keeper):
    assert project.call("check", "--plugin=keeper").code == 0
    (keeper / "1.1.0-note.py").unlink()
    code, out, _ = project.call("check", "--plugin=keeper")
    assert code == 1
    assert "1 newer than every file" in out
    document = project.json("check", "--plugin=keeper")
    assert (document["ok"], document["ahead"]) == (False, ["1.1.0"])
    project.ok("sync", "--plugin=keeper")
    assert project.call("check", "--plugin=keeper").code == 0


def test_check_fails_when_the_projects_own_state_is_ahead_of_its_files(project):
    project.tables("1.0.0", "1.1.0", "1.2.0")
    project.ok("upgrade")
    (project.migrations / "1.0.0-step.sql").unlink()  # as old ones are when a history is cleaned up
    assert project.call("check").code == 0
    (project.migrations / "1.2.0-step.sql").unlink()
    assert project.call("check").code == 1


def test_what_a_killed_command_left_comes_first(project, shelf, keeper):
    disable(shelf)
    with project.connect(project.claude / "keeper/state.db") as connection:
        connection.execute(
            "UPDATE plugin_migrate_history SET action = 'down', outcome = 'started'"
            " WHERE version = '1.1.0'"
        )
    *_, last = project.ok("status").splitlines()
    assert last.endswith("Run: plugin-migrate repair --plugin keeper")


def test_a_ledger_that_cannot_be_read_is_told(project, shelf, keeper):
    disable(shelf)
    (project.claude / "keeper/state.db").write_bytes(b"no database" * 100)
    *_, last = project.ok("status").splitlines()
    assert last.startswith("Plugin keeper: ")
    assert last.endswith("is disabled. Run: plugin-migrate status --plugin keeper")


@pytest.mark.parametrize("place", ["elsewhere.db", "../outside.db", "/etc/hosts"])
def test_a_note_that_came_with_a_repository_leads_nowhere_else(project, tmp_path, place):
    outside = project.setup("CREATE TABLE t (x)", tmp_path / "outside.db")
    before = os.stat(outside)
    note = {"database": str(outside) if place == "elsewhere.db" else place, "ledger_table": "m"}
    project.write(".plugin-migrate/sources/evil/source.json", json.dumps(note))
    project.write(".plugin-migrate/sources/\x1b[31m/source.json", json.dumps(note))
    assert "evil" not in project.ok("status")
    assert "No enabled plugin" in project.fails("downgrade", "--plugin=evil", code=2)
    assert os.stat(outside) == before


def test_settings_of_a_repository_put_no_words_into_our_advice(project, shelf, keeper):
    forget(shelf)
    switches = {"enabledPlugins": {"keeper@x; rm -rf ~": True, "keeper@\x1b[31m": True}}
    project.write("settings.json", json.dumps(switches))
    last = project.ok("status").splitlines()[-1]
    assert "rm -rf" not in last
    assert "is not installed. Install it again, or name its folder with --plugin-dir" in last


def test_what_it_is_built_on_stays_until_it_is_rolled_back(project, shelf, keeper):
    search = shelf.plugin("search")
    table(search, "1.0.0", header='-- requires: {keeper: ">=1.1.0"}\n')
    project.ok("upgrade", "--plugin=search")
    shelf.enable("search", on=False)
    for command in (["--plugin=keeper"], ["--all", "0.0.0"]):
        err = project.fails("downgrade", *command)
        assert "Migration 1.0.0 of search is applied and requires keeper >=1.1.0" in err
        assert "plugin-migrate downgrade --plugin search 0.0.0" in err
    project.ok("downgrade", "--plugin=search", "0.0.0")
    project.ok("downgrade", "--plugin=keeper")


def test_what_a_stored_source_imports_has_to_come_back_with_the_plugin(project, shelf, keeper):
    (keeper / "_names.py").write_text("NAME = 'x'\n")
    text = "import _names\ndef up(ctx):\n    pass\ndef down(ctx):\n    pass\n"
    (keeper / "1.2.0-import.py").write_text(text)
    project.ok("upgrade", "--plugin=keeper")
    disable(shelf)
    err = project.fails("downgrade", "--plugin=keeper")
    assert "No module named '_names'" in err
    assert "Enable it (claude plugin enable keeper@shelf), then try again." in err
    shelf.enable("keeper")
    project.ok("downgrade", "--plugin=keeper")
