"""Plugins whose state is in the user's own folder: migrated once per user, for every project."""

import json
import os
from contextlib import closing, contextmanager

import pytest

from command_line import Project
from gate import Gate
from plugin_migrate.errors import BadConfig
from plugin_migrate.sources.installed import Plugin
from plugin_migrate.sources.shipped import workspace_of
from plugins import Shelf
from project import ended

SETTINGS = '{\n  "model": "opus",\n  "hooks": {"Stop": ["old"]}\n}\n'


@pytest.fixture
def shelf(project, tmp_path):
    return Shelf(project.home, tmp_path / "shelf")


@pytest.fixture
def hooks(shelf):
    """The migrations folder of a plugin that changes the user's settings and agents."""
    folder = shelf.plugin("hooks", settings="scope: user\nstate: [settings.json, agents/]\n")
    (shelf.config / "agents").mkdir()
    (shelf.config / "agents/a.md").write_text("old")
    for private in ("projects/p/s.jsonl", "todos/t.json", ".credentials.json", "history.jsonl"):
        (shelf.config / private).parent.mkdir(parents=True, exist_ok=True)
        (shelf.config / private).write_text("secret")
    write(
        folder,
        "1.0.0",
        """
        with ctx.edit_json("settings.json") as settings:
            settings["hooks"] = {"Stop": ["new"]}
        (ctx.claude / "agents/a.md").write_text("new")
        """,
        """
        with ctx.edit_json("settings.json") as settings:
            settings["hooks"] = {"Stop": ["old"]}
        (ctx.claude / "agents/a.md").write_text("old")
        """,
    )
    settings = json.loads((shelf.config / "settings.json").read_text())
    (shelf.config / "settings.json").write_text(json.dumps(settings | {"hooks": {"Stop": ["old"]}}))
    return folder


def write(folder, version, up, down="pass"):
    def body(text):
        lines = [line for line in text.splitlines() if line.strip()]
        indent = min(len(line) - len(line.lstrip()) for line in lines)
        return "\n".join("    " + line[indent:] for line in lines)

    file = folder / f"{version}-step.py"
    file.write_text(f"def up(ctx):\n{body(up)}\n\ndef down(ctx):\n{body(down)}\n")
    return file


