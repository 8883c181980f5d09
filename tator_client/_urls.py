"""Addresses: of servers, and of objects whose query is a secret."""

from __future__ import annotations

from urllib.parse import urlsplit

from .errors import ConnectionFailed

# First parts of paths that belong to pages and calls of a Tator server, not to its address.
_PAGES = frozenset({"rest", "schema", "projects", "organizations", "token", "accounts"})


def normalise_url(url: str) -> str:
    """Returns the address of a server as people write or paste it in one form.

    Args:
        url: such as ``tator.example.org/``, ``https://tator.example.org/rest`` or a page
            copied from the browser

    Returns:
        scheme, host, port and a path prefix if the server has one, without a trailing slash;
        ``http`` is assumed for this machine, ``https`` for others

    Raises:
        ConnectionFailed: if it is not an address, or has a name and password in it
    """
    text = url.strip()
    if "://" not in text:
        text = f"//{text.lstrip('/')}"
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise _not_an_address() from None
    if parts.scheme not in ("", "http", "https") or not host or any(c.isspace() for c in host):
        raise _not_an_address()
    if parts.username is not None or parts.password is not None:
        raise ConnectionFailed(
            "The URL of the Tator server has a user name or password in it. Leave them out; "
            "the API token is given on its own.",
            transient=False,
        )
    scheme = parts.scheme or ("http" if host == "localhost" or host.startswith("127.") else "https")
    if port == {"http": 80, "https": 443}[scheme]:
        port = None
    host = f"[{host}]" if ":" in host else host
    return f"{scheme}://{host}" + (f":{port}" if port is not None else "") + _prefix(parts.path)


def _prefix(path: str) -> str:
    kept: list[str] = []
    for part in path.split("/"):
        if part.lower() in _PAGES or part.isdigit():
            break
        if part:
            kept.append(part)
    return "".join(f"/{part}" for part in kept)


def without_query(url: str) -> str:
    """Returns an object URL without the query, in which the signature is, for messages."""
    return url.partition("#")[0].partition("?")[0]


def _not_an_address() -> ConnectionFailed:
    return ConnectionFailed(
        "The URL of the Tator server is not an address. Write it like https://tator.example.org.", transient=False
    )
