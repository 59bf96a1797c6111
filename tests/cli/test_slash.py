"""`--slash`: what the slash command delivers is understood as the user typed it, and run."""

import json
import subprocess

import pytest

from command_line import snapshot
from launcher_tree import ROOT
from plugin_migrate.cli.slash import read_command
from plugin_migrate.errors import UsageError


def arguments(typed, project="/p"):
    """Return what is understood of the text that the client makes of `typed`."""
    return read_command(f"{project}\n[{typed}]\n")[1]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("", []),
        ("status", ["status"]),
        ("upgrade 1.2.0 --dry-run", ["upgrade", "1.2.0", "--dry-run"]),
        ('create x --description="Add it all"', ["create", "x", "--description=Add it all"]),
        ("create x --description 'it is \"so\"'", ["create", "x", "--description", 'it is "so"']),
        (r"a \!b", ["a", "!b"]),
        (r"\!a", ["!a"]),
        (r"\! \!", ["!", "!"]),
        (r"'say \!'", ["say !"]),
        ("wow!", ["wow!"]),
        ("a\nb\tc", ["a", "b", "c"]),
        ("'two\nlines'", ["two\nlines"]),
        ("[a] ]", ["[a]", "]"]),
        ("$(id) `id` ${HOME} $HOME ; & | > <", "$(id) `id` ${HOME} $HOME ; & | > <".split()),
        ("# no remark", ["#", "no", "remark"]),
        ("ünï 漢字", ["ünï", "漢字"]),
        ("''", [""]),
    ],
)
def test_arguments_are_split_as_a_shell_splits_them(typed, expected):
    assert arguments(typed) == expected


def test_backticks_that_the_client_would_cut_are_refused():
    with pytest.raises(UsageError, match="cut the arguments"):
        arguments("create ```x")


@pytest.mark.parametrize("text", ["/p\n[create x \n", "/p\n[\n", "/p\n", "/p", "", "\n\n"])
def test_arguments_that_the_client_cut_are_refused(text):
    with pytest.raises(UsageError, match="cut the arguments"):
        read_command(text)


@pytest.mark.parametrize("typed", ["create x --description='it", 'say "', "end\\"])
def test_an_unclosed_quote_is_refused(typed):
    with pytest.raises(UsageError, match="not closed"):
        arguments(typed)


@pytest.mark.parametrize(
    "project", ["/p", "/with space", "/$(id)", "/'\"`", "/line\nfeed", "/[x]", "/ünï", "", "/p\r"]
)
def test_the_first_line_is_the_project_whatever_its_name(project):
    assert read_command(f"{project}\n[status --verbose]\n") == (project, ["status", "--verbose"])


def test_a_command_runs_in_the_sessions_project(project, tmp_path):
    project.tables("1.0.0")
    below = project.root / "a $(touch pwned) `b`"
    below.mkdir()
    shown = project.typed("upgrade", at=below, cwd=tmp_path)["systemMessage"]
    assert shown.startswith("✓ Applied 1 migration(s)")
    assert project.json("status")["migrations"][0]["applied_by"].endswith(" (Claude Code)")


def test_outside_of_claude_code_the_user_alone_is_named(project):
    project.tables("1.0.0")
    project.ok("upgrade")
    assert "Claude" not in project.json("status")["migrations"][0]["applied_by"]
    project.ok("downgrade")
    project.ok("upgrade", environment={"CLAUDECODE": "1"})
    assert "(Claude Code)" in project.json("status")["migrations"][0]["applied_by"]


@pytest.mark.parametrize("typed", ["[create x", "[say 'hi]"])
def test_an_error_is_told_on_stdout_which_is_all_that_claude_sees(project, typed):
    code, out, err = project.call("--slash", "s", input=f"{project.root}\n{typed}\n")
    assert (code, err) == (2, "")
    assert out.startswith("✗ Error: ")


# What was typed, and its outcome


READING = [
    "status", "status --format=json", "history", "check", "status --help", "--version", "-V",
    "show 1.0.0", "help", "help redo", "completion fish",
]  # fmt: skip


@pytest.mark.parametrize("command", READING)
def test_what_needs_no_model_is_shown_as_in_a_terminal_and_ends_there(project, command):
    project.tables("1.0.0")
    _, out, _ = project.call(*command.split())
    assert project.typed(command) == {"decision": "block", "reason": out.strip("\n")}
    assert project.slash(command).out == out  # where the client knows no such hook


def test_no_arguments_show_the_help(project):
    assert "examples:" in project.typed("")["reason"]
    assert "examples:" in project.slash("").out


