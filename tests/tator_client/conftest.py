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

from fiftyone_tator.sandbox.testing import Running, running
from fiftyone_tator.tator_client import Tator, with_elemental_ids

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


@pytest.fixture(scope="module")
def module_sandbox() -> Iterator[Running]:
    with running() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(module_sandbox: Running) -> Iterator[Running]:
    yield module_sandbox
    module_sandbox.faults.clear()
    module_sandbox.faults.forget()


@pytest.fixture
def tator(sandbox: Running) -> Iterator[Tator]:
    with Tator(sandbox.url, sandbox.tokens["editor"], timeout=2) as session:
        yield session


class Scene:
    """An empty version to work in, of which nothing is left over afterwards."""

    def __init__(self, sandbox: Running, tator: Tator) -> None:
        self.sandbox = sandbox
        self.tator = tator
        self.project = sandbox.project
        self.version = sandbox.seeded.versions["Scratch"]
        self.box = sandbox.seeded.localization_types["box"]
        self.line = sandbox.seeded.localization_types["line"]

    def spec(self, label: str = "x", **more: Any) -> dict[str, Any]:
        return {
            **{"type": self.box, "media_id": self.sandbox.seeded.media, "version": self.version, "frame": 0},
            **{"x": 0.1, "y": 0.2, "width": 0.3, "height": 0.4, "attributes": {"Label": label}},
            **more,
        }

    def make(self, count: int, label: str = "x") -> list[str]:
        specs = with_elemental_ids([self.spec(label) for _ in range(count)])
        self.tator.create_localizations(self.project, specs)
        return [spec["elemental_id"] for spec in specs]

    def read(self, *elements: str) -> list[Any]:
        return self.tator.read_localizations(self.project, elemental_ids=elements, version=self.version)

    def all(self, **options: Any) -> list[Any]:
        pages = self.tator.iter_localizations(self.project, types=[self.box], versions=[self.version], **options)
        return [row for page in pages for row in page]

    def requests(self, match: str) -> list[dict[str, Any]]:
        # A request is logged once its answer has gone; one more makes sure of those before.
        self.tator.whoami()
        return self.sandbox.faults.requests(match)

    def labels(self, *elements: str) -> list[Any]:
        return [row.attributes["Label"] for row in self.read(*elements)]


@pytest.fixture
def scene(sandbox: Running, tator: Tator) -> Iterator[Scene]:
    made = Scene(sandbox, tator)
    yield made
    sandbox.faults.clear()
    everything = {"version": made.version, "show_all_marks": 1, "show_deleted": 1, "merge": 0}
    rows = tator._wire.get(f"Localizations/{made.project}", everything)
    if rows:
        body = {"elemental_ids": sorted({row["elemental_id"] for row in rows}), "prune": 1}
        tator._wire.call("DELETE", f"Localizations/{made.project}", params=everything, body=body)
