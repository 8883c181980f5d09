"""The options of embedding: one list, used by the form, by presets and from Python."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from fiftyone_tator.sync.options import Name, checked

Method = Literal["umap", "tsne", "pca"]
LOCAL = "local"
"""Instead of a service's address: what this machine has."""


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
    path: Name = "/embed/{project}"
    map: Method | None = None
    similarity: bool = False
    suggestions: bool = False
    brain_key: Name | None = None
    seed: Annotated[int, Field(ge=0)] = 51


def parse_embed_options(*layers: tuple[str, Mapping[str, Any]]) -> EmbedOptions:
    """Makes options of several layers; a later layer wins, and an empty value leaves the earlier one.

    Args:
        layers: where each layer comes from, in words for a message, and what it says

    Returns:
        the options

    Raises:
        InvalidOption: naming the layer, the option and what it should be
    """
    return checked(EmbedOptions, *layers)
