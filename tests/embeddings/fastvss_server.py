"""A stand-in for Fast-VSS 0.15 on a real socket: its calls, its ways to fail, and a worker that can be held or broken.

``python fastvss_server.py --port 8000 --instant`` runs it on its own, for benchmarks.
"""

import argparse
import asyncio
import contextlib
import json
import logging
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from hypercorn.asyncio import serve
from hypercorn.config import Config
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from fiftyone_tator.tests.embeddings.fastvss_model import (
    Answer,
    Faults,
    Project,
    Seen,
    files_of,
    instantly,
    neighbours,
    vector_of,
)

VERSION = "0.15.0"
JOB_SECONDS, RESULT_SECONDS, SOCKET_SECONDS = 180.0, 500.0, 300.0


@dataclass
class _Job:
    project: Project
    files: list[tuple[str, bytes]]
    top_n: int | None
    asked: int = 0
    started: float | None = None
    done: float | None = None
    failed: bool = False
    result: Callable[[], str] = str


def _json(value: Any, status: int = 200) -> Response:
    return Response(json.dumps(value), status, media_type="application/json")


def _error(text: str) -> Response:
    return _json({"error": text})


class FastVSSServer:
    """The service. One queue and one worker for all projects, as where they share a Redis.

    Args:
        projects: what it has
        instant: no picture is decoded and no worker waited for, for benchmarks; requests are not remembered
    """

    def __init__(self, projects: Sequence[Project] = (), *, instant: bool = False) -> None:
        self.projects = {project.name: project for project in projects or (Project("reef"),)}
        self.instant = instant
        self.faults = Faults()
        self.seen: list[Seen] = []
        self.most_open = 0
        self.connections: set[tuple[str, int]] = set()
        self.url = ""
        self._jobs: dict[str, _Job] = {}
        self._queue: asyncio.Queue[_Job] = asyncio.Queue()
        self._ahead = 0.0
        self._free = threading.Event()
        self._free.set()
        one, get, post = "{job_id}/{project}", ["GET"], ["POST"]
        self.app = Starlette(
            routes=[
                Route("/health", self._health, methods=get),
                Route("/projects", self._projects, methods=get),
                Route("/ids/{project}", self._ids, methods=get),
                Route("/embed/{project}", self._submit, methods=post),
                Route("/embeddings/{project}/", self._submit, methods=post),
                Route("/knn/{top_n}/{project}", self._submit, methods=post),
                Route(f"/predict/job/{one}", self._job, methods=get),
                WebSocketRoute(f"/ws/predict/job/{one}", self._socket),
                Route("/metrics", self._metrics, methods=get),
            ]
        )

    def later(self, seconds: float) -> None:
        """Puts the service's clock forward."""
        self._ahead += seconds

    def hold(self) -> None:
        """Lets no job end until :meth:`release`."""
        self._free.clear()

    def release(self) -> None:
        """Lets jobs end again."""
        self._free.set()

    def answer(self, path: str, body: str = "", **how: Any) -> None:
        """Answers the next requests whose path begins like this out of turn; see :class:`Answer`."""
        self.faults.answers.append(Answer(path, body, **how))

    def posts(self) -> list[Seen]:
        """The requests with pictures, in order."""
        return [seen for seen in list(self.seen) if seen.files]

    @property
    def open_jobs(self) -> int:
        """How many jobs are not done."""
        return sum(job.done is None for job in list(self._jobs.values()))

    @property
    def started_jobs(self) -> int:
        """How many jobs the worker began."""
        return sum(job.started is not None for job in list(self._jobs.values()))

    def _now(self) -> float:
        return time.monotonic() + self._ahead

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.connections.add(scope["client"])
            for answer in self.faults.answers:
                if answer.times > 0 and scope["path"].startswith(answer.path):
                    answer.times -= 1
                    await self._out_of_turn(answer, Request(scope, receive), send)
                    return
        await self.app(scope, receive, send)

    async def _out_of_turn(self, answer: Answer, request: Request, send: Send) -> None:
        await self._read(request)
        body = answer.body.encode()
        length = {"Content-Length": str(len(body) + 1000)} if answer.cut else {}
        response = Response(body, answer.status, {**answer.headers, **length}, answer.content_type)
        if not answer.cut:
            await response(request.scope, request.receive, send)
            return
        await send({"type": "http.response.start", "status": answer.status, "headers": response.raw_headers})
        await send({"type": "http.response.body", "body": body, "more_body": True})
        raise ConnectionResetError("cut, as told")

    async def _read(self, request: Request) -> list[tuple[str, bytes]]:
        body = await request.body()
        files = files_of(request.headers.get("Content-Type", ""), body) or []
        if not self.instant:
            self.seen.append(Seen(request.method, request.url.path, files, dict(request.headers)))
        return files

    async def _health(self, request: Request) -> Response:
        await self._read(request)
        return _json({"status": "ok", "version": VERSION})

    async def _projects(self, request: Request) -> Response:
        await self._read(request)
        return _json({"projects": list(self.projects)})

    async def _ids(self, request: Request) -> Response:
        await self._read(request)
        project = self.projects.get(request.path_params["project"])
        if project is None:
            return _error(f"Invalid project name {request.path_params['project']}")
        known = project.index[:100]
        return _json({"ids": [each.id for each in known], "classes": sorted({each.label for each in known})})

    async def _metrics(self, request: Request) -> Response:
        lines = ["# TYPE fastvss_jobs_total counter", f"fastvss_jobs_total {len(self._jobs)}", ""]
        return PlainTextResponse("\n".join(lines))

    async def _submit(self, request: Request) -> Response:
        files = await self._read(request)
        most = self.faults.most_bytes
        if most is not None and int(request.headers.get("Content-Length", 0)) > most:
            return Response("<html><h1>413 Request Entity Too Large</h1></html>", 413, media_type="text/html")
        if not files:
            return _json({"detail": [{"type": "missing", "loc": ["body", "files"], "msg": "Field required"}]}, 422)
        top_n = request.path_params.get("top_n")
        if top_n is not None and not top_n.isdigit():
            return _json({"detail": [{"type": "int_parsing", "loc": ["path", "top_n"], "msg": "not an integer"}]}, 422)
        project = self.projects.get(request.path_params["project"])
        if project is None:
            return _error(f"Invalid project name {request.path_params['project']}")
        if len(files) > self.faults.limit:
            return _error(f"Images should be less than batch size {self.faults.limit}")
        job_id = str(uuid.uuid4())
        self._add(job_id, _Job(project, files, None if top_n is None else int(top_n)))
        return _json({"job_id": job_id, "Comment": f"Job {job_id} queued for {len(files)} images"})

    def _add(self, job_id: str, job: _Job) -> None:
        if self.faults.forgets:
            self.faults.forgets -= 1
            return
        self._jobs[job_id] = job
        if self.instant:
            names = json.dumps([name for name, _ in job.files])
            vectors = [instantly(content, job.project.dimensions) for _, content in job.files]
            job.result = lambda: f'{{"filenames": {names}, "embeddings": [{", ".join(vectors)}]}}'
            job.done, job.files = self._now(), []
            return
        self.most_open = max(self.most_open, self.open_jobs)
        self._queue.put_nowait(job)

    def _state(self, request: Request | WebSocket) -> dict[str, Any]:
        name, job_id = request.path_params["project"], request.path_params["job_id"]
        job = self._jobs.get(job_id)
        if name not in self.projects:
            return {"error": f"Invalid project name {name}"}
        if job is None or (job.done is not None and self._now() - job.done > RESULT_SECONDS):
            self._jobs.pop(job_id, None)
            return {"error": f"Job ID {job_id} does not exist or has expired"}
        job.asked += 1
        if job.failed or (job.done is None and job.started is not None and self._now() - job.started > JOB_SECONDS):
            return {"status": "failed"}
        if job.done is None or job.asked <= self.faults.pending:
            return {"status": "pending"}
        return {"status": "done", "result": job.result}

    async def _job(self, request: Request) -> Response:
        await self._read(request)
        return Response(_written(self._state(request)), media_type="application/json")

    async def _socket(self, socket: WebSocket) -> None:
        await socket.accept()
        with contextlib.suppress(WebSocketDisconnect):
            for _ in range(int(SOCKET_SECONDS / 0.5)):
                state = self._state(socket)
                if "error" in state:
                    state = {"status": "error", "message": state["error"]}
                await socket.send_text(_written(state))
                if state["status"] != "pending":
                    break
                await asyncio.sleep(0.5)
            await socket.close()

    async def work(self) -> None:
        """The worker: one job after the other, as long as it lives."""
        while True:
            job = await self._queue.get()
            faults = self.faults
            while faults.dead or faults.dies_after == 0:
                await asyncio.sleep(0.002)
                faults = self.faults
            if faults.dies_after is not None:
                faults.dies_after -= 1
            job.started = self._now()
            await asyncio.sleep(faults.delay)
            while not self._free.is_set():
                await asyncio.sleep(0.002)
            result: Any
            try:
                job.failed = any(faults.fails(content) for _, content in job.files) if faults.fails else False
                result = self._computed(job, faults)
            except (ValueError, RuntimeError) as error:
                result = f"{type(error).__name__}: {error}"
            job.done, job.files, job.result = self._now(), [], partial(json.dumps, result)

    def _computed(self, job: _Job, faults: Faults) -> Any:
        if faults.text is not None:
            return faults.text
        rows, names = [], [name for name, _ in job.files]
        model, dimensions = faults.model or job.project.name, faults.dimensions or job.project.dimensions
        for name, content in job.files:
            if faults.raises and faults.raises(content):
                raise RuntimeError(f"CUDA error at {name}: device-side assert triggered. " + "trace " * 200)
            row = vector_of(content, model, dimensions)
            rows.append(row * np.float32(np.nan) if faults.nan and faults.nan(content) else row)
        names = names[::-1] if faults.reversed else names
        if job.top_n is not None:
            return {"filenames": names, **neighbours(rows, job.project.index, job.top_n), "output_path": "/tmp/out"}
        vectors = [row.tolist() for row in rows]
        if faults.ragged:
            vectors[-1].pop()
        return {"filenames": names, "embeddings": vectors[:-1] if faults.fewer else vectors}


