"""Which embedder: a Fast-VSS service that the secrets name, or what this machine has."""

from collections.abc import Sequence

from fiftyone_tator.embeddings.embedder import Embedder
from fiftyone_tator.embeddings.fastvss import PATIENCE
from fiftyone_tator.embeddings.options import LOCAL, EmbedOptions
from fiftyone_tator.embeddings.remote import FastVSSEmbedder
from fiftyone_tator.embeddings.zoo import local_embedder
from fiftyone_tator.sync.errors import InvalidOption

SECRET = "FASTVSS_API_URL"


def choose(options: EmbedOptions, services: Sequence[str], *, patience: float = PATIENCE) -> Embedder:
    """The embedder that the options ask for.

    Args:
        options: name it
        services: the addresses in the secret FASTVSS_API_URL; pictures go nowhere else
        patience: seconds without any job coming back after which a service's worker is taken for dead

    Returns:
        the embedder, not entered yet

    Raises:
        InvalidOption: if the secret does not name the service
        NotInstalled: if it needs a package that is not installed
    """
    asked = options.service or (services[0] if services else LOCAL)
    if asked in (LOCAL, "descriptor") or asked.partition(":")[0] == "zoo":
        return local_embedder(asked)
    known = {_plain(address): address for address in services}
    if _plain(asked) not in known:
        named = f"It names {', '.join(map(_shown, services))}." if services else "It is not set."
        raise InvalidOption(
            f"The secret {SECRET} does not name the service {_shown(asked)}. {named} Add it there, or choose "
            f"the service {LOCAL!r}, which is this machine."
        )
    return FastVSSEmbedder(
        known[_plain(asked)],
        options.project,
        batch_size=options.batch_size,
        in_flight=options.in_flight,
        path=options.path,
        patience=patience,
    )


def _plain(address: str) -> str:
    return address.strip().rstrip("/").lower()


def _shown(address: str) -> str:
    """An address without the name and the password that may be in it."""
    scheme, found, rest = address.partition("://")
    return f"{scheme}{found}{rest.rpartition('@')[2]}" if found else address.rpartition("@")[2]
