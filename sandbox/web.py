"""From HTTP to plain functions: who asks, the parsed query and body, and refusals as answers."""

import html
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fiftyone_tator.sandbox import access, filters
from fiftyone_tator.sandbox.access import Gate, User
from fiftyone_tator.sandbox.database import dumps
from fiftyone_tator.sandbox.errors import ApiError, BadFilter, BadRequest, invalid_body
from fiftyone_tator.sandbox.signing import Signer
from fiftyone_tator.sandbox.store import Store
from fiftyone_tator.sandbox.streaming import ListAnswer, Stop

MAX_BODY = 2_621_440
_ID_LISTS = ("ids", "elemental_ids", "media_ids", "state_ids", "localization_ids")

_ERROR_PAGE = """<html>
  <head>
    <title>{0}</title>
  </head>
  <body>
    <h1><p>{0}</p></h1>
    {1}
  </body>
</html>
"""
_NOT_FOUND = """

<html lang="en">
    <head>
        <title>Not Found</title>
        <meta charset="UTF-8" />
    </head>
    <body>
        <h1 class="h1">Not Found</h1>
    </body>
</html>
"""


@dataclass(frozen=True)
class Server:
    """What a running sandbox consists of.

    Args:
        store: the data
        gate: who may come in
        signer: makes media links
        stop: tells waiting answers that the server stops
    """

    store: Store
    gate: Gate
    signer: Signer
    stop: Stop


@dataclass(frozen=True)
class Call:
    """One request to the API.

    Args:
        server: the sandbox
        user: who asks
        path: the numbers and texts in the path
        raw_query: the query parameters; of a repeated one the last
        body: the parsed JSON body, or None
        method: GET, PUT, ...
        base: scheme and host that the client used
    """

    server: Server
    user: User
    path: Mapping[str, Any]
    raw_query: Mapping[str, str]
    body: Any
    method: str
    base: str

    @property
    def store(self) -> Store:
        """The data."""
        return self.server.store

    @property
    def query(self) -> dict[str, Any]:
        """The query parameters with integers and lists of integers."""
        return filters.parse(self.raw_query)

    @property
    def selectors(self) -> dict[str, Any]:
        """The body of a request that selects rows; empty without one."""
        body = {} if self.body is None else self.body
        if not isinstance(body, dict) or not all(isinstance(body.get(name, []), list) for name in _ID_LISTS):
            raise invalid_body(self.body)
        return body

    def require(self, level: int, project: int | None = None) -> int:
        """Refuses users below a level.

        Args:
            level: such as :data:`~fiftyone_tator.sandbox.access.EDIT`
            project (None): the project; by default the one in the path

        Returns:
            the project's id
        """
        project = int(self.path["project"]) if project is None else project
        access.require(self.store, self.user, project, level)
        return project


Handler = Callable[[Call], Any]


def error_page(title: str, more: str = "", status: int = 500) -> Response:
    """A plain HTML error page.

    Args:
        title: what happened
        more (""): a line more
        status (500): HTTP status

    Returns:
        the answer
    """
    text = _ERROR_PAGE.format(html.escape(title), html.escape(more))
    return Response(text, status, media_type="text/html")


def not_found_page() -> Response:
    """The page of a path that does not exist."""
    return Response(_NOT_FOUND, 404, media_type="text/html; charset=utf-8")


def answer(value: Any, status: int = 200) -> Response:
    """A JSON answer.

    Args:
        value: what to send
        status (200): HTTP status

    Returns:
        the answer
    """
    return Response(dumps(value), status, media_type="application/json")


async def json_body(request: Request) -> Any:
    """The body of a request.

    Args:
        request: the request

    Returns:
        the parsed JSON, None for no body

    Raises:
        BadRequest: if it is too large or no JSON
    """
    data = b""
    async for chunk in request.stream():
        data += chunk
    if len(data) > MAX_BODY:
        raise BadRequest("Request body exceeded settings.DATA_UPLOAD_MAX_MEMORY_SIZE.")
    if not data:
        return None
    try:
        return json.loads(data)
    except ValueError as error:
        raise BadRequest(f"JSON parse error - {error}") from None


def _run(server: Server, request: Request, body: Any, handlers: Mapping[str, Handler], method: str) -> Response:
    host = request.client.host if request.client else ""
    writes = method not in ("GET", "HEAD")
    user = server.gate.user(request.headers, request.cookies, writes=writes, address=host)
    handler = handlers.get(method)
    if handler is None:
        raise BadRequest(f'Method "{method}" not allowed.')
    base = f"{request.url.scheme}://{request.headers.get('host', request.url.netloc)}"
    call = Call(server, user, request.path_params, dict(request.query_params), body, method, base)
    try:
        found = handler(call)
    except BadFilter:
        if method == "PUT" and "Count" not in request.url.path:
            return error_page("Internal Server Error")
        raise
    if isinstance(found, Response):
        return found
    if isinstance(found, list) and method == "GET":
        return ListAnswer(iter((dumps(found),)), server.stop)
    return answer(found, 201 if method == "POST" else 200)


def api(server: Server, path: str, **handlers: Handler) -> Route:
    """A route of the API.

    Args:
        server: the sandbox
        path: with parameters, as Starlette writes them
        **handlers: by lower-case method; each takes a :class:`Call` and gives what to send

    Returns:
        the route
    """
    by_method = {method.upper(): handler for method, handler in handlers.items()}

    async def endpoint(request: Request) -> Response:
        try:
            body = await json_body(request)
            return await run_in_threadpool(_run, server, request, body, by_method, request.method)
        except ApiError as error:
            return answer(error.body(), error.status)

    methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    return Route(path, endpoint, methods=methods, include_in_schema=False)
