"""How a value of each Tator attribute type is kept in a dataset, and what is sent back of it.

Tator checks less than its types promise: a string attribute may hold a number or a list, a float attribute an integer
of 309 digits, any attribute null. Every value either finds a place in its field or is named as what cannot be kept.
"""

import io
import json
import math
import struct
import zlib
from collections.abc import Callable
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from bson import ObjectId
from dateutil import parser as dates

from fiftyone_tator.tator_client import AttributeType

_INT64 = 2**63
_NPY_HEADER = 128
_STORED_BLOCK = 0xFFFF
# What Tator itself stores for a position that was set to null.
_NO_POSITION = (-1.0, -1.0)


class Unkept(ValueError):
    """A value has no place in a field of its type; the message says why."""


def text(value: Any) -> str | None:
    """A string or enum value; numbers and lists, which Tator lets through, become their JSON text."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def integer(value: Any) -> int | None:
    """An int value; None stays None. Raises :class:`Unkept` beyond 64 bits, and for what is no number."""
    if value is None:
        return None
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        raise Unkept(f"{_shown(value)} is not an integer") from None
    if not -_INT64 <= number < _INT64:
        raise Unkept("the integer does not fit into 64 bits")
    return number


def real(value: Any) -> float | None:
    """A float value; None stays None. Raises :class:`Unkept` for what is no number."""
    if value is None:
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise Unkept(f"{_shown(value)} is not a number") from None


def truth(value: Any) -> bool | None:
    """A bool value; None stays None. Raises :class:`Unkept` for anything else."""
    if value is None or isinstance(value, bool):
        return value
    raise Unkept(f"{_shown(value)} is neither true nor false")


def moment(value: Any) -> datetime | None:
    """A datetime value as naive UTC, cut to the milliseconds that MongoDB keeps; text without a zone is taken as UTC.

    Raises:
        Unkept: for what is no date, or lacks its year, month or day
    """
    if value is None:
        return None
    try:
        when = _parse(value)
    except (TypeError, ValueError, OverflowError):
        raise Unkept(f"{_shown(value)} is not a date") from None
    return when.replace(microsecond=when.microsecond // 1000 * 1000)


_DEFAULTS = datetime(2000, 1, 1), datetime(1999, 12, 2)


@lru_cache(maxsize=4096)
def _parse(value: str) -> datetime:
    try:
        when = datetime.fromisoformat(value)
    except ValueError:
        # What the text leaves out is taken from a default, which must not be the day of reading.
        when, other = (dates.parse(value, default=default) for default in _DEFAULTS)
        if when != other:
            raise
    return when.astimezone(timezone.utc).replace(tzinfo=None) if when.tzinfo else when


def position(value: Any) -> dict[str, Any] | None:
    """A geopos value, longitude then latitude, as the document of a :class:`fiftyone.core.labels.GeoLocation`.

    Raises:
        Unkept: if it is no pair of numbers on the globe
    """
    place = _place(value)
    if place is None:
        return None
    point = {"type": "Point", "coordinates": list(place)}
    return {"_id": ObjectId(), "_cls": "GeoLocation", "tags": [], "point": point}


def _place(value: Any) -> tuple[float, ...] | None:
    """Longitude and latitude."""
    if value is None:
        return None
    try:
        if not isinstance(value, (list, tuple)):
            raise TypeError
        longitude, latitude = (float(part) for part in value)
    except (TypeError, ValueError, OverflowError):
        raise Unkept(f"{_shown(value)} is not a pair of longitude and latitude") from None
    if not (-180 <= longitude <= 180 and -90 <= latitude <= 90):
        raise Unkept(f"{_shown(value)} is not on the globe as longitude and latitude")
    return None if (longitude, latitude) == _NO_POSITION else (longitude, latitude)


def vector(value: Any) -> bytes | None:
    """A float_array value as FiftyOne stores a vector: a zlib-compressed ``.npy`` file of 64-bit floats.

    Raises:
        Unkept: if it is no list of numbers
    """
    array = _array(value)
    return None if array is None else _stored(_npy_header(len(array)) + array.tobytes())


def _array(value: Any) -> npt.NDArray[np.float64] | None:
    if value is None:
        return None
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise Unkept("it is not a list of numbers") from None
    if array.ndim != 1:
        raise Unkept("it is not a flat list of numbers")
    if np.isnan(array).any():
        raise Unkept("one of its numbers is missing")
    return array


def _list(value: Any) -> tuple[float, ...] | None:
    """The numbers of a float_array."""
    array = _array(value)
    return None if array is None else tuple(array.tolist())


def _stored(data: bytes) -> bytes:
    """A zlib stream of stored blocks. ``zlib.compress`` lets go of the interpreter lock for each value, and getting it
    back from threads that cut crops takes longer than all the rest of a row."""
    parts = [b"\x78\x01"]
    for start in range(0, len(data), _STORED_BLOCK):
        block = data[start : start + _STORED_BLOCK]
        last = start + _STORED_BLOCK >= len(data)
        parts += (struct.pack("<BHH", last, len(block), len(block) ^ 0xFFFF), block)
    return b"".join((*parts, struct.pack(">I", zlib.adler32(data))))


@lru_cache(maxsize=64)
def _npy_header(length: int) -> bytes:
    with io.BytesIO() as file:
        np.save(file, np.zeros(length), allow_pickle=False)
        return file.getvalue()[: -8 * length or None]


def _shown(value: Any) -> str:
    """A value as a message names it: short, whatever it is."""
    try:
        shown = repr(value)
    except ValueError:
        return "an integer of thousands of digits"
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


Converter = Callable[[Any], Any]

CONVERTERS: dict[str, Converter] = {
    "string": text,
    "enum": text,
    "int": integer,
    "float": real,
    "bool": truth,
    "datetime": moment,
    "geopos": position,
    "float_array": vector,
}
"""Per attribute type the function that makes what MongoDB stores."""


def converter(dtype: str) -> Converter:
    """The function that makes what MongoDB stores of a value.

    Args:
        dtype: Tator's attribute type; one that is not known is kept as text
    """
    return CONVERTERS.get(dtype, text)


_COMPARED: dict[str, Converter] = {"geopos": _place, "float_array": _list}


def comparer(dtype: str) -> Converter:
    """The function that makes of Tator's value what is compared, as :func:`comparable` does of the stored one.

    Args:
        dtype: Tator's attribute type
    """
    return _COMPARED.get(dtype) or converter(dtype)


def comparable(dtype: str, stored: Any) -> Any:
    """What two stored values are compared by, so that a value that FiftyOne wrote anew is still the same.

    Args:
        dtype: Tator's attribute type
        stored: the value in a sample's document

    Returns:
        a value that is equal for equal values
    """
    if stored is None:
        return None
    if isinstance(stored, datetime) and stored.tzinfo is not None:
        # So MongoDB gives dates where FiftyOne is configured to show them in a time zone.
        return stored.astimezone(timezone.utc).replace(tzinfo=None)
    if dtype == "geopos":
        return tuple((stored.get("point") or {}).get("coordinates", ())) if isinstance(stored, dict) else stored
    if dtype == "float_array" and isinstance(stored, bytes):
        return _numbers(stored)
    return stored


@lru_cache(maxsize=4096)
def _numbers(stored: bytes) -> tuple[float, ...]:
    """The numbers of a vector. ``np.load`` reads the header as Python code, which takes longer than a whole row."""
    data = zlib.decompress(stored)
    header = _npy_header(max(0, len(data) - _NPY_HEADER) // 8)
    if data.startswith(header):
        return tuple(np.frombuffer(data, np.float64, offset=len(header)).tolist())
    with io.BytesIO(data) as file:
        return tuple(np.load(file, allow_pickle=False).tolist())


class Unsendable(ValueError):
    """A value cannot go to Tator; the message says why, as the end of a sentence about the attribute."""


def outgoing(attribute: AttributeType, stored: Any) -> Any:
    """What is sent to Tator of a value.

    Args:
        attribute: where it goes
        stored: the value in a sample's document

    Returns:
        a value for JSON; None means null

    Raises:
        Unsendable: if Tator would refuse it, or take harm from it
    """
    if stored is None:
        if attribute.dtype in _NOT_NULL:
            raise Unsendable(
                f"it was cleared, and once a {attribute.dtype} is null anywhere in a project, Tator can filter by that "
                "attribute no more. Give it a value, or take it back"
            )
        return None
    convert: Callable[[Any], Any] = _OUTGOING.get(attribute.dtype, _as_text)
    sent = convert(stored)
    if attribute.choices and sent not in attribute.choices:
        raise Unsendable(f"{_shown(sent)} is none of the project's choices: {', '.join(attribute.choices)}")
    return sent


# One null in an attribute of these types makes every filter on it fail for the whole project.
_NOT_NULL = frozenset(("float", "bool", "datetime"))


def _as_text(stored: Any) -> str:
    if not isinstance(stored, str):
        raise Unsendable(f"{_shown(stored)} is no text")
    if "\0" in stored or any("\ud800" <= letter <= "\udfff" for letter in stored):
        raise Unsendable("its text holds a character that Tator cannot store (NUL or half of a pair)")
    return stored


def _as_integer(stored: Any) -> int:
    if isinstance(stored, bool) or not isinstance(stored, (int, float)) or stored != stored or stored % 1:
        raise Unsendable(f"{_shown(stored)} is no whole number")
    return int(stored)


def _as_real(stored: Any) -> float:
    if isinstance(stored, bool) or not isinstance(stored, (int, float)):
        raise Unsendable(f"{_shown(stored)} is no number")
    if not math.isfinite(stored):
        raise Unsendable(f"{_shown(stored)} is no number that Tator can store")
    return float(stored)


def _as_truth(stored: Any) -> bool:
    if not isinstance(stored, bool):
        raise Unsendable(f"{_shown(stored)} is neither true nor false")
    return stored


def _as_moment(stored: Any) -> str:
    if not isinstance(stored, datetime):
        raise Unsendable(f"{_shown(stored)} is no date")
    zoned = stored if stored.tzinfo is not None else stored.replace(tzinfo=timezone.utc)
    return zoned.astimezone(timezone.utc).isoformat(timespec="milliseconds")


def _as_position(stored: Any) -> list[float]:
    numbers = comparable("geopos", stored)
    if not isinstance(numbers, tuple) or len(numbers) != 2:
        raise Unsendable(f"{_shown(stored)} is no place on the globe")
    longitude, latitude = (_as_real(number) for number in numbers)
    if not (-180 <= longitude <= 180 and -90 <= latitude <= 90):
        raise Unsendable(f"{_shown(numbers)} is not on the globe as longitude and latitude")
    return [longitude, latitude]


def _as_vector(stored: Any) -> list[float]:
    numbers = comparable("float_array", stored)
    if not isinstance(numbers, (tuple, list)):
        raise Unsendable("it is no list of numbers")
    return [_as_real(number) for number in numbers]


_OUTGOING: dict[str, Callable[[Any], Any]] = {
    "string": _as_text,
    "enum": _as_text,
    "int": _as_integer,
    "float": _as_real,
    "bool": _as_truth,
    "datetime": _as_moment,
    "geopos": _as_position,
    "float_array": _as_vector,
}
