"""The similarity index of a field of vectors, in whatever FiftyOne Brain knows, and sorting by a picture."""

import difflib
import importlib.util
import inspect
import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import compress
from typing import Any, TypeAlias

import eta.core.utils as etau
import fiftyone as fo
import fiftyone.brain as fob
import numpy as np
from bson import ObjectId
from fiftyone.brain.similarity import SimilarityIndex
from sklearn.metrics import pairwise_distances

from fiftyone_tator.embeddings.embedder import Vectors
from fiftyone_tator.embeddings.errors import BadVectors, EmbeddingError, NoEmbeddings, NotInstalled, OtherModel
from fiftyone_tator.embeddings.options import IndexOptions
from fiftyone_tator.embeddings.reducing import usable
from fiftyone_tator.embeddings.runs import BOOKS, UNFINISHED, check_dataset, check_replaceable, making
from fiftyone_tator.embeddings.vectors import VectorField
from fiftyone_tator.sync.errors import InvalidOption
from fiftyone_tator.sync.options import checked
from fiftyone_tator.sync.progress import Report, Tracker
from fiftyone_tator.tator_client import TatorError

AT_HOME = "sklearn"
OUTGROWS_MEMORY = "lancedb"
MOST_BYTES_AT_HOME = 1_000_000_000

_METRICS = ("cosine", "euclidean", "manhattan", "chebyshev", "correlation")
_PLACES = ("table_name", "collection_name", "index_name")
_MADE = "fiftyone"
_OURS = "fiftyone_tator.embeddings.lance.LanceSimilarityConfig"
_SECRET = re.compile("key|pass|secret|token|string")
_LOGIN = re.compile(r"(?<=://)[^/@\s]+(?=@)")

_logger = logging.getLogger(__name__)

Block: TypeAlias = tuple[list[ObjectId], Vectors]


@dataclass(frozen=True, slots=True)
class SimilarityResult:
    """What became of an index.

    Args:
        key: of the run; sort by similarity with it
        backend: where the index is
        samples: how many are in it
        left_out: how many samples have no vector that can be compared
        seconds: how long it took
    """

    key: str
    backend: str
    samples: int
    left_out: int
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """The result for a page or a log."""
        return asdict(self)


def index(
    dataset: fo.Dataset,
    field: str,
    *,
    backend: str | None = None,
    brain_key: str | None = None,
    metric: str = "cosine",
    samples: Sequence[ObjectId] | None = None,
    report: Report | None = None,
    **settings: Any,
) -> SimilarityResult:
    """Makes a field's vectors sortable by similarity; an index of the same key stays until the new one is ready.

    Args:
        dataset: the dataset
        field: of the vectors
        backend: one that FiftyOne Brain knows; ``sklearn`` if left out, which reads the field whenever it is loaded,
            or ``lancedb`` where the vectors are too many for memory
        brain_key: how the key of the run begins; the field's name if left out
        metric: one that the backend knows
        samples: ids of the samples to index; all if None. ``sklearn`` always has all
        report: called as it goes
        **settings: of the backend; addresses and secrets are better left to FiftyOne's brain config

    Returns:
        what is in the index

    Raises:
        Busy: if somebody else is making an index of this key
        InvalidOption: if the backend or a setting is unknown, or the key is taken by another run
        NoEmbeddings: if there are no vectors
        BadVectors: if they do not belong together, or hold numbers that ``sklearn`` cannot compare
        NotInstalled: if the backend needs a package
        EmbeddingError: if the backend cannot be reached, or refuses
    """
    started = time.monotonic()
    check_dataset(dataset)
    said = {"field": field, "backend": backend, "brain_key": brain_key, "metric": metric}
    checked(IndexOptions, ("Similarity index", said))
    samples = None if samples is None else list(dict.fromkeys(samples))
    vectors, tracker = VectorField(dataset, field), Tracker(report)
    count = _count(vectors, samples)
    if backend is None:
        backend = _choose(count * _dimensions(vectors, samples) * 4)
    config = _config(backend, settings)
    if backend == AT_HOME:
        samples, count = None, vectors.count()
        _check_metric(metric, _dimensions(vectors, None))
    wanted = dataset._sample_collection.estimated_document_count() if samples is None else len(samples)
    key = f"{brain_key or field}_similarity"
    with making(dataset, key) as lease:
        check_replaceable(dataset, key, "similarity", fields=known_as(field))
        with BOOKS:
            _check_apart(dataset, key, settings)
        tracker.stage("Making the similarity index", count, (0.0, 1.0))
        reading = _Reading(lambda: vectors.blocks(samples), tracker)
        unfinished = key + UNFINISHED
        _delete(dataset, unfinished)
        try:
            indexed = _build(dataset, field, unfinished, backend, config, {"metric": metric, **settings}, reading)
            lease.check()
        except BaseException as error:
            # Also when somebody stops it: half an index must not stay. Each backend has errors of its own.
            _delete(dataset, unfinished)
            raise _reason(error, reading, backend, settings) from error
        with BOOKS:
            _delete(dataset, key)
            dataset.rename_brain_run(unfinished, key)
    return SimilarityResult(key, backend, indexed, max(0, wanted - indexed), round(time.monotonic() - started, 3))


