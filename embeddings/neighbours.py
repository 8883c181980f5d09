"""Nearest neighbours by cosine, exact, in bounded memory. Knows no dataset.

Vectors are centred first: those of many models lie in a narrow cone, where all cosines are alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from fiftyone_tator.embeddings.embedder import Vectors

Numbers: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float32]

REFERENCES = 50_000
"""So many samples stand for a large dataset, so that the time grows with the queries only."""
COPY = 1e-3
"""Pictures this close show the same thing; what one is called says nothing new of the other."""
_BYTES = 64_000_000
_STRIP = 64
_EVEN = 0.1


@dataclass(frozen=True, slots=True)
class Near:
    """The neighbours of some queries, nearest first.

    Args:
        indices: of the references, ``Q x k``; -1 where there are no more
        distances: cosine distances, ``Q x k``; infinite where there are no more
    """

    indices: Numbers
    distances: Floats


class Neighbours:
    """The nearest of some vectors.

    Args:
        references: ``N x D``, finite; normalised in place, so that they are there only once
    """

    def __init__(self, references: Vectors) -> None:
        self.centre: Vectors = references.mean(axis=0, dtype=np.float64).astype(np.float32)
        references -= self.centre
        self._references = _normalise(references)

    @property
    def references(self) -> Vectors:
        """The references as directions."""
        return self._references

    def __len__(self) -> int:
        return len(self._references)

    def directions(self, vectors: Vectors) -> Vectors:
        """Vectors seen from the centre of the references, at length 1; those at the centre itself are zero.

        Args:
            vectors: ``N x D``
        """
        return _normalise(vectors - self.centre)

    def nearest(
        self, queries: Vectors | None, k: int, *, own: Numbers | None = None, apart: float | Floats = -1.0
    ) -> Near:
        """The nearest references of each query.

        Args:
            queries: ``Q x D``; the references themselves, each without itself, if None
            k: how many
            own: which reference each query is itself, and which is left out therefore; -1 if none
            apart: references at this distance or less are left out; one distance, or one for each query; none if
                negative

        Returns:
            the neighbours; a query or a reference without a direction is at distance 1 of everything
        """
        directions = None if queries is None else self.directions(queries)
        return self.nearest_to(directions, k, own=own, apart=apart)

    def nearest_to(
        self, directions: Vectors | None, k: int, *, own: Numbers | None = None, apart: float | Floats = -1.0
    ) -> Near:
        """The nearest references of each query, as :meth:`nearest`.

        Args:
            directions: from :meth:`directions`; the references themselves, each without itself, if None
            k: see there
            own: see there
            apart: see there
        """
        looking = self._references if directions is None else directions
        own = np.arange(len(self._references)) if directions is None else own
        many, k = len(self._references), min(k, len(self._references))
        indices, distances = np.empty((len(looking), k), np.int64), np.empty((len(looking), k), np.float32)
        limits = 1 - np.broadcast_to(np.asarray(apart, np.float32), len(looking))
        step = max(1, _BYTES // (4 * max(many, 1)))
        for start in range(0, len(looking), step):
            part = slice(start, start + step)
            cosines = looking[part] @ self._references.T
            np.copyto(cosines, -np.inf, where=cosines >= limits[part, None])
            if own is not None:
                (rows,) = np.nonzero(own[part] >= 0)
                cosines[rows, own[part][rows]] = -np.inf
            indices[part], found = _largest(cosines, k)
            distances[part] = np.maximum(1 - found, 0)
        indices[~np.isfinite(distances)] = -1
        return Near(indices, distances)


def count_within(directions: Vectors, others: Vectors, reach: Floats, own: Numbers) -> Numbers:
    """How many of some vectors are within reach of each query.

    Args:
        directions: of the queries, ``Q x D``
        others: directions as well
        reach: cosine distances, one of each query
        own: which of the others each query is itself, and which is not counted therefore; -1 if none
    """
    counts = np.zeros(len(directions), np.int64)
    step = max(1, _BYTES // (4 * max(len(others), 1)))
    for start in range(0, len(directions), step):
        part = slice(start, start + step)
        near = directions[part] @ others.T >= 1 - reach[part, None]
        (rows,) = np.nonzero(own[part] >= 0)
        near[rows, own[part][rows]] = False
        counts[part] = near.sum(axis=1)
    return counts


def _normalise(vectors: Vectors) -> Vectors:
    """Brings vectors to length 1 in place; the zero vector stays."""
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
    vectors /= np.where(lengths > 0, lengths, 1)[:, None].astype(np.float32)
    return vectors


def _largest(cosines: Floats, k: int) -> tuple[Numbers, Floats]:
    """The ``k`` largest of each row, largest first; of equal ones, those that come first."""
    rows, many = cosines.shape
    columns = np.broadcast_to(np.arange(many), cosines.shape)
    if many > 4 * k * _STRIP:
        # The k largest lie in the k strips with the largest maxima: this sorts far less, and is as exact.
        maxima = np.maximum.reduceat(cosines, np.arange(0, many, _STRIP), axis=1)
        strips = np.argpartition(-maxima, k - 1, axis=1)[:, :k]
        columns = (strips[:, :, None] * _STRIP + np.arange(_STRIP)).reshape(rows, -1)
        outside = columns >= many
        columns[outside] = 0
        cosines = np.take_along_axis(cosines, columns, axis=1)
        cosines[outside] = -np.inf
    if k < columns.shape[1]:
        chosen = np.argpartition(-cosines, k - 1, axis=1)[:, :k]
        columns, cosines = np.take_along_axis(columns, chosen, axis=1), np.take_along_axis(cosines, chosen, axis=1)
    order = np.lexsort((columns, -cosines), axis=1)
    return np.take_along_axis(columns, order, axis=1), np.take_along_axis(cosines, order, axis=1)


def representatives(labels: Sequence[Any], most: int = REFERENCES, *, seed: int = 51) -> Numbers:
    """Chooses some of many samples, each label by its share, and rare ones by more.

    Args:
        labels: of each sample; anything that can be told apart, None included
        most: no more than about so many
        seed: of the choice

    Returns:
        their positions, ascending; all if there are no more than ``most``
    """
    if len(labels) <= most:
        return np.arange(len(labels))
    names = {label: number for number, label in enumerate(dict.fromkeys(labels))}
    numbers = np.fromiter((names[label] for label in labels), np.int64, len(labels))
    counts = np.bincount(numbers)
    # A tenth is divided evenly: a label that one in a million has would otherwise never be suggested.
    even = max(1, int(_EVEN * most / len(counts)))
    quota = np.minimum(counts, np.maximum(even, ((1 - _EVEN) * most * counts / len(labels)).astype(np.int64)))
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    ordered = shuffled[np.argsort(numbers[shuffled], kind="stable")]
    begins = np.concatenate([[0], np.cumsum(counts)[:-1]])
    place = np.arange(len(labels)) - np.repeat(begins, counts)
    return np.sort(ordered[place < np.repeat(quota, counts)])
