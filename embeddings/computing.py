"""Embedding the pictures of a dataset, and making of the vectors what was asked for.

Vectors are stored as they come, so whoever is interrupted goes on from there. Before the first is stored, the embedder
has shown by its probe that it is ready, and that its vectors may stand beside those that are there.
"""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from dataclasses import field as default
from typing import Any

import fiftyone as fo
import fiftyone.core.media as fom
import numpy as np
from bson import ObjectId
from fiftyone.core.odm import get_db_conn

from fiftyone_tator.embeddings.embedder import Embedded, Embedder, Picture, Vectors
from fiftyone_tator.embeddings.errors import BadVectors, EmbeddingError, NothingToEmbed, OtherModel
from fiftyone_tator.embeddings.options import EmbedOptions
from fiftyone_tator.embeddings.vectors import Record, VectorField, refresh_held
from fiftyone_tator.sync.lease import Lease
from fiftyone_tator.sync.progress import Report, Tracker

_ROWS = 1_000
_MOST_FAILURES = 1_000


@dataclass(frozen=True, slots=True)
class Failure:
    """A picture without a vector.

    Args:
        sample: the sample's id
        picture: its file
        reason: why, and what to do
    """

    sample: str
    picture: str
    reason: str


@dataclass(slots=True)
class EmbedResult:
    """What was embedded.

    Args:
        dataset: the dataset's name
        field: where the vectors are
        model: what made them, in words
        dimensions: numbers in each
        embedded: samples that got a vector
        already: samples that had one, and were left alone
        gone: samples that were deleted meanwhile
        failed: pictures without a vector
        failures: the first of them
        reasons: how many failed for which reason
        seconds: how long it took
    """

    dataset: str
    field: str
    model: str
    dimensions: int
    embedded: int = 0
    already: int = 0
    gone: int = 0
    failed: int = 0
    failures: list[Failure] = default(default_factory=list)
    reasons: Counter[str] = default(default_factory=Counter)
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """The result as plain data."""
        return {**asdict(self), "reasons": dict(self.reasons)}


def compute(
    embedder: Embedder,
    dataset: fo.Dataset,
    options: EmbedOptions,
    *,
    samples: Sequence[ObjectId] | None = None,
    report: Report | None = None,
) -> EmbedResult:
    """Embeds the pictures of a dataset.

    Args:
        embedder: makes the vectors; entered and left here
        dataset: the dataset
        options: what to embed, and where the vectors go
        samples: ids of the samples; all if None
        report: told how far the work is; may raise to stop it at a safe point

    Returns:
        what was done; what the options ask to be made of the vectors is for :func:`.making.make`

    Raises:
        NothingToEmbed: if there are no pictures
        OtherModel: if the field holds vectors of another model
        Busy: if somebody else is filling the same field
        EmbeddingError: if the embedder cannot go on; the message says how many are done, and they are kept
    """
    started = time.monotonic()
    dataset.reload()
    _check(dataset, samples)
    tracker = Tracker(report)
    tracker.stage("Asking whether everything is ready", 0, (0.0, 0.02))
    with embedder:
        record = Record.of(embedder.source, embedder.probe())
        vectors = VectorField(dataset, options.field or record.source.kind)
        key = f"{dataset._doc.id} {vectors.name}"
        with Lease(get_db_conn(), dataset.name, purpose=f"embedding into {vectors.name}", key=key) as lease:
            _prepare(vectors, record, everything=options.everything, whole=samples is None)
            ids = vectors.wanted(samples, everything=options.everything)
            result = EmbedResult(dataset.name, vectors.name, record.source.label, record.dimensions)
            result.already = (len(dataset) if samples is None else len(samples)) - len(ids)
            tracker.stage("Embedding", len(ids), (0.02, 1.0))
            _Run(vectors, record, result, tracker, lease).embed(embedder, ids)
    refresh_held(dataset)
    result.seconds = time.monotonic() - started
    return result


def _check(dataset: fo.Dataset, samples: Sequence[ObjectId] | None) -> None:
    if not len(dataset) or (samples is not None and not samples):
        raise NothingToEmbed(f"There is no sample to embed in dataset {dataset.name!r}. Import some, or choose others.")
    if dataset.media_type != fom.IMAGE:
        raise NothingToEmbed(
            f"Dataset {dataset.name!r} holds no pictures ({dataset.media_type}), and only pictures are embedded. "
            "Open a dataset of crops."
        )


