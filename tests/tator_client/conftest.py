from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import stamina

TOKEN = "0123456789abcdef0123456789abcdef01234567"

Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Seen:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass
class ScriptedServer:
    """A server on a real socket that gives the answers it was told, the last one for ever."""

    url: str = ""
    seen: list[Seen] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def will(self, *answers: Answer) -> None:
        self.answers[:] = answers

    def next(self) -> Answer:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def json(self, value: Any, status: int = 200) -> Answer:
        return self.raw(json.dumps(value).encode(), status=status, content_type="application/json")

    def raw(self, body: bytes, *, status: int = 200, content_type: str = "application/json", **headers: str) -> Answer:
        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(status)
            handler.send_header("Content-Type", content_type)
            handler.send_header("Content-Length", str(len(body)))
            for name, value in headers.items():
                handler.send_header(name, value)
            handler.end_headers()
            handler.wfile.write(body)

        return answer

    def cut(self, body: bytes, *, announced: int | None = None) -> Answer:
        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(200)
            handler.send_header("Content-Type", "application/json")
            if announced is not None:
                handler.send_header("Content-Length", str(announced))
            handler.send_header("Connection", "close")
            handler.end_headers()
            handler.wfile.write(body)
            handler.close_connection = True

        return answer

    def hang(self, body: bytes = b"") -> Answer:
        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(200)
            handler.send_header("Content-Type", "application/json")
            handler.send_header("Content-Length", "100000")
            handler.end_headers()
            handler.wfile.write(body)
            handler.wfile.flush()
            self.over.wait(20)
            handler.close_connection = True

        return answer

    def drop(self) -> Answer:
        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.connection.shutdown(socket.SHUT_RDWR)
            handler.close_connection = True

        return answer


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    script = ScriptedServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            data = self.rfile.read(length)
            script.seen.append(
                Seen(
                    self.command,
                    parts.path,
                    {name: values[-1] for name, values in parse_qs(parts.query).items()},
                    dict(self.headers.items()),
                    json.loads(data) if "json" in self.headers.get("Content-Type", "") else data,
                )
            )
            script.next()(self)

        do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = handle_any

        def log_message(self, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """Clients that give up, as they are made to here, are no errors."""

    http = Server(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    http.block_on_close = False
    script.url = f"http://127.0.0.1:{http.server_port}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield script
    finally:
        script.over.set()
        http.shutdown()
        http.server_close()
        thread.join()


@pytest.fixture(autouse=True)
def no_pauses() -> Iterator[None]:
    """Repeats without pausing."""
    with stamina.set_testing(True, attempts=6, cap=True):
        yield


@pytest.fixture
def token() -> str:
    return TOKEN
