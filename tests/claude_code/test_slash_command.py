"""`/plugin-migrate` in the real client: what it does, and what Claude gets to read."""

import json

import pytest

from claude_code.client import LAUNCHER, bash, launcher_call
from claude_code.messages_api import Failure, ToolCall


def test_the_table_reaches_the_user_by_both_names_and_without_the_model(client, project):
    project.tables("1.0.0")
    project.ok("upgrade")
    project.tables("1.1.0")
    table = project.ok("status", environment={"CLAUDECODE": "1"}).strip("\n")
    assert "│ 1.1.0" in table
    for name in ("/plugin-migrate", "/plugin-migrate:plugin-migrate"):
        talk = client.ask(f"{name} status", project.root)
        assert talk.printed == table
        assert talk.requests == []


def test_upgrade_downgrade_and_create_do_their_work(client, project):
    project.tables("1.0.0", "1.1.0")
    talk = client.ask("/plugin-migrate upgrade", project.root, "Done.")
    assert talk.printed.startswith("✓ Applied 2 migration(s) in ")
    assert (talk.told, talk.answer) == (talk.printed, "Done.")
    assert project.statuses() == {"1.0.0": "applied", "1.1.0": "applied"}
    talk = client.ask("/plugin-migrate downgrade 1", project.root)
    assert talk.printed.startswith("✓ Rolled back 1 migration(s)\n  • 1.1.0 - ")
    assert project.statuses() == {"1.0.0": "applied", "1.1.0": "pending"}
    talk = client.ask("/plugin-migrate create x --template=schema", project.root)
    assert talk.printed.startswith("✓ Created migration: 1.1.1-x.py")
    assert "1.1.1-x.py" in {path.name for path in project.migrations.iterdir()}


def test_a_failure_reaches_claude_as_text(client, project):
    project.tables("1.0.0")
    project.sql("1.1.0", "CREATE TABLE a (x);\nINSERT INTO nowhere VALUES (1);")
    talk = client.ask("/plugin-migrate upgrade", project.root, "It failed.")
    assert "✓ Applied 1 migration(s)" in talk.printed
    assert "✗ Error: Could not apply 1.1.0" in talk.printed
    assert "no such table: nowhere" in talk.printed
    assert "plugin-migrate downgrade 1" in talk.printed
    assert talk.answer == "It failed."
    assert project.statuses() == {"1.0.0": "applied", "1.1.0": "pending"}


def test_no_project_and_wrong_usage_reach_claude_as_text(client, folder):
    (folder / "bare").mkdir()
    assert "✗ Error: " in client.ask("/plugin-migrate status", folder / "bare").printed
    talk = client.ask("/plugin-migrate upgrade 1.a.0", folder / "bare")
    assert talk.printed.startswith("✗ Error: ")
    assert talk.told == talk.printed


def test_without_python_claude_is_told(client, project, folder, cache):
    tools = folder / "bin"
    tools.mkdir()
    for tool in ("sh", "bash", "env", "id", "ls", "mkdir", "readlink", "uname", "pwd"):
        (tools / tool).symlink_to(f"/bin/{tool}")
    bare = {"PATH": str(tools), "PLUGIN_MIGRATE_CACHE": str(folder / "empty")}
    talk = client.ask("/plugin-migrate status", project.root, environment=bare)
    assert "✗ Error: No Python 3.11 or later was found" in talk.printed


def test_of_thousands_of_migrations_claude_sees_what_matters(client, project):
    for number in range(5_000):
        version = f"{number // 100}.{number % 100}.0"
        project.sql(version, description=f"Step {number} ✓ with a description of some length")
    talk = client.ask("/plugin-migrate upgrade", project.root)
    assert talk.printed.startswith("✓ Applied 5000 migration(s) in ")
    assert "`plugin-migrate history` shows what was done]" in talk.printed
    assert talk.printed.endswith("  • 49.99.0 - Step 4999 ✓ with a description of some length")
    project.sql("50.0.0")
    talk = client.ask("/plugin-migrate status", project.root)
    assert "│ 49.99.0 " in talk.printed
    assert "│ 50.0.0 " in talk.printed
    assert "\nSummary: 5000 applied, 1 pending\n" in talk.printed
    assert "of 5001 migrations are left out" in talk.printed
    assert len(talk.told) < 10_000
    talk = client.ask("/plugin-migrate status --format=json", project.root)
    assert json.loads(talk.printed)["error"]["code"] == "output_too_long"


