"""From Tator's geometry to the region that a crop shows and the points that a field keeps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from fiftyone_tator.media.crops import Region
from fiftyone_tator.tator_client import Localization

Points = list[list[float]]

_FARTHEST = 1e6
_FEWEST_CORNERS = 3


class NoRegion(ValueError):
    """A localization cannot be shown as a crop; the message says why."""


def region(row: Localization, dtype: str) -> Region:
    """The part of the picture that a localization covers.

    Args:
        row: the localization
        dtype: ``box``, ``dot``, ``line`` or ``poly``

    Returns:
        left, top, width and height as fractions of the picture; a dot has no extent, a line may lack one

    Raises:
        NoRegion: if the geometry is missing, has no area though it is a box, or lies outside the picture or far
            beyond it
    """
    if dtype == "box":
        box = _box(row)
        numbers = list(box)
    else:
        shape = points(row, dtype)
        if not shape:
            raise NoRegion("it has no geometry")
        numbers = [number for point in shape for number in point]
        left, top = min(p[0] for p in shape), min(p[1] for p in shape)
        box = left, top, max(p[0] for p in shape) - left, max(p[1] for p in shape) - top
    if not all(abs(number) <= _FARTHEST for number in numbers):
        raise NoRegion("its geometry makes no sense")
    x, y, w, h = box
    outside = x >= 1 or y >= 1 or x + w <= 0 or y + h <= 0
    if outside and not (dtype != "box" and 0 <= x <= 1 and 0 <= y <= 1):
        raise NoRegion("it lies outside the picture")
    return box


def _box(row: Localization) -> Region:
    if row.x is None or row.y is None or row.width is None or row.height is None:
        raise NoRegion("it has no geometry")
    if row.width <= 0 or row.height <= 0:
        raise NoRegion("its box has no area")
    return row.x, row.y, row.width, row.height


def points(row: Localization, dtype: str) -> Points | None:
    """The points of a dot, line or polygon.

    Args:
        row: the localization
        dtype: ``box``, ``dot``, ``line`` or ``poly``

    Returns:
        one point, two, or as many as the polygon has, each x and y as fractions of the picture; None for a box, and
        where the geometry is missing
    """
    if dtype == "poly":
        return _corners(row.points) if row.points else None
    if dtype == "box" or row.x is None or row.y is None:
        return None
    start = [row.x, row.y]
    if dtype == "dot":
        return [start]
    return [start, [row.x + row.u, row.y + row.v]] if row.u is not None and row.v is not None else None


def _corners(shape: Sequence[Sequence[float]]) -> Points | None:
    try:
        return [[float(x), float(y)] for x, y in shape]
    except (TypeError, ValueError, OverflowError):
        return None


_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class Shape:
    """A geometry as it is compared: a billionth of a picture is no difference.

    The second end of a line is the sum of two numbers there and one number here, and a sum may be a last digit off.

    Args:
        dtype: ``box``, ``dot``, ``line`` or ``poly``
        numbers: left, top, width and height of a box, else x and y of each point
    """

    dtype: str
    numbers: tuple[float, ...]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Shape) or self.dtype != other.dtype or len(self.numbers) != len(other.numbers):
            return False
        return all(abs(mine - its) <= _TOLERANCE for mine, its in zip(self.numbers, other.numbers, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        return f"{self.dtype} {', '.join(f'{number:.4g}' for number in self.numbers)}"

    @property
    def points(self) -> Points:
        """The points of a dot, line or polygon; the corners of a box."""
        if self.dtype == "box":
            x, y, width, height = self.numbers
            return [[x, y], [x + width, y + height]]
        return [[x, y] for x, y in zip(self.numbers[::2], self.numbers[1::2], strict=True)]

    def fields(self) -> dict[str, Any]:
        """The fields of a sample that keep it: ``box``, and ``points`` where it is none."""
        if self.dtype == "box":
            return {"box": list(self.numbers)}
        shape = self.points
        left, top = min(x for x, _ in shape), min(y for _, y in shape)
        width, height = max(x for x, _ in shape) - left, max(y for _, y in shape) - top
        return {"box": [left, top, width, height], "points": shape}

    def keys(self) -> dict[str, Any]:
        """The keys of a localization in Tator that say it."""
        if self.dtype == "poly":
            return {"points": self.points}
        names = {"box": ("x", "y", "width", "height"), "dot": ("x", "y"), "line": ("x", "y", "u", "v")}[self.dtype]
        numbers = self.numbers
        if self.dtype == "line":
            x, y, right, bottom = numbers
            numbers = (x, y, right - x, bottom - y)
        return dict(zip(names, numbers, strict=True))


def shape(row: Localization, dtype: str) -> Shape | None:
    """The geometry of a localization; None where it is missing.

    Args:
        row: the localization
        dtype: ``box``, ``dot``, ``line`` or ``poly``
    """
    if dtype == "box":
        box = (row.x, row.y, row.width, row.height)
        return None if None in box else Shape(dtype, box)  # type: ignore[arg-type]
    found = points(row, dtype)
    return Shape(dtype, tuple(number for point in found for number in point)) if found else None


def shape_of(document: Mapping[str, Any], dtype: str) -> Shape | None:
    """The geometry that a sample's fields ``box`` and ``points`` say; None where they say none that can be.

    Args:
        document: of the sample
        dtype: ``box``, ``dot``, ``line`` or ``poly``
    """
    kept = document.get("box" if dtype == "box" else "points")
    try:
        if dtype == "box":
            numbers = tuple(float(number) for number in kept or ())
        else:
            numbers = tuple(float(number) for x, y in kept or () for number in (x, y))
    except (TypeError, ValueError):
        return None
    count = {"box": 4, "dot": 2, "line": 4}.get(dtype)
    fits = len(numbers) == count if count else bool(numbers)
    return Shape(dtype, numbers) if fits else None


def fault(shape: Shape) -> str | None:
    """Why Tator would refuse a geometry, or take it for something else; None if it is fine.

    Args:
        shape: the geometry
    """
    if not all(isfinite(number) for number in shape.numbers):
        return "a number of its geometry is not finite"
    if shape.dtype == "poly" and len(shape.points) < _FEWEST_CORNERS:
        return f"a polygon needs {_FEWEST_CORNERS} corners"
    sent = shape.keys()
    places = [number for point in sent.get("points", ()) for number in point]
    places += [sent[name] for name in ("x", "y", "width", "height") if name in sent]
    if not all(0 <= place <= 1 for place in places) or not all(-1 <= sent.get(name, 0) <= 1 for name in ("u", "v")):
        return "its geometry reaches beyond the picture, which is 1 wide and 1 high"
    if shape.dtype == "box" and (shape.numbers[2] <= 0 or shape.numbers[3] <= 0):
        return "its box has no area"
    return None
