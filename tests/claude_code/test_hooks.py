"""The plugin's hooks in the real client: what the user and Claude are told, and what is denied."""

from claude_code.messages_api import ToolCall


def read(path):
    return ToolCall("Read", {"file_path": str(path)})


def edit(path):
    change = {"old_string": "TABLE", "new_string": "TEMP TABLE", "replace_all": True}
    return ToolCall("Edit", {"file_path": str(path), **change})


def write(path):
    return ToolCall("Write", {"file_path": str(path), "content": "SELECT 1;\n"})


def test_the_sessions_start_tells_the_user_and_claude_what_is_pending(client, project):
    project.tables("1.0.0")
    project.ok("upgrade")
    project.tables("1.1.0")
    talk = client.ask("Hello.", project.root)
    (told,) = talk.hooks
    assert "1 pending migration" in told["systemMessage"]
    assert "1.0.0" in told["systemMessage"]
    assert "/plugin-migrate upgrade" in told["systemMessage"]
    assert told["hookSpecificOutput"]["additionalContext"] in talk.everything
    assert project.statuses() == {"1.0.0": "applied", "1.1.0": "pending"}


def test_a_sessions_start_with_nothing_to_tell_is_silent(client, project):
    for _ in range(2):
        talk = client.ask("Hello.", project.root)
        assert talk.hooks == []
        assert "pending migration" not in talk.everything
        project.tables("1.0.0")
        project.ok("upgrade")


def test_an_applied_migration_is_not_edited_and_claude_learns_why(client, project):
    project.tables("1.0.0")
    project.ok("upgrade")
    (applied,) = project.migrations.iterdir()
    before = applied.read_bytes()
    # Even where the user lets Claude edit whatever it likes.
    options = ("--permission-mode", "acceptEdits", "--allowedTools", "Edit,Write")
    calls = [read(applied), edit(applied), write(applied)]
    talk = client.ask("Change it.", project.root, *calls, options=options)
    for reason in talk.results[1:]:
        assert "1.0.0" in reason
        assert "is applied" in reason
        assert "/plugin-migrate create" in reason
    assert applied.read_bytes() == before


def test_the_guard_has_no_word_on_a_pending_migration(client, project):
    project.tables("1.0.0")
    (pending,) = project.migrations.iterdir()
    calls = [read(pending), edit(pending), write(pending)]
    talk = client.ask("Change it.", project.root, *calls)
    assert all("hook" not in result for result in talk.results)
    # It lies in `.claude/`, so the client itself asks.
    assert len(talk.denied) == 2
