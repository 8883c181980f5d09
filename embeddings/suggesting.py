"""Labels suggested by what the nearest labelled samples are called, with a confidence that was measured.

Labelled samples are asked what they would be called without their own label. How often that is right, by how much the
neighbours agree, is the confidence: of a hundred suggestions with 0.8, some eighty are right.
"""

import time
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as default
from typing import Any

import fiftyone as fo
import numpy as np
from bson import ObjectId

from fiftyone_tator.embeddings.answers import Neighbour
from fiftyone_tator.embeddings.embedder import Picture, Vectors
from fiftyone_tator.embeddings.errors import NoLabels
from fiftyone_tator.embeddings.findings import Findings, open_vectors
from fiftyone_tator.embeddings.neighbours import COPY, REFERENCES, Near, Neighbours, Numbers, representatives
from fiftyone_tator.embeddings.vectors import VectorField
from fiftyone_tator.embeddings.votes import LEAST, Calibration, Votes, count, weigh
from fiftyone_tator.sync.documents import classification
from fiftyone_tator.sync.fields import LABEL_FIELD
from fiftyone_tator.sync.mapping import CONFIDENCE, LABEL
from fiftyone_tator.sync.progress import Report, Tracker
from fiftyone_tator.sync.results import Tally

FIELDS = ("top1_prediction", "top2_prediction")
VOTERS = 15
ASKED = 1_000
"""So many labelled samples are sent to a service to see how often it is right."""
_DESCRIPTIONS = ("What the nearest labelled samples are called", "What else near labelled samples are called")

Ask = Callable[[Iterable[Picture]], Iterable[Mapping[Hashable, Sequence[Neighbour]]]]
"""Asks a service for the neighbours of pictures; by key, nearest first, some at a time, without those that failed."""


