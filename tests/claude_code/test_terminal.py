"""What a person sees: the client in a terminal, in its own default mode, with somebody to ask."""

import json
import shlex
import shutil
import subprocess
import time

import pytest

from claude_code.client import launcher_call
from claude_code.messages_api import Failure
from launcher_tree import ROOT

_SECONDS = 60


class Terminal:
    """The client in a terminal of its own, at which a test types and looks."""

    def __init__(self, client, project) -> None:
        self.tmux = ["tmux", "-L", f"plugin-migrate-{client.home.parent.name}"]
        known = {
            "hasCompletedOnboarding": True,
            "customApiKeyResponses": {"approved": [client.environment["ANTHROPIC_API_KEY"]]},
            "projects": {str(project.root): {"hasTrustDialogAccepted": True}},
        }
        (client.home / ".claude.json").write_text(json.dumps(known))
        variables = client.environment | {"TERM": "xterm-256color"}
        command = [
            *("env", "-i", *(f"{name}={value}" for name, value in variables.items())),
            *(str(client.binary), f"--plugin-dir={ROOT}"),
        ]
        self._run(
            "new-session", "-d", "-x100", "-y60", "-c", str(project.root), shlex.join(command)
        )

    def _run(self, *arguments: str) -> str:
        done = subprocess.run([*self.tmux, *arguments], capture_output=True, text=True)
        return done.stdout

    def screen(self) -> str:
        return self._run("capture-pane", "-p", "-S-200")

    def wait_for(self, text: str) -> str:
        """Return the screen once a text stands on it."""
        deadline = time.monotonic() + _SECONDS
        while True:
            screen = self.screen()
            if text in screen:
                return screen
            assert time.monotonic() < deadline, f"no {text!r} in\n{screen}"
            time.sleep(0.05)

    def type(self, text: str) -> None:
        self._run("send-keys", "-l", text)
        self.wait_for(text)
        self.press("Enter")

    def press(self, key: str) -> None:
        self._run("send-keys", key)

    def close(self) -> None:
        self._run("kill-server")


@pytest.fixture
def terminal(client, project):
    if not shutil.which("tmux"):
        pytest.skip("no tmux here")
    project.tables("1.0.0", "1.1.0")
    terminal = Terminal(client, project)
    yield terminal
    terminal.close()
    client.api.strays.clear()  # in a terminal the client looks for its own catalogue, in vain here


def test_outcomes_are_seen_at_once_and_the_question_shows_the_plan(client, project, terminal):
    terminal.wait_for("2 pending migrations")
    table = project.ok("status").strip().split("\n")
    terminal.type("/plugin-migrate status")
    screen = terminal.wait_for("Summary: 0 applied, 2 pending")
    shown = [line.strip() for line in screen.split("\n")]
    first = shown.index(table[1])
    assert shown[first : first + len(table) - 1] == table[1:]

    client.api.replies.extend(["Fine.", launcher_call("upgrade"), "It is done."])
    terminal.type("/plugin-migrate upgrade 1.0.0")
    terminal.wait_for("✓ Applied 1 migration(s)")
    terminal.wait_for("Fine.")
    terminal.type("Please go on")
    screen = terminal.wait_for("Do you want to proceed?")
    assert "plugin-migrate upgrade: apply 1 to this project: 1.1.0 Step" in screen
    assert project.statuses()["1.1.0"] == "pending"
    # Yes; the dialog takes no key in its first instant, and an empty line says nothing.
    until(lambda: terminal.press("Enter") or "It is done." in terminal.screen())
    assert project.statuses()["1.1.0"] == "applied"


def test_a_message_that_is_sent_again_after_a_failure_does_nothing_twice(client, project, terminal):
    terminal.wait_for("2 pending migrations")
    project.ok("upgrade")
    client.api.replies.append(Failure())
    terminal.type("/plugin-migrate downgrade 1")
    terminal.wait_for("✓ Rolled back 1 migration(s)")
    terminal.wait_for("Credit balance too low")

    terminal.type("/plugin-migrate downgrade 1")
    terminal.wait_for("was not done once more")
    assert project.statuses() == {"1.0.0": "applied", "1.1.0": "pending"}
    terminal.type("/plugin-migrate downgrade 1 --again")
    until(lambda: project.statuses()["1.0.0"] == "pending")


def until(holds) -> None:
    """Wait for what another process does."""
    deadline = time.monotonic() + _SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)
