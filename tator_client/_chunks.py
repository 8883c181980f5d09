"""Cutting long lists into requests that the server takes: pure."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

T = TypeVar("T")

# The server refuses bodies over 2.5 MiB (2,621,440 bytes).
MAX_BYTES = 2_500_000
MAX_IDS = 5_000
MAX_SPECS = 500


def unique(values: Sequence[T]) -> list[T]:
    """Returns the values in their order, each once."""
    return list(dict.fromkeys(values))


def encoded(search: Mapping[str, Any]) -> str:
    """Returns a search as the text that ``encoded_search`` and ``encoded_related_search`` take."""
    return base64.b64encode(json.dumps(search).encode()).decode()


def chunks(values: Sequence[T], size: int = MAX_IDS) -> Iterator[list[T]]:
    """Yields the values in lists of at most ``size``, none of them empty."""
    for start in range(0, len(values), size):
        yield list(values[start : start + size])


def by_bytes(
    pieces: Sequence[bytes], *, max_count: int = MAX_SPECS, max_bytes: int = MAX_BYTES
) -> Iterator[tuple[int, int]]:
    """Yields the ranges of pieces that fit into one JSON list each.

    Args:
        pieces: the encoded elements
        max_count (500): elements in a list
        max_bytes (2500000): bytes in a list with its brackets and commas; a single longer
            element gets a list of its own

    Returns:
        an iterator of ``(start, stop)``, in order, without gaps
    """
    start, size = 0, 2
    for index, piece in enumerate(pieces):
        longer = size + len(piece) + 1
        if index > start and (index - start == max_count or longer > max_bytes):
            yield start, index
            start, longer = index, 2 + len(piece) + 1
        size = longer
    if start < len(pieces):
        yield start, len(pieces)