def test_claude_gets_the_outcome_once_and_nothing_runs_for_it(project):
    project.python("1.0.0", "import os; print('printed'); os.system('echo by a child')")
    shown = project.typed("upgrade")["systemMessage"]
    assert sorted(shown.splitlines()[:2]) == ["by a child", "printed"]
    assert shown.splitlines()[2].startswith("✓ Applied 1 migration(s)")
    project.ok("downgrade")
    assert tuple(project.slash("upgrade")) == (0, shown + "\n", "")
    refused = project.slash("upgrade")
    assert refused.code == 1
    assert refused.out.startswith("✗ Error: This call has nobody's consent")
    assert project.statuses() == {"1.0.0": "pending"}


CHANGING = [
    "upgrade", "downgrade", "sync", "baseline 1.0.0", "repair", "restore", "create x", "verify",
    "renumber 1.0.0",
    "upgrade --dry-run", "status --project /", "status --migrations x",
    "verify --lint-only --plugin-dir .",
]  # fmt: skip


@pytest.mark.parametrize("command", CHANGING)
def test_without_consent_nothing_but_reading_runs(project, command):
    project.tables("1.0.0")
    before = project.snapshot()
    code, out, err = project.slash(command)
    assert (code, err) == (1, "")
    assert out.startswith("✗ Error: This call has nobody's consent")
    assert f"In a terminal: plugin-migrate {command}" in out
    assert project.snapshot() == before


def test_another_sessions_outcome_is_no_consent(project):
    project.tables("1.0.0")
    project.typed("upgrade", session="one")
    for session in ("two", "", "../one", "one/"):
        assert project.slash("upgrade", session).code == 1
    assert project.slash("downgrade", "one").code == 1
    assert project.slash("upgrade", "one").out.startswith("✓ Applied 1")


def test_a_command_that_was_killed_is_told_to_claude(project):
    project.python("1.0.0", "import os; os.kill(os.getpid(), 9)")
    call = {"session_id": "s", "prompt_id": "1", "command_args": "upgrade"}
    environment = {"CLAUDE_PROJECT_DIR": str(project.root)}
    assert project.call("--typed", input=json.dumps(call), environment=environment).code == -9
    assert "was ended before it could say the outcome" in project.slash("upgrade", "s").out


def test_arguments_that_the_client_would_cut_run_nothing(project):
    assert "three backticks" in project.typed("create x```")["reason"]
    assert "not closed" in project.typed("create 'x")["reason"]
    assert list(project.migrations.iterdir()) == []


def test_where_the_outcome_cannot_be_kept_nothing_runs(project, tmp_path):
    project.tables("1.0.0")
    (tmp_path / "file").touch()
    environment = {"PLUGIN_MIGRATE_CACHE": str(tmp_path / "file")}
    shown = project.typed("upgrade", environment=environment)
    assert shown["decision"] == "block"
    assert "nothing ran" in shown["reason"]
    assert project.statuses() == {"1.0.0": "pending"}


@pytest.mark.parametrize("kind", ["link", "open to others"])
def test_a_folder_of_notes_that_others_can_write_is_not_trusted(project, tmp_path, kind):
    project.tables("1.0.0")
    folder = project.home / ".cache/plugin-migrate/claude-code"
    folder.parent.mkdir(parents=True)
    if kind == "link":
        (tmp_path / "theirs").mkdir()
        folder.symlink_to(tmp_path / "theirs")
    else:
        folder.mkdir()
        folder.chmod(0o777)
    assert "is not a private folder of yours" in project.typed("upgrade")["reason"]
    assert project.statuses() == {"1.0.0": "pending"}


# A message that is sent again


