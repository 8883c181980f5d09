"""Which Fast-VSS services an operator may send pictures to: those in the plugin's secret, and no others."""

import re
from typing import Any

from anyio.from_thread import start_blocking_portal

from fiftyone_tator.embeddings.choosing import SECRET, choose, shown
from fiftyone_tator.embeddings.embedder import Embedder
from fiftyone_tator.embeddings.fastvss import PATIENCE, FastVSS
from fiftyone_tator.embeddings.options import EmbedOptions
from fiftyone_tator.sync.errors import InvalidOption


def services(secrets: Any) -> dict[str, str]:
    """The services of the secret; several are written one after the other, separated by commas or spaces.

    Args:
        secrets: ``ctx.secrets``

    Returns:
        the addresses to call, by what may be shown of them; none if the secret is not set

    Raises:
        InvalidOption: if an address cannot be one
    """
    found = {}
    for number, address in enumerate(re.split(r"[,\s]+", (secrets.get(SECRET) or "").strip(", \r\n\t")), 1):
        if not address:
            continue
        # The address itself is not told where it cannot be read: there may be a password in it.
        if not re.match(r"https?://[^/?#]+[^?#]*$", address):
            raise InvalidOption(
                f"Address {number} in the secret {SECRET} cannot be used. Write it like http://localhost:8000."
            )
        found[shown(address)] = address.rstrip("/")
    return found


def projects_of(service: str, secrets: Any) -> list[str]:
    """The projects of a service.

    Args:
        service: its address, as it may be shown
        secrets: ``ctx.secrets``

    Raises:
        InvalidOption: if the secret does not name the service
        EmbeddingError: if the service is not there
    """

    known = services(secrets)
    if shown(service) not in known:
        raise InvalidOption(
            f"The secret {SECRET} does not name the service {shown(service)}. It names: {', '.join(known) or 'none'}."
        )

    async def ask() -> list[str]:
        async with FastVSS(known[shown(service)]) as client:
            return await client.projects()

    # A loop in a thread of its own, since one may be running in this thread.
    with start_blocking_portal() as portal:
        return portal.call(ask)


def embedder_of(options: EmbedOptions, secrets: Any, *, patience: float = PATIENCE) -> Embedder:
    """What makes the vectors that the options ask for.

    Args:
        options: name it; a service by its address, without the password that the secret has for it
        secrets: ``ctx.secrets``
        patience: seconds without any job coming back after which a service's worker is taken for dead

    Returns:
        the embedder, not entered yet

    Raises:
        InvalidOption: if the secret does not name the service, or this machine is given what only services have
        NotInstalled: if it needs a package that is not installed
    """
    return choose(options, list(services(secrets).values()), patience=patience)
