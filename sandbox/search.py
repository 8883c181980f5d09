"""One comparison of an attribute or a built-in field, as SQL. Pure functions.

A condition is a pair of SQL text and its values.
"""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from fiftyone_tator.sandbox.errors import BadFilter

Condition = tuple[str, list[Any]]

# A time without a zone is read in the server's zone.
SERVER_ZONE = timezone(timedelta(hours=-5))

_NUMBERS = ("x", "y", "width", "height", "u", "v", "fps")
_TIMES = ("created_datetime", "modified_datetime")
_BUILT_IN = {
    "localization": ("id", "type", "media", "version", "frame", "elemental_id", "mark", "parent", "created_by",
                     "modified_by", *_NUMBERS[:-1], *_TIMES),
    "state": ("id", "type", "version", "frame", "elemental_id", "mark", "parent", "created_by", "modified_by", *_TIMES),
    "media": ("id", "type", "name", "section", "elemental_id", "width", "height", "num_frames", "fps", "codec", "md5",
              "created_by", "modified_by", *_TIMES),
}  # fmt: skip
_RENAMED = {"user": "created_by", "primary_section": "section", "type_id": "type", "media_id": "media"}
_COMPARISONS = {"eq": "=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_CASTS = {"float": "double precision", "bool": "boolean", "datetime": "text"}


@dataclass
class Scope:
    """What names in a search stand for.

    Args:
        table: ``localization``, ``state`` or ``media``
        dtypes: the attribute types' dtypes by name
        alias (""): the table's name in the SQL; by default the table
    """

    table: str
    dtypes: Mapping[str, str]
    alias: str = ""
    casts: dict[str, str] = field(default_factory=dict)
    """Attributes of the search that a stored null breaks, with the SQL type that null cannot become."""

    def __post_init__(self) -> None:
        self.alias = self.alias or self.table

    def column(self, name: str) -> tuple[str, str] | None:
        """Resolves a name.

        Args:
            name: an attribute, or a built-in field with a dollar sign

        Returns:
            SQL with its dtype (``time`` for the built-in datetimes), or None for an unknown name
        """
        if not name.startswith("$"):
            dtype = self.dtypes.get(name)
            quoted = name.replace("'", "''")
            return None if dtype is None else (f"json_extract({self.alias}.attributes, '$.\"{quoted}\"')", dtype)
        built_in = _RENAMED.get(name[1:], name[1:])
        if built_in not in _BUILT_IN[self.table]:
            return None
        dtype = "time" if built_in in _TIMES else "float" if built_in in _NUMBERS else "built-in"
        return f"{self.alias}.{built_in}", dtype


def stored_time(value: Any) -> str:
    """A datetime of a filter as the store keeps it.

    Args:
        value: ISO text; without a zone it is five hours behind UTC

    Returns:
        UTC text with six decimals

    Raises:
        BadFilter: if it is no datetime
    """
    try:
        time = datetime.fromisoformat(value.replace("Z", "+00:00"))
    except (AttributeError, ValueError):
        raise BadFilter(
            f"['\u201c{value}\u201d value has an invalid format. "
            "It must be in YYYY-MM-DD HH:MM[:ss[.uuuuuu]][TZ] format.']"
        ) from None
    time = time if time.tzinfo else time.replace(tzinfo=SERVER_ZONE)
    return time.astimezone(timezone.utc).replace(tzinfo=None).isoformat(timespec="microseconds")


def _comparable(column: str, dtype: str, value: Any) -> tuple[str, Any]:
    """Both sides of a comparison, made of one type."""
    try:
        if dtype == "time":
            return column, stored_time(value)
        if dtype == "datetime":
            return f"julianday({column})", _julian(value)
        if dtype == "float":
            return column, float(value)
        if dtype == "int":
            return column, int(value)
        if dtype == "bool":
            return column, int(value.lower() == "true" if isinstance(value, str) else bool(value))
    except (TypeError, ValueError) as error:
        raise BadFilter(str(error)) from None
    if dtype == "built-in":
        return column, value
    return f"cast({column} as text)", value if isinstance(value, str) else json.dumps(value)


def _julian(value: Any) -> float:
    time = datetime.fromisoformat(stored_time(value))
    return (time - datetime(2000, 1, 1, 12)) / timedelta(days=1) + 2451545.0


def _in(column: str, dtype: str, values: Any) -> Condition:
    if not isinstance(values, list):
        raise BadFilter("the value of the operation in must be a list")
    sides = [_comparable(column, dtype, value) for value in values]
    return f"{sides[0][0]} in ({', '.join('?' * len(sides))})" if sides else "0", [value for _, value in sides]


def compare(scope: Scope, name: str, operation: str, value: Any) -> Condition | None:
    """One comparison.

    Args:
        scope: what the name stands for
        name: an attribute, or a built-in field with a dollar sign
        operation: such as ``eq``, ``in``, ``icontains``, ``isnull``, ``gt``, ``range``, ``date_gt``
        value: what to compare with

    Returns:
        the condition, or None for an unknown name: then everything matches

    Raises:
        BadFilter: if the operation or the value does not fit
    """
    found = scope.column(name)
    if found is None:
        return None
    column, dtype = found
    operation = operation.removeprefix("date_")
    if operation == "isnull":
        wanted = value.lower() == "true" if isinstance(value, str) else bool(value)
        return f"{column} is {'' if wanted else 'not '}null", []
    if dtype in _CASTS and not name.startswith("$"):
        scope.casts[name] = _CASTS[dtype]
    if operation in _COMPARISONS:
        left, right = _comparable(column, dtype, value)
        return f"{left} {_COMPARISONS[operation]} ?", [right]
    if operation == "in":
        return _in(column, dtype, value)
    if operation == "range" and isinstance(value, list) and len(value) == 2:
        (left, low), (_, high) = (_comparable(column, dtype, end) for end in value)
        return f"{left} between ? and ?", [low, high]
    patterns = {"icontains": "%{}%", "search": "%{}%", "istartswith": "{}%", "iendswith": "%{}", "iendswidth": "%{}"}
    if operation in patterns and isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        return f"{column} like ? escape '\\'", [patterns[operation].format(escaped)]
    raise BadFilter(f"Unsupported lookup '{operation}' for {name} with value {value!r}")


def search(scope: Scope, query: Any) -> Condition | None:
    """A search as in ``encoded_search`` and ``object_search``.

    Args:
        scope: what the names stand for
        query: ``{"attribute", "operation", "value"}`` or ``{"method", "operations"}``

    Returns:
        the condition, or None if everything matches

    Raises:
        BadFilter: if it is not understood
    """
    if not isinstance(query, dict):
        raise BadFilter("'NoneType' object has no attribute 'get'" if query is None else "search must be an object")
    if "method" not in query:
        condition = compare(scope, str(query.get("attribute")), str(query.get("operation")), query.get("value"))
        return negated(condition) if condition and query.get("inverse") else condition
    parts = [part for part in (search(scope, operation) for operation in query.get("operations") or ()) if part]
    if not parts:
        return None
    if query["method"] not in ("and", "or", "not"):
        raise BadFilter(f"Invalid combination method {query['method']}")
    joined = joined_by(" or " if query["method"] == "or" else " and ", parts)
    return negated(joined) if query["method"] == "not" else joined


def negated(condition: Condition) -> Condition:
    """The opposite of a condition; what is unknown (null) does not match it, and so matches the opposite.

    Args:
        condition: any condition

    Returns:
        its opposite
    """
    return f"not coalesce({condition[0]}, 0)", condition[1]


def joined_by(word: str, parts: Sequence[Condition]) -> Condition:
    """Several conditions in one.

    Args:
        word: `` and `` or `` or ``
        parts: the conditions, at least one

    Returns:
        the condition, in parentheses
    """
    return f"({word.join(sql for sql, _ in parts)})", [value for _, values in parts for value in values]


def decoded(text: str) -> Any:
    """The object in an ``encoded_search``.

    Args:
        text: base64 of JSON

    Returns:
        the parsed JSON

    Raises:
        BadFilter: if it is not base64 of JSON
    """
    try:
        return json.loads(base64.b64decode(text).decode())
    except (binascii.Error, ValueError) as error:
        raise BadFilter(str(error)) from None


def pairs(text: str) -> list[tuple[str, str]]:
    """The conditions of one ``attribute…=`` parameter.

    Args:
        text: ``name::value``, several joined with commas; so a value cannot hold a comma

    Returns:
        names and values

    Raises:
        BadFilter: if a part has no ``::``
    """
    found = []
    for pair in text.split(","):
        name, separator, value = pair.partition("::")
        if not separator:
            raise BadFilter("not enough values to unpack (expected 2, got 1)")
        found.append((name, value))
    return found
