"""Long work that the App waits for, seen from the side of the messages."""

import errno
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from pymongo.errors import ServerSelectionTimeoutError

from fiftyone_tator.operators.running import OperatorFailed, run, stream, told
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
        raise ZeroDivisionError("division by zero")

    ((_, reason),) = stream(CTX, work, done, failed)
    assert reason.startswith("ZeroDivisionError: division by zero. ")
    assert "Traceback" not in reason
    assert "in work" in caplog.text


FOREIGN = [
    (
        OSError(errno.ENOSPC, "No space left on device", "/data/crop.jpg"),
        "The file /data/crop.jpg cannot be used: No space left on device. See that there is space",
    ),
    (OSError("broken"), "A file cannot be used: broken. See that there is space"),
    (
        ServerSelectionTimeoutError("localhost:27017: Connection refused, Timeout: 30s, Topology Description: <...>"),
        "FiftyOne's database failed (ServerSelectionTimeoutError): localhost:27017: Connection refused. See that",
    ),
]


@pytest.mark.parametrize(("error", "said"), FOREIGN)
def test_a_failure_of_files_or_of_the_database_is_told_in_words_to_the_app(error: Exception, said: str) -> None:
    def work(report: Report) -> dict[str, Any]:
        raise error

    ((_, reason),) = stream(CTX, work, done, failed)
    assert reason.startswith(said) and "do it again" in reason


@pytest.mark.parametrize(("error", "said"), FOREIGN)
def test_a_failure_of_files_or_of_the_database_is_told_in_words_to_workers_and_python(
    error: Exception, said: str
) -> None:
    def work(report: Report) -> dict[str, Any]:
        raise error

    with pytest.raises(OperatorFailed) as failure:
        run(SimpleNamespace(set_progress=None), work)
    assert str(failure.value).startswith(said) and "\n" not in str(failure.value)
    assert failure.value.__suppress_context__


def test_only_explained_failures_are_found_in_a_stack_trace() -> None:
    name = f"{OperatorFailed.__module__}.OperatorFailed"
    assert told(Exception(f"Traceback ...\n  raise\n{name}: Nobody: answers.\n")) == "Nobody: answers."
    assert told(Exception("Traceback ...\n  1 / 0\nZeroDivisionError: division by zero\n")) is None


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