def _prepare(vectors: VectorField, record: Record, *, everything: bool, whole: bool) -> None:
    """Sees to a field that takes these vectors, and never mixes models."""
    vectors.check_free()
    known = vectors.record
    if known is not None and not known.matches(record):
        count = vectors.count()
        if count and not (everything and whole):
            raise OtherModel(
                f"The field {vectors.name!r} holds {count:,} vectors of {known.dimensions} numbers by "
                f"{known.source.label}; these would be {record.dimensions} numbers by {record.source.label}, and two "
                "models cannot be compared. Name another field, or embed everything of the whole dataset anew."
            )
        vectors.clear()
        known = None
    if known is None:
        vectors.declare(record)


class _Run:
    """Takes vectors as they come, and stores them while the next are made."""

    def __init__(
        self, vectors: VectorField, record: Record, result: EmbedResult, tracker: Tracker, lease: Lease
    ) -> None:
        self._vectors, self._record, self._result, self._tracker, self._lease = vectors, record, result, tracker, lease
        self._paths: dict[Any, str] = {}
        self._rows: list[Embedded] = []
        self._writing: Future[int] | None = None

    def embed(self, embedder: Embedder, ids: Sequence[ObjectId]) -> None:
        """Embeds samples.

        Args:
            embedder: makes the vectors
            ids: of the samples
        """
        come = 0
        with ThreadPoolExecutor(1, "tator-vectors") as writer:
            try:
                for embedded in embedder.embed(self._pictures(ids)):
                    come += len(embedded.keys) + len(embedded.failed)
                    self._take(embedded, writer)
                    self._tracker.advance(len(embedded.keys) + len(embedded.failed))
            except EmbeddingError as error:
                self._flush(writer)
                raise type(error)(f"{error} {self._so_far(len(ids))}") from error
            finally:
                self._flush(writer)
        self._result.gone = len(ids) - come + self._result.gone

    def _pictures(self, ids: Sequence[ObjectId]) -> Iterator[Picture]:
        for id, path in self._vectors.pictures(ids):
            self._paths[id] = path
            yield Picture(id, path)

    def _take(self, embedded: Embedded, writer: ThreadPoolExecutor) -> None:
        if len(embedded.keys) and embedded.vectors.shape[1] != self._record.dimensions:
            raise BadVectors(
                f"A vector of {embedded.vectors.shape[1]} numbers came where all have {self._record.dimensions}: "
                "the model changed meanwhile. See which model the service has loaded."
            )
        for key in embedded.keys:
            self._paths.pop(key)
        for key, reason in embedded.failed.items():
            self._result.failed += 1
            self._result.reasons[reason] += 1
            failure = Failure(str(key), self._paths.pop(key), reason)
            if len(self._result.failures) < _MOST_FAILURES:
                self._result.failures.append(failure)
        self._rows.append(embedded)
        if sum(len(each.keys) for each in self._rows) >= _ROWS:
            self._send(writer)

    def _send(self, writer: ThreadPoolExecutor) -> None:
        """Hands what came to the writer, once it is done with what came before."""
        self._settle()
        rows, self._rows = [each for each in self._rows if len(each.keys)], []
        if rows:
            self._lease.check()
            self._writing = writer.submit(self._write, rows)

    def _write(self, rows: Sequence[Embedded]) -> int:
        keys: list[Any] = [key for each in rows for key in each.keys]
        vectors: Vectors = np.concatenate([each.vectors for each in rows])
        there = self._vectors.write(keys, vectors)
        self._result.gone += len(keys) - there
        return there

    def _settle(self) -> None:
        if self._writing is not None:
            writing, self._writing = self._writing, None
            self._result.embedded += writing.result()

    def _flush(self, writer: ThreadPoolExecutor) -> None:
        self._send(writer)
        self._settle()

    def _so_far(self, wanted: int) -> str:
        if not self._result.embedded:
            return "Nothing was embedded."
        return (
            f"{self._result.embedded:,} of {wanted:,} were embedded and are kept; do the same again, and it goes on "
            "from there."
        )
