"""A client of Fast-VSS, asynchronous, for any event loop: a web server's, or one in a thread of its own.

What is sent goes to the one address that it was given: neither a path nor a redirect leads elsewhere.
"""

import re
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import anyio
import httpx
import stamina

from fiftyone_tator.embeddings import answers
from fiftyone_tator.embeddings.answers import Health, Job, Neighbour, check_embeddings, check_knn
from fiftyone_tator.embeddings.errors import EmbeddingError, ServiceAway, UnknownProject, WorkerDead
from fiftyone_tator.sync.errors import InvalidOption

__all__ = [
    "EMBED_PATH",
    "KNN_PATH",
    "FastVSS",
    "Health",
    "Job",
    "Neighbour",
    "check_embeddings",
    "check_knn",
]

EMBED_PATH = "/embed/{project}"
KNN_PATH = "/knn/{top_n}/{project}"
PATIENCE = 300.0
_CONNECT_SECONDS = 5.0
_ATTEMPTS = 4
_MOST_REDIRECTS = 5
_PATH = re.compile(r"/[^@\\?#\s]*")
_FIRST_PAUSE, _LONGEST_PAUSE, _GROWTH = 0.005, 0.5, 1.5

File = tuple[str, bytes]
"""Name and content."""


def check_path(path: str) -> str:
    """Refuses the path of a call that may lead to another service, or to no project.

    Args:
        path: such as ``/embed/{project}``

    Returns:
        the path

    Raises:
        InvalidOption: if it cannot be one
    """
    if not _PATH.fullmatch(path) or path.count("{project}") != 1:
        raise InvalidOption(
            "The path of the service's call cannot be used. It should begin with a slash, hold {project} once and "
            f"none of @ \\ ? # or spaces, like {EMBED_PATH}."
        )
    return path


