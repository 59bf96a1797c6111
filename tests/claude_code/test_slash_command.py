"""`/plugin-migrate` in the real client: what it does, and what Claude gets to read."""

import json

import pytest

from claude_code.client import LAUNCHER, bash, launcher_call
from claude_code.messages_api import ToolCall


def test_the_table_reaches_claude_by_both_names(client, project):
    project.tables("1.0.0")
    project.ok("upgrade")
    project.tables("1.1.0")
    table = project.ok("status", environment={"CLAUDECODE": "1"}).strip("\n")
    assert "│ 1.1.0" in table
    for name in ("/plugin-migrate", "/plugin-migrate:plugin-migrate"):
        talk = client.ask(f"{name} status", project.root, "Here it is.")
        assert talk.printed == table
        assert talk.answer == "Here it is."
        assert "word for word" in talk.shown  # what Claude is to do with it
        assert talk.denied == []


def test_upgrade_downgrade_and_create_do_their_work(client, project):
    project.tables("1.0.0", "1.1.0")
    talk = client.ask("/plugin-migrate upgrade", project.root)
    assert talk.printed.startswith("✓ Applied 2 migration(s) in ")
    assert project.statuses() == {"1.0.0": "applied", "1.1.0": "applied"}
    talk = client.ask("/plugin-migrate downgrade 1", project.root)
    assert talk.printed.startswith("✓ Rolled back 1 migration(s)\n  • 1.1.0 - ")
    assert project.statuses() == {"1.0.0": "applied", "1.1.0": "pending"}
    talk = client.ask("/plugin-migrate create x --template=schema", project.root)
    assert talk.printed.startswith("✓ Created migration: 1.2.0-x.py")
    assert "1.2.0-x.py" in {path.name for path in project.migrations.iterdir()}


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
    assert "✗ Error: " in client.ask("/plugin-migrate upgrade 1.a.0", folder / "bare").printed


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
    talk = client.ask("/plugin-migrate status --format=json", project.root)
    document = json.loads(talk.printed)
    assert (document["ok"], document["left_out"]["counts"]) == (True, {"migrations": 5_001})


# What Claude may do afterwards


def test_a_further_upgrade_asks_the_user_and_looking_does_not(client, project):
    project.tables("1.0.0")
    asked = [
        launcher_call("upgrade"),
        launcher_call("downgrade", "1"),
        launcher_call("repair"),
        launcher_call("baseline", "1.0.0"),
        launcher_call("restore"),
    ]
    allowed = [
        launcher_call("status", "--pending-only"),
        launcher_call("history"),
        launcher_call("check"),
        launcher_call("verify"),
        launcher_call("create", "further", "--version=2.0.0"),
    ]
    talk = client.ask("/plugin-migrate status", project.root, *asked, *allowed)
    assert talk.denied == [call.input for call in asked]
    table, history, check, verified, created = talk.results[len(asked) :]
    assert "│ 1.0.0" in table
    assert "Nothing has happened yet" in history
    assert "1 pending migration(s)" in check
    assert "1.0.0" in verified
    assert "✓ Created migration: 2.0.0-further" in created
    assert project.statuses() == {"1.0.0": "pending", "2.0.0": "pending"}


def test_claude_cannot_call_what_the_slash_command_calls(client, project):
    project.tables("1.0.0")
    document = f"<<'A'\n{project.root}\n[upgrade]\nA"
    launcher = f'"{LAUNCHER}"'
    attempts = [
        f"{launcher} --slash {document}",
        f"{launcher}  --slash{document}",
        f"cd / && {launcher} --slash {document}",
        f"{launcher} --slash < /dev/null",
        f"{launcher} status; {launcher} --slash {document}",
        f"printf '{project.root}\\n[upgrade]' | {launcher} --slash",
    ]
    calls = [launcher_call("status"), *map(bash, attempts)]
    for options in ((), ("--allowedTools", "Bash")):
        talk = client.ask("/plugin-migrate status", project.root, *calls, options=options)
        assert talk.denied == [{"command": command} for command in attempts]
        assert "subcommand first" in talk.results[1]
        assert project.statuses() == {"1.0.0": "pending"}


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
    talk = client.ask("/plugin-migrate status", project.root, *map(bash, attempts))
    assert talk.denied == [{"command": command} for command in attempts]
    assert not (project.root / "pwned").exists()


def test_without_the_command_being_typed_nothing_is_granted(client, project):
    project.tables("1.0.0")
    calls = [launcher_call("status"), launcher_call("upgrade")]
    talk = client.ask("Are there migrations?", project.root, *calls)
    assert talk.denied == [call.input for call in calls]
    assert project.statuses() == {"1.0.0": "pending"}


def test_claude_asks_before_it_uses_the_command_unasked(client, project):
    project.tables("1.0.0")
    use = ToolCall("Skill", {"skill": "plugin-migrate:plugin-migrate", "args": "upgrade"})
    talk = client.ask("Bring everything up to date.", project.root, use)
    assert talk.denied == [use.input]
    assert project.statuses() == {"1.0.0": "pending"}


@pytest.mark.parametrize("below", ["", "src/deep"])
def test_a_session_started_below_the_project_finds_it(client, project, below):
    project.tables("1.0.0")
    (project.root / below).mkdir(parents=True, exist_ok=True)
    assert "│ 1.0.0" in client.ask("/plugin-migrate status", project.root / below).printed
