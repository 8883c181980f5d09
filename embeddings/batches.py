"""Batches as large as a service takes them, and the picture at fault found where one fails."""

from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from fiftyone_tator.embeddings.embedder import Embedded, Vectors
from fiftyone_tator.embeddings.errors import BadVectors, EmbeddingError, TooLarge, WorkerFailed

Send = Callable[[Sequence[bytes]], Awaitable[Vectors]]
"""Has pictures embedded in one call; one row each."""

MOST_STRIKES = 3


@dataclass(frozen=True, slots=True)
class Loaded:
    """A picture to send.

    Args:
        key: what the caller knows it by
        path: of its file
        content: the JPEG
    """

    key: Hashable
    path: str
    content: bytes


class Batches:
    """Embeds pictures by one call a batch; may be used by several tasks at once, which learn from each other.

    Args:
        send: has pictures embedded, and adds one of its own to each call
        size: pictures a call, with the one that is added
        most_strikes: pictures that fail alone, one after the other with no success between, until it is taken for the
            service's fault and no longer for theirs
    """

    def __init__(self, send: Send, *, size: int, most_strikes: int = MOST_STRIKES) -> None:
        self.size = max(2, size)
        self._send = send
        self._most_strikes = most_strikes
        self._strikes = 0

    @property
    def room(self) -> int:
        """Pictures of the caller's in one call."""
        return self.size - 1

    async def embed(self, pictures: Sequence[Loaded]) -> Embedded:
        """Embeds some pictures, in one call if all is well.

        Args:
            pictures: to embed

        Returns:
            every picture once, with a vector or with a reason

        Raises:
            EmbeddingError: if the service cannot go on, or fails at one picture after the other
        """
        keys: list[Hashable] = []
        rows: list[Vectors] = []
        failed: dict[Hashable, str] = {}
        size, left = self.size, [list(pictures)] if pictures else []
        while left:
            part = left.pop()
            if len(part) > self.room:
                left += [part[start : start + self.room] for start in range(0, len(part), self.room)][::-1]
                continue
            try:
                vectors = await self._send([picture.content for picture in part])
            except (TooLarge, WorkerFailed, BadVectors) as error:
                if len(part) == 1:
                    failed[part[0].key] = self._strike(part[0], error, size)
                elif isinstance(error, TooLarge):
                    while self.size > len(part):
                        self.size = max(2, self.size // 2)
                    left.append(part)
                else:
                    # Broken pictures come in rows; every other one finds good ones between them.
                    left += [part[::2], part[1::2]]
                continue
            self._strikes = 0
            keys += [picture.key for picture in part]
            rows.append(vectors)
        return Embedded(keys, np.concatenate(rows) if rows else np.empty((0, 0), np.float32), failed)

    def _strike(self, picture: Loaded, error: EmbeddingError, size: int) -> str:
        """The reason why a picture failed alone."""
        self._strikes += 1
        if self._strikes >= self._most_strikes:
            raise type(error)(
                f"{self._strikes} pictures failed one after the other, each alone, the last one {picture.path}: {error}"
            )
        if isinstance(error, TooLarge):
            # It was this picture, not the number of them.
            self.size = max(self.size, size)
            return f"{picture.path}: too large for the service ({len(picture.content):,} bytes)"
        return f"{picture.path}: {error}"
