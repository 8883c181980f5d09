"""Labels suggested by what the nearest labelled samples are called, with a confidence that was measured.

Labelled samples are asked what they would be called without their own label. How often that is right, by how much the
neighbours agree, is the confidence: of a hundred suggestions with 0.8, some eighty are right.
"""

import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import fiftyone as fo
import numpy as np
from bson import ObjectId

from fiftyone_tator.embeddings.answers import Neighbour
from fiftyone_tator.embeddings.electorate import CROWD, Ballots, Electorate
from fiftyone_tator.embeddings.embedder import Picture
from fiftyone_tator.embeddings.findings import check_chosen, open_vectors, writing
from fiftyone_tator.embeddings.label_options import SuggestOptions, parse_suggest_options
from fiftyone_tator.embeddings.neighbours import COPY, Numbers, representatives
from fiftyone_tator.embeddings.suggestions import SuggestionResult, SuggestionWriter
from fiftyone_tator.embeddings.votes import Calibration, Votes, count
from fiftyone_tator.sync.progress import Report, Tracker

_WRITING = ("suggesting labels", "suggestions")

Ask = Callable[[Iterable[Picture]], Iterable[Mapping[Hashable, Sequence[Neighbour]]]]
"""Asks a service for the neighbours of pictures; by key, nearest first, some at a time, without those that failed."""


def suggest(
    dataset: fo.Dataset,
    field: str,
    *,
    samples: Sequence[ObjectId] | None = None,
    report: Report | None = None,
    **options: Any,
) -> SuggestionResult:
    """Suggests labels by the dataset's own labelled samples.

    Neither a sample's own label nor that of a copy of it counts towards what is suggested for a labelled sample.

    Args:
        dataset: the dataset
        field: holds the vectors
        samples: ids of the samples to suggest for; those without a label if None, all if each has one
        report: told how far the work is; may raise to stop it, and what was written stays
        **options: of :class:`fiftyone_tator.embeddings.label_options.SuggestOptions`

    Returns:
        what was suggested

    Raises:
        NoEmbeddings: if the field holds no vectors
        NoLabels: if no two labels are in use among the samples that have a vector
        BadVectors: if vectors of several lengths are in the field
        NothingToEmbed: if no sample was chosen
        InvalidOption: if an option or a field cannot be used
        Busy: if labels are being suggested already
    """
    check_chosen(samples)
    chosen = parse_suggest_options(options)
    with writing(dataset, *_WRITING) as lease:
        return _suggest(dataset, field, chosen, samples, lease.checked(report))


def _suggest(
    dataset: fo.Dataset, field: str, chosen: SuggestOptions, samples: Sequence[ObjectId] | None, report: Report
) -> SuggestionResult:
    started, track = time.monotonic(), Tracker(report)
    vectors, writer = open_vectors(dataset, field), SuggestionWriter(dataset, chosen)
    track.stage("Reading labels", 0, (0, 0.05))
    labels = writer.findings.labels(having=field)
    electorate = Electorate.of(vectors, labels, most=chosen.references, seed=chosen.seed, notes=writer.findings.notes())
    track.stage("Asking labelled samples", 0, (0.05, 0.2))
    electorate.gather(vectors, labels, most=CROWD, seed=chosen.seed)
    tried = electorate.votes(None, chosen.k, apart=COPY)
    calibration = Calibration.learn(tried, electorate.labels, electorate.crowd_votes(chosen.k))
    writer.begin(electorate.names, calibration, sum(label is not None for label in labels.values()))
    wanted = _wanted(labels, samples)
    track.stage("Suggesting labels", len(wanted), (0.2, 1))
    writer.leave_out("Without an embedding", wanted - labels.keys())
    for ids, queries in vectors.blocks(None if labels.keys() <= wanted else sorted(wanted & labels.keys())):
        apart = np.array([-1 if labels.get(id) is None else COPY for id in ids], np.float32)
        writer.write(ids, electorate.votes(queries, chosen.k, ids=ids, apart=apart))
        track.advance(len(ids))
    return writer.end(started)


def suggest_by_service(
    dataset: fo.Dataset,
    ask: Ask,
    *,
    samples: Sequence[ObjectId] | None = None,
    report: Report | None = None,
    **options: Any,
) -> SuggestionResult:
    """Suggests labels by the labelled pictures that a service holds; only distances come from there.

    Some of the dataset's labelled samples are sent along, to see how often the service is right.

    Args:
        dataset: the dataset
        ask: asks the service
        samples: ids of the samples to suggest for; those without a label if None, all if each has one
        report: told how far the work is; may raise to stop it, and what was written stays
        **options: of :class:`fiftyone_tator.embeddings.label_options.SuggestOptions`

    Returns:
        what was suggested

    Raises:
        EmbeddingError: what ``ask`` raises; what was written before stays
        NothingToEmbed: if no sample was chosen
        InvalidOption: if an option or a field cannot be used
        Busy: if labels are being suggested already
    """
    check_chosen(samples)
    chosen = parse_suggest_options(options)
    with writing(dataset, *_WRITING) as lease:
        return _suggest_by_service(dataset, ask, chosen, samples, lease.checked(report))


def _suggest_by_service(
    dataset: fo.Dataset, ask: Ask, chosen: SuggestOptions, samples: Sequence[ObjectId] | None, report: Report
) -> SuggestionResult:
    started, track = time.monotonic(), Tracker(report)
    writer, ballots = SuggestionWriter(dataset, chosen), Ballots()
    labels = writer.findings.labels()
    known = [id for id, label in labels.items() if label is not None]
    tried = [known[place] for place in representatives([labels[id] for id in known], chosen.asked, seed=chosen.seed)]
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


def _asked(
    ask: Ask, files: Iterable[tuple[ObjectId, str]]
) -> Iterator[tuple[list[ObjectId], list[Sequence[Neighbour]]]]:
    for answer in ask(Picture(id, path) for id, path in files):
        found = {id: hits for id, hits in answer.items() if isinstance(id, ObjectId)}
        yield list(found), list(found.values())


def _joined(parts: Sequence[tuple[Votes, Numbers]]) -> tuple[Votes, Numbers]:
    if not parts:
        return count(np.empty((0, 0), np.int64), np.empty((0, 0), np.float32)), np.empty(0, np.int64)
    columns = ("first", "second", "first_share", "second_share", "reach")
    votes = Votes(*(np.concatenate([getattr(part, column) for part, _ in parts]) for column in columns))
    return votes, np.concatenate([truth for _, truth in parts])
