"""The options of a push: one list, used by the form and from Python."""

from collections.abc import Collection, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from fiftyone_tator.sync.errors import InvalidOption
from fiftyone_tator.sync.mapping import CONFIDENCE, GEOMETRY, LABEL, ValueMap
from fiftyone_tator.sync.options import Name, checked


class PushOptions(BaseModel):
    """What goes to Tator, and how.

    Args:
        conflicts: what to do where both sides changed a value: ``leave`` it and tag the sample, or take ``ours`` or
            ``theirs``. A sample's tag ``tator:ours`` or ``tator:theirs`` decides for itself
        deletions: whether localizations whose sample was deleted here are deleted in Tator
        version: another version to write to, by name or id, as a proposal; the version of each localization itself
            if left out
        history: ``keep`` makes each change a new mark that says who and when; ``in_place`` changes marks where that is
            faster
        fields: what travels: ``label``, ``confidence``, ``geometry``, and names of fields or attributes; all if left
            out
        dry_run: whether only to say what would be done
        everything: whether to look at every sample, not only at those that somebody touched
        server: the address of the Tator server, one of those in the secrets; the dataset's own if left out
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    conflicts: Literal["leave", "ours", "theirs"] = "leave"
    deletions: bool = False
    version: Annotated[int, Field(ge=1)] | Name | None = None
    history: Literal["keep", "in_place"] = "keep"
    fields: Annotated[list[Name], Field(min_length=1)] | None = None
    dry_run: bool = False
    everything: bool = False
    server: Name | None = None


def parse_push_options(params: Mapping[str, Any]) -> PushOptions:
    """Makes options of what a form or a Python caller says; empty values count as left out.

    Args:
        params: by option

    Returns:
        the options

    Raises:
        InvalidOption: naming the option and what it should be
    """
    return checked(PushOptions, ("Option", params))


_SHORT = {"label": LABEL, "confidence": CONFIDENCE, "score": CONFIDENCE, GEOMETRY: GEOMETRY}


def chosen_fields(options: PushOptions, values: ValueMap) -> frozenset[str]:
    """The fields that travel.

    Args:
        options: name them
        values: knows the dataset's fields and their attributes

    Returns:
        fields, as the plan names them

    Raises:
        InvalidOption: if the dataset has no such field
    """
    if options.fields is None:
        return frozenset(values.fields) - values.absent
    attributes: dict[str, set[str]] = {}
    for kind in values.types:
        for name in values.fields:
            attribute = values.attribute(kind, name)
            if attribute is not None:
                attributes.setdefault(attribute, set()).add(name)
    return frozenset().union(*(_field(name, values.fields, attributes) for name in options.fields))


def _field(name: str, fields: Collection[str], attributes: Mapping[str, set[str]]) -> set[str]:
    if name in fields:
        return {name}
    if name in _SHORT:
        return {_SHORT[name]}
    if name in attributes:
        return attributes[name]
    known = sorted({*_SHORT, *attributes} - {"score"})
    raise InvalidOption(f"There is no field {name!r} that goes to Tator. There are: {', '.join(known)}.")
