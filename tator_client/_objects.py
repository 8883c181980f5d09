"""Downloading objects from their presigned URLs: no token, the signature unseen, whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urljoin, urlsplit
from uuid import uuid4

import httpx

from ._answers import object_cut, object_failure
from ._transport import QUERY
from ._urls import without_query
from ._wire import Wire, exchanging
from .errors import InvalidRequest, ServerFailed

_REDIRECTS = 5
_CHUNK = 1 << 18


def to_memory(wire: Wire, url: str, *, size: int | None = None) -> bytes:
    """Downloads an object into memory.

    Args:
        wire: what to ask
        url: the presigned URL
        size (None): the number of bytes to expect, if known

    Returns:
        the object

    Raises:
        TatorError: as :meth:`.media.MediaReads.download`
    """
    for attempt in wire.attempts():
        with attempt:
            chunks: list[bytes] = []
            _pour(wire, url, chunks.append, size)
            return b"".join(chunks)
    raise AssertionError("stamina yields at least one attempt")


def to_file(wire: Wire, url: str, path: str | os.PathLike[str], *, size: int | None = None) -> int:
    """Downloads an object into a file, which is there only when it is complete.

    Args:
        wire: what to ask
        url: the presigned URL
        path: the file; its folder must exist
        size (None): the number of bytes to expect, if known

    Returns:
        the number of bytes written

    Raises:
        TatorError: as :meth:`.media.MediaReads.download`
        OSError: if the file cannot be written
    """
    for attempt in wire.attempts():
        with attempt, _replacing(Path(path)) as write:
            return _pour(wire, url, write, size)
    raise AssertionError("stamina yields at least one attempt")


@contextmanager
def _replacing(path: Path) -> Iterator[Callable[[bytes], object]]:
    part = path.with_name(f".{path.name[:100]}.{uuid4().hex}.part")
    try:
        with part.open("xb") as file:
            yield file.write
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _pour(wire: Wire, url: str, write: Callable[[bytes], object], size: int | None) -> int:
    with wire.slots:
        for _ in range(_REDIRECTS + 1):
            target = _absolute(wire, url)
            shown = without_query(target)
            with exchanging(shown, "download"):
                response = wire.objects.send(_request(wire, target), stream=True)
            with closing(response):
                if not response.has_redirect_location:
                    return _read(response, shown, write, size)
                url = _next(target, response.headers["Location"])
    raise ServerFailed(f"{shown} redirects in circles. The object store is set up wrongly.")


def _read(response: httpx.Response, shown: str, write: Callable[[bytes], object], size: int | None) -> int:
    if response.status_code != 200:
        raise object_failure(response.status_code, shown)
    written = 0
    with exchanging(shown, "download", receiving=True):
        for chunk in response.iter_bytes(_CHUNK):
            write(chunk)
            written += len(chunk)
    announced = response.headers.get("Content-Length")
    if announced is not None and response.num_bytes_downloaded != int(announced):
        raise object_cut(shown, response.num_bytes_downloaded, int(announced))
    if size is not None and written != size:
        # What arrived is whole by the store's own word, so asking again would bring the same.
        raise object_cut(shown, written, size, transient=announced is None)
    return written


def _next(target: str, location: str) -> str:
    try:
        return urljoin(target, location)
    except ValueError:
        raise ServerFailed(f"{without_query(target)} redirects to something that is no address.") from None


def _absolute(wire: Wire, url: str) -> str:
    try:
        target = urljoin(f"{wire.url}/", url) if url.startswith("/") else url
        scheme = urlsplit(target).scheme
    except ValueError:
        raise _not_a_link(url) from None
    if scheme not in ("http", "https"):
        raise _not_a_link(url)
    return target


def _request(wire: Wire, url: str) -> httpx.Request:
    bare, _, query = url.partition("#")[0].partition("?")
    extensions = {QUERY: query.encode()} if query else {}
    try:
        return wire.objects.build_request("GET", bare, extensions=extensions, headers={"Accept-Encoding": "identity"})
    except httpx.InvalidURL:
        raise _not_a_link(url) from None


def _not_a_link(url: str) -> InvalidRequest:
    return InvalidRequest(
        f"{without_query(url)[:200]!r} cannot be downloaded: it is a storage key, not a URL. "
        "Read the media with presigned=3600 to get URLs."
    )