@contextmanager
def at_home(project):
    """Let processes that a test starts find the user's folder."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HOME", "USERPROFILE"):
            patch.setenv(name, str(project.home))
        yield


def stops(shelf):
    return json.loads((shelf.config / "settings.json").read_text())["hooks"]["Stop"]


def second(project, tmp_path):
    """Another project of the same user."""
    return Project(tmp_path / "second", project.home)


def test_it_is_migrated_once_for_every_project(project, shelf, hooks, tmp_path):
    assert "hooks: 1 pending" in project.ok("status")
    assert "✓ Applied 1 migration(s)" in project.ok("upgrade", "--user")
    assert stops(shelf) == ["new"]
    assert (shelf.config / "agents/a.md").read_text() == "new"
    assert (shelf.config / "hooks/state.db").exists()
    assert os.listdir(project.claude) == ["core"]
    other = second(project, tmp_path)
    assert "hooks" not in other.ok("status")
    assert "No pending migrations" in other.ok("upgrade", "--user")
    assert "✓ Rolled back 1 migration(s)" in other.ok("downgrade", "--user")
    assert stops(shelf) == ["old"]


def test_a_migration_sees_what_its_plugin_names_and_nothing_else(project, shelf, hooks):
    write(
        hooks,
        "1.1.0",
        """
        import pathlib
        seen = sorted(path.relative_to(ctx.project).as_posix() for path in ctx.project.rglob("*"))
        assert seen == [
            ".claude", ".claude/agents", ".claude/agents/a.md", ".claude/settings.json"
        ], seen
        assert pathlib.Path(".claude/settings.json").exists()
        """,
        "assert not (ctx.claude / 'projects').exists()",
    )
    project.ok("upgrade", "--user")
    project.ok("verify", "--user", "1.1.0")


@pytest.mark.parametrize(
    "up",
    [
        "(ctx.claude / 'CLAUDE.md').write_text('x')",
        "(ctx.claude / 'projects').mkdir()",
        "open(HOME + '/.claude/settings.json', 'a')",
        "open(HOME + '/.claude/todos/t.json', 'a')",
    ],
)
def test_a_migration_that_writes_elsewhere_in_the_folder_is_refused(project, shelf, hooks, up):
    write(hooks, "1.1.0", up.replace("HOME", repr(str(project.home))))
    told = project.call("upgrade", "--user")
    assert told.code == 1
    assert "wrote outside" in told.err or "is the live state" in told.err
    assert (shelf.config / "todos/t.json").read_text() == "secret"
    assert sorted(os.listdir(shelf.config / "projects")) == ["p"]


def test_nothing_private_is_copied_by_a_backup_a_preview_or_a_proof(project, shelf, hooks):
    project.ok("upgrade", "--user")
    project.ok("verify", "--user", "1.0.0")
    project.ok("downgrade", "--user")
    assert "changed file ~/.claude/agents/a.md\n" in project.ok("upgrade", "--user", "--preview")
    for folder, _, names in os.walk(shelf.config / ".plugin-migrate"):
        for name in names:
            with open(os.path.join(folder, name), "rb") as file:
                assert b"secret" not in file.read()
    backups = project.json("restore", "--user")["backups"]
    assert backups[0]["files"] == ["agents/a.md", "settings.json"]


def test_a_backup_is_restored_from_any_project(project, shelf, hooks, tmp_path):
    project.ok("upgrade", "--user")
    other = second(project, tmp_path)
    (backup,) = other.json("restore", "--user")["backups"]
    assert "  • ~/.claude/agents/a.md: changed\n" in other.ok("show", "1.0.0", "--user")
    out = other.ok("restore", backup["id"], "--user")
    assert out.startswith(f"✓ Restored {backup['id']}\n  • ~/.claude/agents/a.md\n")
    assert stops(shelf) == ["old"]
    assert "hooks: 1 pending" in project.ok("status")


def test_a_preview_is_possible_while_another_plugins_killed_run_waits(project, shelf, hooks):
    other = shelf.plugin("styles", settings="scope: user\nstate: [output-styles/]\n")
    write(other, "1.0.0", "(ctx.claude / 'output-styles').mkdir()")
    with at_home(project):
        project.killed_at(
            "event == 'os.rename' and path.endswith('/a.md')", "upgrade", "--plugin", "hooks"
        )
    assert "interrupted" in project.ok("status", "--plugin", "hooks")
    assert "created folder ~/.claude/output-styles" in project.ok(
        "upgrade", "--plugin", "styles", "--preview"
    )
    project.ok("upgrade", "--plugin", "styles")
    assert stops(shelf) == ["new"]


def test_no_project_is_needed(project, shelf, hooks, tmp_path):
    nowhere = tmp_path / "nowhere"
    nowhere.mkdir()
    project.ok("upgrade", "--user", cwd=nowhere)
    assert stops(shelf) == ["new"]
    assert project.call("status", cwd=nowhere).code == 1


def test_all_sync_status_and_check_include_it(project, shelf, hooks):
    project.tables("1.0.0")
    assert project.call("check", "--all").code == 3
    assert "Plugin hooks, in ~/.claude:" in project.ok("status", "--all")
    project.ok("upgrade", "--all")
    assert stops(shelf) == ["new"]
    assert project.call("check", "--all").code == 0
    (hooks / "1.0.0-step.py").unlink()
    project.ok("sync")
    assert stops(shelf) == ["old"]


def test_user_leaves_the_project_alone(project, shelf, hooks):
    project.tables("1.0.0")
    shelf.plugin("other")
    project.ok("upgrade", "--user")
    assert project.statuses() == {"1.0.0": "pending"}
    project.ok("downgrade", "--user")
    told = project.fails("upgrade", "--user", "--plugin", "other", code=2)
    assert "No enabled plugin called other" in told


def test_of_several_plugins_user_means_all_or_asks_which(project, shelf, hooks):
    other = shelf.plugin("styles", settings="scope: user\nstate: [output-styles/]\n")
    write(other, "1.0.0", "(ctx.claude / 'output-styles').mkdir()")
    out = project.ok("upgrade", "--user")
    assert "Plugin hooks, in ~/.claude:" in out
    assert "Plugin styles, in ~/.claude:" in out
    assert "Which of these plugins? hooks, styles" in project.fails("repair", "--user", code=2)
    assert stops(shelf) == ["new"]


def test_without_such_a_plugin_user_says_so(project, shelf):
    shelf.plugin("other")
    assert "No enabled plugin has migrations for the user's own folder" in project.fails(
        "upgrade", "--user", code=2
    )


def test_the_folder_may_be_elsewhere(project, shelf, hooks, tmp_path):
    moved = tmp_path / "configuration"
    shelf.config.rename(moved)
    project.ok("upgrade", "--user", environment={"CLAUDE_CONFIG_DIR": str(moved)})
    assert (moved / "agents/a.md").read_text() == "new"
    assert not shelf.config.exists()


def test_the_ledger_may_be_in_the_plugins_data(project, shelf, hooks, tmp_path):
    (hooks / "plugin-migrate.yaml").write_text(
        "scope: user\nstate: [settings.json, agents/]\ndatabase: ${CLAUDE_PLUGIN_DATA}/l.db\n"
    )
    project.ok("upgrade", "--user")
    assert (shelf.config / "plugins/data/hooks-shelf/l.db").exists()
    project.ok("verify", "--user", "1.0.0")
    assert "No pending migrations" in second(project, tmp_path).ok("upgrade", "--user")


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("scope: machine", "Setting 'scope' must be project or user, not 'machine'"),
        ("scope: user\nstate: [projects/]", "'state' names 'projects', which is the client's own"),
        ("scope: user\nstate: [Plugins/x]", "'state' names 'Plugins/x', which is the client's own"),
        ("scope: user\nstate: [todos]", "'state' names 'todos', which is the client's own"),
        ("scope: user\nstate: [.credentials.json]", "which is the client's own"),
        ("scope: user\nstate: [history.jsonl]", "which is the client's own"),
        ("scope: user\nstate: [.]", "'state' names '.', which is all of the user's folder"),
        ("scope: user\nstate: [../.ssh]", "'../.ssh', which leads out of the user's folder"),
        ("scope: user\nstate: [~/x]", "'~/x', which is not relative to the user's folder"),
        ("scope: user\ndatabase: ../x.db", "must lie in the user's folder or in the plugin's own"),
    ],
)
def test_settings_that_cannot_be_are_refused_in_a_sentence(project, shelf, settings, told):
    root = str(shelf.plugin("hooks", settings=settings).parent)
    plugin = Plugin("hooks", "hooks", root, None, f"{shelf.config}/plugins/data", str(shelf.config))
    with pytest.raises(BadConfig) as caught:
        workspace_of(project.workspace(), plugin)
    assert told in caught.value.message


def test_such_settings_change_nothing(project, shelf, hooks):
    (hooks / "plugin-migrate.yaml").write_text("scope: user\nstate: [projects/]\n")
    before = sorted(os.listdir(shelf.config))
    assert "'state' names 'projects'" in project.fails("upgrade", "--plugin", "hooks")
    assert sorted(os.listdir(shelf.config)) == before


def test_a_project_has_no_scope(project):
    project.config("scope: user\n")
    assert "Unknown setting 'scope'" in project.fails("status")


def test_a_link_in_the_users_folder_is_not_followed(project, shelf, hooks, tmp_path):
    (shelf.config / "agents").rename(tmp_path / "dotfiles")
    (shelf.config / "agents").symlink_to(tmp_path / "dotfiles")
    told = project.call("upgrade", "--user").err
    assert "'state' names ~/.claude/agents, which is a link" in told
    assert (tmp_path / "dotfiles/a.md").read_text() == "old"


def test_a_folder_that_is_not_there_or_cannot_be_written_is_told(project, shelf, hooks):
    told = project.call("upgrade", "--user", environment={"CLAUDE_CONFIG_DIR": "/nonexistent"}).err
    assert "No enabled plugin has migrations for the user's own folder" in told
    (shelf.config / ".plugin-migrate").write_text("in the way")
    told = project.fails("upgrade", "--user")
    assert "The state cannot be read or written: " in told
    assert "/.claude/.plugin-migrate\n" in told
    assert stops(shelf) == ["old"]


# --- sessions -------------------------------------------------------------------------------------


def test_two_projects_sessions_share_one_lock(project, shelf, hooks, tmp_path):
    gate = Gate(tmp_path)
    write(hooks, "1.1.0", gate.code)
    # Closed first, so that nobody waits for one who waits here.
    with at_home(project), project.child("upgrade", "--user") as running, closing(gate):
        gate.wait_for()
        other = second(project, tmp_path)
        told = other.call("upgrade", "--user", "--lock-timeout=0").err
        assert "is already running" in told
        gate.open()
        assert ended(running)[1] == ""
        assert running.returncode == 0
    assert "No pending migrations" in other.ok("upgrade", "--user")


REWRITE = """
import json, os, pathlib
live = pathlib.Path({live!r})
count = pathlib.Path({count!r})
seen = int(count.read_text()) if count.exists() else 0
if seen < {times}:
    count.write_text(str(seen + 1))
    import subprocess, sys
    text = json.dumps(json.loads(live.read_text()) | {{"seen": seen}})
    subprocess.run([sys.executable, "-c", "import sys; open(sys.argv[1], 'w').write(sys.argv[2])",
                    str(live), text], check=True)
"""


def rewriting(shelf, hooks, tmp_path, times):
    """Let the client rewrite the user's settings the first times that the step runs."""
    live, count = str(shelf.config / "settings.json"), str(tmp_path / "count")
    file = hooks / "1.0.0-step.py"
    rewrite = REWRITE.format(live=live, count=count, times=times).replace("\n", "\n    ")
    file.write_text(file.read_text().replace("def up(ctx):\n", f"def up(ctx):\n{rewrite}\n", 1))


def test_a_step_runs_again_when_the_client_rewrites_the_settings(project, shelf, hooks, tmp_path):
    rewriting(shelf, hooks, tmp_path, times=3)
    project.ok("upgrade", "--user")
    assert stops(shelf) == ["new"]
    assert json.loads((shelf.config / "settings.json").read_text())["seen"] == 2


def test_it_does_not_do_so_without_end(project, shelf, hooks, tmp_path):
    rewriting(shelf, hooks, tmp_path, times=99)
    told = project.fails("upgrade", "--user")
    assert "settings.json was changed by somebody else while the migration ran" in told
    assert stops(shelf) == ["old"]
    assert (tmp_path / "count").read_text() == "5"