def similar_to(samples: fo.Dataset | fo.DatasetView, key: str, vector: Vectors, *, k: int) -> fo.DatasetView:
    """Sorts by similarity to a picture that need not be in the dataset.

    Args:
        samples: the dataset, or a view to stay in
        key: of the index
        vector: of the picture, by what made those in the index
        k: how many samples to show

    Returns:
        the most similar samples, the best first

    Raises:
        NoEmbeddings: if there is no such index
        OtherModel: if the vector is of another length than those in the index
    """
    dataset = samples._root_dataset
    found = dataset.load_brain_results(key) if key in dataset.list_brain_runs() else None
    if not isinstance(found, SimilarityIndex):
        raise NoEmbeddings(f"There is no similarity index {key!r} in {dataset.name!r}. Compute the similarity first.")
    query, field = np.asarray(vector, np.float32), found.config.embeddings_field
    if field is not None and (vectors := VectorField(dataset, field)).exists:
        if len(query) != (length := _dimensions(vectors, None)):
            raise OtherModel(
                f"The picture's vector has {len(query):,} numbers, and those in {field!r} have {length:,}. "
                "Embed the picture with the model that made the field."
            )
        if found.config.method == AT_HOME:
            among = None if isinstance(samples, fo.Dataset) else list(map(ObjectId, samples.values("id")))
            return samples.select(_nearest(vectors, among, query, found.config.metric, k), ordered=True)
    with found.use_view(samples):
        return found.sort_by_similarity(query, k=k)


def _nearest(
    vectors: VectorField, among: Sequence[ObjectId] | None, query: Vectors, metric: str, k: int
) -> list[ObjectId]:
    """What is nearest in a field.

    FiftyOne's index in memory does not see vectors that came later, and moves its own to their mean when it is asked by
    a sample, after which a vector from outside is compared with the wrong ones. Its data are the field's anyway.
    """
    ids: list[ObjectId] = []
    far = np.empty(0)
    for some, rows in _Reading(lambda: vectors.blocks(among), Tracker()):
        far = np.concatenate([far, pairwise_distances(query[np.newaxis], rows, metric=metric)[0]])
        ids += some
        best = np.argsort(far, kind="stable")[:k]
        ids, far = [ids[place] for place in best], far[best]
    return ids


def known_as(field: str) -> tuple[str, str]:
    """What runs of a field's vectors say that they are of.

    Args:
        field: the field

    Returns:
        the field, and the one that MongoDB indexes, whose list of numbers is filled here; no other backend needs it
    """
    return field, f"{field}_list"


