"""Attribute values: what is accepted, what it becomes, and what is refused. Pure functions."""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from dateutil import parser as dates

from fiftyone_tator.sandbox.errors import BadRequest, invalid_body

AttributeTypes = Sequence[Mapping[str, Any]]

GEOPOS_NULL = [-1, -1]
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
# What cannot be pasted into an SQL string: an odd quote, control characters except newline, an odd percent sign.
_QUOTE = re.compile(r"(?<!')(?:'')*'(?!')|[\x00-\x09\x0b-\x1f\x7f]")
_PERCENT = re.compile(r"(?<!%)(?:%%)*%(?!%)")


def _refusal(value: object, attribute: Mapping[str, Any], more: str = "") -> BadRequest:
    return BadRequest(f"Invalid attribute value {value} for {attribute['dtype']} attribute {attribute['name']}{more}")


def _bool(value: Any, attribute: Mapping[str, Any]) -> bool:
    if isinstance(value, bool):
        return value
    if not isinstance(value, str):
        raise BadRequest(f"'{type(value).__name__}' object has no attribute 'lower'")
    if value.lower() not in ("true", "false"):
        raise _refusal(value, attribute)
    return value.lower() == "true"


def _int(value: Any, attribute: Mapping[str, Any]) -> int:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        raise _refusal(value, attribute) from None


def _float(value: Any, attribute: Mapping[str, Any]) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise _refusal(value, attribute) from None


def _enum(value: Any, attribute: Mapping[str, Any]) -> Any:
    choices = list(attribute.get("choices") or [])
    if value not in choices:
        raise _refusal(value, attribute, f". Valid choices are: {choices}.")
    return value


def _datetime(value: Any, attribute: Mapping[str, Any]) -> str:
    if not isinstance(value, str):
        raise _refusal(value, attribute)
    try:
        return dates.parse(value).isoformat()
    except (ValueError, OverflowError):
        raise _refusal(value, attribute) from None


def _geopos(value: Any, attribute: Mapping[str, Any]) -> list[float]:
    if not isinstance(value, list) or len(value) != 2:
        raise _refusal(value, attribute)
    longitude, latitude = (_float(number, attribute) for number in value)
    if not (-180 <= longitude <= 180 and -90 <= latitude <= 90):
        raise _refusal(value, attribute)
    return [longitude, latitude]


def _float_array(value: Any, attribute: Mapping[str, Any]) -> list[float]:
    if not isinstance(value, list):
        raise _refusal(value, attribute)
    return [_float(number, attribute) for number in value]


def _as_it_is(value: Any, attribute: Mapping[str, Any]) -> Any:
    return value


_CONVERTERS: dict[str, Callable[[Any, Mapping[str, Any]], Any]] = {
    "bool": _bool,
    "int": _int,
    "float": _float,
    "enum": _enum,
    "datetime": _datetime,
    "geopos": _geopos,
    "float_array": _float_array,
}


def _stored(value: Any) -> Any:
    """A value as the database gives it back: large floats as integers; raises for what it cannot hold."""
    if isinstance(value, float):
        if not math.isfinite(value):
            token = "NaN" if math.isnan(value) else "Infinity"
            raise BadRequest(f'invalid input syntax for type json\nDETAIL:  Token "{token}" is invalid.')
        return int(Decimal(repr(value))) if abs(value) >= 1e16 else value
    if isinstance(value, str) and _UNSTORABLE.search(value):
        raise BadRequest("unsupported Unicode escape sequence\nDETAIL:  \\u0000 cannot be converted to text.\n")
    if isinstance(value, list):
        return [_stored(item) for item in value]
    if isinstance(value, dict):
        return {str(_stored(key)): _stored(item) for key, item in value.items()}
    return value


def convert(types: AttributeTypes, values: Mapping[str, Any], *, entity: str | None, body: object) -> dict[str, Any]:
    """Checks and converts the attributes of a body.

    Args:
        types: the attribute types
        values: attribute values by name
        entity: the type's name, to refuse unknown attributes in its name; None drops them
        body: the whole body, for the message

    Returns:
        the values as they are stored

    Raises:
        BadRequest: if a value or a name is refused
    """
    if not isinstance(values, Mapping) or any(value is None for value in values.values()):
        raise invalid_body(body)
    known = {attribute["name"]: attribute for attribute in types}
    converted = {}
    for name, value in values.items():
        attribute = known.get(name)
        if attribute is None:
            if entity is not None:
                raise BadRequest(f"Invalid attribute {name} for entity type {entity}")
            continue
        converted[name] = _stored(_CONVERTERS.get(attribute["dtype"], _as_it_is)(value, attribute))
    return converted


def defaults(types: AttributeTypes, now: str) -> dict[str, Any]:
    """The values of attributes that nobody gave.

    Args:
        types: the attribute types
        now: the present time, UTC without zone

    Returns:
        the defaults by name, nulls too; attributes without a default are left out. A datetime has
        the present time or nothing, whatever its default says
    """
    found = {}
    for attribute in types:
        if attribute["dtype"] == "datetime":
            if attribute.get("use_current"):
                found[attribute["name"]] = now + "+00:00"
        elif "default" in attribute:
            found[attribute["name"]] = attribute["default"]
    return found


def check_required(types: AttributeTypes, given: Mapping[str, Any]) -> None:
    """Refuses a new row that lacks a required attribute which has no default.

    Args:
        types: the attribute types
        given: the attributes of the row

    Raises:
        BadRequest: if one is missing
    """
    for attribute in types:
        name, time = attribute["name"], attribute["dtype"] == "datetime"
        supplied = attribute.get("use_current") if time else "default" in attribute
        if name not in given and not supplied and attribute.get("required"):
            way = "Set `use_current` to True" if time else "Set a `default` on the attribute type"
            raise BadRequest(f'Missing attribute value for "{name}". {way} or supply a value.')


def cleared(types: AttributeTypes, nulls: Iterable[str], resets: Iterable[str], now: str) -> dict[str, Any]:
    """What ``null_attributes`` and ``reset_attributes`` set.

    Args:
        types: the attribute types
        nulls: names to set to null; a geopos becomes ``[-1, -1]``
        resets: names to set to their default
        now: the present time

    Returns:
        the values by name

    Raises:
        BadRequest: if a name is unknown
    """
    dtypes = {attribute["name"]: attribute["dtype"] for attribute in types}
    standard = defaults(types, now)
    values: dict[str, Any] = {}
    for name in (*nulls, *resets):
        if name not in dtypes:
            raise BadRequest(f"Invalid attribute {name}")
    values.update({name: GEOPOS_NULL if dtypes[name] == "geopos" else None for name in nulls})
    values.update({name: standard.get(name) for name in resets})
    return values


def pasted(name: str, value: Any) -> Any:
    """A value as it arrives from a bulk edit in place, which pastes it into SQL text.

    Args:
        name: the attribute
        value: its new value

    Returns:
        the value; a doubled quote or percent sign arrives as a single one

    Raises:
        BadRequest: if the text would break the statement
    """
    if isinstance(value, list):
        return [pasted(name, item) for item in value]
    for text in (name, value):
        if isinstance(text, str):
            broken = _QUOTE.search(text)
            if broken:
                message = f'syntax error at or near "{text[broken.start() + 1 : broken.start() + 2]}"\n'
                raise BadRequest(message, message)
            if _PERCENT.search(text):
                raise BadRequest("tuple index out of range")
    return value.replace("''", "'").replace("%%", "%") if isinstance(value, str) else value
