"""Pictures for the demo project, and the things on them, found by segmentation.

The pictures are four of those that scikit-image brings along: the Hubble deep field, a stained tissue section, Greek
coins and a floating cell. Each is segmented once as a whole and then cut into overlapping tiles.
"""

import io
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
from PIL import Image
from scipy import ndimage
from skimage import color, data, feature, filters, measure, segmentation

Point = tuple[float, float]
Array = np.ndarray[Any, Any]

LABELS = {
    "hubble": ("Spiral galaxy", "Elliptical galaxy", "Edge-on galaxy", "Red galaxy", "Faint galaxy", "Star"),
    "tissue": ("DAB positive", "Negative nucleus"),
    "coins": ("Small coin", "Large coin"),
    "cell": ("Floating cell",),
}
MIN_VISIBLE = 0.6  # a thing belongs to a tile if this share of its box is inside


@dataclass(frozen=True)
class Thing:
    """A segmented object. Lengths are pixels of the source; on a :class:`Picture` they are shares of its size.

    Args:
        key: ``{source}/{number}``, the same on every tile
        label: its class, one of :data:`LABELS`
        box: ``(left, top, right, bottom)``
        centre: ``(x, y)`` of its centroid
        axis: ``(x, y, u, v)``: where its major axis starts, and the vector along it
        outline: its contour, ``(x, y)`` each, open; empty for small things
        shape: eight descriptors: log10 of the area in pixels, eccentricity, solidity, extent, orientation in radians,
            mean red, green and blue in 0..1
        knots: number of bright peaks in it
        cut (False): whether the edge of the picture cuts it
    """

    key: str
    label: str
    box: tuple[float, float, float, float]
    centre: Point
    axis: tuple[float, float, float, float]
    outline: tuple[Point, ...]
    shape: tuple[float, ...]
    knots: int
    cut: bool = False


@dataclass(frozen=True)
class Picture:
    """A tile as it is stored, with what is on it.

    Args:
        name: file name
        source: key of :data:`LABELS`
        data: the bytes of the JPEG or PNG file
        mime: its media type
        width: in pixels
        height: in pixels
        window: ``(left, top, right, bottom)`` of the tile in pixels of its source
        things: what is on it, with coordinates in 0..1
    """

    name: str
    source: str
    data: bytes
    mime: str
    width: int
    height: int
    window: tuple[int, int, int, int]
    things: tuple[Thing, ...]


@dataclass(frozen=True, eq=False)
class Source:
    """A whole picture.

    Args:
        name: key of :data:`LABELS`
        pixels: uint8 of shape ``(height, width, 3)``
        things: what is on it, in pixels
    """

    name: str
    pixels: Array
    things: tuple[Thing, ...]


def _split(mask: Array, height: Array, distance: int) -> Array:
    """Labels the parts of a mask, parted along the valleys of ``height``."""
    components = ndimage.label(mask)[0]
    peaks = feature.peak_local_max(height, min_distance=distance, labels=components, exclude_border=False)
    markers = np.zeros(mask.shape, int)
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    parts: Array = segmentation.watershed(-height, markers, mask=mask)
    return parts


def _outline(region: Any) -> tuple[Point, ...]:
    top, left, *_ = region.bbox
    contours = measure.find_contours(np.pad(region.image, 1).astype(float), 0.5)
    longest = measure.approximate_polygon(max(contours, key=len), 0.7)[:-1]
    return tuple((float(x) + left - 0.5, float(y) + top - 0.5) for y, x in longest)


def _measure(
    name: str, parts: Array, pixels: Array, label: Callable[[Any, Array], str | None], *, outline_from: int
) -> tuple[Thing, ...]:
    """Things from labelled parts; those that ``label`` calls None are left out."""
    peaks = np.zeros(parts.shape, int)
    peaks[tuple(feature.peak_local_max(ndimage.gaussian_filter(pixels.max(axis=2).astype(float), 0.8)).T)] = 1
    things: list[Thing] = []
    for region in measure.regionprops(parts):
        top, left, bottom, right = region.bbox
        mean = pixels[region.slice][region.image].mean(axis=0) / 255
        found = label(region, mean)
        if found is None:
            continue
        y, x = (float(value) + 0.5 for value in region.centroid)
        half, angle = region.axis_major_length / 2, float(region.orientation)
        u, v = half * math.sin(angle), half * math.cos(angle)
        shape = (math.log10(region.area), region.eccentricity, region.solidity, region.extent, angle, *mean)
        things.append(
            Thing(
                key=f"{name}/{len(things)}",
                label=found,
                box=(float(left), float(top), float(right), float(bottom)),
                centre=(x, y),
                axis=(x - u, y - v, 2 * u, 2 * v),
                outline=_outline(region) if region.area >= outline_from else (),
                shape=tuple(round(float(value), 4) for value in shape),
                knots=max(1, int(peaks[region.slice][region.image].sum())),
            )
        )
    return tuple(things)