def _written(state: dict[str, Any]) -> str:
    if "result" not in state:
        return json.dumps(state)
    return f'{{"status": "done", "result": {state["result"]()}}}'


def _listen(port: int) -> socket.socket:
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", port))
    bound.listen(128)
    return bound


async def _serve(server: FastVSSServer, bound: socket.socket, stop: asyncio.Event, ready: Callable[[], None]) -> None:
    config = Config()
    server.url = f"http://127.0.0.1:{bound.getsockname()[1]}"
    config.bind = [f"fd://{bound.detach()}"]
    config.graceful_timeout = 0.2
    log = logging.getLogger(__name__)
    log.setLevel(logging.CRITICAL)
    config.errorlog = log
    worker = asyncio.ensure_future(server.work())
    application: Any = server
    ready()
    try:
        await serve(application, config, shutdown_trigger=stop.wait, mode="asgi")
    finally:
        worker.cancel()


@contextlib.contextmanager
def running(*projects: Project, instant: bool = False) -> Iterator[FastVSSServer]:
    """Runs the service in a thread of this process.

    Args:
        *projects: what it has; one named reef by default
        instant: see :class:`FastVSSServer`
    """
    server, bound = FastVSSServer(projects, instant=instant), _listen(0)
    loop, stop, started = asyncio.new_event_loop(), asyncio.Event(), threading.Event()

    def work() -> None:
        with contextlib.closing(loop):
            loop.run_until_complete(_serve(server, bound, stop, started.set))

    thread = threading.Thread(target=work, name="fastvss-stand-in", daemon=True)
    thread.start()
    assert started.wait(30)
    try:
        yield server
    finally:
        server.release()
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)


