"""Calls in a process beside this one."""

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor

import psutil
import pytest

from fiftyone_tator.media.worker import WorkerProcess

PARENT = """
import sys, math
from fiftyone_tator.media.worker import WorkerProcess
worker = WorkerProcess(1)
assert worker.submit(math.sqrt, 9.0).result() == 3.0
print(worker.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def worker() -> Iterator[WorkerProcess]:
    with WorkerProcess(2) as made:
        yield made


def until(condition: Callable[[], bool], *, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"


def test_a_call_runs_in_another_process(worker: WorkerProcess) -> None:
    assert worker.submit(os.getpid).result() == worker.pid != os.getpid()


def test_results_come_to_their_own_calls(worker: WorkerProcess) -> None:
    futures = [worker.submit(math.factorial, number) for number in range(200)]
    assert [future.result() for future in futures] == [math.factorial(number) for number in range(200)]


def test_an_exception_comes_to_the_one_who_asked(worker: WorkerProcess) -> None:
    with pytest.raises(ValueError, match=r"math domain|nonnegative"):
        worker.submit(math.sqrt, -1.0).result()
    assert worker.submit(math.sqrt, 4.0).result() == 2.0


def test_what_a_call_prints_does_not_get_among_the_results(worker: WorkerProcess) -> None:
    worker.submit(print, "an accident", flush=True).result()
    assert worker.submit(math.sqrt, 4.0).result() == 2.0


def test_calls_under_way_fail_when_the_process_dies(worker: WorkerProcess) -> None:
    worker.start()
    assert worker.pid is not None
    running = worker.submit(signal.pause)
    os.kill(worker.pid, signal.SIGKILL)
    with pytest.raises(BrokenExecutor, match="Import again"):
        running.result()


def test_a_call_after_the_death_of_the_process_is_refused(worker: WorkerProcess) -> None:
    worker.submit(math.sqrt, 4.0).result()
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)

    def refused() -> bool:
        try:
            return isinstance(worker.submit(math.sqrt, 4.0).exception(), BrokenExecutor)
        except BrokenExecutor:
            return True

    until(refused)


def test_the_process_ends_with_the_executor() -> None:
    with WorkerProcess(1) as worker:
        worker.submit(math.sqrt, 4.0).result()
        pid = worker.pid
    assert pid is not None and not psutil.pid_exists(pid)
    with pytest.raises(RuntimeError, match="shut down"):
        worker.submit(math.sqrt, 4.0)


def test_an_executor_that_was_not_used_starts_no_process() -> None:
    with WorkerProcess(1) as worker:
        pass
    assert worker.pid is None


def test_the_process_ends_when_its_parent_is_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert psutil.pid_exists(pid)
        parent.kill()
        parent.wait()
        until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)


def test_the_process_does_not_import_fiftyone(worker: WorkerProcess) -> None:
    assert worker.submit(eval, "__import__('sys').modules.get('fiftyone')").result() is None
