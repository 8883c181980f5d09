"""The wire: one HTTP exchange at a time, with timeouts, bounded concurrency and retries."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

import httpx
import stamina

from . import _answers
from ._transport import ProxyTransport, SecretTransport
from ._urls import normalise_url
from .errors import (
    AuthenticationFailed,
    ConnectionFailed,
    IncompleteAnswer,
    InvalidRequest,
    ServerFailed,
    TatorError,
    Throttled,
)

Params = Mapping[str, str | int] | None

# Tator's server takes request lines of up to 4,094 bytes.
_LONGEST_TARGET = 4000
_CONNECT_SECONDS = 10.0
# A whole answer may take this many times the seconds of silence that are allowed.
_ANSWER_FACTOR = 10
# Requests that time out are slow to fail; more of them is not more likely to help.
_TIMEOUTS_RETRIED = 2
_LONGEST_TOLD_WAIT = 60.0
_READS = frozenset({"GET", "PUT"})

# Failures of which it is certain that the server did not get the request.
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, httpx.UnsupportedProtocol)


class Wire:
    """Requests to one server; may be used by several threads at once.

    Arguments are those of :class:`.session.Tator`.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        timeout: float,
        retries: int,
        concurrency: int,
        transport: httpx.BaseTransport | None,
    ) -> None:
        self.url = normalise_url(url)
        self.concurrency = max(1, concurrency)
        self.timeout = timeout
        self._token = clean_token(token)
        self._retries = max(0, retries)
        self.slots = threading.BoundedSemaphore(self.concurrency)
        limits = httpx.Limits(max_connections=self.concurrency, max_keepalive_connections=self.concurrency)
        self._transport = transport if transport is not None else ProxyTransport(limits)
        silence = httpx.Timeout(timeout, connect=min(timeout, _CONNECT_SECONDS))
        # Two clients: what one of them knows (token, cookies), the other never sends.
        self._api = httpx.Client(
            transport=SecretTransport(self._transport, authorization=f"Token {self._token}"),
            timeout=silence,
            trust_env=False,
            headers={"Accept": "application/json", "User-Agent": "fiftyone-tator"},
        )
        self.objects = httpx.Client(
            transport=SecretTransport(self._transport),
            timeout=silence,
            trust_env=False,
            headers={"User-Agent": "fiftyone-tator"},
        )

    @property
    def token(self) -> str:
        """The secret itself, for what must send it on its own."""
        return self._token

    def close(self) -> None:
        """Closes all connections."""
        self._api.close()
        self.objects.close()
        self._transport.close()

    def get(self, path: str, params: Params = None) -> Any:
        """Reads ``/rest/{path}``, repeating what fails for the moment."""
        return self.call("GET", path, params=params)

    def put(self, path: str, body: Mapping[str, Any], params: Params = None) -> Any:
        """Reads ``/rest/{path}`` with ids in the body, repeating what fails for the moment."""
        return self.call("PUT", path, params=params, body=body)

    def call(
        self, method: str, path: str, *, params: Params = None, body: Any = None, harmless: bool | None = None
    ) -> Any:
        """Makes one call, repeating what fails for the moment.

        Args:
            method: the HTTP method; GET and PUT read
            path: the path below ``/rest/``
            params (None): the query
            body (None): what to send as JSON
            harmless (None): whether repeating the call after it may have arrived does no harm; by
                default so if it reads

        Returns:
            the decoded answer

        Raises:
            TatorError: if it fails for good
        """
        harmless = method in _READS if harmless is None else harmless
        for attempt in self.attempts(harmless=harmless):
            with attempt:
                return self.once(method, path, params=params, body=body)
        raise AssertionError("stamina yields at least one attempt")

    def attempts(
        self, *, harmless: bool = True, on: Callable[[Exception], bool | float] | None = None
    ) -> Iterator[stamina.Attempt]:
        """Returns stamina's attempts: growing pauses, or the pause that the server asked for.

        Args:
            harmless (True): whether to repeat also what may have arrived
            on (None): decides itself whether to repeat after an exception
        """
        return iter(
            stamina.retry_context(
                on=on or _pauses(harmless),
                attempts=self._retries + 1,
                timeout=None,
                wait_initial=0.2,
                wait_max=8.0,
                wait_jitter=0.5,
            )
        )

    def once(self, method: str, path: str, *, params: Params = None, body: Any = None) -> Any:
        """Makes one call without repeating it; as :meth:`call` otherwise."""
        call = f"{method} /rest/{path}"
        content = None if body is None else encode(body, call)
        request = self._api.build_request(
            method,
            f"{self.url}/rest/{path}",
            params=params,
            content=content,
            headers=None if content is None else {"Content-Type": "application/json"},
        )
        if len(request.url.raw_path) > _LONGEST_TARGET:
            raise InvalidRequest(f"{call} has too long a query for Tator. Ask for fewer things at once.")
        try:
            return self._exchange(request, call)
        except TatorError as error:
            arrived = error.outcome_unknown or isinstance(error, (IncompleteAnswer, ServerFailed))
            error.outcome_unknown = arrived and method not in _READS
            raise

    def _exchange(self, request: httpx.Request, call: str) -> Any:
        deadline = time.monotonic() + self.timeout * _ANSWER_FACTOR
        chunks = []
        with self.slots:
            with exchanging(self.url, call):
                response = self._api.send(request, stream=True)
            with closing(response), exchanging(self.url, call, receiving=True):
                for chunk in response.iter_bytes():
                    chunks.append(chunk)
                    if time.monotonic() > deadline:
                        raise _too_slow(self.url, call)
        data = b"".join(chunks)
        if not response.is_success:
            data = data.replace(self._token.encode(), b"<token>")
        headers = response.headers
        return _answers.decode(
            response.status_code,
            headers.get("Content-Type", ""),
            data,
            call=call,
            location=headers.get("Location", ""),
        )


