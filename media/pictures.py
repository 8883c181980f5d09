"""Decoding pictures of every kind to the 8-bit colour that crops are cut from."""

import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

Picture = npt.NDArray[np.uint8]
"""An array of shape (height, width, 3), blue first as OpenCV has it."""

_ORIENTATION = 0x0112
_BITS_PER_SAMPLE = 258
_PLAIN_MODES = frozenset({"RGB", "L"})
_FAST_FORMATS = frozenset({"JPEG", "PNG"})
_AS_STORED = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
_LARGE = 64_000_000
_one_large_picture = threading.Lock()

# A project's own pictures are no decompression bombs: microscopes and drones make hundreds of megapixels.
_MOST_PIXELS = 2**30


class UnreadablePicture(Exception):
    """A picture cannot be decoded; the message says why."""


def decode(path: Path, *, size: tuple[int, int] | None = None) -> Picture:
    """Reads a picture as 8-bit colour.

    Grey, palette, CMYK and transparent pictures become colour; 16-bit and floating-point ones are stretched from
    their own smallest to their largest value. A rotation in EXIF is applied unless Tator did so already, which shows
    in the size that it gives.

    Args:
        path: the file
        size: width and height in pixels as Tator has them, in whose frame localizations are drawn

    Returns:
        the picture, shape (height, width, 3), blue first

    Raises:
        UnreadablePicture: if the file is missing, empty, cut short or no picture
    """
    try:
        with Image.open(path) as image:
            _check_size(*image.size)
            with _one_at_a_time(image.width * image.height):
                turned = _is_turned(image, path)
                picture = _decode_fast(path) if _is_plain(image) and not turned else None
                return _decode_any(image, turned, size) if picture is None else picture
    except FileNotFoundError:
        raise UnreadablePicture("the picture's file is missing") from None
    except UnidentifiedImageError:
        raise UnreadablePicture("the file is not a picture, or of an unknown format") from None
    except Image.DecompressionBombError:
        return _decode_huge(path, size)
    except (OSError, SyntaxError, ValueError, EOFError, MemoryError, struct.error, cv2.error) as error:
        raise UnreadablePicture(f"the picture is broken ({type(error).__name__}: {error})") from error


def _check_size(width: int, height: int) -> None:
    if width * height > _MOST_PIXELS:
        raise UnreadablePicture(f"the picture has {width} x {height} pixels, more than can be decoded")


def _is_turned(image: Image.Image, path: Path) -> bool:
    """Whether the orientation that the picture names is another than upright."""
    # Pillow decodes a whole PNG to look for what may follow the pixels; the base class asks for what precedes them.
    early = image.format == "PNG" and b"eXIf" not in path.read_bytes()
    exif = Image.Image.getexif(image) if early else image.getexif()
    return bool(exif.get(_ORIENTATION, 1) != 1)


def _is_plain(image: Image.Image) -> bool:
    """Whether OpenCV decodes the picture as well as Pillow does, or better: of 16-bit colour Pillow keeps 8 bits."""
    if image.mode not in _PLAIN_MODES:
        return False
    return image.format in _FAST_FORMATS or 16 in getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, ())


@contextmanager
def _one_at_a_time(pixels: int) -> Iterator[None]:
    """Lets only one large picture be in memory at a time."""
    if pixels < _LARGE:
        yield
        return
    with _one_large_picture:
        yield


def _decode_fast(path: Path) -> Picture | None:
    """OpenCV's decoder takes half of Pillow's time; None where it does not manage."""
    data = np.fromfile(path, dtype=np.uint8)
    picture = cv2.imdecode(data, _AS_STORED)
    return None if picture is None else _as_bytes(picture)


def _decode_huge(path: Path, size: tuple[int, int] | None) -> Picture:
    """OpenCV reads what is so large that Pillow takes it for an attack."""
    with _one_large_picture:
        data = np.fromfile(path, dtype=np.uint8)
        try:
            picture = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
            if picture is not None and size is not None and picture.shape[1::-1] == size[::-1] != size:
                picture = cv2.imdecode(data, _AS_STORED)
        except (cv2.error, MemoryError) as error:
            raise UnreadablePicture("the picture has more pixels than can be decoded") from error
    if picture is None:
        raise UnreadablePicture("the picture is too large to be decoded, or broken")
    return _as_bytes(picture)


def _decode_any(image: Image.Image, turned: bool, size: tuple[int, int] | None) -> Picture:
    """Pillow reads what is left: turned, 16-bit, CMYK, palette, TIFF, WebP, ..."""
    upright = ImageOps.exif_transpose(image) if turned else image
    if turned and size is not None and upright.size != size and image.size == size:
        upright = image
    array = _as_bytes(np.asarray(upright) if upright.mode[0] in "IF" else np.asarray(_to_rgb(upright)))
    if array.ndim == 2:
        return np.ascontiguousarray(np.repeat(array[:, :, None], 3, axis=2))
    return np.ascontiguousarray(array[:, :, 2::-1])


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        flat = Image.new("RGBA", image.size, "black")
        flat.alpha_composite(image.convert("RGBA"))
        return flat.convert("RGB")
    return image.convert("RGB")


def _as_bytes(array: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    return np.asarray(array if array.dtype == np.uint8 else _stretch(array), dtype=np.uint8)


def _stretch(array: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Spreads the values of a 16-bit or floating-point picture over 0..255; what is no number becomes the lowest."""
    values = array.astype(np.float32)
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    scale = 255.0 / (high - low) if high > low else 0.0
    np.nan_to_num(values, copy=False, nan=low, posinf=high, neginf=low)
    return np.asarray(np.rint((values - low) * scale), dtype=np.uint8)
