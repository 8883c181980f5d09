"""A sandbox for tests, on a real socket: in a thread, or in a process of its own."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fiftyone_tator.sandbox import app
from fiftyone_tator.sandbox.faults import Faults
from fiftyone_tator.sandbox.seed import Seeded, seed
from fiftyone_tator.sandbox.serving import Service
from fiftyone_tator.sandbox.store import Store


@dataclass(frozen=True)
class Running:
    """A sandbox that runs in a thread.

    Args:
        url: where it is
        store: its data
        faults: its fault switch and log of requests
        seeded: the ids of the "Contract" project and the tokens
    """

    url: str
    store: Store
    faults: Faults
    seeded: Seeded

    @property
    def tokens(self) -> dict[str, str]:
        """API tokens by user name."""
        return self.seeded.tokens

    @property
    def project(self) -> int:
        """The "Contract" project."""
        return self.seeded.project


@contextlib.contextmanager
def running(store: Store | None = None, *, port: int = 0, **options: Any) -> Iterator[Running]:
    """Runs a sandbox in a thread of this process.

    Args:
        store (None): its data; by default a new, seeded one that goes away at the end
        port (0): 0 for a free one
        **options: for :func:`fiftyone_tator.sandbox.app.create`; the limit of requests a second is off by default

    Yields:
        the running sandbox
    """
    own = Store() if store is None else None
    used = store or own
    assert used is not None
    seeded = seed(used)
    loop = asyncio.new_event_loop()
    started, stop = threading.Event(), asyncio.Event()
    sandbox = app.create(used, **{"requests_per_second": 0, **options})
    service = Service(sandbox, port=port)

    def work() -> None:
        asyncio.set_event_loop(loop)
        with contextlib.closing(loop):
            loop.run_until_complete(service.run(stop, started.set))
            loop.run_until_complete(loop.shutdown_asyncgens())

    thread = threading.Thread(target=work, name="tator-sandbox", daemon=True)
    thread.start()
    started.wait(30)
    try:
        yield Running(service.url, used, sandbox.faults, seeded)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)
        if own:
            own.close()


@dataclass(frozen=True)
class RunningProcess:
    """A sandbox that runs in a process of its own.

    Args:
        url: where it is
        tokens: API tokens by user name
        ids: what the server tells about itself
        process: the process
    """

    url: str
    tokens: dict[str, str]
    ids: dict[str, Any]
    process: "subprocess.Popen[str]"

    def kill(self) -> None:
        """Ends the process without giving it a chance to tidy up."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(30)


@contextlib.contextmanager
def running_process(db: Path, *arguments: str, port: int = 0) -> Iterator[RunningProcess]:
    """Runs a sandbox in a process of its own, to kill it and start it again on the same data.

    Args:
        db: the SQLite file
        *arguments: more arguments of the command
        port (0): 0 for a free one

    Yields:
        the running sandbox
    """
    command = [sys.executable, "-m", "fiftyone_tator.sandbox", "--db", str(db), "--port", str(port), "--json"]
    process = subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        ids = json.loads(process.stdout.readline())
        yield RunningProcess(ids["url"], ids["tokens"], ids, process)
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(30)
        if process.stdout:
            process.stdout.close()
