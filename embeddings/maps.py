"""Maps of embeddings: two numbers a sample, in a run of FiftyOne Brain on which the App's Embeddings panel opens."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import fiftyone as fo
import numpy as np
from bson import ObjectId
from fiftyone.brain import visualization as brain

from fiftyone_tator.embeddings.embedder import Vectors
from fiftyone_tator.embeddings.errors import EmbeddingError, NoEmbeddings
from fiftyone_tator.embeddings.options import MapOptions, Method
from fiftyone_tator.embeddings.reducing import (
    FEWEST,
    NAMES,
    PARAMETERS,
    Parameters,
    Reduced,
    check_installed,
    reduce,
    usable,
)
from fiftyone_tator.embeddings.runs import BOOKS, UNFINISHED, check_dataset, check_replaceable, making
from fiftyone_tator.embeddings.vectors import VectorField
from fiftyone_tator.sync.options import checked
from fiftyone_tator.sync.progress import Report, Tracker

FIT_AT_MOST = 100_000
"""Of more vectors, so many are fitted, and the others are put into their map."""

# compute_visualization() would delete the earlier run before it computes, read the vectors slowly through samples, and
# fit all of them at once. What it makes in the end, a run of the method's own class with its results, is made here of
# the same parts, with the field's name in it: so the App opens it, and its add_samples() finds the vectors of new
# samples and, for UMAP, those that were fitted, which it takes to be the first.
# The points are not written into a field of the samples, which would speed up a lasso over very many of them: FiftyOne
# deletes that field with the run, which touches every sample, and the next push would look at all of them. Whoever
# wants it has load_brain_results(key).index_points().
_CONFIGS: Mapping[Method, Any] = {
    "umap": brain.UMAPVisualizationConfig,
    "tsne": brain.TSNEVisualizationConfig,
    "pca": brain.PCAVisualizationConfig,
}


@dataclass(frozen=True, slots=True)
class MapResult:
    """A map that was made.

    Args:
        key: of the run: ``fastvss_umap``
        method: ``umap``, ``tsne`` or ``pca``
        samples: how many are in it
        left_out: how many of those asked for have no vector that can be used
        seed: of what is random
        parameters: of the method, adapted to the number of samples
        seconds: it took
    """

    key: str
    method: Method
    samples: int
    left_out: int
    seed: int
    parameters: Mapping[str, Any]
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """The result as plain data."""
        return {**asdict(self), "parameters": dict(self.parameters), "seconds": round(self.seconds, 2)}


def visualize(
    dataset: fo.Dataset,
    field: str,
    *,
    method: Method = "umap",
    brain_key: str | None = None,
    seed: int = 51,
    parameters: Mapping[str, Any] | None = None,
    samples: Sequence[ObjectId] | None = None,
    fit_at_most: int = FIT_AT_MOST,
    report: Report | None = None,
) -> MapResult:
    """Makes a map of a dataset's embeddings, and takes it for the one that was there under its key.

    Until the new map is stored the earlier one stays, whatever happens.

    Args:
        dataset: the dataset
        field: the field of the vectors
        method: ``umap``, ``tsne`` or ``pca``
        brain_key: how the map's key begins, before the method; the field's name if left out
        seed: of what is random; the same one gives the same map
        parameters: of the method, see :mod:`fiftyone_tator.embeddings.reducing`
        samples: ids of the samples that the map is of; all if None
        fit_at_most: of more vectors so many are drawn, the map is computed of them, and the others are put into it
        report: told how far the work is; may raise to stop it

    Returns:
        the result

    Raises:
        Busy: if somebody else is making a map of this key
        InvalidOption: if the method or a parameter does not exist or cannot be so, or the key is taken by another run
        NotInstalled: if the method's package is not there
        NoEmbeddings: if there are too few vectors for the method
        EmbeddingError: if there are too many for t-SNE, or they are no vectors
    """
    started = time.monotonic()
    check_dataset(dataset)
    said = {"field": field, "method": method, "brain_key": brain_key, "seed": seed, "parameters": parameters}
    options = checked(MapOptions, ("Map", said))
    chosen = checked(PARAMETERS[method], (NAMES[method], options.parameters))
    key = f"{brain_key or field}_{method}"
    check_installed(method)
    with making(dataset, key) as lease:
        check_replaceable(dataset, key, "visualization", fields=[field], method=method)
        ids = _with_vectors(dataset, field, samples)
        _check_count(field, len(ids), method, fit_at_most)
        mapped, reduced = _reduced(VectorField(dataset, field), ids, method, chosen, seed, fit_at_most, Tracker(report))
        lease.check()
        _save(dataset, key, _config(method, field, seed, reduced.parameters), reduced, mapped)
    asked = dataset.count() if samples is None else len(set(samples))
    seconds = time.monotonic() - started
    return MapResult(key, method, len(mapped), asked - len(mapped), seed, reduced.parameters, seconds)


def _reduced(
    vectors: VectorField,
    ids: list[ObjectId],
    method: Method,
    parameters: Parameters,
    seed: int,
    fit_at_most: int,
    tracker: Tracker,
) -> tuple[list[ObjectId], Reduced]:
    """The samples that are in the map, and where."""
    tracker.stage("Reading vectors", 0, (0.0, 0.2))
    first, others = _drawn(ids, fit_at_most, seed)
    mapped, fitted = _usable(*vectors.matrix(first))
    _check_count(vectors.name, len(mapped), method, fit_at_most)
    tracker.stage(f"Computing the map ({NAMES[method]})", len(others), (0.2, 0.9))

    def rest() -> Iterator[Vectors]:
        for some, block in vectors.blocks(others):
            good, rows = _usable(some, block)
            mapped.extend(good)
            if good:
                yield rows
            tracker.advance(len(some))

    reduced = reduce(fitted, rest() if others else (), method=method, seed=seed, parameters=parameters)
    tracker.stage("Saving", 0, (0.9, 1.0))
    return mapped, reduced


def _with_vectors(dataset: fo.Dataset, field: str, samples: Sequence[ObjectId] | None) -> list[ObjectId]:
    if not VectorField(dataset, field).exists:
        raise NoEmbeddings(
            f"The dataset has no vectors in a field {field!r}. Compute the embeddings first "
            "(compute_fastvss_embeddings), or name their field."
        )
    # Asked of the collection: an aggregation takes longer.
    found = dataset._sample_collection.find({field: {"$ne": None}}, {"_id": True})
    wanted = None if samples is None else set(samples)
    return [each["_id"] for each in found if wanted is None or each["_id"] in wanted]


def _check_count(field: str, count: int, method: Method, fit_at_most: int) -> None:
    name, fewest = NAMES[method], FEWEST[method]
    if count < fewest:
        instead = f" PCA makes a map of {FEWEST['pca']}: method=pca." if FEWEST["pca"] <= count else ""
        raise NoEmbeddings(
            f"{count} of the samples have a vector in {field!r} that can be used, and {name} needs at least {fewest}. "
            f"Compute more embeddings (compute_fastvss_embeddings), or choose more samples.{instead}"
        )
    if method == "tsne" and count > fit_at_most:
        raise EmbeddingError(
            f"t-SNE cannot make a map of {count:,} samples: it takes hours for more than {fit_at_most:,}, and cannot "
            "put others into a map. Choose umap or pca, or a view with fewer samples."
        )


def _drawn(ids: list[ObjectId], most: int, seed: int) -> tuple[list[ObjectId], list[ObjectId]]:
    """Those to fit, and the others."""
    if len(ids) <= most:
        return ids, []
    drawn = np.zeros(len(ids), bool)
    drawn[np.random.default_rng(seed).choice(len(ids), most, replace=False)] = True
    return [id for id, is_it in zip(ids, drawn, strict=True) if is_it], [
        id for id, is_it in zip(ids, drawn, strict=True) if not is_it
    ]


def _usable(ids: list[ObjectId], vectors: Vectors) -> tuple[list[ObjectId], Vectors]:
    good = usable(vectors)
    return (ids, vectors) if good.all() else ([id for id, is_it in zip(ids, good, strict=True) if is_it], vectors[good])


def _config(method: Method, field: str, seed: int, parameters: Mapping[str, Any]) -> Any:
    quiet = {} if method == "pca" else {"verbose": False}
    return _CONFIGS[method](embeddings_field=field, seed=seed, **parameters, **quiet)


def _save(dataset: fo.Dataset, key: str, config: Any, reduced: Reduced, ids: Sequence[ObjectId]) -> None:
    if config.method == "umap" and reduced.reducer is not None:
        # A second copy of all vectors; add_samples() reads them from the field.
        brain._strip_umap_training_data(reduced.reducer)
    sample_ids = np.array([str(id) for id in ids])
    results = brain.VisualizationResults(
        dataset, config, key, reduced.points, sample_ids=sample_ids, reducer=reduced.reducer
    )
    method = config.build()
    new = key + UNFINISHED
    with BOOKS:
        # Others may have changed the dataset's document in the time that it took.
        dataset.reload()
        method.register_run(dataset, new)
        try:
            method.save_run_results(dataset, new, results, cache=False)
        except BaseException:
            # Also when somebody stops it: a run without its points would be in the App's list.
            dataset.delete_brain_run(new)
            raise
        if dataset.has_brain_run(key):
            dataset.delete_brain_run(key)
        dataset.rename_brain_run(new, key)
