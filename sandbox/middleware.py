"""What stands between the network and the routes: limits of the request line, faults, the log of requests."""

import time
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fiftyone_tator.sandbox.faults import Faults, Rule, close_connection, redacted
from fiftyone_tator.sandbox.streaming import Stop
from fiftyone_tator.sandbox.web import answer, error_page

MAX_LINE, MAX_LINE_OF_PROXY = 4094, 8192
THROTTLED = {"message": "Request was throttled. Expected available in 1 second.", "details": "None"}


def line_refusal(scope: Scope) -> Response | None:
    """Refuses requests whose first line is too long.

    Args:
        scope: of the request

    Returns:
        the answer, or None
    """
    query = scope["query_string"]
    target = len(scope.get("raw_path") or scope["path"].encode()) + (len(query) + 1 if query else 0)
    length = len(scope["method"]) + target + len("  HTTP/1.1")
    if length > MAX_LINE_OF_PROXY:
        return error_page("414 Request-URI Too Large", status=414)
    if length > MAX_LINE:
        return error_page("Bad Request", f"Request Line is too large ({length} > {MAX_LINE})", status=400)
    return None


class Switch:
    """ASGI middleware that applies armed faults and records every request.

    Args:
        app: the application
        faults: the armed rules and the log
        stop: tells waiting answers that the server stops
    """

    def __init__(self, app: ASGIApp, faults: Faults, stop: Stop) -> None:
        self.app = app
        self.faults = faults
        self.stop = stop

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles a request.

        Args:
            scope: of the request
            receive: of the request
            send: of the request
        """
        if scope["type"] != "http" or scope["path"].startswith("/sandbox/"):
            await self.app(scope, receive, send)
            return
        query = scope["query_string"].decode("latin-1")
        rule = self.faults.hit(scope["method"], scope["path"], query)
        entry: dict[str, Any] = {
            "method": scope["method"], "path": scope["path"], "query": redacted(query), "status": None, "bytes": 0,
            "fault": rule and rule.kind, "seconds": None,
        }  # fmt: skip
        self.faults.record(entry)
        start = time.monotonic()

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                entry["status"] = message["status"]
            entry["bytes"] += len(message.get("body", b""))
            await send(message)

        try:
            refusal = line_refusal(scope)
            if refusal:
                await refusal(scope, receive, counted)
            elif rule:
                await self._misbehave(rule, scope, receive, counted)
            else:
                await self.app(scope, receive, counted)
        finally:
            entry["seconds"] = time.monotonic() - start

    async def _misbehave(self, rule: Rule, scope: Scope, receive: Receive, send: Send) -> None:
        if rule.kind == "slow":
            if not await self.stop.within(rule.seconds):
                await self.app(scope, receive, send)
            return
        if rule.kind == "cut":
            await self._cut(scope, receive, send)
            return
        if rule.when == "after":
            await self.app(scope, receive, _nowhere)
        else:
            await Request(scope, receive).body()
        if rule.kind == "hang":
            await self.stop.or_disconnect(receive)
            close_connection(scope["client"])
        elif rule.kind == "drop-connection":
            close_connection(scope["client"])
        elif rule.kind == "restart":
            close_connection(scope["client"])
            if self.faults.restart:
                await self.faults.restart(rule.seconds)
        else:
            await _plain(rule)(scope, receive, send)

    async def _cut(self, scope: Scope, receive: Receive, send: Send) -> None:
        start: Message = {}
        data = bytearray()

        async def keep(message: Message) -> None:
            start.update(message if message["type"] == "http.response.start" else {})
            data.extend(message.get("body", b""))

        await self.app(scope, receive, keep)
        packed = (b"content-encoding", b"gzip") in start["headers"]
        text = zlib.decompress(bytes(data), 31) if packed else bytes(data)
        half = text[: len(text) // 2]
        headers = [pair for pair in start["headers"] if pair[0] != b"content-length"]
        await send({**start, "headers": headers})
        packer = zlib.compressobj(1, zlib.DEFLATED, 31)
        body = packer.compress(half) + packer.flush() if packed else half
        await send({"type": "http.response.body", "body": body})


async def _nowhere(message: Message) -> None:
    """Loses an answer."""


def _plain(rule: Rule) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    if rule.kind == "empty":
        return Response(media_type="application/json")
    if rule.kind == "throttle":
        return answer(THROTTLED, 400)
    if rule.status == 400:
        return answer({"message": "A fault that was asked for.", "details": "None"}, 400)
    return error_page("A fault that was asked for", status=rule.status)
