"""From Tator's geometry to the region that a crop shows and the points that a field keeps."""

from collections.abc import Sequence

from fiftyone_tator.media.crops import Region
from fiftyone_tator.tator_client import Localization

Points = list[list[float]]

_FARTHEST = 1e6


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