class _Reading:
    """Blocks of the vectors that can be compared, how many cannot, and what stopped reading them."""

    def __init__(self, blocks: Callable[[], Iterable[Block]], tracker: Tracker) -> None:
        self._blocks, self._tracker = blocks, tracker
        self.unusable = 0
        self.stopped_by: Exception | None = None

    def __iter__(self) -> Iterator[Block]:
        try:
            for ids, vectors in self._blocks():
                good = usable(vectors)
                self.unusable += len(ids) - int(good.sum())
                if good.any():
                    yield list(compress(ids, good)), vectors[good]
                self._tracker.advance(len(ids))
        except Exception as error:
            # Raised on, through a backend that may make another error of it; this keeps what it was.
            self.stopped_by = error
            raise


def _count(vectors: VectorField, samples: Sequence[ObjectId] | None) -> int:
    count = vectors.count() if samples is None else min(vectors.count(), len(samples))
    if not vectors.exists or not count:
        raise NoEmbeddings(
            f"No sample has a vector in {vectors.name!r}. Compute the embeddings first (compute_fastvss_embeddings)."
        )
    return count


def _dimensions(vectors: VectorField, samples: Sequence[ObjectId] | None) -> int:
    if (record := vectors.record) is not None:
        return record.dimensions
    first = next(iter(vectors.blocks(samples)), None)
    return 0 if first is None else first[1].shape[1]


def _choose(size: int) -> str:
    if size <= MOST_BYTES_AT_HOME:
        return AT_HOME
    if importlib.util.find_spec("lancedb") is not None:
        return OUTGROWS_MEMORY
    raise NotInstalled(
        f"The vectors take {size / 1e9:.1f} GB, too much for an index in memory. Install LanceDB (pip install "
        "lancedb), name the backend of a vector database that you have, or name 'sklearn' if the memory is there."
    )


def _check_apart(dataset: fo.Dataset, key: str, settings: Mapping[str, Any]) -> None:
    """Refuses to put a new index where the old one is, which is removed at the end."""
    if key not in dataset.list_brain_runs():
        return
    old = dataset.get_brain_info(key).config
    for name in _PLACES:
        if (value := settings.get(name)) is not None and getattr(old, name, None) == value:
            raise InvalidOption(f"The index {key!r} is in the {name} {value!r}. Name another one, or leave it out.")


def _config(backend: str, settings: Mapping[str, Any]) -> type:
    """The class of a backend's configuration, which knows its settings."""
    known = fob.brain_config.similarity_backends
    if backend not in known:
        raise InvalidOption(f"There is no similarity backend {backend!r}. There are {', '.join(sorted(known))}.")
    try:
        name = _OURS if backend == OUTGROWS_MEMORY else known[backend]["config_cls"]
        cls: type = etau.get_class(name) if isinstance(name, str) else name
    except ImportError as error:
        raise _explained(backend, settings, error) from None
    hidden = ("kwargs", "metric", "owner", *(["table_name"] if backend == OUTGROWS_MEMORY else []))
    names = [name for name in inspect.signature(cls).parameters if name not in hidden]
    for name in settings:
        if name not in names:
            there = f"The settings are: {', '.join(names)}." if names else "It has none."
            raise InvalidOption(f"The similarity backend {backend} has no setting {name!r}. {there}")
    return cls


def _build(
    dataset: fo.Dataset,
    field: str,
    key: str,
    backend: str,
    config: type,
    settings: Mapping[str, Any],
    blocks: _Reading,
) -> int:
    def make(**further: Any) -> Any:
        with BOOKS:
            return fob.compute_similarity(dataset, brain_key=key, progress=False, **{**settings, **further})

    if backend == AT_HOME:
        # It reads the field itself, without a word; read once before, vectors that do not belong together are told.
        for _ in blocks:
            pass
        if blocks.unusable:
            raise BadVectors(
                f"{blocks.unusable:,} of the vectors in {field!r} hold infinite, undefined or absurdly large numbers, "
                f"and FiftyOne's index in memory fails on them. Choose backend={OUTGROWS_MEMORY!r}, which leaves them "
                "out, or embed those samples again."
            )
        return int(make(backend=AT_HOME, embeddings=field).total_index_size)
    if backend == OUTGROWS_MEMORY:
        return int(make(backend=config, embeddings=False, embeddings_field=field).fill(blocks))
    # pgvector names all indexes of a dataset alike, and PostgreSQL knows each name once.
    named = {"index_name": settings.get("index_name", f"{_MADE}-{ObjectId()}")} if backend == "pgvector" else {}
    kept = known_as(field)[1] if backend == "mongodb" else field
    found, count = make(backend=backend, embeddings=False, embeddings_field=kept, **named), 0
    for ids, vectors in blocks:
        found.add_to_index(vectors, list(map(str, ids)))
        count += len(ids)
    if not count:
        raise NoEmbeddings(f"No vector in {field!r} can be compared. Compute the embeddings anew.")
    return count


