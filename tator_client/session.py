"""The session with a Tator server."""

from __future__ import annotations

import threading
from types import TracebackType

import httpx

from ._wire import Wire
from .each import EachWrites
from .localizations import LocalizationReads
from .media import MediaReads
from .projects import ProjectCalls
from .sdk import Sdk


class Tator(ProjectCalls, LocalizationReads, MediaReads, EachWrites):
    """A session with a Tator server; may be used by several threads at once.

    Nothing is sent before the first call. Close it, or use it as a context manager.

    Args:
        url: address of the server, such as ``https://tator.example.org``; a missing scheme,
            a trailing ``/rest`` and pasted paths of the web interface are put right
        token: the user's API token, 40 hexadecimal digits; ``Token `` in front of it is dropped
        timeout (30.0): seconds of silence after which a request counts as failed; a whole
            answer may take ten times that
        retries (5): how often a failed request is repeated, with growing pauses
        concurrency (8): number of requests that may be under way at once
        transport (None): what carries the requests, for tests

    Raises:
        AuthenticationFailed: if the token is empty or cannot be a token
        ConnectionFailed: if the URL cannot be one
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        timeout: float = 30.0,
        retries: int = 5,
        concurrency: int = 8,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._wire = Wire(url, token, timeout=timeout, retries=retries, concurrency=concurrency, transport=transport)
        self._sdk: Sdk | None = None
        self._sdk_lock = threading.Lock()

    @property
    def url(self) -> str:
        """The address of the server: scheme, host and port, without a trailing slash."""
        return self._wire.url

    def sdk(self) -> Sdk:
        """Returns tator-py for this server and user, for uploads and videos; made once."""
        with self._sdk_lock:
            if self._sdk is None:
                self._sdk = Sdk(self._wire.url, self._wire.token)
            return self._sdk

    def close(self) -> None:
        """Closes the connections; the session cannot be used afterwards."""
        self._wire.close()

    def __enter__(self) -> Tator:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Tator({self.url!r})"