# When the model's service fails


def test_the_outcome_is_on_the_screen_whatever_becomes_of_the_model(client, project):
    project.tables("1.0.0", "1.1.0")
    talk = client.ask("/plugin-migrate upgrade", project.root, Failure())
    assert talk.answer == "Credit balance is too low"
    assert talk.told.startswith("✓ Applied 2 migration(s) in ")
    assert talk.told.endswith("  • 1.1.0 - Step")


def test_a_message_that_is_sent_again_in_print_mode_does_nothing_twice(client, project):
    project.tables("1.0.0", "1.1.0")
    project.ok("upgrade")
    session = client.ask("/plugin-migrate downgrade 1", project.root, Failure()).session
    resumed = ("--resume", session)
    talk = client.ask("/plugin-migrate downgrade 1", project.root, options=resumed)
    assert "was not done once more" in talk.told
    assert talk.requests == []
    assert project.statuses() == {"1.0.0": "applied", "1.1.0": "pending"}
    client.ask("Go on", project.root, "Fine.", options=resumed)
    client.ask("/plugin-migrate downgrade 1", project.root, options=resumed)
    assert project.statuses() == {"1.0.0": "pending", "1.1.0": "pending"}


# What Claude may do afterwards


def test_claude_cannot_invoke_the_command(client, project):
    project.tables("1.0.0")
    use = ToolCall("Skill", {"skill": "plugin-migrate:plugin-migrate", "args": "upgrade"})
    bypass = ("--permission-mode", "bypassPermissions")
    for options in ((), ("--allowedTools", "Skill"), bypass):
        talk = client.ask("Update all.", project.root, use, options=options)
        assert "disable-model-invocation" in talk.results[0]
        assert project.statuses() == {"1.0.0": "pending"}


def test_every_tool_that_runs_shell_commands_asks(client, project):
    project.tables("1.0.0")
    command = launcher_call("upgrade").input["command"]
    watch = ToolCall("Monitor", {"command": command, "description": "x", "timeout_ms": 9_000})
    for options in (("--allowedTools", "Bash,Monitor"), ("--permission-mode", "bypassPermissions")):
        talk = client.ask("Go", project.root, watch, options=options)
        assert talk.results == ["plugin-migrate upgrade: apply 1 to this project: 1.0.0 Step"]
        assert project.statuses() == {"1.0.0": "pending"}


def test_a_replayed_call_asks(client, project):
    project.tables("1.0.0", "1.1.0")
    session = "7d4a2c11-0c2f-4f0b-9d53-3a1f9f6f6a10"
    text = f"<<'A'\n{project.root}\n[upgrade 1.0.0]\nA"
    replayed = bash(f'"{LAUNCHER}" --slash {session} {text}')
    options = ("--session-id", session, "--allowedTools", "Bash")
    talk = client.ask("/plugin-migrate upgrade 1.0.0", project.root, replayed, options=options)
    assert talk.denied == [replayed.input]
    assert talk.results[0].startswith("plugin-migrate: call what /plugin-migrate calls")
    assert project.statuses() == {"1.0.0": "applied", "1.1.0": "pending"}


def test_a_call_that_is_allowed_brings_nothing_else_in(client, project):
    project.tables("1.0.0")
    status = launcher_call("status").input["command"]
    attempts = [
        f"{status}; touch pwned",
        f"{status} && touch pwned",
        f"{status} $(touch pwned)",
        f"{status} `touch pwned`",
        f"{status} > pwned",
        f"{status}\ntouch pwned",
        f"{status} | tee pwned",
    ]
    typed = "/plugin-migrate upgrade --dry-run"
    talk = client.ask(typed, project.root, *map(bash, attempts))
    assert talk.denied == [{"command": command} for command in attempts]
    assert not (project.root / "pwned").exists()


def test_without_the_command_being_typed_nothing_is_granted(client, project):
    project.tables("1.0.0")
    calls = [launcher_call("status"), launcher_call("upgrade")]
    talk = client.ask("Are there migrations?", project.root, *calls)
    assert talk.denied == [call.input for call in calls]
    assert project.statuses() == {"1.0.0": "pending"}


@pytest.mark.parametrize("below", ["", "src/deep"])
def test_a_session_started_below_the_project_finds_it(client, project, below):
    project.tables("1.0.0")
    (project.root / below).mkdir(parents=True, exist_ok=True)
    assert "│ 1.0.0" in client.ask("/plugin-migrate status", project.root / below).printed
