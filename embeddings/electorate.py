"""Who votes on what a sample is called: the labelled samples of a dataset, or those that a service holds."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from bson import ObjectId

from fiftyone_tator.embeddings.answers import Neighbour
from fiftyone_tator.embeddings.embedder import Vectors
from fiftyone_tator.embeddings.errors import NoLabels
from fiftyone_tator.embeddings.neighbours import REFERENCES, Near, Neighbours, Numbers, count_within, representatives
from fiftyone_tator.embeddings.vectors import VectorField
from fiftyone_tator.embeddings.votes import Votes, count, weigh

CROWD = 10_000
"""So many samples without a label show where labels are rare."""
_AROUND = 50


class Electorate:
    """The labelled samples that vote.

    Args:
        ids: of the samples
        labels: their labels, as numbers
        names: of the labels, by number
        vectors: one row each
    """

    def __init__(self, ids: Sequence[ObjectId], labels: Numbers, names: Sequence[str], vectors: Vectors) -> None:
        self.places = {id: place for place, id in enumerate(ids)}
        self.labels, self.names = labels, names
        self.neighbours = Neighbours(vectors)
        self.crowd: list[ObjectId] = []
        self._crowd: Vectors | None = None
        self._crowd_places: dict[ObjectId, int] = {}

    @classmethod
    def of(
        cls,
        vectors: VectorField,
        labels: Mapping[ObjectId, str | None],
        *,
        most: int = REFERENCES,
        seed: int = 51,
        notes: Sequence[str] = (),
    ) -> "Electorate":
        """Chooses who votes.

        Args:
            vectors: of the samples
            labels: of all samples that have a vector; None for those without a label
            most: so many may vote
            seed: of the choice
            notes: what to say besides where labels tell nothing

        Raises:
            NoLabels: if no two labels are in use
        """
        known = [id for id, label in labels.items() if label is not None]
        names = list(dict.fromkeys(str(labels[id]) for id in known))
        if len(names) < 2:
            said = f"All of them are called {names[0]!r}" if names else "None of them has a label"
            reason = (
                f"{said}: of the {len(labels):,} samples with an embedding in {vectors.name!r}, some must have one "
                "label and some another, to tell from. Label some more samples first."
            )
            raise NoLabels(" ".join([reason, *notes]))
        numbers = {name: number for number, name in enumerate(names)}
        chosen = representatives([labels[id] for id in known], most, seed=seed)
        ids, matrix = vectors.matrix([known[place] for place in chosen])
        # One that is no number would make the centre of all none. Ours never are; other people's may be.
        good = np.flatnonzero(np.isfinite(matrix).all(axis=1))
        ids = [ids[place] for place in good]
        return cls(ids, np.array([numbers[str(labels[id])] for id in ids]), names, matrix[good])

    def gather(self, vectors: VectorField, labels: Mapping[ObjectId, str | None], *, most: int, seed: int) -> None:
        """Chooses samples without a label, by which it shows where labels are rare.

        Args:
            vectors: of the samples
            labels: of all samples that have a vector; None for those without a label
            most: so many are chosen
            seed: of the choice
        """
        without = [id for id, label in labels.items() if label is None]
        chosen = representatives([None] * len(without), most, seed=seed)
        ids, matrix = vectors.matrix([without[place] for place in chosen], at_least=0)
        good = np.flatnonzero(np.isfinite(matrix).all(axis=1))
        self._crowd_places = {ids[place]: number for number, place in enumerate(good)}
        self.crowd = [ids[place] for place in good]
        self._crowd = self.neighbours.directions(matrix[good]) if len(good) else None

    def crowd_votes(self, k: int) -> Votes | None:
        """Lets the nearest vote on those who were gathered; None if nobody was.

        Args:
            k: so many vote
        """
        return None if self._crowd is None else self._votes(self._crowd, k, own=None, apart=-1.0, ids=self.crowd)

    def votes(self, queries: Vectors | None, k: int, *, ids: Sequence[ObjectId] = (), apart: Any = -1.0) -> Votes:
        """Lets the nearest vote.

        Args:
            queries: ``Q x D``; those who vote, each for itself, if None
            k: so many vote
            ids: of the queries, none of which votes for itself
            apart: see :meth:`fiftyone_tator.embeddings.neighbours.Neighbours.nearest`
        """
        if queries is None:
            return self._votes(None, k, own=None, apart=apart, ids=list(self.places))
        own = np.array([self.places.get(id, -1) for id in ids])
        return self._votes(self.neighbours.directions(queries), k, own=own, apart=apart, ids=ids)

    def _votes(
        self, directions: Vectors | None, k: int, *, own: Numbers | None, apart: Any, ids: Sequence[ObjectId]
    ) -> Votes:
        around = k if self._crowd is None else max(k, _AROUND)
        near = self.neighbours.nearest_to(directions, around, own=own, apart=apart)
        votes = count(self.labels[near.indices[:, :k]], weigh(near.distances[:, :k]))
        there = np.isfinite(near.distances)
        reach = np.where(there, near.distances, 0)
        mean = reach[:, :k].sum(axis=1) / np.maximum(there[:, :k].sum(axis=1), 1)
        if self._crowd is None:
            return replace(votes, reach=mean)
        itself = np.array([self._crowd_places.get(id, -1) for id in ids])
        looking = self.neighbours.references if directions is None else directions
        others = count_within(looking, self._crowd, reach.max(axis=1, initial=0), itself)
        ours = there.sum(axis=1)
        return replace(votes, reach=mean, around=(ours / np.maximum(ours + others, 1)).astype(np.float32))


class Ballots:
    """Makes votes of a service's answers; the labels are those of the service."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._numbers: dict[str, int] = {}

    def number(self, name: str) -> int:
        """The number of a label, which it gets when it is first met.

        Args:
            name: the label
        """
        if name not in self._numbers:
            self._numbers[name] = len(self.names)
            self.names.append(name)
        return self._numbers[name]

    def count(self, answers: Sequence[Sequence[Neighbour]], apart: Sequence[float]) -> Votes:
        """Counts the votes of a service's answers.

        Args:
            answers: neighbours of each picture
            apart: of each picture, how near neighbours may be and not count
        """
        kept = [[hit for hit in hits if hit.distance > far] for hits, far in zip(answers, apart, strict=True)]
        shape = len(kept), max(map(len, kept), default=0)
        near = Near(np.full(shape, -1), np.full(shape, np.inf, np.float32))
        for row, hits in enumerate(kept):
            near.indices[row, : len(hits)] = [self.number(hit.label) for hit in hits]
            near.distances[row, : len(hits)] = [max(hit.distance, 0.0) for hit in hits]
        there = np.isfinite(near.distances)
        reach = np.where(there, near.distances, 0).sum(axis=1) / np.maximum(there.sum(axis=1), 1)
        return replace(count(near.indices, weigh(near.distances)), reach=reach.astype(np.float32))
