"""Embedding the pictures of a dataset, and making of the vectors what was asked for.

Vectors are stored as they come, so whoever is interrupted goes on from there. Before the first is stored, the embedder
has shown by its probe that it is ready, and that its vectors may stand beside those that are there.
"""

import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from dataclasses import field as default
from typing import Any, NamedTuple

import fiftyone as fo
import fiftyone.core.media as fom
import numpy as np
from bson import ObjectId
from fiftyone.core.odm import get_db_conn

from fiftyone_tator.embeddings.embedder import Embedded, Embedder, Picture, Vectors
from fiftyone_tator.embeddings.errors import BadVectors, EmbeddingError, NothingToEmbed, OtherModel
from fiftyone_tator.embeddings.options import EmbedOptions
from fiftyone_tator.embeddings.vectors import Record, VectorField
from fiftyone_tator.sync.held import refresh_held
from fiftyone_tator.sync.lease import Lease
from fiftyone_tator.sync.progress import Report, Tracker

_State = tuple[int, int] | None

_CHANGED = "its picture changed meanwhile; do the same again"
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
            anew = options.everything and samples is None
            record, goes_on = _prepare(vectors, record, anew=anew)
            ids = vectors.wanted(samples, everything=options.everything)
            if goes_on is not None:
                ids = [id for id in ids if id >= goes_on]
            result = EmbedResult(dataset.name, vectors.name, record.source.label, record.dimensions)
            result.already = vectors.present(samples) - len(ids)
            tracker.stage("Embedding", len(ids), (0.02, 1.0))
            _Run(vectors, record, result, tracker, lease, ids if anew else ()).embed(embedder, ids)
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


def _prepare(vectors: VectorField, record: Record, *, anew: bool) -> tuple[Record, ObjectId | None]:
    """Sees to a field that takes these vectors, and never mixes models.

    Returns:
        what is remembered of the field, and where embedding everything anew goes on if it was interrupted
    """
    vectors.check_free()
    known = vectors.record
    if known is not None and known.matches(record):
        if not anew:
            return known, None
        goes_on = vectors.goes_on_from()
        # The service may have moved, or be newer.
        vectors.declare(record)
        vectors.go_on_from(goes_on)
        return record, goes_on
    if known is not None:
        count = vectors.count()
        if count and not anew:
            raise OtherModel(
                f"The field {vectors.name!r} holds {count:,} vectors of {known.dimensions} numbers by "
                f"{known.source.label}; these would be {record.dimensions} numbers by {record.source.label}, and two "
                "models cannot be compared. Name another field, or embed everything of the whole dataset anew."
            )
        vectors.clear()
    vectors.declare(record)
    return record, None


class _Written(NamedTuple):
    """What became of some vectors: stored, not stored because the picture changed; and how many samples were there."""

    kept: list[Any]
    changed: list[Any]
    there: int


class _Run:
    """Takes vectors as they come, and stores them while the next are made."""

    def __init__(
        self,
        vectors: VectorField,
        record: Record,
        result: EmbedResult,
        tracker: Tracker,
        lease: Lease,
        order: Sequence[ObjectId],
    ) -> None:
        self._vectors, self._record, self._result, self._tracker, self._lease = vectors, record, result, tracker, lease
        self._order, self._settled, self._next = order, set[Any](), 0
        self._sent: dict[Any, tuple[str, _State]] = {}
        self._rows: list[Embedded] = []
        self._writing: Future[_Written] | None = None

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
                self._flush(writer)
                self._vectors.go_on_from(None)
            except EmbeddingError as error:
                self._flush(writer)
                raise type(error)(f"{error} {self._so_far(len(ids))}") from error
            finally:
                self._flush(writer)
                self._vectors.forget_if_gone()
        self._result.gone += len(ids) - come

    def _pictures(self, ids: Sequence[ObjectId]) -> Iterator[Picture]:
        for id, path in self._vectors.pictures(ids):
            self._sent[id] = path, _state(path)
            yield Picture(id, path)

    def _take(self, embedded: Embedded, writer: ThreadPoolExecutor) -> None:
        if len(embedded.keys) and embedded.vectors.shape[1] != self._record.dimensions:
            raise BadVectors(
                f"A vector of {embedded.vectors.shape[1]} numbers came where all have {self._record.dimensions}: "
                "the model changed meanwhile. See which model the service has loaded."
            )
        for key, reason in embedded.failed.items():
            self._fail(key, reason)
        self._rows.append(embedded)
        if sum(len(each.keys) for each in self._rows) >= _ROWS:
            self._send(writer)

    def _fail(self, key: Any, reason: str) -> None:
        path, _ = self._sent.pop(key)
        self._settled.add(key)
        self._result.failed += 1
        self._result.reasons[reason] += 1
        if len(self._result.failures) < _MOST_FAILURES:
            self._result.failures.append(Failure(str(key), path, reason))

    def _send(self, writer: ThreadPoolExecutor) -> None:
        """Hands what came to the writer, once it is done with what came before."""
        self._settle()
        rows, self._rows = [each for each in self._rows if len(each.keys)], []
        if rows:
            self._lease.check()
            keys: list[Any] = [key for each in rows for key in each.keys]
            self._writing = writer.submit(self._write, keys, np.concatenate([each.vectors for each in rows]))

    def _write(self, keys: Sequence[Any], vectors: Vectors) -> _Written:
        self._vectors.check_declared(self._record)
        # An import that cuts a crop anew writes the file first, and drops the vector after that.
        same = [self._sent[key][1] == _state(self._sent[key][0]) for key in keys]
        kept = [key for key, is_same in zip(keys, same, strict=True) if is_same]
        changed = [key for key, is_same in zip(keys, same, strict=True) if not is_same]
        return _Written(kept, changed, self._vectors.write(kept, vectors[same]))

    def _remember(self) -> None:
        """Remembers how far embedding everything is, for whoever goes on if this ends here."""
        before = self._next
        while self._next < len(self._order) and self._order[self._next] in self._settled:
            self._settled.discard(self._order[self._next])
            self._next += 1
        if before < self._next < len(self._order):
            self._vectors.go_on_from(self._order[self._next])

    def _settle(self) -> None:
        if self._writing is not None:
            writing, self._writing = self._writing, None
            written = writing.result()
            for key in written.changed:
                self._fail(key, _CHANGED)
            for key in written.kept:
                del self._sent[key]
            self._settled.update(written.kept)
            self._result.embedded += written.there
            self._result.gone += len(written.kept) - written.there
            self._remember()

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


def _state(path: str) -> _State:
    """Tells a file from what it was before; None if it is not there."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
