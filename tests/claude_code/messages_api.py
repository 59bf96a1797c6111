"""A stand-in for the Messages API on the loopback: says what was scripted, keeps what it was asked.

The client is told of it twice: as the API (``ANTHROPIC_BASE_URL``), and as the proxy for everything
else, which is refused and kept in :attr:`MessagesApi.strays`: no test reaches the network.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True, slots=True)
class ToolCall:
    """Claude calls a tool: ``ToolCall("Bash", {"command": "ls"})``."""

    name: str
    input: dict[str, object]


@dataclass(frozen=True, slots=True)
class Failure:
    """The service refuses to answer, as it does when the account has run dry."""

    message: str = "Your credit balance is too low to access the Anthropic API."


Reply = str | ToolCall | Failure
"""One answer of Claude: a text ends the turn, after a tool call it is asked again."""


@dataclass(slots=True)
class MessagesApi:
    """What the stand-in will say and what it has been asked.

    Attributes:
        url: where it listens.
        replies: what Claude says next in the conversation; when it is empty, a short text.
        requests: the bodies of the conversation's requests, in their order. Requests of the client
            for its own purposes (titles, counts) are answered, and not kept.
        strays: what was asked for on other hosts, by the client or by what it started.
    """

    url: str
    replies: deque[Reply] = field(default_factory=deque)
    requests: list[dict] = field(default_factory=list)
    strays: list[str] = field(default_factory=list)

    def answer(self, request: dict) -> Reply:
        """Return what Claude says to a request, which is kept if it is the conversation's."""
        if not any(tool.get("name") == "Bash" for tool in request.get("tools", ())):
            return "ok"
        self.requests.append(request)
        return self.replies.popleft() if self.replies else "Done."


@contextmanager
def serving() -> Iterator[MessagesApi]:
    """Serve a stand-in on a free port of the loopback until the block ends."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.api = MessagesApi(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.api
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def api(self) -> MessagesApi:
        return self.server.api

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if not self.path.startswith("/"):
            self._refuse()
        elif self.path.partition("?")[0] != "/v1/messages":
            self._send_json({"input_tokens": 1})
        else:
            request = json.loads(body)
            reply = self.api.answer(request)
            if isinstance(reply, Failure):
                error = {"type": "invalid_request_error", "message": reply.message}
                self._send_json({"type": "error", "error": error}, 400)
                return
            message = _message(reply, request["model"], len(self.api.requests))
            if request.get("stream"):
                self._send(200, "text/event-stream", b"".join(_events(message)))
            else:
                self._send_json(message)

    def do_GET(self) -> None:
        if self.path.startswith("/"):
            self._send_json({"data": []})
        else:
            self._refuse()

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_CONNECT(self) -> None:
        self._refuse()

    def _refuse(self) -> None:
        self.api.strays.append(f"{self.command} {self.path}")
        self.close_connection = True
        self._send(502, "text/plain", b"no network in tests")

    def _send_json(self, value: object, code: int = 200) -> None:
        self._send(code, "application/json", json.dumps(value).encode())

    def _send(self, code: int, kind: str, body: bytes) -> None:
        self.send_response(code)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Say nothing: standard error is pytest's."""


def _message(reply: Reply, model: str, number: int) -> dict:
    if isinstance(reply, ToolCall):
        call = {"id": f"toolu_{number:020}", "name": reply.name, "input": reply.input}
        content, reason = {"type": "tool_use", **call}, "tool_use"
    else:
        content, reason = {"type": "text", "text": reply}, "end_turn"
    return {
        "id": f"msg_{number:020}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [content],
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }


def _events(message: dict) -> Iterator[bytes]:
    """Return a message as the stream that the API makes of it."""
    (content,) = message["content"]
    if content["type"] == "text":
        empty = {"type": "text", "text": ""}
        delta = {"type": "text_delta", "text": content["text"]}
    else:
        empty = {**content, "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(content["input"])}
    end = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    for event in (
        {"type": "message_start", "message": {**message, "content": [], "stop_reason": None}},
        {"type": "content_block_start", "index": 0, "content_block": empty},
        {"type": "content_block_delta", "index": 0, "delta": delta},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": end, "usage": {"output_tokens": 1}},
        {"type": "message_stop"},
    ):
        yield f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