def clean_token(token: str) -> str:
    """Returns a token as it goes over the wire, without ``Token `` in front and blanks around it.

    Raises:
        AuthenticationFailed: if nothing is left, or it cannot be a token
    """
    text = token.strip()
    first, _, rest = text.partition(" ")
    if first.lower() == "token":
        text = rest.strip()
    if not text:
        raise AuthenticationFailed(
            "There is no API token for Tator. Get one from Tator's web interface (API token) and set it."
        )
    if not text.isascii() or not text.isprintable() or " " in text:
        raise AuthenticationFailed(
            "The API token for Tator has characters that no token has. Copy it again: 40 digits and letters a to f."
        )
    return text


def encode(body: Any, call: str) -> bytes:
    """Returns the JSON of a request; what JSON or Tator cannot hold is ``InvalidRequest``."""
    try:
        return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (ValueError, TypeError) as error:
        # UnicodeEncodeError, for lone surrogates, is a ValueError that holds the whole text.
        reason = "a lone surrogate" if isinstance(error, UnicodeError) else str(error)
        raise InvalidRequest(
            f"{call}: what was to be sent cannot be sent ({reason}). Numbers must be finite, text must be Unicode."
        ) from None


@contextmanager
def exchanging(url: str, call: str, *, receiving: bool = False) -> Iterator[None]:
    """Turns what httpx raises into this package's exceptions.

    Args:
        url: whom we talk to, without a query
        call: what for
        receiving (False): whether the answer has begun
    """
    try:
        yield
    except _UNSENT as error:
        raise _answers.unreachable(url, error, sent=False) from None
    except httpx.TimeoutException:
        raise _too_slow(url, call) from None
    except (httpx.TransportError, httpx.DecodingError) as error:
        if receiving:
            raise IncompleteAnswer(
                f"{call}: the answer of {url} breaks off ({type(error).__name__}). Try again.", transient=True
            ) from None
        raise _answers.unreachable(url, error, sent=True) from None


def _too_slow(url: str, call: str) -> ConnectionFailed:
    return ConnectionFailed(
        f"{call}: {url} did not answer in time. Check the network or VPN and the server's load; "
        "a longer timeout helps a slow server.",
        outcome_unknown=True,
        timed_out=True,
    )


def _pauses(harmless: bool) -> Callable[[Exception], bool | float]:
    # What stamina asks after each failure: no, yes, or yes after so many seconds.
    timeouts = 0

    def pause(error: Exception) -> bool | float:
        nonlocal timeouts
        if not isinstance(error, TatorError) or not error.transient:
            return False
        if error.outcome_unknown and not harmless:
            return False
        if isinstance(error, Throttled):
            return min(error.wait, _LONGEST_TOLD_WAIT) + random.uniform(0.0, 0.5)
        if isinstance(error, ConnectionFailed) and error.timed_out:
            timeouts += 1
            return timeouts <= _TIMEOUTS_RETRIED
        return True

    return pause
