"""Carries requests, and adds at the last moment what nobody else may see.

httpx logs the URL of every request, and its exceptions and responses hold on to the request. So
the request that httpx knows has neither the token nor the query of a presigned URL: the token is
added here, and the query waits in the request's extensions until then.

(httpcore's own DEBUG log names the headers of answers, so the target of an object store's
redirect; never those of requests.)
"""

from __future__ import annotations

from urllib.request import getproxies, proxy_bypass

import httpx

QUERY = "tator_client.query"


class SecretTransport(httpx.BaseTransport):
    """Adds the token, or the query of an object URL, and hands on.

    Args:
        inner: what carries the complete request; closed by whoever made it
        authorization (None): value of the Authorization header to send with every request
    """

    def __init__(self, inner: httpx.BaseTransport, *, authorization: str | None = None) -> None:
        self._inner = inner
        self._authorization = authorization

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Sends the request with the secrets in it."""
        extensions = dict(request.extensions)
        query: bytes | None = extensions.pop(QUERY, None)
        headers = request.headers.copy()
        if self._authorization is not None:
            headers["Authorization"] = self._authorization
        return self._inner.handle_request(
            httpx.Request(
                request.method,
                request.url if query is None else request.url.copy_with(query=query),
                headers=headers,
                stream=request.stream,
                extensions=extensions,
            )
        )


class ProxyTransport(httpx.BaseTransport):
    """Goes through the proxies of the environment (``HTTPS_PROXY``, ``NO_PROXY``, …), or directly.

    httpx itself looks at the environment only if it makes the transport.

    Args:
        limits: connections kept and opened at most, by each way out
    """

    def __init__(self, limits: httpx.Limits) -> None:
        self._direct = httpx.HTTPTransport(limits=limits)
        proxies = getproxies()
        ways = {scheme: proxies.get(scheme) or proxies.get("all") for scheme in ("http", "https")}
        self._proxied = {
            scheme: httpx.HTTPTransport(limits=limits, proxy=httpx.Proxy(way if "://" in way else f"http://{way}"))
            for scheme, way in ways.items()
            if way
        }

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Sends the request the way its host asks for."""
        proxied = self._proxied.get(request.url.scheme)
        direct = proxied is None or proxy_bypass(request.url.host)
        return (self._direct if proxied is None or direct else proxied).handle_request(request)

    def close(self) -> None:
        """Closes all connections."""
        for transport in (self._direct, *self._proxied.values()):
            transport.close()
