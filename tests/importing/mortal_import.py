"""Runs imports and pushes that end themselves at a step that was named; see ``Mortal`` in ``conftest.py``."""

import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import httpx
from pymongo import monitoring

_WRITES = {"insert", "update", "delete", "findAndModify", "create", "createIndexes"}
_FILES = {"open", "os.rename", "os.remove", "os.mkdir", "os.link"}


class Steps:
    """Counts steps, and ends the process at the one that was named."""

    def __init__(self) -> None:
        self.root, self.die_at, self.die_on, self.count, self.report = "", 0, "", 0, -1
        self.lock = threading.Lock()

    def take(self, what: str) -> None:
        with self.lock:
            self.count += self.die_on in what
            if self.count == self.die_at and self.die_on in what:
                os.write(self.report, json.dumps({"step": self.count, "died": what}).encode())
                os.kill(os.getpid(), signal.SIGKILL)
                signal.pause()

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.root or event not in _FILES or not str(arguments[0]).startswith(self.root):
            return
        if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)):
            return
        self.take(f"{event} {arguments[0]}")


STEPS = Steps()


class Commands(monitoring.CommandListener):
    """Counts the commands that change MongoDB, before they are sent."""

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        if STEPS.root and event.command_name in _WRITES:
            STEPS.take(f"{event.command_name} {event.command.get(event.command_name)}")

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        pass

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        pass


class Requests(httpx.BaseTransport):
    """Counts the requests to Tator, before they are sent."""

    def __init__(self) -> None:
        self._inner = httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        STEPS.take(f"{request.method} {request.url.path}")
        return self._inner.handle_request(request)


def work(task: dict[str, Any], report: int) -> None:
    from fiftyone_tator.tator_client import Tator

    STEPS.die_at, STEPS.die_on, STEPS.report = task["die_at"], task["die_on"], report
    STEPS.root = task["root"]
    client = Tator(task["url"], task["token"], transport=Requests())
    result = push(client, task) if task["work"] == "push" else bring(client, task)
    os.write(report, json.dumps({"step": STEPS.count, "died": None, "result": result.as_json()}).encode())


def bring(client: Any, task: dict[str, Any]) -> Any:
    from fiftyone_tator.sync.importing import import_project
    from fiftyone_tator.sync.options import ImportOptions

    return import_project(client, ImportOptions(**task["options"]), root=Path(task["root"]))


def push(client: Any, task: dict[str, Any]) -> Any:
    import fiftyone as fo

    from fiftyone_tator.sync.push_options import PushOptions
    from fiftyone_tator.sync.pushing import push_to_tator

    return push_to_tator(client, fo.load_dataset(task["dataset"]), PushOptions(**task["options"]))


def main() -> None:
    monitoring.register(Commands())
    sys.addaudithook(STEPS.audit)
    import fiftyone_tator.sync.importing
    import fiftyone_tator.sync.pushing  # noqa: F401 - what every fork needs

    for line in sys.stdin:
        receiver, sender = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                work(json.loads(line), sender)
                os._exit(0)
            finally:
                sys.stderr.flush()
                os._exit(1)
        os.close(sender)
        with open(receiver, "rb") as answers:
            answer = answers.read().decode()
        _, status = os.waitpid(child, 0)
        told = json.loads(answer) if answer else {}
        print(json.dumps({**told, "signal": os.WTERMSIG(status), "code": os.WEXITSTATUS(status)}), flush=True)


if __name__ == "__main__":
    main()
