"""The ASGI application: all routes on one store."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from fiftyone_tator.sandbox import annotation_routes, applet_routes, openapi, pages, project_routes
from fiftyone_tator.sandbox.access import Gate
from fiftyone_tator.sandbox.faults import Faults
from fiftyone_tator.sandbox.middleware import Switch
from fiftyone_tator.sandbox.signing import Signer
from fiftyone_tator.sandbox.store import Store
from fiftyone_tator.sandbox.streaming import Stop
from fiftyone_tator.sandbox.web import Server, answer, not_found_page


@dataclass(frozen=True)
class Sandbox:
    """An application with what its owner steers it by.

    Args:
        app: what a web server serves
        store: the data
        faults: the fault switch and the log of requests
        stop: ends waiting answers
    """

    app: ASGIApp
    store: Store
    faults: Faults
    stop: Stop


def _schema_routes() -> list[Route]:
    def redirect(request: Request) -> Response:
        return RedirectResponse("/schema/", 301)

    def schema(request: Request) -> Response:
        if request.query_params.get("format") == "json" or request.headers.get("accept") == "application/json":
            return Response(openapi.as_json(), media_type="application/vnd.oai.openapi+json")
        return Response(openapi.as_yaml(), media_type="application/vnd.oai.openapi")

    return [Route("/schema", redirect), Route("/schema/", schema)]


def _switch_routes(faults: Faults) -> list[Route]:
    async def arm(request: Request) -> Response:
        if request.method == "GET":
            return answer(faults.rules())
        if request.method == "DELETE":
            faults.clear()
            return answer({"message": "No faults are armed."})
        # A page of another origin can send no JSON here: it would have to ask first, and OPTIONS is refused.
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            return answer({"message": "send JSON"}, 400)
        try:
            body: dict[str, Any] = await request.json()
            faults.arm(**body)
        except (TypeError, ValueError) as error:
            return answer({"message": str(error)}, 400)
        return answer(faults.rules(), 201)

    async def log(request: Request) -> Response:
        if request.method == "DELETE":
            faults.forget()
            return answer({"message": "The log is empty."})
        return answer(faults.requests(request.query_params.get("match", "* /")))

    return [
        Route("/sandbox/faults", arm, methods=["GET", "POST", "DELETE"]),
        Route("/sandbox/requests", log, methods=["GET", "DELETE"]),
    ]


def _not_found(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException) and error.status_code == 405:
        return answer({"message": f'Method "{request.method}" not allowed.', "details": "None"}, 400)
    return not_found_page()


def create(
    store: Store,
    *,
    requests_per_second: int = 100,
    link_seconds: int | None = None,
    clock: Callable[[], float] = time.time,
) -> Sandbox:
    """Makes the application.

    Args:
        store: the data
        requests_per_second (100): what a user may ask; 0 for no limit
        link_seconds (None): longest life of a media link
        clock (time.time): the present time for media links, in seconds

    Returns:
        the application with its switches
    """
    faults, stop = Faults(), Stop()
    gate = Gate(store, requests_per_second, min(requests_per_second, 10))
    signer = Signer(store.derive("links"), clock=clock, max_seconds=link_seconds)
    server = Server(store, gate, signer, stop)
    routes = [
        *annotation_routes.routes(server),
        *project_routes.routes(server),
        *applet_routes.routes(server),
        *_schema_routes(),
        *_switch_routes(faults),
        *pages.routes(server),
    ]
    app = Starlette(routes=routes, exception_handlers={404: _not_found, 405: _not_found})
    app.router.redirect_slashes = False
    return Sandbox(Switch(app, faults, stop), store, faults, stop)
