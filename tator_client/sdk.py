"""tator-py, for what it does well: uploading media and fetching videos.

It is imported and connected on first use (1.75 s: it reads the server's whole OpenAPI document).
It knows no timeouts, retries without pause, gives up in silence, and logs signed URLs; here it is
watched, its results are checked, and its log lines lose their signatures.
"""

from __future__ import annotations

import logging
import mimetypes
import os
import queue
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from . import _answers
from ._urls import without_query
from .errors import ConnectionFailed, IncompleteAnswer, InvalidRequest, NotFound, ServerFailed, TatorError

T = TypeVar("T")
OnProgress = Callable[[float], None]

_LOGGERS = ("tator.util._download_file", "tator.util._upload_file", "urllib3.connectionpool")
_SIGNED = re.compile(r"\?[^\s\"'<>]*(?:signature|sig=|token|credential)[^\s\"'<>]*", re.IGNORECASE)
_LINK_SECONDS = 86400


class Sdk:
    """tator-py for one server and user; may be used by several threads at once.

    Args:
        url: address of the server
        token: the user's API token
        patience (300.0): seconds without any progress after which a call counts as failed
    """

    def __init__(self, url: str, token: str, *, patience: float = 300.0) -> None:
        self.url = url
        self.patience = patience
        self._token = token
        self._api: Any = None
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"Sdk({self.url!r})"

    @property
    def api(self) -> Any:
        """The ``tator`` API object, made on first use.

        Raises:
            TatorError: if the server cannot be reached or does not describe itself
        """
        with self._lock:
            if self._api is None:
                self._api = self._done(self._connect, "connect")
            return self._api

    def download_video(
        self,
        media: int,
        path: str | os.PathLike[str],
        *,
        quality: int | None = None,
        kind: str | None = None,
        on_progress: OnProgress | None = None,
    ) -> int:
        """Downloads a file of a video; it appears only when it is complete.

        Args:
            media: the media's id
            path: where to put it; a file that is there is replaced
            quality (None): the vertical resolution to come close to, in pixels; by default the best
            kind (None): ``streaming`` or ``archival``; by default archival if there is one
            on_progress (None): called with percentages

        Returns:
            the number of bytes written

        Raises:
            NotFound: if the media, or such a file of it, does not exist
            IncompleteAnswer: if the file did not arrive whole
            TatorError: if the server fails
            OSError: if the file cannot be written
        """
        call = f"download of media {int(media)}"
        found = self._done(lambda: self.api.get_media(int(media), presigned=_LINK_SECONDS), call)
        sizes = _sizes(found, kind)
        if not sizes:
            raise NotFound(f"Media {media} has no {kind or 'video'} file (yet). Wait for its import, or look in Tator.")
        target = Path(path)
        part = target.with_name(f".{target.name[:100]}.{uuid4().hex}.part")
        try:
            for percent in self._steps(lambda: self._download(found, part, quality, kind), call):
                if on_progress is not None:
                    on_progress(float(percent))
            size = part.stat().st_size if part.exists() else 0
            if not size or (None not in sizes and size not in sizes):
                raise IncompleteAnswer(
                    f"The {call} ended with {size:,} bytes where Tator has files of {sorted(filter(None, sizes))}. "
                    "Try again; the log of tator-py may say more.",
                    transient=True,
                )
            os.replace(part, target)
        finally:
            part.unlink(missing_ok=True)
        return size

    def upload_media(
        self,
        media_type: int,
        path: str | os.PathLike[str],
        *,
        name: str | None = None,
        section: str | None = None,
        attributes: Mapping[str, Any] | None = None,
        on_progress: OnProgress | None = None,
    ) -> int | None:
        """Uploads an image or a video. It is not repeated after a failure: that could make two media.

        Args:
            media_type: id of the media type
            path: the file
            name (None): the name in Tator, by default that of the file
            section (None): name of the section, made if it is not there; by default Tator's own
            attributes (None): attributes of the media
            on_progress (None): called with percentages

        Returns:
            id of the new media, or ``None`` for a video, which exists once it is transcoded

        Raises:
            InvalidRequest: if the file's name does not tell what it is
            TatorError: if the server refuses or fails
            OSError: if the file cannot be read
        """
        name = name or Path(path).name
        if mimetypes.guess_type(name)[0] is None and Path(name).suffix.lower() not in (
            ".mts",
            ".m2ts",
            ".avif",
            ".dng",
        ):
            raise InvalidRequest(f"{name!r} does not tell what kind of file it is. Give it a name with an extension.")
        os.stat(path)
        response: Any = None
        options: dict[str, Any] = {"fname": name, "section": section, "attributes": dict(attributes or {})}
        steps = self._steps(lambda: self._upload(media_type, os.fspath(path), options), f"upload of {name}")
        for percent, response in steps:  # noqa: B007 - the last response is the result
            if on_progress is not None:
                on_progress(float(percent))
        made = getattr(response, "id", None)
        made = made[0] if isinstance(made, list) and made else made
        return made if isinstance(made, int) else None

    def _connect(self) -> Any:
        import tator

        return tator.get_api(self.url, self._token)

    def _download(self, media: Any, path: Path, quality: int | None, kind: str | None) -> Iterator[float]:
        import tator

        yield from tator.util.download_media(self.api, media, os.fspath(path), quality, kind)

    def _upload(self, media_type: int, path: str, options: dict[str, Any]) -> Iterator[tuple[float, Any]]:
        import tator

        yield from tator.util.upload_media(self.api, media_type, path, **options)

    def _done(self, work: Callable[[], T], call: str) -> T:
        def once() -> Iterator[T]:
            yield work()

        for result in self._steps(once, call):
            return result
        raise ServerFailed(f"The {call} ended without a result. The log may say more.")

    def _steps(self, work: Callable[[], Iterator[T]], call: str) -> Iterator[T]:
        """Yields what the work yields, but waits no longer than ``patience`` for each step."""
        results: queue.Queue[T | TatorError | OSError | None] = queue.Queue()

        def run() -> None:
            try:
                for result in work():
                    results.put(result)
            except _expected() as error:
                results.put(self._translated(error, call))
            finally:
                results.put(None)

        with _quiet():
            threading.Thread(target=run, name="tator-py", daemon=True).start()
            while True:
                try:
                    result = results.get(timeout=self.patience)
                except queue.Empty:
                    raise ConnectionFailed(
                        f"The {call} made no progress for {self.patience:.0f} s. Check the network, and try again.",
                        outcome_unknown=True,
                        timed_out=True,
                    ) from None
                if isinstance(result, (TatorError, OSError)):
                    raise result
                if result is None:
                    return
                yield result

    def _translated(self, error: Exception, call: str) -> TatorError | OSError:
        import requests
        from tator.exceptions import ApiException

        if isinstance(error, TatorError):
            return error
        if isinstance(error, ApiException):
            body = (error.body or "").replace(self._token, "<token>").encode()
            return _answers.failure(error.status or 500, body.lstrip()[:1] == b"<", body, call=call)
        if isinstance(error, (requests.ConnectionError, requests.Timeout)):
            return ConnectionFailed(
                f"{self.url} cannot be reached for the {call} ({type(error).__name__}). "
                "Check the URL, the network or VPN, and that the server is up.",
                outcome_unknown=True,
            )
        if isinstance(error, OSError) and not isinstance(error, requests.RequestException):
            return error
        # The text of others may hold signed URLs.
        return ServerFailed(
            f"tator-py failed at the {call} ({type(error).__name__}). Is {without_query(self.url)} a Tator server? "
            "If so, look into its log.",
            outcome_unknown=True,
        )


def _expected() -> tuple[type[Exception], ...]:
    from tator.exceptions import OpenApiException

    return (
        *(OpenApiException, TatorError, OSError, RuntimeError, ValueError, TypeError),
        *(AssertionError, AttributeError, LookupError),
    )


def _sizes(media: Any, kind: str | None) -> set[int | None]:
    files = getattr(media, "media_files", None)
    kinds = (kind,) if kind is not None else ("archival", "streaming")
    return {getattr(file, "size", None) for each in kinds for file in getattr(files, each, None) or ()}


class _WithoutSignatures(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = _SIGNED.sub("?…", record.getMessage()), None
        return True


@contextmanager
def _quiet() -> Iterator[None]:
    cleaner = _WithoutSignatures()
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    for logger in loggers:
        logger.addFilter(cleaner)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(cleaner)
