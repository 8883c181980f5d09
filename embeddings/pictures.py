"""Pictures as a service wants them: small JPEGs. Most crops are that already and go out as they are."""

from functools import lru_cache
from pathlib import Path

import cv2

from fiftyone_tator.embeddings.embedder import probe_picture
from fiftyone_tator.embeddings.errors import NoPicture
from fiftyone_tator.media.pictures import Picture, UnreadablePicture, decode

LONGEST = 256
QUALITY = 90
_START, _END = b"\xff\xd8", b"\xff\xd9"
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_GREY, _COLOUR = 1, 3


def small_jpeg(path: str | Path, *, longest: int = LONGEST, quality: int = QUALITY) -> bytes:
    """A picture as a JPEG that is no larger than a model needs.

    A JPEG that is small enough is not encoded again.

    Args:
        path: of the file, any kind of picture
        longest: pixels of the longest side at most; smaller pictures stay as they are
        quality: of the JPEG, where one is made

    Returns:
        the JPEG

    Raises:
        NoPicture: if the file is gone, cut short or no picture
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise NoPicture(f"{path}: the file is gone. Make the crop again with an import.") from None
    except OSError as error:
        raise NoPicture(f"{path}: the file cannot be read ({error.strerror}).") from None
    frame = _frame(data)
    if frame is not None:
        start, side, components = frame
        # No other marker looks like the end, and what an EXIF thumbnail has lies before the frame.
        if data.find(_END, start) < 0:
            raise NoPicture(f"{path}: the JPEG is cut short. Make the crop again with an import.")
        if side <= longest and components in (_GREY, _COLOUR):
            return data
    try:
        return _jpeg(_shrunk(decode(Path(path)), longest), quality)
    except UnreadablePicture as error:
        raise NoPicture(f"{path}: {error}.") from None


@lru_cache
def probe_jpeg() -> bytes:
    """The picture that tells models apart, as it is sent."""
    return _jpeg(probe_picture()[..., ::-1], QUALITY)


def _frame(data: bytes) -> tuple[int, int, int] | None:
    """Where a JPEG's frame header is, its longest side and how many components it has; None if it is no JPEG."""
    if not data.startswith(_START):
        return None
    at = 2
    while at + 9 < len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _FRAMES:
            height = int.from_bytes(data[at + 5 : at + 7], "big")
            width = int.from_bytes(data[at + 7 : at + 9], "big")
            return at, max(height, width), data[at + 9]
        # Bytes of filling may precede a marker; all markers before the frame have a length.
        at += 1 if marker == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None


def _shrunk(picture: Picture, longest: int) -> Picture:
    height, width = picture.shape[:2]
    scale = longest / max(height, width)
    if scale >= 1:
        return picture
    size = max(1, round(width * scale)), max(1, round(height * scale))
    shrunk: Picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return shrunk


def _jpeg(picture: Picture, quality: int) -> bytes:
    done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise UnreadablePicture("it cannot be made a JPEG")
    return bytes(data)
