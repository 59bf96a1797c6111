"""Who may run what, in which mode: the table of docs/claude-code.md, each cell in the real client.

One session for each caller and mode makes all of its calls. Nobody is there to ask, so that a call
that is asked about comes back with the question's text.
"""

import json
import re
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from claude_code.client import Client, Conversation, launcher_call
from claude_code.messages_api import ToolCall, serving
from command_line import Project
from launcher_tree import ROOT

DOCUMENT = ROOT / "docs/claude-code.md"

MODES = ["default", "plan", "acceptEdits", "auto", "dontAsk", "bypassPermissions"]
# What it says when it runs.
UNASKED = {
    "status": "Migration Status:",
    "history": "1.0.0",
    "check": "1 pending migration(s)",
    "verify --lint-only": "1.1.0",
}
# What the user is asked.
ASKED = {
    "upgrade": "apply 1 to this project: 1.1.0 Step",
    "downgrade 0.0.0": "roll back 1 of this project: 1.0.0 Step",
    "upgrade --dry-run": "show, without running it, what would apply 1 to this project: 1.1.0 Step",
    "upgrade --preview": "run on a copy, as code with your permissions, to apply 1",
    "verify": "run on a copy, as code with your permissions, 1.1.0 Step",
    "verify --migrations fixtures/x": "it points elsewhere: --migrations fixtures/x",
    "create x": "write a new migration file for x",
    "create x --migrations fixtures/x": "it points elsewhere: --migrations fixtures/x",
    "status --project /": "it points elsewhere: --project /",
    "sync": "bring the state in step with git's files and the installed plugins",
    "baseline 1.1.0": "mark every migration up to 1.1.0 as applied",
    "repair": "settle edited or interrupted migrations",
    "restore x": "go back to the backup x",
}
TYPED = {
    "status": "Migration Status:",
    "verify": "✓ 1 migration(s) verified",
    "upgrade": "✓ Applied 1 migration(s)",
    "create x": "✓ Created migration: ",
}


@pytest.fixture(scope="module")
def stage(binary, cache):
    """A function that makes a client and a project with one applied and one pending migration."""
    folder = Path(tempfile.mkdtemp(prefix="plugin-migrate-"))
    (folder / "no home").mkdir()
    numbers = iter(range(1_000))
    with ExitStack() as servers:

        def make() -> tuple[Client, Project]:
            here = folder / str(next(numbers))
            project = Project(here / "project", folder / "no home")
            project.tables("1.0.0")
            project.ok("upgrade")
            project.tables("1.1.0")
            api = servers.enter_context(serving())
            servers.callback(lambda: strays.extend(api.strays))
            return Client(binary, here / "home", api, cache), project

        strays: list[str] = []
        yield make
    assert strays == []
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def pool(stage):
    """Runs sessions at once: each mostly waits for its own client."""
    with ThreadPoolExecutor(4) as pool:
        yield pool
        pool.shutdown(cancel_futures=True)


@pytest.fixture(scope="module")
def results(stage, pool):
    """A function from caller and mode to what each of the calls came back with."""

    commands = [*UNASKED, *ASKED]

    def talk_of(caller: str, mode: str) -> list[str]:
        client, project = stage()
        before = project.statuses(), sorted(project.migrations.iterdir())
        calls = [launcher_call(*command.split()) for command in commands]
        options = ["--permission-mode", mode, "--allowedTools", "Bash,Task,Agent"]
        if caller == "subagent":
            given = {"description": "d", "prompt": "p", "subagent_type": "helper"}
            calls = [ToolCall("Task", given | {"run_in_background": False}), *calls, "Done."]
            helper = {"description": "d", "prompt": "p", "permissionMode": mode}
            # In these two the stand-in has no model that would agree to start one.
            options[1] = "default" if mode in ("plan", "auto") else mode
            options += ["--agents", json.dumps({"helper": helper})]
        if caller == "agent":  # the whole session is one
            helper = {"description": "d", "prompt": "p"}
            options += ["--agent", "helper", "--agents", json.dumps({"helper": helper})]
        # The typed command's allowance holds for the turn; all of Bash is allowed besides.
        typed = "/plugin-migrate upgrade --dry-run"
        talk = client.ask(typed, project.root, *calls, options=options)
        assert (project.statuses(), sorted(project.migrations.iterdir())) == before
        return talk.results

    def calls_of(caller: str, mode: str) -> dict[str, str]:
        count = len(commands) + (caller == "subagent")  # last comes what the helper said
        found = talk_of(caller, mode)
        if len(found) != count:
            # On a busy machine the client sends a request again, and so misses a scripted answer.
            found = talk_of(caller, mode)
        assert len(found) == count
        return dict(zip(commands, found, strict=False))

    cells = [(caller, mode) for caller in CALLERS for mode in MODES]
    sessions = {cell: pool.submit(calls_of, *cell) for cell in cells}
    return lambda caller, mode: sessions[caller, mode].result()


CALLERS = ["claude", "subagent", "agent"]


@pytest.mark.parametrize("command", UNASKED)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("caller", CALLERS)
def test_what_only_reads_runs_unasked(results, caller, mode, command):
    assert UNASKED[command] in results(caller, mode)[command]


@pytest.mark.parametrize("command", ASKED)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("caller", CALLERS)
def test_everything_else_is_asked_about_with_its_plan(results, caller, mode, command):
    result = results(caller, mode)[command]
    assert result.startswith(f"plugin-migrate {command.split()[0]}: ")
    assert ASKED[command] in result


@pytest.fixture(scope="module")
def typed(stage, pool):
    """A function from a mode to what came of each command that was typed in it."""

    def talks_of(mode: str) -> tuple[Project, list[Conversation]]:
        client, project = stage()
        options = ("--permission-mode", mode)
        return project, [
            client.ask(f"/plugin-migrate {command}", project.root, options=options)
            for command in TYPED
        ]

    sessions = {mode: pool.submit(talks_of, mode) for mode in MODES}
    return lambda mode: sessions[mode].result()


@pytest.mark.parametrize("mode", MODES)
def test_what_is_typed_runs(typed, mode):
    project, talks = typed(mode)
    for text, talk in zip(TYPED.values(), talks, strict=True):
        assert text in talk.printed
        assert talk.printed == talk.told or talk.requests == []
    assert sorted(project.statuses().values()) == ["applied", "applied", "pending"]


def test_without_an_allowance_the_clients_own_rules_ask_about_reading_too(stage):
    client, project = stage()
    calls = [launcher_call("status"), launcher_call("upgrade")]
    talk = client.ask("Are there migrations?", project.root, *calls)
    assert talk.denied == [call.input for call in calls]


def test_the_document_has_a_row_for_each_mode():
    rows = re.findall(
        r"^\| `(\w+)` \| runs \| (.*) \| (.*) \|$", DOCUMENT.read_text(), re.MULTILINE
    )
    assert [mode for mode, _, _ in rows] == MODES
    asked = {mode: what for mode, _, what in rows}
    assert asked == dict.fromkeys(MODES, "asks") | {"dontAsk": "is refused"}
