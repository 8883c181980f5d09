"""The options of embedding: one list, used by the form, by presets and from Python."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from fiftyone_tator.embeddings.fastvss import EMBED_PATH, check_path
from fiftyone_tator.sync.errors import InvalidOption
from fiftyone_tator.sync.options import Name, checked

Method = Literal["umap", "tsne", "pca"]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
"""NumPy, scikit-learn and UMAP take no other."""
LOCAL = "local"
"""Instead of a service's address: what this machine has."""
OF_SERVICES = ("project", "path")
"""Options that only a Fast-VSS has."""


def _path(value: str) -> str:
    try:
        return check_path(value)
    except InvalidOption as error:
        raise PydanticCustomError("path", "{why}", {"why": str(error).rstrip(".")}) from None


class EmbedOptions(BaseModel):
    """What to embed with what, and what to make of it.

    Args:
        service: the address of a Fast-VSS, one of those in the secret FASTVSS_API_URL; or ``local``, ``descriptor``,
            ``zoo`` or ``zoo:{model}`` for this machine; the first one in the secret if left out, and ``local`` if the
            secret is not set
        project: the service's project, which chooses the model; its only one if left out
        field: where the vectors go; ``fastvss``, ``zoo`` or ``descriptor`` if left out, by what makes them
        everything: embed samples again that have a vector
        batch_size: pictures a call, of which one is ours, to see that the model stays the same
        in_flight: jobs that the service has at a time
        path: of the call that embeds, for services that name it otherwise
        map: the method of the 2-D map to make; none if left out
        similarity: whether to make a similarity index
        suggestions: whether to suggest labels
        brain_key: how the keys of map and index begin; the field's name if left out
        seed: of what is random in a map
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    service: Name | None = None
    project: Name | None = None
    field: Name | None = None
    everything: bool = False
    batch_size: Annotated[int, Field(ge=2, le=4096)] = 32
    in_flight: Annotated[int, Field(ge=1, le=16)] = 3
    path: Annotated[Name, AfterValidator(_path)] = EMBED_PATH
    map: Method | None = None
    similarity: bool = False
    suggestions: bool = False
    brain_key: Name | None = None
    seed: Seed = 51


class MapOptions(BaseModel):
    """Which map to make.

    Args:
        field: the field of the vectors
        method: how the many numbers become two
        brain_key: how the map's key begins, before the method; the field's name if left out
        seed: of what is random
        parameters: of the method, see :mod:`fiftyone_tator.embeddings.reducing`
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    field: Name | None = None
    method: Method = "umap"
    brain_key: Name | None = None
    seed: Seed = 51
    parameters: Annotated[Mapping[str, Any], Field(default_factory=dict)]


class IndexOptions(BaseModel):
    """Which similarity index to make.

    Args:
        field: the field of the vectors
        backend: where the index is; what suits the size if left out
        brain_key: how the index's key begins; the field's name if left out
        metric: how the distance of two vectors is measured
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    field: Name | None = None
    backend: Name | None = None
    brain_key: Name | None = None
    metric: Name = "cosine"


def parse_embed_options(*layers: tuple[str, Mapping[str, Any]]) -> EmbedOptions:
    """Makes options of several layers; a later layer wins, and an empty value leaves the earlier one.

    Where a layer chooses this machine, what earlier ones say of a Fast-VSS is left.

    Args:
        layers: where each layer comes from, in words for a message, and what it says

    Returns:
        the options

    Raises:
        InvalidOption: naming the layer, the option and what it should be; a password in an address is not told
    """
    weaker: list[tuple[str, Mapping[str, Any]]] = []
    for origin, layer in layers:
        service = layer.get("service")
        if isinstance(service, str) and "@" in service:
            # What is said here is kept with the run or the dataset, for everybody to read.
            raise InvalidOption(
                f"{origin}: the address of the service has a user name or password in it. Leave them out; those in the "
                "secret FASTVSS_API_URL are used."
            )
        if isinstance(service, str) and on_this_machine(service):
            weaker = [(name, {key: each[key] for key in each if key not in OF_SERVICES}) for name, each in weaker]
        weaker.append((origin, layer))
    return checked(EmbedOptions, *weaker)


def on_this_machine(service: str) -> bool:
    """Whether this is no Fast-VSS.

    Args:
        service: an address, or what stands for one
    """
    return service in (LOCAL, "descriptor") or service.partition(":")[0] == "zoo"
