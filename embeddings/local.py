"""Vectors without a server and without a model: a descriptor of gradients, texture and colour, made on the spot."""

import itertools
from collections.abc import Hashable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image
from skimage.feature import hog, local_binary_pattern

from fiftyone_tator.embeddings.embedder import Embedded, Picture, Source, Vectors, probe_picture
from fiftyone_tator.media.pictures import UnreadablePicture, decode

DESCRIPTOR: Final = "descriptor"
DIMENSIONS = 256
BLOCK = 200
SOURCE = Source(kind=DESCRIPTOR, model="gradients, texture and colour", version="1")

_Pixels = npt.NDArray[np.uint8]
_Part = npt.NDArray[np.float64]
_SIDE = 64
_REDUCED = {8: cv2.IMREAD_REDUCED_COLOR_8, 4: cv2.IMREAD_REDUCED_COLOR_4, 2: cv2.IMREAD_REDUCED_COLOR_2}
# Where an edge lies says less about a crop than texture and colour do, since things lie in it any way round.
_WEIGHT_OF_GRADIENTS = 0.5
_HSV_BINS = ((12, 180), (11, 256), (11, 256))


class DescriptorEmbedder:
    """Describes pictures by 256 numbers: 144 of gradients, 69 of texture, 43 of colour; needs nothing but a processor.

    A picture's proportions and size do not count: it is looked at as a square of 64 pixels.
    """

    @property
    def source(self) -> Source:
        """The descriptor, by its name and version."""
        return SOURCE

    def probe(self) -> Vectors:
        """The vector of :func:`fiftyone_tator.embeddings.embedder.probe_picture`."""
        return describe(np.ascontiguousarray(probe_picture()[:, :, ::-1]))

    def embed(self, pictures: Iterable[Picture]) -> Iterator[Embedded]:
        """Embeds pictures, 200 at a time, in their order.

        Args:
            pictures: as many as there are; taken one by one

        Yields:
            vectors of length 1; pictures that are gone or unreadable are among the failed, with the reason
        """
        waiting = iter(pictures)
        while block := list(itertools.islice(waiting, BLOCK)):
            keys: list[Hashable] = []
            rows: list[Vectors] = []
            failed: dict[Hashable, str] = {}
            for picture in block:
                try:
                    rows.append(describe(read_small(Path(picture.path), _SIDE)))
                    keys.append(picture.key)
                except UnreadablePicture as error:
                    failed[picture.key] = str(error)
            yield Embedded(keys, np.array(rows, np.float32).reshape(-1, DIMENSIONS), failed)

    def __enter__(self) -> "DescriptorEmbedder":
        """Does nothing: it is ready."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Does nothing: it holds nothing."""


def describe(picture: _Pixels) -> Vectors:
    """Describes a picture.

    Args:
        picture: ``height x width x 3``, 8 bits, blue first; at least one pixel

    Returns:
        256 numbers, together of length 1
    """
    large = np.asarray(cv2.resize(picture, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA), np.uint8)
    small = np.asarray(cv2.resize(large, (_SIDE // 2, _SIDE // 2), interpolation=cv2.INTER_AREA), np.uint8)
    grey = np.asarray(cv2.cvtColor(large, cv2.COLOR_BGR2GRAY), np.uint8)
    small_grey = np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), np.uint8)
    gradients = hog(grey, orientations=9, pixels_per_cell=(16, 16), cells_per_block=(1, 1))
    texture = np.concatenate([_texture(grey, "uniform", 10), _texture(small_grey, "nri_uniform", 59)])
    parts = [_WEIGHT_OF_GRADIENTS * _unit(gradients), _unit(texture), _unit(_colour(small))]
    return _unit(np.concatenate(parts)).astype(np.float32)


def read_small(path: Path, side: int) -> _Pixels:
    """Reads a picture for which few pixels are enough: JPEG is decoded at a half, a quarter or an eighth.

    Args:
        path: the file
        side: the shorter side should not become smaller than so many pixels

    Returns:
        ``height x width x 3``, 8 bits, blue first

    Raises:
        UnreadablePicture: if the file is missing, empty or no picture
    """
    try:
        with Image.open(path) as image:
            plain = image.format == "JPEG" and image.mode in ("RGB", "L")
            factor = min(image.size) // side if plain else 1
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        factor = 1
    for reduced, flag in _REDUCED.items():
        if factor >= reduced:
            picture = cv2.imread(str(path), flag)
            return decode(path) if picture is None else np.asarray(picture, np.uint8)
    return decode(path)


def _texture(grey: _Pixels, method: str, patterns: int) -> _Part:
    """How often each pattern of a pixel and its neighbours occurs; by roots, so that frequent ones do not rule."""
    found = local_binary_pattern(grey, 8, 1, method)
    return _unit(np.sqrt(np.bincount(found.ravel().astype(np.intp), minlength=patterns)))


def _colour(picture: _Pixels) -> _Part:
    """Histograms of hue, weighted by saturation, of saturation and of brightness; and mean, spread and skew in Lab."""
    hsv = cv2.cvtColor(picture, cv2.COLOR_BGR2HSV).reshape(-1, 3).astype(np.intp)
    histograms = [
        _unit(np.sqrt(np.bincount(hsv[:, channel] * bins // top, hsv[:, 1] if channel == 0 else None, minlength=bins)))
        for channel, (bins, top) in enumerate(_HSV_BINS)
    ]
    lab = cv2.cvtColor(picture, cv2.COLOR_BGR2LAB).reshape(-1, 3) / 255.0
    away = lab - lab.mean(axis=0)
    moments = [lab.mean(axis=0), np.sqrt((away**2).mean(axis=0)), np.cbrt((away**3).mean(axis=0))]
    return np.concatenate([*histograms, *moments])


def _unit(values: npt.ArrayLike) -> _Part:
    """At length 1; what is all zero stays so."""
    part = np.asarray(values, np.float64)
    return part / (float(np.linalg.norm(part)) or 1.0)