def hear(project, event, session="5e55-10"):
    """Do what the client's hook does at an event: ``Stop`` when a turn has ended well."""
    document = {"session_id": session, "cwd": "/", "hook_event_name": event, "prompt": '"a"'}
    done = subprocess.run(
        [ROOT / "hooks/turn-moved"],
        input=json.dumps(document),
        env=project.environment,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_message_sent_again_before_claude_has_answered_does_nothing_twice(project):
    project.tables("1.0.0", "1.1.0", "1.2.0")
    project.ok("upgrade")
    first = project.typed("downgrade 1")["systemMessage"]
    hear(project, "UserPromptSubmit")
    shown = project.typed("downgrade 1")
    assert shown["decision"] == "block"
    assert first in shown["reason"]
    assert "was not done once more" in shown["reason"]
    assert shown["reason"].endswith("To do it again: /plugin-migrate downgrade 1 --again")
    assert project.statuses()["1.1.0"] == "applied"

    project.typed("downgrade 1 --again")
    assert project.statuses()["1.1.0"] == "pending"
    shown = project.typed("downgrade 1 --again")
    assert shown["reason"].endswith("To do it again: /plugin-migrate downgrade 1")
    assert project.statuses()["1.0.0"] == "applied"
    project.typed("downgrade 1")
    assert project.statuses()["1.0.0"] == "pending"


def test_typed_again_after_an_answer_is_done_again(project):
    project.tables("1.0.0", "1.1.0", "1.2.0")
    project.ok("upgrade")
    for _ in range(2):
        project.typed("downgrade")
        hear(project, "Stop")
    hear(project, "Stop", "another-session")
    project.typed("downgrade")
    assert set(project.statuses().values()) == {"pending"}
    assert project.typed("downgrade")["decision"] == "block"  # an earlier answer is not this one's


def test_without_an_answer_another_command_and_one_that_failed_run(project):
    project.tables("1.0.0", "1.1.0")
    project.sql("1.2.0", "nonsense")
    project.typed("upgrade")  # it stops at 1.2.0
    project.sql("1.2.0", "SELECT 1;")
    assert "✓ Applied 1 migration(s)" in project.typed("upgrade")["systemMessage"]
    assert "✓ Rolled back" in project.typed("downgrade")["systemMessage"]
    assert "would apply 1" in project.typed("upgrade --dry-run")["systemMessage"]
    assert "would apply 1" in project.typed("upgrade --dry-run")["systemMessage"]


def test_a_session_without_a_command_of_ours_gets_no_note(project):
    project.tables("1.0.0")
    project.typed("upgrade", session="another")
    notes = project.home / ".cache/plugin-migrate/claude-code"
    before = sorted(notes.iterdir())
    for event in ("Stop", "UserPromptSubmit"):
        hear(project, event)
    assert sorted(notes.iterdir()) == before


# Claude's own calls


CLAUDE = {"CLAUDECODE": "1", "CLAUDE_CODE_SESSION_ID": "5e55-10"}


@pytest.mark.parametrize("option", ["--project", "--migrations", "--database", "--plugin-dir"])
@pytest.mark.parametrize("command", ["create x", "verify", "verify --lint-only"])
def test_claude_s_create_and_verify_stay_inside_the_project(project, tmp_path, option, command):
    other = tmp_path / "other"
    (other / ".claude").mkdir(parents=True)
    before = snapshot(other)
    given = *command.split(), f"{option}={other}"
    err = project.fails(*given, environment=CLAUDE)
    assert f"{command.split()[0]} with {option} works outside of this project" in err
    assert snapshot(other) == before
    (project.root / "inside").symlink_to(other)
    err = project.fails(*command.split(), f"{option}={project.root}/inside", environment=CLAUDE)
    assert "works outside of this project" in err


def test_the_same_works_for_a_person_and_inside_of_the_project(project, tmp_path):
    project.tables("1.0.0")
    outside = tmp_path / "outside"
    project.ok("create", "x", f"--migrations={outside}")
    project.ok("create", "x", f"--migrations={project.root}/inside", environment=CLAUDE)
    project.typed(f"create y --migrations={outside}")
    assert [path.name[6:] for path in sorted(outside.iterdir())] == ["x.py", "y.py"]


def ask(project, *calls):
    """Do what the client does before Claude's shell runs calls of ours: let the hook ask."""
    question = {
        "session_id": "5e55-10",
        "cwd": str(project.root),
        "tool_input": {"command": " && ".join(f"/x/plugin-migrate {' '.join(c)}" for c in calls)},
    }
    environment = project.environment | {"CLAUDE_PROJECT_DIR": str(project.root)}
    done = subprocess.run(
        [ROOT / "hooks/ask-before"], input=json.dumps(question), env=environment, text=True,
        capture_output=True,
    )  # fmt: skip
    assert '"ask"' in done.stdout


def test_consent_to_a_call_is_good_for_its_arguments_and_once(project, tmp_path):
    given = ["create", "x", f"--migrations={tmp_path}/a"]
    ask(project, given)
    project.fails(*given, environment=CLAUDE | {"CLAUDE_CODE_SESSION_ID": "other"})
    project.fails(*given, "--bump=major", environment=CLAUDE)
    project.ok(*given, environment=CLAUDE)
    project.fails(*given, environment=CLAUDE)


def test_consent_covers_every_call_of_one_question(project, tmp_path):
    one, two = (["create", "x", f"--migrations={tmp_path}/{name}"] for name in "ab")
    ask(project, one, two)
    project.ok(*one, environment=CLAUDE)
    project.fails(*one, environment=CLAUDE)
    project.ok(*two, environment=CLAUDE)
    project.fails(*two, environment=CLAUDE)


@pytest.mark.parametrize("then", ["the user speaks", "another question"])
def test_a_question_that_was_not_agreed_to_is_no_consent_later(project, tmp_path, then):
    given = ["create", "x", f"--migrations={tmp_path}/a"]
    ask(project, given)
    if then == "the user speaks":
        hear(project, "UserPromptSubmit")
    else:
        ask(project, ["upgrade"])
    project.fails(*given, environment=CLAUDE)
    ask(project, given)
    project.ok(*given, environment=CLAUDE)