def _check_metric(metric: str, dimensions: int) -> None:
    """Tries the metric, since FiftyOne's index in memory only meets it when somebody sorts."""
    try:
        if metric == "precomputed":
            raise ValueError("it is none")
        pairwise_distances(np.eye(3, dimensions, dtype=np.float32), metric=metric)
    except ValueError as error:
        near = difflib.get_close_matches(metric, _METRICS, n=1)
        way = f"Did you mean {near[0]}?" if near else f"Choose {', '.join(_METRICS)}, or another one of scikit-learn's."
        raise InvalidOption(
            f"The metric {metric!r} cannot be used ({str(error).splitlines()[0][:100]}). {way}"
        ) from None


def _reason(error: BaseException, reading: _Reading, backend: str, settings: Mapping[str, Any]) -> BaseException:
    """What stopped an index from being made."""
    # What stopped the reading comes back from under a backend as an error of its own.
    if reading.stopped_by is not None:
        return reading.stopped_by
    if isinstance(error, TatorError) or not isinstance(error, Exception):
        return error
    return _explained(backend, settings, error)


def _explained(backend: str, settings: Mapping[str, Any], error: Exception) -> EmbeddingError:
    reason = _plain(backend, settings, error)
    if isinstance(error, ImportError):
        reason = re.split(r" but found|\. If you think", reason)[0]
        return NotInstalled(
            f"The similarity backend {backend} needs a package that is not installed ({reason}). Install it with pip, "
            f"or choose {AT_HOME!r} or {OUTGROWS_MEMORY!r}."
        )
    where = f"FIFTYONE_BRAIN_SIMILARITY_{backend.upper()}_..."
    return EmbeddingError(
        f"The similarity backend {backend} cannot be used: {reason}. Check that it runs, and its settings ({where} in "
        "the environment, or FiftyOne's brain config)."
    )


def _plain(backend: str, settings: Mapping[str, Any], error: Exception) -> str:
    """What an error says, in one line, without what nobody else should read."""
    reason = " ".join(str(error).split())
    for name, value in {**fob.brain_config.similarity_backends[backend], **settings}.items():
        if _SECRET.search(name) and value:
            reason = reason.replace(str(value), "***")
    return _LOGIN.sub("***", reason)[:300].rstrip(".?")


def _delete(dataset: fo.Dataset, key: str) -> None:
    """Removes a run and what its backend keeps, as far as it may be removed and the backend still answers."""
    with BOOKS:
        if key not in dataset.list_brain_runs():
            return
        try:
            found = dataset.load_brain_results(key)
            if found is not None and _is_made(found.config):
                # PostgreSQL's table would be left, if nobody said so.
                whole = {"drop_table": True} if "drop_table" in inspect.signature(found.cleanup).parameters else {}
                found.cleanup(**whole)
        except Exception as error:  # noqa: BLE001 - a database that is gone must not stop a new index
            _logger.warning("What the index %r kept in its database is left there (%s)", key, type(error).__name__)
        dataset.delete_brain_run(key)


def _is_made(config: Any) -> bool:
    """Whether an index has a place that was made for it; one that a person named may hold more than the index."""
    names = [getattr(config, place, None) for place in _PLACES]
    prefixes = (_MADE, config.embeddings_field or _MADE)
    return all(name is None or name.startswith(prefixes) for name in names)
