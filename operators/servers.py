"""Which Tator servers an operator may talk to, and as whom: from the plugin's secrets, and from nowhere else."""

import re
from dataclasses import dataclass, field
from typing import Any

from fiftyone_tator.sync.errors import InvalidOption
from fiftyone_tator.tator_client import Tator, TatorError, normalise_url

URL, TOKEN = "FIFTYONE_TATOR_URL", "FIFTYONE_TATOR_TOKEN"


@dataclass(frozen=True, slots=True)
class Server:
    """A server and the token for it.

    Args:
        url: its address
        token: never shown, logged or stored
    """

    url: str
    token: str = field(repr=False)


def servers(secrets: Any) -> list[Server]:
    """The servers of the secrets; several are written one after the other, their tokens in the same order.

    Args:
        secrets: ``ctx.secrets``

    Returns:
        at least one

    Raises:
        InvalidOption: if a secret is missing, an address cannot be one, or there are more of one than of the other
    """
    # An address has no space in it, but a token may have been copied with the word "Token" before it.
    urls, tokens = _items(secrets, URL, r"[,\s]+"), _items(secrets, TOKEN, r"[,\r\n]+")
    for name, items in ((URL, urls), (TOKEN, tokens)):
        if not items:
            raise InvalidOption(
                f"The secret {name} is not set. Set it in the environment of the process that runs this "
                "(the App's server, or the delegated worker) and start that again."
            )
    if len(urls) != len(tokens):
        raise InvalidOption(
            f"{URL} names {len(urls)} servers and {TOKEN} holds {len(tokens)} tokens. "
            "Write one token a server, in the same order, separated by commas."
        )
    known = [_normalised(url, f"Address {number} in {URL}") for number, url in enumerate(urls, 1)]
    return [Server(url, token) for url, token in zip(known, tokens, strict=True)]


def choose(secrets: Any, url: str | None) -> Server:
    """The server to use.

    Args:
        secrets: ``ctx.secrets``
        url: the address that was asked for, or None for the first one

    Raises:
        InvalidOption: if that is no address, or the secrets name no such server
    """
    known = servers(secrets)
    if url is None:
        return known[0]
    wanted = _normalised(url, "The server that was asked for")
    for server in known:
        if server.url == wanted:
            return server
    raise InvalidOption(
        f"The secrets hold no token for {wanted}. They name: {', '.join(server.url for server in known)}. "
        f"Add it to {URL} and {TOKEN}."
    )


def connect(server: Server) -> Tator:
    """A session with a server.

    Args:
        server: which one

    Raises:
        TatorError: if the address or the token cannot be one
    """
    return Tator(server.url, server.token)


def _items(secrets: Any, name: str, separator: str) -> list[str]:
    return [item.strip() for item in re.split(separator, secrets.get(name) or "") if item.strip()]


def _normalised(url: str, what: str) -> str:
    try:
        return normalise_url(url)
    except TatorError as error:
        # The address itself is not told: there may be a password in it.
        raise InvalidOption(f"{what} cannot be used. {error}") from None
