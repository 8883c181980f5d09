"""Which embedder: a Fast-VSS service that the secrets name, or what this machine has."""

from collections.abc import Sequence

from fiftyone_tator.embeddings.embedder import Embedder
from fiftyone_tator.embeddings.fastvss import PATIENCE
from fiftyone_tator.embeddings.options import LOCAL, OF_SERVICES, EmbedOptions, on_this_machine
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
        InvalidOption: if the secret does not name the service, or this machine is given what only services have
        NotInstalled: if it needs a package that is not installed
    """
    asked = options.service or (services[0] if services else LOCAL)
    if on_this_machine(asked):
        for name in OF_SERVICES:
            if name in options.model_fields_set and getattr(options, name) is not None:
                unset = "" if services or options.service else f", since the secret {SECRET} is not set"
                raise InvalidOption(
                    f"The option {name} belongs to a Fast-VSS, and {asked!r} is this machine{unset}. Leave it out, or "
                    "name a Fast-VSS."
                )
        return local_embedder(asked)
    known = {shown(address): address for address in services}
    if shown(asked) not in known:
        named = f"It names {', '.join(known)}." if known else "It is not set."
        raise InvalidOption(
            f"The secret {SECRET} does not name the service {shown(asked)}. {named} Add it there, or choose "
            f"the service {LOCAL!r}, which is this machine."
        )
    return FastVSSEmbedder(
        known[shown(asked)],
        options.project,
        batch_size=options.batch_size,
        in_flight=options.in_flight,
        path=options.path,
        patience=patience,
    )


def shown(address: str) -> str:
    """An address as it may be shown, and by which two are compared: without the name and the password in it.

    Args:
        address: of a service
    """
    scheme, found, rest = address.strip().rstrip("/").lower().partition("://")
    return f"{scheme}{found}{rest.rpartition('@')[2]}" if found else scheme.rpartition("@")[2]
