"""Running long work for the three who may wait for it: the App, a delegated worker, a Python caller."""

import logging
import queue
import threading
from collections.abc import Callable, Generator, Iterator
from typing import Any

from pymongo.errors import PyMongoError

from fiftyone_tator.sync.progress import Cancelled, Progress, Report
from fiftyone_tator.tator_client import TatorError

_log = logging.getLogger(__name__)

Work = Callable[[Report], dict[str, Any]]
_EXPLAINED = (TatorError, OSError, PyMongoError)


class OperatorFailed(Exception):
    """What a user is told when an operator fails: the reason and the way out, nothing else."""


def from_app(ctx: Any) -> bool:
    """Whether the App is waiting for the answer, message by message, rather than a worker or a Python caller.

    Args:
        ctx: the execution context
    """
    return "operator_uri" in ctx.request_params and not ctx.delegated


def run(ctx: Any, work: Work) -> dict[str, Any]:
    """Does the work here and now, for a worker or a Python caller.

    Args:
        ctx: the execution context, whose progress is set
        work: the work, which reports how far it is

    Returns:
        the work's result

    Raises:
        OperatorFailed: if the work fails in a way that is explained
    """
    try:
        return work(lambda progress: ctx.set_progress(progress=progress.fraction, label=progress.label))
    except _EXPLAINED as error:
        raise OperatorFailed(explain(error)) from None


def explain(error: Exception) -> str:
    """What is wrong and what to do, in words on one line.

    Args:
        error: an error of ours, of the file system or of the database; the latter two are logged in full
    """
    if isinstance(error, TatorError):
        return " ".join(str(error).split())
    _log.error("Work stopped", exc_info=error)
    if isinstance(error, OSError):
        name = f"The file {error.filename}" if error.filename else "A file"
        reason = (
            f"{name} cannot be used: {error.strerror or error}. "
            "See that there is space and that you may write there, or name another folder in FIFTYONE_TATOR_DIR"
        )
    else:
        # What follows the first reason is the state of each server and of each try.
        said = " ".join(str(error).partition(", Timeout: ")[0].split())
        reason = (
            f"FiftyOne's database failed ({type(error).__name__}): {said[:300]}. "
            "See that its MongoDB is up, has space and may be written to"
        )
    return f"{reason}, and do it again. What came until then is kept."


def told(error: Exception) -> str | None:
    """What FiftyOne's execution error says about a failure that is explained.

    Args:
        error: an :class:`fiftyone.operators.executor.ExecutionError`, whose text is a whole stack trace

    Returns:
        the reason; None if nobody foresaw the failure, so that its trace is needed
    """
    name, _, reason = str(error).strip().rpartition("\n")[2].partition(": ")
    return reason if name == f"{OperatorFailed.__module__}.{OperatorFailed.__qualname__}" else None


def stream(
    ctx: Any,
    work: Work,
    done: Callable[[dict[str, Any]], Iterator[Any]],
    failed: Callable[[str], Iterator[Any]],
) -> Generator[Any, None, None]:
    """Does the work in a thread and tells the App how far it is.

    The App gets no result of an execution, only requests to show things. The window in which it shows progress stays
    until something else is shown in it, so a result or an error of its own would come up underneath.

    Args:
        ctx: the execution context
        work: the work, which reports how far it is; stops at its next report if nobody listens any more
        done: the messages that show a result
        failed: the messages that show why the work failed

    Yields:
        messages for the App: progress, then those of ``done`` or ``failed``
    """
    try:
        result = yield from _progress(ctx, work)
    except _EXPLAINED as error:
        yield from failed(explain(error))
    except Exception as error:  # noqa: BLE001 - logged in full; the person in front of the App reads words
        _log.exception("Work for the App failed in a way that nobody foresaw")
        yield from failed(
            f"{type(error).__name__}: {error}. Nobody foresaw this; the log of the App's server says where. "
            "What was done until then is kept: do the same again, and it goes on from there."
        )
    else:
        yield from done(result)


def _progress(ctx: Any, work: Work) -> Generator[Any, None, dict[str, Any]]:
    reports: queue.Queue[Progress | None] = queue.Queue()
    outcome: list[Any] = []
    gone = threading.Event()

    def report(progress: Progress) -> None:
        if gone.is_set():
            raise Cancelled
        reports.put(progress)

    def target() -> None:
        try:
            outcome.append(work(report))
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits, which raises it
            outcome.append(error)
        finally:
            reports.put(None)

    thread = threading.Thread(target=target, name="tator-operator", daemon=True)
    thread.start()
    try:
        while (progress := reports.get()) is not None:
            yield ctx.trigger("set_progress", {"progress": progress.fraction, "label": progress.label})
    finally:
        gone.set()
        thread.join()
    if isinstance(outcome[0], BaseException):
        raise outcome[0]
    return dict(outcome[0])
