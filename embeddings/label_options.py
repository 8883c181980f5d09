"""The options of suggestions and of suspicious labels: one list each, used by the forms and from Python."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from fiftyone_tator.embeddings.duplicates import DISTANCE
from fiftyone_tator.embeddings.neighbours import REFERENCES
from fiftyone_tator.embeddings.options import Seed
from fiftyone_tator.sync.errors import InvalidOption
from fiftyone_tator.sync.fields import LABEL_FIELD
from fiftyone_tator.sync.options import Name, checked

FIELDS = ("top1_prediction", "top2_prediction")
VOTERS = 15
ASKED = 1_000
"""So many labelled samples are sent to a service to see how often it is right."""
FRACTION = 0.05
_PLAIN = r"^[A-Za-z0-9]+(_[A-Za-z0-9]+)*$"

FieldName = Annotated[str, Field(pattern=_PLAIN)]


def _two(names: list[str]) -> list[str]:
    if len(set(names)) != 2:
        raise ValueError("two different names are needed, for the best and for the second best")
    return names


class SuggestOptions(BaseModel):
    """By what to suggest labels, and where they go.

    Args:
        field: the field of the vectors; the only one if left out
        by: ``field``, the dataset's own labelled samples, or ``service``, the labelled pictures of a Fast-VSS
        service: the address of a Fast-VSS, one of those in the secret FASTVSS_API_URL; the first one if left out
        project: the service's project; its only one if left out
        label_field: holds the labels
        unlabelled: labels that stand for none; Tator's default, or words such as ``unknown``, if left out; each label
            counts if empty
        fields: where the best and the second best suggestion go
        k: neighbours that vote
        references: labelled samples that may vote; of more, so many are chosen, rare labels included
        asked: so many labelled samples are sent to a service, to see how often it is right
        seed: of these choices
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    field: Name | None = None
    by: Literal["field", "service"] = "field"
    service: Name | None = None
    project: Name | None = None
    label_field: Name = LABEL_FIELD
    unlabelled: list[str] | None = None
    fields: Annotated[list[FieldName], AfterValidator(_two)] = list(FIELDS)
    k: Annotated[int, Field(ge=1, le=1000)] = VOTERS
    references: Annotated[int, Field(ge=2)] = REFERENCES
    asked: Annotated[int, Field(ge=0)] = ASKED
    seed: Seed = 51


class FindOptions(BaseModel):
    """What is suspicious, and where that is written.

    Args:
        field: the field of the vectors; the only one if left out
        label_field: holds the labels
        unlabelled: labels that stand for none; Tator's default, or words such as ``unknown``, if left out; each label
            counts if empty
        fraction: of the samples; the views of wrong labels and of outliers hold no more; 0.05 if left out
        percent: the same in percent, instead
        distance: by cosine, up to which two samples are near-duplicates
        prefix: how the names of fields and views begin: ``reef`` makes ``reef_outlier`` and ``reef: Outliers``
        references: samples to compare with; of more, so many are chosen
        seed: of that choice
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    field: Name | None = None
    label_field: Name = LABEL_FIELD
    unlabelled: list[str] | None = None
    fraction: Annotated[float, Field(gt=0, le=1)] | None = None
    percent: Annotated[float, Field(gt=0, le=100)] | None = None
    distance: Annotated[float, Field(ge=0, lt=1)] = DISTANCE
    prefix: FieldName | None = None
    references: Annotated[int, Field(ge=3)] = REFERENCES
    seed: Seed = 51

    @property
    def share(self) -> float:
        """The fraction, however it was said."""
        if self.percent is not None:
            return self.percent / 100
        return FRACTION if self.fraction is None else self.fraction


def parse_suggest_options(said: Mapping[str, Any]) -> SuggestOptions:
    """Makes options of what somebody said.

    Args:
        said: by name

    Returns:
        the options

    Raises:
        InvalidOption: naming the option and what it should be
    """
    return checked(SuggestOptions, ("suggest_labels", _lists(said)))


def parse_find_options(said: Mapping[str, Any]) -> FindOptions:
    """Makes options of what somebody said.

    Args:
        said: by name

    Returns:
        the options

    Raises:
        InvalidOption: naming the option and what it should be
    """
    options = checked(FindOptions, ("find_suspicious", _lists(said)))
    if options.percent is not None and options.fraction is not None:
        raise InvalidOption("find_suspicious: percent and fraction say the same thing twice. Leave one of them out.")
    return options


def _lists(said: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: list(value) if isinstance(value, tuple | set | frozenset) else value for name, value in said.items()}
    if found.get("unlabelled") == []:
        # What is empty counts as left out; a label of nothing is none anyway.
        found["unlabelled"] = [""]
    return found
