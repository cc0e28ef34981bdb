"""A server on loopback that answers as it is told: for commands, which are processes.

It lives in threads of its own, in real time.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

import attrs

Answer = Callable[[BaseHTTPRequestHandler], None]


@attrs.frozen
class Seen:
    """A request that came in."""

    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]


class ModelServer:
    """Answers requests with the answers it is given, in order; the last one again.

    Attributes:
      url: its address, as a base address of OpenAI's protocols.
      answers: those that are left.
      seen: the requests so far.
      left: set when a client closed a connection in the middle of an answer.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.answers: list[Answer] = []
        self.seen: list[Seen] = []
        self.left = threading.Event()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        length = int(handler.headers.get("content-length", 0))
        body = json.loads(handler.rfile.read(length))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        self.seen.append(Seen(handler.path, headers, body))
        answer = self.answers.pop(0) if self.answers[1:] else self.answers[0]
        try:
            answer(handler)
        except OSError:
            self.left.set()


@contextmanager
def model_server() -> Generator[ModelServer]:
    """Serve for the length of a block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            server.answer(self)

        def log_request(self, code: object = "", size: object = "") -> None:
            """Say nothing."""

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listening.daemon_threads = True
    host, port = cast("tuple[str, int]", listening.server_address[:2])
    server = ModelServer(f"http://{host}:{port}/v1")
    thread = threading.Thread(target=listening.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        listening.shutdown()
        thread.join()
        listening.server_close()


def sent(
    handler: BaseHTTPRequestHandler,
    body: object,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> None:
    """Send a whole answer in JSON."""
    data = json.dumps(body).encode()
    handler.send_response(status)
    for name, value in (headers or {}).items():
        handler.send_header(name, value)
    handler.send_header("content-type", "application/json")
    handler.send_header("content-length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data)


def chat(text: str, finish: str = "stop", refusal: str | None = None) -> Answer:
    """Return an answer of Chat Completions: 10 tokens read, 5 written."""
    message = {"role": "assistant", "content": text, "refusal": refusal}
    body = {
        "id": "chat-1",
        "object": "chat.completion",
        "model": "tiny-1",
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    }
    return lambda handler: sent(handler, body)


def failing(
    status: int,
    code: str = "",
    message: str = "no",
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Return an answer that is an error, as OpenAI writes it."""
    body = {"error": {"message": message, "type": "an_error", "code": code or None}}
    return lambda handler: sent(handler, body, status, headers)


def pieces(*texts: str, whole: bool = True, last: object = None) -> Answer:
    """Return a stream of Chat Completions.

    Args:
      whole: whether it has its terminal event.
      last: an event to send instead of that.
    """

    def send(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("content-type", "text/event-stream")
        handler.send_header("connection", "close")
        handler.end_headers()
        for text in texts:
            _event(handler, {"content": text}, None)
        if last is not None:
            handler.wfile.write(f"data: {json.dumps(last)}\n\n".encode())
        elif whole:
            _event(handler, {}, "stop")
            handler.wfile.write(b"data: [DONE]\n\n")
        handler.close_connection = True

    return send


def endless(text: str, wait: Callable[[], object]) -> Answer:
    """Return a stream that never ends: one piece again and again, after each *wait*."""

    def send(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("content-type", "text/event-stream")
        handler.end_headers()
        while True:
            _event(handler, {"content": text}, None)
            wait()

    return send


def _event(
    handler: BaseHTTPRequestHandler, delta: dict[str, str], finish: str | None
) -> None:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    chunk = {"id": "chat-1", "model": "tiny-1", "choices": [choice]}
    handler.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
    handler.wfile.flush()
