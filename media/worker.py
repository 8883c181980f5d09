"""Cutting crops in a process beside this one.

In one process the threads that cut and the thread that makes documents wait for each other's hold on the interpreter,
which costs more than half of an import's time. One process with a few threads needs much less memory than one process
a core, and, unlike :mod:`multiprocessing`, this way of starting it does not import the caller's main module, which in
the App's server is all of FiftyOne.

This file is also the program of that process: it takes pickled calls from its input and gives results to its output.
"""

import importlib.util
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import IO, Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class WorkerProcess(Executor):
    """An executor whose calls run in the threads of one other process.

    Calls and results have to be picklable. The process starts with the first call, or before by :meth:`start`, and ends
    when this one does, however it ends.

    Args:
        threads: how many calls run at a time; one a core if left out
    """

    def __init__(self, threads: int | None = None) -> None:
        self._threads = threads or os.cpu_count() or 2
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._futures: dict[int, Future[Any]] = {}
        self._lock = threading.Lock()
        self._count = 0
        self._closed = False

    @property
    def pid(self) -> int | None:
        """The id of the process; None before it was started."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Starts the process, if it does not run yet, so that it is ready when the first call comes."""
        with self._lock:
            if self._process is None and not self._closed:
                command = [sys.executable, __file__, str(self._threads)]
                self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
                self._reader = threading.Thread(target=self._read, name="tator-worker", daemon=True)
                self._reader.start()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Has a function called in the other process.

        Args:
            fn: a function of a module
            *args: its arguments
            **kwargs: its named arguments

        Returns:
            its result to come

        Raises:
            BrokenProcessPool: if the process has died
            RuntimeError: after :meth:`shutdown`
        """
        self.start()
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()
        with self._lock:
            if self._closed or self._process is None or self._process.stdin is None:
                raise RuntimeError("The worker process was shut down.")
            self._count += 1
            self._futures[self._count] = future
            try:
                pickle.dump((self._count, fn, args, kwargs), self._process.stdin)
                self._process.stdin.flush()
            except OSError:
                del self._futures[self._count]
                raise _died() from None
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Ends the process.

        Args:
            wait: whether to wait for the calls that run
            cancel_futures: whether to end it now, with calls running
        """
        with self._lock:
            self._closed = True
            process = self._process
        if process is None or process.stdin is None:
            return
        if cancel_futures:
            process.kill()
        # Nothing more comes: the process ends when it has done what it has.
        process.stdin.close()
        if wait and self._reader is not None:
            self._reader.join()
            process.wait()

    def _read(self) -> None:
        """Takes results until there are none any more; what is open then failed with the process."""
        assert self._process is not None and self._process.stdout is not None
        with self._process.stdout as results:
            while True:
                try:
                    number, value, error = pickle.load(results)
                except (EOFError, OSError, pickle.UnpicklingError):
                    break
                with self._lock:
                    future = self._futures.pop(number)
                if error is None:
                    future.set_result(value)
                else:
                    future.set_exception(error)
        with self._lock:
            left, self._futures = list(self._futures.values()), {}
        for future in left:
            future.set_exception(_died())


def _died() -> BrokenProcessPool:
    return BrokenProcessPool(
        "The process that cuts crops died, perhaps for lack of memory. Import again: what is done stays done."
    )


def _serve(calls: IO[bytes], results: IO[bytes], threads: int) -> None:
    """The other process: runs calls until the input ends."""
    lock = threading.Lock()

    def done(number: int, future: Future[Any]) -> None:
        error = future.exception()
        data = pickle.dumps((number, None if error else future.result(), error))
        with lock:
            results.write(data)
            results.flush()

    with ThreadPoolExecutor(threads, "tator-crops") as pool:
        while True:
            try:
                number, fn, args, kwargs = pickle.load(calls)
            except EOFError:
                return
            pool.submit(fn, *args, **kwargs).add_done_callback(partial(done, number))


def _main() -> None:
    """Puts the package in place, wherever this file lies, and serves."""
    root = Path(__file__).resolve().parents[1]
    # The folder of this file was put first; its modules must not be found without their package.
    del sys.path[0]
    spec = importlib.util.spec_from_file_location(
        "fiftyone_tator", root / "__init__.py", submodule_search_locations=[str(root)]
    )
    assert spec is not None and spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules["fiftyone_tator"] = package
    spec.loader.exec_module(package)
    # What is printed by accident must not get among the results.
    results = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    importlib.import_module("fiftyone_tator.media.crops")
    _serve(sys.stdin.buffer, results, int(sys.argv[1]))


if __name__ == "__main__":
    _main()
