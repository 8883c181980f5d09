"""Long work that the App waits for, seen from the side of the messages."""

import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

from fiftyone_tator.operators.running import stream
from fiftyone_tator.sync.progress import Cancelled, Progress, Report
from fiftyone_tator.tator_client import TatorError

CTX = SimpleNamespace(trigger=lambda name, params: (name, params))


def done(result: dict[str, Any]) -> Iterator[Any]:
    yield "done", result


def failed(reason: str) -> Iterator[Any]:
    yield "failed", reason


def test_progress_comes_before_the_result() -> None:
    def work(report: Report) -> dict[str, Any]:
        report(Progress(0.5, "Cutting crops", done=1, total=2))
        return {"created": 2}

    progress = "set_progress", {"progress": 0.5, "label": "Cutting crops: 1 of 2"}
    assert list(stream(CTX, work, done, failed)) == [progress, ("done", {"created": 2})]


def test_an_explained_failure_is_told_in_its_own_words() -> None:
    def work(report: Report) -> dict[str, Any]:
        raise TatorError("Nobody answers. Start the server.")

    assert list(stream(CTX, work, done, failed)) == [("failed", "Nobody answers. Start the server.")]


def test_an_unforeseen_failure_is_told_in_one_line_and_logged_in_full(caplog: Any) -> None:
    def work(report: Report) -> dict[str, Any]:
        raise OSError("No space left on device")

    ((_, reason),) = stream(CTX, work, done, failed)
    assert reason.startswith("OSError: No space left on device. ")
    assert "Traceback" not in reason
    assert "in work" in caplog.text


def test_work_stops_at_its_next_report_when_nobody_listens_any_more() -> None:
    let_go, stopped = threading.Event(), threading.Event()

    def work(report: Report) -> dict[str, Any]:
        report(Progress(0.0, "Reading"))
        assert let_go.wait(30)
        try:
            while True:
                report(Progress(0.1, "Reading"))
        except Cancelled:
            stopped.set()
            raise

    messages = stream(CTX, work, done, failed)
    next(messages)
    let_go.set()
    messages.close()
    assert stopped.is_set()
