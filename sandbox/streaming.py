"""Answers that are sent in pieces, and one that never ends."""

import asyncio
import zlib
from collections.abc import Iterator

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

# The compressor of the real server flushes every so many bytes of text; a text that ends there is never finished.
FLUSH = 8192


class Stop:
    """Tells everything that waits in a running server that it stops."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        """Ends all waiting."""
        self._event.set()

    def renew(self) -> None:
        """Makes waiting possible again, for a server that came back."""
        self._event = asyncio.Event()

    async def within(self, seconds: float) -> bool:
        """Waits.

        Args:
            seconds: how long

        Returns:
            whether the server stopped meanwhile
        """
        try:
            await asyncio.wait_for(self._event.wait(), seconds)
        except asyncio.TimeoutError:
            return False
        return True

    async def or_disconnect(self, receive: Receive, seconds: float | None = None) -> None:
        """Waits until the client goes away, the server stops, or time is over.

        Args:
            receive: of the request
            seconds (None): how long at most
        """

        async def gone() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass

        waiting = [asyncio.ensure_future(gone()), asyncio.ensure_future(self._event.wait())]
        try:
            await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()


class ListAnswer(Response):
    """A JSON list, always gzip-encoded, sent while it is read.

    Args:
        pieces: the JSON text
        stop: of the running server
    """

    def __init__(self, pieces: Iterator[str], stop: Stop) -> None:
        super().__init__(media_type="application/json", headers={"content-encoding": "gzip", "vary": "Accept-Encoding"})
        del self.headers["content-length"]
        self._pieces = pieces
        self._stop = stop

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends the answer.

        Args:
            scope: of the request
            receive: of the request
            send: of the request
        """
        packer = zlib.compressobj(1, zlib.DEFLATED, 31)
        total = 0

        def packed() -> bytes | None:
            nonlocal total
            piece = next(self._pieces, None)
            if piece is None:
                return None
            data = piece.encode()
            total += len(data)
            return packer.compress(data)

        first = await run_in_threadpool(packed)
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        while first is not None:
            if first:
                await send({"type": "http.response.body", "body": first, "more_body": True})
            first = await run_in_threadpool(packed)
        if total % FLUSH == 0:
            await send({"type": "http.response.body", "body": packer.flush(zlib.Z_SYNC_FLUSH), "more_body": True})
            await self._stop.or_disconnect(receive)
            return
        await send({"type": "http.response.body", "body": packer.flush(), "more_body": False})
