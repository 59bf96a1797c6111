"""The real client on a scripted conversation: what a test does with it, and what it finds out.

A test takes the fixture ``client`` and a project, and asks::

    talk = client.ask("/plugin-migrate status", project, bash("ls"), "All is well.")

Claude's side is the list of replies: a :class:`ToolCall` is answered by the client with the tool's
result, a text ends the turn. Everything else is real: the client, the plugin, its shell and its
permissions, of which nobody is there to ask. Then the test looks at the :class:`Conversation`:

========================  ==========================================================================
``talk.shown``            what Claude was given: the prompt, expanded, with what hooks added
``talk.printed``          of it, what ``plugin-migrate`` printed for the slash command
``talk.results``          what each tool call came back with, as the client gave it to Claude
``talk.denied``           the calls for which the client wanted to ask the user (or a hook denied)
``talk.told``             what the user saw of the client itself: the outcome of a typed command
``talk.hooks``            what hooks printed, such as a ``systemMessage``
``talk.answer``           what the user reads at the end; also why a command was aborted
``talk.events``           everything the client told
``talk.requests``         everything it asked the API, whole
========================  ==========================================================================

``client.plugin("install", ...)`` calls ``claude plugin``; ``client.home`` is the user's home, whose
``.claude/`` and ``.gitconfig`` a test may fill; ``client.ask(..., plugins=[])`` loads only what is
installed there. Options of the client's command line go into ``options``: ``--allowedTools Bash``
lets every shell command through, for what must not run even then.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from claude_code.messages_api import MessagesApi, Reply, ToolCall
from launcher_tree import ROOT

LAUNCHER = ROOT / "scripts/plugin-migrate"
_BLOCKED = "UserPromptExpansion operation blocked by hook:\n"
_SAYS = "UserPromptExpansion says: "
_END_OF_OUTPUT = "\n\nAbove is what `plugin-migrate` printed;"


def bash(command: str) -> ToolCall:
    """Return a call of Claude's shell."""
    return ToolCall("Bash", {"command": command})


def launcher_call(*arguments: str, root: Path = ROOT) -> ToolCall:
    """Return the call that the command file tells Claude to make, with its quotes."""
    return bash(f'"{root}/scripts/plugin-migrate" {shlex.join(arguments)}')


@dataclass(frozen=True)
class Conversation:
    """What was said between the user, the client and Claude; see the module's table."""

    events: list[dict]
    requests: list[dict]

    @cached_property
    def shown(self) -> str:
        """What Claude was given first: the texts of the user's messages, without reminders."""
        texts = _texts(self.requests[0]["messages"], "user") if self.requests else []
        return "\n".join(text for text in texts if not text.startswith("<system-reminder>"))

    @cached_property
    def everything(self) -> str:
        """All that Claude was given first, reminders and the client's own remarks included."""
        messages = self.requests[0]["messages"]
        return "\n".join(_texts(messages, "user") + _texts(messages, "system"))

    @cached_property
    def printed(self) -> str:
        """What a typed command printed: where no model was asked, what the user saw of it."""
        if self.told.startswith(_BLOCKED):
            return self.told.removeprefix(_BLOCKED).rpartition("\n\nOriginal prompt: ")[0]
        assert _END_OF_OUTPUT in self.shown, self.shown or self.answer
        return self.shown.partition("</command-args>\n")[2].partition(_END_OF_OUTPUT)[0].strip("\n")

    @cached_property
    def results(self) -> list[str]:
        """What the tool calls came back with."""
        blocks = [
            block
            for event in self.events
            if event["type"] == "user"
            for block in event["message"]["content"]
            if block["type"] == "tool_result"
        ]
        return [_as_text(block["content"]) for block in blocks]

    @cached_property
    def hooks(self) -> list[dict]:
        """The documents that hooks printed, in their order."""
        outputs = [
            event.get("output", "")
            for event in self.events
            if event["type"] == "system" and "hook" in event["subtype"]
        ]
        return [json.loads(output) for output in outputs if output.strip()]

    @cached_property
    def told(self) -> str:
        """What the user saw of the client itself, before or instead of Claude's answer."""
        texts = [
            event["content"]
            for event in self.events
            if event["type"] == "system" and event["subtype"] == "informational"
        ]
        return "\n".join(line.removeprefix(_SAYS) for line in "\n".join(texts).split("\n"))

    @property
    def session(self) -> str:
        """The session's id, with which ``--resume`` goes on with it."""
        return self.events[-1]["session_id"]

    @property
    def denied(self) -> list[dict]:
        """The inputs of the tool calls that the client did not let through without asking."""
        return [denial["tool_input"] for denial in self.events[-1]["permission_denials"]]

    @property
    def answer(self) -> str:
        """What the client said at the end."""
        return self.events[-1]["result"]


class Client:
    """The real client with a home of its own, which reaches nothing but the stand-in's API.

    Parameters:
        binary: its program.
        home: the user's home.
        api: the stand-in.
        cache: where the launcher finds its Python environment.
    """

    def __init__(self, binary: Path, home: Path, api: MessagesApi, cache: Path) -> None:
        self.binary = binary
        self.home = home
        self.api = api
        # Nothing of the session that runs the tests: it may be one of Claude Code itself.
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "TMPDIR": str(home / "tmp"),
            "ANTHROPIC_BASE_URL": api.url,
            "ANTHROPIC_API_KEY": "sk-dummy",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_AUTOUPDATER": "1",
            "IS_SANDBOX": "1",  # or the client refuses bypassPermissions to root
            "PLUGIN_MIGRATE_CACHE": str(cache),
            **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), api.url),
            **dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1"),
        }
        (home / "tmp").mkdir(parents=True)

    def ask(
        self,
        prompt: str,
        project: Path,
        *replies: Reply,
        plugins: Iterable[Path] = (ROOT,),
        options: Iterable[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> Conversation:
        """Start a session in a folder, say one thing, and return what came of it.

        Parameters:
            prompt: what the user types.
            project: the folder in which the session starts.
            replies: what Claude says, one after another; a short text when there is no more.
            plugins: folders to load plugins from (``--plugin-dir``).
            options: further options of the client.
            environment: further variables.
        """
        self.api.replies.clear()
        self.api.replies.extend(replies)
        self.api.requests.clear()
        done = self.run(
            *("-p", prompt, "--output-format", "stream-json", "--verbose"),
            *(f"--plugin-dir={folder}" for folder in plugins),
            *options,
            cwd=project,
            environment=environment,
        )
        events = [json.loads(line) for line in done.stdout.splitlines()]
        assert events, done.stderr
        assert events[-1]["type"] == "result", done.stdout + done.stderr
        return Conversation(events, list(self.api.requests))

    def plugin(self, *arguments: str, cwd: Path | None = None) -> str:
        """Run ``claude plugin ...``, which must succeed; return what it said."""
        done = self.run("plugin", *arguments, cwd=cwd or self.home)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def run(
        self, *arguments: str, cwd: Path, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run the client with any arguments."""
        return subprocess.run(
            [self.binary, *arguments],
            cwd=cwd,
            env=self.environment | dict(environment or {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=120,
        )


def _texts(messages: list[dict], role: str) -> list[str]:
    return [
        text
        for message in messages
        if message["role"] == role
        for text in _parts(message["content"])
    ]


def _parts(content: str | list[dict]) -> list[str]:
    if isinstance(content, str):
        return [content]
    return [block["text"] for block in content if block["type"] == "text"]


def _as_text(content: str | list[dict]) -> str:
    return "\n".join(_parts(content))
