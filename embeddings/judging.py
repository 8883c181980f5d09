"""Samples judged by their neighbours, block by block: doubtful labels, outliers, near-duplicates."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from bson import ObjectId

from fiftyone_tator.embeddings.duplicates import Groups, Sketches, join, measure
from fiftyone_tator.embeddings.electorate import Electorate
from fiftyone_tator.embeddings.embedder import Vectors
from fiftyone_tator.embeddings.errors import NoLabels
from fiftyone_tator.embeddings.neighbours import COPY, Neighbours, Numbers, representatives
from fiftyone_tator.embeddings.scores import LabelDoubts, Outlying
from fiftyone_tator.embeddings.vectors import VectorField

SUSPICION, INSTEAD, OUTLIER, GROUP, DISTANCE_FIELD = FIELDS = (
    "suspicion",
    "suspicion_label",
    "outlier",
    "duplicate_group",
    "duplicate_distance",
)
DOUBTFUL = 0.5
"""From here on a label is doubtful: it has half the votes that are usual for it, or fewer."""
FAR_OUT = 1.5
"""From here on a sample is an outlier: its neighbours are so many times as far as theirs are."""
_VOTERS, _REACH = 30, 10

Found = tuple[dict[ObjectId, dict[str, Any]], int]
"""What to write, worst first, and how many deserved it."""


class Judges:
    """Looks at samples block by block, and remembers a few numbers of each.

    Args:
        vectors: of the samples
        labels: of all samples that have a vector; None for those without a label
        most: so many samples stand for all
        seed: of that choice
        notes: gets why labels are not judged, if so
    """

    def __init__(
        self,
        vectors: VectorField,
        labels: Mapping[ObjectId, str | None],
        most: int,
        seed: int,
        notes: list[str],
    ) -> None:
        self._labels, self._seed = labels, seed
        self._ids: list[ObjectId] = []
        self._doubts: list[Any] = []
        self._instead: list[Any] = []
        self._outlying: list[Any] = []
        self._sketches: Sketches | None = None
        self._electorate: Electorate | None = None
        self.moved: dict[ObjectId, dict[str, Any]] = {}
        """Samples of earlier groups that became one with another."""
        try:
            electorate = self._electorate = Electorate.of(vectors, labels, most=most, seed=seed)
            near = electorate.neighbours.nearest(None, _VOTERS, apart=COPY)
            self._doubter = LabelDoubts(electorate.labels, near, len(electorate.names))
            self._numbers = {name: number for number, name in enumerate(electorate.names)}
        except NoLabels as reason:
            notes.append(f"Wrong labels were not looked for. {reason}")
        if self._electorate is not None and None not in labels.values():
            self._crowd, self._places = self._electorate.neighbours, self._electorate.places
        else:
            every = list(labels)
            chosen = [every[place] for place in representatives([labels[id] for id in every], most, seed=seed)]
            ids, matrix = vectors.matrix(chosen)
            good = np.flatnonzero(np.isfinite(matrix).all(axis=1))
            self._crowd = Neighbours(matrix[good])
            self._places = {ids[place]: number for number, place in enumerate(good)}
        self._outlier = Outlying(self._crowd, _REACH, COPY)

    def look(self, ids: Sequence[ObjectId], queries: Vectors) -> None:
        """Judges a block of samples.

        Args:
            ids: of the samples
            queries: their vectors
        """
        # One that got its vector since the labels were read waits for the next run.
        there = np.array([id in self._labels for id in ids])
        good = np.flatnonzero(there & np.isfinite(queries).all(axis=1))
        ids, queries = [ids[int(row)] for row in good], queries[good]
        own = np.array([self._places.get(id, -1) for id in ids], np.int64)
        near = self._crowd.nearest(queries, max(_VOTERS, _REACH), own=own, apart=COPY)
        self._outlying.append(self._outlier.judge(near))
        doubts, instead = np.zeros(len(ids), np.float32), np.full(len(ids), -1)
        if self._electorate is not None:
            rows = np.flatnonzero([self._labels[id] is not None for id in ids])
            known = [id for id in ids if self._labels[id] is not None]
            voters = self._electorate.neighbours
            if voters is not self._crowd:
                places = np.array([self._electorate.places.get(id, -1) for id in known], np.int64)
                near = voters.nearest(queries[rows], _VOTERS, own=places, apart=COPY)
            given = np.array([self._numbers[str(self._labels[id])] for id in known], np.int64)
            doubts[rows], instead[rows] = self._doubter.judge(given, near)
        self._doubts.append(doubts)
        self._instead.append(instead)
        self._ids += ids
        if self._sketches is None:
            self._sketches = Sketches(queries.shape[1], seed=self._seed)
        self._sketches.add(self._crowd.directions(queries))

    def wrong(self, most: int) -> Found:
        """The most doubtful labels.

        Args:
            most: no more than so many
        """
        doubts, instead = _joined(self._doubts), _joined(self._instead)
        chosen, count = _worst(doubts, DOUBTFUL, most)
        names = self._electorate.names if self._electorate else []
        return {
            self._ids[place]: {SUSPICION: float(doubts[place]), INSTEAD: names[int(instead[place])]}
            for place in chosen
        }, count  # fmt: skip

    def outliers(self, most: int) -> Found:
        """Those that lie farthest out.

        Args:
            most: no more than so many
        """
        outlying = _joined(self._outlying)
        chosen, count = _worst(outlying, FAR_OUT, most)
        return {self._ids[place]: {OUTLIER: float(outlying[place])} for place in chosen}, count

    def duplicates(self, vectors: VectorField, distance: float, values: Mapping[ObjectId, Any]) -> Groups:
        """Groups of near-duplicates.

        Args:
            vectors: of the samples
            distance: by cosine, up to which two are near-duplicates
            values: samples that differ in these are none; none differ if empty
        """
        pairs = np.empty((0, 2), np.int64) if self._sketches is None else self._sketches.candidates(distance)
        if values:
            kinds = np.unique([repr(values.get(id)) for id in self._ids], return_inverse=True)[1]
            pairs = pairs[kinds[pairs[:, 0]] == kinds[pairs[:, 1]]]

        def directions(numbers: Numbers) -> Vectors:
            wanted = [self._ids[number] for number in numbers]
            places = {id: place for place, id in enumerate(wanted)}
            rows = np.zeros((len(wanted), len(self._crowd.centre)), np.float32)
            for ids, block in vectors.blocks(wanted):
                rows[[places[id] for id in ids]] = self._crowd.directions(block)
            return rows

        distances = measure(pairs, directions)
        near = distances <= distance
        return join(pairs[near], distances[near])

    def grouped(self, groups: Groups, kept: Mapping[ObjectId, int], highest: int) -> Found:
        """Numbers the groups: those whose labels disagree first, then the closest.

        Args:
            groups: from :meth:`duplicates`
            kept: groups of an earlier run that stay; whatever shares a sample with one of them becomes one with it
            highest: of their numbers, after which counting goes on
        """
        rows_of: dict[int, list[int]] = {}
        for row, group in enumerate(groups.group):
            rows_of.setdefault(int(group), []).append(row)
        ordered = sorted(rows_of.values(), key=lambda rows: self._urgency(groups, rows))
        found: dict[ObjectId, dict[str, Any]] = {}
        now, number = dict(kept), highest
        for rows in ordered:
            rows = sorted(rows, key=lambda row: float(groups.distances[row]))
            members = [self._ids[int(groups.members[row])] for row in rows]
            joined = sorted({now[id] for id in members if id in now})
            number += not joined
            group = joined[0] if joined else number
            if len(joined) > 1:
                now = {id: group if old in joined else old for id, old in now.items()}
            now |= dict.fromkeys(members, group)
            for id, row in zip(members, rows, strict=True):
                found[id] = {GROUP: group, DISTANCE_FIELD: float(groups.distances[row])}
        self.moved = {id: {GROUP: now[id]} for id, old in kept.items() if now[id] != old}
        found = {id: {**said, GROUP: now[id]} for id, said in found.items()}
        return found, len(found)

    def _urgency(self, groups: Groups, rows: Sequence[int]) -> tuple[bool, float]:
        said = {self._labels[self._ids[int(groups.members[row])]] for row in rows} - {None}
        return len(said) < 2, float(groups.distances[rows].min())


def _joined(parts: Sequence[Any]) -> Any:
    return np.concatenate(parts) if parts else np.empty(0)


def _worst(scores: Any, least: float, most: int) -> tuple[list[int], int]:
    order = np.argsort(-scores, kind="stable")
    count = int((scores >= least).sum())
    return [int(place) for place in order[: min(most, count)]], count
