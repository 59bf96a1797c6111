"""The hooks as the real client runs them."""

from claude_code.messages_api import ToolCall


def test_a_session_begins_with_what_is_pending(client, project):
    project.tables("1.0.0", "1.1.0", "1.2.0")
    project.ok("upgrade", "1.0.0")
    talk = client.ask("Hello", project.root)
    (document,) = talk.hooks
    assert document["systemMessage"] == (
        "plugin-migrate: 2 pending migrations (current version 1.0.0). Run /plugin-migrate upgrade"
    )
    assert document["hookSpecificOutput"]["additionalContext"] in talk.everything
    assert project.statuses()["1.1.0"] == "pending"


def test_a_session_without_anything_to_tell_begins_silently(client, project):
    project.tables("1.0.0")
    project.ok("upgrade")
    assert client.ask("Hello", project.root).hooks == []


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
