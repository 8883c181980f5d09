"""What a bulk edit can carry, and what a request must not contain: pure.

Tator pastes the values of bulk edits into SQL text. Quotes, percent signs and control characters
break it (or worse), so such values go as single edits, which are safe.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import uuid4

from .errors import InvalidRequest
from .models import LocalizationType

# A name is pasted into a JSON path as well.
_NAME_BREAKERS = frozenset("'%\"\\{},")
_VALUE_BREAKERS = frozenset("'%")
# Tator ignores these in a PATCH, and says that all went well.
_IGNORED_AT_ZERO = ("width", "height", "u", "v")
_GEOMETRY = frozenset(("x", "y", "width", "height", "u", "v", "points", "frame"))


def fits_bulk(attributes: Mapping[str, Any], null_attributes: Iterable[str] = ()) -> bool:
    """Tells whether a bulk edit can carry these attributes.

    Args:
        attributes: names and values
        null_attributes (()): names of attributes to set to null
    """
    names = (*attributes, *null_attributes)
    return all(map(_name_fits, names)) and all(map(_value_fits, attributes.values()))


def _name_fits(name: str) -> bool:
    return not any(char in _NAME_BREAKERS or unicodedata.category(char) in ("Cc", "Cs") for char in name)


def _value_fits(value: Any) -> bool:
    if isinstance(value, str):
        return not any(
            char in _VALUE_BREAKERS or (char != "\n" and unicodedata.category(char) in ("Cc", "Cs")) for char in value
        )
    if isinstance(value, Mapping):
        return all(_value_fits(each) for pair in value.items() for each in pair)
    if isinstance(value, (list, tuple)):
        return all(map(_value_fits, value))
    return True


def split_nulls(
    attributes: Mapping[str, Any] | None, null_attributes: Sequence[str]
) -> tuple[dict[str, Any], list[str]]:
    """Returns the attributes that have values, and the names of those to be set to null."""
    attributes = attributes or {}
    values = {name: value for name, value in attributes.items() if value is not None}
    nulls = [name for name, value in attributes.items() if value is None]
    nulls += [name for name in null_attributes if name not in nulls]
    if clash := [name for name in nulls if name in values]:
        raise InvalidRequest(f"The attribute {clash[0]!r} is to be set and to be null; leave one out.")
    return values, nulls


def check_geometry(geometry: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the geometry of an edit, and raises ``InvalidRequest`` for what Tator would not apply."""
    if unknown := geometry.keys() - _GEOMETRY:
        raise InvalidRequest(
            f"Localizations have no geometry {min(unknown)!r}; there is {', '.join(sorted(_GEOMETRY))}."
        )
    for name, value in geometry.items():
        if value is None or (name in _IGNORED_AT_ZERO and value == 0):
            raise InvalidRequest(
                f"Tator ignores an edit that sets {name} to {value}, although it reports success. Create the "
                "localization again in full under its elemental_id instead; that makes a new mark."
            )
    return dict(geometry)


def with_elemental_ids(specs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Returns the specs with an ``elemental_id`` in each, so that creating them twice makes one element.

    Args:
        specs: localization specs, which are left as they are

    Returns:
        the same specs; new random UUIDs where there was none
    """
    return [{**spec, "elemental_id": spec.get("elemental_id") or str(uuid4())} for spec in specs]


def check_specs(specs: Sequence[Mapping[str, Any]], types: Sequence[LocalizationType]) -> None:
    """Raises ``InvalidRequest`` for a spec that Tator would refuse without reason or store incompletely.

    Args:
        specs: localization specs
        types: types to check the names of attributes against; a type that is not there is not checked
    """
    for refusal in refusals(specs, types).values():
        raise refusal


def refusals(specs: Sequence[Mapping[str, Any]], types: Sequence[LocalizationType]) -> dict[int, InvalidRequest]:
    """Returns the specs that Tator would refuse without reason or store incompletely, by index, with the reason.

    Args:
        specs: localization specs
        types: types to check the names of attributes against; a type that is not there is not checked
    """
    names = {each.id: {attribute.name for attribute in each.attribute_types} for each in types}
    found: dict[int, InvalidRequest] = {}
    seen: set[str] = set()
    for index, spec in enumerate(specs):
        element = str(spec.get("elemental_id") or "").lower()
        problem = _problem(spec, names.get(spec.get("type", 0)))
        if problem is None and element in seen:
            problem = "another one of these has the same elemental_id; each needs its own."
        if problem is not None:
            found[index] = InvalidRequest(f"Localization {index} of {len(specs)} cannot be created: {problem}")
        elif element:
            seen.add(element)
    return found


def _problem(spec: Mapping[str, Any], known: set[str] | None) -> str | None:
    for key in ("type", "media_id", "version", "frame"):
        if spec.get(key) is None:
            return f"it has no {key!r}."
    attributes = spec.get("attributes") or {}
    for name, value in attributes.items():
        if value is None:
            return (
                f"a new localization cannot have null in {name!r}. Leave it out to get the default, or set null with "
                "an edit afterwards."
            )
        if known is not None and name not in known:
            return (
                f"its type has no attribute {name!r}, and Tator would drop it without a word. Check the spelling and "
                "case, or add the attribute to the type in Tator."
            )
    return None
