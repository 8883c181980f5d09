"""Processes that a command starts, waits for and, whatever happens, ends again."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

import psutil

_PATIENCE = 15.0


class Failed(Exception):
    """A part of a command did not work; the message says which, why, and what to do."""


def is_free(port: int) -> bool:
    """Whether nobody listens on a port of this machine.

    Args:
        port: the port
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


class Processes:
    """The processes of one command, as a context manager that ends them.

    Args:
        logs: the folder for what they print
        environment: variables that they get besides those of this process
    """

    def __init__(self, logs: Path, environment: Mapping[str, str]) -> None:
        self._logs = logs
        self.environment = {**os.environ, **environment}
        self._running: list[tuple[str, subprocess.Popen[bytes]]] = []
        self._others: list[psutil.Process] = []

    def __enter__(self) -> "Processes":
        """Makes the folder for logs."""
        self._logs.mkdir(parents=True, exist_ok=True)
        self._others = _children()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends all processes and what they started, the last one first."""
        for _, process in reversed(self._running):
            end(process)
        # One that was being started when somebody pressed Ctrl-C is not among those.
        unknown = [child for child in _children() if child not in self._others]
        for child in unknown:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.terminate()
        for stubborn in psutil.wait_procs(unknown, timeout=_PATIENCE)[1]:
            stubborn.kill()

    def start(self, name: str, arguments: Sequence[str]) -> Path:
        """Starts a Python program.

        Args:
            name: what it is, in words; names its log file
            arguments: of the interpreter, for example ``["-m", "http.server"]``

        Returns:
            the file that it prints to
        """
        return self.start_program(name, [sys.executable, *arguments])

    def start_program(self, name: str, command: Sequence[str]) -> Path:
        """Starts a program.

        Args:
            name: what it is, in words; names its log file
            command: the program and its arguments

        Returns:
            the file that it prints to
        """
        log = self._logs / f"{name.replace(' ', '_')}.log"
        with open(log, "wb") as output:
            # A session of its own: Ctrl-C comes to us alone, and we end the others in order.
            process = subprocess.Popen(
                command,
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=self.environment,
                start_new_session=True,
            )
        self._running.append((name, process))
        return log

    def wait_until(self, condition: Callable[[], bool], what: str, *, seconds: float = 120) -> None:
        """Waits for something that a process is to bring about.

        Args:
            condition: whether it is so
            what: in words, for the message
            seconds: how long to wait

        Raises:
            Failed: if a process ends, or the time is over
        """
        end_of_patience = time.monotonic() + seconds
        while not condition():
            for name, process in self._running:
                if process.poll() not in (None, 0):
                    raise Failed(f"The {name} ended by itself (code {process.returncode}). {self._tail(name)}")
            if time.monotonic() > end_of_patience:
                raise Failed(f"Waited {seconds:.0f} s for {what}, in vain. The logs are in {self._logs}.")
            time.sleep(0.1)

    def is_done(self, name: str) -> bool:
        """Whether a process ended well.

        Args:
            name: as it was started
        """
        return any(process.poll() == 0 for known, process in self._running if known == name)

    def _tail(self, name: str) -> str:
        log = self._logs / f"{name.replace(' ', '_')}.log"
        lines = log.read_text(errors="replace").splitlines()
        told = [line for line in lines if line.startswith("Failed: ")] or lines[-5:]
        return "\n".join(told) + f"\nAll that it said is in {log}."


def _children() -> list[psutil.Process]:
    """What this process started, and what that started."""
    return list(psutil.Process().children(recursive=True))


def end(process: "subprocess.Popen[bytes]") -> None:
    """Ends a process and everything that it started: asked first, made to after a while.

    Args:
        process: the process
    """
    try:
        family = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
    except psutil.NoSuchProcess:
        family = []
    if process.poll() is None:
        process.terminate()
    _, alive = psutil.wait_procs(family, timeout=_PATIENCE)
    for stubborn in alive:
        stubborn.terminate()
    _, alive = psutil.wait_procs(alive, timeout=_PATIENCE)
    for stubborn in alive:
        stubborn.kill()
    process.wait()
