"""What makes vectors of pictures, whoever it is: a Fast-VSS service, a zoo model, or a descriptor made on the spot."""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

Vectors: TypeAlias = npt.NDArray[np.float32]
"""``N x D``, or ``D`` for one."""

Kind = Literal["fastvss", "zoo", "descriptor"]

PROBE_SIZE = 64
_ALIKE = 0.999
"""Half floats and another batch are a thousand times closer to 1."""
_EXTREME = 3.0


@dataclass(frozen=True, slots=True)
class Source:
    """What made vectors.

    Args:
        kind: ``fastvss``, ``zoo`` or ``descriptor``
        model: the service's project, the zoo model's name, or the name of the descriptor
        service: the address of the service; None on this machine
        version: of the service, the package or the descriptor
    """

    kind: Kind
    model: str
    service: str | None = None
    version: str | None = None

    @property
    def label(self) -> str:
        """In words, for people: ``Fast-VSS 0.15.0, project reef, at http://localhost:8000``."""
        version = f" {self.version}" if self.version else ""
        if self.kind == "fastvss":
            return f"Fast-VSS{version}, project {self.model}, at {self.service}"
        return f"the zoo model {self.model}" if self.kind == "zoo" else f"{self.model}{version}"


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture to embed.

    Args:
        key: what the caller knows it by, for example a sample's id
        path: of its file
    """

    key: Hashable
    path: str


@dataclass(frozen=True, slots=True)
class Embedded:
    """Some pictures' vectors.

    Args:
        keys: of the pictures, in the order of the vectors
        vectors: ``N x D``, finite, not normalised
        failed: pictures without a vector, by key, and why
    """

    keys: Sequence[Hashable]
    vectors: Vectors
    failed: Mapping[Hashable, str] = field(default_factory=dict)


class Embedder(Protocol):
    """Makes vectors of pictures; a context manager, because some hold connections or a model."""

    @property
    def source(self) -> Source:
        """What makes the vectors. Asking it may take a call."""

    def probe(self) -> Vectors:
        """The vector of :func:`probe_picture`; tells models apart, and whether everything is ready.

        Returns:
            ``D`` numbers

        Raises:
            EmbeddingError: if it is not ready, with the reason
        """

    def embed(self, pictures: Iterable[Picture]) -> Iterator[Embedded]:
        """Embeds pictures, some at a time, in any order; reads ahead of the caller no more than a few batches.

        Args:
            pictures: as many as there are; taken one by one

        Yields:
            vectors; every picture comes back once, with a vector or with a reason

        Raises:
            EmbeddingError: if it cannot go on; what was yielded before is good
        """

    def __enter__(self) -> "Embedder":
        """Gets ready."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Lets go of what it holds."""


def probe_picture() -> npt.NDArray[np.uint8]:
    """A picture that every model sees something in, always the same.

    Returns:
        ``64 x 64 x 3``, RGB
    """
    across, down = np.meshgrid(np.arange(PROBE_SIZE), np.arange(PROBE_SIZE))
    disc = (across - 24) ** 2 + (down - 36) ** 2 < 15**2
    red = across * 4
    green = np.where(disc, 230, down * 3)
    blue = 128 + 100 * np.sin(across / 5.0) * np.cos(down / 7.0)
    return np.stack([red, green, blue], axis=-1).clip(0, 255).astype(np.uint8)


def flattened(vector: Vectors, like: Vectors) -> Vectors:
    """A vector without its extremes: in those of many models a few numbers outdo all others, whatever the picture.

    Args:
        vector: ``D`` numbers
        like: as many, whose usual size says what is extreme
    """
    sizes = np.abs(like[like != 0])
    most = _EXTREME * float(np.median(sizes)) if len(sizes) else 0.0
    return np.clip(vector, -most, most)


def alike(one: Vectors, other: Vectors) -> bool:
    """Whether two vectors of the same picture can be of one model.

    Args:
        one: ``D`` numbers
        other: as many, or not
    """
    if one.shape != other.shape:
        return False
    first, second = flattened(one, one), flattened(other, one)
    size = float(np.linalg.norm(first) * np.linalg.norm(second))
    return size > 0 and float(first @ second) / size >= _ALIKE
