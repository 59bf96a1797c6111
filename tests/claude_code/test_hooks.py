"""The hooks as the real client runs them."""

import shlex

from claude_code.client import bash
from claude_code.messages_api import ToolCall


def notices(talk):
    """Return what hooks told the user in the middle of the session."""
    return [event["content"] for event in talk.events if event.get("subtype") == "informational"]


def test_a_session_begins_with_what_is_pending(client, project):
    project.tables("1.0.0", "1.1.0", "1.2.0")
    project.ok("upgrade", "1.0.0")
    talk = client.ask("Hello", project.root)
    (document,) = talk.hooks
    assert document["systemMessage"] == (
        "plugin-migrate: 2 pending migrations (current version 1.0.0). Run /plugin-migrate upgrade"
    )
    assert document["hookSpecificOutput"]["additionalContext"] in talk.everything
    assert notices(talk) == [], "the prompt's hook does not tell it again"
    assert project.statuses()["1.1.0"] == "pending"


def test_a_session_without_anything_to_tell_begins_silently(client, project):
    project.tables("1.0.0")
    project.ok("upgrade")
    talk = client.ask("Hello", project.root)
    assert not any("systemMessage" in document for document in talk.hooks)
    assert notices(talk) == []


def test_an_applied_migration_is_kept_from_claude_s_edits_and_a_pending_one_is_not(client, project):
    project.tables("1.0.0", "1.1.0")
    project.ok("upgrade", "1.0.0")
    applied, pending = sorted(map(str, project.migrations.glob("1.*")))
    replies = [
        call
        for path in (applied, pending)
        for call in (
            ToolCall("Read", {"file_path": path}),
            ToolCall("Edit", {"file_path": path, "old_string": "(x)", "new_string": "(y)"}),
            ToolCall("Write", {"file_path": path, "content": "SELECT 1;"}),
        )
    ]
    talk = client.ask("Go on", project.root, *replies)
    for result in talk.results[1:3]:
        assert "Migration 1.0.0 (1.0.0-step.sql) is applied, so its file stays as it is" in result
        assert "/plugin-migrate create NAME" in result
    for result in talk.results[4:6]:
        assert "is applied" not in result


def test_a_pull_in_mid_session_reaches_the_hook_while_claude_works(client, project, git):
    project.tables("1.0.0")
    project.ok("upgrade")
    git("init", "--quiet", cwd=project.root)
    git("commit", "--quiet", "--allow-empty", "--message=one", cwd=project.root)
    script = project.root / "pull.sh"
    script.write_text(
        f"echo 'CREATE TABLE b (x);' >{shlex.quote(str(project.migrations / '1.1.0-b.sql'))}\n"
        "git -c user.name=a -c user.email=a@b commit --quiet --allow-empty --message=two\n"
        f"until grep -q pending {client.home}/.claude/plugins/data/*/told/*; do :; done\n"
    )
    call = bash("timeout 30 sh pull.sh && echo heard")
    talk = client.ask("Hello", project.root, call, options=["--allowedTools", "Bash"])
    assert talk.results == ["heard"]


def test_settings_that_cannot_be_used_are_told_at_the_start(client, project):
    project.tables("1.0.0")
    project.config("nonsense: 1\n")
    talk = client.ask("Hello", project.root)
    (document,) = talk.hooks
    assert "Unknown setting 'nonsense'. Run /plugin-migrate status" in document["systemMessage"]
