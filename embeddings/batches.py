"""Batches as large as a service takes them, and the picture at fault found where one fails."""

from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from fiftyone_tator.embeddings.errors import BadVectors, EmbeddingError, TooLarge, WorkerFailed

Rows = TypeVar("Rows")
"""What comes back of one call; one row for each picture."""

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


@dataclass(frozen=True, slots=True)
class Done(Generic[Rows]):
    """What came back of some pictures.

    Args:
        keys: of the pictures, in the order of the rows
        rows: of one call after the other
        failed: pictures without a row, by key, and why
    """

    keys: list[Hashable]
    rows: list[Rows]
    failed: dict[Hashable, str]


class Batches(Generic[Rows]):
    """Sends pictures, one call a batch; may be used by several tasks at once, which learn from each other.

    Args:
        send: makes a call of pictures
        size: pictures a call, with those that are added
        good: a picture that there is nothing wrong with
        added: how many pictures ``send`` adds of its own to each call
        most_strikes: pictures that fail alone, one after the other with no success between, until the good one is sent
            to see whether it is their fault or the service's
    """

    def __init__(
        self,
        send: Callable[[Sequence[bytes]], Awaitable[Rows]],
        *,
        size: int,
        good: bytes,
        added: int = 0,
        most_strikes: int = MOST_STRIKES,
    ) -> None:
        self._least = added + 1
        self.size = max(self._least, size)
        self._send, self._good, self._added = send, good, added
        self._most_strikes = most_strikes
        self._strikes = 0

    @property
    def room(self) -> int:
        """Pictures of the caller's in one call."""
        return self.size - self._added

    async def run(self, pictures: Sequence[Loaded]) -> Done[Rows]:
        """Sends some pictures, in one call if all is well.

        Args:
            pictures: to send

        Returns:
            every picture once, with a row or with a reason

        Raises:
            EmbeddingError: if the service cannot go on, or fails at any picture
        """
        done: Done[Rows] = Done([], [], {})
        size, left = self.size, [list(pictures)] if pictures else []
        while left:
            part = left.pop()
            if len(part) > self.room:
                left += [part[start : start + self.room] for start in range(0, len(part), self.room)][::-1]
                continue
            try:
                rows = await self._send([picture.content for picture in part])
            except (TooLarge, WorkerFailed, BadVectors) as error:
                if len(part) == 1:
                    done.failed[part[0].key] = await self._strike(part[0], error, size)
                elif isinstance(error, TooLarge):
                    while self.room >= len(part):
                        self.size = max(self._least, self.size // 2)
                    left.append(part)
                else:
                    # Broken pictures come in rows; every other one finds good ones between them.
                    left += [part[::2], part[1::2]]
                continue
            self._strikes = 0
            done.keys.extend(picture.key for picture in part)
            done.rows.append(rows)
        return done

    async def _strike(self, picture: Loaded, error: EmbeddingError, size: int) -> str:
        """The reason why a picture failed alone."""
        self._strikes += 1
        if self._strikes >= self._most_strikes:
            try:
                await self._send([self._good])
            except (TooLarge, WorkerFailed, BadVectors) as again:
                raise type(error)(
                    f"{self._strikes} pictures failed one after the other, each alone, and so did one that is known to "
                    f"be good; the last one {picture.path}: {error}"
                ) from again
            self._strikes = 0
        if isinstance(error, TooLarge):
            # It was this picture, not the number of them.
            self.size = max(self.size, size)
            return f"{picture.path}: too large for the service ({len(picture.content):,} bytes)"
        return f"{picture.path}: {error}"
