"""Cutting crops out of pictures: one decoding a picture, one small file a localization."""

import math
import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from fiftyone_tator.media.pictures import Picture, UnreadablePicture, decode

Region = tuple[float, float, float, float]
"""Left, top, width and height as fractions of the picture."""

FORMATS = {"jpg": (".jpg", [cv2.IMWRITE_JPEG_QUALITY, 92]), "png": (".png", [cv2.IMWRITE_PNG_COMPRESSION, 1])}


_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class CropStyle:
    """How crops look.

    Args:
        size: the longest side in pixels; a smaller region is not enlarged
        padding: what is added on each side, as a fraction of the region's own width and height
        format: ``jpg`` or ``png``
        window: width or height in pixels of the crop of what has none of its own, such as a dot
    """

    size: int = 256
    padding: float = 0.0
    format: str = "jpg"
    window: int = 96


@dataclass(frozen=True, slots=True)
class CropJob:
    """The crops to cut from one picture; holds plain values only, so that it can travel to another process.

    Args:
        picture: the picture's file
        size: its width and height in pixels, as Tator has them
        regions: what to cut
        targets: the file of each region
        style: how crops look
    """

    picture: Path
    size: tuple[int, int] | None
    regions: tuple[Region, ...]
    targets: tuple[str | Path, ...]
    style: CropStyle


@dataclass(frozen=True, slots=True)
class Crop:
    """A crop that was written.

    Args:
        width: in pixels
        height: in pixels
        size_bytes: of the file
    """

    width: int
    height: int
    size_bytes: int


def pixel_box(region: Region, picture: tuple[int, int], style: CropStyle) -> tuple[int, int, int, int] | None:
    """The pixels that a region covers, clipped to the picture.

    Args:
        region: left, top, width and height as fractions of the picture
        picture: width and height of the picture in pixels
        style: gives the padding, and the window for what has no extent of its own

    Returns:
        left, top, right and bottom in pixels, right and bottom exclusive, at least one pixel each way; or None where
        the region lies outside the picture
    """
    (width, height), (x, y, w, h) = picture, region
    across = _pixels(x, w, width, style)
    down = _pixels(y, h, height, style)
    return (across[0], down[0], across[1], down[1]) if across and down else None


def _pixels(start: float, extent: float, length: int, style: CropStyle) -> tuple[int, int] | None:
    """One direction of :func:`pixel_box`."""
    first, last = start * length, (start + extent) * length
    around = style.padding * (last - first) if extent else style.window / 2
    first, last = max(0.0, first - around), min(float(length), last + around)
    if not first < length or not last > 0:
        return None
    # What is on a pixel's border but for the last digits of a fraction is on it.
    left = min(math.floor(first + _ROUNDING), length - 1)
    return left, max(math.ceil(last - _ROUNDING), left + 1)


def cut(picture: Picture, region: Region, style: CropStyle) -> tuple[bytes, int, int] | None:
    """Cuts and encodes one crop, keeping its proportions.

    Args:
        picture: shape (height, width, 3), blue first
        region: left, top, width and height as fractions of the picture
        style: how crops look

    Returns:
        the encoded file, its width and its height; or None where the region lies outside the picture
    """
    box = pixel_box(region, (picture.shape[1], picture.shape[0]), style)
    if box is None:
        return None
    left, top, right, bottom = box
    part = picture[top:bottom, left:right]
    scale = style.size / max(part.shape[:2])
    if scale < 1:
        small = max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale))
        part = np.asarray(cv2.resize(part, small, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    suffix, parameters = FORMATS[style.format]
    done, data = cv2.imencode(suffix, part, parameters)
    if not done:
        raise UnreadablePicture("the crop could not be encoded")
    return data.tobytes(), part.shape[1], part.shape[0]


def run(job: CropJob) -> list[Crop | None]:
    """Decodes one picture once and writes its crops.

    A killed process or a full disk may leave half of a file. Whoever looks for crops that were made before therefore
    compares their size: to write beside and rename takes three times as long.

    Args:
        job: what to cut

    Returns:
        for each region the crop, or None where it lies outside the picture

    Raises:
        UnreadablePicture: if the picture cannot be decoded
        OSError: if a crop cannot be written
    """
    picture = decode(job.picture, size=job.size)
    crops: list[Crop | None] = []
    for folder in {os.path.dirname(target) for target in job.targets}:
        os.makedirs(folder, exist_ok=True)
    for region, target in zip(job.regions, job.targets, strict=True):
        made = cut(picture, region, job.style)
        if made is None:
            crops.append(None)
            continue
        data, width, height = made
        with open(target, "wb") as file:
            file.write(data)
        crops.append(Crop(width=width, height=height, size_bytes=len(data)))
    return crops