@contextlib.contextmanager
def running_process(*arguments: str) -> Iterator[str]:
    """Runs the service in a process of its own, which benchmarks need.

    Args:
        *arguments: of the command line

    Yields:
        its address
    """
    process = subprocess.Popen([sys.executable, __file__, *arguments], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()


async def _main(server: FastVSSServer, port: int) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await _serve(server, _listen(port), stop, lambda: print(server.url, flush=True))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 for a free one; the address is printed")
    parser.add_argument("--project", action="append", help="NAME or NAME:DIMENSIONS; may be repeated")
    parser.add_argument("--instant", action="store_true", help="decode nothing, answer at once")
    parser.add_argument("--limit", type=int, default=32, help="pictures a call")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds a job takes")
    parser.add_argument("--pending", type=int, default=0, help="how many times a job is pending")
    parser.add_argument("--dies-after", type=int, help="jobs after which the worker dies")
    parser.add_argument("--dead", action="store_true", help="no worker")
    options = parser.parse_args()
    named = [each.partition(":") for each in options.project or ["reef"]]
    made = [Project(name, int(size or 384)) for name, _, size in named]
    stand_in = FastVSSServer(made, instant=options.instant)
    stand_in.faults = Faults(
        limit=options.limit, delay=options.delay, pending=options.pending, dies_after=options.dies_after,
        dead=options.dead,
    )  # fmt: skip
    asyncio.run(_main(stand_in, options.port))
