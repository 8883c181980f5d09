"""One vector as FiftyOne stores it in MongoDB, packed and unpacked without its detours."""

import io
import struct
import zlib
from functools import lru_cache

import numpy as np
from bson import Binary

from fiftyone_tator.embeddings.embedder import Vectors
from fiftyone_tator.embeddings.errors import BadVectors


@lru_cache
def _header(dimensions: int) -> bytes:
    with io.BytesIO() as file:
        np.save(file, np.zeros(dimensions, np.float32))
        return file.getvalue()[: -4 * dimensions]


def pack(vector: Vectors) -> Binary:
    """A vector as FiftyOne stores it; not compressed, since noise does not get smaller, only slower.

    Args:
        vector: ``D`` numbers
    """
    return Binary(zlib.compress(_header(len(vector)) + vector.astype("<f4", copy=False).tobytes(), 0))


def unpack(data: bytes) -> Vectors:
    """A vector as FiftyOne stored it.

    Args:
        data: from :func:`pack`, or from FiftyOne

    Returns:
        ``D`` numbers

    Raises:
        BadVectors: if it is no vector
    """
    try:
        content = zlib.decompress(data)
        (length,) = struct.unpack_from("<H", content, 8)
        start = 10 + length
        count = (len(content) - start) // 4
        # NumPy parses its header as Python code, which takes longer than all the rest.
        if content[:start] == _header(count):
            return np.frombuffer(content, np.float32, offset=start)
        vector: Vectors = np.load(io.BytesIO(content), allow_pickle=False).astype(np.float32).ravel()
        return vector
    except (zlib.error, struct.error, ValueError, OSError) as error:
        raise BadVectors(f"A stored vector cannot be read: {error}. Compute the embeddings anew.") from None