def _galaxy(region: Any, mean: Array) -> str | None:
    area = region.area
    if area < 16:
        return None
    redness = (mean[0] - mean[2]) / mean.sum()
    if area > 200 and region.eccentricity < 0.45 and region.solidity < 0.8 and region.extent < 0.56:
        return "Star"  # its spikes make it ragged, but it is round
    if area >= 50 and region.eccentricity > 0.88:
        return "Edge-on galaxy"
    if area < 110:
        return "Red galaxy" if redness > 0.1 else "Faint galaxy"
    return "Elliptical galaxy" if redness > 0.06 else "Spiral galaxy"


def find_galaxies(pixels: Array) -> tuple[Thing, ...]:
    """Galaxies and stars: what is brighter than its surroundings, parted at the valleys between.

    Args:
        pixels: uint8 of shape ``(height, width, 3)``, dark sky

    Returns:
        the things, in pixels
    """
    bright = pixels.max(axis=2).astype(float)
    smooth = ndimage.gaussian_filter(bright, 1.0)
    coarse = ndimage.median_filter(smooth[::8, ::8], 9)
    sky = ndimage.zoom(coarse, 8, order=1)[: bright.shape[0], : bright.shape[1]]
    parts = _split(smooth - sky > 34, ndimage.gaussian_filter(bright, 2.6), 5)
    return _measure("hubble", parts, pixels, _galaxy, outline_from=90)


def find_nuclei(pixels: Array) -> tuple[Thing, ...]:
    """Cell nuclei of a section stained with hematoxylin (blue) and DAB (brown).

    A nucleus is bluer than its surroundings. It is "DAB positive" if the tissue around it is brown.

    Args:
        pixels: uint8 of shape ``(height, width, 3)``, bright background

    Returns:
        the things, in pixels
    """
    floats = pixels.astype(float)
    brown = ndimage.gaussian_filter(color.rgb2hed(pixels)[..., 2], 6)
    stroma = brown < 0.04
    blue = floats[..., 2] - floats[..., 0]
    fine, soft = ndimage.gaussian_filter(blue, 1.0), ndimage.gaussian_filter(blue, 1.5)
    red = ndimage.gaussian_filter(floats[..., 0], 1.0)
    gland = (soft > ndimage.gaussian_filter(blue, 14) + 6) & (red < 178)
    mask = np.where(stroma, (fine > 17) & (red < 190), gland)
    mask = ndimage.binary_fill_holes(ndimage.binary_opening(mask))
    parts = _split(mask, ndimage.gaussian_filter(ndimage.distance_transform_edt(mask), 1.0), 5)

    def label(region: Any, mean: Array) -> str | None:
        if not 28 <= region.area <= 900 or region.solidity < 0.72:
            return None
        return "DAB positive" if brown[tuple(map(int, region.centroid))] > 0.045 else "Negative nucleus"

    return _measure("tissue", parts, pixels, label, outline_from=120)


def find_coins(pixels: Array) -> tuple[Thing, ...]:
    """Coins before a dark, unevenly lit ground.

    Args:
        pixels: uint8 of shape ``(height, width, 3)``

    Returns:
        the things, in pixels
    """
    grey = pixels[..., 0].astype(float)
    edges = filters.sobel(grey)
    markers = np.zeros(grey.shape, int)
    markers[grey < 30], markers[grey > 150] = 1, 2
    ground = ndimage.gaussian_filter(grey, 40)
    markers[(grey < ground - 25) & (markers == 0)] = 1
    mask = ndimage.binary_fill_holes(segmentation.watershed(edges, markers) == 2)
    parts = ndimage.label(ndimage.binary_opening(mask, iterations=3))[0]

    def label(region: Any, mean: Array) -> str | None:
        if region.area < 500:
            return None
        return "Large coin" if region.area > 1900 else "Small coin"

    return _measure("coins", parts, pixels, label, outline_from=0)


def find_cells(pixels: Array) -> tuple[Thing, ...]:
    """Cells that are brighter than the medium they float in.

    Args:
        pixels: uint8 of shape ``(height, width, 3)``

    Returns:
        the things, in pixels
    """
    mask = ndimage.gaussian_filter(pixels[..., 0].astype(float), 2) > 110
    parts = ndimage.label(ndimage.binary_fill_holes(mask))[0]
    return _measure(
        "cell", parts, pixels, lambda region, mean: "Floating cell" if region.area > 500 else None, outline_from=0
    )


