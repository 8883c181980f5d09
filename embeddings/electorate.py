"""Who votes on what a sample is called: the labelled samples of a dataset, or those that a service holds."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from bson import ObjectId

from fiftyone_tator.embeddings.answers import Neighbour
from fiftyone_tator.embeddings.embedder import Vectors
from fiftyone_tator.embeddings.errors import NoLabels
from fiftyone_tator.embeddings.neighbours import REFERENCES, Near, Neighbours, Numbers, representatives
from fiftyone_tator.embeddings.vectors import VectorField
from fiftyone_tator.embeddings.votes import Votes, count, weigh


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

    def votes(
        self, queries: Vectors | None, k: int, *, own: Numbers | None = None, apart: Any = -1.0
    ) -> Votes:  # fmt: skip
        """Lets the nearest vote.

        Args:
            queries: ``Q x D``; those who vote, each for itself, if None
            k: so many vote
            own: see :meth:`fiftyone_tator.embeddings.neighbours.Neighbours.nearest`
            apart: see there
        """
        near = self.neighbours.nearest(queries, k, own=own, apart=apart)
        return count(self.labels[near.indices], weigh(near.distances))


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
        return count(near.indices, weigh(near.distances))