class FastVSS:
    """One service; an asynchronous context manager, and usable by several tasks at once.

    What fails for the moment (no connection, a proxy's 502) is tried again, also where pictures are sent: a job is only
    computation, so a second one does no harm.

    Args:
        url: its address; a name and password in it are sent as such, and shown nowhere
        embed_path: of the call that embeds, for services that name it otherwise
        knn_path: of the call that finds neighbours
        timeout: seconds of silence after which a call fails
        transport: what carries the requests; the network by default

    Raises:
        ServiceAway: if the address is none
        InvalidOption: if a path cannot be one
    """

    def __init__(
        self,
        url: str,
        *,
        embed_path: str = EMBED_PATH,
        knn_path: str = KNN_PATH,
        timeout: float = 60.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.url, self._auth = _parted(url)
        self._embed_path, self._knn_path = check_path(embed_path), check_path(knn_path)
        self._timeout = httpx.Timeout(timeout, connect=min(timeout, _CONNECT_SECONDS))
        self._transport = transport

    async def __aenter__(self) -> "FastVSS":
        """Gets ready; connections are made with the first call."""
        self._http = httpx.AsyncClient(
            auth=self._auth,
            timeout=self._timeout,
            follow_redirects=False,
            headers={"Accept": "application/json", "User-Agent": "fiftyone-tator"},
            transport=self._transport,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes all connections."""
        await self._http.aclose()

    async def health(self) -> Health:
        """What the service says of itself.

        Returns:
            state and version

        Raises:
            EmbeddingError: if it is not there
        """
        return answers.health_of(*await self._call("GET", "/health"))

    async def projects(self) -> list[str]:
        """The service's projects; each has a model of its own.

        Returns:
            their names

        Raises:
            EmbeddingError: if the service is not there
        """
        answer, call = await self._call("GET", "/projects")
        return answers.names_of(answer, "projects", call)

    async def ids(self, project: str) -> list[str]:
        """Some of the pictures that ``knn`` finds neighbours among.

        Args:
            project: of the service

        Returns:
            at most 100 ids

        Raises:
            EmbeddingError: if the service is not there or does not have the project
        """
        answer, call = await self._ask("GET", "/ids/{project}", project)
        return answers.names_of(answer, "ids", call)

    async def submit(self, project: str, files: Sequence[File]) -> str:
        """Asks for the vectors of pictures.

        Args:
            project: of the service
            files: names and contents

        Returns:
            the job's id

        Raises:
            TooLarge: if these are too many, or too large
            EmbeddingError: if the service is not there or does not have the project
        """
        return answers.job_id_of(*await self._ask("POST", self._embed_path, project, files=files))

    async def submit_knn(self, project: str, files: Sequence[File], top_n: int) -> str:
        """Asks for the nearest labelled neighbours of pictures.

        Args:
            project: of the service
            files: names and contents
            top_n: how many neighbours of each

        Returns:
            the job's id

        Raises:
            TooLarge: if these are too many, or too large
            EmbeddingError: if the service is not there or does not have the project
        """
        path = self._knn_path.replace("{top_n}", str(top_n))
        return answers.job_id_of(*await self._ask("POST", path, project, files=files))

    async def job(self, project: str, job_id: str) -> Job:
        """How a job is.

        Args:
            project: of the service
            job_id: of the job

        Returns:
            state and result

        Raises:
            JobGone: if the service does not know it (any more)
            EmbeddingError: if the service is not there or does not have the project
        """
        return answers.job_of(*await self._ask("GET", f"/predict/job/{_quoted(job_id)}/{{project}}", project))

    async def wait(
        self, project: str, job_id: str, *, patience: float = PATIENCE, sign: Callable[[], float] | None = None
    ) -> Any:
        """Waits until a job is done: asks at once, soon again, and then ever less often.

        Args:
            project: of the service
            job_id: of the job
            patience: seconds to wait for a sign of life
            sign: when the worker gave the last sign of life elsewhere, by :func:`anyio.current_time`

        Returns:
            the job's result

        Raises:
            WorkerDead: if patience is at its end
            WorkerFailed: if the job failed, or its result is the text of an exception
            JobGone: if the service does not know it (any more)
            EmbeddingError: if the service is not there
        """
        started, pause = anyio.current_time(), _FIRST_PAUSE
        while (job := await self.job(project, job_id)).state == "pending":
            left = max(started, sign() if sign else started) + patience - anyio.current_time()
            if left <= 0:
                raise WorkerDead(
                    f"{self.url} takes pictures for the project {project!r}, but for {patience:,.0f} s no job came "
                    "back. Is its worker running? Start it, then ask again; what came back was kept."
                )
            await anyio.sleep(min(pause, left))
            pause = min(pause * _GROWTH, _LONGEST_PAUSE)
        return answers.result_of(job)

    async def _ask(
        self, method: str, path: str, project: str, *, files: Sequence[File] | None = None
    ) -> tuple[dict[str, Any], str]:
        """Makes a call about a project, and tells which there are if it is unknown."""
        try:
            return await self._call(method, path.replace("{project}", _quoted(project)), files=files)
        except UnknownProject:
            known = ", ".join(sorted(await self.projects())) or "none"
            raise UnknownProject(
                f"{self.url} does not have the project {answers.shortened(project)!r}. It has: {known}."
            ) from None

    async def _call(self, method: str, path: str, *, files: Sequence[File] | None = None) -> tuple[dict[str, Any], str]:
        """Makes a call, again if it fails for the moment; returns the answer, and the call's name for messages."""
        call = f"{method} {self.url}{path}"
        parts = [("files", (name, content, "image/jpeg")) for name, content in files] if files is not None else None
        request = self._http.build_request(method, f"{self.url}{path}", files=parts)
        # The body in one piece: it can be sent again, and goes out at once instead of part by part.
        await request.aread()
        async for attempt in stamina.retry_context(
            on=_passes, attempts=_ATTEMPTS, timeout=None, wait_initial=0.2, wait_max=5.0, wait_jitter=0.2
        ):
            with attempt:
                return await self._exchange(request, call), call
        raise AssertionError("stamina yields at least one attempt")

    async def _exchange(self, request: httpx.Request, call: str) -> dict[str, Any]:
        try:
            response = await self._http.send(self._ours(request, call))
            for _ in range(_MOST_REDIRECTS):
                following = response.next_request
                if following is None:
                    break
                self._ours(following, call)
                if following.method != request.method:
                    raise ServiceAway(
                        f"{call} was redirected to {_bare(following.url)}. Use the address of the service that answers "
                        "itself."
                    )
                response = await self._http.send(following)
        except httpx.RequestError as error:
            raise _unreachable(call, error) from None
        except httpx.InvalidURL:
            raise ServiceAway(
                f"{call} was redirected to what is no address. Use the address of the service that answers itself."
            ) from None
        if response.next_request is not None:
            raise ServiceAway(
                f"{call} was redirected {_MOST_REDIRECTS + 1} times, at last to {_bare(response.next_request.url)}. "
                "Use the address of the service that answers itself."
            )
        return answers.decode(
            response.status_code, response.headers.get("Content-Type", ""), response.content, call=call
        )

    def _ours(self, request: httpx.Request, call: str) -> httpx.Request:
        """Refuses what would go elsewhere."""
        if _origin(request.url) != _origin(httpx.URL(self.url)):
            raise ServiceAway(
                f"{call} leads to {_bare(request.url.copy_with(path='/'))}, which nobody named as a service; nothing "
                "was sent there. If it is the right one, use its address."
            )
        return request


def _quoted(part: str) -> str:
    """A part of a path, of which no sign has a meaning there."""
    return quote(part, safe="").replace(".", "%2E") if part in (".", "..") else quote(part, safe="")


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _bare(url: httpx.URL) -> str:
    """An address without name, password and query."""
    return answers.shortened(str(url.copy_with(userinfo=b"", query=None, fragment=None)))


def _passes(error: Exception) -> bool:
    return isinstance(error, EmbeddingError) and error.transient


def _parted(url: str) -> tuple[str, httpx.BasicAuth | None]:
    """An address without name, password and query; and name and password on their own."""
    text = url.strip()
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        httpx.URL(parts.geturl())
    except (ValueError, httpx.InvalidURL):
        valid = False
    if not valid or any(character.isspace() for character in text):
        raise ServiceAway("The address of the Fast-VSS is none. Write it like http://localhost:8000.")
    secret, _, host = parts.netloc.rpartition("@")
    name, _, password = secret.partition(":")
    auth = httpx.BasicAuth(unquote(name), unquote(password)) if secret else None
    return f"{parts.scheme}://{host}{parts.path.rstrip('/')}", auth


def _unreachable(call: str, error: httpx.RequestError) -> ServiceAway:
    reason = answers.shortened(str(error)) or type(error).__name__
    certificate = "CERTIFICATE" in reason.upper()
    if certificate:
        way_out = "Its certificate is not trusted here: set SSL_CERT_FILE to your organization's certificates."
    else:
        way_out = "Check the address, the network or VPN, and that the service is up."
    passes = isinstance(error, httpx.TransportError) and not isinstance(error, httpx.UnsupportedProtocol)
    return ServiceAway(f"{call}: no answer ({reason}). {way_out}", transient=passes and not certificate)