def load_sources() -> dict[str, Source]:
    """Reads and segments the pictures.

    Returns:
        the sources by name
    """
    images = {
        "hubble": (data.hubble_deep_field(), find_galaxies),
        "tissue": (data.immunohistochemistry(), find_nuclei),
        "coins": (color.gray2rgb(data.coins()), find_coins),
        "cell": (color.gray2rgb(data.cell()), find_cells),
    }
    return {name: Source(name, pixels, find(pixels)) for name, (pixels, find) in images.items()}


def inside(thing: Thing, window: tuple[int, int, int, int]) -> Thing | None:
    """A thing as a window shows it.

    Args:
        thing: in pixels of its source
        window: ``(left, top, right, bottom)`` in pixels of the source

    Returns:
        the thing, clipped, with coordinates in 0..1 of the window; None if too little of it is inside
    """
    left, top, right, bottom = window
    x0, y0, x1, y1 = thing.box
    box = (max(x0, left), max(y0, top), min(x1, right), min(y1, bottom))
    width, height = max(0.0, box[2] - box[0]), max(0.0, box[3] - box[1])
    if width * height < MIN_VISIBLE * (x1 - x0) * (y1 - y0) or not (width and height):
        return None

    def place(x: float, y: float) -> Point:
        """Shares of the window, six decimals."""
        clipped = min(max((x - left) / (right - left), 0.0), 1.0), min(max((y - top) / (bottom - top), 0.0), 1.0)
        return round(clipped[0], 6), round(clipped[1], 6)

    start = place(*thing.axis[:2])
    end = place(thing.axis[0] + thing.axis[2], thing.axis[1] + thing.axis[3])
    return replace(
        thing,
        box=(*place(*box[:2]), *place(*box[2:])),
        centre=place(*thing.centre),
        axis=(*start, round(end[0] - start[0], 6), round(end[1] - start[1], 6)),
        outline=tuple(place(x, y) for x, y in thing.outline),
        cut=box != thing.box,
    )


def encode(pixels: Array, mime: str = "image/jpeg") -> bytes:
    """A picture as a file.

    Args:
        pixels: uint8 of shape ``(height, width, 3)``
        mime ("image/jpeg"): that, or ``image/png``

    Returns:
        the file's bytes
    """
    buffer = io.BytesIO()
    if mime == "image/png":
        Image.fromarray(pixels).save(buffer, "PNG")
    else:
        Image.fromarray(pixels).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def resize(pixels: Array, size: tuple[int, int]) -> Array:
    """A picture in another size.

    Args:
        pixels: uint8 of shape ``(height, width, 3)``
        size: ``(width, height)`` in pixels

    Returns:
        uint8 of the new shape
    """
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))


# Where each source is cut: starts and ends in x and in y, the enlargement, and the file type.
_CUTS: dict[str, tuple[Sequence[tuple[int, int]], Sequence[tuple[int, int]], float, str]] = {
    "hubble": (
        ((0, 214), (196, 400), (384, 610), (590, 806), (792, 1000)),
        ((0, 228), (212, 450), (432, 660), (646, 872)),
        4.0,
        "image/jpeg",
    ),
    "tissue": (((0, 186), (160, 352), (326, 512)), ((0, 180), (166, 350), (330, 512)), 4.0, "image/jpeg"),
    "coins": (((0, 208), (176, 384)), ((0, 166), (84, 236), (144, 303)), 3.0, "image/png"),
    "cell": (((0, 300), (250, 550)), ((0, 360), (290, 660)), 2.0, "image/png"),
}


def cut(source: Source) -> Iterator[Picture]:
    """Cuts a source into tiles that overlap a little.

    Args:
        source: the source

    Yields:
        the tiles, row by row
    """
    columns, rows, factor, mime = _CUTS[source.name]
    ending = "png" if mime == "image/png" else "jpg"
    for number, ((top, bottom), (left, right)) in enumerate(product(rows, columns), 1):
        window = (left, top, right, bottom)
        size = round((right - left) * factor), round((bottom - top) * factor)
        pixels = resize(source.pixels[top:bottom, left:right], size)
        placed = (inside(thing, window) for thing in source.things)
        yield Picture(
            name=f"{source.name}_{number:02d}.{ending}",
            source=source.name,
            data=encode(pixels, mime),
            mime=mime,
            width=pixels.shape[1],
            height=pixels.shape[0],
            window=window,
            things=tuple(thing for thing in placed if thing is not None),
        )


def load_pictures(sources: dict[str, Source] | None = None) -> tuple[Picture, ...]:
    """All tiles of all sources.

    Args:
        sources (None): what :func:`load_sources` gave

    Returns:
        the tiles
    """
    sources = load_sources() if sources is None else sources
    return tuple(picture for source in sources.values() for picture in cut(source))
