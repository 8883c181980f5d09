"""Runs the application on a socket, and lets it go away and come back."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable
from typing import Any

from hypercorn.asyncio import serve as hypercorn_serve
from hypercorn.config import Config

from fiftyone_tator.sandbox.app import Sandbox

_log = logging.getLogger(__name__)


def listen(host: str, port: int) -> socket.socket:
    """A bound socket.

    Args:
        host: name or address
        port: 0 for a free one

    Returns:
        the socket
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, port))
    except OSError:
        found.close()
        raise
    return found


class Service:
    """A sandbox on a socket.

    Args:
        sandbox: the application
        host ("127.0.0.1"): name or address to listen on
        port (0): 0 for a free one
    """

    def __init__(self, sandbox: Sandbox, host: str = "127.0.0.1", port: int = 0) -> None:
        self.sandbox = sandbox
        self.host = host
        self._socket: socket.socket | None = listen(host, port)
        self.port = int(self._socket.getsockname()[1])
        self._away: float | None = None

    @property
    def url(self) -> str:
        """Where the sandbox is."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    async def _restart(self, seconds: float) -> None:
        self._away = seconds
        self._interrupt.set()

    async def run(self, stop: asyncio.Event, started: Callable[[], None] | None = None) -> None:
        """Serves until it is stopped.

        Args:
            stop: set it to stop
            started (None): called when the socket answers
        """
        self.sandbox.faults.restart = self._restart
        watch = asyncio.ensure_future(self._watch(stop))
        try:
            while not stop.is_set():
                self._interrupt = asyncio.Event()
                self.sandbox.stop.renew()
                bound = self._socket or listen(self.host, self.port)
                self._socket = None
                bound.listen(128)
                if started:
                    started()
                    started = None
                await self._serve_once(bound)
                if self._away is not None and not stop.is_set():
                    with contextlib.suppress(asyncio.TimeoutError):
                        await asyncio.wait_for(stop.wait(), self._away)
                self._away = None
        finally:
            watch.cancel()

    async def _watch(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._interrupt.set()

    async def _serve_once(self, bound: socket.socket) -> None:
        config = Config()
        config.bind = [f"fd://{bound.detach()}"]
        config.errorlog = _log
        config.graceful_timeout = 0.5
        config.include_server_header = False
        config.h11_max_incomplete_size = 256 * 1024

        async def interrupted() -> None:
            await self._interrupt.wait()
            self.sandbox.stop.set()

        # Starlette's and Hypercorn's types of an application do not agree, the applications do.
        app: Any = self.sandbox.app
        await hypercorn_serve(app, config, shutdown_trigger=interrupted, mode="asgi")
