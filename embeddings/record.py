"""What is remembered of a field's vectors, and whether others can stand beside them."""

import base64
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any

import numpy as np

from fiftyone_tator.embeddings.embedder import Source, Vectors, flattened
from fiftyone_tator.sync.documents import EMBEDDING_OF

_NUMBERS = 32
_CLOSE = 0.05
"""Between two fingerprints of one model; half floats and another graphics card are a tenth of that."""


@dataclass(frozen=True, slots=True)
class Record:
    """What is remembered of a field's vectors.

    Args:
        source: what made them
        dimensions: numbers in each
        probe: a fingerprint of the probe picture's vector; tells models apart that have as many dimensions
        made_at: when the first of them was made
    """

    source: Source
    dimensions: int
    probe: str
    made_at: str

    @classmethod
    def of(cls, source: Source, probe: Vectors) -> "Record":
        """What to remember.

        Args:
            source: what makes the vectors
            probe: from :meth:`fiftyone_tator.embeddings.embedder.Embedder.probe`
        """
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        return cls(source, len(probe), _fingerprint(probe), now)

    @classmethod
    def from_info(cls, info: Mapping[str, Any] | None) -> "Record | None":
        """What a field's info says; None if its vectors are not of our making.

        Args:
            info: the field's info
        """
        if not info or EMBEDDING_OF not in info:
            return None
        source = Source(info["kind"], info["model"], info.get("service"), info.get("version"))
        return cls(source, int(info["dimensions"]), str(info["probe"]), str(info["made_at"]))

    def as_info(self) -> dict[str, Any]:
        """The record for a field's info, which the App shows as it is."""
        said = {key: value for key, value in asdict(self.source).items() if value is not None}
        more = {"dimensions": self.dimensions, "made_at": self.made_at, "probe": self.probe}
        return {EMBEDDING_OF: "filepath", **said, **more}

    def matches(self, other: "Record") -> bool:
        """Whether vectors of two records can stand side by side.

        Args:
            other: the service may have moved, or be newer; the kind of service, the model and what it says of the probe
                picture are the same
        """
        mine, others = self.source, other.source
        if (mine.kind, mine.model, self.dimensions) != (others.kind, others.model, other.dimensions):
            return False
        one, two = _numbers(self.probe), _numbers(other.probe)
        if one.shape != two.shape:
            return False
        return bool(np.linalg.norm(one - two) <= _CLOSE * max(float(np.linalg.norm(one)), 1e-3))


@lru_cache(8)
def _directions(dimensions: int) -> Vectors:
    """Directions in which every number of a vector has a say."""
    return np.random.default_rng(51).normal(size=(_NUMBERS, dimensions)).astype(np.float32)


def _fingerprint(probe: Vectors) -> str:
    flat = flattened(probe, probe)
    seen = _directions(len(flat)) @ (flat / (float(np.linalg.norm(flat)) or 1.0))
    return base64.b64encode(seen.astype("<f2").tobytes()).decode()


def _numbers(fingerprint: str) -> Vectors:
    try:
        return np.frombuffer(base64.b64decode(fingerprint, validate=True), "<f2").astype(np.float32)
    except ValueError:
        return np.zeros(0, np.float32)