@dataclass(slots=True)
class SuggestionResult:
    """What was suggested.

    Args:
        dataset: the dataset's name
        fields: where the suggestions are
        labelled: samples with a label
        suggested: samples that got a suggestion
        calibrated_on: labelled samples that the confidence was measured on; 0 if they were too few, and the confidence
            is the share of the neighbours that agree
        accuracy: how often the first suggestion was right for labelled samples; None if none was tried
        seconds: how long it took
        left_out: samples without a suggestion, and why
        notes: what else there is to know
    """

    dataset: str
    fields: tuple[str, str] = FIELDS
    labelled: int = 0
    suggested: int = 0
    calibrated_on: int = 0
    accuracy: float | None = None
    seconds: float = 0.0
    left_out: Tally = default(default_factory=Tally)
    notes: list[str] = default(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The result as a plain document, as the operator returns it."""
        return {
            "dataset": self.dataset,
            "fields": list(self.fields),
            "labelled": self.labelled,
            "suggested": self.suggested,
            "calibrated_on": self.calibrated_on,
            "accuracy": None if self.accuracy is None else round(self.accuracy, 3),
            "seconds": round(self.seconds, 2),
            "left_out": self.left_out.as_json(),
            "notes": list(self.notes),
        }


def suggest(
    dataset: fo.Dataset,
    field: str,
    *,
    samples: Sequence[ObjectId] | None = None,
    label_field: str = LABEL_FIELD,
    unlabelled: Collection[str] = (),
    fields: tuple[str, str] = FIELDS,
    k: int = VOTERS,
    references: int = REFERENCES,
    seed: int = 51,
    report: Report | None = None,
) -> SuggestionResult:
    """Suggests labels by the dataset's own labelled samples.

    Neither a sample's own label nor that of a copy of it counts towards what is suggested for a labelled sample.

    Args:
        dataset: the dataset
        field: holds the vectors
        samples: ids of the samples to suggest for; those without a label if None, all if each has one
        label_field: holds the labels
        unlabelled: labels that stand for none, for example Tator's default
        fields: where the best and the second best suggestion go
        k: neighbours that vote
        references: labelled samples that may vote; of more, so many are chosen, rare labels included
        seed: of that choice
        report: told how far the work is; may raise to stop it, and what was written stays

    Returns:
        what was suggested

    Raises:
        NoEmbeddings: if the field holds no vectors
        NoLabels: if no two labels are in use among the samples that have a vector
        BadVectors: if vectors of several lengths are in the field
        InvalidOption: if a field cannot be used
    """
    started, track = time.monotonic(), Tracker(report)
    vectors, writer = open_vectors(dataset, field), _Writer(dataset, label_field, unlabelled, fields)
    track.stage("Reading labels", 0, (0, 0.05))
    labels = writer.findings.labels(having=field)
    electorate = Electorate.of(vectors, labels, most=references, seed=seed)
    track.stage("Asking labelled samples", 0, (0.05, 0.2))
    calibration = Calibration.learn(electorate.votes(None, k, apart=COPY), electorate.labels)
    writer.begin(electorate.names, calibration, sum(label is not None for label in labels.values()))
    wanted = _wanted(labels, samples)
    track.stage("Suggesting labels", len(wanted), (0.2, 1))
    writer.leave_out("Without an embedding", wanted - labels.keys())
    for ids, queries in vectors.blocks(None if labels.keys() <= wanted else sorted(wanted & labels.keys())):
        apart = np.array([-1 if labels.get(id) is None else COPY for id in ids], np.float32)
        own = np.array([electorate.places.get(id, -1) for id in ids])
        writer.write(ids, electorate.votes(queries, k, own=own, apart=apart))
        track.advance(len(ids))
    return writer.end(started)


def suggest_by_service(
    dataset: fo.Dataset,
    ask: Ask,
    *,
    samples: Sequence[ObjectId] | None = None,
    label_field: str = LABEL_FIELD,
    unlabelled: Collection[str] = (),
    fields: tuple[str, str] = FIELDS,
    asked: int = ASKED,
    seed: int = 51,
    report: Report | None = None,
) -> SuggestionResult:
    """Suggests labels by the labelled pictures that a service holds; only distances come from there.

    Some of the dataset's labelled samples are sent along, to see how often the service is right.

    Args:
        dataset: the dataset
        ask: asks the service
        samples: ids of the samples to suggest for; those without a label if None, all if each has one
        label_field: holds the labels
        unlabelled: labels that stand for none, for example Tator's default
        fields: where the best and the second best suggestion go
        asked: so many labelled samples are sent along
        seed: of their choice
        report: told how far the work is; may raise to stop it, and what was written stays

    Returns:
        what was suggested

    Raises:
        EmbeddingError: what ``ask`` raises; what was written before stays
        InvalidOption: if a field cannot be used
    """
    started, track = time.monotonic(), Tracker(report)
    writer, ballots = _Writer(dataset, label_field, unlabelled, fields), _Ballots()
    labels = writer.findings.labels()
    known = [id for id, label in labels.items() if label is not None]
    tried = [known[place] for place in representatives([labels[id] for id in known], asked, seed=seed)]
    track.stage("Asking for labelled samples", len(tried), (0, 0.2))
    parts: list[tuple[Votes, Numbers]] = []
    for ids, hits in _asked(ask, writer.findings.files(tried)):
        truth = np.array([ballots.number(str(labels[id])) for id in ids])
        parts.append((ballots.count(hits, [COPY] * len(ids)), truth))
        track.advance(len(ids))
    writer.begin(ballots.names, Calibration.learn(*_joined(parts)), len(known))
    wanted = _wanted(labels, samples)
    track.stage("Suggesting labels", len(wanted), (0.2, 1))
    answered: set[ObjectId] = set()
    for ids, hits in _asked(ask, writer.findings.files(sorted(wanted))):
        writer.write(ids, ballots.count(hits, [-1.0 if labels[id] is None else COPY for id in ids]))
        answered.update(ids)
        track.advance(len(ids))
    writer.leave_out("Without an answer from the service", wanted - answered)
    return writer.end(started)


def _wanted(labels: Mapping[ObjectId, str | None], samples: Sequence[ObjectId] | None) -> set[ObjectId]:
    if samples is not None:
        return set(samples)
    return {id for id, label in labels.items() if label is None} or set(labels)


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
        cls, vectors: VectorField, labels: Mapping[ObjectId, str | None], *, most: int = REFERENCES, seed: int = 51
    ) -> "Electorate":
        """Chooses who votes.

        Args:
            vectors: of the samples
            labels: of all samples that have a vector; None for those without a label
            most: so many may vote
            seed: of the choice

        Raises:
            NoLabels: if no two labels are in use
        """
        known = [id for id, label in labels.items() if label is not None]
        names = list(dict.fromkeys(str(labels[id]) for id in known))
        if len(names) < 2:
            said = f"All of them are called {names[0]!r}" if names else "None of them has a label"
            raise NoLabels(
                f"{said}: of the {len(labels):,} samples with an embedding in {vectors.name!r}, some must have one "
                "label and some another, to tell from. Label some more samples first."
            )
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


class _Ballots:
    """Makes votes of a service's answers; the labels are those of the service."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._numbers: dict[str, int] = {}

    def number(self, name: str) -> int:
        if name not in self._numbers:
            self._numbers[name] = len(self.names)
            self.names.append(name)
        return self._numbers[name]

    def count(self, answers: Sequence[Sequence[Neighbour]], apart: Sequence[float]) -> Votes:
        kept = [[hit for hit in hits if hit.distance > far] for hits, far in zip(answers, apart, strict=True)]
        shape = len(kept), max(map(len, kept), default=0)
        near = Near(np.full(shape, -1), np.full(shape, np.inf, np.float32))
        for row, hits in enumerate(kept):
            near.indices[row, : len(hits)] = [self.number(hit.label) for hit in hits]
            near.distances[row, : len(hits)] = [max(hit.distance, 0.0) for hit in hits]
        return count(near.indices, weigh(near.distances))


def _asked(
    ask: Ask, files: Iterable[tuple[ObjectId, str]]
) -> Iterator[tuple[list[ObjectId], list[Sequence[Neighbour]]]]:
    for answer in ask(Picture(id, path) for id, path in files):
        found = {id: hits for id, hits in answer.items() if isinstance(id, ObjectId)}
        yield list(found), list(found.values())


def _joined(parts: Sequence[tuple[Votes, Numbers]]) -> tuple[Votes, Numbers]:
    if not parts:
        return count(np.empty((0, 0), np.int64), np.empty((0, 0), np.float32)), np.empty(0, np.int64)
    columns = ("first", "second", "first_share", "second_share")
    votes = Votes(*(np.concatenate([getattr(part, column) for part, _ in parts]) for column in columns))
    return votes, np.concatenate([truth for _, truth in parts])


class _Writer:
    """Writes suggestions, and says what was written."""

    def __init__(
        self, dataset: fo.Dataset, label_field: str, unlabelled: Collection[str], fields: tuple[str, str]
    ) -> None:
        self.findings = Findings(dataset, label_field, unlabelled)
        self._result = SuggestionResult(dataset.name, fields)
        for name, description in zip(fields, _DESCRIPTIONS, strict=True):
            self.findings.declare(
                name, fo.EmbeddedDocumentField, description, embedded_doc_type=fo.Classification
            )  # fmt: skip

    def begin(self, names: Sequence[str], calibration: Calibration, labelled: int) -> None:
        self._names, self._calibration = names, calibration
        result = self._result
        result.labelled, result.calibrated_on, result.accuracy = labelled, calibration.samples, calibration.accuracy
        if not calibration.samples:
            result.notes.append(
                f"Only {calibration.tried} labelled samples could be tried, and the confidence is measured on {LEAST} "
                "or more: it is the share of the neighbours that agree, which tends to be too low or too high."
            )

    def leave_out(self, reason: str, ids: Iterable[ObjectId]) -> None:
        self._result.left_out.add(reason, map(str, sorted(ids)))

    def write(self, ids: Sequence[ObjectId], votes: Votes) -> None:
        first, second = self._calibration.confidences(votes)
        best, other = self._result.fields
        values = {
            id: {best: self._label(votes.first[row], first[row]), other: self._label(votes.second[row], second[row])}
            for row, id in enumerate(ids)
            if votes.first[row] >= 0
        }
        self._result.suggested += self.findings.write(values)
        self.leave_out("Without a neighbour that is no copy", [id for id in ids if id not in values])

    def _label(self, number: int, confidence: float) -> dict[str, Any] | None:
        if number < 0:
            return None
        return classification({LABEL: self._names[number], CONFIDENCE: round(float(confidence), 4)})

    def end(self, started: float) -> SuggestionResult:
        self.findings.done()
        self._result.seconds = time.monotonic() - started
        return self._result
